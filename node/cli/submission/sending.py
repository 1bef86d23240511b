"""Sends what the planner signs, several transactions at a time, and sees each of them to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic, time
from typing import TypeVar

from huzheng.v1 import transaction_pb2 as pb

from ledger.errors import Code, HuzhengError, refusal
from node.cli.submission.journal import Entry, Journal, State
from node.cli.submission.planning import (
    About,
    Head,
    PlannedRecord,
    Planner,
    Signed,
    Touched,
    groups,
    head_of,
    settled_heads,
)
from node.cli.submission.reading import InputRecord
from node.client import Final, LedgerClient
from node.own_vault import OwnVault

# The node may answer these differently next time.
TRY_AGAIN = (Code.NODE_UNREACHABLE, Code.NOT_READY, Code.OVERLOADED, Code.TIMED_OUT)
# These are about the call, not the transaction: the rest of the input would fare no better.
_NOT_ABOUT_THE_RECORDS = (
    Code.TLS_REFUSED,
    Code.PERMISSION_DENIED,
    Code.UNTRUSTED_ANSWER,
    Code.NOT_IMPLEMENTED,
    Code.INTERNAL,
    Code.WRONG_CHAIN,
    Code.CALLER_UNKNOWN,
    Code.CALLER_NOT_ALLOWED,
    Code.CALLER_NAME_INVALID,
    Code.CALLER_DEPARTMENT_MISMATCH,
)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
_LOOKUPS_AT_ONCE = 32
# Beyond this many, versions are forgotten and asked for again.
_REMEMBERED_HEADS = 200_000
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Settled:
    """How one transaction ended."""

    entry: Entry
    records: tuple[PlannedRecord, ...]
    # None where the node refused it before ordering.
    final: Final | None
    # None where it was accepted.
    error: HuzhengError | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Records at positions `first` to `last` that were not taken, all for the same reason."""

    first: int
    last: int
    error: HuzhengError


@dataclass(frozen=True, slots=True)
class Options:
    """How to send."""

    # Records in a transaction at most.
    batch: int = 100
    # Transactions on their way at once.
    in_flight: int = 8
    # How long to go on trying one transaction while nodes do not answer.
    patience_s: float = 60.0
    # Whether to go on with other records after a refusal.
    keep_going: bool = False


@dataclass(slots=True)
class Tally:
    """What has been done in this run."""

    accepted: int = 0
    refused: list[Refused] = field(default_factory=list)
    transactions: int = 0


