"""What the airtime of a street went to: every frame by the purpose of the exchange that it belongs to. Project choice.

Frames are counted where they are sent, so that repeats of repeaters, answers and collisions are in it as they were. One exchange is
open at a time as a rule; a frame while several are open counts for the oldest, one while none is for ``other`` (alerts, answers to
probes, a repeat that came late).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osgp.concentrator.exchange import Exchange, Priority
from osgp.node.osgp_tables import ALERT_ROUTE, BLOCK_HASHES, FIRMWARE, HEARD_ANSWERS, LINK_REGISTER, RECEIVED_BLOCKS
from osgp.sim.wire_port import Port
from osgp.street.bound import Arrived, arrived, bound_s
from osgp.tables.table import extended

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["PURPOSES", "READING", "Airtime", "Day", "purpose_of"]

PURPOSES = {
    "profile": "intervals of load profiles, with their block headers",
    "registers": "registers of the read-outs",
    "log": "entries of logs, with their headers",
    "scan": "alarms (BT03)",
    "clock": "clocks read and corrected",
    "marks": "whether the configuration has changed (ET04)",
    "forgotten": "orders to forget what is in the journal (BP05)",
    "configuration": "dimension tables, once for each device",
    "network": "keys, addresses, ways: commissioning, probes, link registers, ways of alerts",
    "broadcast": "what is for many",
    "firmware": "images: announced, sent, mended, switched to",
    "other": "alerts, what was late, what a job asked for",
}
"""What airtime goes to, and what that means."""
READING = ("profile", "registers", "log", "scan", "clock", "marks", "forgotten", "configuration")
"""What reading takes, and is measured against the bound."""

_TABLES = {
    3: "scan",
    23: "registers",
    52: "clock",
    63: "profile",
    64: "profile",
    65: "profile",
    66: "profile",
    67: "profile",
    26: "log",
    74: "log",
    extended(79): "log",
    extended(4): "marks",
    HEARD_ANSWERS: "network",
    LINK_REGISTER: "network",
    ALERT_ROUTE: "network",
}
_ORDER, _ANSWER = 7, 8
_PROCEDURES = {5: "forgotten", 10: "clock", extended(16): "clock"}
_IMAGE_TABLES = (FIRMWARE, RECEIVED_BLOCKS, BLOCK_HASHES)
_IMAGE_ORDERS = (extended(8), extended(9), extended(10))


def purpose_of(exchange: Exchange) -> str:
    """What an exchange is for, by its table and class."""
    if not exchange.is_sealed:
        return exchange.kind if exchange.kind in ("broadcast", "firmware") else "network"
    message = exchange.message
    number = int.from_bytes(message[1:3], "big")
    if _is_of_an_image(number, message):
        return "firmware"
    if exchange.priority is Priority.HOUSEKEEPING or exchange.kind == "trial":
        return "firmware" if number == _ANSWER else "network"
    if number == _ORDER and message[0] == 0x40:
        return _PROCEDURES.get(int.from_bytes(message[5:7], "little") & 0x0FFF, "other")
    if number == _ANSWER:
        return "forgotten"
    if number == 0 and exchange.priority is Priority.ON_DEMAND:
        return "network"  # is it there again?
    return _TABLES.get(number, "other" if exchange.priority is Priority.ON_DEMAND else "configuration")


def _is_of_an_image(number: int, message: bytes) -> bool:
    if number == _ORDER and message[0] == 0x40:
        return int.from_bytes(message[5:7], "little") & 0x0FFF in _IMAGE_ORDERS
    return number in _IMAGE_TABLES


class Airtime:
    """Counts, in seconds by purpose, since the beginning of a run."""

    def __init__(self, run: StreetRun) -> None:
        self._run = run
        self._speed = run.medium.speed
        self.by_purpose = dict.fromkeys(PURPOSES, 0.0)
        self.day: Day | None = None
        """What the report shows, when the planned hours are over."""
        self._since_s = 0.0
        self._earlier: Mapping[str, float] = {}
        self._had: Mapping[str, Arrived] = {}
        run.wire.tap(self._sent)

    def _sent(self, now: float, port: Port, lpdu: bytes) -> None:
        exchange = next(iter(self._run.concentrator.exchanges.open), None)
        # In our own earshot a broadcast is over for the concentrator when it is on the line: it is known by its bytes.
        block = self._run.broadcasts.latest.get("firmware")
        if block is not None and block in lpdu:
            purpose = "firmware"
        else:
            purpose = "other" if exchange is None else purpose_of(exchange)
        self.by_purpose[purpose] += self._speed.airtime_s(len(lpdu) + 2)

    def begin(self, now: float) -> None:
        """Everybody has been read once: what is spent from now on is that of every day."""
        self._since_s, self._earlier, self._had = now, dict(self.by_purpose), arrived(self._run)

    def end(self, now: float) -> None:
        """The day is over. Raises StoreError."""
        spent = {name: self.by_purpose[name] - self._earlier.get(name, 0.0) for name in PURPOSES}
        self.day = Day(self._since_s, now, spent, bound_s(self._run, self._had))


@dataclass(frozen=True, slots=True)
class Day:
    """Airtime between two moments of a run, seconds: ``spent`` by purpose, and by kind the least that what has come could take."""

    since_s: float
    until_s: float
    spent: dict[str, float]
    bound: dict[str, float]

    @property
    def reading_s(self) -> float:
        """What reading took."""
        return sum(self.spent[name] for name in READING)

    @property
    def ratio(self) -> float | None:
        """The same by the bound; None if nothing came."""
        bound = sum(self.bound.values())
        return self.reading_s / bound if bound else None

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "since_s": round(self.since_s, 1),
            "until_s": round(self.until_s, 1),
            "spent_s": {name: round(value, 3) for name, value in self.spent.items()},
            "bound_s": {name: round(value, 3) for name, value in self.bound.items()},
            "reading_s": round(self.reading_s, 3),
            "ratio": None if self.ratio is None else round(self.ratio, 4),
        }
