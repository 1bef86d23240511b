"""Golden vectors are what their generator writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_vectors_are_fresh() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "gen_vectors"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (run.returncode, run.stdout) == (0, ""), run.stdout + run.stderr
