"""The texts of the files that `huzheng network init` writes for people to read and change."""

from __future__ import annotations

from collections.abc import Iterable

from node.config import LimitsSection, LogSection
from node.network_plan import DepartmentPlan, NetworkPlan

AUTHORITY_README = """\
{name_zh} ({name_en}): certificate authority of the department "{department}"

ca.key signs the department's TLS certificates. Whoever has it can act as any of the department's people and systems.
Move this directory to a machine or medium without a network, and keep a copy in a safe. Daemons never need it; you
need it to renew certificates (once a year) and to issue new ones:

    huzheng network certificate --help

ca.key 用于签发本部门的TLS证书，持有者可以冒充本部门的任何人员和系统。请将本目录移至离线介质并妥善备份。
节点运行不需要它；仅在每年续期或签发新证书时使用。
"""

NETWORK_README = """\
A Huzheng network: {count} departments, chain id {chain_id}

genesis.bin          what all departments share; the chain id is its hash. Everyone must have the same file.
chain-id.txt         the chain id, to read out and compare.
nodes/<department>   one directory per node, ready to start: huzheng node start nodes/<department>
clients/<department> one directory per kind of user: huzheng node status --profile clients/<department>/<role>
members/             each department's public keys and CA certificate, as the genesis has them.
authorities/         the departments' CA keys: MOVE THEM AWAY, each to its department, and off line.

Every file named *.key is secret. In a real network each department makes its own keys on its own machine, with
huzheng network prepare; this directory, with everybody's keys in one place, is for trials.

本目录包含全部部门的密钥，仅供试用；正式网络中各部门应在本机用 huzheng network prepare 自行生成密钥。
"""

_PLAN = """\
# The plan of a network: what all departments agree on before they make their keys. Replica ids follow this order, so
# that departments which join later are added at the end.

[network]
name = "{name}"
suite = "{suite}"

{departments}"""

_DEPARTMENT = """\
[[departments]]
id = "{it.id}"
credit_code = "{it.credit_code}"
name_zh = "{it.name_zh}"
name_en = "{it.name_en}"
address = "{it.address}"
"""

_NODE = """\
# Node of {name_zh} ({name_en}). Paths are relative to this file. Only local settings are here: what all nodes must
# share is in the genesis.

[node]
replica = {replica}
department = "{department}"
genesis = "genesis.bin"
data = "data"
consensus_key = "keys/consensus.key"
listen = "{listen}"

# Replaced files are taken up without a restart.
[tls]
certificate = "keys/tls.crt"
key = "keys/tls.key"
{authority}
# Confidential values of the department's records. Whoever loses the keyring (vault/keyring) or the master key loses
# them all; whoever has an old copy of the keyring can read what was erased since. docs/operations.md: "The vault".
[vault]
directory = "vault"
# Exactly one: key_file, passphrase_file, passphrase = true (HUZHENG_VAULT_PASSPHRASE), or the section [vault.token].
key_file = "keys/vault.key"
# Signs acknowledgements of erasures.
signing_key = "keys/signing.key"
# Keyrings belong where overwritten bytes are gone: no snapshots, no backups, no copy on write.
# keyring = "/mnt/keyring/keyring"
# A second copy of the keyring, on another medium, written with each change: without one a broken disk costs all values.
# escrow = "/mnt/escrow/keyring"

# Metrics and health, without TLS: keep them on loopback or behind a proxy.
[http]
listen = "{http}"

[limits]
{limits}

[log]
level = "{log.level}"
format = "{log.format}"

{peers}"""

_CLIENT = """\
# {role} of {name_zh} ({name_en}). Paths are relative to this file.

[client]
department = "{department}"
role = "{role}"
genesis = "genesis.bin"

[tls]
certificate = "keys/tls.crt"
key = "keys/tls.key"
{authority}
{keys}# Nodes are tried in this order: the department's own first.
{nodes}"""

_SYSTEM_KEYS = """\
[keys]
signing = "keys/signing.key"
admin = "keys/admin.key"

"""


def plan_toml(plan: NetworkPlan) -> str:
    """The text of a plan with the catalogue and the parameters that are the default."""
    departments = "\n".join(_DEPARTMENT.format(it=department) for department in plan.departments)
    return _PLAN.format(name=plan.name, suite=plan.suite, departments=departments)


def node_toml(
    described: DepartmentPlan, replica: int, peers: Iterable[tuple[int, DepartmentPlan]], *, authority: str = ""
) -> str:
    """The text of a `node.toml`. `authority`: the CA's file, of a department that the genesis does not name."""
    defaults = LimitsSection()
    departments = '\ndepartment = "{id}"' if authority else ""
    return _NODE.format(
        name_zh=described.name_zh,
        name_en=described.name_en,
        department=described.id,
        replica=replica,
        listen=described.listen_address,
        http=described.http_address,
        limits="\n".join(f"{name} = {getattr(defaults, name)}" for name in defaults.__struct_fields__),
        log=LogSection(),
        authority=_authority(authority),
        peers="\n".join(
            f'# {peer.id}\n[peers.{number}]\naddress = "{peer.address}"{departments.format(id=peer.id)}\n'
            for number, peer in peers
        ),
    )


def client_toml(
    described: DepartmentPlan, role: str, nodes: Iterable[tuple[int, DepartmentPlan]], *, authority: str = ""
) -> str:
    """The text of a `client.toml`; a system's names its signing keys. `authority`: as in `node_toml`."""
    return _CLIENT.format(
        name_zh=described.name_zh,
        name_en=described.name_en,
        department=described.id,
        role=role,
        keys=_SYSTEM_KEYS if role == "system" else "",
        authority=_authority(authority),
        nodes="\n".join(
            f'[[nodes]]\nreplica = {number}\ndepartment = "{node.id}"\naddress = "{node.address}"\n'
            for number, node in nodes
        ),
    )


def _authority(file: str) -> str:
    return f'authority = "{file}"\n' if file else ""
