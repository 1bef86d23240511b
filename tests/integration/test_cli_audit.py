"""`huzheng audit` and `huzheng reliance` against a node that serves over mutual TLS; the profile alone is the test's."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import audit_pb2 as audit

from ledger.crypto import SIMULATION
from node.anchor_file import AnchorStore
from node.light_client import LightClient
from node.network import Network
from tests.builders import OBJECTION, objection_fields, unit_code
from tests.command_line import CommandLine, Ran, write_lines
from tests.integration.test_audit_service import Audited, Client, audited
from tests.integration.test_ledger_service import CONSORTIUM
from tests.sharing import (
    DAY_MS,
    REGISTER,
    SUBJECTS,
    T0_MS,
    Sharing,
    acknowledge,
    order_erasure,
    publish,
    read,
    resource,
)

FIRST, SECOND, _ = SUBJECTS
Run = Callable[..., Awaitable[Ran]]
Change = Callable[[audit.ListReadsResponse], None]


@pytest.fixture
def world() -> Sharing:
    return Sharing(SIMULATION, CONSORTIUM)


@pytest.fixture
def commands(tmp_path: Path, huzheng: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Plays a scenario with commands whose client is one of a node that has a world's blocks. `change`: how the node lies."""

    monkeypatch.setenv("COLUMNS", "400")

    def play(world: Sharing, scenario: Callable[[Run], Awaitable[None]], change: Change | None = None) -> None:
        async def run_all(node: Audited) -> None:
            client = await node.client()
            if change is not None:
                _lie(client, change)
            loop = asyncio.get_running_loop()

            def with_client(_session: object, work: Callable[[Client], Any]) -> Any:
                return asyncio.run_coroutine_threadsafe(work(client), loop).result(20)

            def with_light_client(_session: object, work: Callable[[LightClient, Client], Any]) -> Any:
                light = LightClient(client, AnchorStore(None, client.genesis))
                return asyncio.run_coroutine_threadsafe(work(light, client), loop).result(20)

            for module in ("audit", "reliance"):
                monkeypatch.setattr(f"node.cli.{module}.with_client", with_client)
            for module in ("audit", "grant"):
                monkeypatch.setattr(f"node.cli.{module}.with_light_client", with_light_client)

            async def run(*arguments: object) -> Ran:
                return await asyncio.to_thread(huzheng, *arguments)

            await scenario(run)

        audited(tmp_path, world, run_all)

    return play


def _lie(client: Client, change: Change) -> None:
    asked = client.reads

    async def lying(request: audit.ListReadsRequest) -> audit.ListReadsResponse:
        answer = await asked(request)
        change(answer)
        return answer

    client.reads = lying  # type: ignore[method-assign]


