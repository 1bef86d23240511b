"""Backups of a node: what is in one, what never is, and that nothing wrong passes for one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from consensus.vote_log import ended_entry
from ledger.chain_check import verify_chain
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore, chain_copy, layout
from ledger.store.chain_copy import copy_chain
from ledger.store.engine import Engine
from ledger.transaction import check_transaction
from node.backup import Source, make_backup
from node.backup_manifest import read_manifest, verify_files
from tests.backups import REPLICA, StoppedNode
from tests.expunging import Marked, order
from tests.vaults import entry_of, values_of


@pytest.fixture
def node(tmp_path: Path) -> StoppedNode:
    return StoppedNode.make(tmp_path / "node")


def code_of(caught: pytest.ExceptionInfo[HuzhengError]) -> Code:
    return caught.value.code


def chain_in(backup: Path, node: StoppedNode, aside: Path) -> ChainStore:
    """The backup's chain, opened in a copy."""
    shutil.copytree(backup / "chain", aside)
    return ChainStore.open(aside, node.consortium.genesis, create=False)


def test_a_backup_has_the_chain_and_says_which(node: StoppedNode, tmp_path: Path) -> None:
    manifest = node.back_up(tmp_path / "backup")
    with node.store() as store:
        assert (manifest.height, bytes.fromhex(manifest.block_hash)) == (store.tip.height, store.tip.block_hash)
    copy = chain_in(tmp_path / "backup", node, tmp_path / "aside")
    assert verify_chain(copy, node.consortium.genesis).entries == manifest.entries
    copy.close()
    assert read_manifest(tmp_path / "backup") == manifest
    verify_files(tmp_path / "backup", manifest, lambda *_: None)


def test_a_backup_has_no_votes_and_says_that_the_key_has_ended(node: StoppedNode, tmp_path: Path) -> None:
    node.back_up(tmp_path / "backup")
    copy = chain_in(tmp_path / "backup", node, tmp_path / "aside")
    assert copy.votes() == [ended_entry(node.consortium.replica_signers[REPLICA].public_key)]
    copy.close()
    with node.store() as store:
        assert store.votes() != []


def test_no_secret_is_in_a_backup(node: StoppedNode, tmp_path: Path) -> None:
    keyring = (node.directory / "vault" / "keyring").read_bytes()
    node.back_up(tmp_path / "backup")
    everything = b"".join(path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file())
    for secret in (b"SECRET", b"k" * 32, b"what was voted", keyring[-64:], *values_of(1)):
        assert (secret if isinstance(secret, bytes) else secret.encode()) not in everything
    # What does stand there in plain text is found this way.
    assert node.consortium.genesis.chain_id in everything
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "backup").iterdir() if path.is_dir())


def test_what_was_removed_is_in_no_backup_even_before_it_has_left_the_files(node: StoppedNode, tmp_path: Path) -> None:
    marked, genesis, backup = Marked(node.consortium.genesis, 70), node.consortium.genesis, tmp_path / "backup"
    raw = node.consortium.transaction([marked.record], nonce=70)
    with node.store() as store, node.vault() as vault:
        node.add_block(store, raw)
        node.add_block(store, order(node.consortium, [check_transaction(raw, genesis).id]))
        make_backup(Source(node.config, genesis, store, vault), backup, lambda *_: None)
        assert store.is_scrub_due
        assert marked.files_with_it(node.directory / "data")
    assert not marked.files_with_it(backup)
    copy = chain_in(backup, node, tmp_path / "aside")
    verify_chain(copy, genesis)
    assert [key[:1] for key, _ in copy.entries() if key[:1] in (layout.ORDERED, layout.SCRUB)] == [layout.ORDERED]
    assert not copy.lacks_payloads
    copy.close()


def test_an_older_backup_loses_what_was_removed_since_with_the_block_that_says_so(
    node: StoppedNode, tmp_path: Path
) -> None:
    marked, backup, aside = Marked(node.consortium.genesis, 70), tmp_path / "backup", tmp_path / "aside"
    raw = node.consortium.transaction([marked.record], nonce=70)
    with node.store() as store:
        node.add_block(store, raw)
    node.back_up(backup)
    copy = chain_in(backup, node, aside)
    assert marked.files_with_it(aside)
    node.add_block(copy, order(node.consortium, [check_transaction(raw, node.consortium.genesis).id]))
    copy.scrub()
    assert not marked.files_with_it(aside)
    verify_chain(copy, node.consortium.genesis)
    copy.close()


