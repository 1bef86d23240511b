"""The consortium that our own vectors of the ledger are about, and its messages.

They are made from the text of docs/protocol.md: hashes and trees by tests/naive, fields by protobuf, and nothing of
the ledger's own code but the signer. Whoever asks for a corrupt message gets one.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from google.protobuf.message import Message
from huzheng.v1 import catalogue_pb2, genesis_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import ED25519_SHA256, Domain, Signer
from tests.naive import merkle
from tests.naive.ledger import tagged_hash

GENESIS_MS = 1_600_000_000_000
NOW_MS = GENESIS_MS + 1_000
LIFETIME_MS = 60_000
EXPIRES_MS = NOW_MS + 30_000
DEED, LEVY = "demo.deed", "demo.levy"
DEED_FIELDS = ((1, "sale"), (2, "88.80"), (3, "2020-02-29"))
OTHER = sha256(b"other").digest()


def seed(name: str) -> bytes:
    """The seed of a key follows from its name."""
    return sha256(name.encode()).digest()


def signer(name: str) -> Signer:
    """The signer with the key of this name."""
    return ED25519_SHA256.signer(seed(name))


def write(message: Message) -> bytes:
    """The one encoding of a message."""
    return message.SerializeToString(deterministic=True)


def parameters() -> genesis_pb2.Parameters:
    """Small ones, so that vectors which exceed them are small."""
    return genesis_pb2.Parameters(
        watermark_window=8,
        pipeline_depth=2,
        max_batch_bytes=65_536,
        max_batch_transactions=4,
        max_transaction_bytes=32_768,
        max_transaction_records=4,
        max_payload_bytes=1_024,
        max_lifetime_ms=LIFETIME_MS,
        clock_bound_ms=1_000,
        heartbeat_ms=1_000,
    )


def department(name: str, *more: tuple[str, int]) -> genesis_pb2.Department:
    """A department with a system and an admin key, and perhaps more keys."""
    named = [(f"{name} system", 1), (f"{name} admin", 2), *more]
    keys = [genesis_pb2.SigningKey(public_key=signer(key).public_key, role=role) for key, role in named]  # type: ignore[arg-type]
    return genesis_pb2.Department(
        id=name, name_zh=f"{name} 部门", name_en=name.title(), keys=sorted(keys, key=lambda key: key.public_key)
    )


def resources() -> list[catalogue_pb2.Resource]:
    """A deed, which alpha owns, and a levy, which beta owns."""
    spec, kind = catalogue_pb2.FieldSpec, catalogue_pb2.FieldType
    deed = catalogue_pb2.Resource(
        name=DEED,
        title_en="Deed",
        department="alpha",
        sharing_class=catalogue_pb2.SHARING_CLASS_CONDITIONAL,
        schema_version=3,
        subject=spec(
            title_en="Plot", type=kind.FIELD_TYPE_TEXT, required=True, max_bytes=6, pattern="[A-Z]{2}[0-9]{4}"
        ),
        fields=[
            spec(
                number=1, name="KIND", title_en="Kind", type=kind.FIELD_TYPE_CODE, required=True, codes=["gift", "sale"]
            ),
            spec(number=2, name="AREA", title_en="Area", type=kind.FIELD_TYPE_DECIMAL, required=True, scale=2),
            spec(number=3, name="DAY", title_en="Day", type=kind.FIELD_TYPE_DATE),
        ],
    )
    levy = catalogue_pb2.Resource(
        name=LEVY,
        title_en="Levy",
        department="beta",
        sharing_class=catalogue_pb2.SHARING_CLASS_NONE,
        schema_version=1,
        subject=spec(title_en="Plot", type=kind.FIELD_TYPE_TEXT, required=True, max_bytes=16),
        fields=[spec(number=1, name="SUM", title_en="Sum", type=kind.FIELD_TYPE_INTEGER, required=True)],
    )
    for resource in (deed, levy):
        resource.title_zh = resource.title_en
        for titled in (resource.subject, *resource.fields):
            titled.title_zh = titled.title_en
    return [deed, levy]


def genesis_message() -> genesis_pb2.Genesis:
    """Two departments with two replicas each; alpha has two admin keys."""
    return genesis_pb2.Genesis(
        name="示例 Example",
        time_ms=GENESIS_MS,
        protocol_version=3,
        suite=ED25519_SHA256.name,
        parameters=parameters(),
        departments=[department("alpha", ("alpha second admin", 2)), department("beta")],
        replicas=[
            genesis_pb2.Replica(id=i, department=name, public_key=signer(f"replica {i}").public_key)
            for i, name in ((1, "alpha"), (2, "beta"), (3, "alpha"), (5, "beta"))
        ],
        catalogue=resources(),
    )


GENESIS = write(genesis_message())
CHAIN_ID = tagged_hash("genesis", GENESIS)


def payload(*fields: tuple[int, str], salt: bytes = b"salt" * 4) -> bytes:
    """A payload with these fields, in the order given."""
    return write(pb.Payload(salt=salt, fields=[pb.FieldValue(number=n, value=value) for n, value in fields]))


class Built:
    """A record, or something like one, with its payload."""

    def __init__(self, content: bytes | None = None, **fields: Any) -> None:
        self.payload = payload(*DEED_FIELDS) if content is None else content
        values: dict[str, Any] = {
            "resource": DEED,
            "subject": "AB1234",
            "version": 1,
            "action": pb.RECORD_ACTION_ASSERT,
            "schema_version": 3,
            "payload_digest": tagged_hash("payload", self.payload),
        }
        self.raw = write(pb.Record(**(values | fields)))

    @property
    def id(self) -> bytes:
        """T1."""
        return tagged_hash("record", self.raw)


def revoking(replaced: Built, version: int = 2, **fields: Any) -> Built:
    """A record that revokes what another asserts."""
    return Built(b"", version=version, replaces=replaced.id, action=pb.RECORD_ACTION_REVOKE, **fields)


def add_key(public_key: bytes, role: int = 1) -> pb.Operation:
    key = genesis_pb2.SigningKey(public_key=public_key, role=role)  # type: ignore[arg-type]
    return pb.Operation(add_key=pb.AddKey(key=key))


def revoke_key(public_key: bytes) -> pb.Operation:
    return pb.Operation(revoke_key=pb.RevokeKey(public_key=public_key))


def body(records: Sequence[Built] = (), *, key: str = "alpha system", **fields: Any) -> pb.TransactionBody:
    """The body over these records, with other fields where they are given."""
    values: dict[str, Any] = {
        "chain_id": CHAIN_ID,
        "department": key.split()[0],
        "public_key": signer(key).public_key,
        "nonce": bytes(16),
        "expires_ms": EXPIRES_MS,
        "records_root": merkle.root([record.id for record in records]) if records else b"",
        "record_count": len(records),
    }
    return pb.TransactionBody(**(values | fields))


def signed(raw_body: bytes, records: Sequence[Built] = (), key: str = "alpha system") -> pb.Transaction:
    """A transaction with this body, signed."""
    return pb.Transaction(
        body=raw_body,
        signature=signer(key).sign(Domain.SIGN_TRANSACTION, raw_body),
        records=[record.raw for record in records],
        payloads=[record.payload for record in records],
    )


def transaction(*records: Built, key: str = "alpha system", **fields: Any) -> bytes:
    """A signed transaction."""
    return write(signed(write(body(records, key=key, **fields)), records, key))


def transaction_id(raw: bytes) -> bytes:
    """T2."""
    return tagged_hash("transaction", pb.Transaction.FromString(raw).body)


def batch(*transactions: bytes, proposed_ms: int = NOW_MS, proposer: int = 1) -> bytes:
    """A batch of these transactions."""
    return write(pb.Batch(proposer=proposer, proposed_ms=proposed_ms, transactions=transactions))
