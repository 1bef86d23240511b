"""Proofs of history, anchors and forks, sound and otherwise (docs/protocol.md section 13)."""

from __future__ import annotations

from typing import Any

from huzheng.v1 import block_pb2, genesis_pb2, history_pb2, state_pb2, statement_pb2

from tests.naive import merkle
from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.example import OTHER, signer, write
from tests.vectors.example_chain import Block, certificate, chain
from tests.vectors.sections.membership import CHANGED, FIRST, changing, first_change, receipt_of, sealed
from tests.vectors.sections.statements import absent_leaf

_Cases = dict[str, tuple[str, bytes]]
_OLD, _NEW = 2, 7


def _seals(block: Block) -> bytes:
    return certificate(block.height, block.hash) if block.height else b""


def _proof(old: int = _OLD, new: int = _NEW, **fields: object) -> bytes:
    """That a block of the example chain is in the history of a later one, with some fields replaced."""
    blocks = chain()
    hashes = [block.hash for block in blocks[:new]]
    proof = history_pb2.HistoryProof(
        header=blocks[new].header,
        certificate=_seals(blocks[new]),
        old_header=blocks[old].header,
        old_certificate=_seals(blocks[old]),
        inclusion=merkle.inclusion_path(old, hashes),
        consistency=merkle.consistency_path(old, hashes) if old else [],
    )
    for name, value in fields.items():
        if isinstance(value, list):
            proof.ClearField(name)  # type: ignore[arg-type]
            getattr(proof, name).extend(value)
        else:
            setattr(proof, name, value)
    return write(proof)


def _forged(height: int = _OLD, **fields: object) -> Block:
    """Another block of a height, which a quorum could seal if its keys were stolen."""
    header = block_pb2.BlockHeader.FromString(chain()[height].header)
    for name, value in fields.items():
        setattr(header, name, value)
    return Block("forged", b"", [], write(header))


