"""One replica of the skeleton, and its client: see `scripts.local.bench.skeleton`. Trusts everybody, and remembers nothing for long."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import plyvel
from huzheng.v1 import consensus_pb2, replica_service_pb2

from ledger.crypto import ED25519_SHA256, Domain
from node.peer_messages import read_group, write_message
from node.peers import END, Outbox
from node.pki import server_name
from scripts.local.bench.load import Measured

HOST = "127.0.0.1"
REPLICAS = 4
QUORUM = 3
PRIMARY = 0
_SERVICE = "bench.Skeleton"
_PEER, _SUBMIT = f"/{_SERVICE}/Peer", f"/{_SERVICE}/Submit"
_NAME = [("grpc.ssl_target_name_override", server_name("skeleton", 1))]
_RECORD_BYTES, _SIGNATURE_BYTES = 300, 64
_PREPARE, _COMMIT, _SEAL = (
    consensus_pb2.MESSAGE_KIND_PREPARE,
    consensus_pb2.MESSAGE_KIND_COMMIT,
    consensus_pb2.MESSAGE_KIND_SEAL,
)
_DOMAINS = {_PREPARE: Domain.SIGN_PREPARE, _COMMIT: Domain.SIGN_COMMIT, _SEAL: Domain.SIGN_SEAL}
_WORTHWHILE, _MOST, _DEPTH = 32, 256, 4
"""As this ledger proposes: so many that wait are worth a further batch, so many fill one, so many batches are in flight."""
_MOST_PER_S = 12_000
"""Records signed beforehand."""
_PATIENCE_S = 15.0
"""For the last answers, which never come when replicas gave up."""

SUITE = ED25519_SHA256
SIGNERS = [SUITE.signer(bytes([replica + 1]) * 32) for replica in range(REPLICAS)]
CLIENT = SUITE.signer(bytes(32))


@dataclass(frozen=True, slots=True)
class Files:
    """The certificates that all use."""

    directory: Path

    def write(self, authority: bytes, certificate: bytes, key: bytes) -> None:
        """All in PEM."""
        for name, content in (("ca", authority), ("certificate", certificate), ("key", key)):
            (self.directory / name).write_bytes(content)

    def _read(self) -> tuple[bytes, bytes, bytes]:
        authority, certificate, key = ((self.directory / name).read_bytes() for name in ("ca", "certificate", "key"))
        return authority, certificate, key

    def server(self) -> grpc.ServerCredentials:
        """With a client certificate demanded."""
        authority, certificate, key = self._read()
        return grpc.ssl_server_credentials([(key, certificate)], authority, True)

    def channel(self, port: int) -> grpc.aio.Channel:
        """To a replica."""
        authority, certificate, key = self._read()
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        return grpc.aio.secure_channel(f"{HOST}:{port}", credentials, _NAME)


@dataclass(slots=True)
class _Slot:
    """One batch on its way."""

    digest: bytes = b""
    batch: bytes = b""
    ids: list[bytes] = field(default_factory=list)
    rounds_said: int = 0
    """In how many rounds this replica has voted."""
    is_busy: bool = False
    votes: dict[int, set[int]] = field(default_factory=lambda: {kind: set() for kind in _DOMAINS})


class Replica:
    """Belongs to one event loop."""

    def __init__(self, number: int, variant: str, directory: Path) -> None:
        self._number = number
        self._rounds = (_PREPARE, _COMMIT, _SEAL) if variant == "sealed" else (_PREPARE, _COMMIT)
        self._is_durable = variant == "sealed"
        self._db = plyvel.DB(str(directory / f"{number}"), create_if_missing=True, write_buffer_size=16 << 20)
        self._checks, self._writes = ThreadPoolExecutor(2), ThreadPoolExecutor(1)
        self.peers: dict[int, Outbox] = {}
        self._checked: set[bytes] = set()
        self._clients: dict[bytes, Outbox] = {}
        self._slots: dict[int, _Slot] = {}
        self._pending: list[bytes] = []
        self._next, self._in_flight, self._last_size = 1, 0, 0
        self._tasks: set[asyncio.Task[None]] = set()

    # --- records ---

    async def take_in(self, raws: Sequence[bytes], client: Outbox) -> None:
        """What a client sent: checked, and handed to the primary."""
        for record_id in await self._check(raws):
            self._clients[record_id] = client
        if self._number == PRIMARY:
            self._wait(raws)
        else:
            forwarded = replica_service_pb2.ForwardedTransactions(transactions=raws)
            self.peers[PRIMARY].put(write_message(forwarded))

    async def _check(self, raws: Sequence[bytes]) -> list[bytes]:
        """Their ids; each is checked once, in a thread."""
        ids = [SUITE.plain_hash(raw) for raw in raws]
        new = [raw for raw, record_id in zip(raws, ids, strict=True) if record_id not in self._checked]
        if new:
            await asyncio.get_running_loop().run_in_executor(self._checks, _verify_all, new)
        self._checked.update(ids)
        return ids

    def _wait(self, raws: Sequence[bytes]) -> None:
        self._pending += raws
        self._propose()

    def _propose(self) -> None:
        while self._pending and self._in_flight < _DEPTH:
            if self._in_flight and len(self._pending) < max(_WORTHWHILE, self._last_size):
                return
            raws, self._pending = self._pending[:_MOST], self._pending[_MOST:]
            self._in_flight += 1
            self._last_size = len(raws)
            batch = replica_service_pb2.ForwardedTransactions(transactions=raws).SerializeToString()
            sequence, self._next = self._next, self._next + 1
            self._spawn(self._accept(sequence, batch))

    # --- agreement ---

    def receive(self, raw: bytes) -> None:
        """A group of messages of a peer."""
        for message in read_group(raw):
            kind = message.WhichOneof("message")
            if kind == "forwarded":
                self._spawn(self._forwarded(message.forwarded.transactions))
            elif kind == "proposal":
                sequence = self._verified(message.proposal.pre_prepare)
                self._spawn(self._accept(sequence, message.proposal.batch))
            else:
                self._on_vote(message.envelope)

    async def _forwarded(self, raws: Sequence[bytes]) -> None:
        await self._check(raws)
        self._wait(raws)

    async def _accept(self, sequence: int, batch: bytes) -> None:
        raws = replica_service_pb2.ForwardedTransactions.FromString(batch).transactions
        slot = self._slot(sequence)
        slot.ids = await self._check(raws)
        slot.batch, slot.digest = batch, SUITE.plain_hash(batch)
        # The primary's proposal is its vote.
        slot.votes[_PREPARE].add(PRIMARY)
        await self._say(sequence, slot)

    def _on_vote(self, envelope: consensus_pb2.Envelope) -> None:
        sequence = int.from_bytes(envelope.body[:8], "big")
        slot = self._slot(sequence)
        votes = slot.votes[envelope.kind]
        # What can't matter any more is not verified.
        if len(votes) < QUORUM:
            self._verified(envelope)
            votes.add(envelope.replica)
            self._advance(sequence, slot)

    @staticmethod
    def _verified(envelope: consensus_pb2.Envelope) -> int:
        """Its sequence number."""
        public_key = SIGNERS[envelope.replica].public_key
        if not SUITE.verify(_DOMAINS[envelope.kind], public_key, envelope.body, envelope.signature):
            raise ValueError("bad vote")
        return int.from_bytes(envelope.body[:8], "big")

    def _slot(self, sequence: int) -> _Slot:
        return self._slots.setdefault(sequence, _Slot())

    def _advance(self, sequence: int, slot: _Slot) -> None:
        said = slot.rounds_said
        if not said or slot.is_busy or len(slot.votes[self._rounds[said - 1]]) < QUORUM:
            return
        slot.is_busy = True
        self._spawn(self._say(sequence, slot) if said < len(self._rounds) else self._store(sequence, slot))

    async def _say(self, sequence: int, slot: _Slot) -> None:
        kind = self._rounds[slot.rounds_said]
        body = sequence.to_bytes(8, "big") + slot.digest
        signature = SIGNERS[self._number].sign(_DOMAINS[kind], body)
        envelope = consensus_pb2.Envelope(replica=self._number, kind=kind, body=body, signature=signature)
        if self._is_durable:
            kept = slot.batch if kind == _PREPARE else bytes(3 * len(signature))
            await self._durably({bytes([kind]) + body: kept})
        is_proposal = kind == _PREPARE and self._number == PRIMARY
        sent = consensus_pb2.Proposal(pre_prepare=envelope, batch=slot.batch) if is_proposal else envelope
        message = write_message(sent)
        for peer in self.peers.values():
            peer.put(message)
        slot.votes[kind].add(self._number)
        slot.rounds_said += 1
        slot.is_busy = False
        self._advance(sequence, slot)

    async def _store(self, sequence: int, slot: _Slot) -> None:
        place = sequence.to_bytes(8, "big")
        await self._durably({b"b" + place: slot.batch} | {b"x" + record_id: place for record_id in slot.ids})
        for record_id in slot.ids:
            self._checked.discard(record_id)
            client = self._clients.pop(record_id, None)
            if client is not None:
                client.put(record_id)
        # Its votes stay counted, so that late ones are not verified.
        slot.batch, slot.ids = b"", []
        if self._number == PRIMARY:
            self._in_flight -= 1
            self._propose()

    async def _durably(self, entries: dict[bytes, bytes]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writes, self._write, entries)

    def _write(self, entries: dict[bytes, bytes]) -> None:
        with self._db.write_batch(sync=True) as batch:
            for key, value in entries.items():
                batch.put(key, value)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _give_up(task.exception())

    # --- calls ---

    async def serve_peer(self, _requests: AsyncIterator[bytes], context: Any) -> None:
        """The stream of a replica with a lower number, whose first message is that number."""
        await self.carry(int(await context.read()), context.read, context.write)

    async def carry(
        self, peer: int, read: Callable[[], Awaitable[Any]], write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """One stream between two replicas."""
        outbox = self.peers[peer] = Outbox()
        writing = asyncio.ensure_future(_write_all(outbox, write))
        while (raw := await read()) is not END:
            try:
                self.receive(raw)
            except Exception as error:
                _give_up(error)
        writing.cancel()

    async def serve_client(self, _requests: AsyncIterator[bytes], context: Any) -> None:
        """Records one way; the other way the ids of those that are decided, and durable here."""
        outbox = Outbox()
        writing = asyncio.ensure_future(_write_all(outbox, context.write))
        while (raw := await context.read()) is not END:
            self._spawn(self.take_in(replica_service_pb2.ConnectRequest.FromString(raw).messages, outbox))
        writing.cancel()


def _give_up(error: BaseException | None) -> None:
    """At once: three replicas would go on, and faster."""
    print(f"skeleton: {error!r}", file=sys.stderr, flush=True)
    os._exit(1)


def _verify_all(raws: Sequence[bytes]) -> None:
    for raw in raws:
        signature, record = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not SUITE.verify(Domain.SIGN_TRANSACTION, CLIENT.public_key, record, signature):
            raise ValueError("bad record")


async def _write_all(outbox: Outbox, write: Callable[[bytes], Awaitable[None]]) -> None:
    while True:
        messages = await outbox.take()
        await write(replica_service_pb2.ConnectRequest(messages=messages).SerializeToString())


async def run(number: int, base: int, files: Files, variant: str) -> None:
    """One replica, until it is killed. Says `ready` when it is linked with all others."""
    replica = Replica(number, variant, files.directory)
    server = grpc.aio.server()
    handlers = {
        "Peer": grpc.stream_stream_rpc_method_handler(replica.serve_peer),
        "Submit": grpc.stream_stream_rpc_method_handler(replica.serve_client),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    server.add_secure_port(f"{HOST}:{base + number}", files.server())
    await server.start()
    links = []
    for peer in range(number + 1, REPLICAS):
        call: Any = files.channel(base + peer).stream_stream(_PEER, None, None)(wait_for_ready=True)  # type: ignore[call-arg]
        await call.write(str(number).encode())
        links.append(asyncio.ensure_future(replica.carry(peer, call.read, call.write)))
    while len(replica.peers) < REPLICAS - 1:
        await asyncio.sleep(0.02)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def submit(files: Files, base: int, outstanding: int, seconds: float) -> Measured:
    """Keeps so many records under way for so long, through all replicas or, if there is but one, through a backup."""
    records = map(_signed, itertools.count(time.time_ns()))
    prepared = iter([next(records) for _ in range(int(seconds * _MOST_PER_S) + outstanding)])
    through = range(REPLICAS) if outstanding >= REPLICAS else range(1, 2)
    latencies_s: list[float] = []
    begun_s = time.monotonic()
    end_s = begun_s + seconds

    async def stream(port: int, count: int) -> None:
        channel = files.channel(port)
        call: Any = channel.stream_stream(_SUBMIT, None, None)()  # type: ignore[call-arg]
        outbox = Outbox()
        writing = asyncio.ensure_future(_write_all(outbox, call.write))
        sent_s: dict[bytes, float] = {}

        def send() -> None:
            raw = next(prepared)
            sent_s[SUITE.plain_hash(raw)] = time.monotonic()
            outbox.put(raw)

        for _ in range(count):
            send()
        while sent_s:
            raw = await call.read()
            now_s = time.monotonic()
            for record_id in replica_service_pb2.ConnectRequest.FromString(raw).messages:
                latencies_s.append(now_s - sent_s.pop(record_id))
                if now_s < end_s:
                    send()
        writing.cancel()
        await channel.close(None)

    async with asyncio.timeout(seconds + _PATIENCE_S):
        await asyncio.gather(*(stream(base + replica, outstanding // len(through)) for replica in through))
    return Measured(len(latencies_s), time.monotonic() - begun_s, latencies_s)


def _signed(number: int) -> bytes:
    record = number.to_bytes(8, "big").ljust(_RECORD_BYTES, b".")
    return CLIENT.sign(Domain.SIGN_TRANSACTION, record) + record


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), Files(Path(sys.argv[3])), sys.argv[4]))
