"""Asks for a new passphrase."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from typing import TYPE_CHECKING

from ledger.errors import Code, HuzhengError

if TYPE_CHECKING:
    from node.cli.session import Session


def new_passphrase(session: Session) -> bytes:
    """From the environment, or typed in twice.

    Raises:
        HuzhengError: KEY_PASSPHRASE_NEEDED, KEY_PASSPHRASE_WRONG where the two differ.
    """
    from node.keyfile import PASSPHRASE_VARIABLE, find_passphrase

    if not sys.stdin.isatty() or os.environ.get(PASSPHRASE_VARIABLE):
        from pathlib import Path

        found = find_passphrase(Path())
        if not found:
            raise HuzhengError(Code.KEY_PASSPHRASE_NEEDED, "set HUZHENG_PASSPHRASE")
        return found
    first = getpass(session.t("New passphrase: "))
    if not first:
        raise HuzhengError(Code.KEY_PASSPHRASE_NEEDED, "")
    if getpass(session.t("Once more: ")) != first:
        raise HuzhengError(Code.KEY_PASSPHRASE_WRONG, session.t("the two differ"))
    return first.encode()
