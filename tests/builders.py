"""Small, seeded consortia, records and transactions for tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from huzheng.v1 import catalogue_pb2, genesis_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock, Tip
from ledger.building import BuiltRecord, build_record, build_transaction
from ledger.crypto import (
    SIMULATION,
    Height,
    Membership,
    ReplicaId,
    Signer,
    Suite,
    build_certificate,
    seal_message,
    strict,
)
from ledger.crypto.domains import Domain
from ledger.execution import execute, genesis_block
from ledger.genesis import Genesis, Parameters, build_genesis
from ledger.rules import RULES, Rules
from ledger.state import Leaves
from ledger.state.tree import RECORD_SIZES, StateTree
from ledger.transaction import WellFormedBatch, check_batch, encode_batch
from node.catalogue_file import default_catalogue
from tests.memory_records import MemoryRecords

DEPARTMENTS = ("housing", "planning", "police", "tax")
START_MS = 1_600_000_000_000
UNIT = "110108001003GB00012F00070349"
REGISTRAR = "91512081MA62K0260E"


def unit_code(number: int) -> str:
    """A property unit code, different for each number up to 9,999."""
    return f"110108001003GB00012F{number // 100 + 1:04}{number % 100 + 1:04}"


OBJECTION = "property.objection"


def objection_fields(number: int = 1) -> dict[str, str]:
    """Valid fields of a record in `property.objection`, which planning owns."""
    return {
        "YWH": f"YW-{number:06}",
        "BDCDJZMH": "京(2020)海不动产证明第0012345号",
        "DJJG": REGISTRAR,
        "DJSJ": "2020-01-02",
    }


@dataclass
class Consortium:
    """A genesis with all its secret keys."""

    suite: Suite = SIMULATION
    n: int = 4
    parameters: Parameters = field(default_factory=Parameters)
    rules: Mapping[int, Rules] = field(default_factory=lambda: RULES)
    more_resources: Sequence[catalogue_pb2.Resource] = ()
    """Besides those of the default catalogue."""
    authorities: Mapping[str, bytes] = field(default_factory=dict)
    """Certificates (DER) of departments' CAs, for tests with TLS."""

    def __post_init__(self) -> None:
        self.replica_signers = {ReplicaId(i): self.signer(f"replica {i}") for i in range(1, self.n + 1)}
        self.system_signers = {name: self.signer(f"{name} system") for name in DEPARTMENTS}
        self.admin_signers = {name: self.signer(f"{name} admin") for name in DEPARTMENTS}
        departments = [
            genesis_pb2.Department(
                id=name,
                name_zh=name,
                name_en=name,
                ca_certificate=self.authorities.get(name, b""),
                keys=[
                    genesis_pb2.SigningKey(
                        public_key=self.system_signers[name].public_key, role=genesis_pb2.KEY_ROLE_SYSTEM
                    ),
                    genesis_pb2.SigningKey(
                        public_key=self.admin_signers[name].public_key, role=genesis_pb2.KEY_ROLE_ADMIN
                    ),
                ],
            )
            for name in DEPARTMENTS
        ]
        replicas = [
            genesis_pb2.Replica(id=i, department=DEPARTMENTS[(i - 1) % 4], public_key=signer.public_key)
            for i, signer in self.replica_signers.items()
        ]
        catalogue = default_catalogue()
        raw = build_genesis(
            name="test",
            time_ms=START_MS,
            departments=departments,
            replicas=replicas,
            catalogue=[*catalogue.resources, *self.more_resources],
            duties=catalogue.duties,
            parameters=self.parameters,
            suite=self.suite.name,
        )
        self.genesis = replace(Genesis.read(raw, allow_simulation=True), rules=self.rules)

    def signer(self, name: str) -> Signer:
        """A signer that follows from its name."""
        return self.suite.signer(name.encode().ljust(32, b"."))

    @property
    def now_ms(self) -> int:
        """A time a little after the genesis."""
        return START_MS + 1_000

    def record(self, number: int = 1, version: int = 1, replaces: bytes = b"", revoke: bool = False) -> BuiltRecord:
        """A record about the number-th unit, the same each time it is asked for."""
        values = None if revoke else objection_fields(number)
        salt = number.to_bytes(8, "big") + version.to_bytes(8, "big")
        return build_record(self.genesis, OBJECTION, unit_code(number), version, replaces, values, salt=salt)

    def odd_record(self, payload: bytes | None = None, **fields: Any) -> BuiltRecord:
        """The first record with other fields or another payload, to whose digest it is made to fit. Nothing is checked."""
        record = pb.Record.FromString(self.record(1).raw)
        if payload is None:
            payload = self.record(1).payload
        record.payload_digest = self.suite.digest(Domain.PAYLOAD, payload)
        for name, value in fields.items():
            setattr(record, name, value)
        raw = strict.write(record)
        return BuiltRecord(self.suite.digest(Domain.RECORD, raw), raw, payload)

    def transaction(
        self,
        records: Sequence[BuiltRecord] = (),
        operations: Sequence[pb.Operation] = (),
        *,
        department: str = "planning",
        signer: Signer | None = None,
        expires_ms: int | None = None,
        nonce: int = 0,
    ) -> bytes:
        """A signed transaction; by the department's system key, or its admin key if it has operations."""
        default = self.admin_signers if operations else self.system_signers
        return build_transaction(
            self.genesis,
            signer or default[department],
            department,
            self.now_ms + 60_000 if expires_ms is None else expires_ms,
            records=records,
            operations=operations,
            nonce=nonce.to_bytes(16, "big"),
        )

    def certificate(self, block: ExecutedBlock, membership: Membership | None = None) -> bytes:
        """A quorum's seals over a block, of epoch 0 unless another membership is given."""
        signers = dict(self.replica_signers)
        if membership is not None:
            by_key = {signer.public_key: signer for signer in self.replica_signers.values()}
            signers = {member.replica: by_key[member.public_key] for member in membership.members}
        membership = membership or self.genesis.membership
        message = seal_message(self.genesis.chain_id, membership.epoch, block.height, block.block_hash)
        seals = {replica: signer.sign(Domain.SIGN_SEAL, message) for replica, signer in signers.items()}
        return build_certificate(membership, seals)

    def chain(self) -> Chain:
        """A new chain of this consortium, in memory."""
        return Chain(self)


