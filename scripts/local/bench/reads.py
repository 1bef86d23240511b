"""Reads of current records, each with a statement that proves it under the state root of a sealed block: 64 clients of one node."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from huzheng.v1 import ledger_service_pb2, transaction_pb2

from ledger.genesis import Genesis
from ledger.statement import Question, verify_statement
from scripts.local.bench.latency_figures import latency_figures
from scripts.local.bench.load import CALL_TIMEOUT_S, require_accepted
from scripts.local.bench.session import Session
from scripts.local.network import NetworkFailure
from scripts.local.workload import Workload

CLIENTS = 64
DEPARTMENT = "planning"
"""Whose records and node they are."""
TRANSACTIONS = 10
RECORDS = 1_000
"""A transaction."""


@dataclass(slots=True)
class Reading:
    """All clients' reads."""

    genesis: Genesis
    questions: Sequence[Question]
    end_s: float
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    latencies_s: list[float] = field(default_factory=list)
    answer_bytes: int = 0


def reads(session: Session) -> None:
    """Current records with state proofs, from one node, 64 clients."""
    network = session.create()
    with session.fault_free(network):
        workload = Workload(network)
        session.step("registering what is read")
        questions = asyncio.run(_register(workload))
        session.step("reading")
        figures = asyncio.run(_read(workload, questions, session.plan.seconds))
        session.add(f"current record with proof, {CLIENTS} clients of one node", figures)


async def _register(workload: Workload) -> list[Question]:
    """Registers records and says what can be asked about them."""
    channel, stub = workload.stub(DEPARTMENT)
    questions = []
    for _ in range(TRANSACTIONS):
        built = [workload.record(DEPARTMENT) for _ in range(RECORDS)]
        request = ledger_service_pb2.SubmitRequest(transaction=workload.sign(DEPARTMENT, built))
        require_accepted((await stub.Submit(request, timeout=CALL_TIMEOUT_S)).receipt)
        records = (transaction_pb2.Record.FromString(one.raw) for one in built)
        questions += [Question(record.resource, record.subject) for record in records]
    await channel.close(None)
    return questions


async def _read(workload: Workload, questions: Sequence[Question], seconds: float) -> dict[str, float]:
    begun_s = time.monotonic()
    reading = Reading(workload.genesis, questions, begun_s + seconds)
    await asyncio.gather(*(_client(workload, reading) for _ in range(CLIENTS)))
    took_s, count = time.monotonic() - begun_s, len(reading.latencies_s)
    rates = {"reads_per_s": count / took_s, "answer_bytes": reading.answer_bytes / count}
    return rates | latency_figures(reading.latencies_s)


async def _client(workload: Workload, reading: Reading) -> None:
    """One client that asks one question after the other, and checks the last answer: a check takes the cores that are measured."""
    channel, stub = workload.stub(DEPARTMENT)
    while True:
        question = reading.dice.choice(reading.questions)
        asked = ledger_service_pb2.StatementQuestion(resource=question.resource, subject=question.subject)
        request = ledger_service_pb2.GetStatementRequest(questions=[asked], with_records=True)
        since_s = time.monotonic()
        answer = await stub.GetStatement(request, timeout=CALL_TIMEOUT_S)
        now_s = time.monotonic()
        reading.latencies_s.append(now_s - since_s)
        reading.answer_bytes += len(answer.statement)
        if now_s > reading.end_s:
            break
    await channel.close(None)
    verdict = verify_statement(answer.statement, reading.genesis).answers[question]
    if not verdict.is_in_force or verdict.record is None:
        raise NetworkFailure(f"a statement without the record: {question}")
