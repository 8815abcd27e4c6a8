"""A toy protocol with the five verbs: lines of text, answered in capitals. Nothing of it is OSGP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Answered:
    text: bytes


@dataclass(frozen=True, slots=True)
class GaveUp:
    tries: int


@dataclass(frozen=True, slots=True)
class Served:
    text: bytes


@dataclass(frozen=True, slots=True)
class BaudChanged:
    baud: int


class _Lines:
    """What both ends share: cutting the stream into lines of bounded length."""

    def __init__(self) -> None:
        self.happened: list[Any] = []
        self.out = bytearray()
        self.buffer = bytearray()
        self.largest = 0

    def receive(self, data: bytes, now: float) -> None:
        self.buffer += data
        self.largest = max(self.largest, len(self.buffer))
        while (end := self.buffer.find(b"\n")) >= 0:
            line = bytes(self.buffer[:end])
            del self.buffer[: end + 1]
            self.take(line, now)
        if len(self.buffer) > LONGEST:
            self.buffer.clear()

    def take(self, line: bytes, now: float) -> None:
        raise AssertionError("each end says what it does with a line")

    def events(self) -> list[Any]:
        events, self.happened = self.happened, []
        return events

    def outgoing(self, now: float) -> bytes:
        data = bytes(self.out)
        self.out.clear()
        return data


class ToyServer(_Lines):
    def __init__(self) -> None:
        super().__init__()
        self.served = 0

    def take(self, line: bytes, now: float) -> None:
        if line == b"crash":
            raise ZeroDivisionError("the toy was told to")
        self.served += 1
        self.happened.append(Served(line))
        if line.startswith(b"baud "):
            self.happened.append(BaudChanged(int(line[5:])))
        self.out += line.upper() + b"\n"

    def deadline(self) -> float | None:
        return None

    def wake(self, now: float) -> None:
        pass


class ToyClient(_Lines):
    """Asks, waits two seconds for the answer, asks again, gives up after three tries."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = b""
        self.tries = 0
        self.due: float | None = None

    def ask(self, text: bytes, now: float) -> None:
        self.asked, self.tries = text, 1
        self._say(now)

    def _say(self, now: float) -> None:
        self.out += self.asked + b"\n"
        self.due = now + 2.0

    def take(self, line: bytes, now: float) -> None:
        if self.asked and line == self.asked.upper():
            self.happened.append(Answered(line))
            if line.startswith(b"BAUD "):
                self.happened.append(BaudChanged(int(line[5:])))
            self.asked, self.due = b"", None

    def deadline(self) -> float | None:
        return self.due

    def wake(self, now: float) -> None:
        if self.due is None or now < self.due:
            return
        if self.tries == 3:
            self.happened.append(GaveUp(self.tries))
            self.due = None
        else:
            self.tries += 1
            self._say(now)
