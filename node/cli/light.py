"""The way from a profile to what nodes prove: with the anchor that is kept beside the profile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from node.cli.connection import with_believed_node
from node.cli.session import Session

if TYPE_CHECKING:
    from node.anchor_file import AnchorStore
    from node.client import LedgerClient
    from node.light_client import LightClient

R = TypeVar("R")


def with_light_client(session: Session, work: Callable[[LightClient, LedgerClient], Awaitable[R]]) -> R:
    """Runs `work` with a light client for the session's profile, and the client that it uses; anew where a node is not believed.

    Raises:
        HuzhengError: as `with_believed_node`; what is wrong with the anchor that is kept.
    """

    async def run(client: LedgerClient) -> R:
        from node.light_client import LightClient

        return await work(LightClient(client, anchors_of(session, client)), client)

    return with_believed_node(session, run)


def anchors_of(session: Session, client: LedgerClient) -> AnchorStore:
    """The anchor beside the session's profile."""
    from node.anchor_file import AnchorStore

    return AnchorStore(session.profile().file.parent, client.genesis)
