"""Runs a vault beside the chain, and tells the chain what has been erased."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.building import build_transaction
from ledger.crypto import Signer
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.transaction import MAX_OPERATIONS
from node.feed import BlockFeed
from node.identity import Caller, Role
from node.intake import Intake
from node.sharing.erasures import Erased
from node.sharing.keeper import VaultKeeper

log = structlog.get_logger("vault")

LOOK_S = 1.0
PAUSE_S = 0.1
"""Between looks at new blocks: one look serves all that came meanwhile, and each costs a hand-over between threads."""
RETRY_S = 10.0
"""After a failure: of the vault's disk, of an acknowledgement that was not taken."""


class VaultLoop:
    """One vault. Belongs to one event loop; what touches the disk runs in a thread of its own."""

    def __init__(
        self,
        genesis: Genesis,
        keeper: VaultKeeper,
        department: str,
        signer: Signer | None,
        now_ms: Callable[[], int],
    ) -> None:
        """`signer`: the department's SYSTEM key for acknowledgements; None: an operator gives them by hand."""
        self._genesis = genesis
        self._keeper = keeper
        self._department = department
        self._signer = signer
        self._now_ms = now_ms
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vault")
        self._owed: set[Erased] = set()

    @property
    def owed(self) -> int:
        """How many erasures are carried out here and not acknowledged."""
        return len(self._owed)

    async def run(self, feed: BlockFeed, intake: Intake) -> None:
        """Follows the chain until it is cancelled."""
        while True:
            try:
                self._owed |= set(await self._in_thread(self._keeper.catch_up))
                await self._follow(feed, intake)
            except HuzhengError as error:
                if error.code is Code.VAULT_CLOSED:
                    # `NodeVault.reopen` sees to it.
                    await asyncio.sleep(LOOK_S)
                    continue
                log.error("vault not in step with the chain", code=error.code, detail=error.detail)
            except Exception as error:
                log.error("internal error", exc_info=error)
            await asyncio.sleep(RETRY_S)

    async def _follow(self, feed: BlockFeed, intake: Intake) -> None:
        reached = feed.height
        while True:
            await self._acknowledge(intake)
            await asyncio.sleep(PAUSE_S)
            timeout_s = RETRY_S if self._owed and self._signer else None
            reached = await feed.next_after(reached, timeout_s)
            self._owed |= set(await self._in_thread(self._keeper.follow))

    async def _in_thread(self, work: Callable[[], list[Erased]]) -> list[Erased]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _acknowledge(self, intake: Intake) -> None:
        """Sends what is owed; what fails is sent again later."""
        if not self._owed:
            return
        if self._signer is None:
            log.warning("erasures not acknowledged: vault.signing_key is not set", records=len(self._owed))
            return
        due = sorted(self._owed)[:MAX_OPERATIONS]
        try:
            submission = await intake.submit(self._transaction(self._signer, due), self._caller())
            await submission.final
        except HuzhengError as error:
            log.warning("erasures not acknowledged", code=error.code, detail=error.detail)
            return
        # Whether the chain took it: the state says, when the block is followed.
        self._owed -= set(due)
        self._owed |= set(await self._in_thread(lambda: [item for item in due if self._keeper.must_acknowledge(item)]))

    def _caller(self) -> Caller:
        return Caller(self._department, Role.SYSTEM, "vault")

    def _transaction(self, signer: Signer, due: list[Erased]) -> bytes:
        operations = [
            pb.Operation(acknowledge_erasure=sharing.AcknowledgeErasure(department=item.owner, record=item.record_id))
            for item in due
        ]
        expires_ms = self._now_ms() + self._genesis.parameters.max_lifetime_ms // 2
        return build_transaction(self._genesis, signer, self._department, expires_ms, operations=operations)

    def close(self) -> None:
        """Waits for what is being written."""
        self._thread.shutdown()
