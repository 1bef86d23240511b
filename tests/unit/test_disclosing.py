"""A node's disclosures of records under schema versions that came after the genesis need the genesis alone (docs/protocol.md P3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huzheng.v1 import block_pb2, disclosure_pb2, sharing_pb2, statement_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.anchor import write_anchor
from ledger.building import BuiltRecord, build_record
from ledger.commitments import SecretField, confidential_root
from ledger.crypto import ED25519_SHA256, Domain, Epoch, Height, build_certificate, seal_message, strict
from ledger.disclosure import DisclosureVerdict, verify_disclosure
from ledger.epochs import first_epoch
from ledger.errors import Code, HuzhengError
from ledger.genesis import Parameters
from ledger.sealed_block import SealedBlock, verify_sealed
from ledger.statement import verify_bundle
from ledger.store import ChainStore
from node.disclosing import record_disclosure, version_statement
from node.identity import Caller, Role
from node.sharing.releasing import Releaser
from node.sharing.sealing import AskedFor, ReaderKey, open_answer, seal
from tests.builders import Chain
from tests.confidential import (
    DWELLING,
    OWNER,
    PLOT,
    PRICE,
    PUBLIC,
    SINCE,
    VALUES,
    compiled,
    consortium,
    dwelling,
)
from tests.javascript_verifier import ask
from tests.memberships import WINDOW, add, change_transaction, grow_to, store_up_to, stored
from tests.sharing import CONFIDENTIAL, Sharing

CONSORTIUM = consortium(ED25519_SHA256, n=4, parameters=Parameters(watermark_window=WINDOW))
GENESIS = CONSORTIUM.genesis
NEWER = compiled(2)
"""Without two of the confidential fields that the genesis' version has."""
NEWER_VALUES = {name: VALUES[name] for name in ("OWNER", "PRICE", "SINCE")}


class Stage:
    """A stored chain on which the dwelling's second version was published, and a record of each version."""

    def __init__(self, path: Path) -> None:
        self.chain: Chain = CONSORTIUM.chain()
        publish = pb.Operation(publish_resource=sharing_pb2.PublishResource(resource=dwelling(2)))
        self.older = build_record(GENESIS, DWELLING, "AB0001", 1, b"", PUBLIC, confidential=VALUES)
        self.newer = build_record(GENESIS, NEWER, PLOT, 1, b"", PUBLIC, confidential=NEWER_VALUES)
        self.chain.add(CONSORTIUM.transaction(operations=[publish], nonce=1))
        self.chain.add(CONSORTIUM.transaction([self.older, self.newer], nonce=2))
        self.store: ChainStore = stored(path, self.chain)

    def disclosure(self, record: BuiltRecord, *numbers: int) -> bytes:
        place = self.store.record_place(record.id)
        assert place is not None
        return record_disclosure(GENESIS, self.store, place, record.secrets, numbers)

    def grow(self) -> None:
        """A member joins: an epoch ends, and blocks of the next one follow."""
        self.chain.add(change_transaction(CONSORTIUM, add(CONSORTIUM, 5)))
        grow_to(self.chain, self.chain.tip.height + WINDOW + 2)
        store_up_to(self.store, self.chain, self.chain.tip.height)

    def grow_by(self, count: int) -> None:
        """Null blocks follow."""
        for _ in range(count):
            self.chain.add_null()
        store_up_to(self.store, self.chain, self.chain.tip.height)

    def anchor(self) -> SealedBlock:
        """The last block, of the first epoch."""
        height = self.store.tip.height
        return verify_sealed(GENESIS, first_epoch(GENESIS), self.store.header(height), self.store.certificate(height))

    def bundle(self) -> bytes:
        proofs = self.store.epoch_proofs(self.store.newest_epoch.epoch)
        return strict.write(statement_pb2.EpochBundle(epochs=proofs))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "data")
    yield made
    made.store.close()


def proof_in(raw: bytes) -> statement_pb2.Statement:
    return strict.read(statement_pb2.Statement, strict.read(disclosure_pb2.Disclosure, raw).catalogue)


