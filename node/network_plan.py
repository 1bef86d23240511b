"""What a consortium agrees on before it has a network: its departments, where their nodes are, and the shared limits.

The plan of a real network is a TOML file that every department has a copy of. Replica ids follow the order of the
departments in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from huzheng.v1 import catalogue_pb2
from msgspec import Meta, Struct, defstruct, structs

from ledger.crypto import ReplicaId, suite_named
from ledger.errors import Code, HuzhengError
from ledger.fields.codes import is_social_credit_code, organisation_check, social_credit_check
from ledger.genesis import BOUNDS, Parameters
from node.catalogue_file import default_catalogue, load_catalogue
from node.config import DepartmentId
from node.toml_file import Address, TomlFile

# One line: names end up in comments of the files that `network init` writes.
Name = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,100}\Z")]

BASE_PORT: Final = 7100
# A node's port for metrics is this much above the one for gRPC.
HTTP_PORT_OFFSET: Final = 100
DEFAULT_SUITE: Final = "ed25519-sha256"
# Region of the synthetic credit codes: Beijing.
_REGION = "110000"
_KNOWN = (
    ("planning", "规划和自然资源委员会", "Planning and Natural Resources"),
    ("tax", "税务局", "Taxation"),
    ("housing", "住房和城乡建设委员会", "Housing and Urban-Rural Development"),
    ("police", "公安局", "Public Security"),
    ("civil-affairs", "民政局", "Civil Affairs"),
    ("justice", "司法局", "Justice"),
    ("finance", "财政局", "Finance"),
    ("market", "市场监督管理局", "Market Regulation"),
)


_ParametersSection = defstruct(
    "_ParametersSection",
    [
        (item.name, Annotated[int, Meta(ge=BOUNDS[item.name][0], le=BOUNDS[item.name][1])], item.default)
        for item in fields(Parameters)
    ],
    frozen=True,
)


class DepartmentPlan(Struct, frozen=True):
    """`[[departments]]`: a department and its node."""

    id: DepartmentId
    credit_code: str
    name_zh: Name
    name_en: Name
    # Where the others and its own clients reach its node.
    address: Address
    # Where the node listens, if not at that port on every interface (on loopback: at the address itself).
    listen: Address | None = None

    @property
    def listen_address(self) -> Address:
        """Where the node listens."""
        if self.listen is not None:
            return self.listen
        if self.address.host in ("127.0.0.1", "::1", "localhost"):
            return self.address
        return Address("::" if ":" in self.address.host else "0.0.0.0", self.address.port)

    @property
    def http_address(self) -> Address:
        """Where the node serves metrics and health: on loopback, as they have no TLS."""
        port = self.listen_address.port
        return Address(
            "127.0.0.1", port + HTTP_PORT_OFFSET if port + HTTP_PORT_OFFSET < 65536 else port - HTTP_PORT_OFFSET
        )


class _NetworkSection(Struct, frozen=True):
    """`[network]`."""

    name: Name
    suite: str = DEFAULT_SUITE
    # Time of the genesis block. With it, whoever assembles the genesis gets the same bytes.
    time: datetime | None = None
    # A catalogue file; without one, the one that comes with Huzheng.
    catalogue: Path | None = None


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """A whole plan that has been checked."""

    name: str
    departments: tuple[DepartmentPlan, ...]
    catalogue: tuple[catalogue_pb2.Resource, ...]
    suite: str = DEFAULT_SUITE
    time_ms: int | None = None
    parameters: Parameters = field(default_factory=Parameters)
    duties: tuple[catalogue_pb2.Duty, ...] = ()

    def replica_of(self, department: str) -> ReplicaId:
        """The id of the department's replica.

        Raises:
            HuzhengError: NETWORK_PLAN_INVALID if the department is not in the plan.
        """
        ids = [plan.id for plan in self.departments]
        if department not in ids:
            raise HuzhengError(Code.NETWORK_PLAN_INVALID, f"{department} is not a department of the plan")
        return ReplicaId(ids.index(department) + 1)

    def department(self, replica: ReplicaId) -> DepartmentPlan:
        """The department that runs a replica."""
        return self.departments[replica - 1]


def local_plan(count: int = 4, base_port: int = BASE_PORT, catalogue: Path | None = None) -> NetworkPlan:
    """A network of synthetic departments on this machine, their nodes at the ports after `base_port`.

    Raises:
        HuzhengError: NETWORK_PLAN_INVALID, BAD_CATALOGUE.
    """
    if not 1 <= count <= 100:
        raise HuzhengError(Code.NETWORK_PLAN_INVALID, "a network on one machine has 1 to 100 departments")
    if not 1 <= base_port <= 65535 - count - HTTP_PORT_OFFSET:
        raise HuzhengError(Code.NETWORK_PLAN_INVALID, f"the base port must be 1 to {65535 - count - HTTP_PORT_OFFSET}")
    departments = tuple(_synthetic(number, Address("127.0.0.1", base_port + number)) for number in range(1, count + 1))
    present = {department.id for department in departments}
    resources, duties = _catalogue(catalogue, present)
    return checked(NetworkPlan("互证 Huzheng", departments, resources, duties=duties))


def read_plan(path: Path) -> NetworkPlan:
    """Reads and checks a plan file.

    Raises:
        HuzhengError: CONFIG_MISSING; CONFIG_INVALID or NETWORK_PLAN_INVALID with all mistakes; BAD_CATALOGUE;
            SUITE_UNKNOWN, SUITE_REFUSED.
    """
    toml = TomlFile.read(path)
    network = toml.section("network", _NetworkSection)
    departments = toml.list_of_sections("departments", DepartmentPlan)
    parameters = toml.section("parameters", _ParametersSection, default=_ParametersSection())
    toml.refuse_other_sections()
    if network is not None and network.time is not None and network.time.tzinfo is None:
        toml.problem("network.time", "without a time zone, such as 2026-01-01T00:00:00Z")
    if network is not None and network.catalogue is not None:
        toml.require_file("network.catalogue", network.catalogue)
    toml.raise_problems()
    # A missing required section is a problem, so this only tells mypy.
    if network is None or parameters is None:
        raise HuzhengError(Code.CONFIG_INVALID, str(path))
    resources, duties = _catalogue(network.catalogue, {department.id for department in departments})
    time_ms = None if network.time is None else int(network.time.timestamp() * 1000)
    limits = Parameters(**structs.asdict(parameters))
    return checked(NetworkPlan(network.name, tuple(departments), resources, network.suite, time_ms, limits, duties))


def checked(plan: NetworkPlan) -> NetworkPlan:
    """The plan itself, if it can become a network.

    Raises:
        HuzhengError: NETWORK_PLAN_INVALID with all mistakes, one a line; SUITE_UNKNOWN, SUITE_REFUSED.
    """
    suite_named(plan.suite)
    problems = [] if plan.departments else ["there is no department"]
    ids = {department.id for department in plan.departments}
    for what, values in (
        ("id", [department.id for department in plan.departments]),
        ("credit code", [department.credit_code for department in plan.departments]),
        ("address", [department.address for department in plan.departments]),
    ):
        if len(set(values)) < len(values):
            problems.append(f"two departments have the same {what}")
    for department in plan.departments:
        if not is_social_credit_code(department.credit_code):
            problems.append(f"department {department.id}: the credit code is not valid")
    for resource in plan.catalogue:
        if resource.department not in ids:
            problems.append(f"resource {resource.name}: its department is not in the plan")
    for duty in plan.duties:
        if duty.department not in ids:
            problems.append(f"duty {duty.code}: its department is not in the plan")
    known = {(duty.department, duty.code) for duty in plan.duties}
    for resource in plan.catalogue:
        if resource.duty and (resource.department, resource.duty) not in known:
            problems.append(f"resource {resource.name}: its department has no duty {resource.duty}")
    if problems:
        raise HuzhengError(Code.NETWORK_PLAN_INVALID, "\n".join(problems))
    return plan


def _catalogue(
    path: Path | None, departments: set[str]
) -> tuple[tuple[catalogue_pb2.Resource, ...], tuple[catalogue_pb2.Duty, ...]]:
    if path is not None:
        found = load_catalogue(path)
        return found.resources, found.duties
    # A network without the tax department has no use for its resources.
    found = default_catalogue()
    resources = tuple(resource for resource in found.resources if resource.department in departments)
    return resources, tuple(duty for duty in found.duties if duty.department in departments)


def _synthetic(number: int, address: Address) -> DepartmentPlan:
    if number <= len(_KNOWN):
        department, name_zh, name_en = _KNOWN[number - 1]
    else:
        department, name_zh, name_en = f"department-{number}", f"第{number}部门", f"Department {number}"
    organisation = f"{number:08d}"
    body = f"11{_REGION}{organisation}{organisation_check(organisation)}"
    return DepartmentPlan(department, body + social_credit_check(body), name_zh, name_en, address)
