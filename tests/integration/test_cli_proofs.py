"""What the command line proves about the newest state, with a whole node behind it, and what of that holds offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1 import statement_pb2
from PIL import Image

from ledger.crypto import ED25519_SHA256, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Parameters
from ledger.statement import Question
from node.cli.connection import with_client
from node.cli.light import with_light_client
from node.cli.output import Output, OutputFormat
from node.cli.session import Session
from node.cli.texts import Texts
from node.client import LedgerClient
from node.light_client import LightClient
from node.network import Network
from tests.builders import OBJECTION, Consortium, objection_fields, unit_code
from tests.certificates import FEW_FIELDS
from tests.command_line import CommandLine, write_lines
from tests.memberships import WINDOW, add, change_transaction, grow_to, stored


@pytest.fixture
def profile(network: Network) -> tuple[str, Path]:
    return "--profile", network.clients["planning"] / "system"


_units = iter(range(1, 1_000))


def submit(huzheng: CommandLine, profile: tuple[str, Path], folder: Path, unit: int, action: str = "assert") -> None:
    fields = {"fields": objection_fields(unit)} if action == "assert" else {}
    line: dict[str, Any] = {"resource": OBJECTION, "subject": unit_code(unit), "action": action} | fields
    name = f"in-{unit}-{len(list(folder.iterdir()))}.jsonl"
    assert huzheng("submit", write_lines(folder / name, [line]), *profile).status == 0


@pytest.fixture
def unit(huzheng: CommandLine, profile: tuple[str, Path], tmp_path: Path) -> int:
    """A unit with an objection."""
    number = next(_units)
    submit(huzheng, profile, tmp_path, number)
    return number


def test_a_statement_is_fetched_and_verified_offline(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path, unit: int
) -> None:
    file = tmp_path / "s"
    got = huzheng("statement", "get", "property", unit_code(unit), "--out", file, *profile, "-o", "json").json
    answers = {answer["resource"]: answer for answer in got["answers"]}
    assert answers[OBJECTION]["record"]["fields"] == objection_fields(unit)
    assert [name for name, answer in answers.items() if answer["in_force"]] == [OBJECTION]
    assert got["registers"] == [{"register": "property", "resources": len(answers), "answered": len(answers)}]
    checked = huzheng("verify", file, "-g", network.genesis, "--max-age", "1h", "-o", "json").json
    assert (checked["valid"], checked["answers"], checked["still"]) == (True, got["answers"], None)
    told = huzheng("verify", file, "-g", network.genesis)
    assert (told.status, "VALID: this was so at" in told.out) == (0, True)


def test_one_resource_can_be_asked_for_and_the_others_stay_hidden(
    huzheng: CommandLine, profile: tuple[str, Path], unit: int
) -> None:
    got = huzheng("statement", "get", OBJECTION, unit_code(unit), "--no-contents", *profile, "-o", "json").json
    assert [(answer["resource"], answer["record"]) for answer in got["answers"]] == [(OBJECTION, None)]


def test_what_no_longer_holds_is_said_to_be_so(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path, unit: int
) -> None:
    statement, receipt = tmp_path / "s", tmp_path / "r"
    assert huzheng("statement", "get", "property", unit_code(unit), "--out", statement, *profile).status == 0
    assert huzheng("receipt", "get", OBJECTION, unit_code(unit), "--out", receipt, *profile).status == 0
    for file in (statement, receipt):
        ran = huzheng("verify", file, *profile, "-o", "json")
        assert (ran.status, ran.json["still"]["holds"]) == (0, True)
    submit(huzheng, profile, tmp_path, unit, "revoke")
    for file in (statement, receipt):
        ran = huzheng("verify", file, *profile, "-o", "json")
        assert (ran.status, ran.json["valid"], ran.json["still"]["holds"]) == (5, True, False)
        assert ran.json["still"]["changed"] == [{"resource": OBJECTION, "subject": unit_code(unit)}]
        assert "NO LONGER SO" in huzheng("verify", file, *profile).out
        # By itself it is as genuine as before.
        assert huzheng("verify", file, "-g", network.genesis, "--offline").status == 0


def test_of_entries_of_the_state_it_is_said_too_whether_they_are_still_so(
    huzheng: CommandLine, profile: tuple[str, Path], tmp_path: Path, unit: int
) -> None:
    """The pool of seen ids is another after each transaction; a grant that there never was stays so."""
    session = Session(Output(OutputFormat.TABLE, Texts("en")), profile[1])
    files = {key: tmp_path / key.hex()[:4] for key in (b"j", b"g" + bytes(32))}

    async def ask(light: LightClient, _client: LedgerClient) -> list[bytes]:
        return [(await light.statement(keys=[key], whole=True)).raw for key in files]

    for file, raw in zip(files.values(), with_light_client(session, ask), strict=True):
        file.write_bytes(raw)
    submit(huzheng, profile, tmp_path, unit, "revoke")
    pool, grant = (huzheng("verify", file, *profile, "-o", "json") for file in files.values())
    assert (pool.status, pool.json["valid"], pool.json["still"]["holds"]) == (5, True, False)
    assert pool.json["still"]["changed_entries"] == [b"j".hex()]
    assert "NO LONGER SO" in huzheng("verify", files[b"j"], *profile).out
    assert (grant.status, grant.json["still"]["holds"], grant.json["still"]["changed_entries"]) == (0, True, [])
    assert "proved: there is none" in huzheng("verify", files[b"g" + bytes(32)], *profile).out


def test_where_no_node_answers_what_was_so_is_proved_all_the_same(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path, unit: int
) -> None:
    file = tmp_path / "s"
    assert huzheng("statement", "get", OBJECTION, unit_code(unit), "--out", file, *profile).status == 0
    folder = network.clients["planning"] / "system"
    lost = tmp_path / "client.toml"
    text = (folder / "client.toml").read_text(encoding="utf-8").replace('"genesis.bin"', f'"{folder}/genesis.bin"')
    text = text.replace('"keys/', f'"{folder}/keys/')
    lost.write_text(_with_address(text, "127.0.0.1:9"), encoding="utf-8")
    ran = huzheng("verify", file, "--profile", lost, "-o", "json")
    assert (ran.status, ran.json["valid"], ran.json["still"]["holds"]) == (0, True, None)
    assert ran.json["still"]["reason"].startswith("NODE_UNREACHABLE")


def test_a_command_asks_the_next_node_where_the_first_one_is_not_believed(
    huzheng: CommandLine, network: Network, tmp_path: Path, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = network.clients["planning"] / "system"
    text = (folder / "client.toml").read_text(encoding="utf-8").replace('"genesis.bin"', f'"{folder}/genesis.bin"')
    node = text[text.index("[[nodes]]") :].split("\n\n")[0]
    two = tmp_path / "client.toml"
    two.write_text(text.replace('"keys/', f'"{folder}/keys/') + f"\n{node}\n", encoding="utf-8")
    commands: list[tuple[str, ...]] = [
        ("record", "get", OBJECTION, unit_code(unit)),
        ("statement", "get", OBJECTION, unit_code(unit)),
        ("receipt", "get", OBJECTION, unit_code(unit)),
        ("chain", "anchor"),
        ("chain", "block", "0"),
    ]
    for command in commands:
        calls = _lying_once(monkeypatch)
        ran = huzheng(*command, "--profile", two)
        assert (ran.status, len(calls) > 1) == (0, True), command
        assert "is not believed, the next one is asked." in " ".join(ran.err.split())


def _lying_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The next answer of a node will not hold; the calls are counted."""
    calls: list[int] = []
    real = LedgerClient._call

    async def call(client: LedgerClient, *arguments: Any) -> Any:
        calls.append(len(calls))
        if len(calls) == 1:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "as a test would have it")
        return await real(client, *arguments)

    monkeypatch.setattr(LedgerClient, "_call", call)
    return calls


