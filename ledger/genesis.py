"""The genesis: what a consortium agrees on before its first block, and the block that follows from it (docs/protocol.md I1 and section 8)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from types import MappingProxyType

from huzheng.v1 import catalogue_pb2, genesis_pb2

from ledger.catalogue import CompiledResource
from ledger.catalogue_rules import is_duty
from ledger.crypto import SIMULATION, Domain, Epoch, Member, Membership, ReplicaId, Suite, strict, suite_named
from ledger.errors import Code, HuzhengError
from ledger.fields.codes import is_social_credit_code
from ledger.fields.values import is_plain_text
from ledger.registers import MAX_REGISTER_RESOURCES, Slot, assign_slots, register_of
from ledger.rules import RULES, Rules

PROTOCOL_VERSION = 3
MAX_GENESIS_BYTES = 4 * 1024 * 1024
MAX_REPLICAS = 256
MAX_NAME_BYTES = 512
MAX_TIME_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""
DEPARTMENT_ROLES = (genesis_pb2.KEY_ROLE_SYSTEM, genesis_pb2.KEY_ROLE_ADMIN)
"""Roles that a department's key may have."""
_DEPARTMENT_ID = re.compile(r"[a-z][a-z0-9-]{1,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Limits and intervals that every replica applies alike (docs/protocol.md section 8)."""

    watermark_window: int = 64
    pipeline_depth: int = 4
    max_batch_bytes: int = 4 * 1024 * 1024
    max_batch_transactions: int = 2_000
    max_transaction_bytes: int = 2 * 1024 * 1024
    max_transaction_records: int = 2_000
    max_payload_bytes: int = 16 * 1024
    max_lifetime_ms: int = 3_600_000
    clock_bound_ms: int = 5_000
    heartbeat_ms: int = 10_000


BOUNDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "watermark_window": (4, 1_024),
        "pipeline_depth": (1, 64),
        "max_batch_bytes": (64 * 1024, 32 * 1024 * 1024),
        "max_batch_transactions": (1, 100_000),
        "max_transaction_bytes": (32 * 1024, 16 * 1024 * 1024),
        "max_transaction_records": (1, 100_000),
        "max_payload_bytes": (1_024, 1024 * 1024),
        "max_lifetime_ms": (10_000, 86_400_000),
        "clock_bound_ms": (100, 600_000),
        "heartbeat_ms": (100, 3_600_000),
    }
)
"""Smallest and largest value of each parameter."""


@dataclass(frozen=True, slots=True)
class Department:
    """A member of the consortium."""

    id: str
    credit_code: str
    name_zh: str
    name_en: str
    ca_certificate: bytes
    """X.509, DER."""
    keys: tuple[genesis_pb2.SigningKey, ...]


@dataclass(frozen=True, slots=True)
class Genesis:
    """A valid genesis. Only `read` makes one."""

    raw: bytes
    chain_id: bytes
    suite: Suite
    name: str
    time_ms: int
    parameters: Parameters
    departments: Mapping[str, Department]
    membership: Membership
    """Epoch 0."""
    catalogue: Mapping[str, CompiledResource]
    slots: Mapping[str, Slot]
    """Where the heads of each resource of the genesis' catalogue are in the state."""
    registers: Mapping[str, int]
    """How many resources of the genesis' catalogue each register has."""
    duties: tuple[catalogue_pb2.Duty, ...]
    rules: Mapping[int, Rules] = field(default_factory=lambda: RULES)
    """The versions of the protocol that can be executed."""

    def version(self, name: str, schema_version: int) -> CompiledResource | None:
        """A schema version, if it is that of this genesis."""
        found = self.catalogue.get(name)
        return found if found is not None and found.schema_version == schema_version else None

    @classmethod
    def read(cls, raw: bytes, *, allow_simulation: bool = False) -> Genesis:
        """Reads a genesis file and checks I1.

        Raises:
            HuzhengError: BAD_GENESIS, SUITE_UNKNOWN, SUITE_REFUSED, BAD_CATALOGUE.
        """
        if len(raw) > MAX_GENESIS_BYTES:
            raise _bad("too large")
        try:
            message = strict.read(genesis_pb2.Genesis, raw)
        except HuzhengError:
            raise _bad("not a genesis file in strict form") from None
        if message.protocol_version != PROTOCOL_VERSION:
            raise _bad(f"protocol version {message.protocol_version}, this software knows {PROTOCOL_VERSION}")
        suite = suite_named(message.suite, allow_simulation=allow_simulation)
        _check_name("name", message.name)
        if message.time_ms > MAX_TIME_MS:
            raise _bad("time_ms is after the year 9999")
        parameters = _read_parameters(message.parameters)
        departments = _read_departments(message.departments)
        chain_id = suite.digest(Domain.GENESIS, raw)
        membership = _read_membership(message.replicas, departments, chain_id)
        _check_keys(suite, departments.values(), membership)
        catalogue = _read_catalogue(message, departments)
        return cls(
            raw,
            chain_id,
            suite,
            message.name,
            message.time_ms,
            parameters,
            MappingProxyType(departments),
            membership,
            MappingProxyType(catalogue),
            assign_slots(catalogue),
            MappingProxyType(Counter(map(register_of, catalogue))),
            _read_duties(message, departments),
        )


