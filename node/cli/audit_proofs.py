"""A list of reads with its proofs, in a directory: written once, verified by anyone who has the genesis.

`reads.json` is what `huzheng audit reads --output json` says. Beside it are the statements that prove the accepted reads, their grants and
accounts, and the receipts that prove the refused ones; `huzheng verify` reads each of them, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.errors import Code, HuzhengError
from node.cli.audit_views import Listing, listing_to_dict
from node.cli.files import read_bytes, write_bytes

if TYPE_CHECKING:
    from huzheng.v1 import audit_pb2 as pb

    from ledger.genesis import Genesis
    from node.sharing.proven import Proven
    from node.sharing.proving import ProvenReads

LIST_NAME = "reads.json"
_STATEMENT, _RECEIPT = ".statement", ".receipt"


def make_empty(directory: Path) -> None:
    """Makes a directory, or finds an empty one.

    Raises:
        HuzhengError: FILE_ACCESS; INVALID_REQUEST if there is something in it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        is_empty = not any(directory.iterdir())
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{directory}: {error.strerror}") from None
    if not is_empty:
        raise HuzhengError(Code.INVALID_REQUEST, f"{directory}: the directory is not empty")


def write_proofs(directory: Path, listing: Listing, found: ProvenReads) -> None:
    """Writes a list and its proofs to an empty directory; the list last. Raises HuzhengError(FILE_ACCESS)."""
    for suffix, proofs in ((_STATEMENT, found.statements), (_RECEIPT, found.receipts)):
        for number, raw in enumerate(proofs, 1):
            write_bytes(directory / f"{number:06}{suffix}", raw)
    text = json.dumps(listing_to_dict(listing), ensure_ascii=False, indent=2) + "\n"
    write_bytes(directory / LIST_NAME, text.encode())


def read_proofs(directory: Path, genesis: Genesis) -> Listing:
    """The list in a directory, all of which is proved by the files beside it.

    Raises:
        HuzhengError: FILE_ACCESS, BAD_FILE; BAD_PROOF if something that it says is not proved; why a file proves nothing.
    """
    from node.audit import is_about, require_complete

    shown, proven = _read_list(directory / LIST_NAME), _read_proofs(directory, genesis)
    try:
        request = _request(shown["about"])
        reads = [proven.read(bytes.fromhex(row["transaction_id"]), row["operation_index"]) for row in shown["reads"]]
    except (KeyError, TypeError, ValueError):
        raise HuzhengError(Code.BAD_FILE, f"{directory / LIST_NAME}: no list of reads") from None
    if len({read.read_id for read in reads}) != len(reads) or not all(is_about(request, read) for read in reads):
        raise HuzhengError(Code.BAD_PROOF, f"{LIST_NAME}: a read twice, or of something else")
    account = proven.account(request)
    if account is not None:
        require_complete(genesis.suite, reads, account)
    listing = Listing(request, reads, account, is_proven=True)
    if shown != listing_to_dict(listing):
        raise HuzhengError(Code.BAD_PROOF, f"{LIST_NAME}: it says something else than is proved")
    return listing


def _read_list(path: Path) -> Any:
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError):
        raise HuzhengError(Code.BAD_FILE, f"{path}: no JSON") from None


def _request(about: Mapping[str, Any]) -> pb.ListReadsRequest:
    """What `listing_to_dict` says that a list is about."""
    from huzheng.v1 import audit_pb2 as pb

    request = pb.ListReadsRequest(since_ms=about.get("since_ms", 0), until_ms=about.get("until_ms", 0))
    if "subject" in about:
        request.subject.resource, request.subject.subject = about["resource"], about["subject"]
    elif "department" in about:
        request.reader = about["department"]
    elif "owner" in about:
        request.owner = about["owner"]
    elif "grant" in about:
        request.grant = bytes.fromhex(about["grant"])
    else:
        request.record_id = bytes.fromhex(about["record_id"])
    return request


def _read_proofs(directory: Path, genesis: Genesis) -> Proven:
    from ledger.receipt import verify_receipt
    from ledger.statement import verify_statement
    from node.sharing.proven import Proven

    proven = Proven(genesis)
    for path in sorted(directory.glob(f"*{_STATEMENT}")):
        with _naming(path):
            proven.add_statement(verify_statement(read_bytes(path), genesis))
    for path in sorted(directory.glob(f"*{_RECEIPT}")):
        with _naming(path):
            raw = read_bytes(path)
            proven.add_refusal(raw, verify_receipt(raw, genesis))
    return proven


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors say which file they are about."""
    try:
        yield
    except HuzhengError as error:
        raise HuzhengError(error.code, f"{path.name}: {error.detail}") from None
