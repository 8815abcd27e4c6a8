"""Routers: what goes on to which side, what is learnt, and the commands by which a router is managed."""

from __future__ import annotations

import dataclasses
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import NodeState
from osgp.lon.nm_router import RouterKind
from osgp.lon.npdu import AddressFormat, NetworkControl, NodeByte, Npdu, domain_code
from osgp.lon.packet import Packet, packet_of
from osgp.lon.router import ForwardingTable, Router, RouterSide
from osgp.wire.errors import ConfigError, DecodeError

CONFIGURED, LEARNING, BRIDGE, REPEATER = RouterKind
SERVICE_PIN = packet_of(bytes.fromhex("00300080007f0700000000a14f53475044455631"))


def side(*places: tuple[bytes, int], number: int = 1) -> RouterSide:
    """A half with node number 120 + ``number`` in each (domain, subnet)."""
    configuration = Configuration(bytes((7, 0, 0, 0, 0, number)))
    for index, (domain, subnet) in enumerate(places):
        configuration.join(index, domain_entry(domain, subnet, 120 + number))
    return RouterSide(configuration)


def two_sided(kind: int = CONFIGURED, domain: bytes = b"\x49") -> Router:
    return Router(kind, (side((domain, 1)), side((domain, 2), number=2)))


def marked(kind: int = CONFIGURED) -> Router:
    """Subnet 1 on side 0, subnet 2 on side 1, as an installer marks it; group 5 is on both."""
    router = two_sided(kind)
    for number, other in ((0, 2), (1, 1)):
        router.sides[number].subnets[0].mark(other, True, permanent=True)
        router.sides[number].groups[0].mark(5, True, permanent=True)
    return router


def heard(lpdu: str) -> Packet:
    return packet_of(bytes.fromhex(lpdu))


def out(router: Router, lpdu: str, from_side: int) -> list[tuple[int, str]]:
    return [(number, packet.lpdu().hex()) for number, packet in router.forward(heard(lpdu), from_side, 0.0)]


def test_what_is_for_a_marked_subnet_goes_on_unchanged() -> None:
    assert out(marked(), "0119018a0294490151", 0) == [(1, "0119018a0294490151")]


def test_what_is_for_a_subnet_on_its_own_side_stays_there() -> None:
    router = marked()
    assert out(router, "0119018a0194490151", 0) == []
    assert router.counters.filtered == 1


def test_nothing_goes_back_to_the_side_it_came_from() -> None:
    assert [number for number, _ in out(marked(), "0119028a0194490151", 1)] == [0]


def test_priority_path_and_backlog_are_those_of_the_packet() -> None:
    for header in range(256):
        ((_, frame),) = out(marked(), f"{header:02x}19018a0294490151", 0)
        assert frame[:2] == f"{header:02x}"


def test_the_answer_of_a_group_member_goes_by_its_destination_subnet() -> None:
    assert len(out(marked(), "00090217018a05034920", 1)) == 1
    assert out(marked(), "00090117018a05034920", 0) == []


def test_groups_go_by_the_table_of_groups() -> None:
    assert len(out(marked(), "0305018a0549003a01", 0)) == 1
    assert out(marked(), "0305018a0649003a01", 0) == []


def test_a_broadcast_to_the_domain_always_goes_on_one_to_a_subnet_by_the_table() -> None:
    assert len(out(marked(), "0301018a0049163a77", 0)) == 1
    assert len(out(marked(), "0f11018a0249076100", 0)) == 1
    assert out(marked(), "0f11018a0149076100", 0) == []


def test_a_unique_id_goes_by_its_subnet_and_everywhere_without_one() -> None:
    assert len(out(marked(), "011d018a000700000000b249056101", 0)) == 1
    assert len(out(marked(), "011d018a020700000000b249056101", 0)) == 1
    assert out(marked(), "011d018a010700000000b249056101", 0) == []


def test_other_domains_are_not_ours() -> None:
    router = marked()
    assert out(router, "0119018a0294500151", 0) == []
    assert out(router, "0118018a029401", 0) == []
    assert router.counters.foreign == 2


