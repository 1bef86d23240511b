"""Generated from the schema beside it."""
