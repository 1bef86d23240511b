"""The vault of a running node: open from the start, or as soon as what prevents it is over. The node votes meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from ledger.errors import Code, HuzhengError
from ledger.store import ChainReader
from node.config import NodeConfig
from node.vault.master_key import MasterKey
from node.vault.token_key import PinRefusedError
from node.vault.vault import Vault
from node.vault_config import master_key, open_vault
from node.vault_restored import reopen_restored

log = structlog.get_logger("vault")

LOOK_EVERY_S = 1.0
RETRY_S = 60.0


class NodeVault:
    """Holds it. `vault` is None while it can't be used, or where the node has none."""

    def __init__(self, config: NodeConfig) -> None:
        """Opens the vault that the configuration names. What prevents it is logged, and `reopen` opens it later.

        Raises:
            HuzhengError: as `open_vault`, where somebody at a terminal has just been asked for the passphrase.
        """
        self._config = config
        self.vault: Vault | None = None
        self.trouble: HuzhengError | None = None
        """Why it is not open; VAULT_RESTORED while it waits for the chain."""
        self._refused: MasterKey | None = None
        """What a token was tried with in vain, its PIN above all."""
        try:
            with self._a_pin_but_once():
                self.vault = open_vault(config)
        except HuzhengError as error:
            is_typed = config.vault is not None and config.vault.passphrase and sys.stdin.isatty()
            if is_typed and error.code is not Code.VAULT_RESTORED:
                raise
            self._note(error)

    def require(self) -> Vault | None:
        """The vault, None where the node has none. Raises HuzhengError(VAULT_CLOSED) while it can't be used."""
        if self.trouble is not None:
            raise HuzhengError(Code.VAULT_CLOSED, str(self.trouble.code))
        return self.vault

    def require_one(self) -> Vault:
        """The vault. Raises HuzhengError(VAULT_CLOSED) while it can't be used, VAULT_NOT_CONFIGURED where there is none."""
        vault = self.require()
        if vault is None:
            raise HuzhengError(Code.VAULT_NOT_CONFIGURED)
        return vault

    async def reopen(self, chain: ChainReader, has_caught_up: Callable[[], bool]) -> None:
        """Opens a vault that is closed, a restored one as soon as the node has caught up; returns once it is open.

        What prevents it is logged and tried again every minute: a medium that is not mounted, say.
        """
        while self.trouble is not None:
            is_restored = self.trouble.code is Code.VAULT_RESTORED
            if is_restored and not has_caught_up():
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            try:
                await asyncio.to_thread(self._reapply_and_open if is_restored else self._open, chain)
                self.trouble = None
            except HuzhengError as error:
                if is_restored:
                    # It stays restored, whatever else is the matter.
                    log.error("vault not reopened", code=error.code, detail=error.detail)
                else:
                    self._note(error)
                await asyncio.sleep(RETRY_S)
            except Exception as error:
                log.error("internal error", exc_info=error)
                await asyncio.sleep(RETRY_S)

    def _open(self, _chain: ChainReader) -> None:
        with self._a_pin_but_once():
            self.vault = open_vault(self._config)
        log.info("vault opened")

    def _reapply_and_open(self, chain: ChainReader) -> None:
        with self._a_pin_but_once():
            self.vault, done = reopen_restored(self._config, chain)
        log.info("vault reopened", kept=done.kept, erased=done.erased)

    @contextmanager
    def _a_pin_but_once(self) -> Iterator[None]:
        """Tokens lock themselves, some for good: a PIN that was refused is not tried again, but another one is."""
        has_token = self._config.vault is not None and self._config.vault.token is not None
        key = master_key(self._config) if has_token else None
        if key is not None and key == self._refused:
            raise HuzhengError(Code.VAULT_TOKEN, "its PIN was refused, and is not tried again")
        try:
            yield
        except PinRefusedError:
            self._refused = key
            raise

    def _note(self, error: HuzhengError) -> None:
        self.trouble = error
        if error.code is Code.VAULT_RESTORED:
            log.warning("vault waits for the chain", detail=error.detail)
        else:
            log.error("vault not opened", code=error.code, detail=error.detail)

    def close(self) -> None:
        """Lets another process open it. No other thread may be using it."""
        if self.vault is not None:
            self.vault.close()
            self.vault = None
