"""A sheet of A4 paper to write, rule and print codes on, page after page. All lengths are in millimetres, fonts in points."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import segno
from fpdf import FPDF
from fpdf.drawing import PaintedPath
from fpdf.enums import PathPaintRule

from node.certificate.fonts import Font, Fonts
from node.certificate.line_breaking import break_lines

WIDTH, HEIGHT = 210.0, 297.0
LEFT, RIGHT, TOP, BOTTOM = 16.0, 194.0, 14.5, 282.0
"""The edges of what is written."""
QUIET_ZONE = 4
"""Modules of white that a code needs around it (ISO/IEC 18004)."""
MISSING = "〓"
"""Stands for a character that the font does not have, as printers do it."""
_MM_PER_POINT = 25.4 / 72
_LINE_HEIGHT = 1.32
"""Of a line to the size of its letters."""
_ASCENT = 0.88
"""How far the baseline is below the top of an ideograph's square, to its size."""

Align = Literal["left", "center", "right"]
Modules = tuple[bytearray, ...]
"""Of a code, a row each, dark ones being 1, without the quiet zone."""
Ink = tuple[int, int, int]
BLACK: Ink = (24, 24, 24)
GREY: Ink = (96, 96, 96)
RED: Ink = (140, 24, 24)
_RULE: Ink = (150, 146, 138)
_TINT: Ink = (247, 244, 237)


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is set."""

    family: Literal["serif", "sans"] = "serif"
    size: float = 9.0
    ink: Ink = BLACK
    align: Align = "left"

    @property
    def line_height(self) -> float:
        """From one line to the next."""
        return self.size * _MM_PER_POINT * _LINE_HEIGHT


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a row."""

    width: float
    text: str
    style: Style
    is_tinted: bool = False


