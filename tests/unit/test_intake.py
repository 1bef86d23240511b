"""How transactions come in and how those who wait hear of them, with the real ledger and a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from huzheng.v1 import genesis_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.building import build_record
from ledger.errors import Code, HuzhengError
from ledger.fields.codes import citizen_id_check
from ledger.receipt import Verdict, verify_receipt
from node import grouping
from node.clock import monotonic_ms
from node.identity import Caller, Role
from node.intake import NOT_WELL_FORMED, Submission
from node.waiters import Waiters
from tests.builders import Consortium, objection_fields, unit_code
from tests.sequencer import OneReplica, until

CONSORTIUM = Consortium(n=1)
PLANNING = Caller("planning", Role.SYSTEM, "registry")
TAX = Caller("tax", Role.SYSTEM, "taxes")

Scenario = Callable[[OneReplica], Awaitable[None]]


def play(path: Path, scenario: Scenario, **limits: int) -> None:
    """Runs a scenario on a fresh node."""

    async def run() -> None:
        node = OneReplica(path, CONSORTIUM, **limits)
        try:
            async with asyncio.timeout(30):
                await scenario(node)
        finally:
            node.close()

    asyncio.run(run())


def verdict(receipt: bytes) -> Verdict:
    return verify_receipt(receipt, CONSORTIUM.genesis)


def one(number: int = 1, **changes: object) -> bytes:
    return CONSORTIUM.transaction([CONSORTIUM.record(number)], nonce=number, **changes)  # type: ignore[arg-type]


async def refusal(node: OneReplica, raw: bytes, caller: Caller = PLANNING) -> HuzhengError:
    with pytest.raises(HuzhengError) as refused:
        await node.intake.submit(raw, caller)
    assert len(node.mempool) == 0
    assert node.count("huzheng_refused", code=str(refused.value.code)) == 1
    return refused.value


async def ended(submission: Submission) -> Verdict:
    final = await submission.final
    assert final.id == submission.transaction_id
    return verdict(final.receipt)


# --- the way of a transaction ---


def test_a_transaction_is_answered_with_its_receipt_when_it_is_final(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        submission = await node.intake.submit(one(), PLANNING)
        assert [item.id for item in node.offered] == [submission.transaction_id]
        assert not submission.final.done()
        node.seal()
        proven = await ended(submission)
        assert proven.accepted
        assert (proven.height, proven.transaction_id) == (1, submission.transaction_id)
        assert len(node.mempool) == 0
        assert node.count("huzheng_taken_in", department="planning") == 1
        assert node.count("huzheng_signature_checks", result="good") == 1
        assert node.count("huzheng_results", code="ACCEPTED") == 1

    play(tmp_path, scenario)


def test_a_repeat_joins_those_who_wait_and_is_not_offered_again(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        submissions = await asyncio.gather(*(node.intake.submit(one(), PLANNING) for _ in range(20)))
        assert len(node.offered) == 1
        node.seal()
        receipts = {(await submission.final).receipt for submission in submissions}
        assert len(receipts) == 1

    play(tmp_path, scenario)


def test_a_repeat_of_what_is_final_gets_the_first_answer(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        first = await node.intake.submit(one(), PLANNING)
        node.seal()
        receipt = (await first.final).receipt
        node.now_ms += 3_600_000  # Long expired: the answer stays.
        node.seal(CONSORTIUM.transaction([CONSORTIUM.record(2)], expires_ms=node.now_ms + 1_000))
        again = await node.intake.submit(one(), PLANNING)
        assert (await again.final).receipt == receipt
        assert len(node.mempool) == 0
        assert len(node.offered) == 1

    play(tmp_path, scenario)


def test_a_repeat_of_a_refused_one_gets_the_same_refusal(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        node.seal(one(1), CONSORTIUM.transaction([CONSORTIUM.record(1)], nonce=99))
        again = await node.intake.submit(CONSORTIUM.transaction([CONSORTIUM.record(1)], nonce=99), PLANNING)
        assert (await ended(again)).refusal is Code.VERSION_CONFLICT

    play(tmp_path, scenario)


def test_one_that_was_ordered_twice_is_answered_with_its_first_result(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        submission = await node.intake.submit(one(), PLANNING)
        node.store_block(one())
        repeated = node.store_block(one())
        assert repeated.codes == (pb.RESULT_CODE_REPEATED,)
        node.intake.on_stored(repeated, b"")
        proven = await ended(submission)
        assert proven.accepted
        assert proven.height == 1

    play(tmp_path, scenario)


def test_a_block_that_comes_during_the_check_is_noticed(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        submitting = asyncio.ensure_future(node.intake.submit(one(), PLANNING))
        while not node.intake._checks._idle_groups < 4:
            await asyncio.sleep(0)
        node.seal(one())
        submission = await submitting
        assert (await ended(submission)).accepted
        assert len(node.mempool) == 0

    play(tmp_path, scenario)


def test_who_leaves_while_some_of_many_are_checked_waits_for_none_of_the_others(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        pending = await node.intake.submit(one(1), PLANNING)
        leaving = asyncio.ensure_future(node.intake.submit_all([one(1), one(2)], PLANNING))
        await asyncio.sleep(0)
        assert len(node.intake._waiters) == 2
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await asyncio.sleep(0)
        assert len(node.intake._waiters) == 1
        pending.final.cancel()

    play(tmp_path, scenario)


def test_many_at_once_are_all_answered_and_checked_once(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        sealing = asyncio.ensure_future(node.keep_sealing())
        submissions = await asyncio.gather(*(node.intake.submit(one(number), PLANNING) for number in range(1, 401)))
        verdicts = [await ended(submission) for submission in submissions]
        sealing.cancel()
        assert all(proven.accepted for proven in verdicts)
        assert node.count("huzheng_signature_checks", result="good") == 400
        await until(lambda: len(node.intake._waiters) == 0)

    play(tmp_path, scenario)


# --- refused before ordering ---


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", Code.WRONG_CHAIN),
        (b"\xff" * 100, Code.NOT_STRICT),
        (one()[:-1], Code.NOT_STRICT),
        (one() + b"\x00", Code.NOT_STRICT),
        (bytes(CONSORTIUM.genesis.parameters.max_transaction_bytes + 1), Code.TOO_LARGE),
        (one(signer=CONSORTIUM.signer("stranger")), Code.UNKNOWN_KEY),
        (one(signer=CONSORTIUM.admin_signers["planning"]), Code.KEY_NOT_ALLOWED),
        (one(expires_ms=CONSORTIUM.now_ms), Code.EXPIRED),
        (one(expires_ms=CONSORTIUM.now_ms + 3_600_001), Code.LIFETIME_TOO_LONG),
        (one(department="tax"), Code.CALLER_NOT_DEPARTMENT),
    ],
    ids=lambda value: value if isinstance(value, Code) else "",
)
def test_what_can_never_be_accepted_is_refused_at_once(tmp_path: Path, raw: bytes, code: Code) -> None:
    async def scenario(node: OneReplica) -> None:
        assert (await refusal(node, raw)).code is code
        assert node.offered == []

    play(tmp_path, scenario)


def test_a_forged_signature_is_refused_and_counted(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        transaction = pb.Transaction.FromString(one())
        transaction.signature = bytes(64)
        assert (await refusal(node, transaction.SerializeToString())).code is Code.BAD_SIGNATURE
        assert node.count("huzheng_signature_checks", result="bad") == 1

    play(tmp_path, scenario)


def test_another_departments_resource_is_refused(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        error = await refusal(node, CONSORTIUM.transaction([CONSORTIUM.record()], department="tax"), TAX)
        assert (error.code, error.detail) == (Code.NOT_OWNER, "record 0")

    play(tmp_path, scenario)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SYSTEM])
def test_only_systems_submit(tmp_path: Path, role: Role) -> None:
    async def scenario(node: OneReplica) -> None:
        assert (await refusal(node, one(), Caller("planning", role, "1"))).code is Code.CALLER_NOT_ALLOWED

    play(tmp_path, scenario)


def test_nobody_learns_of_another_departments_transactions_by_submitting_them(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        await node.intake.submit(one(1), PLANNING)
        for raw in (one(1), one(2)):
            with pytest.raises(HuzhengError, match="CALLER_NOT_DEPARTMENT"):
                await node.intake.submit(raw, TAX)
        node.seal()
        with pytest.raises(HuzhengError, match="CALLER_NOT_DEPARTMENT"):
            await node.intake.submit(one(1), TAX)

    play(tmp_path, scenario)


def test_personal_data_in_free_text_is_turned_away_and_not_repeated(tmp_path: Path) -> None:
    personal = "11010518491231002" + citizen_id_check("11010518491231002")
    consortium = CONSORTIUM
    fields = {**objection_fields(), "YWH": personal}
    record = build_record(consortium.genesis, "property.objection", unit_code(1), 1, b"", fields)

    async def scenario(node: OneReplica) -> None:
        error = await refusal(node, consortium.transaction([record]))
        assert error.code is Code.PERSONAL_DATA
        assert error.detail == "record 0, YWH"
        assert personal not in str(error)

    play(tmp_path, scenario)


# --- versions ---


def version(number: int, of: int = 1, replaces: bytes = b"", nonce: int = 0) -> bytes:
    return CONSORTIUM.transaction([CONSORTIUM.record(of, version=number, replaces=replaces)], nonce=nonce)


def test_a_version_may_follow_one_that_is_still_pending(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        first = await node.intake.submit(version(1), PLANNING)
        second = await node.intake.submit(version(2, replaces=CONSORTIUM.record(1).id), PLANNING)
        node.seal()
        assert (await ended(first)).accepted
        assert (await ended(second)).accepted

    play(tmp_path, scenario)


def test_a_version_whose_predecessor_never_came_is_refused_on_chain(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        submission = await node.intake.submit(version(2, replaces=bytes(32)), PLANNING)
        node.seal()
        assert (await ended(submission)).refusal is Code.VERSION_CONFLICT

    play(tmp_path, scenario)


def test_a_version_that_others_have_passed_is_refused_at_once(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        node.seal(version(1))
        first = CONSORTIUM.record(1).id
        assert (await refusal(node, version(1, nonce=5))).code is Code.VERSION_CONFLICT
        node.metrics.refused.clear()
        assert (await refusal(node, version(2, replaces=bytes(32)))).code is Code.VERSION_CONFLICT
        following = await node.intake.submit(version(2, replaces=first), PLANNING)
        node.seal()
        assert (await ended(following)).accepted

    play(tmp_path, scenario)


def test_nothing_in_force_cannot_be_revoked_but_what_is_pending_can(tmp_path: Path) -> None:
    first = CONSORTIUM.record(1)
    revocation = CONSORTIUM.record(1, version=2, replaces=first.id, revoke=True)
    twice = CONSORTIUM.record(1, version=3, replaces=revocation.id, revoke=True)

    async def scenario(node: OneReplica) -> None:
        await node.intake.submit(version(1), PLANNING)
        revoking = await node.intake.submit(CONSORTIUM.transaction([revocation]), PLANNING)
        node.seal()
        assert (await ended(revoking)).accepted
        assert (await refusal(node, CONSORTIUM.transaction([twice]))).code is Code.NOTHING_TO_REVOKE

    play(tmp_path, scenario)


# --- keys ---


def key_change(name: str = "new", nonce: int = 0) -> bytes:
    key = genesis_pb2.SigningKey(public_key=CONSORTIUM.signer(name).public_key, role=genesis_pb2.KEY_ROLE_SYSTEM)
    operation = pb.Operation(add_key=pb.AddKey(key=key))
    return CONSORTIUM.transaction(operations=[operation], nonce=nonce)


def test_a_key_may_sign_while_its_registration_is_pending(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        await node.intake.submit(key_change(), PLANNING)
        signed = await node.intake.submit(one(signer=CONSORTIUM.signer("new")), PLANNING)
        node.seal()
        assert (await ended(signed)).accepted

    play(tmp_path, scenario)


def test_a_key_that_exists_is_refused_at_once(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        node.seal(key_change())
        error = await refusal(node, key_change(nonce=1))
        assert (error.code, error.detail) == (Code.KEY_EXISTS, "operation 0")

    play(tmp_path, scenario)


# --- time ---


def test_those_who_wait_hear_of_the_expiry_once_no_block_can_accept_it(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        soon = await node.intake.submit(one(1, expires_ms=node.now_ms + 1_000), PLANNING)
        later = await node.intake.submit(one(2), PLANNING)
        node.now_ms += 999
        node.seal(one(3))
        assert not soon.final.done()
        node.now_ms += 1
        node.seal(one(4))
        with pytest.raises(HuzhengError, match="EXPIRED"):
            await soon.final
        assert not later.final.done()
        assert len(node.mempool) == 1

    play(tmp_path, scenario)


# --- limits ---


def test_a_department_with_too_much_pending_is_told_so_and_keeps_no_waiter(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        for number in (1, 2):
            await node.intake.submit(one(number), PLANNING)
        with pytest.raises(HuzhengError, match="OVERLOADED"):
            await node.intake.submit(one(3), PLANNING)
        await asyncio.sleep(0)
        assert len(node.intake._waiters) == 2
        node.seal()
        await node.intake.submit(one(3), PLANNING)

    play(tmp_path, scenario, max_transactions=2)


def test_a_stream_that_is_too_fast_is_slowed_down(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        started_ms = monotonic_ms()
        for _ in range(3):
            await node.intake.pace(PLANNING, 50)
        # A second's worth is there at the beginning.
        assert monotonic_ms() - started_ms >= 500

    play(tmp_path, scenario, max_submissions_per_second=100)


def test_a_department_that_submits_too_fast_is_told_so(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        outcomes = await asyncio.gather(
            *(node.intake.submit(one(number), PLANNING) for number in range(1, 9)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, HuzhengError)]
        assert {error.code for error in refused} == {Code.OVERLOADED}
        assert 2 <= len(refused) <= 3

    play(tmp_path, scenario, max_submissions_per_second=5)


def test_a_client_that_leaves_frees_its_place(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        submission = await node.intake.submit(one(), PLANNING)
        submission.final.cancel()
        await asyncio.sleep(0)
        assert len(node.intake._waiters) == 0
        node.seal()
        assert (await ended(await node.intake.submit(one(), PLANNING))).accepted

    play(tmp_path, scenario)


def test_waiters_are_bounded_for_each_department() -> None:
    async def scenario() -> None:
        waiters = Waiters(2)
        waiters.add(b"1", "tax", 1)
        second = waiters.add(b"1", "tax", 1)
        with pytest.raises(HuzhengError, match="OVERLOADED"):
            waiters.add(b"2", "tax", 1)
        waiters.add(b"2", "housing", 1)
        second.cancel()
        await asyncio.sleep(0)
        waiters.add(b"2", "tax", 1)

    asyncio.run(scenario())


def test_waiters_that_came_and_went_cost_nothing() -> None:
    async def scenario() -> None:
        waiters = Waiters(10)
        for number in range(5_000):
            waiters.add(number.to_bytes(2, "big"), "tax", 10**12).cancel()
            await asyncio.sleep(0)
        assert len(waiters) == 0
        assert len(waiters._expiries) < 2_000
        assert waiters._waiting == {}

    asyncio.run(scenario())


def test_an_expiry_never_overtakes_a_receipt_that_is_being_made(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        last = await node.intake.submit(one(1, expires_ms=node.now_ms + 1), PLANNING)
        node.seal()
        node.now_ms += 1
        node.seal(one(2))
        assert (await ended(last)).accepted

    play(tmp_path, scenario)


def test_those_who_wait_hear_of_the_expiry_even_if_the_transaction_was_dropped(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        dropped = await node.intake.submit(one(1, expires_ms=node.now_ms + 1), PLANNING)
        node.mempool.remove([dropped.transaction_id])
        node.now_ms += 1
        node.seal(one(2))
        with pytest.raises(HuzhengError, match="EXPIRED"):
            await dropped.final

    play(tmp_path, scenario)


def test_an_error_in_making_receipts_is_told_to_those_who_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("disk")

    async def scenario(node: OneReplica) -> None:
        submission = await node.intake.submit(one(1), PLANNING)
        with monkeypatch.context() as patch:
            patch.setattr("node.intake.block_receipts", broken)
            node.seal()
            with pytest.raises(HuzhengError, match="INTERNAL"):
                await submission.final
        assert (await ended(await node.intake.submit(one(1), PLANNING))).accepted

    play(tmp_path, scenario)


def test_a_node_that_stops_tells_those_who_wait(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        submission = await node.intake.submit(one(1), PLANNING)
        node.intake.close()
        with pytest.raises(HuzhengError, match="NOT_READY"):
            await submission.final
        with pytest.raises(HuzhengError, match="NOT_READY"):
            await node.intake.submit(one(2), PLANNING)
        node.seal()

    play(tmp_path, scenario)


# --- from peers ---


def test_what_peers_hand_on_is_taken_in_once_and_not_offered(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        raws = [one(number) for number in range(1, 101)]
        await node.intake.admit_forwarded([*raws, *raws])
        await node.intake.admit_forwarded(raws)
        assert len(node.mempool) == 100
        assert node.offered == []
        node.seal()
        await node.intake.admit_forwarded(raws)
        assert len(node.mempool) == 0

    play(tmp_path, scenario)


def test_what_peers_should_not_have_handed_on_is_dropped_and_counted(tmp_path: Path) -> None:
    forged = pb.Transaction.FromString(one(1))
    forged.signature = bytes(64)

    async def scenario(node: OneReplica) -> None:
        limit = CONSORTIUM.genesis.parameters.max_transaction_bytes
        with pytest.raises(HuzhengError) as fault:
            await node.intake.admit_forwarded(
                [b"junk", bytes(limit + 1), forged.SerializeToString(), one(2, expires_ms=node.now_ms), one(3)]
            )
        assert fault.value.code in NOT_WELL_FORMED
        assert len(node.mempool) == 1
        assert node.count("huzheng_forwarded_refused", code="NOT_STRICT") == 1
        assert node.count("huzheng_forwarded_refused", code="BAD_SIGNATURE") == 1
        assert node.count("huzheng_forwarded_refused", code="EXPIRED") == 1

    play(tmp_path, scenario)


def test_too_much_handed_on_is_dropped_and_is_nobodys_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MAX_WAITING_JOBS", 0)

    async def scenario(node: OneReplica) -> None:
        await node.intake.admit_forwarded([one(1), one(2)])
        assert node.count("huzheng_forwarded_refused", code="OVERLOADED") == 2

    play(tmp_path, scenario)


def test_a_node_that_stopped_voting_lets_nobody_wait(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        submission = await node.intake.submit(one(1), PLANNING)
        node.intake.refuse("it stopped voting")
        with pytest.raises(HuzhengError, match="NOT_READY"):
            await submission.final
        with pytest.raises(HuzhengError, match="it stopped voting"):
            await node.intake.submit(one(2), PLANNING)

    play(tmp_path, scenario)


def test_a_handed_on_transaction_waits_for_the_block_that_registers_its_key(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        signed = one(1, signer=CONSORTIUM.signer("new"))
        await node.intake.admit_forwarded([signed])
        assert len(node.mempool) == 0
        node.seal(key_change())
        assert node.mempool.verified(signed) is not None

    play(tmp_path, scenario)


def test_keys_that_nobody_registered_fill_no_departments_share(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        strangers = [one(number, signer=CONSORTIUM.signer(f"stranger {number}")) for number in range(1, 400)]
        await node.intake.admit_forwarded(strangers)
        node.seal(one(1000))
        assert len(node.mempool) == 0
        assert len(node.intake._held.waiting()) == 256

    play(tmp_path, scenario, max_transactions=2)


# --- watching ---


def test_stored_blocks_are_announced(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        seen: list[int] = []

        async def watch() -> None:
            async for height in node.feed.heights("tax", 1):
                seen.append(height)

        node.seal(one(1))
        watching = asyncio.ensure_future(watch())
        node.seal(one(2))
        node.seal(one(3))
        await until(lambda: seen == [1, 2, 3])
        node.seal(one(4))
        await until(lambda: seen == [1, 2, 3, 4])
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert node.feed.watchers == 0

    play(tmp_path, scenario)


def test_watchers_are_bounded_for_each_department(tmp_path: Path) -> None:
    async def scenario(node: OneReplica) -> None:
        node.seal(one(1))
        watching = [node.feed.heights("tax", 1) for _ in range(5)]
        for feed in watching[:4]:
            assert await anext(feed) == 1
        with pytest.raises(HuzhengError, match="OVERLOADED"):
            await anext(watching[4])
        assert await anext(node.feed.heights("police", 1)) == 1
        await watching[0].aclose()  # type: ignore[attr-defined]
        assert await anext(node.feed.heights("tax", 1)) == 1

    play(tmp_path, scenario)
