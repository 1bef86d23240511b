"""What proofs cost on this machine: updates of the state tree, proofs, statements and receipts.

Times are of the CPU, not of the clock, as the machine may be doing other work: the median of several rounds, and the least. A signature check is
given beside them, since most of a verification is these. States are of subjects with one head each, in a real database whose writes are not
synchronous; the chain for receipts is made without consensus, with all the replicas' keys.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from huzheng.v1 import statement_pb2
from huzheng.v1 import transaction_pb2 as pb
from nacl import bindings
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from ledger.block import ExecutedBlock
from ledger.crypto import ED25519_SHA256, ReplicaId
from ledger.execution import execute
from ledger.receipt import block_proofs, build_receipt, verify_receipt
from ledger.state import heads_key, leaf_digest, leaf_path
from ledger.state.proof import root_from_proof
from ledger.statement import Question, verify_statement
from ledger.store import ChainStore
from ledger.transaction import check_batch, encode_batch
from scripts.local.bench.machine import machine
from scripts.local.bench.standalone import parser, tell
from tests.builders import OBJECTION, Consortium
from tests.synthetic_state import SyntheticState, UpdateCost

UPDATES = 1_000
"""Updates a block."""
SUBJECTS = 20
"""Real records among the others, about which statements are made."""
RECORDS = 1_000
"""Transactions of one record in the blocks of which receipts are made."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sizes: Sequence[int]
    """Of the state, in subjects."""
    rounds: int
    """Blocks of updates at each size."""
    blocks: int
    """Of the chain after which a receipt is made once more."""
    repetitions: int
    """Of a proof or a verification."""


FULL = Plan((10_000, 100_000, 1_000_000), 20, 50_000, 300)
QUICK = Plan((1_000, 10_000, 100_000), 10, 2_000, 60)


@dataclass(frozen=True)
class Cost:
    """CPU time, in µs."""

    median_us: float
    least_us: float


def cost(samples: Sequence[float]) -> Cost:
    """Of several measurements."""
    return Cost(statistics.median(samples), min(samples))


def time_each(functions: Iterable[Callable[[], object]]) -> Cost:
    """The CPU time of each."""
    samples = []
    for function in functions:
        started_ns = time.process_time_ns()
        function()
        samples.append((time.process_time_ns() - started_ns) / 1_000)
    return cost(samples)


def signature_check(repetitions: int) -> Cost:
    """One crypto_sign_open of libsodium, of 300 bytes."""
    public_key, secret_key = bindings.crypto_sign_seed_keypair(bytes(32))
    signed = bindings.crypto_sign(bytes(300), secret_key)
    return time_each([lambda: bindings.crypto_sign_open(signed, public_key)] * max(1_000, repetitions))


# --- states ---


def measure_state(
    state: SyntheticState, subjects: Sequence[str], reads: Sequence[tuple[bytes, bytes, bytes]], plan: Plan
) -> dict[str, Any]:
    """Updates, proofs and statements at the size that the state has. `subjects`: of real records; `reads`: keys of grants, reads, accounts."""
    updates = [state.update(UPDATES) for _ in range(plan.rounds)]
    return {
        "keys": state.keys,
        "update": update_costs(updates),
        "proof": measure_proofs(state, subjects, plan.repetitions),
        "statement": measure_statements(state, subjects, plan.repetitions),
        "entries": {
            "a grant": measure_entries(state, [[grant] for grant, _, _ in reads], plan.repetitions),
            "a read and its account": measure_entries(state, [list(keys[1:]) for keys in reads], plan.repetitions),
        },
    }


def update_costs(updates: Sequence[UpdateCost]) -> dict[str, Any]:
    """Of each part of an update, and of all together."""
    parts = ("leaves_us", "tree_us", "write_us", "whole_us")
    return {name.removesuffix("_us"): asdict(cost([getattr(one, name) for one in updates])) for name in parts}


