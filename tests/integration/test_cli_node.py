"""The command line against a whole node: what is submitted, read back, proved, exported and checked."""

from __future__ import annotations

import json
from pathlib import Path
from time import time
from typing import Any

import pytest

from ledger.store import ChainStore
from node.catalogue import Catalogue
from node.cli.submission.journal import Journal, State
from node.cli.submission.planning import Planner, Signed
from node.cli.submission.reading import RecordSource
from node.config import load_config
from node.genesis_file import read_genesis
from node.keyfile import KeyKind, load_signer
from node.network import Network
from tests.builders import OBJECTION, objection_fields, unit_code
from tests.command_line import CommandLine, make_network, running_node, write_lines


@pytest.fixture
def system(network: Network) -> tuple[str, Path]:
    """The options of planning's own system."""
    return "--profile", network.clients["planning"] / "system"


@pytest.fixture
def clerk(network: Network) -> tuple[str, Path]:
    """The options of a clerk."""
    return "--profile", network.clients["planning"] / "clerk"


_used = iter(range(1, 9_000))


def line(number: int, **changes: Any) -> dict[str, Any]:
    return {"resource": OBJECTION, "subject": unit_code(number), "fields": objection_fields(number), **changes}


def fresh(count: int) -> list[int]:
    """Numbers of units that no test has used yet."""
    return [next(_used) for _ in range(count)]


def revoke(number: int) -> dict[str, Any]:
    return {"resource": OBJECTION, "subject": unit_code(number), "action": "revoke"}


def versions(huzheng: CommandLine, options: tuple[str, Path], number: int) -> list[int]:
    ran = huzheng("record", "history", OBJECTION, unit_code(number), "-o", "json", *options)
    return [record["version"] for record in ran.json["records"]] if ran.status == 0 else []


def damage_vote_log(home: Path) -> None:
    """Leaves a vote that this node can't have made."""
    config = load_config(home)
    store = ChainStore.open(config.node.data, read_genesis(config.node.genesis))
    store.write_votes([((1 << 32).to_bytes(8, "big") + b"s", b"damaged")])
    store.close()


def sign_by_hand(network: Network, path: Path, *, now_ms: int | None = None) -> tuple[Journal, Signed]:
    """Signs a file into its journal as `submit` does before it sends anything."""
    profile = network.clients["planning"] / "system"
    genesis = read_genesis(network.genesis)
    signer = load_signer(profile / "keys" / "signing.key", KeyKind.SYSTEM, genesis.suite)
    planner = Planner(Catalogue(genesis), "planning", signer, 600_000)
    inputs = list(RecordSource.open(path))
    built = [planner.build(record, {}) for record in inputs]
    signed = planner.sign(inputs, built, now_ms or int(time() * 1000))
    journal = Journal.open(path.with_name(path.name + ".journal"), genesis.chain_id, "planning")
    journal.signed(signed.entry)
    return journal, signed


def test_records_are_submitted_read_proved_and_verified_offline(
    huzheng: CommandLine, network: Network, system: tuple[str, Path], clerk: tuple[str, Path], tmp_path: Path
) -> None:
    (number,) = fresh(1)
    path = write_lines(tmp_path / "in.jsonl", [line(number), revoke(number), line(number)])
    ran = huzheng("submit", path, *system, "-o", "json")
    assert ran.status == 0, ran.err
    assert (ran.json["accepted"], ran.json["refused"]) == (3, [])
    assert [result["version"] for result in ran.json["results"]] == [1, 2, 3]

    got = huzheng("record", "get", OBJECTION, unit_code(number), *clerk, "-o", "json").json
    assert (got["version"], got["current"], got["verified"]) == (3, True, True)
    assert got["fields"] == objection_fields(number)
    by_id = huzheng("record", "get", ran.json["results"][0]["record_id"], *clerk, "-o", "json").json
    assert (by_id["version"], by_id["current"]) == (1, False)
    assert versions(huzheng, clerk, number) == [1, 2, 3]

    receipt = tmp_path / "r"
    assert huzheng("receipt", "get", OBJECTION, unit_code(number), "--version", 2, "--out", receipt, *clerk).status == 0
    verdict = huzheng("verify", receipt, "-g", network.genesis, "-o", "json").json
    assert verdict["record"]["action"] == "revoke"


