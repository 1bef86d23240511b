"""A client that believes no node: what it makes of nodes that lie, lag, leave out, or have another chain (docs/protocol.md H6)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from huzheng.v1 import block_pb2, history_pb2, statement_pb2
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.block import ExecutedBlock, read_header
from ledger.crypto import Domain, Height, Membership, strict
from ledger.epochs import first_epoch
from ledger.errors import Code, HuzhengError
from ledger.history import verify_fork, verify_history
from ledger.statement import Question, verify_statement
from node import light_client
from node.anchor_file import AnchorStore
from node.cli.connection import first_believed
from node.cli.moment import Moment
from node.cli.output import Output, OutputFormat
from node.cli.proved import prove_history, prove_newest_at, prove_record
from node.cli.session import Session
from node.cli.texts import Texts
from node.client import LedgerClient
from node.connections import Endpoint
from node.errors import RemoteError
from node.light_client import LightClient, compare_nodes
from tests.builders import OBJECTION, Chain, Consortium, unit_code
from tests.memberships import add, carry_out, change_transaction, changeable, grow_to, store_up_to, terms_at
from tests.plain_client import code_of, in_a_loop, serving
from tests.stored_node import Stage

Sealed = tuple[bytes, bytes]
"""A header and its certificate."""
ASKED = Question(OBJECTION, unit_code(1))


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light_client, "_PATIENCE_S", 0.0)


def versions_of(consortium: Consortium, count: int = 3, unit: int = 1) -> Chain:
    """A chain with so many versions about one unit, each in a block of its own."""
    chain, replaces = consortium.chain(), b""
    for version in range(1, count + 1):
        record = consortium.record(unit, version, replaces)
        chain.add(consortium.transaction([record], nonce=version))
        replaces = record.id
    return chain


def forked(consortium: Consortium) -> Chain:
    """Another chain of the same consortium, whose seals are good: its keys were stolen."""
    chain = consortium.chain()
    for number in range(5):
        chain.add(consortium.transaction([consortium.record(50 + number)], nonce=500 + number))
    return chain


@in_a_loop
async def test_it_goes_on_from_what_it_has_verified_and_asks_for_no_more(stage: Stage) -> None:
    chain = versions_of(stage.consortium)
    node = stage.node(chain)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        first = await light.statement([ASKED])
        assert (first.verdict.answers[ASKED].version, light.anchor.height) == (3, 3)
        assert node.asked[-1].seen_height == 0
        chain.add_null()
        store_up_to(node.store, chain, 4)
        # Another process goes on from the file.
        later = LightClient(client, stage.anchors())
        assert later.anchor == light.anchor
        assert (await later.statement([ASKED])).verdict.height == 4
        assert (node.asked[-1].seen_height, stage.anchors().anchor.height) == (3, 4)
    assert (stage.path / "anchor").stat().st_size < 1_000


@in_a_loop
async def test_it_skips_from_epoch_to_epoch(stage: Stage) -> None:
    stage.consortium = consortium = changeable()
    chain = consortium.chain()
    window = consortium.genesis.parameters.watermark_window
    changed = chain.add(change_transaction(consortium, add(consortium, 5))).height
    node = stage.node(chain)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        await light.move_on()
        assert light.anchor.terms.epoch == 0
        grow_to(chain, changed + window + 2)
        store_up_to(node.store, chain, chain.tip.height)
        assert (await light.move_on()).terms.membership.n == 5
        # The file tells the members: none of the way there is needed any more.
        later = LightClient(client, stage.anchors())
        await later.move_on()
        assert (node.asked[-1].known_epoch, len(node.asked[-1].questions)) == (1, 0)
        whole = (await later.statement([ASKED], whole=True)).raw
    assert verify_statement(whole, consortium.genesis).epoch == 1


@in_a_loop
async def test_records_are_proved_and_nodes_compared_when_the_members_have_changed(stage: Stage) -> None:
    stage.consortium = consortium = changeable()
    chain = consortium.chain()
    carry_out(chain, [add(consortium, 5)])
    chain.add_null()
    async with serving(stage.node(chain)) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        assert (await light.move_on()).terms.epoch == 1
        for unit in (1, 2):
            found = await prove_record(light, client, [OBJECTION, unit_code(unit)], 0)
            assert found.located.current
        assert [standing.error for standing in await compare_nodes(client, stage.anchors())] == [None]


@in_a_loop
async def test_a_node_that_is_behind_is_not_believed_and_another_is_asked(stage: Stage) -> None:
    chain = versions_of(stage.consortium)
    async with serving(stage.node(chain)) as ahead, serving(stage.node(chain, 2)) as behind:
        async with stage.client(ahead) as client:
            await LightClient(client, stage.anchors()).move_on()
        async with stage.client(behind) as client:
            assert await code_of(LightClient(client, stage.anchors()).move_on()) is Code.NODE_BEHIND
        async with stage.client(behind, ahead) as client:
            found = await LightClient(client, stage.anchors()).statement([ASKED])
            assert found.verdict.answers[ASKED].version == 3


@in_a_loop
async def test_a_node_with_another_chain_is_found_out_and_the_proof_kept(stage: Stage) -> None:
    genesis = stage.consortium.genesis
    async with serving(stage.node(versions_of(stage.consortium))) as one, stage.client(one) as client:
        await LightClient(client, stage.anchors()).move_on()
    async with serving(stage.node(forked(stage.consortium))) as other, stage.client(other) as client:
        light = LightClient(client, stage.anchors())
        assert await code_of(light.move_on()) is Code.FORKED
        with pytest.raises(HuzhengError) as caught:
            await light.statement([ASKED])
    assert caught.value.code is Code.FORKED
    evidence = stage.path / "evidence" / "3.fork"
    assert str(evidence) in caught.value.detail
    assert {block.height for block in verify_fork(evidence.read_bytes(), genesis)} == {3}
    assert light.anchor.hash == stage.anchors().anchor.hash


@in_a_loop
async def test_a_block_of_another_height_is_not_taken_for_another_chain(stage: Stage) -> None:
    """A lone node that lies must not be able to raise the alarm of a fork, nor to spoil a proof of one that is kept."""
    node = stage.node(versions_of(stage.consortium))
    lower = node.store.block(Height(2))
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        await light.move_on()

        def alter(response: Any) -> None:
            if isinstance(response, pb.GetStatementResponse):
                response.statement = response.statement[:-1]
            if isinstance(response, pb.GetBlockResponse):
                response.block = lower

        node.alter = alter
        assert await code_of(light.statement([ASKED])) is Code.UNTRUSTED_ANSWER
        [standing] = await compare_nodes(client, stage.anchors())
        assert standing.error is not None
        assert standing.error.code is Code.UNTRUSTED_ANSWER
    assert not (stage.path / "evidence").exists()


@in_a_loop
async def test_a_proof_of_a_fork_that_is_kept_is_not_replaced(stage: Stage) -> None:
    first, second = (stage.node(chain) for chain in (versions_of(stage.consortium), forked(stage.consortium)))
    async with serving(first) as endpoint, stage.client(endpoint) as client:
        await LightClient(client, stage.anchors()).move_on()
    async with serving(second) as endpoint, stage.client(endpoint) as client:
        assert await code_of(LightClient(client, stage.anchors()).statement([ASKED])) is Code.FORKED
    evidence = stage.path / "evidence" / "3.fork"
    kept = evidence.read_bytes()
    assert str(evidence) in stage.anchors().keep_fork(b"nothing", 3)
    assert evidence.read_bytes() == kept
    evidence.write_bytes(b"cut off")
    stage.anchors().keep_fork(kept, 3)
    assert evidence.read_bytes() == kept


def _cut_off(response: Any) -> None:
    if isinstance(response, pb.GetStatementResponse):
        response.statement = response.statement[:-1]


async def _version(session: Session, client: LedgerClient, anchors: AnchorStore) -> int:
    """What a command makes of the nodes."""
    stated = await first_believed(session, client, lambda client: LightClient(client, anchors).statement([ASKED]))
    return stated.verdict.answers[ASKED].version


@in_a_loop
async def test_after_a_node_that_is_not_believed_the_next_one_is_asked(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, session = versions_of(stage.consortium), Session(Output(OutputFormat.TABLE, Texts("en")))
    bad, good = stage.node(chain), stage.node(chain)
    async with serving(bad) as first, serving(good) as second:
        async with stage.client(second) as client:
            await LightClient(client, stage.anchors()).move_on()
        bad.alter = _cut_off
        async with stage.client(first, second) as client:
            assert await _version(session, client, stage.anchors()) == 3
            asked = len(bad.asked)
            # What was not believed is not asked again.
            assert await _version(session, client, stage.anchors()) == 3
            assert len(bad.asked) == asked > 0
    told = capsys.readouterr().err
    assert f"{first.address} (planning, 1) is not believed, the next one is asked." in " ".join(told.split())


@in_a_loop
async def test_a_proof_of_a_fork_ends_a_command_whatever_the_next_node_says(stage: Stage) -> None:
    chain, session = versions_of(stage.consortium), Session(Output(OutputFormat.TABLE, Texts("en")))
    async with serving(stage.node(forked(stage.consortium))) as first, serving(stage.node(chain)) as second:
        async with stage.client(second) as client:
            await LightClient(client, stage.anchors()).move_on()
        async with stage.client(first, second) as client:
            with pytest.raises(HuzhengError) as caught:
                await _version(session, client, stage.anchors())
    assert caught.value.code is Code.FORKED
    assert (stage.path / "evidence" / "3.fork").exists()


@in_a_loop
async def test_programs_are_told_of_a_node_that_is_not_believed_too(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, session = versions_of(stage.consortium), Session(Output(OutputFormat.JSON, Texts("en")))
    bad, good = stage.node(chain), stage.node(chain)
    bad.alter = _cut_off
    async with serving(bad) as first, serving(good) as second, stage.client(first, second) as client:
        assert await _version(session, client, stage.anchors()) == 3
    told = json.loads(capsys.readouterr().err)["not_believed"]
    assert (told["node"], told["code"]) == (f"{first.address} (planning, 1)", "UNTRUSTED_ANSWER")


@pytest.mark.parametrize("last", ["liar", "gone"])
@in_a_loop
async def test_where_no_node_is_believed_the_error_says_why_of_each(stage: Stage, last: str) -> None:
    chain, session = versions_of(stage.consortium), Session(Output(OutputFormat.TABLE, Texts("en")))
    bad, other = stage.node(chain), stage.node(chain)
    async with serving(bad) as first, serving(other) as second:
        async with stage.client(first) as client:
            await LightClient(client, stage.anchors()).move_on()
        bad.alter = _cut_off
        other.alter = _cut_off if last == "liar" else other.alter
        end = Endpoint("127.0.0.1:9", "planning", 1) if last == "gone" else second
        async with stage.client(first, end) as client:
            with pytest.raises(HuzhengError) as caught:
                await _version(session, client, stage.anchors())
    assert caught.value.code is Code.UNTRUSTED_ANSWER
    assert first.address in caught.value.detail
    assert end.address in caught.value.detail


def _flip(field: str, position: int) -> Callable[[Any], None]:
    def alter(response: Any) -> None:
        if isinstance(response, pb.GetStatementResponse):
            raw = bytearray(getattr(response, field))
            raw[position % len(raw)] ^= 1 << position % 8
            setattr(response, field, bytes(raw))

    return alter


@pytest.mark.parametrize("field", ["statement", "history"])
@in_a_loop
async def test_no_bit_of_an_answer_can_be_changed(stage: Stage, field: str) -> None:
    node = stage.node(versions_of(stage.consortium))
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        for position in range(0, 1_500, 7):
            node.alter = _flip(field, position)
            light = LightClient(client, stage.anchors(kept=False))
            assert await code_of(light.statement([ASKED])) is Code.UNTRUSTED_ANSWER
            assert await code_of(light.move_on()) is Code.UNTRUSTED_ANSWER
            assert light.anchor.height == 0


@in_a_loop
async def test_an_answer_to_another_question_is_none(stage: Stage) -> None:
    node = stage.node(versions_of(stage.consortium))
    other = node.store.statement([Question(OBJECTION, unit_code(2))])
    elsewhere = node.store.statement([Question("tax.deed_tax", unit_code(1))])
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        for raw in (other, elsewhere):
            node.alter = lambda response, raw=raw: setattr(response, "statement", raw)  # type: ignore[misc]
            light = LightClient(client, stage.anchors(kept=False))
            assert await code_of(light.statement([ASKED])) is Code.UNTRUSTED_ANSWER


@in_a_loop
async def test_an_old_statement_is_not_passed_off_as_new(stage: Stage) -> None:
    chain = versions_of(stage.consortium)
    old = stage.node(chain, 1).store.statement([ASKED])
    node = stage.node(chain)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        await light.move_on()

        def alter(response: Any) -> None:
            if isinstance(response, pb.GetStatementResponse):
                response.statement = old
                response.history = node.store.history_proof(Height(1), Height(3), with_certificates=False)

        node.alter = alter
        assert await code_of(light.statement([ASKED])) is Code.UNTRUSTED_ANSWER
        assert await code_of(light.move_on()) is Code.UNTRUSTED_ANSWER
    assert light.anchor.height == 3


def _sealed_by(consortium: Consortium, block: ExecutedBlock, membership: Membership, history_root: bytes) -> Sealed:
    """A block as whoever has these members' keys can make it: on top of any history that he likes."""
    header = read_header(block.header)
    header.epoch, header.history_root = membership.epoch, history_root
    raw = strict.write(header)
    forged = replace(block, header=raw, block_hash=consortium.suite.digest(Domain.BLOCK, raw))
    return raw, consortium.certificate(forged, membership)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("another_epoch", [False, True])
