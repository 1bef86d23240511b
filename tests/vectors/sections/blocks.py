"""A chain of blocks and the batches that make it, with every refusal (docs/protocol.md section 4)."""

from __future__ import annotations

from tests.vectors import example
from tests.vectors.example_catalogue import plan
from tests.vectors.example_chain import Block, chain, chain_of


def _block(block: Block) -> dict[str, object]:
    return {
        "name": block.name,
        "batch": block.batch.hex(),
        "ends": [{"name": name, "code": code, "index": index} for name, _, code, index in block.ended],
        "results": [result.hex() for result in block.results],
        "changes": {key.hex(): None if value is None else value.hex() for key, value in sorted(block.changes.items())},
        "header": block.header.hex(),
        "block_hash": block.hash.hex(),
    }


def _blocks() -> dict[str, object]:
    return {
        "about": "Batches executed one after the other: results, changes of the state (null: removed), headers and hashes.",
        "rule": "X1 to X7",
        "genesis": example.GENESIS.hex(),
        "blocks": [_block(block) for block in chain()[1:]],
    }


def _publishing() -> dict[str, object]:
    return {
        "about": "The same for blocks in which departments publish, amend and withdraw, and use what was published.",
        "rule": "X1, X5, D1 to D6",
        "genesis": example.GENESIS.hex(),
        "blocks": [_block(block) for block in chain_of(plan())[1:]],
    }


VECTORS = {"blocks.json": _blocks, "publishing.json": _publishing}
