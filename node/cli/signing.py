"""Operations that a department signs with its admin key: signed, submitted, and their outcome shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import Code, HuzhengError
from node.cli.connection import with_client
from node.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huzheng.v1 import transaction_pb2

    from ledger.crypto import Signer
    from ledger.genesis import Genesis
    from node.client import Final, LedgerClient
    from node.profile import ClientProfile


def load_admin(profile: ClientProfile, genesis: Genesis) -> Signer:
    """The profile's admin key.

    Raises:
        HuzhengError: CONFIG_INVALID if it names none; as `load_signer`.
    """
    from node.keyfile import KeyKind, load_signer

    if profile.keys.admin is None:
        raise HuzhengError(Code.CONFIG_INVALID, f"{profile.file}: keys.admin is needed for this")
    return load_signer(profile.keys.admin, KeyKind.ADMIN, genesis.suite)


def submit_operation(session: Session, operation: transaction_pb2.Operation, done: str) -> None:
    """Has an operation carried out, and shows that it was. Raises HuzhengError with the reason of a refusal."""
    final = with_client(session, lambda client: submit_signed(session, client, operation))
    if session.out.is_json:
        session.out.json(final.verdict.to_dict())
        return
    session.out.line(done, "bold green")
    pairs = [(session.t("Transaction"), final.transaction_id.hex()), (session.t("Block"), final.verdict.height)]
    session.out.pairs("", pairs)


def load_system(profile: ClientProfile, genesis: Genesis) -> Signer:
    """The profile's key for records and reads.

    Raises:
        HuzhengError: CONFIG_INVALID if it names none; as `load_signer`.
    """
    from ledger.errors import Code, HuzhengError
    from node.keyfile import KeyKind, load_signer

    if profile.keys.signing is None:
        raise HuzhengError(Code.CONFIG_INVALID, f"{profile.file}: keys.signing is needed for this")
    return load_signer(profile.keys.signing, KeyKind.SYSTEM, genesis.suite)


async def submit_signed(session: Session, client: LedgerClient, *operations: transaction_pb2.Operation) -> Final:
    """Has operations carried out, in one transaction signed with the profile's admin key.

    Raises:
        HuzhengError: with the reason of a refusal; as `sign_and_submit`.
    """
    final = await sign_and_submit(session, client, operations)
    if final.verdict.refusal is not None:
        raise HuzhengError(final.verdict.refusal)
    return final


async def sign_and_submit(
    session: Session, client: LedgerClient, operations: Sequence[transaction_pb2.Operation]
) -> Final:
    """One transaction of these operations, signed with the profile's admin key; it may have been refused.

    Raises:
        HuzhengError: as `load_admin`, and what the node answers.
    """
    from time import time

    from ledger.building import build_transaction

    profile = session.profile()
    signer = load_admin(profile, client.genesis)
    expires_ms = int(time() * 1000) + client.genesis.parameters.max_lifetime_ms // 2
    raw = build_transaction(client.genesis, signer, profile.client.department, expires_ms, operations=operations)
    return await client.submit(raw)