@in_a_loop
async def test_keys_of_an_epoch_that_is_over_seal_nothing_later_than_the_anchor(
    stage: Stage, whole: bool, another_epoch: bool
) -> None:
    """Whether they go on with their own epoch, or let in other members than the chain did."""
    stage.consortium = consortium = changeable()
    chain, fork = consortium.chain(), consortium.chain()
    for each, name in ((chain, "replica 5"), (fork, "thief")):
        each.add(change_transaction(consortium, add(consortium, 5, key=name)))
        grow_to(each, 12)
    node, thief = stage.node(chain, 10), stage.node(fork, 12)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        await light.move_on()
        assert (light.anchor.height, light.anchor.terms.epoch) == (10, 1)
        store_up_to(node.store, chain, 12)
        terms = terms_at(fork, 12) if another_epoch else first_epoch(consortium.genesis)
        newest = fork.blocks[12]
        sealed = _sealed_by(consortium, newest, terms.membership, read_header(chain.blocks[12].header).history_root)

        def alter(response: Any) -> None:
            if not isinstance(response, pb.GetStatementResponse):
                return
            statement = statement_pb2.Statement.FromString(thief.store.statement([ASKED]))
            statement.header, statement.certificate = sealed
            history = history_pb2.HistoryProof.FromString(response.history)
            history.header = sealed[0]
            response.statement, response.history = strict.write(statement), strict.write(history)
            del response.epochs[:]
            if another_epoch and whole:
                response.epochs.extend(thief.store.epoch_proofs(1))
            elif another_epoch:
                statement.epochs.extend(thief.store.epoch_proofs(1))
                response.statement = strict.write(statement)

        node.alter = alter
        assert await code_of(light.statement([ASKED], whole=whole)) is Code.UNTRUSTED_ANSWER
        # Seals of those who stayed are good in the anchor's epoch too; in a statement of its own epochs others had voted.
        if whole or not another_epoch:
            assert await code_of(light.move_on()) is Code.UNTRUSTED_ANSWER
        assert stage.anchors().anchor.height == 10


