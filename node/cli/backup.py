"""`huzheng backup` and `huzheng restore`: a node's configuration, chain, and the ciphertexts of its vault."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.connection import with_client
from node.cli.output import json_time, local_time
from node.cli.passphrase import new_passphrase
from node.cli.session import Session, command
from node.cli.vault import KeyringOption, OldKeyringOption

if TYPE_CHECKING:
    from rich.progress import Progress

    from node.backup_manifest import Manifest
    from node.client import LedgerClient
    from node.restore import Restored


def add_to(app: typer.Typer) -> None:
    """Registers both commands."""
    command(app, "backup", online=True)(backup)
    command(app, "restore")(restore)


def backup(
    session: Session,
    target: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="A new or empty directory on the node's machine.")
    ],
    home: Annotated[
        Path | None, typer.Option("--home", metavar="DIR", help="A stopped node's directory, with its node.toml.")
    ] = None,
) -> None:
    """Back up the department's node: configuration, chain, and the vault's ciphertexts.

    The running node does it, told by the profile of an operator; with --home a node that is stopped is read. A backup holds no
    key file, no keyring and no votes: keep those as docs/operations.md says.
    """
    with session.out.progress(session.t("Backing up")) as progress:
        if home is not None:
            manifest = _back_up_stopped(
                home, target.absolute(), lambda *reached: _show_step(session, progress, *reached)
            )
        else:
            manifest = _back_up_running(session, target.absolute(), progress)
    if session.out.is_json:
        session.out.json({"directory": str(target.absolute()), **_as_json(manifest)})
        return
    session.out.line(session.t("Backed up to {directory}.", directory=target), "bold green")
    _show_manifest(session, manifest)
    session.out.line(session.t("No key file and no keyring is in it: keep them elsewhere."))


def _back_up_stopped(home: Path, target: Path, on_progress: Any) -> Manifest:
    from contextlib import ExitStack

    from ledger.store import ChainStore
    from node.backup import Source, make_backup
    from node.config import load_config
    from node.genesis_file import read_genesis
    from node.vault_config import open_vault

    config = load_config(home)
    genesis = read_genesis(config.node.genesis)
    with ExitStack() as stack:
        store = ChainStore.open(config.node.data, genesis, create=False)
        stack.callback(store.close)
        vault = open_vault(config)
        if vault is not None:
            stack.callback(vault.close)
        return make_backup(Source(config, genesis, store, vault), target, on_progress)


def _back_up_running(session: Session, target: Path, progress: Progress) -> Manifest:
    from ledger.errors import Code, HuzhengError
    from node.backup_manifest import decode_manifest

    async def run(client: LedgerClient) -> bytes:
        manifest = b""
        async for answer in client.back_up(str(target)):
            manifest = answer.manifest
            if not manifest:
                _show_step(session, progress, answer.step, answer.done, answer.total)
        return manifest

    async def at_own_node(client: LedgerClient) -> bytes:
        own = session.profile().client.department
        for number, node in enumerate(client.nodes):
            if node.department == own:
                async with client.only(number) as one:
                    return await run(one)
        raise HuzhengError(Code.CONFIG_INVALID, f"{session.profile().file}\n[[nodes]]: none of {own}")

    try:
        return decode_manifest(with_client(session, at_own_node))
    except ValueError:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "the node sent no manifest") from None


def restore(
    session: Session,
    source: Annotated[Path, typer.Argument(metavar="FROM", help="The directory that `huzheng backup` wrote.")],
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The node's new directory: new, or with its key files and keyring only."),
    ],
    keyring: KeyringOption = None,
    without_vault: Annotated[
        bool, typer.Option("--without-vault", help="Give up all confidential values: the keyring is lost.")
    ] = False,
    accept_old_keyring: OldKeyringOption = False,
    encrypt_keys: Annotated[
        bool,
        typer.Option("--encrypt-keys", help="Encrypt keys with a passphrase: HUZHENG_PASSPHRASE, or asked for."),
    ] = False,
) -> None:
    """Make a node again from a backup, on a machine that has lost it.

    It gets a fresh consensus key: until the departments have entered that, it follows without a vote. Confidential values are
    given out again once it has caught up and has erased whatever was ordered to be erased since.
    """
    from node.restore import Options
    from node.restore import restore as restore_node

    passphrase = new_passphrase(session) if encrypt_keys else None
    options = Options(keyring, without_vault, accept_old_keyring, passphrase)
    with session.out.progress(session.t("Checking")) as progress:
        bar = progress.task_ids[0]
        restored = restore_node(
            source, directory, options, lambda done, total: progress.update(bar, completed=done, total=total)
        )
    if session.out.is_json:
        session.out.json(_restored_to_dict(restored))
    else:
        _show_restored(session, restored, directory)


def _restored_to_dict(restored: Restored) -> dict[str, object]:
    return {
        "config": str(restored.config.file),
        **_as_json(restored.manifest),
        "vault_restored": restored.has_vault,
        "consensus_key": str(restored.key),
        "seat_file": str(restored.seat),
        "missing": [str(path) for path in restored.missing],
    }


def _show_restored(session: Session, restored: Restored, directory: Path) -> None:
    t, out = session.t, session.out
    out.line(t("Restored to {directory}.", directory=directory), "bold green")
    _show_manifest(session, restored.manifest)
    for path in restored.missing:
        out.line(t("Missing, put it back before the start: {file}", file=path), "yellow")
    if restored.manifest.vault is not None and not restored.has_vault:
        out.line(t("The vault was not restored: all confidential values are lost."), "bold red")
    out.line(t("Start the node; it follows without a vote. Then let the departments enter its fresh key:"))
    out.line(f"  huzheng node start {directory}")
    out.line(f"  huzheng member propose key.change --seat {restored.seat}")


def _as_json(manifest: Manifest) -> dict[str, object]:
    vault = manifest.vault
    return {
        "chain_id": manifest.chain_id,
        "department": manifest.department,
        "replica": manifest.replica,
        "created": manifest.created,
        "height": manifest.height,
        "block_hash": manifest.block_hash,
        "block_time": json_time(manifest.block_time_ms),
        "files": len(manifest.files),
        "bytes": manifest.size,
        "vault": None if vault is None else {"records": vault.records, "persons": vault.persons},
    }


def _show_manifest(session: Session, manifest: Manifest) -> None:
    t, vault = session.t, manifest.vault
    kept = t("none") if vault is None else t("{r} records, {p} persons", r=vault.records, p=vault.persons)
    session.out.pairs(
        "",
        [
            (t("Node"), f"{manifest.replica}, {manifest.department}"),
            (t("Height"), manifest.height),
            (t("Newest block"), f"{manifest.block_hash}, {local_time(manifest.block_time_ms)}"),
            (t("In the vault"), kept),
            (t("Size"), t("{n} files, {m:.1f} MB", n=len(manifest.files), m=manifest.size / 1e6)),
        ],
    )


def _show_step(session: Session, progress: Progress, step: str, done: int, total: int) -> None:
    t = session.t
    words = {"chain": t("Copying the chain"), "vault": t("Copying the vault"), "digests": t("Reading it back")}
    progress.update(
        progress.task_ids[0],
        description=words.get(step, t("Backing up")),
        completed=done,
        total=total or None,
    )
