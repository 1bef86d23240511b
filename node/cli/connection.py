"""The way from a profile to a node, and what stands in it when there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from ledger.errors import Code, HuzhengError
from node.cli.session import Session

if TYPE_CHECKING:
    from node.client import LedgerClient

R = TypeVar("R")


def with_client(session: Session, work: Callable[[LedgerClient], Awaitable[R]]) -> R:
    """Runs `work` with a client for the session's profile.

    Raises:
        HuzhengError: of the profile, of TLS files, of calls; an unreachable node with the reason found by looking closer.
    """
    import asyncio

    from node.client import LedgerClient
    from node.genesis_file import read_genesis

    profile = session.profile()
    genesis = read_genesis(profile.client.genesis)
    client = LedgerClient.from_profile(profile, genesis, timeout_s=session.timeout_s)

    async def run() -> R:
        async with client:
            try:
                return await work(client)
            except HuzhengError as error:
                if error.code in (Code.NODE_UNREACHABLE, Code.TLS_REFUSED):
                    from node.diagnosis import diagnose

                    raise await diagnose(client, profile.tls, error) from None
                raise

    return asyncio.run(run())
