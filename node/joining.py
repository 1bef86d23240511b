"""How a department gets a node on a chain that is running already, or a new key for the one it has."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ledger.crypto import ReplicaId, suite_named
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from node.config import CONFIG_NAME, NodeConfig
from node.keyfile import KeyKind, PassphraseSource, create_key_file, find_passphrase, load_signer
from node.member import CLIENT_ROLES, Places, prepare, read_member
from node.network import GENESIS_FILE, built_beside, create_vault
from node.network_plan import NetworkPlan
from node.network_texts import client_toml, node_toml
from node.pki import LEAF_DAYS
from node.private_file import write_new_file
from node.seat_file import SeatFile, joining_seat, new_key_seat, write_seat

SEAT_FILE = "seat.json"
AUTHORITY_FILE = "ca.crt"


def prepare_to_join(
    plan: NetworkPlan,
    department: str,
    directory: Path,
    genesis: Genesis,
    *,
    passphrase: bytes | None = None,
    tls_days: int = LEAF_DAYS,
) -> Path:
    """Makes a department's keys and a node ready to start, all or nothing; returns the seat file to hand out.

    `plan`: that of the network, with this department added at its end.

    Raises:
        HuzhengError: NETWORK_DIRECTORY_USED, FILE_ACCESS, NETWORK_PLAN_INVALID.
    """
    replica = plan.replica_of(department)
    if genesis.membership.member(replica) is not None:
        raise HuzhengError(Code.NETWORK_PLAN_INVALID, f"replica {replica} is in the genesis: it need not join")
    with built_beside(directory) as (building, target):
        places = Places.below(building)
        now = datetime.now(UTC)
        member = prepare(plan, department, places, now, passphrase=passphrase, tls_days=tls_days)
        _configure(plan, replica, places, genesis)
        signer = load_signer(
            places.node / "keys" / "consensus.key", KeyKind.CONSENSUS, genesis.suite, lambda _: passphrase
        )
        write_seat(building / SEAT_FILE, joining_seat(genesis, member, plan.department(replica), signer))
    return target / SEAT_FILE


def _configure(plan: NetworkPlan, replica: ReplicaId, places: Places, genesis: Genesis) -> None:
    described = plan.department(replica)
    authority = read_member(places.member, datetime.now(UTC)).ca_certificate.encode()
    peers = [(number, peer) for number, peer in enumerate(plan.departments, 1) if number != replica]
    write_new_file(places.node / "keys" / AUTHORITY_FILE, authority, private=False)
    write_new_file(places.node / GENESIS_FILE, genesis.raw, private=False)
    text = node_toml(described, replica, peers, authority=f"keys/{AUTHORITY_FILE}")
    write_new_file(places.node / CONFIG_NAME, text.encode(), private=False)
    create_vault(places.node)
    known = [(number, peer) for number, peer in peers if peer.id in genesis.departments]
    for role in CLIENT_ROLES:
        write_new_file(places.clients / role / "keys" / AUTHORITY_FILE, authority, private=False)
        write_new_file(places.clients / role / GENESIS_FILE, genesis.raw, private=False)
        text = client_toml(described, role, [(replica, described), *known], authority=f"keys/{AUTHORITY_FILE}")
        write_new_file(places.clients / role / "client.toml", text.encode(), private=False)


def make_new_key(
    config: NodeConfig,
    genesis: Genesis,
    key_file: Path,
    seat_file: Path,
    *,
    passphrase: bytes | None = None,
    ask: PassphraseSource = find_passphrase,
) -> SeatFile:
    """Makes a consensus key for a node that has one already, and the seat file to hand out.

    Raises:
        HuzhengError: KEY_FILE_EXISTS, FILE_ACCESS.
    """
    if seat_file.exists():
        raise HuzhengError(Code.FILE_ACCESS, f"{seat_file}: there is such a file")
    create_key_file(key_file, KeyKind.CONSENSUS, suite_named(genesis.suite.name), passphrase)
    signer = load_signer(
        key_file, KeyKind.CONSENSUS, genesis.suite, ask if passphrase is None else lambda _: passphrase
    )
    seat = new_key_seat(genesis, config.node.department, config.node.replica, signer)
    try:
        write_seat(seat_file, seat)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{seat_file}: {error.strerror}") from None
    return seat
