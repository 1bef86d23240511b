"""What an entry node refuses before ordering (docs/protocol.md X3), and what it lets pass for execution to judge.

Refused here is only what no later block can accept, whatever is pending or not yet known at this node:

- by this node's clock: EXPIRED, LIFETIME_TOO_LONG;
- by what never changes: KEY_NOT_ALLOWED, REVOKED_KEY, BAD_KEY, KEY_EXISTS, UNKNOWN_RESOURCE, NOT_OWNER, SCHEMA_MISMATCH,
  BAD_SUBJECT, BAD_PAYLOAD, UNKNOWN_FIELD, BAD_FIELD, MISSING_FIELD;
- VERSION_CONFLICT and NOTHING_TO_REVOKE when the stored head is at or past the version before the record's: versions only
  grow. A record further ahead may follow one that is pending here or at another node;
- UNKNOWN_KEY of the signer, unless a key change of the department is pending here.

LAST_ADMIN_KEY, UNKNOWN_KEY of an operation and REPEATED are for execution to judge: a pending transaction may change them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from huzheng.v1 import catalogue_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue import CompiledResource
from ledger.crypto import strict
from ledger.errors import Code, HuzhengError, refusal
from ledger.execution import precheck
from ledger.genesis import Genesis
from ledger.outcome import Outcome
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
        pb.RESULT_CODE_UNKNOWN_RESOURCE,
        pb.RESULT_CODE_NOT_OWNER,
        pb.RESULT_CODE_SCHEMA_MISMATCH,
        pb.RESULT_CODE_BAD_SUBJECT,
        pb.RESULT_CODE_BAD_PAYLOAD,
        pb.RESULT_CODE_UNKNOWN_FIELD,
        pb.RESULT_CODE_BAD_FIELD,
        pb.RESULT_CODE_MISSING_FIELD,
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


def judge(genesis: Genesis, state: StateReader, transaction: WellFormedTransaction, now_ms: int) -> Judgement:
    """Executes the transaction on the stored state, changing nothing, and keeps of the outcome what is certain."""
    outcome = precheck(genesis, state, transaction, now_ms)
    if outcome.code == pb.RESULT_CODE_UNKNOWN_KEY:
        return Judgement(None, knows_signer(state, transaction))
    if outcome.accepted or not _is_certain(genesis, state, transaction, outcome):
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


def _is_certain(genesis: Genesis, state: StateReader, transaction: WellFormedTransaction, outcome: Outcome) -> bool:
    if outcome.code in _FINAL_REFUSALS:
        return True
    return outcome.code in _VERSION_REFUSALS and _is_outdated(genesis, state, transaction.records[outcome.index])


def _is_outdated(genesis: Genesis, state: StateReader, item: RecordInTransaction) -> bool:
    record = item.record
    head = read_head(state, genesis.slots[record.resource], record.subject)
    if head is None or record.version > head.version + 1:
        return False
    if record.version <= head.version or record.replaces != head.record_id:
        return True
    return record.action == pb.RECORD_ACTION_REVOKE and head.action != pb.RECORD_ACTION_ASSERT


def refuse_personal_data(genesis: Genesis, transaction: WellFormedTransaction) -> None:
    """Turns away what looks like personal data in free text; never part of a validity decision.

    Raises:
        HuzhengError: PERSONAL_DATA; the detail names the field.
    """
    for index, item in enumerate(transaction.records):
        resource = genesis.catalogue.get(item.record.resource)
        if resource is None:
            continue
        if resource.subject.type == catalogue_pb2.FIELD_TYPE_TEXT and find_personal_data(item.record.subject):
            raise HuzhengError(Code.PERSONAL_DATA, f"record {index}, subject")
        if _MANY_DIGITS.search(item.payload):
            _look_closer(resource, item, index)


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
