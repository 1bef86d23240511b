"""What an entry node refuses before ordering (docs/protocol.md X3), and what it lets pass for execution to judge.

Refused here is only what no later block can accept, whatever is pending or not yet known at this node:

- by this node's clock: EXPIRED, LIFETIME_TOO_LONG;
- by what never changes: KEY_NOT_ALLOWED, REVOKED_KEY, BAD_KEY, KEY_EXISTS, NOT_OWNER, BAD_SUBJECT, BAD_PAYLOAD, UNKNOWN_FIELD,
  BAD_FIELD, MISSING_FIELD, BAD_COMMITMENT of a record; BAD_OPERATION;
- VERSION_CONFLICT and NOTHING_TO_REVOKE when the stored head is at or past the version before the record's: versions only
  grow. A record further ahead may follow one that is pending here or at another node;
- UNKNOWN_KEY of the signer, unless a key change of the department is pending here.

All else is for execution to judge, as a pending transaction may change it: LAST_ADMIN_KEY, UNKNOWN_KEY of an operation, REPEATED,
UNKNOWN_RESOURCE and SCHEMA_MISMATCH, and how an operation on catalogue, grants, reads and erasures ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import Message
from huzheng.v1 import catalogue_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue import CompiledResource
from ledger.crypto import strict
from ledger.errors import Code, HuzhengError, refusal
from ledger.execution import precheck
from ledger.genesis import Genesis
from ledger.outcome import Outcome
from ledger.published import Published
from ledger.state import StateReader, read_head, read_key
from ledger.transaction import RecordInTransaction, WellFormedTransaction
from node.personal_data import find_personal_data

_FINAL_REFUSALS = frozenset(
    {
        pb.RESULT_CODE_EXPIRED,
        pb.RESULT_CODE_LIFETIME_TOO_LONG,
        pb.RESULT_CODE_KEY_NOT_ALLOWED,
        pb.RESULT_CODE_REVOKED_KEY,
        pb.RESULT_CODE_BAD_KEY,
        pb.RESULT_CODE_KEY_EXISTS,
        pb.RESULT_CODE_NOT_OWNER,
        pb.RESULT_CODE_BAD_SUBJECT,
        pb.RESULT_CODE_BAD_PAYLOAD,
        pb.RESULT_CODE_UNKNOWN_FIELD,
        pb.RESULT_CODE_BAD_FIELD,
        pb.RESULT_CODE_MISSING_FIELD,
        pb.RESULT_CODE_BAD_COMMITMENT,
        pb.RESULT_CODE_BAD_OPERATION,
    }
)
_ABOUT_THE_WHOLE = (
    pb.RESULT_CODE_EXPIRED,
    pb.RESULT_CODE_LIFETIME_TOO_LONG,
    pb.RESULT_CODE_KEY_NOT_ALLOWED,
    pb.RESULT_CODE_REVOKED_KEY,
)
_VERSION_REFUSALS = (pb.RESULT_CODE_VERSION_CONFLICT, pb.RESULT_CODE_NOTHING_TO_REVOKE)
# Eleven digits, perhaps in groups, in ASCII or full width: without them the guard need not look closer.
_MANY_DIGITS = re.compile(rb"(?:(?:[0-9]|\xef\xbc[\x90-\x99])(?: |-|\xef\xbc\x8d|\xe3\x80\x80)?){11}")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of a transaction before ordering."""

    refusal: HuzhengError | None
    """Why no block from now on can accept it; None if one might."""
    signer_known: bool
    """Whether its key is the department's, revoked or not."""


def judge(
    genesis: Genesis, state: StateReader, published: Published, transaction: WellFormedTransaction, now_ms: int
) -> Judgement:
    """Executes the transaction on the stored state, changing nothing, and keeps of the outcome what is certain.

    `published`: the catalogue in that state, or in one before.
    """
    outcome = precheck(genesis, state, published, transaction, now_ms)
    if outcome.code == pb.RESULT_CODE_UNKNOWN_KEY:
        return Judgement(None, knows_signer(state, transaction))
    if outcome.accepted or not _is_certain(state, published, transaction, outcome):
        return Judgement(None, True)
    return Judgement(HuzhengError(refusal(outcome.code), _where(transaction, outcome)), True)


def knows_signer(state: StateReader, transaction: WellFormedTransaction) -> bool:
    """Whether the transaction's key is the department's, revoked or not."""
    key = read_key(state, transaction.body.public_key)
    return key is not None and key.department == transaction.department


def _where(transaction: WellFormedTransaction, outcome: Outcome) -> str:
    if outcome.code in _ABOUT_THE_WHOLE:
        return ""
    part = "operation" if transaction.body.operations else "record"
    return f"{part} {outcome.index}"


def _is_certain(state: StateReader, published: Published, transaction: WellFormedTransaction, outcome: Outcome) -> bool:
    if outcome.code == pb.RESULT_CODE_UNKNOWN_FIELD and transaction.body.operations:
        # Of the newest schema version, which may be followed by another.
        return False
    if outcome.code in _FINAL_REFUSALS:
        return True
    return outcome.code in _VERSION_REFUSALS and _is_outdated(state, published, transaction.records[outcome.index])


def _is_outdated(state: StateReader, published: Published, item: RecordInTransaction) -> bool:
    record = item.record
    slot = published.slot(record.resource)
    head = None if slot is None else read_head(state, slot, record.subject)
    if head is None or record.version > head.version + 1:
        return False
    if record.version <= head.version or record.replaces != head.record_id:
        return True
    return record.action == pb.RECORD_ACTION_REVOKE and head.action != pb.RECORD_ACTION_ASSERT


def refuse_personal_data(published: Published, transaction: WellFormedTransaction) -> None:
    """Turns away what looks like personal data in free text; never part of a validity decision.

    Raises:
        HuzhengError: PERSONAL_DATA; the detail names the field.
    """
    for index, operation in enumerate(transaction.body.operations):
        for place, text in _free_texts(operation):
            if find_personal_data(text):
                raise HuzhengError(Code.PERSONAL_DATA, f"operation {index}, {place}")
    for index, item in enumerate(transaction.records):
        resource = published.version(item.record.resource, item.record.schema_version)
        if resource is None:
            continue
        if resource.subject.type == catalogue_pb2.FIELD_TYPE_TEXT and find_personal_data(item.record.subject):
            raise HuzhengError(Code.PERSONAL_DATA, f"record {index}, subject")
        if _MANY_DIGITS.search(item.payload):
            _look_closer(resource, item, index)


def _free_texts(message: Message) -> Iterator[tuple[str, str]]:
    """All texts in an operation, each with the name of its field."""
    for field, value in message.ListFields():
        for item in value if field.is_repeated else (value,):
            if isinstance(item, Message):
                yield from _free_texts(item)
            elif isinstance(item, str):
                yield field.name, item


def _look_closer(resource: CompiledResource, item: RecordInTransaction, index: int) -> None:
    texts = {field.number: field.name for field in resource.fields if field.type == catalogue_pb2.FIELD_TYPE_TEXT}
    try:
        fields = strict.read(pb.Payload, item.payload).fields
    except HuzhengError:
        # Execution's own check says so better.
        return
    for field in fields:
        if field.number in texts and find_personal_data(field.value):
            raise HuzhengError(Code.PERSONAL_DATA, f"record {index}, {texts[field.number]}")
