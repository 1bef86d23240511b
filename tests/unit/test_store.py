"""What is stored can be found again by every index, block by block, and nothing is stored that does not follow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from huzheng.v1 import block_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block_apply import apply_block, prove_block
from ledger.building import BuiltRecord
from ledger.crypto import Height
from ledger.errors import Code, HuzhengError
from ledger.receipt import build_receipt, verify_receipt
from ledger.state import SEEN_PREFIX, heads_key
from ledger.store import ChainReader, ChainStore, Place, RecordPlace
from ledger.store.chain_store import _last_heads_key
from ledger.store.engine import Engine, Entry
from ledger.store.stored_state import LastHeads, StoredState
from ledger.transaction import check_transaction
from tests.builders import OBJECTION, Chain, Consortium, unit_code
from tests.chains import LIFETIME_MS, store_blocks, stored_chain, vote_entry

Stored = tuple[Consortium, Chain, ChainStore]


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    consortium, chain, store = stored_chain(tmp_path / "db")
    yield consortium, chain, store
    store.close()


def record_id(consortium: Consortium, number: int) -> bytes:
    return consortium.record(number).id


def late_transaction(consortium: Consortium, *records: BuiltRecord, nonce: int) -> bytes:
    """One that the time of the mixed chain's last block does not refuse."""
    return consortium.transaction(records, nonce=nonce, expires_ms=consortium.now_ms + 3 * LIFETIME_MS)


def subjects(chain: ChainReader, places: tuple[RecordPlace, ...]) -> list[str]:
    return [chain.record(place).record.subject for place in places]


def test_a_new_database_holds_the_genesis_block(tmp_path: Path) -> None:
    consortium = Consortium()
    store = ChainStore.open(tmp_path / "deep" / "db", consortium.genesis)
    genesis_block = consortium.chain().blocks[0]
    assert store.tip.height == 0
    assert store.header(Height(0)) == genesis_block.header
    assert store.certificate(Height(0)) == b""
    assert store.height_of(genesis_block.block_hash) == 0
    assert {b"s" + key: value for key, value in genesis_block.changes.items()}.items() <= dict(store.entries()).items()
    store.close()


def test_every_block_reads_back_as_it_was_executed(stored: Stored) -> None:
    consortium, chain, store = stored
    for block in chain.blocks[1:]:
        assert store.header(block.height) == block.header
        assert store.block_hash(block.height) == block.block_hash
        assert store.height_of(block.block_hash) == block.height
        assert store.results(block.height) == block.results
        assert store.transactions(block.height) == tuple(transaction.raw for transaction in block.transactions)
        message = block_pb2.Block.FromString(store.block(block.height))
        assert (message.header, message.certificate) == (block.header, consortium.certificate(block))


def test_a_reopened_database_stands_where_it_stood(stored: Stored, tmp_path: Path) -> None:
    consortium, chain, store = stored
    counts = (store.transaction_count, store.record_count)
    store.close()
    store = ChainStore.open(tmp_path / "db", consortium.genesis, create=False)
    tip, expected = store.tip, chain.tip
    assert (tip.height, tip.block_hash, tip.header) == (expected.height, expected.block_hash, expected.header)
    assert (tip.time_ms, tip.state_root) == (expected.time_ms, expected.state_root)
    assert (tip.history.size, tip.history.hashes) == (expected.history.size, expected.history.hashes)
    assert (store.transaction_count, store.record_count) == counts == (7, 4)
    store.close()


def test_the_stored_state_is_the_executed_state(stored: Stored) -> None:
    _, chain, store = stored
    assert dict(store.state.scan(b"", b"\xff")) == dict(chain.state)
    assert all(store.state.get(key) == value for key, value in chain.state.items())
    assert store.state.get(b"h" + b"unknown") is None


