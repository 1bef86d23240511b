"""A simulated consortium: its genesis with all keys, and what its departments' systems sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from huzheng.v1 import catalogue_pb2, genesis_pb2
from huzheng.v1 import membership_pb2 as pb
from huzheng.v1 import transaction_pb2 as tx

from ledger.building import BuiltRecord, build_record, build_transaction
from ledger.crypto import SIMULATION, Domain, Signer, Suite, suite_named
from ledger.genesis import Genesis, Parameters, build_genesis
from ledger.membership_change import approve, build_change, build_seat, change_operation
from ledger.rules import Rules
from ledger.transaction import WellFormedTransaction, check_transaction

START_MS = 1_600_000_000_000
"""What a right clock shows when the simulation begins."""
LIFETIME_MS = 1_800_000
SPARE_REPLICAS = 3
"""Departments that run no replica yet."""
PARAMETERS = Parameters(
    watermark_window=16,
    max_batch_bytes=64 * 1024,
    max_batch_transactions=10,
    max_transaction_bytes=32 * 1024,
    clock_bound_ms=1_000,
)
_RULES = {3: Rules(3)}


@dataclass(frozen=True)
class Request:
    """A transaction that some department's system signed."""

    id: bytes
    raw: bytes
    expires_ms: int


class Consortium:
    """n departments with a replica each, and some without. Everything follows from n, the parameters and the suite."""

    def __init__(self, n: int, parameters: Parameters, suite: Suite) -> None:
        self.n = n
        self.suite = suite
        self.departments = [department_of(i) for i in range(1, n + SPARE_REPLICAS + 1)]
        self.genesis = replace(
            Genesis.read(self._genesis(parameters), allow_simulation=suite is SIMULATION), rules=_RULES
        )
        self._requests: dict[int, Request] = {}
        self._checked: dict[bytes, WellFormedTransaction] = {}

    def _genesis(self, parameters: Parameters) -> bytes:
        replicas = [
            genesis_pb2.Replica(id=i, department=department_of(i), public_key=self.replica_signer(i).public_key)
            for i in range(1, self.n + 1)
        ]
        return build_genesis(
            name="simulation",
            time_ms=START_MS,
            departments=[self._department_of(name) for name in self.departments],
            replicas=replicas,
            catalogue=[_resource(name) for name in self.departments],
            parameters=parameters,
            suite=self.suite.name,
        )

    def _department_of(self, name: str) -> genesis_pb2.Department:
        roles = (
            (self.system_signer(name), genesis_pb2.KEY_ROLE_SYSTEM),
            (self.admin_signer(name), genesis_pb2.KEY_ROLE_ADMIN),
        )
        keys = [genesis_pb2.SigningKey(public_key=signer.public_key, role=role) for signer, role in roles]
        return genesis_pb2.Department(id=name, name_zh=name, name_en=name, ca_certificate=b"none", keys=keys)

    # --- keys ---

    def replica_signer(self, replica: int, number: int = 0) -> Signer:
        """The number-th key of a replica."""
        return self._signer(f"replica {replica} key {number}")

    def system_signer(self, department: str) -> Signer:
        """The key of a department's system."""
        return self._signer(f"{department} system")

    def admin_signer(self, department: str) -> Signer:
        """The key that speaks for a department."""
        return self._signer(f"{department} admin")

    def _signer(self, name: str) -> Signer:
        return _cached_signer(self.suite.name, name)

    # --- what clients sign ---

    def request(self, number: int) -> Request:
        """The number-th request, the same each time: most assert a fact, some replace one or register a key."""
        known = self._requests.get(number)
        if known is None:
            department = self.departments[number % self.n]
            operations = [self._add_key(number)] if number % 8 == 5 else []
            records = [] if operations else self._records(number)
            raw = self._signed(department, number, records, operations)
            known = self._requests[number] = self._as_request(raw)
        return known

    def _signed(
        self,
        department: str,
        nonce: int,
        records: Sequence[BuiltRecord] = (),
        operations: Sequence[tx.Operation] = (),
    ) -> bytes:
        signer = self.admin_signer(department) if operations else self.system_signer(department)
        return build_transaction(
            self.genesis,
            signer,
            department,
            START_MS + LIFETIME_MS,
            records=records,
            operations=operations,
            nonce=nonce.to_bytes(16, "big"),
        )

    def _records(self, number: int) -> list[BuiltRecord]:
        """A fact; every fourth replaces the one before it, whichever of the two is ordered first."""
        department = self.departments[number % self.n]
        if number % 4 == 3 and number >= self.n:
            first = self.record(department, number - self.n, 1, b"")
            return [self.record(department, number - self.n, 2, first.id)]
        return [self.record(department, number, 1, b"")]

    def record(self, department: str, subject: int, version: int, replaces: bytes) -> BuiltRecord:
        """What a department says of a subject."""
        salt = subject.to_bytes(8, "big") + version.to_bytes(8, "big")
        values = {"text": f"fact {subject} version {version}"}
        return build_record(
            self.genesis, f"{department}.fact", f"subject {subject}", version, replaces, values, salt=salt
        )

    def _add_key(self, number: int) -> tx.Operation:
        public_key = self._signer(f"further system {number}").public_key
        key = genesis_pb2.SigningKey(public_key=public_key, role=genesis_pb2.KEY_ROLE_SYSTEM)
        return tx.Operation(add_key=tx.AddKey(key=key))

    def change_request(self, epoch: int, actions: Sequence[pb.MembershipAction], approvers: Sequence[str]) -> Request:
        """A change of the membership that ends an epoch, approved by these departments."""
        change = build_change(self.genesis, epoch, START_MS + LIFETIME_MS, actions)
        approvals = [approve(change, name, self.admin_signer(name)) for name in approvers]
        raw = self._signed(approvers[0], 1_000_000 + epoch, operations=[change_operation(change, approvals)])
        return self._as_request(raw)

    def seat(self, replica: int, number: int) -> pb.SeatReplica:
        """A replica with the number-th of its keys."""
        return build_seat(self.genesis, replica, department_of(replica), self.replica_signer(replica, number))

    def _as_request(self, raw: bytes) -> Request:
        checked = self.checked(raw)
        return Request(checked.id, raw, checked.expires_ms)

    def checked(self, raw: bytes) -> WellFormedTransaction:
        """As `check_transaction`, once for all machines: its verdict depends on the bytes and the genesis alone."""
        known = self._checked.get(raw)
        if known is None:
            known = self._checked[raw] = check_transaction(raw, self.genesis)
        return known


