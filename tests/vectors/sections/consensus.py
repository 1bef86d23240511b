"""Consensus messages and vote log entries, sound and corrupted (docs/protocol.md C1, C2, C10)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from zlib import crc32

from huzheng.v1 import block_pb2, consensus_pb2

from ledger.crypto import ED25519_SHA256, Domain

CHAIN_ID = sha256(b"chain").digest()
BATCH = b"a batch of bytes that only the ledger reads"
OTHER_BATCH = b"another batch"
BLOCK_HASH = sha256(b"block").digest()
EPOCH, VIEW, SEQUENCE = 3, 2, 1000
IDS = (1, 2, 4, 7)
"""The members' ids, with a gap: a replica that has left. The primary of view 2 is replica 4."""
PRIMARY, OWN, NEXT_PRIMARY = 4, 2, 7

_PRE_PREPARE = consensus_pb2.MESSAGE_KIND_PRE_PREPARE
_PREPARE = consensus_pb2.MESSAGE_KIND_PREPARE
_COMMIT = consensus_pb2.MESSAGE_KIND_COMMIT
_SEAL = consensus_pb2.MESSAGE_KIND_SEAL
_VIEW_CHANGE = consensus_pb2.MESSAGE_KIND_VIEW_CHANGE
_NEW_VIEW = consensus_pb2.MESSAGE_KIND_NEW_VIEW
_DOMAINS = {
    _PRE_PREPARE: Domain.SIGN_PRE_PREPARE,
    _PREPARE: Domain.SIGN_PREPARE,
    _COMMIT: Domain.SIGN_COMMIT,
    _SEAL: Domain.SIGN_SEAL,
    _VIEW_CHANGE: Domain.SIGN_VIEW_CHANGE,
    _NEW_VIEW: Domain.SIGN_NEW_VIEW,
}

_Entry = tuple[bytes, consensus_pb2.VoteLogEntry]


def seed(replica: int) -> bytes:
    """The seed of a replica's key."""
    return sha256(b"replica %d" % replica).digest()


def batch_digest(batch: bytes) -> bytes:
    return ED25519_SHA256.digest(Domain.BATCH, batch)


def _vote_body(epoch: int = EPOCH, view: int = VIEW, sequence: int = SEQUENCE, batch: bytes = BATCH) -> bytes:
    body = consensus_pb2.Vote(epoch=epoch, view=view, sequence=sequence, batch_digest=batch_digest(batch))
    return body.SerializeToString(deterministic=True)


def _seal_body(epoch: int = EPOCH, height: int = SEQUENCE, block_hash: bytes = BLOCK_HASH) -> bytes:
    return block_pb2.Seal(epoch=epoch, height=height, block_hash=block_hash).SerializeToString(deterministic=True)


def _certificate(by: tuple[int, ...] = (1, OWN)) -> consensus_pb2.PreparedCertificate:
    return consensus_pb2.PreparedCertificate(
        pre_prepare=_envelope(_PRE_PREPARE, PRIMARY), prepares=[_envelope(_PREPARE, replica) for replica in by]
    )


def _checkpoint() -> consensus_pb2.Checkpoint:
    message = CHAIN_ID + _seal_body(height=SEQUENCE - 1)
    seals = [
        block_pb2.SealSignature(
            replica=replica, signature=ED25519_SHA256.signer(seed(replica)).sign(Domain.SIGN_SEAL, message)
        )
        for replica in IDS[:3]
    ]
    certificate = block_pb2.Certificate(seals=seals).SerializeToString(deterministic=True)
    return consensus_pb2.Checkpoint(height=SEQUENCE - 1, block_hash=BLOCK_HASH, certificate=certificate)


def _view_change_body(epoch: int = EPOCH, view: int = VIEW + 1, **changes: Any) -> bytes:
    parts: dict[str, Any] = {"checkpoint": _checkpoint(), "prepared": [_certificate()]} | changes
    return consensus_pb2.ViewChange(epoch=epoch, view=view, **parts).SerializeToString(deterministic=True)


def _new_view_body(epoch: int = EPOCH, view: int = VIEW + 1) -> bytes:
    return consensus_pb2.NewView(
        epoch=epoch,
        view=view,
        view_changes=[_envelope(_VIEW_CHANGE, replica, _view_change_body()) for replica in IDS[1:]],
        pre_prepares=[_envelope(_PRE_PREPARE, NEXT_PRIMARY, _vote_body(view=VIEW + 1))],
    ).SerializeToString(deterministic=True)


