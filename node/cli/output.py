"""What commands print: tables for people, JSON for programs. Results go to standard output, the rest to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from ledger.errors import HuzhengError, Language
from node.cli.texts import Texts

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress
    from rich.text import Text

# Where output is no terminal, lines must not break in the middle of an id.
PLAIN_WIDTH = 200
# Columns of a table, in characters: the longest that is kept whole if there is room, the least for any other, and what is between them.
_LONGEST_WHOLE, _LEAST_WIDTH, _BETWEEN_COLUMNS = 40, 10, 3
# Words from this length on are ids, keys, hashes or paths: they are copied, and so are never broken by us.
_SHORTEST_ID = 24
_INDENT = 2


class OutputFormat(StrEnum):
    """The values of --output."""

    TABLE = "table"
    JSON = "json"


class Output:
    """Prints in the format chosen. rich is loaded with the first table, so that short commands start fast."""

    def __init__(self, output_format: OutputFormat, texts: Texts) -> None:
        self.format = output_format
        self.texts = texts
        self._consoles: dict[bool, Console] = {}

    @property
    def is_json(self) -> bool:
        """Whether a program reads the results."""
        return self.format is OutputFormat.JSON

    def json(self, document: object) -> None:
        """One JSON document, on one line so that streams are JSON Lines."""
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def line(self, text: str, style: str = "") -> None:
        """A line of text for people on standard output. Never read as markup: texts hold brackets."""
        self._console().print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def note(self, text: str, style: str = "dim") -> None:
        """A remark on standard error, for people only."""
        if not self.is_json:
            self._console(stderr=True).print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str, document: object) -> None:
        """A remark on standard error that nobody must miss: for people the text, for programs the document."""
        self.note(text, "bold red")
        if self.is_json:
            sys.stderr.write(json.dumps(document, ensure_ascii=False) + "\n")

    def show(self, renderable: RenderableType) -> None:
        """Anything rich can draw."""
        self._console().print(renderable)

    def table(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()
    ) -> None:
        """A table; the columns at the positions in `numbers` are aligned to the right. Values fold, never vanish.

        Where there is no room for ids in one line, each row becomes lines of names and values.
        """
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=title or None, title_justify="left", box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False
        )
        cells = [[Text(str(cell)) for cell in row] for row in rows]
        whole = _columns_to_keep_whole(columns, cells, self._console().width)
        if whole is None:
            self._expanded(title, columns, cells)
            return
        for position, name in enumerate(columns):
            justify: Literal["left", "right"] = "right" if position in numbers else "left"
            table.add_column(name, justify=justify, overflow="fold", no_wrap=position in whole)
        for row in cells:
            table.add_row(*row)
        self.show(table)

    def pairs(self, title: str, pairs: Iterable[tuple[str, object]]) -> None:
        """Names and values, one pair a line; a value with an id for which there is no room beside the name stands below it."""
        from rich.cells import cell_len

        if title:
            self.line(title, "bold")
        texts = [(name, str(value)) for name, value in pairs]
        # A long name gives way: what is read and copied are the values, such as a subject of 28 characters.
        most = max(self._console().width * 2 // 5, _LEAST_WIDTH)
        wide = min(most, max([cell_len(name) for name, _ in texts], default=0))
        beside: list[tuple[str, str]] = []
        for name, value in texts:
            if _longest_id(value) <= self._console().width - wide - _INDENT:
                beside.append((name, value))
                continue
            self._side_by_side(beside, wide)
            beside = []
            self.line(name, "bold")
            self._below(value)
        self._side_by_side(beside, wide)

    def _side_by_side(self, pairs: Sequence[tuple[str, str]], name_width: int) -> None:
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", overflow="fold", width=name_width)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            grid.add_row(Text(name), Text(value))
        if pairs:
            self.show(grid)

    def _below(self, value: str) -> None:
        """Indented, if no id need be broken for it. Else the terminal breaks the line: who copies it gets it whole."""
        from rich.padding import Padding
        from rich.text import Text

        if _longest_id(value) <= self._console().width - _INDENT:
            self.show(Padding(Text(value), (0, 0, 0, _INDENT), expand=False))
        else:
            self.line(value)

    def _expanded(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
        if title:
            self.line(title)
        for number, row in enumerate(rows):
            if number:
                self.line("")
            self.pairs("", [(name, text.plain) for name, text in zip(columns, row, strict=True)])

    def progress(self, description: str) -> Progress:
        """A progress bar on standard error; silent where nobody watches. Use as a context manager."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        console = self._console(stderr=True)
        progress = Progress(*columns, console=console, disable=self.is_json or not console.is_terminal, transient=True)
        progress.add_task(description, total=None)
        return progress

    def _console(self, *, stderr: bool = False) -> Console:
        if stderr not in self._consoles:
            from node.cli.consoles import PipeConsole

            terminal = (sys.stderr if stderr else sys.stdout).isatty()
            width = None if terminal or os.environ.get("COLUMNS") else PLAIN_WIDTH
            self._consoles[stderr] = PipeConsole(stderr=stderr, width=width)
        return self._consoles[stderr]