def test_a_second_run_submits_nothing_twice(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> None:
    numbers = fresh(7)
    path = write_lines(tmp_path / "in.jsonl", [line(number) for number in numbers])
    assert huzheng("submit", path, "--batch", 3, *system).status == 0
    again = huzheng("submit", path, "--batch", 5, *system, "-o", "json").json
    assert (again["accepted"], again["already_done"], again["records"]) == (0, 7, 7)
    assert all(versions(huzheng, system, number) == [1] for number in numbers)


def test_lines_added_later_are_submitted_alone(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> None:
    first, second = fresh(2)
    path = write_lines(tmp_path / "in.jsonl", [line(first)])
    assert huzheng("submit", path, *system).status == 0
    write_lines(path, [line(first), line(second)])
    assert huzheng("submit", path, *system, "-o", "json").json["accepted"] == 1
    assert versions(huzheng, system, first) == [1]


def test_what_was_signed_but_never_sent_is_sent_as_it_is(
    huzheng: CommandLine, network: Network, system: tuple[str, Path], tmp_path: Path
) -> None:
    numbers = fresh(3)
    path = write_lines(tmp_path / "in.jsonl", [line(number) for number in numbers])
    journal, signed = sign_by_hand(network, path)
    journal.close()
    ran = huzheng("submit", path, *system, "-o", "json").json
    assert ran["accepted"] == 3
    assert [item["transaction_id"] for item in ran["transactions"]] == [signed.entry.transaction_id.hex()]


def test_what_was_sent_but_not_noted_is_not_submitted_twice(
    huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path
) -> None:
    numbers = fresh(3)
    path = write_lines(tmp_path / "in.jsonl", [line(number) for number in numbers])
    first = huzheng("submit", path, *system, "-o", "json").json
    journal = path.with_name("in.jsonl.journal")
    kept = [text for text in journal.read_text().splitlines() if "ended" not in json.loads(text)]
    journal.write_text("\n".join(kept) + "\n")
    again = huzheng("submit", path, *system, "-o", "json").json
    assert again["transactions"] == first["transactions"]
    assert all(versions(huzheng, system, number) == [1] for number in numbers)


def test_what_expired_without_getting_on_chain_is_signed_again(
    huzheng: CommandLine, network: Network, system: tuple[str, Path], tmp_path: Path
) -> None:
    # Something must have moved the chain's time past the expiry, as the heartbeat does in a real network.
    assert huzheng("submit", write_lines(tmp_path / "other.jsonl", [line(*fresh(1))]), *system).status == 0
    (number,) = fresh(1)
    path = write_lines(tmp_path / "in.jsonl", [line(number)])
    journal, signed = sign_by_hand(network, path, now_ms=int(time() * 1000) - 700_000)
    journal.close()
    ran = huzheng("submit", path, *system, "-o", "json").json
    assert ran["accepted"] == 1
    assert ran["transactions"][0]["transaction_id"] != signed.entry.transaction_id.hex()
    assert versions(huzheng, system, number) == [1]
    states = [json.loads(text).get("state") for text in path.with_name("in.jsonl.journal").read_text().splitlines()]
    assert states.count(State.EXPIRED) == 1


def test_a_refusal_stops_the_run_and_names_the_record(
    huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path
) -> None:
    first, second, third = fresh(3)
    path = write_lines(tmp_path / "in.jsonl", [line(first), line(second, version=7), line(third)])
    ran = huzheng("submit", path, "--batch", 1, "--in-flight", 1, *system)
    assert ran.status == 5
    assert "Record 2 refused" in ran.out
    assert "VERSION_CONFLICT" in ran.err
    assert versions(huzheng, system, third) == []
    # Corrected, the run goes on.
    write_lines(path, [line(first), line(second), line(third)])
    assert huzheng("submit", path, "--batch", 1, *system).status == 0
    assert [versions(huzheng, system, number) for number in (first, second, third)] == [[1], [1], [1]]


def test_keep_going_submits_what_is_not_refused(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> None:
    first, second, third = fresh(3)
    path = write_lines(tmp_path / "in.jsonl", [line(first), revoke(second), line(third)])
    ran = huzheng("submit", path, "--batch", 1, "--keep-going", *system, "-o", "json")
    assert ran.status == 5
    assert ran.json["accepted"] == 2
    assert [(one["first"], one["code"]) for one in ran.json["refused"]] == [(2, "NOTHING_TO_REVOKE")]


def test_bad_input_submits_nothing(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> None:
    first, second = fresh(2)
    bad = line(second, fields={**objection_fields(), "YWH": "11010519491231002X"})
    ran = huzheng("submit", write_lines(tmp_path / "in.jsonl", [line(first), bad]), *system)
    assert ran.status == 3
    assert "PERSONAL_DATA" in ran.err
    assert "record 2" in ran.err
    assert "1101051949" not in ran.err
    assert versions(huzheng, system, first) == []


def test_a_dry_run_sends_nothing(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> None:
    (number,) = fresh(1)
    path = write_lines(tmp_path / "in.jsonl", [line(number)])
    assert huzheng("submit", path, "--dry-run", *system).status == 0
    assert versions(huzheng, system, number) == []
    assert not path.with_name("in.jsonl.journal").exists()


def test_results_go_to_a_file_one_line_a_record(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", [line(number) for number in fresh(4)])
    assert huzheng("submit", path, "--results", tmp_path / "out.jsonl", *system).status == 0
    lines = [json.loads(text) for text in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [one["record"] for one in lines] == [1, 2, 3, 4]
    assert all(one["code"] == "ACCEPTED" and len(one["record_id"]) == 64 for one in lines)


def test_a_clerk_can_read_but_not_submit(huzheng: CommandLine, clerk: tuple[str, Path], tmp_path: Path) -> None:
    ran = huzheng("submit", write_lines(tmp_path / "in.jsonl", [line(*fresh(1))]), *clerk)
    assert ran.status == 9
    assert "keys.signing" in ran.err


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["record", "get", OBJECTION, unit_code(9_999)], 6, "NOT_FOUND"),
        (["record", "get", "00" * 32], 6, "NOT_FOUND"),
        (["record", "get", "xyz"], 2, "INVALID_REQUEST"),
        (["record", "get", "no.such", "x"], 5, "UNKNOWN_RESOURCE"),
        (["record", "get", OBJECTION, "x"], 5, "BAD_SUBJECT"),
        (["record", "history", OBJECTION, unit_code(9_999)], 6, "NOT_FOUND"),
        (["receipt", "get", "00" * 32], 6, "NOT_FOUND"),
        (["receipt", "get", "00" * 32, "--transaction"], 6, "NOT_FOUND"),
        (["chain", "block", "999999"], 6, "NOT_FOUND"),
        (["chain", "tx", "00" * 32], 6, "NOT_FOUND"),
        (["chain", "export", "--from-height", "999999"], 6, "NOT_FOUND"),
    ],
)
def test_what_is_not_there_is_said_with_a_code(
    huzheng: CommandLine, system: tuple[str, Path], arguments: list[str], status: int, code: str
) -> None:
    ran = huzheng(*arguments, *system)
    assert (ran.status, ran.err.split(":")[0]) == (status, f"error {code}")


def test_the_chain_can_be_looked_at(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", [line(number) for number in fresh(2)])
    done = huzheng("submit", path, *system, "-o", "json").json["transactions"][0]
    block = huzheng("chain", "block", done["height"], *system, "-o", "json").json
    assert [item["transaction_id"] for item in block["transactions"]] == [done["transaction_id"]]
    by_hash = huzheng("chain", "block", block["hash"], *system, "-o", "json").json
    assert by_hash == block
    found = huzheng("chain", "tx", done["transaction_id"], *system, "-o", "json").json
    assert (found["height"], found["code"], len(found["records"])) == (done["height"], "ACCEPTED", 2)
    assert "ACCEPTED" in huzheng("chain", "tx", done["transaction_id"], *system).out
    tailed = huzheng("chain", "tail", "--from-height", done["height"], "--count", 1, *system, "-o", "json").json
    assert tailed == block
    records = huzheng(
        "chain", "tail", "--from-height", done["height"], "--count", 1, "--records", *system, "-o", "json"
    )
    assert len(records.out.splitlines()) == 2
    info = huzheng("chain", "info", *system, "-o", "json").json
    assert info["height"] >= done["height"]
    assert OBJECTION in [resource["name"] for resource in info["resources"]]


def test_the_status_of_one_and_of_all_nodes(huzheng: CommandLine, system: tuple[str, Path]) -> None:
    one = huzheng("node", "status", *system, "-o", "json").json
    (all_of_them,) = huzheng("node", "status", "--all", *system, "-o", "json").json
    assert one["chain_id"] == all_of_them["chain_id"]
    assert "Height" in huzheng("node", "status", *system).out
    assert "高度" in huzheng("node", "status", "--lang", "zh", *system).out


def test_keys_are_registered_and_revoked(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> None:
    key = tmp_path / "new.key"
    huzheng("keys", "new", key)
    assert huzheng("keys", "add", key, *system).status == 0
    again = huzheng("keys", "add", key, *system)
    assert (again.status, "KEY_EXISTS" in again.err) == (5, True)
    assert huzheng("keys", "revoke", key, *system, "-o", "json").json["accepted"] is True
    assert "REVOKED_KEY" in huzheng("keys", "revoke", key, *system).err


def test_a_stopped_database_is_checked_and_exported_like_a_running_node(huzheng: CommandLine, tmp_path: Path) -> None:
    made = make_network(tmp_path / "net")
    home, system = made.nodes["planning"], ("--profile", made.clients["planning"] / "system")
    with running_node(home):
        path = write_lines(tmp_path / "in.jsonl", [line(number) for number in fresh(5)])
        assert huzheng("submit", path, "--batch", 2, *system).status == 0
        online = huzheng("chain", "export", "--to-height", 2, *system)
        locked = huzheng("chain", "verify", "--home", home)
        assert (locked.status, "STORE_LOCKED" in locked.err) == (9, True)
    offline = huzheng("chain", "export", "--to-height", 2, "--home", home)
    assert online.status == 0
    assert online.out == offline.out
    assert [json.loads(text)["height"] for text in offline.out.splitlines()] == [0, 1, 2]
    checked = huzheng("chain", "verify", "--home", home, "-o", "json").json
    assert (checked["valid"], checked["records"]) == (True, 5)
    assert huzheng("node", "start", home, "--check").status == 0
    damage_vote_log(home)
    unfit = huzheng("node", "start", home, "--check")
    assert (unfit.status, "VOTE_LOG_CORRUPT" in unfit.err) == (9, True)
    other = make_network(tmp_path / "other")
    assert huzheng("chain", "verify", "--home", home, "-g", other.genesis).status == 9
    unreachable = huzheng("node", "status", *system)
    assert (unreachable.status, "nothing listens there" in unreachable.err) == (8, True)
    write_lines(path, [line(number) for number in fresh(2)])
    journal = tmp_path / "another.journal"
    stopped = huzheng("submit", path, *system, "--patience", 0, "--journal", journal)
    assert (stopped.status, "0 of 2 records are on chain" in stopped.err) == (8, True)


def test_sample_data_is_accepted_as_it_is(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> None:
    huzheng("sample-data", "--out", tmp_path, "-n", 300, "--department", "planning")
    ran = huzheng("submit", tmp_path / "planning.jsonl", "--batch", 7, *system, "-o", "json")
    assert ran.status == 0, ran.err
    assert ran.json["accepted"] == ran.json["records"] > 50


def test_a_certificate_of_another_network_is_refused_with_the_reason(
    huzheng: CommandLine, network: Network, tmp_path: Path
) -> None:
    other = make_network(tmp_path / "other")
    profile = other.clients["planning"] / "clerk" / "client.toml"
    address = next(
        text
        for text in (network.clients["planning"] / "clerk" / "client.toml").read_text().splitlines()
        if "address" in text
    )
    own = next(text for text in profile.read_text().splitlines() if "address" in text)
    profile.write_text(profile.read_text().replace(own, address))
    ran = huzheng("node", "status", "--profile", profile)
    assert ran.status == 7
    assert "TLS_REFUSED" in ran.err
    assert "another node or network" in ran.err


def test_reading_a_whole_file_through_a_pipe(
    huzheng: CommandLine, system: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import io
    import sys

    (number,) = fresh(1)
    raw = io.TextIOWrapper(io.BytesIO(json.dumps([line(number)]).encode()))
    monkeypatch.setattr(sys, "stdin", raw)
    assert huzheng("submit", "-", *system, "-o", "json").json["accepted"] == 1
    assert not list(tmp_path.glob("*.journal"))
