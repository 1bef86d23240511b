"""Who a user of the command line is, and which nodes to call: `client.toml`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ledger.crypto import ReplicaId
from ledger.errors import Code, HuzhengError
from node.config import DepartmentId, TlsSection
from node.identity import Role
from node.toml_file import Address, TomlFile

PROFILE_VARIABLE = "HUZHENG_PROFILE"
PROFILE_NAME = "client.toml"


class ClientSection(Struct, frozen=True):
    """`[client]`: who calls."""

    department: DepartmentId
    role: Literal["system", "clerk", "operator", "auditor", "replica"]
    genesis: Path
    # The language of texts; without it the locale decides.
    language: Literal["en", "zh"] | None = None


class NodeAddress(Struct, frozen=True):
    """`[[nodes]]`: a node to call. They are tried in the order of the file."""

    replica: Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]
    department: DepartmentId
    address: Address

    @property
    def replica_id(self) -> ReplicaId:
        """For `node.tls.channel_options`."""
        return ReplicaId(self.replica)


class KeysSection(Struct, frozen=True):
    """`[keys]`: what the caller may sign with."""

    # Signs records.
    signing: Path | None = None
    # Signs changes to the department's keys.
    admin: Path | None = None


class ClientProfile(Struct, frozen=True):
    """A user's whole configuration. All paths are absolute."""

    file: Path
    client: ClientSection
    nodes: tuple[NodeAddress, ...]
    tls: TlsSection
    keys: KeysSection

    @property
    def role(self) -> Role:
        """The role that the certificate should have."""
        return Role(self.client.role)


def find_profile(given: Path | None = None) -> Path:
    """The profile to use: the one given, the one `HUZHENG_PROFILE` names, or `client.toml` here.

    A directory stands for the file in it.

    Raises:
        HuzhengError: CONFIG_MISSING.
    """
    named = os.environ.get(PROFILE_VARIABLE)
    path = given or (Path(named) if named else Path(PROFILE_NAME))
    if path.is_dir():
        path = path / PROFILE_NAME
    if not path.is_file():
        raise HuzhengError(Code.CONFIG_MISSING, f"{path.absolute()} (choose one with --profile or {PROFILE_VARIABLE})")
    return path


def load_profile(path: Path) -> ClientProfile:
    """Reads and checks `client.toml`; relative paths in it are relative to its directory.

    Raises:
        HuzhengError: CONFIG_MISSING; CONFIG_INVALID with all mistakes in the detail, one a line.
    """
    toml = TomlFile.read(path)
    client = toml.section("client", ClientSection)
    nodes = toml.list_of_sections("nodes", NodeAddress)
    tls = toml.section("tls", TlsSection)
    keys = toml.section("keys", KeysSection, default=KeysSection())
    toml.refuse_other_sections()
    if not nodes:
        toml.problem("[[nodes]]", "no node to call")
    if client is not None:
        toml.require_file("client.genesis", client.genesis)
    if tls is not None:
        toml.require_file("tls.certificate", tls.certificate)
        toml.require_file("tls.key", tls.key)
        if tls.authority is not None:
            toml.require_file("tls.authority", tls.authority)
    if keys is not None:
        for name, key in (("keys.signing", keys.signing), ("keys.admin", keys.admin)):
            if key is not None:
                toml.require_file(name, key)
    toml.raise_problems()
    # A missing required section is a problem, so this only tells mypy.
    if client is None or tls is None or keys is None:
        raise HuzhengError(Code.CONFIG_INVALID, str(path))
    return ClientProfile(toml.path, client, tuple(nodes), tls, keys)
