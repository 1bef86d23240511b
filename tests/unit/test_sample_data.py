"""Synthetic records: acceptable to the default catalogue, coherent, without personal data, and the same everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from itertools import islice

import pytest
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue import CompiledResource, encode_payload
from ledger.fields.codes import looks_like_citizen_id
from node.catalogue_file import default_catalogue
from node.personal_data import find_personal_data
from node.sample_data import MAX_RECORDS, Person, SampleRecord, generate

CATALOGUE = {resource.name: CompiledResource(resource) for resource in default_catalogue().resources}
RECORDS = list(generate(1, 4000))
PEOPLE = [person for record in RECORDS for person in record.people]
GOLDEN = "c80ff131b317657f2294968d987accce8a0efdd67c08b87883bd1b8101e9e028"


def lines(records: list[SampleRecord]) -> bytes:
    return "".join(record.to_json() + "\n" for record in records).encode()


def test_every_record_is_acceptable() -> None:
    for record in RECORDS:
        resource = CATALOGUE[record.resource]
        assert resource.department == record.department
        assert resource.subject_fits(record.subject)
        if record.action == "assert":
            raw = encode_payload(resource, record.fields, bytes(16))
            assert resource.check_payload(raw) == pb.RESULT_CODE_ACCEPTED


def test_a_revoking_record_has_no_fields_and_something_to_revoke() -> None:
    in_force: dict[tuple[str, str], bool] = {}
    for record in RECORDS:
        place = record.resource, record.subject
        if record.action == "revoke":
            assert not record.fields
            assert in_force[place]
        in_force[place] = record.action == "assert"


def test_versions_count_from_1_without_gaps() -> None:
    versions: dict[tuple[str, str], int] = {}
    for record in RECORDS:
        place = record.resource, record.subject
        assert record.version == versions.get(place, 0) + 1
        versions[place] = record.version


def test_what_a_record_relies_on_is_in_force_before_it() -> None:
    in_force: set[tuple[str, str]] = set()
    relying: set[str] = set()
    for record in RECORDS:
        assert in_force.issuperset(record.relies_on)
        if record.relies_on:
            relying.add(record.resource)
        (in_force.add if record.action == "assert" else in_force.discard)((record.resource, record.subject))
    assert relying == {"tax.deed_tax"}


def test_every_resource_occurs_with_several_versions_of_what_changes() -> None:
    # What has confidential fields is not made here: their values are no part of a record.
    assert {record.resource for record in RECORDS} == {
        name for name, found in CATALOGUE.items() if not found.confidential
    }
    assert {r.resource for r in RECORDS if r.action == "revoke"} >= {"property.mortgage", "property.seizure"}
    assert any(record.resource == "property.ownership" and record.version > 2 for record in RECORDS)


def test_no_two_flats_have_the_same_code() -> None:
    first = [r.subject for r in RECORDS if r.resource == "property.ownership" and r.version == 1]
    assert len(first) == len(set(first))
    other = {record.subject for record in generate(2, 1000) if record.resource == "property.ownership"}
    assert other.isdisjoint(first)


@pytest.mark.parametrize("name", ["YWH", "BDCQZH", "HTBH", "WSPZH"])
def test_numbers_of_cases_and_certificates_are_given_once(name: str) -> None:
    resources = {"HTBH": "housing.online_contract", "WSPZH": "tax.deed_tax"}
    resource = resources.get(name, "property.ownership")
    numbers = [record.fields[name] for record in RECORDS if record.resource == resource]
    assert len(numbers) == len(set(numbers)) > 100


def test_no_seized_or_mortgaged_flat_is_sold() -> None:
    burdened: set[str] = set()
    for record in RECORDS:
        if record.resource in ("property.seizure", "property.mortgage"):
            (burdened.add if record.action == "assert" else burdened.discard)(record.subject)
        if record.resource == "property.ownership":
            assert record.subject not in burdened


def test_dates_of_a_register_run_forward() -> None:
    last: dict[tuple[str, str], str] = {}
    for record in RECORDS:
        if "DJSJ" in record.fields:
            place = record.resource, record.subject
            assert last.get(place, "") <= record.fields["DJSJ"] <= "2024-12-31"
            last[place] = record.fields["DJSJ"]
        if record.resource == "property.ownership":
            assert record.fields["TDSYQSSJ"] < record.fields["JGSJ"] < record.fields["DJSJ"]
        if record.resource == "property.seizure" and record.action == "assert":
            assert record.fields["CFQSSJ"] < record.fields["CFJSSJ"]
            assert record.fields.get("JFDJSJ", "") <= record.fields["CFJSSJ"]


def test_areas_add_up() -> None:
    for record in RECORDS:
        if record.resource == "property.ownership":
            whole, private, shared = (
                int(record.fields[name].replace(".", "")) for name in ("JZMJ", "ZYJZMJ", "FTJZMJ")
            )
            assert whole == private + shared


def test_no_record_holds_personal_data() -> None:
    secrets = {person.document_number for person in PEOPLE} | {person.name for person in PEOPLE}
    for record in RECORDS:
        assert not find_personal_data(record.to_json())
        assert secrets.isdisjoint(record.fields.values())


def test_every_random_id_is_explained_in_the_side_file_of_its_department() -> None:
    known: dict[str, Person] = {}
    for record in RECORDS:
        for person in record.people:
            assert person.department == record.department
            assert known.setdefault(person.id, person) is person
        for name, value in record.fields.items():
            if name.startswith(("QLRBS", "DYRBS", "NSRBS", "MSRBS", "RYBS")):
                assert known[value].department == record.department


def test_people_never_lived_but_their_numbers_are_right() -> None:
    assert len(PEOPLE) > 1000
    for person in PEOPLE:
        assert looks_like_citizen_id(person.document_number)
        assert person.document_number[6:8] == "18"
        assert find_personal_data(person.to_json())


def test_one_person_has_another_id_in_each_department() -> None:
    ids: dict[str, set[str]] = {}
    for person in PEOPLE:
        ids.setdefault(person.document_number, set()).add(person.id)
    assert max(map(len, ids.values())) == 4


def test_a_smaller_count_is_the_beginning_of_a_larger() -> None:
    assert list(generate(1, 100)) == RECORDS[:100]
    assert list(islice(generate(1, MAX_RECORDS), 100)) == RECORDS[:100]
    assert list(generate(1, 0)) == []


@pytest.mark.parametrize("count", [-1, MAX_RECORDS + 1])
def test_a_count_out_of_bounds_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="count"):
        generate(1, count)


def test_another_seed_gives_other_records() -> None:
    assert lines(list(generate(2, 10))) != lines(RECORDS[:10])


def test_a_seed_gives_the_same_bytes_on_every_machine() -> None:
    assert sha256(lines(RECORDS)).hexdigest() == GOLDEN


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_hash_randomisation_changes_nothing(hash_seed: str) -> None:
    program = (
        "import sys; from hashlib import sha256; from node.sample_data import generate; "
        "print(sha256(''.join(r.to_json() + '\\n' for r in generate(1, 4000)).encode()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == GOLDEN
