"""A database with as many subjects as one likes, without their transactions: what a block does to state and tree, and nothing else of it.

No batch makes such blocks, which is why this is not among the scripts: see tests/unit/test_verified_types.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from huzheng.v1 import block_pb2, sharing_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.block import ExecutedBlock, Tip
from ledger.crypto import HASH_BYTES, Domain, Height, ReplicaId, strict
from ledger.execution import execute
from ledger.genesis import PROTOCOL_VERSION
from ledger.sharing.granting import grant_key
from ledger.sharing.reading import READER_KEY_BYTES, account_key, count_in, read_key
from ledger.state import POOL_KEY, Changes, head_in, heads_key, put_head, read_heads, settle
from ledger.store import ChainStore
from ledger.transaction import check_batch, encode_batch
from tests.builders import OBJECTION, Consortium

FILL_KEYS = 5_000
"""New subjects a block while the state is filled."""


@dataclass(frozen=True)
class UpdateCost:
    """CPU time of one block, in µs an update: of the thread that makes it, but for the last."""

    leaves_us: float
    """New blinds, and the digests of the leaves."""
    tree_us: float
    """From the leaves to the root."""
    write_us: float
    """The block's write: values and changed records to LevelDB, records to the tree's files."""
    whole_us: float
    """All three, with what LevelDB's own thread did meanwhile."""


class SyntheticState:
    """Subjects are numbered from 0 on; each has one head."""

    def __init__(self, path: Path, consortium: Consortium) -> None:
        path.mkdir()
        self.consortium = consortium
        self.store = ChainStore.scratch(path, consortium.genesis)
        self.keys = 0
        self._dice = random.Random(1)
        self._slot = consortium.genesis.slots[OBJECTION]

    def fill(self, keys: int) -> Iterator[int]:
        """Adds subjects until there are so many; says how many were added, block by block."""
        while self.keys < keys:
            count = min(FILL_KEYS, keys - self.keys)
            self._append(self._changes(range(self.keys, self.keys + count)))
            self.keys += count
            if self.store.is_tree_flush_due:
                self.store.flush_tree()
            yield count

    def update(self, count: int) -> UpdateCost:
        """One more block that changes so many subjects at random."""
        return self._append(self._changes(self._dice.sample(range(self.keys), count)), count)

    def add_records(self, count: int) -> list[str]:
        """One more block, with real transactions of one record each; the records' subjects."""
        genesis, store, consortium = self.consortium.genesis, self.store, self.consortium
        records = [consortium.record(number) for number in range(1, count + 1)]
        raws = [consortium.transaction([record], nonce=number) for number, record in enumerate(records)]
        batch = check_batch(encode_batch(ReplicaId(1), consortium.now_ms, raws), genesis, lambda _: None)
        block = execute(genesis, store.state, store.tip, batch)
        store.append(block, consortium.certificate(block))
        return [pb.Record.FromString(record.raw).subject for record in records]

    def add_read(self, subject: str) -> tuple[bytes, bytes, bytes]:
        """One more block, which leaves a grant, a read under it and the subject's account of reads; their keys."""
        suite, resource = self.consortium.suite, OBJECTION
        grant, read = self._dice.randbytes(HASH_BYTES), self._dice.randbytes(HASH_BYTES)
        terms = sharing_pb2.GrantTerms(
            resource=resource, fields=[4, 5], max_reads=1_000, expires_ms=self.store.tip.time_ms + 1
        )
        reads = sharing_pb2.Reads()
        count_in(suite, reads, read)
        granted = sharing_pb2.GrantState(
            applicant="tax",
            owner="planning",
            status=sharing_pb2.GRANT_STATUS_ACTIVE,
            purpose="核定契税计税依据",
            legal_basis="中华人民共和国契税法第十三条",
            applied=terms,
            granted=terms,
            applied_ms=self.store.tip.time_ms,
            decided_ms=self.store.tip.time_ms,
            reads=reads,
        )
        accepted = sharing_pb2.ReadState(
            grant=grant,
            reader="tax",
            owner="planning",
            resource=resource,
            subject=subject,
            record_id=self._dice.randbytes(HASH_BYTES),
            case_number="税核〔2020〕17号",
            fields=[4, 5],
            reader_key=self._dice.randbytes(READER_KEY_BYTES),
            height=self.store.tip.height,
            time_ms=self.store.tip.time_ms,
        )
        changes: dict[bytes, bytes | None] = {
            grant_key(grant): strict.write(granted),
            read_key(read): strict.write(accepted),
            account_key(resource, subject): strict.write(reads),
        }
        self._append(changes)
        return grant_key(grant), read_key(read), account_key(resource, subject)

    def _changes(self, subjects: Iterable[int]) -> dict[bytes, bytes | None]:
        changes: dict[bytes, bytes | None] = {}
        for number in subjects:
            subject = f"{number:032x}"
            heads = read_heads(self.store.state, self._slot, subject)
            before = head_in(heads, self._slot.number)
            version = 1 if before is None else before.version + 1
            record_id = self._dice.randbytes(HASH_BYTES)
            head = state_pb2.Head(version=version, record_id=record_id, action=pb.RECORD_ACTION_ASSERT)
            put_head(heads, self._slot, head)
            changes[heads_key(self._slot, subject)] = strict.write(heads)
        return changes

    def _append(self, changes: Mapping[bytes, bytes | None], count: int = 1) -> UpdateCost:
        suite, store = self.consortium.suite, self.store
        height = Height(store.tip.height + 1)
        started_s, whole_s = time.thread_time(), time.process_time()
        settled = settle(suite, store.state.get(POOL_KEY), changes)
        settled_s = time.thread_time()
        root = store.state.root_after(height, settled.leaves)
        rooted_s = time.thread_time()
        block = self._block(height, root, settled.changes, settled.leaves)
        certificate = self.consortium.certificate(block)
        made_s = time.thread_time()
        store.append(block, certificate)
        ends_s = (settled_s - started_s, rooted_s - settled_s, time.thread_time() - made_s)
        whole_s = time.process_time() - whole_s - (made_s - rooted_s)
        return UpdateCost(*(1e6 * seconds / count for seconds in (*ends_s, whole_s)))

    def _block(self, height: Height, root: bytes, changes: Changes, leaves: Changes) -> ExecutedBlock:
        """A block that was not made by executing anything."""
        genesis, parent, suite = self.consortium.genesis, self.store.tip, self.consortium.suite
        empty = merkle.root(suite, [])
        header = strict.write(
            block_pb2.BlockHeader(
                chain_id=genesis.chain_id,
                height=height,
                parent_hash=parent.block_hash,
                time_ms=parent.time_ms,
                protocol_version=PROTOCOL_VERSION,
                transactions_root=empty,
                results_root=empty,
                state_root=root,
                history_root=parent.history.root(),
            )
        )
        block_hash = suite.digest(Domain.BLOCK, header)
        history = parent.history.copy()
        nodes = tuple(history.append(block_hash))
        tip = Tip(height, block_hash, header, parent.time_ms, root, history)
        return ExecutedBlock(height, header, block_hash, parent.time_ms, (), (), (), changes, leaves, nodes, tip)
