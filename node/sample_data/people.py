"""People who never lived: born in the 19th century, with ID numbers that have right check digits."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date

from ledger.fields.codes import citizen_id_check
from node.sample_data.dice import Dice

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
_GIVEN = "伟芳娜秀敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰春生文武德福贵才顺安康宁祥瑞泽雨晨曦子涵浩然欣怡梓轩"
_REGIONS = (
    "110101",
    "110105",
    "110108",
    "130102",
    "210102",
    "310101",
    "320102",
    "330102",
    "370102",
    "420106",
    "510104",
)
_FIRST_BIRTH, _LAST_BIRTH = date(1800, 1, 1).toordinal(), date(1899, 12, 31).toordinal()


@dataclass(frozen=True, slots=True)
class Person:
    """Who stands behind a random id: what the department's own system knows and the chain never does."""

    id: str
    department: str
    name: str
    document_number: str

    def to_json(self) -> str:
        """One line for the side file. Document type 1 is the ID card."""
        return json.dumps(
            {
                "id": self.id,
                "department": self.department,
                "name": self.name,
                "document_type": "1",
                "document_number": self.document_number,
            },
            ensure_ascii=False,
        )


@dataclass(slots=True)
class Citizen:
    """Somebody in a story, with the random id that each department has given them so far."""

    name: str
    document_number: str
    ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def born(cls, dice: Dice) -> Citizen:
        """Somebody new."""
        name = dice.choice(_SURNAMES) + "".join(dice.choice(_GIVEN) for _ in range(dice.between(1, 2)))
        birth = date.fromordinal(dice.between(_FIRST_BIRTH, _LAST_BIRTH))
        body = f"{dice.choice(_REGIONS)}{birth.isoformat().replace('-', '')}{dice.between(1, 999):03}"
        return cls(name, body + citizen_id_check(body))

    def known_to(self, department: str, dice: Dice) -> tuple[str, tuple[Person, ...]]:
        """The department's id for this person, and the entry for the side file if the id is new."""
        if department in self.ids:
            return self.ids[department], ()
        random_id = dice.random_id()
        self.ids[department] = random_id
        return random_id, (Person(random_id, department, self.name, self.document_number),)
