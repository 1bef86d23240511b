"""Reads, grants, erasures, alerts and reliance as a node tells them over mutual TLS, and what a client makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import grpc.aio
import pytest
from huzheng.v1 import audit_pb2 as audit
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1 import transaction_pb2
from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceStub

from ledger.crypto import SIMULATION, Height
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore
from node.alert_watch import AlertWatch
from node.alerts import ALWAYS_USUAL
from node.audit import Account, fetch_reads, require_complete
from node.client import LedgerClient
from node.connections import Endpoint
from node.identity import Caller, Role
from node.metrics import Metrics
from node.queries import Queries
from node.tls import TlsMaterial
from tests.chains import store_blocks
from tests.integration.test_ledger_service import AUDITOR, CONSORTIUM, GENESIS, Server, failure, play
from tests.sharing import (
    DAY_MS,
    FREE,
    REGISTER,
    SUBJECTS,
    T0_MS,
    Sharing,
    acknowledge,
    acknowledge_erasure,
    end,
    order_erasure,
    publish,
    read,
    resource,
    terms,
)

FIRST, SECOND, THIRD = SUBJECTS
PLANNING = Caller("planning", Role.SYSTEM, "registry")


class Client(LedgerClient):
    """Calls a server of this test."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(GENESIS, cast(TlsMaterial, None), [Endpoint("here", "planning", 1)])
        self._channel = channel

    def _open(self, node: Endpoint) -> grpc.aio.Channel:
        return self._channel


class Audited:
    """A server that has the blocks of a world, and clients of it."""

    def __init__(self, server: Server, world: Sharing, stack: AsyncExitStack) -> None:
        self._server = server
        self._world = world
        self._stack = stack
        self._stored = 1
        self.store()

    @property
    def chain(self) -> ChainStore:
        """What the server has stored."""
        return self._server.node.store

    def store(self) -> None:
        """Stores the world's new blocks, and says so."""
        blocks = self._world.chain.blocks[self._stored :]
        store_blocks(self._server.node.store, CONSORTIUM, blocks)
        self._stored += len(blocks)
        self._server.node.feed.publish(self._world.chain.tip.height)

    async def client(self, caller: Caller = AUDITOR) -> Client:
        return Client(await self._stack.enter_async_context(self._server.channel(caller)))


def audited(directory: Path, world: Sharing, scenario: Callable[[Audited], Awaitable[None]]) -> None:
    async def run(server: Server) -> None:
        async with AsyncExitStack() as stack:
            await scenario(Audited(server, world, stack))

    play(directory, run)


@pytest.fixture
def world() -> Sharing:
    return Sharing(SIMULATION, CONSORTIUM)


def about(subject: str = FIRST, **fields: int) -> audit.ListReadsRequest:
    return audit.ListReadsRequest(subject=audit.ReadSubject(resource=REGISTER, subject=subject), **fields)  # type: ignore[arg-type]


def code_of(listed: audit.ListedRead) -> str:
    return transaction_pb2.ResultCode.Name(listed.code).removeprefix("RESULT_CODE_")


# --- reads ---


def test_reads_are_listed_by_each_selector_with_grounds_and_outcome(tmp_path: Path, world: Sharing) -> None:
    grant = world.grant()
    done = world.read(grant, case_number="案7", fields=[2, 3])
    world.must("tax", acknowledge(done))
    world.one("tax", read(grant, fields=[4]))
    record = world.newest()

    async def scenario(node: Audited) -> None:
        client = await node.client()
        found = await fetch_reads(client, about())
        assert [(item.read_id, code_of(item)) for item in found.reads] == [
            (done, "ACCEPTED"),
            (found.reads[1].read_id, "OUTSIDE_GRANT"),
        ]
        first = found.reads[0]
        assert (first.reader, first.owner, first.resource) == ("tax", "planning", REGISTER)
        assert (first.purpose, first.legal_basis) == ("契税", "契税法第十三条")
        assert (first.asked.case_number, list(first.asked.fields)) == ("案7", [2, 3])
        assert first.state.acknowledged_ms == T0_MS
        for request in (
            audit.ListReadsRequest(reader="tax"),
            audit.ListReadsRequest(owner="planning"),
            audit.ListReadsRequest(grant=grant),
        ):
            assert (await fetch_reads(client, request)).reads == found.reads
        by_record = await fetch_reads(client, audit.ListReadsRequest(record_id=record))
        assert by_record.reads == found.reads[:1]

    audited(tmp_path, world, scenario)