def _envelope(
    kind: int,
    replica: int = OWN,
    body: bytes | None = None,
    *,
    key: int | None = None,
    domain: Domain | None = None,
    message: bytes | None = None,
) -> consensus_pb2.Envelope:
    content = body if body is not None else _seal_body() if kind == _SEAL else _vote_body()
    signer = ED25519_SHA256.signer(seed(key or replica))
    signed_as = domain or _DOMAINS.get(consensus_pb2.MessageKind.ValueType(kind), Domain.SIGN_PREPARE)
    return consensus_pb2.Envelope(
        replica=replica,
        kind=consensus_pb2.MessageKind.ValueType(kind),
        body=content,
        signature=signer.sign(signed_as, CHAIN_ID + content if message is None else message),
    )


def _sound_envelopes() -> dict[str, consensus_pb2.Envelope]:
    first = _vote_body(view=0, sequence=1)
    return {
        "PRE-PREPARE": _envelope(_PRE_PREPARE, PRIMARY),
        "PREPARE": _envelope(_PREPARE),
        "COMMIT": _envelope(_COMMIT),
        "seal": _envelope(_SEAL),
        "VIEW-CHANGE": _envelope(_VIEW_CHANGE, body=_view_change_body()),
        "VIEW-CHANGE of one that has prepared nothing": _envelope(_VIEW_CHANGE, body=_view_change_body(prepared=[])),
        "NEW-VIEW": _envelope(_NEW_VIEW, NEXT_PRIMARY, _new_view_body()),
        "PREPARE in view 0": _envelope(_PREPARE, body=first),
        "COMMIT with the largest numbers": _envelope(_COMMIT, body=_vote_body(view=2**64 - 1, sequence=2**64 - 1)),
        "COMMIT by the member with the highest id": _envelope(_COMMIT, 7),
    }


def _bad_envelopes() -> dict[str, consensus_pb2.Envelope]:
    short = consensus_pb2.Vote(epoch=EPOCH, view=VIEW, sequence=SEQUENCE, batch_digest=batch_digest(BATCH)[:31])
    body, good = _vote_body(), _envelope(_PREPARE).signature
    cases = {
        "PREPARE shown as COMMIT": _envelope(_COMMIT, domain=Domain.SIGN_PREPARE),
        "COMMIT shown as PREPARE": _envelope(_PREPARE, domain=Domain.SIGN_COMMIT),
        "PREPARE shown as PRE-PREPARE": _envelope(_PRE_PREPARE, domain=Domain.SIGN_PREPARE),
        "COMMIT shown as seal": _envelope(_SEAL, domain=Domain.SIGN_COMMIT),
        "vote in a seal's envelope": _envelope(_SEAL, body=body),
        "seal in a vote's envelope": _envelope(_COMMIT, body=_seal_body()),
        "no kind": _envelope(0),
        "unknown kind": _envelope(7),
        "VIEW-CHANGE shown as NEW-VIEW": _envelope(_NEW_VIEW, body=_view_change_body(), domain=Domain.SIGN_VIEW_CHANGE),
        "VIEW-CHANGE of another epoch": _envelope(_VIEW_CHANGE, body=_view_change_body(epoch=EPOCH + 1)),
        "VIEW-CHANGE without a checkpoint": _envelope(_VIEW_CHANGE, body=_view_change_body(checkpoint=None)),
        "NEW-VIEW of another epoch": _envelope(_NEW_VIEW, NEXT_PRIMARY, _new_view_body(epoch=EPOCH + 1)),
        "vote in a VIEW-CHANGE's envelope": _envelope(_VIEW_CHANGE, body=body),
        "by a replica that has left": _envelope(_PREPARE, 3),
        "by replica zero": _envelope(_PREPARE, 0, key=OWN),
        "by another member's key": _envelope(_PREPARE, key=1),
        "earlier epoch": _envelope(_PREPARE, body=_vote_body(epoch=EPOCH - 1)),
        "later epoch": _envelope(_PREPARE, body=_vote_body(epoch=EPOCH + 1)),
        "seal of another epoch": _envelope(_SEAL, body=_seal_body(epoch=EPOCH + 1)),
        "signed for another chain": _envelope(_PREPARE, message=sha256(b"other").digest() + body),
        "signed without the chain id": _envelope(_PREPARE, message=body),
        "signed over another batch": _envelope(_PREPARE, message=CHAIN_ID + _vote_body(batch=OTHER_BATCH)),
        "digest of 31 bytes": _envelope(_PREPARE, body=short.SerializeToString(deterministic=True)),
        "body without a digest": _envelope(_PREPARE, body=b"\x08\x03"),
        "body empty": _envelope(_PREPARE, body=b""),
        "body not a message": _envelope(_PREPARE, body=b"\xff" * 40),
        "body with an unknown field": _envelope(_PREPARE, body=body + b"\x28\x01"),
        "body with a field twice": _envelope(_PREPARE, body=b"\x08\x03" + body),
        "body with a length not minimal": _envelope(_PREPARE, body=b"\x08\x83\x00" + body[2:]),
        "seal's hash of 31 bytes": _envelope(_SEAL, body=_seal_body(block_hash=BLOCK_HASH[:31])),
    }
    signatures = {"empty": b"", "a byte short": good[:-1], "a byte long": good + b"\x00", "of zeros": bytes(64)}
    for name, signature in signatures.items():
        cases[f"signature {name}"] = _envelope(_PREPARE)
        cases[f"signature {name}"].signature = signature
    return cases


