"""Payloads that were ordered to be removed are gone from every file, and the chain can still be checked (docs/protocol.md section 17)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import block_pb2, consensus_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.block_apply import apply_block, check_block, prove_block
from ledger.chain_check import verify_chain
from ledger.crypto import Height, ReplicaId, strict
from ledger.errors import Code, HuzhengError
from ledger.receipt import build_receipt, verify_receipt
from ledger.store import ChainStore, Place, RecordPlace, chain_store, engine, layout
from ledger.store.engine import Engine, Entry
from ledger.transaction import WellFormedBatch, check_batch, check_transaction, encode_batch
from tests.builders import Chain, Consortium
from tests.chains import store_blocks, vote_entry
from tests.expunging import Marked, expunge, order, stripped
from tests.outcomes import results


class Case:
    """A chain, its store, and a record whose payload is to go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.consortium = Consortium()
        self.chain: Chain = self.consortium.chain()
        self.store = ChainStore.open(path / "db", self.consortium.genesis)
        self.marked = Marked(self.consortium.genesis)
        self.raw = self.consortium.transaction([self.consortium.record(2), self.marked.record])
        self.id = check_transaction(self.raw, self.consortium.genesis).id

    def add(self, *raws: bytes) -> ExecutedBlock:
        """A block, stored."""
        block = self.chain.add(*raws)
        store_blocks(self.store, self.consortium, [block])
        return block

    def order(self, position: int = 1, department: str = "planning") -> bytes:
        return order(self.consortium, [self.id], position, department)

    def payloads(self, place: Place) -> list[bytes]:
        return list(pb.Transaction.FromString(self.store.transaction(place)).payloads)

    def found(self) -> list[str]:
        return self.marked.files_with_it(self.path)

    def reopen(self) -> None:
        self.store.close()
        self.store = ChainStore.open(self.path / "db", self.consortium.genesis, create=False)

    def add_levels(self) -> None:
        """Brings all there is two levels below what is written next."""
        database = self.store._engine
        everything = {"start": b"\0", "stop": b"\xff"}
        database._db.compact_range(**everything)
        # A table that overlaps with no other is put on the second level at once, and then compactions go down to that.
        batch = database.batch()
        batch.delete(b"\xfe")
        batch.write()
        database._db.compact_range(start=b"\xfe", stop=b"\xff")
        database._db.compact_range(**everything)
        levels = [database._db.get_property(b"leveldb.num-files-at-level%d" % level) for level in range(3)]
        assert levels[:2] == [b"0", b"0"]
        assert levels[2] != b"0"

    def verify(self) -> None:
        verify_chain(self.store, self.consortium.genesis)

    def entries(self) -> dict[bytes, bytes]:
        return {key: value for key, value in self.store.entries() if not layout.is_own(key)}


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    made = Case(tmp_path)
    yield made
    made.store.close()


def removed(case: Case) -> Place:
    """The case with the payload removed."""
    case.add(case.raw)
    assert results(case.add(case.order())) == [("ACCEPTED", 0)]
    return Place(Height(1), 0)


def fetched(case: Case, height: int) -> block_pb2.Block:
    return block_pb2.Block.FromString(case.store.block(Height(height)))


def code_of(case: Case, block: block_pb2.Block) -> str:
    """What a node that has nothing yet says to a block."""
    genesis = case.consortium.genesis
    with pytest.raises(HuzhengError) as raised:
        check_block(genesis, genesis.membership, strict.write(block))
    return str(raised.value.code)


# --- what is stored ---


def test_a_payload_goes_with_the_block_that_has_the_order_and_nothing_else_does(case: Case) -> None:
    case.add(case.raw)
    before = case.payloads(Place(Height(1), 0))
    case.add(case.order())
    assert case.payloads(Place(Height(1), 0)) == [before[0], b""]
    case.verify()


