"""Configuration files: every mistake is named at once, in words, and nothing wrong slips through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from node.config import load_config
from node.profile import find_profile, load_profile
from node.toml_file import Address

NODE = """
[node]
replica = 1
department = "planning"
genesis = "genesis.bin"
data = "data"
consensus_key = "consensus.key"
listen = "127.0.0.1:7101"

[tls]
certificate = "tls.crt"
key = "tls.key"

[peers.2]
address = "127.0.0.1:7102"
"""

VAULT = """
[vault]
directory = "vault"
key_file = "vault.key"
"""

CLIENT = """
[client]
department = "tax"
role = "clerk"
genesis = "genesis.bin"

[[nodes]]
replica = 2
department = "tax"
address = "node.example:7102"

[tls]
certificate = "tls.crt"
key = "tls.key"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "vault").mkdir()
    for name in ("genesis.bin", "consensus.key", "tls.crt", "tls.key", "vault.key"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def write(place: Path, text: str) -> Path:
    path = place / "file.toml"
    path.write_text(text)
    return path


def mistakes(path: Path, load: Callable[[Path], object] = load_config) -> list[str]:
    with pytest.raises(HuzhengError) as caught:
        load(path)
    assert caught.value.code is Code.CONFIG_INVALID
    file, *problems = caught.value.detail.splitlines()
    assert file.startswith(str(path))
    return problems


def test_a_good_file_is_read_with_paths_relative_to_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(place, NODE)
    monkeypatch.chdir("/")
    config = load_config(path)
    assert config.node.genesis == place / "genesis.bin"
    assert config.node.listen == Address("127.0.0.1", 7101)
    assert {replica: str(peer.address) for replica, peer in config.peers.items()} == {2: "127.0.0.1:7102"}
    assert config.log.format == "json"


def test_every_mistake_is_named_at_once(place: Path) -> None:
    (place / "tls.key").unlink()
    text = (
        NODE.replace("replica = 1", 'replica = "one"')
        .replace('department = "planning"', 'departement = "planning"')
        .replace('"127.0.0.1:7102"', '"127.0.0.1"')
    )
    found = mistakes(write(place, text + '\n[log]\nlevel = "loud"\n\n[ttl]\n'))
    assert len(found) == 7
    for start, word in (
        ("node.replica:", "int"),
        ("node.departement:", "did you mean department?"),
        ("node.department:", "missing"),
        ("peers.2.address:", "host:port"),
        ("log.level:", "not one of debug, info"),
        ("[ttl]:", "did you mean tls?"),
        ("tls.key:", "no such file"),
    ):
        assert any(problem.startswith(start) and word in problem for problem in found), (start, found)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[tls]", "[tls_]", "[tls]: missing section"),
        ("replica = 1", "replica = true", "node.replica"),
        ("replica = 1", "replica = 0", "node.replica"),
        ("replica = 1", "replica = 1.0", "node.replica"),
        ('"planning"', '"Planning"', "node.department"),
        ('"planning"', '"planning\\n"', "node.department"),
        ('"data"', '""', "node.data"),
        ('"data"', '"genesis.bin"', "node.data: not a directory"),
        ('"data"', '"no/where"', "node.data: no such directory"),
        ('"genesis.bin"', "7", "node.genesis"),
        ('"consensus.key"', '"lost.key"', "node.consensus_key: no such file"),
        ('"consensus.key"', f'"{"k" * 300}.key"', "node.consensus_key: no such file"),
        ("7101", "0", "node.listen"),
        ("7101", "65536", "node.listen"),
        ("7101", "٧١٠١", "node.listen"),
        ("[peers.2]", "[peers.two]", "[peers.two]"),
        ("[peers.2]", "[peers.1]", "peers.1: this node itself"),
        ("[peers.2]", "[peers.3]\naddress = '127.0.0.1:7102'\n[peers.2]", "peers.3.address: the same"),
        (
            "[peers.2]\naddress = ",
            "[http]\nlisten = '0.0.0.0:7101'\n[peers.2]\naddress = ",
            "http.listen: the same port",
        ),
        ("[peers.2]\naddress = ", "[limits]\nwatchers = -1\n[peers.2]\naddress = ", "limits.watchers"),
    ],
)
def test_a_mistake_is_named(place: Path, old: str, new: str, named: str) -> None:
    assert old in NODE
    assert any(problem.startswith(named) for problem in mistakes(write(place, NODE.replace(old, new))))