def test_reads_of_a_subject_are_listed_and_found_complete(world: Sharing, commands: Callable[..., None]) -> None:
    grant = world.grant()
    done = world.read(grant, case_number="案7", fields=[2, 3])
    world.must("tax", acknowledge(done))
    world.read(grant)
    world.one("tax", read(grant, fields=[4]))

    async def scenario(run: Run) -> None:
        found = await run("audit", "reads", "--subject", REGISTER, FIRST)
        assert found.status == 0
        for word in ("OWNER, PRICE", "案7", "契税法第十三条", "read, 2020-", "requested", "refused: OUTSIDE_GRANT"):
            assert word in found.out
        assert (
            f"Complete: no accepted read is missing, as of block {world.chain.tip.height}. Accepted reads: 2."
            in found.out
        )
        told = (await run("audit", "reads", "--subject", REGISTER, FIRST, "-o", "json")).json
        assert told["complete"] == {"accepted": 2, "height": world.chain.tip.height, "proven": True}
        assert (told["proven"], told["about"]) == (True, {"resource": REGISTER, "subject": FIRST})
        assert "Each read is proved, and so is that no accepted one is missing;" in found.err
        assert [(item["status"], item["reason"]) for item in told["reads"]] == [
            ("read", None),
            ("requested", None),
            ("refused", "OUTSIDE_GRANT"),
        ]
        assert told["reads"][0] | {"transaction_id": ""} == {
            "read_id": done.hex(),
            "time": "2020-09-13T12:26:50.000Z",
            "reader": "tax",
            "owner": "planning",
            "resource": REGISTER,
            "subject": FIRST,
            "fields": ["OWNER", "PRICE"],
            "case_number": "案7",
            "grant": grant.hex(),
            "purpose": "契税",
            "legal_basis": "契税法第十三条",
            "status": "read",
            "reason": None,
            "acknowledged": "2020-09-13T12:26:50.000Z",
            "record_id": world.newest().hex(),
            "height": world.read_state(done).height,
            "transaction_id": "",
            "operation_index": 0,
        }
        by_grant = (await run("audit", "reads", "--grant", grant.hex(), "-o", "json")).json
        assert by_grant == told | {"about": {"grant": grant.hex()}}
        for option, value in (("--department", "tax"), ("--owner", "planning")):
            other = (await run("audit", "reads", option, value, "-o", "json")).json
            assert other == told | {"about": {option.removeprefix("--"): value}, "complete": None}
        record = world.newest().hex()
        of_record = (await run("audit", "reads", "--record", record, "-o", "json")).json
        assert of_record == told | {"about": {"record_id": record}, "reads": told["reads"][:2], "complete": None}
        believed = (await run("audit", "reads", "--subject", REGISTER, FIRST, "--unverified", "-o", "json")).json
        assert believed == told | {"proven": False, "complete": told["complete"] | {"proven": False}}
        chinese = await run("audit", "reads", "--subject", REGISTER, FIRST, "--lang", "zh")
        assert "被拒绝：OUTSIDE_GRANT" in chinese.out
        assert "清单完整" in chinese.out

    commands(world, scenario)


def test_a_list_that_leaves_a_read_out_ends_as_not_proven(world: Sharing, commands: Callable[..., None]) -> None:
    grant = world.grant()
    for _ in range(3):
        world.read(grant)

    def leave_out(answer: audit.ListReadsResponse) -> None:
        del answer.reads[1]

    async def scenario(run: Run) -> None:
        for option in (("--subject", REGISTER, FIRST), ("--grant", grant.hex())):
            for how, code in (("--verified", "UNTRUSTED_ANSWER"), ("--unverified", "BAD_PROOF")):
                found = await run("audit", "reads", *option, how, "-o", "json")
                assert (found.status, found.error["code"], found.out) == (4, code, "")

    commands(world, scenario, leave_out)


def test_grants_are_shown_and_listed_as_proved(world: Sharing, commands: Callable[..., None]) -> None:
    grant = world.grant()
    world.read(grant)

    async def scenario(run: Run) -> None:
        told = (await run("grant", "show", grant.hex(), "-o", "json")).json
        assert (told["proven"], told["height"], told["status"]) == (True, world.chain.tip.height, "active")
        assert (told["reads"], told["fields"], told["purpose"]) == (1, ["OWNER", "PRICE"], "契税")
        shown = await run("grant", "show", grant.hex())
        assert f"Proved, as of block {world.chain.tip.height}." in shown.err
        for department, option in (("tax", ()), ("planning", ("--owner",))):
            found = await run("grant", "list", "--department", department, *option)
            assert (found.status, grant.hex() in found.out) == (0, True)
            assert "Each grant is proved; whether one is missing is not." in found.err
        listed = (await run("grant", "list", "--department", "tax", "-o", "json")).json
        told.pop("proven")
        assert listed == {"grants": [told], "proven": True}
        unknown = await run("grant", "show", "00" * 32, "-o", "json")
        assert (unknown.status, unknown.error["code"]) == (6, "NOT_FOUND")

    commands(world, scenario)


