"""Making a network: complete, private, all or nothing, and the same whether made at once or by departments apart."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from ledger.crypto import ED25519_SHA256, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.store import ChainStore
from node import network as network_module
from node.config import check_against_chain, load_config
from node.consortium import Consortium
from node.genesis_file import read_genesis
from node.identity import Caller, CallerDirectory, Role
from node.keyfile import KeyKind, load_signer
from node.member import Member, Places, prepare, read_member
from node.network import (
    Network,
    assemble,
    assemble_files,
    init_network,
    install,
    install_apart,
    prepare_apart,
    renew_certificate,
)
from node.network_plan import NetworkPlan, local_plan, read_plan
from node.pki import new_authority
from node.profile import load_profile
from node.tls import load_material
from node.toml_file import Address
from node.vault_config import open_vault, vault_places

NOW = datetime.now(UTC)
PASSPHRASE = b"correct horse"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return init_network(tmp_path_factory.mktemp("made") / "network", local_plan(), now=NOW)


def at_genesis(genesis: Genesis, directory: Path) -> Consortium:
    directory.mkdir()
    return Consortium(ChainStore.scratch(directory, genesis))


def code_of(caught: pytest.ExceptionInfo[HuzhengError]) -> Code:
    return caught.value.code


def test_every_node_can_start_from_its_directory(network: Network, tmp_path: Path) -> None:
    genesis = read_genesis(network.genesis)
    assert list(network.nodes) == ["planning", "tax", "housing", "police"]
    for number, (department, directory) in enumerate(network.nodes.items(), 1):
        config = load_config(directory / "node.toml")
        assert (config.node.replica, config.node.department) == (number, department)
        assert read_genesis(config.node.genesis).chain_id == genesis.chain_id == network.chain_id
        signer = load_signer(config.node.consensus_key, KeyKind.CONSENSUS, genesis.suite)
        check_against_chain(config, at_genesis(genesis, tmp_path / department), [signer.public_key])
        authority = genesis.departments[department].ca_certificate
        holder = Caller(department, Role.REPLICA, str(number))
        load_material(config.tls.certificate, config.tls.key, authority, NOW, holder)


def test_every_client_can_call_and_only_the_system_and_the_node_can_sign(network: Network) -> None:
    genesis = read_genesis(network.genesis)
    callers = CallerDirectory({name: it.ca_certificate for name, it in genesis.departments.items()})
    for department, directory in network.clients.items():
        registered = {key.public_key for key in genesis.departments[department].keys}
        for role in ("system", "clerk", "operator", "auditor"):
            profile = load_profile(directory / role / "client.toml")
            assert profile.nodes[0].department == department
            caller = callers.identify_certificate(profile.tls.certificate.read_bytes())
            assert (caller.department, caller.role) == (department, role)
            assert (profile.keys.signing is not None) == (role == "system")
        system = load_profile(directory / "system" / "client.toml")
        assert system.keys.signing is not None
        assert system.keys.admin is not None
        node = load_config(network.nodes[department]).vault
        assert node is not None
        assert node.signing_key is not None
        signers = (
            load_signer(node.signing_key, KeyKind.SYSTEM, genesis.suite),
            load_signer(system.keys.signing, KeyKind.SYSTEM, genesis.suite),
            load_signer(system.keys.admin, KeyKind.ADMIN, genesis.suite),
        )
        assert {signer.public_key for signer in signers} == registered


def test_every_node_has_a_vault_of_its_own(network: Network) -> None:
    seen = set()
    for directory in network.nodes.values():
        config = load_config(directory)
        with open_vault(config) or pytest.fail("no vault") as vault:
            assert vault.record_ids() == []
        seen.add(vault_places(config).keyring_file.read_bytes())
    assert len(seen) == 4


def test_secrets_are_for_their_owner_and_the_rest_is_readable(network: Network) -> None:
    for path in network.directory.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.suffix == ".key":
            assert mode == 0o600, path
        elif path.name in ("keys", "authorities", "vault"):
            assert mode == 0o700, path
        elif path.is_file() and "vault" not in path.parts:
            assert mode == 0o644, path


def test_no_secret_key_is_in_two_places(network: Network) -> None:
    secrets = [path.read_bytes() for path in network.directory.rglob("*.key")]
    # A department has a CA, a consensus key, three signing keys, a vault's master key, and five TLS keys.
    assert len(secrets) == len(set(secrets)) == 4 * 11


def test_the_departments_have_valid_synthetic_credit_codes(network: Network) -> None:
    codes = [it.credit_code for it in read_genesis(network.genesis).departments.values()]
    assert len(set(codes)) == 4
    assert all(code.startswith("11") for code in codes)


@pytest.mark.parametrize(("count", "faults"), [(1, 0), (3, 0), (4, 1), (7, 2), (10, 3)])
def test_any_number_of_departments_works(tmp_path: Path, count: int, faults: int) -> None:
    made = init_network(tmp_path / "network", local_plan(count), now=NOW)
    assert made.tolerated_faults == faults
    genesis = read_genesis(made.genesis)
    assert genesis.membership.n == count
    # Only what the departments present own.
    assert {resource.department for resource in genesis.catalogue.values()} <= set(made.nodes)
    for directory in made.nodes.values():
        load_config(directory / "node.toml")


def test_a_passphrase_protects_every_signing_key_and_ca(tmp_path: Path) -> None:
    made = init_network(tmp_path / "network", local_plan(1), passphrase=PASSPHRASE, now=NOW)
    for path in made.directory.rglob("*.key"):
        # Those that a daemon needs unattended are not.
        assert (b"ENCRYPTED" in path.read_bytes()) == (path.name not in ("tls.key", "vault.key")), path
    key = load_config(made.nodes["planning"] / "node.toml").node.consensus_key
    load_signer(key, KeyKind.CONSENSUS, ED25519_SHA256, lambda _: PASSPHRASE)
    with pytest.raises(HuzhengError) as caught:
        load_signer(key, KeyKind.CONSENSUS, ED25519_SHA256, lambda _: b"wrong")
    assert code_of(caught) is Code.KEY_PASSPHRASE_WRONG


def test_a_network_is_never_written_over_anything(tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    (used / "file").write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    file = tmp_path / "file"
    file.write_text("mine")
    for target in (used, link, file):
        with pytest.raises(HuzhengError) as caught:
            init_network(target, local_plan(1), now=NOW)
        assert code_of(caught) is Code.NETWORK_DIRECTORY_USED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "used"]
    (used / "file").unlink()
    init_network(used, local_plan(1), now=NOW)


def test_a_failure_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(network_module, "install", disk_full)
    with pytest.raises(HuzhengError) as caught:
        init_network(tmp_path / "network", local_plan(2), now=NOW)
    assert code_of(caught) is Code.FILE_ACCESS
    assert "No space left" in caught.value.detail
    assert list(tmp_path.iterdir()) == []


def test_hosts_can_be_given(tmp_path: Path) -> None:
    plan = local_plan(2)
    addresses = {"tax": Address.parse("tax.example:8000"), "planning": Address("::1", 9)}
    moved = tuple(
        msgspec.structs.replace(department, address=addresses[department.id]) for department in plan.departments
    )
    plan = replace(plan, departments=moved)
    made = init_network(tmp_path / "network", plan, now=NOW)
    tax, planning = (load_config(made.nodes[name] / "node.toml") for name in ("tax", "planning"))
    assert str(tax.node.listen) == "0.0.0.0:8000"
    assert str(planning.node.listen) == "[::1]:9"
    assert str(planning.peers[tax_id(plan)].address) == "tax.example:8000"


def tax_id(plan: NetworkPlan) -> ReplicaId:
    return plan.replica_of("tax")


@pytest.mark.parametrize(("count", "base_port"), [(0, 7100), (101, 7100), (4, 0), (4, 65500)])
def test_an_impossible_local_network_is_refused(count: int, base_port: int) -> None:
    with pytest.raises(HuzhengError) as caught:
        local_plan(count, base_port)
    assert code_of(caught) is Code.NETWORK_PLAN_INVALID


PLAN = """
[network]
name = "试点"
time = 2026-01-01T00:00:00Z