@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.FORKED, Code.UNTRUSTED_ANSWER])
@in_a_loop
async def test_a_node_s_word_is_not_taken_for_what_a_client_has_proved(stage: Stage, code: Code) -> None:
    node = stage.node(versions_of(stage.consortium))

    def refuse(response: Any) -> None:
        if isinstance(response, pb.GetStatementResponse):
            raise HuzhengError(code, "proved as of block 3: there never was one")

    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        node.refuse = refuse
        for version in (0, 1):
            with pytest.raises(HuzhengError) as caught:
                await prove_record(light, client, [OBJECTION, unit_code(1)], version)
            assert caught.value.code is Code.UNTRUSTED_ANSWER
            assert "proved" not in caught.value.detail
        assert not isinstance(caught.value, RemoteError)


@in_a_loop
async def test_that_there_is_no_such_version_is_proved_and_that_there_is_no_such_id_is_the_node_s_word(
    stage: Stage,
) -> None:
    node = stage.node(versions_of(stage.consortium))

    def refuse(response: Any) -> None:
        if isinstance(response, pb.GetRecordResponse):
            raise HuzhengError(Code.NOT_FOUND, "proved as of block 3: there never was one")

    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        with pytest.raises(HuzhengError, match="proved as of block 3") as caught:
            await prove_record(light, client, [OBJECTION, unit_code(1)], 4)
        assert caught.value.code is Code.NOT_FOUND
        node.refuse = refuse
        assert await code_of(prove_record(light, client, [OBJECTION, unit_code(1)], 3)) is Code.UNTRUSTED_ANSWER
        with pytest.raises(HuzhengError) as caught:
            await prove_record(light, client, [stage.consortium.record(1).id.hex()], 0)
        assert caught.value.code is Code.NOT_FOUND
        assert "there never was" not in caught.value.detail
        assert "not proved" in caught.value.detail