def test_records_and_receipts_of_a_removed_payload_are_given_out_without_it(case: Case) -> None:
    place = removed(case)
    found = case.store.record(RecordPlace(place.height, 0, 1))
    assert (found.id, found.payload) == (case.marked.record.id, b"")
    verified = case.store.verified_transaction(place)
    proofs = case.store.verified_block(place.height).proofs
    for position, is_shown in ((0, True), (1, False)):
        receipt = build_receipt(case.consortium.genesis, proofs, 0, verified.message, position)
        record = verify_receipt(receipt, case.consortium.genesis).record
        assert record is not None
        assert (record.values is not None) is is_shown


def test_what_was_read_before_is_not_given_out_from_memory(case: Case) -> None:
    case.add(case.raw)
    place = RecordPlace(Height(1), 0, 1)
    with case.store.snapshot() as before:
        assert case.store.record(place).payload == case.marked.record.payload
        case.add(case.order())
        assert case.store.record(place).payload == b""
        # Whoever reads the chain as it was must not bring it back for others.
        case.store._cache.transactions.clear()
        assert before.record(place).payload == case.marked.record.payload
        assert case.store.record(place).payload == b""


@pytest.mark.parametrize("together", [True, False])
def test_a_transaction_that_comes_after_the_order_or_with_it_is_stored_without_the_payload(
    case: Case, together: bool
) -> None:
    blocks = [case.chain.add(case.order()), case.chain.add(case.raw)]
    certified = [(block, case.consortium.certificate(block)) for block in blocks]
    if together:
        case.store.append_all(certified)
    else:
        store_blocks(case.store, case.consortium, blocks)
    assert case.payloads(Place(Height(2), 0))[1] == b""
    assert case.found() == []
    case.verify()


@pytest.mark.parametrize("orders_first", [True, False])
def test_a_transaction_in_the_block_of_the_order_is_stored_without_the_payload(case: Case, orders_first: bool) -> None:
    raws = (case.order(), case.raw) if orders_first else (case.raw, case.order())
    assert results(case.add(*raws)) == [("ACCEPTED", 0)] * 2
    assert case.payloads(Place(Height(1), 1 if orders_first else 0))[1] == b""
    assert case.found() == []
    case.verify()


def test_an_order_in_a_later_block_of_one_write_counts(case: Case) -> None:
    blocks = [case.chain.add(case.raw), case.chain.add(case.order())]
    case.store.append_all([(block, case.consortium.certificate(block)) for block in blocks])
    assert case.payloads(Place(Height(1), 0))[1] == b""
    assert case.found() == []
    case.verify()


def test_all_copies_of_a_transaction_that_was_ordered_again_lose_the_payload(case: Case) -> None:
    case.add(case.raw)
    assert results(case.add(case.raw)) == [("REPEATED", 0)]
    case.add(case.order())
    assert results(case.add(case.raw)) == [("REPEATED", 0)]
    for height in (1, 2, 4):
        assert case.payloads(Place(Height(height), 0))[1] == b""
    case.store.scrub()
    assert case.found() == []
    case.verify()


def test_payloads_of_refused_transactions_can_be_removed_too(case: Case) -> None:
    raw = case.consortium.transaction([case.consortium.record(1, 2, bytes(32)), case.marked.record], nonce=7)
    assert results(case.add(raw)) == [("VERSION_CONFLICT", 0)]
    case.id = check_transaction(raw, case.consortium.genesis).id
    case.add(case.order())
    case.store.scrub()
    assert case.found() == []
    case.verify()


def test_several_orders_at_once_remove_several_payloads(case: Case) -> None:
    case.add(case.raw)
    case.add(order(case.consortium, [case.id], 0), order(case.consortium, [case.id], 1))
    assert case.payloads(Place(Height(1), 0)) == [b"", b""]
    case.verify()


