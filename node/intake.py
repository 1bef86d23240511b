"""How transactions come in, from clients and from peers, and how those who wait hear that they are final.

Signatures are checked in worker threads, in groups, and receipts of large blocks are made in one; the rest happens on the event loop. Whoever
asks again gets the answer that was given first: from the store if the transaction is final, together with the others who wait if it is pending.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.crypto import Height
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.published import Published
from ledger.store import ChainStore, Place
from ledger.transaction import WellFormedTransaction, check_transaction
from node.clock import monotonic_ms
from node.entry import judge, knows_signer, refuse_personal_data
from node.feed import BlockFeed
from node.grouping import MAX_GROUP_ITEMS, GroupedWork
from node.hand_over import OrderedThread, is_small_block
from node.held import HeldTransactions
from node.identity import Caller, Role
from node.mempool import Mempool
from node.metrics import Metrics
from node.rate_limit import RateLimit
from node.receipts import FinalTransaction, block_receipts, transaction_receipt
from node.waiters import Final, Group, Waiters, fail, resolve

GROUPS_AT_ONCE = 4
"""Groups of signature checks in the worker threads or queued for them; the rest waits its turn here."""
MAX_WAITERS_PER_DEPARTMENT = 20_000
NOT_WELL_FORMED = frozenset(
    {Code.TOO_LARGE, Code.NOT_STRICT, Code.MALFORMED_TRANSACTION, Code.WRONG_CHAIN, Code.BAD_SIGNATURE}
)
"""What `check_transaction` says of bytes that no correct replica hands on."""
_PEERS = "*peers"
"""The peers' turn among the departments; no department's id has a star."""

Offer = Callable[[WellFormedTransaction], None]

T = TypeVar("T")
R = TypeVar("R")

log = structlog.get_logger("intake")


@dataclass(frozen=True, slots=True)
class Submission:
    """A transaction that was taken in, now or earlier."""

    transaction_id: bytes
    final: Final
    """Fails with EXPIRED when no block can accept it any more, NOT_READY when the node stops. Cancel it to leave."""


@dataclass(frozen=True, slots=True)
class _Examined:
    """What a worker thread found out about a well-formed transaction."""

    transaction: WellFormedTransaction
    place: Place | None
    refusal: HuzhengError | None
    signer_known: bool
    height: Height
    """The chain was at least this high when it was looked at."""


class Intake:
    """Belongs to one event loop."""

    def __init__(
        self,
        genesis: Genesis,
        store: ChainStore,
        mempool: Mempool,
        workers: ThreadPoolExecutor,
        offer: Offer,
        now_ms: Callable[[], int],
        *,
        feed: BlockFeed,
        metrics: Metrics,
        max_submissions_per_second: int,
    ) -> None:
        """`offer` gets each transaction that a client brought and that is new. `now_ms`: the network's time.

        `max_submissions_per_second`: of each department.
        """
        self._genesis = genesis
        self._store = store
        self._mempool = mempool
        self._offer = offer
        self._now_ms = now_ms
        self._feed = feed
        self._metrics = metrics
        self._checks: GroupedWork[bytes, _Examined] = GroupedWork(workers, GROUPS_AT_ONCE, len)
        self._receipts = OrderedThread("receipts")
        self._rate = RateLimit(max_submissions_per_second)
        self._waiters = Waiters(MAX_WAITERS_PER_DEPARTMENT)
        self._held = HeldTransactions()
        self._stored_height = store.tip.height
        self._published = store.tip.height, store.published()
        self._closed: HuzhengError | None = None
        self._ended = False

    # --- clients ---

    async def submit(self, raw: bytes, caller: Caller) -> Submission:
        """Takes a transaction in.

        Raises:
            HuzhengError: nothing was taken in. TOO_LARGE, NOT_STRICT, MALFORMED_TRANSACTION, WRONG_CHAIN, BAD_SIGNATURE;
                CALLER_NOT_ALLOWED, CALLER_NOT_DEPARTMENT; PERSONAL_DATA; a refusal that is certain (see node.entry);
                OVERLOADED, NOT_READY.
        """
        try:
            self._rate.spend(caller.department, monotonic_ms())
        except HuzhengError as error:
            self._metrics.refused.labels(str(error.code)).inc()
            raise
        [outcome] = await self.submit_all([raw], caller)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def pace(self, caller: Caller, count: int) -> None:
        """Waits until the department may submit so many: who has much to send is slowed down, and need not try again."""
        while wait_ms := self._rate.wait_ms(caller.department, monotonic_ms(), count):
            await asyncio.sleep(wait_ms / 1000)
        self._rate.spend(caller.department, monotonic_ms(), count)

    async def submit_all(self, raws: Sequence[bytes], caller: Caller) -> list[Submission | Exception]:
        """Takes several transactions in, each for itself: what `submit` returns or raises for each, once `pace` has let them pass."""
        outcomes = [self._try(self._known, raw, caller) for raw in raws]
        new = [position for position, outcome in enumerate(outcomes) if outcome is None]
        try:
            examined = await self._examine([raws[position] for position in new], caller)
        except asyncio.CancelledError:
            for outcome in outcomes:
                if isinstance(outcome, Submission):
                    outcome.final.cancel()
            raise
        for position, found in zip(new, examined, strict=True):
            outcomes[position] = self._try(self._settle, found, caller)
        for outcome in outcomes:
            if isinstance(outcome, HuzhengError):
                self._metrics.refused.labels(str(outcome.code)).inc()
        return [outcome for outcome in outcomes if outcome is not None]

    @staticmethod
    def _try(step: Callable[[T, Caller], R], item: T, caller: Caller) -> R | Exception:
        try:
            return step(item, caller)
        except Exception as error:
            return error

    def _known(self, raw: bytes, caller: Caller) -> Submission | None:
        """What is pending already; None where it must be looked at."""
        self._require_open()
        self._require_size(raw)
        caller.require(Role.SYSTEM)
        pending = self._mempool.verified(raw)
        if pending is None:
            return None
        _require_department(pending, caller)
        return self._join(pending)

    def _settle(self, outcome: _Examined | Exception, caller: Caller) -> Submission:
        """What was found out about a transaction is known."""
        self._count_check(outcome)
        if isinstance(outcome, Exception):
            raise outcome
        self._require_open()
        _require_department(outcome.transaction, caller)
        place = self._place(outcome)
        if place is not None:
            return self._already_final(outcome.transaction.id, place)
        if outcome.transaction.id in self._mempool:
            return self._join(outcome.transaction)
        self._require_acceptable(outcome)
        return self._take_in(outcome.transaction)

    def _require_open(self) -> None:
        if self._closed is not None:
            raise HuzhengError(self._closed.code, self._closed.detail)

    def _require_size(self, raw: bytes) -> None:
        limit = self._genesis.parameters.max_transaction_bytes
        if len(raw) > limit:
            raise HuzhengError(Code.TOO_LARGE, f"a transaction may have {limit} bytes")

    async def _examine(self, raws: Sequence[bytes], caller: Caller) -> list[_Examined | Exception]:
        work = partial(self._examine_submitted, self._now_ms())
        groups = [raws[start : start + MAX_GROUP_ITEMS] for start in range(0, len(raws), MAX_GROUP_ITEMS)]
        done = await asyncio.gather(*(self._examine_group(caller.department, group, work) for group in groups))
        return [outcome for group in done for outcome in group]

    async def _examine_group(
        self, source: str, raws: Sequence[bytes], work: Callable[[bytes], _Examined]
    ) -> Sequence[_Examined | Exception]:
        try:
            return await self._checks.run(source, raws, work)
        except Exception as error:
            # Too much waits, or the node stops.
            return [error] * len(raws)

    def _examine_submitted(self, now_ms: int, raw: bytes) -> _Examined:
        """In a worker thread."""
        transaction = check_transaction(raw, self._genesis)
        height = self._store.tip.height
        published = self._published_at(height)
        refuse_personal_data(published, transaction)
        with self._store.snapshot() as chain:
            judgement = judge(self._genesis, chain.state, published, transaction, now_ms)
            place = chain.transaction_place(transaction.id)
        return _Examined(transaction, place, judgement.refusal, judgement.signer_known, height)

    def _published_at(self, height: Height) -> Published:
        """The catalogue as of a block or of a later one; what was read of it serves all until the next block."""
        known_height, published = self._published
        if known_height != height:
            published = self._store.published()
            self._published = height, published
        return published

    def _count_check(self, outcome: _Examined | Exception) -> None:
        bad = isinstance(outcome, HuzhengError) and outcome.code is Code.BAD_SIGNATURE
        if bad or not isinstance(outcome, Exception):
            self._metrics.signature_checks.labels("bad" if bad else "good").inc()

    def _place(self, examined: _Examined) -> Place | None:
        if examined.place is not None or self._stored_height == examined.height:
            return examined.place
        # Blocks came meanwhile; they are still in LevelDB's memory.
        return self._store.transaction_place(examined.transaction.id)

    def _require_acceptable(self, examined: _Examined) -> None:
        if examined.refusal is not None:
            raise examined.refusal
        if not examined.signer_known and not self._mempool.has_operations_of(examined.transaction.department):
            raise HuzhengError(Code.UNKNOWN_KEY)

    def _join(self, transaction: WellFormedTransaction) -> Submission:
        return Submission(
            transaction.id, self._waiters.add(transaction.id, transaction.department, transaction.expires_ms)
        )

    def _take_in(self, transaction: WellFormedTransaction) -> Submission:
        submission = self._join(transaction)
        try:
            self._mempool.add(transaction)
        except HuzhengError:
            submission.final.cancel()
            raise
        self._metrics.taken_in.labels(transaction.department).inc()
        self._offer(transaction)
        return submission

    def _already_final(self, transaction_id: bytes, place: Place) -> Submission:
        return Submission(transaction_id, self._receipts.run(False, self._prove, transaction_id, place))

    def _prove(self, transaction_id: bytes, place: Place) -> FinalTransaction:
        return FinalTransaction(transaction_id, place, transaction_receipt(self._genesis, self._store, place))

    # --- peers ---

    async def admit_forwarded(self, raws: Sequence[bytes]) -> None:
        """Takes in what a peer handed on; what is known, late or too much is dropped and counted.

        Raises:
            HuzhengError: NOT_WELL_FORMED, and then the rest is dropped; STORE_CORRUPT.
        """
        new = [raw for raw in raws if self._mempool.verified(raw) is None]
        for start in range(0, len(new), MAX_GROUP_ITEMS):
            group = new[start : start + MAX_GROUP_ITEMS]
            try:
                outcomes = await self._checks.run(_PEERS, group, self._examine_forwarded)
            except HuzhengError as error:
                # Too much waits, or the node stops.
                self._metrics.forwarded_refused.labels(str(error.code)).inc(len(new) - start)
                return
            faults = [self._admit_or_count(outcome) for outcome in outcomes]
            for fault in filter(None, faults):
                raise fault

    def _admit_or_count(self, outcome: _Examined | Exception) -> Exception | None:
        """What should not have come from a correct replica, or happened here."""
        self._count_check(outcome)
        try:
            self._admit(outcome)
        except HuzhengError as error:
            self._metrics.forwarded_refused.labels(str(error.code)).inc()
        except Exception as error:
            return error
        return outcome if isinstance(outcome, Exception) else None

    def _examine_forwarded(self, raw: bytes) -> _Examined:
        """In a worker thread. The entry node has judged the rest; only whose it is matters to the department's share."""
        transaction = check_transaction(raw, self._genesis)
        height = self._store.tip.height
        with self._store.snapshot() as chain:
            signer_known, place = knows_signer(chain.state, transaction), chain.transaction_place(transaction.id)
        return _Examined(transaction, place, None, signer_known, height)

    def _admit(self, outcome: _Examined | Exception) -> None:
        if isinstance(outcome, Exception):
            raise outcome
        transaction = outcome.transaction
        if self._place(outcome) is not None or transaction.id in self._mempool:
            return
        now_ms = self._now_ms()
        if transaction.expires_ms <= now_ms:
            raise HuzhengError(Code.EXPIRED)
        if outcome.signer_known and self._is_in_time(transaction, now_ms):
            self._mempool.add(transaction)
        else:
            self._held.put(transaction)

    def _is_in_time(self, transaction: WellFormedTransaction, now_ms: int) -> bool:
        """Whether a batch proposed now may hold it (T4)."""
        return transaction.expires_ms <= now_ms + self._genesis.parameters.max_lifetime_ms

    # --- blocks ---

    def on_stored(self, block: ExecutedBlock, certificate: bytes) -> None:
        """A block is durable with its certificate: answers who waits for its transactions, and tells who watches."""
        self._stored_height = block.height
        ids = [transaction.id for transaction in block.transactions]
        self._mempool.ordered(ids)
        claimed = self._waiters.claim(ids)
        if claimed:
            proving = self._receipts.run(is_small_block(block), self._prove_all, block, claimed)
            proving.add_done_callback(partial(self._answer, claimed))
        self._mempool.drop_expired(block.time_ms)
        self._waiters.expire(block.time_ms, HuzhengError(Code.EXPIRED, "not ordered in time"))
        self._release_held()
        self._count_block(block)
        self._feed.publish(block.height)

    def _prove_all(self, block: ExecutedBlock, ids: Container[bytes]) -> list[FinalTransaction]:
        return list(block_receipts(self._genesis, self._store, block, ids))

    def _answer(self, claimed: Mapping[bytes, Group], proving: asyncio.Future[list[FinalTransaction]]) -> None:
        failure = HuzhengError(Code.NOT_READY) if proving.cancelled() else proving.exception()
        if failure is not None:
            log.error("no receipts", exc_info=failure)
            error = failure if isinstance(failure, HuzhengError) else HuzhengError(Code.INTERNAL)
            for group in claimed.values():
                fail(group, error)
            return
        for outcome in proving.result():
            for waited_ms in resolve(claimed[outcome.id], outcome):
                self._metrics.commit_seconds.observe(waited_ms / 1000)

    def _release_held(self) -> None:
        now_ms = self._now_ms()
        for transaction in self._held.waiting():
            expired = transaction.expires_ms <= now_ms
            ready = self._is_in_time(transaction, now_ms) and knows_signer(self._store.state, transaction)
            if not expired and not ready:
                continue
            self._held.remove(transaction.id)
            if ready and self._store.transaction_place(transaction.id) is None:
                self._add_released(transaction)

    def _add_released(self, transaction: WellFormedTransaction) -> None:
        try:
            self._mempool.add(transaction)
        except HuzhengError as error:
            self._metrics.forwarded_refused.labels(str(error.code)).inc()

    def _count_block(self, block: ExecutedBlock) -> None:
        self._metrics.blocks.inc()
        self._metrics.block_transactions.observe(len(block.transactions))
        for code, count in Counter(block.codes).items():
            name = pb.ResultCode.Name(code).removeprefix("RESULT_CODE_")
            self._metrics.results.labels(name).inc(count)

    # --- the end ---

    def refuse(self, reason: str) -> None:
        """Takes nothing in any more; who still waits is told so. Another node may know how a transaction ends."""
        self._closed = HuzhengError(Code.NOT_READY, reason)
        self._waiters.fail_all(self._closed)

    def reopen(self) -> None:
        """Takes transactions in again after `refuse`, but not after `close`."""
        if not self._ended:
            self._closed = None

    def close(self) -> None:
        """As `refuse`, for good, and reads the database no more."""
        self._ended = True
        self.refuse("the node is stopping")
        # Waits for one proof at most; the database must not be closed under it.
        self._receipts.shutdown()


def _require_department(transaction: WellFormedTransaction, caller: Caller) -> None:
    if transaction.department != caller.department:
        raise HuzhengError(Code.CALLER_NOT_DEPARTMENT)
