"""Reads the chain through nodes without believing any of them (docs/protocol.md H6).

Goes from one block that it has verified, its anchor, to each newer one that a node shows, whatever lies between them: by one proof of
history and the changes of the membership since, never block by block.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from huzheng.v1 import block_pb2, catalogue_pb2, state_pb2, statement_pb2
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.anchor import check_against
from ledger.catalogue import CompiledResource
from ledger.catalogue_rules import is_resource_name
from ledger.crypto import strict
from ledger.epoch_proof import epoch_among, verify_epochs
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.history import fork_evidence, verify_history
from ledger.published import resource_key, version_key
from ledger.receipt import Verdict, verify_receipt
from ledger.sealed_block import SealedBlock, verify_sealed
from ledger.stated_entries import MAX_ENTRIES
from ledger.statement import Question, StatementVerdict, verify_statement
from node.anchor_file import AnchorStore
from node.client import LedgerClient

_PATIENCE_S = 3.0
"""How long a node that is behind what was seen may take to get there."""
_PAUSE_S = 0.1
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Stated:
    """A statement that was verified under the client's anchor."""

    raw: bytes
    """Statement with all proofs of epochs: verified with the genesis alone."""
    verdict: StatementVerdict


class LightClient:
    """What a node says of the newest state, verified. Failures raise HuzhengError; UNTRUSTED_ANSWER where a node's proof does not hold."""

    def __init__(self, client: LedgerClient, anchors: AnchorStore) -> None:
        self._client = client
        self._anchors = anchors

    @property
    def client(self) -> LedgerClient:
        """What it calls."""
        return self._client

    @property
    def genesis(self) -> Genesis:
        """What is trusted."""
        return self._client.genesis

    @property
    def anchor(self) -> SealedBlock:
        """The newest block that was verified."""
        return self._anchors.anchor

    async def entries(self, keys: Iterable[bytes]) -> dict[bytes, bytes | None]:
        """What keys of the state have, None where they are not there, as of blocks no older than any seen before.

        None of them may be of heads or of a seen id.

        Raises:
            HuzhengError: as `statement`.
        """
        wanted = frozenset(keys)
        found: dict[bytes, bytes | None] = {}
        async for stated in self.statements(wanted):
            found.update(stated.verdict.entries)
        return {key: found[key] for key in wanted}

    async def statements(self, keys: Iterable[bytes], *, whole: bool = False) -> AsyncIterator[Stated]:
        """What keys of the state have, in as many statements as that takes, none of an older block than the one before.

        Raises:
            HuzhengError: as `statement`.
        """
        waiting, count = sorted(set(keys)), MAX_ENTRIES
        while waiting:
            try:
                stated = await self.statement(keys=waiting[:count], whole=whole)
            except HuzhengError as error:
                # Entries may be long, and nodes add those of the catalogue without which others are not understood.
                if error.code is not Code.TOO_LARGE or count == 1:
                    raise
                count //= 2
                continue
            yield stated
            del waiting[:count]

    async def resource(self, name: str) -> CompiledResource:
        """The definition of a resource: that of the genesis, or the newest one, which is proved.

        Raises:
            HuzhengError: UNKNOWN_RESOURCE, which is proved, naming those that are known; as `statement`.
        """
        known = self.genesis.catalogue.get(name)
        if known is not None:
            return known
        found = await self.later_resources([name] if is_resource_name(name) else [])
        if not found:
            raise HuzhengError(Code.UNKNOWN_RESOURCE, ", ".join(self._client.catalogue.names()))
        return found.popitem()[1]

    async def later_resources(self, names: Iterable[str]) -> dict[int, CompiledResource]:
        """The newest definitions of those that there are of these resources of one register, by their numbers in it (D2).

        None of them may be the genesis'.

        Raises:
            HuzhengError: as `statement`.
        """
        keys = {resource_key(name): name for name in names}
        found = {keys[key]: raw for key, raw in (await self.entries(keys)).items() if raw is not None}
        states = {name: strict.read(state_pb2.ResourceState, raw) for name, raw in found.items()}
        await self.learn((name, state.newest_version) for name, state in states.items())
        return {state.number: self._proved(name, state.newest_version) for name, state in states.items()}

    def _proved(self, name: str, newest: int) -> CompiledResource:
        definition = self._client.catalogue.version(name, newest)
        if definition is None:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "a resource without its newest schema version")
        return definition

    async def learn(self, versions: Iterable[tuple[str, int]]) -> None:
        """Has the definitions of schema versions proved that are not the genesis'; the client's catalogue has them from then on.

        Raises:
            HuzhengError: UNTRUSTED_ANSWER also if a node told something else of one before; as `statement`.
        """
        keys = {version_key(name, version) for name, version in versions if self.genesis.version(name, version) is None}
        for raw in (await self.entries(keys)).values():
            if raw is not None:
                self._client.catalogue.take_version(strict.read(catalogue_pb2.Resource, raw))

    async def statement(
        self,
        questions: Sequence[Question] = (),
        *,
        keys: Sequence[bytes] = (),
        with_records: bool = False,
        whole: bool = False,
    ) -> Stated:
        """What is the newest about subjects, what keys of the state have, and what there is not, as of a block no older than any seen before.

        `whole`: with the proofs of all epochs, so that others can verify it too.

        Raises:
            HuzhengError: NODE_BEHIND, FORKED, UNTRUSTED_ANSWER, and what the node answers.
        """
        anchor = self.anchor
        known = 0 if whole else anchor.terms.epoch
        request = pb.GetStatementRequest(
            questions=[pb.StatementQuestion(resource=q.resource, subject=q.subject) for q in questions],
            with_records=with_records,
            known_epoch=known,
            seen_height=anchor.height,
            entries=keys,
        )
        answer = await self._when_not_behind(request)
        raw = answer.statement
        if whole:
            raw = _with_epochs(raw, answer.epochs)
        try:
            # What is kept is verified as others will, with no epoch but those in it.
            epochs = () if whole else verify_epochs(self.genesis, answer.epochs, anchor.terms)
            verdict = verify_statement(raw, self.genesis, epochs, anchor, answer.history)
        except HuzhengError as error:
            raise await self._not_believed(anchor, error) from None
        missing = sum(question not in verdict.answers for question in questions)
        missing += sum(key not in verdict.entries for key in keys)
        if missing:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"{missing} questions are not answered")
        self._keep(verdict.block, anchor)
        return Stated(raw, verdict)

    async def record_receipt(self, record_id: bytes) -> tuple[bytes, Verdict]:
        """A record's receipt, which is of the anchor's chain.

        Raises:
            HuzhengError: FORKED, UNTRUSTED_ANSWER, and what the node answers.
        """
        with _not_found_is_a_lie():
            raw, verdict = await self._client.record_receipt(record_id)
        return raw, await self._under_anchor(raw, verdict)

    async def transaction_receipt(self, transaction_id: bytes) -> tuple[bytes, Verdict]:
        """A transaction's receipt, which is of the anchor's chain.

        Raises:
            HuzhengError: as `record_receipt`.
        """
        with _not_found_is_a_lie():
            raw, verdict = await self._client.transaction_receipt(transaction_id)
        return raw, await self._under_anchor(raw, verdict)

    async def _under_anchor(self, raw: bytes, verdict: Verdict) -> Verdict:
        """What a receipt proves that was verified with the genesis alone."""
        if verdict.height > self.anchor.height:
            await self.move_on()
        anchor, history = self.anchor, b""
        if verdict.height > anchor.height:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"a receipt of block {verdict.height}, after the newest block")
        if verdict.height < anchor.height:
            history = await self._client.history_proof(verdict.height, anchor.height)
        try:
            return verify_receipt(raw, self.genesis, anchor, history)
        except HuzhengError as error:
            raise await self._not_believed(anchor, error) from None

    async def move_on(self) -> SealedBlock:
        """Goes on to the node's newest block.

        Raises:
            HuzhengError: NODE_BEHIND, FORKED, UNTRUSTED_ANSWER, and what the node answers.
        """
        anchor = self.anchor
        # Without questions: what is believed of the answer is the sealed block, and how it goes on from the anchor.
        request = pb.GetStatementRequest(known_epoch=anchor.terms.epoch, seen_height=anchor.height)
        answer = await self._when_not_behind(request)
        try:
            block = self._block_of(answer, anchor)
        except HuzhengError as error:
            raise await self._not_believed(anchor, error) from None
        self._keep(block, anchor)
        return block

    def _block_of(self, answer: pb.GetStatementResponse, anchor: SealedBlock) -> SealedBlock:
        """The block that an answer is as of, which is of the anchor's chain; what it says of subjects is not looked at."""
        shown = strict.read(statement_pb2.Statement, answer.statement)
        epochs = verify_epochs(self.genesis, answer.epochs, anchor.terms)
        block = verify_sealed(self.genesis, epoch_among(epochs, shown.header), shown.header, shown.certificate)
        check_against(self.genesis, anchor, block, answer.history, epochs)
        return block

    def _keep(self, block: SealedBlock, anchor: SealedBlock) -> None:
        """Raises HuzhengError(UNTRUSTED_ANSWER) if a node shows what is older than what was seen (H6)."""
        if block.height < anchor.height:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"a statement of block {block.height}, before the anchor")
        self._anchors.keep(block)

    async def _when_not_behind(self, request: pb.GetStatementRequest) -> pb.GetStatementResponse:
        with _not_found_is_a_lie():
            return await patiently(lambda: self._client.statement(request))

    async def _not_believed(self, anchor: SealedBlock, error: HuzhengError) -> HuzhengError:
        """What to say of a node whose proof does not hold: that there are two chains, if it shows the other one."""
        try:
            other = await _block_like(self._client, anchor)
        except HuzhengError:
            other = anchor
        if other.hash == anchor.hash:
            return HuzhengError(Code.UNTRUSTED_ANSWER, str(error))
        try:
            epochs = (await self._client.membership()).proofs[: anchor.terms.epoch]
        except HuzhengError:
            epochs = ()
        kept = self._anchors.keep_fork(fork_evidence(anchor, other, epochs), anchor.height)
        return HuzhengError(Code.FORKED, f"height {anchor.height}; {kept}")