@in_a_loop
async def test_what_is_kept_of_a_statement_is_what_was_verified(stage: Stage) -> None:
    stage.consortium = consortium = changeable()
    chain = consortium.chain()
    carry_out(chain, [add(consortium, 5)])
    node = stage.node(chain)
    proof = node.store.epoch_proofs(1)[0]

    def twice(response: Any) -> None:
        if isinstance(response, pb.GetStatementResponse):
            statement = statement_pb2.Statement.FromString(response.statement)
            statement.epochs.append(proof)
            response.statement = strict.write(statement)

    async with serving(node) as endpoint, stage.client(endpoint) as client:
        node.alter = twice
        light = LightClient(client, stage.anchors())
        assert await code_of(light.statement([ASKED], whole=True)) is Code.UNTRUSTED_ANSWER


@in_a_loop
async def test_a_version_that_comes_meanwhile_is_not_said_to_be_missing(stage: Stage) -> None:
    chain = versions_of(stage.consortium)
    node = stage.node(chain, 2)
    asked: list[Any] = []

    def advance(response: Any) -> None:
        asked.append(response)
        if len(asked) == 1:
            store_up_to(node.store, chain, 3)

    async with serving(node) as endpoint, stage.client(endpoint) as client:
        node.alter = advance
        found, as_of = await prove_history(LightClient(client, stage.anchors()), client, OBJECTION, unit_code(1))
    assert (len(found), as_of.height, found[-1].current) == (2, 2, True)


