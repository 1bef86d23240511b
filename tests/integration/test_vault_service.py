"""Depositing, submitting and disclosing over real mutual TLS, with the real ledger, store, vault and client."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]  # missing in the stubs
from huzheng.v1 import vault_service_pb2 as pb

from ledger.building import build_record
from ledger.crypto import ED25519_SHA256, ReplicaId
from ledger.errors import Code, HuzhengError
from node.catalogue import Catalogue
from node.cli.submission.journal import Journal
from node.cli.submission.planning import Planner, survey
from node.cli.submission.reading import InputCheck, InputRecord, RecordSource
from node.cli.submission.sending import Options, Sender
from node.client import LedgerClient
from node.config import LimitsSection
from node.connections import Endpoint
from node.identity import Caller, CallerDirectory, Role
from node.own_vault import OwnVault
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
from node.sharing.keeper import VaultKeeper
from node.sharing.releasing import Releaser
from node.sharing.sealing import seal
from node.tls import ClientRoots, TlsFiles, load_material, server_credentials
from node.toml_file import Address
from node.vault.secrets import Origin, VaultEntry
from node.vault.vault import Vault
from node.vault_access import VaultAccess
from tests.builders import DEPARTMENTS, OBJECTION, objection_fields, unit_code
from tests.confidential import DWELLING, NOTE, OWNER, PRICE, PUBLIC, VALUES, consortium, dwelling_record
from tests.plain_client import code_of
from tests.sequencer import OneReplica
from tests.vaults import new_vault

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

    def __init__(self, directory: Path, vault: Vault | None) -> None:
        self.directory = directory
        self.node = OneReplica(directory / "data", CONSORTIUM)
        self.secrets = None if vault is None else Watched(vault, self)
        self.readers = ThreadPoolExecutor(2)
        der = {name: authority.certificate_der for name, authority in AUTHORITIES.items()}
        gate = Gate(CallerDirectory(der), self.node.metrics, LimitsSection().concurrent_calls)
        peers = Peers(ReplicaId(1), [], None, None)  # type: ignore[arg-type]
        queries, status = Queries(GENESIS, self.node.store), _Silent()
        access = VaultAccess(GENESIS, self.node.store, "planning", self.secrets, lambda: self.node.now_ms)
        services = Services(
            LedgerService(self.node.intake, queries, self.node.feed, status, self.readers),
            ReplicaService(self.node.store, peers, current_caller),
            OperatorService("planning", lambda target, on_progress: b""),
            health_aio.HealthServicer(),
            SharingService(Releaser(GENESIS, self.node.store, "planning", self.secrets, seal), self.readers),
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

    def client(
        self, caller: Caller = SYSTEM, department: str = "planning", before: Sequence[Endpoint] = ()
    ) -> LedgerClient:
        """`department`: whose node the caller takes this one for; `before`: nodes that it prefers."""
        certificate, key = self.files_of(caller)
        material = load_material(certificate, key, AUTHORITIES[caller.department].certificate_der, NOW)
        return LedgerClient(GENESIS, material, [*before, self.endpoint(department)], timeout_s=10)

    def endpoint(self, department: str = "planning") -> Endpoint:
        """This node, taken for one of a department's."""
        return Endpoint(f"127.0.0.1:{self.port}", department, 1)


class _Silent:
    """A status that nobody asks for."""

    def response(self) -> Any:
        raise NotImplementedError


class Watched(VaultKeeper):
    """Notes how many transactions the node had taken in when something was deposited."""

    def __init__(self, vault: Vault, server: Server) -> None:
        super().__init__(GENESIS, server.node.store, lambda: vault, "planning")
        self.server = server
        self.taken_in: list[int] = []

    def deposit(self, records: Any, expires_ms: int) -> None:
        super().deposit(records, expires_ms)
        self.taken_in.append(len(self.server.node.offered))


@asynccontextmanager
async def serving(directory: Path, vault: Vault | None) -> AsyncIterator[Server]:
    server = Server(directory, vault)
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