def test_reads_come_in_pages_and_between_two_times(tmp_path: Path, world: Sharing) -> None:
    grant = world.grant()
    ids = []
    for later_ms in range(7):
        ids.append(world.read_id(world.must("tax", read(grant), time_ms=T0_MS + later_ms)))

    async def scenario(node: Audited) -> None:
        client = await node.client()
        found = await fetch_reads(client, about(page_size=3))
        assert [item.read_id for item in found.reads] == ids
        first = await client.reads(about(page_size=3))
        assert (len(first.reads), first.HasField("next_after")) == (3, True)
        assert not (await client.reads(about(page_size=7))).HasField("next_after")
        between = await fetch_reads(client, about(since_ms=T0_MS + 2, until_ms=T0_MS + 5, page_size=2))
        assert [item.read_id for item in between.reads] == ids[2:5]
        assert between.account is None
        assert (await fetch_reads(client, about(since_ms=T0_MS + 7))).reads == ()

    audited(tmp_path, world, scenario)


def test_a_page_ends_when_it_is_large(tmp_path: Path, world: Sharing, monkeypatch: pytest.MonkeyPatch) -> None:
    grant = world.grant()
    ids = [world.read(grant) for _ in range(5)]
    monkeypatch.setattr("node.paging.MAX_PAGE_BYTES", 700)

    async def scenario(node: Audited) -> None:
        client = await node.client()
        page = await client.reads(about())
        assert 0 < len(page.reads) < 5
        assert [item.read_id for item in (await fetch_reads(client, about())).reads] == ids

    audited(tmp_path, world, scenario)


def test_a_list_that_is_complete_is_known_to_be(tmp_path: Path, world: Sharing) -> None:
    grant, other = world.grant(), world.grant(by="housing")
    for number in range(3):
        world.read(grant)
        world.read(other, by="housing")
        world.one("tax", read(grant, fields=[4], case_number=f"{number}"))

    async def scenario(node: Audited) -> None:
        client = await node.client()
        for request, count in ((about(), 6), (audit.ListReadsRequest(grant=grant), 3), (about(SECOND), 0)):
            found = await fetch_reads(client, request)
            assert found.account is not None
            assert (found.account.height, found.account.is_proven) == (world.chain.tip.height, False)
            assert require_complete(SIMULATION, found.reads, found.account) == count
        assert (await fetch_reads(client, audit.ListReadsRequest(reader="tax"))).account is None

    audited(tmp_path, world, scenario)


def test_a_list_that_is_not_complete_is_found_out(tmp_path: Path, world: Sharing) -> None:
    grant = world.grant()
    for _ in range(4):
        world.read(grant)

    async def scenario(node: Audited) -> None:
        found = await fetch_reads(await node.client(), about())
        reads, account = list(found.reads), found.account
        assert account is not None
        for wrong in (reads[1:], reads[:-1], [*reads, reads[0]], [reads[1], reads[0], *reads[2:]], []):
            with pytest.raises(HuzhengError) as error:
                require_complete(SIMULATION, wrong, account)
            assert error.value.code is Code.BAD_PROOF
        earlier = Account(world.account(), reads[-1].position.height - 1, is_proven=True)
        with pytest.raises(HuzhengError):
            require_complete(SIMULATION, reads, earlier)

    audited(tmp_path, world, scenario)


