"""Follows what happens to records that a department's records rely on, across lost connections and from node to node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from node.cli.following import Reached, first_height, steadily
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
        self._from = from_height
        self._department = department
        self._left = count or -1

    async def run(self, client: LedgerClient) -> None:
        """One line for each event, as the node tells it.

        Raises:
            HuzhengError: UNTRUSTED_ANSWER, and what the node answers; a connection that is lost after the first one is opened again.
        """
        reached = Reached(await first_height(client, self._from))
        self._say_how_to_go_on(reached)

        async def watch() -> AsyncIterator[pb.RelianceEvent]:
            async for event in client.watch_reliance(reached.height, self._department):
                await client.learn_of([event.changed.record, event.relying.record])
                yield event

        async for event in steadily(self._session, client, watch):
            key = (event.relied, event.changed.record_id, event.relying.record_id)
            is_new = reached.is_new(event.changed.height, key)
            self._say_how_to_go_on(reached)
            if not is_new:
                continue
            self._print(client, event)
            self._left -= 1
            if self._left == 0:
                return

    def _say_how_to_go_on(self, reached: Reached) -> None:
        self._session.when_stopped = self._session.t("Stopped. --from-height {h} goes on from here.", h=reached.height)

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
