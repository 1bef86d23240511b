"""Changes of the membership: what is refused, what an accepted one makes, from which block on (docs/protocol.md M1 to M7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from huzheng.v1 import block_pb2, genesis_pb2
from huzheng.v1 import membership_pb2 as pb
from huzheng.v1 import transaction_pb2 as tx

from ledger.block import ExecutedBlock, read_header
from ledger.chain_check import verify_chain
from ledger.crypto import Height, quorum, strict
from ledger.epochs import has_department, last_height, newest_epoch
from ledger.errors import Code, HuzhengError
from ledger.execution import execute
from ledger.membership_change import approve, build_change, change_operation
from ledger.receipt import verify_receipt
from ledger.rules import RULES, Rules
from ledger.store import ChainStore, Place, RecordPlace
from ledger.transaction import check_batch, check_transaction
from node.change_file import add_approval, write_change
from node.receipts import record_receipt, transaction_receipt
from tests.builders import Chain, Consortium
from tests.memberships import (
    APPROVERS,
    WINDOW,
    activate,
    add,
    add_department,
    carry_out,
    change_transaction,
    changeable,
    grow_to,
    rekey,
    remove,
    stored,
    terms_at,
)
from tests.outcomes import results, revoke_key

Actions = Callable[[Consortium], Sequence[pb.MembershipAction]]


def one(block: ExecutedBlock) -> tuple[str, int]:
    """How the only transaction of a block ended."""
    (ended,) = results(block)
    return ended


@pytest.fixture
def chain() -> Chain:
    return changeable().chain()


REFUSED: dict[str, tuple[int, Actions, tuple[str, int]]] = {
    "replica id of a member": (4, lambda c: [add(c, 4, key="new")], ("BAD_REPLICA", 0)),
    "replica id below one in use": (4, lambda c: [add(c, 6), add(c, 5)], ("BAD_REPLICA", 1)),
    "replica of no department": (4, lambda c: [add(c, 5, "water")], ("BAD_DEPARTMENT", 0)),
    "no such replica to remove": (5, lambda c: [remove(9)], ("BAD_REPLICA", 0)),
    "replica added and removed": (5, lambda c: [add(c, 6), remove(6)], ("BAD_REPLICA", 1)),
    "replica removed twice": (7, lambda c: [remove(1), remove(1)], ("BAD_REPLICA", 1)),
    "key for a replica of another department": (4, lambda c: [rekey(c, 1, "tax", "new")], ("BAD_REPLICA", 0)),
    "key for no replica": (4, lambda c: [rekey(c, 9, "tax", "new")], ("BAD_REPLICA", 0)),
    "key of a replica": (4, lambda c: [add(c, 5, key="replica 1")], ("KEY_EXISTS", 0)),
    "the key it has": (4, lambda c: [rekey(c, 1, "housing", "replica 1")], ("KEY_EXISTS", 0)),
    "key of a department": (4, lambda c: [add(c, 5, key="tax admin")], ("KEY_EXISTS", 0)),
    "one key for two": (5, lambda c: [add(c, 6, key="x"), add(c, 7, key="x")], ("KEY_EXISTS", 1)),
    "department that is there": (4, lambda c: [add_department(c, "tax", "new")], ("BAD_DEPARTMENT", 0)),
    "department with another's key": (4, lambda c: [add_department(c, key="tax admin")], ("KEY_EXISTS", 0)),
    "three of four": (4, lambda c: [remove(4)], ("TOO_FEW_REPLICAS", 0)),
    "seven of four at once": (4, lambda c: [add(c, 5), add(c, 6), add(c, 7)], ("TOO_MUCH_AT_ONCE", 0)),
    "two keys of four": (
        4,
        lambda c: [rekey(c, 1, "housing", "x"), rekey(c, 2, "planning", "y")],
        ("TOO_MUCH_AT_ONCE", 0),
    ),
    "257 replicas": (256, lambda c: [add(c, 257)], ("TOO_MANY_REPLICAS", 0)),
    "the version in force": (4, lambda c: [activate(3)], ("BAD_VERSION", 0)),
    "a version left out": (4, lambda c: [activate(5)], ("BAD_VERSION", 0)),
}


@pytest.mark.parametrize(("n", "actions", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_change_that_breaks_a_rule_is_refused_and_changes_nothing(
    n: int, actions: Actions, expected: tuple[str, int]
) -> None:
    consortium = changeable(n)
    chain = consortium.chain()
    block = chain.add(change_transaction(consortium, *actions(consortium)))
    assert one(block) == expected
    assert newest_epoch(consortium.genesis, chain.state).epoch == 0
    assert [key for key in block.changes if key[:1] in b"edkn"] == []


def test_the_quorum_is_of_departments_that_run_a_replica(chain: Chain) -> None:
    consortium = chain.consortium
    few = change_transaction(consortium, add(consortium, 5), approvers=("housing", "police"))
    assert one(chain.add(few)) == ("NOT_APPROVED", 2)
    enough = change_transaction(consortium, add(consortium, 5), nonce=901)
    assert one(chain.add(enough)) == ("ACCEPTED", 0)


def test_seven_replicas_of_four_departments_have_four_voices() -> None:
    consortium = changeable(7)
    assert one(consortium.chain().add(change_transaction(consortium, add(consortium, 8)))) == ("ACCEPTED", 0)


def test_no_key_but_an_admin_s_that_is_not_revoked_approves(chain: Chain) -> None:
    consortium = chain.consortium
    second = consortium.signer("tax second")
    chain.add(
        consortium.transaction(
            operations=[
                tx.Operation(add_key=tx.AddKey(key={"public_key": second.public_key, "role": 2})),  # type: ignore[arg-type]
                revoke_key(consortium.admin_signers["tax"]),
            ],
            department="tax",
        )
    )
    revoked = change_transaction(consortium, add(consortium, 5), approvers=("housing", "planning", "tax"))
    assert one(chain.add(revoked)) == ("NOT_APPROVED", 2)
    stranger = change_transaction(consortium, add(consortium, 5), approvers=("housing", "planning", "water"), nonce=901)
    assert one(chain.add(stranger)) == ("NOT_APPROVED", 2)


def test_an_approval_counts_only_in_the_name_of_the_key_s_department_and_if_it_runs_a_replica(chain: Chain) -> None:
    consortium = chain.consortium
    joining = change_transaction(consortium, add_department(consortium))
    assert one(chain.add(joining)) == ("ACCEPTED", 0)
    grow_to(chain, chain.tip.height + WINDOW)
    signers = {name: consortium.signer(f"{name} admin") for name in (*APPROVERS, "tax", "water")}
    cases = {
        "by a system key": ({"tax": consortium.system_signers["tax"]}, 2),
        "in another's name": ({"tax": signers["housing"]}, 2),
        "without a replica": ({"water": signers["water"]}, 2),
    }
    for nonce, (name, (odd, index)) in enumerate(cases.items()):
        change = build_change(consortium.genesis, 1, consortium.now_ms + 1, [remove(4), add(consortium, 9, key=name)])
        signing = {department: signers[department] for department in ("housing", "planning")} | odd
        approvals = [approve(change, department, signer) for department, signer in signing.items()]
        raw = consortium.transaction(operations=[change_operation(change, approvals)], nonce=700 + nonce)
        assert one(chain.add(raw)) == ("NOT_APPROVED", index), name


def test_nobody_enters_a_key_without_having_it_or_under_another_id_or_department() -> None:
    consortium = changeable()
    proven = add(consortium, 5).add_replica
    for fields in ({"id": 6, "department": "tax"}, {"id": 5, "department": "police"}):
        public_key = consortium.signer("replica 5").public_key
        other = genesis_pb2.Replica(public_key=public_key, **fields)  # type: ignore[arg-type]
        stolen = pb.MembershipAction(add_replica=pb.SeatReplica(replica=strict.write(other), proof=proven.proof))
        for action in (stolen, pb.MembershipAction(replace_key=stolen.add_replica)):
            with pytest.raises(HuzhengError) as caught:
                build_change(consortium.genesis, 0, consortium.now_ms + 1, [action])
            assert (caught.value.code, caught.value.detail) == (Code.BAD_SIGNATURE, "a replica's proof of its key")


def test_a_change_is_good_for_its_epoch_and_its_time_alone(chain: Chain) -> None:
    consortium = chain.consortium
    early = change_transaction(consortium, add(consortium, 5), epoch=1)
    late = change_transaction(consortium, add(consortium, 5), expires_ms=consortium.now_ms, nonce=901)
    first = change_transaction(consortium, add(consortium, 5), nonce=902)
    assert one(chain.add(early)) == ("WRONG_EPOCH", 0)
    assert one(chain.add(late)) == ("CHANGE_EXPIRED", 0)
    assert one(chain.add(first)) == ("ACCEPTED", 0)
    grow_to(chain, chain.tip.height + WINDOW)
    again = change_transaction(consortium, add(consortium, 5), nonce=903)
    assert one(chain.add(again)) == ("WRONG_EPOCH", 0)


def test_while_one_change_waits_no_other_is_accepted(chain: Chain) -> None:
    consortium = chain.consortium
    assert one(chain.add(change_transaction(consortium, add(consortium, 5)))) == ("ACCEPTED", 0)
    for epoch in (0, 1):
        other = change_transaction(consortium, add(consortium, 6), epoch=epoch, nonce=910)
        assert one(chain.add(other)) == ("CHANGE_PENDING", 0)


def test_a_change_in_block_h_is_in_force_from_h_plus_w_plus_1_on(chain: Chain) -> None:
    consortium = chain.consortium
    genesis = consortium.genesis
    changed = chain.add(change_transaction(consortium, add(consortium, 5))).height
    grow_to(chain, changed + WINDOW + 2)
    epochs = {block.height: read_header(block.header).epoch for block in chain.blocks}
    assert [h for h, epoch in epochs.items() if epoch == 1] == [changed + WINDOW + 1, changed + WINDOW + 2]
    assert terms_at(chain, changed + WINDOW).membership == genesis.membership
    terms = terms_at(chain, changed + WINDOW + 1)
    assert [member.replica for member in terms.membership.members] == [1, 2, 3, 4, 5]
    assert last_height(genesis, chain.state, terms_at(chain, 0)) == changed + WINDOW
    assert last_height(genesis, chain.state, terms) is None


def test_a_department_that_joins_signs_and_consents(chain: Chain) -> None:
    consortium = chain.consortium
    joining = [add_department(consortium), add(consortium, 5, "water")]
    assert one(chain.add(change_transaction(consortium, *joining))) == ("ACCEPTED", 0)
    assert has_department(consortium.genesis, chain.state, "water")
    grow_to(chain, chain.tip.height + WINDOW)
    later = change_transaction(
        consortium, remove(1), epoch=1, approvers=("housing", "planning", "police", "water"), nonce=920
    )
    assert one(chain.add(later)) == ("ACCEPTED", 0)


def test_an_id_is_never_used_again(chain: Chain) -> None:
    consortium = chain.consortium
    carry_out(chain, [add(consortium, 5)], [remove(5)])
    again = change_transaction(consortium, add(consortium, 5, key="new"), epoch=2)
    assert one(chain.add(again)) == ("BAD_REPLICA", 0)


def test_a_consensus_key_signs_no_transaction_and_never_becomes_a_department_s(chain: Chain) -> None:
    consortium = chain.consortium
    carry_out(chain, [add(consortium, 5)])
    signer = consortium.signer("replica 5")
    signed = consortium.transaction([consortium.record(9)], department="tax", signer=signer, nonce=50)
    assert one(chain.add(signed)) == ("KEY_NOT_ALLOWED", 0)
    entered = tx.Operation(add_key=tx.AddKey(key={"public_key": signer.public_key, "role": 1}))  # type: ignore[arg-type]
    assert one(chain.add(consortium.transaction(operations=[entered], nonce=51))) == ("KEY_EXISTS", 0)
    ended = consortium.transaction(operations=[revoke_key(signer)], department="tax", nonce=52)
    assert one(chain.add(ended)) == ("UNKNOWN_KEY", 0)


# --- form ---


def broken(consortium: Consortium, name: str) -> bytes:
    """A change with one thing wrong that can be seen without any state."""
    good = tx.TransactionBody.FromString(
        tx.Transaction.FromString(change_transaction(consortium, add(consortium, 5))).body
    )
    operation = good.operations[0].change_membership
    change = pb.MembershipChange.FromString(operation.change)
    if name == "approval of another change":
        change.expires_ms += 1
        operation.change = strict.write(change)
    elif name == "approvals out of order":
        approvals = list(operation.approvals)
        del operation.approvals[:]
        operation.approvals.extend(reversed(approvals))
    elif name == "department twice":
        operation.approvals.append(operation.approvals[-1])
    elif name == "no approvals":
        del operation.approvals[:]
    elif name == "change of another chain":
        change.chain_id = bytes(32)
        operation.change = strict.write(change)
    elif name == "no action":
        del change.actions[:]
        operation.change = strict.write(change)
    elif name == "proof by another key":
        change.actions[0].add_replica.proof = bytes(64)
        operation.change = strict.write(change)
    elif name == "another operation beside it":
        return consortium.transaction(operations=[*good.operations, revoke_key(consortium.signer("x"))])
    return consortium.transaction(operations=list(good.operations))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("approval of another change", Code.BAD_SIGNATURE),
        ("approvals out of order", Code.MALFORMED_TRANSACTION),
        ("department twice", Code.MALFORMED_TRANSACTION),
        ("no approvals", Code.MALFORMED_TRANSACTION),
        ("change of another chain", Code.WRONG_CHAIN),
        ("no action", Code.MALFORMED_TRANSACTION),
        ("proof by another key", Code.BAD_SIGNATURE),
        ("another operation beside it", Code.MALFORMED_TRANSACTION),
    ],
)
def test_a_change_of_the_wrong_form_is_not_well_formed(name: str, code: Code) -> None:
    consortium = changeable()
    with pytest.raises(HuzhengError) as caught:
        check_transaction(broken(consortium, name), consortium.genesis)
    assert caught.value.code is code


def test_limits_of_a_change() -> None:
    consortium = changeable()
    for actions in ([], [remove(1)] * 17, [add_department(consortium, "Water")]):
        with pytest.raises(HuzhengError) as caught:
            build_change(consortium.genesis, 0, 1, actions)
        assert caught.value.code is Code.MALFORMED_TRANSACTION
    operation = change_operation(bytes(33 * 1024), [])
    with pytest.raises(HuzhengError) as caught:
        check_transaction(consortium.transaction(operations=[operation]), consortium.genesis)
    assert "32768" in caught.value.detail


# --- stored chains and receipts ---


def long_chain() -> Chain:
    """Four replicas become five, then seven, then ten; one gets a new key; then they shrink to four."""
    consortium = changeable()
    chain = consortium.chain()
    carry_out(
        chain,
        [add(consortium, 5)],
        [add(consortium, 6), add(consortium, 7)],
        [add(consortium, 8), add(consortium, 9), add(consortium, 10)],
        [rekey(consortium, 2, "planning", "planning's second")],
        [remove(1), remove(3), remove(5), remove(7)],
        [remove(6), remove(8)],
    )
    return chain


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, ChainStore]:
    chain = long_chain()
    return chain, stored(tmp_path_factory.mktemp("grown") / "db", chain)


def test_certificates_are_of_each_block_s_own_epoch(grown: tuple[Chain, ChainStore]) -> None:
    _, store = grown
    sizes: list[int] = []
    for height in range(1, store.tip.height + 1):
        membership = store.membership_at(Height(height))
        seals = strict.read(block_pb2.Certificate, store.certificate(Height(height))).seals
        assert len(seals) == quorum(membership.n)
        if height == 1 or membership.epoch != store.membership_at(Height(height - 1)).epoch:
            sizes.append(membership.n)
    assert sizes == [4, 5, 7, 10, 10, 6, 4]


def test_receipts_of_every_epoch_verify_with_the_genesis_alone(grown: tuple[Chain, ChainStore]) -> None:
    chain, store = grown
    genesis = chain.consortium.genesis
    seen = set()
    for block in chain.blocks[1:]:
        for index, transaction in enumerate(block.transactions):
            raw = transaction_receipt(genesis, store, Place(block.height, index))
            verdict = verify_receipt(raw, genesis)
            assert (verdict.height, verdict.transaction_id) == (block.height, transaction.id)
            assert len(strict.read(block_pb2.Receipt, raw).epochs) == verdict.epoch
            seen.add(verdict.epoch)
            if transaction.records:
                record = verify_receipt(record_receipt(genesis, store, RecordPlace(block.height, index, 0)), genesis)
                assert record.record_id == transaction.records[0].id
    assert seen == set(range(7))


def newest_receipt(grown: tuple[Chain, ChainStore]) -> block_pb2.Receipt:
    chain, store = grown
    raw = transaction_receipt(chain.consortium.genesis, store, Place(store.tip.height, 0))
    return strict.read(block_pb2.Receipt, raw)


def test_a_path_of_epochs_with_one_left_out_put_in_or_altered_proves_nothing(grown: tuple[Chain, ChainStore]) -> None:
    genesis = grown[0].consortium.genesis
    receipt = newest_receipt(grown)
    path = list(receipt.epochs)

    def refused(epochs: Sequence[block_pb2.EpochProof]) -> Code:
        altered = block_pb2.Receipt.FromString(strict.write(receipt))
        del altered.epochs[:]
        altered.epochs.extend(epochs)
        with pytest.raises(HuzhengError) as caught:
            verify_receipt(strict.write(altered), genesis)
        return caught.value.code

    assert refused([]) is Code.EPOCH_UNKNOWN
    assert refused(path[:-1]) is Code.EPOCH_UNKNOWN
    assert refused(path[1:]) is Code.EPOCH_UNKNOWN
    assert refused([*path, path[-1]]) is Code.EPOCH_UNKNOWN
    assert refused([path[1], path[0], *path[2:]]) is Code.EPOCH_UNKNOWN
    for field in ("header", "certificate", "body", "result"):
        proof = block_pb2.EpochProof.FromString(strict.write(path[2]))
        value = bytearray(getattr(proof, field))
        value[-1] ^= 1
        setattr(proof, field, bytes(value))
        assert refused([*path[:2], proof, *path[3:]]) in (Code.BAD_PROOF, Code.BAD_CERTIFICATE, Code.NOT_STRICT)


def test_members_of_an_epoch_that_is_over_prove_nothing_later(grown: tuple[Chain, ChainStore]) -> None:
    chain, _ = grown
    genesis = chain.consortium.genesis
    receipt = newest_receipt(grown)
    block = chain.blocks[-1]
    receipt.certificate = chain.consortium.certificate(block, genesis.membership)
    with pytest.raises(HuzhengError) as caught:
        verify_receipt(strict.write(receipt), genesis)
    assert caught.value.code is Code.BAD_CERTIFICATE


def test_a_stored_chain_of_many_epochs_is_checked_from_the_genesis_alone(
    grown: tuple[Chain, ChainStore], tmp_path: Path
) -> None:
    chain, store = grown
    summary = verify_chain(store, chain.consortium.genesis, scratch_in=tmp_path)
    assert summary.height == chain.tip.height


def test_a_database_opens_whose_last_block_is_of_a_later_epoch(tmp_path: Path) -> None:
    chain = changeable().chain()
    carry_out(chain, [add(chain.consortium, 5)])
    stored(tmp_path / "db", chain).close()
    store = ChainStore.open(tmp_path / "db", chain.consortium.genesis)
    assert store.membership_at(store.tip.height).n == 5
    store.close()


# --- versions of the protocol ---


def refuses_two_operations(body: tx.TransactionBody) -> tx.ResultCode.ValueType:
    """A rule of a next version that is there for tests only."""
    return tx.RESULT_CODE_BAD_KEY if len(body.operations) > 1 else tx.RESULT_CODE_ACCEPTED


NEXT = {**RULES, 4: Rules(4, refuses=refuses_two_operations)}


def test_a_version_is_in_force_from_the_first_block_of_its_epoch_on() -> None:
    consortium = changeable(rules=NEXT)
    chain = consortium.chain()

    def two_keys(nonce: int) -> bytes:
        operations = [
            tx.Operation(
                add_key=tx.AddKey(
                    key={"public_key": consortium.signer(f"{nonce} {i}").public_key, "role": 1}  # type: ignore[arg-type]
                )
            )
            for i in range(2)
        ]
        return consortium.transaction(operations=operations, nonce=nonce)

    changed = chain.add(change_transaction(consortium, activate(4))).height
    grow_to(chain, changed + WINDOW - 1)
    assert one(chain.add(two_keys(1))) == ("ACCEPTED", 0)
    block = chain.add(two_keys(2))
    assert one(block) == ("BAD_KEY", 0)
    assert [read_header(b.header).protocol_version for b in chain.blocks[-2:]] == [3, 4]


def test_software_without_the_version_agrees_up_to_the_last_block_before_and_stops_there() -> None:
    new, old = changeable(rules=NEXT).chain(), changeable().chain()
    for chain in (new, old):
        chain.add(change_transaction(chain.consortium, activate(4)))
        grow_to(chain, 1 + WINDOW)
    assert new.tip.block_hash == old.tip.block_hash
    with pytest.raises(HuzhengError) as caught:
        old.add_null()
    assert caught.value.code is Code.PROTOCOL_UNKNOWN
    assert caught.value.detail == f"protocol version 4, in force from block {WINDOW + 2} on"
    new.add_null()
    # The same node with newer software goes on where it stopped.
    upgraded = execute(
        new.consortium.genesis, old.state, old.tip, check_batch(b"", new.consortium.genesis, lambda _: None)
    )
    assert upgraded.block_hash == new.tip.block_hash


def test_nobody_approves_a_department_whose_ca_no_node_would_rely_on(tmp_path: Path) -> None:
    """The chain does not judge it (M2)."""
    consortium = changeable()
    file = tmp_path / "change"
    write_change(file, build_change(consortium.genesis, 0, consortium.now_ms, [add_department(consortium)]))
    before = file.read_bytes()
    with pytest.raises(HuzhengError, match="CA certificate of water") as refused:
        add_approval(file, consortium.genesis, "tax", consortium.signer("tax admin"))
    assert refused.value.code is Code.TLS_FILE_INVALID
    assert file.read_bytes() == before
