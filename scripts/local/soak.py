"""kill -9 under load, round after round; then every acknowledged record must be in every database, and all must agree.

One daemon at a time dies at a random moment, the primary included, stays down for a random time and comes back.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
from huzheng.v1 import block_pb2, ledger_service_pb2, transaction_pb2

from ledger.building import transaction_id
from ledger.crypto import strict
from ledger.genesis import Genesis
from ledger.store import ChainStore
from scripts.local.network import LocalNetwork, NetworkFailure, run_huzheng, wait_until
from scripts.local.workload import Workload

CALL_TIMEOUT_S = 10.0
RETRY_S = 0.2
SETTLE_TIMEOUT_S = 60.0


@dataclass
class Tally:
    """What the clients were told."""

    acknowledged: set[bytes] = field(default_factory=set)
    retries: int = 0
    latencies_s: list[float] = field(default_factory=list)


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


async def load(workload: Workload, rounds: asyncio.Task[None], clients: int) -> Tally:
    """Keeps clients of all departments at work, each through its own node, until the rounds are over."""
    tally, stop = Tally(), asyncio.Event()
    departments = sorted(workload.users)
    tasks = [
        asyncio.ensure_future(client(workload, departments[i % 4], departments[i % 4], tally, stop))
        for i in range(clients)
    ]
    await asyncio.wait([rounds, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(rounds, *tasks)
    return tally


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


def settle(network: LocalNetwork) -> None:
    """Waits until all nodes are ready and then stops them in order."""
    for node in network.nodes.values():
        node.wait_ready(SETTLE_TIMEOUT_S)
    wait_until(lambda: len({node.height() for node in network.nodes.values()}) == 1, SETTLE_TIMEOUT_S, "equal heights")
    network.stop()


def check(network: LocalNetwork, tally: Tally) -> None:
    """Every acknowledged transaction in every database, no two databases different at any height, every chain verified."""
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
    for department, node in network.nodes.items():
        run_huzheng("chain", "verify", "--home", node.directory)
        print(f"{department:10} height {len(chains[department]) - 1}: verified")


def soak(directory: Path, rounds: int, clients: int, seed: int) -> None:
    """The whole run. Raises NetworkFailure at the first thing that is not as it should be."""
    network = LocalNetwork.create(directory)
    started = time.monotonic()
    with network.running():
        tally = asyncio.run(_run(network, rounds, clients, seed))
        settle(network)
    check(network, tally)
    latencies = sorted(tally.latencies_s)
    print(
        f"{rounds} rounds, {len(tally.acknowledged)} acknowledged records, none lost, no two databases different; "
        f"{tally.retries} calls repeated, longest wait {latencies[-1]:.1f} s; {time.monotonic() - started:.0f} s in all"
    )


async def _run(network: LocalNetwork, rounds: int, clients: int, seed: int) -> Tally:
    workload = Workload(network)
    killing = asyncio.ensure_future(kill_rounds(network, rounds, random.Random(seed)))
    return await load(workload, killing, clients)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="make the network here and leave it for inspection")
    arguments = parser.parse_args()
    try:
        if arguments.keep:
            soak(arguments.keep, arguments.rounds, arguments.clients, arguments.seed)
        else:
            with tempfile.TemporaryDirectory(prefix="huzheng-soak-") as directory:
                soak(Path(directory) / "network", arguments.rounds, arguments.clients, arguments.seed)
    except NetworkFailure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
