"""What a node's operator sets in `node.toml`, checked at start with every mistake named at once.

Only local things are here. Whatever all replicas must share, message sizes among them, is in the genesis: one node's
own setting of such a value could halt the chain.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct, field

from ledger.crypto import ReplicaId
from ledger.errors import Code, HuzhengError
from node.toml_file import Address, TomlFile

if TYPE_CHECKING:
    # The other way it would load the database with every configuration that is read.
    from node.consortium import Consortium

CONFIG_NAME = "node.toml"
MEBIBYTE = 1 << 20
DepartmentId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{1,31}\Z")]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Bytes = Annotated[int, Meta(ge=MEBIBYTE, le=1 << 40)]


class NodeSection(Struct, frozen=True):
    """`[node]`: which node this is."""

    replica: Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]
    department: DepartmentId
    genesis: Path
    # The database and whatever else the node writes.
    data: Path
    consensus_key: Path
    # gRPC, for peers and clients.
    listen: Address
    # The key that a change of the membership gives this replica: used from the epoch on that names it.
    next_consensus_key: Path | None = None


class TlsSection(Struct, frozen=True):
    """`[tls]`: the node's certificate, for calls in both directions."""

    certificate: Path
    key: Path
    # The CA's certificate (PEM) of a department that joined after the genesis.
    authority: Path | None = None


class PeerSection(Struct, frozen=True):
    """`[peers.<replica id>]`: where another replica is."""

    address: Address
    # Needed to reach a replica that joined later, by a node that has not read so far yet.
    department: DepartmentId | None = None


class HttpSection(Struct, frozen=True):
    """`[http]`: metrics and health, without TLS and so on loopback unless told otherwise."""

    enabled: bool = True
    listen: Address = Address("127.0.0.1", 7200)


class LimitsSection(Struct, frozen=True):
    """`[limits]`: what this machine can take."""

    pending_transactions_per_department: Count = 20_000
    pending_bytes_per_department: Bytes = 128 * MEBIBYTE
    submissions_per_second_per_department: Count = 5_000
    streams_per_connection: Count = 256
    concurrent_calls: Count = 2_048
    watchers: Count = 256


class LogSection(Struct, frozen=True):
    """`[log]`: on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class TokenSection(Struct, frozen=True):
    """`[vault.token]`: the PKCS#11 token that holds the vault's master key."""

    # The maker's PKCS#11 library.
    library: Path
    label: Annotated[str, Meta(min_length=1, max_length=32)]
    pin_file: Path


class VaultSection(Struct, frozen=True):
    """`[vault]`: where confidential values are, and which master key seals their keyring. Exactly one of the four."""

    directory: Path
    key_file: Path | None = None
    passphrase_file: Path | None = None
    # HUZHENG_VAULT_PASSPHRASE or the file that HUZHENG_VAULT_PASSPHRASE_FILE names, or typed in.
    passphrase: bool = False
    token: TokenSection | None = None
    # By default the file `keyring` in the directory.
    keyring: Path | None = None
    # The keyring's second copy.
    escrow: Path | None = None
    # A system key of the department, which signs acknowledgements of erasures.
    signing_key: Path | None = None


class NodeConfig(Struct, frozen=True):
    """A node's whole configuration. All paths are absolute."""

    file: Path
    node: NodeSection
    tls: TlsSection
    # Every other replica, those that are to join too.
    peers: dict[ReplicaId, PeerSection] = field(default_factory=dict)
    http: HttpSection = HttpSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()
    # None: this node keeps no confidential values.
    vault: VaultSection | None = None


def load_config(path: Path) -> NodeConfig:
    """Reads and checks a `node.toml`, or the one in a directory; relative paths in it are relative to its directory.

    Raises:
        HuzhengError: CONFIG_MISSING; CONFIG_INVALID with all mistakes in the detail, one a line.
    """
    return _read_config(TomlFile.read(path / CONFIG_NAME if path.is_dir() else path))


def config_as_if_at(path: Path, text: str) -> NodeConfig:
    """What a `node.toml` with this text would say at a path, whether or not the files that it names are there.

    Raises:
        HuzhengError: CONFIG_INVALID with all mistakes in the detail, one a line.
    """
    return _read_config(TomlFile.parse(path, text.encode(), needs_files=False))


