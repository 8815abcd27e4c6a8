"""Watches a conversation of a control network: responses meet their requests, so that they can be read by what was asked.

A response copies priority, domain and transaction number of its request (ISO/IEC 14908-1, session layer;
``spec/iso14908-1.md`` 3.2, 3.3); that, the two nodes and the time between them is how they are paired. Nothing here transmits;
what is remembered is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from osgp.analyse.lon import Dissection, dissect_cnip, dissect_frame, dissect_lonip
from osgp.analyse.lon_text import frame_text
from osgp.lon.address import Broadcast, Destination, Group, UniqueNodeId
from osgp.lon.lonip import LonIp
from osgp.lon.packet import Packet
from osgp.lon.tpdu import Spdu, SpduType
from osgp.wire.capture import CapturedPiece
from osgp.wire.errors import DecodeError

if TYPE_CHECKING:
    from osgp.ports.capture import LonFrame

__all__ = ["LonObserver", "LonRow"]

_REQUESTS = 4096
"""Requests that are remembered; the oldest make room (project choice)."""
_LONGEST_S = 120.0
"""After this time an answer is no answer any more: chains of repeaters with long timers take so long (project choice)."""
_RECEIVERS = 256
"""Receiving IP addresses of LON/IP that are kept apart (project choice)."""


class LonRow(CapturedPiece):
    """One frame. ``text``: the line for people. ``request``: the APDU that it answers, if that was seen."""

    __slots__ = ("request", "text")
    door = "lon"
    text: str
    request: bytes | None


class _Asked(NamedTuple):
    """A request that may still be answered."""

    destination: Destination
    apdu: bytes
    time_s: float


class LonObserver:
    """Follows frames in time order. ``requests``: how many are remembered."""

    def __init__(self, *, requests: int = _REQUESTS) -> None:
        self._most = requests
        self._asked: OrderedDict[tuple[Any, ...], _Asked] = OrderedDict()
        self._receivers: OrderedDict[str, LonIp] = OrderedDict()
        self._datagram: tuple[int, Iterator[Dissection]] = (0, iter(()))

    def __len__(self) -> int:
        """Requests that are remembered."""
        return len(self._asked)

    # ---- what comes in ---------------------------------------------------------------------------------------------
    def frame(self, frame: bytes, time_s: float = 0.0, *, crc: bool | None = None, offset: int = 0) -> LonRow:
        """A link frame; ``crc``: whether it ends with one, None if that is to be found out. Never raises."""
        return self.row(dissect_frame(frame, crc=crc), time_s, offset=offset)

    def cnip(
        self, datagram: bytes, time_s: float = 0.0, *, crc: bool | None = None, offset: int = 0
    ) -> Iterator[LonRow]:
        """The packets of a CN/IP datagram. Never raises."""
        for found in dissect_cnip(datagram, crc=crc):
            yield self.row(found, time_s, offset=offset)
            offset += len(found.raw)

    def lonip(
        self, datagram: bytes, source: str, destination: str, time_s: float = 0.0, *, port: int = 0, offset: int = 0
    ) -> LonRow:
        """A LON/IP datagram with the IP addresses it travelled between, which say places; "" for one that is not known, what it
        would have said is then left out. Never raises."""
        receiver = self._receivers.get(destination)
        if receiver is None:
            if len(self._receivers) >= _RECEIVERS:
                self._receivers.popitem(last=False)
            receiver = self._receivers[destination] = LonIp(own=destination)
        packet: Packet | None = None
        problem = ""
        try:
            packet = receiver.read(datagram, (source, port), time_s)
        except DecodeError as error:
            problem = str(error) if source and destination else ""
        found = dissect_lonip(datagram, packet)
        found.error = found.error or problem
        return self.row(found, time_s, offset=offset)

    def captured(self, packet: LonFrame, *, crc: bool | None = None) -> LonRow:
        """A packet out of a capture file (``osgp.ports.capture.lon_frames``, in its order); ``crc`` as in ``frame``, for CN/IP."""
        source, destination = packet.source, packet.destination
        time_s = packet.time_s
        if packet.carrier == "lonip" and source is not None and destination is not None:
            row = self.lonip(
                packet.payload, source.host, destination.host, time_s, port=source.port, offset=packet.offset
            )
        elif packet.carrier == "lpdu":
            row = self.frame(packet.payload, time_s, crc=packet.crc is not None, offset=packet.offset)
        else:
            if packet.number != self._datagram[0]:
                self._datagram = (packet.number, dissect_cnip(packet.payload, crc=crc))
            found = next(self._datagram[1], None)
            row = self.row(found or dissect_frame(packet.lpdu, crc=False), time_s, offset=packet.offset)
        row.error = row.error or packet.problem
        row.fields = {"frame": packet.number, "time_s": time_s, **row.fields}
        if source is not None and destination is not None:
            row.fields["from"] = str(source)
            row.fields["to"] = str(destination)
        return row

    def row(self, found: Dissection, time_s: float = 0.0, *, offset: int = 0) -> LonRow:
        """What a dissected frame says here and now: a response in the light of its request."""
        request: bytes | None = None
        fields: dict[str, Any] = {}
        if isinstance(found.pdu, Spdu) and found.npdu is not None:
            if found.is_response:
                asked = self._answered(found, time_s)
                if asked is not None:
                    request = asked.apdu
                    if time_s:
                        fields["after_ms"] = round((time_s - asked.time_s) * 1e3, 3)
            elif found.pdu.header.type in (SpduType.REQUEST, SpduType.REM_MSG) and found.apdu:
                self._remember(found, time_s)
        error = found.problem(request)
        row = LonRow(offset, found.raw, found.direction, found.fields(request), error, found.tree(request))
        row.fields.update(fields)
        row.text = frame_text(found, request)
        row.request = request
        return row

    # ---- pairing ---------------------------------------------------------------------------------------------------
    def _remember(self, found: Dissection, time_s: float) -> None:
        destination = found.destination
        assert destination is not None  # an SPDU has addresses
        key = _key(found, str(found.source), destination)
        known = self._asked.get(key)
        if known is not None and known.apdu == found.apdu and 0 <= time_s - known.time_s <= _LONGEST_S:
            return  # a retry: the time counts from the first
        self._asked.pop(key, None)
        if len(self._asked) >= self._most:
            self._asked.popitem(last=False)
        self._asked[key] = _Asked(destination, found.apdu, time_s)

    def _answered(self, found: Dissection, time_s: float) -> _Asked | None:
        """The request that a response answers: the youngest that could be meant."""
        npdu, source = found.npdu, found.source
        assert npdu is not None
        assert source is not None
        asker = str(found.destination)
        places: list[Destination] = [source, Broadcast(source.subnet), Broadcast()]
        if npdu.group is not None:
            places = [Group(npdu.group)]
        keys = [_key(found, asker, place) for place in places]
        if npdu.group is None:
            keys.append((*_key(found, asker, source)[:-1], "unique node ID"))
        best: _Asked | None = None
        for key in keys:
            asked = self._asked.get(key)
            if asked is not None and abs(time_s - asked.time_s) <= _LONGEST_S:
                best = asked if best is None or asked.time_s > best.time_s else best
        return best


def _key(found: Dissection, asker: str, place: Destination) -> tuple[Any, ...]:
    """What a response copies from its request, and the two ends; a unique node ID is not in the response's addresses."""
    npdu = found.npdu
    assert npdu is not None
    priority = bool(found.header.priority) if found.header is not None else False
    end = "unique node ID" if isinstance(place, UniqueNodeId) else str(place)
    return npdu.domain, npdu.control.version, priority, found.transaction, asker, end
