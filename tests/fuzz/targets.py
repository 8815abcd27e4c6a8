"""What is fuzzed: each target takes any bytes and ends well, or raises: then that is a finding.

A target knows which errors are ours to raise (a decoder's DecodeError, a parser's ConfigError) and what must hold when there
is none (what was read is written back the same; memory stays bounded; a server still serves). The same targets serve the
hypothesis tests (always), atheris and our own mutations (``make test-long``). ``SEEDS`` gives each something to begin with.
"""

from __future__ import annotations

import functools
import json
import random
from contextlib import suppress
from typing import Any

from osgp.c1218 import explain as c1218_explain
from osgp.c1218.packet import PacketReader, build, parse
from osgp.c1218.services import decode_service
from osgp.c1218.session import OpticalClient
from osgp.crypto.keys import parse_key
from osgp.mep import explain as mep_explain
from osgp.mep.client import MepClient
from osgp.mep.frame import MAX_BODY, FrameReader, framed
from osgp.mep.tls import TlsClient, TlsServer
from osgp.mep.tls.alerts import Refusal
from osgp.mep.tls.messages import ClientHello, ClientKeyExchange, ServerHello, ServerKeyExchange, decode_finished
from osgp.mep.tls.records import HEADER_LENGTH, MAX_CIPHERTEXT, RecordBuffer
from osgp.node.trace import Redactor, read_trace
from osgp.ports.address import parse_address
from osgp.tables.bt.bt61 import BT61
from osgp.tables.et.et16 import ET16
from osgp.tables.image import Image
from osgp.tables.mbus import decode_device, decode_records, unit_of_header
from osgp.tables.profile import decode_blocks, geometry
from osgp.tables.query import locate, parse_query
from osgp.tables.registry import all_tables
from osgp.tables.services import decode_request, decode_response, encode_request
from osgp.wire import Context, Firmware, layout_of
from osgp.wire.errors import ConfigError, DecodeError, Error
from osgp.wire.jsonform import from_json, to_json
from osgp.wire.path import format_path, parse_path
from tests.access.world import MAK, MBK, complete_image
from tests.fuzz import app_targets, concentrator_targets, lon_targets, osgp_targets
from tests.fuzz.machines import fuzz_mep_server, fuzz_meter, fuzz_optical_server
from tests.fuzz.registry import SEEDS, TARGETS, hexes, target
from tests.tables.dimensions import random_context

__all__ = ["SEEDS", "TARGETS", "app_targets", "concentrator_targets", "lon_targets", "osgp_targets", "target"]


def _optical() -> list[bytes]:
    return [raw for raw in hexes("optical/packets.json") if raw[:1] == b"\xee"]


def _messages() -> list[bytes]:
    return [raw[6:-2] for raw in _optical() if len(raw) > 8]


def _mep() -> list[bytes]:
    return hexes("mep/mep.json")


def _tls() -> list[bytes]:
    return [raw for raw in hexes("mep/tls.json") if len(raw) > 5]


# ---- tables
@functools.cache
def _context(number: int) -> Context:
    return complete_image().context if number == 0 else random_context(random.Random(number))


_TABLES = tuple(all_tables())


def _picked(data: bytes) -> tuple[Any, Context, bytes]:
    head = data[:2].ljust(2, b"\0")
    return _TABLES[head[0] % len(_TABLES)], _context(head[1] % 16), data[2:]


@functools.cache
def _table_seeds() -> list[bytes]:
    image = complete_image()
    return [
        bytes([place, 0]) + image.read(declared.number)
        for place, declared in enumerate(_TABLES)
        if declared.number in image and image.size(declared.number) < 600
    ]


@target("tables", _table_seeds)
def tables(data: bytes) -> None:
    declared, context, raw = _picked(data)
    layout = layout_of(declared, context)
    tree = layout.explain(raw)
    tree.to_json()
    try:
        value = layout.decode(raw)
    except DecodeError:
        return
    assert layout.encode(value) == raw
    assert layout.encode(from_json(declared, json.loads(json.dumps(to_json(value))))) == raw


@functools.cache
def _json_seeds() -> list[bytes]:
    seeds = []
    for raw in _table_seeds():
        declared, context, rest = _picked(raw)
        shown = json.dumps(to_json(layout_of(declared, context).decode(rest)))
        if len(shown) < 2000:
            seeds.append(raw[:2] + shown.encode())
    return seeds


