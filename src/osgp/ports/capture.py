"""Captures of a control network: files of Wireshark and tcpdump read and written, and the packets inside found.

Three layers. ``read_capture`` gives the frames of a file, whatever they are; ``lon_frames`` finds in them CN/IP (UDP ports 1628
and 1629), LON/IP (2541) and bare LPDUs (link types for users 147 with CRC and 148 without, a project choice);
``CaptureWriter`` writes them so that Wireshark's ``cnip`` and ``lon`` dissectors read them, keys of network management hidden.
For many frames at once see ``osgp.analyse.lonbatch``.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

from osgp.lon import lonip
from osgp.lon.cnip import HEADER_SIZE, PORT, URGENT_PORT, CnIpHeader, CnIpPacket, data_packet, lpdu_in
from osgp.lon.crc import with_crc, without_crc
from osgp.lon.lonip import LonIpHeader
from osgp.lon.lpdu import LinkHeader
from osgp.lon.npdu import ENHANCED, LEGACY, NetworkControl, Npdu
from osgp.lon.packet import Packet
from osgp.lon.redact import redacted
from osgp.ports import pcap
from osgp.ports.datagram import FAULTS, Datagram, Endpoint, Fault, LinkType, datagram_in, ethernet
from osgp.ports.pcap import CaptureFrame, Source, frames_of
from osgp.wire.errors import BadCrc, ConfigError, DecodeError, StoreError, Truncated, UnknownCode

__all__ = [
    "CaptureFrame",
    "CaptureWriter",
    "Endpoint",
    "Fault",
    "LinkType",
    "LonFrame",
    "lon_frames",
    "packets_of",
    "read_capture",
]

CNIP_PORTS = frozenset((PORT, URGENT_PORT))
LONIP_VERSIONS = {0: LEGACY, 1: ENHANCED}
"""Versions of LON/IP as those of the NPDU."""
UDP_PORTS = CNIP_PORTS | {lonip.PORT}

SENDER, RECEIVER = Endpoint("192.0.2.1", PORT), Endpoint("192.0.2.2", PORT)
"""Between whom a frame goes when nobody says: addresses for documentation (RFC 5737)."""

Carrier = Literal["cnip", "lonip", "lpdu", ""]
Form = Literal["pcap", "pcapng"]
FORMS: dict[str, Form] = {".pcap": "pcap", ".cap": "pcap", ".dmp": "pcap", ".pcapng": "pcapng", ".ntar": "pcapng"}
"""The form that a file name asks for."""


@dataclass(frozen=True, slots=True)
class LonFrame:
    """One packet of a control network as a capture holds it.

    ``carrier``: ``cnip``, ``lonip`` or ``lpdu``; "" in what ``packets_of`` gives for other frames. ``lpdu``: link header and NPDU
    without CRC; empty for LON/IP, whose ``payload`` says the addresses in its own way (``osgp.lon.lonip``), and wherever ``fault``
    is set. ``payload``: the UDP payload, or the bare frame. ``offset``: of the LPDU, or for LON/IP of the payload, in the file.
    ``crc``: whether the frame's own CRC was right; None where it has none. ``source``, ``destination``: IP addresses and ports;
    None for bare frames. ``cnip``: the header of a CN/IP packet.
    """

    number: int
    time_ns: int
    carrier: Carrier
    lpdu: bytes = b""
    payload: bytes = b""
    offset: int = 0
    crc: bool | None = None
    source: Endpoint | None = None
    destination: Endpoint | None = None
    cnip: CnIpHeader | None = None
    fault: Fault = Fault.OK

    @property
    def time_s(self) -> float:
        """Seconds since 1970, UTC, as exact as a float is."""
        return self.time_ns / 1e9

    @property
    def problem(self) -> str:
        """The fault in words; "" without."""
        return FAULTS.get(self.fault, "")


@contextmanager
def _opened(target: Path | str | BinaryIO, mode: Literal["rb", "wb"]) -> Iterator[BinaryIO]:
    if isinstance(target, (Path, str)):
        with _open(target, mode) as stream:
            yield stream
    else:
        yield target


def _open(path: Path | str, mode: Literal["rb", "wb"]) -> BinaryIO:
    try:
        return open(path, mode)
    except OSError as error:
        raise ConfigError(f"cannot {'read' if mode == 'rb' else 'write'} {path}: {error.strerror}") from error


def read_capture(
    target: Path | str | BinaryIO | bytes, *, report: Callable[[DecodeError], None] | None = None
) -> Iterator[CaptureFrame]:
    """The frames of a capture: a path, a stream open for reading, or its bytes.

    Raises UnknownCode for what is no capture; after the last good frame Truncated (a capture that is still being written) or
    BadValue (records that cannot be followed any further). With ``report`` these three are handed to it, and iteration ends.
    Raises ConfigError for a file that cannot be opened.
    """
    with _opened(io.BytesIO(target) if isinstance(target, bytes) else target, "rb") as stream:
        try:
            yield from frames_of(Source(stream))
        except DecodeError as error:
            if report is None:
                raise
            report(error)


def lon_frames(
    target: Path | str | BinaryIO | bytes,
    *,
    crc: bool | None = None,
    report: Callable[[DecodeError], None] | None = None,
    faults: Counter[Fault] | None = None,
) -> Iterator[LonFrame]:
    """The packets of a control network in a capture, damaged ones included: look at ``fault``.

    ``crc``: whether CN/IP packets end with the frame's CRC (None: taken for one if it is right). ``faults``: counts every packet by
    its fault, and every frame that holds none (NOT_LON, FRAGMENT), which are not given. ``target`` and ``report`` as in
    ``read_capture``.
    """
    for frame in read_capture(target, report=report):
        for packet in packets_of(frame, crc=crc):
            if faults is not None:
                faults[packet.fault] += 1
            if packet.carrier:
                yield packet


def packets_of(frame: CaptureFrame, *, crc: bool | None = None) -> Iterator[LonFrame]:
    """The packets in one captured frame: at least one, whose carrier is "" if there is none of a control network."""
    number, time_ns, data = frame.number, frame.time_ns, frame.data
    if frame.link_type in (LinkType.LPDU_WITH_CRC, LinkType.LPDU):
        lpdu, fault, right = _bare(frame)
        yield LonFrame(number, time_ns, "lpdu", lpdu, data, frame.offset, right, fault=fault)
        return
    datagram = datagram_in(frame.link_type, data, frame.original_length, UDP_PORTS)
    if isinstance(datagram, Fault):
        yield LonFrame(number, time_ns, "", fault=datagram)
        return
    offset = frame.offset + datagram.offset
    source, destination = datagram.source, datagram.destination
    if {source.port, destination.port} & CNIP_PORTS:
        yield from _cnip(number, time_ns, datagram, offset, crc)
    else:
        yield LonFrame(number, time_ns, "lonip", b"", datagram.payload, offset, None, source, destination)


def _bare(frame: CaptureFrame) -> tuple[bytes, Fault, bool | None]:
    """(LPDU, fault, whether the CRC is right)."""
    if frame.cut:
        return b"", Fault.CUT, None
    if frame.link_type == LinkType.LPDU:
        return frame.data, Fault.OK if frame.data else Fault.TRUNCATED, None
    try:
        return without_crc(frame.data), Fault.OK, True
    except BadCrc:
        return b"", Fault.BAD_CRC, False
    except Truncated:
        return b"", Fault.TRUNCATED, None


def _cnip(number: int, time_ns: int, datagram: Datagram, offset: int, crc: bool | None) -> Iterator[LonFrame]:
    """The CN/IP packets of a datagram; it ends with the first that cannot be followed or trusted."""
    rest = datagram.payload
    while True:
        lpdu, right, header, fault = b"", None, None, Fault.OK
        place = offset + len(datagram.payload) - len(rest)
        after = b""
        try:
            packet = CnIpPacket.decode(rest)
        except Truncated:
            fault = Fault.TRUNCATED
        else:
            header, after = packet.header, packet._rest
            place += HEADER_SIZE + len(packet.extension)
            if header.length != HEADER_SIZE + len(packet.extension) + len(packet.data):
                fault, after = Fault.BAD_VALUE, b""
            elif packet.digest is not None:
                fault, after = Fault.SECURED, b""
            else:
                lpdu, fault, right = _frame_in(packet, crc)
        yield LonFrame(
            number,
            time_ns,
            "cnip",
            lpdu,
            datagram.payload,
            place,
            right,
            datagram.source,
            datagram.destination,
            header,
            fault,
        )
        rest = after
        if not rest:
            return


def _frame_in(packet: CnIpPacket, crc: bool | None) -> tuple[bytes, Fault, bool | None]:
    try:
        lpdu = lpdu_in(packet, crc=crc)
    except UnknownCode:
        return b"", Fault.OTHER_PACKET, None
    except BadCrc:
        return b"", Fault.BAD_CRC, False
    except Truncated:
        return b"", Fault.TRUNCATED, None
    return lpdu, Fault.OK, True if len(lpdu) < len(packet.data) else None


class CaptureWriter:
    """Writes packets of a control network into a capture, times to the nanosecond.

    ``target``: a path, whose suffix chooses the form unless ``form`` does, or a stream, which the caller closes. ``carrier``: how
    ``write_lpdu`` writes: ``cnip`` in Ethernet, IP, UDP and CN/IP, or ``lpdu`` bare. ``crc``: whether frames keep their CRC (None:
    bare ones do, those in CN/IP do not, which is what Wireshark expects). ``hide_keys``: keys in network management are replaced
    by 2A bytes (``osgp.lon.redact``, which also says what cannot be recognised).

    A pcap file holds either bare frames or datagrams, a pcapng file both. Usable with ``with``. Raises ConfigError for a path that
    cannot be written and for a suffix that names no form, StoreError where it can be written no further (no space left).
    """

    def __init__(
        self,
        target: Path | str | BinaryIO,
        form: Form | None = None,
        *,
        carrier: Literal["cnip", "lpdu"] = "cnip",
        crc: bool | None = None,
        hide_keys: bool = True,
        order: Literal["little", "big"] = "little",
    ) -> None:
        named = isinstance(target, (Path, str))
        if form is None:
            form = FORMS.get(Path(target).suffix.lower()) if isinstance(target, (Path, str)) else "pcapng"
        if form is None:
            raise ConfigError(
                f"{target}: the suffix names no form of capture", hint="use .pcap or .pcapng, or say the form"
            )
        self.carrier = carrier
        self.crc = carrier == "lpdu" if crc is None else crc
        self.hide_keys = hide_keys
        self._bare = LinkType.LPDU_WITH_CRC if self.crc else LinkType.LPDU
        self._sequence = 0
        self._stream = _open(target, "wb") if isinstance(target, (Path, str)) else target
        self._owned = named
        self._name = str(target) if named else "the capture"
        writer = pcap.PcapngForm if form == "pcapng" else pcap.PcapForm
        with self._stored():
            self._form = writer(self._stream, order, self._bare if carrier == "lpdu" else LinkType.ETHERNET)

    def write_lpdu(
        self,
        lpdu: bytes,
        time_s: float = 0.0,
        *,
        time_ns: int | None = None,
        source: Endpoint = SENDER,
        destination: Endpoint = RECEIVER,
    ) -> None:
        """Write a frame without CRC. ``time_ns`` is the exact time, in place of ``time_s``; both since 1970, UTC. The endpoints
        count for the carrier ``cnip``. Raises BadValue for a frame that is too long, and for a time that the form cannot hold."""
        when = _nanoseconds(time_s, time_ns)
        frame = redacted(lpdu) if self.hide_keys else lpdu
        if self.carrier == "lpdu":
            self._write(when, with_crc(frame) if self.crc else frame, self._bare)
            return
        self._sequence += 1
        payload = data_packet(frame, sequence=self._sequence, timestamp_ms=when // 10**6, crc=self.crc)
        self._write(when, ethernet(source, destination, payload), LinkType.ETHERNET)

    def write_datagram(
        self,
        source: Endpoint,
        destination: Endpoint,
        payload: bytes,
        time_s: float = 0.0,
        *,
        time_ns: int | None = None,
    ) -> None:
        """Write a UDP datagram of CN/IP or LON/IP (or of anything else), in Ethernet and IP. Times and errors as ``write_lpdu``;
        ConfigError for a pcap file of bare frames."""
        if self.hide_keys:
            payload = hidden(payload, {source.port, destination.port})
        self._write(_nanoseconds(time_s, time_ns), ethernet(source, destination, payload), LinkType.ETHERNET)

    def _write(self, time_ns: int, data: bytes, link_type: LinkType) -> None:
        with self._stored():
            self._form.write(time_ns, data, link_type)

    @contextmanager
    def _stored(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"cannot write {self._name} any further: {error.strerror or error}") from error

    def flush(self) -> None:
        """Let readers see what was written."""
        with self._stored():
            self._stream.flush()

    def close(self) -> None:
        """Finish the file; a stream that was handed in stays open."""
        with self._stored():
            if self._owned:
                self._stream.close()
            else:
                self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _nanoseconds(time_s: float, time_ns: int | None) -> int:
    return round(time_s * 1e9) if time_ns is None else time_ns


def hidden(payload: bytes, ports: set[int]) -> bytes:
    """A UDP payload of CN/IP or LON/IP with the keys of network management hidden; other payloads unchanged.

    A CRC at the end of a frame is made anew, a digest behind it is not. What cannot be read as a packet to its end is treated as
    if it held a frame behind a plain header.
    """
    if ports & CNIP_PORTS:
        return _hidden_cnip(payload)
    return _hidden_lonip(payload) if lonip.PORT in ports else payload


def _hidden_cnip(payload: bytes) -> bytes:
    out, rest = b"", payload
    while rest:
        try:
            packet = CnIpPacket.decode(rest)
            lpdu = lpdu_in(packet)
        except DecodeError:
            return out + rest[:HEADER_SIZE] + redacted(rest[HEADER_SIZE:])
        checked = len(lpdu) < len(packet.data)
        rest, packet._rest = packet._rest, b""
        packet.data = with_crc(redacted(lpdu)) if checked else redacted(lpdu)
        out += packet.encode()
    return out


_NO_VERSION = 3
"""A version of the NPDU that nobody speaks: such a frame is read in both ways (``osgp.lon.redact``)."""


def _hidden_lonip(payload: bytes) -> bytes:
    try:
        raw = LonIpHeader.decode(payload)
    except DecodeError:
        return payload
    version = LONIP_VERSIONS.get(raw.version.version, _NO_VERSION)
    control = NetworkControl(version=version, pdu_type=raw.control.pdu_type)
    frame = Packet(LinkHeader(0), Npdu(control=control, destination_subnet=0, pdu=raw.pdu)).lpdu()
    size = len(raw.pdu)
    return payload[: len(payload) - size] + redacted(frame)[len(frame) - size :]
