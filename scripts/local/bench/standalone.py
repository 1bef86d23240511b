"""What the measurements have in common that are commands of their own: `scripts/bench proofs`, `audit`, `sharing`, `steps` and `skeleton`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any


def parser(name: str, about: str | None, quick: str) -> argparse.ArgumentParser:
    """The options that all have. `quick`: what is less with `--quick`."""
    made = argparse.ArgumentParser(prog=f"scripts/bench {name}", description=about)
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--output", choices=("table", "json"), default="table")
    return made


def tell(report: dict[str, Any], output: str, show: Callable[[dict[str, Any]], None]) -> None:
    """Prints a report for programs, or as `show` does for people."""
    if output == "json":
        print(json.dumps(report, indent=2))
    else:
        show(report)
