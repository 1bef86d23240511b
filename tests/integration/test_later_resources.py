"""Records in resources that were published after the genesis, as a client has them proved that believes no node (docs/protocol.md Q8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from huzheng.v1 import catalogue_pb2, statement_pb2
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.crypto import strict
from ledger.errors import Code
from ledger.sharing.reading import account_key
from node.cli.moment import Moment
from node.cli.proved import prove_history, prove_newest_at, prove_record
from node.cli.show import located_to_dict
from node.light_client import LightClient
from tests.builders import OBJECTION, objection_fields
from tests.plain_client import code_of, in_a_loop, serving
from tests.sharing_chain import LATER, NEW_REGISTER, SUBJECT, SharingChain
from tests.stored_node import Stage

ABOUT = [LATER, SUBJECT]


@pytest.fixture
def sharing(stage: Stage) -> SharingChain:
    """Two versions about a unit in a resource that came later, one in a register of its own, and one of a later schema version."""
    sharing = SharingChain(stage.consortium)
    for name in (LATER, NEW_REGISTER):
        sharing.publish(name)
        sharing.write(name)
    sharing.write(LATER, replaces=sharing.records[LATER].id)
    sharing.publish(OBJECTION, 2)
    sharing.write(OBJECTION, schema_version=2)
    return sharing


def _in_statements(change: Callable[[statement_pb2.Statement], object]) -> Callable[[Any], None]:
    """A node that changes each statement that it gives out."""

    def alter(response: Any) -> None:
        if isinstance(response, pb.GetStatementResponse):
            statement = statement_pb2.Statement.FromString(response.statement)
            change(statement)
            response.statement = strict.write(statement)

    return alter


def _rename_fields(statement: statement_pb2.Statement) -> None:
    for entry in statement.entries:
        if b"\0" in entry.key:
            resource = catalogue_pb2.Resource.FromString(entry.value)
            resource.fields[-1].name = "MONEY"
            entry.value = strict.write(resource)


@in_a_loop
async def test_they_are_proved_as_those_of_the_genesis_are(stage: Stage, sharing: SharingChain) -> None:
    """The node does not even answer what it says of its catalogue."""
    async with serving(stage.node(sharing.chain)) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        for name, version, fields in (
            (LATER, 2, {"FLOORS": "12"}),
            (NEW_REGISTER, 1, {"FLOORS": "12"}),
            (OBJECTION, 1, objection_fields() | {"FLOORS": "12"}),
        ):
            found = await prove_record(light, client, [name, SUBJECT], 0)
            assert found.as_of is not None
            assert found.as_of.height == sharing.chain.tip.height
            view = located_to_dict(found.catalogue, found.located)
            assert (view["version"], view["current"], view["fields"]) == (version, True, fields)
        by_id = await prove_record(light, client, [sharing.records[LATER].id.hex()], 0)
        assert (by_id.as_of, by_id.located.current) == (found.as_of, True)


@in_a_loop
async def test_their_history_is_whole_and_what_was_the_newest_is_proved(stage: Stage, sharing: SharingChain) -> None:
    async with serving(stage.node(sharing.chain)) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        found, _ = await prove_history(light, client, LATER, SUBJECT)
        assert [located.current for located in found] == [False, True]
        first = await prove_newest_at(light, client, ABOUT, Moment(found[1].height - 1, None))
        assert first.located.record_id == found[0].record_id
        assert first.replaced_at is not None
        assert first.replaced_at.height == found[1].height


@in_a_loop
async def test_that_there_is_no_such_resource_is_proved_too(stage: Stage, sharing: SharingChain) -> None:
    async with serving(stage.node(sharing.chain)) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        for name in ("property.nothing", "no name", f"{LATER}\0\0\0\0\1"):
            assert await code_of(prove_record(light, client, [name, SUBJECT], 0)) is Code.UNKNOWN_RESOURCE
        await light.resource(LATER)
        assert await code_of(prove_record(light, client, [LATER, "no unit"], 0)) is Code.BAD_SUBJECT


@pytest.mark.parametrize(
    "change",
    [
        lambda statement: statement.entries.pop(),
        _rename_fields,
        lambda statement: statement.leaves.pop() if statement.leaves else None,
        lambda statement: statement.ClearField("entries"),
    ],
)
@in_a_loop
async def test_a_node_that_leaves_out_or_alters_what_proves_them_is_not_believed(
    stage: Stage, sharing: SharingChain, change: Callable[[statement_pb2.Statement], object]
) -> None:
    node = stage.node(sharing.chain)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        node.alter = _in_statements(change)
        for proving in (
            prove_record(light, client, ABOUT, 0),
            prove_history(light, client, LATER, SUBJECT),
        ):
            assert await code_of(proving) is Code.UNTRUSTED_ANSWER


@in_a_loop
async def test_a_newer_version_can_not_be_hidden(stage: Stage, sharing: SharingChain) -> None:
    node = stage.node(sharing.chain)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())

        def hide(response: Any) -> None:
            if isinstance(response, pb.ListHistoryResponse):
                del response.records[-1]

        node.alter = hide
        assert await code_of(prove_history(light, client, LATER, SUBJECT)) is Code.UNTRUSTED_ANSWER


@in_a_loop
async def test_of_more_entries_than_a_statement_takes_there_are_several(stage: Stage, sharing: SharingChain) -> None:
    """An account of a later resource comes with what is needed to understand it."""
    keys = [account_key(LATER, SUBJECT), *(b"g" + bytes(31) + bytes([number]) for number in range(130))]
    node = stage.node(sharing.chain)
    async with serving(node) as endpoint, stage.client(endpoint) as client:
        light = LightClient(client, stage.anchors())
        assert await light.entries(keys) == dict.fromkeys(keys)
        assert [len(asked.entries) for asked in node.asked] == [64, 32, 32, 32, 32, 3]
        assert await light.entries([]) == {}


@in_a_loop
async def test_a_definition_that_was_told_otherwise_before_is_found_out(stage: Stage, sharing: SharingChain) -> None:
    async with serving(stage.node(sharing.chain)) as endpoint, stage.client(endpoint) as client:
        told = sharing.resource(LATER)
        told.fields[0].title_en = "Cellars"
        client.catalogue.take_version(told)
        light = LightClient(client, stage.anchors())
        assert await code_of(prove_record(light, client, ABOUT, 0)) is Code.UNTRUSTED_ANSWER
