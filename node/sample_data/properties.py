"""Flats in Beijing that do not exist, and the offices, courts, banks and developers around them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from ledger.fields.codes import organisation_check, social_credit_check
from node.sample_data.dice import Dice

# County code, the registrar's short name in certificate numbers.
_COUNTIES = {
    "110101": "东",
    "110102": "西",
    "110105": "朝",
    "110106": "丰",
    "110107": "石",
    "110108": "海",
    "110109": "门",
    "110111": "房",
    "110112": "通",
    "110113": "顺",
    "110114": "昌",
    "110115": "大",
    "110116": "怀",
    "110117": "平",
    "110118": "密",
    "110119": "延",
}
# Every twentieth flat is in the same place of this round; Haidian has five places.
_ROUND = (*_COUNTIES, "110108", "110108", "110108", "110108")
_SUITES_PER_BUILDING = 72
_BUILDINGS_PER_PARCEL = 12
_UNITS_PER_PARCEL = _SUITES_PER_BUILDING * _BUILDINGS_PER_PARCEL
_PARCELS = 999 * 999 * 99_999
# Spreads the parcels over the county; shares no divisor with their number, so that none comes twice.
_STRIDE = 61_803_398_887

_OFFICES = {"registry": "1", "tax": "2", "housing": "3", "police": "4", "court": "5"}


@dataclass(frozen=True, slots=True)
class Flat:
    """A property unit and what never changes about it."""

    code: str
    county: str
    registrar: str
    serial: int
    floor: int
    floors: int
    structure: str
    private_centiares: int
    shared_centiares: int
    land_from: date
    completed: date
    developer: str

    @property
    def land_until(self) -> date:
        """Seventy years after the land was granted."""
        return self.land_from.replace(year=self.land_from.year + 70)


def flat(seed: int, index: int) -> Flat:
    """The index-th flat of a seed. No two have the same code, nor the same serial within a county."""
    place = index % len(_ROUND)
    county = _ROUND[place]
    serial = index // len(_ROUND) * _ROUND.count(county) + _ROUND[:place].count(county)
    lot, unit = divmod(serial, _UNITS_PER_PARCEL)
    building, suite = divmod(unit, _SUITES_PER_BUILDING)
    parcel = (Dice("parcels", seed, county).below(2**32) * 23 + lot * _STRIDE) % _PARCELS
    districts, number = divmod(parcel, 99_999)
    district, sub_district = divmod(districts, 999)
    code = f"{county}{district + 1:03}{sub_district + 1:03}GB{number + 1:05}F{building + 1:04}{suite + 1:04}"
    shared = Dice("building", seed, code[:-4])
    floors = shared.choice((6, 9, 12, 18, 24))
    completed = date(shared.between(1999, 2021), 1, 1) + timedelta(shared.below(365))
    own = Dice("flat", seed, index)
    private = own.between(38_00, 148_00)
    return Flat(
        code=code,
        county=county,
        registrar=_COUNTIES[county],
        serial=serial,
        floor=1 + suite * floors // _SUITES_PER_BUILDING,
        floors=floors,
        structure=shared.choice(("2", "3", "3", "3")),
        private_centiares=private,
        shared_centiares=private * shared.between(15, 28) // 100,
        land_from=date(completed.year - shared.between(3, 6), shared.between(1, 12), shared.between(1, 28)),
        completed=completed,
        developer=company("D", shared.below(400)),
    )


@cache
def office(kind: str, county: str) -> str:
    """The credit code of a county's registry, tax office, housing office, police office or court."""
    return _credit_code("11", county, f"YANG{_OFFICES[kind]}{county[3:]}")


@cache
def company(kind: str, index: int) -> str:
    """The credit code of a bank (B) or developer (D)."""
    return _credit_code("91", "110108", f"YAN{kind}{index:04}")


def _credit_code(kind: str, region: str, organisation: str) -> str:
    body = kind + region + organisation + organisation_check(organisation)
    return body + social_credit_check(body)
