"""Reads and grants as a node proves them (docs/protocol.md G8, Q8): each for itself, and where the state counts them, that none is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from huzheng.v1 import audit_pb2 as audit
from huzheng.v1 import sharing_pb2

from ledger.crypto import HASH_BYTES
from ledger.errors import Code, HuzhengError
from ledger.published import resource_key, version_key
from ledger.sharing.granting import grant_key
from ledger.sharing.reading import read_key
from node.audit import Account, ReadList, fetch_reads, is_accepted, require_complete
from node.light_client import LightClient, patiently
from node.sharing.proven import Proven, account_entry


@dataclass(frozen=True, slots=True)
class ProvenReads:
    """A list of reads each of which is proved, and the proofs."""

    reads: tuple[audit.ListedRead, ...]
    account: Account | None
    """That of a subject or grant, which the list is complete by; None if that none is missing is the node's word."""
    statements: tuple[bytes, ...]
    receipts: tuple[bytes, ...]
    """Of the transactions that were refused."""


@dataclass(frozen=True, slots=True)
class ProvenGrant:
    """A grant, as of a block."""

    id: bytes
    state: sharing_pb2.GrantState
    field_names: list[str]
    """Of the fields that were granted, or else applied for; a number with a # where the newest schema version does not have it."""
    height: int

    @property
    def terms(self) -> sharing_pb2.GrantTerms:
        """What counts: what is granted, or else what is asked for."""
        return _terms(self.state)


class Proving:
    """Has a node prove what is needed, and keeps what was proved (`proven`). All methods raise what a light client does."""

    def __init__(self, light: LightClient, *, whole: bool = False) -> None:
        """`whole`: the proofs have what others need to verify them with the genesis alone."""
        self._light = light
        self._whole = whole
        self.proven = Proven(light.genesis)
        self.statements: list[bytes] = []
        self.receipts: list[bytes] = []

    async def ask(self, keys: Iterable[bytes]) -> None:
        """What these keys of the state have, unless that is known."""
        unknown = [key for key in keys if not self.proven.knows(key)]
        async for stated in self._light.statements(unknown, whole=self._whole):
            self.statements.append(stated.raw)
            self.proven.add_statement(stated.verdict)

    async def ask_definitions(self, resources: Iterable[str]) -> None:
        """What these resources' newest schema versions say."""
        names = sorted(set(resources))
        await self.ask(map(resource_key, names))
        newest = [(name, self.proven.newest_version(name)) for name in names]
        genesis = self._light.genesis
        await self.ask(
            version_key(name, version)
            for name, version in newest
            if version is not None and genesis.version(name, version) is None
        )

    async def ask_about(self, reads: Iterable[audit.ListedRead]) -> None:
        """All that tells whether these reads are as they were told."""
        reads = list(reads)
        accepted = {read_key(read.read_id) for read in reads if is_accepted(read)}
        grants = {read.asked.grant for read in reads if len(read.asked.grant) == HASH_BYTES}
        await self.ask(accepted.union(map(grant_key, grants)))
        for transaction_id in sorted({read.transaction_id for read in reads if not is_accepted(read)}):
            receipt, verdict = await self._light.transaction_receipt(transaction_id)
            self.proven.add_refusal(receipt, verdict)
            self.receipts.append(receipt)
        states = map(self.proven.grant, grants)
        await self.ask_definitions(state.applied.resource for state in states if state is not None)


async def prove_reads(
    light: LightClient,
    request: audit.ListReadsRequest,
    on_page: Callable[[int], None] = lambda _count: None,
    *,
    whole: bool = False,
) -> ProvenReads:
    """The reads that a request is about as of one block, each proved; of a subject or a grant that none is missing, too.

    Reads after that block, which a node may tell of already, are left out. `on_page` is told how many reads there are so far.

    Raises:
        HuzhengError: NOT_FOUND if there is no such grant, which is proved; UNTRUSTED_ANSWER if a read is missing, or is not as it
            was told; FORKED, NODE_BEHIND, and what the node answers.
    """
    proving, key = Proving(light, whole=whole), account_entry(request)
    with _lies():
        if key is not None:
            await proving.ask([key])
        account = proving.proven.account(request)
        height = (await light.move_on()).height if account is None else account.height
        told = await patiently(lambda: _fetch_up_to(light, request, height, on_page))
        reads = [read for read in told.reads if read.position.height <= height]
        if account is not None:
            require_complete(light.genesis.suite, reads, account)
        await proving.ask_about(reads)
        proved = tuple(_confirmed(proving.proven, read) for read in reads)
    return ProvenReads(proved, account, tuple(proving.statements), tuple(proving.receipts))


async def prove_grants(light: LightClient, grants: Iterable[bytes]) -> list[ProvenGrant]:
    """How these grants stand.

    Raises:
        HuzhengError: NOT_FOUND if there is no such grant, which is proved; as a light client does.
    """
    keys, proving = {grant: grant_key(grant) for grant in grants}, Proving(light)
    proven = proving.proven
    await proving.ask(keys.values())
    states = {grant: proven.existing_grant(grant) for grant in keys}
    await proving.ask_definitions(state.applied.resource for state in states.values())
    return [
        ProvenGrant(grant, state, _names(proven, state), proven.height(keys[grant])) for grant, state in states.items()
    ]


def _names(proven: Proven, state: sharing_pb2.GrantState) -> list[str]:
    numbers = _terms(state).fields
    names = proven.field_names(state.applied.resource, numbers)
    return [name or f"#{number}" for number, name in zip(numbers, names, strict=True)]


def _terms(state: sharing_pb2.GrantState) -> sharing_pb2.GrantTerms:
    return state.granted if state.HasField("granted") else state.applied


async def _fetch_up_to(
    light: LightClient, request: audit.ListReadsRequest, height: int, on_page: Callable[[int], None]
) -> ReadList:
    try:
        found = await fetch_reads(light.client, request, on_page)
    except HuzhengError as error:
        if error.code is Code.NOT_FOUND:
            # That there is such a grant is proved.
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "no reads of what is there") from None
        raise
    if found.height < height:
        raise HuzhengError(Code.NODE_BEHIND, f"reads up to block {found.height}; block {height} was seen")
    return found


def _confirmed(proven: Proven, told: audit.ListedRead) -> audit.ListedRead:
    """A read as it is proved, if it was told like that.

    Besides, the node may have known earlier that it was acknowledged, or not yet, and another schema version as the newest.
    """
    proved = proven.read(told.transaction_id, told.position.operation_index)
    if _without_what_changes(proved) != _without_what_changes(told):
        raise HuzhengError(Code.BAD_PROOF, "a read that is told otherwise than it is proved")
    return proved


def _without_what_changes(read: audit.ListedRead) -> audit.ListedRead:
    found = audit.ListedRead()
    found.CopyFrom(read)
    found.ClearField("field_names")
    found.position.ClearField("transaction_index")
    if found.HasField("state"):
        found.state.ClearField("acknowledged_ms")
    return found


@contextmanager
def _lies() -> Iterator[None]:
    """What a node told and has not proved is not believed; the next one may do better."""
    try:
        yield
    except HuzhengError as error:
        if error.code is Code.BAD_PROOF:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, error.detail) from None
        raise
