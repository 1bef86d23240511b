"""Tells pictures and PDFs from proofs, before any of the libraries is loaded that read them."""

from __future__ import annotations

_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"II*\0", b"MM\0*", b"BM", b"GIF8")
"""Of PNG, JPEG, WebP, TIFF (both byte orders), BMP and GIF."""
_PDF = b"%PDF-"
_PDF_WITHIN = 1024
"""Readers accept some bytes before it."""


def looks_printed(raw: bytes) -> bool:
    """Whether a file is a PDF or a picture: a proof in strict form starts with its first field, and none of these do."""
    return raw.startswith(_STARTS) or (not raw.startswith(b"\x0a") and is_pdf(raw))


def is_pdf(raw: bytes) -> bool:
    """Whether a file says that it is a PDF."""
    return _PDF in raw[: _PDF_WITHIN + len(_PDF)]
