"""The vault: one encrypted file for the keys of many devices, and the places a key may come from.

The file is a JSON envelope: format, version, key derivation (Argon2id with its salt and costs), cipher (AES-256-GCM
with its nonce) and the sealed entries. Everything outside the seal is authenticated with it, so a changed cost or
version is refused like a changed entry. A wrong passphrase and a damaged seal cannot be told apart, and the error
says so.

Writing is atomic (new file beside the old one, flushed, renamed, mode 0600); a vault that another process has changed
meanwhile is not overwritten. Beside the keys the seal holds notes: since when a key is in use, the schedule, the head of the
audit trail; a vault with notes is version 2, which older readers refuse. Key derivation runs once per opening. All of this is
a project choice; Argon2id by RFC 9106 (its second recommended set: 64 MiB, three passes, four lanes).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import getpass
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from osgp.crypto.keys import Key, KeyUse, parse_key, use_of_kind
from osgp.wire.errors import BadDigest, ConfigError, Error, NoKey, StoreError

__all__ = ["PASSPHRASE_VARIABLE", "VAULT_VARIABLE", "Vault", "default_vault_path", "read_passphrase", "resolve_key"]

log = logging.getLogger(__name__)

PASSPHRASE_VARIABLE = "OSGP_VAULT_PASSPHRASE"
"""Environment variable that replaces the question for the vault's passphrase."""

VAULT_VARIABLE = "OSGP_VAULT"
"""Environment variable with the path of the vault."""

_FORMAT = "osgp-vault"
_VERSION = 2
_READABLE = (1, 2)
_NOTES = "/notes"
"""Where the notes stand among the sealed entries: no device has a slash in its name."""
_COSTS = {"memory_kib": 65536, "iterations": 3, "lanes": 4}
# What a strange file may cost us before its seal is checked: 1 GiB and a few seconds.
_LIMITS = {"memory_kib": (8, 1 << 20), "iterations": (1, 64), "lanes": (1, 16)}
_LARGEST_FILE = 64 << 20

Ask = Callable[[str], str]


def default_vault_path(environ: Mapping[str, str] = os.environ) -> Path:
    """``$OSGP_VAULT``, else ``osgp/vault.json`` in the user's configuration folder (``$XDG_CONFIG_HOME``, ``~/.config``)."""
    given = environ.get(VAULT_VARIABLE)
    if given:
        return Path(given)
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "osgp" / "vault.json"


def read_passphrase(*, new: bool = False, environ: Mapping[str, str] = os.environ, ask: Ask = getpass.getpass) -> str:
    """The vault's passphrase from the environment or a hidden question (asked twice when ``new``). ConfigError if none."""
    given = environ.get(PASSPHRASE_VARIABLE)
    if given:
        return given
    answer = _asked(ask, "New passphrase of the vault: " if new else "Passphrase of the vault: ")
    if new and _asked(ask, "The same again: ") != answer:
        raise ConfigError("the two passphrases differ", hint="nothing was written; try again")
    if not answer:
        raise ConfigError("the passphrase is empty", hint=f"type one, or set {PASSPHRASE_VARIABLE}")
    return answer


def _asked(ask: Ask, question: str) -> str:
    with contextlib.suppress(EOFError):
        return ask(question)
    raise ConfigError(
        "nobody is there to answer",
        hint=f"without a terminal set {PASSPHRASE_VARIABLE}, or use file: or env: for a key",
    )


class KeyNotFound(NoKey, ConfigError):
    """No key where the caller said that it is. Unlike a key that a device refuses, this is wrong use (exit status 2)."""