def play(directory: Path, vault: Vault | None, scenario: Callable[[Server], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), serving(directory, vault) as server:
            await scenario(server)

    asyncio.run(run())


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with new_vault(tmp_path) as made:
        yield made


def watched(server: Server) -> list[int]:
    """What `Watched` noted."""
    if server.secrets is None:
        raise ValueError("there is no vault")
    return server.secrets.taken_in


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


# --- submitting ---


def test_values_are_in_the_vault_before_their_record_is_submitted_and_nowhere_else(
    tmp_path: Path, vault: Vault
) -> None:
    async def scenario(server: Server) -> None:
        async with server.client() as client:
            lines = inputs(*(dwelling_line(number) for number in range(1, 4)))
            sender = await send(server, client, lines, tmp_path / "journal")
            assert sender.tally.accepted == 3
            # Of the first and the second transaction; each was taken in after its values were.
            assert watched(server)[0] == 0
            assert len(watched(server)) == len(server.node.offered) == 2
            for record_id in vault.record_ids():
                raw, verdict = await OwnVault(client, "planning").disclose(record_id, [OWNER, PRICE, NOTE])
                assert list(verdict.values.values()) == [VALUES["OWNER"], VALUES["PRICE"], VALUES["NOTE"]]
                assert VALUES["NOTE"].encode() in raw

    play(tmp_path, vault, scenario)
    entries = [vault.get(record_id) for record_id in vault.record_ids()]
    salts = [secret.salt for entry in entries if entry is not None for secret in entry.fields]
    assert len(set(salts)) == 15
    searched = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(searched) > 10
    for path in searched:
        content = path.read_bytes()
        assert not any(value.encode() in content for value in VALUES.values()), path
        assert not any(salt in content for salt in salts), path


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


def test_a_run_that_was_cut_off_after_the_deposit_submits_what_the_vault_has(tmp_path: Path, vault: Vault) -> None:
    """The transaction is in the journal only once its values are in the vault: they could not be had again."""

    async def scenario(server: Server) -> None:
        async with server.client() as client:
            journal = tmp_path / "journal"
            server.node.intake.close()
            with pytest.raises(HuzhengError):
                await send(server, client, inputs(dwelling_line()), journal)
            [record_id] = vault.record_ids()
            assert b'"signed"' in journal.read_bytes()
        entry = Journal.open(journal, GENESIS.chain_id, "planning")
        [standing] = entry.standing()
        entry.close()
        planner = Planner(Catalogue(GENESIS), "planning", CONSORTIUM.system_signers["planning"], 600_000)
        [rebuilt] = planner.rebuilt(standing).records
        assert rebuilt.built.id == record_id

    play(tmp_path, vault, scenario)


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


def test_a_clerk_sees_values_and_deposits_none_and_others_do_neither(tmp_path: Path, vault: Vault) -> None:
    record = dwelling_record(CONSORTIUM)

    async def scenario(server: Server) -> None:
        async with server.client() as client:
            await OwnVault(client, "planning").deposit([record], EXPIRES_MS)
            await client.submit(CONSORTIUM.transaction([record]))
        async with server.client(CLERK) as clerk:
            assert await code_of(OwnVault(clerk, "planning").deposit([record], EXPIRES_MS)) is Code.CALLER_NOT_ALLOWED
            _, verdict = await OwnVault(clerk, "planning").disclose(record.id, [OWNER])
            assert verdict.values == {OWNER: VALUES["OWNER"]}
        for caller in (
            Caller("planning", Role.AUDITOR, "sun"),
            Caller("tax", Role.SYSTEM, "registry"),
            Caller("tax", Role.CLERK, "li"),
        ):
            async with server.client(caller) as other:
                assert (
                    await code_of(OwnVault(other, "planning").deposit([record], EXPIRES_MS)) is Code.CALLER_NOT_ALLOWED
                )
                assert (
                    await code_of(OwnVault(other, "planning").disclose(record.id, [OWNER])) is Code.CALLER_NOT_ALLOWED
                )

    play(tmp_path, vault, scenario)


def test_values_are_sent_to_no_node_of_another_department(tmp_path: Path, vault: Vault) -> None:
    record = dwelling_record(CONSORTIUM)

    async def scenario(server: Server) -> None:
        async with server.client(department="tax") as client:
            # None of the profile's nodes is planning's own.
            assert await code_of(OwnVault(client, "planning").deposit([record], EXPIRES_MS)) is Code.NODE_UNREACHABLE
        async with server.client(Caller("tax", Role.SYSTEM, "registry"), department="tax") as client:
            # The node there can't prove to be one of the tax department's.
            failed = await code_of(OwnVault(client, "tax").deposit([record], EXPIRES_MS))
            assert failed in (Code.TLS_REFUSED, Code.NODE_UNREACHABLE)

    play(tmp_path, vault, scenario)
    assert not vault.record_ids()


def test_the_node_of_a_department_that_has_its_vault_is_found(tmp_path: Path, vault: Vault) -> None:
    record = dwelling_record(CONSORTIUM)

    async def scenario(server: Server) -> None:
        without = tmp_path / "without"
        without.mkdir()
        async with serving(without, None) as other:
            async with server.client(before=[other.endpoint()]) as client:
                await OwnVault(client, "planning").deposit([record], EXPIRES_MS)
            async with other.client() as client:
                failed = await code_of(OwnVault(client, "planning").deposit([record], EXPIRES_MS))
                assert failed is Code.VAULT_NOT_CONFIGURED

    play(tmp_path, vault, scenario)
    assert list(vault.record_ids()) == [record.id]


def test_records_with_long_values_are_deposited_in_several_messages(tmp_path: Path, vault: Vault) -> None:
    values = {**VALUES, "OWNER": "x" * 64, "NOTE": "x" * 256}
    records = [
        build_record(GENESIS, DWELLING, f"AB{number:04}", 1, b"", PUBLIC, confidential=values)
        for number in range(2_000)
    ]

    async def scenario(server: Server) -> None:
        async with server.client() as client:
            await OwnVault(client, "planning").deposit(records, EXPIRES_MS)
            assert len(watched(server)) > 1

    play(tmp_path, vault, scenario)
    assert len(vault.record_ids()) == 2_000


def test_values_that_the_record_does_not_commit_to_are_not_disclosed(tmp_path: Path, vault: Vault) -> None:
    record, other = dwelling_record(CONSORTIUM), dwelling_record(CONSORTIUM)

    async def scenario(server: Server) -> None:
        async with server.client() as client:
            await client.submit(CONSORTIUM.transaction([record]))
            vault.put(record.id, VaultEntry(other.secrets, Origin.OWN))
            assert await code_of(OwnVault(client, "planning").disclose(record.id, [OWNER])) is Code.BAD_COMMITMENT

    play(tmp_path, vault, scenario)


@pytest.mark.parametrize("is_other_record", [True, False], ids=["another record", "other fields"])
def test_a_disclosure_of_something_else_is_not_taken(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch, is_other_record: bool
) -> None:
    asked = dwelling_record(CONSORTIUM)
    other = dwelling_record(CONSORTIUM, subject="AB0002")
    disclose = VaultAccess.disclose

    def lying(access: VaultAccess, request: pb.DiscloseRequest, caller: Caller) -> bytes:
        if is_other_record:
            return disclose(access, pb.DiscloseRequest(record_id=other.id, fields=request.fields), caller)
        return disclose(access, pb.DiscloseRequest(record_id=request.record_id, fields=[PRICE]), caller)

    async def scenario(server: Server) -> None:
        async with server.client() as client:
            own = OwnVault(client, "planning")
            await own.deposit([asked, other], EXPIRES_MS)
            await client.submit(CONSORTIUM.transaction([asked, other]))
            _, verdict = await own.disclose(asked.id, [OWNER])
            assert verdict.values == {OWNER: VALUES["OWNER"]}
            monkeypatch.setattr(VaultAccess, "disclose", lying)
            assert await code_of(own.disclose(asked.id, [OWNER])) is Code.UNTRUSTED_ANSWER

    play(tmp_path, vault, scenario)
