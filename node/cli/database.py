"""Opens a stopped node's database for commands that read it whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.store import ChainStore
from node.genesis_file import read_genesis


@contextmanager
def open_database(home: Path | None, data: Path | None, genesis: Path | None) -> Iterator[tuple[ChainStore, Genesis]]:
    """The database of the node in `home`, or that in `data`; a genesis given overrides the node's own.

    Raises:
        HuzhengError: INVALID_REQUEST, of the configuration, of the genesis, of the store.
    """
    if (home is None) == (data is None):
        raise HuzhengError(Code.INVALID_REQUEST, "either --home or --data is needed")
    if home is not None:
        from node.config import load_config

        config = load_config(home)
        data, genesis = config.node.data, genesis or config.node.genesis
    if data is None or genesis is None:
        raise HuzhengError(Code.INVALID_REQUEST, "--data needs --genesis")
    trusted = read_genesis(genesis)
    store = ChainStore.open(data, trusted, create=False)
    try:
        yield store, trusted
    finally:
        store.close()
