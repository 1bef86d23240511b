"""`huzheng catalogue withdraw`: takes something of one's own department out of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.session import Session, command, group
from node.cli.signing import submit_operation

if TYPE_CHECKING:
    from huzheng.v1 import sharing_pb2

app = group("Withdraw a duty, a resource or a table of your department, signed with the profile's admin key.")

ResourceArgument = Annotated[str, typer.Argument(metavar="RESOURCE", help="Such as property.ownership.")]


@command(app, "duty", online=True)
def duty(session: Session, code: Annotated[str, typer.Argument(metavar="CODE", help="The duty's code.")]) -> None:
    """Withdraw a duty: no resource can name it any more; those that do stay."""
    from huzheng.v1 import sharing_pb2

    _withdraw(session, sharing_pb2.Withdraw(duty=sharing_pb2.DutyCode(code=code)))


@command(app, "resource", online=True)
def resource(
    session: Session,
    name: ResourceArgument,
    schema_version: Annotated[
        int, typer.Option("--schema-version", min=0, help="Only this version; 0 is all that are open.")
    ] = 0,
) -> None:
    """Withdraw a resource, or a schema version of one: no record can cite it any more; those that do stay."""
    from huzheng.v1 import sharing_pb2

    version = sharing_pb2.SchemaVersion(resource=name, schema_version=schema_version)
    _withdraw(session, sharing_pb2.Withdraw(resource=version))


@command(app, "table", online=True)
def table(
    session: Session,
    name: ResourceArgument,
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="The information system.")],
    table_name: Annotated[str, typer.Argument(metavar="TABLE", help="The table's name.")],
) -> None:
    """Withdraw what was said of a table."""
    from huzheng.v1 import sharing_pb2

    which = sharing_pb2.TableName(resource=name, system=system, name=table_name)
    _withdraw(session, sharing_pb2.Withdraw(table=which))


def _withdraw(session: Session, withdrawn: sharing_pb2.Withdraw) -> None:
    from huzheng.v1 import transaction_pb2

    submit_operation(session, transaction_pb2.Operation(withdraw=withdrawn), session.t("Withdrawn."))
