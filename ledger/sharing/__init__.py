"""Sharing data: the catalogue, grants, reads and erasing, carried out by execution (docs/protocol.md sections 14, 16 and 17)."""
