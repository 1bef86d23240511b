"""Breaks text into lines as Chinese is set: between any two ideographs, but no line starts with a mark that closes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

# An ideograph with the marks around it, or a run of anything else with the space after it.
_PIECE = re.compile(
    r"[（“《]*[\u2e80-\u2fff\u3005-\u9fff\uf900-\uffef\U00020000-\U0003ffff][、。，；：！？）”》…]*|[^\s\u2e80-\u9fff\uf900-\uffef\U00020000-\U0003ffff]+ ?|."
)


def break_lines(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """The lines of a text, none wider than `width`, in the unit of `measure`. Words that are wider are broken anywhere.

    A text of several paragraphs, parted by line ends, starts a line for each.
    """
    return [line for paragraph in text.split("\n") for line in _break_paragraph(paragraph, width, measure)]


def _break_paragraph(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    line = ""
    for piece in _pieces(text, width, measure):
        if line and measure((line + piece).rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece
    yield line.rstrip()


def _pieces(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    for piece in _PIECE.findall(text):
        if measure(piece.rstrip()) <= width:
            yield piece
        else:
            yield from piece
