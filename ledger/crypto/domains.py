"""Domain tags: what kind of thing a hash or signature is over (docs/protocol.md B3)."""

from __future__ import annotations

from enum import Enum


def _prefix(kind: str) -> bytes:
    tag = b"huzheng/v1/" + kind.encode("ascii")
    return bytes([len(tag)]) + tag


class Domain(bytes, Enum):
    """D(k): the bytes that go before the content.

    No D(k) is a prefix of another, so no content can pass for one of another kind.
    """

    GENESIS = _prefix("genesis")
    RECORD = _prefix("record")
    PAYLOAD = _prefix("payload")
    TRANSACTION = _prefix("transaction")
    RESULT = _prefix("result")
    BLOCK = _prefix("block")
    BATCH = _prefix("batch")
    STATE = _prefix("state")
    STATE_KEY = _prefix("state-key")
    STATE_VALUE = _prefix("state-value")
    STATE_HEADS = _prefix("state-heads")
    STATE_SEED = _prefix("state-seed")
    STATE_BLIND = _prefix("state-blind")
    CONFIDENTIAL = _prefix("confidential")
    GRANT = _prefix("grant")
    READ = _prefix("read")
    READS = _prefix("reads")
    SIGN_TRANSACTION = _prefix("sign-transaction")
    SIGN_PRE_PREPARE = _prefix("sign-pre-prepare")
    SIGN_PREPARE = _prefix("sign-prepare")
    SIGN_COMMIT = _prefix("sign-commit")
    SIGN_SEAL = _prefix("sign-seal")
    SIGN_VIEW_CHANGE = _prefix("sign-view-change")
    SIGN_NEW_VIEW = _prefix("sign-new-view")
    SIGN_MEMBERSHIP = _prefix("sign-membership")
    SIGN_POSSESSION = _prefix("sign-possession")
