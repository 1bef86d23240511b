"""Latency at a given rate: transactions are due at times fixed beforehand, whatever became of those before them.

Each latency counts from the time at which the transaction was due, not from when it could be sent: a network or a load generator that falls
behind shows in it (no coordinated omission). Times of arrival are random and independent (Poisson), from a seed.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import random
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from huzheng.v1 import ledger_service_pb2

from scripts.local.bench.latency_figures import latency_figures
from scripts.local.bench.load import Load, measure, require_accepted
from scripts.local.bench.session import Session
from scripts.local.bench.writes import warm_up
from scripts.local.workload import Workload

if TYPE_CHECKING:
    from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

SATURATING = Load(1, 512, is_stream=True)
SHARES = (0.1, 0.5, 0.8)
_MOST_A_MESSAGE = 512


@dataclass(slots=True)
class Arrivals:
    """One department's transactions, and when each is due, in seconds from the start."""

    due_s: list[float]
    transactions: list[bytes]
    latencies_s: list[float] = field(default_factory=list)
    refused: int = 0
    """That a node was too busy to take in."""


def latency(session: Session) -> None:
    """Latency at 10, 50 and 80 % of the rate that saturates the network, counted from when a transaction was due."""
    limit, seconds = session.limit.records_per_s(), session.plan.seconds
    network = session.create()
    with session.fault_free(network):
        workload = Workload(network)
        warm_up(session, workload)
        session.step("saturation")
        saturated = measure(workload, SATURATING, seconds, limit)
        session.add(f"saturation: {SATURATING.name}", saturated.figures(limit))
        for share in SHARES:
            session.step(f"{share:.0%} of saturation")
            arrivals = {
                name: _arrivals(workload, name, share * saturated.records_per_s, seconds) for name in workload.users
            }
            asyncio.run(_submit_all(workload, arrivals))
            session.add(f"{share:.0%} of saturation", _figures(arrivals.values(), share * saturated.records_per_s))


def _figures(arrivals: Collection[Arrivals], rate: float) -> dict[str, float]:
    latencies_s = [latency_s for one in arrivals for latency_s in one.latencies_s]
    refused = sum(one.refused for one in arrivals)
    return {"intended_per_s": rate, "refused": float(refused)} | latency_figures(latencies_s)


def _arrivals(workload: Workload, department: str, rate: float, seconds: float) -> Arrivals:
    """`rate`: of all departments together, transactions/s."""
    dice = random.Random(department)
    each = rate / len(workload.users)
    gaps_s = (dice.expovariate(each) for _ in itertools.count())
    due_s = list(itertools.takewhile(lambda due: due < seconds, itertools.accumulate(gaps_s)))
    return Arrivals(due_s, [workload.transaction(department) for _ in due_s])


async def _submit_all(workload: Workload, arrivals: dict[str, Arrivals]) -> None:
    """All departments start at the same time."""
    stubs = {department: workload.stub(department) for department in arrivals}
    await asyncio.gather(*(channel.channel_ready() for channel, _ in stubs.values()))
    begun_s = time.monotonic()
    await asyncio.gather(*(submit(stubs[name][1], one, begun_s) for name, one in arrivals.items()))
    for channel, _ in stubs.values():
        await channel.close(None)


async def submit(stub: LedgerServiceAsyncStub, arrivals: Arrivals, begun_s: float) -> None:
    """One stream. What is due goes out in one message; nothing goes out early."""

    async def requests() -> AsyncIterator[ledger_service_pb2.SubmitStreamRequest]:
        sent, count = 0, len(arrivals.due_s)
        while sent < count:
            passed_s = time.monotonic() - begun_s
            due = min(bisect.bisect(arrivals.due_s, passed_s), sent + _MOST_A_MESSAGE)
            if due == sent:
                await asyncio.sleep(arrivals.due_s[sent] - passed_s)
                continue
            yield _message(arrivals.transactions, range(sent, due))
            sent = due

    async for response in stub.SubmitStream(requests()):
        answered_s = time.monotonic() - begun_s
        for answer in response.answers:
            if answer.HasField("problem"):
                arrivals.refused += 1
                continue
            require_accepted(answer.receipt)
            arrivals.latencies_s.append(answered_s - arrivals.due_s[answer.tag])


def _message(transactions: Sequence[bytes], tags: range) -> ledger_service_pb2.SubmitStreamRequest:
    group = [ledger_service_pb2.TaggedTransaction(tag=tag, transaction=transactions[tag]) for tag in tags]
    return ledger_service_pb2.SubmitStreamRequest(transactions=group)
