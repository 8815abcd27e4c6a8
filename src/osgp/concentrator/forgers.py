"""Who else speaks with our broadcast key: heard on the line, because no table of a device tells the counter of its last broadcast.

KB is shared by a street, so whoever takes one device can seal broadcasts (``spec/osgp-application.md`` 3.6). One that is good under
our key and has a number that we have not given yet is somebody else's. It is noted as critical, and, where devices may have taken it
(within the window D above our own number), we go on above it and have B raised at once: else our own broadcasts would be refused.
Another key is the head-end's order (``KeyCare.revoke``), because only it can know who the suspect is. Project choice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from osgp.app.broadcast import BroadcastSender
from osgp.app.memory import StorageError
from osgp.app.messages import BroadcastFrame
from osgp.app.suite import BroadcastCipher
from osgp.lon.events import Event, MessageReceived
from osgp.wire.errors import DecodeError

__all__ = ["BroadcastWatch"]

_NOTED_S = 3600.0


class BroadcastWatch:
    """``alarm``: is given what to say, at most once an hour; ``window``: D, above which devices take nothing; ``passed``: is called
    when our own numbers go on above a forged one."""

    def __init__(
        self,
        sender: BroadcastSender,
        *,
        window: Callable[[], int],
        alarm: Callable[[str, float], None],
        passed: Callable[[], None],
    ) -> None:
        self.sender = sender
        self.forged = 0
        self._window = window
        self._alarm = alarm
        self._passed = passed
        self._noted_at = float("-inf")
        self._cipher: BroadcastCipher | None = None

    def receive(self, event: Event, now: float) -> bool:
        """Take what comes in beside answers; whether it was a broadcast under our key that we have not sent."""
        codes = self.sender.profile.codes
        if not isinstance(event, MessageReceived) or event.reply is not None:
            return False
        if event.apdu[:1] not in (bytes([codes.broadcast]), bytes([codes.broadcast + 1])):
            return False
        counter = self._good(event.apdu)
        if counter is None or counter < self.sender.counter:
            return False
        self.forged += 1
        if now >= self._noted_at + _NOTED_S:
            self._noted_at = now
            self._alarm(
                f"somebody at or behind {event.source} sends broadcasts under our key: number {counter}, where ours is at "
                f"{self.sender.counter}; a device may have been taken: find it, and have it revoked",
                now,
            )
        if counter <= self.sender.counter + self._window():
            with suppress(StorageError):  # then the next one that is heard tries again
                self.sender.go_above(counter)
                self._passed()
        return True

    def _good(self, apdu: bytes) -> int | None:
        """The number of a broadcast that is good under the key in use."""
        try:
            frame = BroadcastFrame.decode(apdu)
        except DecodeError:
            return None
        sender, cipher = self.sender, self._cipher
        if cipher is None or cipher.generation != sender.generation:
            cipher = BroadcastCipher(
                sender.kb, sender.generation, sender.concentrator_id, sender.domain, sender.profile
            )
            self._cipher = cipher
        if apdu[:1] != cipher.code or cipher.open(apdu, 2 + 2 * frame.group_count) is None:
            return None
        return frame.bctr
