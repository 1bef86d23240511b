"""Departments that share data on a running local network: what their administrators and systems do, through their own nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.building import BuiltRecord, build_record, build_transaction
from ledger.crypto import Signer
from ledger.errors import HuzhengError
from ledger.genesis import Genesis
from ledger.sharing.granting import grant_id
from node.anchor_file import AnchorStore
from node.client import Final, LedgerClient
from node.clock import wall_clock_ms
from node.keyfile import KeyKind, load_signer
from node.light_client import LightClient
from node.own_vault import OwnVault
from node.profile import load_profile
from node.sharing.asking import Answered, PendingRead, Reads, Request, acknowledge, carry_out
from scripts.local.network import LocalNetwork

LIFETIME_MS = 1_200_000
DAY_MS = 86_400_000
PATIENCE_S = 20.0
LEGAL_BASIS = "Deed Tax Law, article 11"
OWNER = "property.owner"
NAME, DOCUMENT = 5, 7
"""Numbers of its confidential fields QLRMC and QLRZJH."""
PUBLIC = {"YWH": "2026-000712", "QLRBH": "a" * 26, "DJSJ": "2026-11-27"}


class Sharer:
    """One department: its admin's and its system's keys, and a client of its own node, and of the others for answers."""

    def __init__(self, network: LocalNetwork, department: str) -> None:
        self.department = department
        self.genesis = Genesis.read(network.genesis.read_bytes())
        profile = load_profile(network.profile(department, "system"))
        self.admin = load_signer(_there(profile.keys.admin), KeyKind.ADMIN, self.genesis.suite)
        self.system = load_signer(_there(profile.keys.signing), KeyKind.SYSTEM, self.genesis.suite)
        self.client = LedgerClient.from_profile(profile, self.genesis)
        self.light = LightClient(self.client, AnchorStore(profile.file.parent, self.genesis))
        self.reads = Reads(profile.file.parent / "reads")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # --- transactions ---

    async def as_admin(self, *operations: pb.Operation) -> Final:
        """Has operations of the administrator carried out. Raises HuzhengError with the reason of a refusal."""
        return await self._submit(self.admin, operations=operations)

    async def as_system(self, *operations: pb.Operation) -> Final:
        """The same, of the system."""
        return await self._submit(self.system, operations=operations)

    async def _submit(
        self, signer: Signer, operations: Sequence[pb.Operation] = (), records: Sequence[BuiltRecord] = ()
    ) -> Final:
        raw = build_transaction(
            self.genesis,
            signer,
            self.department,
            wall_clock_ms() + LIFETIME_MS,
            operations=operations,
            records=records,
        )
        final = await self.client.submit(raw)
        if final.verdict.refusal is not None:
            raise HuzhengError(final.verdict.refusal)
        return final

    # --- the owner ---

    async def register(self, subject: str, confidential: Mapping[str, str]) -> BuiltRecord:
        """The first version of who owns a unit, its confidential values deposited before it is submitted."""
        record = build_record(self.genesis, OWNER, subject, 1, b"", PUBLIC, confidential=confidential)
        await OwnVault(self.client, self.department).deposit([record], wall_clock_ms() + LIFETIME_MS)
        await self._submit(self.system, records=[record])
        return record

    async def approve(self, grant: bytes, terms: sharing.GrantTerms | None = None) -> None:
        """Grants what was applied for, or less."""
        await self.as_admin(pb.Operation(approve_grant=sharing.ApproveGrant(grant=grant, terms=terms)))

    async def end(self, grant: bytes) -> Final:
        """Ends a grant."""
        return await self.as_admin(pb.Operation(end_grant=sharing.EndGrant(grant=grant, reason="no longer needed")))

    async def erase(self, *records: bytes) -> None:
        """Orders that values be erased."""
        order = sharing.OrderErasure(records=sorted(records), legal_basis="PIPL, article 47")
        await self.as_admin(pb.Operation(order_erasure=order))

    # --- the reader ---

    async def apply(self, *, fields: Sequence[int] = (NAME,), resource: str = OWNER, **terms: object) -> bytes:
        """Applies for a grant, by default of one field for 90 days; its id."""
        asked = sharing.GrantTerms(
            **{
                "resource": resource,
                "fields": fields,
                "max_reads": 1_000,
                "expires_ms": wall_clock_ms() + 90 * DAY_MS,
                **terms,
            }  # type: ignore[arg-type]
        )
        operation = sharing.ApplyGrant(terms=asked, purpose="deed tax", legal_basis=LEGAL_BASIS)
        final = await self.as_admin(pb.Operation(apply_grant=operation))
        return grant_id(self.genesis.suite, final.transaction_id, 0)

    def begin(
        self, grant: bytes, subject: str, *, fields: Sequence[int] = (NAME,), case: str = "2026-1"
    ) -> PendingRead:
        """A read that is not submitted yet."""
        request = Request(grant, "planning", OWNER, subject, case, tuple(fields))
        return self.reads.begin(self.client, self.system, self.department, request, wall_clock_ms() + LIFETIME_MS)

    async def read(self, pending: PendingRead, patience_s: float = PATIENCE_S) -> Answered:
        """Has a read carried out, and checks what comes."""
        return await carry_out(self.light, self.reads, pending, patience_s)

    async def acknowledge(self, read: bytes) -> None:
        """Says that the answer is here."""
        await acknowledge(self.client, self.system, self.department, read, wall_clock_ms() + LIFETIME_MS)


def _there(path: Path | None) -> Path:
    if path is None:
        raise FileNotFoundError("the profile names no such key")
    return path
