"""Reads of another department's confidential fields, from the department's own side (docs/protocol.md G6 to G9).

Whatever happens between the steps, a read is not lost: before it is submitted, its transaction and its key are in a private
file, from which it is gone on with (`resume`). The file goes when the read is acknowledged.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.building import build_transaction, transaction_id
from ledger.crypto import Signer
from ledger.disclosure import DisclosureVerdict
from ledger.errors import Code, HuzhengError
from ledger.proven_state import ProvenState
from ledger.sharing.reading import read_id, read_key
from node.private_file import read_private_file, write_new_file
from node.sharing.sealing import AskedFor, ReaderKey, open_answer

if TYPE_CHECKING:
    from node.client import LedgerClient
    from node.light_client import LightClient

SUFFIX = ".read"
_POLL_S = 0.1
_LATE = (
    Code.UNKNOWN_READ,
    Code.NOT_READY,
    Code.NODE_UNREACHABLE,
    Code.TIMED_OUT,
    Code.OVERLOADED,
    Code.VAULT_CLOSED,
)
"""What the owner's node may say of a read that it does not know of yet, or while it or its vault is away."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be read."""

    grant: bytes
    owner: str
    resource: str
    subject: str
    case_number: str
    fields: tuple[int, ...]
    """Numbers, in ascending order."""


@dataclass(frozen=True, slots=True)
class PendingRead:
    """A read that is not acknowledged yet."""

    id: bytes
    request: Request
    transaction: bytes = field(repr=False)
    key: ReaderKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """A read whose answer is here and right."""

    pending: PendingRead
    height: int
    """Of the block that ordered it."""
    disclosure: bytes = field(repr=False)
    verdict: DisclosureVerdict = field(repr=False)


class Reads:
    """The reads of one user: kept in a directory until they are acknowledged. Its methods wait for the disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def begin(
        self, client: LedgerClient, signer: Signer, department: str, request: Request, expires_ms: int
    ) -> PendingRead:
        """Builds the transaction and keeps it with a fresh key; nothing is submitted yet.

        Raises:
            HuzhengError: FILE_ACCESS.
        """
        key = ReaderKey.new()
        operation = sharing.ReadFields(
            grant=request.grant,
            subject=request.subject,
            case_number=request.case_number,
            fields=request.fields,
            reader_key=key.public,
        )
        raw = build_transaction(
            client.genesis, signer, department, expires_ms, operations=[pb.Operation(read_fields=operation)]
        )
        identifier = read_id(client.genesis.suite, transaction_id(client.genesis, raw), 0)
        pending = PendingRead(identifier, request, raw, key)
        self._write(pending)
        return pending

    def pending(self) -> list[bytes]:
        """Ids of the reads that are not acknowledged."""
        return sorted(bytes.fromhex(path.stem) for path in self._directory.glob(f"*{SUFFIX}"))

    def load(self, identifier: bytes) -> PendingRead:
        """A read that was begun. Raises HuzhengError(NOT_FOUND, BAD_FILE, KEY_FILE_MODE)."""
        path = self._path(identifier)
        raw = read_private_file(path, Code.NOT_FOUND, Code.KEY_FILE_MODE)
        try:
            kept = json.loads(raw)
            request = Request(
                bytes.fromhex(kept["grant"]),
                kept["owner"],
                kept["resource"],
                kept["subject"],
                kept["case"],
                tuple(kept["fields"]),
            )
            return PendingRead(
                identifier, request, bytes.fromhex(kept["transaction"]), ReaderKey(bytes.fromhex(kept["key"]))
            )
        except (ValueError, KeyError, TypeError):
            raise HuzhengError(Code.BAD_FILE, str(path)) from None

    def forget(self, pending: PendingRead) -> None:
        """The read is over: its key is deleted."""
        self._path(pending.id).unlink(missing_ok=True)

    def _write(self, pending: PendingRead) -> None:
        request = pending.request
        kept = {
            "grant": request.grant.hex(),
            "owner": request.owner,
            "resource": request.resource,
            "subject": request.subject,
            "case": request.case_number,
            "fields": list(request.fields),
            "transaction": pending.transaction.hex(),
            "key": pending.key.secret.hex(),
        }
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new_file(self._path(pending.id), json.dumps(kept).encode(), private=True)
        except OSError as error:
            raise HuzhengError(Code.FILE_ACCESS, f"{self._directory}: {error.strerror}") from None

    def _path(self, identifier: bytes) -> Path:
        return self._directory / f"{identifier.hex()}{SUFFIX}"


async def carry_out(light: LightClient, reads: Reads, pending: PendingRead, patience_s: float) -> Answered:
    """Has a read ordered, fetches the answer from its owner's node and checks it. May be repeated.

    Which record was read, and so what the answer must show, is proved by the state.

    Raises:
        HuzhengError: the refusal of the read, which is on chain then; NODE_UNREACHABLE and others while the owner's node is away;
            what `Releaser.release` raises; BAD_ANSWER and as `verify_disclosure` if what came is not what the record commits to.
    """
    client = light.client
    final = await client.submit(pending.transaction)
    if final.verdict.refusal is not None:
        reads.forget(pending)
        raise HuzhengError(final.verdict.refusal)
    read = await _proven_read(light, pending, patience_s)
    sealed = await _fetch(client, pending, patience_s)
    asked = AskedFor(pending.id, read.record_id, pending.request.fields)
    disclosure, verdict = open_answer(client.genesis, sealed, pending.key, asked)
    return Answered(pending, final.verdict.height, disclosure, verdict)


async def _proven_read(light: LightClient, pending: PendingRead, patience_s: float) -> sharing.ReadState:
    """The read as the state has it; nodes that do not have its block yet are asked again."""
    deadline = monotonic() + patience_s
    while True:
        stated = await light.statement(keys=[read_key(pending.id)])
        read = ProvenState(stated.verdict).read(pending.id)
        if read is not None:
            return read
        if monotonic() > deadline:
            raise HuzhengError(Code.NODE_BEHIND, "it does not have the block of the read")
        await asyncio.sleep(_POLL_S)


async def _fetch(client: LedgerClient, pending: PendingRead, patience_s: float) -> bytes:
    """Asks the owner's nodes until one answers: theirs may not have the read's block yet."""
    owner = pending.request.owner
    deadline = monotonic() + patience_s
    while True:
        try:
            return await client.release(pending.id, owner)
        except HuzhengError as error:
            if error.code not in _LATE or monotonic() > deadline or not client.nodes_of(owner):
                raise
        await asyncio.sleep(_POLL_S)


async def acknowledge(client: LedgerClient, signer: Signer, department: str, read: bytes, expires_ms: int) -> None:
    """Says on chain that the answer has arrived and is right; once more does no harm.

    Raises:
        HuzhengError: the refusal.
    """
    operation = pb.Operation(acknowledge_read=sharing.AcknowledgeRead(read=read))
    raw = build_transaction(client.genesis, signer, department, expires_ms, operations=[operation])
    final = await client.submit(raw)
    if final.verdict.refusal not in (None, Code.ALREADY_DONE):
        raise HuzhengError(final.verdict.refusal)
