"""What a quorum would have to sign for a changed message to get further: real seals and signatures by the example consortium's keys.

Otherwise nearly every change ends at a certificate. Headers sealed here carry a mark, so that they can be told from those of the vectors.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from google.protobuf.message import DecodeError, Message
from huzheng.v1 import (
    block_pb2,
    catalogue_pb2,
    disclosure_pb2,
    genesis_pb2,
    history_pb2,
    state_pb2,
    statement_pb2,
    transaction_pb2,
)

from ledger.crypto import ED25519_SHA256, Domain, Signer
from ledger.errors import HuzhengError
from ledger.merkle import root_from_path
from ledger.state.proof import root_from_proof
from tests.fuzzing.mutation import carried, write
from tests.naive import confidential as naive
from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.sections import confidential

MARK = 77_777
"""The proposer of a header that was sealed here."""
_MEMBERS: Mapping[int, tuple[int, ...]] = {0: (1, 2, 3, 5), 1: (1, 2, 3, 5, 6)}
"""By epoch; the second one as tests/vectors/membership.json has it."""
_SIGNING = ("alpha system", "alpha admin", "alpha new", "alpha second admin", "beta system", "beta admin")


def headers(message: Message) -> set[bytes]:
    """All block headers in it."""
    return {raw for message_type, raw in carried(message) if message_type is block_pb2.BlockHeader}


def is_marked(header: bytes) -> bool:
    """Whether it was sealed here."""
    try:
        return block_pb2.BlockHeader.FromString(header).proposer == MARK
    except DecodeError:
        return False


def seal(message: Message, dice: random.Random) -> None:
    """Makes hashes, roots, signatures and seals fit what is in the message, most of them."""
    sealer = _SEALERS.get(type(message))
    if sealer is not None:
        try:
            sealer(message, dice)
        except (DecodeError, HuzhengError, ValueError):
            return


@cache
def _replica(number: int) -> Signer:
    return example.signer(f"replica {number}")


@cache
def _signers() -> dict[bytes, Signer]:
    return {example.signer(name).public_key: example.signer(name) for name in _SIGNING}


def _quorum(epoch: int) -> int:
    """I2."""
    n = len(_MEMBERS[epoch])
    return (n + (n - 1) // 3) // 2 + 1


def _seal(header: block_pb2.BlockHeader, raw: bytes, replica: int) -> block_pb2.SealSignature:
    """I4. Always the same one: Ed25519 throws no dice."""
    sealed = block_pb2.Seal(epoch=header.epoch, height=header.height, block_hash=tagged_hash("block", raw))
    signature = _replica(replica).sign(Domain.SIGN_SEAL, header.chain_id + write(sealed))
    return block_pb2.SealSignature(replica=replica, signature=signature)


def _certificate(header: block_pb2.BlockHeader, raw: bytes) -> bytes:
    epoch = header.epoch if header.epoch in _MEMBERS else 0
    replicas = _MEMBERS[epoch][: _quorum(epoch)]
    return write(block_pb2.Certificate(seals=[_seal(header, raw, replica) for replica in replicas]))


def is_certificate(raw_header: bytes, raw: bytes) -> bool:
    """Whether these are the seals, to the byte, of one of the quorums that a header may have."""
    header, seals = block_pb2.BlockHeader.FromString(raw_header), block_pb2.Certificate.FromString(raw).seals
    members = _MEMBERS[header.epoch]
    replicas = [seal.replica for seal in seals]
    if len(seals) != _quorum(header.epoch) or replicas != sorted({*replicas} & {*members}):
        return False
    return all(write(seal) == write(_seal(header, raw_header, seal.replica)) for seal in seals)


def _set_header(target: Any, header: block_pb2.BlockHeader, prefix: str = "") -> None:
    header.proposer = MARK
    raw = write(header)
    setattr(target, f"{prefix}header", raw)
    setattr(target, f"{prefix}certificate", _certificate(header, raw))


def _seal_receipt(receipt: block_pb2.Receipt, dice: random.Random) -> None:
    for epoch in receipt.epochs:
        if dice.random() < 0.3:
            _seal_transaction(epoch, dice)
    if receipt.HasField("record"):
        _commit_to_record(receipt, dice)
    _seal_transaction(receipt, dice)


def _commit_to_record(receipt: block_pb2.Receipt, dice: random.Random) -> None:
    """The body's records root, from the payload up."""
    proof = receipt.record
    record = transaction_pb2.Record.FromString(proof.record)
    if dice.random() < 0.9:
        record.payload_digest = tagged_hash("payload", proof.payload)
        proof.record = write(record)
    body = transaction_pb2.TransactionBody.FromString(receipt.body)
    leaf = tagged_hash("record", proof.record)
    body.records_root = root_from_path(ED25519_SHA256, leaf, proof.index, body.record_count, proof.path)
    receipt.body = write(body)


