"""Reads a TOML file into typed sections and collects every mistake in it, so that one start names them all."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args, get_origin

import msgspec

from ledger.errors import Code, HuzhengError

S = TypeVar("S", bound=msgspec.Struct)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_EVERY_HOST = ("0.0.0.0", "::")
_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `host:port`, with an IPv6 host in brackets.

        Raises:
            ValueError: says what is wrong.
        """
        host, separator, port = text.rpartition(":")
        if not separator:
            raise ValueError("not of the form host:port")
        if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            raise ValueError("the port is not a number from 1 to 65535")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            if not _IPV6.fullmatch(host):
                raise ValueError("not an IPv6 address in the brackets")
        elif not _HOST.fullmatch(host):
            raise ValueError("not a host name or address before the port")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def clashes_with(self, other: Self) -> bool:
        """Whether both can't be listened on at the same time."""
        same_host = self.host == other.host or self.host in _EVERY_HOST or other.host in _EVERY_HOST
        return same_host and self.port == other.port


class TomlFile:
    """A parsed TOML file, its sections and the mistakes found so far."""

    def __init__(self, path: Path, tables: dict[str, Any], *, needs_files: bool = True) -> None:
        """`needs_files`: whether files and directories that are not there are mistakes."""
        self.path = path
        self._needs_files = needs_files
        self._tables = tables
        self._asked: list[str] = []
        self._problems: list[str] = []

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parses a file.

        Raises:
            HuzhengError: CONFIG_MISSING, CONFIG_INVALID.
        """
        absolute = path.absolute()
        return cls.parse(absolute, read_text(absolute).encode())

    @classmethod
    def parse(cls, absolute: Path, data: bytes, *, needs_files: bool = True) -> Self:
        """As if these bytes were in the file at an absolute path; `needs_files` as in the constructor.

        Raises:
            HuzhengError: CONFIG_INVALID.
        """
        try:
            tables = tomllib.loads(data.decode())
        except UnicodeDecodeError:
            raise HuzhengError(Code.CONFIG_INVALID, f"{absolute}: not a text file in UTF-8") from None
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise HuzhengError(Code.CONFIG_INVALID, f"{absolute}: not TOML: {error}") from None
        return cls(absolute, tables, needs_files=needs_files)

    def section(self, name: str, kind: type[S], default: S | None = None) -> S | None:
        """A section; the default, if any, when it is absent; None when there is something wrong with it."""
        self._asked.append(name)
        if name not in self._tables:
            if default is None:
                self.problem(f"[{name}]", "missing section")
            return default
        return self.convert(name, self._tables[name], kind)

    def optional_section(self, name: str, kind: type[S]) -> S | None:
        """A section; None when it is absent, or when there is something wrong with it."""
        self._asked.append(name)
        return self.convert(name, self._tables[name], kind) if name in self._tables else None

    def numbered_sections(self, name: str, kind: type[S]) -> dict[int, S]:
        """The sections `[name.1]`, `[name.2]`, ..., without those that are wrong."""
        found: dict[int, S] = {}
        for key, value in self.named_tables(name).items():
            if not re.fullmatch(r"[1-9][0-9]{0,8}", key):
                self.problem(f"[{name}.{key}]", "not numbered 1, 2, 3, ...")
                continue
            section = self.convert(f"{name}.{key}", value, kind)
            if section is not None:
                found[int(key)] = section
        return found

    def named_tables(self, name: str) -> dict[str, object]:
        """What stands in `[name]`, unread; empty when it is absent."""
        self._asked.append(name)
        table = self._tables.get(name, {})
        if not isinstance(table, dict):
            self.problem(f"[{name}]", "not a section")
            return {}
        return table

    def list_of_sections(self, name: str, kind: type[S]) -> list[S]:
        """The sections `[[name]]`, without those that are wrong."""
        self._asked.append(name)
        tables = self._tables.get(name, [])
        if not isinstance(tables, list):
            self.problem(f"[[{name}]]", "not a list of sections")
            return []
        sections = [self.convert(f"{name}.{index}", value, kind) for index, value in enumerate(tables, 1)]
        return [section for section in sections if section is not None]

    def refuse_other_sections(self) -> None:
        """Notes every section that was not asked for."""
        for name in self._tables:
            if name not in self._asked:
                self.problem(f"[{name}]", f"unknown section{_did_you_mean(name, self._asked)}")

    def require_file(self, key: str, path: Path) -> None:
        """Notes if the file is not there."""
        if self._needs_files and not _holds(path.is_file):
            self.problem(key, f"no such file: {path}")

    def require_directory_possible(self, key: str, path: Path) -> None:
        """Notes if the directory is not there and can't be made either."""
        exists = _holds(path.exists)
        if exists and not _holds(path.is_dir):
            self.problem(key, f"not a directory: {path}")
        elif self._needs_files and not exists and not _holds(path.parent.is_dir):
            self.problem(key, f"no such directory: {path.parent}")

    def problem(self, key: str, text: str) -> None:
        """Notes a mistake."""
        self._problems.append(f"{key}: {text}")

    def raise_problems(self, code: Code = Code.CONFIG_INVALID) -> None:
        """Raises an error with all mistakes, one a line, if there are any."""
        if self._problems:
            raise HuzhengError(code, "\n".join([str(self.path), *self._problems]))

    def convert(self, name: str, table: object, kind: type[S]) -> S | None:
        """A table as a section called `name`; None, with its mistakes noted, when there is something wrong with it."""
        if not isinstance(table, dict):
            self.problem(f"[{name}]", "not a section")
            return None
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        before = len(self._problems)
        for key in table:
            if key not in fields:
                self.problem(f"{name}.{key}", f"unknown setting{_did_you_mean(key, list(fields))}")
        values = {}
        for key, field in fields.items():
            if key in table:
                values[field.name] = self._value(f"{name}.{key}", table[key], field.type)
            elif field.required:
                self.problem(f"{name}.{key}", "missing")
        return kind(**values) if len(self._problems) == before else None

    def _value(self, key: str, value: object, kind: Any) -> object:
        section = next((part for part in (kind, *get_args(kind)) if _is_section(part)), None)
        if section is not None:
            return self.convert(key, value, section)
        try:
            if kind in (Address, Address | None):
                return Address.parse(_text(value))
            return msgspec.convert(value, kind, dec_hook=self._path)
        except ValueError as error:
            choices = get_args(kind)
            if get_origin(kind) is Literal and value not in choices:
                self.problem(key, f"not one of {', '.join(map(str, choices))}")
                return None
            self.problem(key, str(error))
            return None

    def _path(self, kind: type, value: object) -> Path:
        if kind is not Path:
            raise NotImplementedError(kind)
        return self.path.parent / _text(value)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def read_text(path: Path) -> str:
    """A whole file of at most 1 MiB.

    Raises:
        HuzhengError: CONFIG_MISSING, CONFIG_INVALID.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise HuzhengError(Code.CONFIG_MISSING, f"{path}: {error.strerror}") from None
    if len(data) > _MAX_FILE_BYTES:
        raise HuzhengError(Code.CONFIG_INVALID, f"{path}: too large")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise HuzhengError(Code.CONFIG_INVALID, f"{path}: not a text file in UTF-8") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text in quotation marks, or empty")
    return value


def _did_you_mean(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def _holds(question: Callable[[], bool]) -> bool:
    """No answer is a no: a directory above it may be shut, or the name too long."""
    try:
        return question()
    except OSError:
        return False