@in_a_loop
async def test_a_history_without_end_is_not_read_to_its_end(stage: Stage) -> None:
    node = stage.node(versions_of(stage.consortium))

    def more(response: Any) -> None:
        if isinstance(response, pb.ListHistoryResponse):
            response.next_version = len(node.asked) + 10

    async with serving(node) as endpoint, stage.client(endpoint) as client:
        node.alter = more
        found, _ = await prove_history(LightClient(client, stage.anchors()), client, OBJECTION, unit_code(1))
    assert len(found) == 3
    assert sum(isinstance(request, pb.ListHistoryRequest) for request in node.asked) == 1


@in_a_loop
async def test_what_was_the_newest_at_a_time_that_may_go_on_is_not_said(stage: Stage) -> None:
    """Blocks that follow one another may have the same time."""
    chain = versions_of(stage.consortium)
    node = stage.node(chain, 2)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light, about = LightClient(client, stage.anchors()), [OBJECTION, unit_code(1)]
        time_ms = chain.tip.time_ms
        call = prove_newest_at(light, client, about, Moment(None, time_ms))
        assert await code_of(call) is Code.INVALID_REQUEST
        chain.add(time_ms=time_ms + 1)
        store_up_to(node.store, chain, 4)
        found = await prove_newest_at(light, client, about, Moment(None, time_ms))
        assert found.located.height == 3