[[departments]]
id = "tax"
credit_code = "11110000000000020C"
name_zh = "税务局"
name_en = "Taxation"
address = "10.0.0.2:7100"

[[departments]]
id = "planning"
credit_code = "111100000000000104"
name_zh = "规划和自然资源委员会"
name_en = "Planning"
address = "10.0.0.1:7100"
listen = "10.0.0.1:7999"

[parameters]
heartbeat_ms = 2000
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    codes = [department.credit_code for department in local_plan(2).departments]
    text = PLAN.replace("111100000000000104", codes[0]).replace("11110000000000020C", codes[1])
    path = tmp_path / "network.toml"
    path.write_text(text)
    return path


def test_departments_can_prepare_their_keys_apart_and_anyone_assembles_the_same_genesis(plan_file: Path) -> None:
    plan = read_plan(plan_file)
    directory = plan_file.parent
    homes = {name: Places.below(directory / name) for name in ("planning", "tax")}
    files = [prepare_apart(plan, name, directory / name, now=NOW) for name in homes]
    genesis = assemble_files(plan, files, directory / "genesis.bin", NOW)
    later = assemble(plan, [read_member(path, NOW) for path in reversed(files)], NOW + timedelta(days=1))
    assert later == genesis.raw
    assert (genesis.name, genesis.parameters.heartbeat_ms) == ("试点", 2000)
    for name, places in homes.items():
        config = load_config(install_apart(plan, name, directory / name, genesis))
        assert config.file == places.node / "node.toml"
        signer = load_signer(config.node.consensus_key, KeyKind.CONSENSUS, genesis.suite)
        check_against_chain(config, at_genesis(genesis, plan_file.parent / f"{name}-chain"), [signer.public_key])
    assert str(load_config(homes["planning"].node / "node.toml").node.listen) == "10.0.0.1:7999"
    # Nothing that is there already is overwritten.
    for again, code in (
        (lambda: prepare_apart(plan, "tax", directory / "tax"), Code.NETWORK_DIRECTORY_USED),
        (lambda: assemble_files(plan, files, directory / "genesis.bin", NOW), Code.FILE_ACCESS),
        (lambda: install_apart(plan, "tax", directory / "tax", genesis), Code.FILE_ACCESS),
    ):
        with pytest.raises(HuzhengError) as caught:
            again()
        assert code_of(caught) is code


