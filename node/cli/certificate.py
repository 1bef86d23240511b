"""`huzheng certificate`: prints what a statement proves about a property, with codes that carry it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.about import resource_and_subject
from node.cli.files import GenesisOption, chosen_genesis, read_bytes, write_bytes
from node.cli.light import with_light_client
from node.cli.session import Session, command

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from node.client import LedgerClient
    from node.light_client import LightClient

OWNERSHIP = "property.ownership"


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "certificate", online=True)(certificate)


def certificate(
    session: Session,
    unit_code: Annotated[
        str | None,
        typer.Argument(metavar="UNIT_CODE", help="The property unit code; a node is asked for the statement."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The PDF to write; - is standard output.")] = Path(
        "certificate.pdf"
    ),
    statement: Annotated[
        Path | None,
        typer.Option("--statement", metavar="FILE", help="Print this statement instead of asking a node."),
    ] = None,
    genesis: GenesisOption = None,
    font: Annotated[
        Path | None, typer.Option("--font", metavar="FILE", help="Set it in this font, which must have Chinese.")
    ] = None,
) -> None:
    """Make a property certificate to print: an A4 page whose QR codes prove what it says.

    The statement is verified first. The page can be checked by anyone with the genesis file, from the PDF, a scan or a
    photograph: huzheng verify.
    """
    if (unit_code is None) == (statement is None):
        raise HuzhengError(Code.INVALID_REQUEST, "either a property unit code or --statement is needed")
    if statement is not None:
        write_certificate(session, read_bytes(statement), chosen_genesis(session, genesis), out, font)
    elif unit_code is not None:
        write_certificate(session, *_ask(session, unit_code), out, font)


def _ask(session: Session, unit_code: str) -> tuple[bytes, Genesis]:
    from node.certificate.extra import extra_needed

    with extra_needed():
        from node.certificate.content import property_questions

    async def ask(light: LightClient, client: LedgerClient) -> tuple[bytes, Genesis, list[str]]:
        from node.registers import resources_of

        _, subject = await resource_and_subject(client, [OWNERSHIP, unit_code])
        questions = property_questions(light.genesis, subject)
        stated = await light.statement(questions, with_records=True, whole=True)
        names = [resource.name for resource in await resources_of(light, "property")]
        return stated.raw, light.genesis, [name for name in names if name not in light.genesis.catalogue]

    raw, genesis, later = with_light_client(session, ask)
    if later:
        text = session.t("The page can't say anything of what came after the genesis: {names}.", names=", ".join(later))
        session.out.note(f"{text} {session.t('`huzheng statement get property` does.')}", "yellow")
    return raw, genesis


def write_certificate(session: Session, statement: bytes, genesis: Genesis, out: Path, font: Path | None) -> None:
    """Verifies a statement, and writes its page to a file.

    Raises:
        HuzhengError: as `verify_statement` and `property_certificate_pdf`; EXTRA_MISSING, FILE_ACCESS.
    """
    from ledger.statement import verify_statement
    from node.certificate.extra import extra_needed

    with extra_needed():
        from node.certificate.codes import without_entries
        from node.certificate.content import property_content
        from node.certificate.page import property_certificate_pdf

    verdict = verify_statement(statement, genesis)
    if verdict.entries:
        statement = without_entries(statement, verdict, genesis)
        verdict = verify_statement(statement, genesis)
    content = property_content(verdict, genesis)
    pdf = property_certificate_pdf(verdict, genesis, statement, font)
    write_bytes(out, pdf)
    if str(out) == "-":
        return
    if session.out.is_json:
        session.out.json(
            {
                "file": str(out),
                "bytes": len(pdf),
                "subject": content.unit_code,
                "certificate_number": content.certificate_number,
                "height": content.height,
                "chain_id": content.chain_id.hex(),
            }
        )
        return
    session.out.line(session.t("Certificate written to {file}, {n} bytes.", file=out, n=len(pdf)))
    session.out.note(
        session.t("Anyone with the genesis file can check it, printed too: huzheng verify {file}", file=out)
    )
