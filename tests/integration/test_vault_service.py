"""Depositing, submitting and disclosing over real mutual TLS, with the real ledger, store and client; only the vault is in memory."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]  # missing in the stubs

from ledger.building import build_record, build_transaction
from ledger.crypto import ED25519_SHA256, ReplicaId
from ledger.errors import Code, HuzhengError
from node.catalogue import Catalogue
from node.cli.submission.journal import Journal
from node.cli.submission.planning import Planner, survey
from node.cli.submission.reading import InputCheck, InputRecord, RecordSource
from node.cli.submission.sending import Options, Sender
from node.client import Endpoint, LedgerClient
from node.config import LimitsSection
from node.identity import Caller, CallerDirectory, Role
from node.peers import Peers
from node.pki import issue, new_authority
from node.queries import Queries
from node.server import Services, build_server, listen
from node.services.gate import Gate, current_caller
from node.services.ledger_service import LedgerService
from node.services.operator_service import OperatorService
from node.services.replica_service import ReplicaService
from node.services.sharing_service import SharingService
from node.services.vault_service import VaultService
from node.sharing.releasing import Releaser
from node.sharing.sealing import seal
from node.tls import ClientRoots, TlsFiles, load_material, server_credentials
from node.toml_file import Address
from node.vault_access import VaultAccess
from tests.builders import DEPARTMENTS, OBJECTION, objection_fields, unit_code
from tests.confidential import DWELLING, NOTE, OWNER, PRICE, PUBLIC, VALUES, MemorySecrets, consortium, dwelling_record
from tests.plain_client import code_of
from tests.sequencer import OneReplica

NOW = datetime.now(UTC)
AUTHORITIES = {name: new_authority(name, name, NOW) for name in DEPARTMENTS}
CONSORTIUM = consortium(
    ED25519_SHA256, n=1, authorities={name: authority.certificate_der for name, authority in AUTHORITIES.items()}
)
GENESIS = CONSORTIUM.genesis
EXPIRES_MS = CONSORTIUM.now_ms + 60_000
SYSTEM = Caller("planning", Role.SYSTEM, "registry")
CLERK = Caller("planning", Role.CLERK, "li")


class Server:
    """Replica 1 of planning."""

    def __init__(self, directory: Path, secrets: MemorySecrets | None) -> None:
        self.directory = directory
        self.node = OneReplica(directory / "data", CONSORTIUM)
        self.readers = ThreadPoolExecutor(2)
        der = {name: authority.certificate_der for name, authority in AUTHORITIES.items()}
        gate = Gate(CallerDirectory(der), self.node.metrics, LimitsSection().concurrent_calls)
        peers = Peers(ReplicaId(1), [], None, None)  # type: ignore[arg-type]
        queries, status = Queries(GENESIS, self.node.store), _Silent()
        access = VaultAccess(GENESIS, self.node.store, "planning", secrets, lambda: self.node.now_ms)
        services = Services(
            LedgerService(self.node.intake, queries, self.node.feed, status, self.readers),
            ReplicaService(self.node.store, peers, current_caller),
            OperatorService("planning", lambda target, on_progress: b""),
            health_aio.HealthServicer(),
            SharingService(Releaser(GENESIS, self.node.store, "planning", secrets, seal), self.readers),
            VaultService(access, self.readers),
        )
        self.server = build_server(LimitsSection(), GENESIS.parameters, gate, services)
        files = self.files_of(Caller("planning", Role.REPLICA, "1"))
        tls = TlsFiles(*files, AUTHORITIES["planning"].certificate_der)
        self.port = listen(self.server, Address("127.0.0.1", 0), server_credentials(tls, ClientRoots(der.values())))

    def files_of(self, holder: Caller) -> tuple[Path, Path]:
        """A certificate and its key."""
        leaf = issue(AUTHORITIES[holder.department], holder, NOW)
        certificate, key = (self.directory / f"{holder.department}-{holder.name}.{kind}" for kind in ("pem", "key"))
        certificate.write_bytes(leaf.certificate_pem)
        key.touch(0o600)
        key.write_bytes(leaf.key_pem)
        return certificate, key

    def client(self, caller: Caller = SYSTEM, department: str = "planning") -> LedgerClient:
        """`department`: whose node the caller takes this one for."""
        certificate, key = self.files_of(caller)
        material = load_material(certificate, key, AUTHORITIES[caller.department].certificate_der, NOW)
        return LedgerClient(GENESIS, material, [Endpoint(f"127.0.0.1:{self.port}", department, 1)], timeout_s=10)


class _Silent:
    """A status that nobody asks for."""

    def response(self) -> Any:
        raise NotImplementedError


@asynccontextmanager
async def serving(directory: Path, secrets: MemorySecrets | None) -> AsyncIterator[Server]:
    server = Server(directory, secrets)
    await server.server.start()
    sealing = asyncio.ensure_future(server.node.keep_sealing())
    try:
        yield server
    finally:
        sealing.cancel()
        with suppress(asyncio.CancelledError):
            await sealing
        server.node.intake.close()
        await server.server.stop(0)
        server.readers.shutdown()
        server.node.close()


def play(directory: Path, secrets: MemorySecrets | None, scenario: Callable[[Server], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), serving(directory, secrets) as server:
            await scenario(server)

    asyncio.run(run())


def inputs(*lines: dict[str, Any]) -> list[InputRecord]:
    return list(RecordSource(io.BytesIO(b"\n".join(json.dumps(line).encode() for line in lines)), "input"))


def dwelling_line(number: int = 1, **changes: Any) -> dict[str, Any]:
    about = {"resource": DWELLING, "subject": f"AB{number:04}", "fields": PUBLIC, "confidential": VALUES}
    return about | changes


async def send(server: Server, client: LedgerClient, lines: Sequence[InputRecord], path: Path) -> Sender:
    planner = Planner(Catalogue(GENESIS), "planning", CONSORTIUM.system_signers["planning"], 600_000)
    journal = Journal.open(path, GENESIS.chain_id, "planning")
    options = Options(batch=2, patience_s=0.5)
    sender = Sender(client, planner, journal, options, lambda _: None, clock=lambda: server.node.now_ms / 1000)
    try:
        survey(lines, journal.standing(), InputCheck(Catalogue(GENESIS), "planning"))
        await sender.run(lines)
    finally:
        journal.close()
    return sender


class Watched(MemorySecrets):
    """Notes how many transactions the node had taken in when something was deposited."""

    def __init__(self) -> None:
        super().__init__()
        self.taken_in: list[int] = []
        self.server: Server | None = None

    def deposit(self, records: Any, expires_ms: int) -> None:
        super().deposit(records, expires_ms)
        if self.server is not None:
            self.taken_in.append(len(self.server.node.offered))


# --- submitting ---


def test_values_are_in_the_vault_before_their_record_is_submitted_and_nowhere_else(tmp_path: Path) -> None:
    secrets = Watched()

    async def scenario(server: Server) -> None:
        secrets.server = server
        async with server.client() as client:
            lines = inputs(*(dwelling_line(number) for number in range(1, 4)))
            sender = await send(server, client, lines, tmp_path / "journal")
            assert sender.tally.accepted == 3
            assert len(secrets.kept) == 3
            # Of the first and the second transaction; each was taken in after its values were.
            assert secrets.taken_in[0] == 0
            assert len(secrets.taken_in) == len(server.node.offered) == 2
            [first] = [key for key in secrets.kept if server.node.store.record_place(key).record == 0][:1]  # type: ignore[union-attr]
            raw, verdict = await client.disclose("planning", first, [OWNER, PRICE, NOTE])
            assert verdict.values == {OWNER: VALUES["OWNER"], PRICE: VALUES["PRICE"], NOTE: VALUES["NOTE"]}
            assert VALUES["NOTE"].encode() in raw

    play(tmp_path, secrets, scenario)
    searched = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(searched) > 5
    for path in searched:
        content = path.read_bytes()
        assert not any(value.encode() in content for value in VALUES.values()), path
        assert not any(secret.salt in content for fields, _ in secrets.kept.values() for secret in fields), path


def test_where_there_is_no_vault_nothing_is_submitted_and_nothing_signed_is_kept(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.client() as client:
            with pytest.raises(HuzhengError) as caught:
                await send(server, client, inputs(dwelling_line()), tmp_path / "journal")
            assert caught.value.code is Code.VAULT_NOT_CONFIGURED
            assert not server.node.offered
            assert (tmp_path / "journal").read_bytes() == b""
            # What has no confidential fields needs none.
            plain = {"resource": OBJECTION, "subject": unit_code(1), "fields": objection_fields()}
            assert (await send(server, client, inputs(plain), tmp_path / "other")).tally.accepted == 1

    play(tmp_path, None, scenario)


def test_a_run_that_was_cut_off_after_the_deposit_submits_what_the_vault_has(tmp_path: Path) -> None:
    """The transaction is in the journal only once its values are in the vault: they could not be had again."""
    secrets = MemorySecrets()

    async def scenario(server: Server) -> None:
        async with server.client() as client:
            journal = tmp_path / "journal"
            server.node.intake.close()
            with pytest.raises(HuzhengError):
                await send(server, client, inputs(dwelling_line()), journal)
            [record_id] = secrets.kept
            assert b'"signed"' in journal.read_bytes()
        entry = Journal.open(journal, GENESIS.chain_id, "planning")
        [standing] = entry.standing()
        entry.close()
        planner = Planner(Catalogue(GENESIS), "planning", CONSORTIUM.system_signers["planning"], 600_000)
        [rebuilt] = planner.rebuilt(standing).records
        assert rebuilt.built.id == record_id

    play(tmp_path, secrets, scenario)


def test_a_value_that_does_not_fit_is_found_before_anything_is_sent() -> None:
    check = InputCheck(Catalogue(GENESIS), "planning")
    cases: list[tuple[dict[str, Any], Code | None, str]] = [
        ({"confidential": {**VALUES, "PRICE": "free"}}, Code.BAD_FIELD, "PRICE"),
        ({"confidential": {"OWNER": "张三"}}, Code.MISSING_FIELD, "PRICE"),
        ({"confidential": {**VALUES, "KIND": "flat"}}, Code.UNKNOWN_FIELD, "KIND: is public"),
        ({"fields": {**PUBLIC, "OWNER": "张三"}}, Code.UNKNOWN_FIELD, "OWNER: is confidential"),
        ({}, None, ""),
        # Names and numbers of persons may be confidential values.
        ({"confidential": {**VALUES, "NOTE": "11010519491231002X"}}, None, ""),
    ]
    for changes, code, named in cases:
        [record] = inputs(dwelling_line(**changes))
        if code is None:
            check.check(record)
            continue
        with pytest.raises(HuzhengError) as caught:
            check.check(record)
        assert caught.value.code is code
        assert named in caught.value.detail
        assert "张三" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"confidential": [1]},
        {"confidential": None},
        {"confidential": {"OWNER": {}}},
        {"action": "revoke", "fields": {}},
    ],
)
def test_confidential_values_that_are_no_fields_by_name_are_no_input(changes: dict[str, Any]) -> None:
    with pytest.raises(HuzhengError) as caught:
        inputs(dwelling_line(**changes))
    assert caught.value.code is Code.BAD_FILE
    assert "confidential" in caught.value.detail


def test_the_journal_s_digest_tells_nothing_of_confidential_values() -> None:
    one, same, fewer, plain = inputs(
        dwelling_line(),
        dwelling_line(confidential=dict.fromkeys(VALUES, "1")),
        dwelling_line(confidential={"OWNER": "张三"}),
        dwelling_line(confidential={}),
    )
    assert one.digest == same.digest
    assert len({one.digest, fewer.digest, plain.digest}) == 3


# --- who may ---


def test_a_clerk_sees_values_and_deposits_none_and_others_do_neither(tmp_path: Path) -> None:
    record = dwelling_record(CONSORTIUM)

    async def scenario(server: Server) -> None:
        async with server.client() as client:
            await client.deposit("planning", [record], EXPIRES_MS)
            await client.submit(CONSORTIUM.transaction([record]))
        async with server.client(CLERK) as clerk:
            assert await code_of(clerk.deposit("planning", [record], EXPIRES_MS)) is Code.CALLER_NOT_ALLOWED
            _, verdict = await clerk.disclose("planning", record.id, [OWNER])
            assert verdict.values == {OWNER: VALUES["OWNER"]}
        for caller in (
            Caller("planning", Role.AUDITOR, "sun"),
            Caller("tax", Role.SYSTEM, "registry"),
            Caller("tax", Role.CLERK, "li"),
        ):
            async with server.client(caller) as other:
                assert await code_of(other.deposit("planning", [record], EXPIRES_MS)) is Code.CALLER_NOT_ALLOWED
                assert await code_of(other.disclose("planning", record.id, [OWNER])) is Code.CALLER_NOT_ALLOWED

    play(tmp_path, MemorySecrets(), scenario)


def test_values_are_sent_to_no_node_of_another_department(tmp_path: Path) -> None:
    record = dwelling_record(CONSORTIUM)
    secrets = MemorySecrets()

    async def scenario(server: Server) -> None:
        async with server.client(department="tax") as client:
            # None of the profile's nodes is planning's own.
            assert await code_of(client.deposit("planning", [record], EXPIRES_MS)) is Code.NODE_UNREACHABLE
        async with server.client(Caller("tax", Role.SYSTEM, "registry"), department="tax") as client:
            # The node there can't prove to be one of the tax department's.
            failed = await code_of(client.deposit("tax", [record], EXPIRES_MS))
            assert failed in (Code.TLS_REFUSED, Code.NODE_UNREACHABLE)

    play(tmp_path, secrets, scenario)
    assert not secrets.kept


def test_records_with_long_values_are_deposited_in_several_messages(tmp_path: Path) -> None:
    secrets = Watched()
    values = {**VALUES, "OWNER": "x" * 64, "NOTE": "x" * 256}
    records = [
        build_record(GENESIS, DWELLING, f"AB{number:04}", 1, b"", PUBLIC, confidential=values)
        for number in range(2_000)
    ]

    async def scenario(server: Server) -> None:
        secrets.server = server
        async with server.client() as client:
            await client.deposit("planning", records, EXPIRES_MS)

    play(tmp_path, secrets, scenario)
    assert len(secrets.kept) == 2_000
    assert len(secrets.taken_in) > 1


def test_another_disclosure_than_the_one_asked_for_is_not_believed(tmp_path: Path) -> None:
    first, second = dwelling_record(CONSORTIUM), dwelling_record(CONSORTIUM, subject="AB1235")
    secrets = MemorySecrets()

    async def scenario(server: Server) -> None:
        async with server.client() as client:
            await client.deposit("planning", [first, second], EXPIRES_MS)
            signer = CONSORTIUM.system_signers["planning"]
            await client.submit(build_transaction(GENESIS, signer, "planning", EXPIRES_MS, records=[first, second]))
            secrets.kept[first.id] = secrets.kept[second.id]
            # The node itself notices.
            assert await code_of(client.disclose("planning", first.id, [OWNER])) is Code.BAD_COMMITMENT

    play(tmp_path, secrets, scenario)
