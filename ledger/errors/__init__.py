"""Every error that Huzheng shows: a stable code, a text in English and Chinese, and a hint of what to do next.

No text ever repeats a submitted value: values may be personal data.
"""

from __future__ import annotations

from typing import Literal

from huzheng.v1 import transaction_pb2 as pb

from ledger.errors.chain_texts import CHAIN_TEXTS
from ledger.errors.codes import Code, Text
from ledger.errors.node_texts import NODE_TEXTS
from ledger.errors.sharing_texts import SHARING_TEXTS

__all__ = ["TEXTS", "Code", "HuzhengError", "Language", "Text", "refusal"]

Language = Literal["en", "zh"]

TEXTS: dict[Code, Text] = CHAIN_TEXTS | SHARING_TEXTS | NODE_TEXTS


class HuzhengError(Exception):
    """The one root of all errors shown to people and programs.

    `detail` says what exactly, in English and without any submitted value: a field's name, a rule's number, a file's path.
    """

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        text = f"{self.code}: {TEXTS[self.code].en}"
        return f"{text} ({self.detail})" if self.detail else text

    def message(self, language: Language = "en") -> str:
        """What went wrong, for people."""
        text = TEXTS[self.code]
        return text.zh if language == "zh" else text.en

    def hint(self, language: Language = "en") -> str:
        """What to do next, for people."""
        text = TEXTS[self.code]
        return text.hint_zh if language == "zh" else text.hint_en


def refusal(code: pb.ResultCode.ValueType) -> Code:
    """The error code of a refusal on chain (docs/protocol.md X3)."""
    return Code(pb.ResultCode.Name(code).removeprefix("RESULT_CODE_"))
