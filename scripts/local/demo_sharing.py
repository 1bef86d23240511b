"""The demo's second act: the tax office gets at an owner's name for the deed tax, lawfully, and the person is forgotten again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.local.network import LocalNetwork, NetworkFailure, run_huzheng, wait_until

RESOURCE = "property.owner"
UNIT, NEIGHBOUR = "110108001003GB00012F00070349", "110108001003GB00012F00070350"
PERSON = {"QLRMC": "王测试", "QLRZJZL": "1", "QLRZJH": "110108189912310020"}
"""Synthetic: nobody alive was born in 1899."""
CASE = "2026-0712"
LAW = "Deed Tax Law, article 11"
ERASURE_TIMEOUT_S = 30.0

Say = Callable[[str], None]


class Sharing:
    """What happens, one method a step."""

    def __init__(self, network: LocalNetwork, directory: Path, say: Say) -> None:
        self._network = network
        self._directory = directory
        self._say = say
        self._planning = network.profile("planning", "system")
        self._tax = network.profile("tax", "system")

    def register(self) -> None:
        """Two flats, whose owner only planning's vault knows."""
        lines = [
            {
                "resource": RESOURCE,
                "subject": unit,
                "action": "assert",
                "version": 1,
                "fields": {"YWH": "2026-000712", "QLRBH": "a" * 26, "DJSJ": "2026-11-27"},
                "confidential": PERSON,
            }
            for unit in (UNIT, NEIGHBOUR)
        ]
        path = self._directory / "owners.jsonl"
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        submitted = run_huzheng("--profile", self._planning, "submit", path)
        path.unlink()
        self._say(submitted.stdout.strip())
        self._say("the owner's name and document are in planning's vault; the chain has a commitment to each field")

    def grant(self) -> None:
        """Tax applies, planning grants less."""
        applied = self._json(
            self._tax,
            *("grant", "apply", RESOURCE, "--field", "QLRMC", "--field", "QLRZJH", "--subject", UNIT, "--case", CASE),
            *("--until", "90d", "--reads", "10", "--purpose", "deed tax", "--legal-basis", LAW),
        )
        self._grant = applied["grant"]
        self._say(f"tax applies for name and document number, for case {CASE}: grant {self._grant[:16]}…")
        self._json(self._planning, "grant", "approve", self._grant, "--field", "QLRMC", "--reads", "2")
        self._say("planning grants the name alone, for two reads")

    def read(self) -> None:
        """One flat is read, checked, and checked again from the file."""
        path = self._directory / "owner.disclosure"
        found = self._json(self._tax, "read", "ask", self._grant, UNIT, "--case", CASE, "--out", str(path))
        if found["fields"] != {"QLRMC": PERSON["QLRMC"]}:
            raise NetworkFailure("another value than was registered")
        self._record = found["record_id"]
        self._say(f"ordered in block {found['height']}, then given out, checked and acknowledged: {found['fields']}")
        verdict = run_huzheng("verify", path, "--genesis", self._network.genesis, "--offline")
        self._say(f"the disclosure, {path.stat().st_size} bytes, offline: {verdict.stdout.splitlines()[0].strip()}")

    def refuse(self) -> None:
        """The neighbour's flat is outside the grant."""
        asked = run_huzheng("--profile", self._tax, "read", "ask", self._grant, NEIGHBOUR, "--case", CASE, check=False)
        if asked.returncode == 0 or "OUTSIDE_GRANT" not in asked.stderr:
            raise NetworkFailure(f"a read outside the grant: {asked.returncode}\n{asked.stderr}")
        self._say("the neighbour's flat: refused, OUTSIDE_GRANT, and that stays on the chain too")

    def audit(self) -> None:
        """An auditor of a third department sees who read what, and hands it on with its proofs."""
        auditor = self._network.profile("police", "auditor")
        kept = self._directory / "reads"
        found = self._json(auditor, "audit", "reads", "--grant", self._grant, "--proofs", str(kept))
        for read in found["reads"]:
            self._say(f"{read['reader']} {read['subject']}: {read['status']} {read['reason'] or ''}".rstrip())
        run_huzheng("audit", "verify", kept, "--genesis", self._network.genesis)
        self._say("each of them is proved, and that no accepted one is missing; offline, from the kept files, too")

    def erase(self) -> None:
        """The person is forgotten, at the owner's and at the reader's."""
        order = ("vault", "erase", RESOURCE, UNIT, "--legal-basis", "PIPL, article 47", "--yes")
        self._json(self._planning, *order)
        wait_until(self._is_erased, ERASURE_TIMEOUT_S, "planning and tax have erased")
        self._say("planning and tax have destroyed the values and their keys, and say so on the chain")
        asked = run_huzheng("--profile", self._tax, "read", "ask", self._grant, UNIT, "--case", CASE, check=False)
        if "ERASED" not in asked.stderr:
            raise NetworkFailure(f"an erased record was not refused: {asked.stderr}")
        self._say("nobody reads them any more (ERASED); the record and its proofs stand as before")

    def _is_erased(self) -> bool:
        orders = self._json(self._tax, "vault", "erasures")["erasures"]
        return [set(record["erased_by"]) for order in orders for record in order["records"]] == [{"planning", "tax"}]

    def _json(self, profile: Path, *arguments: str) -> Any:
        return json.loads(run_huzheng("--profile", profile, "--output", "json", *arguments).stdout)