@pytest.mark.parametrize("invented", [True, False])
def test_a_grant_that_is_not_one_of_the_department_s_is_not_listed(
    world: Sharing, commands: Callable[..., None], monkeypatch: pytest.MonkeyPatch, invented: bool
) -> None:
    other = bytes(32) if invented else world.grant(by="housing")

    async def lying(_client: object, _request: object) -> AsyncIterator[audit.ListedGrant]:
        yield audit.ListedGrant(grant=other)

    monkeypatch.setattr(Client, "grants", lying)

    async def scenario(run: Run) -> None:
        found = await run("grant", "list", "--department", "tax", "-o", "json")
        assert (found.status, found.error["code"]) == (4, "UNTRUSTED_ANSWER")

    commands(world, scenario)


def test_times_narrow_a_list_down_which_then_proves_nothing(world: Sharing, commands: Callable[..., None]) -> None:
    grant = world.grant()
    for hours in (0, 1, 2):
        world.must("tax", read(grant), time_ms=T0_MS + hours * 3_600_000)

    async def scenario(run: Run) -> None:
        start, stop = "2020-09-13T13:00+00:00", "2020-09-13T14:00+00:00"
        arguments = ("audit", "reads", "--subject", REGISTER, FIRST, "--since", start, "--until", stop)
        told = (await run(*arguments, "-o", "json")).json
        assert [item["time"] for item in told["reads"]] == ["2020-09-13T13:26:50.000Z"]
        assert told["complete"] is None
        found = await run(*arguments)
        assert "Each read is proved; whether one is missing is not." in found.err
        assert "the node's word" in (await run(*arguments, "--unverified")).err
        assert "Complete" not in found.out
        nothing = await run("audit", "reads", "--department", "housing")
        assert (nothing.status, "Nobody asked" in nothing.out) == (0, True)

    commands(world, scenario)


def test_a_table_for_spreadsheets_has_all_and_calculates_nothing(
    world: Sharing, commands: Callable[..., None], tmp_path: Path
) -> None:
    grant = world.grant()
    world.read(grant, case_number='=HYPERLINK("x")', fields=[2, 3])

    async def scenario(run: Run) -> None:
        file = tmp_path / "reads.csv"
        assert (await run("audit", "reads", "--grant", grant.hex(), "--csv", file)).status == 0
        with file.open(encoding="utf-8-sig", newline="") as lines:
            [row] = csv.DictReader(lines)
        assert (row["case_number"], row["fields"], row["status"]) == ('\'=HYPERLINK("x")', "OWNER PRICE", "requested")
        assert (row["grant"], row["legal_basis"]) == (grant.hex(), "契税法第十三条")

    commands(world, scenario)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--department", "tax", "--owner", "planning"),
        ("--grant", "12"),
        ("--record", "x" * 64),
        ("--department", "tax", "--since", "yesterday"),
        ("--department", "tax", "--until", "1960-01-01"),
    ],
)
def test_questions_that_make_no_sense_are_told_apart(huzheng: CommandLine, arguments: tuple[str, ...]) -> None:
    found = huzheng("audit", "reads", *arguments, "-o", "json")
    assert found.error["code"] == "INVALID_REQUEST"


def test_alerts_are_listed_and_told_by_the_exit_status(world: Sharing, commands: Callable[..., None]) -> None:
    async def quiet(run: Run) -> None:
        found = await run("audit", "alerts")
        assert (found.status, "Nothing to look at" in found.out) == (0, True)

    commands(world, quiet)


def test_every_kind_of_alert_is_shown(world: Sharing, commands: Callable[..., None]) -> None:
    world.must("planning", publish(resource("planning.daily", update_cycle_days=1)))
    grant = world.grant()
    left_open = world.read(grant)
    world.must("planning", order_erasure(world.newest()))
    world.now_ms = T0_MS + DAY_MS + 1
    for _ in range(7):
        world.one("tax", *[read(grant)] * 16)

    async def scenario(run: Run) -> None:
        found = await run("audit", "alerts")
        assert found.status == 4
        for word in (
            "update overdue",
            "days between updates: 1; published",
            "unusual number of reads",
            "112 in 24 hours, usual are up to 100",
            "refused reads",
            "read not acknowledged",
            left_open.hex()[:12],
            "erasure not acknowledged",
            "ordered by planning (planning)",
        ):
            assert word in found.out
        told = await run("audit", "alerts", "-o", "json")
        assert told.status == 4
        assert told.json["refused_reads"] == [{"department": "tax", "refused": 112}]
        assert told.json["unacknowledged_erasures"][0]["owed"] == ["tax"]
        assert told.json["overdue_updates"][0]["has_records"] is False

    commands(world, scenario)


