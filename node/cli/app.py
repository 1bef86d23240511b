"""The tree of commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ledger.errors import Language
from node.cli import (
    audit,
    backup,
    catalogue,
    certificate,
    chain,
    disclosing,
    doctor,
    erasing,
    evidence,
    grant,
    history,
    keys,
    member,
    network,
    node,
    read,
    rebuild,
    receipt,
    record,
    reliance,
    sample_data,
    statement,
    submit,
    vault,
    verify,
)
from node.cli.localise import LocalGroup, localise
from node.cli.session import LanguageOption, OutputOption, ProfileOption, TimeoutOption, common_options
from node.cli.texts import Texts

EPILOG = (
    "Exit status: 0 done · 1 internal error · 2 wrong usage · 3 input not valid · 4 not proven · "
    "5 refused by the ledger's rules · 6 not found · 7 not allowed · "
    "8 try again (unreachable, timed out, overloaded) · 9 this machine's files or configuration · 130 interrupted. "
    "Errors go to standard error, as JSON with --output json."
)
# What clerks need first.
ORDER = (
    "verify",
    "record",
    "receipt",
    "statement",
    "certificate",
    "submit",
    "audit",
    "reliance",
    "catalogue",
    "chain",
    "node",
    "grant",
    "read",
    "evidence",
    "backup",
    "restore",
    "vault",
    "network",
    "member",
    "keys",
    "sample-data",
)


def build_app() -> typer.Typer:
    """All commands, with English help."""
    app = typer.Typer(
        name="huzheng",
        cls=LocalGroup,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        help="Huzheng: a ledger that departments run together, so that what one registers the others can rely on.",
        epilog=EPILOG,
    )
    app.callback()(_root)
    app.add_typer(network.app, name="network")
    rebuild.add_to(node.app)
    app.add_typer(node.app, name="node")
    submit.add_to(app)
    app.add_typer(record.app, name="record")
    app.add_typer(receipt.app, name="receipt")
    app.add_typer(statement.app, name="statement")
    verify.add_to(app)
    history.add_to(chain.app)
    certificate.add_to(app)
    app.add_typer(chain.app, name="chain")
    doctor.add_to(app)
    app.add_typer(evidence.app, name="evidence")
    backup.add_to(app)
    disclosing.add_to(vault.app)
    erasing.add_to(vault.app)
    app.add_typer(vault.app, name="vault")
    app.add_typer(member.app, name="member")
    app.add_typer(catalogue.app, name="catalogue")
    app.add_typer(grant.app, name="grant")
    app.add_typer(read.app, name="read")
    app.add_typer(keys.app, name="keys")
    app.add_typer(audit.app, name="audit")
    app.add_typer(reliance.app, name="reliance")
    sample_data.add_to(app)
    return app


def build_command(language: Language) -> Any:
    """All commands, with help in this language."""
    root: Any = typer.main.get_command(build_app())
    root.order = ORDER
    localise(root, Texts(language))
    return root


def _show_version(wanted: bool) -> None:
    if wanted:
        from node.version import software_version

        typer.echo(f"huzheng {software_version()}")
        raise typer.Exit


def _root(
    context: typer.Context,
    output: OutputOption = None,
    lang: LanguageOption = None,
    profile: ProfileOption = None,
    timeout: TimeoutOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    del version
    common_options(context, output, lang, profile, timeout)