def verify(raw: bytes, **more: object) -> DisclosureVerdict:
    return verify_disclosure(raw, GENESIS, **more)  # type: ignore[arg-type]


def code_of(raw: bytes, **more: object) -> Code:
    with pytest.raises(HuzhengError) as caught:
        verify(raw, **more)
    return caught.value.code


def test_the_schema_version_is_proved_where_the_genesis_lacks_it(stage: Stage) -> None:
    raw = stage.disclosure(stage.newer, OWNER, SINCE)
    verdict = verify(raw)
    assert verdict.values == {OWNER: VALUES["OWNER"], SINCE: VALUES["SINCE"]}
    assert verdict.definition.schema_version == 2
    assert verdict.record.values == PUBLIC
    [said] = ask([{"ask": "disclosure", "genesis": GENESIS.raw.hex(), "bytes": raw.hex()}])
    assert said["confidential"] == {"OWNER": VALUES["OWNER"], "SINCE": VALUES["SINCE"]}


def test_nothing_is_proved_that_the_genesis_says(stage: Stage) -> None:
    raw = stage.disclosure(stage.older, PRICE)
    assert strict.read(disclosure_pb2.Disclosure, raw).catalogue == b""
    assert verify(raw).values == {PRICE: VALUES["PRICE"]}


def test_a_proof_that_the_genesis_makes_needless_is_refused(stage: Stage) -> None:
    message = strict.read(disclosure_pb2.Disclosure, stage.disclosure(stage.older, PRICE))
    for version in (1, 2):
        message.catalogue = version_statement(stage.store, DWELLING, version)
        assert code_of(strict.write(message)) is Code.BAD_PROOF


def test_in_a_later_epoch_the_proof_of_the_schema_version_says_how_it_came(stage: Stage) -> None:
    stage.grow()
    raw = stage.disclosure(stage.newer, OWNER)
    assert len(proof_in(raw).epochs) == 1
    assert verify(raw).values == {OWNER: VALUES["OWNER"]}
    [said] = ask([{"ask": "disclosure", "genesis": GENESIS.raw.hex(), "bytes": raw.hex()}])
    assert said["confidential"] == {"OWNER": VALUES["OWNER"]}


def sealed_by_the_first_members(statement: statement_pb2.Statement, height: int) -> bytes:
    """The same as of another height."""
    header = strict.read(block_pb2.BlockHeader, statement.header)
    header.height = height
    raw = strict.write(header)
    message = seal_message(GENESIS.chain_id, Epoch(0), Height(height), GENESIS.suite.digest(Domain.BLOCK, raw))
    seals = {member.replica: CONSORTIUM.replica_signers[member.replica] for member in GENESIS.membership.members}
    signatures = {replica: signer.sign(Domain.SIGN_SEAL, message) for replica, signer in seals.items()}
    certificate = build_certificate(GENESIS.membership, signatures)
    return strict.write(statement_pb2.Statement(header=raw, certificate=certificate, entries=statement.entries))


def test_seals_of_an_epoch_that_is_over_prove_no_schema_version(stage: Stage) -> None:
    """Were the first members' keys stolen, they could be made to seal a later block with another catalogue in it."""
    raw = stage.disclosure(stage.newer, OWNER)
    stage.grow()
    epochs = verify_bundle(stage.bundle(), GENESIS)
    assert verify(raw, known_epochs=epochs).values
    message = strict.read(disclosure_pb2.Disclosure, raw)
    message.catalogue = sealed_by_the_first_members(proof_in(raw), stage.chain.tip.height)
    forged = strict.write(message)
    # The genesis alone can't tell.
    assert verify(forged).values
    assert code_of(forged, known_epochs=epochs) is Code.BAD_PROOF
    question = {"ask": "disclosure", "genesis": GENESIS.raw.hex(), "options": {"genesis_bundle": stage.bundle().hex()}}
    sound, refused = ask([question | {"bytes": raw.hex()}, question | {"bytes": forged.hex()}])
    assert sound["valid"]
    assert refused == {"code": Code.BAD_PROOF}


