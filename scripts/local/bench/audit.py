"""What an audit costs: all reads of one subject, in a database with a million records and a hundred thousand reads.

The chain is made in one process with all the replicas' keys, of real transactions, through the real store. Then the query is measured where
the node answers it, and as a call of a client over TLS to a daemon that runs on that database; times are of the clock.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from huzheng.v1 import audit_pb2
from huzheng.v1 import transaction_pb2 as pb
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from ledger.building import BuiltRecord, build_transaction
from ledger.crypto import Domain, Height, ReplicaId, Signer, build_certificate, seal_message, strict
from ledger.errors import HuzhengError
from ledger.execution import execute
from ledger.store import ChainStore
from ledger.transaction import check_batch, encode_batch
from node.audit import fetch_reads, require_complete
from node.client import LedgerClient
from node.clock import wall_clock_ms
from node.config import load_config
from node.keyfile import KeyKind, load_signer
from node.profile import load_profile
from node.queries import Queries
from scripts.local.bench.machine import machine
from scripts.local.bench.standalone import parser, tell
from scripts.local.network import LocalNetwork, Node, wait_until
from scripts.local.workload import Workload
from tests.sharing import REGISTER, apply_for, approve, publish, read, resource, terms

OWNER, READER = "planning", "tax"
RECORDS_A_BLOCK = 2_000
READS_A_BLOCK = 100
"""Each a transaction of its own."""
YEAR_MS = 366 * 86_400_000


@dataclass(frozen=True)
class Plan:
    """How much there is, and how often it is asked."""

    records: int
    reads: int
    subjects: int
    """That were read."""
    queries: int


FULL = Plan(1_000_000, 100_000, 10_000, 2_000)
QUICK = Plan(20_000, 5_000, 500, 300)


@dataclass(frozen=True)
class Latency:
    """Of one query, in ms."""

    p50_ms: float
    p99_ms: float
    most_ms: float


def latency(samples_s: Sequence[float]) -> Latency:
    """Of several measurements."""
    ordered = sorted(1_000 * sample for sample in samples_s)
    return Latency(statistics.median(ordered), ordered[int(len(ordered) * 0.99)], ordered[-1])


def subject(number: int) -> str:
    """One that was read, from 0 on, up to 6,759,999."""
    letters, digits = divmod(number, 10_000)
    return f"{chr(65 + letters // 26)}{chr(65 + letters % 26)}{digits:04}"


class AuditChain:
    """A long chain for a network that has not run yet."""

    def __init__(self, network: LocalNetwork, store: ChainStore) -> None:
        self._workload = Workload(network)
        self._genesis = self._workload.genesis
        self._store = store
        self._replicas = _replica_signers(network, self._genesis.suite)
        self._admins = {name: _admin(network, name, self._genesis.suite) for name in (OWNER, READER)}
        self._dice = random.Random(1)
        self.append_seconds = 0.0

    def records(self, plan: Plan) -> Iterator[int]:
        """Those of the subjects, with confidential fields, and others; says how many came."""
        self._append([self._admin_transaction(OWNER, publish(resource()))])
        mine = (self._record(subject(number)) for number in range(plan.subjects))
        others = (self._workload.record(OWNER) for _ in range(plan.records - plan.subjects))
        signer = self._workload.users[OWNER].signer
        for group in _groups(itertools.chain(mine, others), RECORDS_A_BLOCK):
            expires_ms = wall_clock_ms() + 60_000
            self._append([build_transaction(self._genesis, signer, OWNER, expires_ms, records=group)])
            yield len(group)

    def reads(self, plan: Plan) -> Iterator[int]:
        """Under one grant, of each subject as often as of any other, in an order by chance; says how many came."""
        asked = terms(max_reads=plan.reads, expires_ms=wall_clock_ms() + YEAR_MS)
        applied = self._append([self._admin_transaction(READER, apply_for(asked))])
        grant = self._genesis.suite.digest(Domain.GRANT, applied, b"\0")
        self._append([self._admin_transaction(OWNER, approve(grant))])
        numbers = [number % plan.subjects for number in range(plan.reads)]
        self._dice.shuffle(numbers)
        self.append_seconds = 0.0
        for group in _groups(iter(numbers), READS_A_BLOCK):
            self._append([self._transaction(READER, read(grant, subject(number))) for number in group])
            yield len(group)

    def _record(self, about: str) -> BuiltRecord:
        suite = self._genesis.suite
        payload = strict.write(pb.Payload(salt=bytes(16), fields=[pb.FieldValue(number=1, value="a")]))
        record = pb.Record(
            resource=REGISTER,
            subject=about,
            version=1,
            action=pb.RECORD_ACTION_ASSERT,
            schema_version=1,
            payload_digest=suite.digest(Domain.PAYLOAD, payload),
            confidential_root=self._dice.randbytes(32),
        )
        raw = strict.write(record)
        return BuiltRecord(suite.digest(Domain.RECORD, raw), raw, payload)

    def _transaction(self, department: str, operation: pb.Operation) -> bytes:
        signer = self._workload.users[department].signer
        return build_transaction(self._genesis, signer, department, wall_clock_ms() + 60_000, operations=[operation])

    def _admin_transaction(self, department: str, operation: pb.Operation) -> bytes:
        signer = self._admins[department]
        return build_transaction(self._genesis, signer, department, wall_clock_ms() + 60_000, operations=[operation])

    def _append(self, raws: Sequence[bytes]) -> bytes:
        """The id of the block's first transaction."""
        genesis, store = self._genesis, self._store
        batch = check_batch(encode_batch(ReplicaId(1), wall_clock_ms(), raws), genesis, lambda _: None)
        block = execute(genesis, store.state, store.tip, batch)
        if any(code != pb.RESULT_CODE_ACCEPTED for code in block.codes):
            raise RuntimeError(f"refused: {block.codes}")
        message = seal_message(genesis.chain_id, genesis.membership.epoch, block.height, block.block_hash)
        chosen = sorted(self._replicas)[: genesis.membership.q]
        seals = {replica: self._replicas[replica].sign(Domain.SIGN_SEAL, message) for replica in chosen}
        certificate = build_certificate(genesis.membership, seals)
        started_s = time.perf_counter()
        store.append(block, certificate)
        self.append_seconds += time.perf_counter() - started_s
        if store.is_tree_flush_due:
            store.flush_tree()
        return block.transactions[0].id


