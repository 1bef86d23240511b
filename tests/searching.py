"""Whether a value is somewhere in bytes, whatever it was written as."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

from google.protobuf.text_encoding import CEscape


def forms(value: str) -> set[bytes]:
    """What a value looks like in files and messages: as text, in hex, in base64 at any place, escaped as JSON, Python, protobuf and URLs do."""
    raw = value.encode()
    return {
        raw,
        value.encode("utf-16-le"),
        value.encode("gb18030"),
        raw.hex().encode(),
        raw.hex().upper().encode(),
        *(_base64_after(before, raw) for before in range(3)),
        json.dumps(value)[1:-1].encode(),
        ascii(value)[1:-1].encode(),
        repr(raw)[2:-1].encode(),
        CEscape(raw, as_utf8=False).encode(),
        quote(value).encode(),
    }


def _base64_after(before: int, raw: bytes) -> bytes:
    """What of its base64 does not hang on its neighbours, where so many bytes of a group of three come before it."""
    encoded = base64.b64encode(bytes(before) + raw).rstrip(b"=")
    return encoded[(0, 2, 3)[before] : -1]


class Search:
    """For some values."""

    def __init__(self, values: Iterable[str]) -> None:
        self._needles = sorted(set().union(*(forms(value) for value in values)))

    def finds(self, content: bytes) -> bool:
        """Whether any of them is there in any form."""
        return any(needle in content for needle in self._needles)
