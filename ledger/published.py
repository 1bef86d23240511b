"""The catalogue as the state has it: the genesis', and what departments have published since (docs/protocol.md D2)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from huzheng.v1 import catalogue_pb2, state_pb2

from ledger.catalogue import CompiledResource
from ledger.catalogue_rules import is_register_name, is_resource_name
from ledger.crypto import strict
from ledger.genesis import Genesis
from ledger.registers import Slot, position_of, register_of, slot_of
from ledger.state.entries import StateReader

RESOURCE_PREFIX = b"c"
TABLE_PREFIX = b"b"
DUTY_PREFIX = b"u"
REGISTER_PREFIX = b"w"


def resource_key(name: str) -> bytes:
    """Where a resource is kept, as a `ResourceState`."""
    return RESOURCE_PREFIX + name.encode()


def version_key(name: str, schema_version: int) -> bytes:
    """Where a schema version is kept, as a `Resource`."""
    return b"%s%s\0%s" % (RESOURCE_PREFIX, name.encode(), schema_version.to_bytes(4, "big"))


def register_key(register: str) -> bytes:
    """Where the number of a register's resources is kept, in 4 bytes, once one was added."""
    return REGISTER_PREFIX + register.encode()


def register_in(key: bytes) -> str | None:
    """The register whose `register_key` this is; None if it is none that a register can have, whatever its name looks like to people."""
    name = key[len(REGISTER_PREFIX) :].decode(errors="replace")
    return name if key.startswith(REGISTER_PREFIX) and is_register_name(name) else None


def resource_count(genesis: Genesis, register: str, raw: bytes | None) -> int:
    """How many resources a register has, withdrawn ones included, if this is what the state has at its `register_key`."""
    return genesis.registers.get(register, 0) if raw is None else int.from_bytes(raw, "big")


def duty_key(department: str, code: str) -> bytes:
    """Where a duty is kept, as a `DutyState`."""
    return b"%s%s\0%s" % (DUTY_PREFIX, department.encode(), code.encode())


def table_key(resource: str, system: str, name: str) -> bytes:
    """Where a table is kept, as a `DataTable`."""
    return b"%s%s\0%s\0%s" % (TABLE_PREFIX, resource.encode(), system.encode(), name.encode())


class Published:
    """The catalogue in a state. Remembers what it has found: one is good for as long as nothing is published.

    What is not there is not remembered: whoever asks for names of his own could fill the memory with them.

    Every method raises HuzhengError(NOT_STRICT) if the state is damaged there.
    """

    __slots__ = ("_genesis", "_slots", "_state", "_states", "_versions")

    def __init__(self, genesis: Genesis, state: StateReader) -> None:
        self._genesis = genesis
        self._state = state
        self._states: dict[str, state_pb2.ResourceState] = {}
        self._versions: dict[tuple[str, int], CompiledResource] = {}
        self._slots: dict[str, Slot] = {}

    def over(self, state: StateReader) -> Published:
        """The catalogue in another state, of the same chain."""
        return Published(self._genesis, state)

    def find(self, name: str) -> state_pb2.ResourceState | None:
        """What is known of a resource, be it withdrawn or not. Not to be changed."""
        state = self._states.get(name)
        if state is None:
            # A name with a zero byte would be taken for the key of a schema version.
            raw = self._state.get(resource_key(name)) if is_resource_name(name) else None
            if raw is None:
                return None
            state = self._states[name] = strict.read(state_pb2.ResourceState, raw)
        return state

    def version(self, name: str, schema_version: int) -> CompiledResource | None:
        """A schema version, be it open or not."""
        key = (name, schema_version)
        definition = self._versions.get(key)
        if definition is None:
            raw = self._state.get(version_key(name, schema_version)) if is_resource_name(name) else None
            if raw is None:
                return None
            definition = self._versions[key] = compiled(raw)
        return definition

    def newest(self, name: str) -> CompiledResource | None:
        """The newest schema version there was."""
        state = self.find(name)
        return None if state is None else self.version(name, state.newest_version)

    def slot(self, name: str) -> Slot | None:
        """Where a resource's heads are; None if it never was in the catalogue."""
        slot = self._slots.get(name)
        if slot is None:
            state = self.find(name)
            if state is None:
                return None
            register = register_of(name)
            slot = self._slots[name] = slot_of(register, state.number, self.count(register))
        return slot

    def count(self, register: str) -> int:
        """How many resources a register has."""
        return resource_count(self._genesis, register, self._state.get(register_key(register)))

    def entries(self, resource: str = "", after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The entries of the state that are the catalogue, or a resource's alone, in ascending order of keys; those after a key."""
        for start, stop in _ranges(resource):
            for key, raw in self._state.scan(max(start, after), stop):
                if key != after:
                    yield key, raw

    def names(self) -> Iterator[str]:
        """Of all resources, withdrawn ones included, in ascending order."""
        for key, _ in self._state.scan(RESOURCE_PREFIX, _next(RESOURCE_PREFIX)):
            if b"\0" not in key:
                yield key[1:].decode()

    def duties(self) -> Iterator[state_pb2.DutyState]:
        """All, withdrawn ones included, by department and code."""
        for _, raw in self._state.scan(DUTY_PREFIX, _next(DUTY_PREFIX)):
            yield strict.read(state_pb2.DutyState, raw)

    def tables(self, resource: str) -> Iterator[catalogue_pb2.DataTable]:
        """Where a resource's data are kept, by system and name."""
        prefix = b"%s%s\0" % (TABLE_PREFIX, resource.encode())
        for _, raw in self._state.scan(prefix, _next(prefix)):
            yield strict.read(catalogue_pb2.DataTable, raw)


def _ranges(resource: str) -> list[tuple[bytes, bytes]]:
    """From and to which keys the catalogue is, or what it has of one resource: its tables, then itself."""
    if not resource:
        return [(prefix, _next(prefix)) for prefix in (TABLE_PREFIX, RESOURCE_PREFIX, DUTY_PREFIX)]
    if not is_resource_name(resource):
        return []
    tables, key = b"%s%s\0" % (TABLE_PREFIX, resource.encode()), resource_key(resource)
    return [(tables, _next(tables)), (key, key + b"\1")]


def _next(prefix: bytes) -> bytes:
    """The first key after all that start with this prefix, whose last byte is not the highest there is."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


@lru_cache(maxsize=1024)
def compiled(raw: bytes) -> CompiledResource:
    """A `Resource` of the state, made ready for checking records."""
    return CompiledResource(strict.read(catalogue_pb2.Resource, raw))


def initial_entries(genesis: Genesis) -> Iterator[tuple[bytes, bytes]]:
    """What the state holds of the genesis' catalogue (X1)."""
    for name, resource in genesis.catalogue.items():
        numbers = [field.number for field in resource.fields]
        state = state_pb2.ResourceState(
            department=resource.department,
            number=position_of(genesis.slots[name]),
            newest_version=resource.schema_version,
            open_versions=[resource.schema_version],
            highest_field=max(numbers, default=0),
        )
        yield resource_key(name), strict.write(state)
        yield version_key(name, resource.schema_version), strict.write(resource.message)
    for duty in genesis.duties:
        yield duty_key(duty.department, duty.code), strict.write(state_pb2.DutyState(duty=duty))
