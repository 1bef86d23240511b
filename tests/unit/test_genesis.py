"""The genesis: what makes one valid, and the block that follows from it (docs/protocol.md I1, X6, X7, section 8)."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest
from huzheng.v1 import genesis_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import ED25519_SHA256, SIMULATION, Epoch, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.execution import genesis_block
from ledger.genesis import BOUNDS, MAX_GENESIS_BYTES, Genesis, Parameters, build_genesis
from tests.builders import Consortium
from tests.vectors import example, load

CASES = load("genesis.json")["cases"]


def read(message: genesis_pb2.Genesis, *, allow_simulation: bool = False) -> Genesis:
    return Genesis.read(example.write(message), allow_simulation=allow_simulation)


def refusal(message: genesis_pb2.Genesis) -> HuzhengError:
    with pytest.raises(HuzhengError) as caught:
        read(message)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_genesis_vectors(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["genesis"])
    if case["code"] is not None:
        with pytest.raises(HuzhengError) as caught:
            Genesis.read(raw)
        assert caught.value.code == case["code"]
        return
    genesis = Genesis.read(raw)
    block = genesis_block(genesis)
    assert genesis.chain_id.hex() == case["chain_id"]
    assert (block.header.hex(), block.block_hash.hex()) == (case["header"], case["block_hash"])
    assert {key.hex(): (value or b"").hex() for key, value in block.changes.items()} == case["state"]


def test_a_genesis_holds_what_its_file_says() -> None:
    message = example.genesis_message()
    genesis = read(message)
    assert (genesis.raw, genesis.name, genesis.time_ms) == (example.GENESIS, message.name, message.time_ms)
    assert genesis.suite is ED25519_SHA256
    for field in fields(Parameters):
        assert getattr(genesis.parameters, field.name) == getattr(message.parameters, field.name)
    assert list(genesis.departments) == ["alpha", "beta"]
    assert genesis.departments["alpha"].name_zh == "alpha 部门"
    assert list(genesis.departments["alpha"].keys) == list(message.departments[0].keys)
    membership = genesis.membership
    assert (membership.chain_id, membership.epoch) == (genesis.chain_id, Epoch(0))
    assert [(m.replica, m.department, m.public_key) for m in membership.members] == [
        (ReplicaId(r.id), r.department, r.public_key) for r in message.replicas
    ]
    assert {name: resource.department for name, resource in genesis.catalogue.items()} == {
        example.DEED: "alpha",
        example.LEVY: "beta",
    }


def test_a_genesis_cannot_be_changed_by_whom_it_is_handed_to() -> None:
    genesis = read(example.genesis_message())
    with pytest.raises(TypeError):
        genesis.departments["gamma"] = genesis.departments["alpha"]  # type: ignore[index]
    with pytest.raises(TypeError):
        del genesis.catalogue[example.DEED]  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        genesis.name = "another"  # type: ignore[misc]


@pytest.mark.parametrize("name", BOUNDS)
def test_each_parameter_keeps_its_bounds(name: str) -> None:
    low, high = BOUNDS[name]
    # Values of the others with which the first to object is this parameter's own bound.
    roomy = {"max_batch_bytes": 33_554_432, "watermark_window": 1_024}
    if name == "max_payload_bytes":
        roomy["max_transaction_bytes"] = 16_777_216
    for value, valid in ((low - 1, False), (low, True), (high, True), (high + 1, False)):
        message = example.genesis_message()
        for parameter, at in (roomy | {name: value}).items():
            setattr(message.parameters, parameter, at)
        if name == "max_batch_bytes" and value == low:
            message.parameters.max_transaction_bytes = 32_768
        if valid:
            assert getattr(read(message).parameters, name) == value
        else:
            assert refusal(message).detail == f"parameters.{name} is not between {low} and {high}"


def test_every_parameter_of_the_schema_is_checked_and_has_a_default_within_its_bounds() -> None:
    names = [field.name for field in genesis_pb2.Parameters.DESCRIPTOR.fields]
    assert names == [field.name for field in fields(Parameters)] == list(BOUNDS)
    assert all(low <= getattr(Parameters(), name) <= high for name, (low, high) in BOUNDS.items())


@pytest.mark.parametrize(
    ("larger", "smaller", "room"),
    [
        ("max_batch_bytes", "max_transaction_bytes", 1_024),
        ("max_transaction_bytes", "max_payload_bytes", 1_024),
        ("watermark_window", "pipeline_depth", 0),
    ],
)
def test_parameters_leave_room_for_one_another(larger: str, smaller: str, room: int) -> None:
    message = example.genesis_message()
    limit = getattr(message.parameters, larger) - room
    setattr(message.parameters, smaller, limit)
    assert getattr(read(message).parameters, smaller) == limit
    setattr(message.parameters, smaller, limit + 1)
    assert {larger, smaller} <= set(re.findall(r"[a-z]+(?:_[a-z]+)+", refusal(message).detail))


@pytest.mark.parametrize("count", [256, 257])
def test_there_are_at_most_256_replicas(count: int) -> None:
    message = example.genesis_message()
    del message.replicas[:]
    for number in range(1, count + 1):
        message.replicas.add(id=number, department="alpha", public_key=example.signer(f"r {number}").public_key)
    if count <= 256:
        assert read(message).membership.n == count
    else:
        assert refusal(message).code == Code.BAD_GENESIS


def test_a_register_has_at_most_4096_resources() -> None:
    message = example.genesis_message()
    del message.catalogue[1:]
    [one] = message.catalogue
    register = one.name.partition(".")[0]
    del message.catalogue[:]
    for number in range(4096):
        message.catalogue.add().CopyFrom(one)
        message.catalogue[-1].name = f"{register}.r{number:04}"
    assert read(message).slots[f"{register}.r4095"].page == 255
    message.catalogue.add().CopyFrom(one)
    message.catalogue[-1].name = f"{register}x.r0000"
    assert len(read(message).catalogue) == 4097
    message.catalogue[-1].name = f"{register}.r4096"
    assert refusal(message).code == Code.BAD_GENESIS


def test_a_name_is_counted_in_bytes() -> None:
    message = example.genesis_message()
    message.name = "名" * 170 + "xx"
    assert read(message).name == message.name
    message.name += "x"
    assert refusal(message).code == Code.BAD_GENESIS


def test_an_oversized_file_is_refused_before_it_is_read() -> None:
    message = example.genesis_message()
    message.departments[0].ca_certificate = bytes(MAX_GENESIS_BYTES)
    too_much = len(example.write(message)) - 4 * 1024 * 1024
    message.departments[0].ca_certificate = bytes(MAX_GENESIS_BYTES - too_much)
    raw = example.write(message)
    assert len(raw) == 4 * 1024 * 1024
    assert Genesis.read(raw).raw == raw
    message.departments[0].ca_certificate += bytes(1)
    assert refusal(message).detail == "too large"


def test_the_simulation_suite_must_be_allowed() -> None:
    raw = Consortium(SIMULATION).genesis.raw
    assert Genesis.read(raw, allow_simulation=True).suite is SIMULATION
    with pytest.raises(HuzhengError) as caught:
        Genesis.read(raw)
    assert caught.value.code == Code.SUITE_REFUSED


def test_every_byte_counts_for_the_chain_id() -> None:
    message = example.genesis_message()
    message.name += " "
    assert read(message).chain_id != read(example.genesis_message()).chain_id


def test_building_puts_everything_in_order_and_leaves_its_parts_alone() -> None:
    message = example.genesis_message()
    departments = [example.genesis_message().departments[i] for i in (1, 0)]
    for department in departments:
        keys = list(reversed(department.keys))
        department.ClearField("keys")
        department.keys.extend(keys)
    before = [department.SerializeToString() for department in departments]
    raw = build_genesis(
        name=message.name,
        time_ms=message.time_ms,
        departments=departments,
        replicas=reversed(message.replicas),
        catalogue=reversed(message.catalogue),
        parameters=read(message).parameters,
    )
    assert raw == example.GENESIS
    assert [department.SerializeToString() for department in departments] == before


def test_building_refuses_what_reading_would() -> None:
    message = example.genesis_message()
    with pytest.raises(HuzhengError) as caught:
        build_genesis(name="", time_ms=0, departments=message.departments, replicas=message.replicas, catalogue=[])
    assert caught.value.code == Code.BAD_GENESIS


REFUSALS = {Code.BAD_GENESIS, Code.BAD_CATALOGUE, Code.SUITE_UNKNOWN, Code.SUITE_REFUSED}


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_mutated_files_are_read_or_refused_with_a_code(data: st.DataObject) -> None:
    raw = example.GENESIS
    for _ in range(data.draw(st.integers(1, 3))):
        place, cut = data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, 4))
        raw = raw[:place] + data.draw(st.binary(max_size=4)) + raw[place + cut :]
    try:
        genesis = Genesis.read(raw)
    except HuzhengError as error:
        assert error.code in REFUSALS
    else:
        assert genesis.raw == raw
        genesis_block(genesis)
