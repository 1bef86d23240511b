"""Hashes of docs/protocol.md, sections 1 and 4, by hashlib alone, and a model of what execution accepts (X3 to X5).

For the suite `ed25519-sha256` where it hashes. Slow, and apart from the code under test.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from huzheng.v1 import genesis_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

from tests.naive import state_tree

Result = tuple[str, int]
"""A result's code without its prefix, and its index."""


def tagged_hash(kind: str, content: bytes) -> bytes:
    """B3."""
    tag = f"huzheng/v1/{kind}".encode("ascii")
    return sha256(bytes([len(tag)]) + tag + content).digest()


def pool_after(pool: bytes, changes: Mapping[bytes, bytes | None]) -> bytes:
    """K7."""
    seen = sorted(key for key in changes if key[:1] == b"i")
    if not seen:
        return pool
    return tagged_hash("state", pool + b"".join((b"\x00" if changes[key] is None else b"\x01") + key for key in seen))


def seed(pool: bytes, key: bytes) -> bytes:
    """K6."""
    return tagged_hash("state-seed", pool + key)[:16]


def blind(seed: bytes, slot: int) -> bytes:
    """K6."""
    pair = tagged_hash("state-blind", seed + bytes([slot // 2]))
    return pair[16:] if slot % 2 else pair[:16]


def heads_digest(heads: state_pb2.Heads) -> bytes:
    """K6."""
    held = {item.slot: item.head for item in heads.heads}
    slots = []
    for slot in range(heads.width):
        content = blind(heads.seed, slot) + held.get(slot, b"")
        slots.append(sha256((b"\x05" if slot in held else b"\x04") + content).digest())
    groups = [sha256(b"\x06" + b"".join(slots[start : start + 4])).digest() for start in range(0, len(slots), 4)]
    return tagged_hash("state-heads", b"".join(groups))


def heads_place(resource: str, subject: str, resources: Iterable[str]) -> tuple[bytes, int, int]:
    """X1: the state key of a head, its slot, and how many slots there are. `resources`: the names of all."""
    register = resource.split(".")[0]
    names = sorted(name for name in resources if name.split(".")[0] == register)
    page, slot = divmod(names.index(resource), 16)
    there = len(names[16 * page : 16 * page + 16])
    key = b"h" + register.encode() + b"\x00" + subject.encode() + b"\x00" + bytes([page])
    return key, slot, (there + 3) // 4 * 4


def settle(pool: bytes, changes: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
    """What a block changed, with the pool and the seeds (K6, K7)."""
    done = dict(changes)
    after = pool_after(pool, changes)
    if after != pool:
        done[b"j"] = after
    for key, value in changes.items():
        if key[:1] == b"h" and value is not None:
            heads = state_pb2.Heads.FromString(value)
            heads.seed = seed(after, key)
            done[key] = heads.SerializeToString(deterministic=True)
    return done


def leaf(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """K5: path and digest."""
    is_heads = key[:1] == b"h"
    digest = heads_digest(state_pb2.Heads.FromString(value)) if is_heads else tagged_hash("state-value", value)
    return tagged_hash("state-key", key), digest


def state_root(state: Mapping[bytes, bytes]) -> bytes:
    """X6."""
    return state_tree.root(dict(leaf(key, value) for key, value in state.items() if key[:1] != b"i"))


def initial_catalogue(genesis: genesis_pb2.Genesis) -> dict[bytes, bytes]:
    """D2, of the genesis' resources and duties."""
    entries = {}
    names = [resource.name for resource in genesis.catalogue]
    for resource in genesis.catalogue:
        key, slot, _ = heads_place(resource.name, "", names)
        state = state_pb2.ResourceState(
            department=resource.department,
            number=16 * key[-1] + slot,
            newest_version=resource.schema_version,
            open_versions=[resource.schema_version],
            highest_field=max((spec.number for spec in resource.fields), default=0),
        )
        version = resource.schema_version.to_bytes(4, "big")
        entries[b"c" + resource.name.encode()] = state.SerializeToString(deterministic=True)
        entries[b"c" + resource.name.encode() + b"\x00" + version] = resource.SerializeToString(deterministic=True)
    for duty in genesis.duties:
        value = state_pb2.DutyState(duty=duty).SerializeToString(deterministic=True)
        entries[f"u{duty.department}\0{duty.code}".encode()] = value
    return entries


class Refused(Exception):
    """Carries a result."""

    def __init__(self, code: str, index: int = 0) -> None:
        super().__init__(code)
        self.result = (code, index)


@dataclass
class Key:
    department: str
    role: int
    revoked: bool = False


@dataclass
class Model:
    """What is true after some blocks, as plain values. Takes every payload for a good one."""

    genesis: genesis_pb2.Genesis
    time_ms: int = field(init=False)
    keys: dict[bytes, Key] = field(init=False)
    heads: dict[tuple[str, str], tuple[int, bytes, int]] = field(default_factory=dict)
    seen: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.time_ms = self.genesis.time_ms
        self.keys = {k.public_key: Key(d.id, k.role) for d in self.genesis.departments for k in d.keys}
        self.owners = {resource.name: resource.department for resource in self.genesis.catalogue}
        self.votes = [replica.public_key for replica in self.genesis.replicas]

    def block(self, proposed_ms: int, transactions: list[tuple[bytes, pb.Transaction, list[bytes]]]) -> list[Result]:
        """Each transaction with its id and those of its records."""
        self.time_ms = max(self.time_ms, proposed_ms)
        return [self._transaction(*transaction) for transaction in transactions]

    def _transaction(self, identifier: bytes, transaction: pb.Transaction, record_ids: list[bytes]) -> Result:
        body = pb.TransactionBody.FromString(transaction.body)
        if body.expires_ms > self.time_ms + self.genesis.parameters.max_lifetime_ms:
            return ("LIFETIME_TOO_LONG", 0)
        if body.expires_ms <= self.time_ms:
            return ("EXPIRED", 0)
        if identifier in self.seen:
            return ("REPEATED", 0)
        self.seen[identifier] = body.expires_ms
        before = copy.deepcopy((self.keys, self.heads))
        try:
            self._signer(body)
            for index, operation in enumerate(body.operations):
                self._operation(body.department, operation, index)
            for index, raw in enumerate(transaction.records):
                self._record(body.department, pb.Record.FromString(raw), record_ids[index], index)
        except Refused as refused:
            self.keys, self.heads = before
            return refused.result
        return ("ACCEPTED", 0)

    def _signer(self, body: pb.TransactionBody) -> None:
        key = self.keys.get(body.public_key)
        if key is None or key.department != body.department:
            raise Refused("UNKNOWN_KEY")
        if key.revoked:
            raise Refused("REVOKED_KEY")
        if body.record_count and key.role != 1:
            raise Refused("KEY_NOT_ALLOWED")
        of_systems = {"read_fields", "acknowledge_read", "acknowledge_erasure"}
        if any(key.role != (1 if op.WhichOneof("operation") in of_systems else 2) for op in body.operations):
            raise Refused("KEY_NOT_ALLOWED")

    def _operation(self, department: str, operation: pb.Operation, index: int) -> None:
        if operation.HasField("add_key"):
            new = operation.add_key.key
            if new.role not in (1, 2) or len(new.public_key) != 32:
                raise Refused("BAD_KEY", index)
            if new.public_key in self.keys or new.public_key in self.votes:
                raise Refused("KEY_EXISTS", index)
            self.keys[new.public_key] = Key(department, new.role)
            return
        key = self.keys.get(operation.revoke_key.public_key)
        if key is None or key.department != department:
            raise Refused("UNKNOWN_KEY", index)
        if key.revoked:
            raise Refused("REVOKED_KEY", index)
        admins = [k for k in self.keys.values() if k.department == department and k.role == 2 and not k.revoked]
        if admins == [key]:
            raise Refused("LAST_ADMIN_KEY", index)
        key.revoked = True

    def _record(self, department: str, record: pb.Record, record_id: bytes, index: int) -> None:
        if record.resource not in self.owners:
            raise Refused("UNKNOWN_RESOURCE", index)
        if self.owners[record.resource] != department:
            raise Refused("NOT_OWNER", index)
        version, newest, action = self.heads.get((record.resource, record.subject), (0, b"", 0))
        if (record.version, record.replaces) != (version + 1, newest):
            raise Refused("VERSION_CONFLICT", index)
        if record.action == 2 and action != 1:
            raise Refused("NOTHING_TO_REVOKE", index)
        self.heads[record.resource, record.subject] = (record.version, record_id, record.action)
