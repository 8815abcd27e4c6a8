"""What is fuzzed of the control network: every layout, the carriers and captures, explanation and columns, and a node as a whole."""

from __future__ import annotations

import functools
import io
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from osgp.analyse.lon import dissect_cnip, dissect_frame, dissect_lonip
from osgp.analyse.lon_observer import LonObserver
from osgp.analyse.lon_text import batch_lines, frame_text
from osgp.analyse.lonbatch import LonBatch, can_compile, read_columns
from osgp.lon import entries, ltep
from osgp.lon.address import UniqueNodeId, parse_destination, parse_domain
from osgp.lon.apdu import Apdu, NvMessage
from osgp.lon.authpdu import AuthPdu
from osgp.lon.cnip import CnIpPacket, data_packet, lpdu_in, packets_in
from osgp.lon.commands import COMMANDS, decode_request, decode_response, explain_request, explain_response
from osgp.lon.crc import with_crc
from osgp.lon.events import Event, MessageReceived, NodeReset, ResponseReceived
from osgp.lon.headers import read_pdu
from osgp.lon.lonip import LonIp, LonIpHeader
from osgp.lon.lonip_map import AddressMap
from osgp.lon.lpdu import Lpdu, LpduWithCrc
from osgp.lon.nm_variables import Install
from osgp.lon.npdu import Npdu
from osgp.lon.packet import packet_of
from osgp.lon.redact import redacted, redacted_apdu
from osgp.lon.tpdu import VERSIONS, Spdu, Tpdu
from osgp.lon.transport import Options
from osgp.lon.variables import NetworkVariable, VariableTable
from osgp.node.stack import Stack
from osgp.ports.capture import CaptureWriter, lon_frames, packets_of, read_capture
from osgp.ports.datagram import Endpoint, LinkType
from osgp.ports.pcap import CaptureFrame
from osgp.wire import Context, Struct, layout_of
from osgp.wire.errors import ConfigError, DecodeError, Error
from osgp.wire.jsonform import from_json, to_json
from tests.fuzz.machines import MEMORY, held
from tests.fuzz.registry import hexes, target
from tests.lon.forging import forged
from tests.lon.line import Line, idle
from tests.lon.talk import configuration, group_entry

PLACES = [(1, 10), (1, 20), (2, 30)]
_LAYOUTS: list[tuple[type[Struct], Context]] = [
    (struct, VERSIONS[version])
    for struct, versions in (
        (Lpdu, 1),
        (LpduWithCrc, 1),
        (Npdu, 1),
        (Tpdu, 4),
        (Spdu, 4),
        (AuthPdu, 4),
        (Apdu, 1),
        (NvMessage, 1),
        (ltep.Ltep, 1),
        (ltep.LtepFailure, 1),
        (LonIpHeader, 1),
        (CnIpPacket, 1),
        (entries.DomainEntry, 1),
        (entries.AddressEntry, 1),
        (entries.NvEntry, 1),
        (entries.AliasEntry, 1),
        (entries.ConfigurationBlock, 1),
        (entries.Statistics, 1),
    )
    for version in range(versions)
]
_COMMANDS: list[tuple[type[Struct], Context]] = [
    (layout, VERSIONS[0])
    for layout in dict.fromkeys(
        layout for row in COMMANDS.values() for layout in (row.request, row.response) if layout is not None
    )
]
_ALIKE = (Install,)
"""Layouts of which some cases have the same names, so that JSON alone does not say which case it is."""


@functools.cache
def _frames() -> list[bytes]:
    return [raw for raw in hexes("iso14908_1/frames.json") if 6 < len(raw) < 256]


@functools.cache
def _apdus() -> list[bytes]:
    found = []
    for raw in _frames():
        with suppress(DecodeError):
            npdu = packet_of(raw).npdu
            kind = npdu.control.pdu_type
            found.append(npdu.pdu if kind == 3 else read_pdu(npdu.pdu, kind == 1, npdu.control.version).apdu)
    return [apdu for apdu in found if apdu] + [
        bytes((code,)) + (b"" if sub is None else bytes((sub,))) for code, sub in COMMANDS
    ]


def _keeps(struct: type[Struct], context: Context, raw: bytes) -> None:
    """Nothing is lost in any direction, and the explanation of any bytes is one."""
    layout = layout_of(struct, context)
    json.dumps(layout.explain(raw).to_json())
    try:
        value: Any = layout.decode(raw)
    except DecodeError:
        return
    rest = getattr(value, "_rest", b"")
    assert layout.encode(value) in (raw, raw[: len(raw) - len(rest)])
    if struct in _ALIKE:
        return
    again: Any = from_json(struct, json.loads(json.dumps(to_json(value))))
    assert layout.encode(again) == layout.encode(value)


@target("lon layouts", lambda: [bytes((place,)) + raw for place in range(6) for raw in _frames()[:60]])
def lon_layouts(data: bytes) -> None:
    """The first byte chooses one layout; frames and their inner layers are read in every version."""
    struct, context = _LAYOUTS[(data[0] if data else 0) % len(_LAYOUTS)]
    _keeps(struct, context, data[1:])
    for version in range(4):
        for session in (False, True):
            with suppress(DecodeError):
                read_pdu(data, session, version)


