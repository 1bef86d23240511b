"""Records as a node proves them: what they say by their receipts, that there is nothing newer by a statement."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger.errors import Code, HuzhengError
from node.cli.about import find_record, resource_and_subject
from node.cli.output import json_time, local_time, short

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from ledger.genesis import Genesis
    from ledger.statement import Answer
    from node.catalogue import Catalogue
    from node.cli.moment import Moment
    from node.cli.session import Session
    from node.client import LedgerClient
    from node.light_client import LightClient


@dataclass(frozen=True, slots=True)
class AsOf:
    """The block after which all that is shown was so."""

    height: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """A record that is to be shown."""

    located: pb.LocatedRecord
    catalogue: Catalogue
    as_of: AsOf | None
    """None if nothing is proved: it is the node's word."""
    replaced_at: AsOf | None = None
    """Of a version that was asked for as of some moment: the block in which the next one came, if one did."""


async def prove_record(light: LightClient, client: LedgerClient, about: list[str], version: int) -> Found:
    """The record that the arguments mean, and whether it is the newest.

    Raises:
        HuzhengError: NOT_FOUND, which is proved where the newest was asked for; UNTRUSTED_ANSWER, FORKED, NODE_BEHIND.
    """
    from ledger.statement import Question

    record_id = b""
    if len(about) == 1:
        located = await _told_of(client, about)
        record_id = located.record_id
        question = _question_of(located)
    else:
        question = Question(*await resource_and_subject(light, about))
    answer, as_of = await _newest(light, question)
    if not answer.version or version > answer.version:
        raise HuzhengError(Code.NOT_FOUND, f"proved as of block {as_of.height}: there never was one")
    if version and not record_id:
        record_id = await _told_version(client, about, version)
    proved = await _prove(light, record_id or answer.record_id)
    if _version(proved) > answer.version:
        # It came with a block after the statement's.
        answer, as_of = await _newest(light, question)
    proved.current = proved.record_id == answer.record_id
    if version and _version(proved) != version:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "another version than the one asked for")
    await _learn_of(light, [proved])
    return Found(proved, client.catalogue, as_of)


async def prove_history(
    light: LightClient, client: LedgerClient, resource: str, subject: str
) -> tuple[list[pb.LocatedRecord], AsOf]:
    """All versions about a subject, oldest first: none is missing, and there is none newer.

    Raises:
        HuzhengError: NOT_FOUND, which is proved; UNTRUSTED_ANSWER, FORKED, NODE_BEHIND.
    """
    from ledger.statement import Question

    answer, as_of = await _newest(light, Question(resource, subject))
    if not answer.version:
        raise HuzhengError(Code.NOT_FOUND, f"proved as of block {as_of.height}: there never was one")
    told = await _told(client, resource, subject, answer.version)
    # A version that came after the statement's block is left out: the statement says of which block this is all.
    found = [await _prove(light, record_id) for record_id in told]
    previous = b""
    for number, located in enumerate(found, 1):
        record = _record(located)
        if (record.resource, record.subject, record.version) != (resource, subject, number):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"version {number} is missing or out of line")
        if record.replaces != previous:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"version {number} does not follow the one before")
        previous = located.record_id
    if previous != answer.record_id:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "the newest version is missing")
    found[-1].current = True
    await _learn_of(light, found)
    return found, as_of


async def prove_newest_at(light: LightClient, client: LedgerClient, about: list[str], moment: Moment) -> Found:
    """The version that was the newest at some moment of the past, however long ago.

    Its own block and that of the version after it prove it: no state of that time is needed, nor kept by anybody.

    Raises:
        HuzhengError: NOT_FOUND, which is proved; INVALID_REQUEST if the moment has not come yet; as `prove_history`.
    """
    resource, subject = await resource_and_subject(light, about)
    found, as_of = await prove_history(light, client, resource, subject)
    if not _is_over(moment, as_of):
        raise HuzhengError(
            Code.INVALID_REQUEST, f"--at: the chain is at block {as_of.height}, {json_time(as_of.time_ms)}"
        )
    until = [located for located in found if moment.has_come(located.height, located.time_ms)]
    if not until:
        raise HuzhengError(Code.NOT_FOUND, f"proved: the first version came with block {found[0].height}")
    after = found[len(until)] if len(until) < len(found) else None
    replaced = None if after is None else AsOf(after.height, after.time_ms)
    return Found(until[-1], client.catalogue, as_of, replaced_at=replaced)


def _is_over(moment: Moment, as_of: AsOf) -> bool:
    # The next block may have the same time.
    if moment.height is not None:
        return moment.height <= as_of.height
    return moment.time_ms is not None and moment.time_ms < as_of.time_ms


async def _told_of(client: LedgerClient, about: list[str]) -> pb.LocatedRecord:
    """The record with an id. That there is none can't be proved, and is not to look as if it were."""
    try:
        return await find_record(client, about, 0)
    except HuzhengError as error:
        if error.code is Code.NOT_FOUND:
            raise HuzhengError(Code.NOT_FOUND, "no record has this id, as the node says; not proved") from None
        raise