def test_a_sender_without_a_subnet_gets_that_of_the_half_that_heard_it() -> None:
    assert out(marked(), "0119008a0294490151", 0) == [(1, "0119018a0294490151")]
    assert out(marked(), "0119008a0194490151", 1) == [(0, "0119028a0194490151")]


@pytest.mark.parametrize("kind", [CONFIGURED, LEARNING, BRIDGE])
def test_a_service_pin_is_broadcast_in_every_domain_of_the_router(kind: int) -> None:
    router = Router(kind, (side((b"\x49", 1), (b"OSG", 9)), side((b"OSG", 3), (b"\x49", 2), number=2)))
    copies = router.forward(SERVICE_PIN, 0, 0.0)
    assert [(number, packet.lpdu().hex()) for number, packet in copies] == [
        (1, "003101800049" + "7f0700000000a14f53475044455631"),
        (1, "00320980004f5347" + "7f0700000000a14f53475044455631"),
    ]
    assert SERVICE_PIN.lpdu().hex().startswith("0030008000")


def test_a_broadcast_in_the_zero_length_domain_is_domain_wide_in_the_copies() -> None:
    copies = marked().forward(heard("003000800249"), 0, 0.0)
    assert [packet.npdu.destination_subnet for _, packet in copies] == [0]


def test_a_sender_with_a_subnet_in_the_zero_length_domain_is_treated_as_in_any_other() -> None:
    assert out(marked(), "0030018a0049", 0) == []
    router = two_sided(domain=b"")
    assert out(router, "0030018a0049", 0) == [(1, "0030018a0049")]


def test_a_repeater_forwards_everything_as_it_came() -> None:
    router = Router(REPEATER, (side((b"\x49", 1)), side((b"\x50", 2), number=2), side((b"", 3), number=3)))
    for lpdu in ("0119018a0194990151", "003000800049", "011b018a01941122334455660051"):
        assert out(router, lpdu, 1) == [(0, lpdu), (2, lpdu)]


def test_a_bridge_forwards_everything_of_its_own_domains() -> None:
    router = two_sided(BRIDGE)
    assert len(out(router, "0119018a0194490151", 0)) == 1
    assert len(out(router, "0305018a0649003a01", 0)) == 1
    assert out(router, "0119018a0194500151", 0) == []


def test_a_side_that_is_no_member_of_the_domain_sends_nothing_there() -> None:
    router = Router(BRIDGE, (side((b"\x49", 1)), side((b"\x50", 2), number=2), side((b"\x49", 3), number=3)))
    assert [number for number, _ in out(router, "0119018a0194490151", 0)] == [2]


@pytest.mark.parametrize("kind", list(RouterKind))
def test_a_packet_with_nothing_enclosed_is_discarded(kind: int) -> None:
    router = marked(kind)
    assert out(router, "0019018a029449", 0) == []
    assert router.counters.empty == 1


@pytest.mark.parametrize("kind", list(RouterKind))
@pytest.mark.parametrize("why", ["soft offline", "hard offline", "unconfigured"])
def test_a_router_with_a_half_offline_forwards_nothing(kind: int, why: str) -> None:
    router = marked(kind)
    half = router.sides[1].configuration
    if why == "soft offline":
        half.soft_offline = True
    else:
        half.state = NodeState.HARD_OFFLINE if why == "hard offline" else NodeState.UNCONFIGURED
    assert out(router, "0119018a0294490151", 0) == []
    assert router.counters.offline == 1


def test_a_learning_router_floods_until_it_has_heard_a_subnet() -> None:
    router = two_sided(LEARNING)
    assert len(out(router, "0119018a0394490151", 0)) == 1
    assert out(router, "0119038a0194490151", 0) == []  # 1 has spoken there; now 3 has, too
    assert out(router, "0119018a0394490151", 0) == []
    assert len(out(router, "0119028a0394490151", 1)) == 1


def test_a_learning_router_says_when_it_last_heard_a_subnet() -> None:
    router = two_sided(LEARNING)
    router.forward(heard("0119018a0394490151"), 0, 1.5)
    router.forward(heard("0119018a0394490151"), 0, 9.5)
    assert router.sides[0].heard == {(0, 1): 9.5}
    router.reset()
    assert router.sides[0].heard == {}