def test_scans_for_seen_ids_pass_over_what_was_dropped_but_miss_nothing(stored: Stored) -> None:
    consortium, chain, store = stored
    block = chain.add(consortium.transaction([consortium.record(8)], expires_ms=chain.tip.time_ms + 5, nonce=8))
    store_blocks(store, consortium, [block])
    stop = SEEN_PREFIX + (chain.tip.time_ms + LIFETIME_MS).to_bytes(8, "big")
    expected = list(chain.state.scan(SEEN_PREFIX, stop))
    assert len(expected) == 1
    assert list(store.state.scan(SEEN_PREFIX, stop)) == expected


def test_records_are_found_by_id_only_if_they_took_effect(stored: Stored) -> None:
    consortium, _, store = stored
    assert store.record_place(record_id(consortium, 1)) == RecordPlace(Height(1), 0, 0)
    place = store.record_place(record_id(consortium, 3))
    assert place == RecordPlace(Height(1), 1, 1)
    found = store.record(place)
    assert (found.id, found.record.subject, found.department) == (record_id(consortium, 3), unit_code(3), "planning")
    assert found.payload == consortium.record(3).payload
    assert store.record_place(record_id(consortium, 4)) is None
    assert store.record_place(bytes(32)) is None


def test_versions_about_a_subject_are_listed_oldest_first(stored: Stored) -> None:
    _, _, store = stored
    first, second = RecordPlace(Height(1), 0, 0), RecordPlace(Height(4), 1, 0)
    assert store.history(OBJECTION, unit_code(1)) == [first, second]
    assert store.history(OBJECTION, unit_code(1), from_version=2) == [second]
    assert store.history(OBJECTION, unit_code(1), limit=1) == [first]
    assert store.history(OBJECTION, unit_code(1), from_version=3) == []
    assert store.history(OBJECTION, unit_code(1), from_version=1 << 70) == []
    assert store.history(OBJECTION, unit_code(1)[:-1]) == []
    assert store.version(OBJECTION, unit_code(1), 2) == second
    assert store.version(OBJECTION, unit_code(1), 3) is None
    assert store.version(OBJECTION, unit_code(1), 1 << 70) is None


def test_the_current_version_is_the_newest_even_if_it_revokes(stored: Stored) -> None:
    _, _, store = stored
    assert store.current(OBJECTION, unit_code(1)) == RecordPlace(Height(4), 1, 0)
    assert store.current(OBJECTION, unit_code(2)) == RecordPlace(Height(1), 1, 0)
    assert store.current(OBJECTION, unit_code(4)) is None
    assert store.current("property", unit_code(1)) is None


def test_records_in_force_are_listed_by_subject_in_pages(stored: Stored) -> None:
    consortium, chain, store = stored
    numbers = (101, 5, 250)
    block = chain.add(late_transaction(consortium, *map(consortium.record, numbers), nonce=9))
    store_blocks(store, consortium, [block])
    everything = sorted(unit_code(number) for number in (2, 3, *numbers))
    page = store.list_current(OBJECTION)
    assert (subjects(store, page.places), page.next_after) == (everything, None)
    page = store.list_current(OBJECTION, limit=3)
    assert (subjects(store, page.places), page.next_after) == (everything[:3], everything[2])
    page = store.list_current(OBJECTION, after=everything[2])
    assert subjects(store, page.places) == everything[3:]
    prefix = unit_code(101)[:-4]
    assert subjects(store, store.list_current(OBJECTION, prefix).places) == [unit_code(101)]
    assert subjects(store, store.list_current(OBJECTION, prefix, after=unit_code(102)).places) == []
    assert subjects(store, store.list_current(OBJECTION, prefix, after=unit_code(3)).places) == [unit_code(101)]
    assert store.list_current("property").places == ()


def test_a_repeated_transaction_keeps_the_place_of_its_first_result(stored: Stored) -> None:
    """X4."""
    _, chain, store = stored
    repeated = chain.blocks[1].transactions[0]
    assert chain.blocks[2].transactions[1].id == repeated.id
    assert store.transaction_place(repeated.id) == Place(Height(1), 0)
    assert store.transaction(Place(Height(2), 1)) == repeated.raw
    expired = chain.blocks[4].transactions[0]
    assert chain.blocks[4].codes[0] == pb.RESULT_CODE_EXPIRED
    assert store.transaction_place(expired.id) == Place(Height(4), 0)


