"""Changes of the membership on a running local network, by the same commands that departments use."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from scripts.local.network import LocalNetwork, Node, run_huzheng, wait_until

IN_FORCE_TIMEOUT_S = 60.0


class Members:
    """The replicas of a local network that vote."""

    def __init__(self, network: LocalNetwork, voting: Sequence[str], largest: int) -> None:
        """`largest`: so many departments there will be at most."""
        self.network = network
        self.voting = list(voting)
        self._changes = 0
        self._plan = network.directory / "plan.toml"
        addresses = network.nodes[voting[0]].config["node"]["listen"]
        base_port = int(addresses.rpartition(":")[2]) - 1
        run_huzheng("network", "plan", self._plan, "-n", str(largest), "--base-port", str(base_port))

    def prepare(self, department: str) -> Path:
        """Keys, a node that runs already, and the seat file that it hands out. All others get to know its address."""
        home = self.network.directory / "joining" / department
        home.parent.mkdir(exist_ok=True)
        genesis = ("--genesis", self.network.genesis)
        run_huzheng("member", "prepare", self._plan, department, home, *genesis)
        node = Node(department, home / "node")
        replica, address = node.config["node"]["replica"], node.config["node"]["listen"]
        for other in self.network.nodes.values():
            _add_peer(other.directory / "node.toml", int(replica), address, department)
        self.network.nodes[department] = node
        (self.network.directory / "clients" / department).symlink_to(home / "clients")
        node.start()
        return home / "seat.json"

    def join(self, departments: Sequence[str]) -> None:
        """New departments run one replica each, all from one change on."""
        seats = [self.prepare(department) for department in departments]
        self.decide(*(option for seat in seats for option in ("--seat", str(seat))))
        self.voting += departments

    def leave(self, departments: Sequence[str]) -> None:
        """Departments' replicas vote no more; their nodes go on and follow."""
        replicas = [str(self.network.nodes[department].config["node"]["replica"]) for department in departments]
        self.decide(*(option for replica in replicas for option in ("--remove", replica)))
        self.voting = [department for department in self.voting if department not in departments]

    def replace_key(self, department: str, *, old_is_lost: bool = False) -> None:
        """A department's replica gets another key; its node is restarted with both before, or with the new one alone."""
        node = self.network.nodes[department]
        seat = self.network.directory / f"{department}-{self._changes}.json"
        key = node.directory / "keys" / f"consensus-{self._changes}.key"
        run_huzheng("member", "new-key", node.directory, key, seat)
        file, new = node.directory / "node.toml", f'consensus_key = "keys/{key.name}"'
        kept = new if old_is_lost else r"\g<0>"
        file.write_text(re.sub(r"(?m)^consensus_key = .*$", f"{kept}\nnext_{new}", file.read_text()))
        node.stop()
        node.start()
        self.decide("--seat", str(seat))

    def decide(self, *options: str) -> None:
        """All that vote sign a change; waits until the members are in its epoch."""
        self._changes += 1
        change = self.network.directory / f"{self._changes}.change"
        first = self.network.profile(self.voting[0], "system")
        run_huzheng("member", "propose", change, *options, "--profile", first)
        for department in self.voting:
            run_huzheng("member", "sign", change, "--profile", self.network.profile(department, "system"))
        epoch = self.epochs()[0] + 1
        run_huzheng("member", "submit", change, "--profile", first)
        wait_until(lambda: min(self.epochs()) >= epoch, IN_FORCE_TIMEOUT_S, f"all nodes in epoch {epoch}")

    def epochs(self) -> list[int]:
        """The epoch that each node is in."""
        return [int(node.gauge("huzheng_epoch")) for node in self.network.nodes.values() if node.answers("/healthz")]

    def listed(self) -> list[int]:
        """The replicas that vote, as `huzheng member list` shows them."""
        profile = self.network.profile(self.voting[0], "clerk")
        shown = json.loads(run_huzheng("member", "list", "--profile", profile, "--output", "json").stdout)
        return [member["replica"] for member in shown["in_force"]["replicas"]]


def _add_peer(file: Path, replica: int, address: str, department: str) -> None:
    text = file.read_text()
    if f"[peers.{replica}]" not in text:
        file.write_text(f'{text}\n# {department}\n[peers.{replica}]\naddress = "{address}"\n')
