"""LON/IP: the known conversions both ways, addresses derived, learnt, announced and told, bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import DomainEntry, NodeState
from osgp.lon.lonip import PORT, DatagramFormat, LonIp, LonIpHeader, announcement
from osgp.lon.lonip_map import (
    AddressMap,
    derived_address,
    domain_of,
    group_address,
    place_of,
    subnet_address,
)
from osgp.lon.lpdu import LinkHeader
from osgp.lon.nm_expanded import AnnounceSubnets
from osgp.lon.npdu import NetworkControl, NodeByte, Npdu
from osgp.lon.packet import Packet, packet_of
from osgp.node.stack import Stack
from osgp.wire.errors import BadValue, ConfigError, Error, Truncated, UnknownCode

_FRAMES = json.loads((Path(__file__).parent.parent / "vectors" / "iso14908_1" / "frames.json").read_text("utf-8"))
VECTORS = [{**each, **each["fields"]} for each in _FRAMES if each["fields"].get("kind") == "lon_udp"]
HOME = "10.73.1.10"
"""Derived from domain 49, 1/10."""
REQUEST = packet_of(bytes.fromhex("0119018a0194490151"))
"""1/10 asks 1/20 in domain 49."""
PEER = (b"\x49", 1, 20)


def carrier_for(vector: dict[str, str]) -> LonIp:
    """The sender of a vector, which knows of its peer what the vector says it knows."""
    lonip = LonIp(AddressMap(), own=vector["source_ip"])
    destination = packet_of(bytes.fromhex(vector["lpdu"])).npdu
    if destination.destination_node is not None and not vector["destination_ip"].startswith("239."):
        place = (destination.domain, destination.destination_subnet or 0, destination.destination_node.node)
        derived = vector["destination_ip"] == derived_address(*place)
        lonip.addresses.learn(place, (vector["destination_ip"], PORT), derived, 0.0)
    return lonip


def ids(vector: dict[str, str]) -> str:
    return vector["name"]


def test_all_known_conversions_are_tried() -> None:
    assert len(VECTORS) == 13


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_a_known_frame_becomes_the_known_datagram(vector: dict[str, str]) -> None:
    packet = packet_of(bytes.fromhex(vector["lpdu"]))
    datagram, endpoints = carrier_for(vector).write(packet, 0.0)
    assert datagram.hex() == vector["hex"]
    assert endpoints == ((vector["destination_ip"], PORT),)


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_a_known_datagram_becomes_the_known_frame(vector: dict[str, str]) -> None:
    receiver = LonIp(own="10.73.1.20")
    for _ in range(2):  # from the header, and from what is remembered of it
        packet = receiver.read(bytes.fromhex(vector["hex"]), (vector["source_ip"], PORT), 0.0)
        assert packet is not None
        assert packet.lpdu().hex() == vector["lpdu"]


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_the_layout_of_a_datagram_loses_nothing(vector: dict[str, str]) -> None:
    raw = bytes.fromhex(vector["hex"])
    assert LonIpHeader.decode(raw).encode() == raw
    assert LonIpHeader.from_json(LonIpHeader.decode(raw).to_json()).encode() == raw


@given(st.binary(max_size=40), st.sampled_from(["10.73.1.10", "192.168.3.4", "127.0.0.1", "fe80::1", "10.0.0.200"]))
def test_any_bytes_are_a_packet_an_announcement_or_our_error(raw: bytes, ip: str) -> None:
    receiver = LonIp(own=HOME)
    try:
        packet = receiver.read(raw, (ip, PORT), 0.0)
    except Error:
        return
    assert packet is None or len(packet.lpdu()) >= 5


nodes = st.integers(1, 127)
subnets = st.integers(1, 255)
domains = st.sampled_from([b"", b"\x49", b"\x4f\x53\x00", b"OSG", b"\xc0\xa8\x00", b"\x0a\x49\x00", b"STREET"])


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    """Packets whose delta backlog is what the rules say, or one for many."""
    domain = draw(domains)
    form = draw(st.integers(0, 3))
    pdu_type = draw(st.integers(0, 3))
    answer = form == 2 and draw(st.booleans())
    pdu = draw(st.binary(min_size=1, max_size=20))
    asks = pdu_type < 2 and not pdu[0] & 0x70
    backlog = draw(st.integers(0, 63)) if form < 2 else 1
    npdu = Npdu(
        control=NetworkControl(
            address_format=form,
            pdu_type=pdu_type,
            domain_length=[0, 1, 3, 6].index(len(domain)),
            version=draw(st.sampled_from([0, 2])),
        ),
        source_subnet=draw(subnets),
        source_node=NodeByte(node=draw(nodes), selector=0 if answer else 1),
        domain=domain,
        pdu=pdu if pdu[0] != 0x60 else b"\x61",
    )
    if form != 1:
        npdu.destination_subnet = draw(st.integers(0 if form in (0, 3) else 1, 255))
    if form == 2:
        npdu.destination_node = NodeByte(node=draw(nodes), selector=1)
    if form == 1 or answer:
        npdu.group = draw(st.integers(0, 255))
    if answer:
        npdu.member = draw(st.integers(0, 63))
    if form == 3:
        npdu.unique_node_id = draw(st.binary(min_size=6, max_size=6))
    header = LinkHeader(priority=draw(st.integers(0, 1)), delta_backlog=backlog if asks else 0)
    return Packet(header, npdu)


@given(
    packets(),
    st.sampled_from(["", "derived", "10.73.9.9", "127.0.0.1"]),
    st.sampled_from(["unknown", "far", "derived"]),
)
def test_what_one_node_writes_the_other_reads(packet: Packet, own: str, known: str) -> None:
    npdu = packet.npdu
    source = (npdu.domain, npdu.source_subnet, npdu.source_node.node)
    target = (npdu.domain, npdu.destination_subnet or 0, int(npdu.destination_node or 0) & 0x7F)
    ip = (derived_address(*source) or "192.0.2.1") if own == "derived" else own
    sender, receiver = LonIp(own=ip), LonIp(own=derived_address(*target) or "", home=lambda: [target])
    if known != "unknown" and npdu.destination_node is not None:
        derived = known == "derived" and derived_address(*target) is not None
        endpoint = (derived_address(*target) or "") if derived else "192.0.2.99"
        sender.addresses.learn(target, (endpoint, PORT), derived, 0.0)
    for _ in range(2):
        datagram, endpoints = sender.write(packet, 0.0)
        assert len(endpoints) == 1
        seen = receiver.read(datagram, (ip or "192.0.2.50", PORT), 0.0)
        assert seen is not None
        assert seen.lpdu() == packet.lpdu()


def test_the_quick_copy_of_an_npdu_has_every_field() -> None:
    packet = LonIp(own=HOME).read(bytes.fromhex("001101510203"), ("10.73.1.20", PORT), 0.0)
    assert packet is not None
    assert all(hasattr(packet.npdu, name) for name in (*Npdu.specs, "_rest"))
    assert packet.npdu == packet_of(packet.lpdu()).npdu


def test_every_datagram_is_its_own_packet() -> None:
    receiver = LonIp(own="10.73.1.20")
    first = receiver.read(bytes.fromhex("00110151"), (HOME, PORT), 0.0)
    second = receiver.read(bytes.fromhex("00110252"), (HOME, PORT), 0.0)
    assert first is not None
    assert second is not None
    assert (first.npdu.pdu, second.npdu.pdu) == (b"\x01\x51", b"\x02\x52")


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ((b"", 1, 2), "192.168.1.2"),
        ((b"\x49", 1, 20), "10.73.1.20"),
        ((b"\x4f\x53\x00", 255, 127), "79.83.255.127"),
        ((b"\x4f\x53\x01", 1, 2), None),
        ((b"STREET", 1, 2), None),
        ((b"\xc0\xa8\x00", 1, 2), None),
        ((b"\x0a\x49\x00", 1, 2), None),
    ],
)
def test_addresses_follow_from_places(place: tuple[bytes, int, int], address: str | None) -> None:
    assert derived_address(*place) == address
    if address is not None:
        assert place_of(address) == place
        assert domain_of(address) == place[0]


def test_some_addresses_say_no_place() -> None:
    assert [place_of(ip) for ip in ("10.73.1.0", "10.73.1.128", "::1", "")] == [None] * 4
    assert place_of("::ffff:10.73.1.20") == PEER


def test_multicast_addresses() -> None:
    assert (subnet_address(0), subnet_address(7), group_address(5)) == ("239.192.0.0", "239.192.0.7", "239.192.1.5")


def test_a_unique_node_id_is_looked_for_in_the_whole_domain_whatever_its_subnet() -> None:
    packet = packet_of(bytes.fromhex("011d018a030700000000b249056101"))
    datagram, endpoints = LonIp(own=HOME).write(packet, 0.0)
    assert (datagram.hex(), endpoints) == ("0061030700000000b2056101", (("239.192.0.0", PORT),))


def test_a_sender_without_a_place_carries_it() -> None:
    pin = packet_of(bytes.fromhex("00300080007f0700000000a14f53475044455631"))
    datagram, endpoints = LonIp(own=HOME).write(pin, 0.0)
    assert datagram.hex() == "01230080007f0700000000a14f53475044455631"
    assert endpoints == (("239.192.0.0", PORT),)
    receiver = LonIp(own="10.73.1.20")
    assert receiver.read(datagram, (HOME, PORT), 0.0) == pin
    assert len(receiver.addresses) == 0


def test_a_node_is_learnt_from_its_packets() -> None:
    lonip = LonIp(own=HOME)
    assert lonip.write(REQUEST, 0.0)[1] == (("239.192.0.1", PORT),)
    lonip.read(bytes.fromhex("00110151"), ("10.73.1.20", PORT), 1.0)
    assert lonip.write(REQUEST, 1.0) == (bytes.fromhex("00110151"), (("10.73.1.20", PORT),))
    lonip.read(bytes.fromhex("011101140151"), ("10.73.200.200", PORT), 2.0)
    assert lonip.write(REQUEST, 2.0) == (bytes.fromhex("007101140151"), (("10.73.200.200", PORT),))


def test_with_multicast_all_listen_at_one_port_whatever_port_they_send_from() -> None:
    # lon-stack-dx opens a socket for each datagram: it sends from any port, and hears at its own alone.
    lonip = LonIp(AddressMap(port=3000), own=HOME)
    for port in (40000, 40001):
        assert lonip.read(bytes.fromhex("00110151"), ("10.73.1.20", port), 0.0) is not None
        assert lonip.write(REQUEST, 0.0) == (bytes.fromhex("00110151"), (("10.73.1.20", 3000),))
    assert len(lonip._opened) == 1, "a fresh port is no fresh sender"


def test_without_multicast_a_node_is_reached_where_it_sends_from() -> None:
    lonip = LonIp(own=HOME, multicast=False)
    lonip.read(bytes.fromhex("011101140151"), ("10.73.200.200", 40000), 0.0)
    assert lonip.write(REQUEST, 0.0) == (bytes.fromhex("007101140151"), (("10.73.200.200", 40000),))


def test_a_node_that_moves_back_is_found_again() -> None:
    lonip = LonIp(own=HOME, multicast=False)
    datagram = bytes.fromhex("0111011401490151")[:4] + b"\x01\x51"
    for port in (1, 2, 1):
        lonip.read(datagram, ("10.73.200.200", port), 0.0)
        assert lonip.write(REQUEST, 0.0)[1] == (("10.73.200.200", port),)


def test_what_was_told_is_not_overwritten() -> None:
    lonip = LonIp(AddressMap({PEER: ("127.0.0.1", 3000)}), own=HOME)
    lonip.read(bytes.fromhex("00110151"), ("10.73.1.20", PORT), 0.0)
    lonip.read(announced(lonip_of("10.73.99.99")), ("10.73.99.99", PORT), 0.0)
    assert lonip.write(REQUEST, 1e9) == (bytes.fromhex("007101140151"), (("127.0.0.1", 3000),))


def lonip_of(ip: str) -> LonIp:
    return LonIp(own=ip)


def announced(sender: LonIp, place: tuple[bytes, int, int] = PEER) -> bytes:
    """A device's announcement as that carrier writes it."""
    return sender.write(announcement(place), 0.0)[0]