def test_receipts_made_from_the_store_verify(stored: Stored) -> None:
    consortium, chain, store = stored
    for block in chain.blocks[1:]:
        for index, transaction in enumerate(block.transactions):
            verified = store.verified_transaction(Place(block.height, index))
            proofs = store.verified_block(block.height).proofs
            receipt = build_receipt(consortium.genesis, proofs, index, verified.message)
            verdict = verify_receipt(receipt, consortium.genesis)
            assert (verdict.transaction_id, verdict.code) == (transaction.id, block.codes[index])


@pytest.mark.parametrize("height", [6, -1, 1 << 64])
def test_a_height_that_the_chain_does_not_have_is_not_found(stored: Stored, height: int) -> None:
    store = stored[2]
    for read in (store.header, store.certificate, store.results, store.transactions, store.block, store.block_hash):
        with pytest.raises(HuzhengError) as raised:
            read(Height(height))
        assert raised.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("place", [Place(Height(1), 2), Place(Height(3), 0), Place(Height(9), 0)])
def test_a_place_that_the_chain_does_not_have_is_not_found(stored: Stored, place: Place) -> None:
    with pytest.raises(HuzhengError) as raised:
        stored[2].transaction(place)
    assert raised.value.code is Code.NOT_FOUND


def test_a_record_place_beyond_the_transaction_is_not_found(stored: Stored) -> None:
    with pytest.raises(HuzhengError) as raised:
        stored[2].record(RecordPlace(Height(1), 0, 1))
    assert raised.value.code is Code.NOT_FOUND


def test_ids_of_any_length_are_looked_up_without_harm(stored: Stored) -> None:
    store = stored[2]
    for identifier in (b"", b"x", bytes(31), bytes(1000)):
        assert store.record_place(identifier) is None
        assert store.transaction_place(identifier) is None
        assert store.height_of(identifier) is None


def test_a_block_that_does_not_follow_is_a_bug_and_changes_nothing(stored: Stored) -> None:
    consortium, chain, store = stored
    before = dict(store.entries())
    certificate = consortium.certificate(chain.blocks[5])
    with pytest.raises(RuntimeError):
        store.append(chain.blocks[5], certificate)
    with pytest.raises(RuntimeError):
        store.append(replace(chain.blocks[5], height=Height(6)), certificate)
    other = Consortium().chain()
    for _ in range(6):
        other.add(proposer=4)
    with pytest.raises(RuntimeError):
        store.append(other.blocks[6], consortium.certificate(other.blocks[6]))
    assert dict(store.entries()) == before


def test_blocks_of_one_store_make_another_with_the_same_entries(stored: Stored, tmp_path: Path) -> None:
    consortium, _, store = stored
    genesis = consortium.genesis
    other = ChainStore.open(tmp_path / "other", genesis)
    for height in range(1, store.tip.height + 1):
        block = prove_block(genesis, other.membership_at(Height(height)), store.block(Height(height)))
        apply_block(other, genesis, block, None)
    votes = (b"w", b"!votes")
    kept = {key: value for key, value in store.entries() if not key.startswith(votes)}
    assert dict(other.entries()) == kept
    other.close()


def test_votes_at_or_below_a_stored_height_are_trimmed_with_the_block(stored: Stored, tmp_path: Path) -> None:
    """C10."""
    consortium, chain, store = stored
    store.write_votes([vote_entry(7, 0), vote_entry(8, 1)])
    assert [key[:8] for key, _ in store.votes()] == [n.to_bytes(8, "big") for n in (0, 6, 7, 8)]
    store_blocks(store, consortium, [chain.add(), chain.add()])
    assert store.votes() == [vote_entry(0, 3), vote_entry(8, 1)]
    # One that was written late for a block stored meanwhile goes with the next block, after a restart too.
    store.write_votes([vote_entry(7, 5)])
    store.close()
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    assert store.votes() == [vote_entry(0, 3), vote_entry(7, 5), vote_entry(8, 1)]
    store_blocks(store, consortium, [chain.add()])
    assert store.votes() == [vote_entry(0, 3)]
    store.close()