def _proofs() -> list[dict[str, object]]:
    sound = [
        ("block 2 in the history of block 7", 2, 7, _proof()),
        ("the block before", 6, 7, _proof(6, 7)),
        ("the first block", 1, 7, _proof(1, 7)),
        ("the genesis block", 0, 7, _proof(0, 7)),
        ("the genesis block in the history of the first", 0, 1, _proof(0, 1)),
    ]
    cases: list[dict[str, object]] = [
        {"name": name, "proof": raw.hex(), "code": None, "old": old, "new": new} for name, old, new, raw in sound
    ]
    proof = history_pb2.HistoryProof.FromString(_proof())
    inclusion, consistency = list(proof.inclusion), list(proof.consistency)
    forged = _forged(state_root=OTHER)
    late = _forged(_NEW, history_root=OTHER)
    wrong: _Cases = {
        "empty": ("WRONG_CHAIN", b""),
        "last byte missing": ("NOT_STRICT", _proof()[:-1]),
        "an unknown field": ("NOT_STRICT", _proof() + b"\x40\x01"),
        "too large": ("TOO_LARGE", bytes(65_536 + 4_194_304 + 1)),
        "no certificate of the later block": ("BAD_CERTIFICATE", _proof(certificate=b"")),
        "no certificate of the earlier block": ("BAD_CERTIFICATE", _proof(old_certificate=b"")),
        "the later block's seals for the earlier": ("BAD_CERTIFICATE", _proof(old_certificate=_seals(chain()[_NEW]))),
        "a seal too few": ("BAD_CERTIFICATE", _proof(certificate=certificate(_NEW, chain()[_NEW].hash, (1, 2)))),
        "seals for the genesis block": ("BAD_CERTIFICATE", _proof(0, old_certificate=_seals(chain()[1]))),
        "another block of the earlier height, sealed": (
            "BAD_PROOF",
            _proof(old_header=forged.header, old_certificate=_seals(forged)),
        ),
        "another history in the later block, sealed": (
            "BAD_PROOF",
            _proof(header=late.header, certificate=_seals(late)),
        ),
        "a block of another chain": ("WRONG_CHAIN", _proof(old_header=_forged(chain_id=OTHER).header)),
        "a block of another version": ("PROTOCOL_UNKNOWN", _proof(old_header=_forged(protocol_version=1).header)),
        "a block of another epoch": ("EPOCH_UNKNOWN", _proof(old_header=_forged(epoch=1).header)),
        "the earlier block in the place of the later": (
            "BAD_PROOF",
            _proof(
                header=proof.old_header,
                certificate=proof.old_certificate,
                old_header=proof.header,
                old_certificate=proof.certificate,
            ),
        ),
        "a block in its own history": (
            "BAD_PROOF",
            _proof(header=proof.old_header, certificate=proof.old_certificate),
        ),
        "the block after": (
            "BAD_PROOF",
            _proof(old_header=chain()[_OLD + 1].header, old_certificate=_seals(chain()[_OLD + 1])),
        ),
        "no inclusion": ("BAD_PROOF", _proof(inclusion=[])),
        "an inclusion a node too long": ("BAD_PROOF", _proof(inclusion=[*inclusion, OTHER])),
        "an inclusion a node short": ("BAD_PROOF", _proof(inclusion=inclusion[:-1])),
        "an inclusion with a node flipped": ("BAD_PROOF", _proof(inclusion=[OTHER, *inclusion[1:]])),
        "an inclusion out of order": ("BAD_PROOF", _proof(inclusion=inclusion[::-1])),
        "an inclusion with half a node": ("BAD_PROOF", _proof(inclusion=[inclusion[0][:16], *inclusion[1:]])),
        "no consistency": ("BAD_PROOF", _proof(consistency=[])),
        "a consistency a node too long": ("BAD_PROOF", _proof(consistency=[*consistency, OTHER])),
        "a consistency a node short": ("BAD_PROOF", _proof(consistency=consistency[:-1])),
        "a consistency with a node flipped": ("BAD_PROOF", _proof(consistency=[OTHER, *consistency[1:]])),
        "a consistency where the earlier history is empty": ("BAD_PROOF", _proof(0, consistency=[OTHER])),
        "a proof of an epoch that proves nothing": ("WRONG_CHAIN", _proof() + b"\x3a\x00"),
        "a proof of an epoch too many": (
            "EPOCH_UNKNOWN",
            _proof() + write(history_pb2.HistoryProof(epochs=[first_change()])),
        ),
    }
    return cases + [{"name": name, "proof": raw.hex(), "code": code} for name, (code, raw) in wrong.items()]


def _anchor(height: int, **fields: object) -> bytes:
    block = chain()[height]
    anchor = history_pb2.Anchor(header=block.header, certificate=_seals(block))
    for name, value in fields.items():
        setattr(anchor, name, value)
    return write(anchor)


def _anchors() -> list[dict[str, object]]:
    epoch = history_pb2.Anchor(
        header=chain()[2].header, certificate=_seals(chain()[2]), epoch=state_pb2.EpochState(epoch=1)
    )
    cases: dict[str, tuple[str | None, bytes]] = {
        "a block": (None, _anchor(4)),
        "the genesis block": (None, _anchor(0)),
        "empty": ("WRONG_CHAIN", b""),
        "an unknown field": ("NOT_STRICT", _anchor(4) + b"\x20\x01"),
        "too large": ("TOO_LARGE", bytes(262_145)),
        "no certificate": ("BAD_CERTIFICATE", _anchor(4, certificate=b"")),
        "seals of another block": ("BAD_CERTIFICATE", _anchor(4, certificate=_seals(chain()[5]))),
        "the genesis block with a certificate": ("BAD_CERTIFICATE", _anchor(0, certificate=_seals(chain()[1]))),
        "an epoch without members": ("BAD_PROOF", write(epoch)),
        "an epoch of 256 members, none of whom sealed": ("BAD_CERTIFICATE", _crowded(256)),
        "an epoch of 257 members": ("BAD_PROOF", _crowded(257)),
        "an epoch 0 that is said": ("BAD_PROOF", _anchor(4) + b"\x1a\x00"),
        "a block of an epoch that is not said": ("EPOCH_UNKNOWN", _anchor(4, header=_forged(4, epoch=1).header)),
    }
    return [{"name": name, "anchor": raw.hex(), "code": code} for name, (code, raw) in cases.items()]


