"""Test vectors: published ones, with their source named in the file, and our own, written by scripts/gen_vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def load(name: str) -> dict[str, Any]:
    """The content of one vector file, such as "rfc8032.json"."""
    content: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return content
