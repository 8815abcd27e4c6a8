"""Group ``lon-frames``: frames of the control network explained, said in a line, read into objects and built.

Against Wireshark's command line on the capture of ``lon_capture`` (200,000 frames, 20,000 with ``--quick``): every field with its bit
offset as JSON against ``tshark -T json`` (at least 3×; of the first 25,000 frames, in five rounds: a sample then takes seconds), one
line for each frame against ``tshark -r`` (at least 1×); all output goes into nowhere, reading the file is counted. One process on
either side, by the processor time of both, user and system.
Against scapy in memory: a CN/IP datagram into five typed objects (CN/IP, LPDU, NPDU, SPDU, APDU) against a dissection of four layers
and the rest (at least 20×), and back (at least 50×); the four layers are declared here as scapy's own are, for one address format,
where ours decide which of all they have. Project choices.
"""

from __future__ import annotations

import importlib.metadata
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from osgp.bench.frame import Bench, PeerMissing, Row, group
from osgp.bench.lon_capture import tshark_command, write_mixed
from osgp.lon.apdu import Apdu
from osgp.lon.cnip import HEADER_SIZE, CnIpHeader, CnIpPacket
from osgp.lon.lpdu import LinkHeader, Lpdu
from osgp.lon.npdu import NetworkControl, NodeByte, Npdu, PduType
from osgp.lon.tpdu import VERSIONS, Spdu, SpduHeader

__all__ = ["lon_frames"]

FRAMES, QUICK_FRAMES = 200_000, 20_000
EXPLAINED = 25_000
"""Frames of a call that tells them as JSON: tshark takes 15 times as long for that as for a line."""
EXPLAINED_ROUNDS, LINES_ROUNDS = 5, 7
"""Rounds, at most: a call takes seconds."""
DATAGRAMS = 500
"""Different datagrams in memory, read and built one after the other."""
SEED = 14908
DOMAIN = b"OSG"


def processor_s() -> float:
    """Seconds of processor time, user and system, of this process and of those it has waited for."""
    times = os.times()
    spent = time.process_time() + times.children_user + times.children_system
    if find_spec("resource"):  # finer than ticks of the system's clock; not everywhere
        import resource

        waited = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = time.process_time() + waited.ru_utime + waited.ru_stime
    return spent


def _datagrams() -> list[bytes]:
    """Requests from a node to a node, in a domain of three bytes, without CRC."""
    rng = random.Random(SEED)
    return [_build(rng.getrandbits(32), number, _message(rng), rng) for number in range(DATAGRAMS)]


def _message(rng: random.Random) -> bytes:
    return bytes((rng.randrange(0x40),)) + rng.randbytes(rng.randrange(1, 40))


def _build(session: int, sequence: int, apdu: bytes, rng: random.Random) -> bytes:
    return _built(session, sequence, rng.randrange(1, 256), rng.randrange(1, 128), rng.randrange(1, 16), apdu)


def _built(session: int, sequence: int, subnet: int, node: int, transaction: int, apdu: bytes) -> bytes:
    """Five objects made and written, the innermost first."""
    message = Apdu(code=apdu[0], data=apdu[1:]).encode()
    spdu = Spdu(header=SpduHeader(transaction), apdu=message).encode(VERSIONS[0])
    npdu = Npdu(
        control=_CONTROL,
        source_subnet=subnet,
        source_node=NodeByte(0x80 | node),
        destination_subnet=1,
        destination_node=_TO,
        domain=DOMAIN,
        pdu=spdu,
    ).encode()
    lpdu = Lpdu(header=_LINK, npdu=npdu).encode()
    header = CnIpHeader(length=HEADER_SIZE + len(lpdu), session=session, sequence=sequence, timestamp_ms=sequence)
    return CnIpPacket(header=header, data=lpdu, digest=None).encode()


_CONTROL = NetworkControl(domain_length=2, address_format=2, pdu_type=PduType.SPDU)
_TO = NodeByte(node=20, selector=1)
_LINK = LinkHeader(delta_backlog=1)


def _read(datagram: bytes) -> tuple[CnIpPacket, Lpdu, Npdu, Spdu, Apdu]:
    packet = CnIpPacket.decode(datagram)
    lpdu = Lpdu.decode(packet.data)
    npdu = Npdu.decode(lpdu.npdu)
    spdu = Spdu.decode(npdu.pdu, VERSIONS[npdu.control.version])
    return packet, lpdu, npdu, spdu, Apdu.decode(spdu.apdu)