class Vault:
    """An open vault: device name and kind of key (MAK, MBK, MK, PK, RK, OMAK) to ``Key``.

    Made by ``Vault.create`` and ``Vault.open``. Changes are written by ``save``.
    """

    def __init__(self, path: Path, sealing_key: bytes, kdf: dict[str, Any], seen: bytes | None) -> None:
        self._path = path
        self.__sealing_key = sealing_key
        self._kdf = kdf
        self._seen = seen
        self._entries: dict[str, dict[str, Key]] = {}
        self.notes: dict[str, Any] = {}
        """What is kept about the keys, as plain JSON: see ``osgp.ports.vault_service``."""

    def __repr__(self) -> str:
        return f"Vault({str(self._path)!r}, {len(self._entries)} devices)"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an open vault is not pickled")

    # ---- opening and saving
    @classmethod
    def create(cls, path: str | Path, passphrase: str, *, costs: Mapping[str, int] | None = None) -> Vault:
        """A new, empty vault, written at once. ``costs``: Argon2id's ``memory_kib``, ``iterations``, ``lanes``.

        Raises StoreError if the file exists already or cannot be written, ConfigError for an empty passphrase.
        """
        place = Path(path)
        if place.exists():
            raise StoreError(f"{place} exists already", hint="open it, or name another file")
        kdf: dict[str, Any] = {
            "name": "argon2id",
            "salt": base64.b64encode(secrets.token_bytes(16)).decode(),
            **_COSTS,
            **(costs or {}),
        }
        vault = cls(place, _derive(passphrase, _checked_kdf(kdf)), kdf, None)
        vault.save()
        return vault

    @classmethod
    def open(cls, path: str | Path, passphrase: str) -> Vault:
        """Open an existing vault.

        Raises StoreError when the file is missing, unreadable or not a vault, BadDigest (a SecurityError) when the
        passphrase is wrong or the file was changed.
        """
        place = Path(path)
        raw = _read(place)
        header, sealed = _envelope(raw, place)
        sealing_key = _derive(passphrase, header["kdf"])
        vault = cls(place, sealing_key, header["kdf"], hashlib.sha256(raw).digest())
        vault._entries, vault.notes = _entries(_unseal(sealing_key, header, sealed), place)
        if os.name == "posix" and place.stat().st_mode & 0o077:
            log.warning("the vault %s can be read by other users; its mode should be 0600", place)
        return vault

    def reload(self) -> bool:
        """Take over what another process has saved since this vault was opened or saved; whether anything was.

        What was put here and not saved is given up then. Raises StoreError and BadDigest as ``open``, without its work for the
        passphrase; BadDigest too when the passphrase is another one now.
        """
        raw = _read(self._path)
        seen = hashlib.sha256(raw).digest()
        if seen == self._seen:
            return False
        header, sealed = _envelope(raw, self._path)
        if header["kdf"] != self._kdf:
            raise BadDigest("the vault has another passphrase now", hint="start again with the new one")
        self._entries, self.notes = _entries(_unseal(self.__sealing_key, header, sealed), self._path)
        self._seen = seen
        return True

    def save(self) -> None:
        """Write the vault: atomically, mode 0600, with a fresh nonce.

        Raises StoreError when another process changed the file meanwhile or it cannot be written.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(12)
        header = {
            "format": _FORMAT,
            "version": _VERSION if self.notes else 1,
            "kdf": self._kdf,
            "cipher": {"name": "aes-256-gcm", "nonce": base64.b64encode(nonce).decode()},
        }
        content: dict[str, Any] = {
            name: {kind: key.secret().hex() for kind, key in kinds.items()} for name, kinds in self._entries.items()
        }
        plain = json.dumps({**content, _NOTES: self.notes} if self.notes else content).encode()
        sealed = AESGCM(self.__sealing_key).encrypt(nonce, plain, _canonical(header))
        raw = json.dumps({**header, "sealed": base64.b64encode(sealed).decode()}, indent=1).encode() + b"\n"
        if self._current() != self._seen:
            raise StoreError(f"{self._path} was changed by another process", hint="open it again and repeat the change")
        _write(self._path, raw)
        self._seen = hashlib.sha256(raw).digest()

    def _current(self) -> bytes | None:
        return hashlib.sha256(_read(self._path)).digest() if self._path.exists() else None

    def change_passphrase(self, passphrase: str) -> None:
        """Seal under another passphrase and salt from the next ``save`` on."""
        kdf = {**self._kdf, "salt": base64.b64encode(secrets.token_bytes(16)).decode()}
        self.__sealing_key = _derive(passphrase, kdf)
        self._kdf = kdf

    # ---- entries
    def put(self, name: str, kind: str, key: Key) -> None:
        """Keep a key under device ``name`` and ``kind``. ConfigError when name, kind or length do not fit."""
        if not name or "/" in name or not name.isprintable():
            raise ConfigError("a device name in the vault is printable, not empty, and has no slash")
        use = use_of_kind(kind)
        {"mep": key.for_mep, "optical": key.for_optical, "omak": key.for_omak, "aes": key.for_aes}[use]()
        self._entries.setdefault(name, {})[kind.upper()] = key

    def get(self, name: str, kind: str) -> Key:
        """The key of a device. Raises NoKey when it is not there, ConfigError for an unknown kind."""
        use_of_kind(kind)
        key = self._entries.get(name, {}).get(kind.upper())
        if key is None:
            known = ", ".join(self.kinds(name)) or "nothing"
            raise KeyNotFound(f"the vault has no {kind.upper()} of {name!r}", hint=f"of this device it has: {known}")
        return key

    def remove(self, name: str, kind: str | None = None) -> None:
        """Forget one key of a device, or all of them. Raises NoKey when there is nothing to forget."""
        if kind is None:
            if self._entries.pop(name, None) is None:
                raise KeyNotFound(f"the vault has nothing of {name!r}")
            return
        self.get(name, kind)
        del self._entries[name][kind.upper()]
        if not self._entries[name]:
            del self._entries[name]

    def names(self) -> list[str]:
        """The devices in the vault, sorted."""
        return sorted(self._entries)

    def kinds(self, name: str) -> list[str]:
        """The kinds of keys that the vault has of a device, sorted."""
        return sorted(self._entries.get(name, {}))


# ---- the file --------------------------------------------------------------------------------------------------------
def _derive(passphrase: str, kdf: Mapping[str, Any]) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    if not passphrase:
        raise ConfigError("the passphrase is empty")
    try:
        return Argon2id(
            salt=base64.b64decode(kdf["salt"]),
            length=32,
            iterations=kdf["iterations"],
            lanes=kdf["lanes"],
            memory_cost=kdf["memory_kib"],
        ).derive(passphrase.encode("utf-8", "surrogatepass"))
    except UnsupportedAlgorithm:
        pass
    raise ConfigError("this installation of cryptography has no Argon2id", hint="install cryptography 44 or newer")


def _checked_kdf(kdf: Any) -> dict[str, Any]:
    if not isinstance(kdf, dict) or kdf.get("name") != "argon2id" or len(_octets(kdf.get("salt"))) < 8:
        raise StoreError("the vault's key derivation is none that we know")
    for name, (least, most) in _LIMITS.items():
        value = kdf.get(name)
        if type(value) is not int or not least <= value <= most:
            raise StoreError(f"the vault's key derivation asks for an unreasonable {name}")
    if kdf["memory_kib"] < 8 * kdf["lanes"]:
        raise StoreError("the vault's key derivation asks for an unreasonable memory_kib")
    return kdf


def _octets(text: Any) -> bytes:
    if isinstance(text, str):
        with contextlib.suppress(binascii.Error, ValueError):
            return base64.b64decode(text, validate=True)
    return b""


def _canonical(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _read(place: Path) -> bytes:
    try:
        if place.stat().st_size > _LARGEST_FILE:
            raise StoreError(f"{place} is far too large for a vault")
        return place.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"there is no vault at {place}", hint=f"make one, or set {VAULT_VARIABLE}") from None
    except OSError as error:
        raise StoreError(f"{place} cannot be read: {error.strerror}") from None


def _envelope(raw: bytes, place: Path) -> tuple[dict[str, Any], bytes]:
    """The header as authenticated, and the sealed bytes."""
    document: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(raw)
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise StoreError(f"{place} is not a vault, or is cut short")
    if document.get("version") not in _READABLE:
        raise StoreError(f"{place} is of another version of the vault", hint="a newer osgp may read it")
    cipher = document.get("cipher")
    sealed = _octets(document.pop("sealed", None))
    if not isinstance(cipher, dict) or cipher.get("name") != "aes-256-gcm" or len(_octets(cipher.get("nonce"))) != 12:
        raise StoreError(f"{place} has a cipher that we do not know")
    if len(sealed) < 16:
        raise StoreError(f"{place} is cut short")
    _checked_kdf(document.get("kdf"))
    return document, sealed


def _unseal(sealing_key: bytes, header: dict[str, Any], sealed: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    with contextlib.suppress(InvalidTag):
        return AESGCM(sealing_key).decrypt(_octets(header["cipher"]["nonce"]), sealed, _canonical(header))
    raise BadDigest(
        "the vault does not open: the passphrase is wrong, or the file was changed",
        hint="if you are sure of the passphrase, bring the file back from a copy",
    )


def _entries(plain: bytes, place: Path) -> tuple[dict[str, dict[str, Key]], dict[str, Any]]:
    """Sealed entries as keys, and the notes. They were authentic, so a failure here is a newer or broken writer."""
    with contextlib.suppress(Error, ValueError, TypeError, AttributeError):
        content = json.loads(plain)
        notes = dict(content.pop(_NOTES, {}))
        return {
            str(name): {str(kind): Key(bytes.fromhex(digits)) for kind, digits in kinds.items()}
            for name, kinds in content.items()
        }, notes
    raise StoreError(f"{place} opens, but its entries are not understood")


def _write(place: Path, raw: bytes) -> None:
    beside = place.with_name(f".{place.name}.{secrets.token_hex(6)}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, place)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        if os.name == "posix":
            folder = os.open(place.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise StoreError(f"{place} cannot be written: {error.strerror}") from None


# ---- where a key comes from ------------------------------------------------------------------------------------------
def resolve_key(
    source: str,
    *,
    use: KeyUse = "any",
    vault_path: str | Path | None = None,
    environ: Mapping[str, str] = os.environ,
    ask: Ask = getpass.getpass,
) -> Key:
    """The key that ``source`` names.

    ``vault:NAME/KIND`` (the vault's passphrase from OSGP_VAULT_PASSPHRASE or a question), ``prompt:`` (hidden
    question, the rest of the source is its text), ``file:PATH``, ``env:VAR``, or the key itself, which works but is
    logged as a warning, because other users see command lines and shells keep them. ``use`` as in ``parse_key``.

    Raises ConfigError, NoKey, StoreError or BadDigest; none shows the key, nor a source that could be one.
    """
    scheme, colon, rest = source.partition(":")
    scheme = scheme.lower() if colon else ""
    if scheme == "vault":
        name, slash, kind = rest.rpartition("/")
        if not slash or not name:
            raise ConfigError("a key in the vault is named vault:NAME/KIND", hint="for example vault:meter-12/MBK")
        use_of_kind(kind)
        place = Path(vault_path) if vault_path is not None else default_vault_path(environ)
        if not place.exists():
            _read(place)
        return Vault.open(place, read_passphrase(environ=environ, ask=ask)).get(name, kind)
    if scheme == "prompt":
        return parse_key(_asked(ask, rest.strip() + " " if rest.strip() else "Key: "), use=use)
    if scheme == "file":
        return parse_key(_key_file(rest), use=use)
    if scheme == "env":
        value = environ.get(rest)
        if not value:
            raise KeyNotFound(f"the environment has no {rest!r}", hint="set it in the shell that starts osgp")
        return parse_key(value, use=use)
    log.warning(
        "a key on the command line is visible to other users and kept by the shell: "
        "better are vault:NAME/KIND, prompt:, file:PATH or env:VAR"
    )
    return parse_key(source, use=use)


def _key_file(path: str) -> bytes:
    try:
        with open(Path(path).expanduser(), "rb") as file:
            raw = file.read(4097)
    except OSError as error:
        raise KeyNotFound(f"the key file cannot be read: {error.strerror}", hint=f"looked for {path!r}") from None
    if len(raw) > 4096:
        raise ConfigError("the key file holds far more than a key")
    return raw