def test_a_vote_key_without_a_sequence_is_a_bug(stored: Stored) -> None:
    with pytest.raises(ValueError):
        stored[2].write_votes([(b"short", b"")])


def test_a_snapshot_stays_as_it_was(stored: Stored) -> None:
    consortium, chain, store = stored
    with store.snapshot() as view:
        block = chain.add(late_transaction(consortium, consortium.record(2, 2, record_id(consortium, 2)), nonce=7))
        store_blocks(store, consortium, [block])
        assert (view.tip.height, store.tip.height) == (5, 6)
        assert view.current(OBJECTION, unit_code(2)) == RecordPlace(Height(1), 1, 0)
        assert store.current(OBJECTION, unit_code(2)) == RecordPlace(Height(6), 0, 0)
        with pytest.raises(HuzhengError) as raised:
            view.header(Height(6))
        assert raised.value.code is Code.NOT_FOUND


def test_heads_are_found_however_far_behind_all_others_a_subject_comes(tmp_path: Path, stored: Stored) -> None:
    consortium, chain, store = stored
    last = 9_999
    for number in (last - 1, last):
        key = heads_key(consortium.genesis.slots[OBJECTION], unit_code(number))
        with store.snapshot() as before:
            assert before.state.get(key) is None
        block = chain.add(late_transaction(consortium, consortium.record(number), nonce=number))
        store_blocks(store, consortium, [block])
        with store.snapshot() as after:
            assert after.state.get(key) == store.state.get(key)
            assert after.state.get(key) is not None
    store.close()
    reopened = ChainStore.open(store.path, consortium.genesis)
    with reopened.snapshot() as again:
        assert again.state.get(key) is not None
    reopened.close()


def test_where_the_last_heads_can_t_be_read_all_are_looked_for() -> None:
    class Damaged:
        def last_key(self, _start: bytes, _stop: bytes) -> bytes | None:
            raise HuzhengError(Code.STORE_CORRUPT)

    assert _last_heads_key(cast(Engine, Damaged())) > b"h" + b"\xff" * 100


def test_behind_the_last_heads_nothing_is_looked_for() -> None:
    """After them come the seen ids: many that were deleted, which a seek would go through."""
    asked: list[bytes] = []

    class Noting:
        def get(self, key: bytes) -> bytes | None:
            asked.append(key)
            return b"value"

        def scan(self, start: bytes, stop: bytes | None = None, *, fill_cache: bool = True) -> Iterator[Entry]:
            raise NotImplementedError

    state = StoredState(Noting(), LastHeads(b"hm"))
    assert [state.get(key) for key in (b"hl", b"hm", b"hn", b"i", b"g")] == [
        b"value",
        b"value",
        None,
        b"value",
        b"value",
    ]
    assert asked == [b"shl", b"shm", b"si", b"sg"]


def test_reads_from_many_threads_agree_while_blocks_are_appended(stored: Stored) -> None:
    consortium, chain, store = stored
    blocks = [chain.add(late_transaction(consortium, consortium.record(10 + n), nonce=20 + n)) for n in range(60)]
    stop = threading.Event()
    problems: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                with store.snapshot() as view:
                    page = view.list_current(OBJECTION)
                    assert len(page.places) >= view.record_count - 2
                    for place in page.places[-5:]:
                        record = view.record(place)
                        assert view.current(OBJECTION, record.record.subject) == place
                        check_transaction(view.transaction(place.transaction_place), consortium.genesis)
                tip = store.tip
                assert store.block_hash(tip.height) == tip.block_hash
        except BaseException as error:
            problems.append(error)

    def vote() -> None:
        sequence = 6
        while not stop.is_set():
            store.write_votes([vote_entry(sequence, 0)])
            sequence += 1

    threads = [threading.Thread(target=work) for work in (read, read, read, vote)]
    for thread in threads:
        thread.start()
    store_blocks(store, consortium, blocks)
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert store.tip.height == 65
