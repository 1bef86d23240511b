"""`huzheng keys`: makes and shows signing keys, registers and revokes them on chain."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from node.cli.files import parse_hash
from node.cli.session import Session, command, group
from node.cli.signing import submit_operation

app = group("Signing keys: make and show them, register and revoke them on chain.")
SUITE = "ed25519-sha256"


class NewKeyKind(StrEnum):
    """What a key made here may be for."""

    SYSTEM = "system"
    ADMIN = "admin"
    CONSENSUS = "consensus"


class RegisteredRole(StrEnum):
    """What a key may do on chain."""

    SYSTEM = "system"
    ADMIN = "admin"


KeyFileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A key file.")]


@command(app, "new")
def new(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The new key file; an existing one is never replaced.")],
    kind: Annotated[
        NewKeyKind, typer.Option("--kind", help="What it signs: records, key changes, or votes.")
    ] = NewKeyKind.SYSTEM,
    encrypt: Annotated[
        bool, typer.Option("--encrypt-keys", help="Encrypt keys with a passphrase: HUZHENG_PASSPHRASE, or asked for.")
    ] = False,
) -> None:
    """Make a signing key.

    It does nothing on chain until an admin key registers it with `huzheng keys add`.
    """
    from ledger.crypto import suite_named
    from node.cli.passphrase import new_passphrase
    from node.keyfile import KeyKind, create_key_file

    secret = new_passphrase(session) if encrypt else None
    public_key = create_key_file(path, KeyKind(kind), suite_named(SUITE), secret)
    if session.out.is_json:
        session.out.json({"file": str(path), "kind": str(kind), "public_key": public_key.hex(), "encrypted": encrypt})
        return
    session.out.line(session.t("Key made in {file}. Keep it secret.", file=path), "bold green")
    session.out.pairs("", [(session.t("Kind"), kind), (session.t("Public key"), public_key.hex())])


@command(app, "show")
def show(session: Session, path: KeyFileArgument) -> None:
    """Show what a key file is for and its public key.

    Never shows the secret, and needs no passphrase.
    """
    from node.keyfile import read_label

    label = read_label(path)
    public_key = label.public_key.hex() if label.public_key else None
    if session.out.is_json:
        kind = str(label.kind) if label.kind else None
        session.out.json({"file": str(path), "kind": kind, "public_key": public_key, "encrypted": label.encrypted})
        return
    t = session.t
    pairs = [
        (t("Kind"), label.kind or t("not said")),
        (t("Public key"), public_key or t("not said")),
        (t("Encrypted"), t("yes") if label.encrypted else t("no")),
    ]
    session.out.pairs("", pairs)


@command(app, "add", online=True)
def add(
    session: Session,
    public_key: Annotated[str, typer.Argument(metavar="PUBLIC-KEY", help="64 hexadecimal digits, or the key's file.")],
    role: Annotated[
        RegisteredRole, typer.Option("--role", help="What it may sign: records or key changes.")
    ] = RegisteredRole.SYSTEM,
) -> None:
    """Register a key of your department on chain, signed with the profile's admin key."""
    from huzheng.v1 import genesis_pb2, transaction_pb2

    number = genesis_pb2.KEY_ROLE_ADMIN if role is RegisteredRole.ADMIN else genesis_pb2.KEY_ROLE_SYSTEM
    key = genesis_pb2.SigningKey(public_key=_public_key(public_key), role=number)
    operation = transaction_pb2.Operation(add_key=transaction_pb2.AddKey(key=key))
    submit_operation(session, operation, session.t("Registered."))


@command(app, "revoke", online=True)
def revoke(
    session: Session,
    public_key: Annotated[str, typer.Argument(metavar="PUBLIC-KEY", help="64 hexadecimal digits, or the key's file.")],
) -> None:
    """End a key of your department for good, signed with the profile's admin key."""
    from huzheng.v1 import transaction_pb2

    operation = transaction_pb2.Operation(revoke_key=transaction_pb2.RevokeKey(public_key=_public_key(public_key)))
    submit_operation(session, operation, session.t("Revoked."))


def _public_key(text: str) -> bytes:
    from ledger.errors import Code, HuzhengError
    from node.keyfile import read_label

    if Path(text).is_file():
        found = read_label(Path(text)).public_key
        if found is None:
            raise HuzhengError(Code.KEY_FILE_INVALID, f"{text}: no public-key line; give the 64 digits")
        return found
    return parse_hash(text, "PUBLIC-KEY", "neither a key file nor 64 hexadecimal digits")
