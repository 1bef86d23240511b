"""Counts now and then for Prometheus what the chain says should be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

import structlog
from huzheng.v1 import audit_pb2
from prometheus_client import Gauge

from ledger.errors import HuzhengError

INTERVAL_S = 60.0
KINDS: Final = ("overdue_updates", "unusual_reads", "refused_reads", "unacknowledged_reads", "unacknowledged_erasures")

log = structlog.get_logger("alerts")


class AlertWatch:
    """Belongs to one event loop; the database is read in the readers' threads."""

    def __init__(
        self, find: Callable[[audit_pb2.GetAlertsRequest], audit_pb2.GetAlertsResponse], readers: Executor, gauge: Gauge
    ) -> None:
        self._find = find
        self._readers = readers
        self._gauge = gauge

    async def run(self) -> None:
        """Looks once a minute, for ever."""
        while True:
            try:
                await self.look()
            except HuzhengError as error:
                log.error("alerts not found out", code=error.code, detail=error.detail)
            await asyncio.sleep(INTERVAL_S)

    async def look(self) -> None:
        """Sets the gauge. Raises HuzhengError(STORE_CORRUPT)."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._readers, self._find, audit_pb2.GetAlertsRequest())
        for kind in KINDS:
            self._gauge.labels(kind).set(len(getattr(found, kind)))
