"""The stream of synthetic records."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count as count_from
from itertools import islice

from node.sample_data.dice import Dice
from node.sample_data.properties import flat
from node.sample_data.records import SampleRecord
from node.sample_data.stories import Story

# Certificates' serials have at most eight digits.
MAX_RECORDS = 30_000_000


def generate(seed: int, count: int) -> Iterator[SampleRecord]:
    """The first `count` synthetic records of a seed, at most `MAX_RECORDS`.

    The same seed gives the same records on every machine, and a smaller count gives the beginning of a larger one. All
    records about a flat stand together; a record that replaces another, or relies on it, comes after it. Memory does not
    grow.
    """
    if not 0 <= count <= MAX_RECORDS:
        raise ValueError(f"count must be 0 to {MAX_RECORDS}")
    return islice(_records(seed), count)


def _records(seed: int) -> Iterator[SampleRecord]:
    for index in count_from():
        yield from Story(flat(seed, index), Dice("story", seed, index)).records()