def test_who_relies_on_a_record_is_shown_and_whether_it_is_in_force(
    world: Sharing, commands: Callable[..., None]
) -> None:
    relied = world.newest(FIRST)
    relying = world.record("AB1000", relies_on=world.relies(FIRST))
    world.must("planning", records=[relying])

    async def in_force(run: Run) -> None:
        found = await run("reliance", "list", relied.hex())
        assert (found.status, "The record is in force." in found.out, relying.id.hex() in found.out) == (0, True, True)
        nobody = await run("reliance", "list", relying.id.hex())
        assert "No record relies on it." in nobody.out
        unknown = await run("reliance", "list", "00" * 32, "-o", "json")
        assert (unknown.status, unknown.error["code"]) == (6, "NOT_FOUND")

    commands(world, in_force)


@pytest.mark.parametrize("revoke", [True, False])
def test_a_record_that_is_not_in_force_any_more_is_pointed_out(
    world: Sharing, commands: Callable[..., None], revoke: bool
) -> None:
    relied = world.newest(FIRST)
    world.must("planning", records=[world.record("AB1000", relies_on=world.relies(FIRST))])
    world.must("planning", records=[world.record(FIRST, revoke=revoke)])

    async def scenario(run: Run) -> None:
        told = (await run("reliance", "list", relied.hex(), "-o", "json")).json
        assert told["in_force"] is False
        assert [(item["department"], item["subject"]) for item in told["records"]] == [("planning", "AB1000")]
        assert "NOT IN FORCE" in (await run("reliance", "list", relied.hex())).out

    commands(world, scenario)


def test_a_whole_node_answers_by_a_profile(huzheng: CommandLine, network: Network, tmp_path: Path) -> None:
    line = {"resource": OBJECTION, "subject": unit_code(1), "fields": objection_fields()}
    system = network.clients["planning"] / "system"
    assert huzheng("submit", write_lines(tmp_path / "in.jsonl", [line]), "--profile", system).status == 0
    profile = ("--profile", network.clients["planning"] / "auditor")
    nobody = huzheng("audit", "reads", "--department", "planning", *profile)
    assert (nobody.status, "Nobody asked" in nobody.out) == (0, True)
    never = huzheng("audit", "reads", "--subject", "property.ownership", unit_code(1), *profile, "-o", "json").json
    assert (never["reads"], never["complete"]["accepted"], never["complete"]["proven"]) == ([], 0, True)
    kept = tmp_path / "kept"
    about = ("audit", "reads", "--subject", "property.ownership", unit_code(1), "--proofs", kept)
    assert huzheng(*about, *profile).status == 0
    offline = huzheng("audit", "verify", kept, "-g", network.genesis, "-o", "json").json
    assert (offline["reads"], offline["complete"]["accepted"]) == ([], 0)
    unknown = huzheng("audit", "reads", "--grant", "00" * 32, *profile, "-o", "json")
    assert (unknown.status, "proved as of block" in unknown.error["detail"]) == (6, True)
    assert huzheng("grant", "show", "00" * 32, *profile, "-o", "json").error["code"] == "NOT_FOUND"
    assert huzheng("audit", "reads", "--subject", "property.ownership", "no unit", *profile).status == 5
    none = huzheng("audit", "reads", "--subject", "no.resource", "A", *profile, "-o", "json")
    assert none.error["code"] == "UNKNOWN_RESOURCE"
    assert huzheng("audit", "alerts", *profile).status == 0
    assert huzheng("reliance", "list", "00" * 32, *profile, "-o", "json").error["code"] == "NOT_FOUND"
