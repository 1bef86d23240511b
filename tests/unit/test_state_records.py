"""Records of the state tree: what blocks that are not stored, and those before them, have left of each."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import Height
from ledger.state.noted import Noted
from ledger.state.records import Records, split
from tests.memory_records import MemoryRecords

SIZE = 16


def record(number: int) -> bytes:
    return number.to_bytes(SIZE, "big")


def test_what_was_noted_is_found_also_if_more_is_noted_between_searches() -> None:
    noted = Noted(SIZE)
    assert noted.find(7) is None
    for number in range(300):
        noted.add(1_000 * number, record(number))
        assert noted.find(1_000 * (number // 2)) == record(number // 2)
        assert noted.find(1_000 * number + 1) is None
    assert noted.items() == [(1_000 * number, record(number)) for number in range(300)]
    assert len(noted) == 300


CHANGES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 99)), max_size=6)
"""Of a block: indexes and new numbers."""


@settings(max_examples=150, deadline=None)
@given(blocks=st.lists(CHANGES, min_size=1, max_size=8), pending=st.integers(0, 5), taken_back=st.integers(0, 3))
def test_each_block_that_is_kept_is_read_as_it_left_the_records(
    blocks: list[list[tuple[int, int]]], pending: int, taken_back: int
) -> None:
    """Some blocks are stored later than the next ones are executed, and some taken back and executed again."""
    records, models, stored = Records(MemoryRecords(SIZE)), [dict.fromkeys(range(1, 7), 0)], 0
    for height, block in enumerate(blocks, start=1):
        execute(records, height, block, models)
        again = min(taken_back, height - stored)
        for back in range(again):
            records.revert(Height(height - back))
        del models[height + 1 - again :]
        for repeated in range(height + 1 - again, height + 1):
            execute(records, repeated, blocks[repeated - 1], models)
        while height - stored > pending:
            stored += 1
            changes = records.changes(Height(stored))
            assert dict(split(changes, SIZE)) == {
                index: record(models[stored][index]) for index, _ in blocks[stored - 1]
            }
            records.store(changes)
        for kept in range(height + 1):
            assert {index: records.at(index, Height(kept)) for index in range(1, 7)} == {
                index: record(number) for index, number in models[kept].items()
            }


def execute(records: Records, height: int, block: list[tuple[int, int]], models: list[dict[int, int]]) -> None:
    """One block on top of the newest; a record may be changed more than once."""
    records.begin(Height(height))
    read, model = records.reader(), dict(models[-1])
    assert {index: read(index) for index in model} == {index: record(number) for index, number in model.items()}
    for index, number in block:
        records._set(index, record(number), records.get(index))
        model[index] = number
        assert records.get(index) == record(number)
    models.append(model)


def test_what_is_free_again_is_used_again() -> None:
    records = Records(MemoryRecords(SIZE))
    records.begin(Height(1))
    indexes = [records.add(record(number)) for number in (1, 2, 3)]
    records.free(indexes[1])
    assert records.add(record(4)) == indexes[1]
    assert records.add(record(5)) == indexes[2] + 1
    assert [records.get(index) for index in indexes] == [record(1), record(4), record(3)]
