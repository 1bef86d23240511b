"""What an entry of the state is, by its key (docs/protocol.md X1, D2, G1, G8, E1, E3): for those who are shown entries one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from google.protobuf.message import Message
from huzheng.v1 import catalogue_pb2, genesis_pb2, sharing_pb2, state_pb2

from ledger.crypto import HASH_BYTES, strict
from ledger.errors import HuzhengError

OTHER = "other"
"""The kind of what has no message, or a key of no form that there is."""


@dataclass(frozen=True, slots=True)
class StateEntry:
    """A key of the state, read, with what it has."""

    kind: str
    """grant, read, reads, erasure, expunge, resource, version, duty, table, key, epoch, department, or OTHER."""
    about: Mapping[str, str | int]
    """What the key names: ids in hex, texts, numbers."""
    value: Message | None
    """None if it is not there, or of the kind OTHER."""


def read_entry(key: bytes, value: bytes | None) -> StateEntry:
    """What a key and its value say; of the kind OTHER where they say nothing that this version knows."""
    known = _KINDS.get(key[:1])
    if known is None:
        return StateEntry(OTHER, {}, None)
    kind, about_of, message = known(key[1:]) if callable(known) else known
    try:
        about = about_of(key[1:])
        return StateEntry(kind, about, None if value is None else strict.read(message, value))
    except (HuzhengError, ValueError):
        return StateEntry(OTHER, {}, None)


_About = Callable[[bytes], Mapping[str, str | int]]
_Kind = tuple[str, _About, type[Message]]


def _named(name: str, size: int = HASH_BYTES) -> _About:
    return lambda rest: {name: _hex(rest, size)}


def _hex(raw: bytes, size: int) -> str:
    if len(raw) != size:
        raise ValueError("an id of another length")
    return raw.hex()


def _texts(*names: str) -> _About:
    """Texts with a zero byte between them, the last of which may have more of them."""

    def about(rest: bytes) -> Mapping[str, str | int]:
        texts = rest.decode().split("\0", len(names) - 1)
        return dict(zip(names, texts, strict=True))

    return about


def _erasure(rest: bytes) -> Mapping[str, str | int]:
    department, _, record = rest.partition(b"\0")
    return {"department": department.decode(), "record": _hex(record, HASH_BYTES)}


def _expunge(rest: bytes) -> Mapping[str, str | int]:
    department, _, place = rest.partition(b"\0")
    identifier, position = place[:HASH_BYTES], place[HASH_BYTES:]
    return {
        "department": department.decode(),
        "transaction": _hex(identifier, HASH_BYTES),
        "record_index": _number(position, 4),
    }


def _number(raw: bytes, size: int) -> int:
    if len(raw) != size:
        raise ValueError("a number of another length")
    return int.from_bytes(raw, "big")


def _version(rest: bytes) -> Mapping[str, str | int]:
    name, _, number = rest.partition(b"\0")
    return {"resource": name.decode(), "schema_version": _number(number, 4)}


def _resource(rest: bytes) -> _Kind:
    if b"\0" in rest:
        return "version", _version, catalogue_pb2.Resource
    return "resource", _texts("resource"), state_pb2.ResourceState


_KINDS: Mapping[bytes, _Kind | Callable[[bytes], _Kind]] = {
    b"g": ("grant", _named("grant"), sharing_pb2.GrantState),
    b"r": ("read", _named("read"), sharing_pb2.ReadState),
    b"a": ("reads", _texts("resource", "subject"), sharing_pb2.Reads),
    b"x": ("erasure", _erasure, sharing_pb2.ErasureState),
    b"p": ("expunge", _expunge, sharing_pb2.ExpungeState),
    b"c": _resource,
    b"u": ("duty", _texts("department", "code"), state_pb2.DutyState),
    b"b": ("table", _texts("resource", "system", "name"), catalogue_pb2.DataTable),
    b"k": ("key", _named("public_key"), state_pb2.KeyState),
    b"d": ("department", _texts("department"), genesis_pb2.Department),
    b"e": ("epoch", lambda rest: {"epoch": _number(rest, 8)}, state_pb2.EpochState),
}