def test_a_member_file_holds_no_secret(plan_file: Path) -> None:
    places = Places.below(plan_file.parent / "tax")
    prepare(read_plan(plan_file), "tax", places, NOW)
    assert b"PRIVATE" not in places.member.read_bytes()


@pytest.fixture
def members(plan_file: Path) -> tuple[NetworkPlan, list[Member]]:
    plan = read_plan(plan_file)
    names = ("tax", "planning")
    return plan, [prepare(plan, name, Places.below(plan_file.parent / name), NOW) for name in names]


def problems(plan: NetworkPlan, members: list[Member]) -> str:
    with pytest.raises(HuzhengError) as caught:
        assemble(plan, members, NOW)
    assert code_of(caught) is Code.MEMBER_FILE_INVALID
    return caught.value.detail


def test_member_files_that_do_not_make_up_the_plan_are_named(members: tuple[NetworkPlan, list[Member]]) -> None:
    plan, (tax, planning) = members
    change = msgspec.structs.replace
    assert "planning: no member file" in problems(plan, [tax])
    assert "tax: more than one member file" in problems(plan, [tax, tax, planning])
    assert "police: not a department of the plan" in problems(plan, [tax, planning, change(tax, department="police")])
    assert "made for replica 9; the plan says 1" in problems(plan, [change(tax, replica=9), planning])
    assert "another crypto suite" in problems(plan, [change(tax, suite="simulation"), planning])
    assert "the same CA key" in problems(plan, [change(tax, ca_certificate=planning.ca_certificate), planning])