def _bad(detail: str) -> HuzhengError:
    return HuzhengError(Code.BAD_GENESIS, detail)


def _check_name(what: str, name: str) -> None:
    if not is_plain_text(name) or len(name.encode()) > MAX_NAME_BYTES:
        raise _bad(f"{what} is not printable text of 1 to {MAX_NAME_BYTES} bytes")


def _read_parameters(message: genesis_pb2.Parameters) -> Parameters:
    parameters = Parameters(**{item.name: getattr(message, item.name) for item in fields(Parameters)})
    for name, (low, high) in BOUNDS.items():
        if not low <= getattr(parameters, name) <= high:
            raise _bad(f"parameters.{name} is not between {low} and {high}")
    if parameters.max_batch_bytes < parameters.max_transaction_bytes + 1024:
        raise _bad("parameters.max_batch_bytes must exceed max_transaction_bytes by 1024")
    if parameters.max_transaction_bytes < parameters.max_payload_bytes + 1024:
        raise _bad("parameters.max_transaction_bytes must exceed max_payload_bytes by 1024")
    if parameters.pipeline_depth > parameters.watermark_window:
        raise _bad("parameters.pipeline_depth exceeds watermark_window")
    return parameters


def _read_departments(messages: Sequence[genesis_pb2.Department]) -> dict[str, Department]:
    _require_ascending("departments", [message.id for message in messages])
    return {message.id: read_department(message) for message in messages}


def read_department(message: genesis_pb2.Department) -> Department:
    """A department whose form is as I1 says. Its keys are not checked against others'.

    Raises:
        HuzhengError: BAD_GENESIS.
    """
    if not _DEPARTMENT_ID.fullmatch(message.id):
        raise _bad("departments: an id that is not [a-z][a-z0-9-]{1,31}")
    where = f"departments.{message.id}"
    _check_name(f"{where}.name_zh", message.name_zh)
    _check_name(f"{where}.name_en", message.name_en)
    if message.credit_code and not is_social_credit_code(message.credit_code):
        raise _bad(f"{where}.credit_code is not a unified social credit code")
    _require_ascending(f"{where}.keys", [key.public_key for key in message.keys])
    if not any(key.role == genesis_pb2.KEY_ROLE_ADMIN for key in message.keys):
        raise _bad(f"{where}: no admin key")
    return Department(
        message.id,
        message.credit_code,
        message.name_zh,
        message.name_en,
        message.ca_certificate,
        tuple(message.keys),
    )


def _read_membership(
    messages: Sequence[genesis_pb2.Replica], departments: Mapping[str, Department], chain_id: bytes
) -> Membership:
    if not messages:
        raise _bad("no replicas")
    _require_ascending("replicas", [message.id for message in messages])
    if messages[0].id < 1:
        raise _bad("replicas: ids start at 1")
    if len(messages) > MAX_REPLICAS:
        raise _bad(f"more than {MAX_REPLICAS} replicas")
    for message in messages:
        if message.department not in departments:
            raise _bad(f"replicas.{message.id}: no such department")
    members = tuple(Member(ReplicaId(message.id), message.department, message.public_key) for message in messages)
    return Membership(chain_id, Epoch(0), members)