def test_a_device_announces_the_address_it_sends_from() -> None:
    lonip = LonIp(own=HOME)
    datagram = announced(lonip_of("10.73.99.99"))
    assert datagram.hex() == "0123011460" + "15"
    assert lonip.read(datagram, ("10.73.99.99", PORT), 0.0) is None
    assert lonip.write(REQUEST, 0.0)[1] == (("10.73.99.99", PORT),)


def subnets_announced(subnets: list[int], *, derived: bool) -> bytes:
    """A datagram of 1/1, a plain message, that says of these subnets whether their nodes have derived addresses."""
    word = bytearray(32)
    for subnet in subnets:
        word[subnet // 8] |= 0x80 >> subnet % 8
    return bytes.fromhex("0023") + AnnounceSubnets(set=int(derived), subnets=bytes(word)).encode()


def hear(stack: Stack, lonip: LonIp, datagram: bytes) -> None:
    """As a port does: what the carrier reads is for the node."""
    packet = lonip.read(datagram, ("10.73.1.1", PORT), 0.0)
    assert packet is not None
    stack.receive(packet, 0.0)


def node_on(lonip: LonIp, *, allowed: bool, state: int = NodeState.CONFIGURED) -> Stack:
    """A node at 1/10 of that carrier."""
    entry = domain_entry(b"\x49", 1, 10)
    found = Configuration(bytes(6), domains=[entry, DomainEntry()], state=NodeState(state))
    found.allow_management_writes = allowed
    stack = Stack(found)
    stack.management.on_carrier(lonip.addresses, None, 0)
    return stack


@pytest.mark.parametrize("who", [{"allowed": True}, {"allowed": False, "state": NodeState.UNCONFIGURED}])
def test_whole_subnets_are_announced_and_withdrawn(who: dict[str, Any]) -> None:
    lonip = LonIp(own=HOME)
    stack = node_on(lonip, **who)
    lonip.addresses.learn(PEER, ("192.0.2.7", PORT), False, 0.0)
    hear(stack, lonip, subnets_announced([1, 255], derived=True))
    assert lonip.write(REQUEST, 0.0) == (bytes.fromhex("00110151"), (("10.73.1.20", PORT),))
    assert lonip.addresses.find((b"\x49", 2, 20), 0.0) is None
    assert lonip.addresses.find((b"\x49", 255, 1), 0.0) is not None
    hear(stack, lonip, subnets_announced([1], derived=False))
    assert lonip.write(REQUEST, 0.0)[1] == (("239.192.0.1", PORT),)
    assert lonip.addresses.find((b"\x49", 255, 1), 0.0) is not None


def test_a_commissioned_node_takes_no_announcement_of_whole_subnets_from_anybody() -> None:
    lonip = LonIp(own=HOME)
    stack = node_on(lonip, allowed=False)
    lonip.addresses.learn(PEER, ("192.0.2.7", PORT), False, 0.0)
    hear(stack, lonip, subnets_announced([1, 255], derived=True))
    assert lonip.write(REQUEST, 0.0)[1] == (("192.0.2.7", PORT),)
    assert lonip.addresses.find((b"\x49", 255, 1), 0.0) is None
    assert stack.management.counters.forbidden == 1


def test_subnets_of_a_domain_without_derived_addresses_cannot_be_announced() -> None:
    with pytest.raises(BadValue):
        AddressMap().announce_subnets(b"STREET", [1], True)


def test_the_domains_with_announced_subnets_are_few() -> None:
    addresses = AddressMap()
    for domain in range(100):
        addresses.announce_subnets(bytes((domain,)), [1], True)
    assert addresses.find((b"\x00", 1, 1), 0.0) is None
    assert addresses.find((bytes((99,)), 1, 1), 0.0) is not None


def test_an_announcement_that_ends_too_early_is_refused() -> None:
    lonip = LonIp(own=HOME)
    stack = node_on(lonip, allowed=True)
    hear(stack, lonip, bytes.fromhex("002360160100"))
    assert stack.management.counters.malformed == 1


def test_a_node_not_heard_for_long_is_unknown_again() -> None:
    lonip = LonIp(AddressMap(age_s=60), own=HOME)
    lonip.read(bytes.fromhex("00110151"), ("10.73.1.20", PORT), 0.0)
    assert lonip.write(REQUEST, 60.0)[1] == (("10.73.1.20", PORT),)
    lonip.read(bytes.fromhex("00110151"), ("10.73.1.20", PORT), 60.0)
    assert lonip.write(REQUEST, 120.0)[1] == (("10.73.1.20", PORT),)
    assert lonip.write(REQUEST, 120.5)[1] == (("239.192.0.1", PORT),)
    assert len(lonip.addresses) == 0


def test_how_long_nodes_are_remembered_may_change_at_any_time() -> None:
    lonip = LonIp(AddressMap(age_s=0), own=HOME)
    lonip.read(bytes.fromhex("00110151"), ("10.73.1.20", PORT), 0.0)
    assert lonip.addresses.age_s == 0
    assert lonip.write(REQUEST, 1e6)[1] == (("10.73.1.20", PORT),)
    lonip.addresses.age_s = 60.0
    assert lonip.addresses.age_s == 60
    assert lonip.write(REQUEST, 1e6)[1] == (("239.192.0.1", PORT),)


def test_the_map_has_room_for_so_many_and_keeps_who_speaks() -> None:
    addresses = AddressMap(entries=10)
    for number in range(200):
        addresses.learn((b"\x49", 1, 1), ("10.73.1.1", PORT), True, float(number))
        addresses.learn((b"\x49", 2 + number, 1), (f"10.73.{2 + number}.1", PORT), True, float(number))
    assert len(addresses) == 10
    assert addresses.find((b"\x49", 1, 1), 200.0) is not None
    assert addresses.find((b"\x49", 2, 1), 200.0) is None


def test_who_made_room_is_asked_for_again() -> None:
    lonip = LonIp(AddressMap(entries=1), own=HOME)
    lonip.read(bytes.fromhex("00110151"), ("10.73.1.20", PORT), 0.0)
    lonip.write(REQUEST, 0.0)
    lonip.read(bytes.fromhex("00110151"), ("10.73.1.21", PORT), 0.0)
    assert lonip.write(REQUEST, 0.0)[1] == (("239.192.0.1", PORT),)
    lonip.read(bytes.fromhex("00110151"), ("10.73.1.20", PORT), 0.0)
    assert lonip.write(REQUEST, 0.0)[1] == (("10.73.1.20", PORT),)


def test_a_map_without_room_is_refused() -> None:
    with pytest.raises(ConfigError):
        AddressMap(entries=0)


def test_without_multicast_every_told_node_gets_a_copy() -> None:
    told = {
        (b"\x49", 1, 20): ("127.0.0.1", 1),
        (b"\x49", 1, 21): ("127.0.0.1", 1),
        (b"\x49", 2, 20): ("::1", 2),
        (b"\x4a", 1, 20): ("127.0.0.1", 3),
    }
    lonip = LonIp(AddressMap(told), multicast=False, listeners=[("127.0.0.1", 9)])
    whole, subnet = bytes.fromhex("0f11018a0049076100"), bytes.fromhex("0f11018a0149076100")
    assert lonip.write(packet_of(whole), 0.0)[1] == (("127.0.0.1", 1), ("::1", 2), ("127.0.0.1", 9))
    assert lonip.write(packet_of(subnet), 0.0)[1] == (("127.0.0.1", 1), ("127.0.0.1", 9))
    stranger = packet_of(bytes.fromhex("0119018a0196490151"))
    assert lonip.write(stranger, 0.0)[1] == (("127.0.0.1", 1), ("127.0.0.1", 9))


TO_NOWHERE = packet_of(bytes.fromhex("00190194008049" + "22" + "31"))
"""1/20 answers 0/0."""


def test_without_multicast_an_answer_to_nowhere_goes_where_the_question_came_from_alone() -> None:
    told = {(b"\x49", 1, 10): ("127.0.0.1", 1), (b"\x49", 1, 30): ("127.0.0.1", 2)}
    lonip = LonIp(AddressMap(told), own="127.0.0.1", multicast=False, listeners=[("127.0.0.1", 9)])
    every = (("127.0.0.1", 1), ("127.0.0.1", 2), ("127.0.0.1", 9))
    assert lonip.write(TO_NOWHERE, 0.0)[1] == every, "nobody without a place has been heard"
    question = LonIp(own="127.0.0.1").write(packet_of(bytes.fromhex("00190080" + "0194" + "49" + "0251")), 0.0)[0]
    for port in (40000, 40001, 40000):
        assert lonip.read(question, ("127.0.0.1", port), 0.0) is not None
        assert lonip.write(TO_NOWHERE, 0.0)[1] == (("127.0.0.1", port),)
    elsewhere = packet_of(bytes.fromhex("0019019400804a" + "22" + "31"))
    assert lonip.write(elsewhere, 0.0)[1] == (("127.0.0.1", 9),), "nobody was heard in that domain"


def test_with_multicast_an_answer_to_nowhere_goes_to_all_as_others_expect_it() -> None:
    lonip = LonIp(own=HOME)
    question = LonIp(own="10.73.9.9").write(packet_of(bytes.fromhex("00190080" + "0194" + "49" + "0251")), 0.0)[0]
    assert lonip.read(question, ("10.73.9.9", PORT), 0.0) is not None
    assert lonip.write(TO_NOWHERE, 0.0)[1] == (("239.192.0.0", PORT),)


def test_senders_without_a_place_are_few() -> None:
    lonip = LonIp(multicast=False, home=lambda: [PEER])
    for number in range(200):
        lpdu = bytes((0x00, 0x19, 0, 0x80, 1, 0x94, number, 0x02, 0x51))
        lonip.read(LonIp(own="127.0.0.1").write(packet_of(lpdu), 0.0)[0], ("127.0.0.1", 1024 + number), 0.0)
    assert len(lonip._nowhere) == 16


def test_a_datagram_for_this_ip_address_is_for_this_node() -> None:
    request = bytes.fromhex("00110151")
    packet = LonIp(own="", home=lambda: [(b"\x48", 9, 9), (b"\x49", 3, 4)]).read(request, (HOME, PORT), 0.0)
    assert packet is not None
    assert (packet.npdu.destination_subnet, packet.npdu.destination_node) == (3, 0x84)
    with pytest.raises(BadValue, match="says no place here"):
        LonIp(own="127.0.0.1").read(request, (HOME, PORT), 0.0)


def test_a_node_whose_place_changes_is_asked_at_every_datagram() -> None:
    places = [(b"\x49", 3, 4)]
    lonip = LonIp(home=lambda: places)
    for subnet in (3, 5):
        places[:] = [(b"\x49", subnet, 4)]
        packet = lonip.read(bytes.fromhex("00110151"), (HOME, PORT), 0.0)
        assert packet is not None
        assert packet.npdu.destination_subnet == subnet


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ("", Truncated),
        ("00", Truncated),
        ("0011", Truncated),
        ("0019", Truncated),
        ("0131", Truncated),
        ("0071011401"[:6], Truncated),
        ("2011015100", UnknownCode),
        ("f011015100", UnknownCode),
        ("0001015100", UnknownCode),
        ("0081015100", UnknownCode),
    ],
)
def test_what_cannot_be_read_is_refused(raw: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        LonIp(own="10.73.1.20").read(bytes.fromhex(raw), (HOME, PORT), 0.0)


def test_an_ip_address_that_says_no_place_needs_a_carried_source() -> None:
    lonip = LonIp(own="10.73.1.20")
    for ip in ("10.73.1.200", "fe80::1"):
        with pytest.raises(BadValue, match="no place follows"):
            lonip.read(bytes.fromhex("00110151"), (ip, PORT), 0.0)
    with pytest.raises(BadValue, match="no domain follows"):
        lonip.read(bytes.fromhex("0171010a01140151"), ("fe80::1", PORT), 0.0)


@pytest.mark.parametrize("version", [1, 3])
def test_versions_that_have_no_place_are_not_written(version: int) -> None:
    packet = packet_of(bytes.fromhex("0119018a0194490151"))
    packet.npdu.control = packet.npdu.control.with_(version=version)
    with pytest.raises(BadValue, match="cannot be said"):
        LonIp(own=HOME).write(packet, 0.0)


def test_remembered_headers_are_bounded() -> None:
    lonip = LonIp(AddressMap(entries=50), own="10.73.1.20", multicast=False)
    for number in range(17000):
        lonip.read(bytes.fromhex("0111010a0151"), (HOME, 1024 + number), 0.0)
    assert len(lonip._opened) == 16384


def test_sizes_of_headers_go_with_the_last_header_that_has_them() -> None:
    lonip = LonIp(AddressMap(entries=50), own="10.73.1.20", multicast=False)
    carried = bytes.fromhex("0171010a01140151")
    with_domain = bytes.fromhex("0171018a014901140151")
    for number in range(3):
        lonip.read(with_domain, (HOME, 1024 + number), 0.0)
    lonip.read(bytes.fromhex("00110151"), (HOME, PORT), 0.0)
    assert lonip._sizes == {b"\x01\x71": (8,), b"\x00\x11": (2,)}
    for number in range(16384):
        lonip.read(carried, (HOME, 2000 + number), 0.0)
    assert lonip._sizes == {b"\x01\x71": (6,)}
    assert lonip._sized == {(b"\x01\x71", 6): 16384}
    seen = lonip.read(with_domain, (HOME, 1024), 0.0)
    assert seen is not None
    assert seen.npdu.domain == b"\x49"


def test_headers_of_one_beginning_and_several_lengths_are_told_apart() -> None:
    sender = LonIp(own="127.0.0.1")
    receiver = LonIp(home=lambda: [(domain, 1, 20) for domain in (b"", b"\x49", b"OSG")])
    for _ in range(2):
        for code, domain in enumerate((b"", b"\x49", b"OSG")):
            lpdu = bytes((1, 0x18 | code, 1, 0x8A, 1, 0x94)) + domain + bytes.fromhex("0151")
            seen = receiver.read(sender.write(packet_of(lpdu), 0.0)[0], ("127.0.0.1", 4000), 0.0)
            assert seen is not None
            assert seen.lpdu() == lpdu


def test_formats_have_names() -> None:
    assert DatagramFormat(7) is DatagramFormat.EXPLICIT
