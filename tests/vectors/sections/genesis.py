"""A genesis with its chain id and its block, and others that are not valid (docs/protocol.md I1, X6, X7)."""

from __future__ import annotations

from collections.abc import Callable

from huzheng.v1 import block_pb2, genesis_pb2, state_pb2

from ledger.crypto import SIMULATION
from tests.naive import merkle
from tests.naive.ledger import initial_catalogue, state_root, tagged_hash
from tests.vectors import example

_LATEST_MS = 253_402_300_799_999

_Corrupt = Callable[[genesis_pb2.Genesis], object]


def _swap(messages: object) -> None:
    """The first two elements of a repeated field change places."""
    first, second = messages[0], messages[1]  # type: ignore[index]
    kept = type(first)()
    kept.CopyFrom(first)
    first.CopyFrom(second)
    second.CopyFrom(kept)


def _set(owner: object, **fields: object) -> None:
    for name, value in fields.items():
        setattr(owner, name, value)


def _about_the_whole() -> dict[str, tuple[str, _Corrupt]]:
    return {
        "protocol version unset": ("BAD_GENESIS", lambda g: g.ClearField("protocol_version")),
        "protocol version of the past": ("BAD_GENESIS", lambda g: _set(g, protocol_version=2)),
        "protocol version of the future": ("BAD_GENESIS", lambda g: _set(g, protocol_version=4)),
        "suite unset": ("SUITE_UNKNOWN", lambda g: g.ClearField("suite")),
        "suite unknown": ("SUITE_UNKNOWN", lambda g: _set(g, suite="sm2-sm3")),
        "suite of simulations": ("SUITE_REFUSED", lambda g: _set(g, suite=SIMULATION.name)),
        "name unset": ("BAD_GENESIS", lambda g: g.ClearField("name")),
        "name with a line break": ("BAD_GENESIS", lambda g: _set(g, name="a\nb")),
        "name with a turn of direction": ("BAD_GENESIS", lambda g: _set(g, name="a\u202eb")),
        "name of 513 bytes": ("BAD_GENESIS", lambda g: _set(g, name="n" * 513)),
        "time after the year 9999": ("BAD_GENESIS", lambda g: _set(g, time_ms=_LATEST_MS + 1)),
        "parameters unset": ("BAD_GENESIS", lambda g: g.ClearField("parameters")),
        "a parameter below its bound": ("BAD_GENESIS", lambda g: _set(g.parameters, heartbeat_ms=99)),
        "a parameter above its bound": ("BAD_GENESIS", lambda g: _set(g.parameters, clock_bound_ms=600_001)),
        "batches too small for a transaction": (
            "BAD_GENESIS",
            lambda g: _set(g.parameters, max_transaction_bytes=65_536 - 1_023),
        ),
        "transactions too small for a payload": (
            "BAD_GENESIS",
            lambda g: _set(g.parameters, max_payload_bytes=32_768 - 1_023),
        ),
        "pipeline longer than the window": (
            "BAD_GENESIS",
            lambda g: _set(g.parameters, watermark_window=4, pipeline_depth=5),
        ),
    }


def _about_departments() -> dict[str, tuple[str, _Corrupt]]:
    return {
        "no departments": ("BAD_GENESIS", lambda g: g.ClearField("departments")),
        "departments out of order": ("BAD_GENESIS", lambda g: _swap(g.departments)),
        "department twice": ("BAD_GENESIS", lambda g: _set(g.departments[1], id="alpha")),
        "department id in capitals": ("BAD_GENESIS", lambda g: _rename(g, "Alpha")),
        "department id of one letter": ("BAD_GENESIS", lambda g: _rename(g, "a")),
        "department id of 33 letters": ("BAD_GENESIS", lambda g: _rename(g, "a" * 33)),
        "department id with a line break": ("BAD_GENESIS", lambda g: _rename(g, "alpha\n")),
        "department without Chinese name": ("BAD_GENESIS", lambda g: g.departments[0].ClearField("name_zh")),
        "department's name with an escape": ("BAD_GENESIS", lambda g: _set(g.departments[0], name_en="\x1b[2J")),
        "department's credit code wrong": (
            "BAD_GENESIS",
            lambda g: _set(g.departments[0], credit_code="91512081MA62K0260F"),
        ),
        "department without keys": ("BAD_GENESIS", lambda g: g.departments[1].ClearField("keys")),
        "department without admin key": (
            "BAD_GENESIS",
            lambda g: _set(next(k for k in g.departments[1].keys if k.role == 2), role=1),
        ),
        "keys out of order": ("BAD_GENESIS", lambda g: _swap(g.departments[0].keys)),
        "key twice in a department": (
            "BAD_GENESIS",
            lambda g: _set(g.departments[0].keys[1], public_key=g.departments[0].keys[0].public_key),
        ),
        "key of two departments": ("BAD_GENESIS", _share_a_key),
        "key of a department and a replica": (
            "BAD_GENESIS",
            lambda g: _set(g.replicas[0], public_key=g.departments[0].keys[0].public_key),
        ),
        "key without role": ("BAD_GENESIS", lambda g: g.departments[0].keys[0].ClearField("role")),
        "key of an unknown role": ("BAD_GENESIS", lambda g: _set(g.departments[0].keys[0], role=3)),
        "key a byte short": (
            "BAD_GENESIS",
            lambda g: _set(g.departments[0].keys[0], public_key=g.departments[0].keys[0].public_key[:-1]),
        ),
        "key of small order": ("BAD_GENESIS", lambda g: _set(g.departments[0].keys[0], public_key=bytes(32))),
        "key not canonical": (
            "BAD_GENESIS",
            lambda g: _set(g.departments[0].keys[-1], public_key=b"\xff" * 32),
        ),
    }


