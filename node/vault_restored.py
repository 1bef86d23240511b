"""Opens a vault that was restored: first all that the chain has ordered to be erased is erased in it again.

That needs the chain as it is now, so a node does it once it has caught up; until then it gives no values out.
"""

from __future__ import annotations

from ledger.errors import Code, HuzhengError
from ledger.genesis import Parameters
from ledger.store import ChainReader
from node.config import NodeConfig
from node.sharing.erasures import erased_on_chain
from node.vault.opening import Reapplied
from node.vault.status import inspect
from node.vault.vault import Vault
from node.vault_config import master_key, open_vault, vault_places


def reapply_erasures(
    config: NodeConfig, chain: ChainReader, *, accepts_old_keyring: bool = False, gives_up_damaged: bool = False
) -> Reapplied:
    """Makes a restored vault, which is not open, fit to be opened by a chain that has caught up.

    `accepts_old_keyring`: though it is older than the database. What was erased since without an order on chain, such as persons, comes back.

    Raises:
        HuzhengError: VAULT_ROLLED_BACK unless that is accepted, or where the second copy of the keyring is newer; as `Vault.reapply`.
    """
    places = vault_places(config)
    status = inspect(places)
    if status.is_rolled_back and not accepts_old_keyring:
        generations = f"it is of generation {status.keyring_generation}, the database of {status.generation}"
        raise HuzhengError(Code.VAULT_ROLLED_BACK, f"{places.keyring_file}: {generations}")
    erased = [item.record_id for item in erased_on_chain(chain)]
    return Vault.reapply(places, master_key(config), erased, give_up_damaged=gives_up_damaged)


def reopen_restored(config: NodeConfig, chain: ChainReader) -> tuple[Vault, Reapplied]:
    """Applies all erasures on chain to a restored vault and opens it. Blocks on the disk; to be called once the node has caught up.

    Raises:
        HuzhengError: as `reapply_erasures` and `Vault.open`; CONFIG_INVALID if the node has no vault.
    """
    reapplied = reapply_erasures(config, chain)
    vault = open_vault(config)
    if vault is None:
        raise HuzhengError(Code.CONFIG_INVALID, f"{config.file}\n[vault]: missing section")
    return vault, reapplied


def has_caught_up(block_time_ms: int, now_ms: int, started_ms: int, parameters: Parameters) -> bool:
    """Whether the stored chain has all that was ordered before the node started, and its last block is as young as one is while it works.

    What peers say of their heights proves nothing, a certified block's time does, as far as clocks may differ. What was ordered later is
    carried out as for any vault. Times are of the network's clock, in ms.
    """
    made_since = block_time_ms > started_ms + parameters.clock_bound_ms
    return made_since and now_ms - block_time_ms < _HEARTBEATS * parameters.heartbeat_ms


_HEARTBEATS = 3
