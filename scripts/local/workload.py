"""Real transactions for tests under load: signed by the departments' own keys, each about a subject of its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceStub

from ledger.building import BuiltRecord, build_record, build_transaction
from ledger.crypto import ReplicaId, Signer
from ledger.genesis import Genesis
from node.clock import wall_clock_ms
from node.keyfile import KeyKind, load_signer
from node.profile import ClientProfile, load_profile
from node.sample_data import SampleRecord, generate
from node.tls import channel_credentials, channel_options, load_material
from scripts.local.network import LocalNetwork

if TYPE_CHECKING:
    from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

LIFETIME_MS = 1_800_000
_TEMPLATES = 2_000
"""So many sample records hold every resource."""
UNIT_CODE_LENGTH = 28


@dataclass(frozen=True, slots=True)
class User:
    """A department's system: what it signs with, and where its node is."""

    department: str
    profile: ClientProfile
    signer: Signer
    template: SampleRecord


class Workload:
    """Makes transactions without end of each department that registers something; numbers start where the caller says."""

    def __init__(self, network: LocalNetwork, first: int = 0) -> None:
        self.genesis = Genesis.read(network.genesis.read_bytes())
        templates: dict[str, SampleRecord] = {}
        for record in generate(1, _TEMPLATES):
            if record.version == 1:
                templates.setdefault(record.department, record)
        self.users = {}
        for department in sorted(network.nodes.keys() & templates.keys()):
            profile = load_profile(network.profile(department, "system"))
            signer = load_signer(_required(profile.keys.signing), KeyKind.SYSTEM, self.genesis.suite)
            self.users[department] = User(department, profile, signer, templates[department])
        self._numbers = itertools.count(first)

    def record(self, department: str) -> BuiltRecord:
        """A first version about a subject that had none."""
        template = self.users[department].template
        number = next(self._numbers)
        subject = _other_subject(template.subject, number)
        return build_record(self.genesis, template.resource, subject, 1, b"", dict(template.fields or {}))

    def transaction(self, department: str, records: int = 1) -> bytes:
        """A signed transaction with so many new records."""
        return self.sign(department, [self.record(department) for _ in range(records)])

    def sign(self, department: str, built: Sequence[BuiltRecord]) -> bytes:
        """A transaction with these records."""
        expires_ms = wall_clock_ms() + LIFETIME_MS
        return build_transaction(self.genesis, self.users[department].signer, department, expires_ms, records=built)

    def stub(self, caller: str, server: str | None = None) -> tuple[grpc.aio.Channel, LedgerServiceAsyncStub]:
        """A channel of one department's system to a department's node, its own if not told otherwise."""
        server = server or caller
        profile = self.users[caller].profile
        member = next(m for m in self.genesis.membership.members if m.department == server)
        address = next(
            (str(node.address) for node in self.users[server].profile.nodes if node.department == server), ""
        )
        own = self.genesis.departments[caller].ca_certificate
        material = load_material(profile.tls.certificate, profile.tls.key, own, datetime.now(UTC))
        credentials = channel_credentials(material, self.genesis.departments[server].ca_certificate)
        options = [
            *channel_options(server, ReplicaId(member.replica)),
            ("grpc.max_receive_message_length", -1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        channel = grpc.aio.secure_channel(address, credentials, options)
        stub: LedgerServiceAsyncStub = LedgerServiceStub(channel)
        return channel, stub


def _other_subject(subject: str, number: int) -> str:
    if len(subject) == UNIT_CODE_LENGTH:
        return f"{subject[:14]}{number // 100_000_000 + 1:05}F{number % 100_000_000:08}"
    return f"{number:032x}"


def _required(path: Path | None) -> Path:
    if path is None:
        raise FileNotFoundError("the profile names no signing key")
    return path
