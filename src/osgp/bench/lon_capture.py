"""Group ``lon-capture``: a capture of the control network into columns, against Wireshark's command line on the same file.

200,000 frames (100,000 with ``--quick``) as CN/IP in Ethernet, IPv4 and UDP: all address formats, domain lengths, services and
families of messages, member lists, enhanced mode, each frame with its CRC. Ours reads the file, tests the CRCs and fills every
column; the peer, ``tshark -T fields``, prints those of the same fields that it knows, into nowhere. Goal (project choice): at
least 50×, better 100×.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from osgp.bench.frame import Bench, PeerMissing, Row, group
from osgp.lon.authpdu import AuthHeader, AuthPdu, AuthType
from osgp.lon.cnip import PORT, data_packet
from osgp.lon.lpdu import LinkHeader
from osgp.lon.npdu import DOMAIN_LENGTHS, ENHANCED, LEGACY, AddressFormat, NetworkControl, NodeByte, Npdu, PduType
from osgp.lon.packet import Packet
from osgp.lon.tpdu import VERSIONS, Spdu, SpduHeader, SpduType, Tpdu, TpduHeader, TpduType
from osgp.ports.datagram import Endpoint, LinkType, ethernet
from osgp.ports.pcap import PcapForm

__all__ = ["TSHARK_FIELDS", "lon_capture", "mixed_lpdu", "tshark_command", "write_mixed"]

FRAMES, QUICK_FRAMES = 200_000, 100_000
DISTINCT = 20_000
"""Frames that differ; the file draws from them at random, so that nothing can learn their order."""
SEED = 14908
START_NS, STEP_NS = 1_790_000_000_000_000_000, 9_700_000

TSHARK_FIELDS = (
    "frame.number",
    "frame.time_epoch",
    "cnip.sessid",
    "cnip.seqno",
    "cnip.tstamp",
    "lon.prio",
    "lon.alt_path",
    "lon.delta_bl",
    "lon.vers",
    "lon.pdufmt",
    "lon.addrfmt",
    "lon.domainlen",
    "lon.domain",
    "lon.srcnet",
    "lon.srcnode",
    "lon.dstnet",
    "lon.dstgrp",
    "lon.dstnode",
    "lon.grp",
    "lon.grpmem",
    "lon.uid",
    "lon.auth",
    "lon.tpdu_type",
    "lon.spdu_type",
    "lon.authpdu_type",
    "lon.authpdu_addrfmt",
    "lon.trans_no",
    "lon.spdu.mlen",
    "lon.application",
    "lon.nm",
    "lon.nd",
    "lon.ff",
    "lon.nv.dir",
    "lon.nv.selector",
)
"""What Wireshark's dissectors have of our columns."""


def mixed_lpdu(rng: random.Random) -> bytes:
    """A frame without CRC: any address format, domain, service and family of message."""
    domain = rng.randbytes(rng.choice(DOMAIN_LENGTHS))
    form = AddressFormat(rng.choices(range(4), (2, 2, 8, 2))[0])
    kind = PduType(rng.choices(range(4), (5, 8, 1, 2))[0])
    version = rng.choices((LEGACY, ENHANCED), (9, 1))[0]
    answer = form == AddressFormat.SUBNET_NODE and rng.random() < 0.2
    npdu = Npdu(
        control=NetworkControl(
            domain_length=DOMAIN_LENGTHS.index(len(domain)), address_format=form, pdu_type=kind, version=version
        ),
        source_subnet=rng.randrange(1, 256),
        source_node=NodeByte(node=rng.randrange(1, 128), selector=0 if answer else 1),
        domain=domain,
        pdu=_pdu(rng, kind, version, form, answer),
    )
    if form == AddressFormat.MULTICAST or answer:
        npdu.group = rng.randrange(256)
    if form != AddressFormat.MULTICAST:
        npdu.destination_subnet = rng.randrange(256)
    if form == AddressFormat.SUBNET_NODE:
        npdu.destination_node = NodeByte(node=rng.randrange(1, 128), selector=1)
    if form == AddressFormat.UNIQUE_NODE_ID:
        npdu.unique_node_id = rng.randbytes(6)
    if answer:
        npdu.member = rng.randrange(64)
    header = LinkHeader(
        priority=int(rng.random() < 0.1),
        alternate_path=int(rng.random() < 0.2),
        delta_backlog=rng.choice((0, 0, 1, 3, 15)),
    )
    return Packet(header, npdu).lpdu()


