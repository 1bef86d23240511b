"""How a simulated machine fetches blocks: from one peer after the other, over a channel that loses nothing."""

from __future__ import annotations

import itertools
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from consensus.events import FetchBlocks, FetchEnded
from ledger.block_apply import CheckedBlock, check_block
from ledger.crypto import Height, ReplicaId
from ledger.errors import Code, HuzhengError
from node.seat import Core

if TYPE_CHECKING:
    from tests.sim.machine import Machine

BLOCKS_A_TURN = 8
TOGETHER_BLOCKS = 4
"""In one write, at most."""

Blocks = deque[tuple[Height, bytes]]
"""What a peer sent, with the heights that it should have."""


class Fetching:
    """One machine's fetches in one life, one at a time; what convinces of a block is its certificate alone."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._waiting: deque[tuple[FetchBlocks, Core]] = deque()
        self._core: Core | None = None
        """Who asked for the fetch that is under way."""
        self._peers: deque[ReplicaId] = deque()
        self._turns = 0

    def start(self, request: FetchBlocks, core: Core) -> None:
        """Begins, or waits for the end of one that the epoch before had asked for."""
        if self._core is not None:
            self._waiting.append((request, core))
            return
        self._core = core
        self._peers = deque(request.peers or self._somebody())
        self._ask_next()

    def _somebody(self) -> list[ReplicaId]:
        """If nobody is known to have more, one after the other has his turn."""
        others = [peer.id for peer in self._machine.cluster.machines if peer.id != self._machine.id]
        self._turns += 1
        return [others[self._turns % len(others)]] if others else []

    def _ask_next(self) -> None:
        if not self._peers:
            self._end(FetchEnded())
            return
        peer = self._peers.popleft()
        before = self._machine.height
        blocks = self._machine.cluster.blocks_of(self._machine, peer, Height(before + 1), BLOCKS_A_TURN)
        self._take(peer, before, deque(zip(map(Height, itertools.count(before + 1)), blocks, strict=False)))

    def _take(self, peer: ReplicaId, before: Height, blocks: Blocks, *, sound: bool = True) -> None:
        """The next blocks of a peer's turn, in the ledger's thread, in which other work may come in between."""
        if sound and blocks:
            self._machine.ledger_job(partial(self._apply, peer, before, blocks))
        elif self._machine.height > before:
            self._end(FetchEnded(peer, complete=sound))
        else:
            self._ask_next()

    def _apply(self, peer: ReplicaId, before: Height, blocks: Blocks) -> None:
        machine, sound = self._machine, True
        machine.maybe_crash()
        try:
            applied = machine.ledger.worker.apply(self._checked(blocks))
        except HuzhengError as error:
            assert error.code is not Code.DIVERGED, f"replica {machine.id}: {error}"
            assert not error.code.startswith("STORE_"), f"replica {machine.id}: {error}"
            machine.cluster.counts["blocks that proved nothing"] += 1
            sound, applied = False, []
        machine.durable(applied, partial(self._take, peer, before, blocks, sound=sound))

    def _checked(self, blocks: Blocks) -> list[CheckedBlock]:
        """Some blocks for one write, as far as it is known who seals them (M4), and up to the first that proves nothing.

        Raises HuzhengError when that is the first one.
        """
        store, checked = self._machine.ledger.store, list[CheckedBlock]()
        known = store.tip.height + self._machine.cluster.consortium.genesis.parameters.watermark_window
        for _ in range(self._machine.cluster.random.randint(1, TOGETHER_BLOCKS)):
            if not blocks or blocks[0][0] > known:
                break
            height, raw = blocks[0]
            try:
                block = check_block(self._machine.cluster.consortium.genesis, store.membership_at(height), raw)
            except HuzhengError:
                if not checked:
                    raise
                break
            blocks.popleft()
            checked.append(block)
        return checked

    def _end(self, ended: FetchEnded) -> None:
        core, self._core = self._core, None
        if core is not None:
            self._machine.answer(core, ended)
        if self._waiting:
            self.start(*self._waiting.popleft())
