"""Quorums and certificates (docs/protocol.md I2 to I4)."""

from __future__ import annotations

from typing import Any

import pytest
from huzheng.v1 import block_pb2

from ledger.crypto import (
    ED25519_SHA256,
    SIMULATION,
    Domain,
    Epoch,
    Height,
    Member,
    Membership,
    ReplicaId,
    View,
    build_certificate,
    max_faulty,
    quorum,
    seal_message,
    verify_certificate,
)
from ledger.errors import Code, HuzhengError
from tests.vectors import load

VECTORS = load("certificates.json")
CHAIN_ID, BLOCK_HASH = bytes.fromhex(VECTORS["chain_id"]), bytes.fromhex(VECTORS["block_hash"])
EPOCH, HEIGHT = Epoch(VECTORS["epoch"]), Height(VECTORS["height"])
MEMBERS = tuple(
    Member(ReplicaId(member["replica"]), member["department"], bytes.fromhex(member["public_key"]))
    for member in VECTORS["members"]
)


def _first(n: int) -> Membership:
    return Membership(CHAIN_ID, EPOCH, MEMBERS[:n])


@pytest.mark.parametrize(
    ("n", "f", "q"),
    [(1, 0, 1), (2, 0, 2), (3, 0, 2), (4, 1, 3), (5, 1, 4), (6, 1, 4), (7, 2, 5), (8, 2, 6), (9, 2, 6), (10, 3, 7)],
)
def test_quorums_of_small_consortia(n: int, f: int, q: int) -> None:
    assert (max_faulty(n), quorum(n)) == (f, q)


@pytest.mark.parametrize("n", range(1, 200))
def test_two_quorums_share_a_correct_replica_and_the_correct_ones_are_a_quorum(n: int) -> None:
    f, q = max_faulty(n), quorum(n)
    assert 3 * f < n
    assert 2 * q - n > f
    assert q <= n - f
    assert 2 * (q - 1) - n <= f  # the smallest such number


def test_members_are_found_by_id_and_primaries_by_position() -> None:
    membership = _first(4)
    assert (membership.n, membership.f, membership.q) == (4, 1, 3)
    assert membership.member(ReplicaId(7)) == MEMBERS[3]
    assert membership.member(ReplicaId(3)) is None
    assert [membership.primary(View(view)) for view in (0, 1, 2, 3, 4, 2**64 - 1)] == [1, 2, 4, 7, 1, 7]


@pytest.mark.parametrize("ids", [(), (0, 1), (2, 1), (1, 1)])
def test_a_membership_is_ordered_by_id_from_1(ids: tuple[int, ...]) -> None:
    members = tuple(Member(ReplicaId(replica), "tax", bytes(32)) for replica in ids)
    with pytest.raises(ValueError, match="ascending"):
        Membership(CHAIN_ID, EPOCH, members)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_certificate_vectors(case: dict[str, Any]) -> None:
    membership, certificate = _first(case["n"]), bytes.fromhex(case["certificate"])
    if case["valid"]:
        verify_certificate(ED25519_SHA256, membership, certificate, HEIGHT, BLOCK_HASH)
        return
    with pytest.raises(HuzhengError) as error:
        verify_certificate(ED25519_SHA256, membership, certificate, HEIGHT, BLOCK_HASH)
    assert error.value.code == Code.BAD_CERTIFICATE


def _sound() -> bytes:
    return bytes.fromhex(next(case["certificate"] for case in VECTORS["cases"] if case["name"] == "q lowest of 4"))


def test_a_certificate_is_for_one_chain_epoch_height_block_and_suite() -> None:
    sound, membership = _sound(), _first(4)
    verify_certificate(ED25519_SHA256, membership, sound, HEIGHT, BLOCK_HASH)
    others = [
        (ED25519_SHA256, Membership(bytes(32), EPOCH, MEMBERS[:4]), HEIGHT, BLOCK_HASH),
        (ED25519_SHA256, Membership(CHAIN_ID, Epoch(EPOCH + 1), MEMBERS[:4]), HEIGHT, BLOCK_HASH),
        (ED25519_SHA256, membership, Height(HEIGHT - 1), BLOCK_HASH),
        (ED25519_SHA256, membership, HEIGHT, CHAIN_ID),
        (SIMULATION, membership, HEIGHT, BLOCK_HASH),
    ]
    for suite, other, height, block_hash in others:
        with pytest.raises(HuzhengError):
            verify_certificate(suite, other, sound, height, block_hash)


def test_no_flipped_bit_of_a_certificate_passes() -> None:
    sound = _sound()
    for place in range(len(sound)):
        for bit in (1, 0x10, 0x80):
            flipped = sound[:place] + bytes([sound[place] ^ bit]) + sound[place + 1 :]
            with pytest.raises(HuzhengError) as error:
                verify_certificate(ED25519_SHA256, _first(4), flipped, HEIGHT, BLOCK_HASH)
            assert error.value.code == Code.BAD_CERTIFICATE


def test_a_built_certificate_holds_the_q_lowest_members_and_verifies() -> None:
    suite, ids = SIMULATION, (1, 2, 4, 7)
    signers = {ReplicaId(replica): suite.signer(bytes([replica]) * 32) for replica in (*ids, 9)}
    members = tuple(Member(ReplicaId(replica), "tax", signers[ReplicaId(replica)].public_key) for replica in ids)
    membership = Membership(CHAIN_ID, EPOCH, members)
    message = seal_message(CHAIN_ID, EPOCH, HEIGHT, BLOCK_HASH)
    seals = {replica: signers[replica].sign(Domain.SIGN_SEAL, message) for replica in reversed(list(signers))}
    certificate = build_certificate(membership, seals)
    assert [seal.replica for seal in block_pb2.Certificate.FromString(certificate).seals] == [1, 2, 4]
    verify_certificate(suite, membership, certificate, HEIGHT, BLOCK_HASH)
    del seals[ReplicaId(2)]
    assert [seal.replica for seal in block_pb2.Certificate.FromString(build_certificate(membership, seals)).seals] == [
        1,
        4,
        7,
    ]
    del seals[ReplicaId(1)]
    with pytest.raises(HuzhengError) as error:
        build_certificate(membership, seals)
    assert error.value.code == Code.BAD_CERTIFICATE


def test_the_seal_of_the_first_block_of_the_first_epoch_leaves_out_defaults() -> None:
    assert seal_message(CHAIN_ID, Epoch(0), Height(1), BLOCK_HASH) == CHAIN_ID + b"\x10\x01\x1a\x20" + BLOCK_HASH
