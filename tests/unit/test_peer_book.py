"""What node.toml says of the others, against what the chain says of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.crypto import ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore
from node.config import NodeConfig, check_against_chain, load_config
from node.consortium import Consortium
from node.peer_book import PeerBook
from node.peers import Peer
from tests.builders import Chain
from tests.memberships import add, carry_out, changeable, remove, stored

NODE = """
[node]
replica = {replica}
department = "{department}"
genesis = "genesis.bin"
data = "data"
consensus_key = "consensus.key"
listen = "127.0.0.1:7101"

[tls]
certificate = "tls.crt"
key = "tls.key"
"""
KEY = b"the key of the file"


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Replica 5 of tax has joined, replica 3 of police has left."""
    chain = changeable().chain()
    carry_out(chain, [add(chain.consortium, 5)], [remove(3)])
    return chain


@pytest.fixture
def store(tmp_path: Path, chain: Chain) -> Iterator[ChainStore]:
    opened = stored(tmp_path / "store", chain)
    yield opened
    opened.close()


def configured(directory: Path, peers: str, replica: int = 1, department: str = "housing") -> NodeConfig:
    for name in ("genesis.bin", "consensus.key", "tls.crt", "tls.key"):
        (directory / name).touch()
    file = directory / "node.toml"
    file.write_text(NODE.format(replica=replica, department=department) + peers)
    return load_config(file)


def peer(number: int, department: str = "") -> str:
    line = f'department = "{department}"\n' if department else ""
    return f'[peers.{number}]\naddress = "127.0.0.1:{7100 + number}"\n{line}'


def problems(config: NodeConfig, store: ChainStore, keys: tuple[bytes, ...] = ()) -> list[str]:
    own = store.newest_epoch.membership.member(ReplicaId(config.node.replica))
    try:
        check_against_chain(config, Consortium(store), keys or ((own.public_key,) if own is not None else (KEY,)))
    except HuzhengError as error:
        assert error.code is Code.CONFIG_NOT_GENESIS
        return error.detail.splitlines()[1:]
    return []


def test_peers_are_those_with_an_address_and_a_known_department(tmp_path: Path, store: ChainStore) -> None:
    config = configured(tmp_path, peer(2) + peer(3) + peer(5) + peer(6) + peer(7, "tax"))
    book = PeerBook(config, Consortium(store))
    assert book.peers() == [
        Peer(ReplicaId(2), store.newest_epoch.membership.members[1].department, "127.0.0.1:7102"),
        Peer(ReplicaId(3), "police", "127.0.0.1:7103"),
        Peer(ReplicaId(5), "tax", "127.0.0.1:7105"),
        Peer(ReplicaId(7), "tax", "127.0.0.1:7107"),
    ]
    assert book.without_address() == [4]


def test_a_changed_file_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path, store: ChainStore) -> None:
    config = configured(tmp_path, peer(2))
    book = PeerBook(config, Consortium(store))
    assert not book.reread()
    for text, changed, count in (
        (peer(2) + peer(4), True, 2),
        ("[peers.2]\nadress = 1\n", False, 2),
        (peer(2), True, 1),
    ):
        configured_text = NODE.format(replica=1, department="housing") + text
        config.file.write_text(configured_text + "#" * len(text))
        assert book.reread() is changed
        assert not book.reread()
        assert len(book.peers()) == count
    config.file.unlink()
    assert not book.reread()
    assert len(book.peers()) == 1


def test_a_node_starts_though_another_joined_whose_address_it_does_not_know(tmp_path: Path, store: ChainStore) -> None:
    assert problems(configured(tmp_path, peer(2)), store) == []


def test_a_node_that_joins_or_left_starts_as_a_follower(tmp_path: Path, store: ChainStore) -> None:
    assert problems(configured(tmp_path, peer(1) + peer(2), 6, "tax"), store, (KEY,)) == []
    assert problems(configured(tmp_path, peer(1) + peer(2), 3, "police"), store, (KEY,)) == []


def test_what_does_not_fit_the_chain_is_named(tmp_path: Path, store: ChainStore) -> None:
    assert "not a department" in problems(configured(tmp_path, peer(1), 6, "water"), store, (KEY,))[0]
    assert "runs replica 3" in problems(configured(tmp_path, peer(1), 3, "tax"), store, (KEY,))[0]
    [wrong_key] = problems(configured(tmp_path, peer(2)), store, (KEY,))
    assert "next_consensus_key" in wrong_key
    assert "at least one" in problems(configured(tmp_path, ""), store)[0]


def test_a_node_that_expects_another_key_starts_with_one_that_the_chain_does_not_name(
    tmp_path: Path, store: ChainStore
) -> None:
    config = configured(tmp_path, peer(2))
    text = config.file.read_text().replace("listen =", 'next_consensus_key = "consensus.key"\nlisten =')
    config.file.write_text(text)
    assert problems(load_config(config.file), store, (KEY,)) == []


def test_at_the_genesis_every_address_is_needed(tmp_path: Path) -> None:
    opened = stored(tmp_path / "store", changeable().chain())
    found = problems(configured(tmp_path, peer(2) + peer(9)), opened)
    assert [line.split(":")[0] for line in found] == ["peers.3", "peers.4"]
    opened.close()
