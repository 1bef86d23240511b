"""A quick check, at a daemon's start, that the libraries beneath decide as this protocol version demands.

Two versions of a library that disagree on an edge case split a chain. The cases are those on which they have disagreed;
all are in tests/vectors/ too, with their sources.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message
from huzheng.v1 import block_pb2, consensus_pb2, state_pb2, transaction_pb2
from nacl.exceptions import CryptoError, UnavailableError

from ledger.crypto import strict
from ledger.crypto.domains import Domain
from ledger.crypto.ed25519 import verify_raw
from ledger.crypto.suite import ED25519_SHA256
from ledger.errors import Code, HuzhengError

# Public key, message, signature, and whether it verifies: the cases of "Taming the many EdDSAs", then one of RFC 8032.
_SIGNATURES: tuple[tuple[str, str, str, bool], ...] = (
    # S = 0, small-order A, small-order R
    (
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        "0000000000000000000000000000000000000000000000000000000000000000",
        False,
    ),
    # 0 < S < L, small-order A, mixed-order R
    (
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        False,
    ),
    # 0 < S < L, mixed-order A, small-order R
    (
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
        "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        False,
    ),
    # 0 < S < L, mixed-order A, mixed-order R
    (
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f"
        "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        True,
    ),
    # 0 < S < L, mixed-order A and R: only the cofactored equation holds
    (
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512"
        "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        False,
    ),
    # 0 < S < L, mixed-order A, R of order L: only the cofactored equation holds, and only without reducing 8k first
    (
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7"
        "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        False,
    ),
    # S > L
    (
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e"
        "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        False,
    ),
    # S >> L
    (
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942"
        "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        False,
    ),
    # mixed-order A, small-order R in non-canonical form, hashed as reduced
    (
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        False,
    ),
    # mixed-order A, small-order R in non-canonical form, hashed as carried
    (
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        False,
    ),
    # small-order A in non-canonical form, mixed-order R, hashed as reduced
    (
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        False,
    ),
    # small-order A in non-canonical form, mixed-order R, hashed as carried
    (
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        False,
    ),
    # RFC 8032, 7.1, TEST 2
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        True,
    ),
    # The same with S + L
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "f52db7415978abc61b2c2eb6aeebfca0387b2eaeb4302aeeb00d291612bb0c10",
        False,
    ),
    # A signature and a key that are too short
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72", "92a009a9", False),
    ("3d4017c3", "72", "00" * 64, False),
)

_KEYS: tuple[tuple[str, bool], ...] = (
    ("5866666666666666666666666666666666666666666666666666666666666666", True),  # the base point
    ("3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", True),
    ("0100000000000000000000000000000000000000000000000000000000000000", False),  # the neutral point
    ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", False),  # order 2
    ("0000000000000000000000000000000000000000000000000000000000000080", False),  # order 4
    ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", False),  # order 8
    ("b295d84331495bd29d5c572fd590f28c9acdea88e21dbc59c53fb75e74a625d6", False),  # order 2L
    ("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", False),  # y = p + 1
    ("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", False),  # y = p + 3
    ("0100000000000000000000000000000000000000000000000000000000000080", False),  # x = 0 with the sign bit
    ("0200000000000000000000000000000000000000000000000000000000000000", False),  # not on the curve
    ("", False),
)

_ENCODINGS: tuple[tuple[type[Message], str, bool], ...] = (
    (transaction_pb2.Transaction, "", True),
    (consensus_pb2.VoteLogEntry, "3a00", True),  # a member of a oneof at its default
    (state_pb2.Head, "0801", True),
    (state_pb2.Head, "088100", False),  # varint not minimal
    (state_pb2.Head, "0800", False),  # default value present
    (state_pb2.Head, "08010801", False),  # field twice
    (state_pb2.Head, "18ffffffff0f", False),  # negative enum value in five bytes
    (state_pb2.KeyState, "1802", False),  # bool of 2
    (transaction_pb2.Record, "12016108", False),  # cut off
    (transaction_pb2.Record, "1201610a0161", False),  # fields out of order
    (transaction_pb2.Record, "0a01ff", False),  # not UTF-8
    (transaction_pb2.Record, "0a03eda080", False),  # a surrogate in UTF-8
    (transaction_pb2.Record, "0a01617801", False),  # unknown field at the end
    (transaction_pb2.Record, "4b4c", False),  # unknown group
    (transaction_pb2.Record, "4b" * 200 + "4c" * 200, False),
    (transaction_pb2.Operation, "0a001200", False),  # both members of a oneof
    (transaction_pb2.Operation, "0a060a040a00480a", False),  # unknown field, nested
    (block_pb2.Certificate, "0a0212000a00", False),  # default value present, nested
)

_DIGEST = "7b824126d950dc357d62c1f0c12a0481c22eeaf663cbd6cb060019080aa8e2f7"
"""SHA-256 of 0x10, `huzheng/v1/block` and `abc`."""


def self_test() -> None:
    """Run the edge cases, in a few milliseconds.

    Raises:
        HuzhengError: CRYPTO_SELF_TEST, the detail being what failed.
    """
    try:
        failure = next(_failures(), None)
    except (CryptoError, UnavailableError) as error:
        failure = f"libsodium: {type(error).__name__}"
    if failure is not None:
        raise HuzhengError(Code.CRYPTO_SELF_TEST, failure)


def _failures() -> Iterator[str]:
    for place, (public_key, message, signature, valid) in enumerate(_SIGNATURES):
        if verify_raw(bytes.fromhex(public_key), bytes.fromhex(message), bytes.fromhex(signature)) != valid:
            yield f"Ed25519 signature {place}"
    for place, (key, admissible) in enumerate(_KEYS):
        if ED25519_SHA256.is_admissible_key(bytes.fromhex(key)) != admissible:
            yield f"Ed25519 key {place}"
    for place, (message_type, data, is_strict) in enumerate(_ENCODINGS):
        if _is_strict(message_type, bytes.fromhex(data)) != is_strict:
            yield f"strict form {place}"
    if ED25519_SHA256.digest(Domain.BLOCK, b"abc").hex() != _DIGEST:
        yield "SHA-256"


def _is_strict(message_type: type[Message], data: bytes) -> bool:
    try:
        strict.read(message_type, data)
    except HuzhengError:
        return False
    return True
