"""One stream of submissions: bounded in what it has not answered yet, so that a fast client is slowed down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

from huzheng.v1 import ledger_service_pb2 as pb

from ledger.errors import Code, HuzhengError
from node.errors import to_problem
from node.identity import Caller
from node.intake import Intake
from node.services.gate import report_incident
from node.waiters import Final

MAX_OUTSTANDING = 512
"""Transactions of one stream that are not answered; until they are, no more are read from it. And of one message."""
MAX_ANSWERS = 128
MAX_ANSWERS_BYTES = 1 << 20
"""In one message, or a single answer that is larger: receipts hold what operations publish, and after changes of the membership all their
proofs, while what a client takes in one message is bounded."""


class SubmitStream:
    """Belongs to one call."""

    def __init__(self, intake: Intake, caller: Caller) -> None:
        self._intake = intake
        self._caller = caller
        self._outstanding = 0
        self._answers: list[pb.TaggedAnswer] = []
        self._finals: set[Final] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        """There is something to answer, or no more will come."""
        self._room = asyncio.Event()
        self._has_ended = False

    async def read(self, requests: AsyncIterator[pb.SubmitStreamRequest]) -> None:
        """Takes in what the client sends, until it sends no more.

        Raises:
            HuzhengError: INVALID_REQUEST for a message of none or too many.
        """
        try:
            async for request in requests:
                count = len(request.transactions)
                if not 1 <= count <= MAX_OUTSTANDING:
                    raise HuzhengError(Code.INVALID_REQUEST, f"transactions: 1 to {MAX_OUTSTANDING} in a message")
                while self._outstanding and self._outstanding + count > MAX_OUTSTANDING:
                    self._room.clear()
                    await self._room.wait()
                await self._intake.pace(self._caller, count)
                self._outstanding += count
                task = asyncio.ensure_future(self._submit(request.transactions))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            self._has_ended = True
            self._wake.set()

    async def _submit(self, transactions: Sequence[pb.TaggedTransaction]) -> None:
        try:
            outcomes = await self._intake.submit_all([item.transaction for item in transactions], self._caller)
        except Exception as failure:
            outcomes = [failure] * len(transactions)
        for item, outcome in zip(transactions, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self._refuse(item.tag, outcome)
            else:
                self._finals.add(outcome.final)
                outcome.final.add_done_callback(partial(self._finished, item.tag))

    def _finished(self, tag: int, final: Final) -> None:
        self._finals.discard(final)
        if final.cancelled():
            # The node stops, or nobody waits.
            self._refuse(tag, HuzhengError(Code.NOT_READY))
            return
        try:
            outcome = final.result()
        except Exception as failure:
            self._refuse(tag, failure)
            return
        self._answer(pb.TaggedAnswer(tag=tag, transaction_id=outcome.id, receipt=outcome.receipt))

    def _refuse(self, tag: int, failure: Exception) -> None:
        error = failure if isinstance(failure, HuzhengError) else report_incident("SubmitStream", failure)
        self._answer(pb.TaggedAnswer(tag=tag, problem=to_problem(error)))

    def _answer(self, answer: pb.TaggedAnswer) -> None:
        self._answers.append(answer)
        self._wake.set()

    async def responses(self, reading: asyncio.Task[None]) -> AsyncIterator[pb.SubmitStreamResponse]:
        """The answers, until the last; then raises what went wrong with the stream itself."""
        while self._outstanding or not self._has_ended:
            if not self._answers:
                self._wake.clear()
                await self._wake.wait()
            answers = self._take_answers()
            if answers:
                yield pb.SubmitStreamResponse(answers=answers)
                self._outstanding -= len(answers)
                self._room.set()
        await reading

    def _take_answers(self) -> list[pb.TaggedAnswer]:
        """As many as go into one message."""
        count = size_bytes = 0
        for answer in self._answers[:MAX_ANSWERS]:
            size_bytes += answer.ByteSize()
            if count and size_bytes > MAX_ANSWERS_BYTES:
                break
            count += 1
        taken, self._answers = self._answers[:count], self._answers[count:]
        return taken

    async def abandon(self, reading: asyncio.Task[None]) -> None:
        """The client is gone, or all is done: nobody waits any more."""
        tasks = [reading, *self._tasks]
        for task in tasks:
            task.cancel()
        for final in tuple(self._finals):
            final.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
