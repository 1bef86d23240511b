"""Texts of the command line in two languages: the code has them in English, the table beside it in Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ledger.errors import Language
from node.cli.chinese import CHINESE

# In the order in which POSIX lets them override one another.
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_ONE_OF_MANY = re.compile(r"(?<![\d.,:])1 (record|transaction|block|vote)s\b")


class Texts:
    """Gives each text in the language chosen."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, text: str, /, **values: object) -> str:
        """The text in this language with `{name}` replaced by values. A text without translation stays English."""
        if self.language == "zh":
            words = CHINESE.get(text, text)
            return words.format(**values) if values else words
        return _ONE_OF_MANY.sub(r"1 \1", text.format(**values)) if values else text


def locale_language(environment: Mapping[str, str]) -> Language:
    """Chinese if the locale is a Chinese one, English otherwise."""
    for variable in _LOCALE_VARIABLES:
        value = environment.get(variable)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def option_value(arguments: Sequence[str], option: str) -> str | None:
    """The last value given for an option, before the command line is parsed: help and usage errors need it early."""
    found = None
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == option and position + 1 < len(arguments):
            found = arguments[position + 1]
        elif argument.startswith(option + "="):
            found = argument.removeprefix(option + "=")
    return found


def early_language(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """The language of help and usage errors: that of --lang, or the locale's."""
    given = option_value(arguments, "--lang")
    if given == "zh":
        return "zh"
    return "en" if given == "en" else locale_language(environment)
