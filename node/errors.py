"""What each error code is on the wire and at the shell, and how errors travel in gRPC.

One table gives every code its gRPC status and the exit status of `huzheng`. On the wire an error is a
google.rpc.Status whose details carry one huzheng.v1.Problem. grpc is imported only where a call needs it, so that
offline commands start fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

from huzheng.v1 import ledger_service_pb2 as pb

from ledger.errors import Code, HuzhengError, Language

if TYPE_CHECKING:
    import grpc
    import grpc.aio
    from google.rpc import status_pb2

# Where gRPC carries a google.rpc.Status.
STATUS_DETAILS_KEY = "grpc-status-details-bin"


class ExitStatus(IntEnum):
    """Exit statuses of `huzheng`; documented in docs/operations.md and never given another meaning."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    BAD_INPUT = 3
    NOT_PROVEN = 4
    REFUSED = 5
    NOT_FOUND = 6
    NOT_ALLOWED = 7
    TRY_AGAIN = 8
    LOCAL = 9
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a code ends a call and a command: the name of the gRPC status, and the exit status."""

    grpc_status: str
    exit_status: ExitStatus


_INVALID = Outcome("INVALID_ARGUMENT", ExitStatus.BAD_INPUT)
_NOT_PROVEN = Outcome("DATA_LOSS", ExitStatus.NOT_PROVEN)
_REFUSED = Outcome("FAILED_PRECONDITION", ExitStatus.REFUSED)
_NOT_ALLOWED = Outcome("PERMISSION_DENIED", ExitStatus.NOT_ALLOWED)
_LOCAL = Outcome("INTERNAL", ExitStatus.LOCAL)

OUTCOMES: dict[Code, Outcome] = {
    Code.NOT_STRICT: _INVALID,
    Code.TOO_LARGE: _INVALID,
    Code.BAD_PROOF: _NOT_PROVEN,
    Code.BAD_CERTIFICATE: _NOT_PROVEN,
    Code.BAD_SIGNATURE: Outcome("INVALID_ARGUMENT", ExitStatus.NOT_PROVEN),
    Code.SUITE_UNKNOWN: _INVALID,
    Code.SUITE_REFUSED: _INVALID,
    Code.CRYPTO_SELF_TEST: _LOCAL,
    Code.VOTE_LOG_CORRUPT: _LOCAL,
    Code.VOTE_LOG_LOST: _LOCAL,
    Code.PEER_UNKNOWN: _NOT_ALLOWED,
    Code.REPLICA_BUG: _LOCAL,
    Code.DIVERGED: _LOCAL,
    Code.PROTOCOL_UNKNOWN: _NOT_PROVEN,
    Code.EPOCH_UNKNOWN: _NOT_PROVEN,
    Code.FORKED: _NOT_PROVEN,
    Code.STALE: _NOT_PROVEN,
    Code.SCHEMA_UNKNOWN: _NOT_PROVEN,
    Code.BAD_GENESIS: _INVALID,
    Code.BAD_CATALOGUE: _INVALID,
    Code.BAD_PATTERN: _INVALID,
    Code.MALFORMED_TRANSACTION: _INVALID,
    Code.WRONG_CHAIN: _INVALID,
    Code.BAD_BATCH: _INVALID,
    Code.UNKNOWN_KEY: Outcome("PERMISSION_DENIED", ExitStatus.REFUSED),
    Code.REVOKED_KEY: Outcome("PERMISSION_DENIED", ExitStatus.REFUSED),
    Code.KEY_NOT_ALLOWED: Outcome("PERMISSION_DENIED", ExitStatus.REFUSED),
    Code.EXPIRED: _REFUSED,
    Code.LIFETIME_TOO_LONG: _REFUSED,
    Code.REPEATED: Outcome("ALREADY_EXISTS", ExitStatus.REFUSED),
    Code.UNKNOWN_RESOURCE: _REFUSED,
    Code.NOT_OWNER: Outcome("PERMISSION_DENIED", ExitStatus.REFUSED),
    Code.BAD_SUBJECT: _REFUSED,
    Code.SCHEMA_MISMATCH: _REFUSED,
    Code.BAD_PAYLOAD: _REFUSED,
    Code.UNKNOWN_FIELD: _REFUSED,
    Code.MISSING_FIELD: _REFUSED,
    Code.BAD_FIELD: _REFUSED,
    Code.VERSION_CONFLICT: Outcome("ABORTED", ExitStatus.REFUSED),
    Code.NOTHING_TO_REVOKE: _REFUSED,
    Code.KEY_EXISTS: Outcome("ALREADY_EXISTS", ExitStatus.REFUSED),
    Code.BAD_KEY: _REFUSED,
    Code.LAST_ADMIN_KEY: _REFUSED,
    Code.WRONG_EPOCH: _REFUSED,
    Code.CHANGE_PENDING: _REFUSED,
    Code.CHANGE_EXPIRED: _REFUSED,
    Code.NOT_APPROVED: _REFUSED,
    Code.BAD_DEPARTMENT: _REFUSED,
    Code.BAD_REPLICA: _REFUSED,
    Code.TOO_FEW_REPLICAS: _REFUSED,
    Code.TOO_MANY_REPLICAS: _REFUSED,
    Code.TOO_MUCH_AT_ONCE: _REFUSED,
    Code.BAD_VERSION: _REFUSED,
    Code.BAD_OPERATION: _REFUSED,
    Code.BAD_COMMITMENT: _REFUSED,
    Code.RELIED_NOT_CURRENT: _REFUSED,
    Code.UNKNOWN_DUTY: _REFUSED,
    Code.NOT_PUBLISHED: _REFUSED,
    Code.BAD_AMENDMENT: _REFUSED,
    Code.UNKNOWN_GRANT: _REFUSED,
    Code.NOT_PARTY: _REFUSED,
    Code.WRONG_GRANT_STATE: _REFUSED,
    Code.TOO_WIDE: _REFUSED,
    Code.NOT_SHARED: _REFUSED,
    Code.GRANT_EXPIRED: _REFUSED,
    Code.GRANT_USED_UP: _REFUSED,
    Code.OUTSIDE_GRANT: _REFUSED,
    Code.NOTHING_TO_READ: _REFUSED,
    Code.ERASED: _REFUSED,
    Code.UNKNOWN_READ: _REFUSED,
    Code.ALREADY_DONE: _REFUSED,
    Code.BAD_ANSWER: Outcome("INTERNAL", ExitStatus.NOT_PROVEN),
    Code.RELEASE_OVER: _REFUSED,
    Code.VALUES_MISSING: Outcome("UNAVAILABLE", ExitStatus.NOT_FOUND),
    Code.VAULT_NOT_CONFIGURED: Outcome("UNIMPLEMENTED", ExitStatus.LOCAL),
    Code.CALLER_UNKNOWN: Outcome("UNAUTHENTICATED", ExitStatus.NOT_ALLOWED),
    Code.CALLER_NAME_INVALID: Outcome("UNAUTHENTICATED", ExitStatus.NOT_ALLOWED),
    Code.CALLER_DEPARTMENT_MISMATCH: Outcome("UNAUTHENTICATED", ExitStatus.NOT_ALLOWED),
    Code.CALLER_NOT_ALLOWED: _NOT_ALLOWED,
    Code.CALLER_EXPIRED: Outcome("UNAUTHENTICATED", ExitStatus.NOT_ALLOWED),
    Code.TLS_FILE_INVALID: _LOCAL,
    Code.TLS_KEY_MODE: _LOCAL,
    Code.TLS_KEY_MISMATCH: _LOCAL,
    Code.TLS_WRONG_ISSUER: _LOCAL,
    Code.TLS_WRONG_HOLDER: _LOCAL,
    Code.TLS_EXPIRED: _LOCAL,
    Code.TLS_NOT_YET_VALID: _LOCAL,
    Code.KEY_FILE_MISSING: _LOCAL,
    Code.KEY_FILE_EXISTS: _LOCAL,
    Code.KEY_FILE_MODE: _LOCAL,
    Code.KEY_FILE_INVALID: _LOCAL,
    Code.KEY_WRONG_KIND: _LOCAL,
    Code.KEY_PASSPHRASE_NEEDED: _LOCAL,
    Code.KEY_PASSPHRASE_WRONG: _LOCAL,
    Code.CONFIG_MISSING: _LOCAL,
    Code.CONFIG_INVALID: _LOCAL,
    Code.CONFIG_NOT_GENESIS: _LOCAL,
    Code.NETWORK_DIRECTORY_USED: _LOCAL,
    Code.NETWORK_PLAN_INVALID: _LOCAL,
    Code.MEMBER_FILE_INVALID: _LOCAL,
    Code.STORE_LOCKED: Outcome("UNAVAILABLE", ExitStatus.LOCAL),
    Code.STORE_CORRUPT: Outcome("DATA_LOSS", ExitStatus.LOCAL),
    Code.STORE_ROLLED_BACK: Outcome("DATA_LOSS", ExitStatus.LOCAL),
    Code.STORE_WRONG_CHAIN: _LOCAL,
    Code.STORE_VERSION: _LOCAL,
    Code.STORE_FOREIGN: _LOCAL,
    Code.STORE_ACCESS: _LOCAL,
    Code.STORE_DISK_FULL: Outcome("RESOURCE_EXHAUSTED", ExitStatus.LOCAL),
    Code.STORE_WRITE_FAILED: _LOCAL,
    Code.BAD_BLOCK: _NOT_PROVEN,
    Code.CHAIN_FAULT: _NOT_PROVEN,
    Code.REBUILD_INCOMPLETE: Outcome("UNAVAILABLE", ExitStatus.TRY_AGAIN),
    Code.INTERNAL: Outcome("INTERNAL", ExitStatus.INTERNAL),
    Code.INVALID_REQUEST: Outcome("INVALID_ARGUMENT", ExitStatus.USAGE),
    Code.NOT_FOUND: Outcome("NOT_FOUND", ExitStatus.NOT_FOUND),
    Code.PERMISSION_DENIED: _NOT_ALLOWED,
    Code.OVERLOADED: Outcome("RESOURCE_EXHAUSTED", ExitStatus.TRY_AGAIN),
    Code.NOT_READY: Outcome("UNAVAILABLE", ExitStatus.TRY_AGAIN),
    Code.TIMED_OUT: Outcome("DEADLINE_EXCEEDED", ExitStatus.TRY_AGAIN),
    Code.NODE_UNREACHABLE: Outcome("UNAVAILABLE", ExitStatus.TRY_AGAIN),
    Code.TLS_REFUSED: Outcome("UNAUTHENTICATED", ExitStatus.NOT_ALLOWED),
    Code.UNTRUSTED_ANSWER: _NOT_PROVEN,
    Code.NODE_BEHIND: Outcome("UNAVAILABLE", ExitStatus.TRY_AGAIN),
    Code.NOT_IMPLEMENTED: Outcome("UNIMPLEMENTED", ExitStatus.LOCAL),
    Code.BAD_FILE: _INVALID,
    Code.FILE_ACCESS: _LOCAL,
    Code.EXTRA_MISSING: _LOCAL,
    Code.PERSONAL_DATA: _INVALID,
    Code.JOURNAL_MISMATCH: _INVALID,
    Code.JOURNAL_IN_USE: Outcome("FAILED_PRECONDITION", ExitStatus.TRY_AGAIN),
    Code.INTERRUPTED: Outcome("CANCELLED", ExitStatus.INTERRUPTED),
    Code.CALLER_NOT_DEPARTMENT: _NOT_ALLOWED,
    Code.ADDRESS_IN_USE: _LOCAL,
    Code.ADDRESS_NOT_AVAILABLE: _LOCAL,
    Code.VAULT_CLOSED: Outcome("UNAVAILABLE", ExitStatus.LOCAL),
    Code.VAULT_LOCKED: _LOCAL,
    Code.VAULT_CORRUPT: Outcome("DATA_LOSS", ExitStatus.LOCAL),
    Code.VAULT_FOREIGN: _LOCAL,
    Code.VAULT_EXISTS: _LOCAL,
    Code.VAULT_KEYRING_MISSING: _LOCAL,
    Code.VAULT_ROLLED_BACK: Outcome("DATA_LOSS", ExitStatus.LOCAL),
    Code.VAULT_RESTORED: Outcome("UNAVAILABLE", ExitStatus.LOCAL),
    Code.VAULT_ESCROW: Outcome("UNAVAILABLE", ExitStatus.LOCAL),
    Code.VAULT_TOKEN: Outcome("UNAVAILABLE", ExitStatus.LOCAL),
    Code.VAULT_CONFLICT: Outcome("ALREADY_EXISTS", ExitStatus.REFUSED),
    Code.VAULT_ERASED: _REFUSED,
    Code.VAULT_EXHAUSTED: Outcome("RESOURCE_EXHAUSTED", ExitStatus.LOCAL),
    Code.VAULT_BACKUP: _INVALID,
    Code.BACKUP_INVALID: _INVALID,
    Code.BACKUP_TARGET_USED: _LOCAL,
}


class RemoteError(HuzhengError):
    """An error a node answered with, in the node's own words.

    `name` is the node's code, which a newer node may have and this version may not; `code` is then INTERNAL.
    """

    def __init__(self, problem: pb.Problem) -> None:
        known = problem.code in Code.__members__
        super().__init__(Code(problem.code) if known else Code.INTERNAL, problem.detail)
        self.name = problem.code
        self.problem = problem

    def message(self, language: Language = "en") -> str:
        """What went wrong, in the node's words."""
        words = self.problem.message_zh if language == "zh" else self.problem.message_en
        return words or super().message(language)

    def hint(self, language: Language = "en") -> str:
        """What to do next, in the node's words."""
        words = self.problem.hint_zh if language == "zh" else self.problem.hint_en
        return words or super().hint(language)


