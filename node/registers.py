"""All resources of a register, as the state proves them (docs/protocol.md D2, Q9)."""

from __future__ import annotations

from ledger.catalogue import CompiledResource
from ledger.errors import Code, HuzhengError
from ledger.published import register_key, resource_count
from ledger.registers import register_of
from node.light_client import LightClient


async def resources_of(light: LightClient, register: str) -> list[CompiledResource]:
    """All resources of a register, in the order of their numbers; none if there is no such register.

    What they are called is the node's word; the state proves how many there are and which number each has, so that none is missing.

    Raises:
        HuzhengError: UNTRUSTED_ANSWER also if the node does not name one; as `LightClient.statement`, and what the node answers.
    """
    key, genesis = register_key(register), light.genesis
    count = resource_count(genesis, register, (await light.entries([key]))[key])
    found = [genesis.catalogue[name] for name in sorted(genesis.catalogue) if register_of(name) == register]
    if count > len(found):
        found += await _later(light, register, range(len(found), count))
    return found


async def _later(light: LightClient, register: str, numbers: range) -> list[CompiledResource]:
    """Those with these numbers, and perhaps newer ones."""
    await light.client.learn()
    told = {name for name in light.client.catalogue.names() if register_of(name) == register}
    proved = await light.later_resources(told.difference(light.genesis.catalogue))
    hidden = set(numbers).difference(proved)
    if hidden:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, f"{len(hidden)} resources of the register {register} are not named")
    return [resource for _, resource in sorted(proved.items())]
