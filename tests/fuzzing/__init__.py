"""Hostile bytes for everything that reads them: see scripts/fuzz and tests/unit/test_fuzzing.py."""
