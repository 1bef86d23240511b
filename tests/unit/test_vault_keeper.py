"""A vault in step with the chain: what is confirmed and erased in it, by whose order, and who owes an acknowledgement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.crypto import SIMULATION
from ledger.store import ChainStore
from node.sharing.erasures import Erased
from node.sharing.keeper import VaultKeeper
from node.vault.secrets import Origin
from node.vault.vault import Vault
from tests.builders import Consortium
from tests.chains import store_blocks
from tests.sharing import SUBJECTS, Sharing, acknowledge_erasure, order_erasure
from tests.vaults import entry_of, new_vault

FIRST, SECOND, _ = SUBJECTS
CONSORTIUM = Consortium(SIMULATION)


class Node:
    """What is stored of a world's chain, with vaults of two departments beside it."""

    def __init__(self, path: Path) -> None:
        self.world = Sharing(SIMULATION, CONSORTIUM)
        self.store = ChainStore.open(path / "data", CONSORTIUM.genesis)
        self._stored = 1
        self.vaults: dict[str, Vault] = {}
        for department in ("planning", "tax"):
            (path / department).mkdir()
            self.vaults[department] = new_vault(path / department)
        self.bring()

    def bring(self) -> None:
        """Stores the world's new blocks."""
        blocks = self.world.chain.blocks[self._stored :]
        store_blocks(self.store, CONSORTIUM, blocks)
        self._stored += len(blocks)

    def keeper(self, department: str) -> VaultKeeper:
        """One that has not looked at anything yet, as after a start."""
        return VaultKeeper(CONSORTIUM.genesis, self.store, lambda: self.vaults[department], department)

    def close(self) -> None:
        for vault in self.vaults.values():
            vault.close()
        self.store.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["follow", "catch_up"])
def way(request: pytest.FixtureRequest) -> str:
    """Whether a keeper saw the blocks come, or starts after them."""
    return str(request.param)


def seen(node: Node, way: str, department: str, *orders: tuple[str, bytes]) -> list[Erased]:
    """What a department's keeper has to acknowledge once these orders, by a department each, are on chain."""
    keeper = node.keeper(department)
    if way == "follow":
        assert keeper.catch_up() == []
    for by, record in orders:
        node.world.must(by, order_erasure(record))
    node.bring()
    return keeper.follow() if way == "follow" else keeper.catch_up()


def test_what_its_own_department_orders_is_erased_and_owed(node: Node, way: str) -> None:
    record, other = node.world.newest(FIRST), node.world.newest(SECOND)
    vault = node.vaults["planning"]
    vault.put_all({record: entry_of(1), other: entry_of(2)})
    assert seen(node, way, "planning", ("planning", record)) == [Erased("planning", record)]
    assert vault.get(record) is None
    assert vault.is_erased(record)
    assert vault.get(other) == entry_of(2)


def test_another_department_s_order_erases_nothing_and_owes_nothing(node: Node, way: str) -> None:
    record = node.world.newest(FIRST)
    node.world.read(node.world.grant())
    node.bring()
    for department, vault in node.vaults.items():
        vault.put(record, entry_of(1))
        assert seen(node, way, department, *([("tax", record)] if department == "planning" else [])) == []
        assert vault.get(record) == entry_of(1)
        assert not vault.is_erased(record)


def test_a_department_that_read_it_erases_its_copy_and_owes_an_acknowledgement(node: Node, way: str) -> None:
    record = node.world.newest(FIRST)
    node.world.read(node.world.grant())
    node.bring()
    vault = node.vaults["tax"]
    vault.put(record, entry_of(1, origin=Origin.COPY))
    assert seen(node, way, "tax", ("planning", record)) == [Erased("planning", record)]
    assert vault.get(record) is None


def test_a_department_that_never_read_it_owes_nothing(node: Node, way: str) -> None:
    assert seen(node, way, "tax", ("planning", node.world.newest(FIRST))) == []


def test_what_was_acknowledged_is_not_owed_again(node: Node) -> None:
    record = node.world.newest(FIRST)
    assert seen(node, "catch_up", "planning", ("planning", record)) == [Erased("planning", record)]
    node.world.must("planning", acknowledge_erasure(record))
    node.bring()
    assert node.keeper("planning").catch_up() == []


def test_an_order_that_was_refused_erases_nothing(node: Node, way: str) -> None:
    """The same record twice in two orders: the second is refused as a whole, with what else it names."""
    record, other = node.world.newest(FIRST), node.world.newest(SECOND)
    vault = node.vaults["planning"]
    vault.put(other, entry_of(2))
    node.world.must("planning", order_erasure(record))
    node.bring()
    keeper = node.keeper("planning")
    if way == "follow":
        keeper.catch_up()
    assert node.world.one("planning", order_erasure(record, other))[0] == "ALREADY_DONE"
    node.bring()
    assert keeper.follow() == [] if way == "follow" else keeper.catch_up() == [Erased("planning", record)]
    assert vault.get(other) == entry_of(2)


def test_a_deposit_is_confirmed_by_its_block_and_expires_without_one(node: Node, way: str) -> None:
    record, never = node.world.record(FIRST), bytes(32)
    vault, keeper = node.vaults["planning"], node.keeper("planning")
    due_ms = node.world.now_ms + 1_000
    vault.put_all({record.id: entry_of(1, expires_ms=due_ms), never: entry_of(2, expires_ms=due_ms)})
    if way == "follow":
        keeper.catch_up()
        assert sorted(vault.deposits()) == sorted([record.id, never])
    # The block is of the moment at which both expire.
    node.world.must("planning", records=[record], time_ms=due_ms + 1)
    node.bring()
    assert (keeper.follow() if way == "follow" else keeper.catch_up()) == []
    assert vault.get(record.id) == entry_of(1)
    assert vault.get(never) is None
    # It may be deposited again.
    assert not vault.is_erased(never)


def test_a_deposit_that_comes_after_blocks_that_nobody_had_to_read_is_confirmed(node: Node) -> None:
    vault, keeper = node.vaults["planning"], node.keeper("planning")
    assert keeper.catch_up() == []
    for _ in range(3):
        node.world.must("planning", records=[node.world.record(SECOND)])
        node.bring()
        assert keeper.follow() == []
    record, due_ms = node.world.record(FIRST), node.world.now_ms + 1_000
    vault.put(record.id, entry_of(1, expires_ms=due_ms))
    node.world.must("planning", records=[record])
    node.bring()
    assert keeper.follow() == []
    node.world.must("planning", records=[node.world.record(SECOND)], time_ms=due_ms + 1)
    node.bring()
    assert keeper.follow() == []
    assert vault.get(record.id) == entry_of(1)
