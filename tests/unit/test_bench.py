"""What scripts/bench computes: its figures are only worth what these are."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast
from xml.etree import ElementTree

import pytest
from huzheng.v1 import block_pb2, ledger_service_pb2, transaction_pb2

from scripts.local.bench.__main__ import chosen, parser
from scripts.local.bench.latency_figures import latency_figures
from scripts.local.bench.load import Measured, middle
from scripts.local.bench.machine import Limit
from scripts.local.bench.open_loop import Arrivals, submit
from scripts.local.bench.peers.postgresql import measured_by
from scripts.local.bench.plot import plot
from scripts.local.bench.report import figure
from scripts.local.bench.steps import STEPS, StepCosts
from scripts.local.network import LocalNetwork, Node
from scripts.local.wires import Wires

if TYPE_CHECKING:
    from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

ACCEPTED = block_pb2.Receipt(
    result=transaction_pb2.TransactionResult(code=transaction_pb2.RESULT_CODE_ACCEPTED).SerializeToString()
).SerializeToString()


def test_percentiles_are_of_all_latencies_in_any_order() -> None:
    figures = latency_figures([number / 1000 for number in reversed(range(1, 1001))])
    assert figures == {"p50_ms": 501, "p99_ms": 991, "p99.9_ms": 1000, "most_ms": 1000}


def test_there_are_no_figures_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        latency_figures([])


def test_v_is_what_the_cores_can_check_for_all_replicas() -> None:
    limit = Limit(check_us=100, cores=2)
    assert limit.records_per_s() == 5_000
    assert limit.records_per_s(replicas=10) == 2_000


def test_the_middle_of_the_turns_is_by_rate() -> None:
    turns = [Measured(records, 1.0, [0.1]) for records in (30, 10, 20)]
    assert middle(turns) is turns[2]


class HangingNode:
    """Reads nothing for a while, then answers all."""

    def __init__(self, hangs_s: float) -> None:
        self._hangs_s = hangs_s

    async def SubmitStream(
        self, requests: AsyncIterable[ledger_service_pb2.SubmitStreamRequest]
    ) -> AsyncIterator[ledger_service_pb2.SubmitStreamResponse]:
        await asyncio.sleep(self._hangs_s)
        async for request in requests:
            answers = [ledger_service_pb2.TaggedAnswer(tag=t.tag, receipt=ACCEPTED) for t in request.transactions]
            yield ledger_service_pb2.SubmitStreamResponse(answers=answers)


def test_whoever_is_due_while_a_node_hangs_has_waited_since_then() -> None:
    due_s = [0.0, 0.1, 0.2]
    arrivals = Arrivals(due_s, [b"a", b"b", b"c"])
    stub = cast("LedgerServiceAsyncStub", HangingNode(hangs_s=0.4))
    asyncio.run(submit(stub, arrivals, time.monotonic()))
    assert all(latency_s >= 0.4 - due for latency_s, due in zip(arrivals.latencies_s, due_s, strict=True))


def test_nothing_is_sent_before_it_is_due() -> None:
    arrivals = Arrivals([0.0, 0.3], [b"a", b"b"])
    begun_s = time.monotonic()
    asyncio.run(submit(cast("LedgerServiceAsyncStub", HangingNode(hangs_s=0.0)), arrivals, begun_s))
    assert time.monotonic() - begun_s >= 0.3
    assert min(arrivals.latencies_s) >= 0


def test_what_the_steps_alone_allow_is_their_part_of_a_check_and_of_the_call_that_four_share() -> None:
    steps = dict.fromkeys(STEPS, 0.0) | {"check of a transaction": 60.0, "receipt": 80.0}
    cost = StepCosts(1, 64, 50.0, steps)
    assert cost.node_us == 60 + 80 / 4
    assert cost.of_v(50.0) == 50 / 80
    assert cost.of_v(50.0, 80.0) == 50 / (80 + 80 / 4)


def test_pgbench_took_from_its_first_transaction_to_the_end_of_its_last() -> None:
    measured = measured_by(["0 1 500000 0 100 500000", "1 1 1000000 0 102 0", "0 2 250000 0 101 0"])
    assert measured == Measured(3, 2.0, [0.5, 1.0, 0.25])


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(1024):
                    connection.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def test_a_wire_delays_both_ways_and_counts_what_it_carried(tmp_path: Path, echo: int) -> None:
    node = Node("tax", tmp_path)
    config = tmp_path / "node.toml"
    config.write_text(f'[peers.2]\naddress = "127.0.0.1:{echo}"\n')
    wires = Wires()
    wires.delay_s = 0.1
    try:
        wires.between_nodes(LocalNetwork(tmp_path, {"tax": node}))
        host, _, port = node.config["peers"]["2"]["address"].rpartition(":")  # type: ignore[index]
        assert int(port) != echo
        with socket.create_connection((host, int(port))) as connection:
            since_s = time.monotonic()
            connection.sendall(b"hello")
            assert connection.recv(1024) == b"hello"
            assert time.monotonic() - since_s >= 0.2
        assert wires.carried_bytes == 10
    finally:
        wires.close()


def test_a_quick_run_leaves_out_what_takes_long() -> None:
    usual = {scenario.name for scenario in chosen([], quick=False, with_peers=False)}
    quick = {scenario.name for scenario in chosen([], quick=True, with_peers=True)}
    assert usual - quick == {"nodes"}
    assert quick - usual == {"peers"}
    assert {scenario.name for scenario in chosen(["all"], quick=True, with_peers=False)} > usual | quick


def test_the_command_line_takes_no_name_or_some_but_none_that_it_does_not_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert parser().parse_args([]).scenarios == []
    assert parser().parse_args(["write", "all", "--quick"]).scenarios == ["write", "all"]
    with pytest.raises(SystemExit):
        parser().parse_args(["writes"])
    assert "no such scenario: writes" in capsys.readouterr().err


def test_named_scenarios_are_measured_once_in_the_order_of_the_list() -> None:
    assert [scenario.name for scenario in chosen(["reads", "write", "reads"], quick=False, with_peers=False)] == [
        "write",
        "reads",
    ]


@pytest.mark.parametrize(("value", "shown"), [(12_345.6, "12,346"), (0.0512, "0.0512"), (31.26, "31.3"), (2.0, "2")])
def test_numbers_have_no_more_digits_than_mean_anything(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_a_plot_is_a_picture_whatever_the_loads_are_called() -> None:
    latency = {"p50_ms": 1.0, "p99_ms": 20.0, "p99.9_ms": 1e9}
    rows = [
        {"scenario": "write", "load": "a < b & c", "figures": {"records_per_s": 10.0} | latency},
        {"scenario": "space", "load": "bytes", "figures": {"disk_bytes": 10.0}},
    ]
    machine = {"cpu": "<none>", "cores": "2", "python": "3"}
    picture = ElementTree.fromstring(plot({"rows": rows, "machine": machine, "v_records_per_s": 1.0}))
    texts = [element.text for element in picture.iter() if element.text]
    assert "write: a < b & c" in texts
    assert "space: bytes" not in texts
    width = float(picture.attrib["width"])
    assert all(float(line.attrib["x2"]) <= width for line in picture.iter() if "x2" in line.attrib)