def _read_config(toml: TomlFile) -> NodeConfig:
    node = toml.section("node", NodeSection)
    tls = toml.section("tls", TlsSection)
    http = toml.section("http", HttpSection, default=HttpSection())
    limits = toml.section("limits", LimitsSection, default=LimitsSection())
    log = toml.section("log", LogSection, default=LogSection())
    vault = toml.optional_section("vault", VaultSection)
    peers = {ReplicaId(number): peer for number, peer in toml.numbered_sections("peers", PeerSection).items()}
    toml.refuse_other_sections()
    if node is not None:
        toml.require_file("node.genesis", node.genesis)
        toml.require_file("node.consensus_key", node.consensus_key)
        if node.next_consensus_key is not None:
            toml.require_file("node.next_consensus_key", node.next_consensus_key)
        toml.require_directory_possible("node.data", node.data)
        _check_addresses(toml, node, http, peers)
    if tls is not None:
        toml.require_file("tls.certificate", tls.certificate)
        toml.require_file("tls.key", tls.key)
        if tls.authority is not None:
            toml.require_file("tls.authority", tls.authority)
    if vault is not None:
        _check_vault(toml, vault, node)
    toml.raise_problems()
    # A missing required section is a problem, so this only tells mypy.
    if node is None or tls is None or http is None or limits is None or log is None:
        raise HuzhengError(Code.CONFIG_INVALID, str(toml.path))
    return NodeConfig(toml.path, node, tls, peers, http, limits, log, vault)


def check_against_chain(config: NodeConfig, consortium: Consortium, consensus_keys: Container[bytes]) -> None:
    """Whether the configuration fits what the stored chain says of this node and the others.

    `consensus_keys`: the public keys of the node's key files.

    Raises:
        HuzhengError: CONFIG_NOT_GENESIS with all mistakes in the detail, one a line.
    """
    problems = [*_check_own_seat(config, consortium, consensus_keys), *_check_peers(config, consortium)]
    if problems:
        raise HuzhengError(Code.CONFIG_NOT_GENESIS, "\n".join([str(config.file), *problems]))


def _check_own_seat(config: NodeConfig, consortium: Consortium, consensus_keys: Container[bytes]) -> Iterator[str]:
    own, department = ReplicaId(config.node.replica), config.node.department
    if department not in consortium.departments and config.tls.authority is None:
        yield "node.department: not a department of this chain; one that is to join names its CA as tls.authority"
    known = consortium.replicas.get(own)
    if known is None and own <= consortium.newest.highest_replica:
        yield f"node.replica: there is no replica {own}, and ids are only ever given upwards"
    if known is not None and known != department:
        yield f"node.department: the chain says that {known} runs replica {own}"
    member = consortium.newest.membership.member(own)
    expects_another = config.node.next_consensus_key is not None
    if member is not None and member.public_key not in consensus_keys and not expects_another:
        yield (
            f"node.consensus_key: not the key of replica {own}; "
            "one that a change of the membership is to enter goes to node.next_consensus_key"
        )


def _check_peers(config: NodeConfig, consortium: Consortium) -> Iterator[str]:
    own = ReplicaId(config.node.replica)
    if consortium.newest.epoch == 0:
        # Later a node must not fail to start because another one joined.
        for replica in sorted(set(consortium.replicas) - set(config.peers) - {own}):
            yield f"peers.{replica}: missing; every other replica needs an address"
    if not config.peers and set(consortium.replicas) - {own}:
        yield "peers: none; at least one is needed to fetch blocks from"
    for replica in sorted(set(config.peers) - set(consortium.replicas)):
        if replica <= consortium.newest.highest_replica:
            yield f"peers.{replica}: there is no such replica"


def _check_addresses(
    toml: TomlFile, node: NodeSection, http: HttpSection | None, peers: dict[ReplicaId, PeerSection]
) -> None:
    if http is not None and http.enabled and http.listen.clashes_with(node.listen):
        toml.problem("http.listen", "the same port as node.listen")
    if ReplicaId(node.replica) in peers:
        toml.problem(f"peers.{node.replica}", "this node itself; list the others only")
    seen: dict[Address, ReplicaId] = {}
    for replica, peer in sorted(peers.items()):
        if peer.address in seen:
            toml.problem(f"peers.{replica}.address", f"the same as that of peer {seen[peer.address]}")
        seen.setdefault(peer.address, replica)


def _check_vault(toml: TomlFile, vault: VaultSection, node: NodeSection | None) -> None:
    toml.require_directory_possible("vault.directory", vault.directory)
    if node is not None and (vault.directory == node.data or node.data in vault.directory.parents):
        toml.problem("vault.directory", "the node's database is there; give the vault a directory of its own")
    sources = (vault.key_file, vault.passphrase_file, vault.passphrase or None, vault.token)
    if sum(source is not None for source in sources) != 1:
        toml.problem("[vault]", "needs exactly one of key_file, passphrase_file, passphrase = true, [vault.token]")
    if vault.signing_key is not None:
        toml.require_file("vault.signing_key", vault.signing_key)
    # No other file is looked for: without its keys the vault stays closed, and says itself which one is missing, but the node votes.
    if vault.escrow is None:
        return
    if vault.escrow == vault.keyring:
        toml.problem("vault.escrow", "the same file as vault.keyring")
    elif vault.directory in vault.escrow.parents:
        toml.problem("vault.escrow", "in the vault's own directory; it belongs on another medium")