def _seal_transaction(target: Any, dice: random.Random) -> None:
    """A `Receipt` or an `EpochProof`: its signature, its result's transaction, its header's roots, its certificate."""
    header = block_pb2.BlockHeader.FromString(target.header)
    key = transaction_pb2.TransactionBody.FromString(target.body).public_key
    if isinstance(target, block_pb2.Receipt) and key in _signers():
        target.signature = _signers()[key].sign(Domain.SIGN_TRANSACTION, target.body)
    identifier = tagged_hash("transaction", target.body)
    if dice.random() < 0.9:
        result = transaction_pb2.TransactionResult.FromString(target.result)
        result.transaction_id = identifier
        target.result = write(result)
    if target.transaction_index >= header.transaction_count or dice.random() < 0.2:
        header.transaction_count, target.transaction_index = 1, 0
        del target.transaction_path[:], target.result_path[:]
    place = (target.transaction_index, header.transaction_count)
    header.transactions_root = root_from_path(ED25519_SHA256, identifier, *place, target.transaction_path)
    header.results_root = root_from_path(
        ED25519_SHA256, tagged_hash("result", target.result), *place, target.result_path
    )
    _set_header(target, header)


def _seal_statement(statement: statement_pb2.Statement, dice: random.Random) -> None:
    """The state root that the first leaf or an entry leads to; often there is no other then."""
    header = block_pb2.BlockHeader.FromString(statement.header)
    if statement.entries and (not statement.leaves or dice.random() < 0.5):
        entry = dice.choice(statement.entries)
        header.state_root = _root_of_entry(entry)
        if dice.random() < 0.7:
            only = statement_pb2.EntryProof.FromString(write(entry))
            del statement.leaves[:], statement.records[:], statement.entries[:]
            statement.entries.append(only)
    elif statement.leaves:
        if dice.random() < 0.7:
            del statement.leaves[1:]
        leaf = statement.leaves[0]
        if statement.records and dice.random() < 0.9:
            _name_record(leaf, statement.records[0])
        path = tagged_hash("state-key", leaf_key(leaf))
        header.state_root = root_from_proof(ED25519_SHA256, path, _leaf_digest(leaf), leaf.path)
    _set_header(statement, header)


def _root_of_entry(entry: statement_pb2.EntryProof) -> bytes:
    """K5."""
    digest = tagged_hash("state-value", entry.value) if entry.value else None
    return root_from_proof(ED25519_SHA256, tagged_hash("state-key", entry.key), digest, entry.path)


def _name_record(leaf: statement_pb2.LeafProof, stated: statement_pb2.StatedRecord) -> None:
    """A head that is shown, as the record says it should be."""
    record = transaction_pb2.Record.FromString(stated.record)
    record.payload_digest = tagged_hash("payload", stated.payload)
    stated.record = write(record)
    head = state_pb2.Head(version=record.version, record_id=tagged_hash("record", stated.record), action=record.action)
    for slot in (slot for group in leaf.groups for slot in group.slots if slot.head):
        slot.head = write(head)
        return