def test_a_node_has_a_vault_only_if_told(place: Path) -> None:
    assert load_config(write(place, NODE)).vault is None
    vault = load_config(write(place, NODE + VAULT)).vault
    assert vault is not None
    assert (vault.directory, vault.key_file, vault.escrow) == (place / "vault", place / "vault.key", None)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('directory = "vault"', "", "vault.directory: missing"),
        ('directory = "vault"', 'directory = "data"', "vault.directory: the node's database"),
        ('directory = "vault"', 'directory = "data/vault"', "vault.directory: the node's database"),
        ('directory = "vault"', 'directory = "no/vault"', "vault.directory: no such directory"),
        ("key_file", "keyfile", "vault.keyfile: unknown setting; did you mean key_file?"),
        ('key_file = "vault.key"', "", "[vault]: needs exactly one of"),
        ('key_file = "vault.key"', "passphrase = false", "[vault]: needs exactly one of"),
        ('key_file = "vault.key"', 'key_file = "vault.key"\npassphrase = true', "[vault]: needs exactly one of"),
        ("key_file", 'signing_key = "lost"\nkey_file', "vault.signing_key: no such file"),
        ("key_file", 'keyring = "one"\nescrow = "one"\nkey_file', "vault.escrow: the same file as vault.keyring"),
        ("key_file", 'escrow = "vault/copy"\nkey_file', "vault.escrow: in the vault's own directory"),
        ("key_file", "token = 1\nkey_file", "[vault.token]: not a section"),
        ('key_file = "vault.key"', 'token = { library = "vault.key" }', "vault.token.label: missing"),
        (
            'key_file = "vault.key"',
            'token = { labels = "x" }',
            "vault.token.labels: unknown setting; did you mean label?",
        ),
    ],
)
def test_a_mistake_in_what_is_said_of_the_vault_is_named(place: Path, old: str, new: str, named: str) -> None:
    assert old in VAULT
    found = mistakes(write(place, NODE + VAULT.replace(old, new)))
    assert any(problem.startswith(named) for problem in found), found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"vault.key"', '"no/lost.key"'),
        ('key_file = "vault.key"', 'passphrase_file = "lost"'),
        ("key_file", 'keyring = "no/where"\nkey_file'),
        ("key_file", 'escrow = "no/where"\nkey_file'),
        ('key_file = "vault.key"', '[vault.token]\nlibrary = "no.so"\nlabel = "x"\npin_file = "no.pin"'),
    ],
)
def test_what_the_vault_lacks_keeps_no_node_from_starting(place: Path, old: str, new: str) -> None:
    assert old in VAULT
    assert load_config(write(place, NODE + VAULT.replace(old, new))).vault is not None


def test_what_is_not_toml_or_not_there_is_named(place: Path) -> None:
    path = place / "file.toml"
    with pytest.raises(HuzhengError) as caught:
        load_config(path)
    assert caught.value.code is Code.CONFIG_MISSING
    for contents in (b"[node", b"\xff\xfe", b"a = 1\na = 2", b"[" * 100_000, b"x = " + b"[" * 5_000, b"#" * (2 << 20)):
        path.write_bytes(contents)
        with pytest.raises(HuzhengError) as caught:
            load_config(path)
        assert caught.value.code is Code.CONFIG_INVALID


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("10.0.0.1:1", "10.0.0.1", 1), ("node-1.gov.cn:65535", "node-1.gov.cn", 65535), ("[::1]:7101", "::1", 7101)],
)
def test_addresses_are_read_and_written_alike(text: str, host: str, port: int) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, str(address)) == (host, port, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "host",
        "host:",
        "host:+1",
        "host:1 ",
        " host:1",
        "::1:7101",
        "[::1:7101",
        "[x]:1",
        "http://h:1",
        "a/b:1",
    ],
)
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Address.parse(text)


def test_a_profile_is_read(place: Path) -> None:
    profile = load_profile(write(place, CLIENT))
    assert (profile.client.department, profile.role) == ("tax", "clerk")
    assert [str(node.address) for node in profile.nodes] == ["node.example:7102"]
    assert profile.keys.signing is None


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"clerk"', '"boss"', "client.role: not one of "),
        ("[[nodes]]", "[nodes]", "[[nodes]]: not a list"),
        ("replica = 2", "", "nodes.1.replica: missing"),
        ("[tls]", "[keys]\nsigning = 'lost.key'\n[tls]", "keys.signing: no such file"),
    ],
)
def test_a_mistake_in_a_profile_is_named(place: Path, old: str, new: str, named: str) -> None:
    assert any(problem.startswith(named) for problem in mistakes(write(place, CLIENT.replace(old, new)), load_profile))


def test_the_profile_is_found_by_option_then_variable_then_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUZHENG_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HuzhengError) as caught:
        find_profile()
    assert caught.value.code is Code.CONFIG_MISSING
    for name in ("here", "named", "given"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "client.toml").write_text("")
    monkeypatch.chdir(tmp_path / "here")
    assert find_profile().absolute() == tmp_path / "here" / "client.toml"
    monkeypatch.setenv("HUZHENG_PROFILE", str(tmp_path / "named" / "client.toml"))
    assert find_profile() == tmp_path / "named" / "client.toml"
    assert find_profile(tmp_path / "given") == tmp_path / "given" / "client.toml"
