"""What a head-end asks of its keys, wherever they are: PSKs for concentrators, tokens, image MACs, another UMK.

``KeyService`` has two backends: ``VaultKeys`` over the vault's file, here, and ``HsmKeys`` over PKCS#11 in ``vault_hsm``. Each
gives the CMAC of a UMK, and the derivations of ``spec/osgp-application.md`` 3.1 (project choice) are calls of it. Derived keys pass
through memory; a UMK in a hardware security module never does.

A new UMK has a first epoch. It is kept beside the old one until the device has committed it (3.8): PSKs of epochs from there on are
derived from the new one, KEK, KCRIT and KFW from the one in force.

What ``grant``, ``procedure_token``, ``write_token`` and ``switch_order`` give away is in the audit trail before they return.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osgp.app import token as tokens
from osgp.app.aes import check_unique_node_id, cmac, wrap_key
from osgp.app.critical import BT07, EP10, EP20, FULL_WRITE, critical
from osgp.app.messages import KeyUpdate, KeyUpdateKind, SwitchBank
from osgp.app.profile import OsgpProfile
from osgp.crypto.keys import Key, default_key
from osgp.ports.vault import Vault
from osgp.ports.vault_audit import AuditTrail, Head
from osgp.tables.services import FullWrite, PartialWrite, encode_request
from osgp.tables.table import procedure_name, table_name
from osgp.wire import LTime
from osgp.wire.errors import BadDigest, ConfigError, NoKey, StoreError

__all__ = ["DEFAULT_DAYS", "Due", "KeyService", "Umk", "VaultKeys", "due", "refuse_known_key"]

DAY_S = 86400.0
DEFAULT_DAYS = {"UMK": 1825, "PSK": 365, "KB": 90}
"""After how many days a key is due for another: 90 for KB by 3.1, the others a project choice. Other kinds: 1825."""
_OTHER_DAYS = 1825
_LAST_EPOCH = 0xFFFF


@dataclass(frozen=True, slots=True)
class Umk:
    """A UMK by its first epoch, never the key. ``since``: UTC seconds, 0 if unknown."""

    first_epoch: int
    since: float


@dataclass(frozen=True, slots=True)
class Due:
    """When a key is to be renewed. ``since`` and ``due``: UTC seconds; 0 if nobody noted since when the key is in use."""

    name: str
    kind: str
    since: float
    due: float


def refuse_known_key(key: Key, *, insecure_lab: bool) -> None:
    """ConfigError for a key that everybody knows, except in a laboratory (2.12: default keys are refused)."""
    meaning = default_key(key)
    if meaning and not insecure_lab:
        raise ConfigError(
            f"this is a known default key ({meaning}); it protects nothing",
            hint="ask for the device's own key; for a laboratory only: --insecure-lab",
        )


class KeyService(ABC):
    """Keys of devices, by unique_node_id (6 bytes). Raises NoKey for a device that it has no UMK of."""

    def __init__(self, profile: OsgpProfile | None = None) -> None:
        self.profile = profile or OsgpProfile()

    # ---- what a backend does ----------------------------------------------------------------------------------------
    @abstractmethod
    def devices(self) -> list[bytes]:
        """The unique_node_ids of all devices with a UMK, sorted."""

    @abstractmethod
    def umks(self, unique_node_id: bytes) -> list[Umk]:
        """The UMK in force and, until it is committed, the next one."""

    @abstractmethod
    def add(self, unique_node_id: bytes, umk: Key, first_epoch: int, now: float) -> None:
        """Keep the first UMK of a device. ConfigError if it has one."""

    @abstractmethod
    def wrapped_umk(self, unique_node_id: bytes) -> bytes:
        """The next UMK in 24 bytes under the device's KEK, for EP20 kind 2. NoKey when there is no next one."""

    @abstractmethod
    def record(self, what: str, now: float) -> None:
        """Add to the audit trail."""

    @abstractmethod
    def note(self, what: str, now: float) -> None:
        """Add to the audit trail alone, beside other processes: durable when this returns."""

    @abstractmethod
    def refresh(self, now: float) -> bool:
        """Take over what other processes changed; whether anything may have. ``now``: UTC seconds. Raises as opening does."""

    @abstractmethod
    def token_counter(self, unique_node_id: bytes, now: float) -> int:
        """The counter of a device's next token, never the same again when this returns: UTC seconds, or one more than the last."""

    @abstractmethod
    def close(self) -> None:
        """Nothing more is asked."""

    @abstractmethod
    def _cmac(self, unique_node_id: bytes, first_epoch: int, message: bytes) -> bytes:
        """AES-CMAC of a message under a UMK."""

    @abstractmethod
    def _make_next(self, unique_node_id: bytes, first_epoch: int, kek: Key, now: float) -> None: ...

    @abstractmethod
    def _drop_old(self, unique_node_id: bytes) -> None: ...

    # ---- what all of them do ----------------------------------------------------------------------------------------
    def _known(self, unique_node_id: bytes) -> list[Umk]:
        found = self.umks(check_unique_node_id(unique_node_id))
        if not found:
            raise NoKey(f"there is no UMK of {unique_node_id.hex()}", hint="import it first: osgp keys import, or put")
        return found

    def _derive(self, unique_node_id: bytes, umk: Umk, label: str, context: bytes) -> Key:
        # One block of the KDF of 3.1: its number, label, 00, context, 128 bits.
        message = b"\0\0\0\1" + label.encode("ascii") + b"\0" + context + b"\0\0\0\x80"
        return Key(self._cmac(unique_node_id, umk.first_epoch, message))

    def epoch(self, unique_node_id: bytes) -> int:
        """The epoch of the newest UMK, which concentrators are given PSKs of."""
        return self._known(unique_node_id)[-1].first_epoch

    def epochs(self) -> dict[bytes, int]:
        """``epoch`` of all devices."""
        return {device: self.umks(device)[-1].first_epoch for device in self.devices()}

    def grant(self, unique_node_id: bytes, concentrator_id: bytes, now: float) -> tuple[Key, int]:
        """The PSK of a device's newest epoch for a concentrator, and that epoch; in the audit trail. ``now``: UTC seconds.

        Raises NoKey, and StoreError or BadDigest when it cannot be noted.
        """
        epoch = self.epoch(unique_node_id)
        psk = self.psk(unique_node_id, concentrator_id, epoch)
        self.note(f"grant PSK of {unique_node_id.hex()}, epoch {epoch}, to {concentrator_id.hex()}", now)
        return psk, epoch

    def psk(self, unique_node_id: bytes, concentrator_id: bytes, epoch: int) -> Key:
        """PSK of a device for one concentrator and epoch (3.1): all that a concentrator is ever given. NoKey if there is no
        UMK of the epoch."""
        fitting = [each for each in self._known(unique_node_id) if each.first_epoch <= epoch]
        if not fitting or epoch > _LAST_EPOCH:
            raise NoKey(f"no UMK of {unique_node_id.hex()} goes with epoch {epoch}")
        context = unique_node_id + check_unique_node_id(concentrator_id) + epoch.to_bytes(2, "big")
        return self._derive(unique_node_id, fitting[-1], self.profile.labels.psk, context)

    def _own(self, unique_node_id: bytes, label: str) -> Key:
        return self._derive(unique_node_id, self._known(unique_node_id)[0], label, unique_node_id)

    def procedure_token(self, unique_node_id: bytes, procedure: int, parameters: bytes, now: float) -> bytes:
        """The head-end's token (12 bytes, 3.8) for a procedure by its number in BT07, with these parameters. ``now``: UTC seconds.

        It goes behind the parameters. Raises ConfigError for what needs none, NoKey, StoreError.
        """
        data = procedure.to_bytes(2, "little") + b"\0" + parameters + bytes(tokens.TOKEN_SIZE)
        message = bytes([FULL_WRITE]) + BT07.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data
        what = f"{procedure_name(procedure)} with parameters {parameters.hex() or 'of no length'}"
        return self._token(unique_node_id, message, what, now)

    def write_token(self, unique_node_id: bytes, table: int, offset: int, data: bytes, now: float) -> bytes:
        """The token of a table write: of a full one at ``offset`` 0. As ``procedure_token``."""
        request = PartialWrite(table, offset, data) if offset else FullWrite(table, data)
        digest = hashlib.sha256(data).hexdigest()[:16]
        what = f"write of {table_name(table)} at {offset}, {len(data)} bytes of SHA-256 {digest}"
        return self._token(unique_node_id, encode_request(request, checksum=False), what, now)

    def _token(self, unique_node_id: bytes, message: bytes, what: str, now: float) -> bytes:
        found = critical(message)
        if found is None:
            raise ConfigError(f"this needs no token: {what}", hint="order it without one")
        kcrit = self._own(unique_node_id, self.profile.labels.kcrit)
        counter = self.token_counter(unique_node_id, now)
        self.note(f"token {counter} for {unique_node_id.hex()}: {what}", now)
        return tokens.token(kcrit, unique_node_id, found.covered, counter, self.profile)

    def umk_order(self, unique_node_id: bytes, now: float) -> bytes:
        """The parameters of EP20 with token that bring a device its next UMK, wrapped. As ``procedure_token``.

        NoKey without a next one.
        """
        epoch, wrapped = self.epoch(unique_node_id), self.wrapped_umk(unique_node_id)
        order = KeyUpdate(kind=KeyUpdateKind.UMK, slot=0, generation=epoch, wrap=1, key=wrapped).encode()
        return order + self.procedure_token(unique_node_id, EP20, order, now)

    def switch_order(self, unique_node_id: bytes, image: bytes, activation: datetime | None, now: float) -> bytes:
        """The parameters of EP10 with image MAC and token: the device switches to this image (UTC; None: at once). As above."""
        at = LTime() if activation is None else LTime.of(activation.astimezone(UTC))
        order = SwitchBank(length=len(image), mac=self.image_mac(unique_node_id, image), activation=at).encode()
        return order + self.procedure_token(unique_node_id, EP10, order, now)

    def image_mac(self, unique_node_id: bytes, image: bytes) -> bytes:
        """CMAC(KFW, image), 16 bytes: the device takes no firmware image without it."""
        return cmac(self._own(unique_node_id, self.profile.labels.kfw), image)

    def rotate(self, unique_node_id: bytes, now: float) -> tuple[int, bytes]:
        """Make another UMK, random: (its first epoch, the key wrapped for EP20 kind 2). ``now``: UTC seconds.

        ConfigError while the last one has not been committed, or when epochs are used up.
        """
        known = self._known(unique_node_id)
        if len(known) > 1:
            raise ConfigError(
                f"{unique_node_id.hex()} has not committed its UMK of epoch {known[-1].first_epoch} yet",
                hint="send that one again (osgp keys wrapped), or say that it has: osgp keys committed",
            )
        first_epoch = known[0].first_epoch + 1
        if first_epoch > _LAST_EPOCH:
            raise ConfigError(f"{unique_node_id.hex()} has used all epochs")
        self.record(f"rotate {unique_node_id.hex()}/UMK, first epoch {first_epoch}", now)
        kek = self._own(unique_node_id, self.profile.labels.kek)
        self._make_next(unique_node_id, first_epoch, kek, now)
        return first_epoch, self.wrapped_umk(unique_node_id)

    def committed(self, unique_node_id: bytes, epoch: int, now: float) -> bool:
        """A device has committed a handshake of an epoch: with that of the new UMK the old one is erased. Whether one was."""
        known = self._known(unique_node_id)
        if len(known) < 2 or epoch < known[-1].first_epoch:
            return False
        self.record(f"committed {unique_node_id.hex()}/UMK, epoch {epoch}; the old one erased", now)
        self._drop_old(unique_node_id)
        return True


