"""The verifier for browsers over changes of the membership (docs/protocol.md M2 to M5, R8, H4)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from huzheng.v1 import block_pb2, genesis_pb2, statement_pb2
from huzheng.v1 import membership_pb2 as pb
from huzheng.v1 import transaction_pb2 as tx

from ledger.anchor import write_anchor
from ledger.crypto import Domain, Height
from ledger.epoch_proof import MAX_EPOCHS, MAX_EPOCHS_BYTES
from ledger.epochs import EpochTerms, first_epoch
from ledger.genesis import Genesis
from ledger.receipt import RECEIPT_OVERHEAD_BYTES, verify_receipt
from ledger.sealed_block import SealedBlock, verify_sealed
from ledger.statement import verify_bundle, verify_statement
from tests.javascript_verifier import ask, code_or, same_keys
from tests.naive import merkle
from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.example import OTHER, signer, write

GENESIS = Genesis.read(example.GENESIS)
_DEPARTMENTS = ("alpha", "beta")


# --- changes of the membership ---


def key_name(replica: int, generation: int = 0) -> str:
    return f"replica {replica}" + (f" {generation}" if generation else "")


def seat(replica: int, department: str = "alpha", generation: int = 0) -> pb.SeatReplica:
    key = signer(key_name(replica, generation)).public_key
    return pb.SeatReplica(replica=write(genesis_pb2.Replica(id=replica, department=department, public_key=key)))


def added(replica: int, department: str = "alpha") -> pb.MembershipAction:
    return pb.MembershipAction(add_replica=seat(replica, department))


def removed(replica: int) -> pb.MembershipAction:
    return pb.MembershipAction(remove_replica=pb.RemoveReplica(replica=replica))


def rekeyed(replica: int, department: str = "alpha", generation: int = 1) -> pb.MembershipAction:
    return pb.MembershipAction(replace_key=seat(replica, department, generation))


def activated(version: int) -> pb.MembershipAction:
    return pb.MembershipAction(activate_protocol=pb.ActivateProtocol(version=version))


def joined(name: str = "gamma", authority: bytes = b"certificate") -> pb.MembershipAction:
    department = example.department(name)
    department.ca_certificate = authority
    return pb.MembershipAction(add_department=department)


def change(*actions: pb.MembershipAction, **fields: Any) -> bytes:
    values: dict[str, Any] = {"chain_id": example.CHAIN_ID, "expires_ms": example.EXPIRES_MS, "actions": actions}
    return write(pb.MembershipChange(**(values | fields)))


def operation(raw: bytes) -> tx.Operation:
    return tx.Operation(change_membership=pb.ChangeMembership(change=raw))


def sealed(
    terms: EpochTerms,
    operations: Sequence[tx.Operation],
    *,
    height: int = 7,
    result: dict[str, Any] | None = None,
    header: dict[str, Any] | None = None,
) -> block_pb2.EpochProof:
    """A proof whose block has one transaction, sealed by the first members of the epoch."""
    body = write(example.body(key="alpha admin", operations=operations))
    outcome: dict[str, Any] = {"transaction_id": tagged_hash("transaction", body), "code": 1}
    ended = write(tx.TransactionResult(**(outcome | (result or {}))))
    fields: dict[str, Any] = {
        "chain_id": example.CHAIN_ID,
        "height": height,
        "epoch": terms.epoch,
        "time_ms": example.NOW_MS,
        "protocol_version": 3,
        "transaction_count": 1,
        "transactions_root": merkle.root([tagged_hash("transaction", body)]),
        "results_root": merkle.root([tagged_hash("result", ended)]),
    }
    raw = write(block_pb2.BlockHeader(**(fields | (header or {}))))
    seal = write(block_pb2.Seal(epoch=terms.epoch, height=height, block_hash=tagged_hash("block", raw)))
    seals = [
        block_pb2.SealSignature(
            replica=member.replica,
            signature=_KEYS[member.public_key].sign(Domain.SIGN_SEAL, example.CHAIN_ID + seal),
        )
        for member in terms.membership.members[: terms.membership.q]
    ]
    certificate = write(block_pb2.Certificate(seals=seals))
    return block_pb2.EpochProof(header=raw, certificate=certificate, body=body, result=ended)


_KEYS = {
    key.public_key: key
    for key in (signer(key_name(replica, generation)) for replica in range(1, 40) for generation in range(3))
}


def bundle(*proofs: block_pb2.EpochProof) -> bytes:
    return write(statement_pb2.EpochBundle(epochs=proofs))


def of_change(*actions: pb.MembershipAction, **fields: Any) -> bytes:
    return bundle(sealed(first_epoch(GENESIS), [operation(change(*actions, **fields))]))


def of(operations: Sequence[tx.Operation], **fields: Any) -> bytes:
    return bundle(sealed(first_epoch(GENESIS), operations, **fields))


def changes() -> dict[str, tuple[str | None, bytes]]:
    """Bundles of one change each, named after what it is, and the code that they end with."""
    good = change(added(6))
    odd_seat = pb.SeatReplica(replica=seat(6).replica + b"\x20\x01")
    accepted: dict[str, bytes] = {
        "one more": of_change(added(6)),
        "two more": of_change(added(6), added(7)),
        "one more with a gap": of_change(added(900)),
        "another key": of_change(rekeyed(3)),
        "one for another": of_change(removed(5), added(6, "beta")),
        "a department that joins": of_change(joined(), added(6, "gamma")),
        "another version": of_change(activated(4)),
        "two versions": of_change(activated(4), activated(5)),
        "an action of no kind": of_change(pb.MembershipAction()),
        "a large authority": of_change(joined(authority=bytes(8_192))),
        "sixteen actions": of_change(*(activated(version) for version in range(4, 20))),
        "at the first height": of([operation(good)], height=0),
        "at the last height there is": of([operation(good)], height=2**64 - 1),
    }
    refused: dict[str, bytes] = {
        "three more": of_change(added(6), added(7), added(8)),
        "two other keys": of_change(rekeyed(1), rekeyed(3)),
        "one less": of_change(removed(5)),
        "none any more": of_change(*(removed(replica) for replica in (1, 2, 3, 5))),
        "an id that was": of_change(added(4)),
        "an id that is": of_change(added(5)),
        "the id of no replica": of_change(added(0)),
        "ids out of order": of_change(added(7), added(6)),
        "one that is no member leaves": of_change(removed(4), added(6)),
        "one that is no member gets a key": of_change(rekeyed(4)),
        "a key for another department's": of_change(rekeyed(3, "beta")),
        "one in two actions": of_change(rekeyed(3), rekeyed(3, generation=2)),
        "one that comes and goes": of_change(added(6), removed(6)),
        "one that gets a key and goes": of_change(rekeyed(3), removed(3), added(6)),
        "the version in force": of_change(activated(3)),
        "the version after the next": of_change(activated(5)),
        "another epoch": of_change(added(6), epoch=1),
        "refused": of([operation(good)], result={"code": 24}),
        "the result of another": of([operation(good)], result={"transaction_id": OTHER}),
        "two operations": of([operation(good), example.add_key(OTHER)]),
        "no operation": of([]),
        "another operation": of([example.add_key(OTHER)]),
        "another results root": of([operation(good)], header={"results_root": OTHER}),
        "another transactions root": of([operation(good)], header={"transactions_root": OTHER}),
        "no transactions": of([operation(good)], header={"transaction_count": 0}),
    }
    others: dict[str, tuple[str | None, bytes]] = {
        "no actions": ("MALFORMED_TRANSACTION", of_change()),
        "seventeen actions": ("MALFORMED_TRANSACTION", of_change(*(activated(version) for version in range(4, 21)))),
        "more than 32 KiB": ("MALFORMED_TRANSACTION", of_change(added(6), *(joined(authority=bytes(8_192)),) * 4)),
        "another chain": ("WRONG_CHAIN", of_change(added(6), chain_id=OTHER)),
        "a change in another form": ("NOT_STRICT", of([operation(good + b"\x28\x01")])),
        "a seat in another form": ("NOT_STRICT", of_change(pb.MembershipAction(add_replica=odd_seat))),
        "a key in another form": ("NOT_STRICT", of_change(pb.MembershipAction(replace_key=odd_seat))),
        "an empty change": ("WRONG_CHAIN", of([operation(b"")])),
    }
    found: dict[str, tuple[str | None, bytes]] = {name: (None, raw) for name, raw in accepted.items()}
    return found | {name: ("BAD_PROOF", raw) for name, raw in refused.items()} | others


def terms_of(raw: bytes) -> list[dict[str, Any]]:
    """As `ask` gives them."""
    return [
        {
            "epoch": str(terms.epoch),
            "firstHeight": str(terms.first_height),
            "protocolVersion": terms.protocol_version,
            "highestReplica": terms.highest_replica,
            "change": [] if terms.change is None else [str(terms.change[0]), terms.change[1]],
            "members": [[m.replica, m.department, m.public_key.hex()] for m in terms.membership.members],
        }
        for terms in verify_bundle(raw, GENESIS)
    ]


def test_changes_of_the_membership() -> None:
    cases = changes()
    said = ask({"ask": "bundle", "genesis": example.GENESIS.hex(), "bytes": raw.hex()} for _, raw in cases.values())
    for (name, (code, raw)), answer in zip(cases.items(), said, strict=True):
        assert answer == code_or(partial(terms_of, raw)), name
        assert (answer["code"] if isinstance(answer, dict) else None) == code, name


def random_change(terms: EpochTerms, dice: random.Random) -> bytes:
    ids = [member.replica for member in terms.membership.members]
    highest = max(ids)
    actions = [
        dice.choice(
            (
                added(highest + 1 + place, dice.choice(_DEPARTMENTS)),
                removed(dice.choice([*ids, 4])),
                rekeyed(dice.choice(ids), dice.choice(_DEPARTMENTS), dice.randrange(3)),
                added(highest + 1 + place, dice.choice(_DEPARTMENTS)),
            )
        )
        for place in range(dice.choice((1, 1, 1, 2, 2, 3)))
    ]
    return change(*actions, epoch=terms.epoch)


def test_one_change_after_the_other() -> None:
    """Until one is refused; each sealed by the members that the one before made."""
    dice = random.Random(11)
    raws = []
    for _ in range(120):
        proofs: list[block_pb2.EpochProof] = []
        terms = first_epoch(GENESIS)
        while len(proofs) < 6:
            height = terms.first_height + dice.choice((0, 0, 1, 30))
            proofs.append(sealed(terms, [operation(random_change(terms, dice))], height=height))
            raws.append(bundle(*proofs))
            if isinstance(code_or(partial(terms_of, raws[-1])), dict):
                break
            terms = verify_bundle(raws[-1], GENESIS)[-1]
    said = ask({"ask": "bundle", "genesis": example.GENESIS.hex(), "bytes": raw.hex()} for raw in raws)
    assert said == [code_or(partial(terms_of, raw)) for raw in raws]
    assert {2, 3, 4, 5} <= {len(answer) for answer in said if isinstance(answer, list)}


def test_blocks_of_an_epoch_are_of_its_version() -> None:
    first = sealed(first_epoch(GENESIS), [operation(change(activated(4)))])
    terms = verify_bundle(bundle(first), GENESIS)[-1]
    after = [operation(change(added(6), epoch=1))]
    raws = [
        bundle(first, sealed(terms, after, height=16, header={"protocol_version": version})) for version in (3, 4, 2)
    ]
    said = ask({"ask": "bundle", "genesis": example.GENESIS.hex(), "bytes": raw.hex()} for raw in raws)
    assert said == [{"code": "BAD_PROOF"}, {"code": "PROTOCOL_UNKNOWN"}, {"code": "PROTOCOL_UNKNOWN"}]
    assert said == [code_or(partial(terms_of, raw)) for raw in raws]


def test_a_receipt_has_a_limit_besides_that_of_its_epochs() -> None:
    limit = GENESIS.parameters.max_transaction_bytes + RECEIPT_OVERHEAD_BYTES

    def raw(size: int, *proofs: block_pb2.EpochProof) -> bytes:
        """With so many bytes besides the proofs' own."""
        room = size - sum(len(field_of(proof)) - proof.ByteSize() for proof in proofs)
        body = bytes(room - len(write(block_pb2.Receipt(body=bytes(70_000)))) + 70_000)
        return write(block_pb2.Receipt(body=body, epochs=proofs))

    def field_of(proof: block_pb2.EpochProof) -> bytes:
        return write(block_pb2.Receipt(epochs=[proof]))

    def of_size(size: int) -> block_pb2.EpochProof:
        proof = block_pb2.EpochProof(header=bytes(size))
        return block_pb2.EpochProof(header=bytes(2 * size - proof.ByteSize()))

    quarter, more = of_size(MAX_EPOCHS_BYTES // 4), of_size(MAX_EPOCHS_BYTES // 4 + 1)
    assert quarter.ByteSize() * 4 == MAX_EPOCHS_BYTES
    tiny = block_pb2.EpochProof(transaction_index=1)
    raws = {
        "all that fits": (raw(limit, *[quarter] * 4), "NOT_STRICT"),
        "a byte more": (raw(limit + 1, *[quarter] * 4), "TOO_LARGE"),
        "a byte more of epochs": (raw(limit, *[quarter] * 3, more), "TOO_LARGE"),
        "a byte more of epochs, and one less of the rest": (raw(limit - 1, *[quarter] * 3, more), "TOO_LARGE"),
        "without epochs": (raw(limit), "WRONG_CHAIN"),
        "a byte more, without epochs": (raw(limit + 1), "TOO_LARGE"),
        "as many proofs as may be": (write(block_pb2.Receipt(epochs=[tiny] * MAX_EPOCHS)), "WRONG_CHAIN"),
        "a proof more": (write(block_pb2.Receipt(epochs=[tiny] * (MAX_EPOCHS + 1))), "TOO_LARGE"),
    }
    said = ask({"ask": "receipt", "genesis": example.GENESIS.hex(), "bytes": raw.hex()} for raw, _ in raws.values())
    assert dict(zip(raws, said, strict=True)) == {name: {"code": code} for name, (_, code) in raws.items()}
    right = [code_or(partial(verify_receipt, raw, GENESIS)) for raw, _ in raws.values()]
    assert said == right


# --- keys of epochs that are over ---


def nothing_known(terms: EpochTerms, height: int, *epochs: block_pb2.EpochProof, time_ms: int = 0) -> bytes:
    """A statement as of an empty state."""
    block = sealed(terms, [], height=height, header={"state_root": bytes(32), "time_ms": example.NOW_MS + time_ms})
    leaf = statement_pb2.LeafProof(register="demo", subject="AB1234")
    return write(
        statement_pb2.Statement(header=block.header, certificate=block.certificate, leaves=[leaf], epochs=epochs)
    )


def anchor_in(terms: EpochTerms, height: int) -> SealedBlock:
    block = sealed(terms, [], height=height, header={"state_root": bytes(32)})
    return verify_sealed(GENESIS, terms, block.header, block.certificate)


def test_under_an_anchor_they_seal_nothing_later() -> None:
    first = first_epoch(GENESIS)
    one, other = (sealed(first, [operation(change(added(replica)))]) for replica in (6, 7))
    second, forged = (verify_bundle(bundle(proof), GENESIS)[-1] for proof in (one, other))
    next_one = sealed(second, [operation(change(rekeyed(3), epoch=1))], height=16)
    both = bundle(one, next_one)
    third = verify_bundle(both, GENESIS)[-1]
    old, new = anchor_in(second, 40), anchor_in(third, 40)
    elsewhere = replace(old, terms=replace(second, change=(Height(7), 5)))
    tries: dict[str, tuple[str | None, bytes, SealedBlock, bytes]] = {
        "the anchor": (None, nothing_known(second, 40, one), old, b""),
        "the anchor, by a bundle": (None, nothing_known(third, 40), new, both),
        "the anchor, by its own epoch": (None, nothing_known(third, 40), new, b""),
        "another of its height": ("FORKED", nothing_known(second, 40, one, time_ms=1), old, b""),
        "a later one": ("BAD_PROOF", nothing_known(second, 41, one), old, b""),
        "an earlier one of an earlier epoch": ("BAD_PROOF", nothing_known(first, 39), old, b""),
        "of an earlier epoch": ("EPOCH_UNKNOWN", nothing_known(first, 40), old, b""),
        "later, of an earlier epoch": ("EPOCH_UNKNOWN", nothing_known(first, 41), old, b""),
        "later, of an earlier epoch, by the way to the anchor's": (
            "BAD_PROOF",
            nothing_known(second, 41),
            new,
            both,
        ),
        "later, of another epoch of this number": ("EPOCH_UNKNOWN", nothing_known(forged, 41, other), old, b""),
        "of another epoch of this number": ("EPOCH_UNKNOWN", nothing_known(forged, 40, other), old, b""),
        "of the epoch, made elsewhere": ("EPOCH_UNKNOWN", nothing_known(second, 40, one), elsewhere, b""),
    }
    said = ask(
        {
            "ask": "statement",
            "genesis": example.GENESIS.hex(),
            "bytes": raw.hex(),
            "options": {"anchor": write_anchor(anchor).hex(), "genesis_bundle": known.hex()},
        }
        for _, raw, anchor, known in tries.values()
    )
    for (name, (code, raw, anchor, known)), answer in zip(tries.items(), said, strict=True):
        epochs = verify_bundle(known, GENESIS)
        right = code_or(lambda t=(raw, anchor, epochs): held(*t))  # type: ignore[misc]
        assert same_keys(answer, right) == right, name
        assert answer.get("code") == code, name


def held(raw: bytes, anchor: SealedBlock, epochs: Sequence[EpochTerms]) -> dict[str, Any]:
    return verify_statement(raw, GENESIS, epochs, anchor).to_dict()
