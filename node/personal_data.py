"""A guard at the edges against personal data on a chain that can't forget.

It finds what has a shape of its own: citizens' ID numbers and mobile numbers. It is a safety net for mistakes, no proof
of absence, and never part of a validity decision: entry nodes may differ in what they turn away.
"""

from __future__ import annotations

import re

from ledger.fields.codes import looks_like_citizen_id

_TO_ASCII = {0xFF10 + digit: str(digit) for digit in range(10)} | {0xFF38: "X", 0xFF58: "x", 0xFF0D: "-", 0x3000: " "}
# A random id may hold any digits by chance.
_RANDOM_ID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")
# People write it in one piece or as region, birth date and rest.
_CITIZEN_ID = re.compile(r"(?<![0-9])([0-9]{6})[ -]?([0-9]{8})[ -]?([0-9]{3}[0-9Xx])(?![0-9])")
_MOBILE = re.compile(r"(?<![0-9A-Za-z])(?:(?:\+|00)86[ -]?)?1[3-9][0-9]([ -]?)[0-9]{4}\1[0-9]{4}(?![0-9A-Za-z])")


def find_personal_data(text: str) -> bool:
    """Whether the text holds a citizen's ID number (right check digit, possible birth date) or a mobile number.

    ID numbers count unless they are inside a longer run of digits, mobile numbers (1[3-9] and nine digits, perhaps
    after +86) only if they stand alone.
    """
    plain = _RANDOM_ID.sub(" ", text.translate(_TO_ASCII))
    if any(looks_like_citizen_id("".join(match.groups())) for match in _CITIZEN_ID.finditer(plain)):
        return True
    return _MOBILE.search(plain) is not None