def test_another_process_that_got_further_is_not_thrown_back(stage: Stage) -> None:
    store = stage.node(versions_of(stage.consortium)).store
    genesis = stage.consortium.genesis
    low, high = (verify_history(store.history_proof(Height(0), Height(h)), genesis).new for h in (2, 3))
    slow, fast = stage.anchors(), stage.anchors()
    fast.keep(high)
    slow.keep(low)
    assert stage.anchors().anchor == high


@in_a_loop
async def test_a_record_is_proved_with_few_bytes_and_so_is_that_there_is_none(stage: Stage) -> None:
    chain = versions_of(stage.consortium)
    grow_to(chain, 60)
    node = stage.node(chain)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        await light.move_on()
        node.sent_bytes = 0
        found = await prove_record(light, client, [OBJECTION, unit_code(1)], 0)
        assert (found.located.current, found.located.height, node.sent_bytes < 5_000) == (True, 3, True)
        older = await prove_record(light, client, [OBJECTION, unit_code(1)], 1)
        assert (older.located.current, older.located.height) == (False, 1)
        with pytest.raises(HuzhengError) as caught:
            await prove_record(light, client, [OBJECTION, unit_code(9)], 0)
    assert caught.value.code is Code.NOT_FOUND
    assert "proved as of block 60" in caught.value.detail


@in_a_loop
async def test_what_was_the_newest_long_ago_is_proved_without_the_state_of_that_time(stage: Stage) -> None:
    chain = stage.consortium.chain()
    first = stage.consortium.record(1)
    grow_to(chain, 3)
    chain.add(stage.consortium.transaction([first], nonce=1))
    grow_to(chain, 80)
    chain.add(stage.consortium.transaction([stage.consortium.record(1, 2, first.id)], nonce=2))
    grow_to(chain, 160)
    async with serving(stage.node(chain)) as endpoint, stage.client(endpoint) as client:
        light, about = LightClient(client, stage.anchors()), [OBJECTION, unit_code(1)]

        async def at(height: int) -> tuple[int, int | None]:
            found = await prove_newest_at(light, client, about, Moment(height, None))
            return found.located.height, None if found.replaced_at is None else found.replaced_at.height

        assert [await at(height) for height in (4, 80, 81, 160)] == [(4, 81), (4, 81), (81, None), (81, None)]
        assert await code_of(at(3)) is Code.NOT_FOUND
        assert await code_of(at(161)) is Code.INVALID_REQUEST


def _without(positions: Sequence[int]) -> Callable[[Any], None]:
    def alter(response: Any) -> None:
        if isinstance(response, pb.ListHistoryResponse):
            for position in sorted(positions, reverse=True):
                del response.records[position]

    return alter


@pytest.mark.parametrize("left_out", [[0], [1], [2], [1, 2], [0, 1, 2]])
@in_a_loop
async def test_no_version_can_be_left_out_of_a_history(stage: Stage, left_out: list[int]) -> None:
    node = stage.node(versions_of(stage.consortium))
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors(kept=False))
        found, as_of = await prove_history(light, client, OBJECTION, unit_code(1))
        assert ([located.current for located in found], as_of.height) == ([False, False, True], 3)
        node.alter = _without(left_out)
        call = prove_history(light, client, OBJECTION, unit_code(1))
        assert await code_of(call) is Code.UNTRUSTED_ANSWER


