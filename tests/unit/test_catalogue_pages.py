"""The catalogue as a node tells it in pages, and as a client takes it (docs/protocol.md D2)."""

from __future__ import annotations

import pytest
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.errors import Code, HuzhengError
from node import catalogue_pages
from node.catalogue import Catalogue
from node.catalogue_pages import catalogue_page
from node.publication import CatalogueOnChain
from tests.builders import OBJECTION, Chain, Consortium
from tests.publishing import (
    ACCEPTED,
    PERMIT,
    do,
    duty,
    publish,
    published,
    resource,
    second,
    table,
    withdraw_duty,
    withdraw_resource,
)


@pytest.fixture(scope="module")
def chain() -> Chain:
    """With a resource of two versions, one of them withdrawn, a table, and a duty that was withdrawn."""
    chain = Consortium().chain()
    assert (
        do(chain, publish(duty()), publish(resource()), publish(second()), table(), withdraw_duty("GH-01")) == ACCEPTED
    )
    assert do(chain, withdraw_resource(version=1)) == ACCEPTED
    return chain


def pages(chain: Chain, name: str = "") -> list[pb.GetCatalogueResponse]:
    found = [catalogue_page(published(chain), pb.GetCatalogueRequest(resource=name))]
    while found[-1].next:
        request = pb.GetCatalogueRequest(resource=name, after=found[-1].next)
        found.append(catalogue_page(published(chain), request))
    return found


def items(chain: Chain, name: str = "") -> list[pb.CatalogueItem]:
    return [item for page in pages(chain, name) for item in page.items]


def test_all_of_the_catalogue_is_told(chain: Chain) -> None:
    told = CatalogueOnChain.of(items(chain))
    genesis = chain.consortium.genesis
    assert sorted(told.resources) == sorted([*genesis.catalogue, PERMIT])
    assert told.versions[PERMIT, 1] == resource()
    assert told.versions[PERMIT, 2] == second()
    assert list(told.resources[PERMIT].open_versions) == [2]
    assert told.duties["planning", "GH-01"].withdrawn
    assert len(told.duties) == len(genesis.duties) + 1
    assert list(told.tables) == [(PERMIT, "规划系统", "GHXK")]


def test_one_resource_is_told_with_its_versions_and_tables_alone(chain: Chain) -> None:
    kinds = [item.WhichOneof("item") for item in items(chain, PERMIT)]
    assert kinds == ["table", "resource", "version", "version"]
    assert [item.WhichOneof("item") for item in items(chain, OBJECTION)] == ["resource", "version"]


def test_pages_are_bounded_in_bytes_and_lose_nothing(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = items(chain)
    assert len(pages(chain)) == 1
    monkeypatch.setattr(catalogue_pages, "MAX_PAGE_BYTES", 2_000)
    small = pages(chain)
    assert [item for page in small for item in page.items] == whole
    assert len(small) > 3
    # A page ends with the item that reaches the limit.
    for page in small:
        assert sum(item.ByteSize() for item in page.items[:-1]) < 2_000
    monkeypatch.setattr(catalogue_pages, "MAX_PAGE_BYTES", 1)
    assert [len(page.items) for page in pages(chain, PERMIT)][:4] == [1] * 4


@pytest.mark.parametrize("name", ["property.castle", "property", "\0", f"{PERMIT}\0\0\0\0\1", "x" * 10_000])
def test_a_resource_that_is_none_is_not_found(chain: Chain, name: str) -> None:
    with pytest.raises(HuzhengError) as caught:
        catalogue_page(published(chain), pb.GetCatalogueRequest(resource=name))
    assert caught.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("after", [b"\0", b"a", b"c", b"k", b"h" * 200, b"i" + bytes(40), b"u\xff", b"\xff" * 512])
def test_wherever_a_page_starts_it_tells_of_the_catalogue_alone(chain: Chain, after: bytes) -> None:
    page = catalogue_page(published(chain), pb.GetCatalogueRequest(after=after))
    assert all(item in items(chain) for item in page.items)


def test_a_start_longer_than_any_key_is_refused(chain: Chain) -> None:
    with pytest.raises(HuzhengError) as caught:
        catalogue_page(published(chain), pb.GetCatalogueRequest(after=bytes(513)))
    assert caught.value.code is Code.INVALID_REQUEST


def test_a_client_knows_the_genesis_and_then_what_it_was_told(chain: Chain) -> None:
    known = Catalogue(chain.consortium.genesis)
    assert known.newest(PERMIT) is None
    assert known.to_write(OBJECTION) is chain.consortium.genesis.catalogue[OBJECTION]
    for item in items(chain):
        known.take(item)
    assert PERMIT in known.names()
    newest = known.newest(PERMIT)
    assert newest is not None
    assert newest.message == second()
    assert known.to_write(PERMIT) is newest
    first = known.version(PERMIT, 1)
    assert first is not None
    assert first.message == resource()


def test_a_withdrawn_resource_is_not_for_writing() -> None:
    chain = Consortium().chain()
    assert do(chain, publish(resource()), withdraw_resource()) == ACCEPTED
    known = Catalogue(chain.consortium.genesis)
    for item in items(chain, PERMIT):
        known.take(item)
    assert known.to_write(PERMIT) is None
    assert known.newest(PERMIT) is not None


def test_a_client_does_not_believe_what_the_genesis_denies(chain: Chain) -> None:
    item = next(item for item in items(chain, OBJECTION) if item.HasField("version"))
    item.version.fields[0].required = False
    with pytest.raises(HuzhengError) as caught:
        Catalogue(chain.consortium.genesis).take(item)
    assert caught.value.code is Code.UNTRUSTED_ANSWER


def test_a_client_does_not_take_a_definition_that_is_none(chain: Chain) -> None:
    item = next(item for item in items(chain, PERMIT) if item.HasField("version"))
    item.version.fields[0].number = 0
    with pytest.raises(HuzhengError) as caught:
        Catalogue(chain.consortium.genesis).take(item)
    assert caught.value.code is Code.UNTRUSTED_ANSWER
