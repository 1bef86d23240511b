"""Faults under load, round after round; then every acknowledged record must be in every database, and all must agree.

`--fault kill`: kill -9 of one daemon at a random moment, down for a random time. `--fault kill-primary`: always of the present primary.
`--fault pause-primary`: SIGSTOP of the primary for `--pause` seconds, then SIGCONT. The last two measure how long it is until a
transaction that is submitted at another node right after the fault is final.
`--fault cut`: the network is cut between two halves for a random time of up to `--pause` seconds, silently and with refusal in turn. No half
may go on alone; after mending all must, within `--within` seconds.
`--fault behind`: one node has nothing and the others `--blocks` blocks, and more while it catches up; how fast it does is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import grpc.aio
from huzheng.v1 import block_pb2, ledger_service_pb2, transaction_pb2

from ledger.building import transaction_id
from ledger.crypto import strict
from ledger.genesis import Genesis
from ledger.store import ChainStore
from scripts.local.behind import CaughtUp, catch_up
from scripts.local.links import Links
from scripts.local.long_chain import give_long_chain
from scripts.local.network import LocalNetwork, NetworkFailure, Node, run_huzheng, wait_until
from scripts.local.workload import Workload

CALL_TIMEOUT_S = 10.0
RETRY_S = 0.2
SETTLE_TIMEOUT_S = 60.0
FAULTS = ("kill", "kill-primary", "pause-primary", "cut", "behind")
LAST_STEPS_S = 1.0
"""After a cut, for so long what a quorum had sent before may still become blocks."""
BEHIND = "police"
"""The department whose node is behind, with `--fault behind`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done."""

    rounds: int = 20
    clients: int = 8
    seed: int = 1
    fault: str = "kill"
    pause_s: float = 30.0
    """For so long a paused primary is silent."""
    within_s: float = 30.0
    """For so long work may stand still."""
    blocks: int = 20_000
    """So many blocks behind."""
    records: int = 10
    """In each of these blocks."""


@dataclass
class Tally:
    """What the clients were told."""

    acknowledged: set[bytes] = field(default_factory=set)
    retries: int = 0
    latencies_s: list[float] = field(default_factory=list)
    outages_s: list[float] = field(default_factory=list)
    """From the loss of a primary until something submitted after it is final."""
    caught_up: CaughtUp | None = None


async def client(workload: Workload, department: str, server: str, tally: Tally, stop: asyncio.Event) -> None:
    """Submits one transaction after the other, each again and again until it is acknowledged."""
    channel, stub = workload.stub(department, server)
    try:
        while not stop.is_set():
            raw = workload.transaction(department)
            identifier = transaction_id(workload.genesis, raw)
            started = time.monotonic()
            while not await submit_once(stub, raw, tally):
                await asyncio.sleep(RETRY_S)
                tally.retries += 1
            tally.acknowledged.add(identifier)
            tally.latencies_s.append(time.monotonic() - started)
    finally:
        await channel.close(None)


async def submit_once(stub: object, raw: bytes, tally: Tally) -> bool:
    """Whether the transaction is acknowledged as accepted."""
    request = ledger_service_pb2.SubmitRequest(transaction=raw)
    try:
        response = await stub.Submit(request, timeout=CALL_TIMEOUT_S)  # type: ignore[attr-defined]
    except grpc.aio.AioRpcError:
        return False
    receipt = block_pb2.Receipt.FromString(response.receipt)
    result = strict.read(transaction_pb2.TransactionResult, receipt.result)
    if result.code != transaction_pb2.RESULT_CODE_ACCEPTED:
        raise NetworkFailure(f"a transaction was refused: {transaction_pb2.ResultCode.Name(result.code)}")
    return True


async def load(workload: Workload, rounds: asyncio.Task[None], plan: Plan, tally: Tally) -> None:
    """Keeps clients of all departments that can at work, each through its own node, until the rounds are over."""
    stop = asyncio.Event()
    departments = [name for name in sorted(workload.users) if plan.fault != "behind" or name != BEHIND]
    callers = [departments[i % len(departments)] for i in range(plan.clients)]
    tasks = [asyncio.ensure_future(client(workload, caller, caller, tally, stop)) for caller in callers]
    await asyncio.wait([rounds, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(rounds, *tasks)


async def kill_rounds(network: LocalNetwork, count: int, dice: random.Random) -> None:
    """Each round: wait, kill one, leave it dead for a while, start it, wait until it takes part again."""
    departments = sorted(network.nodes)
    for number in range(count):
        victim = network.nodes[departments[number % len(departments)] if number < 4 else dice.choice(departments)]
        await asyncio.sleep(dice.uniform(0.3, 2.0))
        await asyncio.to_thread(victim.kill)
        down_s = dice.uniform(0.1, 3.0)
        await asyncio.sleep(down_s)
        victim.start()
        started = time.monotonic()
        await asyncio.to_thread(victim.wait_ready)
        print(
            f"round {number + 1:3}/{count}: killed {victim.department:10} down {down_s:4.1f} s, "
            f"back after {time.monotonic() - started:4.1f} s",
            flush=True,
        )


async def primary_rounds(
    network: LocalNetwork, workload: Workload, plan: Plan, dice: random.Random, tally: Tally
) -> None:
    """Each round: take the primary away, measure until new work is final elsewhere, bring it back, wait until it takes part."""
    pauses = plan.fault == "pause-primary"
    for number in range(plan.rounds):
        await asyncio.sleep(dice.uniform(0.3, 2.0))
        victim = await asyncio.to_thread(primary_of, network)
        witness = next(name for name in sorted(network.nodes) if name != victim.department)
        lost = time.monotonic()
        await asyncio.to_thread(victim.pause if pauses else victim.kill)
        outage_s = await _until_final(workload, witness, tally, lost)
        if outage_s > plan.within_s:
            raise NetworkFailure(f"without {victim.department} work went on only after {outage_s:.2f} s")
        tally.outages_s.append(outage_s)
        if pauses:
            await asyncio.sleep(max(0.0, plan.pause_s - (time.monotonic() - lost)))
            victim.resume()
        else:
            victim.start()
        back = time.monotonic()
        await asyncio.to_thread(wait_caught_up, network, victim)
        print(
            f"round {number + 1:3}/{plan.rounds}: lost primary {victim.department:10} work went on after {outage_s:4.2f} s, "
            f"it took part again after {time.monotonic() - back:4.1f} s",
            flush=True,
        )


async def cut_rounds(
    network: LocalNetwork, links: Links, workload: Workload, plan: Plan, dice: random.Random, tally: Tally
) -> None:
    """Each round: cut between two halves, see that neither goes on, mend, measure until new work is final."""
    departments = sorted(network.nodes)
    for number in range(plan.rounds):
        await asyncio.sleep(dice.uniform(0.3, 2.0))
        half = dice.sample(departments, len(departments) // 2)
        refuses, lasts_s = number % 2 == 1, dice.uniform(LAST_STEPS_S, plan.pause_s)
        await asyncio.to_thread(links.cut, half, refuses=refuses)
        await asyncio.sleep(LAST_STEPS_S)
        heights, acknowledged = await asyncio.to_thread(_heights, network), len(tally.acknowledged)
        await asyncio.sleep(lasts_s)
        later = await asyncio.to_thread(_heights, network)
        if max(later) > max(heights) or len(tally.acknowledged) > acknowledged:
            raise NetworkFailure(f"without a quorum the heights went from {heights} to {later}")
        await asyncio.to_thread(links.mend)
        witness = dice.choice(departments)
        outage_s = await _until_final(workload, witness, tally, time.monotonic())
        if outage_s > plan.within_s:
            raise NetworkFailure(f"mended, {witness} went on only after {outage_s:.2f} s")
        tally.outages_s.append(outage_s)
        await asyncio.to_thread(_wait_level, network)
        print(
            f"round {number + 1:3}/{plan.rounds}: cut {'with refusal' if refuses else 'silently':12} for {lasts_s:4.1f} s, "
            f"{' and '.join(sorted(half)):20} alone; mended, {witness} went on after {outage_s:4.2f} s",
            flush=True,
        )


def _heights(network: LocalNetwork) -> list[int]:
    return [node.height() for node in network.nodes.values()]


def _wait_level(network: LocalNetwork) -> None:
    """Until all take part and have what any of them has now."""
    goal = max(_heights(network))
    for node in network.nodes.values():
        node.wait_ready(SETTLE_TIMEOUT_S)
    wait_until(lambda: min(_heights(network)) >= goal, SETTLE_TIMEOUT_S, f"all nodes at height {goal}")


async def behind_round(network: LocalNetwork, plan: Plan, tally: Tally) -> None:
    """Starts the node that has nothing, and waits until it takes part."""
    victim = network.nodes[BEHIND]
    caught_up = await catch_up(network, victim)
    records = plan.blocks * plan.records + len(tally.acknowledged)
    tally.caught_up = replace(caught_up, records=records)
    await asyncio.to_thread(wait_caught_up, network, victim)


def primary_of(network: LocalNetwork) -> Node:
    """The node that most nodes take for the primary."""
    votes = [int(node.gauge("huzheng_primary")) for node in network.nodes.values()]
    replica = max(set(votes), key=votes.count)
    return next(node for node in network.nodes.values() if int(node.config["node"]["replica"]) == replica)


async def _until_final(workload: Workload, department: str, tally: Tally, since: float) -> float:
    """Seconds from `since` until a transaction submitted now is final."""
    channel, stub = workload.stub(department)
    try:
        raw = workload.transaction(department)
        while not await submit_once(stub, raw, tally):
            await asyncio.sleep(RETRY_S)
        tally.acknowledged.add(transaction_id(workload.genesis, raw))
        return time.monotonic() - since
    finally:
        await channel.close(None)


def wait_caught_up(network: LocalNetwork, victim: Node) -> None:
    """Until it is ready and has what the others had when it came back."""
    goal = max(node.height() for node in network.nodes.values() if node is not victim)
    victim.wait_ready()
    wait_until(lambda: victim.height() >= goal, SETTLE_TIMEOUT_S, f"{victim.department} at height {goal}")


def settle(network: LocalNetwork) -> None:
    """Waits until all nodes are ready and then stops them in order."""
    for node in network.nodes.values():
        node.wait_ready(SETTLE_TIMEOUT_S)
    wait_until(lambda: len({node.height() for node in network.nodes.values()}) == 1, SETTLE_TIMEOUT_S, "equal heights")
    network.stop()


def check(network: LocalNetwork, tally: Tally, verified: Collection[str] = ()) -> None:
    """Every acknowledged transaction in every database, no two databases different at any height, these chains verified, or all."""
    genesis = Genesis.read(network.genesis.read_bytes())
    chains = {}
    for department, node in network.nodes.items():
        store = ChainStore.open(node.data, genesis)
        missing = [identifier for identifier in tally.acknowledged if store.transaction_place(identifier) is None]
        if missing:
            raise NetworkFailure(f"{department} lost {len(missing)} acknowledged transactions")
        chains[department] = [store.block_hash(h) for h in range(store.tip.height + 1)]  # type: ignore[arg-type]
        store.close()
    shortest = min(len(chain) for chain in chains.values())
    for h in range(shortest):
        if len({chain[h] for chain in chains.values()}) != 1:
            raise NetworkFailure(f"databases differ at height {h}")
    for department in verified or network.nodes:
        run_huzheng("chain", "verify", "--home", network.nodes[department].directory)
        print(f"{department:10} height {len(chains[department]) - 1}: verified")


def soak(directory: Path, plan: Plan) -> Tally:
    """The whole run. Raises NetworkFailure at the first thing that is not as it should be."""
    network = LocalNetwork.create(directory)
    workload, tally = Workload(network), Tally()
    started = time.monotonic()
    behind = [network.nodes[BEHIND]] if plan.fault == "behind" else []
    if behind:
        owners = [node for node in network.nodes.values() if node not in behind]
        give_long_chain(network, workload, owners, plan.blocks, plan.records)
    links = Links(network) if plan.fault == "cut" else None
    try:
        with network.running(without=behind):
            asyncio.run(_run(network, links, workload, plan, tally))
            settle(network)
    finally:
        if links is not None:
            links.close()
    # The other chains are long, and the same.
    check(network, tally, [BEHIND] if behind else ())
    latencies = sorted(tally.latencies_s)
    print(
        f"{plan.rounds} rounds, {len(tally.acknowledged)} acknowledged records, none lost, no two databases different; "
        f"{tally.retries} calls repeated, longest wait {latencies[-1]:.1f} s; {time.monotonic() - started:.0f} s in all"
    )
    if tally.outages_s:
        outages = sorted(tally.outages_s)
        median = outages[len(outages) // 2]
        lost = "after mending" if plan.fault == "cut" else "without the primary"
        print(f"{lost} work went on after {median:.2f} s (median), {outages[-1]:.2f} s at most")
    if tally.caught_up:
        print(f"{BEHIND} {tally.caught_up}")
    return tally


async def _run(network: LocalNetwork, links: Links | None, workload: Workload, plan: Plan, tally: Tally) -> None:
    dice = random.Random(plan.seed)
    if plan.fault == "kill":
        work = kill_rounds(network, plan.rounds, dice)
    elif links is not None:
        work = cut_rounds(network, links, workload, plan, dice, tally)
    elif plan.fault == "behind":
        work = behind_round(network, plan, tally)
    else:
        work = primary_rounds(network, workload, plan, dice, tally)
    await load(workload, asyncio.ensure_future(work), plan, tally)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, default="kill")
    parser.add_argument(
        "--pause", type=float, help="seconds that a paused primary is silent (30), or a cut lasts at most (20)"
    )
    parser.add_argument(
        "--within", type=float, help="seconds until work goes on that are a failure beyond: 3, after a cut 5"
    )
    parser.add_argument("--blocks", type=int, default=20_000, help="so many blocks behind")
    parser.add_argument("--records", type=int, default=10, help="records in each of these blocks")
    parser.add_argument("--keep", type=Path, help="make the network here and leave it for inspection")
    arguments = parser.parse_args()
    cuts = arguments.fault == "cut"
    plan = Plan(
        1 if arguments.fault == "behind" else arguments.rounds,
        arguments.clients,
        arguments.seed,
        arguments.fault,
        arguments.pause or (20.0 if cuts else 30.0),
        arguments.within or (5.0 if cuts else 3.0),
        arguments.blocks,
        arguments.records,
    )
    try:
        if arguments.keep:
            soak(arguments.keep, plan)
        else:
            with tempfile.TemporaryDirectory(prefix="huzheng-soak-") as directory:
                soak(Path(directory) / "network", plan)
    except NetworkFailure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