@in_a_loop
async def test_nodes_are_compared_and_one_with_another_chain_stands_out(stage: Stage) -> None:
    chain = versions_of(stage.consortium)
    nodes = [stage.node(chain, 2), stage.node(forked(stage.consortium)), stage.node(chain)]
    async with AsyncExitStack() as stack:
        endpoints = [await stack.enter_async_context(serving(node)) for node in nodes]
        client = await stack.enter_async_context(stage.client(*endpoints))
        found = await compare_nodes(client, stage.anchors())
        assert [standing.error and standing.error.code for standing in found] == [None, Code.FORKED, None]
        same = await stack.enter_async_context(stage.client(endpoints[0], endpoints[2]))
        assert [standing.error for standing in await compare_nodes(same, stage.anchors())] == [None, None]
    genesis = stage.consortium.genesis
    proofs = [verify_fork(path.read_bytes(), genesis) for path in (stage.path / "evidence").iterdir()]
    assert {first.height for first, _ in proofs} == {2}


@in_a_loop
async def test_a_comparison_believes_no_keys_of_an_epoch_that_is_over(stage: Stage) -> None:
    stage.consortium = consortium = changeable()
    chain, fork = consortium.chain(), consortium.chain()
    for each, name in ((chain, "replica 5"), (fork, "thief")):
        each.add(change_transaction(consortium, add(consortium, 5, key=name)))
        grow_to(each, 12)
    node = stage.node(chain, 10)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        await LightClient(client, stage.anchors()).move_on()
        store_up_to(node.store, chain, 12)
        history_root = read_header(chain.blocks[12].header).history_root
        sealed = _sealed_by(consortium, fork.blocks[12], terms_at(fork, 12).membership, history_root)
        proofs = stage.node(fork).store.epoch_proofs(1)

        def alter(response: Any) -> None:
            if isinstance(response, pb.GetHistoryResponse):
                history = history_pb2.HistoryProof.FromString(response.proof)
                history.header, history.certificate = sealed
                response.proof = strict.write(history)
            if isinstance(response, pb.GetMembershipResponse):
                response.epochs[0].CopyFrom(proofs[0])
            if isinstance(response, pb.GetBlockResponse):
                block = block_pb2.Block.FromString(response.block)
                if read_header(block.header).height == 12:
                    block.header, block.certificate = sealed
                    response.block = strict.write(block)

        node.alter = alter
        [standing] = await compare_nodes(client, stage.anchors())
    assert standing.error is not None
    assert standing.error.code is Code.UNTRUSTED_ANSWER


@in_a_loop
async def test_a_proof_that_does_not_hold_is_not_said_to_be_a_node_that_can_not_be_asked(stage: Stage) -> None:
    node = stage.node(versions_of(stage.consortium))
    async with serving(node) as endpoint, stage.client(endpoint) as client:

        def alter(response: Any) -> None:
            if isinstance(response, pb.GetHistoryResponse):
                response.proof = response.proof[:-1]

        node.alter = alter
        [standing] = await compare_nodes(client, stage.anchors())
    assert standing.error is not None
    assert standing.error.code is Code.UNTRUSTED_ANSWER


@pytest.mark.parametrize("is_other", [False, True])
@in_a_loop
async def test_nodes_below_the_anchor_alone_are_not_said_to_have_its_chain(stage: Stage, is_other: bool) -> None:
    chain = versions_of(stage.consortium)
    async with serving(stage.node(chain)) as endpoint, stage.client(endpoint) as client:
        await LightClient(client, stage.anchors()).move_on()
    node = stage.node(forked(stage.consortium) if is_other else chain, 2)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        [standing] = await compare_nodes(client, stage.anchors())
    assert standing.error is not None
    assert standing.error.code is Code.NODE_BEHIND


