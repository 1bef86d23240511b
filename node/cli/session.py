"""What every command shares: its output, its language, the options all have, and the way to the profile."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from ledger.errors import Code, HuzhengError, Language
from node.cli.localise import LocalCommand, LocalGroup
from node.cli.output import Output, OutputFormat, print_error
from node.cli.texts import Texts, locale_language
from node.errors import ExitStatus, exit_status

if TYPE_CHECKING:
    from node.profile import ClientProfile

F = TypeVar("F", bound=Callable[..., None])
COMMON_PANEL = "Common options"

DEFAULT_TIMEOUT_S = 30.0

OutputOption = Annotated[
    OutputFormat | None,
    typer.Option(
        "--output", "-o", help="table for people (the default), json for programs.", rich_help_panel=COMMON_PANEL
    ),
]
LanguageOption = Annotated[
    Literal["en", "zh"] | None,
    typer.Option("--lang", help="Language of all texts; otherwise that of the locale.", rich_help_panel=COMMON_PANEL),
]
ProfileOption = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        metavar="FILE",
        help="Who calls, and which nodes; otherwise HUZHENG_PROFILE or ./client.toml.",
        rich_help_panel=COMMON_PANEL,
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.1,
        max=3600.0,
        help="Seconds to wait for each answer of a node (30 by default).",
        rich_help_panel=COMMON_PANEL,
    ),
]


class Ended(Exception):
    """A command that has said all there is to say ends with this exit status."""

    def __init__(self, status: ExitStatus | int) -> None:
        super().__init__(status)
        self.status = int(status)


@dataclass(slots=True)
class Session:
    """One run of one command."""

    out: Output
    profile_path: Path | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    language_given: bool = False
    # What Ctrl-C leaves to say.
    when_stopped: str = ""
    _profile: ClientProfile | None = field(default=None, repr=False)

    @property
    def t(self) -> Texts:
        """The texts in the language chosen."""
        return self.out.texts

    @property
    def language(self) -> Language:
        """The language chosen."""
        return self.t.language

    def profile(self) -> ClientProfile:
        """The caller's profile; its language counts unless --lang was given.

        Raises:
            HuzhengError: CONFIG_MISSING, CONFIG_INVALID.
        """
        from node.profile import find_profile, load_profile

        if self._profile is None:
            self._profile = load_profile(find_profile(self.profile_path))
            if self._profile.client.language and not self.language_given:
                self.t.language = self._profile.client.language
        return self._profile


def group(words: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(cls=LocalGroup, no_args_is_help=True, help=words)


def command(app: typer.Typer, name: str, *, online: bool = False) -> Callable[[F], F]:
    """Registers a command whose first parameter is its Session, and gives it the common options.

    `online`: whether it calls a node, and so takes --profile and --timeout.
    """

    def register(function: F) -> F:
        common: dict[str, Any] = {"output": OutputOption, "lang": LanguageOption}
        if online:
            common |= {"profile": ProfileOption, "timeout": TimeoutOption}
        app.command(name, cls=LocalCommand)(_with_session(function, common))
        return function

    return register


def common_options(
    context: typer.Context,
    output: OutputOption = None,
    lang: LanguageOption = None,
    profile: ProfileOption = None,
    timeout: TimeoutOption = None,
) -> None:
    """Takes the common options before the command's name too; those after it override them."""
    context.obj = {"output": output, "lang": lang, "profile": profile, "timeout": timeout}


def _with_session(function: Callable[..., None], common: dict[str, Any]) -> Callable[..., None]:
    def run(context: typer.Context, **values: Any) -> None:
        inherited = context.find_root().obj or {}
        given = {option: values.pop(option) for option in common}
        chosen = {option: inherited.get(option) if value is None else value for option, value in given.items()}
        _run(function, _session(**chosen), values)

    kind = inspect.Parameter.KEYWORD_ONLY
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    shared = [inspect.Parameter(option, kind, default=None, annotation=hint) for option, hint in common.items()]
    parameters = [
        inspect.Parameter("context", kind, annotation=typer.Context),
        *(parameter.replace(kind=kind) for parameter in own),
        *shared,
    ]
    run.__doc__ = function.__doc__
    run.__name__ = function.__name__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _run(function: Callable[..., None], session: Session, values: dict[str, Any]) -> None:
    try:
        function(session, **values)
        sys.stdout.flush()
    except HuzhengError as error:
        # Here and not in main: the profile may have chosen the language meanwhile.
        print_error(error, session.language, as_json=session.out.is_json)
        raise Ended(exit_status(error)) from None
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        _drop_output()
        raise Ended(128 + signal.SIGPIPE) from None
    except OSError as error:
        # A full disk, most often: where standard output goes to, or a file that a command was adding to.
        _drop_output()
        failed = HuzhengError(
            Code.FILE_ACCESS, ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        )
        print_error(failed, session.language, as_json=session.out.is_json)
        raise Ended(exit_status(failed)) from None
    except KeyboardInterrupt:
        session.out.note(session.when_stopped or session.t("Stopped."), "yellow")
        raise Ended(ExitStatus.INTERRUPTED) from None


def _drop_output() -> None:
    """Drops what standard output does not take: Python would complain once more when it flushes at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _session(
    output: OutputFormat | None,
    lang: Language | None,
    profile: Path | None = None,
    timeout: float | None = None,
) -> Session:
    texts = Texts(lang or locale_language(os.environ))
    out = Output(output or OutputFormat.TABLE, texts)
    return Session(out, profile, timeout or DEFAULT_TIMEOUT_S, language_given=lang is not None)
