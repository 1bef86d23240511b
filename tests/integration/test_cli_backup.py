"""`huzheng backup`, `restore` and `vault` against a whole node, running and stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ledger.store import ChainStore
from node.config import load_config
from node.genesis_file import read_genesis
from node.network import Network
from node.vault.vault import Vault
from node.vault_config import open_vault, vault_places
from tests.builders import OBJECTION, objection_fields, unit_code
from tests.command_line import CommandLine, make_network, running_node, write_lines
from tests.vaults import entry_of, record_id


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A node with an empty chain and a value in its vault."""
    home = make_network(tmp_path / "net").nodes["planning"]
    config = load_config(home)
    ChainStore.open(config.node.data, read_genesis(config.node.genesis)).close()
    with open_vault(load_config(home)) or pytest.fail("no vault") as vault:
        vault.put(record_id(1), entry_of(1))
    return home


def test_a_running_node_is_backed_up_by_its_operator(network: Network, huzheng: CommandLine, tmp_path: Path) -> None:
    system = ("--profile", network.clients["planning"] / "system")
    lines = [{"resource": OBJECTION, "subject": unit_code(1), "fields": objection_fields(1)}]
    assert huzheng("submit", write_lines(tmp_path / "in.jsonl", lines), *system).status == 0
    operator = ("--profile", network.clients["planning"] / "operator")
    ran = huzheng("backup", "--to", tmp_path / "backup", "-o", "json", *operator)
    assert ran.status == 0, ran.err
    answer = ran.json
    manifest: dict[str, Any] = json.loads((tmp_path / "backup" / "backup.json").read_text())
    assert (answer["height"], answer["block_hash"]) == (manifest["height"], manifest["block_hash"])
    assert answer["height"] > 0
    assert answer["vault"] == {"records": 0, "persons": 0}
    ran = huzheng("backup", "--to", tmp_path / "backup", *operator)
    assert ran.status == 9
    assert "BACKUP_TARGET_USED" in ran.err
    ran = huzheng("backup", "--to", tmp_path / "other", "--profile", network.clients["planning"] / "clerk")
    assert ran.status == 7
    assert not (tmp_path / "other").exists()


def test_a_running_node_s_files_are_left_alone(network: Network, huzheng: CommandLine, tmp_path: Path) -> None:
    home = network.nodes["planning"]
    for words in (
        ("backup", "--to", tmp_path / "x", "--home", home),
        ("vault", "check", home),
        ("vault", "status", home),
        ("vault", "reapply", home),
        ("vault", "change-master-key", home, "--to", home / "node.toml"),
    ):
        ran = huzheng(*words)
        assert ran.status == 9, words
        assert "STORE_LOCKED" in ran.err
    ran = huzheng("vault", "create", home)
    assert "VAULT_EXISTS" in ran.err


def test_a_stopped_node_is_backed_up_and_restored(stopped: Path, huzheng: CommandLine, tmp_path: Path) -> None:
    assert huzheng("backup", "--to", tmp_path / "backup", "--home", stopped).status == 0
    kept = tmp_path / "safe"
    shutil.copytree(stopped / "keys", kept)
    shutil.copy(stopped / "vault" / "keyring", tmp_path / "keyring")
    shutil.rmtree(stopped)
    ran = huzheng("restore", tmp_path / "backup", stopped, "--keyring", tmp_path / "keyring", "-o", "json")
    assert ran.status == 0, ran.err
    answer = ran.json
    assert sorted(Path(path).name for path in answer["missing"]) == ["signing.key", "tls.crt", "tls.key", "vault.key"]
    for name in ("signing.key", "tls.crt", "tls.key", "vault.key"):
        shutil.copy(kept / name, stopped / "keys" / name)
    assert huzheng("vault", "status", stopped).status == 9
    assert huzheng("vault", "check", stopped).status == 9
    assert huzheng("vault", "reapply", stopped, "-o", "json").json == {
        "height": 0,
        "kept": 1,
        "erased": 0,
        "damaged": 0,
    }
    assert huzheng("vault", "status", stopped).status == 0
    with open_vault(load_config(stopped)) or pytest.fail("no vault") as vault:
        assert vault.get(record_id(1)) == entry_of(1)


