"""Looks a node over, running or not: files, keys, certificate, disk, database, peers, clock. Changes nothing, and goes on whatever it finds."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto
from pathlib import Path
from statistics import median_low

from huzheng.v1 import ledger_service_pb2 as pb

from consensus.replica import Replica
from ledger.block_apply import check_block
from ledger.crypto import Membership, ReplicaId, Signer, self_test
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.store import ChainStore
from node.client import LedgerClient, MembershipHistory
from node.clock import monotonic_ms, wall_clock_ms
from node.config import NodeConfig, check_against_chain, load_config
from node.connections import Endpoint
from node.consortium import Consortium
from node.diagnosis import find_cause
from node.genesis_file import read_genesis
from node.identity import Caller, Role
from node.keyfile import KeyKind, load_signer
from node.seat import Seat
from node.tls import TlsMaterial, load_material, own_authority
from node.vault.status import inspect
from node.vault_config import vault_places
from node.version import software_version

CALL_TIMEOUT_S = 5.0
FULL_SHARE = 0.8
"""Of a disk; beyond it is time to make room."""
LEAST_FREE_BYTES = 1 << 30


class Level(StrEnum):
    """How much it matters."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class Fact(Enum):
    """What can be found, besides an error with a code."""

    CONFIG_READ = auto()
    GENESIS_READ = auto()
    KEY_READ = auto()
    TLS_VALID = auto()
    TLS_EXPIRES_SOON = auto()
    DISK_ROOM = auto()
    DISK_FILLS = auto()
    DATABASE_SOUND = auto()
    DATABASE_IN_USE = auto()
    DATABASE_MISSING = auto()
    DATABASE_OF_ANOTHER_USER = auto()
    VAULT_SOUND = auto()
    VAULT_IN_USE = auto()
    VAULT_OF_ANOTHER_USER = auto()
    VAULT_AT_PEER_TOO = auto()
    NODE_RUNS = auto()
    NODE_DOWN = auto()
    NODE_WARNS = auto()
    PEER_ANSWERS = auto()
    PEER_OTHER_VERSION = auto()
    CLOCK_RIGHT = auto()
    CLOCK_WRONG = auto()
    CLOCK_OF_PEER_WRONG = auto()
    CLOCK_UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    """configuration, genesis, keys, tls, disk, database, vault, node, peer or clock."""
    level: Level
    found: Fact | HuzhengError
    values: Mapping[str, object] = field(default_factory=dict)
    """What belongs to the fact; `replica` where it is about a peer."""


def examine(path: Path) -> list[Finding]:
    """All findings, in the order in which causes come before effects."""
    try:
        self_test()
        config = load_config(path)
    except HuzhengError as error:
        return [Finding("configuration", Level.FAIL, error)]
    findings = [Finding("configuration", Level.OK, Fact.CONFIG_READ, {"file": config.file})]
    try:
        genesis = read_genesis(config.node.genesis)
    except HuzhengError as error:
        return [*findings, Finding("genesis", Level.FAIL, error)]
    findings.append(Finding("genesis", Level.OK, Fact.GENESIS_READ, {"chain_id": genesis.chain_id.hex()}))
    return findings + _Examination(config, genesis).run()


