"""Pictures and PDFs are told from proofs by how they start."""

from __future__ import annotations

import pytest

from node.printed import looks_printed
from tests.vectors import load

PROOFS = [
    *(bytes.fromhex(case["receipt"]) for case in load("receipts.json")["cases"] if case["code"] is None),
    *(bytes.fromhex(case["statement"]) for case in load("statements.json")["cases"] if case["code"] is None),
]


def test_no_proof_is_taken_for_a_picture() -> None:
    assert not any(map(looks_printed, PROOFS))
    # Whatever is in it.
    assert not looks_printed(PROOFS[0] + b"%PDF-1.7")


@pytest.mark.parametrize("raw", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"%PDF-1.7", b" %PDF-1.4", b"GIF89a"])
def test_pictures_and_documents_are_told(raw: bytes) -> None:
    assert looks_printed(raw)