def _key(sequence: int, kind: bytes, view: int = 0) -> bytes:
    return sequence.to_bytes(8, "big") + kind + view.to_bytes(8, "big")


def _accepted(
    batch: bytes = BATCH, primary: int = PRIMARY, prepare: consensus_pb2.Envelope | None = None
) -> consensus_pb2.VoteLogEntry:
    proposal = consensus_pb2.Proposal(pre_prepare=_envelope(_PRE_PREPARE, primary), batch=batch)
    return consensus_pb2.VoteLogEntry(accepted=consensus_pb2.AcceptedProposal(proposal=proposal, prepare=prepare))


def _prepared(
    by: tuple[int, ...] = (1, OWN), commit: consensus_pb2.Envelope | None = None
) -> consensus_pb2.VoteLogEntry:
    slot = consensus_pb2.PreparedSlot(certificate=_certificate(by), commit=commit or _envelope(_COMMIT))
    return consensus_pb2.VoteLogEntry(prepared=slot)


def _view(view: int = VIEW, checksum: int | None = None) -> consensus_pb2.VoteLogEntry:
    right = crc32(EPOCH.to_bytes(8, "big") + view.to_bytes(8, "big"))
    logged = consensus_pb2.LoggedView(epoch=EPOCH, view=view, checksum=right if checksum is None else checksum)
    return consensus_pb2.VoteLogEntry(view=logged)


def _ended(replica: int) -> consensus_pb2.VoteLogEntry:
    return consensus_pb2.VoteLogEntry(ended_key=ED25519_SHA256.signer(seed(replica)).public_key)


_AT = (_key(SEQUENCE, b"a", VIEW), _key(SEQUENCE, b"p", VIEW), _key(SEQUENCE, b"s"), _key(0, b"v"))


def _sound_logs() -> dict[str, list[_Entry]]:
    accepted, prepared, sealed, in_view = _AT
    change = consensus_pb2.VoteLogEntry(view_change=_envelope(_VIEW_CHANGE, body=_view_change_body()))
    new_view = consensus_pb2.VoteLogEntry(new_view=_envelope(_NEW_VIEW, NEXT_PRIMARY, _new_view_body()))
    own = _envelope(_PREPARE)
    return {
        "nothing": [],
        "accepted proposal": [(accepted, _accepted(prepare=own))],
        "own proposal": [(accepted, _accepted(primary=OWN))],
        "prepared slot": [(accepted, _accepted(prepare=own)), (prepared, _prepared())],
        "seal": [(sealed, consensus_pb2.VoteLogEntry(seal=_envelope(_SEAL)))],
        "view": [(in_view, _view())],
        "view left": [(_key(0, b"c"), change), (in_view, _view(VIEW + 1))],
        "view entered": [(_key(0, b"c"), change), (_key(0, b"n"), new_view), (in_view, _view(VIEW + 1))],
        "view left after the one that was entered": [
            (_key(0, b"n"), new_view),
            (in_view, _view(VIEW + 2)),
        ],
        "key ended": [(_key(0, b"x"), _ended(OWN))],
        "former key ended": [(_key(0, b"x"), _ended(1))],
    }


