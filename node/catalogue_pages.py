"""The catalogue of the state, in pages for clients (docs/protocol.md D2)."""

from __future__ import annotations

from huzheng.v1 import catalogue_pb2, state_pb2
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.published import DUTY_PREFIX, TABLE_PREFIX, Published

MAX_PAGE_BYTES = 1024 * 1024
"""A page ends with the item that reaches this."""
MAX_KEY_BYTES = 512
"""Longer than any key of the catalogue."""


def catalogue_page(published: Published, request: pb.GetCatalogueRequest) -> pb.GetCatalogueResponse:
    """The page that is asked for; there may be none in it.

    Raises:
        HuzhengError: INVALID_REQUEST; NOT_FOUND if there is no such resource; STORE_CORRUPT.
    """
    if len(request.after) > MAX_KEY_BYTES:
        raise HuzhengError(Code.INVALID_REQUEST, "after")
    if request.resource and published.find(request.resource) is None:
        raise HuzhengError(Code.NOT_FOUND, "resource")
    page, size = pb.GetCatalogueResponse(), 0
    for key, raw in published.entries(request.resource, request.after):
        if size >= MAX_PAGE_BYTES:
            return page
        page.items.append(_item(key, raw))
        page.next = key
        size += page.items[-1].ByteSize()
    page.next = b""
    return page


def _item(key: bytes, raw: bytes) -> pb.CatalogueItem:
    try:
        if key.startswith(DUTY_PREFIX):
            return pb.CatalogueItem(duty=strict.read(state_pb2.DutyState, raw))
        if key.startswith(TABLE_PREFIX):
            return pb.CatalogueItem(table=strict.read(catalogue_pb2.DataTable, raw))
        if b"\0" in key:
            return pb.CatalogueItem(version=strict.read(catalogue_pb2.Resource, raw))
        state = strict.read(state_pb2.ResourceState, raw)
    except HuzhengError:
        raise HuzhengError(Code.STORE_CORRUPT, "an entry of the catalogue") from None
    return pb.CatalogueItem(resource=pb.CatalogueResource(name=key[1:].decode(), state=state))
