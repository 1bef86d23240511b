"""What a seed stands for: a size, a mix of faults and liars, cuts, wrong clocks, changes of the membership, a load."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from consensus.votes import COMMIT, NEW_VIEW, PRE_PREPARE, PREPARE, SEAL, VIEW_CHANGE
from tests.sim.faults import Faults
from tests.sim.liar_kinds import LIARS_BY_NAME
from tests.sim.machine import Machine
from tests.sim.silence import Silence

REQUESTS = 40
TROUBLE_MS = 20_000
PEACEFUL_DELAY_MS = 20
FAR_MS = 100
"""So far apart replicas may be before distance alone can change a view (C14): a transaction's way to the primary, the block before, and its own."""


@dataclass(frozen=True)
class Cut:
    """For some time nothing gets through from some places to others, and the other way neither, unless it is one-way."""

    start_ms: int
    length_ms: int
    some: tuple[int, ...]
    others: tuple[int, ...]
    one_way: bool


@dataclass(frozen=True)
class Muted:
    """For some time messages of one kind get lost."""

    start_ms: int
    length_ms: int
    silence: Silence


@dataclass(frozen=True)
class Jump:
    """A replica's wall clock is wrong by so much from some time on."""

    start_ms: int
    replica: int
    off_ms: int


@dataclass(frozen=True)
class Change:
    """One change of the membership: a replica is added or removed, or gets another key."""

    kind: str
    replica: int


@dataclass(frozen=True)
class Plan:
    """Everything that happens to a cluster from outside."""

    seed: int
    n: int
    watermark_window: int
    faults: Faults
    liars: dict[int, type[Machine]]
    cuts: tuple[Cut, ...]
    jumps: tuple[Jump, ...]
    changes: tuple[Change, ...]
    requests: tuple[tuple[int, int], ...]
    """When each is submitted."""
    silences: tuple[Muted, ...]
    tells_one: bool
    """Whether clients tell one node, which hands requests on, or all."""
    real_signatures: bool

    @property
    def is_peaceful(self) -> bool:
        """Whether nothing at all goes wrong, so that no view may change."""
        delay_ms = self.faults.max_delay_ms
        return (
            delay_ms <= FAR_MS
            and self.faults == Faults(max_delay_ms=delay_ms, work_ms=self.faults.work_ms)
            and not (self.liars or self.cuts or self.silences or any(abs(jump.off_ms) > SKEW_MS for jump in self.jumps))
        )


SKEW_MS = 300
"""How far any clock may be wrong."""


def plan_of(seed: int) -> Plan:
    """Everything follows from the seed."""
    dice = random.Random(seed)
    n = dice.choice((4, 4, 4, 5, 5, 7, 7, 10))
    f = (n - 1) // 3
    faults = Faults(
        drop=dice.choice((0, 0.05, 0.2)),
        duplicate=dice.choice((0, 0.1)),
        max_delay_ms=dice.choice((5, 50, 300)),
        crash=dice.choice((0, 0.002, 0.01)),
        max_down_ms=dice.choice((500, 5_000)),
        max_write_ms=dice.choice((2, 2, 100)),
        store_ms=dice.choice((0, 0, 0, 300)),
        torn=dice.random() < 0.2,
    )
    changes = _changes(n, dice) if n < 10 and dice.random() < 0.4 else ()
    bearable = f if not changes else (min(n, n + sum(_GROWTH[change.kind] for change in changes)) - 1) // 3
    kinds = list(LIARS_BY_NAME.values())
    count = min(bearable, dice.choice((0, 0, 1, f)))
    untouched = [i for i in range(1, n + 1) if i not in {change.replica for change in changes}]
    liars = {replica: dice.choice(kinds) for replica in dice.sample(untouched, count)}
    plan = Plan(
        seed=seed,
        n=n,
        watermark_window=dice.choice((4, 16)),
        faults=faults,
        liars=liars,
        cuts=tuple(_cut(n, dice) for _ in range(dice.choice((0, 2, 4)))),
        jumps=_jumps(n, bearable - count, sorted(set(range(1, n + 1)) - set(liars)), dice),
        changes=changes,
        requests=_requests(dice),
        silences=_silences(n, dice),
        tells_one=dice.random() < 0.5,
        real_signatures=dice.random() < 0.05,
    )
    if dice.random() < 0.05:
        return _in_peace(plan, work_ms=dice.choice((0, 1_200)))
    return replace(plan, faults=replace(faults, loop_late_ms=dice.choice((0, 0, 0, 30, 300))))