def _scapy() -> tuple[Callable[[bytes], Any], Callable[..., Any]]:
    """How scapy dissects and builds the same datagrams. Raises PeerMissing."""
    try:
        from scapy.fields import (
            BitField,
            ByteField,
            IntField,
            ShortField,
            StrFixedLenField,
        )
        from scapy.packet import Packet, Raw, bind_layers
    except ImportError as error:
        raise PeerMissing(f"scapy is not installed ({error.name})") from error

    class Cnip(Packet):
        name = "CNIP"
        fields_desc = [  # as scapy wants it
            ShortField("length", 0),
            ByteField("version", 1),
            ByteField("type", 1),
            ByteField("extension", 0),
            ByteField("flags", 0),
            ShortField("vendor", 0),
            IntField("session", 0),
            IntField("sequence", 0),
            IntField("timestamp", 0),
        ]

    class LonLpdu(Packet):
        name = "LPDU"
        fields_desc = [BitField("priority", 0, 1), BitField("path", 0, 1), BitField("backlog", 1, 6)]

    class LonNpdu(Packet):
        name = "NPDU"
        fields_desc = [  # as above
            BitField("version", 0, 2),
            BitField("pdu_type", 1, 2),
            BitField("address_format", 2, 2),
            BitField("domain_length", 2, 2),
            ByteField("source_subnet", 1),
            BitField("selector", 1, 1),
            BitField("source_node", 1, 7),
            ByteField("destination_subnet", 1),
            BitField("not_clone", 1, 1),
            BitField("destination_node", 20, 7),
            StrFixedLenField("domain", DOMAIN, 3),
        ]

    class LonSpdu(Packet):
        name = "SPDU"
        fields_desc = [  # as above
            BitField("authenticated", 0, 1),
            BitField("type", 0, 3),
            BitField("transaction", 0, 4),
        ]

    bind_layers(Cnip, LonLpdu, type=1)
    bind_layers(LonLpdu, LonNpdu)
    bind_layers(LonNpdu, LonSpdu, pdu_type=1)

    def dissect(datagram: bytes) -> Any:
        return Cnip(datagram)[LonSpdu]

    def build(session: int, sequence: int, subnet: int, node: int, transaction: int, apdu: bytes) -> bytes:
        size = HEADER_SIZE + 1 + 8 + 1 + len(apdu)
        whole = (
            Cnip(length=size, session=session, sequence=sequence, timestamp=sequence)
            / LonLpdu()
            / LonNpdu(source_subnet=subnet, source_node=node)
            / LonSpdu(transaction=transaction)
            / Raw(apdu)
        )
        return bytes(whole)

    sample = _built(7, 8, 9, 10, 11, b"\x3a\x01\x02")
    if build(7, 8, 9, 10, 11, b"\x3a\x01\x02") != sample or dissect(sample).transaction != 11:
        raise PeerMissing("scapy's layers do not give our bytes")
    return dissect, build


def _tshark(path: Path, *options: str) -> Callable[[], object] | PeerMissing:
    try:
        program = tshark_command(path)[0]
    except PeerMissing as error:
        return error

    def peer() -> object:
        command = [program, "-n", "-r", str(path), *options]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    return peer


def _tshark_version(path: Path) -> str:
    try:
        program = tshark_command(path)[0]
    except PeerMissing:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found[0] if found else ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@group("lon-frames")
def lon_frames(bench: Bench) -> Iterator[Row]:
    """Explanations, lines, objects, building."""
    from osgp.analyse.lon_capture import explain_capture
    from osgp.analyse.lon_text import batch_lines
    from osgp.analyse.lonbatch import read_columns

    frames = QUICK_FRAMES if bench.quick else FRAMES
    explained = min(frames, EXPLAINED)
    timed = Bench(bench.group, quick=bench.quick, clock=processor_s)
    long = Bench(bench.group, quick=bench.quick, clock=processor_s)
    timed.rounds, long.rounds = min(timed.rounds, LINES_ROUNDS), EXPLAINED_ROUNDS
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as nowhere:
        path = Path(folder) / "mixed.pcap"
        write_mixed(path, frames)
        write = nowhere.write

        def explain() -> None:
            for text in islice(explain_capture(path), explained):
                write(text)

        def lines() -> None:
            for line in batch_lines(read_columns(path, compiled=True)):
                write(line)

        yield long.compare(
            "capture explained as JSON: every field, bit offset, text (processor time, one process each)",
            explain,
            _tshark(path, "-c", str(explained), "-T", "json"),
            work=explained,
            unit="frames/s",
            floor=3.0,
            peer_name="tshark -T json",
            peer_version=_tshark_version(path),
        )
        yield timed.compare(
            "capture as text, one line for each frame (processor time)",
            lines,
            _tshark(path),
            work=frames,
            unit="frames/s",
            floor=1.0,
            peer_name="tshark -r",
            peer_version=_tshark_version(path),
        )
    yield from _objects(bench)


def _objects(bench: Bench) -> Iterator[Row]:
    rng = random.Random(SEED)
    datagrams = _datagrams()
    orders = [
        (rng.getrandbits(32), number, rng.randrange(1, 256), rng.randrange(1, 128), rng.randrange(1, 16), _message(rng))
        for number in range(DATAGRAMS)
    ]
    peer_reads: Callable[[], object] | PeerMissing
    peer_builds: Callable[[], object] | PeerMissing
    try:
        dissect, build = _scapy()
    except PeerMissing as error:
        peer_reads = peer_builds = error
    else:

        def peer_reads() -> None:
            for datagram in datagrams:
                dissect(datagram)

        def peer_builds() -> None:
            for order in orders:
                build(*order)

    def reads() -> None:
        for datagram in datagrams:
            _read(datagram)

    def builds() -> None:
        for order in orders:
            _built(*order)

    for name, ours, peer, floor in (
        ("datagram to typed objects: CN/IP, LPDU, NPDU, SPDU, APDU", reads, peer_reads, 20.0),
        ("typed objects to datagram", builds, peer_builds, 50.0),
    ):
        yield bench.compare(
            name,
            ours,
            peer,
            work=DATAGRAMS,
            unit="frames/s",
            floor=floor,
            peer_name="scapy, four layers and the rest",
            peer_version=_version("scapy"),
        )