def _seal_disclosure(disclosure: disclosure_pb2.Disclosure, dice: random.Random) -> None:
    """The receipt of a record that commits to the first field, often the only one then, and the statement."""
    receipt = block_pb2.Receipt.FromString(disclosure.receipt)
    if disclosure.catalogue and dice.random() < 0.5:
        statement = statement_pb2.Statement.FromString(disclosure.catalogue)
        _seal_statement(statement, dice)
        disclosure.catalogue = write(statement)
    if disclosure.fields and dice.random() < 0.8:
        if dice.random() < 0.7:
            del disclosure.fields[1:]
        _commit_to_field(receipt, disclosure)
    _seal_receipt(receipt, dice)
    disclosure.receipt = write(receipt)


def _commit_to_field(receipt: block_pb2.Receipt, disclosure: disclosure_pb2.Disclosure) -> None:
    """The record's confidential root, from the first field up (P1)."""
    record = transaction_pb2.Record.FromString(receipt.record.record)
    numbers, shown = _confidential_numbers(record, disclosure.catalogue), disclosure.fields[0]
    leaf = naive.leaf(shown.number, shown.value, shown.salt)
    place = numbers.index(shown.number)
    record.confidential_root = root_from_path(ED25519_SHA256, leaf, place, len(numbers), shown.path)
    receipt.record.record = write(record)


def _confidential_numbers(record: transaction_pb2.Record, catalogue: bytes) -> list[int]:
    """Of the schema version that is proved, or of the genesis'."""
    entries = statement_pb2.Statement.FromString(catalogue).entries
    proved = [catalogue_pb2.Resource.FromString(entry.value) for entry in entries]
    known = [*proved, *genesis_pb2.Genesis.FromString(confidential.GENESIS).catalogue]
    found = next((resource for resource in known if resource.name == record.resource), catalogue_pb2.Resource())
    return [spec.number for spec in found.fields if spec.confidential]


def _seal_history(proof: history_pb2.HistoryProof, dice: random.Random) -> None:
    """The later header's history, and seals; of the earlier one perhaps too."""
    if dice.random() < 0.4:
        _set_header(proof, block_pb2.BlockHeader.FromString(proof.old_header), "old_")
    header, old = (block_pb2.BlockHeader.FromString(raw) for raw in (proof.header, proof.old_header))
    leaf = tagged_hash("block", proof.old_header)
    if dice.random() < 0.9:
        header.history_root = root_from_path(ED25519_SHA256, leaf, old.height, header.height, proof.inclusion)
    _set_header(proof, header)


def _seal_headers(target: Any, dice: random.Random) -> None:
    """An `Anchor` or a `Fork`."""
    for prefix in ("", "other_"):
        if f"{prefix}header" in target.DESCRIPTOR.fields_by_name and dice.random() < 0.7:
            header = block_pb2.BlockHeader.FromString(getattr(target, f"{prefix}header"))
            _set_header(target, header, prefix)


def leaf_key(leaf: statement_pb2.LeafProof) -> bytes:
    """X1, if its page is one."""
    return b"h%s\0%s\0%c" % (leaf.register.encode(), leaf.subject.encode(), leaf.page % 256)


def _leaf_digest(leaf: statement_pb2.LeafProof) -> bytes | None:
    """K6."""
    hashes = [group.hash or group_hash(group) for group in leaf.groups]
    return tagged_hash("state-heads", b"".join(hashes)) if hashes else None


def group_hash(group: statement_pb2.GroupProof) -> bytes:
    """K6, of the slots that it shows or whose hashes it gives."""
    return sha256(b"\x06" + b"".join(slot.hash or slot_hash(slot) for slot in group.slots)).digest()


def slot_hash(slot: statement_pb2.SlotProof) -> bytes:
    """K6, of a slot that is shown."""
    return sha256((b"\x05" if slot.head else b"\x04") + slot.blind + slot.head).digest()


_SEALERS: Mapping[type[Message], Callable[[Any, random.Random], None]] = {
    block_pb2.Receipt: _seal_receipt,
    statement_pb2.Statement: _seal_statement,
    disclosure_pb2.Disclosure: _seal_disclosure,
    history_pb2.HistoryProof: _seal_history,
    history_pb2.Fork: _seal_headers,
    history_pb2.Anchor: _seal_headers,
}
