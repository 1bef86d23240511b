"""Backs a node up: its configuration, its chain, and the ciphertexts of its vault, while it runs or stopped.

A backup holds no secret: no key file, no keyring, nothing by which somebody could vote. What is to be kept besides is in docs/operations.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from consensus.vote_log import ended_entry
from ledger.crypto import Height, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.store import ChainReader, ChainStore, Entry
from ledger.store.chain_copy import copy_chain
from node import backup_manifest as layout
from node.backup_manifest import Manifest, VaultPart, describe_files, write_manifest
from node.config import CONFIG_NAME, NodeConfig
from node.evidence import evidence_path
from node.private_file import sync_directory, write_new_file
from node.vault.opening import disk_errors
from node.vault.status import keyring_header
from node.vault.vault import Vault
from node.vault_config import vault_places
from node.version import software_version

GENESIS: Final = "genesis.bin"
AUTHORITY: Final = "ca.crt"
EVIDENCE: Final = "evidence.jsonl"

CHAIN_STEP: Final = "chain"
VAULT_STEP: Final = "vault"
DIGEST_STEP: Final = "digests"
OnProgress = Callable[[str, int, int], None]
"""Called with the step, how much of it is done, and how much there is (0: not known). What it raises ends the backup."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is backed up."""

    config: NodeConfig
    genesis: Genesis
    store: ChainStore
    vault: Vault | None


def make_backup(source: Source, target: Path, on_progress: OnProgress) -> Manifest:
    """Writes a backup to a new or empty directory, and reads all of it back. The node goes on working meanwhile.

    What was begun is removed if it fails.

    Raises:
        HuzhengError: BACKUP_TARGET_USED, STORE_ACCESS, STORE_DISK_FULL, STORE_WRITE_FAILED, STORE_CORRUPT; those of `Vault.backup`.
    """
    with disk_errors(target), _begun(source.config, target):
        chain = copy_chain(
            source.store,
            source.genesis,
            target / layout.CHAIN,
            lambda copied: _ended_votes(copied, ReplicaId(source.config.node.replica)),
            lambda done, total: on_progress(CHAIN_STEP, done, total),
        )
        vault = _back_up_vault(source, target, on_progress)
        _copy_files(source, target / layout.FILES)
        files = describe_files(target, lambda done, total: on_progress(DIGEST_STEP, done, total))
        manifest = Manifest(
            format=1,
            chain_id=source.genesis.chain_id.hex(),
            department=source.config.node.department,
            replica=source.config.node.replica,
            software_version=software_version(),
            created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            height=chain.tip.height,
            block_hash=chain.tip.block_hash.hex(),
            block_time_ms=chain.tip.time_ms,
            entries=chain.entries,
            vault=vault,
            files=files,
        )
        for directory in (target / layout.CHAIN, target / layout.FILES, target):
            sync_directory(directory)
        write_manifest(target, manifest)
        return manifest


@contextmanager
def _begun(config: NodeConfig, target: Path) -> Iterator[None]:
    """An empty directory, which is left empty or away again if anything goes wrong."""
    existed = target.exists()
    if existed and (not target.is_dir() or any(target.iterdir())):
        raise HuzhengError(Code.BACKUP_TARGET_USED, str(target))
    own = [config.node.data] if config.vault is None else [config.node.data, config.vault.directory]
    if any(place.resolve() in (target.resolve(), *target.resolve().parents) for place in own):
        raise HuzhengError(Code.BACKUP_TARGET_USED, f"{target} is in a directory of the node's own")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in list(target.iterdir()):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        if not existed:
            target.rmdir()
        raise


def _ended_votes(chain: ChainReader, own: ReplicaId) -> Sequence[Entry]:
    """What the copy knows of votes: that it knows nothing of them, so that the key must not vote on (S14)."""
    member = chain.membership_at(Height(chain.tip.height + 1)).member(own)
    return [] if member is None else [ended_entry(member.public_key)]


def _back_up_vault(source: Source, target: Path, on_progress: OnProgress) -> VaultPart | None:
    if source.vault is None:
        return None
    on_progress(VAULT_STEP, 0, 0)
    # The keyring first: an erasure that comes in between then makes the backup know of an older one than it needs, never of a newer.
    header = keyring_header(vault_places(source.config).keyring_file)
    summary = source.vault.backup(target / layout.VAULT)
    return VaultPart(header.vault_id.hex(), header.generation, summary.records, summary.persons)


def _copy_files(source: Source, target: Path) -> None:
    config = source.config
    target.mkdir(mode=0o700)
    write_new_file(target / CONFIG_NAME, config.file.read_bytes(), private=True)
    write_new_file(target / GENESIS, source.genesis.raw, private=True)
    if config.tls.authority is not None:
        write_new_file(target / AUTHORITY, config.tls.authority.read_bytes(), private=True)
    evidence = evidence_path(config.node.data)
    if evidence.exists():
        write_new_file(target / EVIDENCE, evidence.read_bytes(), private=True)
