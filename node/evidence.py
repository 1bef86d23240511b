"""Proofs that a replica signed two different messages for one slot, kept beside the database for whoever has to judge it."""

from __future__ import annotations

import json
from pathlib import Path

import structlog

from consensus.events import Equivocation

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Some ten thousand proofs; a replica that goes on must not fill the disk."""

log = structlog.get_logger("evidence")


class EvidenceFile:
    """One line of JSON for each proof, with both signed envelopes (huzheng.v1.Envelope) in hex. Only ever added to."""

    def __init__(self, database: Path) -> None:
        """`database`: the directory of the node's database, which holds nothing but itself."""
        self.path = database.with_name(database.name + ".evidence.jsonl")

    def keep(self, proof: Equivocation) -> None:
        """Adds a proof; where that fails, or there is no more room, it is only logged."""
        line = {
            "replica": proof.replica,
            "sequence": proof.sequence,
            "first": proof.first.SerializeToString().hex(),
            "second": proof.second.SerializeToString().hex(),
        }
        try:
            with self.path.open("a", encoding="utf-8") as file:
                kept = file.tell() < MAX_FILE_BYTES
                if kept:
                    file.write(json.dumps(line) + "\n")
        except OSError as error:
            kept = False
            log.warning("evidence not kept", exc_info=error)
        log.error("equivocation", replica=proof.replica, sequence=proof.sequence, kept=kept)
