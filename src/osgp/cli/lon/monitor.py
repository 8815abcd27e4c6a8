"""``osgp lon monitor``: a line for each frame, live from a UDP port or out of a capture."""

from __future__ import annotations

import asyncio
import json as jsonlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from osgp.analyse.lon_observer import LonObserver, LonRow
from osgp.cli.lon.attached import HERE, Reach, Recorder, check_seconds, open_port, read_place
from osgp.cli.lon.decoding import row_document
from osgp.cli.lon.rows import Crc, crc_rule, is_capture, lon_rows
from osgp.cli.output import console, plain, stderr
from osgp.lon.address import parse_domain
from osgp.lon.interests import Interests
from osgp.lon.lonip_map import Endpoint
from osgp.lon.packet import Packet
from osgp.wire.errors import ConfigError, NoAnswer

__all__ = ["monitor"]

_MOST = 100_000
"""Frames that one JSON document holds if nobody says how many (project choice)."""


def monitor(
    source: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    count: Annotated[int, Parameter(help="end after so many frames; 0: no end")] = 0,
    seconds: Annotated[float, Parameter(help="end after this time; 0: no end")] = 0.0,
    group: Annotated[tuple[int, ...], Parameter(help="LON/IP multicast: hear this group too")] = (),
    crc: Annotated[Crc, Parameter(help="whether frames end with their CRC; default: found out")] = "auto",
    address: Annotated[str, Parameter(help="LON/IP multicast: hear the subnet of this subnet/node")] = "1/126",
    line: Reach = HERE,
    json: Annotated[
        bool,
        Parameter(name="--json", help="print the frames as one JSON document, at the end (--count, --seconds, Ctrl-C)"),
    ] = False,
) -> None:
    """Watch a control network: who says what to whom; responses are read by their requests. Transmits nothing.

    Parameters
    ----------
    source
        a capture file or - for stdin, read to its end; without it the UDP port of --bind is listened to
    """
    check_seconds("--seconds", seconds)
    if count < 0:
        raise ConfigError("--count is not less than 0")
    keep: list[dict[str, Any]] = []
    first: list[float] = []

    def show(row: LonRow, when: float | None = None) -> None:
        if json:
            if len(keep) < _MOST:
                keep.append(row_document(row))
            return
        time_s = row.fields.get("time_s") if when is None else when
        head = ""
        if time_s is not None:
            first.append(time_s) if not first else None
            head = f"{time_s - first[0]:>11.6f}  "
        text = Text.assemble((head, "dim"), (row.text, "" if row.ok else "red"))
        console.print(text, soft_wrap=True)

    seen = (
        _read(source, count, crc, line, show)
        if source is not None
        else _listen(count, seconds, address, group, crc, line, show)
    )
    if json:
        sys.stdout.write(jsonlib.dumps(plain(keep), ensure_ascii=False, indent=2, default=str) + "\n")
        if seen > len(keep):
            stderr.print(f"note: the document holds the first {len(keep)} of {seen} frames; --count says how many")
    if not seen:
        raise NoAnswer(
            "no frame was seen",
            hint="is this the right --bind address and --carrier? Unicast between other machines does not come here",
        )


def _read(source: str, count: int, crc: Crc, line: Reach, show: Callable[[LonRow], None]) -> int:
    def tell(text: str) -> None:
        stderr.print(Text.assemble(("note: ", "bold yellow"), text))

    if line.capture is not None:
        raise ConfigError("--capture is for what is heard, not for what is read from a file")
    seen = 0
    for row in _rows(source, crc, tell):
        show(row)
        seen += 1
        if seen == count:
            break
    return seen


def _rows(source: str, crc: Crc, tell: Callable[[str], None]) -> Iterator[LonRow]:
    if source != "-":
        try:
            with Path(source).open("rb") as file:
                head = file.read(64)
        except OSError as error:
            raise ConfigError(f"{source}: {error.strerror}", hint="a capture file, or - for stdin") from error
        if not is_capture(head):
            raise ConfigError(f"{source} is no capture (pcap, pcapng)", hint="single frames: osgp decode --door lon")
        source = f"@{source}"
    yield from lon_rows(source, crc=crc, tell=tell)


class _Silent:
    """A machine that hears everything and says nothing."""

    def __init__(self, interests: Interests) -> None:
        self._interests = interests

    def interests(self) -> Interests:
        """What multicast is joined for."""
        return self._interests

    def receive(self, packet: Packet, now: float) -> None:
        """The bytes were seen already."""

    def events(self) -> Sequence[Any]:
        """Nothing happens."""
        return ()

    def outgoing(self, now: float) -> Sequence[Packet]:
        """Nothing is said."""
        return ()

    def deadline(self) -> float | None:
        """Never."""
        return None

    def wake(self, now: float) -> None:
        """Nothing to do."""


def _listen(
    count: int,
    seconds: float,
    address: str,
    group: tuple[int, ...],
    crc: Crc,
    line: Reach,
    show: Callable[[LonRow, float], None],
) -> int:
    domain, place = parse_domain(line.domain), read_place(address)
    interests = Interests(((domain, place.subnet, place.node),), tuple((domain, number) for number in group))
    return asyncio.run(_heard(_Silent(interests), count, seconds, crc_rule(crc), line, show))


async def _heard(
    machine: _Silent, count: int, seconds: float, crc: bool | None, line: Reach, show: Callable[[LonRow, float], None]
) -> int:
    observer = LonObserver()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    seen = 0
    recorder = Recorder(line.capture, line.carrier) if line.capture is not None else None

    def tap(now: float, direction: Any, datagram: bytes, peer: Endpoint) -> None:
        nonlocal seen
        if recorder is not None:
            recorder(now, direction, datagram, peer)
        when = time.time()
        own = port.endpoint[0]
        if line.carrier == "lonip":
            rows = iter((observer.lonip(datagram, peer[0], own, when, port=peer[1]),))
        else:
            rows = observer.cnip(datagram, when, crc=crc)
        for row in rows:
            if stop.is_set():
                return
            row.fields = {"time_s": when, "from": f"{peer[0]}:{peer[1]}", **row.fields}
            show(row, when)
            seen += 1
            if seen == count:
                stop.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    port = await open_port(machine, line, tap=tap)
    try:
        if recorder is not None:
            recorder.own = port.endpoint
        stderr.print(f"listening at {port.endpoint[0]}:{port.endpoint[1]}, Ctrl-C ends", style="dim")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds or None)
    finally:
        port.close()
        await port.wait_closed()
        if recorder is not None:
            recorder.close()
    return seen