class _Examination:
    def __init__(self, config: NodeConfig, genesis: Genesis) -> None:
        self._config = config
        self._genesis = genesis
        self._findings: list[Finding] = []
        self._signers: dict[bytes, Signer] = {}
        self._material: TlsMaterial | None = None
        self._authorities = {name: department.ca_certificate for name, department in genesis.departments.items()}
        self._departments = {member.replica: member.department for member in genesis.membership.members}
        self._membership: Membership = genesis.membership

    def run(self) -> list[Finding]:
        for check, look in (
            ("keys", self._look_at_keys),
            ("tls", self._look_at_tls),
            ("disk", self._look_at_disk),
            ("database", self._look_at_database),
            ("vault", self._look_at_vault),
        ):
            try:
                look()
            except HuzhengError as error:
                self._add(check, Level.FAIL, error)
        if self._material is not None:
            asyncio.run(self._look_around(self._material))
        return self._findings

    def _add(self, check: str, level: Level, found: Fact | HuzhengError, **values: object) -> None:
        self._findings.append(Finding(check, level, found, values))

    # --- files ---

    def _look_at_keys(self) -> None:
        node = self._config.node
        for file in filter(None, (node.consensus_key, node.next_consensus_key)):
            try:
                signer = load_signer(file, KeyKind.CONSENSUS, self._genesis.suite)
            except HuzhengError as error:
                # By hand it is not there; the unit hands it over.
                self._add("keys", Level.WARN if error.code is Code.KEY_PASSPHRASE_NEEDED else Level.FAIL, error)
                continue
            self._signers[signer.public_key] = signer
            self._add("keys", Level.OK, Fact.KEY_READ, file=file, public_key=signer.public_key.hex())

    def _look_at_tls(self) -> None:
        config, now = self._config, datetime.now(UTC)
        authority = own_authority(config.tls, config.node.department, self._authorities)
        self._authorities.setdefault(config.node.department, authority)
        holder = Caller(config.node.department, Role.REPLICA, str(config.node.replica))
        self._material = load_material(config.tls.certificate, config.tls.key, authority, now, holder)
        days = (self._material.not_after - now).days
        soon = self._material.expires_soon(now)
        fact = Fact.TLS_EXPIRES_SOON if soon else Fact.TLS_VALID
        self._add("tls", Level.WARN if soon else Level.OK, fact, days=days)

    def _look_at_disk(self) -> None:
        there = next(path for path in (self._config.node.data, *self._config.node.data.parents) if path.exists())
        usage = shutil.disk_usage(there)
        values = {"free_mib": usage.free >> 20, "used_percent": round(100 * (1 - usage.free / usage.total))}
        if usage.free < LEAST_FREE_BYTES:
            self._add("disk", Level.FAIL, Fact.DISK_FILLS, **values)
        elif usage.free < (1 - FULL_SHARE) * usage.total:
            self._add("disk", Level.WARN, Fact.DISK_FILLS, **values)
        else:
            self._add("disk", Level.OK, Fact.DISK_ROOM, **values)

    # --- the database ---

    def _look_at_database(self) -> None:
        data = self._config.node.data
        if not data.exists():
            self._add("database", Level.WARN, Fact.DATABASE_MISSING, data=data)
            return
        owner = data.stat().st_uid
        if owner != os.geteuid():
            # What another user leaves behind in it would keep the node from starting.
            self._add("database", Level.WARN, Fact.DATABASE_OF_ANOTHER_USER, user=_user(owner), data=data)
            return
        try:
            store = ChainStore.open(data, self._genesis, create=False)
        except HuzhengError as error:
            if error.code is not Code.STORE_LOCKED:
                raise
            self._add("database", Level.OK, Fact.DATABASE_IN_USE)
            return
        try:
            self._look_into(store)
        finally:
            store.close()

    def _look_into(self, store: ChainStore) -> None:
        config, genesis, tip = self._config, self._genesis, store.tip
        consortium = Consortium(store)
        self._authorities.update(consortium.authorities)
        self._departments.update(consortium.replicas)
        self._membership = consortium.in_force.membership
        if tip.height:
            check_block(genesis, store.membership_at(tip.height), store.block(tip.height))
        if self._signers:
            check_against_chain(config, consortium, self._signers)
            seat = Seat(genesis, store, ReplicaId(config.node.replica), self._signers)
            core = seat.take(monotonic_ms(), at_start=True)
            if isinstance(core, Replica) and core.halted:
                raise HuzhengError(Code.VOTE_LOG_LOST)
        self._add("database", Level.OK, Fact.DATABASE_SOUND, height=tip.height)

    # --- the vault ---

    def _look_at_vault(self) -> None:
        """What can be said without its master key."""
        if self._config.vault is None:
            return
        places = vault_places(self._config)
        if places.directory.exists() and places.directory.stat().st_uid != os.geteuid():
            user = _user(places.directory.stat().st_uid)
            self._add("vault", Level.WARN, Fact.VAULT_OF_ANOTHER_USER, user=user)
            return
        try:
            found = inspect(places)
        except HuzhengError as error:
            if error.code is not Code.STORE_LOCKED:
                raise
            self._add("vault", Level.OK, Fact.VAULT_IN_USE)
            return
        if found.is_rolled_back:
            raise HuzhengError(Code.VAULT_ROLLED_BACK, str(places.keyring_file))
        if found.restored:
            self._add("vault", Level.WARN, HuzhengError(Code.VAULT_RESTORED))
        else:
            self._add("vault", Level.OK, Fact.VAULT_SOUND, records=found.records, persons=found.persons)

    # --- others ---

    async def _look_around(self, material: TlsMaterial) -> None:
        config = self._config
        own = Endpoint(str(config.node.listen), config.node.department, config.node.replica)
        answer = await self._ask(own, material, with_members=True)
        self._judge_own(answer)
        answers = await asyncio.gather(*(self._ask(endpoint, material) for endpoint in self._peers()))
        self._judge_peers(answers)
        self._judge_clocks([answer for answer in answers if isinstance(answer, _Answer)])

    def _peers(self) -> Iterator[Endpoint]:
        for replica, section in sorted(self._config.peers.items()):
            department = self._departments.get(replica, section.department)
            if department in self._authorities:
                yield Endpoint(str(section.address), department, replica)

    async def _ask(
        self, endpoint: Endpoint, material: TlsMaterial, *, with_members: bool = False
    ) -> _Answer | _Silence:
        client = LedgerClient(self._genesis, material, [endpoint], timeout_s=CALL_TIMEOUT_S, joined=self._authorities)
        try:
            async with client:
                asked_ms = wall_clock_ms()
                status = await client.status()
                ahead_ms = status.clock_ms - (asked_ms + wall_clock_ms()) // 2
                if with_members:
                    self._take_members(await client.membership())
                return _Answer(endpoint, status, ahead_ms)
        except HuzhengError as error:
            cause = await find_cause(endpoint, self._config.tls, client.authority_of(endpoint))
            detail = f"{endpoint.address}: {cause[1] if cause else error.detail}"
            return _Silence(endpoint, HuzhengError(cause[0] if cause else error.code, detail))

    def _take_members(self, history: MembershipHistory) -> None:
        """While the node runs, its database can't be looked into."""
        self._authorities.update((name, it.ca_certificate) for name, it in history.joined.items())
        for terms in history.epochs:
            self._departments.update((member.replica, member.department) for member in terms.membership.members)
        self._membership = history.in_force.membership

    def _judge_own(self, answer: _Answer | _Silence) -> None:
        if isinstance(answer, _Silence):
            self._add("node", Level.WARN, Fact.NODE_DOWN, address=answer.endpoint.address)
            return
        status = answer.status
        self._add("node", Level.OK, Fact.NODE_RUNS, height=status.height, view=status.view)
        for warning in status.warnings:
            if warning in Code.__members__:
                self._add("node", Level.FAIL, HuzhengError(Code(warning)))
            elif warning not in ("CLOCK_OFF", "TLS_EXPIRES_SOON"):
                # Those two have lines of their own.
                self._add("node", Level.WARN, Fact.NODE_WARNS, warning=warning)

    def _judge_peers(self, answers: Sequence[_Answer | _Silence]) -> None:
        silent = sum(isinstance(answer, _Silence) for answer in answers)
        too_many = silent > self._membership.f
        for answer in answers:
            replica = answer.endpoint.replica
            if isinstance(answer, _Silence):
                self._add("peer", Level.FAIL if too_many else Level.WARN, answer.error, replica=replica)
                continue
            status = answer.status
            if (
                status.has_vault
                and status.department == self._config.node.department
                and self._config.vault is not None
            ):
                self._add("vault", Level.FAIL, Fact.VAULT_AT_PEER_TOO, replica=replica)
            values = {"replica": replica, "height": status.height, "version": status.software_version}
            if status.chain_id != self._genesis.chain_id:
                self._add("peer", Level.FAIL, HuzhengError(Code.WRONG_CHAIN, f"replica {replica}"), **values)
            elif status.software_version != software_version():
                self._add("peer", Level.WARN, Fact.PEER_OTHER_VERSION, **values)
            else:
                self._add("peer", Level.OK, Fact.PEER_ANSWERS, **values)

    def _judge_clocks(self, answers: Sequence[_Answer]) -> None:
        """With f + 1 others at least one correct clock is among them; the median is no worse than one of them."""
        limit_ms = self._genesis.parameters.clock_bound_ms // 2
        if len(answers) <= self._membership.f:
            self._add("clock", Level.WARN, Fact.CLOCK_UNKNOWN)
            return
        ahead_ms = -median_low([0, *(answer.ahead_ms for answer in answers)])
        wrong = abs(ahead_ms) > limit_ms
        fact = Fact.CLOCK_WRONG if wrong else Fact.CLOCK_RIGHT
        self._add("clock", Level.FAIL if wrong else Level.OK, fact, ahead_s=round(ahead_ms / 1000, 1))
        for answer in answers:
            peer_ahead_ms = answer.ahead_ms + ahead_ms
            if abs(peer_ahead_ms) > limit_ms:
                values = {"replica": answer.endpoint.replica, "ahead_s": round(peer_ahead_ms / 1000, 1)}
                self._add("clock", Level.WARN, Fact.CLOCK_OF_PEER_WRONG, **values)


@dataclass(frozen=True, slots=True)
class _Answer:
    endpoint: Endpoint
    status: pb.GetStatusResponse
    ahead_ms: int
    """Of its clock, before this machine's."""


@dataclass(frozen=True, slots=True)
class _Silence:
    endpoint: Endpoint
    error: HuzhengError


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
