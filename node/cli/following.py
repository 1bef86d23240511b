"""Follows the chain as it grows, across lost connections and from node to node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from typing import TYPE_CHECKING, TypeVar

from ledger.errors import Code, HuzhengError
from node.cli.blocks import CheckedBlock, check_block
from node.cli.output import local_time, printable, short
from node.cli.session import Session
from node.cli.show import action_name, located_to_dict
from node.connections import WORTH_ANOTHER_NODE

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from node.client import LedgerClient

_RECONNECT_AFTER_S = 1.0
# A node that is behind another one may not know yet what that one told of.
_WORTH_GOING_ON = (*WORTH_ANOTHER_NODE, Code.OVERLOADED, Code.NOT_FOUND)
A = TypeVar("A")


class Reached:
    """The block that a stream has reached, and what has come of it: a stream that is opened again begins with it."""

    def __init__(self, height: int) -> None:
        self.height = height
        self._seen: set[Hashable] = set()

    def is_new(self, height: int, key: Hashable) -> bool:
        """Whether this, which happened in a block, comes for the first time; it counts as seen from then on.

        Raises:
            HuzhengError: UNTRUSTED_ANSWER: it is of a block before the one that was reached.
        """
        if height < self.height:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"what happened in block {height} after block {self.height}")
        if height > self.height:
            self.height = height
            self._seen.clear()
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new


class Follower:
    """Prints each new block, or each record in it."""

    def __init__(self, session: Session, from_height: int, count: int) -> None:
        """`from_height`: 0 is the next new block; `count`: stop after so many blocks, 0 is never."""
        self._session = session
        self._from = from_height
        self._left = count or -1

    async def blocks(self, client: LedgerClient) -> None:
        """One line for each block. Blocks arrive without gaps, each proved by its certificate."""
        following = await first_height(client, self._from)

        async def watch() -> AsyncIterator[CheckedBlock]:
            async for answer in client.watch_blocks(following):
                # Asked for again, since the stream has no results.
                block = await check_block(client, await client.block(block_hash=answer.hash))
                if block.block_hash != answer.hash:
                    raise HuzhengError(Code.UNTRUSTED_ANSWER, "another block than the one asked for")
                if block.height != following:
                    raise HuzhengError(Code.UNTRUSTED_ANSWER, f"block {block.height} where {following} follows")
                await client.learn_of(block.records if self._session.out.is_json else ())
                yield block

        async for block in steadily(self._session, client, watch):
            following = block.height + 1
            self._print_block(client, block)
            if self._is_last():
                return

    async def records(self, client: LedgerClient, resource: str) -> None:
        """One line for each accepted record, as the node tells it."""
        if resource:
            await client.resource(resource)
        reached = Reached(await first_height(client, self._from))

        async def watch() -> AsyncIterator[pb.WatchRecordsResponse]:
            async for answer in client.watch_records(reached.height, resource):
                await client.learn_of(located.record for located in answer.records)
                yield answer

        async for answer in steadily(self._session, client, watch):
            new = [located for located in answer.records if reached.is_new(answer.height, located.record_id)]
            for located in new:
                self._print_record(client, located)
            if new and self._is_last():
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


async def first_height(client: LedgerClient, from_height: int) -> int:
    """Where to begin: at this height, or (0) with the block that is the next new one now, however long the first stream takes to come.

    Raises:
        HuzhengError: if there is no node that answers; what it answers.
    """
    newest = (await client.status()).height
    return from_height or newest + 1


async def steadily(session: Session, client: LedgerClient, watch: Callable[[], AsyncIterator[A]]) -> AsyncIterator[A]:
    """What a stream brings, opened again where it broke off, at the profile's next node if one is gone.

    Raises:
        HuzhengError: what can't be mended by waiting, or by asking another node.
    """
    refused = 0
    while True:
        try:
            async for answer in watch():
                yield answer
            error = HuzhengError(Code.NOT_READY)
        except HuzhengError as failure:
            error = failure
        refused = refused + 1 if error.code is Code.TLS_REFUSED else 0
        if error.code not in _WORTH_GOING_ON or refused == len(client.nodes):
            raise error
        session.out.note(session.t("Connection lost; connecting again."), "yellow")
        await asyncio.sleep(_RECONNECT_AFTER_S)
