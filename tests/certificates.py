"""A property with a history on a chain, and statements about it, for tests of certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

from huzheng.v1 import block_pb2, state_pb2, statement_pb2

from ledger.block import ExecutedBlock
from ledger.building import BuiltRecord, build_record
from ledger.crypto import ED25519_SHA256, Domain, strict
from ledger.state import leaf_path
from ledger.state.heads import heads_digest, page_key
from ledger.state.proof import root_from_proof
from ledger.statement import verify_statement
from ledger.store import ChainStore
from node.certificate.content import ENCUMBRANCES, OWNERSHIP, property_questions
from tests.builders import REGISTRAR, UNIT, Chain, Consortium
from tests.chains import store_blocks

MORTGAGE, SEIZURE, OBJECTION, NOTICE = ENCUMBRANCES
CERTIFICATE_NUMBER = "京(2024)海不动产权第0012345号"
FEW_FIELDS = {
    "YWH": "YW-20240001234",
    "QLLX": "4",
    "DJLX": "200",
    "BDCQZH": CERTIFICATE_NUMBER,
    "GYFS": "0",
    "QLRS": "1",
    "GHYT": "11",
    "JZMJ": "128.56",
    "QSZT": "1",
    "DJJG": REGISTRAR,
    "DJSJ": "2024-03-05",
}
"""What the resource of ownership requires."""
ALL_FIELDS = FEW_FIELDS | {
    "GYFS": "2",
    "QLRS": "4",
    "QLRBS": "0123456789abcdef" * 2,
    "QLRBS2": "2b" * 16,
    "QLRBS3": "3c" * 16,
    "QLRBS4": "4d" * 16,
    "QLRDM": REGISTRAR,
    "FWXZ": "0",
    "FWJG": "3",
    "SZC": "12",
    "ZCS": "28",
    "ZYJZMJ": "101.305",
    "FTJZMJ": "27.255",
    "JGSJ": "2010-05-06",
    "TDSYQSSJ": "2008-01-01",
    "TDSYJSSJ": "2077-12-31",
}
_MORTGAGE_FIELDS = {
    "YWH": "YW-20240005678",
    "BDCDJZMH": "京(2024)海不动产证明第0012345号",
    "DYRBS": "0123456789abcdef" * 2,
    "DYFS": "1",
    "ZWLXQSSJ": "2024-03-06",
    "ZWLXJSSJ": "2044-03-05",
    "QSZT": "1",
    "DJJG": REGISTRAR,
    "DJSJ": "2024-03-06",
}
_NOTICE_FIELDS = {
    "YWH": "YW-20230005678",
    "YGDJZL": "2",
    "BDCDJZMH": "京(2023)海不动产证明第0054321号",
    "QLRBS": "5e" * 16,
    "DJJG": REGISTRAR,
    "DJSJ": "2023-03-06",
}


class Property:
    """One unit on a chain of its own: a notice that was withdrawn, and a mortgage if wanted, but no seizure or objection."""

    def __init__(
        self, path: Path, ownership: Mapping[str, str] = FEW_FIELDS, *, mortgaged: bool = True, sold: bool = False
    ) -> None:
        """With `sold`, the ownership was revoked at the end."""
        self.consortium = Consortium(ED25519_SHA256)
        self.genesis = self.consortium.genesis
        self.chain: Chain = self.consortium.chain()
        notice = self._record(NOTICE, 1, b"", _NOTICE_FIELDS)
        owned = self._record(OWNERSHIP, 1, b"", ownership)
        self._add(notice, owned)
        self._add(self._record(NOTICE, 2, notice.id, None))
        if mortgaged:
            self._add(self._record(MORTGAGE, 1, b"", _MORTGAGE_FIELDS))
        if sold:
            self._add(self._record(OWNERSHIP, 2, owned.id, None))
        self.store = ChainStore.open(path, self.genesis)
        store_blocks(self.store, self.consortium, self.chain.blocks[1:])

    def statement(self, *, with_records: bool = True) -> bytes:
        """What a certificate needs, as of the last block."""
        return self.store.statement(property_questions(self.genesis, UNIT), with_records=with_records)

    def among(self, siblings: int) -> bytes:
        """That statement, if the unit's leaf lay below so many others' subtrees: two to the power of it are that many keys.

        It is sealed like any other, and proves the same.
        """
        statement = statement_pb2.Statement.FromString(self.statement())
        [leaf] = statement.leaves
        leaf.path.depth = siblings
        leaf.path.occupied = (((1 << siblings) - 1) << -siblings % 8).to_bytes((siblings + 7) // 8, "big")
        leaf.path.siblings = Random(siblings).randbytes(32 * siblings)
        suite, key = self.genesis.suite, page_key(leaf.register, UNIT, leaf.page)
        digest = heads_digest(suite, state_pb2.Heads.FromString(self.chain.state[key]))
        header = block_pb2.BlockHeader.FromString(statement.header)
        header.state_root = root_from_proof(suite, leaf_path(suite, key), digest, leaf.path)
        statement.header = strict.write(header)
        block_hash = suite.digest(Domain.BLOCK, statement.header)
        block: ExecutedBlock = replace(self.chain.blocks[-1], header=statement.header, block_hash=block_hash)
        statement.certificate = self.consortium.certificate(block)
        raw = strict.write(statement)
        verify_statement(raw, self.genesis)
        return raw

    def _add(self, *records: BuiltRecord) -> None:
        self.chain.add(self.consortium.transaction(records, nonce=len(self.chain.blocks)))

    def _record(self, resource: str, version: int, replaces: bytes, values: Mapping[str, str] | None) -> BuiltRecord:
        return build_record(self.genesis, resource, UNIT, version, replaces, values, salt=bytes(15) + bytes([version]))