@pytest.mark.parametrize("damage", ["[client]\n", "anchor"])
def test_a_file_is_verified_though_the_profile_can_not_be_used(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path, unit: int, damage: str
) -> None:
    file, folder = tmp_path / "s", network.clients["planning"] / "system"
    assert huzheng("statement", "get", OBJECTION, unit_code(unit), "--out", file, *profile).status == 0
    lost = tmp_path / "client.toml"
    text = (folder / "client.toml").read_text(encoding="utf-8").replace('"genesis.bin"', f'"{folder}/genesis.bin"')
    lost.write_text(text.replace('"keys/', f'"{folder}/keys/') if damage == "anchor" else damage, encoding="utf-8")
    if damage == "anchor":
        (tmp_path / "anchor").write_bytes(b"\x0a\x01\x00")
    ran = huzheng("verify", file, "-g", network.genesis, "--profile", lost, "-o", "json")
    assert (ran.status, ran.json["valid"], ran.json["still"]["holds"]) == (0, True, None)
    assert str(tmp_path) in ran.json["still"]["reason"]


def _with_address(text: str, address: str) -> str:
    lines = [f'address = "{address}"' if line.startswith("address") else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def test_an_old_statement_is_refused_where_a_new_one_is_asked_for(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path, unit: int
) -> None:
    file = tmp_path / "s"
    assert huzheng("statement", "get", OBJECTION, unit_code(unit), "--out", file, *profile).status == 0
    ran = huzheng("verify", file, "-g", network.genesis, "--max-age", "0s", "-o", "json")
    assert (ran.status, ran.json["error"]["code"]) == (4, "STALE")
    assert huzheng("verify", file, "-g", network.genesis, "--max-age", "soon").status == 2


def test_a_receipt_is_held_against_a_newer_anchor(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path, unit: int
) -> None:
    receipt, anchor, history = tmp_path / "r", tmp_path / "a", tmp_path / "h"
    got = huzheng("receipt", "get", OBJECTION, unit_code(unit), "--out", receipt, *profile, "-o", "json").json
    submit(huzheng, profile, tmp_path, next(_units))
    newest = huzheng("chain", "anchor", "--out", anchor, *profile, "-o", "json").json
    linked = huzheng("chain", "consistency", got["height"], newest["height"], "--out", history, *profile, "-o", "json")
    assert (linked.json["old"]["hash"], linked.json["new"]["hash"]) == (got["block_hash"], newest["hash"])
    trusting = ("-g", network.genesis, "--anchor", anchor)
    held = huzheng("verify", receipt, *trusting, "--history", history, "-o", "json").json
    assert held["anchor"] == {"height": newest["height"], "block_hash": newest["hash"]}
    without = huzheng("verify", receipt, *trusting, "-o", "json")
    assert (without.status, without.json["error"]["code"]) == (4, "BAD_PROOF")


def test_nodes_are_compared(huzheng: CommandLine, profile: tuple[str, Path], unit: int) -> None:
    found = huzheng("chain", "compare", *profile, "-o", "json").json
    assert [node["same_chain"] for node in found["nodes"]] == [True]
    assert found["height"] >= 1


def test_what_was_the_newest_at_a_time_is_proved(
    huzheng: CommandLine, profile: tuple[str, Path], tmp_path: Path, unit: int
) -> None:
    first = huzheng("record", "get", OBJECTION, unit_code(unit), *profile, "-o", "json").json
    submit(huzheng, profile, tmp_path, unit, "revoke")
    newest = huzheng("record", "get", OBJECTION, unit_code(unit), *profile, "-o", "json").json
    about = ("record", "get", OBJECTION, unit_code(unit), *profile, "-o", "json", "--at")
    then = huzheng(*about, newest["height"] - 1).json
    assert (then["record_id"], then["replaced_at"]["height"]) == (first["record_id"], newest["height"])
    by_time = huzheng(*about, first["time"].replace("Z", "+00:00")).json
    assert by_time["record_id"] == first["record_id"]
    assert huzheng(*about, "2001-01-01").status == 6
    assert huzheng(*about, "someday").status == 2


def test_a_proof_is_taken_apart(huzheng: CommandLine, profile: tuple[str, Path], tmp_path: Path, unit: int) -> None:
    file = tmp_path / "s"
    assert huzheng("statement", "get", "property", unit_code(unit), "--out", file, *profile).status == 0
    shown = huzheng("receipt", "show", file, "-o", "json").json
    assert (shown["kind"], shown["bytes"]) == ("Statement", file.stat().st_size)
    assert set(shown["parts"]) == {"header", "certificate", "leaves", "records", "entries"}


def test_a_certificate_is_printed_read_back_and_found_out_when_it_no_longer_holds(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path
) -> None:
    number, page = unit_code(next(_units)), tmp_path / "page.pdf"
    line: dict[str, Any] = {"resource": "property.ownership", "subject": number, "fields": FEW_FIELDS}
    assert huzheng("submit", write_lines(tmp_path / "a.jsonl", [line]), *profile).status == 0
    made = huzheng("certificate", number, "--out", page, *profile, "-o", "json").json
    assert (made["subject"], made["certificate_number"]) == (number, FEW_FIELDS["BDCQZH"])
    read = huzheng("verify", page, *profile, "-o", "json")
    answers = {answer["resource"]: answer for answer in read.json["answers"]}
    assert (read.status, read.json["still"]["holds"]) == (0, True)
    assert answers["property.ownership"]["record"]["fields"] == FEW_FIELDS
    assert not answers["property.seizure"]["in_force"]
    # What proves that there are no other resources in the register is not printed.
    stated = tmp_path / "flat.statement"
    assert huzheng("statement", "get", "property", number, "--out", stated, *profile).status == 0
    assert huzheng("certificate", "--statement", stated, "-g", network.genesis, "--out", page).status == 0
    assert huzheng("verify", page, *profile).status == 0
    withdrawn = line | {"action": "revoke"}
    del withdrawn["fields"]
    assert huzheng("submit", write_lines(tmp_path / "b.jsonl", [withdrawn]), *profile).status == 0
    later = huzheng("verify", page, *profile, "-o", "json")
    assert (later.status, later.json["valid"], later.json["still"]["holds"]) == (5, True, False)
    assert huzheng("verify", page, "-g", network.genesis, "--offline").status == 0
    refused = huzheng("certificate", number, "--out", page, *profile, "-o", "json")
    assert refused.status != 0


def test_a_picture_without_codes_says_so(huzheng: CommandLine, network: Network, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    Image.new("L", (600, 800), 255).save(blank)
    ran = huzheng("verify", blank, "-g", network.genesis, "-o", "json")
    assert (ran.status, ran.json["error"]["code"]) == (4, "BAD_FILE")


def test_a_statement_about_what_only_looks_like_a_subject_is_not_believed(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path, unit: int
) -> None:
    """No node gives one out; made by one that would, it says what is true: nothing was ever registered about that."""
    number = unit_code(unit) + " "
    question = pb.GetStatementRequest(questions=[pb.StatementQuestion(resource=OBJECTION, subject=number)])
    session = Session(Output(OutputFormat.TABLE, Texts("en")), profile[1])
    with pytest.raises(HuzhengError) as caught:
        with_client(session, lambda client: client.statement(question))
    assert caught.value.code is Code.BAD_SUBJECT
    consortium = Consortium(ED25519_SHA256)
    chain = consortium.chain()
    chain.add_null()
    store = stored(tmp_path / "db", chain)
    genesis, statement = tmp_path / "g", tmp_path / "s"
    genesis.write_bytes(consortium.genesis.raw)
    statement.write_bytes(store.statement([Question(OBJECTION, number)]))
    store.close()
    ran = huzheng("verify", statement, "-g", genesis, "-o", "json")
    assert (ran.status, ran.json["error"]["code"]) == (4, "BAD_SUBJECT")


def test_a_statement_of_a_later_epoch_is_verified_with_what_tells_of_the_members(
    huzheng: CommandLine, tmp_path: Path
) -> None:
    """As a printed certificate is, which leaves that out."""
    consortium = Consortium(ED25519_SHA256, parameters=Parameters(watermark_window=WINDOW))
    chain = consortium.chain()
    changed = chain.add(change_transaction(consortium, add(consortium, 5))).height
    grow_to(chain, changed + WINDOW + 2)
    store = stored(tmp_path / "db", chain)
    genesis, statement, epochs = tmp_path / "g", tmp_path / "s", tmp_path / "e"
    genesis.write_bytes(consortium.genesis.raw)
    statement.write_bytes(store.statement([Question(OBJECTION, unit_code(1))]))
    epochs.write_bytes(strict.write(statement_pb2.EpochBundle(epochs=store.epoch_proofs(1))))
    store.close()
    without = huzheng("verify", statement, "-g", genesis, "-o", "json")
    assert (without.status, without.json["error"]["code"]) == (4, "EPOCH_UNKNOWN")
    ran = huzheng("verify", statement, "-g", genesis, "--epochs", epochs, "-o", "json")
    assert (ran.status, ran.json["epoch"]) == (0, 1)
