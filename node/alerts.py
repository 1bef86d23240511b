"""What should be looked at, by what the chain says: overdue updates, unusual and refused reads, and what nobody acknowledged.

All times are the newest block's, so that every node finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from huzheng.v1 import audit_pb2 as pb

from ledger.genesis import Genesis
from ledger.store import AuditIndex, ChainReader
from ledger.store.audit_layout import HOUR_MS

DAY_MS: Final = 86_400_000
MAX_LISTED: Final = 100
"""Of each kind."""
USUAL_DAYS: Final = 14
"""What a department usually reads is its mean of so many days, before the last 24 hours."""
UNUSUAL_FACTOR: Final = 5
ALWAYS_USUAL: Final = 100
"""So many reads in 24 hours are never unusual."""
UNACKNOWLEDGED_DAYS: Final = 15
"""Reads that are older and not acknowledged are nothing new."""
_DAY_HOURS: Final = 24


def find_alerts(genesis: Genesis, chain: ChainReader) -> pb.GetAlertsResponse:
    """As of the newest block of a snapshot. Raises HuzhengError(STORE_CORRUPT)."""
    index = chain.audit
    height = index.height
    now_ms = index.time_ms(height)
    departments = sorted(chain.departments())
    return pb.GetAlertsResponse(
        height=height,
        time_ms=now_ms,
        overdue_updates=islice(_overdue(genesis, chain, index, now_ms), MAX_LISTED),
        unusual_reads=islice(_unusual(index, departments, now_ms), MAX_LISTED),
        refused_reads=islice(_refused(index, departments, now_ms), MAX_LISTED),
        unacknowledged_reads=_unacknowledged(index, now_ms),
        unacknowledged_erasures=_not_erased(index, now_ms),
    )


def _overdue(genesis: Genesis, chain: ChainReader, index: AuditIndex, now_ms: int) -> Iterator[pb.OverdueUpdate]:
    published = chain.published()
    for name in published.names():
        state, newest = published.find(name), published.newest(name)
        if state is None or newest is None or not state.open_versions or not newest.message.update_cycle_days:
            continue
        written = index.newest_write(name)
        since_ms = genesis.time_ms if written is None else index.time_ms(written.height)
        days = newest.message.update_cycle_days
        if now_ms - since_ms > days * DAY_MS:
            yield pb.OverdueUpdate(
                resource=name,
                department=state.department,
                update_cycle_days=days,
                newest_ms=since_ms,
                has_records=written is not None and written.is_record,
            )


def _unusual(index: AuditIndex, departments: list[str], now_ms: int) -> Iterator[pb.UnusualReads]:
    day_starts = now_ms // HOUR_MS - _DAY_HOURS + 1
    for department in departments:
        counts = index.counts(department, day_starts - USUAL_DAYS * _DAY_HOURS)
        reads = {hour: count.accepted + count.refused for hour, count in counts.items()}
        today = sum(count for hour, count in reads.items() if hour >= day_starts)
        before = sum(count for hour, count in reads.items() if hour < day_starts)
        threshold = max(ALWAYS_USUAL, UNUSUAL_FACTOR * before // USUAL_DAYS)
        if today > threshold:
            yield pb.UnusualReads(department=department, reads=today, threshold=threshold)


def _refused(index: AuditIndex, departments: list[str], now_ms: int) -> Iterator[pb.RefusedReads]:
    day_starts = now_ms // HOUR_MS - _DAY_HOURS + 1
    for department in departments:
        refused = sum(count.refused for count in index.counts(department, day_starts).values())
        if refused:
            yield pb.RefusedReads(department=department, refused=refused)


def _unacknowledged(index: AuditIndex, now_ms: int) -> Iterator[pb.UnacknowledgedRead]:
    since = index.first_at(max(0, now_ms - UNACKNOWLEDGED_DAYS * DAY_MS))
    for read, state in index.unacknowledged(since, index.first_at(now_ms - DAY_MS), MAX_LISTED):
        yield pb.UnacknowledgedRead(
            read_id=read, reader=state.reader, owner=state.owner, resource=state.resource, time_ms=state.time_ms
        )


def _not_erased(index: AuditIndex, now_ms: int) -> Iterator[pb.UnacknowledgedErasure]:
    for erasure in index.open_erasures(index.first_at(now_ms - DAY_MS), MAX_LISTED):
        yield pb.UnacknowledgedErasure(
            department=erasure.department,
            record_id=erasure.record.record_id,
            time_ms=index.time_ms(erasure.height),
            owed=erasure.record.owed,
        )
