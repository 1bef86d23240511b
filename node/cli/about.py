"""How commands are told which record is meant: by its id, or by resource and subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.files import parse_hash

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from ledger.catalogue import CompiledResource
    from node.client import LedgerClient
    from node.light_client import LightClient

AboutArgument = Annotated[
    list[str],
    typer.Argument(metavar="ID | RESOURCE SUBJECT", help="A record's id, or a resource and a subject."),
]
VersionOption = Annotated[int, typer.Option("--version", min=0, help="This version; 0 is the newest.")]


async def find_record(client: LedgerClient, about: list[str], version: int) -> pb.LocatedRecord:
    """The record that the arguments mean, as the node tells it.

    Raises:
        HuzhengError: INVALID_REQUEST, and what the node answers.
    """
    if len(about) == 1:
        return await client.record(
            parse_hash(about[0], "ID", "a record id of 64 hexadecimal digits, or a resource and a subject, are needed")
        )
    resource, subject = await resource_and_subject(client, about)
    return await client.record_of(resource, subject, version)


async def resource_and_subject(client: LedgerClient | LightClient, about: list[str]) -> tuple[str, str]:
    """Two arguments as a resource of the catalogue and a subject in its canonical form; with a light client, the resource is proved.

    Raises:
        HuzhengError: INVALID_REQUEST, UNKNOWN_RESOURCE, BAD_SUBJECT.
    """
    if len(about) != 2:
        raise HuzhengError(Code.INVALID_REQUEST, "a record id, or a resource and a subject, are needed")
    resource = await client.resource(about[0])
    subject = subject_of(resource, about[1])
    if subject is None:
        raise HuzhengError(Code.BAD_SUBJECT, f"must be {resource.subject.expected}")
    return resource.name, subject


def subject_of(resource: CompiledResource, text: str) -> str | None:
    """A subject in its canonical form; None if no record of the resource can be about it."""
    from ledger.fields.entry import canonical

    subject = canonical(resource.subject.type, text) or text
    return subject if resource.subject_fits(subject) else None
