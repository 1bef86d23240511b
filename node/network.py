"""Makes a consortium: the genesis from the departments' member files, and directories to start nodes and clients from.

`init_network` does for all departments at once, for trials, what a real consortium does apart: each department prepares
its keys (`node.member`), anyone assembles the genesis, each department installs it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate
from huzheng.v1 import genesis_pb2

from ledger.crypto import max_faulty
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis, build_genesis
from node.config import CONFIG_NAME
from node.identity import Caller
from node.keyfile import PassphraseSource, find_passphrase
from node.member import CLIENT_ROLES, Member, Places, prepare, read_member
from node.network_plan import NetworkPlan
from node.network_texts import NETWORK_README, client_toml, node_toml
from node.pkcs8 import is_encrypted
from node.pki import LEAF_DAYS, issue, read_authority
from node.private_file import read_file, read_private_file, replace_file, sync_directory, write_new_file
from node.vault.master_key import KeyFile, create_master_key_file
from node.vault.opening import VaultPlaces
from node.vault.vault import Vault

GENESIS_FILE = "genesis.bin"
CHAIN_ID_FILE = "chain-id.txt"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Network:
    """A network that has been made."""

    directory: Path
    chain_id: bytes
    genesis: Path
    # Department id -> directory of its node.
    nodes: Mapping[str, Path]
    # Department id -> directory of its clients, one directory per role in it.
    clients: Mapping[str, Path]

    @property
    def tolerated_faults(self) -> int:
        """How many nodes may fail or lie: 0 below four nodes, which users should be warned of."""
        return max_faulty(len(self.nodes))


def init_network(
    directory: Path,
    plan: NetworkPlan,
    *,
    passphrase: bytes | None = None,
    tls_days: int = LEAF_DAYS,
    now: datetime | None = None,
    progress: Progress = lambda _: None,
) -> Network:
    """Makes all departments' keys, the genesis, and a directory to start from for each node and client.

    All or nothing: it is built beside `directory` and moved there when complete. `progress` is told each department's
    id when its keys are made. `passphrase` encrypts CA keys and signing keys.

    Raises:
        HuzhengError: NETWORK_DIRECTORY_USED, FILE_ACCESS, NETWORK_PLAN_INVALID, BAD_GENESIS, BAD_CATALOGUE.
    """
    with built_beside(directory) as (building, target):
        return _build(building, target, plan, passphrase, tls_days, now or datetime.now(UTC), progress)


def assemble(plan: NetworkPlan, members: Sequence[Member], now: datetime) -> bytes:
    """The genesis file's bytes. With a time in the plan they hang on the plan and the member files alone.

    Raises:
        HuzhengError: MEMBER_FILE_INVALID with all mistakes; BAD_GENESIS, BAD_CATALOGUE.
    """
    _check_members(plan, members)
    by_department = {member.department: member for member in members}
    return build_genesis(
        name=plan.name,
        time_ms=plan.time_ms if plan.time_ms is not None else int(now.timestamp() * 1000),
        departments=[
            genesis_pb2.Department(
                id=described.id,
                credit_code=described.credit_code,
                name_zh=described.name_zh,
                name_en=described.name_en,
                ca_certificate=by_department[described.id].ca_certificate_der,
                keys=_signing_keys(by_department[described.id]),
            )
            for described in plan.departments
        ],
        replicas=[
            genesis_pb2.Replica(
                id=member.replica, department=member.department, public_key=bytes.fromhex(member.consensus_key)
            )
            for member in members
        ],
        catalogue=plan.catalogue,
        duties=plan.duties,
        parameters=plan.parameters,
        suite=plan.suite,
    )


def assemble_files(plan: NetworkPlan, member_files: Sequence[Path], output: Path, now: datetime) -> Genesis:
    """Assembles the genesis from member files and writes it to a new file.

    Raises:
        HuzhengError: as `assemble` and `read_member`; FILE_ACCESS.
    """
    genesis = Genesis.read(assemble(plan, [read_member(path, now) for path in member_files], now))
    try:
        write_new_file(output, genesis.raw, private=False)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{output}: {error.strerror}") from None
    return genesis


def install(plan: NetworkPlan, department: str, places: Places, genesis: Genesis, now: datetime) -> None:
    """Puts the genesis and the configuration files beside a department's keys, which makes its node ready to start.

    Raises:
        HuzhengError: CONFIG_NOT_GENESIS if the genesis does not have the keys of this department's member file; as `create_vault`.
        OSError: something is in the way, or the disk is full.
    """
    replica = plan.replica_of(department)
    described = plan.department(replica)
    _check_own_keys(genesis, read_member(places.member, now), places.member)
    numbered = list(enumerate(plan.departments, 1))
    peers = [(number, peer) for number, peer in numbered if number != replica]
    write_new_file(places.node / GENESIS_FILE, genesis.raw, private=False)
    write_new_file(places.node / CONFIG_NAME, node_toml(described, replica, peers).encode(), private=False)
    create_vault(places.node)
    for role in CLIENT_ROLES:
        text = client_toml(described, role, [(replica, described), *peers])
        write_new_file(places.clients / role / GENESIS_FILE, genesis.raw, private=False)
        write_new_file(places.clients / role / "client.toml", text.encode(), private=False)


def create_vault(node: Path) -> None:
    """Makes the master key and the empty vault that the `node.toml` of a new node names.

    Raises:
        HuzhengError: KEY_FILE_EXISTS, FILE_ACCESS; VAULT_EXISTS, STORE_ACCESS, STORE_DISK_FULL.
    """
    key = node / "keys" / "vault.key"
    create_master_key_file(key)
    Vault.create(VaultPlaces(node / "vault"), KeyFile(key))


def prepare_apart(
    plan: NetworkPlan,
    department: str,
    directory: Path,
    *,
    passphrase: bytes | None = None,
    tls_days: int = LEAF_DAYS,
    now: datetime | None = None,
) -> Path:
    """Makes one department's keys in a new directory, all or nothing; returns the member file to hand out.

    Raises:
        HuzhengError: NETWORK_DIRECTORY_USED, FILE_ACCESS, NETWORK_PLAN_INVALID.
    """
    with built_beside(directory) as (building, target):
        places = Places.below(building)
        prepare(plan, department, places, now or datetime.now(UTC), passphrase=passphrase, tls_days=tls_days)
    return Places.below(target).member


def install_apart(plan: NetworkPlan, department: str, directory: Path, genesis: Genesis) -> Path:
    """Completes what `prepare_apart` began, once there is a genesis; returns the `node.toml` to start from.

    Raises:
        HuzhengError: CONFIG_NOT_GENESIS, MEMBER_FILE_INVALID, TLS_FILE_INVALID, NETWORK_PLAN_INVALID, FILE_ACCESS.
    """
    places = Places.below(directory)
    try:
        install(plan, department, places, genesis, datetime.now(UTC))
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{error.filename or directory}: {error.strerror}") from None
    return places.node / CONFIG_NAME


def renew_certificate(
    authority: Path,
    holder: Caller,
    keys: Path,
    *,
    days: int = LEAF_DAYS,
    passphrase: PassphraseSource = find_passphrase,
) -> datetime:
    """Issues a new certificate into `keys/tls.crt` and `keys/tls.key`, replacing what is there; returns its expiry.

    `authority`: the directory with the department's `ca.crt` and `ca.key`. A running node takes the new files up
    itself.

    Raises:
        HuzhengError: TLS_FILE_INVALID, TLS_KEY_MODE, TLS_WRONG_HOLDER, TLS_KEY_MISMATCH, KEY_FILE_INVALID, KEY_PASSPHRASE_NEEDED,
            KEY_PASSPHRASE_WRONG, FILE_ACCESS.
    """
    certificate = read_file(authority / "ca.crt", Code.TLS_FILE_INVALID)
    key = read_private_file(authority / "ca.key", Code.TLS_FILE_INVALID, Code.TLS_KEY_MODE)
    secret = passphrase(authority / "ca.key") if is_encrypted(key) else None
    issuer = read_authority(holder.department, certificate, key, secret)
    now = datetime.now(UTC)
    leaf = issue(issuer, holder, now, days)
    try:
        keys.mkdir(parents=True, mode=0o700, exist_ok=True)
        replace_file(keys / "tls.key", leaf.key_pem, private=True)
        replace_file(keys / "tls.crt", leaf.certificate_pem, private=False)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{keys}: {error.strerror}") from None
    return leaf.not_after


def _build(
    building: Path,
    target: Path,
    plan: NetworkPlan,
    passphrase: bytes | None,
    tls_days: int,
    now: datetime,
    progress: Progress,
) -> Network:
    ids = [described.id for described in plan.departments]
    members = []
    for department in ids:
        places = _places(building, department)
        members.append(prepare(plan, department, places, now, passphrase=passphrase, tls_days=tls_days))
        progress(department)
    genesis = Genesis.read(assemble(plan, members, now))
    for department in ids:
        install(plan, department, _places(building, department), genesis, now)
    chain_id = genesis.chain_id.hex()
    readme = NETWORK_README.format(count=len(ids), chain_id=chain_id)
    write_new_file(building / GENESIS_FILE, genesis.raw, private=False)
    write_new_file(building / CHAIN_ID_FILE, f"{chain_id}\n".encode(), private=False)
    write_new_file(building / "README.txt", readme.encode(), private=False)
    (building / "authorities").chmod(0o700)
    return Network(
        target,
        genesis.chain_id,
        target / GENESIS_FILE,
        {department: _places(target, department).node for department in ids},
        {department: _places(target, department).clients for department in ids},
    )


def _places(directory: Path, department: str) -> Places:
    return Places(
        directory / "nodes" / department,
        directory / "clients" / department,
        directory / "authorities" / department,
        directory / "members" / f"{department}.json",
    )


@contextmanager
def built_beside(directory: Path) -> Iterator[tuple[Path, Path]]:
    """A directory to build in, and the absolute `directory`, which it becomes if all goes well; else it vanishes."""
    target = directory.absolute()
    _require_free(target)
    building = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        building.mkdir(mode=0o700)
        yield building, target
        building.chmod(0o755)
        building.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{error.filename or target}: {error.strerror}") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _require_free(target: Path) -> None:
    try:
        used = target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir())))
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{target}: {error.strerror}") from None
    if used:
        raise HuzhengError(Code.NETWORK_DIRECTORY_USED, str(target))


def _check_members(plan: NetworkPlan, members: Sequence[Member]) -> None:
    problems = []
    expected = {described.id: number for number, described in enumerate(plan.departments, 1)}
    given = [member.department for member in members]
    problems += [f"{department}: no member file" for department in expected if department not in given]
    problems += [
        f"{department}: more than one member file" for department in sorted(set(given)) if given.count(department) > 1
    ]
    for member in members:
        if member.department not in expected:
            problems.append(f"{member.department}: not a department of the plan")
        elif member.replica != expected[member.department]:
            problems.append(
                f"{member.department}: made for replica {member.replica}; the plan says {expected[member.department]}"
            )
        if member.suite != plan.suite:
            problems.append(f"{member.department}: made for another crypto suite than the plan's")
    # Two departments with one CA could act in each other's name.
    if len({_ca_key(member) for member in members}) < len(set(given)):
        problems.append("two departments have the same CA key")
    if problems:
        raise HuzhengError(Code.MEMBER_FILE_INVALID, "\n".join(problems))


def _check_own_keys(genesis: Genesis, own: Member, file: Path) -> None:
    problems = []
    member = genesis.membership.member(own.replica_id)
    if member is None or member.department != own.department or member.public_key.hex() != own.consensus_key:
        problems.append(f"the genesis has another key for replica {own.replica}")
    department = genesis.departments.get(own.department)
    if department is None or department.ca_certificate != own.ca_certificate_der:
        problems.append(f"the genesis has another CA for {own.department}")
    if department is None or {(key.public_key, key.role) for key in department.keys} != {
        (key.public_key, key.role) for key in _signing_keys(own)
    }:
        problems.append(f"the genesis has other signing keys for {own.department}")
    if problems:
        raise HuzhengError(Code.CONFIG_NOT_GENESIS, "\n".join([str(file), *problems]))


def _ca_key(member: Member) -> bytes:
    certificate = load_der_x509_certificate(member.ca_certificate_der)
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _signing_keys(member: Member) -> list[genesis_pb2.SigningKey]:
    roles = ((genesis_pb2.KEY_ROLE_SYSTEM, member.system_keys), (genesis_pb2.KEY_ROLE_ADMIN, member.admin_keys))
    return [genesis_pb2.SigningKey(public_key=bytes.fromhex(key), role=role) for role, keys in roles for key in keys]
