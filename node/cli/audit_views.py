"""How reads and alerts look to people, to programs, and in tables for other software."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.cli.output import Output, json_time, local_time, printable, short
from node.cli.show import department_name, resource_title

if TYPE_CHECKING:
    from huzheng.v1 import audit_pb2 as pb

    from ledger.genesis import Genesis
    from node.audit import Account

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would calculate instead of showing it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of reads that is to be shown."""

    request: pb.ListReadsRequest
    reads: Sequence[pb.ListedRead]
    account: Account | None
    """What it is complete by."""
    is_proven: bool
    """Whether each of the reads is proved."""


def field_names(listed: pb.ListedRead) -> list[str]:
    """The fields that were asked for, by their names, or by their numbers where nothing tells a name."""
    names = [*listed.field_names, *[""] * len(listed.asked.fields)]
    return [name or f"#{number}" for number, name in zip(listed.asked.fields, names, strict=False)]


def status_of(listed: pb.ListedRead) -> str:
    """`requested`, `read` or `refused`."""
    if not listed.HasField("state"):
        return "refused"
    return "read" if listed.state.acknowledged_ms else "requested"


def read_row(out: Output, genesis: Genesis, listed: pb.ListedRead) -> list[str]:
    """A row for people."""
    language = out.texts.language
    grounds = "; ".join(text for text in (listed.purpose, listed.legal_basis) if text)
    return [
        local_time(listed.time_ms),
        department_name(genesis, listed.reader, language),
        department_name(genesis, listed.owner, language) if listed.owner else "",
        resource_title(genesis, listed.resource, language) if listed.resource else "",
        printable(listed.asked.subject),
        printable(", ".join(field_names(listed))),
        printable(listed.asked.case_number),
        printable(grounds),
        _status_text(out, listed),
    ]


def _status_text(out: Output, listed: pb.ListedRead) -> str:
    t, status = out.texts, status_of(listed)
    if status == "read":
        return t("read, {time}", time=local_time(listed.state.acknowledged_ms))
    return t("requested") if status == "requested" else t("refused: {code}", code=_refusal(listed))


def _refusal(listed: pb.ListedRead) -> str:
    from ledger.errors import refusal

    return "" if listed.HasField("state") else str(refusal(listed.code))


def read_to_dict(listed: pb.ListedRead) -> dict[str, Any]:
    """A read for programs."""
    acknowledged_ms = listed.state.acknowledged_ms
    return {
        "read_id": listed.read_id.hex(),
        "time": json_time(listed.time_ms),
        "reader": listed.reader,
        "owner": listed.owner or None,
        "resource": listed.resource or None,
        "subject": listed.asked.subject,
        "fields": field_names(listed),
        "case_number": listed.asked.case_number,
        "grant": listed.asked.grant.hex(),
        "purpose": listed.purpose or None,
        "legal_basis": listed.legal_basis or None,
        "status": status_of(listed),
        "reason": _refusal(listed) or None,
        "acknowledged": json_time(acknowledged_ms) if acknowledged_ms else None,
        "record_id": listed.state.record_id.hex() or None,
        "height": listed.position.height,
        "transaction_id": listed.transaction_id.hex(),
        "operation_index": listed.position.operation_index,
    }


def listing_to_dict(listing: Listing) -> dict[str, Any]:
    """A list of reads, for programs: what it is about, whether each of them is proved, and what it is complete by."""
    account = listing.account
    complete = None
    if account is not None:
        complete = {"accepted": account.reads.count, "height": account.height, "proven": account.is_proven}
    return {
        "about": _about(listing.request),
        "reads": [read_to_dict(listed) for listed in listing.reads],
        "proven": listing.is_proven,
        "complete": complete,
    }


