"""CN/IP packets: header, several in a datagram, digests, frames with and without CRC."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.crypto.keys import Key
from osgp.lon.cnip import (
    DIGEST_SIZE,
    HEADER_SIZE,
    CnIp,
    CnIpFlags,
    CnIpHeader,
    CnIpPacket,
    PacketType,
    data_packet,
    lpdu_in,
    packet_in,
    packets_in,
)
from osgp.lon.crc import with_crc
from osgp.lon.packet import packet_of
from osgp.wire.errors import (
    BadCrc,
    BadDigest,
    BadValue,
    ConfigError,
    Error,
    NoKey,
    SecurityError,
    Truncated,
    UnknownCode,
)

REQUEST = bytes.fromhex("0119018a0194490151")
WITHOUT_CRC = bytes.fromhex("001d0101000000001234567800000007000000000119018a0194490151")
WITH_CRC = bytes.fromhex("001f0101000000001234567800000007000000000119018a0194490151deb6")
SECRET = Key(bytes(range(16)))


def only(datagram: bytes, secret: Key | None = None) -> CnIpPacket:
    """The packet of a datagram that holds one."""
    (packet,) = packets_in(datagram, secret)
    return packet


@pytest.mark.parametrize("raw", [WITHOUT_CRC, WITH_CRC])
def test_the_known_data_packets_read_as_printed(raw: bytes) -> None:
    packet = only(raw)
    header = packet.header
    assert (header.length, header.version.version, header.type, header.extension_words) == (len(raw), 1, 1, 0)
    assert (header.flags, header.vendor, header.session, header.sequence) == (0, 0, 0x12345678, 7)
    assert header.timestamp_ms == 0
    assert lpdu_in(packet) == REQUEST
    assert packet_in(packet).lpdu() == REQUEST


def test_the_known_data_packets_are_written_as_printed() -> None:
    assert data_packet(REQUEST, session=0x12345678, sequence=7) == WITHOUT_CRC
    assert data_packet(REQUEST, session=0x12345678, sequence=7, crc=True) == WITH_CRC


def test_a_header_has_twenty_bytes() -> None:
    assert len(CnIpHeader().encode()) == HEADER_SIZE


@given(st.binary(max_size=120))
def test_any_bytes_are_packets_or_our_error(raw: bytes) -> None:
    try:
        found = list(packets_in(raw))
    except Error:
        return
    assert b"".join(packet.encode() for packet in found) == raw


@given(
    st.binary(max_size=60),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, SECRET]),
)
def test_what_is_written_is_read_again(
    lpdu: bytes, session: int, sequence: int, timestamp_ms: int, secret: Key | None
) -> None:
    raw = data_packet(lpdu, session=session, sequence=sequence, timestamp_ms=timestamp_ms, crc=True, secret=secret)
    packet = only(raw, secret)
    header = packet.header
    assert (header.session, header.sequence, header.timestamp_ms) == (session, sequence, timestamp_ms)
    assert packet.encode() == raw
    if lpdu:
        assert lpdu_in(packet, crc=True) == lpdu


def test_counters_wrap_to_32_bits() -> None:
    header = only(data_packet(REQUEST, session=2**32 + 1, sequence=2**32 + 2, timestamp_ms=2**40 + 3)).header
    assert (header.session, header.sequence, header.timestamp_ms) == (1, 2, 3)


def test_several_packets_share_a_datagram() -> None:
    first, second = data_packet(REQUEST, sequence=1), data_packet(REQUEST + b"\x01", sequence=2)
    assert [packet.header.sequence for packet in packets_in(first + second)] == [1, 2]
    assert [lpdu_in(packet) for packet in packets_in(first + second)] == [REQUEST, REQUEST + b"\x01"]


def test_packets_before_a_damaged_one_are_good() -> None:
    found = packets_in(data_packet(REQUEST) + b"\x00\x01\x02")
    assert lpdu_in(next(found)) == REQUEST
    with pytest.raises(Truncated):
        next(found)


@pytest.mark.parametrize("size", [0, 1, HEADER_SIZE - 1, HEADER_SIZE, len(WITHOUT_CRC) - 1])
def test_a_datagram_shorter_than_it_says_is_truncated(size: int) -> None:
    with pytest.raises(Truncated):
        list(packets_in(WITHOUT_CRC[:size]))


def test_a_length_that_does_not_hold_its_header_is_refused() -> None:
    with pytest.raises(BadValue, match="19 bytes"):
        list(packets_in(CnIpHeader(length=19).encode() + REQUEST))
    with pytest.raises(BadValue, match="the header alone has 24"):
        list(packets_in(CnIpHeader(length=20, extension_words=1).encode() + REQUEST))


def test_an_extension_header_stands_before_the_data() -> None:
    header = CnIpHeader(length=HEADER_SIZE + 12 + len(REQUEST), extension_words=3)
    packet = only(header.encode() + bytes(range(12)) + REQUEST)
    assert (packet.extension, lpdu_in(packet)) == (bytes(range(12)), REQUEST)


@pytest.mark.parametrize(
    "header",
    [
        CnIpHeader(type=PacketType.CHANNEL_ROUTING),
        CnIpHeader(type=PacketType(0x99)),
        CnIpHeader(flags=CnIpFlags(protocol=1)),
        CnIpHeader(version=2),
        CnIpHeader(version=0x81),
    ],
)
def test_what_carries_no_frame_is_read_but_gives_none(header: CnIpHeader) -> None:
    header.length = HEADER_SIZE + len(REQUEST)
    packet = only(header.encode() + REQUEST)
    assert packet.data == REQUEST
    with pytest.raises(UnknownCode):
        lpdu_in(packet)


def test_the_old_version_0_carries_frames() -> None:
    assert lpdu_in(only(CnIpHeader(length=HEADER_SIZE + len(REQUEST), version=0).encode() + REQUEST)) == REQUEST


def test_a_crc_is_taken_off_where_there_is_one() -> None:
    packet = only(WITH_CRC)
    assert lpdu_in(packet, crc=True) == lpdu_in(packet) == REQUEST
    assert lpdu_in(packet, crc=False) == with_crc(REQUEST)


def test_a_crc_that_must_be_there_is_missed() -> None:
    with pytest.raises(BadCrc):
        lpdu_in(only(WITHOUT_CRC), crc=True)


def test_a_data_packet_without_a_frame_is_truncated() -> None:
    for crc in (None, True, False):
        with pytest.raises(Truncated):
            lpdu_in(only(CnIpHeader().encode()), crc=crc)


def test_the_digest_covers_packet_empty_place_and_secret() -> None:
    raw = data_packet(REQUEST, secret=SECRET)
    body, digest = raw[:-DIGEST_SIZE], raw[-DIGEST_SIZE:]
    assert only(raw, SECRET).header.flags.security == 1
    assert only(raw, SECRET).header.length == len(body)
    assert digest == hashlib.md5(body + bytes(16) + bytes(range(16))).digest()


def test_an_authenticated_packet_without_a_secret_is_refused() -> None:
    with pytest.raises(NoKey):
        only(data_packet(REQUEST, secret=SECRET))


@pytest.mark.parametrize("place", [3, 15, 25, -1])
def test_a_changed_packet_is_not_authenticated(place: int) -> None:
    raw = bytearray(data_packet(REQUEST, secret=SECRET))
    raw[place] ^= 1
    with pytest.raises(BadDigest):
        only(bytes(raw), SECRET)


def test_a_packet_without_digest_is_refused_where_all_must_have_one() -> None:
    with pytest.raises(BadDigest):
        only(data_packet(REQUEST), SECRET)


def test_a_secret_has_sixteen_bytes() -> None:
    with pytest.raises(ConfigError):
        data_packet(REQUEST, secret=Key(bytes(12)))


def test_a_frame_that_the_length_cannot_say_is_refused() -> None:
    with pytest.raises(BadValue):
        data_packet(bytes(0xFFFF))


def test_a_header_goes_through_json() -> None:
    header = only(WITHOUT_CRC).header
    assert CnIpHeader.from_json(header.to_json()) == header


ONE, OTHER = ("192.0.2.1", 1628), ("192.0.2.2", 1628)
ANSWER = bytes.fromhex("00190194018a4921310000000000000000000001040400a8")
"""1/20 answers 1/10, the sender of REQUEST."""


def test_members_hear_what_has_no_known_place() -> None:
    channel = CnIp([ONE, OTHER], session=5)
    raw, endpoints = channel.write(packet_of(REQUEST), 0.0)
    assert endpoints == (ONE, OTHER)
    header = only(raw).header
    assert (header.session, header.sequence) == (5, 1)
    assert only(channel.write(packet_of(REQUEST), 0.0)[0]).header.sequence == 2


def test_a_node_is_reached_through_the_member_that_it_was_heard_from() -> None:
    channel = CnIp([ONE, OTHER])
    (heard,) = channel.read(data_packet(ANSWER), OTHER, 0.0)
    assert heard.lpdu() == ANSWER
    assert channel.write(packet_of(REQUEST), 0.0)[1] == (OTHER,)
    broadcast = packet_of(bytes.fromhex("0f11018a0149076100"))
    assert channel.write(broadcast, 0.0)[1] == (ONE, OTHER)


def test_a_known_route_is_kept_whatever_is_heard() -> None:
    channel = CnIp([ONE, OTHER], routes={(b"\x49", 1, 20): ONE})
    list(channel.read(data_packet(ANSWER), OTHER, 0.0))
    assert channel.write(packet_of(REQUEST), 0.0)[1] == (ONE,)


def test_who_is_no_member_is_not_heard() -> None:
    stranger = ("192.0.2.9", 1628)
    with pytest.raises(SecurityError, match="no member"):
        list(CnIp([ONE]).read(data_packet(ANSWER), stranger, 0.0))
    assert len(list(CnIp([ONE], strangers=True).read(data_packet(ANSWER), stranger, 0.0))) == 1


def test_packets_without_frames_are_passed_over() -> None:
    other = CnIpHeader(length=HEADER_SIZE, type=PacketType.STATISTICS_REQUEST).encode()
    assert len(list(CnIp([ONE]).read(other + data_packet(ANSWER), ONE, 0.0))) == 1


def test_an_authenticated_channel_takes_and_gives_digests_only() -> None:
    channel = CnIp([ONE], secret=SECRET, crc=True)
    raw, _ = channel.write(packet_of(REQUEST), 0.0)
    assert lpdu_in(only(raw, SECRET), crc=True) == REQUEST
    assert len(list(channel.read(data_packet(ANSWER, secret=SECRET), ONE, 0.0))) == 1
    with pytest.raises(BadDigest):
        list(channel.read(data_packet(ANSWER), ONE, 0.0))
    with pytest.raises(ConfigError):
        CnIp([ONE], secret=Key(bytes(20)))


@given(st.binary(max_size=100))
def test_any_datagram_gives_packets_or_our_error(raw: bytes) -> None:
    try:
        for packet in CnIp([ONE]).read(raw, ONE, 0.0):
            assert packet.lpdu()
    except Error:
        pass