def test_the_node_goes_on_while_it_is_backed_up(node: StoppedNode, tmp_path: Path) -> None:
    steps = []

    with node.store() as store, node.vault() as vault:
        before = store.tip.height

        def on_progress(step: str, done: int, total: int) -> None:
            if step not in steps:
                steps.append(step)
                number = 50 + len(steps)
                node.add_block(store, node.consortium.transaction([node.consortium.record(number)], nonce=number))
                vault.put(node.record_id(number), entry_of(number))

        source = Source(node.config, node.consortium.genesis, store, vault)
        manifest = make_backup(source, tmp_path / "backup", on_progress)
        assert store.tip.height == before + len(steps) > manifest.height
    assert steps == ["vault", "digests"]
    chain_in(tmp_path / "backup", node, tmp_path / "aside").close()


def test_a_copy_is_of_one_moment(node: StoppedNode, tmp_path: Path) -> None:
    with node.store() as store:
        for number in range(100, 500):
            node.add_block(store, node.consortium.transaction([node.consortium.record(number)], nonce=number))
        seen: list[tuple[int, int]] = []

        def on_entries(done: int, total: int) -> None:
            seen.append((done, total))
            number = 600 + len(seen)
            node.add_block(store, node.consortium.transaction([node.consortium.record(number)], nonce=number))

        height = store.tip.height
        copied = copy_chain(store, node.consortium.genesis, tmp_path / "copy", lambda _: [], on_entries)
        assert copied.tip.height == height < store.tip.height
    assert seen
    assert all(done <= total for done, total in seen)
    copy = ChainStore.open(tmp_path / "copy", node.consortium.genesis, create=False)
    assert verify_chain(copy, node.consortium.genesis).height == height
    copy.close()


def test_a_copy_that_lost_a_write_is_told(node: StoppedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_a_write(directory: Path) -> None:
        engine = Engine.open(directory, create=False)
        batch = engine.batch()
        batch.delete(layout.block_key(1))
        batch.write()
        engine.close()

    monkeypatch.setattr(chain_copy, "_sync_all", lose_a_write)
    with pytest.raises(HuzhengError) as caught:
        node.back_up(tmp_path / "backup")
    assert code_of(caught) is Code.STORE_WRITE_FAILED
    assert not (tmp_path / "backup").exists()


def test_a_backup_is_never_written_over_anything(node: StoppedNode, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "letter.txt").write_text("dear")
    for target in (tmp_path / "used", tmp_path / "used" / "letter.txt", node.directory / "data" / "x", node.directory):
        with pytest.raises(HuzhengError) as caught:
            node.back_up(target)
        assert code_of(caught) is Code.BACKUP_TARGET_USED
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("existed", [False, True])
def test_what_was_begun_is_removed_if_it_fails(node: StoppedNode, tmp_path: Path, existed: bool) -> None:
    target = tmp_path / "backup"
    if existed:
        target.mkdir()

    def give_up(step: str, done: int, total: int) -> None:
        if step == "digests":
            raise HuzhengError(Code.INTERRUPTED)

    with node.store() as store, node.vault() as vault:
        source = Source(node.config, node.consortium.genesis, store, vault)
        with pytest.raises(HuzhengError) as caught:
            make_backup(source, target, give_up)
    assert code_of(caught) is Code.INTERRUPTED
    assert target.exists() is existed
    assert not existed or not list(target.iterdir())


@pytest.mark.parametrize("harm", ["flip", "shorten", "remove", "add", "no manifest", "bad manifest"])
def test_a_damaged_backup_is_told(node: StoppedNode, tmp_path: Path, harm: str) -> None:
    backup = tmp_path / "backup"
    node.back_up(backup)
    victim = max((backup / "chain").iterdir(), key=lambda path: path.stat().st_size)
    data = victim.read_bytes()
    if harm == "flip":
        victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "shorten":
        victim.write_bytes(data[:-1])
    elif harm == "remove":
        victim.unlink()
    elif harm == "add":
        (backup / "vault" / "more").write_bytes(b"")
    elif harm == "no manifest":
        (backup / "backup.json").unlink()
    else:
        (backup / "backup.json").write_text("{}")
    with pytest.raises(HuzhengError) as caught:
        verify_files(backup, read_manifest(backup), lambda *_: None)
    assert code_of(caught) is Code.BACKUP_INVALID
