"""`huzheng` as a next release might be: it knows a next version of the rules, in which a transaction may not have two records."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from huzheng.v1 import transaction_pb2

from ledger import genesis
from ledger.rules import RULES, Rules


def refuse_two_records(body: transaction_pb2.TransactionBody) -> transaction_pb2.ResultCode.ValueType:
    """The new rule."""
    two = body.record_count == 2
    return transaction_pb2.RESULT_CODE_LAST_ADMIN_KEY if two else transaction_pb2.RESULT_CODE_ACCEPTED


NEXT_RULES: Mapping[int, Rules] = {**RULES, 4: Rules(4, refuses=refuse_two_records)}
PROGRAM = (sys.executable, "-m", "tests.e2e.next_version")

if __name__ == "__main__":
    from node.cli.main import main

    genesis.RULES = NEXT_RULES  # type: ignore[attr-defined]
    main()
