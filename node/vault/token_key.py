"""A master key in a PKCS#11 token (an HSM), which gives up old keys for good.

Each keyring file has a sealing key of its own, encrypted by an AES-256 key that was made in the token for it and never
leaves the token. Once the next file is in place the token destroys that key: an old file is then worth nothing, even where
the medium it lay on did not let itself be overwritten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from huzheng.v1 import vault_pb2 as pb
from nacl.utils import random

from ledger.errors import Code, HuzhengError
from node.vault.master_key import SEALING_KEY_BYTES, SealingKey, sealed_otherwise

if TYPE_CHECKING:
    import pkcs11

_KEY_ID_BYTES: Final = 16
_IV_BYTES: Final = 16
_AES_BITS: Final = 256


class PinRefusedError(HuzhengError):
    """VAULT_TOKEN, because of the PIN: the token locks itself if it is given that a few times more."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Master keys in a token, one for each keyring file, labelled with the vault's id.

    `library` is the maker's PKCS#11 library, `token` the token's label. A wrong PIN is tried once: tokens lock themselves.
    """

    library: Path
    token: str
    pin: str = field(repr=False)

    def new_sealing_key(self, vault_id: bytes) -> SealingKey:
        key, key_id, iv = random(SEALING_KEY_BYTES), random(_KEY_ID_BYTES), random(_IV_BYTES)
        with self._session() as session:
            wrapped = _encrypt(_new_key(session, vault_id, key_id), key, iv)
        return SealingKey(key, pb.KeyProtection(token=pb.TokenProtection(key_id=key_id, iv=iv, wrapped=wrapped)))

    def sealing_key(self, vault_id: bytes, protection: pb.KeyProtection) -> bytes:
        if protection.WhichOneof("kind") != "token":
            raise sealed_otherwise(protection)
        how = protection.token
        if (len(how.iv), len(how.wrapped)) != (_IV_BYTES, SEALING_KEY_BYTES):
            raise HuzhengError(Code.VAULT_CORRUPT, "keyring: parameters of the token")
        with self._session() as session:
            for key in _keys(session, vault_id):
                if key.id == how.key_id:
                    return _decrypt(key, how.wrapped, how.iv)
        raise HuzhengError(Code.VAULT_LOCKED, f"the token has no key {how.key_id.hex()}")

    def forget_others(self, vault_id: bytes, kept: Collection[pb.KeyProtection]) -> None:
        kept_ids = {protection.token.key_id for protection in kept}
        with self._session() as session:
            for key in [key for key in _keys(session, vault_id) if key.id not in kept_ids]:
                key.destroy()

    @contextmanager
    def _session(self) -> Iterator[pkcs11.Session]:
        try:
            import pkcs11
        except ImportError:
            raise HuzhengError(Code.VAULT_TOKEN, "python-pkcs11 is not installed") from None
        try:
            token = pkcs11.lib(str(self.library)).get_token(token_label=self.token)
            with token.open(rw=True, user_pin=self.pin) as session:
                yield session
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            # Their texts may repeat what was passed in, so only the kind of error is told.
            refused = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked)
            kind = PinRefusedError if isinstance(error, refused) else HuzhengError
            raise kind(Code.VAULT_TOKEN, f"{self.token}: {type(error).__name__}") from None


def _label(vault_id: bytes) -> str:
    return f"huzheng-vault-{vault_id.hex()}"


def _new_key(session: pkcs11.Session, vault_id: bytes, key_id: bytes) -> Any:
    from pkcs11 import Attribute, KeyType, MechanismFlag

    return session.generate_key(
        KeyType.AES,
        _AES_BITS,
        id=key_id,
        label=_label(vault_id),
        store=True,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
    )


def _keys(session: pkcs11.Session, vault_id: bytes) -> list[Any]:
    from pkcs11 import Attribute, ObjectClass

    return list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: _label(vault_id)}))


# CBC without padding, of two blocks of random bytes: every token can do it, and a changed key opens no keyring.
def _encrypt(key: Any, data: bytes, iv: bytes) -> bytes:
    from pkcs11 import Mechanism

    return bytes(key.encrypt(data, mechanism=Mechanism.AES_CBC, mechanism_param=iv))


def _decrypt(key: Any, data: bytes, iv: bytes) -> bytes:
    from pkcs11 import Mechanism

    return bytes(key.decrypt(data, mechanism=Mechanism.AES_CBC, mechanism_param=iv))
