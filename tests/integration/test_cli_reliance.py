"""`huzheng reliance watch` in a process of its own, against a node that is stopped and started meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from time import time
from typing import Any

import pytest
from huzheng.v1 import transaction_pb2 as pb

from ledger.building import BuiltRecord, build_record, build_transaction
from ledger.errors import HuzhengError
from ledger.genesis import Genesis
from node.client import LedgerClient
from node.connections import WORTH_ANOTHER_NODE
from node.errors import ExitStatus
from node.keyfile import KeyKind, load_signer
from node.network import Network
from node.profile import load_profile
from tests.builders import OBJECTION, objection_fields, unit_code
from tests.command_line import CommandLine, Ran, make_network, running_node, write_lines

ROOT = Path(__file__).parents[2]


class Department:
    """Planning, whose records rely on its own."""

    def __init__(self, network: Network) -> None:
        self.profile = load_profile(network.clients["planning"] / "system" / "client.toml")
        self.genesis = Genesis.read(network.genesis.read_bytes())
        assert self.profile.keys.signing is not None
        self._signer = load_signer(self.profile.keys.signing, KeyKind.SYSTEM, self.genesis.suite)

    def submit(self, record: BuiltRecord) -> BuiltRecord:
        """Has it accepted, as soon as the node listens."""
        expires_ms = int(time() * 1000) + 60_000
        raw = build_transaction(self.genesis, self._signer, "planning", expires_ms, records=[record])

        async def work() -> None:
            async with LedgerClient.from_profile(self.profile, self.genesis) as client:
                while True:
                    try:
                        assert (await client.submit(raw)).verdict.accepted
                    except HuzhengError as error:
                        if error.code not in WORTH_ANOTHER_NODE:
                            raise
                        await asyncio.sleep(0.1)
                    else:
                        return

        asyncio.run(asyncio.wait_for(work(), 30))
        return record

    def register(self, number: int, *, relies_on: BuiltRecord | None = None, relied_number: int = 0) -> BuiltRecord:
        """The first version about a unit."""
        fields = objection_fields(number)
        relied = []
        if relies_on is not None:
            relied = [pb.Reliance(resource=OBJECTION, subject=unit_code(relied_number), record_id=relies_on.id)]
        return self.submit(build_record(self.genesis, OBJECTION, unit_code(number), 1, b"", fields, relies_on=relied))

    def follow(self, before: BuiltRecord, number: int, *, revokes: bool) -> BuiltRecord:
        """The second version."""
        fields = None if revokes else objection_fields(number + 1)
        return self.submit(build_record(self.genesis, OBJECTION, unit_code(number), 2, before.id, fields))


class Watching:
    """The command, and the lines that it prints."""

    def __init__(self, network: Network, *options: str) -> None:
        command = ["reliance", "watch", "--profile", str(network.clients["planning"] / "system"), *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "node.cli.main", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}", "PYTHONUNBUFFERED": "1"},
        )
        self._lines: Queue[str] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def line(self) -> str:
        """The next one, waited for."""
        return self._lines.get(timeout=30)

    def is_silent(self) -> bool:
        """Whether no line waits to be read."""
        return self._lines.empty()

    def interrupt(self) -> tuple[int, str, list[str]]:
        """Ctrl-C: exit status, standard error, and the lines that were not read."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(20)
        assert self.process.stderr is not None
        return status, self.process.stderr.read(), list(self._lines.queue)


@contextmanager
def watching(network: Network, *options: str) -> Iterator[Watching]:
    made = Watching(network, *options)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait(20)


@pytest.fixture
def stopped(tmp_path: Path) -> Network:
    """A network of one node, which does not run yet."""
    return make_network(tmp_path / "net")


def test_each_event_is_a_line_across_a_restart_of_the_node_until_it_is_stopped(stopped: Network) -> None:
    planning, home = Department(stopped), stopped.nodes["planning"]
    with ExitStack() as stack:
        with running_node(home):
            first, second = planning.register(1), planning.register(2)
            relying = planning.register(11, relies_on=first, relied_number=1)
            other = planning.register(12, relies_on=second, relied_number=2)
            revoked = planning.follow(first, 1, revokes=True)
            programs = stack.enter_context(watching(stopped, "--from-height", "1", "-o", "json"))
            people = stack.enter_context(watching(stopped, "--from-height", "1"))
            told: dict[str, Any] = json.loads(programs.line())
            assert told["relied"] == first.id.hex()
            assert (told["changed"]["record_id"], told["changed"]["action"]) == (revoked.id.hex(), "revoke")
            assert (told["relying"]["record_id"], told["relying"]["subject"]) == (relying.id.hex(), unit_code(11))
            assert told["relying"]["fields"]["YWH"] == objection_fields(11)["YWH"]
            line = people.line()
            assert "revoked by v2" in line
            assert unit_code(11) in line
        with running_node(home):
            corrected = planning.follow(second, 2, revokes=False)
            told = json.loads(programs.line())
            assert (told["relied"], told["changed"]["record_id"]) == (second.id.hex(), corrected.id.hex())
            assert told["relying"]["record_id"] == other.id.hex()
            assert "replaced by v2" in people.line()
            height = told["changed"]["height"]
            assert programs.interrupt() == (ExitStatus.INTERRUPTED, "", [])
            status, remarks, unread = people.interrupt()
            assert (status, unread) == (ExitStatus.INTERRUPTED, [])
            assert "Connection lost; connecting again." in remarks
            assert f"Stopped. --from-height {height} goes on from here." in remarks