@pytest.mark.parametrize(
    ("position", "department"), [(1, "tax"), (2, "planning")], ids=["another department's", "no such position"]
)
def test_an_order_for_anything_else_has_no_effect(case: Case, position: int, department: str) -> None:
    case.add(case.raw)
    assert results(case.add(case.order(position, department))) == [("ACCEPTED", 0)]
    assert all(case.payloads(Place(Height(1), 0)))
    case.add(case.raw, case.order(position, "police" if department == "tax" else department))
    assert all(case.payloads(Place(Height(3), 0)))
    assert not case.store.is_scrub_due
    case.verify()


def test_a_refused_order_removes_nothing(case: Case) -> None:
    case.add(case.raw)
    signer = case.consortium.system_signers["planning"]
    unauthorised = case.consortium.transaction(operations=[expunge(case.id, 1)], signer=signer)
    assert results(case.add(unauthorised)) == [("KEY_NOT_ALLOWED", 0)]
    assert all(case.payloads(Place(Height(1), 0)))


# --- what is in the files ---


def test_the_bytes_are_in_no_file_once_the_store_was_scrubbed(case: Case) -> None:
    removed(case)
    assert case.found(), "LevelDB keeps what was overwritten: without this the test would show nothing"
    assert case.store.is_scrub_due
    case.store.scrub()
    assert case.found() == []
    assert not case.store.is_scrub_due
    case.reopen()
    assert case.found() == []
    case.verify()


def test_what_a_crash_left_in_the_files_is_gone_when_the_database_is_open_again(case: Case) -> None:
    removed(case)
    case.reopen()
    assert not case.store.is_scrub_due
    assert case.found() == []
    assert not any(key.startswith(layout.SCRUB) for key, _ in case.store.entries())


def test_a_large_database_is_scrubbed_at_all_its_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction and a proposal of it are far apart in its lowest level, and so are the changes in a higher one."""
    small = {"max_file_size": 1 << 20, "write_buffer_size": 1 << 16}
    monkeypatch.setattr(engine, "_OPTIONS", engine._OPTIONS | small)
    case = Case(tmp_path)
    case.add(case.raw)
    case.store.write_votes([*bulk(), (Height(2).to_bytes(8, "big") + b"p", case.raw)])
    case.add_levels()
    before = case.found()
    assert len(before) == 2
    case.add(case.order())
    case.store.write_votes(bulk())
    assert set(before) <= set(case.found())
    case.store.scrub()
    assert case.found() == []
    case.verify()
    case.store.close()


def bulk() -> list[Entry]:
    """Vote log entries that come before those of all heights, and fill some tables."""
    entries = [consensus_pb2.VoteLogEntry(ended_key=secrets.token_bytes(200_000)) for _ in range(20)]
    return [(bytes(8) + bytes([number]), strict.write(entry)) for number, entry in enumerate(entries)]


def test_an_engine_that_never_wrote_a_table_is_scrubbed(tmp_path: Path) -> None:
    """All is in one table then, which a compaction leaves as it is."""
    opened = Engine.open(tmp_path, create=True)
    for value in (b"what was there before", b"new"):
        batch = opened.batch()
        batch.put(b"key", value)
        batch.write()
    assert opened.scrub([(b"k", b"l")], 0)
    assert opened.get(b"key") == b"new"
    opened.close()
    assert not any(b"there before" in path.read_bytes() for path in tmp_path.iterdir())


def test_proposals_in_the_vote_log_are_gone_too(case: Case) -> None:
    batch = case.raw
    case.store.write_votes([(Height(1).to_bytes(8, "big") + b"p", batch)])
    case.add(case.raw)
    case.store.write_votes([vote_entry(9, 0)])
    case.add(case.order())
    assert case.found()
    case.store.scrub()
    assert case.found() == []
    assert case.store.votes() == [vote_entry(9, 0)]


def test_a_scrub_waits_for_those_who_read_and_is_done_later(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_store, "_SCRUB_WAIT_S", 0)
    case.add(case.raw)
    with case.store.snapshot() as before:
        case.add(case.order())
        case.store.scrub()
        assert case.store.is_scrub_due
        assert before.record(RecordPlace(Height(1), 0, 1)).payload == case.marked.record.payload
    case.store.scrub()
    assert not case.store.is_scrub_due
    assert case.found() == []


def test_many_blocks_are_scrubbed_together_where_they_lie_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order for each of a thousand people must not have the same tables written anew a thousand times."""
    monkeypatch.setattr(engine, "_SCRUB_TOGETHER_BYTES", 300_000)
    opened = Engine.open(tmp_path, create=True)
    places = [layout.transaction_key(height, 0) for height in range(1, 101)]
    for value in (secrets.token_bytes(9_000) for _ in range(2)):
        batch = opened.batch()
        for place in places:
            batch.put(place, value)
        batch.write()
    opened.compact(b"\0", b"\xff")
    compacted: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(opened, "_db", Recording(opened._db, compacted))
    ranges = [layout.transactions_range(height) for height in range(1, 101)]
    assert opened.scrub([*ranges, layout.VOTES_RANGE], 0)
    # 900 kB, by 300.
    assert 3 * 3 <= len(compacted) <= 3 * 5
    assert all(any(start <= first and last <= stop for start, stop in compacted) for first, last in ranges)
    opened.close()


