"""Frames told by scripts in compiled code: what they write is what the slow ways tell, and what they leave is little."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

np = pytest.importorskip("numpy")
pytest.importorskip("numba")

from osgp.analyse.lon import dissect_cnip  # noqa: E402  # only where NumPy and Numba are
from osgp.analyse.lon_capture import cnip_json  # noqa: E402
from osgp.analyse.lonkernels import CRC_AUTO, CRC_MUST, CRC_NONE  # noqa: E402
from osgp.analyse.lonscripts import Scripts, scripts  # noqa: E402
from osgp.bench.lon_capture import mixed_lpdu  # noqa: E402
from osgp.lon.cnip import CnIpFlags, CnIpHeader, data_packet  # noqa: E402
from osgp.lon.commands import COMMANDS, is_command  # noqa: E402
from osgp.lon.crc import with_crc  # noqa: E402
from osgp.lon.lpdu import LinkHeader  # noqa: E402
from osgp.lon.npdu import NetworkControl, NodeByte, Npdu, PduType  # noqa: E402
from osgp.lon.packet import Packet  # noqa: E402
from osgp.lon.redact import may_hide, redacted_apdu  # noqa: E402
from osgp.lon.tpdu import VERSIONS, Spdu, SpduHeader, SpduType  # noqa: E402
from tests.analyse.test_lon import KEY, SECRET, vectors  # noqa: E402

MODES = {None: CRC_AUTO, True: CRC_MUST, False: CRC_NONE}


def texts(datagrams: list[bytes], crc: bool | None = None, *, by: Scripts | None = None) -> list[str | None]:
    """What the scripts write about each datagram."""
    ends = np.cumsum([len(datagram) for datagram in datagrams], dtype=np.int64)
    starts = ends - [len(datagram) for datagram in datagrams]
    data, wanted = np.frombuffer(b"".join(datagrams), np.uint8), np.ones(len(ends), np.bool_)
    found: list[str | None] = []
    while len(found) < len(datagrams):
        found += (by or scripts()).texts(data, len(found), wanted, starts, ends, MODES[crc])
    return found


def told(datagram: bytes, crc: bool | None) -> str:
    """The slowest way, where there is one packet."""
    first, *_ = [found.tree_json() for found in dissect_cnip(datagram, crc=crc)]
    return first


def frame(apdu: bytes, kind: SpduType = SpduType.REQUEST) -> bytes:
    """A frame with that message in a request or a response."""
    spdu = Spdu(header=SpduHeader(transaction=3, type=kind), apdu=apdu).encode(VERSIONS[0])
    npdu = Npdu(
        control=NetworkControl(address_format=2, pdu_type=PduType.SPDU, domain_length=1),
        source_subnet=1,
        source_node=NodeByte(node=10, selector=1),
        destination_subnet=1,
        destination_node=NodeByte(node=20, selector=1),
        domain=b"\x44",
        pdu=spdu,
    )
    return Packet(LinkHeader(delta_backlog=1), npdu).lpdu()


@given(st.integers(0, 2**32), st.sampled_from([None, True, False]))
@settings(max_examples=60, deadline=None)
def test_scripts_write_what_is_told(seed: int, crc: bool | None) -> None:
    chance = random.Random(seed)
    datagrams = []
    for _ in range(24):
        raw = bytearray(data_packet(mixed_lpdu(chance), crc=chance.random() < 0.7, session=chance.getrandbits(32)))
        for _ in range(chance.choice((0, 0, 1, 4))):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        datagrams.append(bytes(raw[: chance.randrange(len(raw)) if chance.random() < 0.1 else None]))
    for datagram, text in zip(datagrams, texts(datagrams, crc)):
        assert text in (None, told(datagram, crc))


@pytest.mark.parametrize("crc", [None, True, False])
def test_the_vectors_are_written_as_they_are_told(crc: bool | None) -> None:
    raws = [bytes.fromhex(vector.values[0]["hex"]) for vector in vectors("lpdu", "malformed")]
    datagrams = [data_packet(raw, crc=with_) for raw in raws for with_ in (False, True)]
    for datagram, text in zip(datagrams, texts(datagrams, crc)):
        assert text in (None, told(datagram, crc))


@pytest.mark.parametrize("kind", [SpduType.REQUEST, SpduType.RESPONSE])
def test_every_code_is_written_or_left(kind: SpduType) -> None:
    response = kind == SpduType.RESPONSE
    apdus = [bytes((code, *tail)) for code in range(256) for tail in ((), (7,), (7, 255, 9), range(1, 40))]
    apdus += [bytes((0x60, second, *range(20))) for second in range(256)]
    found = texts([data_packet(frame(apdu, kind)) for apdu in apdus], by=Scripts())
    for apdu, text in zip(apdus, found):
        assert text in (None, told(data_packet(frame(apdu, kind)), None))
        if redacted_apdu(apdu, response) != apdu:
            assert text is None, "what hides a key is left"
        if len(apdu) == 40 and text is None:
            assert may_hide(apdu, response), "little else is left"


def test_most_frames_are_written() -> None:
    chance = random.Random(3)
    found = texts([data_packet(mixed_lpdu(chance), crc=True) for _ in range(2000)])
    assert sum(text is None for text in found) < 150


@pytest.mark.parametrize("name", SECRET)
def test_no_script_shows_a_key(name: str) -> None:
    for datagram in (data_packet(SECRET[name][0]), data_packet(SECRET[name][0], crc=True)):
        assert KEY.hex() not in (texts([datagram], by=Scripts())[0] or "").lower()


def test_what_is_no_plain_data_packet_is_left() -> None:
    good = data_packet(frame(b"\x51"))
    others = [
        good + good,
        good[:-1],
        good[:20],
        b"",
        bytes((*good[:3], 0x63, *good[4:])),
        bytes((*good[:2], 0x02, *good[3:])),
        bytes((*good[:4], 1, *good[5:])),
        CnIpHeader(length=len(good), flags=CnIpFlags(security=1)).encode() + good[20:] + bytes(16),
    ]
    found = texts([good, *others, good])
    assert found[1:-1] == [None] * len(others)
    assert found[0] == found[-1] == told(good, None)


def test_many_kinds_of_packets_fill_no_memory() -> None:
    by, good = Scripts(), data_packet(frame(b"\x51"))
    strange = [bytes((*good[:2], *number.to_bytes(4, "big"), *good[6:])) for number in range(0x01630000, 0x01630200)]
    assert texts(strange, by=by) == [None] * len(strange)
    assert texts([good], by=by) == [None], "the table of packets is full, and the slow way tells this one"
    assert cnip_json(good) == [told(good, None)]
    assert len(by.heads) < 32


def test_a_long_packet_makes_room_for_its_text() -> None:
    small, long = data_packet(frame(b"\x51")), data_packet(frame(b"\x01" + bytes(50000)), crc=True)
    found = texts([small, long, small], by=Scripts())
    assert found == [told(small, None), told(long, None), told(small, None)]
    assert len(found[1] or "") > 1 << 20


def test_two_readers_do_not_disturb_each_other() -> None:
    chance = random.Random(4)
    datagrams = [data_packet(mixed_lpdu(chance), crc=True) for _ in range(50)]
    one = texts(datagrams)
    assert texts(list(reversed(datagrams))) == list(reversed(one))


def test_the_crc_of_a_frame_is_asked_for_as_told() -> None:
    lpdu = frame(b"\x51")
    plain, checked, wrong = data_packet(lpdu), data_packet(lpdu, crc=True), data_packet(lpdu + b"\0\0")
    assert with_crc(lpdu) != lpdu + b"\0\0"
    for crc in (None, True, False):
        for datagram, text in zip((plain, checked, wrong), texts([plain, checked, wrong], crc)):
            assert text in (None, told(datagram, crc))
    assert [text is None for text in texts([plain, checked, wrong], True)] == [True, False, True]


def test_commands_are_written_from_their_first_byte_that_decides() -> None:
    assert is_command(0x60)
    by = Scripts()
    raws = [bytes((code, second or 0)) + bytes(40) for code, second in COMMANDS if code not in (0x7E,)]
    found = texts([data_packet(frame(raw)) for raw in raws], by=by)
    for raw, text in zip(raws, found):
        assert (text is None) == (redacted_apdu(raw, False) != raw)
