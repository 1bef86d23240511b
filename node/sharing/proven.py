"""What statements and receipts prove of reads and grants (docs/protocol.md G6, G8, R7, Q8). Asks nobody.

An accepted read is in the state, and so are its grounds, which are its grant's. Of a refused one, the receipt of its transaction shows
what was asked for and why it was refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message
from huzheng.v1 import audit_pb2 as audit
from huzheng.v1 import block_pb2, catalogue_pb2, sharing_pb2, state_pb2, transaction_pb2

from ledger.crypto import HASH_BYTES, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.published import resource_key, version_key
from ledger.receipt import Verdict
from ledger.sharing.granting import grant_key
from ledger.sharing.reading import account_key, read_id, read_key
from ledger.statement import StatementVerdict
from node.audit import Account

M = TypeVar("M", bound=Message)
_MAX_OPERATIONS = 256
"""An operation's position is a byte in a read's id (G1)."""


@dataclass(frozen=True, slots=True)
class _Refused:
    verdict: Verdict
    operations: Sequence[transaction_pb2.Operation]


class Proven:
    """What was proved so far. Methods that say something of it raise HuzhengError(BAD_PROOF) where it proves nothing of that."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._entries: dict[bytes, tuple[bytes | None, int]] = {}
        self._refused: dict[bytes, _Refused] = {}

    def add_statement(self, verdict: StatementVerdict) -> None:
        """What was proved of a key before stays: the list that it was compared with is of that block."""
        for key, value in verdict.entries.items():
            self._entries.setdefault(key, (value, verdict.height))

    def knows(self, key: bytes) -> bool:
        """Whether it is proved what a key of the state has, or that it has nothing."""
        return key in self._entries

    def add_refusal(self, receipt: bytes, verdict: Verdict) -> None:
        """A receipt and what was found to be proved by it. Raises HuzhengError(BAD_PROOF) unless that is a refusal for good (R7)."""
        if verdict.accepted or not verdict.conclusive or verdict.code == transaction_pb2.RESULT_CODE_UNKNOWN_KEY:
            raise HuzhengError(Code.BAD_PROOF, "a transaction that was not refused")
        body = strict.read(transaction_pb2.TransactionBody, strict.read(block_pb2.Receipt, receipt).body)
        self._refused[verdict.transaction_id] = _Refused(verdict, body.operations)

    def grant(self, grant: bytes) -> sharing_pb2.GrantState | None:
        """A grant; None if there is none."""
        return self._value(grant_key(grant), sharing_pb2.GrantState) if len(grant) == HASH_BYTES else None

    def existing_grant(self, grant: bytes) -> sharing_pb2.GrantState:
        """A grant. Raises HuzhengError(NOT_FOUND) if there is none."""
        found = self.grant(grant)
        if found is None:
            raise HuzhengError(
                Code.NOT_FOUND, f"proved as of block {self.height(grant_key(grant))}: there is no such grant"
            )
        return found

    def height(self, key: bytes) -> int:
        """Of the block after which a key had what is proved of it."""
        return self._entry(key)[1]

    def account(self, request: audit.ListReadsRequest) -> Account | None:
        """The account of the subject or grant that a request is about, if it is about all of its reads.

        Raises:
            HuzhengError: NOT_FOUND if there is no such grant; BAD_PROOF.
        """
        key = account_entry(request)
        if key is None:
            return None
        if request.HasField("grant"):
            return Account(self.existing_grant(request.grant).reads, self.height(key), is_proven=True)
        return Account(self._value(key, sharing_pb2.Reads) or sharing_pb2.Reads(), self.height(key), is_proven=True)

    def read(self, transaction_id: bytes, index: int) -> audit.ListedRead:
        """A read, accepted or refused, by its transaction and its place there; its position in its block is not proved, and left out."""
        if index >= _MAX_OPERATIONS:
            raise HuzhengError(Code.BAD_PROOF, "an operation that no transaction has")
        refused = self._refused.get(transaction_id)
        listed = self._accepted(transaction_id, index) if refused is None else _refused_read(refused, index)
        listed.read_id = read_id(self._genesis.suite, transaction_id, index)
        listed.transaction_id, listed.position.operation_index = transaction_id, index
        grant = self.grant(listed.asked.grant)
        if grant is not None:
            listed.owner, listed.resource = grant.owner, grant.applied.resource
            listed.purpose, listed.legal_basis = grant.purpose, grant.legal_basis
            listed.field_names.extend(self.field_names(listed.resource, listed.asked.fields))
        return listed

    def _accepted(self, transaction_id: bytes, index: int) -> audit.ListedRead:
        state = self._value(read_key(read_id(self._genesis.suite, transaction_id, index)), sharing_pb2.ReadState)
        if state is None:
            raise HuzhengError(Code.BAD_PROOF, "a read that was not accepted")
        return audit.ListedRead(
            position=audit.OperationPosition(height=state.height),
            time_ms=state.time_ms,
            reader=state.reader,
            asked=sharing_pb2.ReadFields(
                grant=state.grant,
                subject=state.subject,
                case_number=state.case_number,
                fields=state.fields,
                reader_key=state.reader_key,
            ),
            code=transaction_pb2.RESULT_CODE_ACCEPTED,
            state=state,
        )

    def field_names(self, resource: str, numbers: Sequence[int]) -> list[str]:
        """What the newest schema version of a resource calls these fields, in their order; empty where it does not have one."""
        newest = self.newest_version(resource)
        if newest is None:
            return [""] * len(numbers)
        known = self._genesis.version(resource, newest)
        definition = known.message if known else self._value(version_key(resource, newest), catalogue_pb2.Resource)
        names = {} if definition is None else {spec.number: spec.name for spec in definition.fields}
        return [names.get(number, "") for number in numbers]

    def newest_version(self, resource: str) -> int | None:
        """The newest schema version of a resource; None if there is no such resource."""
        state = self._value(resource_key(resource), state_pb2.ResourceState)
        return None if state is None else state.newest_version

    def _value(self, key: bytes, message_type: type[M]) -> M | None:
        raw = self._entry(key)[0]
        return None if raw is None else strict.read(message_type, raw)

    def _entry(self, key: bytes) -> tuple[bytes | None, int]:
        if key not in self._entries:
            raise HuzhengError(Code.BAD_PROOF, "an entry of the state of which nothing is proved")
        return self._entries[key]


def account_entry(request: audit.ListReadsRequest) -> bytes | None:
    """The key of what counts all reads that a request is about; None if it is about others, or about a part of the time."""
    if request.since_ms or request.until_ms:
        return None
    if request.HasField("subject"):
        return account_key(request.subject.resource, request.subject.subject)
    return grant_key(request.grant) if request.HasField("grant") else None


def _refused_read(refused: _Refused, index: int) -> audit.ListedRead:
    verdict = refused.verdict
    if index >= len(refused.operations) or not refused.operations[index].HasField("read_fields"):
        raise HuzhengError(Code.BAD_PROOF, "an operation that asks for nothing")
    return audit.ListedRead(
        position=audit.OperationPosition(height=verdict.height),
        time_ms=verdict.time_ms,
        reader=verdict.department,
        asked=refused.operations[index].read_fields,
        code=verdict.code,
        code_index=verdict.index,
    )