def _pdu(rng: random.Random, kind: PduType, version: int, form: AddressFormat, answer: bool) -> bytes:
    """What an NPDU encloses."""
    if kind == PduType.APDU:
        return _apdu(rng)
    context = VERSIONS[version]
    number = rng.randrange(1, 16)
    low = rng.randrange(256) if version == ENHANCED else None
    if kind == PduType.AUTHPDU:
        auth = AuthPdu(
            header=AuthHeader(transaction=number, type=rng.choice(list(AuthType)), address_format=form),
            transaction_low=low,
            value=rng.randbytes(8),
        )
        if form == AddressFormat.MULTICAST:
            auth.group = rng.randrange(256)
        return auth.encode(context)
    session = kind == PduType.SPDU
    if answer:
        type_ = int(SpduType.RESPONSE)
    else:
        kinds, weights = (SpduType, (8, 5, 1, 1)) if session else (TpduType, (8, 2, 5, 1, 1))
        type_ = int(rng.choices(list(kinds), weights)[0])
    auth_bit = int(rng.random() < 0.1)
    pdu: Tpdu | Spdu
    if session:
        pdu = Spdu(header=SpduHeader(transaction=number, type=type_, authenticated=auth_bit), transaction_low=low)
    else:
        pdu = Tpdu(header=TpduHeader(transaction=number, type=type_, authenticated=auth_bit), transaction_low=low)
    if type_ in (SpduType.REMINDER, SpduType.REM_MSG):
        pdu.member_list = rng.randbytes(rng.randrange(1, 9))
    silent = type_ == SpduType.REMINDER or (not session and type_ == TpduType.ACK)
    pdu.apdu = b"" if silent else _apdu(rng)
    return pdu.encode(context)


def _apdu(rng: random.Random) -> bytes:
    """An application message, a foreign frame, diagnostics, management or a network variable, some of them long."""
    first = rng.choice((range(0x40), range(0x40, 0x50), range(0x50, 0x60), range(0x60, 0x80), range(0x80, 0x100)))
    return bytes((rng.choice(first),)) + rng.randbytes(rng.choice((1, 2, 4, 9, 17, 31, 60)))


def write_mixed(path: Path, frames: int, seed: int = SEED) -> None:
    """A pcap file of that many frames, each with its CRC in a CN/IP datagram of its own."""
    rng = random.Random(seed)
    ends = [Endpoint(f"192.0.2.{number}", PORT) for number in range(1, 9)]
    distinct = []
    for sequence in range(min(DISTINCT, frames)):
        source, destination = rng.sample(ends, 2)
        payload = data_packet(
            mixed_lpdu(rng), session=rng.getrandbits(32), sequence=sequence, timestamp_ms=rng.getrandbits(31), crc=True
        )
        distinct.append(ethernet(source, destination, payload))
    with path.open("wb") as stream:
        form = PcapForm(stream, "little", LinkType.ETHERNET)
        for number in range(frames):
            form.write(START_NS + number * STEP_NS, rng.choice(distinct), LinkType.ETHERNET)


def tshark_command(path: Path) -> list[str]:
    """How the peer is started. Raises PeerMissing."""
    program = shutil.which("tshark")
    if program is None:
        raise PeerMissing("tshark")
    fields = [word for name in TSHARK_FIELDS for word in ("-e", name)]
    return [program, "-n", "-r", str(path), "-T", "fields", *fields]


def _tshark(path: Path) -> Callable[[], object] | PeerMissing:
    try:
        command = tshark_command(path)
    except PeerMissing as error:
        return error

    def peer() -> object:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    return peer


def _version() -> str:
    program = shutil.which("tshark")
    if program is None:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found[0] if found else ""


@group("lon-capture")
def lon_capture(bench: Bench) -> Iterator[Row]:
    """A capture file into columns."""
    from osgp.analyse.lonbatch import read_columns

    frames = QUICK_FRAMES if bench.quick else FRAMES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.pcap"
        write_mixed(path, frames)

        def ours() -> object:
            return read_columns(path, compiled=True)

        yield bench.compare(
            "pcap of CN/IP frames to columns, CRCs tested",
            ours,
            _tshark(path),
            work=frames,
            unit="frames/s",
            floor=50.0,
            stretch=100.0,
            peer_name="tshark -T fields, the same fields",
            peer_version=_version(),
        )
