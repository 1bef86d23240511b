"""A block from elsewhere is stored only if it proves itself and comes out here the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huzheng.v1 import block_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block_apply import apply_block, check_transactions, prove_block
from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore
from tests.builders import Chain, Consortium
from tests.chains import mixed_chain, store_blocks

Altered = Callable[[block_pb2.Block, Consortium], object]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[Consortium, Chain, ChainStore]]:
    """The mixed chain, and a store that has nothing of it yet."""
    consortium = Consortium()
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    yield consortium, mixed_chain(consortium), store
    store.close()


def fetched(consortium: Consortium, chain: Chain, height: int) -> block_pb2.Block:
    """A block as a peer sends it."""
    block = chain.blocks[height]
    return block_pb2.Block(
        header=block.header,
        certificate=consortium.certificate(block),
        transactions=[transaction.raw for transaction in block.transactions],
    )


def apply(store: ChainStore, consortium: Consortium, raw: bytes) -> None:
    genesis = consortium.genesis
    apply_block(store, genesis, prove_block(genesis, genesis.membership, raw), None)


def forge_header(block: block_pb2.Block, **fields: object) -> None:
    header = block_pb2.BlockHeader.FromString(block.header)
    for name, value in fields.items():
        setattr(header, name, value)
    block.header = strict.write(header)


def drop_seal(block: block_pb2.Block, consortium: Consortium) -> None:
    certificate = block_pb2.Certificate.FromString(block.certificate)
    del certificate.seals[-1]
    block.certificate = strict.write(certificate)


def sign_otherwise(block: block_pb2.Block, consortium: Consortium) -> None:
    transaction = pb.Transaction.FromString(block.transactions[0])
    transaction.signature = bytes(64)
    block.transactions[0] = strict.write(transaction)


def swap_transactions(block: block_pb2.Block, consortium: Consortium) -> None:
    block.transactions[0], block.transactions[1] = block.transactions[1], block.transactions[0]


ALTERED: dict[str, tuple[Altered, Code]] = {
    "another time": (lambda block, _: forge_header(block, time_ms=9), Code.BAD_CERTIFICATE),
    "another height": (lambda block, _: forge_header(block, height=2), Code.BAD_CERTIFICATE),
    "another chain": (lambda block, _: forge_header(block, chain_id=bytes(32)), Code.BAD_BLOCK),
    "another epoch": (lambda block, _: forge_header(block, epoch=1), Code.BAD_BLOCK),
    "no header": (lambda block, _: block.ClearField("header"), Code.BAD_BLOCK),
    "no certificate": (lambda block, _: block.ClearField("certificate"), Code.BAD_CERTIFICATE),
    "a seal too few": (drop_seal, Code.BAD_CERTIFICATE),
    "a signature that does not verify": (sign_otherwise, Code.BAD_BLOCK),
    "transactions in another order": (swap_transactions, Code.BAD_BLOCK),
    "a transaction too few": (lambda block, _: block.transactions.pop(), Code.BAD_BLOCK),
    "a transaction twice": (lambda block, _: block.transactions.append(block.transactions[0]), Code.BAD_BLOCK),
    "a transaction that is none": (lambda block, _: block.transactions.append(b"\xff"), Code.BAD_BLOCK),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_block_is_refused_and_changes_nothing(
    empty: tuple[Consortium, Chain, ChainStore], what: str
) -> None:
    consortium, chain, store = empty
    before = dict(store.entries())
    alter, code = ALTERED[what]
    block = fetched(consortium, chain, 1)
    alter(block, consortium)
    with pytest.raises(HuzhengError) as raised:
        apply(store, consortium, strict.write(block))
    assert raised.value.code is code
    assert dict(store.entries()) == before


def test_bytes_that_are_no_block_are_refused(empty: tuple[Consortium, Chain, ChainStore]) -> None:
    consortium, chain, store = empty
    sound = strict.write(fetched(consortium, chain, 1))
    for raw in (b"", b"\xff", sound[:-1], sound + b"\x00", sound + sound):
        with pytest.raises(HuzhengError) as raised:
            apply(store, consortium, raw)
        assert raised.value.code in (Code.BAD_BLOCK, Code.BAD_CERTIFICATE)


def test_a_block_out_of_order_is_refused(empty: tuple[Consortium, Chain, ChainStore]) -> None:
    consortium, chain, store = empty
    with pytest.raises(HuzhengError) as raised:
        apply(store, consortium, strict.write(fetched(consortium, chain, 2)))
    assert raised.value.code is Code.BAD_BLOCK
    apply(store, consortium, strict.write(fetched(consortium, chain, 1)))
    with pytest.raises(HuzhengError) as raised:
        apply(store, consortium, strict.write(fetched(consortium, chain, 1)))
    assert raised.value.code is Code.BAD_BLOCK
    assert store.tip.height == 1


def test_a_block_on_another_parent_is_refused(empty: tuple[Consortium, Chain, ChainStore]) -> None:
    consortium, chain, store = empty
    other = consortium.chain()
    store_blocks(store, consortium, [other.add(proposer=4)])
    with pytest.raises(HuzhengError) as raised:
        apply(store, consortium, strict.write(fetched(consortium, chain, 2)))
    assert raised.value.code is Code.BAD_BLOCK


def test_a_block_that_this_replica_executed_is_stored_as_it_is(empty: tuple[Consortium, Chain, ChainStore]) -> None:
    consortium, chain, store = empty
    genesis = consortium.genesis
    executed = chain.blocks[1]
    proven = prove_block(genesis, genesis.membership, strict.write(fetched(consortium, chain, 1)))
    assert apply_block(store, genesis, proven, executed) is executed
    assert store.tip.block_hash == executed.block_hash


def test_a_quorum_for_another_block_than_this_replica_executed_is_divergence(
    empty: tuple[Consortium, Chain, ChainStore],
) -> None:
    consortium, chain, store = empty
    genesis = consortium.genesis
    other = consortium.chain().add(proposer=4)
    proven = prove_block(genesis, genesis.membership, strict.write(fetched(consortium, chain, 1)))
    with pytest.raises(HuzhengError) as raised:
        apply_block(store, genesis, proven, other)
    assert raised.value.code is Code.DIVERGED
    assert store.tip.height == 0


def test_a_quorum_for_a_block_that_comes_out_otherwise_is_divergence(
    empty: tuple[Consortium, Chain, ChainStore],
) -> None:
    """Such as one whose state, or whose software, has gone wrong here."""
    consortium, chain, store = empty
    head = next(key for key, _ in store.entries() if key.startswith(b"sc"))
    batch = store._engine.batch()
    for _, signer in consortium.system_signers.items():
        batch.delete(b"sk" + signer.public_key)
    batch.delete(head)
    batch.write()
    with pytest.raises(HuzhengError) as raised:
        apply(store, consortium, strict.write(fetched(consortium, chain, 1)))
    assert raised.value.code is Code.DIVERGED
    assert raised.value.detail == "height 1: results_root, state_root"
    assert store.tip.height == 0


def test_transactions_checked_before_are_not_checked_again(empty: tuple[Consortium, Chain, ChainStore]) -> None:
    consortium, chain, _ = empty
    genesis = consortium.genesis
    known = {transaction.raw: transaction for transaction in chain.blocks[1].transactions}
    proven = prove_block(genesis, genesis.membership, strict.write(fetched(consortium, chain, 1)))
    found = check_transactions(genesis, proven, known.get)
    assert all(one is other for one, other in zip(found, known.values(), strict=True))