def _crowded(count: int) -> bytes:
    """An anchor in an epoch of so many members."""
    keys = [signer(f"replica {number}").public_key for number in range(1, count + 1)]
    replicas = [
        genesis_pb2.Replica(id=number, department="alpha", public_key=key) for number, key in enumerate(keys, 1)
    ]
    epoch = state_pb2.EpochState(epoch=1, protocol_version=3, replicas=replicas, highest_replica=count)
    header = _forged(4, epoch=1).header
    return write(history_pb2.Anchor(header=header, certificate=_seals(chain()[4]), epoch=epoch))


def _statement(block: Block) -> bytes:
    """What it answers is not the matter here."""
    leaf = absent_leaf(block.height)
    return write(statement_pb2.Statement(header=block.header, certificate=_seals(block), leaves=[leaf]))


def _anchored() -> list[dict[str, object]]:
    """Statements of some block, held against an anchor by a proof of history."""
    blocks = chain()
    other = _forged(4, transactions_root=OTHER)
    bare = {"certificate": b"", "old_certificate": b""}
    cases: dict[str, tuple[str | None, int, Block, bytes]] = {
        "the anchor's own block": (None, 4, blocks[4], b""),
        "a later block": (None, 4, blocks[7], _proof(4, 7, **bare)),
        "an earlier block": (None, 4, blocks[2], _proof(2, 4, **bare)),
        "a block after the genesis": (None, 0, blocks[2], _proof(0, 2, **bare)),
        "with certificates in the proof": (None, 4, blocks[7], _proof(4, 7)),
        "another block of the anchor's height, sealed": ("FORKED", 4, other, b""),
        "a later block without proof": ("BAD_PROOF", 4, blocks[7], b""),
        "an earlier block without proof": ("BAD_PROOF", 4, blocks[2], b""),
        "a proof about another earlier block": ("BAD_PROOF", 4, blocks[7], _proof(3, 7)),
        "a proof about another later block": ("BAD_PROOF", 4, blocks[7], _proof(4, 6)),
        "a proof without certificates about another block": ("BAD_CERTIFICATE", 4, blocks[7], _proof(3, 7, **bare)),
        "a later block of another chain's history, sealed": (
            "BAD_PROOF",
            4,
            _forged(7, history_root=OTHER),
            _proof(4, 7, **bare, header=_forged(7, history_root=OTHER).header),
        ),
        "a proof cut short": ("NOT_STRICT", 4, blocks[7], _proof(4, 7, **bare)[:-1]),
    }
    return [
        {
            "name": name,
            "anchor": _anchor(height).hex(),
            "statement": _statement(block).hex(),
            "history": history.hex(),
            "code": code,
        }
        for name, (code, height, block, history) in cases.items()
    ]