class Recording:
    """A database, and what is compacted in it."""

    def __init__(self, db: Any, compacted: list[tuple[bytes, bytes]]) -> None:
        self._db = db
        self._compacted = compacted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def compact_range(self, *, start: bytes, stop: bytes) -> None:
        self._compacted.append((start, stop))
        self._db.compact_range(start=start, stop=stop)


def test_a_scrub_that_waits_ends_when_the_node_does_and_is_done_with_the_next_start(case: Case) -> None:
    case.add(case.raw)
    with case.store.snapshot(), ThreadPoolExecutor(1) as thread:
        case.add(case.order())
        scrubbing = thread.submit(case.store.scrub)
        with pytest.raises(TimeoutError):
            scrubbing.result(0.1)
        case.store.stop_scrub()
        scrubbing.result(5)
    case.store.scrub()
    assert case.store.is_scrub_due
    assert case.found()
    case.reopen()
    assert not case.store.is_scrub_due
    assert case.found() == []


# --- other nodes ---


def test_a_node_that_catches_up_never_gets_the_payload_and_has_the_same_entries(case: Case, tmp_path: Path) -> None:
    removed(case)
    case.add(case.consortium.transaction([case.consortium.record(6)], nonce=6))
    other = ChainStore.open(tmp_path / "other" / "db", case.consortium.genesis)
    genesis = case.consortium.genesis
    for height in range(1, 4):
        raw = case.store.block(Height(height))
        assert bool(block_pb2.Block.FromString(raw).results) == (height == 1)
        apply_block(other, genesis, prove_block(genesis, genesis.membership, raw), None)
    assert {key: value for key, value in other.entries() if not layout.is_own(key)} == case.entries()
    verify_chain(other, genesis)
    assert case.marked.files_with_it(tmp_path / "other") == []
    other.close()


def test_a_transaction_refused_for_a_payload_that_is_gone_comes_out_the_same(case: Case, tmp_path: Path) -> None:
    """E4: the block's own result says that it was this payload."""
    odd = case.consortium.odd_record(payload=b"no payload at all")
    raw = case.consortium.transaction([case.marked.record, odd])
    assert results(case.add(raw)) == [("BAD_PAYLOAD", 1)]
    case.id = check_transaction(raw, case.consortium.genesis).id
    case.add(case.order(1))
    case.add(case.order(0))
    assert case.payloads(Place(Height(1), 0)) == [b"", b""]
    case.verify()


