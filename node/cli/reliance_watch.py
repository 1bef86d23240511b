"""Follows what happens to records that a department's records rely on, across lost connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ledger.errors import Code, HuzhengError
from node.cli.following import steadily
from node.cli.output import local_time, printable, short
from node.cli.session import Session
from node.cli.show import department_name, located_to_dict

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from node.client import LedgerClient


class RelianceWatch:
    """Prints each event once: that a record which others rely on was replaced or revoked, and one of those others."""

    def __init__(self, session: Session, from_height: int, department: str, count: int) -> None:
        """`from_height`: 0 is the next new block; `department`: the caller's if empty; `count`: stop after so many events, 0 is never."""
        self._session = session
        self._height = from_height
        self._department = department
        self._left = count or -1
        self._seen: set[tuple[bytes, bytes, bytes]] = set()
        """Of the block that was reached: a stream that is opened again begins with it."""

    async def run(self, client: LedgerClient) -> None:
        """One line for each event, as the node tells it.

        Raises:
            HuzhengError: UNTRUSTED_ANSWER, and what the node answers; a connection that is lost after the first one is waited for.
        """
        # Which block is the next new one now: it must not be a later one when the stream is opened again.
        newest = (await client.status()).height
        self._move_to(self._height or newest + 1)

        def watch() -> AsyncIterator[pb.RelianceEvent]:
            return client.watch_reliance(self._height, self._department)

        async for event in steadily(self._session, watch, is_connected=True):
            if not self._is_new(event):
                continue
            await client.learn_of([event.changed.record, event.relying.record])
            self._print(client, event)
            self._left -= 1
            if self._left == 0:
                return

    def _is_new(self, event: pb.RelianceEvent) -> bool:
        height = event.changed.height
        if height < self._height:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"what happened in block {height} after block {self._height}")
        if height > self._height:
            self._move_to(height)
            self._seen.clear()
        key = (event.relied, event.changed.record_id, event.relying.record_id)
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new

    def _move_to(self, height: int) -> None:
        self._height = height
        self._session.when_stopped = self._session.t("Stopped. --from-height {h} goes on from here.", h=height)

    def _print(self, client: LedgerClient, event: pb.RelianceEvent) -> None:
        session = self._session
        changed, relying = (located_to_dict(client.catalogue, item) for item in (event.changed, event.relying))
        if session.out.is_json:
            session.out.json({"relied": event.relied.hex(), "changed": changed, "relying": relying})
            return
        text = session.t("revoked by") if changed["action"] == "revoke" else session.t("replaced by")
        department = department_name(client.genesis, relying["department"], session.language)
        parts = (
            local_time(event.changed.time_ms),
            str(changed["height"]),
            f"{changed['resource']} {printable(changed['subject'])} {short(event.relied)}…",
            f"{text} v{changed['version']}",
            session.t("relied on by {department}", department=department),
            f"{relying['resource']} {printable(relying['subject'])} v{relying['version']} {short(event.relying.record_id)}…",
        )
        session.out.line("  ".join(parts), "yellow")
