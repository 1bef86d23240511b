"""Blocks come out as the golden vectors say, to the byte (docs/protocol.md section 4)."""

from __future__ import annotations

import pytest
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import ED25519_SHA256
from ledger.execution import execute, genesis_block
from ledger.genesis import Genesis
from ledger.transaction import check_batch
from tests.builders import MemoryState
from tests.vectors import load

VECTORS = load("blocks.json")


@pytest.mark.parametrize("name", ["blocks.json", "publishing.json"])
def test_the_chain_comes_out_to_the_byte(name: str) -> None:
    vectors = load(name)
    genesis, state = Genesis.read(bytes.fromhex(vectors["genesis"])), MemoryState(suite=ED25519_SHA256)
    block = genesis_block(genesis)
    state.apply(block)
    for case in vectors["blocks"]:
        batch = check_batch(bytes.fromhex(case["batch"]), genesis, lambda _: None)
        block = execute(genesis, state, block.tip, batch)
        state.apply(block)
        results = [pb.TransactionResult.FromString(raw) for raw in block.results]
        ends = [(pb.ResultCode.Name(result.code).removeprefix("RESULT_CODE_"), result.index) for result in results]
        assert ends == [(end["code"], end["index"]) for end in case["ends"]], case["name"]
        assert [raw.hex() for raw in block.results] == case["results"]
        changes = {key.hex(): value if value is None else value.hex() for key, value in block.changes.items()}
        assert changes == case["changes"], case["name"]
        assert (block.header.hex(), block.block_hash.hex()) == (case["header"], case["block_hash"])


def test_every_result_code_that_can_be_on_chain_is_there() -> None:
    found = {f"RESULT_CODE_{end['code']}" for case in VECTORS["blocks"] for end in case["ends"]}
    # No batch that is well formed has a transaction with too long a lifetime (T4).
    missing = {"RESULT_CODE_UNSPECIFIED", "RESULT_CODE_LIFETIME_TOO_LONG"}
    # Changes of the membership have vectors of their own.
    changes = range(pb.RESULT_CODE_WRONG_EPOCH, pb.RESULT_CODE_BAD_VERSION + 1)
    of_membership = {name for name, number in pb.ResultCode.items() if number in changes}
    of_publishing = {"RESULT_CODE_UNKNOWN_DUTY", "RESULT_CODE_BAD_AMENDMENT"}
    assert set(pb.ResultCode.keys()) - found - of_publishing == missing | of_membership
