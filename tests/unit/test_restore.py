"""A node made again from a backup: it never votes with its old key, and its vault gives out nothing that was erased since."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consensus.vote_log import ended_entry
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore
from node.config import load_config
from node.restore import Options, Restored, restore, with_consensus_key
from node.restore_vault import KeyringChoice, restore_vault
from node.seat import Seat
from node.seat_file import read_seat_file
from node.sharing.erasures import erased_on_chain
from node.vault.vault import Vault
from node.vault_config import master_key, open_vault, vault_places
from node.vault_restored import reapply_erasures, reopen_restored
from tests.backups import REPLICA, StoppedNode
from tests.vaults import entry_of


@pytest.fixture
def node(tmp_path: Path) -> StoppedNode:
    return StoppedNode.make(tmp_path / "node")


@pytest.fixture
def backup(node: StoppedNode, tmp_path: Path) -> Path:
    node.back_up(tmp_path / "backup")
    return tmp_path / "backup"


def bring_back(backup: Path, directory: Path, options: Options | None = None) -> Restored:
    return restore(backup, directory, options or Options(), lambda *_: None)


def code_of(caught: pytest.ExceptionInfo[HuzhengError]) -> Code:
    return caught.value.code


def second_copy(node: StoppedNode) -> Path:
    escrow = vault_places(node.config).escrow
    assert escrow is not None
    return escrow.resolve()


def erase(node: StoppedNode, *numbers: int) -> None:
    """Ordered on chain and carried out, as a running node does."""
    node.order_erasure(*numbers)
    with node.vault() as vault:
        vault.erase([node.record_id(number) for number in numbers])


def test_a_node_is_there_again_and_only_what_is_secret_was_needed(node: StoppedNode, backup: Path) -> None:
    restored = bring_back(backup, node.lose())
    assert restored.missing == ()
    config = load_config(node.directory)
    assert config == restored.config
    with node.store() as store:
        assert (store.tip.height, store.tip.block_hash.hex()) == (
            restored.manifest.height,
            restored.manifest.block_hash,
        )
    assert vault_places(config).database.is_dir()


def test_the_restored_node_has_a_fresh_key_and_what_proposes_it(node: StoppedNode, backup: Path) -> None:
    restored = bring_back(backup, node.lose())
    config = load_config(node.directory)
    assert config.node.consensus_key == config.node.next_consensus_key == restored.key
    seat = read_seat_file(restored.seat, node.consortium.genesis, datetime.now(UTC))
    assert seat.replaces_key
    assert seat.consensus_key not in {it.public_key.hex() for it in node.consortium.replica_signers.values()}


def test_the_old_key_signs_nothing_in_a_restored_node_though_it_is_put_back(node: StoppedNode, backup: Path) -> None:
    bring_back(backup, node.lose())
    signer = node.consortium.replica_signers[REPLICA]
    with node.store() as store:
        assert store.votes() == [ended_entry(signer.public_key)]
        seat = Seat(node.consortium.genesis, store, REPLICA, {signer.public_key: signer})
        core = seat.take(0, at_start=True)
        assert core.membership.member(REPLICA) is not None
        assert not core.may_vote
        ready = core.ready()
        assert not ready.votes


def test_the_vault_opens_only_after_all_erasures_on_chain(node: StoppedNode, backup: Path) -> None:
    erase(node, 1)
    chain = node.directory.parent / "chain"
    shutil.copytree(node.directory / "data", chain)
    bring_back(backup, node.lose())
    with pytest.raises(HuzhengError) as caught:
        node.vault()
    assert code_of(caught) is Code.VAULT_RESTORED
    caught_up = ChainStore.open(chain, node.consortium.genesis, create=False)
    vault, done = reopen_restored(node.config, caught_up)
    caught_up.close()
    with vault:
        assert (done.kept, done.erased) == (2, 1)
        assert vault.get(node.record_id(0)) == entry_of(0)
        assert vault.get(node.record_id(1)) is None
        assert vault.is_erased(node.record_id(1))
    # From then on it opens like any other.
    node.vault().close()


def test_what_was_ordered_after_the_machine_was_lost_is_erased_too(node: StoppedNode, backup: Path) -> None:
    """The keyring still opens it: only the chain knows of the order."""
    chain = node.directory.parent / "chain"
    node.order_erasure(2)
    shutil.copytree(node.directory / "data", chain)
    bring_back(backup, node.lose())
    with node.store() as behind:
        assert list(erased_on_chain(behind)) == []
    caught_up = ChainStore.open(chain, node.consortium.genesis, create=False)
    vault, done = reopen_restored(node.config, caught_up)
    caught_up.close()
    with vault:
        assert (done.kept, done.erased) == (2, 1)
        assert vault.get(node.record_id(2)) is None
        assert vault.is_erased(node.record_id(2))


def test_only_the_owner_s_orders_count(node: StoppedNode) -> None:
    node.order_erasure(0, 2)
    node.order_erasure(1, department="tax")
    # A record that is not on chain.
    node.order_erasure(7)
    with node.store() as store:
        assert sorted(item.record_id for item in erased_on_chain(store)) == sorted(
            [node.record_id(0), node.record_id(2)]
        )


def test_the_keyring_comes_from_its_second_copy(node: StoppedNode, backup: Path) -> None:
    escrow = second_copy(node)
    newest = escrow.read_bytes()
    bring_back(backup, node.lose())
    assert vault_places(node.config).keyring_file.read_bytes() == newest
    assert escrow.read_bytes() == newest


def test_without_any_keyring_nothing_is_restored_unless_the_values_are_given_up(
    node: StoppedNode, backup: Path
) -> None:
    second_copy(node).unlink()
    place = node.lose()
    before = sorted(place.rglob("*"))
    with pytest.raises(HuzhengError) as caught:
        bring_back(backup, place)
    assert code_of(caught) is Code.VAULT_KEYRING_MISSING
    assert sorted(path for path in place.rglob("*") if path.is_file()) == [path for path in before if path.is_file()]
    restored = bring_back(backup, place, Options(without_vault=True))
    assert not restored.has_vault
    with node.store() as store:
        assert store.tip.height == restored.manifest.height
    # A new one begins empty.
    Vault.create(vault_places(node.config), master_key(node.config))


def test_a_keyring_that_is_older_than_the_backup_is_noticed(node: StoppedNode, tmp_path: Path) -> None:
    places = vault_places(node.config)
    stale = tmp_path / "stale"
    shutil.copy(places.keyring_file, stale)
    erase(node, 1)
    node.back_up(tmp_path / "backup")
    second_copy(node).unlink()
    place = node.lose()
    with pytest.raises(HuzhengError) as caught:
        bring_back(tmp_path / "backup", place, Options(keyring=stale))
    assert code_of(caught) is Code.VAULT_ROLLED_BACK
    assert not (place / "node.toml").exists()
    assert not (place / "vault" / "keyring").exists()
    bring_back(tmp_path / "backup", place, Options(keyring=stale, accepts_old_keyring=True))
    with node.store() as store:
        # A node that starts by itself does not take it either.
        with pytest.raises(HuzhengError) as caught:
            reopen_restored(node.config, store)
        assert code_of(caught) is Code.VAULT_ROLLED_BACK
        reapply_erasures(node.config, store, accepts_old_keyring=True)
    with node.vault() as vault:
        assert vault.get(node.record_id(0)) == entry_of(0)
        assert vault.get(node.record_id(1)) is None


def test_a_keyring_that_is_older_than_its_second_copy_is_noticed(
    node: StoppedNode, backup: Path, tmp_path: Path
) -> None:
    stale = tmp_path / "stale"
    shutil.copy(vault_places(node.config).keyring_file, stale)
    erase(node, 1)
    with pytest.raises(HuzhengError) as caught:
        bring_back(backup, node.lose(), Options(keyring=stale))
    assert code_of(caught) is Code.VAULT_ROLLED_BACK


def test_the_keyring_of_another_vault_is_refused_as_such_though_it_is_older_too(
    node: StoppedNode, tmp_path: Path
) -> None:
    erase(node, 1)
    backup = tmp_path / "backup"
    node.back_up(backup)
    other = StoppedNode.make(tmp_path / "other" / "node", records=0)
    with pytest.raises(HuzhengError) as caught:
        bring_back(backup, node.lose(), Options(keyring=other.directory / "vault" / "keyring"))
    assert code_of(caught) is Code.VAULT_FOREIGN


@pytest.mark.parametrize(
    "used", ["node.toml", "genesis.bin", "data", "data.evidence.jsonl", "seat.json", "vault/entries"]
)
def test_a_used_directory_is_refused(node: StoppedNode, backup: Path, used: str) -> None:
    place = node.lose()
    (place / used).mkdir(parents=True)
    with pytest.raises(HuzhengError) as caught:
        bring_back(backup, place)
    assert code_of(caught) is Code.BACKUP_TARGET_USED
    assert used == "node.toml" or not (place / "node.toml").exists()


def test_a_damaged_backup_restores_nothing(node: StoppedNode, backup: Path) -> None:
    victim = backup / "files" / "node.toml"
    victim.write_text(victim.read_text().replace("7102", "7103"))
    place = node.lose()
    with pytest.raises(HuzhengError) as caught:
        bring_back(backup, place)
    assert code_of(caught) is Code.BACKUP_INVALID
    assert [path.name for path in place.iterdir()] == ["keys"]


def test_missing_files_are_listed(node: StoppedNode, backup: Path) -> None:
    place = node.lose()
    (place / "keys" / "tls.key").unlink()
    (place / "keys" / "vault.key").unlink()
    restored = bring_back(backup, place)
    assert restored.missing == (place / "keys" / "tls.key", place / "keys" / "vault.key")


def test_a_restored_node_can_be_backed_up_only_once_its_vault_is_open(node: StoppedNode, backup: Path) -> None:
    bring_back(backup, node.lose())
    with pytest.raises(HuzhengError) as caught:
        open_vault(node.config)
    assert code_of(caught) is Code.VAULT_RESTORED
    with node.store() as store:
        reopen_restored(node.config, store)[0].close()
    again = node.back_up(backup.with_name("again"))
    assert again.vault is not None
    assert again.vault.records == 3


def test_the_key_is_exchanged_wherever_it_stands_in_the_text() -> None:
    text = '[node]\n  consensus_key="a"  # old\nnext_consensus_key = "b"\nreplica = 1\n[tls]\nkey = "c"'
    changed = with_consensus_key(text, "keys/new.key")
    assert changed == (
        '[node]\nconsensus_key = "keys/new.key"\nnext_consensus_key = "keys/new.key"\nreplica = 1\n[tls]\nkey = "c"'
    )


@pytest.mark.parametrize(
    "text",
    [
        'node = { consensus_key = "a" }',
        '[node]\nx = """\nconsensus_key = 1\n"""\nconsensus_key = "a"',
        '[node]\n"consensus_key" = "a"',
    ],
)
def test_a_text_in_which_it_is_not_to_be_found_is_refused(text: str) -> None:
    with pytest.raises(HuzhengError) as caught:
        with_consensus_key(text, "keys/new.key")
    assert code_of(caught) is Code.CONFIG_INVALID


def test_a_vault_alone_is_restored_beside_a_chain_that_is_well(node: StoppedNode, backup: Path) -> None:
    erase(node, 1)
    shutil.rmtree(node.directory / "vault" / "entries")
    restore_vault(backup, node.config, KeyringChoice(), lambda *_: None)
    with node.store() as store:
        assert store.votes() != []
        vault, _ = reopen_restored(node.config, store)
    with vault:
        assert [vault.get(node.record_id(number)) for number in range(3)] == [entry_of(0), None, entry_of(2)]
    with pytest.raises(HuzhengError) as caught:
        restore_vault(backup, node.config, KeyringChoice(), lambda *_: None)
    assert code_of(caught) is Code.VAULT_EXISTS
