"""The resources that a client knows: those of the genesis, and what a node tells of those published later."""

from __future__ import annotations

from huzheng.v1 import catalogue_pb2, ledger_service_pb2, state_pb2

from ledger.catalogue import CompiledResource
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis


class Catalogue:
    """Definitions by name and schema version. What is not of the genesis is a node's word, until a light client has it proved."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self._versions = {(name, found.schema_version): found for name, found in genesis.catalogue.items()}
        self._states: dict[str, state_pb2.ResourceState] = {}

    def version(self, name: str, schema_version: int) -> CompiledResource | None:
        """A schema version, be it open or not, if it is known here."""
        return self._versions.get((name, schema_version))

    def newest(self, name: str) -> CompiledResource | None:
        """The newest schema version that is known here."""
        known = [version for resource, version in self._versions if resource == name]
        return self._versions[name, max(known)] if known else None

    def to_write(self, name: str) -> CompiledResource | None:
        """The schema version that new records cite: the newest open one, or where none is told of that of the genesis."""
        state = self._states.get(name)
        if state is None:
            return self.newest(name)
        return self._versions.get((name, state.open_versions[-1])) if state.open_versions else None

    def names(self) -> list[str]:
        """Of all resources that are known here."""
        return sorted({name for name, _ in self._versions})

    def take(self, item: ledger_service_pb2.CatalogueItem) -> None:
        """Adds what a node tells of a resource or a schema version.

        Raises:
            HuzhengError: UNTRUSTED_ANSWER if it is not valid, or not what the genesis says.
        """
        if item.HasField("resource"):
            self._states[item.resource.name] = item.resource.state
        if item.HasField("version"):
            self.take_version(item.version)

    def take_version(self, told: catalogue_pb2.Resource) -> None:
        """Adds a schema version.

        Raises:
            HuzhengError: UNTRUSTED_ANSWER if it is not valid, or not what was known of it before.
        """
        try:
            compiled = CompiledResource(told)
        except HuzhengError:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "a resource that is not valid") from None
        known = self._versions.setdefault((told.name, told.schema_version), compiled)
        if known.message != told:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "another definition than the one known")
