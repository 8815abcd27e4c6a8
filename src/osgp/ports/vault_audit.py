"""The audit trail of keys: who did what and when, never a key. Append-only, each entry bound to the one before.

One JSON line per entry; its ``mac`` covers the entry and the mac before it, under a key that only the vault or the hardware
security module has. Where the trail ends is kept there as well, so entries cut off its end are missed. An entry is durable
before the change that it speaks of; after a power failure the trail may therefore be longer than its noted end, never
shorter. Project choice.

What it does not do: who can open the vault has the key of the trail, and can write another one.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osgp.wire.errors import BadDigest, StoreError

__all__ = ["AuditEntry", "AuditTrail", "Head"]

_START = "0" * 64


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

    def __repr__(self) -> str:
        return f"AuditTrail({str(self.path)!r}, {self.head.count} entries)"

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return [b""]
        except OSError as error:
            raise StoreError(f"the audit trail {self.path} cannot be read: {error.strerror}") from None

    def _seal(self, previous: str, body: dict[str, Any]) -> str:
        text = previous + json.dumps(body, sort_keys=True, separators=(",", ":"))
        return self._mac(hashlib.sha256(text.encode()).digest()).hex()

    def _checked(self) -> tuple[list[AuditEntry], Head, int]:
        """The good entries, their head, and the size in bytes of what is good."""
        entries: list[AuditEntry] = []
        previous, size = _START, 0
        noted = self.head.count == 0
        *lines, torn = self._lines()
        for number, line in enumerate(lines, 1):
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
        if len(entries) < self.head.count:
            raise BadDigest(
                f"the audit trail {self.path} has {len(entries)} of {self.head.count} entries: its end was cut off",
                hint="bring the file back from a copy; until then nobody knows what the missing entries said",
            )
        if not noted:
            raise self._bad(self.head.count, "is not the one that was noted")
        if torn and len(entries) < self.head.count:
            raise self._bad(len(entries) + 1, "is cut short")
        return entries, Head(len(entries), previous), size

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
        _, end, size = self._checked()
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