def exit_status(error: HuzhengError) -> ExitStatus:
    """The exit status of a command that ends with this error."""
    return OUTCOMES[error.code].exit_status


def grpc_status(code: Code) -> grpc.StatusCode:
    """The gRPC status of a call that ends with this code."""
    import grpc

    return grpc.StatusCode[OUTCOMES[code].grpc_status]


def to_problem(error: HuzhengError) -> pb.Problem:
    """The error as it travels in answers and in google.rpc.Status details."""
    return pb.Problem(
        code=str(error.code),
        message_en=error.message("en"),
        message_zh=error.message("zh"),
        hint_en=error.hint("en"),
        hint_zh=error.hint("zh"),
        detail=error.detail,
    )


def to_status(error: HuzhengError) -> status_pb2.Status:
    """The google.rpc.Status of an error, with its Problem as the only detail."""
    from google.protobuf import any_pb2
    from google.rpc import status_pb2

    detail = any_pb2.Any()
    detail.Pack(to_problem(error))
    number: int = grpc_status(error.code).value[0]
    return status_pb2.Status(code=number, message=str(error), details=[detail])


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: HuzhengError) -> NoReturn:
    """End a call with this error."""
    status = to_status(error)
    details = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
    await context.abort(grpc_status(error.code), status.message, details)