def test_a_learning_router_forwards_groups() -> None:
    assert len(out(two_sided(LEARNING), "0305018a0649003a01", 0)) == 1


def test_a_subnet_heard_on_both_sides_is_counted_and_cut_off() -> None:
    router = two_sided(LEARNING)
    out(router, "0119038a0194490151", 0)
    out(router, "0119038a0294490151", 1)
    assert router.counters.partitions == 1
    assert out(router, "0119048a0394490151", 0) == []
    assert out(router, "0119058a0394490151", 1) == []


def test_a_packet_whose_source_lives_on_the_other_side_is_not_sent_there() -> None:
    router = marked()
    assert out(router, "0301028a0049163a77", 0) == []
    assert router.counters.returned == 1


def test_of_three_sides_the_one_with_the_subnet_is_chosen() -> None:
    router = Router(CONFIGURED, [side((b"\x49", number + 1), number=number) for number in range(3)])
    for number in range(3):
        for subnet in range(1, 5):
            router.sides[number].subnets[0].mark(subnet, subnet != number + 1, permanent=True)
    assert [number for number, _ in out(router, "0119018a0394490151", 0)] == [2]
    assert [number for number, _ in out(router, "0119018a0494490151", 0)] == [1, 2]
    assert [number for number, _ in out(router, "0301018a0049163a77", 0)] == [1, 2]


def test_a_router_needs_a_kind_and_two_sides() -> None:
    with pytest.raises(ConfigError):
        Router(4, (side(), side()))
    with pytest.raises(ConfigError):
        Router(CONFIGURED, (side(),))


# Loops


def run_loop(routers: list[Router], frames: list[tuple[int, str]], most: int = 100) -> list[int]:
    """Routers beside each other between lines 0 and 1; each line is heard by all of them. Frames on each line until silence."""
    lines = deque((line, heard(frame), -1) for line, frame in frames)
    seen = [0, 0]
    while lines:
        line, packet, sender = lines.popleft()
        seen[line] += 1
        assert sum(seen) <= most, "they go round and round"
        for number, router in enumerate(routers):
            if number != sender:
                lines.extend((there, copy, number) for there, copy in router.forward(packet, line, 0.0))
    return seen


@pytest.mark.parametrize("kind", [CONFIGURED, LEARNING])
def test_two_routers_beside_each_other_double_a_broadcast_and_no_more(kind: int) -> None:
    assert run_loop([marked(kind), marked(kind)], [(0, "0301018a0049163a77"), (1, "0301028a0049163a77")]) == [3, 3]


def test_two_repeaters_beside_each_other_are_a_loop() -> None:
    with pytest.raises(AssertionError, match="round and round"):
        run_loop([two_sided(REPEATER), two_sided(REPEATER)], [(0, "0301018a0049163a77")])


# Against a naive reading of the rules

DOMAINS = (b"", b"\x49", b"OSG", b"\x11\x22\x33\x44\x55\x66")
small = st.integers(0, 4)


@dataclasses.dataclass
class Frame:
    from_side: int
    domain: bytes
    address_format: int
    source: int
    destination: int
    answers: bool
    empty: bool

    def packet(self, header: int) -> Packet:
        group_answer = self.address_format == AddressFormat.SUBNET_NODE and self.answers
        multicast = self.address_format == AddressFormat.MULTICAST
        npdu = Npdu(
            control=NetworkControl(
                domain_length=domain_code(self.domain), address_format=self.address_format, pdu_type=3
            ),
            source_subnet=self.source,
            source_node=NodeByte(10 if group_answer else 0x80 | 10),
            destination_subnet=None if multicast else self.destination,
            destination_node=NodeByte(0x94) if self.address_format == AddressFormat.SUBNET_NODE else None,
            group=self.destination if multicast or group_answer else None,
            member=3 if group_answer else None,
            unique_node_id=bytes(6) if self.address_format == AddressFormat.UNIQUE_NODE_ID else None,
            domain=self.domain,
            pdu=b"" if self.empty else b"\x01\x02",
        )
        return packet_of(bytes((header,)) + npdu.encode())


