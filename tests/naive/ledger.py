"""Hashes of docs/protocol.md, sections 1 and 4, by hashlib alone, and a model of what execution accepts (X3 to X5).

For the suite `ed25519-sha256` where it hashes. Slow, and apart from the code under test.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from huzheng.v1 import genesis_pb2
from huzheng.v1 import transaction_pb2 as pb

Result = tuple[str, int]
"""A result's code without its prefix, and its index."""


def tagged_hash(kind: str, content: bytes) -> bytes:
    """B3."""
    tag = f"huzheng/v1/{kind}".encode("ascii")
    return sha256(bytes([len(tag)]) + tag + content).digest()


def state_root(before: bytes, changes: Mapping[bytes, bytes | None]) -> bytes:
    """X6."""
    content = before
    for key in sorted(changes):
        value = changes[key]
        content += len(key).to_bytes(4, "big") + key
        content += b"\x00" if value is None else b"\x01" + len(value).to_bytes(4, "big") + value
    return tagged_hash("state", content)


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
        if body.operations and key.role != 2:
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