def department_of(replica: int) -> str:
    """Who runs a replica."""
    return f"d{replica:02}"


def _resource(department: str) -> catalogue_pb2.Resource:
    text = catalogue_pb2.FieldSpec(
        number=1,
        name="text",
        title_zh="t",
        title_en="t",
        type=catalogue_pb2.FIELD_TYPE_TEXT,
        required=True,
        max_bytes=64,
    )
    subject = catalogue_pb2.FieldSpec(
        title_zh="s", title_en="s", type=catalogue_pb2.FIELD_TYPE_TEXT, required=True, max_bytes=64
    )
    return catalogue_pb2.Resource(
        name=f"{department}.fact",
        title_zh="f",
        title_en="f",
        department=department,
        sharing_class=catalogue_pb2.SHARING_CLASS_UNCONDITIONAL,
        schema_version=1,
        subject=subject,
        fields=[text],
    )


@cache
def _cached_signer(suite: str, name: str) -> Signer:
    return suite_named(suite, allow_simulation=True).signer(SIMULATION.digest(Domain.STATE, name.encode()))


@cache
def consortium_of(n: int, watermark_window: int, suite: str) -> Consortium:
    """The same object each time: what it signed and checked is kept."""
    parameters = replace(PARAMETERS, watermark_window=watermark_window)
    return Consortium(n, parameters, suite_named(suite, allow_simulation=True))
