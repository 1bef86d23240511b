"""The documents keep up with the code: commands they show exist, links lead somewhere, rules that code cites are written down."""

from __future__ import annotations

import ast
import io
import re
import shlex
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import TEXTS, Code
from ledger.genesis import BOUNDS, Parameters
from node.cli.app import build_command
from node.cli.chinese import CHINESE
from node.errors import ExitStatus

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = sorted(
    path
    for room in ("ledger", "consensus", "node", "scripts", "tests", "proto/huzheng/v1")
    for suffix in ("*.py", "*.proto")
    for path in (ROOT / room).rglob(suffix)
    if "_pb2" not in path.name and path != Path(__file__)
)

# A shell line in an indented block, perhaps run as another user by its full path.
_SHELL_LINE = re.compile(r"^ {4,}(?:\S.* )?(?:/opt/huzheng/bin/)?(?:(?<= )|(?<=/))huzheng (?P<rest>.+)")
_INLINE = re.compile(r"`huzheng (?P<rest>[^`]+)`")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)
# Letters of the rules' families in docs/protocol.md, and numbers as code cites them: "T4", "S1-S4", "C8 to C10".
_RULE = r"[BITXFCSRMKQHDPGE][1-9][0-9]?"
_DEFINED = re.compile(rf"\*\*(?P<rule>{_RULE})\b")
_CITED = re.compile(rf"(?<![\w.-])(?P<first>{_RULE})(?:(?: to |-|–)(?P<last>{_RULE}))?(?![\w])")
_SECTION_CITED = re.compile(r"docs/protocol\.md,? sections? (?P<first>\d+)(?: and (?P<second>\d+))?")


def shell_lines(page: Path) -> Iterator[str]:
    """What follows `huzheng` in the shell lines of a page."""
    for line in page.read_text().splitlines():
        found = _SHELL_LINE.match(line.partition(" # ")[0])
        if found and "│" not in line:
            yield found["rest"].strip()


def inline_commands(text: str) -> Iterator[str]:
    """What follows `huzheng` in commands that stand in a sentence."""
    return (" ".join(found["rest"].split()) for found in _INLINE.finditer(text))


@cache
def root_command() -> Any:
    """The whole command line."""
    return build_command("en")


