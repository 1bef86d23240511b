"""A long chain for a local network that has not run yet: made in one process, with all the consensus keys, as fast as blocks execute."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable
from pathlib import Path

from ledger.block import ExecutedBlock
from ledger.crypto import Domain, ReplicaId, Signer, build_certificate, seal_message
from ledger.execution import execute
from ledger.genesis import Genesis
from ledger.store import ChainStore
from ledger.transaction import check_batch, encode_batch
from node.clock import wall_clock_ms
from node.config import load_config
from node.keyfile import KeyKind, load_signer
from scripts.local.network import LocalNetwork, Node
from scripts.local.workload import Workload


def give_long_chain(
    network: LocalNetwork, workload: Workload, owners: Iterable[Node], blocks: int, records: int
) -> None:
    """Gives each owner a database with so many blocks, each of one transaction with so many records.

    What is fetched from them later can't be told from what a running network made; they have voted on nothing yet.
    """
    made = network.directory / "long-chain"
    _make(made, workload, _replica_signers(network, workload.genesis), blocks, records)
    for node in owners:
        node.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(made, node.data, dirs_exist_ok=True)
    shutil.rmtree(made)


def _make(path: Path, workload: Workload, signers: dict[ReplicaId, Signer], blocks: int, records: int) -> None:
    genesis = workload.genesis
    path.mkdir()
    store = ChainStore.scratch(path, genesis)
    departments = itertools.cycle(sorted(workload.users))
    try:
        for _ in range(blocks):
            transaction = workload.transaction(next(departments), records)
            batch = check_batch(encode_batch(ReplicaId(1), wall_clock_ms(), [transaction]), genesis, lambda _: None)
            block = execute(genesis, store.state, store.tip, batch)
            store.append(block, _certificate(genesis, signers, block))
            if store.is_tree_flush_due:
                store.flush_tree()
    finally:
        store.close()


def _replica_signers(network: LocalNetwork, genesis: Genesis) -> dict[ReplicaId, Signer]:
    configs = [load_config(node.directory) for node in network.nodes.values()]
    return {
        ReplicaId(config.node.replica): load_signer(config.node.consensus_key, KeyKind.CONSENSUS, genesis.suite)
        for config in configs
    }


def _certificate(genesis: Genesis, signers: dict[ReplicaId, Signer], block: ExecutedBlock) -> bytes:
    membership = genesis.membership
    message = seal_message(genesis.chain_id, membership.epoch, block.height, block.block_hash)
    chosen = sorted(signers)[: membership.q]
    return build_certificate(membership, {r: signers[r].sign(Domain.SIGN_SEAL, message) for r in chosen})
