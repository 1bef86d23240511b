"""Epochs: who votes, by which version of the rules, from which height on (docs/protocol.md M1, M4, M5).

Epoch 0 is the genesis'. Each accepted change of the membership ends an epoch and makes the next one, whose terms are in the state from
then on, long before its first block.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from huzheng.v1 import genesis_pb2, state_pb2
from huzheng.v1 import membership_pb2 as pb
from huzheng.v1 import transaction_pb2 as tx

from ledger.crypto import Epoch, Height, Member, Membership, ReplicaId, quorum, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import MAX_REPLICAS, PROTOCOL_VERSION, Department, Genesis, read_department
from ledger.membership_change import read_seat
from ledger.outcome import Refused
from ledger.state import StateReader

_NEWEST_KEY = b"e"
_DEPARTMENT_PREFIX = b"d"
SAFE_REPLICAS = 4
"""From so many on one may fail."""


@dataclass(frozen=True, slots=True)
class EpochTerms:
    """All that one epoch is."""

    membership: Membership
    first_height: Height
    """The first block that it governs; 0 for epoch 0, to which the genesis block belongs."""
    protocol_version: int
    highest_replica: ReplicaId
    """The highest id that any replica ever had."""
    change: tuple[Height, int] | None = None
    """Block and position of the transaction that made it; None for epoch 0."""

    @property
    def epoch(self) -> Epoch:
        """Its number."""
        return self.membership.epoch

    @property
    def base(self) -> Height:
        """The block that it starts from."""
        return Height(max(0, self.first_height - 1))

    @property
    def departments(self) -> frozenset[str]:
        """Those that run a replica."""
        return frozenset(member.department for member in self.membership.members)

    @property
    def approvals_needed(self) -> int:
        """How many of them carry a change (M3)."""
        return quorum(len(self.departments))


def first_epoch(genesis: Genesis) -> EpochTerms:
    """Epoch 0."""
    members = genesis.membership.members
    return EpochTerms(genesis.membership, Height(0), PROTOCOL_VERSION, members[-1].replica)


def newest_epoch(genesis: Genesis, state: StateReader) -> EpochTerms:
    """The last epoch that was decided, be it in force yet or not."""
    number = state.get(_NEWEST_KEY)
    return first_epoch(genesis) if number is None else _read(genesis, state, int.from_bytes(number, "big"))


def epoch_numbered(genesis: Genesis, state: StateReader, epoch: int) -> EpochTerms | None:
    """The epoch with this number, if it has been decided."""
    return _read(genesis, state, epoch) if 0 <= epoch <= newest_epoch(genesis, state).epoch else None


def epoch_at(genesis: Genesis, state: StateReader, height: Height) -> EpochTerms:
    """The epoch that governs the block at a height, as far as this state knows."""
    terms = newest_epoch(genesis, state)
    while terms.first_height > height:
        terms = _read(genesis, state, terms.epoch - 1)
    return terms


def last_height(genesis: Genesis, state: StateReader, terms: EpochTerms) -> Height | None:
    """The last height of an epoch; None while no change has ended it."""
    following = epoch_numbered(genesis, state, terms.epoch + 1)
    return None if following is None else Height(following.first_height - 1)


def _read(genesis: Genesis, state: StateReader, epoch: int) -> EpochTerms:
    raw = state.get(_epoch_key(epoch)) if epoch else None
    return first_epoch(genesis) if raw is None else _decode(genesis.chain_id, raw)


def _epoch_key(epoch: int) -> bytes:
    return _NEWEST_KEY + epoch.to_bytes(8, "big")


@lru_cache(maxsize=64)
def _decode(chain_id: bytes, raw: bytes) -> EpochTerms:
    return _terms(chain_id, strict.read(state_pb2.EpochState, raw))


def _terms(chain_id: bytes, message: state_pb2.EpochState) -> EpochTerms:
    members = tuple(Member(ReplicaId(m.id), m.department, m.public_key) for m in message.replicas)
    return EpochTerms(
        Membership(chain_id, Epoch(message.epoch), members),
        Height(message.first_height),
        message.protocol_version,
        ReplicaId(message.highest_replica),
        (Height(message.change_height), message.change_index),
    )


def changes_epochs(changes: Container[bytes]) -> bool:
    """Whether a block's changes of the state decide a new epoch."""
    return _NEWEST_KEY in changes


def epoch_entries(terms: EpochTerms) -> Sequence[tuple[bytes, bytes]]:
    """What the state holds of an epoch after the first."""
    return (
        (_NEWEST_KEY, terms.epoch.to_bytes(8, "big")),
        (_epoch_key(terms.epoch), strict.write(epoch_state(terms))),
    )


