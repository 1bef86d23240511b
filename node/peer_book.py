"""Where the other replicas are: `[peers]` of node.toml, read again when the file changes, and what the chain says of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import structlog

from ledger.crypto import ReplicaId
from ledger.errors import HuzhengError
from node.config import NodeConfig, PeerSection, load_config
from node.consortium import Consortium
from node.peers import Peer

log = structlog.get_logger("peers")


class PeerBook:
    """A change of the membership, or a replica that moves, needs a new line in node.toml and no restart."""

    def __init__(self, config: NodeConfig, consortium: Consortium) -> None:
        self._file = config.file
        self._own = ReplicaId(config.node.replica)
        self._consortium = consortium
        self._sections: Mapping[ReplicaId, PeerSection] = config.peers
        self._seen = _fingerprint(config.file)

    def reread(self) -> bool:
        """Reads the file again if it has changed; whether it says something else now."""
        found = _fingerprint(self._file)
        if found == self._seen:
            return False
        self._seen = found
        try:
            sections = load_config(self._file).peers
        except HuzhengError as error:
            log.error("changed configuration refused", code=error.code, detail=error.detail)
            return False
        changed, self._sections = sections != self._sections, sections
        return changed

    def peers(self) -> list[Peer]:
        """The replicas with an address whose department is known."""
        found = []
        for replica, section in sorted(self._sections.items()):
            department = self._consortium.replicas.get(replica, section.department)
            if department is not None and department in self._consortium.departments and replica != self._own:
                found.append(Peer(replica, department, str(section.address)))
        return found

    def without_address(self) -> list[ReplicaId]:
        """Members, and members to be, that this node has no address for."""
        members = self._consortium.newest.membership.members
        return [member.replica for member in members if member.replica not in {*self._sections, self._own}]


def _fingerprint(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns)
