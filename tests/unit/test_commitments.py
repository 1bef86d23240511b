"""Commitments to confidential fields, and records that hold them (docs/protocol.md P1)."""

from __future__ import annotations

from typing import Any

import pytest
from huzheng.v1 import transaction_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.building import build_record
from ledger.commitments import SecretField, commitment, confidential_root, paths, place_of, secret_fields
from ledger.crypto import ED25519_SHA256, strict
from ledger.errors import Code, HuzhengError
from tests.builders import OBJECTION, objection_fields, unit_code
from tests.confidential import DWELLING, NOTE, OWNER, PLOT, PRICE, PUBLIC, SHARE, SINCE, VALUES, compiled, consortium
from tests.naive import confidential as naive
from tests.vectors import load

SUITE = ED25519_SHA256
CONSORTIUM = consortium()

secrets = st.lists(
    st.tuples(st.integers(1, 1023), st.text(max_size=40), st.binary(min_size=16, max_size=16)),
    min_size=1,
    max_size=64,
    unique_by=lambda secret: secret[0],
).map(sorted)


@pytest.mark.parametrize("case", load("confidential.json")["commitments"], ids=lambda case: case["name"])
def test_commitment_vectors(case: dict[str, Any]) -> None:
    fields = [SecretField(one["number"], one["value"], bytes.fromhex(one["salt"])) for one in case["fields"]]
    assert [commitment(SUITE, secret).hex() for secret in fields] == [one["commitment"] for one in case["fields"]]
    assert confidential_root(SUITE, fields).hex() == case["root"]
    ways = paths(SUITE, fields, {secret.number for secret in fields})
    assert {number: [node.hex() for node in way] for number, way in ways.items()} == {
        one["number"]: one["path"] for one in case["fields"]
    }


@given(secrets)
def test_roots_and_paths_are_those_of_the_rule_read_word_by_word(drawn: list[naive.Secret]) -> None:
    fields = [SecretField(*secret) for secret in drawn]
    assert confidential_root(SUITE, fields) == naive.root(drawn)
    ways = paths(SUITE, fields, [secret.number for secret in fields])
    assert list(ways.values()) == [naive.path(place, drawn) for place in range(len(drawn))]


@given(secrets, st.data())
def test_each_path_leads_from_its_leaf_and_no_other_to_the_root(drawn: list[naive.Secret], data: st.DataObject) -> None:
    fields = [SecretField(*secret) for secret in drawn]
    root, shown = confidential_root(SUITE, fields), data.draw(st.sampled_from(fields))
    for place, other in enumerate(fields):
        way = paths(SUITE, fields, {shown.number})[shown.number]
        try:
            found = merkle.root_from_path(SUITE, commitment(SUITE, other), place, len(fields), way)
        except HuzhengError:
            found = b""
        assert (found == root) == (other is shown)


def test_all_confidential_fields_of_the_schema_have_a_leaf_with_a_salt_of_its_own() -> None:
    built = secret_fields(compiled(), VALUES)
    assert [secret.number for secret in built] == [OWNER, PRICE, SINCE, NOTE, SHARE]
    assert [secret.value for secret in built] == [*VALUES.values(), ""]
    assert {len(secret.salt) for secret in built} == {16}
    again = secret_fields(compiled(), VALUES)
    assert len({secret.salt for secret in (*built, *again)}) == 10