@target("from_json", _json_seeds)
def json_in(data: bytes) -> None:
    declared, context, text = _picked(data)
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return
    with suppress(DecodeError, ConfigError):
        layout_of(declared, context).encode(from_json(declared, given))
    with suppress(DecodeError, ConfigError):
        Image.from_json(given)


def _profile_shape(data: bytes) -> Any:
    head = data[:5].ljust(5, b"\0")
    flags = bytes([head[0], head[0] >> 4 & 7])  # BLK_END_READ, status kinds and the rest of LP_FLAGS
    sets = bytes([1 + head[1] % 3, 0, 1 + head[2] % 5, 0, head[3] % 4, (5, 15, 30, 60)[head[4] % 4]])
    raw = bytes(4) + flags + b"\x20" + sets
    context = Context({BT61: raw}, firmware=Firmware(4, 10), env={"lp_sets": 1})
    return geometry(context, 1)


@target("profile", lambda: [bytes([4, 1, 3, 2, 1]) + bytes.fromhex("1903010c1e") * 20])
def profile(data: bytes) -> None:
    try:
        shape = _profile_shape(data)
        one = decode_blocks(data[5:], shape, plain=True)
    except (DecodeError, ConfigError):
        return
    with suppress(ImportError):
        other = decode_blocks(data[5:], shape)
        assert [int(value) for value in one.epochs()] == [int(value) for value in other.epochs()]
        assert [list(map(int, row)) for row in one.values] == [list(map(int, row)) for row in other.values]
        json.dumps(other.to_json(), default=str)
    list(one.rows())
    one.gaps()


@target(
    "mbus",
    lambda: [
        bytes.fromhex("0c13785634120f"),
        bytes.fromhex("0406a086010004ff07b30200000259e409"),
        bytes.fromhex("046d0a0c1e2c0413391b0000426c1f2c44136e1a0000"),
        bytes([0] * 6) + bytes.fromhex("0128785634129315130705000000000c13785634120f"),
    ],
)
def mbus(data: bytes) -> None:
    records, rest, why = decode_records(data)
    assert data.endswith(rest)
    assert bool(rest) <= bool(why) or not data
    json.dumps([str(record) for record in records])
    unit_of_header(data)
    with suppress(DecodeError):
        decode_device(ET16.DeviceData.decode(data, _context(0))).to_json()


# ---- messages
@target("services", lambda: [*_messages(), *(raw[2:] for raw in _mep())])
def services(data: bytes) -> None:
    for checksum in (False, True):
        with suppress(DecodeError):
            request = decode_request(data, checksum=checksum)
            assert decode_request(encode_request(request, checksum=checksum), checksum=checksum) == request
        for read in (False, True):
            with suppress(DecodeError):
                _, found = decode_response(data, checksum=checksum, read=read)
                assert found in data


@target("optical services", _messages)
def optical_services(data: bytes) -> None:
    with suppress(DecodeError):
        service = decode_service(data)
        assert service.encode() == data


@target("optical packets", _optical)
def optical_packets(data: bytes) -> None:
    with suppress(DecodeError):
        packet = parse(data)
        assert packet.encode() == data
    reader = PacketReader()
    whole = [*reader.feed(data), *reader.flush()]
    pieces: list[Any] = []
    reader = PacketReader()
    for byte in data:
        pieces += reader.feed(bytes([byte]))
    pieces += reader.flush()
    assert [t.packet for t in whole if t.packet is not None] == [t.packet for t in pieces if t.packet is not None]
    assert sum(len(token.data) for token in whole) <= len(data)


@target("optical explain", _optical)
def optical_explain(data: bytes) -> None:
    rows = c1218_explain.explain(data)
    for row in rows:
        json.dumps(row.to_json(tree=True))
    for answers in (b"", b"\x30\x00\x17"):
        with suppress(DecodeError):
            c1218_explain.explain_message(data, answers=answers)


@target("mep frames", _mep)
def mep_frames(data: bytes) -> None:
    reader = FrameReader(0.05)
    now = 0.0
    for start in range(0, len(data), 7):
        reader.receive(data[start : start + 7], now)
        now += 0.01 if data[start] & 1 else 0.06
        reader.wake(now)
        assert len(reader._data) <= 2 * (2 + MAX_BODY)
    reader.wake(now + 1)
    assert not reader.partial


@target("mep explain", lambda: [*_mep(), *(framed(b"\x80" + raw) for raw in _tls())])
def mep_frame_explain(data: bytes) -> None:
    for keys in (None, {"MAK": MAK, "MBK": MBK}):
        for row in mep_explain.explain(data, keys=keys):
            json.dumps(row.to_json(tree=True))