async def patiently(ask: Callable[[], Awaitable[R]]) -> R:
    """What is answered. Nodes store a block within moments of one another: one that is a little behind is given the time.

    Raises:
        HuzhengError: as `ask`; NODE_BEHIND if it still is.
    """
    waited_s = 0.0
    while True:
        try:
            return await ask()
        except HuzhengError as error:
            if error.code is not Code.NODE_BEHIND or waited_s >= _PATIENCE_S:
                raise
        await asyncio.sleep(_PAUSE_S)
        waited_s += _PAUSE_S


def _with_epochs(raw: bytes, epochs: Iterable[block_pb2.EpochProof]) -> bytes:
    """A statement as it is, or if it is none for who verifies it to say, with these proofs of epochs."""
    try:
        statement = strict.read(statement_pb2.Statement, raw)
    except HuzhengError:
        return raw
    statement.epochs.extend(epochs)
    return strict.write(statement)


async def _block_like(client: LedgerClient, block: SealedBlock) -> SealedBlock:
    """A node's block of another's height, sealed by the members of the same epoch.

    Raises:
        HuzhengError: UNTRUSTED_ANSWER, and what the node answers.
    """
    answer = await client.block(height=block.height)
    with _verifying():
        shown = strict.read(block_pb2.Block, answer.block)
        found = verify_sealed(client.genesis, block.terms, shown.header, shown.certificate)
    if found.height != block.height:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, f"block {found.height} instead of block {block.height}")
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one node's chain is, and whether it is the same as the others'."""

    block: SealedBlock | None
    """Its newest block, sealed and with the genesis block in its history."""
    error: HuzhengError | None


async def compare_nodes(client: LedgerClient, anchors: AnchorStore) -> list[Standing]:
    """Asks each node of the client for its newest block, and then whether it has all lower ones that were seen in its history.

    A node's standing has the error FORKED if its chain is another than that of one with a lower block, and the proof is
    kept; which of the two is the right one nobody can tell from that. It has NODE_BEHIND if it is below the anchor and no
    node shows that its block is of the anchor's chain.
    """
    nodes = [client.only(number) for number in range(len(client.nodes))]
    try:
        standings = await asyncio.gather(*(_standing(node) for node in nodes))
        seen = [anchors.anchor, *(standing.block for standing in standings if standing.block is not None)]
        for number, (node, standing) in enumerate(zip(nodes, standings, strict=True)):
            if standing.block is None:
                continue
            try:
                for other in seen:
                    if other.height <= standing.block.height:
                        await _require_same_chain(node, anchors, standing.block, other)
            except HuzhengError as error:
                standings[number] = Standing(standing.block, error)
    finally:
        await asyncio.gather(*(node.close() for node in nodes))
    return _held_against(anchors.anchor, standings)


def _held_against(anchor: SealedBlock, standings: Sequence[Standing]) -> list[Standing]:
    """Nodes below the anchor were compared with those that reach it; without any such nobody knows whose chain they have."""
    if any(found.error is None and found.block and found.block.height >= anchor.height for found in standings):
        return list(standings)
    behind = HuzhengError(Code.NODE_BEHIND, f"block {anchor.height} was seen")
    return [Standing(found.block, found.error or behind) for found in standings]


@contextmanager
def _not_found_is_a_lie() -> Iterator[None]:
    """Nodes prove that there is nothing; one that only says so must not be taken for one that proved it."""
    try:
        yield
    except HuzhengError as error:
        if error.code in (Code.NOT_FOUND, Code.UNKNOWN_RESOURCE):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "no proof of what is there") from None
        raise


@contextmanager
def _verifying() -> Iterator[None]:
    """A proof that does not hold is UNTRUSTED_ANSWER, whatever is wrong with it; but two chains are FORKED."""
    try:
        yield
    except HuzhengError as error:
        if error.code is Code.FORKED:
            raise
        raise HuzhengError(Code.UNTRUSTED_ANSWER, str(error)) from None


async def _standing(client: LedgerClient) -> Standing:
    try:
        membership = await client.membership()
        raw = await client.history_proof(0, 0)
        with _verifying():
            return Standing(verify_history(raw, client.genesis, epochs=membership.epochs).new, None)
    except HuzhengError as error:
        return Standing(None, error)


async def _require_same_chain(
    client: LedgerClient, anchors: AnchorStore, block: SealedBlock, other: SealedBlock
) -> None:
    """The node that showed `block` must have the other one, which is no later, in its history."""
    if not other.height:
        return
    found = await _block_like(client, other)
    membership = await client.membership()
    if found.hash != other.hash:
        kept = anchors.keep_fork(fork_evidence(found, other, membership.proofs[: other.terms.epoch]), other.height)
        raise HuzhengError(Code.FORKED, f"height {other.height}; {kept}")
    raw = await client.history_proof(other.height, block.height) if other.height < block.height else b""
    epochs = membership.epochs if block.terms in membership.epochs else ()
    with _verifying():
        check_against(client.genesis, other, block, raw, epochs)
