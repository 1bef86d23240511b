"""A consortium with a resource that has confidential fields, a record in it, and its receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huzheng.v1 import catalogue_pb2, sharing_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.building import BuiltRecord, build_record
from ledger.catalogue import CompiledResource
from ledger.crypto import ED25519_SHA256, Suite, strict
from ledger.receipt import block_proofs, build_receipt
from tests.builders import Consortium

DWELLING, PLOT = "demo.dwelling", "AB1234"
PUBLIC = {"KIND": "flat"}
VALUES = {"OWNER": "张三", "PRICE": "1200000.50", "SINCE": "2020-02-29", "NOTE": "paid in two parts"}
"""Made up."""
OWNER, PRICE, SINCE, NOTE, SHARE = 2, 4, 5, 7, 9
"""Numbers of the confidential fields; the first two are required. 1, 3 and 6 are public."""


def dwelling(schema_version: int = 1, name: str = DWELLING) -> catalogue_pb2.Resource:
    """Five confidential fields among public ones; planning owns it. A second version drops the last two of them."""
    spec, kind = catalogue_pb2.FieldSpec, catalogue_pb2.FieldType
    secret = [
        spec(number=OWNER, name="OWNER", type=kind.FIELD_TYPE_TEXT, max_bytes=64, required=True, title_zh="权利人"),
        spec(number=PRICE, name="PRICE", type=kind.FIELD_TYPE_DECIMAL, scale=2, required=True, title_zh="价格"),
        spec(number=SINCE, name="SINCE", type=kind.FIELD_TYPE_DATE, title_zh="起始日"),
        spec(number=NOTE, name="NOTE", type=kind.FIELD_TYPE_TEXT, max_bytes=256, title_zh="备注"),
        spec(number=SHARE, name="SHARE", type=kind.FIELD_TYPE_TEXT, max_bytes=8, pattern="[0-9]+%", title_zh="份额"),
    ]
    for one in secret:
        one.confidential = True
    fields = [
        spec(number=1, name="KIND", type=kind.FIELD_TYPE_CODE, codes=["flat", "house"], required=True),
        secret[0],
        spec(number=3, name="AREA", type=kind.FIELD_TYPE_DECIMAL, scale=2),
        *secret[1:3],
        spec(number=6, name="FLOOR", type=kind.FIELD_TYPE_INTEGER),
        *(secret[3:] if schema_version == 1 else ()),
    ]
    subject = spec(type=kind.FIELD_TYPE_TEXT, required=True, max_bytes=6, pattern="[A-Z]{2}[0-9]{4}")
    for titled in (subject, *fields):
        titled.title_en = titled.name.title() or "Plot"
        titled.title_zh = titled.title_zh or titled.title_en
    return catalogue_pb2.Resource(
        name=name,
        title_zh="住宅",
        title_en="Dwelling",
        department="planning",
        sharing_class=catalogue_pb2.SHARING_CLASS_CONDITIONAL,
        schema_version=schema_version,
        subject=subject,
        fields=fields,
    )


def consortium(suite: Suite = ED25519_SHA256, **more: Any) -> Consortium:
    """With the dwelling's first version in its genesis."""
    return Consortium(suite, more_resources=[dwelling()], **more)


def dwelling_record(
    of: Consortium, values: Mapping[str, str] = VALUES, subject: str = PLOT, public: Mapping[str, str] = PUBLIC
) -> BuiltRecord:
    """A record with these confidential values."""
    return build_record(of.genesis, DWELLING, subject, 1, b"", public, confidential=values)


def receipt_of(
    of: Consortium, record: BuiltRecord, *others: BuiltRecord, published: Sequence[catalogue_pb2.Resource] = ()
) -> bytes:
    """The receipt of a record, ordered in one transaction with others, after resources were published."""
    chain = of.chain()
    if published:
        operations = [pb.Operation(publish_resource=sharing_pb2.PublishResource(resource=one)) for one in published]
        chain.add(of.transaction(operations=operations, nonce=1))
    block = chain.add(of.transaction([record, *others]))
    if set(block.codes) != {pb.RESULT_CODE_ACCEPTED}:
        raise ValueError("a record that was not accepted")
    ids = [one.id for one in block.transactions]
    proofs = block_proofs(of.genesis, block.header, of.certificate(block), ids, block.results)
    transaction = strict.read(pb.Transaction, block.transactions[0].raw)
    return build_receipt(of.genesis, proofs, 0, transaction, 0)


def compiled(schema_version: int = 1) -> CompiledResource:
    """A version of the dwelling."""
    return CompiledResource(dwelling(schema_version))