@target("tls", _tls)
def tls(data: bytes) -> None:
    buffer = RecordBuffer()
    buffer.feed(data)
    with suppress(Refusal):
        while buffer.next() is not None:
            pass
        assert len(buffer) <= HEADER_LENGTH + MAX_CIPHERTEXT
    for message in (ClientHello, ServerHello, ServerKeyExchange, ClientKeyExchange):
        with suppress(Error):
            again = message.decode(data)
            message.decode(again.encode())
    with suppress(Error):
        decode_finished(data)
    rng = random.Random(1)
    client = TlsClient(b"\x64\x00\x01", MAK, rng.randbytes)
    server = TlsServer(lambda identity: MAK, rng.randbytes)
    hello = client.start()
    for side, first in ((server, b""), (server, hello), (client, b"")):
        with suppress(Error):
            if first:
                side.receive(first)
            side.receive(data)
        assert not side.established


# ---- what people and files say
def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@target(
    "paths",
    lambda: [
        b"BT23.tot_data_block.summations[0]",
        b"BT64[-96:]",
        b"ET55.relay_config",
        b"BT28[2:4]",
        b"PBT54.calendar_id",
    ],
)
def paths(data: bytes) -> None:
    text = _text(data)
    with suppress(ConfigError):
        parts = parse_path(text)
        assert parse_path(format_path(parts)) == parts
    with suppress(ConfigError):
        query = parse_query(text)
        with suppress(DecodeError):
            locate(query, _context(0))


@target("keys", lambda: [b"0123456789abcdef0123", b"30313233343536373839616263646566", b"\x01" * 16, b"a1:b2:c3"])
def keys(data: bytes) -> None:
    for given in (data, _text(data)):
        for use in ("any", "mep", "optical"):
            said = ""
            try:
                key = parse_key(given, use=use)  # type: ignore[arg-type]  # the three are uses
            except ConfigError as error:
                said = str(error) + error.hint
            else:
                assert key.secret().hex() not in repr(key) + str(key)
            assert len(data) < 8 or _text(data) not in said, "a key in an error"


@target(
    "addresses",
    lambda: [b"optical+tcp://host:7701?baud=9600", b"mep:///dev/ttyUSB0", b"image:x.json", b"mep+tls+tcp://[::1]:1"],
)
def addresses(data: bytes) -> None:
    with suppress(ConfigError):
        parse_address(_text(data))


@target(
    "traces",
    lambda: [b'{"time":1.5,"node":"n","floor":"line","direction":"in","data":"ee00"}\n', b"{}\n", b"[]\n"],
)
def traces(data: bytes) -> None:
    redactor = Redactor()
    with suppress(DecodeError):
        for record in read_trace(_text(data).splitlines()):
            redactor.redact(record).to_json()


# ---- machines
@target("optical client", lambda: [b"".join(_optical())])
def optical_client(data: bytes) -> None:
    client = OpticalClient()
    client.open(1, "fuzz", b"k" * 20, 64, 2, 9600, now=0.0)
    _babble(client, data)


@target("mep client", _mep)
def mep_client(data: bytes) -> None:
    for legacy in (True, False):
        client = MepClient({"MAK": MAK}, legacy=legacy, random_bytes=random.Random(4).randbytes)
        client.request(bytes.fromhex("3f0017000000002c"), 0.0, read=bool(data[:1] and data[0] & 1))
        _babble(client, data)


def _babble(machine: Any, data: bytes) -> None:
    """Feeds a machine pieces of data, with pauses that the data choose."""
    now = 0.0
    for start in range(0, len(data), 16):
        piece = data[start : start + 16]
        machine.events()
        machine.outgoing(now)
        machine.receive(piece, now)
        now += piece[0] / 200
        machine.wake(now)
    for _ in range(200):
        machine.events()
        machine.outgoing(now)
        due = machine.deadline()
        if due is None:
            break
        now = max(now, due)
        machine.wake(now)


target("optical server", lambda: [b"".join(_optical()), b"".join(build(m) for m in _messages())])(fuzz_optical_server)
target("mep server", lambda: [*_mep(), *(framed(b"\x58" + raw) for raw in _tls())])(fuzz_mep_server)
target("meter", lambda: [bytes(range(200)), bytes([0x33, 7, 9]) * 30, bytes([1, 9, 40, 3, 0, 2]) * 20])(fuzz_meter)