@in_a_loop
async def test_a_node_that_can_not_be_asked_is_said_to_be_so(stage: Stage) -> None:
    async with serving(stage.node(versions_of(stage.consortium))) as endpoint:
        gone = Endpoint("127.0.0.1:9", "planning", 1)
        async with stage.client(endpoint, gone) as client:
            found = await compare_nodes(client, stage.anchors())
    assert [standing.error and standing.error.code for standing in found] == [None, Code.NODE_UNREACHABLE]


def test_an_anchor_that_is_damaged_is_said_to_be_so(stage: Stage) -> None:
    (stage.path / "anchor").write_bytes(b"\x0a\x01\x00")
    with pytest.raises(HuzhengError) as caught:
        stage.anchors()
    assert caught.value.code is Code.NOT_STRICT
    assert "remove this file" in caught.value.detail
    assert str(stage.path / "anchor") in caught.value.detail


def test_an_anchor_that_is_a_pipe_is_said_to_be_none_and_not_waited_for(stage: Stage) -> None:
    os.mkfifo(stage.path / "anchor")
    with pytest.raises(HuzhengError) as caught:
        stage.anchors()
    assert caught.value.code is Code.FILE_ACCESS
    assert "not a regular file; to go from the genesis again, remove this file" in caught.value.detail


@in_a_loop
async def test_entries_of_the_state_are_verified_under_the_anchor_too(stage: Stage) -> None:
    node = stage.node(versions_of(stage.consortium))
    other = node.store.statement([], [b"j"])
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        found = await light.entries([b"g" + bytes(32), b"nplanning", b"nplanning"])
        assert found == {b"g" + bytes(32): None, b"nplanning": (1).to_bytes(4, "big")}
        assert light.anchor.height == 3

        def leave_out(response: pb.GetStatementResponse) -> None:
            statement = statement_pb2.Statement.FromString(response.statement)
            del statement.entries[-1]
            response.statement = strict.write(statement)

        def change(response: pb.GetStatementResponse) -> None:
            statement = statement_pb2.Statement.FromString(response.statement)
            statement.entries[-1].value = (2).to_bytes(4, "big")
            response.statement = strict.write(statement)

        def answer_another(response: pb.GetStatementResponse) -> None:
            response.statement = other

        for lie in (leave_out, change, answer_another):
            node.alter = lie
            assert await code_of(light.entries([b"nhousing", b"nplanning"])) is Code.UNTRUSTED_ANSWER
        node.alter = lambda _: None
        assert await code_of(light.entries([b"i" + bytes(40)])) is Code.INVALID_REQUEST


@in_a_loop
async def test_a_kept_statement_of_a_later_epoch_has_its_entries_too(stage: Stage) -> None:
    stage.consortium = consortium = changeable()
    chain = consortium.chain()
    changed = chain.add(change_transaction(consortium, add(consortium, 5))).height
    grow_to(chain, changed + consortium.genesis.parameters.watermark_window + 2)
    async with serving(stage.node(chain)) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        kept = (await light.statement([ASKED], keys=[b"e"], whole=True)).raw
    verdict = verify_statement(kept, consortium.genesis)
    assert (verdict.membership.epoch, verdict.entries) == (1, {b"e": (1).to_bytes(8, "big")})
    assert ASKED in verdict.answers


@in_a_loop
async def test_where_nothing_can_be_written_it_works_all_the_same(stage: Stage) -> None:
    async with serving(stage.node(versions_of(stage.consortium))) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, AnchorStore(stage.path / "none", stage.consortium.genesis))
        assert (await light.statement([ASKED])).verdict.height == 3


@in_a_loop
async def test_a_node_is_not_asked_without_end(stage: Stage) -> None:
    node = stage.node(versions_of(stage.consortium))
    questions = [pb.StatementQuestion(resource=OBJECTION, subject=unit_code(1))] * 513
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        assert await code_of(client.statement(pb.GetStatementRequest(questions=questions))) is Code.INVALID_REQUEST
        found = await client.statement(pb.GetStatementRequest(questions=questions[1:]))
        assert found.statement