def resolve(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words after its name."""
    command, rest = root_command(), list(words)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        name = rest.pop(0)
        # HUZHENG's own help says COMMAND where any could stand.
        if name.isupper():
            return command, []
        assert name in command.commands, f"there is no command {name!r} in {' '.join(words)!r}"
        command = command.commands[name]
    return command, rest


def options_of(command: Any) -> set[str]:
    """All options that a command takes."""
    return {"--help"}.union(*(parameter.opts + parameter.secondary_opts for parameter in command.params))


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def prose_of(source: Path) -> str:
    """A source's comments and docstrings."""
    text = source.read_text()
    if source.suffix == ".proto":
        return "\n".join(re.findall(r"//(.*)", text))
    comments = [
        token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT
    ]
    strings = [
        node.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return "\n".join(comments + strings)


@cache
def defined_rules() -> list[str]:
    """The rules of docs/protocol.md, in its order."""
    return [found["rule"] for found in _DEFINED.finditer((ROOT / "docs/protocol.md").read_text())]


def cited_rules(text: str) -> set[str]:
    """Rules that a text cites; of a range, its ends."""
    return {rule for found in _CITED.finditer(text) for rule in found.groups() if rule is not None}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestPages:
    """Every page of the documentation."""

    def test_shell_lines_are_accepted_by_the_command_line(self, page: Path) -> None:
        for line in shell_lines(page):
            command, rest = resolve(shlex.split(line.split("&&")[0]))
            if "--help" not in rest:
                # Parses names, options, choices and the number of arguments; runs nothing.
                command.make_context(line, rest)

    def test_commands_in_sentences_exist(self, page: Path) -> None:
        for line in inline_commands(page.read_text()):
            command, rest = resolve(shlex.split(line))
            unknown = {word for word in rest if word.startswith("-")} - options_of(command)
            assert not unknown, f"{line}: no such option"

    def test_links_lead_somewhere(self, page: Path) -> None:
        for found in _LINK.finditer(_FENCE.sub("", page.read_text())):
            target = found["target"]
            if target.startswith(("https://", "http://", "mailto:")):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path) if path else page
            assert file.exists(), f"{target}: no such file"
            if anchor:
                anchors = {slug(heading["text"]) for heading in _HEADING.finditer(file.read_text())}
                assert anchor in anchors, f"{target}: no such heading"


def test_pages_show_commands_at_all() -> None:
    shown = {line.split()[0] for page in PAGES for line in shell_lines(page)}
    assert set(root_command().commands) <= shown, "every command is shown somewhere"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_commands_in_hints_exist(language: str) -> None:
    for text in TEXTS.values():
        for line in inline_commands(text.hint_zh if language == "zh" else text.hint_en):
            command, rest = resolve(shlex.split(line))
            assert {word for word in rest if word.startswith("-")} <= options_of(command), line


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_guide_for_clerks_explains_every_verdict(language: str) -> None:
    verdicts = [
        text for text in CHINESE if re.match("(VALID|NOT PROVEN|GENUINE|STILL SO|NO LONGER SO|Whether it)", text)
    ]
    assert len(verdicts) == 11
    page = (ROOT / ("docs/clerks.md" if language == "en" else "docs/clerks.zh.md")).read_text()
    for text in verdicts:
        # As far as it has no values in it.
        said = re.split("[{(（]", text if language == "en" else CHINESE[text])[0]
        assert said.removesuffix(": this transaction did not take effect ").strip(" :：") in page, said


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = ([*shell_lines(ROOT / name)] for name in ("README.md", "README.zh.md"))
    assert english == chinese


def test_each_rule_is_defined_once() -> None:
    rules = defined_rules()
    assert len(rules) == len(set(rules)), sorted(rule for rule in rules if rules.count(rule) > 1)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rules_that_code_cites_are_in_the_protocol(source: Path) -> None:
    prose = prose_of(source)
    assert cited_rules(prose) <= set(defined_rules())
    sections = set(re.findall(r"^## (\d+) ", (ROOT / "docs/protocol.md").read_text(), re.MULTILINE))
    cited = {number for found in _SECTION_CITED.finditer(prose) for number in found.groups() if number}
    assert cited <= sections


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_rules_that_pages_cite_are_in_the_protocol(page: Path) -> None:
    assert cited_rules(page.read_text()) <= set(defined_rules())


def test_the_protocol_gives_the_bounds_that_the_genesis_check_has() -> None:
    text = (ROOT / "docs/protocol.md").read_text().partition("## 8 ")[2]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    defaults = Parameters()
    assert {name: (int(low), int(high)) for name, low, high, _ in rows} == dict(BOUNDS)
    assert {name: int(value) for name, _, _, value in rows} == {name: getattr(defaults, name) for name in BOUNDS}


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    decisions = sorted(path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md"))
    assert re.findall(r"\((\d{4}-[^)]+)\)", index) == decisions
    assert [int(name[:4]) for name in decisions] == list(range(1, len(decisions) + 1))


def test_decisions_are_titled_with_their_number() -> None:
    for path in (ROOT / "docs/adr").glob("[0-9]*.md"):
        assert path.read_text().startswith(f"# {int(path.name[:4])}. ")


def test_operations_guide_names_codes_that_exist() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    table = text.partition("## The node does not start")[2].partition("## A lost or damaged database")[0]
    codes = {code for row in table.splitlines() for code in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", row.split(" | ")[0])}
    assert len(codes) > 30
    assert codes <= set(Code.__members__)


def test_the_unit_does_not_restart_what_needs_a_person() -> None:
    unit = (ROOT / "scripts/systemd/huzheng-node@.service").read_text()
    found = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    assert found is not None
    restarted = {ExitStatus.OK, ExitStatus.INTERNAL, ExitStatus.TRY_AGAIN, ExitStatus.NOT_FOUND, ExitStatus.INTERRUPTED}
    assert {ExitStatus(int(number)) for number in found[1].split()} == set(ExitStatus) - restarted