def _bad_logs() -> dict[str, list[_Entry]]:
    accepted, prepared, sealed, in_view = _AT
    own = _envelope(_PREPARE)
    before = (accepted, _accepted(prepare=own))
    change = consensus_pb2.VoteLogEntry(view_change=_envelope(_VIEW_CHANGE, body=_view_change_body()))
    others_change = consensus_pb2.VoteLogEntry(view_change=_envelope(_VIEW_CHANGE, 1, _view_change_body()))
    new_view = consensus_pb2.VoteLogEntry(new_view=_envelope(_NEW_VIEW, NEXT_PRIMARY, _new_view_body()))
    seal = consensus_pb2.VoteLogEntry(seal=_envelope(_SEAL))
    return {
        "another's PREPARE": [(accepted, _accepted(prepare=_envelope(_PREPARE, 1)))],
        "another's proposal without a PREPARE": [(accepted, _accepted())],
        "PREPARE of another batch": [
            (accepted, _accepted(prepare=_envelope(_PREPARE, body=_vote_body(batch=OTHER_BATCH))))
        ],
        "COMMIT in the place of the PREPARE": [(accepted, _accepted(prepare=_envelope(_COMMIT)))],
        "batch other than the one signed": [(accepted, _accepted(OTHER_BATCH, prepare=own))],
        "key of another sequence": [(_key(SEQUENCE + 1, b"a", VIEW), before[1])],
        "key of another view": [(_key(SEQUENCE, b"a", VIEW + 1), before[1])],
        "key of another kind": [(prepared, before[1])],
        "key a byte long": [(accepted + b"\x00", before[1])],
        "certificate one short": [before, (prepared, _prepared((1,)))],
        "certificate of one backup twice": [before, (prepared, _prepared((1, 1)))],
        "certificate out of order": [before, (prepared, _prepared((OWN, 1)))],
        "certificate with the primary's PREPARE": [before, (prepared, _prepared((1, PRIMARY)))],
        "another's COMMIT": [before, (prepared, _prepared(commit=_envelope(_COMMIT, 1)))],
        "prepared slot without its batch": [(prepared, _prepared())],
        "another's seal": [(sealed, consensus_pb2.VoteLogEntry(seal=_envelope(_SEAL, 1)))],
        "vote in the place of a seal": [(sealed, consensus_pb2.VoteLogEntry(seal=own))],
        "seal under a key with a view": [(_key(SEQUENCE, b"s", VIEW), seal)],
        "view without its checksum": [(in_view, _view(checksum=0))],
        "view with another's checksum": [(in_view, _view(checksum=_view(VIEW + 1).view.checksum))],
        "VIEW-CHANGE beyond the view": [(_key(0, b"c"), change), (in_view, _view())],
        "NEW-VIEW beyond the view": [(_key(0, b"n"), new_view), (in_view, _view())],
        "another's VIEW-CHANGE": [(_key(0, b"c"), others_change), (in_view, _view(VIEW + 1))],
        "entry that says nothing": [(in_view, consensus_pb2.VoteLogEntry())],
    }


def _consensus() -> dict[str, object]:
    envelopes = [(name, e, True) for name, e in _sound_envelopes().items()]
    envelopes += [(name, e, False) for name, e in _bad_envelopes().items()]
    logs = [(name, entries, True) for name, entries in _sound_logs().items()]
    logs += [(name, entries, False) for name, entries in _bad_logs().items()]
    return {
        "about": "Envelopes and vote logs of replica 2: sound ones, and others named after what is wrong.",
        "rule": "C1, C2, C10, C15, C17",
        "suite": ED25519_SHA256.name,
        "chain_id": CHAIN_ID.hex(),
        "epoch": EPOCH,
        "own": OWN,
        "batch": BATCH.hex(),
        "batch_digest": batch_digest(BATCH).hex(),
        "members": [
            {"replica": replica, "public_key": ED25519_SHA256.signer(seed(replica)).public_key.hex()} for replica in IDS
        ],
        "envelopes": [
            {"name": name, "envelope": envelope.SerializeToString(deterministic=True).hex(), "valid": valid}
            for name, envelope, valid in envelopes
        ],
        "vote_logs": [
            {
                "name": name,
                "entries": [[key.hex(), value.SerializeToString(deterministic=True).hex()] for key, value in entries],
                "valid": valid,
                "restored": _RESTORED.get(name, len(entries) if valid else 0),
            }
            for name, entries, valid in logs
        ],
    }


_RESTORED = {"view left after the one that was entered": 1, "former key ended": 0}
"""How many entries of a log still matter, where not all do."""

VECTORS = {"consensus.json": _consensus}