def epoch_state(terms: EpochTerms) -> state_pb2.EpochState:
    """An epoch after the first, as the state and an anchor hold it."""
    change_height, change_index = terms.change or (0, 0)
    return state_pb2.EpochState(
        epoch=terms.epoch,
        first_height=terms.first_height,
        protocol_version=terms.protocol_version,
        replicas=[
            genesis_pb2.Replica(id=m.replica, department=m.department, public_key=m.public_key)
            for m in terms.membership.members
        ],
        highest_replica=terms.highest_replica,
        change_height=change_height,
        change_index=change_index,
    )


def read_epoch_state(genesis: Genesis, message: state_pb2.EpochState) -> EpochTerms:
    """An epoch that somebody outside tells of. Raises HuzhengError(BAD_PROOF) if there can be none like it."""
    keys = [replica.public_key for replica in message.replicas]
    if not message.epoch or len(keys) > MAX_REPLICAS or not all(genesis.suite.is_admissible_key(key) for key in keys):
        raise HuzhengError(Code.BAD_PROOF, "an epoch that no change makes")
    try:
        return _terms(genesis.chain_id, message)
    except ValueError:
        raise HuzhengError(Code.BAD_PROOF, "an epoch that no change makes") from None


# --- what a change makes of an epoch ---


def next_epoch(
    current: EpochTerms, change: pb.MembershipChange, place: tuple[Height, int], watermark_window: int
) -> EpochTerms:
    """The epoch that a change makes, accepted in the transaction at `place`: M4 as far as it follows from the epochs alone.

    Raises:
        Refused: BAD_REPLICA, BAD_VERSION, TOO_FEW_REPLICAS, TOO_MANY_REPLICAS, TOO_MUCH_AT_ONCE.
    """
    drafting = _Draft(current)
    for index, action in enumerate(change.actions):
        drafting.take(action, index)
    members = tuple(drafting.members[replica] for replica in sorted(drafting.members))
    _check_size(current, members)
    return EpochTerms(
        Membership(current.membership.chain_id, Epoch(current.epoch + 1), members),
        Height(place[0] + watermark_window + 1),
        drafting.protocol_version,
        drafting.highest,
        place,
    )


class _Draft:
    """The next epoch while the actions of a change are carried out."""

    def __init__(self, current: EpochTerms) -> None:
        self.members = {member.replica: member for member in current.membership.members}
        self.highest = current.highest_replica
        self.protocol_version = current.protocol_version
        self._touched: set[ReplicaId] = set()

    def take(self, action: pb.MembershipAction, index: int) -> None:
        which = action.WhichOneof("action")
        if which == "add_replica":
            self._add(read_seat(action.add_replica), index)
        elif which == "remove_replica":
            del self.members[self._present(ReplicaId(action.remove_replica.replica), index)]
        elif which == "replace_key":
            member = read_seat(action.replace_key)
            replica = self._present(member.replica, index)
            if self.members[replica].department != member.department:
                raise Refused(tx.RESULT_CODE_BAD_REPLICA, index)
            self.members[replica] = member
        elif which == "activate_protocol":
            if action.activate_protocol.version != self.protocol_version + 1:
                raise Refused(tx.RESULT_CODE_BAD_VERSION, index)
            self.protocol_version += 1

    def _add(self, member: Member, index: int) -> None:
        if member.replica <= self.highest:
            raise Refused(tx.RESULT_CODE_BAD_REPLICA, index)
        self.highest = member.replica
        self._touched.add(member.replica)
        self.members[member.replica] = member

    def _present(self, replica: ReplicaId, index: int) -> ReplicaId:
        if replica not in self.members or replica in self._touched:
            raise Refused(tx.RESULT_CODE_BAD_REPLICA, index)
        self._touched.add(replica)
        return replica


def _check_size(current: EpochTerms, members: Sequence[Member]) -> None:
    before, after = current.membership.n, len(members)
    if after < min(before, SAFE_REPLICAS):
        raise Refused(tx.RESULT_CODE_TOO_FEW_REPLICAS)
    if after > MAX_REPLICAS:
        raise Refused(tx.RESULT_CODE_TOO_MANY_REPLICAS)
    kept = len(set(current.membership.members) & set(members))
    if before >= SAFE_REPLICAS and kept < quorum(after):
        raise Refused(tx.RESULT_CODE_TOO_MUCH_AT_ONCE)


# --- departments ---


def department_key(department: str) -> bytes:
    """Where a department that joined later is kept, as a `Department` as in the genesis."""
    return _DEPARTMENT_PREFIX + department.encode()


def has_department(genesis: Genesis, state: StateReader, department: str) -> bool:
    """Whether the department belongs to the consortium."""
    return department in genesis.departments or state.get(department_key(department)) is not None


def departments(genesis: Genesis, state: StateReader) -> Mapping[str, Department]:
    """All departments, those that joined later with the keys they joined with."""
    joined = state.scan(_DEPARTMENT_PREFIX, bytes([_DEPARTMENT_PREFIX[0] + 1]))
    read = [read_department(strict.read(genesis_pb2.Department, raw)) for _, raw in joined]
    return dict(genesis.departments) | {department.id: department for department in read}
