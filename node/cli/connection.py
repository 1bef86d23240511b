"""The way from a profile to a node, and what stands in it when there is none, or none that can be believed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ledger.errors import Code, HuzhengError
from node.cli.output import printable
from node.cli.session import Session

if TYPE_CHECKING:
    from node.client import LedgerClient
    from node.connections import Endpoint

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


def with_believed_node(session: Session, work: Callable[[LedgerClient], Awaitable[R]]) -> R:
    """As `with_client`, and begins anew with the next node where one is not to be believed.

    `work`: has no effects of its own but what it returns.

    Raises:
        HuzhengError: as `with_client`; FORKED at once; UNTRUSTED_ANSWER if no node can be believed.
    """
    return with_client(session, lambda client: first_believed(session, client, work))


async def first_believed(session: Session, client: LedgerClient, work: Callable[[LedgerClient], Awaitable[R]]) -> R:
    """What `work` returns with the first node whose answers hold; of each one before it the user is told.

    Raises:
        HuzhengError: as `with_believed_node`.
    """
    from node.connections import WORTH_ANOTHER_NODE

    found: list[tuple[Endpoint, HuzhengError]] = []
    while True:
        try:
            return await work(client)
        except HuzhengError as error:
            if error.code not in (Code.UNTRUSTED_ANSWER, *WORTH_ANOTHER_NODE):
                # A fork is no node's lie: replicas that seal two chains can't be trusted with either.
                raise
            found.append((client.node, error))
            if error.code is not Code.UNTRUSTED_ANSWER or len(client.nodes) == 1:
                raise _none_believed(found) from None
            _say_not_believed(session, client.node, error)
            client.leave_out()


def _none_believed(found: Sequence[tuple[Endpoint, HuzhengError]]) -> HuzhengError:
    """What the last node ended with, if it was the first too; else UNTRUSTED_ANSWER, and what is the matter with each."""
    if len(found) == 1:
        return found[0][1]
    lines = [f"{_name(node)}: {error.code}: {error.detail}" for node, error in found]
    return HuzhengError(Code.UNTRUSTED_ANSWER, "\n".join([f"{len(lines)} nodes", *lines]))


def _say_not_believed(session: Session, node: Endpoint, error: HuzhengError) -> None:
    reason = f"{error.message(session.language)} ({error.detail})"
    text = session.t("{node} is not believed, the next one is asked. {reason}", node=_name(node), reason=reason)
    view = {"node": _name(node), "code": str(error.code), "detail": error.detail}
    session.out.warn(printable(text), {"not_believed": view})


def _name(node: Endpoint) -> str:
    return f"{node.address} ({node.department}, {node.replica})"
