"""The files of a node that is stopped, for tests: a chain of a few blocks, a vault, and what else a machine has."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import ED25519_SHA256, ReplicaId
from ledger.execution import execute
from ledger.store import ChainStore
from ledger.transaction import check_batch, encode_batch
from node.backup import Source, make_backup
from node.backup_manifest import Manifest
from node.config import NodeConfig, load_config
from node.vault.vault import Vault
from node.vault_config import master_key, open_vault, vault_places
from tests.builders import Consortium
from tests.vaults import entry_of

DEPARTMENT, REPLICA = "planning", ReplicaId(2)

_NODE = """\
[node]
replica = 2
department = "planning"
genesis = "genesis.bin"
data = "data"
consensus_key = "keys/consensus.key"
listen = "127.0.0.1:7102"

[tls]
certificate = "keys/tls.crt"
key = "keys/tls.key"

[vault]
directory = "vault"
key_file = "keys/vault.key"
escrow = "../medium/keyring"
signing_key = "keys/signing.key"

[peers.1]
address = "127.0.0.1:7101"
"""


@dataclass
class StoppedNode:
    """The directory of one, and the consortium that it belongs to."""

    directory: Path
    consortium: Consortium

    @classmethod
    def make(cls, directory: Path, records: int = 3) -> StoppedNode:
        """A node that has so many records of its own on chain, from 0, and the confidential values of each in its vault."""
        node = cls(directory, Consortium(ED25519_SHA256))
        (directory.parent / "medium").mkdir(parents=True)
        (directory / "keys").mkdir(parents=True)
        for name in ("tls.crt", "tls.key", "consensus.key", "signing.key"):
            (directory / "keys" / name).write_text(f"SECRET {name}")
        (directory / "keys" / "vault.key").write_bytes(b"k" * 32)
        (directory / "keys" / "vault.key").chmod(0o600)
        (directory / "genesis.bin").write_bytes(node.consortium.genesis.raw)
        (directory / "node.toml").write_text(_NODE)
        Vault.create(vault_places(node.config), master_key(node.config))
        with node.vault() as vault, node.store() as store:
            for number in range(records):
                node.add_block(store, node.consortium.transaction([node.consortium.record(number)], nonce=number))
                vault.put(node.record_id(number), entry_of(number))
            store.write_votes([(bytes(8) + b"v" + bytes(8), b"what was voted")])
        return node

    @property
    def config(self) -> NodeConfig:
        """Its node.toml."""
        return load_config(self.directory)

    def record_id(self, number: int) -> bytes:
        """Of a record that is on chain."""
        return self.consortium.record(number).id

    def store(self) -> _Closing:
        """Its database, opened."""
        return _Closing(ChainStore.open(self.directory / "data", self.consortium.genesis))

    def vault(self) -> Vault:
        """Its vault, opened."""
        vault = open_vault(self.config)
        if vault is None:
            raise LookupError("no vault")
        return vault

    def add_block(self, store: ChainStore, *transactions: bytes) -> None:
        """Stores a block."""
        genesis = self.consortium.genesis
        batch = check_batch(encode_batch(ReplicaId(1), self.consortium.now_ms, transactions), genesis, lambda _: None)
        block = execute(genesis, store.state, store.tip, batch)
        store.append(block, self.consortium.certificate(block))
        codes = [pb.TransactionResult.FromString(raw).code for raw in block.results]
        if set(codes) - {pb.RESULT_CODE_ACCEPTED}:
            raise ValueError(f"refused: {codes}")

    def order_erasure(self, *numbers: int, department: str = DEPARTMENT) -> None:
        """A block in which a department orders that the values of records be erased. Nothing is erased here by that."""
        records = sorted(self.record_id(number) for number in numbers)
        order = pb.Operation(
            order_erasure=sharing.OrderErasure(records=records, legal_basis="《个人信息保护法》第47条")
        )
        with self.store() as store:
            nonce = 1_000 + store.tip.height
            raw = self.consortium.transaction(operations=[order], department=department, nonce=nonce)
            self.add_block(store, raw)

    def back_up(self, target: Path) -> Manifest:
        """Backs it up as it is."""
        with self.store() as store, self.vault() as vault:
            source = Source(self.config, self.consortium.genesis, store, vault)
            return make_backup(source, target, lambda *_: None)

    def lose(self) -> Path:
        """The machine burns. What was kept apart is in a new directory: the key files, but for that of consensus."""
        shutil.copytree(self.directory / "keys", self.directory.parent / "safe")
        shutil.rmtree(self.directory)
        new = self.directory.parent / "new"
        new.mkdir()
        shutil.move(self.directory.parent / "safe", new / "keys")
        (new / "keys" / "consensus.key").unlink()
        self.directory = new
        return new


class _Closing:
    """A database for as long as a `with` lasts."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store

    def __enter__(self) -> ChainStore:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()