class Sender:
    """One submission. Use it once."""

    def __init__(
        self,
        client: LedgerClient,
        planner: Planner,
        journal: Journal,
        options: Options,
        on_settled: Callable[[Settled], None],
        clock: Callable[[], float] = time,
        on_wait: Callable[[HuzhengError], None] = lambda _: None,
    ) -> None:
        """`on_settled` is told of every transaction that ended, before the journal is: what it writes is never lost.

        `clock`: seconds since 1970, for expiries. `on_wait` is told once why nodes have to be tried again.
        """
        self._client = client
        self._planner = planner
        self._journal = journal
        self._options = options
        self._on_settled = on_settled
        self._clock = clock
        self._on_wait = on_wait
        self._has_waited = False
        self._heads: dict[About, Head] = {}
        self._tasks: dict[asyncio.Task[None], Touched] = {}
        self._failure: BaseException | None = None
        self._expired = False
        # By the monotonic clock, in seconds; for transactions of this run.
        self._signed_at: dict[bytes, float] = {}
        self.tally = Tally()

    async def run(self, records: Iterable[InputRecord]) -> None:
        """Sends again what the journal leaves open, then all that is not in the journal.

        Raises:
            HuzhengError: what stopped it. Refusals of transactions do not raise; they are in the tally.
        """
        try:
            for entry in self._journal.standing():
                if entry.state is State.OPEN:
                    await self._start(self._planner.rebuilt(entry))
            await self._drain()
            # What expired on its way is signed again, in its order, before anything that follows it.
            while await self._pass_through(records):
                self._expired = False
        except HuzhengError:
            # What is under way comes to its end, so that the next run has less to ask about.
            await asyncio.gather(*self._tasks, return_exceptions=True)
            raise
        finally:
            for task in self._tasks:
                task.cancel()

    async def _pass_through(self, records: Iterable[InputRecord]) -> bool:
        """Sends all that is not settled yet; True if it must be done again because something expired."""
        settled = [(entry.first, entry.last) for entry in self._journal.standing()]
        settled += [(refused.first, refused.last) for refused in self.tally.refused]
        for group in groups(records, sorted(settled), self._options.batch):
            if not await self._send_group(group):
                break
        await self._drain()
        return self._expired and not self._must_stop()

    def _must_stop(self) -> bool:
        return bool(self.tally.refused) and not self._options.keep_going

    async def _send_group(self, group: Sequence[InputRecord]) -> bool:
        """Builds, signs and starts the transactions of a group; False when nothing more should be started now."""
        while group:
            if not await self._wait_for(group):
                return False
            heads = await self._current(group)
            try:
                built = self._build(group, heads)
            except HuzhengError as error:
                self.tally.refused.append(Refused(group[0].position, group[-1].position, error))
                return self._options.keep_going
            count = self._planner.fitting(built)
            signed = self._planner.sign(group[:count], built[:count], int(self._clock() * 1000))
            # Once it is in the journal it is sent, by the next run if need be, which does not know the values' salts.
            await self._deposit(signed)
            self._journal.signed(signed.entry)
            self._signed_at[signed.entry.transaction_id] = monotonic()
            await self._start(signed)
            group = group[count:]
        return True

    async def _deposit(self, signed: Signed) -> None:
        """Has the vault keep what the records only commit to; nothing is sent of what it does not have."""
        built = [record.built for record in signed.records if record.built.secrets]
        if built:
            await self._patiently(
                lambda: OwnVault(self._client, self._planner.department).deposit(built, signed.entry.expires_ms)
            )

    def _build(self, group: Sequence[InputRecord], heads: dict[About, Head | None]) -> list[PlannedRecord]:
        built = []
        for record in group:
            one = self._planner.build(record, heads)
            heads[one.about] = one.head
            built.append(one)
        return built

    async def _wait_for(self, group: Sequence[InputRecord]) -> bool:
        """Waits until no transaction is under way that must take effect before these records, and there is room for one more."""
        touched = self._planner.touched(group)
        while True:
            if self._failure is not None or self._expired or self._must_stop():
                return False
            before = [task for task, other in self._tasks.items() if touched.order_matters(other)]
            if not before and len(self._tasks) < self._options.in_flight:
                return True
            await asyncio.wait(before or self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _current(self, group: Sequence[InputRecord]) -> dict[About, Head | None]:
        """The newest version of each subject, and of those that are relied on: as this run left it, or as the node says."""
        if len(self._heads) > _REMEMBERED_HEADS:
            self._heads.clear()
        known: dict[About, Head | None] = {}
        unknown: set[About] = set()
        built: set[About] = set()
        for record in group:
            about = self._planner.canonical(record)
            relied = [relied for relied, stated in self._planner.relied(record).items() if stated is None]
            known.update({one: self._heads[one] for one in (about, *relied) if one in self._heads})
            # What an earlier record of the group is about is known once that one is built.
            unknown.update({*relied} - built if record.version == 1 else {about, *relied} - built)
            built.add(about)
        gate = asyncio.Semaphore(_LOOKUPS_AT_ONCE)
        ordered = sorted(unknown - known.keys())
        found = await asyncio.gather(*(self._look_up(about, gate) for about in ordered))
        return known | dict(zip(ordered, found, strict=True))

    async def _look_up(self, about: About, gate: asyncio.Semaphore) -> Head | None:
        async with gate:
            try:
                located = await self._patiently(lambda: self._client.record_of(*about))
            except HuzhengError as error:
                if error.code is Code.NOT_FOUND:
                    return None
                raise
        return head_of(pb.Record.FromString(located.record), located.record_id)

    async def _start(self, signed: Signed) -> None:
        while len(self._tasks) >= self._options.in_flight:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._see_through(signed))
        self._tasks[task] = signed.touched
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()

    async def _drain(self) -> None:
        """Waits for everything under way.

        Raises:
            HuzhengError: what stopped the run.
        """
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._failure is not None:
            raise self._failure

    async def _see_through(self, signed: Signed) -> None:
        entry = signed.entry
        try:
            final = await self._patiently(lambda: self._client.submit(entry.transaction))
        except HuzhengError as error:
            if error.code in _NOT_ABOUT_THE_RECORDS or error.code in TRY_AGAIN:
                raise
            found = await self._on_chain_after(entry, error)
            if found is None:
                self._end(signed, None, error)
                return
            final = found
        code = final.verdict.code
        refused = None if code == pb.RESULT_CODE_ACCEPTED else refusal(code)
        self._end(signed, final, None if refused is None else HuzhengError(refused, _place(entry, final)))

    async def _on_chain_after(self, entry: Entry, error: HuzhengError) -> Final | None:
        """How the chain has a transaction that a node would not take in; None if it has not and never will.

        An expired one may have been ordered earlier, by a node we lost. It is certain that it was not only when this
        node's own chain has passed the expiry without it.
        """
        if error.code not in (Code.EXPIRED, Code.REPEATED):
            return None
        deadline = monotonic() + self._options.patience_s
        while True:
            try:
                receipt, verdict = await self._patiently(lambda: self._client.transaction_receipt(entry.transaction_id))
            except HuzhengError as lookup:
                if lookup.code is not Code.NOT_FOUND:
                    raise
            else:
                return Final(entry.transaction_id, receipt, verdict)
            status = await self._patiently(self._client.status)
            if status.block_time_ms >= entry.expires_ms:
                return None
            if monotonic() > deadline:
                raise HuzhengError(Code.TIMED_OUT, "the chain has not reached the expiry of a transaction")
            await asyncio.sleep(1.0)

    def _end(self, signed: Signed, final: Final | None, error: HuzhengError | None) -> None:
        entry = signed.entry
        signed_at = self._signed_at.pop(entry.transaction_id, None)
        if error is None:
            state = State.ACCEPTED
            self._heads.update(settled_heads(signed.records))
            self.tally.accepted += len(signed.records)
            self.tally.transactions += 1
        elif error.code is Code.EXPIRED:
            state = State.EXPIRED
            self._note_expiry(signed_at, error)
        else:
            state = State.REFUSED
            self.tally.refused.append(Refused(entry.first, entry.last, error))
        if state is not State.EXPIRED:
            self._on_settled(Settled(entry, signed.records, final, error))
        self._journal.settled(entry, state)

    def _note_expiry(self, signed_at: float | None, error: HuzhengError) -> None:
        self._expired = True
        age_s = monotonic() - (signed_at if signed_at is not None else float("-inf"))
        if age_s * 1000 < self._planner.lifetime_ms // 2:
            # Signing again would end the same way: one of the two clocks is wrong.
            self._failure = self._failure or HuzhengError(error.code, f"{age_s:.0f} s after it was signed")

    async def _patiently(self, call: Callable[[], Awaitable[R]]) -> R:
        """Repeats a call while nodes do not answer, up to the patience allowed."""
        start, pause = monotonic(), _FIRST_PAUSE_S
        while True:
            try:
                return await call()
            except HuzhengError as error:
                if error.code not in TRY_AGAIN or monotonic() - start > self._options.patience_s:
                    raise
                if not self._has_waited and error.code is not Code.OVERLOADED:
                    self._has_waited = True
                    self._on_wait(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)


def _place(entry: Entry, final: Final) -> str:
    if entry.first == entry.last:
        return f"record {entry.first}"
    return f"record {entry.first + final.verdict.index}, and with it {entry.first} to {entry.last}"