def _about(request: pb.ListReadsRequest) -> dict[str, str | int]:
    about: dict[str, str | int] = {
        "resource": request.subject.resource,
        "subject": request.subject.subject,
        "department": request.reader,
        "owner": request.owner,
        "grant": request.grant.hex(),
        "record_id": request.record_id.hex(),
        "since_ms": request.since_ms,
        "until_ms": request.until_ms,
    }
    return {name: value for name, value in about.items() if value}


_CSV_COLUMNS = (
    "time",
    "reader",
    "owner",
    "resource",
    "subject",
    "fields",
    "case_number",
    "purpose",
    "legal_basis",
    "status",
    "reason",
    "acknowledged",
    "grant",
    "record_id",
    "read_id",
    "height",
    "transaction_id",
    "operation_index",
)


def to_csv(reads: Iterable[pb.ListedRead]) -> bytes:
    """A table with a line of names, in UTF-8 with a mark that spreadsheets know it by. No cell is one that they would calculate."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_CSV_COLUMNS)
    for listed in reads:
        view = read_to_dict(listed)
        view["fields"] = " ".join(view["fields"])
        writer.writerow([_cell(view[name]) for name in _CSV_COLUMNS])
    return text.getvalue().encode("utf-8-sig")


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def alert_lines(out: Output, genesis: Genesis, found: pb.GetAlertsResponse) -> Iterator[tuple[str, str, str]]:
    """What, which department, and details; for people."""
    t, language = out.texts, out.texts.language

    def name(department: str) -> str:
        return department_name(genesis, department, language)

    for overdue in found.overdue_updates:
        time = local_time(overdue.newest_ms)
        newest = t("newest record {time}", time=time) if overdue.has_records else t("published {time}", time=time)
        details = t("days between updates: {days}; {newest}", days=overdue.update_cycle_days, newest=newest)
        title = resource_title(genesis, overdue.resource, language)
        yield t("update overdue"), name(overdue.department), f"{title}: {details}"
    for unusual in found.unusual_reads:
        details = t("{n} in 24 hours, usual are up to {usual}", n=unusual.reads, usual=unusual.threshold)
        yield t("unusual number of reads"), name(unusual.department), details
    for refused in found.refused_reads:
        details = t("{n} in 24 hours", n=refused.refused)
        yield t("refused reads"), name(refused.department), details
    for read in found.unacknowledged_reads:
        details = (
            f"{resource_title(genesis, read.resource, language)}, {local_time(read.time_ms)}, {short(read.read_id)}…"
        )
        yield t("read not acknowledged"), name(read.reader), details
    for erasure in found.unacknowledged_erasures:
        ordered = t("ordered by {owner}, {time}", owner=name(erasure.department), time=local_time(erasure.time_ms))
        for department in erasure.owed:
            yield t("erasure not acknowledged"), name(department), f"{ordered}, {short(erasure.record_id)}…"


def alerts_to_dict(found: pb.GetAlertsResponse) -> dict[str, Any]:
    """All alerts, for programs."""
    return {
        "height": found.height,
        "time": json_time(found.time_ms),
        "overdue_updates": [
            {
                "resource": item.resource,
                "department": item.department,
                "update_cycle_days": item.update_cycle_days,
                "newest": json_time(item.newest_ms),
                "has_records": item.has_records,
            }
            for item in found.overdue_updates
        ],
        "unusual_reads": [
            {"department": item.department, "reads": item.reads, "threshold": item.threshold}
            for item in found.unusual_reads
        ],
        "refused_reads": [{"department": item.department, "refused": item.refused} for item in found.refused_reads],
        "unacknowledged_reads": [
            {
                "read_id": item.read_id.hex(),
                "reader": item.reader,
                "owner": item.owner,
                "resource": item.resource,
                "time": json_time(item.time_ms),
            }
            for item in found.unacknowledged_reads
        ],
        "unacknowledged_erasures": [
            {
                "department": item.department,
                "record_id": item.record_id.hex(),
                "time": json_time(item.time_ms),
                "owed": list(item.owed),
            }
            for item in found.unacknowledged_erasures
        ],
    }