def test_values_are_taken_as_people_write_them_and_kept_in_canonical_form() -> None:
    values = {"OWNER": "李四", "PRICE": 7, "SINCE": " 2021-01-31 ", "NOTE": None}
    built = secret_fields(compiled(), values)  # type: ignore[arg-type]
    assert [secret.value for secret in built] == ["李四", "7", "2021-01-31", "", ""]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"PRICE": "1"}, Code.MISSING_FIELD),
        ({"OWNER": "", "PRICE": "1"}, Code.BAD_FIELD),
        ({"OWNER": "张三\u202e", "PRICE": "1"}, Code.BAD_FIELD),
        ({"OWNER": "张三", "PRICE": "1.234"}, Code.BAD_FIELD),
        ({**VALUES, "KIND": "flat"}, Code.UNKNOWN_FIELD),
        ({**VALUES, "NOBODY": "x"}, Code.UNKNOWN_FIELD),
    ],
)
def test_values_that_do_not_fit_are_refused_and_not_repeated(values: dict[str, str], code: Code) -> None:
    with pytest.raises(HuzhengError) as caught:
        secret_fields(compiled(), values)
    assert caught.value.code == code
    assert not any(len(value) > 1 and value in str(caught.value) for value in values.values())


def test_a_place_is_that_among_the_confidential_fields_of_the_version() -> None:
    assert [place_of(compiled(), number) for number in range(1, 10)] == [None, 0, None, 1, 2, None, 3, None, 4]
    assert place_of(compiled(2), NOTE) is None


def test_a_record_commits_to_what_its_secrets_hold_and_holds_none_of_it() -> None:
    built = build_record(CONSORTIUM.genesis, DWELLING, PLOT, 1, b"", PUBLIC, confidential=VALUES)
    record = strict.read(pb.Record, built.raw)
    assert record.confidential_root == confidential_root(SUITE, built.secrets)
    assert record.schema_version == 1
    for value in VALUES.values():
        assert value.encode() not in built.raw + built.payload
        assert value not in repr(built)
    assert not any(secret.salt.hex() in repr(built) or repr(secret.salt) in repr(built) for secret in built.secrets)


def test_a_record_of_such_a_schema_has_a_root_even_where_no_optional_value_is_given() -> None:
    required = {"OWNER": "张三", "PRICE": "1"}
    built = build_record(CONSORTIUM.genesis, DWELLING, PLOT, 1, b"", PUBLIC, confidential=required)
    assert len(strict.read(pb.Record, built.raw).confidential_root) == 32
    assert [secret.value for secret in built.secrets] == ["张三", "1", "", "", ""]
    with pytest.raises(HuzhengError) as caught:
        build_record(CONSORTIUM.genesis, DWELLING, PLOT, 1, b"", PUBLIC)
    assert caught.value.code is Code.MISSING_FIELD


def test_a_record_without_confidential_fields_commits_to_none_and_takes_none() -> None:
    about = (CONSORTIUM.genesis, OBJECTION, unit_code(1), 1, b"", objection_fields())
    built = build_record(*about)
    assert (strict.read(pb.Record, built.raw).confidential_root, built.secrets) == (b"", ())
    with pytest.raises(HuzhengError) as caught:
        build_record(*about, confidential={"OWNER": "张三"})
    assert caught.value.code is Code.UNKNOWN_FIELD


def test_a_revoking_record_commits_to_nothing_and_takes_no_confidential_values() -> None:
    built = build_record(CONSORTIUM.genesis, DWELLING, PLOT, 2, bytes(32), None)
    assert (strict.read(pb.Record, built.raw).confidential_root, built.secrets) == (b"", ())
    with pytest.raises(HuzhengError) as caught:
        build_record(CONSORTIUM.genesis, DWELLING, PLOT, 2, bytes(32), None, confidential=VALUES)
    assert caught.value.code is Code.BAD_COMMITMENT


def test_replicas_accept_a_record_with_its_root_and_refuse_it_without() -> None:
    built = build_record(CONSORTIUM.genesis, DWELLING, PLOT, 1, b"", PUBLIC, confidential=VALUES)
    bare = CONSORTIUM.odd_record(
        built.payload, resource=DWELLING, subject="AB1235", version=1, schema_version=1, confidential_root=b""
    )
    block = CONSORTIUM.chain().add(CONSORTIUM.transaction([built]), CONSORTIUM.transaction([bare], nonce=1))
    assert block.codes == (pb.RESULT_CODE_ACCEPTED, pb.RESULT_CODE_BAD_COMMITMENT)
