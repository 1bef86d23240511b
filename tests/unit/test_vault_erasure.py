"""What was erased can't be read by somebody who has everything but the old keyring; and no value is ever in clear on the disk."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import HuzhengError
from ledger.store.engine import Engine
from node.vault import layout
from node.vault.keyring import Keyring
from node.vault.keyring_file import KeyringFile
from node.vault.opening import DATABASE
from node.vault.persons import Person
from tests.vaults import entry_of, master_key, new_vault, open_vault, places_in, record_id, values_of

COUNT = 12
ERASED = 5
PERSON = Person("ID_CARD", "TESTPERSON00000042X", "李样本·SAMPLE")


def encodings(value: str) -> list[bytes]:
    """How a value may lie on a disk; base64 at each of its three alignments."""
    raw = [value.encode(), value.encode("utf-16-le"), value.encode("utf-16-be")]
    texts = [form for data in raw for form in (data.hex().encode(), data.hex().upper().encode())]
    texts += [base64.b64encode(bytes(skip) + data)[4:-4] for data in raw for skip in range(3)]
    return raw + texts


def in_clear(directory: Path, values: list[str]) -> list[tuple[str, str]]:
    """The files in which a value is found, and the value."""
    wanted = [(value, form) for value in values for form in encodings(value)]
    return [
        (path.name, value)
        for path in directory.rglob("*")
        if path.is_file()
        for data in [path.read_bytes()]
        for value, form in wanted
        if form in data
    ]


def everything_encrypted(database: Path) -> Iterator[tuple[bytes, bytes]]:
    """All entries in a copy of a database, whatever the vault would say of it."""
    engine = Engine.open(database, create=False)
    try:
        for kind in layout.ENCRYPTED:
            yield from engine.scan(kind, layout.after(kind))
    finally:
        engine.close()


def opened_by(keyring: Keyring, database: Path) -> set[bytes]:
    """The keys of entries that a keyring opens: each is tried with the key of every index of any entry."""
    entries = list(everything_encrypted(database))
    indices = [layout.parse(key, value).index for key, value in entries]
    opened = set()
    for key, value in entries:
        for index in indices:
            try:
                layout.decrypt(keyring, key, index.to_bytes(4, "big") + value[4:])
            except HuzhengError:
                continue
            opened.add(key)
    return opened


def keyring_in(path: Path, tmp_path: Path) -> Keyring:
    """The keyring in a file, opened with the master key."""
    return KeyringFile(path, None, master_key(tmp_path)).load().keyring


def test_an_old_copy_of_all_but_the_keyring_does_not_give_back_what_was_erased(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, COUNT)
    person = vault.persons.person_id(PERSON.document_type, PERSON.number, PERSON.name)
    places = places_in(tmp_path)
    vault.close()
    stolen = tmp_path / "stolen"
    shutil.copytree(places.directory, stolen)
    with open_vault(tmp_path) as vault:
        vault.erase([record_id(ERASED)])
        vault.persons.erase_person(person)

    everything = {layout.record_key(record_id(number)) for number in range(COUNT)}
    everything |= {key for key, _ in everything_encrypted(stolen / DATABASE)}
    gone = {key for key in everything if key.startswith(layout.PERSON)} | {layout.record_key(record_id(ERASED))}
    assert len(gone) == 2
    for current in (places.keyring_file, places.escrow):
        assert current
        assert opened_by(keyring_in(current, tmp_path), stolen / DATABASE) == everything - gone
    # This test would see it: the keyring as it was before opens all.
    assert opened_by(keyring_in(stolen / "keyring", tmp_path), stolen / DATABASE) == everything


def test_neither_the_vault_nor_its_second_copy_keeps_an_old_keyring(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, 2)
    old = places_in(tmp_path).keyring_file.read_bytes()
    vault.erase([record_id(0)])
    vault.close()
    names = {path.name for folder in ("vault", "medium") for path in (tmp_path / folder).iterdir()}
    assert names == {"entries", "keyring", "keyring.copy"}
    assert not any(old[-100:] in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_the_bytes_of_a_replaced_keyring_are_overwritten_where_they_lay(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, 2)
    with places_in(tmp_path).keyring_file.open("rb") as still_open:
        old = still_open.read()
        vault.erase([record_id(0)])
        still_open.seek(0)
        left = still_open.read()
    vault.close()
    assert len(left) == len(old)
    assert old[-64:] not in left
    assert old[:18] not in left


def test_no_value_is_in_clear_on_the_disk_at_any_time(tmp_path: Path) -> None:
    values = [value for number in range(COUNT) for value in values_of(number)] + [PERSON.number, PERSON.name]
    vault = new_vault(tmp_path, COUNT)
    salts = [field.salt for number in range(COUNT) for field in entry_of(number).fields]
    person = vault.persons.person_id(PERSON.document_type, PERSON.number, PERSON.name)
    vault.persons.rename(person, PERSON.name + "2")
    assert in_clear(tmp_path, values) == []
    vault.put(record_id(3), entry_of(3))
    with pytest.raises(HuzhengError):
        vault.put(record_id(3), entry_of(4))
    vault.put(record_id(50), entry_of(50, expires_ms=5))
    vault.confirm([record_id(50)])
    vault.backup(tmp_path / "backup")
    assert in_clear(tmp_path, [*values, *values_of(50)]) == []
    vault.erase([record_id(number) for number in range(6)])
    vault.persons.erase_person(person)
    vault.close()
    open_vault(tmp_path).close()
    assert in_clear(tmp_path, values) == []
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(form in data for data in files for salt in salts for form in (salt, salt.hex().encode()))


def test_the_search_for_values_finds_what_is_there(tmp_path: Path) -> None:
    for number, form in enumerate(encodings(PERSON.name)):
        (tmp_path / "file").write_bytes(b"before " + form + b" after")
        assert in_clear(tmp_path, [PERSON.name]), number


def test_ciphertexts_of_short_values_have_one_length(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    for name in ("王一", "欧阳样本"):
        vault.persons.person_id("ID_CARD", f"TEST{name}", name)
    vault.close()
    assert len({len(value) for _, value in everything_encrypted(places_in(tmp_path).database)}) == 1
