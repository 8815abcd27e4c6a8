"""Frames of a control network out of what people have: hexadecimal text, a file of either kind, a capture, a trace, stdin."""

from __future__ import annotations

import io
import ipaddress
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from osgp.analyse.lon_observer import LonObserver, LonRow
from osgp.ports.capture import lon_frames, read_capture
from osgp.ports.datagram import FAULTS, Fault, datagram_in
from osgp.ports.pcap import Source, reader_of
from osgp.wire.errors import ConfigError, DecodeError

__all__ = ["Carrier", "Crc", "crc_rule", "is_capture", "lon_rows"]

Carrier = Literal["lpdu", "cnip", "lonip"]
Crc = Literal["auto", "yes", "no"]

_NOT_HEX = re.compile(r"[^0-9a-fA-F]")
_ENOUGH = 16
"""Bytes that tell what form a file has."""


def crc_rule(crc: Crc) -> bool | None:
    """The choice as ``osgp.analyse`` takes it: None is to find it out."""
    return {"auto": None, "yes": True, "no": False}[crc]


def is_capture(head: bytes) -> bool:
    """Whether a file's first bytes are those of a pcap or pcapng file."""
    if head[:4] == b"\x0a\x0d\x0d\x0a":
        return True
    try:
        reader_of(Source(io.BytesIO(head.ljust(64, b"\0"))))
    except DecodeError:
        return False
    return True


def lon_rows(
    data: str,
    *,
    carrier: Carrier | None = None,
    crc: Crc = "auto",
    from_ip: str = "",
    to_ip: str = "",
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[LonRow]:
    """The frames of ``data``, responses read by their requests. ``tell`` hears what is no frame (a capture cut short, other traffic).

    Raises ConfigError for what is neither hexadecimal nor readable.
    """
    for option, ip in (("--from-ip", from_ip), ("--to-ip", to_ip)):
        if ip and not _is_ip(ip):
            raise ConfigError(f"{option} {ip!r} is no IP address", hint="such as 10.73.1.10")
    observer = LonObserver()
    path = _path_of(data)
    if path is not None:
        head = _head(path)
        if is_capture(head):
            yield from _captured(observer, path, carrier, crc, tell)
            return
        frames = _frames_in(path.read_bytes())
    elif data == "-":
        content = sys.stdin.buffer.read()
        if is_capture(content[:64]):
            yield from _captured(observer, content, carrier, crc, tell)
            return
        frames = _frames_in(content)
    else:
        frames = [_hex(data)]
    rule = crc_rule(crc)
    at = 0
    for frame in frames:
        if carrier == "cnip":
            yield from observer.cnip(frame, crc=rule, offset=at)
        elif carrier == "lonip":
            yield observer.lonip(frame, from_ip, to_ip, offset=at)
        else:
            yield observer.frame(frame, crc=rule, offset=at)
        at += len(frame)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _captured(
    observer: LonObserver, target: Path | bytes, carrier: Carrier | None, crc: Crc, tell: Callable[[str], None]
) -> Iterator[LonRow]:
    """The frames of a capture. A carrier that is named is looked for at all UDP ports."""
    faults: Counter[Fault] = Counter()
    found = 0
    rule = crc_rule(crc)

    def report(error: DecodeError) -> None:
        tell(str(error))

    if carrier in ("cnip", "lonip"):
        rows = _at_any_port(observer, target, carrier, rule, report, faults)
    else:
        rows = (
            observer.captured(each, crc=rule) for each in lon_frames(target, crc=rule, report=report, faults=faults)
        )
    for row in rows:
        found += 1
        yield row
    others = {fault: faults[fault] for fault in (Fault.NOT_LON, Fault.FRAGMENT) if faults[fault]}
    if not found:
        words = ", ".join(f"{count} {FAULTS[fault]}" for fault, count in others.items()) or "it is empty"
        tell(
            f"no frames of a control network in the capture ({words}); they are looked for at the UDP ports 1628, 1629 (CN/IP) "
            "and 2541 (LON/IP), with --carrier at all ports, and in the link types 147 and 148"
        )
    elif others.get(Fault.FRAGMENT):
        tell(f"{others[Fault.FRAGMENT]} IP packets were sent in several parts and are left out")


def _at_any_port(
    observer: LonObserver,
    target: Path | bytes,
    carrier: str,
    crc: bool | None,
    report: Callable[[DecodeError], None],
    faults: Counter[Fault],
) -> Iterator[LonRow]:
    every_port = frozenset(range(0x10000))
    for frame in read_capture(target, report=report):
        datagram = datagram_in(frame.link_type, frame.data, frame.original_length, every_port)
        if isinstance(datagram, Fault):
            faults[datagram] += 1
            continue
        source, destination, place = datagram.source, datagram.destination, frame.offset + datagram.offset
        if carrier == "cnip":
            rows = observer.cnip(datagram.payload, frame.time_s, crc=crc, offset=place)
        else:
            found = observer.lonip(
                datagram.payload, source.host, destination.host, frame.time_s, port=source.port, offset=place
            )
            rows = iter((found,))
        for row in rows:
            row.fields = {
                "frame": frame.number,
                "time_s": frame.time_s,
                **row.fields,
                "from": str(source),
                "to": str(destination),
            }
            yield row


def _path_of(data: str) -> Path | None:
    """The file that ``data`` names; None if it is hexadecimal text or stdin."""
    if data == "-":
        return None
    compact = _compact(data)
    if compact and not _NOT_HEX.search(compact) and not data.startswith("@"):
        return None
    return Path(data.removeprefix("@"))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise ConfigError(
            f"{str(path)[:60]!r} is neither hexadecimal nor a file that can be read ({error.strerror})"
        ) from error


def _compact(text: str) -> str:
    return "".join(text.replace("0x", "").replace(":", "").split())


def _hex(text: str) -> bytes:
    compact = _compact(text)
    if len(compact) % 2:
        raise ConfigError(f"{len(compact)} hex digits make no whole bytes", hint="two digits for each byte")
    return bytes.fromhex(compact)


def _frames_in(content: bytes) -> list[bytes]:
    """A text file holds one frame in each line, in hexadecimal or as JSON with ``bytes``, after # a remark; another is one frame."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return [content]
    frames = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        if line.startswith("{"):
            frames.append(_traced(line, number))
            continue
        compact = _compact(line)
        if _NOT_HEX.search(compact) or len(compact) % 2:
            if number == 1:
                return [content]
            raise ConfigError(f"line {number} is no frame in hexadecimal", hint="one frame in each line")
        frames.append(bytes.fromhex(compact))
    return frames


def _traced(line: str, number: int) -> bytes:
    try:
        return bytes.fromhex(json.loads(line)["bytes"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"line {number} of the trace cannot be read: {error}") from error