def measure_proofs(state: SyntheticState, subjects: Sequence[str], repetitions: int) -> dict[str, Any]:
    """Of what is there, and of what is not."""
    store, suite = state.store, state.consortium.suite
    slot, height = state.consortium.genesis.slots[OBJECTION], store.tip.height
    report = {}
    for name, asked in (("present", subjects), ("absent", [f"nobody {number}" for number in range(SUBJECTS)])):
        keys = [heads_key(slot, subject) for subject in asked]
        paths = {leaf_path(suite, key): leaf_digest(suite, key, store.state.get(key)) for key in keys}
        proofs = {path: store._tree.walk(path, height).to_proof(path) for path in paths}
        if any(root_from_proof(suite, path, paths[path], proofs[path]) != store.tip.state_root for path in paths):
            raise RuntimeError("a proof that proves nothing")
        rounds = max(1, repetitions // len(asked))
        make = [partial(lambda path: store._tree.walk(path, height).to_proof(path), path) for path in paths]
        check = [partial(root_from_proof, suite, path, paths[path], proofs[path]) for path in paths]
        sizes = [proof.ByteSize() for proof in proofs.values()]
        report[name] = {
            "bytes": statistics.median(sizes),
            "most_bytes": max(sizes),
            "make": asdict(time_each(make * rounds)),
            "verify": asdict(time_each(check * rounds)),
        }
    return report


def measure_statements(state: SyntheticState, subjects: Sequence[str], repetitions: int) -> dict[str, Any]:
    """About all resources of a register and one subject of which something is registered, with what the record says."""
    genesis, store = state.consortium.genesis, state.store
    register = genesis.slots[OBJECTION].register
    resources = [name for name, slot in genesis.slots.items() if slot.register == register]
    asked = [[Question(name, subject) for name in resources] for subject in subjects]
    make = [partial(store.statement, questions, with_records=True) for questions in asked]
    statements = [statement() for statement in make]
    rounds = max(1, repetitions // len(asked))
    parts = [statement_parts(raw) for raw in statements]
    return {
        "resources": len(resources),
        "bytes": {name: statistics.median(part[name] for part in parts) for name in parts[0]},
        "make": asdict(time_each(make * rounds)),
        "verify": asdict(time_each([partial(verify_statement, raw, genesis) for raw in statements] * rounds)),
    }


def measure_entries(state: SyntheticState, asked: Sequence[list[bytes]], repetitions: int) -> dict[str, Any]:
    """Statements of nothing but these keys."""
    genesis, store = state.consortium.genesis, state.store
    make = [partial(store.statement, [], keys) for keys in asked]
    statements = [statement() for statement in make]
    rounds = max(1, repetitions // len(asked))
    parts = [entry_parts(raw) for raw in statements]
    return {
        "bytes": {name: statistics.median(part[name] for part in parts) for name in parts[0]},
        "make": asdict(time_each(make * rounds)),
        "verify": asdict(time_each([partial(verify_statement, raw, genesis) for raw in statements] * rounds)),
    }


def entry_parts(raw: bytes) -> dict[str, int]:
    """Bytes of each part of a statement with entries alone, and of the whole."""
    statement = statement_pb2.Statement.FromString(raw)
    parts = {
        "header": len(statement.header),
        "certificate": len(statement.certificate),
        "path": sum(entry.path.ByteSize() for entry in statement.entries),
        "keys": sum(len(entry.key) for entry in statement.entries),
        "values": sum(len(entry.value) for entry in statement.entries),
    }
    return parts | {"rest": len(raw) - sum(parts.values()), "whole": len(raw)}


def statement_parts(raw: bytes) -> dict[str, int]:
    """Bytes of each part of a statement with one leaf, and of the whole."""
    statement = statement_pb2.Statement.FromString(raw)
    [leaf] = statement.leaves
    parts = {
        "header": len(statement.header),
        "certificate": len(statement.certificate),
        "path": leaf.path.ByteSize(),
        "groups": sum(group.ByteSize() for group in leaf.groups),
        "records": 0,
    }
    for field, value in statement.ListFields():
        if field.name not in ("header", "certificate", "leaves"):
            parts[field.name] = sum(item.ByteSize() for item in value)
    return parts | {"rest": len(raw) - sum(parts.values()), "whole": len(raw)}


# --- receipts ---


class ReceiptChain:
    """A chain made without consensus, whose membership does not change."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self._consortium = Consortium(ED25519_SHA256)
        self._store = ChainStore.scratch(path, self._consortium.genesis)
        self._transactions = 0

    def close(self) -> None:
        """Closes the database."""
        self._store.close()

    def grow(self, blocks: int) -> Iterator[int]:
        """Null blocks; a number now and then, of how many there are more."""
        for number in range(1, blocks + 1):
            self._append([])
            if number % 100 == 0:
                yield 100

    def measure(self, repetitions: int) -> dict[str, Any]:
        """One more block of transactions with one record each, and the receipts of them."""
        consortium, genesis = self._consortium, self._consortium.genesis
        first = self._transactions + 1
        self._transactions += RECORDS
        records = [consortium.record(number) for number in range(first, first + RECORDS)]
        raws = [consortium.transaction([record], nonce=first + place) for place, record in enumerate(records)]
        block, certificate = self._append(raws)
        proofs = block_proofs(genesis, block.header, certificate, [t.id for t in block.transactions], block.results)
        receipts = [
            build_receipt(genesis, proofs, place, pb.Transaction.FromString(block.transactions[place].raw), 0)
            for place in range(0, RECORDS, RECORDS // SUBJECTS)
        ]
        if not all(verify_receipt(raw, genesis).accepted for raw in receipts):
            raise RuntimeError("a receipt that proves nothing")
        verifying = [partial(verify_receipt, raw, genesis) for raw in receipts]
        return {
            "height": block.height,
            "bytes": statistics.median(map(len, receipts)),
            "header_bytes": len(block.header),
            "verify": asdict(time_each(verifying * max(1, repetitions // len(verifying)))),
        }

    def _append(self, raws: Sequence[bytes]) -> tuple[ExecutedBlock, bytes]:
        genesis, store = self._consortium.genesis, self._store
        raw = encode_batch(ReplicaId(1), self._consortium.now_ms, raws) if raws else b""
        block = execute(genesis, store.state, store.tip, check_batch(raw, genesis, lambda _: None))
        certificate = self._consortium.certificate(block)
        store.append(block, certificate)
        return block, certificate


# --- all ---


def bench(directory: Path, plan: Plan) -> dict[str, Any]:
    """Measures everything, in an empty directory."""
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=1)
        report: dict[str, Any] = {"machine": machine(), "updates_a_block": UPDATES}
        report["signature_check"] = asdict(signature_check(plan.repetitions))
        report["receipts"] = measure_receipts(directory, plan, progress, task)
        report["states"] = measure_states(directory, plan, progress, task)
    return report


def measure_receipts(directory: Path, plan: Plan, progress: Progress, task: TaskID) -> list[dict[str, Any]]:
    """At the start of a chain, and at its end."""
    progress.reset(task, description="receipts", total=plan.blocks)
    chain = ReceiptChain(directory / "chain")
    try:
        measured = [chain.measure(plan.repetitions)]
        for blocks in chain.grow(plan.blocks):
            progress.advance(task, blocks)
        measured.append(chain.measure(plan.repetitions))
    finally:
        chain.close()
    return measured


def measure_states(directory: Path, plan: Plan, progress: Progress, task: TaskID) -> list[dict[str, Any]]:
    """The same state at each size, as it grows."""
    progress.reset(task, description="states", total=max(plan.sizes))
    state = SyntheticState(directory / "state", Consortium(ED25519_SHA256))
    measured = []
    try:
        subjects = state.add_records(SUBJECTS)
        reads = [state.add_read(subject) for subject in subjects]
        for size in plan.sizes:
            for keys in state.fill(size):
                progress.update(task, advance=keys, description=f"{size:,} keys")
            measured.append(measure_state(state, subjects, reads, plan))
    finally:
        state.store.close()
    return measured


def show(report: dict[str, Any]) -> None:
    """Tables for people. All times are medians of CPU time."""
    check_us = report["signature_check"]["median_us"]
    console = Console()
    console.print(_state_table(report["states"]))
    console.print(_proof_table(report["states"], check_us))
    console.print(_receipt_table(report["receipts"], check_us))
    console.print(f"one signature check: {check_us:.0f} µs; CPU time, medians; {report['machine']}")


def _state_table(states: Sequence[dict[str, Any]]) -> Table:
    table = _table(
        f"An update of the state, µs of CPU, {UPDATES:,} a block", "keys", "leaf", "tree", "write", "all threads"
    )
    for state in states:
        parts = [state["update"][name]["median_us"] for name in ("leaves", "tree", "write", "whole")]
        table.add_row(f"{state['keys']:,}", *(f"{part:.1f}" for part in parts))
    return table


def _proof_table(states: Sequence[dict[str, Any]], check_us: float) -> Table:
    table = _table("Proofs and statements", "keys", "what", "bytes", "make µs", "verify µs", "in checks")
    for state in states:
        kinds = {f"{name} key": measured for name, measured in state["proof"].items()}
        for name, measured in kinds.items():
            verify_us = measured["verify"]["median_us"]
            row = (f"{measured['bytes']:,.0f}", f"{measured['make']['median_us']:,.0f}", f"{verify_us:,.0f}")
            table.add_row(f"{state['keys']:,}", name, *row, f"{verify_us / check_us:.1f}")
        statements = {f"{state['statement']['resources']} resources": state["statement"], **state["entries"]}
        for name, statement in statements.items():
            parts = ", ".join(f"{part} {size:,.0f}" for part, size in statement["bytes"].items() if part != "whole")
            verify_us = statement["verify"]["median_us"]
            table.add_row(
                f"{state['keys']:,}",
                f"statement, {name} ({parts})",
                f"{statement['bytes']['whole']:,.0f}",
                f"{statement['make']['median_us']:,.0f}",
                f"{verify_us:,.0f}",
                f"{verify_us / check_us:.1f}",
            )
    return table


def _receipt_table(receipts: Sequence[dict[str, Any]], check_us: float) -> Table:
    title = f"Receipts of one record, in blocks of {RECORDS:,} transactions"
    table = _table(title, "block", "bytes", "of which header", "verify µs", "in checks")
    for receipt in receipts:
        verify_us = receipt["verify"]["median_us"]
        table.add_row(
            f"{receipt['height']:,}",
            f"{receipt['bytes']:,.0f}",
            str(receipt["header_bytes"]),
            f"{verify_us:,.0f}",
            f"{verify_us / check_us:.1f}",
        )
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "what" else "right")
    return table


def main() -> int:
    """The command line."""
    arguments = parser("proofs", __doc__, "smaller states and a shorter chain: under a minute").parse_args()
    with tempfile.TemporaryDirectory(prefix="huzheng-bench-") as directory:
        report = bench(Path(directory), QUICK if arguments.quick else FULL)
    tell(report, arguments.output, show)
    return 0


if __name__ == "__main__":
    sys.exit(main())
