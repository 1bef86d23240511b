"""A person has one random id in a vault until it is erased, and another one afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from node.vault.persons import Person
from node.vault.vault import Vault
from tests.vaults import new_vault, open_vault

ONE = ("ID_CARD", "TEST0000000000001X", "王样本")
TWO = ("ID_CARD", "TEST0000000000002X", "李样本")


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with new_vault(tmp_path) as vault:
        yield vault


def code_of(action: Callable[[], object]) -> Code:
    """The code of the error that an action ends with."""
    with pytest.raises(HuzhengError) as raised:
        action()
    assert not any(value in str(raised.value) for value in (*ONE[1:], *TWO[1:]))
    return raised.value.code


def test_a_document_has_one_id_and_an_id_one_holder_also_after_reopening(tmp_path: Path) -> None:
    with new_vault(tmp_path) as vault:
        one, two = vault.persons.person_id(*ONE), vault.persons.person_id(*TWO)
        assert one != two
        assert (len(one), one.lower(), one.isalnum()) == (26, one, True)
        assert vault.persons.person_id(*ONE) == one
    with open_vault(tmp_path) as vault:
        assert vault.persons.person_id(*ONE) == one
        assert vault.persons.find(*TWO[:2]) == two
        assert vault.persons.person(one) == Person(*ONE)


def test_ids_tell_nothing_and_differ_between_vaults(tmp_path: Path) -> None:
    ids = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with new_vault(tmp_path / name) as vault:
            ids.add(vault.persons.person_id(*ONE))
    assert len(ids) == 2


def test_width_and_case_of_a_number_do_not_make_another_person(vault: Vault) -> None:
    one = vault.persons.person_id(*ONE)
    assert vault.persons.person_id(ONE[0], "ｔｅｓｔ0000000000001x ", ONE[2]) == one
    assert vault.persons.person_id("PASSPORT", ONE[1], ONE[2]) != one


def test_type_and_number_are_told_apart(vault: Vault) -> None:
    assert vault.persons.person_id("A", "BC", "样本") != vault.persons.person_id("AB", "C", "样本")


def test_many_are_found_or_made_at_once_in_their_order(vault: Vault) -> None:
    two = vault.persons.person_id(*TWO)
    ids = vault.persons.person_ids([Person(*ONE), Person(*TWO), Person(*ONE)])
    assert ids[1] == two
    assert ids[0] == ids[2] == vault.persons.person_id(*ONE)


def test_another_name_for_a_document_is_an_error_until_the_person_is_renamed(vault: Vault) -> None:
    one = vault.persons.person_id(*ONE)
    assert code_of(lambda: vault.persons.person_id(ONE[0], ONE[1], "另一名")) is Code.VAULT_CONFLICT
    both = [Person("ID_CARD", "TEST3", "甲"), Person("ID_CARD", "TEST3", "乙")]
    assert code_of(lambda: vault.persons.person_ids(both)) is Code.VAULT_CONFLICT
    assert vault.persons.find("ID_CARD", "TEST3") is None
    vault.persons.rename(one, "另一名")
    assert vault.persons.person_id(ONE[0], ONE[1], "另一名") == one


def test_an_erased_person_is_nobody_and_the_document_gets_another_id(tmp_path: Path) -> None:
    with new_vault(tmp_path) as vault:
        one, two = vault.persons.person_id(*ONE), vault.persons.person_id(*TWO)
        assert vault.persons.erase_person(one)
        assert not vault.persons.erase_person(one)
        assert vault.persons.person(one) is None
        assert vault.persons.find(*ONE[:2]) is None
        assert code_of(lambda: vault.persons.rename(one, "某")) is Code.NOT_FOUND
    with open_vault(tmp_path) as vault:
        assert vault.persons.find(*ONE[:2]) is None
        assert vault.persons.person_id(*ONE) not in (one, two)
        assert vault.persons.person_id(*TWO) == two


def test_an_id_is_not_given_out_while_its_erasure_is_not_finished(tmp_path: Path) -> None:
    with new_vault(tmp_path) as vault:
        one = vault.persons.person_id(*ONE)
        (tmp_path / "medium").rename(tmp_path / "taken out")
        assert code_of(lambda: vault.persons.erase_person(one)) is Code.VAULT_ESCROW
        assert code_of(lambda: vault.persons.person_id(*ONE)) is Code.VAULT_ESCROW
        (tmp_path / "taken out").rename(tmp_path / "medium")
        assert vault.persons.person_id(*ONE) != one


@pytest.mark.parametrize("text", ["", "a" * 25, "a" * 27, "a" * 25 + "b", "A" * 26, "a" * 25 + "1", "a" * 25 + "é"])
def test_what_is_no_id_is_refused(vault: Vault, text: str) -> None:
    assert code_of(lambda: vault.persons.person(text)) is Code.INVALID_REQUEST


@pytest.mark.parametrize(
    "person", [("", "1", "n"), ("t", " ", "n"), ("t", "1", ""), ("t", "1" * 257, "n"), ("t", "1", "\udc00")]
)
def test_a_person_without_a_type_a_number_or_a_name_is_refused(vault: Vault, person: tuple[str, str, str]) -> None:
    assert code_of(lambda: vault.persons.person_id(*person)) is Code.INVALID_REQUEST


def test_no_repr_shows_a_person(vault: Vault) -> None:
    vault.persons.person_id(*ONE)
    shown = repr(Person(*ONE)) + repr(vault.persons)
    assert not any(value in shown for value in ONE)
