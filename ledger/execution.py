"""Executing a batch: a pure function of the state, the block before and the batch (docs/protocol.md section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from huzheng.v1 import block_pb2, genesis_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.block import ExecutedBlock, Tip
from ledger.catalogue import CompiledResource
from ledger.crypto import Domain, Height, ReplicaId, strict
from ledger.epochs import epoch_at, newest_epoch
from ledger.errors import Code, HuzhengError
from ledger.genesis import DEPARTMENT_ROLES, PROTOCOL_VERSION, Genesis
from ledger.membership_execution import change_membership, is_known_key
from ledger.outcome import Outcome, Refused
from ledger.published import Published, initial_entries
from ledger.registers import Slot
from ledger.rules import Rules
from ledger.sharing.context import Context
from ledger.sharing.operations import carry_out, kind_of, publishes, role_for
from ledger.state import (
    POOL_KEY,
    SEEN_PREFIX,
    LedgerState,
    Overlay,
    RegisteredKey,
    StateReader,
    admin_keys_key,
    head_in,
    heads_key,
    put_head,
    read_head,
    read_heads,
    read_key,
    seen_key,
    settle,
    signing_key_key,
)
from ledger.state.leaves import Settled
from ledger.state.proof import tree_root
from ledger.transaction import INCONCLUSIVE, RecordInTransaction, WellFormedBatch, WellFormedTransaction

NO_HASH = bytes(32)


def execute(genesis: Genesis, state: LedgerState, parent: Tip, batch: WellFormedBatch) -> ExecutedBlock:
    """The block that a batch makes on top of its parent, whose state is `state`.

    Raises:
        HuzhengError: PROTOCOL_UNKNOWN; STORE_CORRUPT if the state's tree is damaged.
    """
    height = Height(parent.height + 1)
    terms = epoch_at(genesis, state, height)
    rules = rules_for(genesis, terms.protocol_version, terms.first_height)
    time_ms = parent.time_ms if batch.proposer == 0 else max(parent.time_ms, batch.proposed_ms)
    overlay = Overlay(state)
    _drop_expired(overlay, time_ms, 2 * genesis.parameters.max_batch_transactions)
    published = Published(genesis, overlay)
    outcomes = []
    for index, transaction in enumerate(batch.transactions):
        outcomes.append(_execute_one(genesis, rules, overlay, published, transaction, time_ms, (height, index)))
        if publishes(transaction.body):
            published = Published(genesis, overlay)
    results = tuple(
        strict.write(pb.TransactionResult(transaction_id=transaction.id, code=outcome.code, index=outcome.index))
        for transaction, outcome in zip(batch.transactions, outcomes, strict=True)
    )
    suite = genesis.suite
    settled = settle(suite, state.get(POOL_KEY), overlay.changes)
    header = block_pb2.BlockHeader(
        chain_id=genesis.chain_id,
        height=height,
        parent_hash=parent.block_hash,
        epoch=terms.epoch,
        proposer=batch.proposer,
        time_ms=time_ms,
        protocol_version=terms.protocol_version,
        transaction_count=len(batch.transactions),
        transactions_root=merkle.root(suite, [transaction.id for transaction in batch.transactions]),
        results_root=merkle.root(suite, [suite.digest(Domain.RESULT, result) for result in results]),
        state_root=state.root_after(height, settled.leaves),
        history_root=parent.history.root(),
    )
    return _finish(genesis, header, parent, batch.transactions, results, outcomes, settled)


def genesis_block(genesis: Genesis) -> ExecutedBlock:
    """Block 0, which follows from the genesis alone and has no certificate (X6, X7)."""
    suite = genesis.suite
    settled = settle(suite, None, _initial_state(genesis))
    empty = merkle.root(suite, [])
    header = block_pb2.BlockHeader(
        chain_id=genesis.chain_id,
        parent_hash=NO_HASH,
        time_ms=genesis.time_ms,
        protocol_version=PROTOCOL_VERSION,
        transactions_root=empty,
        results_root=empty,
        state_root=tree_root(suite, settled.leaves),
        history_root=empty,
    )
    before = Tip(Height(-1), NO_HASH, b"", 0, NO_HASH, merkle.Frontier(suite))
    return _finish(genesis, header, before, (), (), [], settled)


def rules_for(genesis: Genesis, version: int, from_height: int) -> Rules:
    """Raises HuzhengError(PROTOCOL_UNKNOWN) if this software can't execute blocks by this version."""
    rules = genesis.rules.get(version)
    if rules is None:
        raise HuzhengError(Code.PROTOCOL_UNKNOWN, f"protocol version {version}, in force from block {from_height} on")
    return rules


def batch_of_block(header: block_pb2.BlockHeader, transactions: Sequence[WellFormedTransaction]) -> WellFormedBatch:
    """A batch that makes the block with this header, as far as one can: what it carried is in the block, its bytes are not."""
    return WellFormedBatch(b"", ReplicaId(header.proposer), header.time_ms, tuple(transactions))


