"""What a stream of submissions answers, whatever becomes of the transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import cast

from huzheng.v1 import ledger_service_pb2 as pb

from ledger.crypto import Height
from ledger.store import Place
from node.identity import Caller, Role
from node.intake import Intake, Submission
from node.receipts import FinalTransaction
from node.services.submit_stream import MAX_ANSWERS_BYTES, SubmitStream
from node.waiters import Final

PLANNING = Caller("planning", Role.SYSTEM, "registry")


class Outcomes:
    """An intake that takes everything in; a transaction is named by its bytes."""

    def __init__(self) -> None:
        self.finals: dict[bytes, Final] = {}
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def pace(self, _caller: Caller, _count: int) -> None:
        await self.may_go_on.wait()

    async def submit_all(self, raws: Sequence[bytes], _caller: Caller) -> list[Submission | Exception]:
        for raw in raws:
            self.finals[raw] = asyncio.get_running_loop().create_future()
        return [Submission(raw, self.finals[raw]) for raw in raws]


async def one_message(*transactions: bytes) -> AsyncIterator[pb.SubmitStreamRequest]:
    tagged = [pb.TaggedTransaction(tag=tag, transaction=raw) for tag, raw in enumerate(transactions)]
    yield pb.SubmitStreamRequest(transactions=tagged)


async def responses(intake: Outcomes, *transactions: bytes) -> list[pb.SubmitStreamResponse]:
    stream = SubmitStream(cast(Intake, intake), PLANNING)
    reading = asyncio.ensure_future(stream.read(one_message(*transactions)))
    async with asyncio.timeout(5):
        found = [response async for response in stream.responses(reading)]
    await stream.abandon(reading)
    return found


def test_answers_with_large_receipts_go_into_messages_that_a_client_takes() -> None:
    """After some changes of the membership each receipt has all their proofs."""
    sizes = [100_000] * 20 + [3_000_000] + [10] * 5

    async def scenario() -> None:
        intake, names = Outcomes(), [b"%d" % number for number in range(len(sizes))]
        answering = asyncio.ensure_future(responses(intake, *names))
        while len(intake.finals) < len(sizes):
            await asyncio.sleep(0)
        for name, size in zip(names, sizes, strict=True):
            intake.finals[name].set_result(FinalTransaction(name, Place(Height(1), 0), bytes(size)))
        found = await answering
        answers = [answer for response in found for answer in response.answers]
        assert [(answer.tag, len(answer.receipt)) for answer in answers] == list(enumerate(sizes))
        assert all(len(response.answers) == 1 or response.ByteSize() < MAX_ANSWERS_BYTES + 1000 for response in found)
        assert len(found) == 4

    asyncio.run(scenario())


def test_a_transaction_whose_receipt_is_never_made_is_answered_too() -> None:
    """As the node stops, what waits for the receipts' thread is dropped there."""

    async def scenario() -> None:
        intake = Outcomes()
        answering = asyncio.ensure_future(responses(intake, b"dropped", b"final"))
        while len(intake.finals) < 2:
            await asyncio.sleep(0)
        intake.finals[b"dropped"].cancel()
        intake.finals[b"final"].set_result(FinalTransaction(b"final", Place(Height(1), 0), b"receipt"))
        answers = [answer for response in await answering for answer in response.answers]
        assert [(answer.tag, answer.problem.code) for answer in answers] == [(0, "NOT_READY"), (1, "")]

    asyncio.run(scenario())


def test_nothing_is_taken_in_before_the_department_may_submit_so_much() -> None:
    async def scenario() -> None:
        intake = Outcomes()
        intake.may_go_on.clear()
        answering = asyncio.ensure_future(responses(intake, b"1", b"2"))
        await asyncio.sleep(0.01)
        assert not intake.finals
        intake.may_go_on.set()
        while not intake.finals:
            await asyncio.sleep(0)
        for name, final in intake.finals.items():
            final.set_result(FinalTransaction(name, Place(Height(1), 0), b""))
        assert sum(len(response.answers) for response in await answering) == 2

    asyncio.run(scenario())
