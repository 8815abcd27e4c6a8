"""A meter with a simple load, for tests: the load's energy follows from time alone, in whole milliwatts."""

from __future__ import annotations

import datetime as dt
from typing import Any

from osgp.node.energy import FLOWS, Instant, PhaseInstant
from osgp.node.meter import Meter
from osgp.node.server import Port
from osgp.tables.image import ImageTables
from osgp.tables.services import FullRead, FullWrite, PartialRead, PartialWrite, Request
from osgp.tables.table import number_of

START = dt.datetime(2026, 3, 20, 12, 0, tzinfo=dt.UTC).timestamp()


class Load:
    """A load that changes every seven minutes, imports and exports; phases alike."""

    def __init__(self, phases: int = 3) -> None:
        self.phases = phases
        self.asked = 0

    def _mw(self, slot: int) -> tuple[int, ...]:
        p = (slot * 7919 % 5000 - 1200) * 1000
        q = (slot * 104729 % 900 - 300) * 1000
        return (
            max(p, 0), max(-p, 0), q if p >= 0 and q >= 0 else 0, q if p < 0 and q >= 0 else 0,
            -q if p < 0 and q < 0 else 0, -q if p >= 0 and q < 0 else 0, abs(p) + abs(q), 0, 0, 0,
        )  # fmt: skip

    def _until(self, ms: int) -> tuple[int, ...]:
        """From a fixed moment on: 1,001 slots are one round."""
        slot, rest = divmod(ms, 420_000)
        rounds, slot = divmod(slot, 1001)
        total = [0] * len(FLOWS)
        for n, value in enumerate(self._round()):
            total[n] = rounds * value
        sums = self._sums()[slot]
        now = self._mw(slot)
        return tuple(t + s * 420_000 + each * rest for t, s, each in zip(total, sums, now))

    _cache: list[tuple[int, ...]] | None = None

    def _sums(self) -> list[tuple[int, ...]]:
        if Load._cache is None:
            sums = [(0,) * len(FLOWS)]
            for slot in range(1001):
                sums.append(tuple(a + b for a, b in zip(sums[-1], self._mw(slot))))
            Load._cache = sums
        return Load._cache

    def _round(self) -> tuple[int, ...]:
        return tuple(each * 420_000 for each in self._sums()[-1])

    def energy(self, start: float, end: float) -> tuple[int, ...]:
        self.asked += 1
        return tuple(b - a for a, b in zip(self._until(round(start * 1000)), self._until(round(end * 1000))))

    def instant(self, at: float) -> Instant:
        p = self._mw(round(at * 1000) // 420_000 % 1001)
        phase = PhaseInstant((p[0] - p[1]) / 3000, 20.0, 231.5)
        return Instant((phase,) * self.phases, 50.0)


class Child:
    """An M-Bus child with one counter that grows by a litre a minute."""

    def __init__(self, serial: int = 12345678) -> None:
        self.serial = serial
        self.there = True

    def user_data(self, t: float) -> bytes:
        if not self.there:
            return b""
        litres = int(t // 60) % 100_000_000
        header = bytes.fromhex(f"{self.serial:08d}")[::-1] + b"\x24\x40\x01\x07\x05\x00\x00\x00"
        return b"\x72" + header + b"\x0c\x13" + bytes.fromhex(f"{litres:08d}")[::-1]


def make(model: str = "3ph", *, days: float = 0, firmware: str = "4.10", start: float = START, **options: Any) -> Meter:
    """A meter with that load (and children, if it has a bus)."""
    children = options.pop("children", [Child(11111111), Child(22222222)] if model == "mbus" else [])
    meter = Meter(
        model,
        "00004711",
        Load(1 if model == "1ph" else 3),
        start=start,
        firmware=firmware,
        children=children,
        **options,
    )
    if days:
        meter.backfill(days)
    return meter


def at(*when: int) -> float:
    """UTC seconds of a date."""
    return dt.datetime(*when, tzinfo=dt.UTC).timestamp()  # type: ignore[arg-type,misc]  # numbers of a date


class Client:
    """Asks a meter's table server without any door."""

    def __init__(self, meter: Meter, key: str = "MK", port: str = "optical") -> None:
        self.meter = meter
        self.key = key
        self.port = Port(port)
        self.now = meter.at
        self.psn = 4

    def ask(self, request: Request) -> tuple[int, bytes | None]:
        self.now += 0.5
        return self.meter.server.handle(request, self.key, self.now, self.port)

    def read(self, name: str) -> bytes:
        code, data = self.ask(FullRead(number_of(name)))
        assert code == 0, f"{name}: {code}"
        assert data is not None
        return data

    def part(self, name: str, offset: int, count: int) -> bytes:
        code, data = self.ask(PartialRead(number_of(name), offset, count))
        assert code == 0
        assert data is not None
        return data

    def write(self, name: str, data: bytes) -> int:
        return self.ask(FullWrite(number_of(name), data))[0]

    def write_part(self, name: str, offset: int, data: bytes) -> int:
        return self.ask(PartialWrite(number_of(name), offset, data))[0]

    def run(self, name: str, parameters: bytes = b"") -> tuple[int, bytes]:
        self.psn = self.psn + 1 if self.psn < 9 else 5
        order = number_of(name).to_bytes(2, "little") + bytes([self.psn]) + parameters
        assert self.write("BT07", order) == 0
        table = self.meter.server.responding(self.port)
        answer = self.ask(FullRead(table))[1]
        assert answer is not None
        assert answer[2] == self.psn
        return answer[3], answer[4:]


def tables_of(meter: Meter) -> ImageTables:
    """The image as a device sees it, living tables brought up to date."""
    for number in list(meter.image):
        meter.refresh(number, meter.at)
    return ImageTables(meter.image)
