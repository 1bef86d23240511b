"""`huzheng read pending` and `forget`: what a read leaves behind that was begun and can't be finished."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from ledger.crypto import ED25519_SHA256
from ledger.genesis import Genesis
from node.network import Network
from node.sharing.asking import Reads, Request
from tests.builders import unit_code
from tests.command_line import CommandLine


def test_a_read_that_cant_be_finished_is_given_up_with_its_key(huzheng: CommandLine, network: Network) -> None:
    directory = network.clients["planning"] / "system"
    profile = ("--profile", directory)
    genesis = Genesis.read((directory / "genesis.bin").read_bytes())
    reads = Reads(directory / "reads")
    request = Request(bytes(32), "planning", "property.ownership", unit_code(1), "case 1", (1,))
    signer = ED25519_SHA256.signer(b"s" * 32)
    first, second = (
        reads.begin(cast(Any, SimpleNamespace(genesis=genesis)), signer, "planning", request, 1) for _ in range(2)
    )
    listed = huzheng("read", "pending", *profile, "-o", "json")
    assert listed.status == 0, listed.err
    assert {item["read"] for item in listed.json["reads"]} == {first.id.hex(), second.id.hex()}
    given_up = huzheng("read", "forget", first.id.hex(), *profile)
    assert (given_up.status, given_up.err) == (0, "")
    assert [path.stem for path in (directory / "reads").iterdir()] == [second.id.hex()]
    again = huzheng("read", "forget", first.id.hex(), *profile, "-o", "json")
    assert again.error["code"] == "NOT_FOUND"
    assert huzheng("read", "forget", second.id.hex(), *profile, "-o", "json").json == {"forgotten": second.id.hex()}
    assert huzheng("read", "pending", *profile, "-o", "json").json == {"reads": []}
