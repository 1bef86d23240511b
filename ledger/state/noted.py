"""What a block changed, as it was before: in a few long buffers, since thousands of small objects a block would push all else out of the caches."""

from __future__ import annotations

from array import array


class Noted:
    """Records of one size, each noted once, by index. One thread notes, any may search."""

    __slots__ = ("_places", "indexes", "raws", "size")

    def __init__(self, size: int) -> None:
        """`size`: bytes of a record."""
        self.size = size
        self.raws = bytearray()
        """All records, one after the other. Whoever notes many adds to these two himself; here first, since others go by the indexes."""
        self.indexes = array("Q")
        """Their indexes."""
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.indexes)

    def add(self, index: int, raw: bytes) -> None:
        """Notes a record that is not noted yet."""
        self.raws += raw
        self.indexes.append(index)

    def place(self, index: int) -> int | None:
        """How many were noted before this one; None if it is not noted."""
        places, indexes = self._places, self.indexes
        # Only who searches pays for it. Several threads at once do the same.
        for place in range(len(places), len(indexes)):
            places[indexes[place]] = place
        return places.get(index)

    def find(self, index: int) -> bytes | None:
        """A record, if it is noted."""
        place = self.place(index)
        return None if place is None else bytes(self.raws[place * self.size : (place + 1) * self.size])

    def items(self) -> list[tuple[int, bytes]]:
        """All."""
        size, raws = self.size, bytes(self.raws)
        return [(index, raws[place * size : (place + 1) * size]) for place, index in enumerate(self.indexes)]
