"""Fetching from several peers at once: liars, sluggards and what must not be blamed on anybody."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from huzheng.v1 import block_pb2, replica_service_pb2, transaction_pb2
from structlog.testing import capture_logs

from consensus.events import FetchBlocks, FetchEnded
from ledger.block_apply import CheckedBlock
from ledger.crypto import Domain, Height, ReplicaId, strict
from ledger.errors import Code, HuzhengError
from node import fetch as fetch_module
from node import fetch_plan
from node.fetch import BlockFetcher, FetchParts
from node.ledger_worker import LedgerWorker
from tests.builders import Consortium
from tests.sequencer import OneReplica

CONSORTIUM = Consortium(n=4)
BLOCKS = 300
A, B, C = ReplicaId(1), ReplicaId(2), ReplicaId(3)

Answers = Callable[[int, int], AsyncIterator[bytes]]
"""What a peer sends, asked for so many blocks from a height on."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """All blocks by height, with a transaction in every tenth."""
    node = OneReplica(tmp_path_factory.mktemp("chain") / "data", CONSORTIUM)
    try:
        for number in range(1, BLOCKS + 1):
            node.store_block(*([CONSORTIUM.transaction([CONSORTIUM.record(number)])] if number % 10 == 0 else []))
        return [b"", *(node.store.block(Height(height)) for height in range(1, BLOCKS + 1))]
    finally:
        node.close()


def answer(block: bytes) -> bytes:
    return replica_service_pb2.FetchBlocksResponse(block=block).SerializeToString()


def honest(chain: Sequence[bytes], pause_s: float = 0.0) -> Answers:
    async def answers(first: int, count: int) -> AsyncIterator[bytes]:
        for block in chain[first : first + count]:
            await asyncio.sleep(pause_s)
            yield answer(block)

    return answers


async def silence(first: int, count: int) -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def garbage(first: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"\xff garbage"


async def nothing(first: int, count: int) -> AsyncIterator[bytes]:
    return
    yield b""


async def refusal(first: int, count: int) -> AsyncIterator[bytes]:
    raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), None, None)
    yield b""


def forged(chain: Sequence[bytes]) -> Answers:
    """Blocks with the right headers and certificates, and other transactions."""

    async def answers(first: int, count: int) -> AsyncIterator[bytes]:
        for raw in chain[first : first + count]:
            block = block_pb2.Block.FromString(raw)
            block.transactions.append(CONSORTIUM.transaction([CONSORTIUM.record(9_000)]))
            yield answer(block.SerializeToString())

    return answers


def stripped(chain: Sequence[bytes]) -> Answers:
    """True blocks, without the payloads of their records."""

    async def answers(first: int, count: int) -> AsyncIterator[bytes]:
        for raw in chain[first : first + count]:
            block = block_pb2.Block.FromString(raw)
            for index, transaction in enumerate(block.transactions):
                message = transaction_pb2.Transaction.FromString(transaction)
                message.payloads[0] = b""
                block.transactions[index] = strict.write(message)
                identifier = CONSORTIUM.suite.digest(Domain.TRANSACTION, message.body)
                accepted = transaction_pb2.RESULT_CODE_ACCEPTED
                block.results.append(
                    strict.write(transaction_pb2.TransactionResult(transaction_id=identifier, code=accepted))
                )
            yield answer(strict.write(block))

    return answers


def shifted(chain: Sequence[bytes]) -> Answers:
    """True blocks, of other heights than those asked for."""

    async def answers(first: int, count: int) -> AsyncIterator[bytes]:
        for block in chain[1 : 1 + count] if first > 1 else chain[2 : 2 + count]:
            yield answer(block)

    return answers


@dataclass
class Channel:
    """A channel to a peer that answers as it likes."""

    answers: Answers
    asked: list[tuple[int, int]]
    closed: bool = False

    def unary_stream(self, *_: object) -> Callable[[bytes], AsyncIterator[bytes]]:
        def call(raw: bytes) -> AsyncIterator[bytes]:
            request = replica_service_pb2.FetchBlocksRequest.FromString(raw)
            self.asked.append((request.from_height, request.count))
            return self.answers(request.from_height, request.count)

        return call

    async def close(self, grace: float | None) -> None:
        self.closed = True


@dataclass
class Behind:
    """A replica that has nothing, and peers that have what they claim, or not."""

    node: OneReplica
    peers: dict[ReplicaId, Answers]
    claims: dict[ReplicaId, int] = field(default_factory=dict)
    asked: dict[ReplicaId, list[tuple[int, int]]] = field(default_factory=dict)
    channels: list[Channel] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    apply_pause_s: float = 0.0
    fails_with: HuzhengError | None = None

    def __post_init__(self) -> None:
        self.worker = LedgerWorker(self.node.genesis, self.node.store, lambda _: None)

    def open_channel(self, peer: ReplicaId) -> Any:
        self.channels.append(Channel(self.peers[peer], self.asked.setdefault(peer, [])))
        return self.channels[-1]

    async def apply(self, blocks: Sequence[CheckedBlock]) -> None:
        await asyncio.sleep(self.apply_pause_s)
        if self.fails_with is not None:
            raise self.fails_with
        self.writes.append(len(self.worker.apply(blocks)))

    async def fetch(self) -> FetchEnded:
        store, workers = self.node.store, self.node.workers
        fetcher = BlockFetcher(FetchParts(self.node.genesis, store, workers, lambda _: None, self.apply))
        request = FetchBlocks(Height(store.tip.height + 1), tuple(self.peers))
        async with asyncio.timeout(30):
            ended = await fetcher.fetch(
                request, self.open_channel, lambda peer: Height(self.claims.get(peer, 2**64 - 1))
            )
        assert all(channel.closed for channel in self.channels)
        return ended

    @property
    def height(self) -> int:
        return self.node.store.tip.height


@contextmanager
def behind(path: Path, **options: Any) -> Iterator[Behind]:
    node = OneReplica(path / "data", CONSORTIUM)
    try:
        yield Behind(node, **options)
    finally:
        node.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "STALL_S", 1.0)
    monkeypatch.setattr(fetch_module, "LOOK_S", 0.02)
    monkeypatch.setattr(fetch_plan, "PATIENCE_MS", 100)


def test_several_peers_are_asked_for_different_blocks_and_each_once(tmp_path: Path, chain: list[bytes]) -> None:
    with behind(tmp_path, peers={A: honest(chain, 0.001), B: honest(chain, 0.001), C: honest(chain, 0.001)}) as replica:
        assert asyncio.run(replica.fetch()) == FetchEnded(A, complete=True)
        assert replica.height == BLOCKS
        assert set(replica.asked) == {A, B, C}
        asked = Counter(h for ranges in replica.asked.values() for first, n in ranges for h in range(first, first + n))
        assert all(asked[height] == 1 for height in range(1, BLOCKS + 1))
        assert len(replica.channels) == 3


def test_few_blocks_are_asked_of_the_first_peer_alone(tmp_path: Path, chain: list[bytes]) -> None:
    peers = {A: honest(chain), B: honest(chain)}
    with behind(tmp_path, peers=peers, claims={A: 40, B: 40}) as replica:
        assert asyncio.run(replica.fetch()) == FetchEnded(A, complete=True)
        assert replica.height == 40
        assert replica.asked == {A: [(1, 40)]}


def test_several_blocks_go_into_one_write(tmp_path: Path, chain: list[bytes]) -> None:
    with behind(tmp_path, peers={A: honest(chain)}, apply_pause_s=0.005) as replica:
        asyncio.run(replica.fetch())
        assert sum(replica.writes) == BLOCKS
        assert len(replica.writes) < BLOCKS / 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("bad", [silence, garbage, nothing, refusal, "forged", "shifted"])
def test_a_peer_that_lies_or_sends_nothing_is_left_and_its_range_asked_elsewhere(
    tmp_path: Path, chain: list[bytes], bad: Any
) -> None:
    made = {"forged": forged, "shifted": shifted}
    liar = made[bad](chain) if isinstance(bad, str) else bad
    with behind(tmp_path, peers={A: liar, B: honest(chain), C: honest(chain)}) as replica:
        assert asyncio.run(replica.fetch()) == FetchEnded(B, complete=True)
        assert replica.height == BLOCKS
        # It may have been asked for more before its first block was looked at.
        assert len(replica.asked[A]) <= fetch_plan.WINDOW_BLOCKS // fetch_plan.RANGE_BLOCKS


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_peer_whose_last_block_of_a_range_is_bad_costs_only_what_it_sent(
    tmp_path: Path, chain: list[bytes], position: int
) -> None:
    async def spoilt(first: int, count: int) -> AsyncIterator[bytes]:
        for height in range(first, min(first + count, BLOCKS + 1)):
            yield answer(chain[height] if height % 64 else chain[height][:-1] + b"!")

    peers: list[Answers] = [honest(chain), honest(chain)]
    peers.insert(position, spoilt)
    with behind(tmp_path, peers=dict(zip((A, B, C), peers, strict=True))) as replica:
        assert asyncio.run(replica.fetch()).helper is not None
        assert replica.height == BLOCKS


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("is_liar", [True, False])
def test_payloads_that_were_left_out_are_told_of_when_there_is_no_more_to_come(
    tmp_path: Path, chain: list[bytes], is_liar: bool
) -> None:
    peers = {A: stripped(chain) if is_liar else honest(chain)}
    with behind(tmp_path, peers=peers, claims={A: 40}) as replica, capture_logs() as logs:
        assert asyncio.run(replica.fetch()) == FetchEnded(A, complete=True)
        assert replica.height == 40
    assert [entry["height"] for entry in logs if entry["event"] == "payloads left out"] == [40] * is_liar


def test_a_slow_peer_does_not_hold_up_the_others(tmp_path: Path, chain: list[bytes]) -> None:
    peers = {A: honest(chain, 0.2), B: honest(chain), C: honest(chain)}
    with behind(tmp_path, peers=peers, claims=dict.fromkeys(peers, BLOCKS)) as replica:
        loop_time = asyncio.run(_timed(replica.fetch()))
        assert replica.height == BLOCKS
        # Alone, it would need a minute.
        assert loop_time < 5
        assert len(replica.asked[A]) == 1


async def _timed(work: Any) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await work
    return loop.time() - started


@pytest.mark.usefixtures("impatient")
def test_a_slow_peer_is_good_enough_when_there_is_no_other(tmp_path: Path, chain: list[bytes]) -> None:
    with behind(tmp_path, peers={A: honest(chain[:31], 0.05), B: garbage}) as replica:
        assert asyncio.run(replica.fetch()) == FetchEnded(A, complete=True)
        assert replica.height == 30


def test_peers_of_different_lengths_are_followed_to_the_longest(tmp_path: Path, chain: list[bytes]) -> None:
    peers = {A: honest(chain[:101]), B: honest(chain[:201]), C: honest(chain)}
    with behind(tmp_path, peers=peers) as replica:
        assert asyncio.run(replica.fetch()).complete
        assert replica.height == BLOCKS


def test_nobody_has_anything(tmp_path: Path) -> None:
    with behind(tmp_path, peers={A: nothing, B: garbage, C: refusal}) as replica:
        assert asyncio.run(replica.fetch()) == FetchEnded()


@pytest.mark.parametrize("code", [Code.DIVERGED, Code.PROTOCOL_UNKNOWN, Code.STORE_DISK_FULL])
def test_what_is_this_nodes_own_fault_is_blamed_on_no_peer(tmp_path: Path, chain: list[bytes], code: Code) -> None:
    with behind(tmp_path, peers={A: honest(chain), B: honest(chain)}, fails_with=HuzhengError(code)) as replica:
        with pytest.raises(HuzhengError) as stopped:
            asyncio.run(replica.fetch())
        assert stopped.value.code is code


def test_a_fetch_ends_after_a_while_whatever_peers_do(
    tmp_path: Path, chain: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "FETCH_MS", 300)
    monkeypatch.setattr(fetch_module, "MAX_FETCH_MS", 600)
    with behind(tmp_path, peers={A: honest(chain, 0.02)}) as replica:
        assert asyncio.run(replica.fetch()) == FetchEnded(A, complete=False)
        assert 0 < replica.height < 64


def test_what_was_asked_for_in_time_is_waited_for(
    tmp_path: Path, chain: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "FETCH_MS", 100)
    with behind(tmp_path, peers={A: honest(chain, 0.01)}) as replica:
        assert asyncio.run(replica.fetch()) == FetchEnded(A, complete=False)
        assert replica.height == 64


def test_memory_is_bounded_whatever_the_distance(
    tmp_path: Path, chain: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One peer is quick, and the one that has the lowest blocks is not: what waits for them stays within the limit."""
    limit = 20 * len(chain[10])
    monkeypatch.setattr(fetch_plan, "MAX_HELD_BYTES", limit)
    monkeypatch.setattr(fetch_plan, "PATIENCE_MS", 60_000)
    monkeypatch.setattr(fetch_module, "LOOK_S", 0.02)
    most = 0
    hold = fetch_plan.FetchPlan.hold

    def watch(plan: fetch_plan.FetchPlan, *arguments: Any) -> None:
        nonlocal most
        hold(plan, *arguments)
        most = max(most, plan.held_bytes)

    monkeypatch.setattr(fetch_plan.FetchPlan, "hold", watch)
    with behind(tmp_path, peers={A: honest(chain, 0.01), B: honest(chain), C: honest(chain)}) as replica:
        assert asyncio.run(replica.fetch()).complete
        assert replica.height == BLOCKS
    assert limit / 2 < most < limit + 3 * max(map(len, chain))
