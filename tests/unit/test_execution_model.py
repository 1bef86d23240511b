"""Execution against a model that holds plain values: whatever is submitted, both say the same (docs/protocol.md X1 to X5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from huzheng.v1 import genesis_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.building import BuiltRecord
from ledger.crypto import ED25519_SHA256, ReplicaId, Signer
from ledger.genesis import Parameters
from ledger.state import SEEN_PREFIX
from tests.builders import Chain, Consortium
from tests.naive.ledger import Model, Result, heads_place, state_root

CONSORTIUM = Consortium(ED25519_SHA256, parameters=Parameters(max_batch_transactions=2, max_lifetime_ms=10_000))
OPEN_SIGNERS = ("new 1", "new 2")
DEPARTMENTS = ("planning", "tax")


def _signers() -> dict[str, Signer]:
    signers = {name: CONSORTIUM.signer(name) for name in OPEN_SIGNERS}
    for department in DEPARTMENTS:
        signers[f"{department} system"] = CONSORTIUM.system_signers[department]
        signers[f"{department} admin"] = CONSORTIUM.admin_signers[department]
    signers["replica"] = CONSORTIUM.replica_signers[ReplicaId(1)]
    return signers


SIGNERS = _signers()
# The right one, and often: else hardly anything would be accepted.
PLACES = st.sampled_from(["right"] * 6 + ["version", "replaces", "revoke"])


@dataclass
class Run:
    """A chain and its model, side by side, and how what is submitted is drawn."""

    data: st.DataObject
    chain: Chain = field(default_factory=lambda: CONSORTIUM.chain())
    model: Model = field(default_factory=lambda: Model(genesis_pb2.Genesis.FromString(CONSORTIUM.genesis.raw)))
    nonce: int = 0
    sent: list[bytes] = field(default_factory=list)
    newest: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    def record(self) -> BuiltRecord:
        """One about a few subjects, mostly with the version that would be right if all before were accepted."""
        number, place = self.data.draw(st.tuples(st.integers(1, 2), PLACES))
        version, newest = self.newest.get(number, (0, b""))
        if place == "version":
            version = self.data.draw(st.integers(0, 4))
        replaces = newest if place != "replaces" else bytes([number]) * 32
        if version == 0:
            replaces = b""
        elif not replaces:
            replaces = bytes(32)
        record = CONSORTIUM.record(number, version + 1, replaces, revoke=place == "revoke" and version > 0)
        self.newest[number] = (version + 1, record.id)
        return record

    def operation(self) -> pb.Operation:
        """Adds or revokes one of the keys, whoever's it is."""
        public_key = SIGNERS[self.data.draw(st.sampled_from(sorted(SIGNERS)))].public_key
        if self.data.draw(st.booleans()):
            return pb.Operation(revoke_key=pb.RevokeKey(public_key=public_key))
        role = self.data.draw(st.sampled_from([1, 2, 2, 3]))
        return pb.Operation(add_key=pb.AddKey(key=genesis_pb2.SigningKey(public_key=public_key, role=role)))  # type: ignore[arg-type]

    def transaction(self, time_ms: int) -> bytes:
        """A new one, or one sent before."""
        if self.sent and self.data.draw(st.integers(0, 4)) == 0:
            return self.data.draw(st.sampled_from(self.sent))
        department = self.data.draw(st.sampled_from(["planning", "planning", "tax"]))
        changes_keys = self.data.draw(st.integers(0, 2)) == 0
        operations = [self.operation() for _ in range(self.data.draw(st.integers(1, 3)))] if changes_keys else []
        records = [] if changes_keys else [self.record() for _ in range(self.data.draw(st.integers(1, 3)))]
        signer = None
        if self.data.draw(st.integers(0, 3)) == 0:
            signer = SIGNERS[self.data.draw(st.sampled_from(sorted(SIGNERS)))]
        self.nonce += 1
        unique = {record.id: record for record in records}
        raw = CONSORTIUM.transaction(
            list(unique.values()),
            operations,
            department=department,
            signer=signer,
            expires_ms=time_ms + self.data.draw(st.sampled_from([0, 1, 2_000, 10_000])),
            nonce=self.nonce,
        )
        self.sent.append(raw)
        return raw

    def block(self, time_ms: int) -> None:
        """Executes a batch on both sides and compares all they hold."""
        limit_ms = time_ms + 10_000
        raws = list(dict.fromkeys(self.transaction(time_ms) for _ in range(self.data.draw(st.integers(0, 2)))))
        raws = [raw for raw in raws if _body(raw).expires_ms <= limit_ms]
        block = self.chain.add(*raws, time_ms=time_ms)
        found = [_result(result) for result in block.results]
        ids = [[record.id for record in item.records] for item in block.transactions]
        transactions = [pb.Transaction.FromString(raw) for raw in raws]
        keys = [item.id for item in block.transactions]
        assert found == self.model.block(time_ms, list(zip(keys, transactions, ids, strict=True)))
        self.compare()

    def compare(self) -> None:
        """Keys, heads and tallies are the model's; of the seen ids none is missing that could still be executed."""
        state, model = self.chain.state, self.model
        keys = {k: state_pb2.KeyState.FromString(v) for k, v in state.items() if k[:1] == b"k"}
        assert {k[1:]: (v.department, v.role, v.revoked) for k, v in keys.items()} == {
            k: (v.department, v.role, v.revoked) for k, v in model.keys.items()
        }
        expected: dict[bytes, dict[int, tuple[int, bytes, int]]] = {}
        for (resource, subject), head in model.heads.items():
            key, slot, _ = heads_place(resource, subject, model.owners)
            expected.setdefault(key, {})[slot] = head
        found = {k: state_pb2.Heads.FromString(v) for k, v in state.items() if k[:1] == b"h"}
        assert {k: {item.slot: _head(item.head) for item in v.heads} for k, v in found.items()} == expected
        assert state_root(state) == self.chain.tip.state_root
        for department in DEPARTMENTS:
            admins = [k for k in model.keys.values() if (k.department, k.role, k.revoked) == (department, 2, False)]
            assert state[b"n" + department.encode()] == len(admins).to_bytes(4, "big")
            assert admins
        seen = {key[9:]: int.from_bytes(key[1:9], "big") for key in state if key[:1] == SEEN_PREFIX}
        alive = {identifier: expiry for identifier, expiry in model.seen.items() if expiry > model.time_ms}
        assert alive.items() <= seen.items() <= model.seen.items()


def _head(raw: bytes) -> tuple[int, bytes, int]:
    head = state_pb2.Head.FromString(raw)
    return head.version, head.record_id, head.action


def _body(raw: bytes) -> pb.TransactionBody:
    return pb.TransactionBody.FromString(pb.Transaction.FromString(raw).body)


def _result(raw: bytes) -> Result:
    message = pb.TransactionResult.FromString(raw)
    return pb.ResultCode.Name(message.code).removeprefix("RESULT_CODE_"), message.index


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_execution_says_what_the_model_says(data: st.DataObject) -> None:
    run = Run(data)
    time_ms = CONSORTIUM.now_ms
    for _ in range(data.draw(st.integers(1, 12))):
        time_ms += data.draw(st.sampled_from([0, 0, 1, 1_000, 5_000]))
        run.block(time_ms)
