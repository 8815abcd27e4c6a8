"""UMKs in a hardware security module, over PKCS#11: they are made or put there and never come out again.

A UMK is a sensitive, non-extractable AES key; the module computes its CMAC (CKM_AES_CMAC), of which the derivations of
``spec/osgp-application.md`` 3.1 are made. A new UMK is made inside, wrapped under the device's KEK (CKM_AES_KEY_WRAP,
RFC 3394) while it exists for this session alone, and only its non-extractable copy stays. Tested with SoftHSM; other
modules unverified.

Objects: AES keys "osgp UMK" with CKA_ID = unique_node_id | first epoch (2, MSB first) | since (8, UTC seconds); data "osgp
wrapped NODE" and "osgp token NODE" (its last token counter); AES key "osgp audit" and data "osgp audit head" for the audit
trail. Project choice. Needs the extra ``pkcs11``.
"""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from osgp.app.profile import OsgpProfile
from osgp.crypto.keys import Key
from osgp.ports.vault_audit import AuditTrail, Head
from osgp.ports.vault_service import KeyService, Umk
from osgp.wire.errors import BadDigest, ConfigError, NoKey, StoreError

__all__ = ["PIN_VARIABLE", "HsmKeys", "hsm_trail", "read_pin"]

PIN_VARIABLE = "OSGP_HSM_PIN"
"""Environment variable that replaces the question for the user PIN."""
_LOOK_S = 60.0
_UMK, _AUDIT, _HEAD = "osgp UMK", "osgp audit", "osgp audit head"


def read_pin(environ: Mapping[str, str] = os.environ, ask: Callable[[str], str] = getpass.getpass) -> str:
    """The user PIN from the environment or a hidden question. ConfigError if nobody answers."""
    with contextlib.suppress(EOFError):
        given = environ.get(PIN_VARIABLE) or ask("PIN of the HSM: ")
        if given:
            return given
    raise ConfigError("there is no PIN for the HSM", hint=f"type it, or set {PIN_VARIABLE}")


def hsm_trail(folder: Path, token: str) -> Path:
    """The audit trail of a token: a file beside the vault."""
    label = "".join(each if each.isalnum() else "-" for each in token)
    return folder / f"hsm-{label}.audit"


@contextlib.contextmanager
def _speaking(doing: str) -> Iterator[None]:
    """Errors of the module in our words; none of them holds a PIN or a key."""
    from pkcs11 import exceptions as theirs

    try:
        yield
        return
    except (theirs.PinIncorrect, theirs.PinInvalid, theirs.PinLenRange):
        error: Exception = BadDigest(
            "the HSM refuses the PIN", hint=f"check {PIN_VARIABLE}; after some wrong ones most modules lock themselves"
        )
    except theirs.PinLocked:
        error = BadDigest("the PIN of the HSM is locked", hint="its security officer can set a new one")
    except theirs.MechanismInvalid:
        error = ConfigError(
            f"the HSM cannot do this: {doing}", hint="it needs CKM_AES_CMAC and CKM_AES_KEY_WRAP; update its firmware"
        )
    except theirs.PKCS11Error as found:
        error = StoreError(
            f"the HSM failed: {doing} ({type(found).__name__})",
            hint="is it plugged in and reachable? Repeat the command: nothing was half done",
        )
    raise error from None


