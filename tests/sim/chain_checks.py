"""Checks of the stored chain that know nothing of consensus, execution or epochs in production: they count and compare for themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from huzheng.v1 import block_pb2, genesis_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.crypto import Domain, Epoch, Height, ReplicaId, seal_message
from ledger.execution import genesis_block
from ledger.store import ChainStore
from ledger.transaction import WellFormedTransaction
from tests.naive.ledger import Model
from tests.sim.consortium import Consortium

INCONCLUSIVE = frozenset({"LIFETIME_TOO_LONG", "EXPIRED", "REPEATED"})


@dataclass(frozen=True)
class KnownEpoch:
    """Who votes from which height on, as the script of the run has it."""

    first_height: int
    keys: Mapping[ReplicaId, bytes]

    @property
    def f(self) -> int:
        return (len(self.keys) - 1) // 3


@dataclass(frozen=True)
class FoundBlock:
    """A block that was on a disk when its machine came up, as far as it is looked at."""

    height: Height
    header: bytes
    block_hash: bytes
    transactions: Sequence[WellFormedTransaction]
    results: Sequence[bytes]


class ChainChecks:
    """The one chain that all correct replicas have a prefix of."""

    def __init__(self, consortium: Consortium) -> None:
        self._consortium = consortium
        self._model = Model(genesis_pb2.Genesis.FromString(consortium.genesis.raw))
        self._window = consortium.genesis.parameters.watermark_window
        self.hashes: list[bytes] = []
        """The block hash of each height from 1 on that some correct replica stored."""
        self.places: dict[bytes, int] = {}
        """The height at which each transaction had its first result: its client may have it."""
        self.concluded: set[bytes] = set()
        """Those whose result counts for good."""
        self.codes: Counter[str] = Counter()
        """How transactions ended."""
        self.signed: set[bytes] = set()
        """Ids of all transactions that a client signed."""
        members = consortium.genesis.membership.members
        self.epochs = [KnownEpoch(0, {member.replica: member.public_key for member in members})]
        self.scripted: dict[bytes, Mapping[ReplicaId, bytes]] = {}
        """Who votes after each change of the membership that the run's script submits, by the transaction's id."""

    def epoch_at(self, height: int) -> tuple[Epoch, KnownEpoch]:
        """The epoch of a height."""
        number = max(i for i, epoch in enumerate(self.epochs) if epoch.first_height <= height)
        return Epoch(number), self.epochs[number]

    def on_stored(self, replica: ReplicaId, block: ExecutedBlock | FoundBlock, certificate: bytes) -> None:
        """One block a height, and a quorum of the members of its epoch sealed it."""
        height = block.height
        if height <= len(self.hashes):
            assert self.hashes[height - 1] == block.block_hash, f"replica {replica} disagrees at height {height}"
        else:
            assert height == len(self.hashes) + 1, f"replica {replica} stored height {height} after {len(self.hashes)}"
            self._extend(block)
        self._check_certificate(certificate, height, block.block_hash)

    def on_started(self, replica: ReplicaId, store: ChainStore) -> None:
        """Its last block may have become durable in the moment that the power failed, before anybody heard of it."""
        for height in map(Height, range(len(self.hashes) + 1, store.tip.height + 1)):
            transactions = [self._consortium.checked(raw) for raw in store.transactions(height)]
            found = FoundBlock(
                height, store.header(height), store.block_hash(height), transactions, store.results(height)
            )
            self.on_stored(replica, found, store.certificate(height))

    def _extend(self, block: ExecutedBlock | FoundBlock) -> None:
        """A height that nobody correct had stored before."""
        header = block_pb2.BlockHeader.FromString(block.header)
        parent = self.hashes[-1] if self.hashes else genesis_block(self._consortium.genesis).block_hash
        epoch, _ = self.epoch_at(block.height)
        found, due = (header.height, header.parent_hash, header.epoch), (block.height, parent, epoch)
        assert found == due, f"the header of block {block.height} has another height, parent or epoch"
        assert self._consortium.suite.digest(Domain.BLOCK, block.header) == block.block_hash
        self._check_transactions(block, header)
        self.hashes.append(block.block_hash)

    def _check_transactions(self, block: ExecutedBlock | FoundBlock, header: block_pb2.BlockHeader) -> None:
        """Only what clients signed is executed, with the results that a model of the rules finds, and accepted once."""
        results = [pb.TransactionResult.FromString(result) for result in block.results]
        judged: list[tuple[bytes, pb.Transaction, list[bytes]]] = []
        found: list[tuple[str, int]] = []
        for transaction, result in zip(block.transactions, results, strict=True):
            code = pb.ResultCode.Name(result.code).removeprefix("RESULT_CODE_")
            is_signed = transaction.id in self.signed
            assert is_signed or code != "ACCEPTED", f"nobody signed a transaction accepted in block {block.height}"
            assert result.transaction_id == transaction.id
            self.codes[code] += 1
            if code not in INCONCLUSIVE:
                assert transaction.id not in self.concluded, f"executed twice, again in block {block.height}"
                self.concluded.add(transaction.id)
            self.places.setdefault(transaction.id, block.height)
            if transaction.id in self.scripted:
                self._on_change(transaction.id, code, block.height)
                continue
            message = pb.Transaction.FromString(transaction.raw)
            judged.append((transaction.id, message, [record.id for record in transaction.records]))
            found.append((code, result.index))
        if header.proposer:
            assert self._model.block(header.time_ms, judged) == found, f"results of block {block.height}"

    def _on_change(self, transaction_id: bytes, code: str, height: Height) -> None:
        if code == "ACCEPTED":
            self.epochs.append(KnownEpoch(height + self._window + 1, self.scripted[transaction_id]))

    def _check_certificate(self, certificate: bytes, height: Height, block_hash: bytes) -> None:
        """The seals of more than (n + f) / 2 distinct members of the height's epoch, each valid."""
        number, epoch = self.epoch_at(height)
        message = seal_message(self._consortium.genesis.chain_id, number, height, block_hash)
        seals = block_pb2.Certificate.FromString(certificate).seals
        for seal in seals:
            key = epoch.keys[ReplicaId(seal.replica)]
            assert self._consortium.suite.verify(Domain.SIGN_SEAL, key, message, seal.signature)
        sealers = len({seal.replica for seal in seals})
        assert 2 * sealers > len(epoch.keys) + epoch.f, f"no quorum at height {height}"