class VaultKeys(KeyService):
    """The keys of a vault: devices by their unique_node_id in 12 hex digits, kinds UMK and UMK-NEXT.

    Changes are saved, each with its entry in the audit trail beside the vault (``NAME.audit``).
    """

    def __init__(self, vault: Vault, path: Path, profile: OsgpProfile | None = None) -> None:
        super().__init__(profile)
        self.vault = vault
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        notes = vault.notes
        self._fresh = "audit" not in notes
        noted = notes.setdefault("audit", {"key": secrets.token_hex(32), "count": 0, "mac": Head().mac})
        self._audit_key = noted["key"]
        secret = bytes.fromhex(noted["key"])
        self.trail = AuditTrail(
            path.with_name(path.name + ".audit"),
            lambda message: hmac.digest(secret, message, hashlib.sha256),
            Head(noted["count"], noted["mac"]),
        )

    def __repr__(self) -> str:
        return f"VaultKeys({self.vault!r})"

    def close(self) -> None:
        """See ``KeyService``: nothing is open."""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Change keys beside other processes: what they have saved is taken over, and they wait. Raises StoreError, BadDigest."""
        with self.trail.held():
            self._take_over()
            yield

    def _take_over(self) -> bool:
        if not self.vault.reload():
            return False
        noted = self.vault.notes.get("audit")
        if noted is None or noted["key"] != self._audit_key:
            raise BadDigest(
                "the vault has another audit trail now", hint="start again; osgp keys audit shows the trail"
            )
        self.trail.head = Head(noted["count"], noted["mac"])
        return True

    def note(self, what: str, now: float) -> None:
        """See ``KeyService``."""
        with self.held():
            self.record(what, now)
            self.vault.save()

    def refresh(self, now: float) -> bool:
        """See ``KeyService``. Costs nothing while the file is the same."""
        mark = self._mark()
        if mark == self._seen:
            return False
        changed = self._take_over()
        self._seen = mark
        return changed

    def _mark(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise StoreError(f"the vault {self._path} is gone: {error.strerror}", hint="bring it back") from None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def token_counter(self, unique_node_id: bytes, now: float) -> int:
        """See ``KeyService``."""
        with self.held():
            last = self._part("tokens")
            counter = max(int(now), int(last.get(unique_node_id.hex(), 0)) + 1)
            last[unique_node_id.hex()] = counter
            self.vault.save()
        return counter

    def record(self, what: str, now: float) -> None:
        """See ``KeyService``. The end is noted with the next ``save`` of the vault."""
        if self._fresh:  # the key of the trail is durable before its first entry
            self.vault.save()
            self._fresh = False
        self.trail.append(what, now)
        self.vault.notes["audit"].update(count=self.trail.head.count, mac=self.trail.head.mac)

    def put(self, name: str, kind: str, key: Key, now: float, *, first_epoch: int = 1) -> None:
        """Keep a key of any kind and note since when. The vault is not saved yet."""
        self.vault.put(name, kind, key)
        kind = kind.upper()
        self._part("since")[f"{name}/{kind}"] = now
        if kind in ("UMK", "UMK-NEXT"):
            self._part("epochs")[f"{name}/{kind}"] = first_epoch

    def remove(self, name: str, kind: str | None) -> None:
        """Forget a device's key of a kind, or all of them. The vault is not saved yet."""
        gone = [kind.upper()] if kind else self.vault.kinds(name)
        self.vault.remove(name, kind)
        for each in gone:
            self._part("since").pop(f"{name}/{each}", None)
            self._part("epochs").pop(f"{name}/{each}", None)

    def _part(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.vault.notes.setdefault(name, {})
        return found

    def devices(self) -> list[bytes]:
        """See ``KeyService``."""
        return [
            bytes.fromhex(name)
            for name in self.vault.names()
            if "UMK" in self.vault.kinds(name) and len(name) == 12 and set(name) <= set("0123456789abcdef")
        ]

    def umks(self, unique_node_id: bytes) -> list[Umk]:
        """See ``KeyService``."""
        name = unique_node_id.hex()
        return [
            Umk(int(self._part("epochs").get(f"{name}/{kind}", 1)), float(self._part("since").get(f"{name}/{kind}", 0)))
            for kind in ("UMK", "UMK-NEXT")
            if kind in self.vault.kinds(name)
        ]

    def _key(self, unique_node_id: bytes, first_epoch: int) -> Key:
        name = unique_node_id.hex()
        newest = self._part("epochs").get(f"{name}/UMK-NEXT") == first_epoch
        return self.vault.get(name, "UMK-NEXT" if newest else "UMK")

    def _cmac(self, unique_node_id: bytes, first_epoch: int, message: bytes) -> bytes:
        return cmac(self._key(unique_node_id, first_epoch), message)

    def add(self, unique_node_id: bytes, umk: Key, first_epoch: int, now: float) -> None:
        """See ``KeyService``."""
        if self.umks(unique_node_id):
            raise ConfigError(f"{unique_node_id.hex()} has a UMK already", hint="make another one: osgp keys rotate")
        self.record(f"put {unique_node_id.hex()}/UMK, first epoch {first_epoch}", now)
        self.put(unique_node_id.hex(), "UMK", umk, now, first_epoch=first_epoch)
        self.vault.save()

    def _make_next(self, unique_node_id: bytes, first_epoch: int, kek: Key, now: float) -> None:
        self.put(unique_node_id.hex(), "UMK-NEXT", Key(secrets.token_bytes(16)), now, first_epoch=first_epoch)
        self.vault.save()

    def wrapped_umk(self, unique_node_id: bytes) -> bytes:
        """See ``KeyService``."""
        kek = self._own(unique_node_id, self.profile.labels.kek)
        return wrap_key(kek, self.vault.get(unique_node_id.hex(), "UMK-NEXT"))

    def _drop_old(self, unique_node_id: bytes) -> None:
        name, newest = unique_node_id.hex(), self.umks(unique_node_id)[-1]
        key = self.vault.get(name, "UMK-NEXT")
        self.remove(name, "UMK-NEXT")
        self.put(name, "UMK", key, newest.since, first_epoch=newest.first_epoch)
        self.vault.save()

    def schedule(self) -> dict[str, int]:
        """After how many days each kind is due."""
        return {**DEFAULT_DAYS, **self._part("schedule")}

    def set_schedule(self, kind: str, days: int, now: float) -> None:
        """Renew a kind of key after so many days."""
        self.record(f"schedule {kind}: {days} days", now)
        self._part("schedule")[kind] = days
        self.vault.save()

    def dues(self) -> list[Due]:
        """All keys with the time at which they are due, the most urgent first."""
        held = [(name, kind) for name in self.vault.names() for kind in self.vault.kinds(name) if kind != "UMK-NEXT"]
        since = self._part("since")
        return due([(name, kind, float(since.get(f"{name}/{kind}", 0))) for name, kind in held], self.schedule().get)


def due(held: list[tuple[str, str, float]], days: Callable[[str, int], int]) -> list[Due]:
    """(name, kind, since) with the time at which each is due; a key of unknown age is due at once."""
    found = [
        Due(name, kind, since, since + days(kind, _OTHER_DAYS) * DAY_S if since else 0.0) for name, kind, since in held
    ]
    return sorted(found, key=lambda each: (each.due, each.name, each.kind))
