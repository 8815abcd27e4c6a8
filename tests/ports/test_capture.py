"""Captures: every form, order and link read; what is written is read again; any bytes give frames or our error."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from osgp.lon.cnip import CnIpFlags, CnIpHeader, CnIpPacket, PacketType, data_packet
from osgp.lon.crc import with_crc
from osgp.ports.capture import CaptureWriter, Endpoint, Fault, LinkType, lon_frames, read_capture
from osgp.ports.datagram import Datagram, datagram_in, ethernet
from osgp.ports.pcap import (
    LATEST_NS,
    ORDERS,
    PCAP_NS,
    PCAP_US,
    CaptureFrame,
    EnhancedBlock,
    ObsoleteBlock,
    SimpleBlock,
)
from osgp.wire.errors import BadValue, ConfigError, DecodeError, Truncated, UnknownCode
from tests.ports.captures import A6, B6, QUERY_STATUS, A, B, block, interface, link_frames, pcap_file, section

PORTS = frozenset((1628, 1629, 2541))
UPDATE_DOMAIN = bytes.fromhex("0119018a0194490e63014a000000000001a1010123456789ab")
KEY = bytes.fromhex("0123456789ab")
ENDPOINTS = st.sampled_from([(A, B), (A6, B6)])


def enhanced(data: bytes, number: int, stamp: int, order: str = "little", original: int | None = None) -> bytes:
    body = EnhancedBlock(
        interface=number,
        time_high=stamp >> 32,
        time_low=stamp & 0xFFFFFFFF,
        captured=len(data),
        original=len(data) if original is None else original,
        data=data,
    )
    return block(6, body.encode(ORDERS[order]), order)


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=60), st.integers(0, 2**32 * 10**9 - 1)), max_size=5),
    st.sampled_from(["pcap", "pcapng"]),
    st.sampled_from(["little", "big"]),
    st.sampled_from(["cnip", "lpdu"]),
    st.booleans(),
    ENDPOINTS,
)
def test_what_is_written_is_read_again(
    frames: list[tuple[bytes, int]], form: Any, order: Any, carrier: Any, crc: bool, ends: tuple[Endpoint, Endpoint]
) -> None:
    stream = io.BytesIO()
    with CaptureWriter(stream, form, carrier=carrier, crc=crc, hide_keys=False, order=order) as writer:
        for lpdu, time_ns in frames:
            writer.write_lpdu(lpdu, time_ns=time_ns, source=ends[0], destination=ends[1])
    raw = stream.getvalue()
    read = list(lon_frames(raw, crc=crc))
    assert [(each.lpdu, each.time_ns) for each in read] == frames
    assert {each.carrier for each in read} <= {carrier}
    assert all(each.crc is (True if crc else None) for each in read)
    assert [raw[each.offset : each.offset + len(each.lpdu)] for each in read] == [lpdu for lpdu, _ in frames]
    if carrier == "cnip":
        assert all((each.source, each.destination) == ends for each in read)
        assert [each.cnip.sequence for each in read if each.cnip] == list(range(1, len(frames) + 1))


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(("magic", "unit"), [(PCAP_US, 1000), (PCAP_NS, 1)])
def test_pcap_of_both_orders_and_units(order: str, magic: int, unit: int) -> None:
    raw = pcap_file([b"one", b"three"], LinkType.LPDU, order=order, magic=magic)
    one, three = read_capture(raw)
    assert (one.data, one.time_ns, one.number, one.offset) == (b"one", 10 * unit, 1, 40)
    assert (three.data, three.time_ns, three.number) == (b"three", 10**9 + 11 * unit, 2)
    assert three.time_s == pytest.approx(1 + 11e-9 * unit)


def test_interfaces_with_units_and_offsets_of_their_own() -> None:
    raw = section()
    raw += interface(LinkType.LPDU) + interface(LinkType.LPDU_WITH_CRC, resolution=3, offset_s=-5)
    raw += interface(LinkType.LPDU, resolution=0x80 | 10) + interface(LinkType.LPDU, resolution=12)
    raw += enhanced(b"a", 0, 1_500_000) + enhanced(b"b", 1, 7_250) + enhanced(b"c", 2, 1536) + enhanced(b"d", 3, 1999)
    frames = list(read_capture(raw))
    assert [frame.time_ns for frame in frames] == [1_500_000_000, 2_250_000_000, 1_500_000_000, 1]
    assert [frame.link_type for frame in frames] == [148, 147, 148, 148]
    assert [frame.interface for frame in frames] == [0, 1, 2, 3]
    assert [raw[frame.offset : frame.offset + 1] for frame in frames] == [b"a", b"b", b"c", b"d"]


def test_sections_of_both_orders_count_interfaces_anew() -> None:
    raw = section("big") + interface(LinkType.LPDU, "big") + enhanced(b"a", 0, 1, "big")
    raw += block(0xBAD, b"somebody's own", "big")
    raw += section() + interface(LinkType.ETHERNET) + enhanced(b"b", 0, 2)
    first, second = read_capture(raw)
    assert (first.interface, first.link_type, first.time_ns, first.data) == (0, 148, 1000, b"a")
    assert (second.interface, second.link_type, second.time_ns, second.data) == (1, 1, 2000, b"b")


@pytest.mark.parametrize("order", ["little", "big"])
def test_simple_and_old_blocks(order: str) -> None:
    context = ORDERS[order]
    old = ObsoleteBlock(interface=0, time_high=1, time_low=0, captured=3, original=9, data=b"old")
    raw = section(order) + interface(LinkType.LPDU, order, snap=4)
    raw += block(3, SimpleBlock(original=6, data=b"simp").encode(context), order)
    raw += block(3, SimpleBlock(original=2, data=b"ok").encode(context), order)
    raw += block(2, old.encode(context), order)
    simple, short, third = read_capture(raw)
    assert (simple.data, simple.time_ns, simple.cut) == (b"simp", 0, True)
    assert (short.data, short.cut) == (b"ok", False)
    assert (third.data, third.time_ns, third.original_length, third.cut) == (b"old", 2**32 * 1000, 9, True)


def test_a_time_that_64_bits_cannot_hold_becomes_the_last_moment() -> None:
    raw = section() + interface(LinkType.LPDU) + enhanced(b"a", 0, 2**64 - 1)
    assert [frame.time_ns for frame in read_capture(raw)] == [LATEST_NS]


def test_a_capture_that_is_still_being_written_gives_what_is_before() -> None:
    for whole in (
        pcap_file([b"first", b"second"], LinkType.LPDU),
        section() + interface(LinkType.LPDU) + enhanced(b"first", 0, 1) + enhanced(b"second", 0, 2),
    ):
        ends = {0, len(whole)}
        counts = set()
        for size in range(len(whole)):
            frames: list[CaptureFrame] = []
            problems: list[DecodeError] = []
            frames += read_capture(whole[:size], report=problems.append)
            assert [frame.data for frame in frames] == [b"first", b"second"][: len(frames)]
            assert not problems or isinstance(problems[0], Truncated)
            counts.add(len(frames))
            ends |= set() if problems else {size}
        assert counts == {0, 1}
        with pytest.raises(Truncated, match="needed"):
            list(read_capture(whole[:-1]))
        assert len(ends) >= 3, "a file that ends between records is whole"


@pytest.mark.parametrize(
    ("raw", "error", "place"),
    [
        (b"", Truncated, 0),
        (b"MZ\x90\x00", UnknownCode, 0),
        (bytes.fromhex("1f8b0800"), UnknownCode, 0),
        (pcap_file([], 1) + bytes.fromhex("00000000 00000000 00000500 00000500"), BadValue, 24),
        (section() + block(1, b"")[:4] + bytes.fromhex("0d00000000000000"), BadValue, 28),
        (section()[:8] + b"abcd" + section()[12:], UnknownCode, 8),
        (section() + enhanced(b"a", 0, 0), BadValue, 28),
        (section()[:-4] + b"\x1d\0\0\0", BadValue, 24),
        (section() + interface(1) + block(6, bytes(12)), Truncated, 28 + 20),
    ],
)
def test_what_is_no_capture_is_said_with_its_place(raw: bytes, error: type[DecodeError], place: int) -> None:
    with pytest.raises(error) as caught:
        list(read_capture(raw))
    assert caught.value.floor == "ports"
    assert (caught.value.bit_offset or 0) // 8 >= place


def _mutated() -> st.SearchStrategy[bytes]:
    seeds = [
        pcap_file([frame for _, frame in link_frames().values()], LinkType.ETHERNET),
        pcap_file([with_crc(QUERY_STATUS)] * 3, LinkType.LPDU_WITH_CRC, order="big"),
        section() + interface(1, resolution=9) + enhanced(link_frames()["Ethernet"][1], 0, 5) + enhanced(b"", 0, 5),
    ]

    def change(seed: bytes, places: list[tuple[int, int]], cut: int) -> bytes:
        out = bytearray(seed[: len(seed) - cut % len(seed)])
        for place, octet in places:
            out[place % len(out)] = octet
        return bytes(out)

    places = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6)
    return st.builds(change, st.sampled_from(seeds), places, st.one_of(st.just(0), st.integers(0, 2000)))


@given(st.one_of(st.binary(max_size=200), _mutated()))
@example(b"")
def test_any_bytes_give_frames_or_our_error(raw: bytes) -> None:
    problems: list[DecodeError] = []
    faults: Counter[Fault] = Counter()
    packets = list(lon_frames(raw, report=problems.append, faults=faults))
    assert len(packets) <= sum(faults.values())
    assert all(packet.problem for packet in packets if packet.fault)
    assert all(packet.lpdu == raw[packet.offset : packet.offset + len(packet.lpdu)] for packet in packets)


@pytest.mark.parametrize("name", list(link_frames()))
def test_every_link_layer_leads_to_the_datagram(name: str) -> None:
    link_type, frame = link_frames()[name]
    (packet,) = lon_frames(pcap_file([frame], link_type))
    assert (packet.lpdu, packet.fault, packet.carrier) == (QUERY_STATUS, Fault.OK, "cnip")
    assert (packet.source, packet.destination) in ((A, B), (A6, B6))


@pytest.mark.parametrize("name", list(link_frames()))
def test_a_frame_that_ends_too_early_is_cut_or_truncated(name: str) -> None:
    link_type, frame = link_frames()[name]
    frame = frame.removesuffix(bytes(9)) if "padded" in name else frame
    for size in range(len(frame)):
        assert datagram_in(link_type, frame[:size], len(frame), PORTS) == Fault.CUT
        assert datagram_in(link_type, frame[:size], size, PORTS) == Fault.TRUNCATED


def test_other_traffic_and_fragments_are_counted_and_not_given() -> None:
    _, frame = link_frames()["Ethernet"]
    later = bytearray(frame)
    later[20:22] = bytes.fromhex("2000")  # more fragments follow
    middle = bytearray(frame)
    middle[20:22] = bytes.fromhex("0010")
    tcp = bytearray(frame)
    tcp[23] = 6
    short = bytearray(frame)
    short[38:40] = bytes.fromhex("0007")
    arp = frame[:12] + bytes.fromhex("0806") + frame[14:]
    other = ethernet(Endpoint("192.0.2.1", 53), Endpoint("192.0.2.2", 53), b"x")
    six = link_frames()["Ethernet, IPv6"][1]
    fragment_6 = six[:20] + bytes((44,)) + six[21:]
    frames = [frame, bytes(later), bytes(middle), bytes(tcp), bytes(short), arp, other, fragment_6, frame[:50]]
    originals = [len(each) for each in frames[:-1]] + [len(frame)]
    faults: Counter[Fault] = Counter()
    packets = list(lon_frames(pcap_file(frames, LinkType.ETHERNET, originals=originals), faults=faults))
    assert faults == {Fault.OK: 1, Fault.FRAGMENT: 3, Fault.NOT_LON: 3, Fault.BAD_VALUE: 1, Fault.CUT: 1}
    assert [packet.number for packet in packets] == [1]
    assert list(lon_frames(pcap_file([frame], 9999))) == []


def test_bare_frames_with_and_without_crc() -> None:
    good, bad = with_crc(QUERY_STATUS), with_crc(QUERY_STATUS)[:-1] + b"\0"
    packets = list(lon_frames(pcap_file([good, bad, b"ab", good[:5]], 147, originals=[11, 11, 2, 11])))
    assert [packet.fault for packet in packets] == [Fault.OK, Fault.BAD_CRC, Fault.TRUNCATED, Fault.CUT]
    assert [packet.crc for packet in packets] == [True, False, None, None]
    assert [packet.lpdu for packet in packets] == [QUERY_STATUS, b"", b"", b""]
    packets = list(lon_frames(pcap_file([QUERY_STATUS, b""], 148)))
    assert [(packet.lpdu, packet.fault) for packet in packets] == [(QUERY_STATUS, Fault.OK), (b"", Fault.TRUNCATED)]


def of_payload(payload: bytes, **options: Any) -> list[tuple[Fault, bytes]]:
    capture = pcap_file([ethernet(A, B, payload)], LinkType.ETHERNET)
    return [(packet.fault, packet.lpdu) for packet in lon_frames(capture, **options)]


def test_a_crc_in_cnip_is_taken_off_if_it_is_right_or_as_told() -> None:
    plain, checked = data_packet(QUERY_STATUS), data_packet(QUERY_STATUS, crc=True)
    sound = [(Fault.OK, QUERY_STATUS)]
    assert (
        of_payload(plain)
        == of_payload(checked)
        == of_payload(checked, crc=True)
        == of_payload(plain, crc=False)
        == sound
    )
    assert of_payload(plain, crc=True) == [(Fault.BAD_CRC, b"")]
    assert of_payload(checked, crc=False) == [(Fault.OK, with_crc(QUERY_STATUS))]


def test_several_packets_in_one_datagram_and_what_ends_it() -> None:
    one = data_packet(QUERY_STATUS)
    sound = (Fault.OK, QUERY_STATUS)
    other = CnIpHeader(type=PacketType.DEVICE_CONFIGURATION).encode()
    lying = CnIpHeader(length=19).encode()
    signed = CnIpPacket(header=CnIpHeader(flags=CnIpFlags(security=1)), digest=bytes(16)).encode()
    assert of_payload(one + other + one) == [sound, (Fault.OTHER_PACKET, b""), sound]
    assert of_payload(one + one[:-1]) == [sound, (Fault.TRUNCATED, b"")]
    assert of_payload(one + lying + one) == [sound, (Fault.BAD_VALUE, b"")]
    assert of_payload(one + signed + one) == [sound, (Fault.SECURED, b"")]
    assert of_payload(data_packet(b"")) == [(Fault.TRUNCATED, b"")]
    assert of_payload(b"") == [(Fault.TRUNCATED, b"")]


def test_a_lonip_datagram_is_given_as_it_is() -> None:
    payload = bytes.fromhex("00110151")
    stream = io.BytesIO()
    with CaptureWriter(stream, "pcap") as writer:
        writer.write_datagram(Endpoint("10.73.1.10", 40000), Endpoint("10.73.1.20", 2541), payload, 1.5)
    (packet,) = lon_frames(stream.getvalue())
    assert (packet.carrier, packet.payload, packet.lpdu, packet.time_s) == ("lonip", payload, b"", 1.5)
    assert str(packet.source) == "10.73.1.10:40000"
    assert stream.getvalue()[packet.offset :] == payload


@pytest.mark.parametrize("carrier", ["cnip", "lpdu"])
def test_keys_do_not_reach_a_capture(carrier: Any) -> None:
    for crc in (False, True):
        stream = io.BytesIO()
        with CaptureWriter(stream, carrier=carrier, crc=crc) as writer:
            writer.write_lpdu(UPDATE_DOMAIN)
        assert KEY not in stream.getvalue()
        (packet,) = lon_frames(stream.getvalue(), crc=crc)
        assert packet.lpdu == UPDATE_DOMAIN[:-6] + b"*" * 6


def test_keys_do_not_reach_a_capture_in_datagrams() -> None:
    cnip = data_packet(QUERY_STATUS) + data_packet(UPDATE_DOMAIN, crc=True)
    lonip = bytes.fromhex("0011") + UPDATE_DOMAIN[7:]
    enhanced_mode = bytes.fromhex("1011 0123") + UPDATE_DOMAIN[8:]
    unknown = bytes.fromhex("2011 0123") + UPDATE_DOMAIN[8:]
    unspoken = data_packet(
        UPDATE_DOMAIN[:1] + bytes((UPDATE_DOMAIN[1] | 0xC0,)) + UPDATE_DOMAIN[2:8] + b"\x23" + UPDATE_DOMAIN[8:]
    )
    for port, payload in (
        (1628, cnip),
        (1628, cnip[:-1]),
        (1628, unspoken),
        (2541, lonip),
        (2541, enhanced_mode),
        (2541, unknown),
    ):
        stream = io.BytesIO()
        with CaptureWriter(stream, "pcap") as writer:
            writer.write_datagram(Endpoint("10.73.1.10", 40000), Endpoint("10.73.1.20", port), payload)
        assert KEY[:5] not in stream.getvalue()
        assert b"****" in stream.getvalue()
        assert next(iter(lon_frames(stream.getvalue()))).fault == Fault.OK
    whole = io.BytesIO()
    with CaptureWriter(whole, "pcap") as writer:
        writer.write_datagram(A, B, cnip)
        writer.write_datagram(Endpoint("192.0.2.8", 9), Endpoint("192.0.2.9", 9), b"of another protocol " + KEY)
    assert [packet.crc for packet in lon_frames(whole.getvalue())] == [None, True]
    assert whole.getvalue().endswith(b"of another protocol " + KEY)


def test_keys_are_kept_only_if_asked() -> None:
    stream = io.BytesIO()
    with CaptureWriter(stream, hide_keys=False) as writer:
        writer.write_lpdu(UPDATE_DOMAIN)
    assert KEY in stream.getvalue()


@pytest.mark.parametrize(
    ("suffix", "begins"), [(".pcap", "4d3cb2a1"), (".pcapng", "0a0d0d0a"), (".PCAPNG", "0a0d0d0a")]
)
def test_the_suffix_chooses_the_form(tmp_path: Path, suffix: str, begins: str) -> None:
    path = tmp_path / f"line{suffix}"
    with CaptureWriter(path) as writer:
        writer.write_lpdu(QUERY_STATUS, 3.25)
        writer.flush()
        assert [packet.time_ns for packet in lon_frames(path)] == [3_250_000_000]
    assert path.read_bytes()[:4].hex() == begins
    with path.open("rb") as stream:
        assert [packet.lpdu for packet in lon_frames(stream)] == [QUERY_STATUS]


def test_a_pcapng_file_holds_bare_frames_and_datagrams_a_pcap_file_one_kind() -> None:
    stream = io.BytesIO()
    with CaptureWriter(stream, "pcapng", carrier="lpdu") as writer:
        writer.write_lpdu(QUERY_STATUS)
        writer.write_datagram(A, B, data_packet(QUERY_STATUS))
        writer.write_lpdu(QUERY_STATUS)
    assert [packet.carrier for packet in lon_frames(stream.getvalue())] == ["lpdu", "cnip", "lpdu"]
    with CaptureWriter(io.BytesIO(), "pcap", carrier="lpdu") as writer, pytest.raises(ConfigError, match="one kind"):
        writer.write_datagram(A, B, b"")


def test_wrong_use_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="suffix"):
        CaptureWriter(tmp_path / "line.txt")
    with pytest.raises(ConfigError, match="cannot write"):
        CaptureWriter(tmp_path / "missing" / "line.pcap")
    with pytest.raises(ConfigError, match="cannot read"):
        list(read_capture(tmp_path / "missing.pcap"))
    with CaptureWriter(io.BytesIO(), "pcap") as writer:
        with pytest.raises(ConfigError, match="no IP address"):
            writer.write_datagram(Endpoint("localhost", 1), B, b"")
        with pytest.raises(ConfigError, match="two versions"):
            writer.write_datagram(A, B6, b"")
        with pytest.raises(BadValue, match="too long"):
            writer.write_datagram(A, B, bytes(65536))
        with pytest.raises(BadValue):
            writer.write_lpdu(QUERY_STATUS, -1.0)


@given(st.binary(max_size=60), ENDPOINTS)
def test_check_sums_are_right(payload: bytes, ends: tuple[Endpoint, Endpoint]) -> None:
    def folded(data: bytes) -> int:
        total = sum(int.from_bytes(data[place : place + 2].ljust(2, b"\0"), "big") for place in range(0, len(data), 2))
        while total > 0xFFFF:
            total = (total >> 16) + (total & 0xFFFF)
        return total

    frame = ethernet(*ends, payload)
    packet = frame[14:]
    if ":" in ends[0].host:
        addresses, udp = packet[8:40], packet[40:]
    else:
        assert folded(packet[:20]) == 0xFFFF
        addresses, udp = packet[12:20], packet[20:]
    assert udp[6:8] != b"\0\0"
    assert folded(addresses + b"\0\x11" + udp[4:6] + udp) == 0xFFFF
    found = datagram_in(LinkType.ETHERNET, frame, len(frame), PORTS)
    assert isinstance(found, Datagram)
    assert found.payload == payload
