"""Follows the chain as it grows, across lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, TypeVar

from ledger.errors import Code, HuzhengError
from node.cli.blocks import CheckedBlock, check_block
from node.cli.output import local_time, printable, short
from node.cli.session import Session
from node.cli.show import action_name, located_to_dict

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from node.client import LedgerClient

_RECONNECT_AFTER_S = 1.0
_WORTH_WAITING_FOR = (Code.NODE_UNREACHABLE, Code.NOT_READY, Code.OVERLOADED)
A = TypeVar("A")


class Follower:
    """Prints each new block, or each record in it."""

    def __init__(self, session: Session, from_height: int, count: int) -> None:
        """`from_height`: 0 is the next new block; `count`: stop after so many blocks, 0 is never."""
        self._session = session
        self._next = from_height
        self._left = count or -1

    async def blocks(self, client: LedgerClient) -> None:
        """One line for each block. Blocks arrive without gaps, each proved by its certificate."""
        async for answer in steadily(self._session, lambda: client.watch_blocks(self._next)):
            # Asked for again, since the stream has no results.
            block = await check_block(client, await client.block(block_hash=answer.hash))
            if block.block_hash != answer.hash:
                raise HuzhengError(Code.UNTRUSTED_ANSWER, "another block than the one asked for")
            if self._next and block.height != self._next:
                raise HuzhengError(Code.UNTRUSTED_ANSWER, f"block {block.height} where {self._next} follows")
            self._next = block.height + 1
            await client.learn_of(block.records if self._session.out.is_json else ())
            self._print_block(client, block)
            if self._is_last():
                return

    async def records(self, client: LedgerClient, resource: str) -> None:
        """One line for each accepted record, as the node tells it."""
        if resource:
            await client.resource(resource)

        async for answer in steadily(self._session, lambda: client.watch_records(self._next, resource)):
            self._next = answer.height + 1
            await client.learn_of(located.record for located in answer.records)
            for located in answer.records:
                self._print_record(client, located)
            if self._is_last():
                return

    def _is_last(self) -> bool:
        self._left -= 1
        return self._left == 0

    def _print_block(self, client: LedgerClient, block: CheckedBlock) -> None:
        session = self._session
        if session.out.is_json:
            session.out.json(block.to_dict(client.catalogue))
            return
        text = session.t(
            "{time}  block {h}  transactions {n}, records {r}  {hash}…",
            time=local_time(block.fields.time_ms),
            h=block.height,
            n=len(block.transactions),
            r=block.record_count,
            hash=short(block.block_hash),
        )
        session.out.line(text, "" if block.transactions else "dim")

    def _print_record(self, client: LedgerClient, located: pb.LocatedRecord) -> None:
        session = self._session
        view = located_to_dict(client.catalogue, located)
        if session.out.is_json:
            session.out.json(view)
            return
        parts = (
            local_time(located.time_ms),
            str(view["height"]),
            view["resource"],
            printable(view["subject"]),
            f"v{view['version']}",
            action_name(session.out, view),
        )
        session.out.line("  ".join(parts))


async def steadily(
    session: Session, watch: Callable[[], AsyncIterator[A]], *, is_connected: bool = False
) -> AsyncIterator[A]:
    """What a stream brings, opened again where it broke off. The first connection must succeed, unless it is known to."""
    seen = is_connected
    while True:
        try:
            async for answer in watch():
                seen = True
                yield answer
            error = HuzhengError(Code.NOT_READY)
        except HuzhengError as failure:
            error = failure
        if not seen or error.code not in _WORTH_WAITING_FOR:
            raise error
        session.out.note(session.t("Connection lost; connecting again."), "yellow")
        await asyncio.sleep(_RECONNECT_AFTER_S)