class Sheet:
    """Keeps the place where the next thing goes, and starts a page when one is full."""

    def __init__(
        self, fonts: Fonts, *, title: str, subject: str, author: str, created: datetime, running_title: str
    ) -> None:
        """The first four are properties of the file; the last is at the top of each page but the first."""
        self._running_title = running_title
        self._pdf = FPDF(format="A4")
        self._pdf.set_auto_page_break(False)
        self._pdf.set_margin(0)
        self._pdf.set_title(title)
        self._pdf.set_subject(subject)
        self._pdf.set_author(author)
        self._pdf.set_creator("Huzheng")
        self._pdf.set_lang("zh-CN")
        self._pdf.set_creation_date(created)
        self._fonts: dict[str, Font] = {"serif": fonts.serif, "sans": fonts.sans}
        for family, font in self._fonts.items():
            self._pdf.add_font(family, fname=font.path, collection_font_number=font.number)
        self.y = TOP
        self._start_page()

    @property
    def room(self) -> float:
        """What is left of the page."""
        return BOTTOM - self.y

    def need(self, height: float) -> None:
        """Starts a page if this one has less room."""
        if self.room < height:
            self._start_page()

    def skip(self, height: float) -> None:
        """Leaves some paper blank."""
        self.y += height

    def write(self, text: str, style: Style, left: float = LEFT, right: float = RIGHT) -> None:
        """A text between two edges, on as many lines as it takes."""
        for line in self._lines(text, style, right - left):
            self.need(style.line_height)
            self._line(line, style, left, right, self.y)
            self.y += style.line_height

    def height_of(self, text: str, style: Style, width: float) -> float:
        """How much paper a text takes."""
        return len(self._lines(text, style, width)) * style.line_height

    def fits_on_a_line(self, text: str, style: Style, width: float) -> bool:
        """Whether a text needs one line only."""
        return len(self._lines(text, style, width)) == 1

    def rule(self) -> None:
        """A line across."""
        self._pdf.set_draw_color(*RED)
        self._pdf.set_line_width(0.35)
        self._pdf.line(LEFT, self.y, RIGHT, self.y)

    def row(self, cells: Sequence[Cell], padding: float = 0.85) -> None:
        """A ruled row. One that is too high for what is left of the page goes on the next."""
        side = 1.5
        lines = [self._lines(cell.text, cell.style, cell.width - 2 * side) for cell in cells]
        height = max(len(own) * cell.style.line_height for own, cell in zip(lines, cells, strict=True)) + 2 * padding
        self.need(height)
        left = LEFT
        self._pdf.set_draw_color(*_RULE)
        self._pdf.set_fill_color(*_TINT)
        self._pdf.set_line_width(0.15)
        for own, cell in zip(lines, cells, strict=True):
            self._pdf.rect(left, self.y, cell.width, height, "DF" if cell.is_tinted else "D")
            y = self.y + (height - len(own) * cell.style.line_height) / 2
            for line in own:
                self._line(line, cell.style, left + side, left + cell.width - side, y)
                y += cell.style.line_height
            left += cell.width
        self.y += height

    def code(self, modules: Modules, left: float, top: float, side: float) -> None:
        """A QR code with its quiet zone in a square of this side: one area of black, or hairs would show between its rows."""
        size = side / (len(modules) + 2 * QUIET_ZONE)
        path = PaintedPath()
        path.style.fill_color = "#000000"
        path.style.stroke_color = None
        path.style.paint_rule = PathPaintRule.FILL_NONZERO
        for row, start, length in _runs(modules):
            path.rectangle(left + (start + QUIET_ZONE) * size, top + (row + QUIET_ZONE) * size, length * size, size)
        with self._pdf.drawing_context() as drawing:
            drawing.add_item(path, clone=False)

    def to_pdf(self) -> bytes:
        """The file. The same calls make the same bytes."""
        # It says which tables of a font it drops.
        logging.getLogger("fontTools").setLevel(logging.ERROR)
        return bytes(self._pdf.output())

    def _start_page(self) -> None:
        self._pdf.add_page()
        self._pdf.set_draw_color(*RED)
        for inset, width in ((9.0, 0.6), (10.2, 0.15)):
            self._pdf.set_line_width(width)
            self._pdf.rect(inset, inset, WIDTH - 2 * inset, HEIGHT - 2 * inset)
        style = Style("sans", 7, GREY, "center")
        self._line(f"— {self._pdf.page_no()} —", style, LEFT, RIGHT, HEIGHT - 10.2 - style.line_height - 0.8)
        self.y = TOP
        if self._pdf.page_no() > 1:
            self.write(self._running_title, Style("sans", 7.5, GREY, "center"))
            self.skip(1.5)

    def _set(self, style: Style) -> None:
        self._pdf.set_font(style.family, size=style.size)
        self._pdf.set_text_color(*style.ink)

    def _has(self, text: str, style: Style) -> str:
        characters = self._fonts[style.family].characters
        return "".join(c if ord(c) in characters or c == "\n" else MISSING for c in text)

    def _lines(self, text: str, style: Style, width: float) -> list[str]:
        self._set(style)
        return break_lines(self._has(text, style), width, self._pdf.get_string_width)

    def _line(self, text: str, style: Style, left: float, right: float, top: float) -> None:
        self._set(style)
        free = right - left - self._pdf.get_string_width(text)
        x = left + {"left": 0.0, "center": free / 2, "right": free}[style.align]
        size = style.size * _MM_PER_POINT
        self._pdf.text(x, top + (style.line_height - size) / 2 + _ASCENT * size, text)


def qr_modules(text: str) -> Modules:
    """The modules of a QR code of error correction M."""
    code = segno.make_qr(text, error="m", mode="alphanumeric", boost_error=False)
    return tuple(code.matrix)


def _runs(modules: Modules) -> Iterable[tuple[int, int, int]]:
    """Row, first column and length of each run of dark modules."""
    for number, row in enumerate(modules):
        column = 0
        while (start := row.find(1, column)) >= 0:
            end = row.find(0, start)
            column = len(row) if end < 0 else end
            yield number, start, column - start