def _in_peace(plan: Plan, work_ms: int) -> Plan:
    """Large batches and slow machines are no faults, even where a block takes longer than the timeout."""
    faults = Faults(max_delay_ms=min(plan.faults.max_delay_ms, FAR_MS), work_ms=work_ms)
    small = tuple(jump for jump in plan.jumps if abs(jump.off_ms) <= SKEW_MS)
    return replace(plan, faults=faults, liars={}, cuts=(), jumps=small, silences=())


def _requests(dice: random.Random) -> tuple[tuple[int, int], ...]:
    """Evenly, or in heaps, so that many batches are under way together."""
    heaps = [dice.randint(0, TROUBLE_MS - 2_000) for _ in range(3)] if dice.random() < 0.5 else []
    return tuple(
        (number, dice.choice(heaps) + dice.randint(0, 30) if heaps else dice.randint(0, TROUBLE_MS - 2_000))
        for number in range(REQUESTS)
    )


def _silences(n: int, dice: random.Random) -> tuple[Muted, ...]:
    silences = tuple(_silence(n, dice) for _ in range(dice.choice((0, 4, 8, 16))))
    return silences + (_forgotten_certificate(n, dice) if dice.random() < 0.3 else ())


def _silence(n: int, dice: random.Random) -> Muted:
    """Of all to all, of all to some, or of some to some."""
    kind = dice.choice((PRE_PREPARE, PREPARE, COMMIT, COMMIT, SEAL, SEAL, VIEW_CHANGE, NEW_VIEW))
    everyone = list(range(1, n + 1))
    senders = dice.choice((everyone, dice.sample(everyone, dice.randint(1, n))))
    targets = dice.choice((everyone, dice.sample(everyone, dice.randint(1, n))))
    silence = Silence(kind, tuple(senders), tuple(targets))
    return Muted(dice.randint(0, TROUBLE_MS - 5_000), dice.randint(500, 5_000), silence)


def _forgotten_certificate(n: int, dice: random.Random) -> tuple[Muted, ...]:
    """One replica alone prepares something, and is not heard when the others go on without it, until the view after."""
    everyone = tuple(range(1, n + 1))
    one, unheard = dice.sample(everyone, 2)
    others = tuple(replica for replica in everyone if replica != one)
    start_ms, alone_ms, later_ms = dice.randint(0, 8_000), dice.randint(1_500, 4_000), dice.randint(2_000, 5_000)
    return (
        Muted(start_ms, alone_ms + later_ms, Silence(COMMIT, everyone, everyone)),
        Muted(start_ms, alone_ms + later_ms, Silence(NEW_VIEW, everyone, (one,))),
        Muted(start_ms, alone_ms, Silence(PREPARE, everyone, others)),
        Muted(start_ms, alone_ms, Silence(VIEW_CHANGE, (one,), everyone)),
        Muted(start_ms + alone_ms, later_ms, Silence(VIEW_CHANGE, (unheard,), everyone)),
    )


def _cut(n: int, dice: random.Random) -> Cut:
    replicas = dice.sample(range(1, n + 1), n)
    at = dice.randint(1, n - 1)
    start_ms, length_ms = dice.randint(0, TROUBLE_MS - 5_000), dice.randint(100, 5_000)
    return Cut(start_ms, length_ms, tuple(replicas[:at]), tuple(replicas[at:]), one_way=dice.random() < 0.4)