def test_a_payload_that_is_left_out_without_an_order_is_noticed_until_there_is_one(case: Case, tmp_path: Path) -> None:
    block = case.add(case.raw)
    case.add(case.consortium.transaction([case.consortium.record(6)], nonce=6))
    liar = fetched(case, 1)
    del liar.transactions[:]
    liar.transactions.extend(stripped(block, [(0, 1)]))
    liar.results.extend(block.results)
    other = Case(tmp_path / "other")
    genesis = case.consortium.genesis
    apply_block(other.store, genesis, prove_block(genesis, genesis.membership, strict.write(liar)), None)
    apply_block(other.store, genesis, prove_block(genesis, genesis.membership, case.store.block(Height(2))), None)
    with pytest.raises(HuzhengError) as raised:
        other.verify()
    assert raised.value.code is Code.CHAIN_FAULT
    assert "payload that is missing without an order of block 1" in raised.value.detail
    ordering = case.add(case.order())
    raw = case.store.block(ordering.height)
    apply_block(other.store, genesis, prove_block(genesis, genesis.membership, raw), None)
    other.verify()
    assert other.entries() == case.entries()
    other.store.close()


# --- what is refused ---


def test_nobody_can_submit_or_propose_a_transaction_without_its_payload(case: Case) -> None:
    """T3."""
    block = case.add(case.raw)
    (bare,) = stripped(block, [(0, 1)])
    genesis = case.consortium.genesis
    with pytest.raises(HuzhengError) as raised:
        check_transaction(bare, genesis)
    assert raised.value.code is Code.MALFORMED_TRANSACTION
    with pytest.raises(HuzhengError) as raised:
        check_batch(encode_batch(ReplicaId(1), 1, [bare]), genesis, lambda _: None)
    assert raised.value.code is Code.MALFORMED_TRANSACTION


def test_a_block_without_a_payload_needs_the_results_of_its_header(case: Case) -> None:
    removed(case)
    sound = fetched(case, 1)
    assert len(sound.results) == 1
    without = block_pb2.Block.FromString(strict.write(sound))
    del without.results[:]
    other = block_pb2.Block.FromString(strict.write(sound))
    other.results[0] = strict.write(pb.TransactionResult(transaction_id=case.id, code=pb.RESULT_CODE_BAD_PAYLOAD))
    twice = block_pb2.Block.FromString(strict.write(sound))
    twice.results.append(sound.results[0])
    assert [code_of(case, block) for block in (without, other, twice)] == ["BAD_BLOCK"] * 3


def test_results_in_a_block_that_lacks_nothing_are_refused(case: Case) -> None:
    block = case.add(case.raw)
    padded = fetched(case, 1)
    padded.results.extend(block.results)
    assert code_of(case, padded) == "BAD_BLOCK"


@pytest.mark.parametrize("what", ["another payload", "no digest", "of a revoking record"])
def test_a_payload_that_is_not_simply_gone_is_refused(case: Case, what: str) -> None:
    consortium, genesis = case.consortium, case.consortium.genesis
    record = {
        "another payload": case.marked.record,
        "no digest": consortium.odd_record(payload_digest=b""),
        "of a revoking record": consortium.odd_record(
            version=2, replaces=bytes(32), action=pb.RECORD_ACTION_REVOKE, payload=b"x"
        ),
    }[what]
    message = pb.Transaction.FromString(consortium.transaction([record]))
    message.payloads[0] = b"another" if what == "another payload" else b""
    accepted = pb.TransactionResult(code=pb.RESULT_CODE_ACCEPTED)
    with pytest.raises(HuzhengError) as raised:
        check_transaction(strict.write(message), genesis, accepted)
    assert raised.value.code is Code.MALFORMED_TRANSACTION


def test_a_record_without_payload_is_executed_by_all_other_rules(case: Case) -> None:
    """E4 spares the payload's checks and no others."""
    consortium, genesis = case.consortium, case.consortium.genesis
    message = pb.Transaction.FromString(consortium.transaction([consortium.record(1, 2, bytes(32))]))
    message.payloads[0] = b""
    claimed = pb.TransactionResult(code=pb.RESULT_CODE_ACCEPTED)
    transaction = check_transaction(strict.write(message), genesis, claimed)
    block = case.chain.add_batch(WellFormedBatch(b"?", ReplicaId(1), consortium.now_ms, (transaction,)))
    assert results(block) == [("VERSION_CONFLICT", 0)]
