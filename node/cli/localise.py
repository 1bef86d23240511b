"""Help in both languages: the commands are declared with English help, which is exchanged before anyone sees it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

from node.cli.texts import Texts

if TYPE_CHECKING:
    from rich.text import Text

# What typer draws around help: its name for it, and its English.
FRAMES = {
    "ARGUMENTS_PANEL_TITLE": "Arguments",
    "OPTIONS_PANEL_TITLE": "Options",
    "COMMANDS_PANEL_TITLE": "Commands",
    "DEFAULT_STRING": "[default: {}]",
    "REQUIRED_LONG_STRING": "[required]",
}

# A Chinese character with the punctuation that must not start a line, or a run of anything else.
_WORD = re.compile(
    r"\s*(?:[\u2e80-\u2fff\u3005-\u9fff\uf900-\ufaff][\u3001\u3002\uff01-\uff1f…]*|[^\s\u2e80-\u9fff\uf900-\ufaff]+)\s*|\s*\S\s*"
)


class _Local:
    """What a command and a group have in common: the frame around their help is in the chosen language too."""

    texts = Texts("en")

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        translate_frames(self.texts)
        super().format_help(ctx, formatter)  # type: ignore[misc]

    def get_usage(self, ctx: Any) -> str:
        """The usage line."""
        usage: str = super().get_usage(ctx)  # type: ignore[misc]
        return self.texts("Usage:") + usage.removeprefix("Usage:")

    def get_help_option(self, ctx: Any) -> Any:
        """The option --help, which typer makes when it needs it."""
        option: Any = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = self.texts(option.help)
            option.metavar = ""
        return option


class LocalCommand(_Local, TyperCommand):
    """A command whose help is in the chosen language."""


class LocalGroup(_Local, TyperGroup):
    """A group of commands whose help is in the chosen language."""

    order: tuple[str, ...] = ()

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, in their order; typer would put groups last."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: self.order.index(name) if name in self.order else len(self.order))


def localise(command: Any, texts: Texts) -> None:
    """Exchanges the help of a command and all below it for that of the chosen language."""
    command.texts = texts
    for attribute in ("help", "short_help", "epilog"):
        value = getattr(command, attribute, None)
        if value:
            setattr(command, attribute, "\n\n".join(texts(paragraph) for paragraph in paragraphs(value)))
    for parameter in command.params:
        # typer would say <bool> beside a flag, as if it took a value.
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        if getattr(parameter, "help", None):
            parameter.help = texts(parameter.help)
        if getattr(parameter, "rich_help_panel", None):
            parameter.rich_help_panel = texts(parameter.rich_help_panel)
    for child in getattr(command, "commands", {}).values():
        localise(child, texts)


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a help text, each on one line."""
    return [" ".join(part.split()) for part in text.split("\n\n")]


def translate_frames(texts: Texts) -> None:
    """Exchanges the titles that typer draws around help."""
    from typer import rich_utils

    if texts.language == "zh":
        break_lines_in_chinese()
    for name, english in FRAMES.items():
        if hasattr(rich_utils, name):
            setattr(rich_utils, name, texts(english))


def break_lines_in_chinese() -> None:
    """Lets rich break lines between Chinese characters: it looks for spaces, and cuts off what has none."""
    from rich import _wrap
    from rich.text import Text

    _wrap.re_word = _WORD
    Text.rstrip_end = _drop_spaces_beyond  # type: ignore[assignment, method-assign]


def _drop_spaces_beyond(text: Text, size: int) -> None:
    """As rich's own, in columns: it counts characters, keeps a space too many, and cuts off a word to make room."""
    spaces = len(text.plain) - len(text.plain.rstrip())
    excess = min(spaces, text.cell_len - size)
    if excess > 0:
        text.right_crop(excess)