frames = st.builds(
    Frame, st.integers(0, 2), st.sampled_from(DOMAINS), st.integers(0, 3), small, small, st.booleans(), st.booleans()
)
places = st.lists(st.tuples(st.sampled_from(DOMAINS), st.integers(1, 4)), max_size=2, unique_by=lambda place: place[0])
tables = st.dictionaries(st.sampled_from(DOMAINS), st.tuples(st.sets(small), st.sets(small)))


class NaiveRouter:
    """The rules, sentence by sentence, over sets: ``marks[side][domain]`` holds the subnets and groups forwarded from there."""

    def __init__(
        self, kind: int, memberships: list[dict[bytes, int]], marks: list[dict[bytes, tuple[set[int], set[int]]]]
    ):
        self.kind = kind
        self.memberships = memberships
        everything = (set(range(1, 256)), set(range(256)))
        self.marks = [
            {
                domain: tuple(map(set, everything))
                if kind == LEARNING
                else (marks[number].get(domain, (set(), set()))[0] - {0}, marks[number].get(domain, (set(), set()))[1])
                for domain in member
            }
            for number, member in enumerate(memberships)
        ]

    def forward(self, frame: Frame) -> list[tuple[int, bytes, int, int | None]]:
        """(side, domain, source subnet, destination subnet or None where it is a group), for each frame that goes out."""
        sides = [number for number in range(len(self.memberships)) if number != frame.from_side]
        here = self.memberships[frame.from_side]
        multicast = frame.address_format == AddressFormat.MULTICAST
        destination = None if multicast else frame.destination
        if frame.empty or not all(self.memberships):
            return []
        if self.kind == REPEATER:
            return [(number, frame.domain, frame.source, destination) for number in sides]
        if frame.domain == b"" and frame.source == 0 and frame.address_format == AddressFormat.BROADCAST:
            return [
                (number, domain, own, 0)
                for domain, own in here.items()
                for number in sides
                if domain in self.memberships[number]
            ]
        sides = [number for number in sides if frame.domain in self.memberships[number]]
        if frame.domain not in here or not sides:
            return []
        source = frame.source or here[frame.domain]
        if self.kind == BRIDGE:
            return [(number, frame.domain, source, destination) for number in sides]
        subnets, groups = self.marks[frame.from_side][frame.domain]

        def elsewhere(number: int, subnet: int) -> bool:
            return subnet in self.marks[number][frame.domain][0]

        if multicast:
            chosen = sides if frame.destination in groups else []
        elif frame.destination == 0:
            chosen = sides
        else:
            chosen = sides if frame.destination in subnets else []
            chosen = [number for number in chosen if not elsewhere(number, frame.destination)] or chosen
        if source in subnets:
            chosen = [number for number in chosen if elsewhere(number, source)]
        if self.kind == LEARNING:
            subnets.discard(source)
        return [(number, frame.domain, source, destination) for number in chosen]


@given(
    st.sampled_from(list(RouterKind)),
    st.lists(places, min_size=2, max_size=3),
    st.lists(tables, min_size=3, max_size=3),
    st.lists(frames, max_size=8),
    st.integers(0, 255),
)
def test_a_router_follows_the_rules_read_naively(
    kind: int,
    memberships: list[list[tuple[bytes, int]]],
    marks: list[dict[bytes, tuple[set[int], set[int]]]],
    traffic: list[Frame],
    header: int,
) -> None:
    router = Router(kind, [side(*each, number=number) for number, each in enumerate(memberships)])
    for half, marked_here in zip(router.sides, marks, strict=False):
        for domain, (subnets, groups) in marked_here.items():
            place = half.membership(domain)
            if place is not None and kind != LEARNING:
                for number in subnets:
                    half.subnets[place.domain_index].mark(number, True, permanent=True)
                for number in groups:
                    half.groups[place.domain_index].mark(number, True, permanent=True)
    naive = NaiveRouter(kind, [dict(each) for each in memberships], marks)
    for frame in traffic:
        frame.from_side %= len(memberships)
        packet = frame.packet(header)
        before = packet.lpdu()
        copies = router.forward(packet, frame.from_side, 0.0)
        assert packet.lpdu() == before
        assert len(copies) <= (len(memberships) - 1) * max(1, len(memberships[frame.from_side]))
        assert all(number != frame.from_side for number, _ in copies)
        found = []
        for number, copy in copies:
            again = packet_of(copy.lpdu())
            assert again.npdu == copy.npdu
            assert (again.header, again.npdu.pdu) == (header, b"\x01\x02")
            found.append((number, again.npdu.domain, again.npdu.source_subnet, again.npdu.destination_subnet))
        assert sorted(found, key=repr) == sorted(naive.forward(frame), key=repr)


