"""Usage errors in both languages: what typer found wrong with a command line, said like every other error."""

from __future__ import annotations

import json
import sys
from typing import Any

from node.cli.output import printable
from node.cli.texts import Texts
from node.errors import ExitStatus


def explain_usage(error: Any, texts: Texts, *, as_json: bool) -> ExitStatus:
    """Prints one of typer's errors; with no arguments at all, typer's error is the help page itself."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        # The help page has been printed already.
        return ExitStatus.USAGE
    path = context.command_path if context else "huzheng"
    message, hint = printable(_reason(error, texts)), texts("See `{path} --help`.", path=path)
    if as_json:
        document = {"code": "USAGE", "message": message, "detail": "", "hint": hint}
        sys.stderr.write(json.dumps({"error": document}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"{texts('error')} USAGE: {message}\n  {texts('hint')}: {hint}\n")
    return ExitStatus.USAGE


def _reason(error: Any, texts: Texts) -> str:
    name = type(error).__name__
    parameter = getattr(error, "param", None)
    shown = _shown(parameter)
    if name == "MissingParameter" and parameter is not None:
        return texts("Missing: {what}.", what=shown)
    if name == "NoSuchOption":
        return texts("There is no option {what}.", what=error.option_name)
    if name == "BadParameter" and parameter is not None:
        return texts("{what} does not accept this value: {why}", what=shown, why=error.message)
    return texts("The command line is not understood: {why}", why=error.format_message())


def _shown(parameter: Any) -> str:
    if parameter is None:
        return ""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(max(parameter.opts, key=len))
