"""What the fields of records are called whose schema versions came after the genesis: fetched with a receipt, and proved beside it (R6, Q8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.files import read_bytes

if TYPE_CHECKING:
    from ledger.catalogue import CompiledResource
    from ledger.epochs import EpochTerms
    from ledger.genesis import Genesis
    from ledger.receipt import Verdict
    from ledger.sealed_block import SealedBlock
    from node.light_client import LightClient

    Definitions = Callable[[str, int], CompiledResource | None]
    """By name and schema version; None where nothing tells."""


def read_definitions(
    path: Path | None, genesis: Genesis, epochs: Sequence[EpochTerms], anchor: SealedBlock | None, history: bytes
) -> Definitions:
    """Those of the genesis, and those that the statement in a file proves.

    Raises:
        HuzhengError: as `verify_statement`; FILE_ACCESS.
    """
    from ledger.published import compiled, version_key
    from ledger.statement import verify_statement

    entries = {} if path is None else verify_statement(read_bytes(path), genesis, epochs, anchor, history).entries

    def find(name: str, schema_version: int) -> CompiledResource | None:
        raw = entries.get(version_key(name, schema_version))
        return genesis.version(name, schema_version) if raw is None else compiled(raw)

    return find


async def fetch_definition(light: LightClient, verdict: Verdict) -> bytes | None:
    """The statement that proves the schema version of a receipt's record; None where the genesis has it, or no record is proved.

    Raises:
        HuzhengError: as `LightClient.statement`.
    """
    from ledger.published import version_key

    record = verdict.record
    if record is None or light.genesis.version(record.resource, record.schema_version) is not None:
        return None
    key = version_key(record.resource, record.schema_version)
    return (await light.statement(keys=[key], whole=True)).raw
