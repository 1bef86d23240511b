"""A chain of the example consortium. How each transaction ends is said by hand; what follows from that, by the rules' text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from huzheng.v1 import block_pb2, genesis_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import Domain
from tests.naive import merkle
from tests.naive.catalogue import Effects, catalogue_effects, heads_place
from tests.naive.ledger import initial_catalogue, settle, state_root, tagged_hash
from tests.vectors import example, example_sharing
from tests.vectors.example import LEVY, NOW_MS, Built, add_key, revoke_key, revoking, signer, transaction, write

Ended = tuple[str, bytes, str, int]
"""A transaction: its name, its bytes, the code it ends with and the index."""
Planned = tuple[str, list[Ended], int, int]
"""A block: its name, its transactions, proposer and proposed time; proposer 0 is the null batch."""

FIRST = Built()
SECOND = Built(subject="CD5678")
CORRECTED = Built(example.payload((1, "gift"), (2, "0")), version=2, replaces=FIRST.id)
REVOKING = revoking(SECOND, subject="CD5678")
AGAIN = Built(subject="CD5678", version=3, replaces=REVOKING.id)
SUM = Built(example.payload((1, "-12")), resource=LEVY, subject="地块 7", schema_version=1)


@dataclass
class Block:
    """A block with the batch that makes it."""

    name: str
    batch: bytes
    ended: list[Ended]
    header: bytes = b""
    results: list[bytes] = field(default_factory=list)
    changes: Mapping[bytes, bytes | None] = field(default_factory=dict)

    @property
    def hash(self) -> bytes:
        """X7."""
        return tagged_hash("block", self.header)

    @property
    def height(self) -> int:
        return block_pb2.BlockHeader.FromString(self.header).height

    @property
    def ids(self) -> list[bytes]:
        return [example.transaction_id(raw) for _, raw, _, _ in self.ended]


def certificate(
    height: int, block_hash: bytes, replicas: tuple[int, ...] = (1, 2, 3), chain_id: bytes = example.CHAIN_ID
) -> bytes:
    """Seals of these replicas over a block, in this order (I4)."""
    message = chain_id + write(block_pb2.Seal(height=height, block_hash=block_hash))
    seals = [(replica, signer(f"replica {replica}").sign(Domain.SIGN_SEAL, message)) for replica in replicas]
    return write(
        block_pb2.Certificate(seals=[block_pb2.SealSignature(replica=r, signature=signature) for r, signature in seals])
    )


def corrupt_certificates(block: Block, after: Block) -> dict[str, bytes]:
    """What is no certificate of a block, by what is wrong with it. `after`: the next block."""
    sound = block_pb2.Certificate.FromString(certificate(block.height, block.hash))
    message = example.CHAIN_ID + write(block_pb2.Seal(height=block.height, block_hash=block.hash))
    commit, by_another = (block_pb2.Certificate.FromString(write(sound)) for _ in range(2))
    commit.seals[2].signature = signer("replica 3").sign(Domain.SIGN_COMMIT, message)
    by_another.seals[1].signature = signer("replica 3").sign(Domain.SIGN_SEAL, message)
    return {
        "unset": b"",
        "with a seal too few": certificate(block.height, block.hash, (1, 2)),
        "with a seal too many": certificate(block.height, block.hash, (1, 2, 3, 5)),
        "with a seal twice": certificate(block.height, block.hash, (1, 2, 2)),
        "out of order": certificate(block.height, block.hash, (1, 3, 2)),
        "with a seal of no member": certificate(block.height, block.hash, (1, 2, 4)),
        "with a seal by another member's key": write(by_another),
        "with a seal in the domain of commits": write(commit),
        "of the next block": certificate(after.height, after.hash),
        "of another height": certificate(block.height + 1, block.hash),
        "of another block at the height": certificate(block.height, example.OTHER),
        "with an unknown field": write(sound) + b"\x10\x01",
    }


def _nonce(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _first_block() -> list[Ended]:
    operations = [add_key(signer("alpha new").public_key), revoke_key(signer("alpha second admin").public_key)]
    return [
        ("one record", transaction(FIRST), "ACCEPTED", 0),
        ("two records", transaction(SECOND, Built(subject="EF0001"), nonce=_nonce(1)), "ACCEPTED", 0),
        ("record of beta", transaction(SUM, key="beta system", nonce=_nonce(2)), "ACCEPTED", 0),
        ("keys of alpha", transaction(key="alpha admin", operations=operations, nonce=_nonce(3)), "ACCEPTED", 0),
    ]


def _versions() -> list[Ended]:
    soon = NOW_MS + 5_000
    return [
        ("next version", transaction(CORRECTED, nonce=_nonce(10)), "ACCEPTED", 0),
        ("revoked and asserted again", transaction(REVOKING, AGAIN, nonce=_nonce(11), expires_ms=soon), "ACCEPTED", 0),
        ("same version again", transaction(FIRST, nonce=_nonce(12), expires_ms=soon), "VERSION_CONFLICT", 0),
        ("first transaction again", transaction(FIRST), "REPEATED", 0),
    ]


def _signers() -> list[Ended]:
    levy = Built(example.payload((1, "1")), resource=LEVY, subject="1", schema_version=1)
    by_new = transaction(Built(subject="EF0002"), key="alpha new", nonce=_nonce(23))
    return [
        ("expired", transaction(FIRST, nonce=_nonce(20), expires_ms=NOW_MS + 10), "EXPIRED", 0),
        ("key of nobody", transaction(FIRST, key="alpha stranger", nonce=_nonce(21)), "UNKNOWN_KEY", 0),
        ("key of another role", transaction(levy, key="beta admin", nonce=_nonce(22)), "KEY_NOT_ALLOWED", 0),
        ("key that was added", by_new, "ACCEPTED", 0),
    ]


def _keys() -> Iterator[Ended]:
    new = add_key(signer("y").public_key)
    cases = [
        ("role unknown", "BAD_KEY", 0, [add_key(signer("x").public_key, 3)]),
        ("key of a replica", "KEY_EXISTS", 0, [add_key(signer("replica 1").public_key)]),
        ("key of another department", "UNKNOWN_KEY", 1, [new, revoke_key(signer("beta system").public_key)]),
        ("last admin key", "LAST_ADMIN_KEY", 0, [revoke_key(signer("alpha admin").public_key)]),
    ]
    for number, (name, code, index, operations) in enumerate(cases):
        raw = transaction(operations=operations, key="alpha admin", nonce=_nonce(30 + number))
        yield name, raw, code, index


def _records() -> Iterator[Ended]:
    good = Built(subject="EF0003")
    pay = example.payload
    cases = [
        ("resource unknown", "UNKNOWN_RESOURCE", Built(resource="demo.none")),
        ("resource of another", "NOT_OWNER", Built(pay((1, "1")), resource=LEVY, subject="1", schema_version=1)),
        ("schema version of the past", "SCHEMA_MISMATCH", Built(schema_version=2)),
        ("subject that does not fit", "BAD_SUBJECT", Built(subject="ab1234")),
        ("salt a byte short", "BAD_PAYLOAD", Built(pay(*example.DEED_FIELDS, salt=bytes(15)))),
        ("field unknown", "UNKNOWN_FIELD", Built(pay(*example.DEED_FIELDS, (4, "1")))),
        ("field that does not fit", "BAD_FIELD", Built(pay((1, "sale"), (2, "1.234")))),
        ("field missing", "MISSING_FIELD", Built(pay((1, "sale")))),
    ]
    for number, (name, code, record) in enumerate(cases):
        yield name, transaction(good, record, nonce=_nonce(40 + number)), code, 1
    revoked = revoking(CORRECTED, version=3)
    again = revoking(revoked, version=4)
    nothing = transaction(revoked, again, nonce=_nonce(50))
    yield "revoked twice", nothing, "NOTHING_TO_REVOKE", 1
    revoked_key = transaction(key="alpha second admin", operations=[add_key(signer("z").public_key)], nonce=_nonce(51))
    yield "key that was revoked", revoked_key, "REVOKED_KEY", 0


def _plan() -> Iterator[Planned]:
    yield "accepted", _first_block(), 1, NOW_MS
    yield "versions and a repeat, at the same time", _versions(), 1, NOW_MS
    yield "signers", _signers(), 2, NOW_MS + 1_000
    yield "null batch", [], 0, 0
    yield "key changes, proposed at a time that is past", list(_keys()), 3, NOW_MS
    records = list(_records())
    for start in range(0, len(records), 4):
        yield f"records from case {start}", records[start : start + 4], 5, NOW_MS + 2_000
    yield "no transactions; seen ids expire", [], 5, NOW_MS + 5_000
    yield "most seen ids expire, as many as a block may drop", [], 1, example.EXPIRES_MS
    yield "more of them expire, in the null batch", [], 0, 0
    for name, ended, proposed_ms in example_sharing.plan():
        yield name, ended, 1, proposed_ms


@cache
def chain() -> list[Block]:
    """Block 0 and those after it."""
    return chain_of(_plan())


def chain_of(plan: Iterable[Planned]) -> list[Block]:
    """Block 0 and those of a plan."""
    genesis = example.genesis_message()
    state = _initial_state(genesis)
    empty = merkle.root([])
    first = block_pb2.BlockHeader(
        chain_id=example.CHAIN_ID,
        parent_hash=bytes(32),
        time_ms=genesis.time_ms,
        protocol_version=3,
        transactions_root=empty,
        results_root=empty,
        state_root=state_root(state),
        history_root=empty,
    )
    blocks = [Block("genesis", b"", [], write(first), [], dict(state))]
    for name, ended, proposer, proposed_ms in plan:
        raws = [raw for _, raw, _, _ in ended]
        batch = example.batch(*raws, proposer=proposer, proposed_ms=proposed_ms) if proposer else b""
        blocks.append(_next(blocks, state, Block(name, batch, ended), proposer, proposed_ms))
    return blocks


def _next(blocks: list[Block], state: dict[bytes, bytes], block: Block, proposer: int, proposed_ms: int) -> Block:
    parent = block_pb2.BlockHeader.FromString(blocks[-1].header)
    time_ms = max(parent.time_ms, proposed_ms)
    block.changes = _changes(state, block.ended, time_ms, len(blocks))
    for identifier, (_, _, code, index) in zip(block.ids, block.ended, strict=True):
        value = pb.ResultCode.Value(f"RESULT_CODE_{code}")
        block.results.append(write(pb.TransactionResult(transaction_id=identifier, code=value, index=index)))
    block.header = write(
        block_pb2.BlockHeader(
            chain_id=example.CHAIN_ID,
            height=len(blocks),
            parent_hash=blocks[-1].hash,
            epoch=0,
            proposer=proposer,
            time_ms=time_ms,
            protocol_version=3,
            transaction_count=len(block.ended),
            transactions_root=merkle.root(block.ids),
            results_root=merkle.root([tagged_hash("result", result) for result in block.results]),
            state_root=state_root(state),
            history_root=merkle.root([earlier.hash for earlier in blocks]),
        )
    )
    return block


def _initial_state(genesis: genesis_pb2.Genesis) -> dict[bytes, bytes]:
    state = initial_catalogue(genesis)
    for department in genesis.departments:
        for key in department.keys:
            state[b"k" + key.public_key] = write(state_pb2.KeyState(department=department.id, role=key.role))
        admins = [key for key in department.keys if key.role == genesis_pb2.KEY_ROLE_ADMIN]
        state[b"n" + department.id.encode()] = len(admins).to_bytes(4, "big")
    return state


def _changes(state: dict[bytes, bytes], ended: list[Ended], time_ms: int, height: int) -> dict[bytes, bytes | None]:
    """What a block changes; the state is changed accordingly."""
    expired = sorted(key for key in state if key[:1] == b"i" and int.from_bytes(key[1:9], "big") <= time_ms)
    changes: dict[bytes, bytes | None] = dict.fromkeys(expired[:8])
    for _, raw, code, _ in ended:
        body = pb.TransactionBody.FromString(pb.Transaction.FromString(raw).body)
        if code == "ACCEPTED":
            changes |= _effects(_after(state, changes), raw, body, time_ms, height)
        if code not in ("LIFETIME_TOO_LONG", "EXPIRED", "REPEATED"):
            changes[b"i" + body.expires_ms.to_bytes(8, "big") + example.transaction_id(raw)] = b""
    changes = settle(state.get(b"j", bytes(32)), changes)
    for key, value in changes.items():
        if value is None:
            del state[key]
        else:
            state[key] = value
    return changes


def _after(state: Mapping[bytes, bytes], changes: Mapping[bytes, bytes | None]) -> dict[bytes, bytes]:
    return {key: value for key, value in ({**state, **changes}).items() if value is not None}


def _effects(state: Mapping[bytes, bytes], raw: bytes, body: pb.TransactionBody, time_ms: int, height: int) -> Effects:
    effects: Effects = {}
    identifier = example.transaction_id(raw)
    for index, operation in enumerate(body.operations):
        at = example_sharing.At(body.department, identifier + bytes([index]), height, time_ms)
        effects |= _operation_effects(_after(state, effects), at, operation)
    for raw_record in pb.Transaction.FromString(raw).records:
        effects |= _record_effects(_after(state, effects), raw_record)
    return effects


def _record_effects(state: Mapping[bytes, bytes], raw_record: bytes) -> Effects:
    record = pb.Record.FromString(raw_record)
    head = state_pb2.Head(version=record.version, record_id=tagged_hash("record", raw_record), action=record.action)
    place, slot, width = heads_place(state, record.resource, record.subject)
    before = state_pb2.Heads.FromString(state.get(place, b""))
    held = {item.slot: item.head for item in before.heads} | {slot: write(head)}
    heads = [state_pb2.HeldHead(slot=slot, head=held[slot]) for slot in sorted(held)]
    return {place: write(state_pb2.Heads(width=width, seed=before.seed, heads=heads))}


def _operation_effects(state: Mapping[bytes, bytes], at: example_sharing.At, operation: pb.Operation) -> Effects:
    kind, department = operation.WhichOneof("operation"), at.department
    if kind in example_sharing.EFFECTS:
        return {**example_sharing.effects(state, at, operation)}
    if kind not in ("add_key", "revoke_key"):
        return catalogue_effects(state, department, operation)
    new = operation.add_key.key
    key = state_pb2.KeyState(department=department, role=new.role)
    public_key = new.public_key
    if kind == "revoke_key":
        public_key = operation.revoke_key.public_key
        key = state_pb2.KeyState.FromString(state[b"k" + public_key])
        key.revoked = True
    effects: Effects = {b"k" + public_key: write(key)}
    if key.role == genesis_pb2.KEY_ROLE_ADMIN:
        tally_key = b"n" + department.encode()
        admins = int.from_bytes(state[tally_key], "big") + (-1 if key.revoked else 1)
        effects[tally_key] = admins.to_bytes(4, "big")
    return effects
