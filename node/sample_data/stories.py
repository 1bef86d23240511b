"""What happens to a flat: built, sold, mortgaged, seized, sold again, each step with the records of every department.

A step's records are in the order in which the departments act: contract, checks, tax, registration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta

from node.sample_data.dice import Dice
from node.sample_data.people import Citizen, Person
from node.sample_data.properties import Flat, company, office
from node.sample_data.records import SampleRecord

# Nothing happens after this day: samples must not look into the future.
LAST_DAY = date(2024, 12, 31)
_NUMBERS_PER_STORY = 64

_Step = Iterator[SampleRecord]


class Story:
    """The story of one flat; `records()` tells it once."""

    def __init__(self, flat: Flat, dice: Dice) -> None:
        self._flat = flat
        self._dice = dice
        self._day = flat.completed
        self._owners: list[Citizen] = []
        self._versions: dict[tuple[str, str], int] = {}
        self._seizure_fields: dict[str, str] = {}
        self._numbers = 0

    def records(self) -> _Step:
        """All that happens, up to the last day."""
        for step in self._plan():
            for record in step():
                if self._day > LAST_DAY:
                    return
                yield record

    def _plan(self) -> Iterator[Callable[[], _Step]]:
        dice = self._dice
        yield self._first_registration
        if not dice.chance(85):
            return
        yield self._sale_with_notice if dice.chance(30) else self._sale
        for _ in range(3):
            if dice.chance(60):
                yield self._mortgage
                if not dice.chance(55):
                    return
                yield self._release
            if dice.chance(4):
                yield self._objection
            if dice.chance(12):
                yield self._seizure
                if not dice.chance(60):
                    return
                yield self._lifting
            if not dice.chance(35):
                return
            yield self._sale

    # Steps

    def _first_registration(self) -> _Step:
        self._wait(60, 400)
        yield self._ownership("100", {"GYFS": "0", "QLRS": "1", "QLRDM": self._flat.developer}, ())

    def _sale_with_notice(self) -> _Step:
        self._wait(30, 700)
        buyers = self._new_citizens()
        holder, people = buyers[0].known_to("planning", self._dice)
        notice = {"YWH": self._case(), "YGDJZL": "2", "BDCDJZMH": self._certificate("证明"), "QLRBS": holder}
        yield self._assert("planning", "property.advance_notice", notice | self._registered(), people)
        yield from self._sale_to(buyers, "2")
        yield self._revoke("planning", "property.advance_notice")

    def _sale(self) -> _Step:
        self._wait(30, 2500)
        yield from self._sale_to(self._new_citizens(), "3" if self._owners else "2")

    def _sale_to(self, buyers: list[Citizen], contract_kind: str) -> _Step:
        contract = self._number()
        contract_number = f"HT{self._flat.county}-{self._day.year}-{contract:09}"
        yield self._contract(buyers, contract_number, contract_kind)
        self._wait(1, 10)
        for buyer in buyers:
            yield self._check(buyer)
        self._wait(3, 40)
        yield self._deed_tax(buyers[0], contract_number)
        self._wait(1, 15)
        self._owners = buyers
        form = "0" if len(buyers) == 1 else self._dice.choice("112")
        fields = {"GYFS": form, "QLRS": str(len(buyers))}
        ids, people = self._known(buyers, "planning", ("QLRBS", "QLRBS2"))
        yield self._ownership("200", fields | ids, people)

    def _mortgage(self) -> _Step:
        self._wait(0, 30)
        mortgagor, people = self._owners[0].known_to("planning", self._dice)
        until = self._day.replace(day=min(self._day.day, 28), year=self._day.year + self._dice.choice((10, 20, 25, 30)))
        fields = {
            "YWH": self._case(),
            "BDCDJZMH": self._certificate("证明"),
            "DYQR": company("B", self._dice.below(40)),
            "DYRBS": mortgagor,
            "DYFS": "1" if self._dice.chance(90) else "2",
            "ZWLXQSSJ": self._day.isoformat(),
            "ZWLXJSSJ": until.isoformat(),
            "DYSX": "1",
            "QSZT": "1",
        }
        yield self._assert("planning", "property.mortgage", fields | self._registered(), people)

    def _release(self) -> _Step:
        self._wait(400, 4000)
        yield self._revoke("planning", "property.mortgage")

    def _objection(self) -> _Step:
        self._wait(20, 400)
        fields = {"YWH": self._case(), "BDCDJZMH": self._certificate("证明")}
        yield self._assert("planning", "property.objection", fields | self._registered(), ())
        self._wait(15, 15)
        yield self._revoke("planning", "property.objection")

    def _seizure(self) -> _Step:
        self._wait(30, 1500)
        yield self._seized("1")
        if self._dice.chance(30):
            # A seizure runs at most three years; it is renewed before it ends.
            self._wait(900, 1080)
            yield self._seized("5")

    def _lifting(self) -> _Step:
        self._wait(60, 800)
        lifted = {"JFYWH": self._case(), "JFJG": self._office("court"), "JFDJSJ": self._day.isoformat()}
        yield self._assert("planning", "property.seizure", self._seizure_fields | lifted, ())
        yield self._revoke("planning", "property.seizure")

    # Records

    def _ownership(self, kind: str, owners: Mapping[str, str], people: Sequence[Person]) -> SampleRecord:
        flat = self._flat
        fields = {
            "YWH": self._case(),
            "QLLX": "4",
            "DJLX": kind,
            "BDCQZH": self._certificate("权"),
            **owners,
            "GHYT": "11",
            "FWXZ": "0",
            "FWJG": flat.structure,
            "SZC": str(flat.floor),
            "ZCS": str(flat.floors),
            "JZMJ": _area(flat.private_centiares + flat.shared_centiares),
            "ZYJZMJ": _area(flat.private_centiares),
            "FTJZMJ": _area(flat.shared_centiares),
            "JGSJ": flat.completed.isoformat(),
            "TDSYQSSJ": flat.land_from.isoformat(),
            "TDSYJSSJ": flat.land_until.isoformat(),
            "QSZT": "1",
        }
        return self._assert("planning", "property.ownership", fields | self._registered(), people)

    def _contract(self, buyers: list[Citizen], number: str, kind: str) -> SampleRecord:
        ids, people = self._known(buyers, "housing", ("MSRBS", "MSRBS2"))
        fields = {
            "HTBH": number,
            "HTLX": kind,
            "MSRS": str(len(buyers)),
            **ids,
            "QYRQ": self._day.isoformat(),
            "BARQ": self._day.isoformat(),
            "BAJG": self._office("housing"),
        }
        return self._assert("housing", "housing.online_contract", fields, people)

    def _check(self, buyer: Citizen) -> SampleRecord:
        person, people = buyer.known_to("police", self._dice)
        fields = {
            "HCLX": self._dice.choice("12"),
            "HCJG": "1",
            "RYBS": person,
            "HCRQ": self._day.isoformat(),
            "GAJG": self._office("police"),
        }
        return self._assert("police", "police.household_check", fields, people, subject=self._dice.random_id())

    def _deed_tax(self, buyer: Citizen, contract_number: str) -> SampleRecord:
        payer, people = buyer.known_to("tax", self._dice)
        fields = {
            "WSPZH": f"W{self._flat.county}{self._number():010}",
            "HTBH": contract_number,
            "NSRBS": payer,
            "WSRQ": self._day.isoformat(),
            "SWJG": self._office("tax"),
        }
        # What is taxed is the flat as it is registered.
        return self._assert("tax", "tax.deed_tax", fields, people, relies_on=("property.ownership",))

    def _seized(self, kind: str) -> SampleRecord:
        self._seizure_fields = {
            "YWH": self._case(),
            "CFJG": self._office("court"),
            "CFLX": kind,
            "CFQSSJ": self._day.isoformat(),
            "CFJSSJ": (self._day + timedelta(days=3 * 365)).isoformat(),
            "LHSL": "0",
        } | self._registered()
        return self._assert("planning", "property.seizure", self._seizure_fields, ())

    # Parts

    def _assert(
        self,
        department: str,
        resource: str,
        fields: Mapping[str, str],
        people: Sequence[Person],
        *,
        subject: str = "",
        relies_on: Sequence[str] = (),
    ) -> SampleRecord:
        about = subject or self._flat.code
        version = self._next_version(resource, about)
        relied = tuple((name, self._flat.code) for name in relies_on)
        return SampleRecord(department, resource, about, "assert", version, fields, tuple(people), relied)

    def _revoke(self, department: str, resource: str) -> SampleRecord:
        version = self._next_version(resource, self._flat.code)
        return SampleRecord(department, resource, self._flat.code, "revoke", version, {}, ())

    def _next_version(self, resource: str, subject: str) -> int:
        version = self._versions.get((resource, subject), 0) + 1
        self._versions[resource, subject] = version
        return version

    def _known(
        self, citizens: list[Citizen], department: str, names: Sequence[str]
    ) -> tuple[dict[str, str], tuple[Person, ...]]:
        ids: dict[str, str] = {}
        new: tuple[Person, ...] = ()
        for name, citizen in zip(names, citizens, strict=False):
            ids[name], people = citizen.known_to(department, self._dice)
            new += people
        return ids, new

    def _new_citizens(self) -> list[Citizen]:
        return [Citizen.born(self._dice) for _ in range(2 if self._dice.chance(45) else 1)]

    def _wait(self, least_days: int, most_days: int) -> None:
        self._day += timedelta(days=self._dice.between(least_days, most_days))

    def _number(self) -> int:
        """A number that no other case, contract or certificate of the county has."""
        self._numbers += 1
        return self._flat.serial * _NUMBERS_PER_STORY + self._numbers

    def _case(self) -> str:
        return f"{self._day.year}-{self._flat.county}-{self._number():09}"

    def _certificate(self, kind: str) -> str:
        return f"京({self._day.year}){self._flat.registrar}不动产{kind}第{self._number():07}号"

    def _office(self, kind: str) -> str:
        return office(kind, self._flat.county)

    def _registered(self) -> dict[str, str]:
        return {"DJJG": self._office("registry"), "DJSJ": self._day.isoformat()}


def _area(centiares: int) -> str:
    return f"{centiares // 100}.{centiares % 100:02}"
