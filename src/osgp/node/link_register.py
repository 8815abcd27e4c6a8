"""How well a device hears its neighbours and they it: the link register of UT18, and what a transceiver tells of one frame.

``spec/osgp-application.md`` 3.10. What comes in is measured on every frame for this device; what goes out is learned from answers
to link probes (diagnostic 57) that pass through it on their way back. Project choice: the 16 links heard last are kept, unsaved.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from osgp.lon.address import SubnetNode
from osgp.lon.nd import BothWaysResponse, PacketFlags, SignalQuality, TransceiverRegisters, VersionByte
from osgp.node.osgp_tables import Link, LinkPath, LinkRegister
from osgp.wire.errors import DecodeError

__all__ = ["UNHEARD", "Heard", "Links", "heard_in", "registers_of"]

_MOST = 16
_UNKNOWN = -128
_ANSWER = 0x37


class Heard(NamedTuple):
    """How a frame was received. ``strength_db``: signal, relative; ``margin_db``: above what reception needs there; ``phase``: of the
    mains at the sender as seen from here, 1 to 6 in steps of 60 degrees, 0 unknown (the codes of diagnostic 58)."""

    strength_db: float
    margin_db: float
    phase: int = 0


UNHEARD = Heard(-84.0, 39.0)
"""No reading: what a transceiver tells that was not on a line (largest margin with least strength)."""


def _steps(value: float, step: int, lowest: int, most: int) -> int:
    return max(0, min(most, int((value - lowest) // step)))


def registers_of(heard: Heard, *, alternate_path: bool) -> TransceiverRegisters:
    """The seven registers after a frame (``spec/iso14908-1.md`` 5.9): steps of 6 dB for strength, of 3 dB for margin."""
    quality = SignalQuality(strength=_steps(heard.strength_db, 6, -84, 15), margin=_steps(heard.margin_db, 3, -6, 15))
    none = SignalQuality(strength=0, margin=15)
    return TransceiverRegisters(
        version=VersionByte(version=4),
        packet=PacketFlags(one_packet=1, secondary=int(alternate_path)),
        primary=none if alternate_path else quality,
        secondary=quality if alternate_path else none,
    )


def heard_in(apdu: bytes) -> Heard | None:
    """What the answer to a link probe says of the probe; None for anything else, and where there was no reading."""
    if len(apdu) < 8 or apdu[0] != _ANSWER:
        return None
    try:
        there = BothWaysResponse.decode(apdu).there
    except DecodeError:
        return None
    quality = there.secondary if there.packet.secondary else there.primary
    return Heard(quality.strength_db, quality.margin_db) if there.trusted and quality.known else None


class Links:
    """The neighbours of one device."""

    def __init__(self) -> None:
        self._links: OrderedDict[tuple[int, int, bool], list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._links)

    def heard(self, source: SubnetNode, heard: Heard, now: float, *, alternate_path: bool) -> None:
        """A frame of a neighbour has come. Nodes without an address are none."""
        if heard is UNHEARD or not source.node:
            return
        key = source.subnet, source.node, alternate_path
        known = self._links.pop(key, None)
        out = known[2] if known is not None else float(_UNKNOWN)
        self._links[key] = [heard.strength_db, heard.margin_db, out, now, float(heard.phase)]
        if len(self._links) > _MOST:
            self._links.popitem(last=False)

    def told(self, source: SubnetNode, there: Heard, *, alternate_path: bool) -> None:
        """A neighbour says how it heard us."""
        known = self._links.get((source.subnet, source.node, alternate_path))
        if known is not None:
            known[2] = there.margin_db

    def margin_db(self, source: SubnetNode, *, alternate_path: bool = False) -> float | None:
        """Margin of a neighbour's latest frame, None for one that was not heard."""
        known = self._links.get((source.subnet, source.node, alternate_path))
        return known[1] if known is not None else None

    @property
    def best_margin_db(self) -> float | None:
        """The best margin of any neighbour here."""
        return max((each[1] for each in self._links.values()), default=None)

    def table(self, now: float) -> bytes:
        """UT18 at this moment."""
        links = [
            Link(
                subnet=subnet,
                node=node,
                path=LinkPath(alternate_path=int(alternate), phase=int(phase)),
                strength=decibels(strength),
                margin_in=decibels(margin),
                margin_out=decibels(out),
                age=min(0xFFFF, max(0, int((now - at) // 60))),
            )
            for (subnet, node, alternate), (strength, margin, out, at, phase) in reversed(self._links.items())
        ]
        return LinkRegister(count=len(links), links=links).encode()

    def clear(self) -> None:
        """The device has lost its supply."""
        self._links.clear()


def decibels(value: float) -> int:
    """A whole number of decibels that fits a signed byte."""
    return max(-128, min(127, round(value)))
