"""`huzheng vault`: makes, looks at, checks and repairs the vault of a node that is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.session import Ended, Session, command, group
from node.errors import ExitStatus

if TYPE_CHECKING:
    from node.vault.status import VaultStatus

app = group("Look after the vault, where a department's confidential values are.")

NodeArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The node's directory, or its node.toml.")]
KeyringOption = Annotated[
    Path | None,
    typer.Option("--keyring", metavar="FILE", help="The newest keyring, where it is not in its place already."),
]
OldKeyringOption = Annotated[
    bool,
    typer.Option("--accept-old-keyring", help="Take a keyring that is older than the backup; there is no newer one."),
]


@command(app, "new-key")
def new_key(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The new key file.")],
) -> None:
    """Make a master key: a file of 32 random bytes that opens keyrings sealed with it."""
    from node.vault.master_key import create_master_key_file

    create_master_key_file(path)
    if session.out.is_json:
        session.out.json({"key_file": str(path)})
        return
    session.out.line(session.t("Master key written to {file}. Keep a copy in a safe.", file=path), "bold green")


@command(app, "create")
def create(session: Session, path: NodeArgument = Path()) -> None:
    """Make the empty vault that [vault] of a node.toml names, for a node that has none yet."""
    from node.config import load_config
    from node.vault.vault import Vault
    from node.vault_config import master_key, vault_places

    config = load_config(path)
    places = vault_places(config)
    Vault.create(places, master_key(config))
    if session.out.is_json:
        escrow = None if places.escrow is None else str(places.escrow)
        document = {"directory": str(places.directory), "keyring": str(places.keyring_file), "escrow": escrow}
        session.out.json(document)
        return
    session.out.line(session.t("Vault made in {directory}.", directory=places.directory), "bold green")
    if places.escrow is None:
        text = session.t("Its keyring has no second copy: if it is lost, so are all values. Set vault.escrow.")
        session.out.line(text, "yellow")


@command(app, "status")
def status(session: Session, path: NodeArgument = Path()) -> None:
    """Show where a stopped node's vault stands: keyring, second copy, how much is in it.

    Needs no master key. Exit status 9 if it would not open as it is.
    """
    from node.config import load_config
    from node.vault.status import inspect
    from node.vault_config import vault_places

    found = inspect(vault_places(load_config(path)))
    if session.out.is_json:
        session.out.json(_status_to_dict(found))
    else:
        _show_status(session, found)
    if found.restored or found.is_rolled_back:
        raise Ended(ExitStatus.LOCAL)


@command(app, "check")
def check(session: Session, path: NodeArgument = Path()) -> None:
    """Decrypt everything in a stopped node's vault, and name what is damaged.

    Exit status 9 if something is.
    """
    from node.config import load_config
    from node.vault_config import open_vault, vault_section

    config = load_config(path)
    vault = open_vault(config)
    if vault is None:
        # Says what is missing.
        vault_section(config)
        return
    with vault:
        found = vault.check()
    if session.out.is_json:
        document = {"records": found.records, "persons": found.persons, "damaged": list(found.damaged)}
        session.out.json(document)
    else:
        t = session.t
        counts = t("{r} records, {p} persons", r=found.records, p=found.persons)
        session.out.line(t("Whole: {counts}.", counts=counts), "" if found.damaged else "green")
        for name in found.damaged:
            session.out.line(t("Damaged: {name}", name=name), "red")
    if found.damaged:
        raise Ended(ExitStatus.LOCAL)


@command(app, "change-master-key")
def change_master_key(
    session: Session,
    path: NodeArgument,
    settings: Annotated[
        Path,
        typer.Option(
            "--to", metavar="FILE", help="A copy of the node.toml beside it, with the new master key in [vault]."
        ),
    ],
) -> None:
    """Seal a stopped node's keyring under another master key. No value is encrypted anew.

    Then put the new file in the place of the old one, and destroy the old key if that is why it was changed: it still opens old keyrings.
    """
    from node.config import load_config
    from node.vault.vault import Vault
    from node.vault_config import master_key, vault_places

    old, new = load_config(path), load_config(settings)
    places = vault_places(old)
    if vault_places(new) != places:
        raise HuzhengError(
            Code.CONFIG_INVALID, f"{settings}\n[vault]: directory, keyring and escrow must stay as they are"
        )
    Vault.change_master_key(places, master_key(old), master_key(new))
    if session.out.is_json:
        session.out.json({"keyring": str(places.keyring_file), "config": str(settings)})
        return
    session.out.line(session.t("The keyring is sealed under the new master key."), "bold green")
    session.out.line(session.t("Now put {new} in the place of {old}.", new=settings, old=old.file))


@command(app, "restore")
def restore(
    session: Session,
    source: Annotated[Path, typer.Argument(metavar="FROM", help="The directory that `huzheng backup` wrote.")],
    path: NodeArgument = Path(),
    keyring: KeyringOption = None,
    accept_old_keyring: OldKeyringOption = False,
) -> None:
    """Put a backup's vault in the place of a stopped node's that is lost, where the node itself is well.

    The node reopens it at its next start, once it has erased whatever was ordered to be erased since.
    """
    from node.config import load_config
    from node.restore_vault import KeyringChoice, restore_vault

    choice = KeyringChoice(keyring, accept_old_keyring)
    with session.out.progress(session.t("Checking")) as progress:
        bar = progress.task_ids[0]
        manifest = restore_vault(
            source, load_config(path), choice, lambda done, total: progress.update(bar, completed=done, total=total)
        )
    counts = {"records": 0, "persons": 0}
    if manifest.vault is not None:
        counts = {"records": manifest.vault.records, "persons": manifest.vault.persons}
    if session.out.is_json:
        session.out.json({"created": manifest.created, **counts})
        return
    text = session.t("{r} records, {p} persons", r=counts["records"], p=counts["persons"])
    session.out.line(session.t("Restored, as of {time}: {counts}.", time=manifest.created, counts=text), "bold green")


@command(app, "reapply")
def reapply(
    session: Session,
    path: NodeArgument = Path(),
    accept_old_keyring: OldKeyringOption = False,
    give_up_damaged: Annotated[
        bool, typer.Option("--give-up-damaged", help="Lose damaged entries for good instead of stopping at them.")
    ] = False,
) -> None:
    """Erase again in a stopped node's vault whatever the stored chain ordered to be erased, so that it opens after a restore.

    A running node does it by itself. What only a newer backup has can't be read afterwards.
    """
    from ledger.store import ChainStore
    from node.config import load_config
    from node.genesis_file import read_genesis
    from node.vault_restored import reapply_erasures

    config = load_config(path)
    store = ChainStore.open(config.node.data, read_genesis(config.node.genesis), create=False)
    try:
        done = reapply_erasures(config, store, accepts_old_keyring=accept_old_keyring, gives_up_damaged=give_up_damaged)
        height = store.tip.height
    finally:
        store.close()
    if session.out.is_json:
        document = {"height": height, "kept": done.kept, "erased": done.erased, "damaged": done.damaged}
        session.out.json(document)
        return
    text = session.t(
        "{kept} entries stay, {erased} are erased, by the chain up to height {height}.",
        height=height,
        kept=done.kept,
        erased=done.erased,
    )
    session.out.line(text, "bold green")
    if done.damaged:
        session.out.line(session.t("{n} damaged entries were given up.", n=done.damaged), "yellow")


def _status_to_dict(found: VaultStatus) -> dict[str, object]:
    return {
        "vault_id": found.vault_id.hex(),
        "generation": found.generation,
        "keyring_generation": found.keyring_generation,
        "escrow_generation": found.escrow_generation,
        "sealed_with": found.sealed_with,
        "restored": found.restored,
        "rolled_back": found.is_rolled_back,
        "erasing": found.erasing,
        "records": found.records,
        "persons": found.persons,
    }


def _show_status(session: Session, found: VaultStatus) -> None:
    t = session.t
    sealed = {"key_file": t("a key file"), "passphrase": t("a passphrase"), "token": t("a PKCS#11 token")}
    escrow = t("none") if found.escrow_generation is None else t("generation {n}", n=found.escrow_generation)
    session.out.pairs(
        "",
        [
            (t("Vault"), found.vault_id.hex()),
            (t("In the vault"), t("{r} records, {p} persons", r=found.records, p=found.persons)),
            (t("Keyring"), t("generation {n}", n=found.keyring_generation)),
            (t("Second copy"), escrow),
            (t("Sealed with"), sealed.get(found.sealed_with, found.sealed_with)),
        ],
    )
    if found.erasing:
        session.out.line(t("An erasure was begun; it is finished at the next start."), "yellow")
    for code in [Code.VAULT_RESTORED] * found.restored + [Code.VAULT_ROLLED_BACK] * found.is_rolled_back:
        error = HuzhengError(code)
        text = f"{code}: {error.message(session.language)} {error.hint(session.language)}"
        session.out.line(text, "red")
