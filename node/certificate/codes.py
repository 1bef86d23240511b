"""The text of a printed code and back (docs/protocol.md Q7): `HZ1:` and the Base45 of a part of a statement."""

from __future__ import annotations

from collections.abc import Iterable

import base45
from huzheng.v1 import statement_pb2

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.statement import StatementVerdict

PREFIX = "HZ1:"
MAX_CODE_CHARACTERS = 3391
"""What the largest QR code holds at error correction M in its alphanumeric mode, which has just the characters of Base45."""
MAX_PART_BYTES = (MAX_CODE_CHARACTERS - len(PREFIX)) // 3 * 2
_FIRST_OF_HEADER = 0x0A


def to_codes(statement: bytes) -> list[str]:
    """The texts of a statement's codes: one with header, certificate and leaves, one with the records if it has any.

    Its epochs are left out: a verifier that needs them has them from elsewhere.

    Raises:
        HuzhengError: NOT_STRICT; TOO_LARGE if a part does not fit into one code; BAD_FILE if it has entries, which are not printed.
    """
    whole = strict.read(statement_pb2.Statement, statement)
    if whole.entries:
        raise HuzhengError(Code.BAD_FILE, "a statement with entries of the state is not printed")
    proof = statement_pb2.Statement(header=whole.header, certificate=whole.certificate, leaves=whole.leaves)
    records = statement_pb2.Statement(records=whole.records)
    return [_to_text(strict.write(part)) for part in (proof, records) if part.ByteSize()]


def without_entries(statement: bytes, verdict: StatementVerdict, genesis: Genesis) -> bytes:
    """A statement, of which this is the verdict, without its entries of the state, which are not printed.

    Raises:
        HuzhengError: BAD_FILE if it is not about resources of the genesis alone: of others only entries tell.
    """
    resources = {question.resource for question in verdict.answers}
    if not resources or not resources <= genesis.catalogue.keys():
        raise HuzhengError(Code.BAD_FILE, "only a statement about resources of the genesis alone is printed")
    whole = strict.read(statement_pb2.Statement, statement)
    whole.ClearField("entries")
    return strict.write(whole)


def from_codes(texts: Iterable[str]) -> bytes:
    """The statement that codes hold, in whatever order they were read. Nothing is verified but how they fit together.

    Raises:
        HuzhengError: BAD_FILE if a text is none of ours, there are two with the same part, or the first part is missing.
    """
    parts: dict[int, bytes] = {}
    for text in texts:
        part = _from_text(text)
        if part[0] in parts:
            raise HuzhengError(Code.BAD_FILE, "two codes with the same part: take those of one certificate, each once")
        parts[part[0]] = part
    if _FIRST_OF_HEADER not in parts:
        raise HuzhengError(Code.BAD_FILE, "the code with the proof, which is a statement's first part, is missing")
    return b"".join(parts[first] for first in sorted(parts))


def _to_text(part: bytes) -> str:
    if len(part) > MAX_PART_BYTES:
        raise HuzhengError(Code.TOO_LARGE, f"{len(part)} bytes for one printed code, at most {MAX_PART_BYTES}")
    encoded: bytes = base45.b45encode(part)
    return PREFIX + encoded.decode("ascii")


def _from_text(text: str) -> bytes:
    if not text.startswith(PREFIX):
        raise HuzhengError(Code.BAD_FILE, f"a code whose text does not start with {PREFIX}")
    if len(text) > MAX_CODE_CHARACTERS:
        raise HuzhengError(Code.BAD_FILE, "a code with a longer text than any that is printed")
    try:
        # Bytes, not text: of a text the library drops line ends, so that more than one would be read as the same.
        part: bytes = base45.b45decode(text.removeprefix(PREFIX).encode("ascii"))
    except ValueError:
        part = b""
    if not part:
        raise HuzhengError(Code.BAD_FILE, f"a code whose text after {PREFIX} is not Base45")
    return part