def precheck(
    genesis: Genesis, state: StateReader, published: Published, transaction: WellFormedTransaction, time_ms: int
) -> Outcome:
    """How the transaction would end if it were executed next, in a block of this time. Changes nothing.

    `published`: the catalogue in that state.
    """
    terms = newest_epoch(genesis, state)
    rules = genesis.rules.get(terms.protocol_version) or genesis.rules[PROTOCOL_VERSION]
    return _execute_one(genesis, rules, Overlay(state), published, transaction, time_ms, (terms.first_height, 0))


def _finish(
    genesis: Genesis,
    header: block_pb2.BlockHeader,
    parent: Tip,
    transactions: tuple[WellFormedTransaction, ...],
    results: tuple[bytes, ...],
    outcomes: Sequence[Outcome],
    settled: Settled,
) -> ExecutedBlock:
    raw = strict.write(header)
    block_hash = genesis.suite.digest(Domain.BLOCK, raw)
    history = parent.history.copy()
    nodes = tuple(history.append(block_hash))
    height = Height(header.height)
    return ExecutedBlock(
        height=height,
        header=raw,
        block_hash=block_hash,
        time_ms=header.time_ms,
        transactions=transactions,
        results=results,
        codes=tuple(outcome.code for outcome in outcomes),
        changes=settled.changes,
        leaves=settled.leaves,
        history_nodes=nodes,
        tip=Tip(height, block_hash, raw, header.time_ms, header.state_root, history),
    )


def _initial_state(genesis: Genesis) -> dict[bytes, bytes | None]:
    state: dict[bytes, bytes | None] = dict(initial_entries(genesis))
    for department in genesis.departments.values():
        admins = 0
        for key in department.keys:
            state[signing_key_key(key.public_key)] = RegisteredKey(department.id, key.role).encode()
            admins += key.role == genesis_pb2.KEY_ROLE_ADMIN
        state[admin_keys_key(department.id)] = admins.to_bytes(4, "big")
    return state


def _drop_expired(overlay: Overlay, time_ms: int, limit: int) -> None:
    """X4: seen ids whose expiry the block's time has reached, oldest first."""
    expired = overlay.scan(SEEN_PREFIX, SEEN_PREFIX + (time_ms + 1).to_bytes(8, "big"))
    for key, _ in list(islice(expired, limit)):
        overlay.set(key, None)


def _execute_one(
    genesis: Genesis,
    rules: Rules,
    overlay: Overlay,
    published: Published,
    transaction: WellFormedTransaction,
    time_ms: int,
    place: tuple[Height, int],
) -> Outcome:
    """X3: all of a transaction takes effect, or none. `place` is its block and its position there."""
    effects, department = Overlay(overlay), transaction.department
    outcome = Outcome(pb.RESULT_CODE_ACCEPTED, 0)
    try:
        _check_admissible(genesis, overlay, transaction, time_ms)
        _check_signer(overlay, transaction)
        for index, operation in enumerate(transaction.body.operations):
            if operation.HasField("change_membership"):
                change_membership(genesis, effects, operation.change_membership, time_ms, place)
            elif operation.HasField("add_key"):
                _add_key(genesis, effects, department, operation.add_key.key, index)
            elif operation.HasField("revoke_key"):
                _revoke_key(effects, department, operation.revoke_key.public_key, index)
            else:
                view = published.over(effects)
                carry_out(
                    Context(genesis, effects, view, department, transaction.id, place[0], time_ms, index), operation
                )
        for index, record in enumerate(transaction.records):
            _apply_record(published, effects, department, record, index)
        code = rules.refuses(transaction.body)
        if code != pb.RESULT_CODE_ACCEPTED:
            raise Refused(code)
    except Refused as refused:
        outcome = Outcome(refused.code, refused.index)
    else:
        overlay.absorb(effects)
    if outcome.code not in INCONCLUSIVE:
        overlay.set(seen_key(transaction.expires_ms, transaction.id), b"")
    return outcome


def _check_admissible(genesis: Genesis, state: StateReader, transaction: WellFormedTransaction, time_ms: int) -> None:
    if transaction.expires_ms > time_ms + genesis.parameters.max_lifetime_ms:
        raise Refused(pb.RESULT_CODE_LIFETIME_TOO_LONG)
    if transaction.expires_ms <= time_ms:
        raise Refused(pb.RESULT_CODE_EXPIRED)
    if state.get(seen_key(transaction.expires_ms, transaction.id)) is not None:
        raise Refused(pb.RESULT_CODE_REPEATED)


