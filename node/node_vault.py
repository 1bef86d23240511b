"""The vault of a running node: open from the start, or, where it was restored, once the node has caught up with the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from ledger.errors import Code, HuzhengError
from ledger.store import ChainReader
from node.config import NodeConfig
from node.vault.vault import Vault
from node.vault_config import open_vault
from node.vault_restored import reopen_restored

log = structlog.get_logger("vault")

LOOK_EVERY_S = 1.0
RETRY_S = 60.0


class NodeVault:
    """Holds it. `vault` is None while it can't be used, or where the node has none."""

    def __init__(self, config: NodeConfig) -> None:
        """Opens the vault that the configuration names.

        Raises:
            HuzhengError: as `open_vault`, but for VAULT_RESTORED: then `reopen` opens it later.
        """
        self._config = config
        self.vault: Vault | None = None
        self.is_restored = False
        try:
            self.vault = open_vault(config)
        except HuzhengError as error:
            if error.code is not Code.VAULT_RESTORED:
                raise
            self.is_restored = True
            log.warning("vault waits for the chain", detail=error.detail)

    def require(self) -> Vault | None:
        """The vault, None where the node has none. Raises HuzhengError(VAULT_RESTORED) while it waits for the chain."""
        if self.is_restored:
            raise HuzhengError(Code.VAULT_RESTORED, "the node has not caught up with the chain yet")
        return self.vault

    def require_one(self) -> Vault:
        """The vault. Raises HuzhengError(VAULT_RESTORED) while it waits for the chain, VAULT_NOT_CONFIGURED where there is none."""
        vault = self.require()
        if vault is None:
            raise HuzhengError(Code.VAULT_NOT_CONFIGURED)
        return vault

    async def reopen(self, chain: ChainReader, has_caught_up: Callable[[], bool]) -> None:
        """Opens a restored vault as soon as the node has caught up; returns at once where there is nothing to do.

        What prevents it is logged and tried again every minute: a medium that is not mounted, say.
        """
        while self.is_restored:
            if not has_caught_up():
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            try:
                self.vault, done = await asyncio.to_thread(reopen_restored, self._config, chain)
                self.is_restored = False
                log.info("vault reopened", kept=done.kept, erased=done.erased)
            except HuzhengError as error:
                log.error("vault not reopened", code=error.code, detail=error.detail)
                await asyncio.sleep(RETRY_S)

    def close(self) -> None:
        """Lets another process open it. No other thread may be using it."""
        if self.vault is not None:
            self.vault.close()
            self.vault = None
