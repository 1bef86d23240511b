"""The guard against personal data: what it stops, and what it must let through."""

from __future__ import annotations

import pytest

from node.personal_data import find_personal_data

ID = "11010519491231002X"


@pytest.mark.parametrize(
    "text",
    [
        ID,
        ID.lower(),
        "110105 19491231 002X",
        "110105-19491231-002X",
        f"身份证号:{ID}。",
        f"身份证{ID}号",
        f"ID{ID}",
        "１１０１０５１９４９１２３１００２Ｘ",
        "000000000000000000, " + ID,
        "13812345678",
        "电话13812345678",
        "+8613812345678",
        "138 1234 5678",
        "138-1234-5678",
    ],
)
def test_personal_data_is_found(text: str) -> None:
    assert find_personal_data(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "110105194912310021",
        "11010519491331002X",
        "1" + ID,
        "110108001003GB00012F00070349",
        "91512081MA62K0260E",
        "京(2020)海不动产权第0012345号",
        "2020-06-30",
        "12812345678",
        "2013812345678",
        "138123456789",
        "YWH13812345678",
        "0138123456780123456789abcdef0123",
        "a" * 14 + ID[:17] + "0",
    ],
)
def test_codes_dates_and_random_ids_pass(text: str) -> None:
    assert not find_personal_data(text)