async def _told_version(client: LedgerClient, about: list[str], version: int) -> bytes:
    """The id of a version that is proved to be there."""
    try:
        return (await find_record(client, about, version)).record_id
    except HuzhengError as error:
        if error.code is Code.NOT_FOUND:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"version {version} is missing") from None
        raise


async def _told(client: LedgerClient, resource: str, subject: str, count: int) -> list[bytes]:
    """The ids of the first so many versions that the node tells of; whether they are all is proved by others."""
    found: list[bytes] = []
    try:
        async for located in client.history(resource, subject):
            found.append(located.record_id)
            # A node may have no end of them.
            if len(found) == count:
                break
    except HuzhengError as error:
        if error.code is not Code.NOT_FOUND:
            raise
    return found


async def _newest(light: LightClient, question: Any) -> tuple[Answer, AsOf]:
    verdict = (await light.statement([question])).verdict
    return verdict.answers[question], AsOf(verdict.height, verdict.time_ms)


async def _prove(light: LightClient, record_id: bytes) -> pb.LocatedRecord:
    from huzheng.v1 import block_pb2
    from huzheng.v1 import ledger_service_pb2 as pb

    from ledger.crypto import strict

    raw, verdict = await light.record_receipt(record_id)
    if not verdict.accepted:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "the record's transaction was refused")
    receipt = strict.read(block_pb2.Receipt, raw)
    located = pb.LocatedRecord(
        record_id=record_id,
        record=receipt.record.record,
        payload=receipt.record.payload,
        transaction_id=verdict.transaction_id,
        height=verdict.height,
        transaction_index=receipt.transaction_index,
        record_index=receipt.record.index,
        time_ms=verdict.time_ms,
        department=verdict.department,
    )
    if verdict.record is not None and not verdict.record.is_shown:
        await _prove_order(light, located)
    return located


async def _prove_order(light: LightClient, located: pb.LocatedRecord) -> None:
    """When and on what ground the contents of a record were removed, if that was ordered by whose it is."""
    from huzheng.v1 import sharing_pb2

    from ledger.crypto import strict
    from ledger.sharing.erasing import expunge_key

    key = expunge_key(located.department, located.transaction_id, located.record_index)
    raw = (await light.entries([key]))[key]
    if raw is not None:
        located.expunged.CopyFrom(strict.read(sharing_pb2.ExpungeState, raw))


async def _learn_of(light: LightClient, found: list[pb.LocatedRecord]) -> None:
    """The definitions by which these records are shown."""
    await light.learn({(record.resource, record.schema_version) for record in map(_record, found)})


def _record(located: pb.LocatedRecord) -> Any:
    from huzheng.v1 import transaction_pb2

    return transaction_pb2.Record.FromString(located.record)


def _version(located: pb.LocatedRecord) -> int:
    return int(_record(located).version)


def _question_of(located: pb.LocatedRecord) -> Any:
    from ledger.statement import Question

    record = _record(located)
    return Question(record.resource, record.subject)


def as_of_to_dict(as_of: AsOf | None) -> dict[str, Any] | None:
    """For programs."""
    return None if as_of is None else {"height": as_of.height, "time": json_time(as_of.time_ms)}


def say_how_far_proved(session: Session, genesis: Genesis, as_of: AsOf | None, *, newest: bool = True) -> None:
    """What was proved, as of when; or that nothing was. `newest`: whether it is what nothing newer has replaced."""
    t = session.t
    if as_of is None:
        session.out.note(t("Not verified: this is the node's word."), "yellow")
        return
    known = {
        True: t(
            "Proved, and that there is nothing newer: as of block {height}, {time}, {age} ago. Trusting chain {id}…."
        ),
        False: t(
            "Proved, and that there is a newer one: as of block {height}, {time}, {age} ago. Trusting chain {id}…."
        ),
    }
    text = known[newest].format(
        height=as_of.height,
        time=local_time(as_of.time_ms),
        age=age_words(session, int(time.time() * 1000) - as_of.time_ms),
        id=short(genesis.chain_id),
    )
    session.out.note(text, "green")


def say_until_when(session: Session, found: Found) -> None:
    """Of a version that was the newest at the moment asked for."""
    t, replaced = session.t, found.replaced_at
    if replaced is None:
        session.out.line(t("It was the newest then, and still is."), "bold green")
        return
    text = t(
        "It was the newest then, until block {height}, {time}.",
        height=replaced.height,
        time=local_time(replaced.time_ms),
    )
    session.out.line(text, "bold yellow")


def age_words(session: Session, age_ms: int) -> str:
    """How long ago something was, by this machine's clock."""
    t, seconds = session.t, max(0, age_ms // 1000)
    if seconds >= 2 * 86_400:
        return t("{n} days", n=seconds // 86_400)
    if seconds >= 2 * 3_600:
        return t("{n} hours", n=seconds // 3_600)
    if seconds >= 120:
        return t("{n} minutes", n=seconds // 60)
    return t("{n} seconds", n=seconds)