# Tables


@given(st.booleans(), st.lists(st.tuples(st.integers(0, 255), st.booleans(), st.booleans()), max_size=20))
def test_a_table_is_two_sets_of_numbers(subnets: bool, changes: list[tuple[int, bool, bool]]) -> None:
    table = ForwardingTable(subnets=subnets)
    now: set[int] = set()
    ever: set[int] = set()
    for number, forward, permanent in changes:
        table.mark(number, forward, permanent=permanent)
        for model in (now, ever) if permanent else (now,):
            (model.add if forward and not (subnets and number == 0) else model.discard)(number)
        assert table.forwards(number) == (number in now)
    for permanent, model in ((False, now), (True, ever)):
        raw = b"".join(table.block(block, permanent=permanent) for block in range(4))
        assert {number for number in range(256) if raw[number // 8] >> number % 8 & 1} == model
    table.reset(flood=False)
    assert {number for number in range(256) if table.forwards(number)} == ever
    table.reset(flood=True)
    assert {number for number in range(256) if not table.forwards(number)} == ({0} if subnets else set())


# Commands


def ask(router: Router, apdu: str, half: int = 0) -> str | None:
    answer = router.serve(bytes.fromhex(apdu), half)
    return None if answer is None else answer.hex()


def test_the_status_says_kind_and_mode() -> None:
    router = two_sided(LEARNING)
    assert ask(router, "7c") == "3c0100"
    assert ask(router, "7402") == "34"
    assert ask(router, "7c") == "3c0102"


def test_a_temporary_bridge_forwards_everything_of_its_domains_until_told_otherwise() -> None:
    router = two_sided()
    assert out(router, "0119018a0294490151", 0) == []
    assert ask(router, "7402", 1) == "34"
    assert len(out(router, "0119018a0294490151", 0)) == 1
    assert out(router, "0119018a0294500151", 0) == []
    assert ask(router, "7400") == "34"
    assert out(router, "0119018a0294490151", 0) == []


def test_a_reset_ends_the_temporary_bridge() -> None:
    router = two_sided()
    ask(router, "7402")
    router.reset()
    assert ask(router, "7c") == "3c0000"


def test_a_mode_that_nobody_knows_is_refused() -> None:
    assert ask(two_sided(), "7403") == "14"


def test_initialising_forgets_what_is_only_for_now_on_all_sides() -> None:
    router = two_sided()
    assert ask(router, "780002", 0) == "38"
    assert ask(router, "780101", 1) == "38"
    assert len(out(router, "0119018a0294490151", 0)) == 1
    assert ask(router, "7401", 1) == "34"
    assert out(router, "0119018a0294490151", 0) == []
    assert len(out(router, "0119028a0194490151", 1)) == 1


def test_initialising_makes_a_learning_router_flood_again() -> None:
    router = two_sided(LEARNING)
    out(router, "0119018a0394490151", 0)
    assert out(router, "0119028a0194490151", 0) == []
    ask(router, "7401")
    assert len(out(router, "0119028a0194490151", 0)) == 1


def test_subnets_and_groups_are_marked_and_unmarked_one_by_one() -> None:
    router = two_sided()
    for apdu, answer in (("780103", "38"), ("770105", "37"), ("784104", "38")):
        assert ask(router, apdu) == answer
    assert ask(router, "7b00") == "3b" + "08" + "00" * 7
    assert ask(router, "7ba0") == "3b" + "20" + "00" * 7
    assert ask(router, "7b40") == "3b" + "10" + "00" * 7
    assert ask(router, "7a0003") == "3a"
    assert ask(router, "7b00") == "3b" + "00" * 8
    assert ask(router, "7b20") == "3b" + "08" + "00" * 7
    assert ask(router, "790105") == "39"
    assert ask(router, "7ba0") == "3b" + "00" * 8


def test_blocks_are_downloaded_read_and_cleared() -> None:
    router = two_sided()
    assert ask(router, "7603" + "ff" * 8) == "36"
    assert ask(router, "7680" + "0102030405060708") == "36"
    assert ask(router, "7b03") == ask(router, "7b23") == "3b" + "ff" * 8
    assert ask(router, "7b80") == "3b" + "0102030405060708"
    assert ask(router, "7b00", 1) == "3b" + "00" * 8
    assert ask(router, "7503") == "35"
    assert ask(router, "7b23") == "3b" + "00" * 8


def test_subnet_0_is_never_marked() -> None:
    router = two_sided()
    assert ask(router, "780100") == "18"
    assert ask(router, "7600" + "ff" * 8) == "36"
    assert ask(router, "7b00") == "3bfe" + "ff" * 7
    assert ask(router, "770100") == "37"


def test_the_escape_hands_a_command_to_the_other_half() -> None:
    router = two_sided()
    assert ask(router, "7e780103", 0) == "38"
    assert ask(router, "7b00", 0) == "3b" + "00" * 8
    assert ask(router, "7e7b00", 0) == ask(router, "7b00", 1) == "3b" + "08" + "00" * 7


def test_the_escape_hands_other_commands_to_the_management_of_the_other_half() -> None:
    router = Router(CONFIGURED, (side((b"\x49", 1)), side((b"\x49", 2), number=2)))
    assert ask(router, "7e51") == "1e"
    router.sides[1].manage = lambda apdu: b"\x31" + apdu
    assert ask(router, "7e51") == "3151"
    assert ask(router, "7e51", 1) == "1e"
    router.sides[0].manage = lambda apdu: None
    assert ask(router, "7e6101", 1) is None


@pytest.mark.parametrize("apdu", ["7e", "7e7e51", "7e7e"])
def test_an_escape_of_nothing_or_of_an_escape_is_refused(apdu: str) -> None:
    router = two_sided()
    for half in router.sides:
        half.manage = lambda apdu: apdu
    assert ask(router, apdu) == "1e"


def test_with_three_sides_there_is_no_other_half() -> None:
    router = Router(CONFIGURED, [side((b"\x49", number + 1), number=number) for number in range(3)])
    assert ask(router, "7e7c") == "1e"


@pytest.mark.parametrize("apdu", ["", "51", "73", "7d0101", "7f", "80ff", "00"])
def test_what_is_no_routers_command_is_left_to_others(apdu: str) -> None:
    assert ask(two_sided(), apdu) is None


@pytest.mark.parametrize("code", range(0x74, 0x7D))
def test_a_command_that_is_too_short_or_too_long_is_refused(code: int) -> None:
    router = two_sided()
    fitting = {0x74: 1, 0x75: 1, 0x76: 9, 0x7B: 1, 0x7C: 0}.get(code, 2)
    for length in range(12):
        answer = router.serve(bytes((code, *[0x01] * length)))
        assert answer is not None
        assert answer[0] == (0x20 if length == fitting else 0) | code & 0x1F


@given(st.binary(max_size=12), st.integers(0, 1))
def test_any_bytes_get_an_answer_or_none(apdu: bytes, half: int) -> None:
    router = two_sided()
    answer = router.serve(apdu, half)
    assert (answer is None) == (not apdu or not 0x74 <= apdu[0] <= 0x7E or apdu[0] == 0x7D)


@given(st.binary(min_size=8, max_size=30))
def test_any_frame_is_forwarded_or_kept_and_no_more_than_once(raw: bytes) -> None:
    for kind in RouterKind:
        router = marked(kind)
        try:
            packet = packet_of(raw)
        except DecodeError:
            return
        copies = router.forward(packet, 0, 0.0)
        assert len(copies) <= 1
        assert packet.lpdu() == raw