def _over_epochs() -> list[dict[str, object]]:
    """Statements around a change of the members, held against anchors of both epochs."""
    fillers = [tagged_hash("block", b"filler %d" % number) for number in range(FIRST + 2)]
    leaf = absent_leaf(2)
    state: dict[str, Any] = {"state_root": block_pb2.BlockHeader.FromString(chain()[2].header).state_root}
    members, joined = (1, 2, 3), (1, 2, 5, 6)
    change = sealed(CHANGED, 0, changing(), members, history_root=merkle.root(fillers[:CHANGED]), **state)
    hashes = [*fillers[:CHANGED], tagged_hash("block", change.header), *fillers[CHANGED + 1 :]]

    def later(height: int, epoch: int, by: tuple[int, ...], before: list[bytes]) -> block_pb2.EpochProof:
        return sealed(height, epoch, changing(), by, history_root=merkle.root(before), **state)

    first = later(FIRST, 1, joined, hashes[:FIRST])
    hashes[FIRST] = tagged_hash("block", first.header)
    second = later(FIRST + 1, 1, joined, hashes[: FIRST + 1])
    stolen = later(FIRST + 1, 0, members, hashes[: FIRST + 1])
    aside = later(FIRST, 0, members, hashes[:FIRST])

    def anchor(block: block_pb2.EpochProof) -> bytes:
        made = history_pb2.Anchor(header=block.header, certificate=block.certificate)
        if block_pb2.BlockHeader.FromString(block.header).epoch:
            made.epoch.CopyFrom(_joined_epoch())
        return write(made)

    def link(old: block_pb2.EpochProof, old_height: int, new: block_pb2.EpochProof, height: int) -> bytes:
        return write(
            history_pb2.HistoryProof(
                header=new.header,
                old_header=old.header,
                inclusion=merkle.inclusion_path(old_height, hashes[:height]),
                consistency=merkle.consistency_path(old_height, hashes[:height]),
            )
        )

    def statement(block: block_pb2.EpochProof, *epochs: block_pb2.EpochProof) -> bytes:
        return write(
            statement_pb2.Statement(header=block.header, certificate=block.certificate, leaves=[leaf], epochs=epochs)
        )

    up = link(change, CHANGED, second, FIRST + 1)
    on = link(first, FIRST, second, FIRST + 1)
    back = link(change, CHANGED, first, FIRST)
    cases: dict[str, tuple[str | None, bytes, bytes, bytes]] = {
        "a later block of the next epoch, proved from the genesis": (
            None,
            anchor(change),
            statement(second, change),
            up,
        ),
        "a later block of the next epoch, not proved": ("EPOCH_UNKNOWN", anchor(change), statement(second), up),
        "a later block of the anchor's own epoch": (None, anchor(first), statement(second), on),
        "the same with the way from the genesis": (None, anchor(first), statement(second, change), on),
        "an earlier block of the epoch before": (None, anchor(first), statement(change), back),
        "a later block sealed with keys of the epoch before": (
            "EPOCH_UNKNOWN",
            anchor(first),
            statement(stolen),
            link(first, FIRST, stolen, FIRST + 1),
        ),
        "another block of the anchor's height, sealed with keys of the epoch before": (
            "EPOCH_UNKNOWN",
            anchor(first),
            statement(aside),
            b"",
        ),
    }
    return [
        {"name": name, "anchor": held.hex(), "statement": raw.hex(), "history": history.hex(), "code": code}
        for name, (code, held, raw, history) in cases.items()
    ]


def _epochs_over() -> list[dict[str, object]]:
    """What is verified with proofs of epochs that came apart (R9). `kind` says what `bytes` are, `epochs` are an EpochBundle."""
    fillers = [tagged_hash("block", b"filler %d" % number) for number in range(FIRST)]
    state: dict[str, Any] = {"state_root": block_pb2.BlockHeader.FromString(chain()[2].header).state_root}
    members, joined = (1, 2, 3), (1, 2, 5, 6)
    change, leaf, raw = first_change(), absent_leaf(2), changing()

    def block(height: int, epoch: int, hashes: list[bytes]) -> block_pb2.EpochProof:
        root = merkle.root(hashes[:height])
        return sealed(height, epoch, raw, joined if epoch else members, history_root=root, **state)

    last, stolen, first = block(FIRST - 1, 0, fillers), block(FIRST, 0, fillers), block(FIRST, 1, fillers)
    after = [*fillers, tagged_hash("block", stolen.header)]
    second = block(FIRST + 1, 1, after)

    def statement(block: block_pb2.EpochProof) -> bytes:
        header, certificate = block.header, block.certificate
        return write(statement_pb2.Statement(header=header, certificate=certificate, leaves=[leaf]))

    def link(hashes: list[bytes], new: block_pb2.EpochProof, old: block_pb2.EpochProof, height: int) -> bytes:
        return write(
            history_pb2.HistoryProof(
                header=new.header,
                certificate=new.certificate,
                old_header=old.header,
                old_certificate=old.certificate,
                inclusion=merkle.inclusion_path(height, hashes),
                consistency=merkle.consistency_path(height, hashes),
            )
        )

    bundle = write(statement_pb2.EpochBundle(epochs=[change]))
    before = [*fillers[:-1], tagged_hash("block", last.header)]
    stolen_link = link(before, block(FIRST, 0, before), last, FIRST - 1)
    cases: dict[str, tuple[str | None, str, bytes, bytes]] = {
        "a receipt of an epoch's last block": (None, "receipt", bytes.fromhex(receipt_of(last, raw, [])), bundle),
        "a receipt of a later block": ("BAD_PROOF", "receipt", bytes.fromhex(receipt_of(stolen, raw, [])), bundle),
        "the same where nothing is known": (None, "receipt", bytes.fromhex(receipt_of(stolen, raw, [])), b""),
        "a receipt of the next epoch": (None, "receipt", bytes.fromhex(receipt_of(first, raw, [change])), bundle),
        "a statement of an epoch's last block": (None, "statement", statement(last), bundle),
        "a statement of a later block": ("BAD_PROOF", "statement", statement(stolen), bundle),
        "the same statement where nothing is known": (None, "statement", statement(stolen), b""),
        "a statement of the next epoch's first block": (None, "statement", statement(first), bundle),
        "a history up to a block of the next epoch": (
            None,
            "history",
            link(before, block(FIRST, 1, before), last, FIRST - 1),
            bundle,
        ),
        "a history up to a later block": ("BAD_PROOF", "history", stolen_link, bundle),
        "the same history where nothing is known": (None, "history", stolen_link, b""),
        "a history from a later block": ("BAD_PROOF", "history", link(after, second, stolen, FIRST), bundle),
    }
    return [
        {"name": name, "kind": kind, "bytes": raw.hex(), "epochs": epochs.hex(), "code": code}
        for name, (code, kind, raw, epochs) in cases.items()
    ]


