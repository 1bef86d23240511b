"""Lists of reads as a node tells them: each is looked at for what can be checked, and a whole list for being complete (docs/protocol.md G8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from huzheng.v1 import audit_pb2 as pb
from huzheng.v1 import sharing_pb2, transaction_pb2

from ledger.crypto import Suite
from ledger.errors import Code, HuzhengError
from ledger.sharing.reading import count_in, read_id

if TYPE_CHECKING:
    from node.client import LedgerClient

Position = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Account:
    """How many reads of a subject, or under a grant, were accepted up to a block, and the digest over them."""

    reads: sharing_pb2.Reads
    height: int
    is_proven: bool
    """Whether the block's state root proves it; else it is the node's word."""


@dataclass(frozen=True, slots=True)
class ReadList:
    """Reads, oldest first, up to a block."""

    reads: tuple[pb.ListedRead, ...]
    height: int
    """The block's, as the node says."""
    account: Account | None
    """Of a subject or grant, as the node tells it; None if the list is of something else, or of a part of the time."""


async def fetch_reads(
    client: LedgerClient, request: pb.ListReadsRequest, on_page: Callable[[int], None] = lambda _count: None
) -> ReadList:
    """All reads that a request is about, in pages; `on_page` is told how many there are so far.

    Raises:
        HuzhengError: UNTRUSTED_ANSWER if one of them is not what was asked for, or does not fit together; what the node answers.
    """
    reads: list[pb.ListedRead] = []
    known: set[bytes] = set()
    request = pb.ListReadsRequest.FromString(request.SerializeToString())
    while True:
        page = await client.reads(request)
        for listed in page.reads:
            _require_sound(client.genesis.suite, request, listed)
            if reads and _position(listed.position) <= _position(reads[-1].position):
                raise HuzhengError(Code.UNTRUSTED_ANSWER, "reads that are not in their order")
            if listed.read_id in known:
                # Where a transaction is in its block nothing proves: the same read could be told in several places.
                raise HuzhengError(Code.UNTRUSTED_ANSWER, "a read twice")
            known.add(listed.read_id)
            reads.append(listed)
        on_page(len(reads))
        if not page.HasField("next_after"):
            break
        if request.HasField("after") and _position(page.next_after) <= _position(request.after):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "a page that leads nowhere")
        request.after.CopyFrom(page.next_after)
    is_whole = not request.since_ms and not request.until_ms
    account = Account(page.account, page.height, False) if is_whole and page.HasField("account") else None
    return ReadList(tuple(reads), page.height, account)


def require_complete(suite: Suite, reads: Iterable[pb.ListedRead], account: Account) -> int:
    """That the accepted reads of a list, up to the account's block, are all that were ever accepted. Returns how many they are.

    Raises:
        HuzhengError: BAD_PROOF if one is missing, too much, or in another place.
    """
    counted = sharing_pb2.Reads()
    for listed in reads:
        if is_accepted(listed) and listed.position.height <= account.height:
            count_in(suite, counted, listed.read_id)
    if counted != account.reads:
        raise HuzhengError(Code.BAD_PROOF, f"{account.reads.count} reads were accepted, the list has {counted.count}")
    return counted.count


def is_accepted(listed: pb.ListedRead) -> bool:
    """Whether a read was accepted: the owner gives its values out."""
    return listed.code == transaction_pb2.RESULT_CODE_ACCEPTED


def is_about(request: pb.ListReadsRequest, listed: pb.ListedRead) -> bool:
    """Whether a read is one of those that were asked for."""
    if listed.time_ms < request.since_ms or (request.until_ms and listed.time_ms >= request.until_ms):
        return False
    selector = request.WhichOneof("selector")
    if selector == "subject":
        return (listed.resource, listed.asked.subject) == (request.subject.resource, request.subject.subject)
    if selector == "record_id":
        return listed.state.record_id == request.record_id
    if selector == "grant":
        return listed.asked.grant == request.grant
    if selector == "reader":
        return listed.reader == request.reader
    return listed.owner == request.owner


def _require_sound(suite: Suite, request: pb.ListReadsRequest, listed: pb.ListedRead) -> None:
    place = listed.position
    if listed.read_id != read_id(suite, listed.transaction_id, place.operation_index & 0xFF):
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "a read with another id than its transaction's")
    if listed.HasField("state") is not is_accepted(listed) or (is_accepted(listed) and not _fits_state(listed)):
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "a read that was not asked for like that")
    if not is_about(request, listed):
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "a read of something else than was asked for")


def _fits_state(listed: pb.ListedRead) -> bool:
    asked, state = listed.asked, listed.state
    return (
        (asked.grant, asked.subject, asked.case_number, asked.reader_key)
        == (state.grant, state.subject, state.case_number, state.reader_key)
        and list(asked.fields) == list(state.fields)
        and (listed.reader, listed.owner, listed.resource) == (state.reader, state.owner, state.resource)
        and (listed.position.height, listed.time_ms) == (state.height, state.time_ms)
    )


def _position(position: pb.OperationPosition) -> Position:
    return position.height, position.transaction_index, position.operation_index