def from_rpc(failure: grpc.aio.AioRpcError) -> HuzhengError:
    """The error of a failed call: the node's Problem if it sent one, else what the gRPC status says."""
    trailing: Any = failure.trailing_metadata()  # the stubs have the synchronous type
    for key, value in trailing or ():
        if key == STATUS_DETAILS_KEY and isinstance(value, bytes):
            problem = _problem_in(value)
            if problem is not None:
                return RemoteError(problem)
    return _from_bare_status(failure)


def _problem_in(raw: bytes) -> pb.Problem | None:
    from google.protobuf.message import DecodeError
    from google.rpc import status_pb2

    try:
        status = status_pb2.Status.FromString(raw)
        for detail in status.details:
            problem = pb.Problem()
            if detail.Unpack(problem):
                return problem
    except DecodeError:
        return None
    return None


_BARE: dict[str, Code] = {
    "DEADLINE_EXCEEDED": Code.TIMED_OUT,
    "UNIMPLEMENTED": Code.NOT_IMPLEMENTED,
    "PERMISSION_DENIED": Code.PERMISSION_DENIED,
    "UNAUTHENTICATED": Code.TLS_REFUSED,
    "RESOURCE_EXHAUSTED": Code.OVERLOADED,
    "NOT_FOUND": Code.NOT_FOUND,
    "INVALID_ARGUMENT": Code.INVALID_REQUEST,
    "CANCELLED": Code.NOT_READY,
}

# What gRPC's own text says of a failed handshake; the status is the same UNAVAILABLE as for a node that is down.
_TLS_SIGNS = ("handshake", "ssl", "tls", "certificate", "peer name", "hostname verification")


def _from_bare_status(failure: grpc.aio.AioRpcError) -> HuzhengError:
    name, words = failure.code().name, failure.details() or ""
    if name == "UNAVAILABLE":
        refused = any(sign in words.lower() for sign in _TLS_SIGNS)
        return HuzhengError(Code.TLS_REFUSED if refused else Code.NODE_UNREACHABLE, words)
    if name == "RESOURCE_EXHAUSTED" and "message" in words and "larger than max" in words:
        return HuzhengError(Code.TOO_LARGE, words)
    return HuzhengError(_BARE.get(name, Code.INTERNAL), f"{name}: {words}")