@target("lon commands", _apdus)
def lon_commands(data: bytes) -> None:
    """As request, as response to a request that the data begin with, and in each layout of a command."""
    with suppress(DecodeError):
        decode_request(data)
    with suppress(DecodeError):
        json.dumps(explain_request(data).to_json())
    for cut in (1, 2, len(data) // 2):
        with suppress(DecodeError):
            decode_response(data[:cut], data[cut:])
        with suppress(DecodeError):
            json.dumps(explain_response(data[:cut], data[cut:]).to_json())
    struct, context = _COMMANDS[(data[0] if data else 0) % len(_COMMANDS)]
    _keeps(struct, context, data)
    _keeps(struct, context, data[1:])


@target("lon redact", _frames)
def lon_redact(data: bytes) -> None:
    hidden = redacted(data)
    assert len(hidden) == len(data)
    assert redacted(hidden) == hidden
    for response in (False, True):
        hidden = redacted_apdu(data, response)
        assert len(hidden) == len(data)
        assert redacted_apdu(hidden, response) == hidden


def _fields_of(tree: Any) -> Any:
    """An explanation without the words about damage, whose places count from the frame or from the layer."""
    if isinstance(tree, list):
        return [_fields_of(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    return {name: _fields_of(value) for name, value in tree.items() if name != "error"}


@target("lon explain", _frames)
def lon_explain(data: bytes) -> None:
    observer = LonObserver(requests=4)
    for crc in (None, False, True):
        found = dissect_frame(data, crc=crc)
        for request in (None, b"", data[-3:], b"\x6a\x00"):
            quick = json.loads(found.tree_json(request))
            assert _fields_of(quick) == _fields_of(json.loads(json.dumps(found.tree(request).to_json())))
            json.dumps(found.fields(request), default=str)
            assert frame_text(found, request)
        assert len(observer.row(found).text) > 0
    for found in dissect_cnip(data):
        frame_text(found)
        found.tree()
    frame_text(dissect_lonip(data, None))
    observer.lonip(data, "10.73.1.10", "10.73.1.20")
    list(observer.cnip(data))
    assert len(observer) <= 4


@target("lon ip", lambda: [raw for raw in hexes("iso14908_1/frames.json") if 3 < len(raw) < 60])
def lon_ip(data: bytes) -> None:
    """Datagrams from several senders, known, derived and forged; what was read can be written."""
    carrier = LonIp(AddressMap(entries=8), own="10.73.1.20", home=lambda: [(b"\x49", 1, 20)])
    for turn, host in enumerate(("10.73.1.10", "192.0.2.7", "", "10.73.1.10", "239.192.0.0")):
        for piece in (data, data[turn:], data[: len(data) // 2]):
            with suppress(DecodeError):
                packet = carrier.read(piece, (host, 2541 + turn), float(turn))
                if packet is not None:
                    assert packet.npdu.pdu
                    with suppress(DecodeError):
                        packet.lpdu()
                    with suppress(DecodeError):
                        carrier.write(packet, float(turn))
        assert len(carrier.addresses) <= 8


def _datagrams() -> list[bytes]:
    return [data_packet(raw, crc=bool(place & 1)) for place, raw in enumerate(_frames()[:80])]


@target("cn ip", _datagrams)
def cn_ip(data: bytes) -> None:
    with suppress(Error):
        for packet in packets_in(data):
            for crc in (None, True, False):
                with suppress(DecodeError):
                    packet_of(lpdu_in(packet, crc=crc))


@functools.cache
def _captures() -> list[bytes]:
    found = []
    for form in ("pcap", "pcapng"):
        for carrier in ("cnip", "lpdu"):
            for order in ("little", "big"):
                stream = io.BytesIO()
                with CaptureWriter(stream, form, carrier=carrier, order=order) as writer:  # type: ignore[arg-type]  # the words they take
                    for number, raw in enumerate(_frames()[:6]):
                        writer.write_lpdu(raw, time_ns=number * 10**6)
                    if form == "pcapng":
                        writer.write_datagram(
                            Endpoint("10.73.1.10", 2541), Endpoint("10.73.1.20", 2541), bytes.fromhex("00110151")
                        )
                found.append(stream.getvalue())
    return found


@target("captures", _captures)
def captures(data: bytes) -> None:
    """Any bytes as a file, and as one frame of every link type."""
    reports: list[DecodeError] = []
    with suppress(DecodeError):
        for frame in read_capture(data):
            assert len(frame.data) <= len(data)
    observer = LonObserver(requests=4)
    for packet in lon_frames(data, report=reports.append):
        assert packet.problem or not packet.fault
        json.dumps(observer.captured(packet).to_json(), default=str)
    for link_type in [*LinkType, 999]:
        frame = CaptureFrame(1, 0, data, int(link_type), len(data) + (data[:1] == b"\xff"))
        for packet in packets_of(frame):
            json.dumps(observer.captured(packet).to_json(), default=str)
    stream = io.BytesIO()
    with CaptureWriter(stream, "pcap", carrier="lpdu") as writer, suppress(DecodeError):
        writer.write_lpdu(data, time_ns=1)
        writer.flush()
        assert [frame.data for frame in read_capture(stream.getvalue())] == [with_crc(redacted(data))]


def _same(one: LonBatch, other: LonBatch) -> None:
    assert type(one.problem) is type(other.problem)
    for name in one:
        assert np.array_equal(one[name], other[name]), name


@target("lon columns", _captures)
def lon_columns(data: bytes) -> None:
    """Compiled and declared readers find the same, in a file of these bytes and in one that holds them as frames."""
    stream = io.BytesIO()
    with CaptureWriter(stream, "pcapng", carrier="lpdu", hide_keys=False) as writer:
        for start in range(0, len(data), 40):
            writer.write_lpdu(data[start : start + 40])
            writer.write_datagram(Endpoint("10.73.1.10", 2541), Endpoint("10.73.1.20", 2541), data[start : start + 40])
            writer.write_datagram(Endpoint("10.73.1.10", 1628), Endpoint("10.73.1.20", 1628), data[start : start + 40])
    for whole in (data, stream.getvalue()):
        with suppress(DecodeError):
            plain = read_columns(whole, compiled=False)
            if can_compile():
                _same(plain, read_columns(whole, compiled=True))
            assert len(list(batch_lines(plain))) <= len(plain)
            for row in range(len(plain)):
                assert len(plain.apdu(row)) <= len(whole)


@target("lon addresses", lambda: [b"1/20", b"group 5 size 4", b"0700000000B2", b"broadcast", b"subnet 3", b"OSG"])
def lon_addresses(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    with suppress(ConfigError):
        assert parse_destination(str(parse_destination(text))) is not None
    with suppress(ConfigError):
        assert len(parse_domain(text)) in (0, 1, 3, 6)


# ---- a node as a server --------------------------------------------------------------------------------------------
def _node(place: int, **more: Any) -> Stack:
    subnet, number = PLACES[place]
    found = configuration(subnet, number, group_entry(5, place, 3), authentication=place & 1)
    found.allow_management_writes = place == 1
    variables = VariableTable(
        [NetworkVariable("nviX", size=2), NetworkVariable("nvoX", size=4, output=True)], aliases=2
    )
    token = random.Random(place).randbytes
    return Stack(found, variables=variables, token=token, quiet_s=0, queue=8, **more)


def _pieces(data: bytes) -> Iterator[tuple[bytes, float]]:
    """The bytes in frames with pauses, as they themselves say."""
    at = 0
    while at < len(data):
        size = 1 + data[at] % 61
        yield data[at + 1 : at + 1 + size], (0.0, 0.0, 0.01, 0.3, 1.1, 5.0, 9.0, 20.0)[data[at] >> 5]
        at += 1 + size


def _served(data: list[tuple[bytes, float]], concurrent: int) -> None:
    """Three nodes with everything hear that; all of it ends, nothing stays, and a stranger still gets an answer from each."""

    def hear(place: int, event: Event) -> None:
        if isinstance(event, MessageReceived) and event.reply is not None and len(event.apdu) % 3:
            line.nodes[place].respond(event.reply, b"\x01" + event.apdu[:4], line.now)
        elif isinstance(event, ResponseReceived):
            responses.append(event)
        elif isinstance(event, NodeReset):
            resets.append(event)

    responses: list[Event] = []
    resets: list[Event] = []
    line = Line(*(_node(place, concurrent=concurrent) for place in range(3)), hear=hear)
    for frame, pause in data:
        line.say(frame)
        line.until(line.now + 0.01 + pause)
        for node in line.nodes:
            assert len(node.reception) <= node.configuration.receive_transactions
            assert held([node.transport, node.reception, node.proxy]) < MEMORY
    line.settle(86_400.0)
    assert all(map(idle, line.nodes))
    _asks_each(line, responses)


def _asks_each(line: Line, responses: list[Event]) -> None:
    line.until(line.now + 30.0)
    stranger = Stack(configuration(7, 77, domain=b"ASK"), quiet_s=0)
    line.nodes.append(stranger)
    for node in line.nodes[:3]:
        responses.clear()
        identity = node.configuration.unique_node_id
        stranger.request(UniqueNodeId(identity), b"\x51", line.now, Options(retry=5))
        line.settle(60.0)
        assert [event.apdu[0] for event in responses if isinstance(event, ResponseReceived)] in ([0x31], [0x11])


@target("lon node", lambda: [b"".join(bytes((len(raw) - 1,)) + raw for raw in _frames()[n : n + 4]) for n in range(60)])
def lon_node(data: bytes) -> None:
    _served(list(_pieces(data)), 1 + 3 * (len(data) & 1))


@target("lon node under lies", lambda: [bytes((n, n >> 1, 7)) for n in range(40)])
def lon_node_under_lies(data: bytes) -> None:
    """Frames that are built to be believed; the data choose which."""
    rng = random.Random(data)
    heard = _frames()[:20]
    _served([(forged(rng, PLACES, heard), rng.choice((0.0, 0.1, 9.0))) for _ in range(1 + len(data) % 12)], 1)
