"""Lists of reads and grants as a node proves them, what comes of nodes that lie about them, and what of that holds offline (docs/protocol.md G8, Q8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import audit_pb2 as audit
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1 import sharing_pb2, transaction_pb2

from ledger.crypto import ED25519_SHA256
from ledger.errors import Code, HuzhengError
from node import light_client
from node.cli.audit_proofs import LIST_NAME, make_empty, read_proofs, write_proofs
from node.cli.audit_views import Listing, field_names, status_of
from node.light_client import LightClient
from node.sharing.proving import ProvenReads, prove_grants, prove_reads
from tests.command_line import CommandLine
from tests.integration.test_audit_service import about, code_of
from tests.memberships import store_up_to
from tests.plain_client import serving
from tests.sharing import FREE, REGISTER, SUBJECTS, Sharing, acknowledge, end, publish, read, resource, terms
from tests.stored_node import Stage, StoredNode

FIRST, SECOND, _ = SUBJECTS
Change = Callable[[audit.ListReadsResponse], object]


@pytest.fixture
def world() -> Sharing:
    """Reads of one subject under two grants: one acknowledged, one not, one refused; and one of another subject."""
    world = Sharing(ED25519_SHA256)
    grant, other = world.grant(), world.grant(by="housing")
    world.must("tax", acknowledge(world.read(grant, case_number="案7", fields=[2, 3])))
    world.one("tax", read(grant, fields=[4]))
    world.read(other, by="housing")
    world.read(grant, SECOND)
    return world


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light_client, "_PATIENCE_S", 0.0)


def play(directory: Path, world: Sharing, scenario: Callable[[StoredNode, LightClient], Awaitable[None]]) -> None:
    """A node that has the world's blocks, and a client that believes no node."""

    async def run() -> None:
        directory.mkdir(exist_ok=True)
        stage = Stage(world.consortium, directory, [])
        node = stage.node(world.chain)
        async with serving(node) as endpoint, stage.client(endpoint) as client:
            await scenario(node, LightClient(client, stage.anchors(kept=False)))
        node.store.close()

    asyncio.run(run())


def lie(node: StoredNode, change: Change) -> None:
    """From now on the node alters its lists of reads like that."""

    def alter(response: Any) -> None:
        if isinstance(response, audit.ListReadsResponse):
            change(response)

    node.alter = alter


async def ended(call: Awaitable[object]) -> Code:
    with pytest.raises(HuzhengError) as caught:
        await call
    return caught.value.code


def requests(world: Sharing) -> tuple[audit.ListReadsRequest, ...]:
    grant = next(key[1:] for key in world.chain.state if key.startswith(b"g"))
    by_grant = audit.ListReadsRequest(grant=grant)
    return about(), by_grant, audit.ListReadsRequest(reader="tax"), audit.ListReadsRequest(owner="planning")


# --- what is proved ---


def test_each_read_is_proved_and_of_a_subject_or_grant_that_none_is_missing(tmp_path: Path, world: Sharing) -> None:
    async def scenario(_node: StoredNode, light: LightClient) -> None:
        found = await prove_reads(light, about())
        assert [(status_of(item), code_of(item)) for item in found.reads] == [
            ("read", "ACCEPTED"),
            ("refused", "OUTSIDE_GRANT"),
            ("requested", "ACCEPTED"),
        ]
        assert {(item.owner, item.resource, item.purpose) for item in found.reads} == {("planning", REGISTER, "契税")}
        assert field_names(found.reads[0]) == ["OWNER", "PRICE"]
        assert found.account is not None
        assert (found.account.reads.count, found.account.height, found.account.is_proven) == (
            2,
            world.chain.tip.height,
            True,
        )
        for request in requests(world):
            proved = await prove_reads(light, request)
            assert (proved.account is None) is not (request.HasField("subject") or request.HasField("grant"))
        never = await prove_reads(light, about(SUBJECTS[2]))
        assert (never.reads, never.account and never.account.reads.count) == ((), 0)
        assert await ended(prove_reads(light, audit.ListReadsRequest(grant=bytes(32)))) is Code.NOT_FOUND

    play(tmp_path, world, scenario)


def test_a_long_list_is_proved_by_as_many_statements_as_it_takes(tmp_path: Path, world: Sharing) -> None:
    grant = world.grant(terms(max_reads=200))
    for _ in range(10):
        world.must("tax", *[read(grant)] * 15)

    async def scenario(_node: StoredNode, light: LightClient) -> None:
        found = await prove_reads(light, audit.ListReadsRequest(grant=grant, page_size=64))
        assert (len(found.reads), found.account and found.account.reads.count) == (150, 150)
        # The grant, 150 reads in three, the resource, its newest version.
        assert len(found.statements) == 6

    play(tmp_path, world, scenario)


