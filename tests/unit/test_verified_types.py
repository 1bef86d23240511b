"""What says that something was verified is made by its verifier alone; the type checker can't hold this."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("ledger", "consensus", "node", "scripts")
MAKERS: dict[str, set[str]] = {
    "Genesis": set(),  # `Genesis.read` calls `cls`
    "RecordInTransaction": {"ledger/transaction.py"},
    "WellFormedTransaction": {"ledger/transaction.py"},
    # A block that is executed again has no batch to be read.
    "WellFormedBatch": {"ledger/transaction.py", "ledger/execution.py"},
    "ExecutedBlock": {"ledger/execution.py"},
    "ProvenBlock": {"ledger/block_apply.py"},
    "ProvenRecord": {"ledger/proven_record.py"},
    "SealedBlock": {"ledger/sealed_block.py"},
    "HistoryVerdict": {"ledger/history.py"},
    "Verdict": {"ledger/receipt.py"},
    "DisclosureVerdict": {"ledger/disclosure.py"},
    "StatementVerdict": {"ledger/statement.py"},
    "VerifiedBlock": {"ledger/store/verified.py"},
    "VerifiedTransaction": {"ledger/store/verified.py"},
}


def _calls(path: Path) -> Iterator[str]:
    """Names that are called, by themselves or as a module's."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)) if not _is_schema(module):
                yield name


def _is_schema(module: str) -> bool:
    # A message may have the same name: it is what was not verified yet.
    return module == "pb" or module.endswith("_pb2")


@pytest.fixture(scope="module")
def callers() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in (path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")):
        for name in _calls(path):
            found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize("name", MAKERS)
def test_only_its_verifier_makes_it(callers: dict[str, set[str]], name: str) -> None:
    assert callers.get(name, set()) == MAKERS[name]