def test_it_starts_with_the_next_new_block_and_ends_after_so_many_events(stopped: Network) -> None:
    planning = Department(stopped)
    with running_node(stopped.nodes["planning"]):
        first, second = planning.register(1), planning.register(2)
        for number, relied in ((1, first), (2, second)):
            planning.register(10 + number, relies_on=relied, relied_number=number)
        planning.follow(first, 1, revokes=True)
        with watching(stopped, "--count", "1", "-o", "json") as programs:
            # It says nothing when it is ready; what comes before is not new then.
            number = 100
            while programs.process.poll() is None and programs.is_silent():
                relied = planning.register(number := number + 1)
                planning.register(1_000 + number, relies_on=relied, relied_number=number)
                planning.follow(relied, number, revokes=True)
            told = json.loads(programs.line())
            assert told["changed"]["subject"] not in (unit_code(1), unit_code(2))
            assert programs.process.wait(20) == 0


def line(number: int, *relied: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A record about a unit, as `submit` reads it, which relies on others."""
    fields = objection_fields(number)
    return {"resource": OBJECTION, "subject": unit_code(number), "fields": fields, "relies_on": list(relied), **changes}


def newest(number: int) -> dict[str, Any]:
    return {"resource": OBJECTION, "subject": unit_code(number)}


def submit(huzheng: CommandLine, network: Network, path: Path, *lines: dict[str, Any], **options: Any) -> Ran:
    profile = network.clients["planning"] / "system"
    chosen = [part for name, value in options.items() for part in (f"--{name}", value)]
    return huzheng("submit", write_lines(path, list(lines)), "--profile", profile, "-o", "json", *chosen)


def test_what_a_submitted_record_relies_on_is_looked_up_pinned_and_listed(
    huzheng: CommandLine, network: Network, tmp_path: Path
) -> None:
    clerk = ("--profile", network.clients["planning"] / "clerk")
    first = submit(huzheng, network, tmp_path / "first", line(1), line(2)).json["results"]
    ran = submit(huzheng, network, tmp_path / "second", line(11, newest(2), newest(1)))
    assert ran.status == 0, ran.err
    relied = [newest(number) | {"record_id": first[number - 1]["record_id"]} for number in (1, 2)]
    told = huzheng("record", "get", OBJECTION, unit_code(11), *clerk, "-o", "json").json
    assert told["relies_on"] == relied
    for_people = huzheng("record", "get", OBJECTION, unit_code(11), *clerk).out
    assert all(text in for_people for text in ("Relies on", unit_code(2), first[1]["record_id"]))
    receipt = tmp_path / "r"
    huzheng("receipt", "get", OBJECTION, unit_code(11), "--out", receipt, *clerk)
    assert huzheng("verify", receipt, "-g", network.genesis, "-o", "json").json["record"]["relies_on"] == relied

    assert submit(huzheng, network, tmp_path / "third", line(1)).status == 0
    listed = huzheng("reliance", "list", first[0]["record_id"], *clerk, "-o", "json").json
    assert listed["in_force"] is False
    assert [record["record_id"] for record in listed["records"]] == [ran.json["results"][0]["record_id"]]


def test_a_record_waits_for_what_it_relies_on_and_is_waited_for_by_what_replaces_that(
    huzheng: CommandLine, network: Network, tmp_path: Path
) -> None:
    rounds = range(6)
    lines = [item for turn in rounds for item in (line(100), line(200 + turn, newest(100)))]
    ran = submit(huzheng, network, tmp_path / "in", *lines, batch=1)
    assert ran.status == 0, ran.err
    ids = [result["record_id"] for result in sorted(ran.json["results"], key=lambda one: one["record"])]
    clerk = ("--profile", network.clients["planning"] / "clerk")
    for turn in rounds:
        told = huzheng("record", "get", OBJECTION, unit_code(200 + turn), *clerk, "-o", "json").json
        assert [relied["record_id"] for relied in told["relies_on"]] == [ids[2 * turn]]


def test_what_relies_on_something_that_is_not_in_force_is_refused(
    huzheng: CommandLine, network: Network, tmp_path: Path
) -> None:
    done = submit(
        huzheng, network, tmp_path / "before", line(301), line(302), line(302, action="revoke", fields={}), line(301)
    ).json["results"]
    replaced = newest(301) | {"record_id": done[0]["record_id"]}
    for number, relied in enumerate((replaced, newest(302), newest(399))):
        path = tmp_path / f"refused-{number}"
        ran = submit(huzheng, network, path, line(310 + number, relied))
        assert ran.status == ExitStatus.REFUSED
        assert ran.json["refused"][0]["code"] == "RELIED_NOT_CURRENT"
        # Where the node had nothing to pin nothing was signed.
        assert path.with_name(path.name + ".journal").read_bytes().count(b'"signed"') == (relied is replaced)