def _joined_epoch() -> state_pb2.EpochState:
    """What the example change makes of the members: replica 6 of gamma joins."""
    replicas = [*example.genesis_message().replicas]
    replicas.append(genesis_pb2.Replica(id=6, department="gamma", public_key=signer("replica 6").public_key))
    return state_pb2.EpochState(
        epoch=1,
        first_height=FIRST,
        protocol_version=3,
        replicas=replicas,
        highest_replica=6,
        change_height=CHANGED,
    )


def _fork(first: Block, second: Block, seals: bytes | None = None) -> bytes:
    return write(
        history_pb2.Fork(
            header=first.header,
            certificate=_seals(first),
            other_header=second.header,
            other_certificate=_seals(second) if seals is None else seals,
        )
    )


def _forks() -> list[dict[str, object]]:
    low, high = sorted((chain()[4], _forged(4, transactions_root=OTHER)), key=lambda block: block.hash)
    fourth, fifth = sorted(chain()[4:6], key=lambda block: block.hash)
    cases: dict[str, tuple[str | None, bytes]] = {
        "two blocks of one height": (None, _fork(low, high)),
        "in the other order": ("BAD_PROOF", _fork(high, low)),
        "one block twice": ("BAD_PROOF", _fork(low, low)),
        "two blocks of two heights": ("BAD_PROOF", _fork(fourth, fifth)),
        "one without certificate": ("BAD_CERTIFICATE", _fork(low, high, b"")),
        "one with the other's certificate": ("BAD_CERTIFICATE", _fork(low, high, _seals(low))),
        "an unknown field": ("NOT_STRICT", _fork(low, high) + b"\x30\x01"),
        "a proof of an epoch too many": (
            "EPOCH_UNKNOWN",
            _fork(low, high) + write(history_pb2.Fork(epochs=[first_change()])),
        ),
    }
    return [{"name": name, "fork": raw.hex(), "code": code} for name, (code, raw) in cases.items()]


def _file() -> dict[str, object]:
    return {
        "about": "Proofs of history, anchors, statements held against anchors, and forks. 'Sealed' are blocks over which a "
        "quorum's seals are good, which no correct replicas would have made.",
        "rule": "H1 to H5, R9",
        "genesis": example.GENESIS.hex(),
        "hashes": [tagged_hash("block", block.header).hex() for block in chain()],
        "proofs": _proofs(),
        "anchors": _anchors(),
        "anchored": _anchored() + _over_epochs(),
        "forks": _forks(),
        "over": _epochs_over(),
    }


VECTORS = {"history.json": _file}