def _groups(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while group := list(itertools.islice(items, size)):
        yield group


def _replica_signers(network: LocalNetwork, suite: Any) -> dict[ReplicaId, Signer]:
    configs = [load_config(node.directory) for node in network.nodes.values()]
    return {
        ReplicaId(config.node.replica): load_signer(config.node.consensus_key, KeyKind.CONSENSUS, suite)
        for config in configs
    }


def _admin(network: LocalNetwork, department: str, suite: Any) -> Signer:
    key = load_profile(network.profile(department, "system")).keys.admin
    if key is None:
        raise FileNotFoundError(f"no admin key of {department}")
    return load_signer(key, KeyKind.ADMIN, suite)


# --- measuring ---


def bench(directory: Path, plan: Plan) -> dict[str, Any]:
    """Measures everything, in an empty directory."""
    network = LocalNetwork.create(directory / "network")
    node = network.nodes[OWNER]
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=1)
        write_us = _make(network, node, plan, progress, task)
        asked = _questions(plan)
        report: dict[str, Any] = {"machine": machine(), "plan": asdict(plan), "write_us_a_read": write_us}
        report["bytes"] = sum(file.stat().st_size for file in node.data.rglob("*") if file.is_file())
        progress.reset(task, description="queries", total=2 * plan.queries)
        report["node"] = asdict(_in_the_node(network, node, asked, lambda: progress.advance(task)))
        report["client"] = asdict(_over_tls(network, node, asked, lambda: progress.advance(task)))
    return report