def test_seals_of_an_epoch_before_the_record_prove_no_schema_version_of_it(stage: Stage) -> None:
    """Of whatever height: whoever has stolen the first members' keys would have it seal other names for the fields."""
    of_the_first = proof_in(stage.disclosure(stage.newer, OWNER))
    stage.grow()
    record = build_record(GENESIS, NEWER, "AB0002", 1, b"", PUBLIC, confidential=NEWER_VALUES)
    stage.chain.add(CONSORTIUM.transaction([record], nonce=3))
    store_up_to(stage.store, stage.chain, stage.chain.tip.height)
    sound = stage.disclosure(record, OWNER)
    assert verify(sound).values == {OWNER: VALUES["OWNER"]}
    message, asked = strict.read(disclosure_pb2.Disclosure, sound), []
    for height in (2, stage.chain.tip.height):
        message.catalogue = sealed_by_the_first_members(of_the_first, height)
        raw = strict.write(message)
        assert code_of(raw) is Code.BAD_PROOF
        asked.append({"ask": "disclosure", "genesis": GENESIS.raw.hex(), "bytes": raw.hex()})
    assert ask(asked) == [{"code": Code.BAD_PROOF}] * 2


def test_under_an_anchor_both_blocks_are_of_its_chain(stage: Stage) -> None:
    stage.grow_by(1)
    raw = stage.disclosure(stage.newer, OWNER)
    stage.grow_by(2)
    anchor = stage.anchor()
    proofs = {
        "history": stage.store.history_proof(Height(2), anchor.height),
        "catalogue_history": stage.store.history_proof(Height(3), anchor.height),
    }
    assert verify(raw, anchor=anchor, **proofs).values == {OWNER: VALUES["OWNER"]}
    names = {"history": "history", "catalogue_history": "catalogueHistory"}
    options: list[dict[str, str]] = [{name: proofs[name].hex() for name in proofs}]
    for missing in proofs:
        others = {name: proof for name, proof in proofs.items() if name != missing}
        assert code_of(raw, anchor=anchor, **others) is Code.BAD_PROOF
        swapped = proofs | {missing: next(iter(others.values()))}
        assert code_of(raw, anchor=anchor, **swapped) is Code.BAD_PROOF
        options.append({name: proof.hex() for name, proof in others.items()})
    written = write_anchor(anchor).hex()
    said = ask(
        {
            "ask": "disclosure",
            "genesis": GENESIS.raw.hex(),
            "bytes": raw.hex(),
            "options": {"anchor": written} | {names[name]: proof for name, proof in given.items()},
        }
        for given in options
    )
    assert [answer.get("code") for answer in said] == [None, Code.BAD_PROOF, Code.BAD_PROOF]


class Kept:
    """A vault that has the fields of every record."""

    def __init__(self, *fields: SecretField) -> None:
        self.fields = fields

    def deposit(self, records: object, expires_ms: int) -> None:
        raise NotImplementedError

    def secrets(self, record_id: bytes) -> tuple[SecretField, ...]:
        return self.fields

    def keep_copy(self, record_id: bytes, fields: object) -> None:
        raise NotImplementedError


def test_an_answer_to_a_read_needs_the_genesis_alone_too(tmp_path: Path) -> None:
    """The whole register was published after the genesis."""
    world = Sharing(consortium=CONSORTIUM)
    secrets = [SecretField(number, f"value {number}", bytes(16)) for number in CONFIDENTIAL]
    record = world.record("AB1000", confidential_root=confidential_root(ED25519_SHA256, secrets))
    world.must("planning", records=[record])
    key = ReaderKey.new()
    read = world.read(world.grant(), "AB1000", reader_key=key.public, fields=[2, 3])
    store = stored(tmp_path / "data", world.chain)
    try:
        releaser = Releaser(GENESIS, store, "planning", Kept(*secrets), seal)
        sealed = releaser.release(read, Caller("tax", Role.SYSTEM, "registry"))
    finally:
        store.close()
    _, verdict = open_answer(GENESIS, sealed, key, AskedFor(read, record.id, (2, 3)))
    assert verdict.values == {2: "value 2", 3: "value 3"}
    assert verdict.record.values == {"KIND": "a"}