def test_a_key_that_occurs_twice_or_is_inadmissible_makes_no_genesis(members: tuple[NetworkPlan, list[Member]]) -> None:
    plan, (tax, planning) = members
    for key in (planning.consensus_key, tax.system_keys[0], "00" * 32, "ff" * 32):
        with pytest.raises(HuzhengError) as caught:
            assemble(plan, [msgspec.structs.replace(tax, consensus_key=key), planning], NOW)
        assert code_of(caught) is Code.BAD_GENESIS


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document | {"format": 2},
        lambda document: document | {"extra": 1},
        lambda document: document | {"consensus_key": "AB" * 32},
        lambda document: document | {"consensus_key": "ab" * 31},
        lambda document: document | {"system_keys": "ab" * 32},
        lambda document: document | {"replica": 0},
        lambda document: document | {"department": "../tax"},
        lambda document: {key: value for key, value in document.items() if key != "admin_keys"},
        lambda document: [document],
    ],
)
def test_a_member_file_in_another_form_is_refused(plan_file: Path, change: object) -> None:
    places = Places.below(plan_file.parent / "tax")
    prepare(read_plan(plan_file), "tax", places, NOW)
    document = msgspec.json.decode(places.member.read_bytes())
    assert callable(change)
    places.member.write_bytes(msgspec.json.encode(change(document)))
    with pytest.raises(HuzhengError) as caught:
        read_member(places.member, NOW)
    assert code_of(caught) is Code.MEMBER_FILE_INVALID


def test_a_member_file_whose_ca_cannot_issue_is_refused(plan_file: Path) -> None:
    places = Places.below(plan_file.parent / "tax")
    member = prepare(read_plan(plan_file), "tax", places, NOW)
    leaf = (places.node / "keys" / "tls.crt").read_text()
    expired = new_authority("tax", "税务局", NOW - timedelta(days=9), days=1).certificate_pem.decode()
    for certificate in (leaf, expired, "no certificate"):
        places.member.write_bytes(msgspec.json.encode(msgspec.structs.replace(member, ca_certificate=certificate)))
        with pytest.raises(HuzhengError) as caught:
            read_member(places.member, NOW)
        assert code_of(caught) is Code.TLS_FILE_INVALID


def test_a_genesis_without_ones_own_keys_is_not_installed(
    members: tuple[NetworkPlan, list[Member]], plan_file: Path
) -> None:
    plan, _ = members
    home = plan_file.parent
    genesis = assemble_files(plan, [home / "tax/member.json", home / "planning/member.json"], home / "g.bin", NOW)
    again = Places.below(home / "again")
    prepare(plan, "tax", again, NOW)
    with pytest.raises(HuzhengError) as caught:
        install(plan, "tax", again, genesis, NOW)
    assert code_of(caught) is Code.CONFIG_NOT_GENESIS
    assert len(caught.value.detail.splitlines()) == 4


def test_a_genesis_with_a_key_slipped_in_beside_ones_own_is_not_installed(
    members: tuple[NetworkPlan, list[Member]], plan_file: Path
) -> None:
    plan, (tax, planning) = members
    extra = ED25519_SHA256.signer(bytes(32)).public_key.hex()
    widened = msgspec.structs.replace(tax, system_keys=[*tax.system_keys, extra])
    genesis = Genesis.read(assemble(plan, [widened, planning], NOW))
    home = plan_file.parent
    with pytest.raises(HuzhengError) as caught:
        install(plan, "tax", Places.below(home / "tax"), genesis, NOW)
    assert code_of(caught) is Code.CONFIG_NOT_GENESIS
    assert caught.value.detail.endswith("the genesis has other signing keys for tax")
    install(plan, "planning", Places.below(home / "planning"), genesis, NOW)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("[network]", "[net]", Code.CONFIG_INVALID),
        ('id = "tax"', 'id = "Tax"', Code.CONFIG_INVALID),
        ('id = "tax"', 'id = "planning"', Code.NETWORK_PLAN_INVALID),
        ("10.0.0.2:7100", "10.0.0.1:7100", Code.NETWORK_PLAN_INVALID),
        ("00:00:00Z", "00:00:00", Code.CONFIG_INVALID),
        ("heartbeat_ms = 2000", "heartbeat_ms = 1", Code.CONFIG_INVALID),
        ("heartbeat_ms = 2000", "heartbeat = 2000", Code.CONFIG_INVALID),
        ('name = "试点"', 'name = "试点"\nsuite = "simulation"', Code.SUITE_REFUSED),
        ('name = "试点"', 'name = "试点"\nsuite = "rot13"', Code.SUITE_UNKNOWN),
        ('name = "试点"', 'name = "试点"\ncatalogue = "none.toml"', Code.CONFIG_INVALID),
        ('name_en = "Taxation"', 'name_en = "Tax\\n[node]"', Code.CONFIG_INVALID),
        ('name_en = "Taxation"', 'name_en = "Tax"\nlisten = "x"', Code.CONFIG_INVALID),
        ('credit_code = "11', 'credit_code = "12', Code.NETWORK_PLAN_INVALID),
    ],
)
def test_a_mistake_in_a_plan_is_refused(plan_file: Path, old: str, new: str, code: Code) -> None:
    text = plan_file.read_text()
    assert old in text
    plan_file.write_text(text.replace(old, new, 1))
    with pytest.raises(HuzhengError) as caught:
        read_plan(plan_file)
    assert code_of(caught) is code


