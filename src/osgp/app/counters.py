"""Counters that never go back: blocks of numbers are reserved in a ``Memory`` before one of them is used (3.2, 3.3).

After a reset a counter stands at the end of its block: some numbers are left out, none is used twice. If the memory fails, the
call raises StorageError and the number is not used. What belongs together, a key set and the start of its counters, is saved
in one step: ``starting`` gives the values to save, ``started`` makes them valid.
"""

from __future__ import annotations

from osgp.app.memory import Memory
from osgp.wire.errors import ConfigError, LocalProtocolError

__all__ = ["LastSeen", "SendCounter", "Uses", "load_number", "stored"]

_SIZE = 8


def stored(number: int) -> bytes:
    """A number as it is kept."""
    return number.to_bytes(_SIZE, "big")


def load_number(memory: Memory, name: str, absent: int) -> int:
    """A kept number, or ``absent``. ConfigError if what is kept is no number."""
    value = memory.load(name)
    if not value:
        return absent
    if len(value) != _SIZE:
        raise ConfigError(
            f"the memory of this device holds no number under {name}",
            hint="it is damaged or of another kind; with lost counters the device must be commissioned anew",
        )
    return int.from_bytes(value, "big")


class SendCounter:
    """Numbers for what we send: each once, in rising order, up to ``limit``."""

    __slots__ = ("_block", "_memory", "_name", "limit", "next", "stop")

    def __init__(self, memory: Memory, name: str, *, block: int, limit: int, first: int = 1) -> None:
        self._memory = memory
        self._name = name
        self._block = block
        self.limit = limit
        self.next = self.stop = load_number(memory, name, first)
        """``next``: the number to be used; below ``stop`` it is reserved, and a hurried caller may take it by itself."""

    @property
    def exhausted(self) -> bool:
        """Whether all numbers are used."""
        return self.next > self.limit

    def take(self) -> int:
        """The next number. StorageError if it could not be reserved, LocalProtocolError behind the limit."""
        number = self.next
        if number > self.limit:
            raise LocalProtocolError(
                "all counters under this key are used", hint="a new handshake gives a new key with counters of its own"
            )
        if number >= self.stop:
            end = number + self._block
            self._memory.save({self._name: stored(end)})
            self.stop = min(end, self.limit + 1)
        self.next = number + 1
        return number

    def skip_to(self, number: int) -> None:
        """Leave out everything below ``number``; never goes back."""
        self.next = max(self.next, number)

    def starting(self, first: int) -> dict[str, bytes]:
        """What to save so that the counter begins at ``first``, under another key."""
        return {self._name: stored(first)}

    def started(self, first: int) -> None:
        """``starting`` was saved."""
        self.next = self.stop = first


class LastSeen:
    """The highest number that we took from a peer. After a reset it stands at the block's end."""

    __slots__ = ("_block", "_memory", "_name", "last", "stop")

    def __init__(self, memory: Memory, name: str, *, block: int, last: int = -1) -> None:
        self._memory = memory
        self._name = name
        self._block = block
        # stop: one more than the last number that may have been taken, so that "none" can be said
        self.stop = load_number(memory, name, last + 1)
        self.last = self.stop - 1
        """Below ``stop`` a number is kept already, and a hurried caller may set ``last`` by itself."""

    def take(self, number: int) -> None:
        """``number`` is above ``last`` and is now the last. StorageError, and no change, if it could not be kept."""
        if number >= self.stop:
            self.keep(number, self._block)
        self.last = number

    def keep(self, number: int, block: int) -> None:
        """Keep ``number`` and the ``block`` - 1 numbers above it, unless they are kept already."""
        if number >= self.stop:
            self._memory.save({self._name: stored(number + block)})
            self.stop = number + block

    def keeping(self, number: int) -> dict[str, bytes]:
        """What to save, beside other values, so that ``number`` is kept; then call ``kept``."""
        return {} if number < self.stop else {self._name: stored(number + 1)}

    def kept(self, number: int) -> None:
        """``keeping`` was saved."""
        self.stop = max(self.stop, number + 1)

    def starting(self, last: int, block: int = 1) -> dict[str, bytes]:
        """What to save so that ``last`` is the last one, under another key."""
        return {self._name: stored(last + block)}

    def started(self, last: int, block: int = 1) -> None:
        """``starting`` was saved."""
        self.stop = last + block
        self.last = last


class Uses:
    """How often a key was used, good or bad (ET54.82, 86). A failing memory does not stop counting: nothing hangs on it."""

    __slots__ = ("_alarm", "_block", "_kept", "_memory", "_name", "_told", "count", "stop")

    def __init__(self, memory: Memory, name: str, *, block: int, alarm: int) -> None:
        self._memory = memory
        self._name = name
        self._block = block
        self._alarm = alarm
        self._told = False
        self.count = self._kept = load_number(memory, name, 0)
        self.stop = self.count + 1
        """From this count on ``counted`` has something to do; a hurried caller asks for it only then."""

    def one(self) -> bool:
        """One more: see ``counted``."""
        self.count += 1
        return self.count >= self.stop and self.counted()

    def counted(self) -> bool:
        """After a count that reached ``stop``: keep it. True once, when the alarm's number is reached or found reached after a
        start. StorageError after counting."""
        kept = self.count >= self._kept
        if kept:
            self._kept = self.count + self._block
        told, self._told = self._told, self._told or self.count >= self._alarm
        self.stop = self._kept if self._told else min(self._kept, self._alarm)
        if kept:
            self._memory.save({self._name: stored(self._kept)})
        return self._told and not told

    @property
    def alarmed(self) -> bool:
        return self.count >= self._alarm

    def starting(self) -> dict[str, bytes]:
        return {self._name: stored(0)}

    def started(self) -> None:
        self.count = self._kept = 0
        self.stop = 1
        self._told = False