class MemoryState(dict[bytes, bytes]):
    """A stored state with its tree, in memory."""

    def __init__(self, entries: Mapping[bytes, bytes] | None = None, suite: Suite = SIMULATION) -> None:
        super().__init__(entries or {})
        files = {name: MemoryRecords(size) for name, size in RECORD_SIZES.items()}
        self.tree = StateTree(suite, files, Height(-1), kept_blocks=1_000)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As `StateReader.scan`."""
        return iter(sorted((key, value) for key, value in self.items() if start <= key < stop))

    def root_after(self, height: Height, leaves: Leaves) -> bytes:
        """As `LedgerState.root_after`."""
        return self.tree.execute(height, leaves)

    def apply(self, block: ExecutedBlock) -> None:
        """Takes a block's changes in."""
        self.tree.execute(block.height, block.leaves)
        self.tree.store(block.height, self.tree.changes(block.height))
        for key, value in block.changes.items():
            if value is None:
                self.pop(key, None)
            else:
                self[key] = value


class Chain:
    """Executes batches one after the other."""

    def __init__(self, consortium: Consortium) -> None:
        self.consortium = consortium
        self.state = MemoryState(suite=consortium.suite)
        self.blocks = [genesis_block(consortium.genesis)]
        self.state.apply(self.blocks[0])

    @property
    def tip(self) -> Tip:
        """Of the newest block."""
        return self.blocks[-1].tip

    def add(self, *transactions: bytes, time_ms: int | None = None, proposer: int = 1) -> ExecutedBlock:
        """Executes a batch of these transactions."""
        proposed_ms = self.consortium.now_ms if time_ms is None else time_ms
        return self._add(encode_batch(ReplicaId(proposer), proposed_ms, transactions))

    def add_null(self) -> ExecutedBlock:
        """Executes the null batch."""
        return self._add(b"")

    def _add(self, raw: bytes) -> ExecutedBlock:
        return self.add_batch(check_batch(raw, self.consortium.genesis, lambda _: None))

    def add_batch(self, batch: WellFormedBatch) -> ExecutedBlock:
        """Executes a batch."""
        block = execute(self.consortium.genesis, self.state, self.tip, batch)
        self.blocks.append(block)
        self.state.apply(block)
        return block