def _make(network: LocalNetwork, node: Node, plan: Plan, progress: Progress, task: TaskID) -> float:
    """The chain; how long the store took for a read."""
    genesis = Workload(network).genesis
    node.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = ChainStore.scratch(node.data, genesis)
    try:
        chain = AuditChain(network, store)
        progress.reset(task, description="records", total=plan.records)
        for count in chain.records(plan):
            progress.advance(task, count)
        progress.reset(task, description="reads", total=plan.reads)
        for count in chain.reads(plan):
            progress.advance(task, count)
        return 1e6 * chain.append_seconds / plan.reads
    finally:
        store.close()


def _questions(plan: Plan) -> list[audit_pb2.ListReadsRequest]:
    dice = random.Random(2)
    numbers = [dice.randrange(plan.subjects) for _ in range(plan.queries)]
    return [
        audit_pb2.ListReadsRequest(subject=audit_pb2.ReadSubject(resource=REGISTER, subject=subject(number)))
        for number in numbers
    ]


def _in_the_node(
    network: LocalNetwork, node: Node, asked: Sequence[audit_pb2.ListReadsRequest], advance: Callable[[], None]
) -> Latency:
    """The query, in a database that was just opened."""
    genesis = Workload(network).genesis
    store = ChainStore.open(node.data, genesis, create=False)
    try:
        audit = Queries(genesis, store).audit
        samples = []
        for request in asked:
            started_s = time.perf_counter()
            answer = audit.reads(request)
            samples.append(time.perf_counter() - started_s)
            if not answer.reads:
                raise RuntimeError("no reads of a subject that was read")
            advance()
        return latency(samples)
    finally:
        store.close()


def _over_tls(
    network: LocalNetwork, node: Node, asked: Sequence[audit_pb2.ListReadsRequest], advance: Callable[[], None]
) -> Latency:
    """The whole call of a client, and finding the list complete."""
    genesis = Workload(network).genesis
    profile = load_profile(network.profile(OWNER, "auditor"))

    async def measure() -> Latency:
        samples = []
        async with LedgerClient.from_profile(profile, genesis).only(0) as client:
            for request in asked:
                started_s = time.perf_counter()
                found = await fetch_reads(client, request)
                if found.account is None or not require_complete(genesis.suite, found.reads, found.account):
                    raise RuntimeError("no reads of a subject that was read")
                samples.append(time.perf_counter() - started_s)
                advance()
        return latency(samples)

    node.start()
    try:
        wait_until(lambda: _answers(profile, genesis), 60, "the node answers")
        return asyncio.run(measure())
    finally:
        node.stop()


def _answers(profile: Any, genesis: Any) -> bool:
    async def ask() -> Height:
        async with LedgerClient.from_profile(profile, genesis).only(0, timeout_s=5) as client:
            return Height((await client.status()).height)

    try:
        return asyncio.run(ask()) > 0
    except HuzhengError:
        return False


def show(report: dict[str, Any]) -> None:
    """A table for people."""
    plan = report["plan"]
    title = "All reads of one subject, ms: {records:,} records, {reads:,} reads of {subjects:,} subjects".format(**plan)
    table = Table(title=title)
    for heading in ("where", "p50", "p99", "most"):
        table.add_column(heading, justify="left" if heading == "where" else "right")
    for name, where in (("node", "in the node"), ("client", "client over TLS, found complete")):
        found = report[name]
        table.add_row(where, *(f"{found[key]:.2f}" for key in ("p50_ms", "p99_ms", "most_ms")))
    console = Console()
    console.print(table)
    console.print(
        f"storing a read took {report['write_us_a_read']:.0f} µs in blocks of {READS_A_BLOCK}; the database has "
        f"{report['bytes'] / 1e6:,.0f} MB; {report['machine']}"
    )


def main() -> int:
    """The command line."""
    arguments = parser("audit", __doc__, "20,000 records and 5,000 reads: under a minute").parse_args()
    with tempfile.TemporaryDirectory(prefix="huzheng-bench-") as directory:
        report = bench(Path(directory), QUICK if arguments.quick else FULL)
    tell(report, arguments.output, show)
    return 0


if __name__ == "__main__":
    sys.exit(main())
