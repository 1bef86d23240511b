"""What replicas send one another: what correct ones send is read, what would cost more than it is worth is not."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from huzheng.v1 import consensus_pb2, replica_service_pb2

from consensus.memory import MAX_SEEN
from ledger.errors import Code, HuzhengError
from node.peer_messages import (
    MAX_FORWARDED,
    MAX_GROUP_MESSAGES,
    MAX_STATUS_SLOTS,
    read_block,
    read_group,
    read_message,
    write_message,
)

MEBIBYTE = 1 << 20


def group(*messages: replica_service_pb2.PeerMessage) -> bytes:
    raws = [message.SerializeToString() for message in messages]
    return replica_service_pb2.ConnectRequest(messages=raws).SerializeToString()


def status(slots: int) -> replica_service_pb2.PeerMessage:
    standing = [
        consensus_pb2.SlotStatus(sequence=2**63 + i, has_batch=True, prepared=True, committed=True)
        for i in range(slots)
    ]
    return replica_service_pb2.PeerMessage(
        status=consensus_pb2.ReplicaStatus(epoch=2**32, view=2**32, stored_height=2**63, slots=standing)
    )


def forwarded(count: int) -> replica_service_pb2.PeerMessage:
    return replica_service_pb2.PeerMessage(
        forwarded=replica_service_pb2.ForwardedTransactions(transactions=[b"t"] * count)
    )


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + varint(len(content)) + content


def refuse(raw: bytes) -> str:
    with pytest.raises(HuzhengError) as refused:
        read_group(raw)
    assert refused.value.code is Code.INVALID_REQUEST
    return refused.value.detail


def test_what_correct_replicas_send_is_read() -> None:
    envelope = consensus_pb2.Envelope(
        replica=1, kind=consensus_pb2.MESSAGE_KIND_PREPARE, body=b"b" * 60, signature=b"s" * 64
    )
    messages = [
        replica_service_pb2.PeerMessage(
            proposal=consensus_pb2.Proposal(pre_prepare=envelope, batch=bytes(4 * MEBIBYTE))
        ),
        replica_service_pb2.PeerMessage(envelope=envelope),
        status(MAX_STATUS_SLOTS),
        forwarded(MAX_FORWARDED),
        replica_service_pb2.PeerMessage(clock=replica_service_pb2.PeerClock(clock_ms=2**64 - 1)),
    ]
    assert read_group(group(*messages)) == messages
    assert read_group(b"") == []
    small = replica_service_pb2.PeerMessage(clock=replica_service_pb2.PeerClock())
    assert len(read_group(group(*[small] * MAX_GROUP_MESSAGES))) == MAX_GROUP_MESSAGES
    bare = replica_service_pb2.PeerMessage(greeting=consensus_pb2.Greeting())
    assert read_group(group(bare)) == [bare]


@pytest.mark.parametrize(
    "field_name", sorted(field.name for field in replica_service_pb2.PeerMessage.DESCRIPTOR.fields)
)
def test_each_kind_of_message_is_written_as_itself(field_name: str) -> None:
    sent = replica_service_pb2.PeerMessage()
    getattr(sent, field_name).SetInParent()
    if field_name == "forwarded":
        sent.forwarded.transactions.append(b"t")
    assert read_message(write_message(getattr(sent, field_name))) == sent


@pytest.mark.parametrize("raw", [b"", b"\x22\x00"], ids=["of no kind", "without transactions"])
def test_an_empty_message_is_refused(raw: bytes) -> None:
    with pytest.raises(HuzhengError, match="an empty message"):
        read_group(field(0x0A, raw))


def test_a_message_of_a_later_version_is_read_as_none() -> None:
    [message] = read_group(field(0x0A, field(0x7A, b"what may come")))
    assert message.WhichOneof("message") is None


@pytest.mark.parametrize(
    "raw",
    [
        b"\x0a\x00" * (MAX_GROUP_MESSAGES + 1),
        group(status(MAX_STATUS_SLOTS + 1)),
        group(forwarded(MAX_FORWARDED + 1)),
        field(0x0A, field(0x1A, b"\x22\x00" * 4 * MEBIBYTE)),
        field(0x0A, field(0x22, b"\x0a\x00" * 4 * MEBIBYTE)),
        # A large message of a kind that is not large, also when it hides behind one that may be.
        field(0x0A, field(0x32, field(0x0A, bytes(MEBIBYTE)))),
        field(0x0A, field(0x12, b"") + field(0x1A, b"\x22\x00" * MEBIBYTE)),
        field(0x0A, field(0x0A, b"") + field(0x1A, b"\x22\x00" * MEBIBYTE)),
        field(0x0A, field(0x22, b"") + field(0x1A, b"\x22\x00" * MEBIBYTE)),
        field(0x0A, field(0x7A, bytes(MEBIBYTE))),
    ],
)
def test_more_than_a_correct_replica_sends_is_refused_and_costs_little_memory(raw: bytes) -> None:
    tracemalloc.start()
    refuse(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(raw) + MEBIBYTE


def test_a_greeting_may_be_large_but_has_few_parts() -> None:
    envelope = field(0x0A, field(0x1A, bytes(MEBIBYTE // 4)))
    [message] = read_group(field(0x0A, field(0x32, envelope * MAX_SEEN)))
    assert len(message.greeting.seen) == MAX_SEEN
    refuse(field(0x0A, field(0x32, b"\x0a\x00" * (MAX_SEEN + 1))))


@pytest.mark.parametrize("epoch", [0, 1, 127, 128, (1 << 64) - 1])
@pytest.mark.parametrize("count", [0, 1, MAX_SEEN])
def test_a_greeting_says_of_which_epoch_it_is(epoch: int, count: int) -> None:
    greeting = consensus_pb2.Greeting(seen=[consensus_pb2.Envelope(replica=2)] * count, epoch=epoch)
    sent = replica_service_pb2.PeerMessage(greeting=greeting)
    assert read_group(group(sent)) == [sent]


@pytest.mark.parametrize(
    "end", [b"\x10", b"\x10\x80", b"\x10" + b"\xff" * 11, b"\x10\x01\x0a\x00", b"\x10\x01\x10\x01", b"\x18\x01"]
)
def test_nothing_else_may_follow_what_a_greeting_has_seen(end: bytes) -> None:
    refuse(field(0x0A, field(0x32, b"\x0a\x00" + end)))


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\x0a", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05abc", b"\x0a\x80", b"\x08\x01", b"\x0b" * 9, b"\0"]
)
def test_what_is_no_group_is_refused(raw: bytes) -> None:
    refuse(raw)


def test_no_bytes_whatever_raise_anything_else() -> None:
    dice = random.Random(5)
    sound = group(status(3), forwarded(3))
    for _ in range(3_000):
        raw = bytearray(sound)
        for _ in range(dice.randint(1, 4)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        for read in (read_group, read_block):
            try:
                read(bytes(raw[: dice.randint(0, len(raw))]))
            except HuzhengError as error:
                assert error.code is Code.INVALID_REQUEST