@pytest.mark.parametrize(
    "change",
    [
        lambda item: setattr(item, "read_id", bytes(32)),
        lambda item: setattr(item.position, "operation_index", 1),
        lambda item: setattr(item, "reader", "housing"),
        lambda item: setattr(item.asked, "subject", SECOND),
        lambda item: setattr(item.asked, "case_number", "other"),
        lambda item: item.asked.fields.append(3),
        lambda item: setattr(item, "code", transaction_pb2.RESULT_CODE_ERASED),
        lambda item: item.ClearField("state"),
        lambda item: setattr(item, "owner", "tax"),
        lambda item: setattr(item, "time_ms", 1),
    ],
)
def test_a_node_that_says_something_else_of_a_read_is_not_believed(
    tmp_path: Path, world: Sharing, monkeypatch: pytest.MonkeyPatch, change: Callable[[audit.ListedRead], None]
) -> None:
    world.read(world.grant())

    async def scenario(node: Audited) -> None:
        client = await node.client()
        page = await client.reads(about())
        change(page.reads[0])

        async def lying(_request: audit.ListReadsRequest) -> audit.ListReadsResponse:
            return page

        monkeypatch.setattr(client, "reads", lying)
        with pytest.raises(HuzhengError) as error:
            await fetch_reads(client, about())
        assert error.value.code is Code.UNTRUSTED_ANSWER

    audited(tmp_path, world, scenario)


def test_questions_about_reads_that_ask_nothing_are_refused(tmp_path: Path, world: Sharing) -> None:
    async def scenario(node: Audited) -> None:
        client = await node.client()
        stub = LedgerServiceStub(client.channel_to(client.node))
        bad = [
            audit.ListReadsRequest(),
            audit.ListReadsRequest(grant=b"\x01" * 31),
            audit.ListReadsRequest(record_id=b""),
            audit.ListReadsRequest(reader=""),
            audit.ListReadsRequest(owner="a\0b"),
            audit.ListReadsRequest(subject=audit.ReadSubject(resource=REGISTER)),
            about("a\0b"),
            about("x" * 1_025),
        ]
        for request in bad:
            assert (await failure(stub.ListReads(request)))[1].code is Code.INVALID_REQUEST
        unknown = audit.ListReadsRequest(grant=b"\x01" * 32)
        assert (await failure(stub.ListReads(unknown)))[1].code is Code.NOT_FOUND

    audited(tmp_path, world, scenario)


# --- grants and erasures ---


def test_grants_are_listed_by_side_and_found_by_their_id(tmp_path: Path, world: Sharing) -> None:
    one, two, free = world.applied(), world.grant(by="housing"), world.applied(terms(resource=FREE))
    world.must("tax", end(one))

    async def scenario(node: Audited) -> None:
        client = await node.client()

        async def ids(request: audit.ListGrantsRequest) -> list[bytes]:
            return [item.grant async for item in client.grants(request)]

        assert await ids(audit.ListGrantsRequest(applicant="tax", page_size=1)) == [one, free]
        assert await ids(audit.ListGrantsRequest(owner="planning")) == [one, two, free]
        assert await ids(audit.ListGrantsRequest(page_size=2)) == [one, two, free]
        [found] = [item async for item in client.grants(audit.ListGrantsRequest(grant=one))]
        assert found.state == world.grant_state(one)
        stub = LedgerServiceStub(client.channel_to(client.node))
        assert (await failure(stub.ListGrants(audit.ListGrantsRequest(grant=bytes(32)))))[1].code is Code.NOT_FOUND

    audited(tmp_path, world, scenario)


def test_erasures_show_who_holds_copies_and_who_has_erased_them(tmp_path: Path, world: Sharing) -> None:
    world.read(world.grant())
    record = world.newest()
    world.must("planning", order_erasure(record))
    world.must("planning", acknowledge_erasure(record))
    world.must("housing", order_erasure(record))

    async def scenario(node: Audited) -> None:
        client = await node.client()
        [mine] = [item async for item in client.erasures("planning")]
        assert (mine.department, mine.legal_basis) == ("planning", "个人信息保护法第四十七条")
        assert [(item.record_id, list(item.holders)) for item in mine.records] == [(record, ["tax"])]
        assert [item.department for item in mine.records[0].done] == ["planning"]
        assert [item.department async for item in client.erasures()] == ["planning", "housing"]
        assert [item.department async for item in client.erasures("tax")] == []

    audited(tmp_path, world, scenario)


# --- alerts ---


def test_nothing_is_alarming_where_all_is_well(tmp_path: Path, world: Sharing) -> None:
    world.must("tax", acknowledge(world.read(world.grant())))

    async def scenario(node: Audited) -> None:
        found = await (await node.client()).alerts()
        assert found == audit.GetAlertsResponse(height=world.chain.tip.height, time_ms=T0_MS)

    audited(tmp_path, world, scenario)


