"""Every text of the command line is there in both languages, and the right one is chosen."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from node.cli import app
from node.cli.chinese import CHINESE
from node.cli.localise import FRAMES, paragraphs
from node.cli.texts import Texts, early_language, locale_language

SOURCES = sorted(Path(app.__file__).parent.rglob("*.py"))


def printed_texts() -> Iterator[str]:
    """Every literal handed to a `Texts`."""
    for path in SOURCES:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            function, first = call.func, call.args[0]
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            if name in ("t", "texts") and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def help_texts(command: Any) -> Iterator[str]:
    """Every help text of a command and all below it."""
    for attribute in ("help", "short_help", "epilog"):
        yield from paragraphs(getattr(command, attribute, None) or "")
    for parameter in command.params:
        yield from (text for text in (parameter.help, getattr(parameter, "rich_help_panel", None)) if text)
    for child in getattr(command, "commands", {}).values():
        yield from help_texts(child)


def all_texts() -> set[str]:
    helps = help_texts(typer.main.get_command(app.build_app()))
    return {text for text in (*printed_texts(), *helps, *FRAMES.values()) if text}


def test_every_text_has_its_chinese() -> None:
    assert not all_texts() - set(CHINESE)


def test_no_chinese_is_left_over() -> None:
    from_typer = {"Show this message and exit."}
    assert not set(CHINESE) - all_texts() - from_typer


@pytest.mark.parametrize("english", sorted(CHINESE))
def test_both_languages_have_the_same_gaps_to_fill(english: str) -> None:
    def gaps(text: str) -> list[str]:
        return sorted(f"{name}:{form}" for _, name, form, _ in string.Formatter().parse(text) if name is not None)

    assert gaps(english) == gaps(CHINESE[english])


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "", "LC_ALL": ""}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: str) -> None:
    assert locale_language(environment) == language


@pytest.mark.parametrize(
    "arguments", [["--lang", "zh"], ["record", "get", "--lang=zh"], ["--lang", "en", "--lang", "zh"]]
)
def test_lang_overrides_the_locale_wherever_it_stands(arguments: list[str]) -> None:
    assert early_language(arguments, {"LANG": "en_US.UTF-8"}) == "zh"


def test_what_follows_a_double_dash_is_no_option() -> None:
    assert early_language(["verify", "--", "--lang", "zh"], {}) == "en"


def test_a_text_without_translation_stays_english() -> None:
    assert Texts("zh")("Not in the table: {n}", n=1) == "Not in the table: 1"


def test_one_is_not_said_as_many() -> None:
    text = "{n} records accepted in {k} transactions, {s:.1f} s. Every receipt was verified."
    said = Texts("en")(text, n=1, k=1, s=1.0)
    assert said == "1 record accepted in 1 transaction, 1.0 s. Every receipt was verified."
    assert Texts("en")(text, n=11, k=21, s=1.0).startswith("11 records accepted in 21 transactions")
