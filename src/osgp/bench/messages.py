"""Group ``messages``: one answer from the line to a typed object, one request from a table number to the line.

Ours carries the digest that authenticates the message; the peers' messages carry none. Peers: dlms-cosem decoding a GET
response and its data; the C12.18 packet of termineter (CRC, no authentication). Goals (project choice): answer at least 1×
dlms-cosem, request at least 5× termineter.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from typing import Any

from osgp.bench.frame import Bench, PeerMissing, Row, group
from osgp.crypto.legacy import mep_digest, prefer_fast
from osgp.mep.frame import framed
from osgp.mep.rc4 import seal_request
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.services import FullRead, decode_response, encode_request, encode_response
from osgp.wire import Context, layout_of

__all__ = ["messages"]

KEY = bytes(range(16))
DIMENSIONS = bytes([3, 0x1C, 0, 11, 0, 0, 0, 0, 0, 0])
"""BT21: 11 summations, no demands, no tiers: BT23 has 44 bytes, as in the MEP guide's example."""
DATA = b"".join((value * 1_000_003).to_bytes(4, "little") for value in range(11))


def _answer() -> Callable[[], object]:
    layout = layout_of(BT23, Context({BT21: DIMENSIONS}))
    exchange = seal_request(KEY, encode_request(FullRead(23, 0x0200), checksum=False), 7, encrypt=False)
    message = encode_response(0, DATA, checksum=False)
    frame = framed(message + mep_digest(KEY, exchange.span + message))

    def ours() -> object:
        length = frame[0] << 8 | frame[1]
        opened = exchange.open_response(frame[2 : 2 + length])
        assert opened is not None
        _, data = decode_response(opened, checksum=False, read=True)
        return layout.decode(data)

    return ours


def _request() -> Callable[[], object]:
    def ours() -> object:
        message = encode_request(FullRead(23, 0x0200), checksum=False)
        return framed(seal_request(KEY, message, 7, encrypt=False).request_body())

    return ours


def _dlms() -> Callable[[], object]:
    try:
        from dlms_cosem import enumerations
        from dlms_cosem.protocol import xdlms
        from dlms_cosem.utils import parse_as_dlms_data
    except ImportError as error:
        raise PeerMissing(f"dlms-cosem is not installed ({error.name})") from error
    priority = xdlms.InvokeIdAndPriority(1, True, True)
    values = b"\x01\x0b" + b"".join(b"\x06" + (value * 1_000_003).to_bytes(4, "big") for value in range(11))
    raw = bytes([196, enumerations.GetResponseType.NORMAL.value]) + priority.to_bytes() + b"\x00" + values
    factory: Any = xdlms.GetResponseFactory

    def peer() -> object:
        return parse_as_dlms_data(factory.from_bytes(raw).data)

    peer()
    return peer


def _termineter() -> Callable[[], object]:
    try:
        from c1218.data import C1218Packet
    except ImportError as error:
        raise PeerMissing(f"termineter's c1218 is not installed ({error.name})") from error

    def peer() -> object:
        return C1218Packet(b"\x30\x00\x17").build()

    peer()
    return peer


def _built(make: Callable[[], Callable[[], object]]) -> Callable[[], object] | PeerMissing:
    try:
        return make()
    except PeerMissing as error:
        return error


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@group("messages")
def messages(bench: Bench) -> Iterator[Row]:
    """Answer to object, request to frame."""
    prefer_fast()
    yield bench.compare(
        "full-read answer to typed object (frame, digest, code, 11 registers)",
        _answer(),
        _built(_dlms),
        work=1,
        unit="answers/s",
        floor=1.0,
        peer_name="dlms-cosem GET response with data",
        peer_version=_version("dlms-cosem"),
    )
    yield bench.compare(
        "full-read request built, digest included",
        _request(),
        _built(_termineter),
        work=1,
        unit="requests/s",
        floor=5.0,
        peer_name="termineter c1218 packet build",
        peer_version=_version("termineter"),
    )