def _rename(genesis: genesis_pb2.Genesis, name: str) -> None:
    """Calls alpha otherwise wherever it is named."""
    genesis.departments[0].id = name
    genesis.catalogue[0].department = name
    for replica in genesis.replicas:
        if replica.department == "alpha":
            replica.department = name


def _share_a_key(genesis: genesis_pb2.Genesis) -> None:
    department = genesis.departments[1]
    keys = [*department.keys, genesis.departments[0].keys[0]]
    copies = sorted((key.public_key, key.role) for key in keys)
    department.ClearField("keys")
    for public_key, role in copies:
        department.keys.add(public_key=public_key, role=role)


def _about_replicas_and_catalogue() -> dict[str, tuple[str, _Corrupt]]:
    return {
        "no replicas": ("BAD_GENESIS", lambda g: g.ClearField("replicas")),
        "replica zero": ("BAD_GENESIS", lambda g: _set(g.replicas[0], id=0)),
        "replicas out of order": ("BAD_GENESIS", lambda g: _swap(g.replicas)),
        "replica twice": ("BAD_GENESIS", lambda g: _set(g.replicas[1], id=1)),
        "replica of no department": ("BAD_GENESIS", lambda g: g.replicas[0].ClearField("department")),
        "replica of an unlisted department": ("BAD_GENESIS", lambda g: _set(g.replicas[0], department="gamma")),
        "replica's key twice": (
            "BAD_GENESIS",
            lambda g: _set(g.replicas[0], public_key=g.replicas[1].public_key),
        ),
        "replica's key of small order": (
            "BAD_GENESIS",
            lambda g: _set(g.replicas[0], public_key=(1).to_bytes(32, "little")),
        ),
        "replica without key": ("BAD_GENESIS", lambda g: g.replicas[0].ClearField("public_key")),
        "resources out of order": ("BAD_GENESIS", lambda g: _swap(g.catalogue)),
        "resource twice": ("BAD_GENESIS", lambda g: _set(g.catalogue[1], name=example.DEED)),
        "resource of an unlisted department": ("BAD_GENESIS", lambda g: _set(g.catalogue[0], department="gamma")),
        "resource's fields out of order": ("BAD_CATALOGUE", lambda g: _swap(g.catalogue[0].fields)),
        "resource's codes out of order": ("BAD_CATALOGUE", lambda g: g.catalogue[0].fields[0].codes.append("deal")),
        "resource with a bad pattern": ("BAD_CATALOGUE", lambda g: _set(g.catalogue[0].subject, pattern="[A-")),
        "resource without schema version": ("BAD_CATALOGUE", lambda g: g.catalogue[0].ClearField("schema_version")),
    }


def _not_strict() -> dict[str, bytes]:
    good = example.GENESIS
    return {
        "cut off": good[:-1],
        "trailing zero byte": good + b"\x00",
        "unknown field at the end": good + b"\x48\x01",
        "genesis twice": good * 2,
        "not a message": b"\xff" * 40,
    }


def _valid() -> dict[str, genesis_pb2.Genesis]:
    alone, latest, bare = (example.genesis_message() for _ in range(3))
    del alone.replicas[1:]
    latest.time_ms = _LATEST_MS
    latest.departments[0].credit_code = "91512081MA62K0260E"
    bare.ClearField("catalogue")
    bare.ClearField("time_ms")
    return {
        "example": example.genesis_message(),
        "one replica": alone,
        "latest time, and a credit code": latest,
        "no catalogue, and time zero": bare,
    }


def _sound(name: str, message: genesis_pb2.Genesis) -> dict[str, object]:
    raw = example.write(message)
    changes = initial_catalogue(message)
    for department in message.departments:
        admins = 0
        for key in department.keys:
            value = state_pb2.KeyState(department=department.id, role=key.role)
            changes[b"k" + key.public_key] = example.write(value)
            admins += key.role == genesis_pb2.KEY_ROLE_ADMIN
        changes[b"n" + department.id.encode()] = admins.to_bytes(4, "big")
    header = example.write(
        block_pb2.BlockHeader(
            chain_id=tagged_hash("genesis", raw),
            parent_hash=bytes(32),
            time_ms=message.time_ms,
            protocol_version=3,
            transactions_root=merkle.root([]),
            results_root=merkle.root([]),
            state_root=state_root(changes),
            history_root=merkle.root([]),
        )
    )
    return {
        "name": name,
        "genesis": raw.hex(),
        "code": None,
        "chain_id": tagged_hash("genesis", raw).hex(),
        "header": header.hex(),
        "block_hash": tagged_hash("block", header).hex(),
        "state": {key.hex(): changes[key].hex() for key in sorted(changes)},
    }


def _genesis() -> dict[str, object]:
    cases = [_sound(name, message) for name, message in _valid().items()]
    for name, (code, corrupt) in (_about_the_whole() | _about_departments() | _about_replicas_and_catalogue()).items():
        message = example.genesis_message()
        corrupt(message)
        cases.append({"name": name, "genesis": example.write(message).hex(), "code": code})
    cases.append({"name": "empty file", "genesis": "", "code": "BAD_GENESIS"})
    for name, raw in _not_strict().items():
        cases.append({"name": f"not in strict form: {name}", "genesis": raw.hex(), "code": "BAD_GENESIS"})
    return {
        "about": "Genesis files: valid ones with the block that follows, and others named after what is wrong.",
        "rule": "I1, X6, X7",
        "cases": cases,
    }


VECTORS = {"genesis.json": _genesis}
