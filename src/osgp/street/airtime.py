"""What the airtime of a street went to: every frame by the purpose of the exchange that it belongs to. Project choice.

Frames are counted where they are sent, so that repeats of repeaters, answers and collisions are in it as they were. One exchange is
open at a time as a rule; a frame while several are open counts for the oldest, one while none is for ``other`` (alerts, answers to
probes, a repeat that came late).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from osgp.concentrator.exchange import Exchange, Priority
from osgp.node.osgp_tables import ALERT_ROUTE, BLOCK_HASHES, FIRMWARE, HEARD_ANSWERS, LINK_REGISTER, RECEIVED_BLOCKS
from osgp.sim.wire_port import Port
from osgp.tables.table import extended

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["PURPOSES", "READING", "Airtime", "purpose_of"]

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
    if exchange.priority is Priority.HOUSEKEEPING:
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

    def since(self, earlier: Mapping[str, float]) -> dict[str, float]:
        """What was added after a copy of ``by_purpose`` was taken, in the order of ``PURPOSES``."""
        return {name: self.by_purpose[name] - earlier[name] for name in PURPOSES}