def _longest_id(text: str) -> int:
    """The length of the longest word that is to be copied whole; 0 if there is none."""
    return max((len(word) for word in text.split(" ") if len(word) >= _SHORTEST_ID and word.isascii()), default=0)


def _columns_to_keep_whole(names: Sequence[str], rows: Sequence[Sequence[Text]], width: int) -> set[int] | None:
    """The columns of ids, which are copied and must not be broken, and of other words if they leave room. None if ids have no room."""
    from rich.cells import cell_len

    words: dict[int, int] = {}
    ids: dict[int, int] = {}
    for position, name in enumerate(names):
        texts = [row[position] for row in rows]
        if any(" " in text.plain for text in texts):
            continue
        longest = max([cell_len(name), *(text.cell_len for text in texts)])
        if any(_longest_id(text.plain) for text in texts):
            ids[position] = longest
        elif longest <= _LONGEST_WHOLE:
            words[position] = longest
    for kept in (words | ids, ids):
        if sum(kept.values()) + _LEAST_WIDTH * (len(names) - len(kept)) + _BETWEEN_COLUMNS * len(names) <= width:
            return set(kept)
    return None if ids else set()


def print_error(error: HuzhengError, language: Language, *, as_json: bool) -> None:
    """An error with its code, reason and hint on standard error."""
    name = getattr(error, "name", str(error.code))
    if as_json:
        words = {"message": error.message(language), "detail": error.detail, "hint": error.hint(language)}
        sys.stderr.write(json.dumps({"error": {"code": name, **words}}, ensure_ascii=False) + "\n")
        return
    mark, hint = ("错误", "建议") if language == "zh" else ("error", "hint")
    first, *more = printable(error.detail).split("\n")
    lines = [f"{_red(mark)} {name}: {error.message(language)}" + (f" ({first})" if first else "")]
    lines += [f"  - {line}" for line in more]
    lines.append(f"  {hint}: {error.hint(language)}")
    sys.stderr.write("\n".join(lines) + "\n")


def _red(text: str) -> str:
    return f"\x1b[1;31m{text}\x1b[0m" if sys.stderr.isatty() and not os.environ.get("NO_COLOR") else text


def printable(text: str) -> str:
    """The text without control characters, which a hostile node could use to rewrite a terminal."""
    return "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)


def local_time(time_ms: int) -> str:
    """A time of the chain for people: this machine's time zone, with its offset."""
    moment = _moment(time_ms)
    return f"{time_ms} ms" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def json_time(time_ms: int) -> str | None:
    """A time of the chain for programs: RFC 3339 in UTC, to the millisecond; None beyond the year 9999."""
    moment = _moment(time_ms)
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def _moment(time_ms: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(time_ms // 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def short(identifier: bytes) -> str:
    """The start of a hash, enough for people to tell hashes apart."""
    return identifier.hex()[:12]