def test_a_resource_without_anything_new_for_longer_than_its_cycle_is_overdue(tmp_path: Path, world: Sharing) -> None:
    for name, days in (("planning.daily", 1), ("planning.weekly", 7), ("planning.silent", 1)):
        world.must("planning", publish(resource(name, update_cycle_days=days)))
        if name != "planning.silent":
            world.must("planning", records=[world.record(name=name)])
    world.one("planning", time_ms=T0_MS + DAY_MS, records=[world.record()])

    async def scenario(node: Audited) -> None:
        client = await node.client()
        assert await overdue(client) == []
        world.one("planning", time_ms=T0_MS + DAY_MS + 1, records=[world.record()])
        node.store()
        assert await overdue(client) == [("planning.daily", True), ("planning.silent", False)]

    async def overdue(client: LedgerClient) -> list[tuple[str, bool]]:
        found = [(item.resource, item.has_records) for item in (await client.alerts()).overdue_updates]
        # The genesis' resources have cycles too, and no records here.
        return [item for item in found if item[0].startswith("planning.")]

    audited(tmp_path, world, scenario)


def test_a_department_that_reads_much_more_than_it_used_to_is_noticed(tmp_path: Path, world: Sharing) -> None:
    grant = world.grant(terms(max_reads=10_000, expires_ms=T0_MS + 100 * DAY_MS))

    def reads(count: int, time_ms: int) -> None:
        world.now_ms = time_ms
        operations = [read(grant)] * min(count, 16)
        left = count
        while left > 0:
            world.must("tax", *operations[:left])
            left -= 16

    reads(ALWAYS_USUAL, T0_MS)

    async def scenario(node: Audited) -> None:
        client = await node.client()
        assert list((await client.alerts()).unusual_reads) == []
        reads(1, T0_MS)
        node.store()
        [found] = (await client.alerts()).unusual_reads
        assert (found.department, found.reads, found.threshold) == ("tax", ALWAYS_USUAL + 1, ALWAYS_USUAL)
        # Some days on, as many again: five times the mean of 14 days is below what is always usual.
        reads(320, T0_MS + 3 * DAY_MS)
        node.store()
        [found] = (await client.alerts()).unusual_reads
        assert (found.reads, found.threshold) == (320, max(100, 5 * 101 // 14))
        reads(151, T0_MS + 6 * DAY_MS)
        node.store()
        [found] = (await client.alerts()).unusual_reads
        assert (found.reads, found.threshold) == (151, 5 * 421 // 14)
        reads(150, T0_MS + 19 * DAY_MS)
        node.store()
        [found] = (await client.alerts()).unusual_reads
        assert (found.reads, found.threshold) == (150, 100)

    audited(tmp_path, world, scenario)


def test_refused_and_unacknowledged_reads_and_erasures_are_noticed_in_their_time(
    tmp_path: Path, world: Sharing
) -> None:
    grant = world.grant(terms(expires_ms=T0_MS + 100 * DAY_MS))
    left_open = world.read(grant, FIRST)
    world.must("tax", acknowledge(world.read(grant, SECOND)))
    world.one("tax", read(grant, FIRST, fields=[4]))
    record = world.newest(SECOND)
    world.must("planning", order_erasure(record))

    def later(ms: int) -> None:
        world.must("planning", records=[world.record(THIRD)], time_ms=T0_MS + ms)

    async def scenario(node: Audited) -> None:
        client = await node.client()
        now = await client.alerts()
        assert [(item.department, item.refused) for item in now.refused_reads] == [("tax", 1)]
        assert not now.unacknowledged_reads
        assert not now.unacknowledged_erasures
        later(DAY_MS)
        node.store()
        assert not (await client.alerts()).unacknowledged_reads
        later(DAY_MS + 1)
        node.store()
        now = await client.alerts()
        assert [(item.read_id, item.reader, item.owner) for item in now.unacknowledged_reads] == [
            (left_open, "tax", "planning")
        ]
        [erasure] = now.unacknowledged_erasures
        assert (erasure.department, erasure.record_id, list(erasure.owed)) == ("planning", record, ["tax"])
        assert not now.refused_reads
        world.must("tax", acknowledge_erasure(record))
        world.must("tax", acknowledge(left_open))
        node.store()
        now = await client.alerts()
        assert not now.unacknowledged_reads
        assert not now.unacknowledged_erasures

    audited(tmp_path, world, scenario)


def test_alerts_are_counted_for_prometheus(tmp_path: Path, world: Sharing) -> None:
    world.one("tax", read(world.grant(), fields=[4]))

    async def scenario(node: Audited) -> None:
        metrics, queries = Metrics(), Queries(GENESIS, node.chain)
        with ThreadPoolExecutor(1) as readers:
            await AlertWatch(queries.audit.alerts, readers, metrics.alerts).look()
        text = metrics.exposition().decode()
        assert 'huzheng_alerts{kind="refused_reads"} 1.0' in text
        assert 'huzheng_alerts{kind="unusual_reads"} 0.0' in text

    audited(tmp_path, world, scenario)


# --- reliance ---


def test_who_relies_on_a_record_is_listed_in_pages(tmp_path: Path, world: Sharing) -> None:
    relied = world.newest(FIRST)
    relying = [world.record(f"AB10{number:02}", relies_on=world.relies(FIRST)) for number in range(5)]
    world.must("planning", records=relying)

    async def scenario(node: Audited) -> None:
        client = await node.client()
        request = pb.ListRelianceRequest(record_id=relied, page_size=2)
        found: list[bytes] = []
        while True:
            page = await client.reliance(request)
            assert (page.relied.record_id, page.relied.current) == (relied, True)
            found += [item.record_id for item in page.records]
            if not page.HasField("next_after"):
                break
            request.after.CopyFrom(page.next_after)
        assert found == [item.id for item in relying]
        stub = LedgerServiceStub(client.channel_to(client.node))
        assert (await failure(stub.ListReliance(pb.ListRelianceRequest(record_id=bytes(32)))))[1].code is Code.NOT_FOUND

    audited(tmp_path, world, scenario)


def test_a_department_hears_of_what_its_records_rely_on(tmp_path: Path, world: Sharing) -> None:
    first, second = world.newest(FIRST), world.newest(SECOND)
    relying = world.record("AB1000", relies_on=world.relies(FIRST, SECOND))
    world.must("planning", records=[relying])
    corrected = world.record(FIRST)
    world.must("planning", records=[corrected])
    corrected_at = world.chain.tip.height

    async def scenario(node: Audited) -> None:
        client = await node.client(PLANNING)
        events = client.watch_reliance(1)
        event = await anext(events)
        assert (event.relied, event.changed.record_id, event.relying.record_id) == (first, corrected.id, relying.id)
        assert event.changed.height == corrected_at
        waiting = asyncio.ensure_future(anext(events))
        revoked = world.record(SECOND, revoke=True)
        world.must("planning", records=[world.record(THIRD)])
        world.must("planning", records=[revoked])
        node.store()
        event = await waiting
        assert (event.relied, event.changed.record_id, event.relying.record_id) == (second, revoked.id, relying.id)

        others = (await node.client(AUDITOR)).watch_reliance(1, "planning")
        assert (await anext(others)).relied == first
        queries = Queries(GENESIS, node.chain).audit
        for height in range(1, node.chain.tip.height + 1):
            assert not queries.watched_reliance(Height(height), AUDITOR.department, None)[0].events

    audited(tmp_path, world, scenario)


def test_a_record_that_many_rely_on_makes_several_messages(
    tmp_path: Path, world: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.audit_queries.MAX_LOOKED_AT", 3)
    subjects = [f"AB20{number:02}" for number in range(7)]
    world.must("planning", records=[world.record(s, relies_on=world.relies(FIRST, SECOND)) for s in subjects])
    world.must("planning", records=[world.record(FIRST), world.record(SECOND)])

    async def scenario(node: Audited) -> None:
        client = await node.client(PLANNING)
        events = client.watch_reliance(1)
        found = [await anext(events) for _ in range(14)]
        pairs = {(event.relied, event.relying.record_id) for event in found}
        assert len(pairs) == 14

    audited(tmp_path, world, scenario)
