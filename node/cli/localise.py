"""Help in both languages: the commands are declared with English help, which is exchanged before anyone sees it."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from node.cli.texts import Texts

# What typer draws around help: its name for it, and its English.
FRAMES = {
    "ARGUMENTS_PANEL_TITLE": "Arguments",
    "OPTIONS_PANEL_TITLE": "Options",
    "COMMANDS_PANEL_TITLE": "Commands",
    "DEFAULT_STRING": "[default: {}]",
    "REQUIRED_LONG_STRING": "[required]",
}


class LocalCommand(TyperCommand):
    """A command whose help page has its frame in the chosen language too."""

    texts = Texts("en")

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        translate_frames(self.texts)
        super().format_help(ctx, formatter)

    def get_usage(self, ctx: Any) -> str:
        """The usage line."""
        return translate_usage(super().get_usage(ctx), self.texts)


class LocalGroup(TyperGroup):
    """A group of commands whose help page has its frame in the chosen language too."""

    texts = Texts("en")
    command_class = LocalCommand

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help page."""
        translate_frames(self.texts)
        super().format_help(ctx, formatter)

    def get_usage(self, ctx: Any) -> str:
        """The usage line."""
        return translate_usage(super().get_usage(ctx), self.texts)


def localise(command: Any, texts: Texts) -> None:
    """Exchanges the help of a command and all below it for that of the chosen language."""
    command.texts = texts
    for attribute in ("help", "short_help", "epilog"):
        value = getattr(command, attribute, None)
        if value:
            setattr(command, attribute, texts(" ".join(value.split()) if attribute != "epilog" else value))
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = texts(parameter.help)
        if getattr(parameter, "rich_help_panel", None):
            parameter.rich_help_panel = texts(parameter.rich_help_panel)
    for child in getattr(command, "commands", {}).values():
        localise(child, texts)


def translate_frames(texts: Texts) -> None:
    """Exchanges the titles that typer draws around help."""
    from typer import rich_utils

    for name, english in FRAMES.items():
        if hasattr(rich_utils, name):
            setattr(rich_utils, name, texts(english))


def translate_usage(usage: str, texts: Texts) -> str:
    """The usage line with its first word in the chosen language."""
    return texts("Usage:") + usage.removeprefix("Usage:")
