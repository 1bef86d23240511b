"""The journal beside an input file: what was signed, before it was sent, and how it ended.

It makes a submission resumable: whatever is signed is on disk first, so that a later run sends the same bytes again,
which a node answers with the first result, and never signs the same records twice while the first signature could
still take effect. The file is JSON Lines, only ever appended to.
"""

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

from ledger.errors import Code, HuzhengError

VERSION = 1


class State(StrEnum):
    """How far a signed transaction has come."""

    # It may have been sent, and may be on chain.
    OPEN = "open"
    # On chain and accepted.
    ACCEPTED = "accepted"
    # Refused, on chain or by the node: it has no effect and never will.
    REFUSED = "refused"
    # Expired without getting on chain: it never will.
    EXPIRED = "expired"


@dataclass(slots=True)
class Entry:
    """One signed transaction, for the records at positions `first` to `last` of the input."""

    transaction_id: bytes
    first: int
    last: int
    # SHA-256 over the digests of those records.
    digest: bytes
    transaction: bytes
    """Empty once it has ended: what is not sent again is not kept in memory."""
    expires_ms: int
    state: State = State.OPEN

    def end(self, state: State) -> None:
        """How it ended is known."""
        self.state = state
        if state is not State.OPEN:
            self.transaction = b""


@dataclass(slots=True)
class Journal:
    """All signed transactions of one input. Without a path it is kept in memory only."""

    entries: dict[bytes, Entry] = field(default_factory=dict)
    _file: BinaryIO | None = None
    # The first line, until it is written: with the first transaction, so that a run which signed nothing, such as one
    # with the wrong department's profile, binds the input to nothing.
    _head: dict[str, Any] | None = None

    @classmethod
    def open(cls, path: Path, chain_id: bytes, department: str) -> Self:
        """Opens or makes the journal and locks it until `close`.

        Raises:
            HuzhengError: JOURNAL_MISMATCH (another chain, department or kind of file), JOURNAL_IN_USE, FILE_ACCESS.
        """
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b", buffering=0)
        except OSError as error:
            raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise HuzhengError(Code.JOURNAL_IN_USE, str(path)) from None
        journal = cls(_file=file)
        head = {"huzheng_journal": VERSION, "chain_id": chain_id.hex(), "department": department}
        journal._load(path, head)
        return journal

    def close(self) -> None:
        """Releases the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def signed(self, entry: Entry) -> None:
        """Notes a transaction, durably, before it is sent."""
        self.entries[entry.transaction_id] = entry
        if self._head is not None:
            self._append(self._head, durable=False)
            self._head = None
        line = {
            "signed": entry.transaction_id.hex(),
            "first": entry.first,
            "last": entry.last,
            "digest": entry.digest.hex(),
            "expires_ms": entry.expires_ms,
            "transaction": base64.b64encode(entry.transaction).decode(),
        }
        self._append(line, durable=True)

    def settled(self, entry: Entry, state: State) -> None:
        """Notes how a transaction ended. Losing this line to a crash only means asking the node again."""
        entry.end(state)
        self._append({"ended": entry.transaction_id.hex(), "state": str(state)}, durable=False)

    def standing(self) -> list[Entry]:
        """The transactions that have taken effect or still may, by position."""
        found = [entry for entry in self.entries.values() if entry.state in (State.OPEN, State.ACCEPTED)]
        return sorted(found, key=lambda entry: entry.first)

    def _append(self, line: dict[str, Any], *, durable: bool) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
            if durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise HuzhengError(Code.FILE_ACCESS, f"the journal: {error.strerror}") from None

    def _load(self, path: Path, head: dict[str, Any]) -> None:
        """Line by line: the journal of a large input has all that was signed."""
        if self._file is None:
            return
        reader = io.BufferedReader(cast(io.RawIOBase, self._file))
        try:
            lines, length = self._replay_all(reader, path, head)
            reader.seek(length)
            # A crash may have left half a line at the end; nothing that it would have said has happened yet.
            rest = [line for line in reader if line.strip(b"\0\n ")]
        finally:
            reader.detach()
        if rest and not lines:
            raise HuzhengError(Code.JOURNAL_MISMATCH, f"{path} is not a journal")
        if any(map(_read_line, rest)):
            raise HuzhengError(Code.JOURNAL_MISMATCH, f"{path} is damaged")
        self._file.truncate(length)
        if not lines:
            self._head = head

    def _replay_all(self, reader: BinaryIO, path: Path, head: dict[str, Any]) -> tuple[int, int]:
        """Whole lines from the start, as far as they can be read: how many there are, and their length."""
        lines = length = 0
        for raw in reader:
            line = _read_line(raw) if raw.endswith(b"\n") else None
            if line is None:
                break
            if not lines and line != head:
                raise HuzhengError(Code.JOURNAL_MISMATCH, str(path))
            try:
                if lines:
                    self._replay(line)
            except (KeyError, TypeError, ValueError):
                raise HuzhengError(Code.JOURNAL_MISMATCH, f"{path} is damaged") from None
            lines, length = lines + 1, length + len(raw)
        return lines, length

    def _replay(self, line: dict[str, Any]) -> None:
        if "signed" not in line:
            self.entries[bytes.fromhex(line["ended"])].end(State(line["state"]))
            return
        entry = Entry(
            bytes.fromhex(line["signed"]),
            int(line["first"]),
            int(line["last"]),
            bytes.fromhex(line["digest"]),
            base64.b64decode(line["transaction"], validate=True),
            int(line["expires_ms"]),
        )
        self.entries[entry.transaction_id] = entry


def _read_line(raw: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