def _jumps(n: int, wild: int, honest: Sequence[int], dice: random.Random) -> tuple[Jump, ...]:
    """All clocks are a little wrong; of the correct replicas' as many very much, or suddenly, as may be faulty besides liars."""
    jumps = [Jump(0, replica, dice.randint(-SKEW_MS, SKEW_MS)) for replica in range(1, n + 1)]
    for replica in dice.sample(honest, dice.randint(0, wild)):
        for _ in range(dice.randint(1, 3)):
            off_ms = dice.choice((-60_000, -3_000, 3_000, 60_000))
            jumps.append(Jump(dice.randint(1, TROUBLE_MS), replica, off_ms))
    return tuple(jumps)


_GROWTH = {"add": 0, "remove": -1, "rekey": 0}
"""What a change may do to the smallest membership of a run."""


def _changes(n: int, dice: random.Random) -> tuple[Change, ...]:
    """The membership grows, grows and shrinks again, or gets other keys."""
    add, old, new = Change("add", n + 1), dice.randint(1, n), n + 1
    return dice.choice(
        (
            (add,),
            (add, Change("remove", new)),
            (add, Change("remove", old)),
            (Change("rekey", old),),
            (Change("rekey", old), add, Change("rekey", new)),
        )
    )


# --- less of a plan ---

_SIMPLER: dict[str, Callable[[Faults], Faults]] = {
    "drop": lambda faults: replace(faults, drop=0.0),
    "duplicate": lambda faults: replace(faults, duplicate=0.0),
    "delay": lambda faults: replace(faults, max_delay_ms=Faults().max_delay_ms),
    "crash": lambda faults: replace(faults, crash=0.0),
    "write": lambda faults: replace(faults, max_write_ms=Faults().max_write_ms),
    "work": lambda faults: replace(faults, work_ms=0),
    "store": lambda faults: replace(faults, store_ms=0),
    "late": lambda faults: replace(faults, loop_late_ms=0),
    "torn": lambda faults: replace(faults, torn=False),
}


def parts_of(plan: Plan) -> list[str]:
    """What can be left out of a plan, by name."""
    names = [name for name, simplify in _SIMPLER.items() if simplify(plan.faults) != plan.faults]
    names += [f"liar-{replica}" for replica in sorted(plan.liars)]
    names += [f"cut-{i}" for i in range(len(plan.cuts))]
    names += [f"silence-{i}" for i in range(len(plan.silences))]
    names += [f"jump-{i}" for i in range(len(plan.jumps))]
    names += [f"change-{i}" for i in range(len(plan.changes))]
    return names + [f"request-{number}" for number, _ in plan.requests]


def without(plan: Plan, names: Iterable[str]) -> Plan:
    """The plan without these parts, and without the changes after one that is left out.

    Raises ValueError for a part that it does not have.
    """
    left_out = list(names)
    unknown = sorted(set(left_out) - {*_SIMPLER, *parts_of(plan)})
    if unknown:
        raise ValueError(f"the plan has no {unknown[0]}")
    faults = plan.faults
    for name in left_out:
        faults = _SIMPLER[name](faults) if name in _SIMPLER else faults
    return replace(
        plan,
        faults=faults,
        liars={replica: kind for replica, kind in plan.liars.items() if f"liar-{replica}" not in left_out},
        cuts=tuple(cut for i, cut in enumerate(plan.cuts) if f"cut-{i}" not in left_out),
        silences=tuple(muted for i, muted in enumerate(plan.silences) if f"silence-{i}" not in left_out),
        jumps=tuple(jump for i, jump in enumerate(plan.jumps) if f"jump-{i}" not in left_out),
        changes=tuple(takewhile(lambda change: f"change-{plan.changes.index(change)}" not in left_out, plan.changes)),
        requests=tuple(item for item in plan.requests if f"request-{item[0]}" not in left_out),
    )
