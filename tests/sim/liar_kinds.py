"""All kinds of faulty replicas."""

from __future__ import annotations

from ledger.crypto import ReplicaId
from tests.sim.amnesiac import Amnesiac
from tests.sim.backups import Flooder, StaleChanger, Twin, Withholder, WrongLedger
from tests.sim.forgers import Agitator, Dissenter, ProofForger, Usurper, ViewForger
from tests.sim.liars import Liar
from tests.sim.machine import Machine
from tests.sim.primaries import (
    EquivocatingPrimary,
    ForgingPrimary,
    MeddlingPrimary,
    PaddingPrimary,
    SelectivePrimary,
    SilentPrimary,
    SlowPrimary,
)

LIARS_BY_NAME: dict[str, type[Machine]] = {
    kind.__name__: kind
    for kind in (
        *(Liar, Twin, Withholder, WrongLedger, StaleChanger, Flooder),
        *(EquivocatingPrimary, SilentPrimary, SelectivePrimary, SlowPrimary, ForgingPrimary, PaddingPrimary),
        *(MeddlingPrimary, ProofForger, ViewForger, Usurper, Dissenter, Agitator, Amnesiac),
    )
}


def last_of(n: int, kind: type[Machine] = Liar) -> dict[int, type[Machine]]:
    """As many liars as n replicas bear, all of them backups."""
    return {ReplicaId(n - i): kind for i in range((n - 1) // 3)}