def test_a_read_that_came_after_the_block_is_left_out(tmp_path: Path, world: Sharing) -> None:
    grant = world.grant(terms(max_reads=100))
    before = world.read(grant)

    async def scenario(node: StoredNode, light: LightClient) -> None:
        def meanwhile(response: Any) -> None:
            """A block comes with each statement, so that the list is of a later one."""
            if isinstance(response, pb.GetStatementResponse):
                world.read(grant)
                store_up_to(node.store, world.chain, world.chain.tip.height)

        node.alter = meanwhile
        for request in (about(), audit.ListReadsRequest(grant=grant), audit.ListReadsRequest(owner="planning")):
            height = world.chain.tip.height
            found = await prove_reads(light, request)
            assert max(item.position.height for item in found.reads) <= height < world.chain.tip.height
            assert found.account is None or found.account.height == height
        assert before in {item.read_id for item in found.reads}

    play(tmp_path, world, scenario)


def test_a_list_that_is_older_than_what_was_proved_is_asked_for_again(
    tmp_path: Path, world: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [True, True, False]

    def older(answer: audit.ListReadsResponse) -> None:
        if old.pop(0):
            del answer.reads[-1]
            answer.height -= 1

    async def scenario(node: StoredNode, light: LightClient) -> None:
        lie(node, older)
        assert await ended(prove_reads(light, about())) is Code.NODE_BEHIND
        monkeypatch.setattr(light_client, "_PATIENCE_S", 10.0)
        assert len((await prove_reads(light, about())).reads) == 3
        assert not old

    play(tmp_path, world, scenario)


# --- lies ---


def _hide(answer: audit.ListReadsResponse) -> None:
    del answer.reads[0]
    answer.account.count -= 1


def _hide_and_count_anew(answer: audit.ListReadsResponse) -> None:
    """All but the first, with an account that fits them."""
    from ledger.sharing.reading import count_in

    del answer.reads[0]
    answer.account.Clear()
    for item in answer.reads:
        if item.HasField("state"):
            count_in(ED25519_SHA256, answer.account, item.read_id)


def _move_on(answer: audit.ListReadsResponse) -> None:
    """The first read is said to have come later, where it would be left out."""
    item = answer.reads[-1]
    item.position.height = item.state.height = item.position.height + 1_000


@pytest.mark.parametrize("change", [_hide, _hide_and_count_anew, _move_on])
def test_a_node_that_hides_a_read_is_found_out(tmp_path: Path, world: Sharing, change: Change) -> None:
    async def scenario(node: StoredNode, light: LightClient) -> None:
        lie(node, change)
        for request in requests(world)[:2]:
            assert await ended(prove_reads(light, request)) is Code.UNTRUSTED_ANSWER

    play(tmp_path, world, scenario)


def test_a_node_that_says_that_there_is_no_such_grant_is_found_out(tmp_path: Path, world: Sharing) -> None:
    def refuse(response: Any) -> None:
        if isinstance(response, audit.ListReadsResponse):
            raise HuzhengError(Code.NOT_FOUND, "grant")

    async def scenario(node: StoredNode, light: LightClient) -> None:
        node.refuse = refuse
        assert await ended(prove_reads(light, requests(world)[1])) is Code.UNTRUSTED_ANSWER

    play(tmp_path, world, scenario)


def _twice(number: int) -> Change:
    """A read, and the same once more at another place of its block."""

    def change(answer: audit.ListReadsResponse) -> None:
        told = list(answer.reads)
        again = audit.ListedRead.FromString(told[number].SerializeToString())
        again.position.transaction_index += 1
        del answer.reads[:]
        answer.reads.extend([*told[: number + 1], again, *told[number + 1 :]])

    return change


def _both(name: str, value: Any) -> Change:
    """What was asked for and what the state has, altered alike."""

    def change(answer: audit.ListReadsResponse) -> None:
        setattr(answer.reads[0].asked, name, value)
        setattr(answer.reads[0].state, name, value)

    return change


def _first(name: str, value: Any) -> Change:
    return lambda answer: setattr(answer.reads[0], name, value)


def _reader(answer: audit.ListReadsResponse) -> None:
    answer.reads[0].owner = answer.reads[0].state.owner = "police"


def _fields(answer: audit.ListReadsResponse) -> None:
    del answer.reads[0].asked.fields[-1], answer.reads[0].state.fields[-1]


def _refused(name: str, value: Any) -> Change:
    return lambda answer: setattr(answer.reads[1], name, value)


def _refused_case(answer: audit.ListReadsResponse) -> None:
    answer.reads[1].asked.case_number = "案9"


def _said_to_be_refused(answer: audit.ListReadsResponse) -> None:
    answer.reads[0].code = transaction_pb2.RESULT_CODE_OUTSIDE_GRANT
    answer.reads[0].ClearField("state")


def _said_to_be_accepted(answer: audit.ListReadsResponse) -> None:
    item = answer.reads[1]
    item.code, item.code_index = transaction_pb2.RESULT_CODE_ACCEPTED, 0
    state = sharing_pb2.ReadState(
        grant=item.asked.grant,
        reader=item.reader,
        owner=item.owner,
        resource=item.resource,
        subject=item.asked.subject,
        case_number=item.asked.case_number,
        fields=item.asked.fields,
        reader_key=item.asked.reader_key,
        height=item.position.height,
        time_ms=item.time_ms,
    )
    item.state.CopyFrom(state)


@pytest.mark.parametrize(
    "change",
    [
        _both("case_number", "案8"),
        _both("reader_key", b"\x08" * 32),
        _both("grant", b"\x09" * 32),
        _fields,
        _reader,
        _first("purpose", "别的"),
        _first("legal_basis", "别的"),
        _refused("purpose", "别的"),
        _refused("code", transaction_pb2.RESULT_CODE_GRANT_EXPIRED),
        _refused("code_index", 1),
        _refused("time_ms", 1),
        _refused_case,
        _said_to_be_refused,
        _said_to_be_accepted,
        _twice(0),
        _twice(1),
    ],
)
def test_a_node_that_alters_a_read_is_found_out_whatever_the_list_is_about(
    tmp_path: Path, world: Sharing, change: Change
) -> None:
    async def scenario(node: StoredNode, light: LightClient) -> None:
        lie(node, change)
        for request in (about(), audit.ListReadsRequest(reader="tax")):
            assert await ended(prove_reads(light, request)) is Code.UNTRUSTED_ANSWER

    play(tmp_path, world, scenario)


def test_what_fields_are_called_and_what_was_acknowledged_is_as_proved(tmp_path: Path, world: Sharing) -> None:
    def change(answer: audit.ListReadsResponse) -> None:
        answer.reads[0].field_names[:] = ["NOTE", "NOTE"]
        answer.reads[0].state.acknowledged_ms = 0
        answer.reads[-1].state.acknowledged_ms = 7

    async def scenario(node: StoredNode, light: LightClient) -> None:
        lie(node, change)
        found = (await prove_reads(light, about())).reads
        assert (field_names(found[0]), status_of(found[0]), status_of(found[-1])) == (
            ["OWNER", "PRICE"],
            "read",
            "requested",
        )

    play(tmp_path, world, scenario)


def test_fields_are_called_as_in_the_newest_schema_version(tmp_path: Path, world: Sharing) -> None:
    newer = resource(schema_version=2)
    del newer.fields[2]
    world.must("planning", publish(newer))

    async def scenario(_node: StoredNode, light: LightClient) -> None:
        assert field_names((await prove_reads(light, about())).reads[0]) == ["OWNER", "#3"]

    play(tmp_path, world, scenario)


# --- grants ---


def test_grants_are_proved_one_by_one(tmp_path: Path, world: Sharing) -> None:
    free = world.grant_id(world.must("tax", apply_for_free()))
    world.must("tax", end(free))

    async def scenario(_node: StoredNode, light: LightClient) -> None:
        ids = [item.grant async for item in light.client.grants(audit.ListGrantsRequest(applicant="tax"))]
        found = await prove_grants(light, ids)
        assert [item.id for item in found] == ids
        assert [item.state for item in found] == [world.grant_state(item) for item in ids]
        assert {(item.terms.resource, *item.field_names) for item in found} == {
            (REGISTER, "OWNER", "PRICE"),
            (FREE, "OWNER", "PRICE"),
        }
        assert {item.height for item in found} == {world.chain.tip.height}
        assert await ended(prove_grants(light, [bytes(32)])) is Code.NOT_FOUND
        assert await prove_grants(light, []) == []

    play(tmp_path, world, scenario)


def apply_for_free() -> transaction_pb2.Operation:
    from tests.sharing import apply_for

    return apply_for(terms(resource=FREE))


# --- offline ---


@pytest.fixture
def kept(tmp_path: Path, world: Sharing) -> Callable[..., Path]:
    """Keeps the list that a request is about, with its proofs."""

    def keep(request: audit.ListReadsRequest, name: str = "kept") -> Path:
        async def scenario(_node: StoredNode, light: LightClient) -> None:
            found: ProvenReads = await prove_reads(light, request, whole=True)
            listing = Listing(request, found.reads, found.account, is_proven=True)
            make_empty(tmp_path / name)
            write_proofs(tmp_path / name, listing, found)

        play(tmp_path / f"of-{name}", world, scenario)
        return tmp_path / name

    return keep


def test_what_was_kept_is_proved_offline(
    kept: Callable[..., Path],
    world: Sharing,
    huzheng: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    genesis = tmp_path / "genesis.bin"
    genesis.write_bytes(world.consortium.genesis.raw)
    for number, request in enumerate(requests(world)):
        folder = kept(request, f"kept-{number}")
        listing = read_proofs(folder, world.consortium.genesis)
        assert listing.request == request
        assert (listing.account is None) is (number > 1)
        assert {status_of(item) for item in listing.reads} >= {"read", "refused"}
    files = sorted(folder.glob("*.*t"))
    assert {path.suffix for path in files} == {".statement", ".receipt"}
    by_itself = huzheng("verify", *files, "-g", genesis, "--offline", "-o", "json")
    # The receipts prove refusals.
    assert by_itself.status == 5
    shown = huzheng("audit", "verify", folder, "-g", genesis)
    assert (shown.status, "refused: OUTSIDE_GRANT" in shown.out) == (0, True)
    told = huzheng("audit", "verify", folder, "-g", genesis, "-o", "json").json
    assert told == json.loads((folder / LIST_NAME).read_bytes())


def _edit(change: Callable[[Any], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        shown = json.loads((folder / LIST_NAME).read_bytes())
        change(shown)
        (folder / LIST_NAME).write_text(json.dumps(shown), encoding="utf-8")

    return edit


def _row(name: str, value: object) -> Callable[[Path], None]:
    return _edit(lambda shown: shown["reads"][0].update({name: value}))


def _without(suffix: str) -> Callable[[Path], None]:
    return lambda folder: sorted(folder.glob(f"*{suffix}"))[0].unlink()


@pytest.mark.parametrize(
    "change",
    [
        _row("case_number", "案8"),
        _row("reader", "housing"),
        _row("legal_basis", "别的"),
        _row("fields", ["OWNER"]),
        _row("acknowledged", None),
        _row("operation_index", 1),
        _row("operation_index", 1_000),
        _row("more", 1),
        _edit(lambda shown: shown["reads"].pop(0)),
        _edit(lambda shown: shown["reads"].reverse()),
        _edit(lambda shown: shown["reads"].append(shown["reads"][1])),
        _edit(lambda shown: shown["complete"].update(height=1)),
        _edit(lambda shown: shown["complete"].update(accepted=1)),
        _edit(lambda shown: shown["about"].update(subject=SECOND)),
        _edit(lambda shown: shown.update(about={"department": "housing"}, complete=None)),
        _without(".statement"),
        _without(".receipt"),
    ],
)
def test_nothing_in_what_was_kept_can_be_changed(
    kept: Callable[..., Path], world: Sharing, change: Callable[[Path], None]
) -> None:
    folder = kept(about())
    change(folder)
    with pytest.raises(HuzhengError) as caught:
        read_proofs(folder, world.consortium.genesis)
    assert caught.value.code is Code.BAD_PROOF


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "{}", '{"about": {"grant": 1}, "reads": []}', '{"about": {}, "reads": []}', "[" * 100_000]
)
def test_what_is_no_list_is_said_to_be_none(kept: Callable[..., Path], world: Sharing, text: str) -> None:
    folder = kept(about())
    (folder / LIST_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(HuzhengError) as caught:
        read_proofs(folder, world.consortium.genesis)
    assert caught.value.code is Code.BAD_FILE


def test_proofs_that_prove_nothing_are_named_and_nothing_is_written_over(
    kept: Callable[..., Path], world: Sharing
) -> None:
    folder = kept(about())
    with pytest.raises(HuzhengError) as caught:
        make_empty(folder)
    assert caught.value.code is Code.INVALID_REQUEST
    statement = sorted(folder.glob("*.statement"))[0]
    statement.write_bytes(statement.read_bytes()[:-1])
    with pytest.raises(HuzhengError) as caught:
        read_proofs(folder, world.consortium.genesis)
    assert statement.name in caught.value.detail