def _check_signer(state: StateReader, transaction: WellFormedTransaction) -> None:
    key = read_key(state, transaction.body.public_key)
    if key is None or key.department != transaction.department:
        raise Refused(pb.RESULT_CODE_UNKNOWN_KEY)
    if key.revoked:
        raise Refused(pb.RESULT_CODE_REVOKED_KEY)
    if transaction.records and key.role != genesis_pb2.KEY_ROLE_SYSTEM:
        raise Refused(pb.RESULT_CODE_KEY_NOT_ALLOWED)
    if any(role_for(kind_of(operation)) != key.role for operation in transaction.body.operations):
        raise Refused(pb.RESULT_CODE_KEY_NOT_ALLOWED)


def _add_key(genesis: Genesis, state: Overlay, department: str, key: genesis_pb2.SigningKey, index: int) -> None:
    if key.role not in DEPARTMENT_ROLES:
        raise Refused(pb.RESULT_CODE_BAD_KEY, index)
    if not genesis.suite.is_admissible_key(key.public_key):
        raise Refused(pb.RESULT_CODE_BAD_KEY, index)
    if is_known_key(genesis, state, key.public_key):
        raise Refused(pb.RESULT_CODE_KEY_EXISTS, index)
    state.set(signing_key_key(key.public_key), RegisteredKey(department, key.role).encode())
    if key.role == genesis_pb2.KEY_ROLE_ADMIN:
        _count_admin_keys(state, department, 1)


def _revoke_key(state: Overlay, department: str, public_key: bytes, index: int) -> None:
    key = read_key(state, public_key)
    if key is None or key.department != department or key.role not in DEPARTMENT_ROLES:
        raise Refused(pb.RESULT_CODE_UNKNOWN_KEY, index)
    if key.revoked:
        raise Refused(pb.RESULT_CODE_REVOKED_KEY, index)
    if key.role == genesis_pb2.KEY_ROLE_ADMIN and _count_admin_keys(state, department, -1) == 0:
        raise Refused(pb.RESULT_CODE_LAST_ADMIN_KEY, index)
    state.set(signing_key_key(public_key), replace(key, revoked=True).encode())


def _count_admin_keys(state: Overlay, department: str, change: int) -> int:
    count = int.from_bytes(state.get(admin_keys_key(department)) or b"", "big") + change
    state.set(admin_keys_key(department), count.to_bytes(4, "big"))
    return count


def _apply_record(published: Published, state: Overlay, department: str, item: RecordInTransaction, index: int) -> None:
    """X5."""
    record = item.record
    # Every access to a field of a message makes a new value.
    subject, version = record.subject, record.version
    asserts = record.action == pb.RECORD_ACTION_ASSERT
    resource, slot = _cited(published, department, record, index, asserts=asserts)
    if not resource.subject_fits(subject):
        raise Refused(pb.RESULT_CODE_BAD_SUBJECT, index)
    if asserts:
        code = resource.check_payload(item.payload) if item.removed is None else item.removed
        if code != pb.RESULT_CODE_ACCEPTED:
            raise Refused(code, index)
    if bool(record.confidential_root) != (asserts and bool(resource.confidential)):
        raise Refused(pb.RESULT_CODE_BAD_COMMITMENT, index)
    heads = read_heads(state, slot, subject)
    head = head_in(heads, slot.number)
    newest, newest_id = (0, b"") if head is None else (head.version, head.record_id)
    if version != newest + 1 or record.replaces != newest_id:
        raise Refused(pb.RESULT_CODE_VERSION_CONFLICT, index)
    if not asserts and (head is None or head.action != pb.RECORD_ACTION_ASSERT):
        raise Refused(pb.RESULT_CODE_NOTHING_TO_REVOKE, index)
    for relied in record.relies_on:
        _check_relied(published, state, relied, index)
    put_head(heads, slot, state_pb2.Head(version=version, record_id=item.id, action=record.action))
    state.set(heads_key(slot, subject), strict.write(heads))


def _cited(
    published: Published, department: str, record: pb.Record, index: int, *, asserts: bool
) -> tuple[CompiledResource, Slot]:
    """The schema version that a record cites, and where its resource's heads are."""
    name, cited = record.resource, record.schema_version
    known, slot = published.find(name), published.slot(name)
    if known is None or slot is None:
        raise Refused(pb.RESULT_CODE_UNKNOWN_RESOURCE, index)
    if known.department != department:
        raise Refused(pb.RESULT_CODE_NOT_OWNER, index)
    resource = published.version(name, cited)
    if resource is None or (asserts and cited not in known.open_versions):
        raise Refused(pb.RESULT_CODE_SCHEMA_MISMATCH, index)
    return resource, slot


def _check_relied(published: Published, state: Overlay, relied: pb.Reliance, index: int) -> None:
    slot = published.slot(relied.resource)
    head = None if slot is None else read_head(state, slot, relied.subject)
    if head is None or head.action != pb.RECORD_ACTION_ASSERT or head.record_id != relied.record_id:
        raise Refused(pb.RESULT_CODE_RELIED_NOT_CURRENT, index)
