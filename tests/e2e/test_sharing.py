"""Four real daemons that share confidential fields: grants, reads, refusals, races, erasure, and values that are nowhere else.

All connections, of the nodes and of their callers, are listened in on.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import audit_pb2
from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.errors import Code, HuzhengError
from node.own_vault import OwnVault
from node.profile import load_profile
from node.sharing.asking import PendingRead
from scripts.local.network import LocalNetwork, run_huzheng, wait_until
from scripts.local.sharing import DOCUMENT, NAME, PUBLIC, Sharer
from tests.searching import Search
from tests.wire_formats import PREFACE, grpc_messages, tls_records
from tests.wiretap import Connection, Wiretap

pytestmark = pytest.mark.timeout(300)
PERSON = {"QLRZJZL": "1", "QLRMC": "王测试的保密姓名·Wang", "QLRZJH": "TEST-11010518991231002X"}
OTHER = {"QLRZJZL": "1", "QLRMC": "李测试的保密姓名·Li", "QLRZJH": "TEST-110105189001019990"}
CONFIDENTIAL = Search(person[name] for person in (PERSON, OTHER) for name in ("QLRMC", "QLRZJH"))
OPEN = Search([PUBLIC["YWH"]])
"""A value of the same records that all may know."""
RACES = 200


def unit(number: int) -> str:
    return f"110108001003GB00012F{number:08}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> LocalNetwork:
    return LocalNetwork.create(tmp_path_factory.mktemp("sharing") / "n")


@pytest.fixture(scope="module")
def wiretap(made: LocalNetwork) -> Iterator[Wiretap]:
    wiretap = Wiretap(made)
    yield wiretap
    wiretap.close()


@pytest.fixture(scope="module")
def network(made: LocalNetwork, wiretap: Wiretap) -> Iterator[LocalNetwork]:
    with made.running():
        yield made


def run(network: LocalNetwork, work: Callable[[Sharer, Sharer], Coroutine[Any, Any, Any]]) -> Any:
    """With planning, which owns, and tax, which reads."""

    async def inside() -> Any:
        async with Sharer(network, "planning") as planning, Sharer(network, "tax") as tax:
            return await work(planning, tax)

    return asyncio.run(inside())


async def code_of(call: Awaitable[Any]) -> Code | None:
    try:
        await call
    except HuzhengError as error:
        return error.code
    return None


async def registered(planning: Sharer, subject: str, person: dict[str, str] = PERSON) -> bytes:
    record = await planning.register(subject, person)
    return record.id


@asynccontextmanager
async def granted(planning: Sharer, tax: Sharer, **terms: Any) -> AsyncIterator[bytes]:
    grant = await tax.apply(**terms)
    await planning.approve(grant)
    yield grant


def test_a_read_under_a_grant_brings_the_values_and_is_known_to_all(network: LocalNetwork, wiretap: Wiretap) -> None:
    async def work(planning: Sharer, tax: Sharer) -> None:
        record_id = await registered(planning, unit(1))
        async with granted(planning, tax, fields=(NAME, DOCUMENT)) as grant:
            pending = tax.begin(grant, unit(1), fields=(NAME, DOCUMENT))
            answered = await tax.read(pending)
        assert answered.verdict.record.id == record_id
        assert answered.verdict.values == {NAME: PERSON["QLRMC"], DOCUMENT: PERSON["QLRZJH"]}
        # A lost reply can be fetched again, with the same key, until the read is acknowledged.
        again = await tax.read(pending)
        assert again.verdict.values == answered.verdict.values
        # All calls of one client go over one connection to each node.
        assert len(wiretap.taps["tax/system", "planning"].connections) == 1
        await OwnVault(tax.client, "tax").keep(pending.id, answered.disclosure)
        await tax.acknowledge(pending.id)
        assert await code_of(tax.read(pending)) is Code.ALREADY_DONE
        async with Sharer(network, "police") as police:
            [read] = (await police.client.reads(audit_pb2.ListReadsRequest(grant=grant))).reads
        assert (read.reader, read.state.owner, read.state.subject) == ("tax", "planning", unit(1))
        assert read.state.acknowledged_ms >= read.state.time_ms > 0

    run(network, work)


def test_what_a_grant_does_not_allow_is_refused_and_on_record(network: LocalNetwork, tmp_path: Path) -> None:
    async def work(planning: Sharer, tax: Sharer) -> bytes:
        await registered(planning, unit(2))
        grant = await tax.apply(subjects=[unit(2)], case_number="2026-2", max_reads=1)
        assert await code_of(tax.read(tax.begin(grant, unit(2), case="2026-2"))) is Code.WRONG_GRANT_STATE
        await planning.approve(grant)
        asked: list[tuple[PendingRead, Code | None]] = [
            (tax.begin(grant, unit(1), case="2026-2"), Code.OUTSIDE_GRANT),
            (tax.begin(grant, unit(2), case="2026-3"), Code.OUTSIDE_GRANT),
            (tax.begin(grant, unit(2), fields=(DOCUMENT,), case="2026-2"), Code.OUTSIDE_GRANT),
            (tax.begin(grant, unit(2), case="2026-2"), None),
            (tax.begin(grant, unit(2), case="2026-2"), Code.GRANT_USED_UP),
        ]
        for pending, code in asked:
            assert await code_of(tax.read(pending)) is code
        wide = await tax.apply(max_reads=5)
        await planning.approve(wide)
        assert await code_of(tax.read(tax.begin(wide, unit(3)))) is Code.NOTHING_TO_READ
        await planning.end(wide)
        assert await code_of(tax.read(tax.begin(wide, unit(2)))) is Code.WRONG_GRANT_STATE
        async with Sharer(network, "police") as police:
            assert await code_of(police.read(police.begin(grant, unit(2), case="2026-2"))) is Code.NOT_PARTY
            listed = (await police.client.reads(audit_pb2.ListReadsRequest(grant=grant))).reads
        assert [pb.ResultCode.Name(read.code).removeprefix("RESULT_CODE_") for read in listed] == [
            "WRONG_GRANT_STATE",
            "OUTSIDE_GRANT",
            "OUTSIDE_GRANT",
            "OUTSIDE_GRANT",
            "ACCEPTED",
            "GRANT_USED_UP",
            "NOT_PARTY",
        ]
        return grant

    grant = run(network, work).hex()
    auditor = network.profile("housing", "auditor")
    run_huzheng("audit", "reads", "--grant", grant, "--proofs", tmp_path / "kept", "--profile", auditor)
    offline = run_huzheng("audit", "verify", tmp_path / "kept", "-g", network.genesis, "-o", "json")
    proved = json.loads(offline.stdout)
    assert (proved["complete"]["accepted"], proved["complete"]["proven"], len(proved["reads"])) == (1, True, 7)
    shown = json.loads(run_huzheng("grant", "show", grant, "--profile", auditor, "-o", "json").stdout)
    assert (shown["reads"], shown["proven"]) == (1, True)


def test_only_the_readers_system_gets_the_answer_and_only_of_an_ordered_read(network: LocalNetwork) -> None:
    async def work(planning: Sharer, tax: Sharer) -> None:
        await registered(planning, unit(4))
        async with granted(planning, tax) as grant:
            pending = tax.begin(grant, unit(4))
            assert await code_of(tax.client.release(pending.id, "planning")) is Code.UNKNOWN_READ
            await tax.read(pending)
            async with Sharer(network, "police") as police:
                assert await code_of(police.client.release(pending.id, "planning")) is Code.NOT_PARTY
            assert await code_of(tax.client.release(pending.id, "housing")) is Code.NOT_PARTY

    run(network, work)


def test_the_owners_node_is_away_while_the_read_is_ordered(network: LocalNetwork) -> None:
    async def before(planning: Sharer, tax: Sharer) -> bytes:
        await registered(planning, unit(5))
        async with granted(planning, tax) as grant:
            return grant

    grant = run(network, before)
    owner = network.nodes["planning"]
    owner.kill()

    async def asked(_: Sharer, tax: Sharer) -> bytes:
        pending = tax.begin(grant, unit(5))
        assert await code_of(tax.read(pending, patience_s=0.5)) is Code.NODE_UNREACHABLE
        return pending.id

    read = run(network, asked)
    owner.start()
    owner.wait_ready()

    async def resumed(_: Sharer, tax: Sharer) -> None:
        assert read in tax.reads.pending()
        answered = await tax.read(tax.reads.load(read))
        assert answered.verdict.values == {NAME: PERSON["QLRMC"]}
        await tax.acknowledge(read)

    run(network, resumed)


def test_a_revocation_that_races_a_read_has_one_order_on_all_nodes(network: LocalNetwork) -> None:
    """Whichever is first: a read that is accepted is answered, one that is refused is not."""
    dice = random.Random(20261127)

    async def race(planning: Sharer, tax: Sharer, grant: bytes) -> bool:
        pending = tax.begin(grant, unit(6))

        async def read() -> Code | None:
            await asyncio.sleep(dice.random() / 50)
            return await code_of(tax.read(pending))

        async def revoke() -> None:
            await asyncio.sleep(dice.random() / 50)
            await planning.end(grant)

        outcome, _ = await asyncio.gather(read(), revoke())
        assert outcome in (None, Code.WRONG_GRANT_STATE)
        return outcome is None

    async def work(planning: Sharer, tax: Sharer) -> list[bytes]:
        await registered(planning, unit(6))
        grants = await asyncio.gather(*(tax.apply() for _ in range(RACES)))
        for start in range(0, RACES, 16):
            operations = [
                pb.Operation(approve_grant=sharing.ApproveGrant(grant=grant)) for grant in grants[start : start + 16]
            ]
            await planning.as_admin(*operations)
        answered = []
        for start in range(0, RACES, 10):
            answered += await asyncio.gather(*(race(planning, tax, grant) for grant in grants[start : start + 10]))
        assert 0 < sum(answered) < RACES
        return list(grants)

    grants = run(network, work)
    wait_until(lambda: len({node.height() for node in network.nodes.values()}) == 1, 30, "equal heights")

    async def seen_by(department: str) -> list[tuple[int, int, int, int, int]]:
        async with Sharer(network, department) as sharer:
            [own] = sharer.client.nodes_of(department)
            async with sharer.client.only(sharer.client.nodes.index(own)) as alone:
                pages = [(await alone.reads(audit_pb2.ListReadsRequest(grant=grant))).reads for grant in grants]
        return [
            (read.position.height, read.position.transaction_index, read.code, read.state.height, read.state.time_ms)
            for reads in pages
            for read in reads
        ]

    async def all_of_them() -> list[list[tuple[int, int, int, int, int]]]:
        return [await seen_by(department) for department in network.nodes]

    first, *others = asyncio.run(all_of_them())
    assert len(first) == RACES
    assert all(other == first for other in others)


def test_erased_values_are_gone_at_the_owners_and_the_readers_and_the_chain_still_verifies(
    network: LocalNetwork,
) -> None:
    async def work(planning: Sharer, tax: Sharer) -> None:
        record_id = await registered(planning, unit(7), OTHER)
        async with granted(planning, tax, max_reads=10) as grant:
            pending = tax.begin(grant, unit(7))
            answered = await tax.read(pending)
            await OwnVault(tax.client, "tax").keep(pending.id, answered.disclosure)
            await planning.erase(record_id)
            assert await code_of(tax.read(tax.begin(grant, unit(7)))) is Code.ERASED
            assert await code_of(tax.read(pending)) is Code.ERASED

        async def done() -> set[str]:
            [order] = [order async for order in tax.client.erasures()]
            return {item.department for record in order.records for item in record.done}

        async with asyncio.timeout(30):
            while await done() != {"planning", "tax"}:
                await asyncio.sleep(0.1)

    run(network, work)


def test_confidential_values_are_on_no_disk_but_encrypted_in_vaults(network: LocalNetwork) -> None:
    """After all that went before in this module: databases, logs, journals, vaults."""
    scanned = 0
    for path in network.directory.rglob("*"):
        # The reader's own key and request of a read that is not acknowledged hold no value either.
        if path.is_file():
            content = path.read_bytes()
            scanned += len(content)
            assert not CONFIDENTIAL.finds(content), path
    assert scanned > 1_000_000
    for node in network.nodes.values():
        assert "Traceback" not in node.log.read_text()
        assert not CONFIDENTIAL.finds(node.metrics().encode())


def test_what_travelled_is_tls_in_which_nothing_is_found(network: LocalNetwork, wiretap: Wiretap) -> None:
    """After all that went before in this module."""
    connections = [connection for tap in wiretap.taps.values() for connection in tap.connections]
    for raw in (raw for connection in connections for raw in connection.travelled):
        assert not CONFIDENTIAL.finds(raw)
        assert not OPEN.finds(raw)
        tls_records(raw)
    assert all(tls_records(raw) > 2 for connection in _answered(connections) for raw in connection.travelled)


def test_what_is_said_without_tls_would_be_found(network: LocalNetwork, wiretap: Wiretap) -> None:
    address = load_profile(network.profile("police", "clerk")).nodes[0].address
    host, _, port = str(address).rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(PERSON["QLRMC"].encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1024):
            pass
    [caught] = wiretap.taps["police/clerk", "police"].connections
    assert CONFIDENTIAL.finds(caught.travelled[0])
    with pytest.raises(ValueError, match="no TLS record"):
        tls_records(caught.travelled[0])


def test_inside_of_tls_values_go_from_a_system_to_its_own_departments_vault_and_nowhere_else(
    network: LocalNetwork, wiretap: Wiretap
) -> None:
    """After all that went before in this module. Even the answer to a read shows nothing to who could look into its connection."""
    spoken, entrusted, open_to = set(), set(), set()
    for place, tap in wiretap.taps.items():
        for connection in _answered(tap.connections):
            assert connection.asked.startswith(PREFACE)
            spoken.add(place)
            # Frames as they came, with the headers, and the messages that they are parts of.
            asked, answered = (
                [said, *grpc_messages(said)] for said in map(bytes, (connection.asked, connection.answered))
            )
            assert not any(map(CONFIDENTIAL.finds, answered)), place
            if any(map(CONFIDENTIAL.finds, asked)):
                entrusted.add(place)
            if any(map(OPEN.finds, asked + answered)):
                open_to.add(place)
    # The owner's deposits, and what the reader keeps. That they are found shows that anything would be.
    assert entrusted == {("planning/system", "planning"), ("tax/system", "tax")}
    # Whoever is primary proposes the records themselves to all others.
    assert any(
        all((one, other) in open_to or (other, one) in open_to for other in network.nodes if other != one)
        for one in network.nodes
    )
    # All nodes talk with each other, on one connection a pair.
    between = {frozenset(place) for place in spoken if set(place) <= set(network.nodes)}
    assert len(between) == len(list(combinations(network.nodes, 2)))
    # And the sealed answers came this way.
    assert ("tax/system", "planning") in spoken


def _answered(connections: Iterable[Connection]) -> list[Connection]:
    """Without those that were made while the other side was away."""
    return [connection for connection in connections if connection.answered]


def test_all_databases_verify_from_the_genesis(network: LocalNetwork) -> None:
    network.stop()
    for node in network.nodes.values():
        checked = run_huzheng("chain", "verify", "--home", node.directory)
        assert checked.returncode == 0
