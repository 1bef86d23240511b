"""When a change of keys is accepted (docs/protocol.md X3, rule 6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from huzheng.v1 import state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import ED25519_SHA256, ReplicaId
from ledger.state import POOL_KEY, SEEN_PREFIX, admin_keys_key, read_key
from tests.builders import Chain, Consortium
from tests.naive import ledger as naive
from tests.outcomes import ADMIN, SYSTEM, add_key, results, revoke_key, with_revoked_keys


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return Consortium()


@pytest.fixture
def chain(consortium: Consortium) -> Chain:
    return consortium.chain()


OPERATIONS: dict[str, tuple[naive.Result, Callable[[Consortium], list[pb.Operation]]]] = {
    "new key": (("ACCEPTED", 0), lambda c: [add_key(c.signer("new"))]),
    "new admin key": (("ACCEPTED", 0), lambda c: [add_key(c.signer("new"), ADMIN)]),
    "role unset": (("BAD_KEY", 0), lambda c: [add_key(c.signer("new"), 0)]),
    "role unknown": (("BAD_KEY", 0), lambda c: [add_key(c.signer("new"), 3)]),
    "role unknown of a key that exists": (("BAD_KEY", 0), lambda c: [add_key(c.system_signers["tax"], 3)]),
    "key unset": (("BAD_KEY", 0), lambda c: [pb.Operation(add_key=pb.AddKey())]),
    "key a byte short": (("BAD_KEY", 0), lambda c: [add_key(bytes(31))]),
    "key of its own": (("KEY_EXISTS", 0), lambda c: [add_key(c.system_signers["planning"])]),
    "key of its own in another role": (("KEY_EXISTS", 0), lambda c: [add_key(c.admin_signers["planning"])]),
    "key of another department": (("KEY_EXISTS", 0), lambda c: [add_key(c.system_signers["tax"])]),
    "key of a replica": (("KEY_EXISTS", 0), lambda c: [add_key(c.replica_signers[ReplicaId(2)])]),
    "revoked key": (("KEY_EXISTS", 0), lambda c: [add_key(c.signer("revoked"))]),
    "revoked key of another department": (("KEY_EXISTS", 0), lambda c: [add_key(c.signer("tax revoked"))]),
    "key twice": (("KEY_EXISTS", 1), lambda c: [add_key(c.signer("new")), add_key(c.signer("new"), ADMIN)]),
    "revoking a key": (("ACCEPTED", 0), lambda c: [revoke_key(c.system_signers["planning"])]),
    "revoking nobody's key": (("UNKNOWN_KEY", 0), lambda c: [revoke_key(c.signer("new"))]),
    "revoking no key": (("UNKNOWN_KEY", 0), lambda c: [pb.Operation(revoke_key=pb.RevokeKey())]),
    "revoking another department's key": (("UNKNOWN_KEY", 0), lambda c: [revoke_key(c.system_signers["tax"])]),
    "revoking another department's revoked key": (("UNKNOWN_KEY", 0), lambda c: [revoke_key(c.signer("tax revoked"))]),
    "revoking a replica's key": (("UNKNOWN_KEY", 0), lambda c: [revoke_key(c.replica_signers[ReplicaId(2)])]),
    "revoking a revoked key": (("REVOKED_KEY", 0), lambda c: [revoke_key(c.signer("revoked"))]),
    "revoking a revoked admin key": (("REVOKED_KEY", 0), lambda c: [revoke_key(c.signer("revoked admin"))]),
    "revoking a key twice": (("REVOKED_KEY", 1), lambda c: [revoke_key(c.system_signers["planning"])] * 2),
    "revoking the last admin key": (("LAST_ADMIN_KEY", 0), lambda c: [revoke_key(c.admin_signers["planning"])]),
    "revoking the last admin key before another is added": (
        ("LAST_ADMIN_KEY", 0),
        lambda c: [revoke_key(c.admin_signers["planning"]), add_key(c.signer("new"), ADMIN)],
    ),
    "revoking the last admin key after a system key is added": (
        ("LAST_ADMIN_KEY", 1),
        lambda c: [add_key(c.signer("new")), revoke_key(c.admin_signers["planning"])],
    ),
    "replacing the last admin key, which signs": (
        ("ACCEPTED", 0),
        lambda c: [add_key(c.signer("new"), ADMIN), revoke_key(c.admin_signers["planning"])],
    ),
    "adding and revoking a key": (
        ("ACCEPTED", 0),
        lambda c: [add_key(c.signer("new"), ADMIN), revoke_key(c.signer("new"))],
    ),
    "revoking both of two admin keys": (
        ("LAST_ADMIN_KEY", 2),
        lambda c: [
            add_key(c.signer("new"), ADMIN),
            revoke_key(c.signer("new")),
            revoke_key(c.admin_signers["planning"]),
        ],
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_key_operations(chain: Chain, consortium: Consortium, name: str) -> None:
    expected, operations = OPERATIONS[name]
    with_revoked_keys(chain)
    before = dict(chain.state)
    block = chain.add(consortium.transaction(operations=operations(consortium)))
    assert results(block) == [expected]
    if expected[0] == "ACCEPTED":
        check_tallies(chain)
    else:
        seen = [key for key in chain.state if key not in before]
        assert [key[:1] for key in seen] == [SEEN_PREFIX]
        assert {key for key in before if chain.state[key] != before[key]} == {POOL_KEY}


def check_tallies(chain: Chain) -> None:
    """X1: the number of active admin keys of each department."""
    keys = [state_pb2.KeyState.FromString(value) for key, value in chain.state.items() if key[:1] == b"k"]
    for department in chain.consortium.genesis.departments:
        active = [k for k in keys if k.department == department and k.role == ADMIN and not k.revoked]
        assert chain.state[admin_keys_key(department)] == len(active).to_bytes(4, "big")


def test_with_real_keys_only_admissible_ones_are_added() -> None:
    consortium = Consortium(ED25519_SHA256, n=1)
    small_order = (1).to_bytes(32, "little")
    block = consortium.chain().add(
        consortium.transaction(operations=[add_key(small_order)], nonce=1),
        consortium.transaction(operations=[add_key(b"\xff" * 32)], nonce=2),
        consortium.transaction(operations=[add_key(consortium.signer("new"))], nonce=3),
    )
    assert results(block) == [("BAD_KEY", 0), ("BAD_KEY", 0), ("ACCEPTED", 0)]


def test_a_key_change_holds_from_the_next_transaction_on(chain: Chain, consortium: Consortium) -> None:
    new, old = consortium.signer("new"), consortium.system_signers["planning"]
    block = chain.add(
        consortium.transaction([consortium.record(1)], signer=new, nonce=1),
        consortium.transaction(operations=[add_key(new), revoke_key(old)], nonce=2),
        consortium.transaction([consortium.record(2)], signer=new, nonce=3),
        consortium.transaction([consortium.record(3)], signer=old, nonce=4),
        consortium.transaction([consortium.record(4)], department="tax", signer=new, nonce=5),
    )
    codes = ["UNKNOWN_KEY", "ACCEPTED", "ACCEPTED", "REVOKED_KEY", "UNKNOWN_KEY"]
    assert results(block) == [(code, 0) for code in codes]
    registered = read_key(chain.state, new.public_key)
    assert registered is not None
    assert (registered.department, registered.role, registered.revoked) == ("planning", SYSTEM, False)
