"""What `huzheng doctor` makes of clocks, peers and warnings; and the log of a node whose clock is wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from huzheng.v1 import ledger_service_pb2 as pb
from structlog.testing import capture_logs

from ledger.crypto import ReplicaId
from ledger.errors import Code, HuzhengError
from node.clock import NetworkClock
from node.clock_watch import AGAIN_MS, ClockWatch
from node.connections import Endpoint
from node.doctor import Fact, Finding, Level, _Answer, _Examination, _Silence
from node.version import software_version
from tests.builders import Consortium

GENESIS = Consortium(n=4).genesis
BOUND_MS = GENESIS.parameters.clock_bound_ms


def answer(replica: int, ahead_ms: int = 0, **status: Any) -> _Answer:
    known: dict[str, Any] = {"chain_id": GENESIS.chain_id, "software_version": software_version()}
    return _Answer(Endpoint("h:1", "tax", replica), pb.GetStatusResponse(**(known | status)), ahead_ms)


def silence(replica: int) -> _Silence:
    return _Silence(Endpoint("h:1", "tax", replica), HuzhengError(Code.NODE_UNREACHABLE))


def findings(judge: str, *answers: Any, config: Any = None) -> list[tuple[Level, Any]]:
    examination = _Examination.__new__(_Examination)
    examination._genesis, examination._membership = GENESIS, GENESIS.membership
    examination._findings, examination._config = [], config
    getattr(examination, judge)(*answers)
    return [(found.level, _code(found)) for found in examination._findings]


def _code(finding: Finding) -> Any:
    return finding.found.code if isinstance(finding.found, HuzhengError) else finding.found


@pytest.mark.parametrize("ahead_ms", [BOUND_MS, -BOUND_MS, 3_600_000])
def test_a_clock_that_all_others_contradict_is_wrong(ahead_ms: int) -> None:
    others = [answer(replica, -ahead_ms) for replica in (2, 3, 4)]
    assert findings("_judge_clocks", others) == [(Level.FAIL, Fact.CLOCK_WRONG)]
    assert findings("_judge_clocks", others[:2]) == [(Level.FAIL, Fact.CLOCK_WRONG)]


def test_one_peer_with_a_wrong_clock_accuses_nobody_else() -> None:
    others = [answer(2, 3_600_000), answer(3, 5), answer(4, -5)]
    assert findings("_judge_clocks", others) == [(Level.OK, Fact.CLOCK_RIGHT), (Level.WARN, Fact.CLOCK_OF_PEER_WRONG)]


def test_one_peer_alone_says_nothing_of_a_clock() -> None:
    assert findings("_judge_clocks", [answer(2, 3_600_000)]) == [(Level.WARN, Fact.CLOCK_UNKNOWN)]


def test_more_silent_peers_than_may_fail_are_a_failure() -> None:
    down = Code.NODE_UNREACHABLE
    assert findings("_judge_peers", [silence(2), answer(3), answer(4)])[0] == (Level.WARN, down)
    assert findings("_judge_peers", [silence(2), silence(3), answer(4)])[:2] == [(Level.FAIL, down)] * 2


def test_peers_of_another_network_or_version_are_told_apart() -> None:
    others = [answer(2, chain_id=b"other"), answer(3, software_version="0.0.1")]
    assert findings("_judge_peers", others) == [(Level.FAIL, Code.WRONG_CHAIN), (Level.WARN, Fact.PEER_OTHER_VERSION)]


def test_two_vaults_of_one_department_are_a_failure() -> None:
    with_vault: dict[str, Any] = {"department": "tax", "has_vault": True}
    own = SimpleNamespace(node=SimpleNamespace(department="tax"), vault=object())
    twice, fine = (Level.FAIL, Fact.VAULT_AT_PEER_TOO), (Level.OK, Fact.PEER_ANSWERS)
    assert findings("_judge_peers", [answer(2, **with_vault)], config=own) == [twice, fine]
    assert findings("_judge_peers", [answer(2, **with_vault | {"has_vault": False})], config=own) == [fine]
    assert findings("_judge_peers", [answer(2, **with_vault | {"department": "housing"})], config=own) == [fine]
    own.vault = None
    assert findings("_judge_peers", [answer(2, **with_vault)], config=own) == [fine]


def test_what_stopped_the_node_is_a_failure_and_its_other_warnings_are_not() -> None:
    own = answer(1, warnings=["DIVERGED", "CATCHING_UP", "CLOCK_OFF"])
    assert findings("_judge_own", own) == [
        (Level.OK, Fact.NODE_RUNS),
        (Level.FAIL, Code.DIVERGED),
        (Level.WARN, Fact.NODE_WARNS),
    ]


def test_a_node_with_a_wrong_clock_says_so_in_its_own_log() -> None:
    wall_ms = 1_000_000_000
    clock = NetworkClock(max_faulty=1, wall_ms=lambda: wall_ms)
    watch = ClockWatch(clock, BOUND_MS)

    def said(now_ms: int) -> list[Any]:
        with capture_logs() as logs:
            watch.look(now_ms)
        return [(line["event"], line.get("ahead_s")) for line in logs]

    assert said(0) == []
    for replica in (2, 3, 4):
        clock.heard(ReplicaId(replica), wall_ms - 60_000)
    assert said(1_000) == [("clock wrong", 60.0)]
    assert said(2_000) == []
    assert said(1_000 + AGAIN_MS) == [("clock wrong", 60.0)]
    for replica in (2, 3, 4):
        clock.heard(ReplicaId(replica), wall_ms)
    assert said(3_000 + AGAIN_MS) == [("clock right again", None)]
    assert said(4_000 + AGAIN_MS) == []
