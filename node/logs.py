"""Structured logs that can be pasted into a ticket: no record's values, no payload, no name, no number of a person.

Code logs ids, codes, counts and heights only. This is the net below that rule: whatever looks like personal data,
wherever it comes from (an exception's text, a library's own log), is replaced before it is written.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from pathlib import PurePath
from types import TracebackType
from typing import IO, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ledger.errors import HuzhengError

REDACTED = "[redacted]"
MAX_TEXT_CHARACTERS = 1_000
MAX_ITEMS = 32
MAX_DEPTH = 4
MAX_FRAMES = 24

# Keys whose values are never logged, whatever they look like.
FORBIDDEN_KEYS = frozenset(
    (
        "value",
        "values",
        "payload",
        "payloads",
        "fields",
        "field_values",
        "subject",
        "subjects",
        "record",
        "records",
        "raw",
        "body",
        "salt",
        "name",
        "names",
        "owner",
        "owners",
        "person",
        "persons",
        "seed",
        "secret",
        "private_key",
        "passphrase",
        "password",
        "token",
        "authorization",
    )
)
# Keys of large numbers that are no person's.
_NUMBER_SUFFIXES = ("_ms", "_us", "_ns", "_bytes", "_count")

_LARGEST_INNOCENT_NUMBER = 9_999_999_999
_HASH = r"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])"
# Numbers of persons, phones, accounts, certificates: 11 digits and more, with or without a grouping between them.
_DIGITS = r"\d(?:[ \-]?\d){10,}[Xx]?"
# Han and its extensions, kana, hangul: logs are in English, so this is somebody's text, often a name.
_CJK = r"[\u2e80-\u2fff\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
_E_MAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_SUSPICIOUS = re.compile(rf"({_HASH})|{_DIGITS}|{_CJK}|{_E_MAIL}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

_SHARED: list[Processor] = [
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
# One list however often logs are set up: loggers keep the one that they were first used with.
_PROCESSORS: list[Processor] = [*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]


def set_up_logs(form: Literal["json", "console"], level: str, stream: IO[str] = sys.stderr) -> None:
    """Every log of the process, libraries' included, through the same redaction to one stream, one line each."""
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        # Calls below the level cost next to nothing: the core traces every step.
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        cache_logger_on_first_use=True,
    )
    renderer: Processor = structlog.processors.JSONRenderer()
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, name_the_failure, redact, renderer],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Its debug log of every timer helps nobody.
    logging.getLogger("asyncio").setLevel(max(logging.INFO, root.level))


def name_the_failure(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces an exception by its type and where it was raised; its text may repeat a submitted value."""
    failure = event.pop("exc_info", None)
    event.pop("exc_text", None)
    event.pop("stack_info", None)
    if failure is True:
        failure = sys.exc_info()
    if isinstance(failure, tuple):
        failure = failure[1]
    if isinstance(failure, BaseException):
        event["failure"] = describe_exception(failure)
        event["raised_at"] = " < ".join(_frames(failure.__traceback__))
    return event


def describe_exception(failure: BaseException) -> str:
    """The type, and for our own errors the code and detail, which never hold a value."""
    if isinstance(failure, HuzhengError):
        return f"{failure.code}: {failure.detail}" if failure.detail else str(failure.code)
    return type(failure).__name__


def _frames(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-MAX_FRAMES:]
    return [
        f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    ]


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces in a log event all that should not be in a log."""
    return {_text(str(key)): _under(str(key), value) for key, value in event.items()}


def _under(key: str, value: object, depth: int = 0) -> object:
    if key.lower() in FORBIDDEN_KEYS:
        return REDACTED
    if isinstance(value, int) and key.endswith(_NUMBER_SUFFIXES):
        return value
    return _clean(value, depth)


def _clean(value: object, depth: int) -> object:
    clean: object = f"[{type(value).__name__}]"  # A repr may show anything, a whole message for instance.
    if value is None or isinstance(value, bool | float):
        clean = value
    elif isinstance(value, Enum):
        clean = value.name
    elif isinstance(value, int):
        clean = value if abs(value) <= _LARGEST_INNOCENT_NUMBER else REDACTED
    elif isinstance(value, str | PurePath):
        clean = _text(str(value))
    elif isinstance(value, bytes | bytearray | memoryview):
        clean = f"[{len(value)} bytes]"
    elif isinstance(value, BaseException):
        clean = _text(describe_exception(value))
    elif isinstance(value, Mapping | Sequence | Set) and depth < MAX_DEPTH:
        clean = _collection(value, depth + 1)
    return clean


def _collection(value: Mapping[object, object] | Sequence[object] | Set[object], depth: int) -> object:
    if isinstance(value, Mapping):
        return {_text(str(key)): _under(str(key), item, depth) for key, item in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, Sequence):
        return [_clean(item, depth) for item in value[:MAX_ITEMS]]
    return sorted(str(_clean(item, depth)) for item in value)[:MAX_ITEMS]


def _text(text: str) -> str:
    # Cut after redaction: half an ID number would no longer look like one.
    cleaned = _SUSPICIOUS.sub(lambda match: match.group(1) or REDACTED, text[: 4 * MAX_TEXT_CHARACTERS])
    if len(cleaned) > MAX_TEXT_CHARACTERS:
        cleaned = cleaned[:MAX_TEXT_CHARACTERS] + "..."
    # One event is one line, whatever a client sent.
    return _CONTROL.sub(" ", cleaned)