class HsmKeys(KeyService):
    """The UMKs of one token. ``trail``: path of the audit trail. Made by ``open``; ``close`` when done."""

    def __init__(self, session: Any, trail: Path, profile: OsgpProfile | None = None) -> None:
        super().__init__(profile)
        self._session = session
        self._looked_at = 0.0
        with _speaking("reading the end of the audit trail"):
            heads = [each.decode("ascii").split() for each in self._values(_HEAD)]
        known = max((Head(int(count), mac) for count, mac in heads), key=lambda each: each.count, default=Head())
        self.trail = AuditTrail(trail, self._audit_mac, known)

    def __repr__(self) -> str:
        return "HsmKeys()"

    @classmethod
    def open(cls, module: str | Path, token: str, pin: str, trail: Path, profile: OsgpProfile | None = None) -> HsmKeys:
        """Open a token by its label.

        Raises ConfigError when the module or the token is not there, BadDigest for a wrong PIN, StoreError when the module fails.
        """
        try:
            import pkcs11
        except ImportError:
            raise ConfigError(
                "keys in an HSM need python-pkcs11", hint="install it: pip install 'osgp[pkcs11]'"
            ) from None
        if not Path(module).is_file():
            raise ConfigError(
                f"there is no PKCS#11 module at {module}",
                hint="its maker says where it is; that of SoftHSM: /usr/lib/softhsm/libsofthsm2.so",
            )
        try:
            library = pkcs11.lib(str(module))
        except (RuntimeError, pkcs11.PKCS11Error):
            raise ConfigError(
                f"{module} does not load as a PKCS#11 module",
                hint="is it for this machine, and is its own set-up in place?",
            ) from None
        with _speaking("looking for its tokens"):
            labels = [str(each.label) for each in library.get_tokens()]
            if token not in labels:
                known = ", ".join(sorted(label for label in labels if label)) or "none"
                raise ConfigError(f"the HSM has no token {token!r}", hint=f"its tokens: {known}")
            session = library.get_token(token_label=token).open(rw=True, user_pin=pin)
            return cls(session, trail, profile)

    def close(self) -> None:
        """Log out."""
        with contextlib.suppress(StoreError), _speaking("closing"):
            self._session.close()

    # ---- objects ----------------------------------------------------------------------------------------------------
    def _objects(self, **wanted: Any) -> list[Any]:
        import pkcs11

        return list(self._session.get_objects({pkcs11.Attribute[name]: value for name, value in wanted.items()}))

    def _data(self, label: str) -> list[Any]:
        import pkcs11

        return self._objects(CLASS=pkcs11.ObjectClass.DATA, LABEL=label)

    def _values(self, label: str) -> list[bytes]:
        import pkcs11

        return [bytes(each[pkcs11.Attribute.VALUE]) for each in self._data(label)]

    def _keep_data(self, label: str, value: bytes) -> None:
        """The new one first, then the old ones go: whenever power fails, one is there."""
        import pkcs11

        at = pkcs11.Attribute
        old = self._data(label)
        self._session.create_object(
            {at.CLASS: pkcs11.ObjectClass.DATA, at.TOKEN: True, at.PRIVATE: True, at.LABEL: label, at.VALUE: value}
        )
        for each in old:
            each.destroy()

    def _aes(self, label: str, identity: bytes, *, stays: bool, value: bytes | None = None, **more: bool) -> Any:
        import pkcs11

        at = pkcs11.Attribute
        template: dict[Any, Any] = {
            at.CLASS: pkcs11.ObjectClass.SECRET_KEY,
            at.KEY_TYPE: pkcs11.KeyType.AES,
            at.LABEL: label,
            at.ID: identity,
            at.TOKEN: stays,
            at.PRIVATE: True,
            at.SENSITIVE: True,
            at.EXTRACTABLE: not stays,
            **{at[name]: given for name, given in more.items()},
        }
        if value is not None:
            return self._session.create_object({**template, at.VALUE: value})
        template.pop(at.CLASS), template.pop(at.KEY_TYPE)
        return self._session.generate_key(
            pkcs11.KeyType.AES, 128, store=stays, capabilities=pkcs11.MechanismFlag.SIGN, template=template
        )

    def _handles(self) -> dict[bytes, list[tuple[Umk, Any]]]:
        import pkcs11

        found: dict[bytes, list[tuple[Umk, Any]]] = {}
        if self.trail.head.count and not self._objects(CLASS=pkcs11.ObjectClass.SECRET_KEY, LABEL=_AUDIT, TOKEN=True):
            raise StoreError(
                "the HSM is gone: its keys are no longer there",
                hint="was it unplugged, or its token erased? Bring it back and repeat the command",
            )
        for each in self._objects(CLASS=pkcs11.ObjectClass.SECRET_KEY, LABEL=_UMK, TOKEN=True):
            identity = bytes(each[pkcs11.Attribute.ID])
            if len(identity) == 16:
                umk = Umk(int.from_bytes(identity[6:8], "big"), float(int.from_bytes(identity[8:], "big")))
                found.setdefault(identity[:6], []).append((umk, each))
        return {name: sorted(pairs, key=lambda pair: pair[0].first_epoch) for name, pairs in sorted(found.items())}

    # ---- the backend ------------------------------------------------------------------------------------------------
    def devices(self) -> list[bytes]:
        """See ``KeyService``."""
        with _speaking("listing its keys"):
            return list(self._handles())

    def umks(self, unique_node_id: bytes) -> list[Umk]:
        """See ``KeyService``."""
        with _speaking("listing its keys"):
            return [umk for umk, _ in self._handles().get(unique_node_id, [])]

    def _handle(self, unique_node_id: bytes, first_epoch: int) -> Any:
        for umk, handle in self._handles().get(unique_node_id, []):
            if umk.first_epoch == first_epoch:
                return handle
        raise NoKey(f"the HSM has no UMK of {unique_node_id.hex()} any more")

    def _cmac(self, unique_node_id: bytes, first_epoch: int, message: bytes) -> bytes:
        import pkcs11

        with _speaking("deriving a key"):
            handle = self._handle(unique_node_id, first_epoch)
            return bytes(handle.sign(message, mechanism=pkcs11.Mechanism.AES_CMAC))

    def _audit_mac(self, message: bytes) -> bytes:
        import pkcs11

        with _speaking("sealing the audit trail"):
            keys = self._objects(CLASS=pkcs11.ObjectClass.SECRET_KEY, LABEL=_AUDIT, TOKEN=True)
            key = keys[0] if keys else self._aes(_AUDIT, b"audit", stays=True, SIGN=True)
            return bytes(key.sign(message, mechanism=pkcs11.Mechanism.AES_CMAC))

    def record(self, what: str, now: float) -> None:
        """See ``KeyService``."""
        with self.trail.held():
            self.trail.append(what, now)
            with _speaking("noting the end of the audit trail"):
                self._keep_data(_HEAD, f"{self.trail.head.count} {self.trail.head.mac}".encode())

    note = record

    def refresh(self, now: float) -> bool:
        """See ``KeyService``. A module does not tell of changes: once a minute there may be one."""
        if now < self._looked_at + _LOOK_S:
            return False
        self._looked_at = now
        return True

    def epochs(self) -> dict[bytes, int]:
        """See ``KeyService``."""
        with _speaking("listing its keys"):
            return {name: pairs[-1][0].first_epoch for name, pairs in self._handles().items()}

    def token_counter(self, unique_node_id: bytes, now: float) -> int:
        """See ``KeyService``."""
        label = f"osgp token {unique_node_id.hex()}"
        with self.trail.held(), _speaking("keeping the counter of tokens"):
            counter = max(int(now), *(int.from_bytes(each, "big") + 1 for each in [b"", *self._values(label)]))
            self._keep_data(label, counter.to_bytes(4, "big"))
        return counter

    @staticmethod
    def _identity(unique_node_id: bytes, first_epoch: int, since: float) -> bytes:
        return unique_node_id + first_epoch.to_bytes(2, "big") + int(since).to_bytes(8, "big")

    def add(self, unique_node_id: bytes, umk: Key, first_epoch: int, now: float) -> None:
        """See ``KeyService``."""
        if self.umks(unique_node_id):
            raise ConfigError(f"{unique_node_id.hex()} has a UMK already", hint="make another one: osgp keys rotate")
        self.record(f"put {unique_node_id.hex()}/UMK, first epoch {first_epoch}", now)
        with _speaking("keeping a key"):
            identity = self._identity(unique_node_id, first_epoch, now)
            self._aes(_UMK, identity, stays=True, value=umk.for_aes(), SIGN=True)

    def _make_next(self, unique_node_id: bytes, first_epoch: int, kek: Key, now: float) -> None:
        import pkcs11

        at = pkcs11.Attribute
        with _speaking("making a key"):
            identity = self._identity(unique_node_id, first_epoch, now)
            made = self._aes(_UMK, identity, stays=False)
            wrapping = self._aes("osgp KEK", b"", stays=False, value=kek.for_aes(), WRAP=True)
            try:
                wrapped = wrapping.wrap_key(made, mechanism=pkcs11.Mechanism.AES_KEY_WRAP)
                self._keep_data(self._wrapped(unique_node_id), bytes(wrapped))
                made.copy({at.TOKEN: True, at.EXTRACTABLE: False})
            finally:
                wrapping.destroy()
                made.destroy()

    @staticmethod
    def _wrapped(unique_node_id: bytes) -> str:
        return f"osgp wrapped {unique_node_id.hex()}"

    def wrapped_umk(self, unique_node_id: bytes) -> bytes:
        """See ``KeyService``."""
        with _speaking("reading a wrapped key"):
            kept = self._values(self._wrapped(unique_node_id))
            if len(self.umks(unique_node_id)) < 2 or not kept:
                raise NoKey(f"{unique_node_id.hex()} has no new UMK", hint="make one: osgp keys rotate")
            return kept[-1]

    def _drop_old(self, unique_node_id: bytes) -> None:
        with _speaking("erasing a key"):
            for _, handle in self._handles()[unique_node_id][:-1]:
                handle.destroy()
            for each in self._data(self._wrapped(unique_node_id)):
                each.destroy()

    def remove(self, unique_node_id: bytes, now: float) -> None:
        """Erase a device's UMKs. NoKey if there are none."""
        self._known(unique_node_id)
        self.record(f"remove {unique_node_id.hex()}", now)
        with _speaking("erasing a key"):
            for _, handle in self._handles()[unique_node_id]:
                handle.destroy()
            for each in self._data(self._wrapped(unique_node_id)):
                each.destroy()
