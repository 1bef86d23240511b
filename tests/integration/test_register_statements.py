"""Statements about whole registers, as a client has them proved that believes no node (docs/protocol.md Q9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from huzheng.v1 import catalogue_pb2, sharing_pb2, statement_pb2
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1 import transaction_pb2 as tx

from ledger.coverage import coverage
from ledger.crypto import strict
from ledger.errors import Code
from ledger.published import register_key
from ledger.registers import register_of
from ledger.statement import Question, verify_statement
from node.cli.asking import state_about
from node.light_client import LightClient
from node.registers import resources_of
from tests.builders import OBJECTION
from tests.integration.test_light_client import versions_of
from tests.javascript_verifier import ask
from tests.memberships import store_up_to
from tests.plain_client import code_of, in_a_loop, serving
from tests.publishing import withdraw_resource
from tests.sharing_chain import LATER, NEW_REGISTER, SUBJECT, SharingChain
from tests.stored_node import Stage, StoredNode

PROJECT = "property.project"
"""Its subjects are not property units."""


@pytest.fixture
def sharing(stage: Stage) -> SharingChain:
    """A resource that came later in a register of the genesis, and one in a register of its own; each has a record."""
    sharing = SharingChain(stage.consortium)
    for name in (LATER, NEW_REGISTER):
        sharing.publish(name)
        sharing.write(name)
    return sharing


def _of_genesis(stage: Stage, register: str) -> set[str]:
    return {name for name in stage.consortium.genesis.catalogue if register_of(name) == register}


def _publish_project(sharing: SharingChain) -> None:
    resource = sharing.resource(PROJECT)
    resource.subject.type = catalogue_pb2.FIELD_TYPE_INTEGER
    resource.subject.pattern = ""
    sharing.operate("planning", tx.Operation(publish_resource=sharing_pb2.PublishResource(resource=resource)))


@in_a_loop
async def test_a_register_stands_for_all_that_the_state_proves_it_has(stage: Stage, sharing: SharingChain) -> None:
    async with serving(stage.node(sharing.chain)) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        stated, asked = await state_about(light, ["property", "survey"], SUBJECT)
        answers = {question.resource: answer for question, answer in stated.verdict.answers.items()}
        assert set(answers) == _of_genesis(stage, "property") | {LATER, NEW_REGISTER}
        assert [name for name, answer in answers.items() if answer.is_in_force] == [LATER, NEW_REGISTER]
        assert asked.left_out == []
        # Whoever is given the file sees it too.
        verdict = verify_statement(stated.raw, stage.consortium.genesis)
        found = {part.register: part for part in coverage(stage.consortium.genesis, verdict)}
        assert found["property"].resources == len(_of_genesis(stage, "property")) + 1
        assert all(part.is_whole for part in found.values())


@in_a_loop
async def test_where_nothing_came_later_that_is_proved_and_nobody_asked_for_names(stage: Stage) -> None:
    node = stage.node(versions_of(stage.consortium, 1))
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        stated, _ = await state_about(light, ["property"], SUBJECT)
        assert {question.resource for question in stated.verdict.answers} == _of_genesis(stage, "property")
        assert stated.verdict.entries == {register_key("property"): None}
        assert not any(isinstance(asked, pb.GetCatalogueRequest) for asked in node.asked)


@in_a_loop
async def test_what_was_withdrawn_is_still_asked_about(stage: Stage, sharing: SharingChain) -> None:
    sharing.operate("planning", withdraw_resource(LATER))
    async with serving(stage.node(sharing.chain)) as endpoint, stage.client(endpoint) as client:
        names = [found.name for found in await resources_of(LightClient(client, stage.anchors()), "property")]
        assert names == [*sorted(_of_genesis(stage, "property")), LATER]


@pytest.mark.parametrize("mark", ["\ufeff", "\u200b", " ", ""])
def test_a_key_that_looks_like_that_of_a_register_says_nothing_of_it(
    stage: Stage, sharing: SharingChain, mark: str
) -> None:
    """That it is not there is proved: it must not pass for the register, which would have no later resources then."""
    genesis, store = stage.consortium.genesis, stage.node(sharing.chain).store
    questions = [Question(name, SUBJECT) for name in sorted(_of_genesis(stage, "property"))]
    raw = store.statement(questions, [register_key(mark + "property")])
    found = list(coverage(genesis, verify_statement(raw, genesis)))
    assert [part.is_whole for part in found] == ([] if mark else [False])
    [(english, _)] = ask([{"ask": "described", "genesis": genesis.raw.hex(), "bytes": raw.hex()}])
    assert "These are all" not in english
    assert ("Entry 77" in english) is bool(mark)
    assert ("of 1 of them this says nothing" in english) is (not mark)


def _without(name: str) -> Callable[[pb.GetCatalogueResponse], None]:
    def hide(page: pb.GetCatalogueResponse) -> None:
        kept = [item for item in page.items if name not in (item.resource.name, item.version.name)]
        del page.items[:]
        page.items.extend(kept)

    return hide


def _renamed(page: pb.GetCatalogueResponse) -> None:
    for item in page.items:
        if item.version.name == LATER:
            item.version.name = "property.zone"


@pytest.mark.parametrize("change", [_without(LATER), _renamed, lambda page: page.Clear()])
@in_a_loop
async def test_a_node_that_hides_a_resource_is_not_believed(
    stage: Stage, sharing: SharingChain, change: Callable[[pb.GetCatalogueResponse], None]
) -> None:
    node = stage.node(sharing.chain)

    def lie(response: Any) -> None:
        if isinstance(response, pb.GetCatalogueResponse):
            change(response)

    node.alter = lie
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        assert await code_of(state_about(light, ["property"], SUBJECT)) is Code.UNTRUSTED_ANSWER
        node.alter = lambda _: None
        await state_about(light, ["property"], SUBJECT)


@pytest.mark.parametrize("value", [None, b"", (5).to_bytes(4, "big")])
@in_a_loop
async def test_nor_is_one_that_hides_how_many_there_are(
    stage: Stage, sharing: SharingChain, value: bytes | None
) -> None:
    node = stage.node(sharing.chain)

    def lie(response: Any) -> None:
        if isinstance(response, pb.GetStatementResponse):
            statement = statement_pb2.Statement.FromString(response.statement)
            for entry in [entry for entry in statement.entries if entry.key == register_key("property")]:
                if value is None:
                    statement.entries.remove(entry)
                else:
                    entry.value = value
            response.statement = strict.write(statement)

    node.alter = lie
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        assert await code_of(state_about(light, ["property"], SUBJECT)) is Code.UNTRUSTED_ANSWER


@in_a_loop
async def test_what_is_published_while_it_asks_is_in_it(stage: Stage, sharing: SharingChain) -> None:
    before = sharing.chain.tip.height
    sharing.publish("property.extra")
    node = stage.node(sharing.chain, before)

    def go_on(response: Any) -> None:
        if isinstance(response, pb.GetCatalogueResponse) and not response.next:
            node.alter = lambda _: None
            store_up_to(node.store, sharing.chain, sharing.chain.tip.height)

    node.alter = go_on
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        stated, asked = await state_about(LightClient(client, stage.anchors()), ["property"], SUBJECT)
        assert "property.extra" in {question.resource for question in stated.verdict.answers}
        assert asked.registers == {"property": len(_of_genesis(stage, "property")) + 2}
        assert _times_asked_for_names(node) == 2


def _times_asked_for_names(node: StoredNode) -> int:
    return sum(isinstance(asked, pb.GetCatalogueRequest) and not asked.after for asked in node.asked)


@in_a_loop
async def test_a_resource_that_is_not_about_such_subjects_is_left_out_and_named(
    stage: Stage, sharing: SharingChain
) -> None:
    _publish_project(sharing)
    genesis = stage.consortium.genesis
    async with serving(stage.node(sharing.chain)) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        stated, asked = await state_about(light, ["property", OBJECTION], SUBJECT)
        assert asked.left_out == [PROJECT]
        [found] = coverage(genesis, stated.verdict)
        assert found.resources - found.answered == 1
        stated, asked = await state_about(light, ["property"], "4711")
        assert {question.resource for question in stated.verdict.answers} == {PROJECT}
        assert set(asked.left_out) == _of_genesis(stage, "property") | {LATER}
        assert await code_of(state_about(light, ["property"], "no unit")) is Code.BAD_SUBJECT


@in_a_loop
async def test_what_is_neither_resource_nor_register_is_proved_not_to_be_there(
    stage: Stage, sharing: SharingChain
) -> None:
    async with serving(stage.node(sharing.chain)) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        for name in ("castle", "property.castle", "", "no name"):
            assert await code_of(state_about(light, [name], SUBJECT)) is Code.UNKNOWN_RESOURCE
        assert await code_of(state_about(light, [], SUBJECT)) is Code.INVALID_REQUEST
