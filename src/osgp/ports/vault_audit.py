"""The audit trail of keys: who did what and when, never a key. Append-only, each entry bound to the one before.

One JSON line per entry; its ``mac`` covers the entry and the mac before it, under a key that only the vault or the hardware
security module has. Where the trail ends is kept there as well, so entries cut off its end are missed. An entry is durable
before the change that it speaks of; after a power failure the trail may therefore be longer than its noted end, never
shorter. Project choice.

Several processes may add to one trail (``osgp keys`` beside a concentrator that runs): each ``held`` it while it does.

What it does not do: who can open the vault has the key of the trail, and can write another one.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osgp.wire.errors import BadDigest, StoreError

__all__ = ["AuditEntry", "AuditTrail", "Head"]

_START = "0" * 64
_PATIENCE_S, _LOOK_S = 10.0, 0.02


@dataclass(frozen=True, slots=True)
class Head:
    """Where a trail ends: how many entries, and the mac of the last."""

    count: int = 0
    mac: str = _START


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the trail. ``saved``: whether the noted end covers it; if not, power failed before its change was saved."""

    number: int
    when: str
    who: str
    what: str
    saved: bool = True


def _user() -> str:
    with contextlib.suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"


class AuditTrail:
    """A trail in a file. ``mac``: bytes to bytes under the secret key; ``head``: the end as the vault knows it."""

    def __init__(self, path: Path, mac: Callable[[bytes], bytes], head: Head) -> None:
        self.path = path
        self._mac = mac
        self.head = head
        self._read_to: tuple[Head, int] = Head(), 0
        self._holders = 0

    def __repr__(self) -> str:
        return f"AuditTrail({str(self.path)!r}, {self.head.count} entries)"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else writes meanwhile. StoreError if somebody else does for ten seconds."""
        handle = -1
        if not self._holders:
            with contextlib.suppress(OSError):  # a trail that is not there is nobody's yet
                handle = os.open(self.path, os.O_RDWR)
        self._holders += 1
        try:
            if handle >= 0:
                self._lock(handle)
            yield
        finally:
            self._holders -= 1
            if handle >= 0:
                os.close(handle)

    def _lock(self, handle: int) -> None:
        try:
            import fcntl
        except ImportError:  # this system has no such locks
            return
        patience = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() >= patience:
                    raise StoreError(
                        f"another process keeps hold of {self.path}", hint="which osgp uses these keys? Wait, or end it"
                    ) from None
            time.sleep(_LOOK_S)

    def _lines(self, start: int) -> list[bytes]:
        try:
            return self.path.read_bytes()[start:].split(b"\n")
        except FileNotFoundError:
            return [b""]
        except OSError as error:
            raise StoreError(f"the audit trail {self.path} cannot be read: {error.strerror}") from None

    def _seal(self, previous: str, body: dict[str, Any]) -> str:
        text = previous + json.dumps(body, sort_keys=True, separators=(",", ":"))
        return self._mac(hashlib.sha256(text.encode()).digest()).hex()

    def _checked(self, head: Head = Head(), size: int = 0) -> tuple[list[AuditEntry], Head, int]:
        """The good entries behind a head and size, their own head, and the size in bytes of what is good."""
        entries: list[AuditEntry] = []
        previous, before = head.mac, head.count
        noted = self.head.count <= before
        *lines, _ = self._lines(size)
        for number, line in enumerate(lines, before + 1):
            body: Any = None
            with contextlib.suppress(ValueError, RecursionError):
                body = json.loads(line)
            if not isinstance(body, dict) or not isinstance(body.get("mac"), str):
                raise self._bad(number, "is no entry")
            mac = body.pop("mac")
            if body.get("number") != number or not hmac.compare_digest(
                self._seal(previous, body).encode(), mac.encode("utf-8", "surrogatepass")
            ):
                raise self._bad(number, "was changed, moved, or put in")
            if number == self.head.count:
                noted = hmac.compare_digest(mac, self.head.mac)
            previous, size = mac, size + len(line) + 1
            saved = number <= self.head.count
            entries.append(AuditEntry(number, str(body["when"]), str(body["who"]), str(body["what"]), saved))
        count = before + len(entries)
        if count < self.head.count:
            raise BadDigest(
                f"the audit trail {self.path} has {count} of {self.head.count} entries: its end was cut off",
                hint="bring the file back from a copy; until then nobody knows what the missing entries said",
            )
        if not noted:
            raise self._bad(self.head.count, "is not the one that was noted")
        return entries, Head(count, previous), size

    def _bad(self, number: int, why: str) -> BadDigest:
        return BadDigest(
            f"entry {number} of the audit trail {self.path} {why}",
            hint="somebody or something wrote to the file: compare it with a copy",
        )

    def verify(self) -> list[AuditEntry]:
        """All entries. BadDigest (a SecurityError) if one was changed, moved, put in or cut off; StoreError if unreadable."""
        return self._checked()[0]

    def append(self, what: str, now: float) -> None:
        """Add an entry, durable before this returns; ``head`` is then to be saved. ``now``: UTC seconds.

        Raises BadDigest if the trail is not whole, StoreError if it cannot be written.
        """
        head, read_to = self._read_to
        if self._size() < read_to:
            head, read_to = Head(), 0  # it was cut: the whole of it tells where
        _, end, size = self._checked(head, read_to)
        when = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        body: dict[str, Any] = {"number": end.count + 1, "when": when, "who": _user(), "what": what}
        mac = self._seal(end.mac, body)
        line = json.dumps({**body, "mac": mac}).encode() + b"\n"
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(handle, "r+b") as file:
                file.truncate(size)  # an entry that a power failure cut short
                file.seek(size)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"the audit trail {self.path} cannot be written: {error.strerror}") from None
        self.head = Head(end.count + 1, mac)
        self._read_to = self.head, size + len(line)

    def _size(self) -> int:
        with contextlib.suppress(OSError):
            return self.path.stat().st_size
        return 0