def test_a_certificate_is_renewed_in_place_and_keeps_its_holder(tmp_path: Path) -> None:
    made = init_network(tmp_path / "network", local_plan(1), passphrase=PASSPHRASE, now=NOW)
    genesis = read_genesis(made.genesis)
    keys = made.nodes["planning"] / "keys"
    before = (keys / "tls.crt").read_bytes()
    holder = Caller("planning", Role.REPLICA, "1")
    authority = made.directory / "authorities" / "planning"
    expiry = renew_certificate(authority, holder, keys, days=30, passphrase=lambda _: PASSPHRASE)
    assert (keys / "tls.crt").read_bytes() != before
    der = genesis.departments["planning"].ca_certificate
    assert load_material(keys / "tls.crt", keys / "tls.key", der, datetime.now(UTC), holder).not_after == expiry
    assert sorted(path.name for path in keys.iterdir()) == [
        "consensus.key",
        "signing.key",
        "tls.crt",
        "tls.key",
        "vault.key",
    ]
    with pytest.raises(HuzhengError) as caught:
        renew_certificate(authority, holder, keys, passphrase=lambda _: b"wrong")
    assert code_of(caught) is Code.KEY_PASSPHRASE_WRONG


def test_a_department_does_not_issue_for_another_by_mistake(network: Network, tmp_path: Path) -> None:
    authority = network.directory / "authorities" / "tax"
    with pytest.raises(HuzhengError) as caught:
        renew_certificate(authority, Caller("police", Role.CLERK, "wang"), tmp_path / "keys")
    assert code_of(caught) is Code.TLS_WRONG_HOLDER
    assert list(tmp_path.iterdir()) == []


def test_the_plan_in_the_documentation_is_a_good_one() -> None:
    plan = read_plan(Path(__file__).parents[2] / "docs" / "examples" / "network.toml")
    assert [department.id for department in plan.departments] == ["planning", "tax", "housing", "police"]
    assert {resource.department for resource in plan.catalogue} == {department.id for department in plan.departments}


def test_a_new_user_gets_a_certificate_in_a_new_directory(network: Network, tmp_path: Path) -> None:
    authority = network.directory / "authorities" / "tax"
    renew_certificate(authority, Caller("tax", Role.CLERK, "wang"), tmp_path / "wang" / "keys")
    assert stat.S_IMODE((tmp_path / "wang" / "keys" / "tls.key").stat().st_mode) == 0o600


def test_a_genesis_file_that_is_none_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "genesis.bin"
    for contents, code in ((None, Code.FILE_ACCESS), (b"", Code.BAD_GENESIS), (b"\x00" * (5 << 20), Code.BAD_GENESIS)):
        if contents is not None:
            path.write_bytes(contents)
        with pytest.raises(HuzhengError) as caught:
            read_genesis(path)
        assert code_of(caught) is code
        assert str(path) in caught.value.detail
