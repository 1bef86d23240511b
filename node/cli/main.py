"""The entry point of `huzheng`: parses, runs, and turns every way to fail into one clear error and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer

from ledger.errors import Code, HuzhengError
from node.cli.app import build_command
from node.cli.output import print_error
from node.cli.session import Ended
from node.cli.texts import Texts, early_language, option_value
from node.cli.usage import explain_usage
from node.errors import ExitStatus, exit_status

DEBUG_VARIABLE = "HUZHENG_DEBUG"


def main() -> NoReturn:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit status. Never raises."""
    # gRPC's own log lines tell users nothing that our errors don't.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    language = early_language(arguments, os.environ)
    as_json = "json" in (option_value(arguments, "--output"), option_value(arguments, "-o"))
    try:
        result = build_command(language).main(args=list(arguments), prog_name="huzheng", standalone_mode=False)
        return result if isinstance(result, int) else ExitStatus.OK
    except Ended as end:
        return end.status
    except HuzhengError as error:
        print_error(error, language, as_json=as_json)
        return exit_status(error)
    except (KeyboardInterrupt, typer.Abort):
        print_error(HuzhengError(Code.INTERRUPTED), language, as_json=as_json)
        return ExitStatus.INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message"):
            return explain_usage(error, Texts(language), as_json=as_json)
        print_error(_unexpected(error), language, as_json=as_json)
        return ExitStatus.INTERNAL


def _unexpected(error: Exception) -> HuzhengError:
    """An error of ours. Its message is left out: it may repeat a value."""
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return HuzhengError(Code.INTERNAL, f"{type(error).__name__}{place}")


if __name__ == "__main__":
    main()
