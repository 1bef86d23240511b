"""Execution: what a batch makes of the state and the block (docs/protocol.md section 4)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huzheng.v1 import block_pb2, genesis_pb2, state_pb2

from ledger.block import ExecutedBlock
from ledger.building import BuiltRecord
from ledger.crypto import ED25519_SHA256, Domain, ReplicaId, Signer
from ledger.execution import batch_of_block, execute, precheck
from ledger.genesis import Parameters
from ledger.published import Published
from ledger.state import POOL_KEY, SEEN_PREFIX, admin_keys_key
from ledger.transaction import check_transaction
from tests.builders import START_MS, Chain, Consortium
from tests.chains import mixed_chain
from tests.naive import ledger as naive
from tests.naive import merkle as naive_merkle
from tests.outcomes import ADMIN, add_key, one, results, revoke_key, unchecked_batch, with_revoked_keys

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return Consortium()


@pytest.fixture
def chain(consortium: Consortium) -> Chain:
    return consortium.chain()


def test_a_lifetime_too_long_is_refused(chain: Chain, consortium: Consortium) -> None:
    now_ms, longest_ms = consortium.now_ms, consortium.genesis.parameters.max_lifetime_ms
    just = consortium.transaction([consortium.record()], expires_ms=now_ms + longest_ms)
    beyond = consortium.transaction([consortium.record(2)], expires_ms=now_ms + longest_ms + 1)
    block = chain.add_batch(unchecked_batch(consortium, now_ms, just, beyond))
    assert results(block) == [("ACCEPTED", 0), ("LIFETIME_TOO_LONG", 0)]


def test_a_transaction_expires_with_the_block_time_that_reaches_its_expiry(
    chain: Chain, consortium: Consortium
) -> None:
    now_ms = consortium.now_ms
    last = consortium.transaction([consortium.record()], expires_ms=now_ms + 1)
    over = consortium.transaction([consortium.record(2)], expires_ms=now_ms)
    assert results(chain.add(last, over)) == [("ACCEPTED", 0), ("EXPIRED", 0)]


def test_block_time_counts_for_expiry_not_the_batch_s(chain: Chain, consortium: Consortium) -> None:
    chain.add(time_ms=consortium.now_ms + 10_000)
    late = consortium.transaction([consortium.record()], expires_ms=consortium.now_ms + 5_000)
    assert one(chain, late, time_ms=consortium.now_ms) == ("EXPIRED", 0)


@pytest.mark.parametrize("first_code", ["ACCEPTED", "UNKNOWN_KEY", "VERSION_CONFLICT"])
def test_a_repeat_is_refused_whatever_became_of_the_first(
    chain: Chain, consortium: Consortium, first_code: str
) -> None:
    record = consortium.record()
    raw = {
        "ACCEPTED": consortium.transaction([record]),
        "UNKNOWN_KEY": consortium.transaction([record], signer=consortium.signer("stranger")),
        "VERSION_CONFLICT": consortium.transaction([consortium.record(1, 2, record.id)]),
    }[first_code]
    assert one(chain, raw) == (first_code, 0)
    chain.add(consortium.transaction([record], nonce=1))  # version 2 would be right now
    block = chain.add(raw)
    assert results(block) == [("REPEATED", 0)]
    assert block.changes == {}
    assert one(chain, raw, time_ms=consortium.now_ms + 60_000) == ("EXPIRED", 0)


def test_what_expired_or_was_a_repeat_leaves_no_seen_id(chain: Chain, consortium: Consortium) -> None:
    now_ms = consortium.now_ms
    expired = consortium.transaction([consortium.record()], expires_ms=now_ms)
    long_lived = consortium.transaction([consortium.record()], expires_ms=now_ms + 2 * 3_600_000, nonce=1)
    block = chain.add_batch(unchecked_batch(consortium, now_ms, expired, long_lived))
    assert results(block) == [("EXPIRED", 0), ("LIFETIME_TOO_LONG", 0)]
    assert block.changes == {}


SIGNERS: dict[str, tuple[str, Callable[[Consortium], Signer]]] = {
    "nobody's key": ("UNKNOWN_KEY", lambda c: c.signer("stranger")),
    "another department's key": ("UNKNOWN_KEY", lambda c: c.system_signers["tax"]),
    "another department's revoked key": ("UNKNOWN_KEY", lambda c: c.signer("tax revoked")),
    "a replica's key": ("UNKNOWN_KEY", lambda c: c.replica_signers[ReplicaId(1)]),
    "a revoked key": ("REVOKED_KEY", lambda c: c.signer("revoked")),
    "a revoked key of the wrong role": ("REVOKED_KEY", lambda c: c.signer("revoked admin")),
    "a key of the wrong role": ("KEY_NOT_ALLOWED", lambda c: c.admin_signers["planning"]),
}


@pytest.mark.parametrize("name", SIGNERS)
def test_a_key_that_may_not_sign_is_refused(chain: Chain, consortium: Consortium, name: str) -> None:
    code, signer = SIGNERS[name]
    raw = consortium.transaction([consortium.record()], signer=signer(consortium))
    assert one(with_revoked_keys(chain), raw) == (code, 0)


def test_a_department_that_does_not_exist_has_no_keys(chain: Chain, consortium: Consortium) -> None:
    raw = consortium.transaction([consortium.record()], department="navy", signer=consortium.system_signers["planning"])
    assert one(chain, raw) == ("UNKNOWN_KEY", 0)


def test_a_system_key_changes_no_keys_and_no_key_does_both(chain: Chain, consortium: Consortium) -> None:
    new = add_key(consortium.signer("new"))
    system, admin = consortium.system_signers["planning"], consortium.admin_signers["planning"]
    block = chain.add(
        consortium.transaction(operations=[new], signer=system, nonce=1),
        consortium.transaction([consortium.record()], [new], signer=system, nonce=2),
        consortium.transaction([consortium.record()], [new], signer=admin, nonce=3),
    )
    assert results(block) == [("KEY_NOT_ALLOWED", 0)] * 3


def test_of_several_reasons_the_first_in_the_table_counts(chain: Chain, consortium: Consortium) -> None:
    """Rules 1 to 5: each transaction breaks the rule it is named after and the ones after it."""
    with_revoked_keys(chain)
    now_ms, bad = consortium.now_ms, [consortium.odd_record(resource="nothing")]
    stranger, revoked = consortium.signer("stranger"), consortium.signer("revoked admin")
    forever_ms = now_ms + 2 * consortium.genesis.parameters.max_lifetime_ms
    repeated = consortium.transaction(bad, signer=stranger, nonce=4)
    assert one(chain, repeated) == ("UNKNOWN_KEY", 0)
    block = chain.add_batch(
        unchecked_batch(
            consortium,
            now_ms,
            consortium.transaction(bad, signer=stranger, expires_ms=forever_ms, nonce=1),
            consortium.transaction(bad, signer=stranger, expires_ms=now_ms, nonce=2),
            repeated,
            consortium.transaction(bad, signer=consortium.admin_signers["tax"], nonce=3),
            consortium.transaction(bad, signer=revoked, nonce=5),
            consortium.transaction(bad, signer=consortium.admin_signers["planning"], nonce=6),
            consortium.transaction(bad, nonce=7),
        )
    )
    codes = ["LIFETIME_TOO_LONG", "EXPIRED", "REPEATED", "UNKNOWN_KEY", "REVOKED_KEY", "KEY_NOT_ALLOWED"]
    assert results(block) == [(code, 0) for code in [*codes, "UNKNOWN_RESOURCE"]]


# Seen ids: X4.


def seen_in(chain: Chain) -> list[bytes]:
    return sorted(key for key in chain.state if key[:1] == SEEN_PREFIX)


def test_seen_ids_are_dropped_oldest_first_and_so_many_a_block() -> None:
    consortium = Consortium(parameters=Parameters(max_batch_transactions=1))
    chain, start_ms = consortium.chain(), consortium.now_ms
    for nonce, seconds in enumerate([30, 10, 20, 20, 20, 40]):
        raw = consortium.transaction([consortium.record(nonce)], expires_ms=start_ms + seconds * 1_000, nonce=nonce)
        assert one(chain, raw) == ("ACCEPTED", 0)
    seen = seen_in(chain)
    assert [int.from_bytes(key[1:9], "big") - start_ms for key in seen] == [10_000, *[20_000] * 3, 30_000, 40_000]
    assert chain.add(time_ms=start_ms + 9_999).changes == {}
    for proposed_ms, dropped in ((10_000, 1), (30_000, 2), (30_000, 2), (30_000, 0)):
        block = chain.add(time_ms=start_ms + proposed_ms)
        assert {key: None for key in block.changes if key != POOL_KEY} == dict.fromkeys(seen[:dropped])
        assert (POOL_KEY in block.changes) == bool(dropped)
        del seen[:dropped]
    chain.add(time_ms=start_ms + 40_000)
    assert seen_in(chain) == []


def test_the_null_batch_drops_what_is_left_over() -> None:
    consortium = Consortium(parameters=Parameters(max_batch_transactions=1))
    chain = consortium.chain()
    for nonce in range(3):
        chain.add(consortium.transaction([consortium.record(nonce)], nonce=nonce))
    chain.add(time_ms=consortium.now_ms + 60_000)
    assert len(seen_in(chain)) == 1
    assert [key[:1] for key in chain.add_null().changes] == [SEEN_PREFIX, POOL_KEY]
    assert seen_in(chain) == []


def test_a_repeat_is_known_until_its_id_is_dropped_and_expired_from_then_on(
    chain: Chain, consortium: Consortium
) -> None:
    raw = consortium.transaction([consortium.record()], expires_ms=consortium.now_ms + 10)
    ends = [one(chain, raw, consortium.now_ms + later_ms) for later_ms in (0, 9, 10, 11)]
    assert [code for code, _ in ends] == ["ACCEPTED", "REPEATED", "EXPIRED", "EXPIRED"]


# Block time and header: X2, X6, X7.


def header_of(block: ExecutedBlock) -> block_pb2.BlockHeader:
    return block_pb2.BlockHeader.FromString(block.header)


def test_block_time_never_runs_backwards_and_the_null_block_has_its_parent_s(
    chain: Chain, consortium: Consortium
) -> None:
    proposed = [START_MS - 1, START_MS + 5, START_MS + 3, START_MS + 5, START_MS + 6]
    blocks = [chain.add(time_ms=time_ms, proposer=3) for time_ms in proposed]
    assert [block.time_ms - START_MS for block in blocks] == [0, 5, 5, 5, 6]
    assert {header_of(block).proposer for block in blocks} == {3}
    null = header_of(chain.add_null())
    assert (null.time_ms, null.proposer, null.transaction_count) == (START_MS + 6, 0, 0)


def test_a_header_without_proposer_cannot_set_the_clock_forward(chain: Chain, consortium: Consortium) -> None:
    header = block_pb2.BlockHeader(proposer=0, time_ms=chain.tip.time_ms + 1)
    assert chain.add_batch(batch_of_block(header, ())).time_ms == START_MS


def test_the_latest_time_there_is_can_be_executed(chain: Chain, consortium: Consortium) -> None:
    assert one(chain, consortium.transaction([consortium.record()])) == ("ACCEPTED", 0)
    block = chain.add(time_ms=253_402_300_799_999)
    assert [value for key, value in block.changes.items() if key != POOL_KEY] == [None]


def test_every_header_is_what_the_rules_say() -> None:
    consortium = Consortium(ED25519_SHA256)
    chain = mixed_chain(consortium)
    raw = consortium.genesis.raw
    empty, state, hashes = naive_merkle.root([]), dict[bytes, bytes](), list[bytes]()
    time_ms, parent = START_MS, bytes(32)
    for height, block in enumerate(chain.blocks):
        pool = state.get(b"j", bytes(32))
        given = {key: value for key, value in block.changes.items() if key != b"j"}
        assert naive.settle(pool, given) == block.changes
        state = {key: value for key, value in (state | dict(block.changes)).items() if value is not None}
        proposer = {0: 0, 5: 0}.get(height, height)
        offset_ms = [0, 1_000, 1_000, 3_000, 61_000, 61_000][height]
        assert header_of(block) == block_pb2.BlockHeader(
            chain_id=naive.tagged_hash("genesis", raw),
            height=height,
            parent_hash=parent,
            epoch=0,
            proposer=proposer,
            time_ms=time_ms + offset_ms,
            protocol_version=3,
            transaction_count=len(block.transactions),
            transactions_root=naive_merkle.root(
                [naive.tagged_hash("transaction", item.body_raw) for item in block.transactions]
            ),
            results_root=naive_merkle.root([naive.tagged_hash("result", result) for result in block.results]),
            state_root=naive.state_root(state),
            history_root=naive_merkle.root(hashes) if hashes else empty,
        )
        parent = naive.tagged_hash("block", block.header)
        assert block.block_hash == parent
        hashes.append(parent)
    assert state == dict(chain.state)


def test_the_genesis_block_sets_catalogue_keys_and_tallies(consortium: Consortium) -> None:
    block, genesis = consortium.chain().blocks[0], genesis_pb2.Genesis.FromString(consortium.genesis.raw)
    expected = naive.initial_catalogue(genesis)
    for department in genesis.departments:
        expected[b"n" + department.id.encode()] = bytes([0, 0, 0, 1])
        for key in department.keys:
            state = state_pb2.KeyState(department=department.id, role=key.role)
            expected[b"k" + key.public_key] = state.SerializeToString(deterministic=True)
    assert block.changes == expected
    assert list(block.changes) == sorted(expected)


def test_changes_are_in_ascending_order_of_keys(consortium: Consortium) -> None:
    for block in mixed_chain(consortium).blocks:
        assert list(block.changes) == sorted(block.changes)


def test_a_key_that_is_set_to_the_value_it_had_is_a_change(chain: Chain, consortium: Consortium) -> None:
    new = consortium.signer("new")
    block = chain.add(consortium.transaction(operations=[add_key(new, ADMIN), revoke_key(new)]))
    assert block.changes[admin_keys_key("planning")] == bytes([0, 0, 0, 1])


def test_executing_changes_neither_the_state_nor_the_parent(chain: Chain, consortium: Consortium) -> None:
    before, history = dict(chain.state), chain.tip.history.root()
    batch = unchecked_batch(consortium, consortium.now_ms, consortium.transaction([consortium.record()]))
    blocks = [execute(consortium.genesis, chain.state, chain.tip, batch) for _ in range(2)]
    assert blocks[0].header == blocks[1].header
    assert (dict(chain.state), chain.tip.history.root()) == (before, history)


def test_hashes_do_not_hang_on_the_order_of_sets_or_on_locale() -> None:
    program = (
        "from tests.builders import Consortium; from tests.chains import mixed_chain\n"
        "for block in mixed_chain(Consortium()).blocks: print(block.block_hash.hex())"
    )
    found = set()
    for seed, zone, language in (("0", "UTC", "C"), ("1", "Asia/Shanghai", "zh_CN.UTF-8"), ("4242", "EST", "C.UTF-8")):
        settings = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language, "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}"}
        command = [sys.executable, "-c", program]
        run = subprocess.run(command, env=os.environ | settings, capture_output=True, check=True, timeout=60, cwd=ROOT)
        found.add(run.stdout)
    assert found == {"".join(f"{b.block_hash.hex()}\n" for b in mixed_chain(Consortium()).blocks).encode()}


# What an entry node asks beforehand.


def test_precheck_tells_what_execution_would_and_changes_nothing(chain: Chain, consortium: Consortium) -> None:
    with_revoked_keys(chain)
    records: list[BuiltRecord] = [
        consortium.record(),
        consortium.odd_record(schema_version=9),
        consortium.record(2, 2, bytes(32)),
    ]
    for record in records:
        raw = consortium.transaction([consortium.record(5), record])
        transaction = check_transaction(raw, consortium.genesis)
        before = dict(chain.state)
        outcome = precheck(
            consortium.genesis, chain.state, Published(consortium.genesis, chain.state), transaction, consortium.now_ms
        )
        assert dict(chain.state) == before
        block = chain.add(raw)
        assert (outcome.code, outcome.index) == (block.codes[0], results(block)[0][1])
        assert outcome.accepted == (results(block)[0][0] == "ACCEPTED")
        chain = with_revoked_keys(consortium.chain())


def test_the_result_s_hash_is_in_the_domain_of_results(chain: Chain, consortium: Consortium) -> None:
    block = chain.add(consortium.transaction([consortium.record()]))
    leaf = consortium.suite.digest(Domain.RESULT, block.results[0])
    assert header_of(block).results_root == consortium.suite.plain_hash(b"\0" + leaf)
