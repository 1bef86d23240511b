"""Reads a YAML file as a TOML file of the same structure is read; each mistake comes with its line.

Of YAML only what means one thing: maps, lists and scalars in one document, no key twice, no anchors, no tags. A plain scalar is
a number if it is a whole one in decimal digits, `true` or `false`, and otherwise text: `no` is a word and `2020-01-02` too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self

import yaml

from ledger.errors import Code, HuzhengError
from node.toml_file import TomlFile, read_text

_Path = tuple[str | int, ...]
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_WORDS = {"true": True, "false": False}
# Those that the safe loader gives to what has no tag.
_TAGS = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ["map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value"]
}
_TOKENS = re.compile(r"[.:\[\] ]+")


class YamlFile(TomlFile):
    """A parsed YAML file. Mistakes that are noted in it get the line that they are about."""

    def __init__(self, path: Path, tables: dict[str, Any], places: _Places) -> None:
        super().__init__(path, tables)
        self._places = places

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parses a file.

        Raises:
            HuzhengError: CONFIG_MISSING, CONFIG_INVALID.
        """
        absolute, places = path.absolute(), _Places()
        try:
            # Only the safe loader's scanner and composer: no object is made from what the file says.
            document = yaml.compose(read_text(absolute), Loader=yaml.SafeLoader)
            tables = {} if document is None else places.value(document, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = "" if mark is None else f"line {mark.line + 1}: "
            raise HuzhengError(Code.CONFIG_INVALID, f"{absolute}: not YAML: {where}{error.problem}") from None
        except (yaml.YAMLError, RecursionError):
            raise HuzhengError(Code.CONFIG_INVALID, f"{absolute}: not YAML") from None
        if not isinstance(tables, dict):
            raise HuzhengError(Code.CONFIG_INVALID, f"{absolute}: line 1: no map of sections")
        return cls(absolute, tables, places)

    def problem(self, key: str, text: str) -> None:
        """Notes a mistake."""
        super().problem(f"line {self._places.line_of(f'{key}: {text}')}: {key}", text)


class _Places:
    """On which line what stands."""

    def __init__(self) -> None:
        self._lines: dict[_Path, int] = {(): 1}
        self._named: dict[tuple[_Path, str], _Path] = {}
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: _Path) -> Any:
        """What a node holds; remembers where it and all in it stand."""
        if id(node) in self._seen:
            raise _error(node, "an alias")
        if node.tag not in _TAGS:
            raise _error(node, "a tag")
        self._seen.add(id(node))
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._element(item, path, number) for number, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: _Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, item in node.value:
            # `4: ...` names the code 4, as in TOML.
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _TAGS:
                raise _error(key, "a key that is no text")
            if key.value in values:
                raise _error(key, "a key twice")
            self._lines[*path, key.value] = key.start_mark.line + 1
            values[key.value] = self.value(item, (*path, key.value))
        return values

    def _element(self, node: yaml.Node, path: _Path, number: int) -> Any:
        value = self.value(node, (*path, number))
        for name in ("name", "code"):
            if isinstance(value, dict) and isinstance(value.get(name), str):
                self._named[path, value[name]] = (*path, number)
                # A resource is spoken of by its name alone.
                self._named.setdefault(((), value[name]), (*path, number))
        return value

    def line_of(self, text: str) -> int:
        """The line of what a mistake is about, as near as its text says: `resource.1.name: ...`, `a.b: field X: ...`."""
        head, _, rest = text.partition(": ")
        path = self._named.get(((), head), ())
        for token in filter(None, _TOKENS.split(rest if path else text)):
            step = self._step(path, token)
            if step is None:
                break
            path = step
        return self._lines[path]

    def _step(self, path: _Path, token: str) -> _Path | None:
        number = int(token) - 1 if token.isdecimal() else -1
        for step in ((*path, token), (*path, number), self._named.get((path, token), ())):
            if step in self._lines and step != ():
                return step
        return None


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    if getattr(node, "style", None) is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER.fullmatch(text) else text


def _error(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def write_yaml(document: dict[str, Any]) -> str:
    """The text of a file that `YamlFile` reads as this document again: maps, lists, text, numbers, true and false."""
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=160, default_flow_style=None)
