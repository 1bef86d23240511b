"""The command line in a plain environment, and a running network of one node behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.crypto import ED25519_SHA256
from node import light_client
from node.network import Network
from tests.builders import Consortium
from tests.command_line import CommandLine, make_network, running_node
from tests.stored_node import Stage


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LANG", "LC_ALL", "LC_MESSAGES", "HUZHENG_PROFILE", "HUZHENG_GENESIS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def huzheng(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Runs commands."""
    return CommandLine(capsys)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """One node, whose department decides alone."""
    made = make_network(tmp_path_factory.mktemp("net") / "net")
    with running_node(made.nodes["planning"]):
        yield made


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A consortium whose nodes the test plays; clients give a node that is behind no time."""
    monkeypatch.setattr(light_client, "_PATIENCE_S", 0.0)
    stage = Stage(Consortium(ED25519_SHA256), tmp_path, [])
    yield stage
    for store in stage.stores:
        store.close()