def test_a_node_tells_what_is_missing_in_both_languages(stopped: Path, huzheng: CommandLine, tmp_path: Path) -> None:
    assert "已备份到" in huzheng("backup", "--to", tmp_path / "backup", "--home", stopped, "--lang", "zh").out
    keyring = tmp_path / "keyring"
    shutil.copy(stopped / "vault" / "keyring", keyring)
    for language, words in (("en", "Missing, put it back"), ("zh", "缺少，请在启动前放回")):
        ran = huzheng("restore", tmp_path / "backup", tmp_path / language, "--keyring", keyring, "--lang", language)
        assert ran.status == 0, ran.err
        assert words in ran.out
        assert "huzheng member propose" in ran.out


def test_another_master_key_opens_the_vault_once_the_keyring_is_sealed_under_it(
    stopped: Path, huzheng: CommandLine
) -> None:
    assert huzheng("vault", "new-key", stopped / "keys" / "new.key").status == 0
    assert huzheng("vault", "new-key", stopped / "keys" / "new.key").status == 9
    new = stopped / "node.toml.new"
    new.write_text((stopped / "node.toml").read_text().replace("keys/vault.key", "keys/new.key"))
    assert huzheng("vault", "change-master-key", stopped, "--to", new).status == 0
    ran = huzheng("vault", "check", stopped)
    assert "VAULT_LOCKED" in ran.err
    new.replace(stopped / "node.toml")
    ran = huzheng("vault", "check", stopped, "-o", "json")
    assert ran.status == 0
    elsewhere = stopped / "elsewhere.toml"
    elsewhere.write_text((stopped / "node.toml").read_text().replace('"vault"', '"vault2"'))
    assert "CONFIG_INVALID" in huzheng("vault", "change-master-key", stopped, "--to", elsewhere).err


def test_a_vault_is_made_for_a_node_that_has_none(stopped: Path, huzheng: CommandLine) -> None:
    shutil.rmtree(stopped / "vault")
    assert "VAULT_KEYRING_MISSING" in huzheng("vault", "status", stopped).err
    assert huzheng("vault", "create", stopped).status == 0
    assert huzheng("vault", "create", stopped).status == 9
    assert huzheng("vault", "status", stopped).status == 0


def test_a_restored_vault_is_reopened_by_the_node_that_has_caught_up(huzheng: CommandLine, tmp_path: Path) -> None:
    made = make_network(tmp_path / "net")
    home = made.nodes["planning"]
    with open_vault(load_config(home)) or pytest.fail("no vault") as vault:
        vault.put(record_id(1), entry_of(1))
        vault.backup(tmp_path / "values")
    shutil.rmtree(home / "vault" / "entries")

    Vault.restore(tmp_path / "values", vault_places(load_config(home)))
    system = ("--profile", made.clients["planning"] / "system")
    operator = ("--profile", made.clients["planning"] / "operator")
    refusals = 0
    with running_node(home):
        # It waits for a block that was certainly made after it started: the clocks' bound later, 5 s.
        for number in range(1, 1_000):
            lines = [{"resource": OBJECTION, "subject": unit_code(number), "fields": objection_fields(number)}]
            assert huzheng("submit", write_lines(tmp_path / f"{number}.jsonl", lines), *system).status == 0
            ran = huzheng("backup", "--to", tmp_path / f"backup-{number}", "-o", "json", *operator)
            if ran.status == 0:
                break
            assert "VAULT_RESTORED" in ran.err
            refusals += 1
    assert refusals
    assert ran.status == 0
    assert ran.json["vault"] == {"records": 1, "persons": 0}
    with open_vault(load_config(home)) or pytest.fail("no vault") as vault:
        assert vault.get(record_id(1)) == entry_of(1)