def _check_keys(suite: Suite, departments: Iterable[Department], membership: Membership) -> None:
    keys = [member.public_key for member in membership.members]
    for department in departments:
        if any(key.role not in DEPARTMENT_ROLES for key in department.keys):
            raise _bad(f"departments.{department.id}.keys: a role this version does not know")
        keys.extend(key.public_key for key in department.keys)
    if len(set(keys)) != len(keys):
        raise _bad("a public key occurs twice")
    if not all(suite.is_admissible_key(key) for key in keys):
        raise _bad("a public key is not admissible")


def _read_catalogue(message: genesis_pb2.Genesis, departments: Mapping[str, Department]) -> dict[str, CompiledResource]:
    _require_ascending("catalogue", [resource.name for resource in message.catalogue])
    for resource in message.catalogue:
        if resource.department not in departments:
            raise _bad(f"catalogue.{resource.name}: no such department")
    for register, count in Counter(register_of(resource.name) for resource in message.catalogue).items():
        if count > MAX_REGISTER_RESOURCES:
            raise _bad(f"catalogue: the register {register} has more than {MAX_REGISTER_RESOURCES} resources")
    return {resource.name: CompiledResource(resource) for resource in message.catalogue}


def _read_duties(message: genesis_pb2.Genesis, departments: Mapping[str, Department]) -> tuple[catalogue_pb2.Duty, ...]:
    places = [(duty.department, duty.code) for duty in message.duties]
    _require_ascending("duties", places)
    for duty in message.duties:
        if duty.department not in departments:
            raise _bad("duties: no such department")
        if not is_duty(duty):
            raise _bad(f"duties.{duty.department}: a duty that is not valid")
    for resource in message.catalogue:
        if resource.duty and (resource.department, resource.duty) not in places:
            raise _bad(f"catalogue.{resource.name}: no such duty")
    return tuple(message.duties)


def _require_ascending(
    what: str, values: Sequence[int] | Sequence[str] | Sequence[bytes] | Sequence[tuple[str, str]]
) -> None:
    if any(a >= b for a, b in pairwise(values)):  # type: ignore[operator]
        raise _bad(f"{what}: not in strictly ascending order")


def build_genesis(
    *,
    name: str,
    time_ms: int,
    departments: Iterable[genesis_pb2.Department],
    replicas: Iterable[genesis_pb2.Replica],
    catalogue: Iterable[catalogue_pb2.Resource],
    duties: Iterable[catalogue_pb2.Duty] = (),
    parameters: Parameters | None = None,
    suite: str = "ed25519-sha256",
) -> bytes:
    """A genesis file of these parts, each list put in order; read back before it is returned.

    Raises:
        HuzhengError: as `Genesis.read`.
    """
    parameters = parameters or Parameters()
    ordered = []
    for department in sorted(departments, key=lambda department: department.id):
        copy = genesis_pb2.Department()
        copy.CopyFrom(department)
        del copy.keys[:]
        copy.keys.extend(sorted(department.keys, key=lambda key: key.public_key))
        ordered.append(copy)
    message = genesis_pb2.Genesis(
        name=name,
        time_ms=time_ms,
        protocol_version=PROTOCOL_VERSION,
        suite=suite,
        parameters=genesis_pb2.Parameters(**{item.name: getattr(parameters, item.name) for item in fields(parameters)}),
        departments=ordered,
        replicas=sorted(replicas, key=lambda replica: replica.id),
        catalogue=sorted(catalogue, key=lambda resource: resource.name),
        duties=sorted(duties, key=lambda duty: (duty.department, duty.code)),
    )
    raw = strict.write(message)
    Genesis.read(raw, allow_simulation=suite == SIMULATION.name)
    return raw
