"""`backup.json`: what a backup holds, with the digest of each file. Written last: without it a backup is not complete."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from ledger.errors import Code, HuzhengError
from node.config import DepartmentId
from node.private_file import read_file, write_new_file

FILE_NAME: Final = "backup.json"
CHAIN: Final = "chain"
VAULT: Final = "vault"
FILES: Final = "files"
"""The directories of a backup: the two databases, and the node's files that are not secret."""

Hex = Annotated[str, Meta(pattern=r"^([0-9a-f]{2})+\Z")]
OnBytes = Callable[[int, int], None]
"""Called with how many bytes are done, and how many there are."""
_CHUNK_BYTES: Final = 1 << 20


class FileEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    size: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class VaultPart(Struct, frozen=True, forbid_unknown_fields=True):
    """What the backup has of the vault: ciphertexts, and which keyring opens them."""

    vault_id: Hex
    generation: Annotated[int, Meta(ge=0)]
    """Of the keyring when the backup was made. An older one would open what was erased before."""
    records: Annotated[int, Meta(ge=0)]
    persons: Annotated[int, Meta(ge=0)]


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole backup."""

    format: Literal[1]
    chain_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    department: DepartmentId
    replica: Annotated[int, Meta(ge=1, lt=1 << 31)]
    software_version: str
    # RFC 3339, UTC.
    created: str
    height: Annotated[int, Meta(ge=0)]
    block_hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    block_time_ms: Annotated[int, Meta(ge=0)]
    entries: Annotated[int, Meta(ge=0)]
    # None: the node has no vault.
    vault: VaultPart | None
    # By path below the backup's directory.
    files: dict[str, FileEntry]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())


def describe_files(directory: Path, on_bytes: OnBytes) -> dict[str, FileEntry]:
    """All files below a directory with their digests, read from the disk."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in paths]
    done, total, found = 0, sum(sizes), {}
    for path, size in zip(paths, sizes, strict=True):
        found[path.relative_to(directory).as_posix()] = FileEntry(size, _sha256(path, done, total, on_bytes))
        done += size
    return found


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Writes it, which completes the backup. Raises OSError."""
    write_new_file(directory / FILE_NAME, encode_manifest(manifest), private=True)


def encode_manifest(manifest: Manifest) -> bytes:
    """The contents of `backup.json`."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode_manifest(data: bytes) -> Manifest:
    """Reads what `encode_manifest` wrote. Raises ValueError."""
    return msgspec.json.decode(data, type=Manifest)


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        HuzhengError: BACKUP_INVALID.
    """
    path = directory / FILE_NAME
    data = read_file(path, Code.BACKUP_INVALID, _MAX_BYTES)
    try:
        return decode_manifest(data)
    except (ValueError, RecursionError) as error:
        raise HuzhengError(Code.BACKUP_INVALID, f"{path}: {error}") from None


def verify_files(directory: Path, manifest: Manifest, on_bytes: OnBytes) -> None:
    """Whether all files are there as they were written, and no others.

    Raises:
        HuzhengError: BACKUP_INVALID with the first mistake.
    """
    there = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir()}
    for name in sorted((there - {FILE_NAME}) ^ set(manifest.files)):
        what = "not in the manifest" if name in there else "missing"
        raise HuzhengError(Code.BACKUP_INVALID, f"{directory / name}: {what}")
    done = 0
    for name, entry in sorted(manifest.files.items()):
        path = directory / name
        if path.is_symlink() or path.stat().st_size != entry.size:
            raise HuzhengError(Code.BACKUP_INVALID, f"{path}: another size than was written")
        if _sha256(path, done, manifest.size, on_bytes) != entry.sha256:
            raise HuzhengError(Code.BACKUP_INVALID, f"{path}: damaged")
        done += entry.size


def _sha256(path: Path, done: int, total: int, on_bytes: OnBytes) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            on_bytes(done, total)
    return digest.hexdigest()


# A chain of a billion records has some hundred thousand files.
_MAX_BYTES: Final = 64 << 20
