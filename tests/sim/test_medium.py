"""The medium: who hears whom and how well; capture, hidden nodes, two carriers, half duplex; what a frame costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.address import Broadcast, SubnetNode
from osgp.lon.csma import A_BAND, PL20_A, ChannelTiming, LinkState
from osgp.lon.events import ResponseReceived, TransactionCompleted
from osgp.lon.transport import Options
from osgp.plc.params import OSGP
from osgp.sim.medium import FrameMedium, Levels, line_levels, speed_of
from osgp.sim.medium_channel import MediumChannel
from osgp.sim.per import Curve, Curves, Point
from osgp.sim.wire import Port, Wire
from osgp.sim.wire_channel import A_BAND_SPEED
from osgp.wire.errors import ConfigError
from tests.sim.test_wire import Drawn, Toy, drawing, frame, responding, stack_of, state_of

POINTS = (Point(0.0, 10_000, 10_000), Point(4.0, 10_000, 1000), Point(6.0, 10_000, 10), Point(8.0, 10_000, 0))
CURVES = Curves([Curve("Q", carrier, 18, POINTS) for carrier in ("primary", "secondary")])
DEAF = -math.inf
SECONDARY = 0x40


def table(count: int, level_db: float, **special: float) -> list[list[float]]:
    """``level_db`` between all; ``ab=3.0`` is how b hears a."""
    rows = [[level_db] * count for _ in range(count)]
    for pair, level in special.items():
        rows[ord(pair[0]) - 97][ord(pair[1]) - 97] = level
    return rows


def levels(primary: list[list[float]], secondary: list[list[float]] | None = None) -> Levels:
    return Levels((primary, secondary or primary), ("Q",) * len(primary))


def world(given: Levels, **more: Any) -> tuple[Wire, list[Port], list[Toy]]:
    wire = Wire(random=Random(5), medium=FrameMedium(given, CURVES, seed=9), **more)
    toys = [Toy(node + 1) for node in range(given.size)]
    return wire, [wire.join(toy) for toy in toys], toys


def share_heard(given: Levels, count: int = 400, *, header: int = 0) -> float:
    """How many of the first node's frames come to the second."""
    wire, ports, toys = world(given)
    for number in range(count):
        wire.send(ports[0], frame(1, SubnetNode(1, 2), number, header=header))
        wire.run(wire.now + 1)
    return len(toys[1].heard) / count


# ---- alone on the line ----------------------------------------------------------------------------------------------
def test_a_packet_takes_the_airtime_of_the_profile() -> None:
    assert speed_of(OSGP).airtime_s(20) == pytest.approx(OSGP.airtime_s(18))
    assert speed_of(OSGP).airtime_s(20) == pytest.approx(A_BAND_SPEED.airtime_s(20))
    wire, ports, toys = world(line_levels(2))
    drawing(ports[0], 5)
    wire.send(ports[0], frame(1, SubnetNode(1, 2)))
    wire.run(1.0)
    assert [when for when, _ in toys[1].heard] == pytest.approx([5 * A_BAND.beta2_s + OSGP.airtime_s(9)])


@pytest.mark.parametrize("ec_n0_db", [3.0, 4.0, 5.0])
def test_packets_come_through_as_often_as_the_curve_says(ec_n0_db: float) -> None:
    expected = 1 - CURVES.per("Q", False, ec_n0_db, 9)
    spread = 3 * math.sqrt(expected * (1 - expected) / 400)
    assert share_heard(levels(table(2, ec_n0_db))) == pytest.approx(expected, abs=spread)


def test_a_link_may_be_good_in_one_direction_only_and_each_carrier_has_its_own() -> None:
    one_way = levels(table(2, 30.0, ab=DEAF))
    assert share_heard(one_way, 20) == 0.0
    assert share_heard(levels(table(2, 30.0, ba=DEAF)), 20) == 1.0
    two = levels(table(2, DEAF), table(2, 30.0))
    assert share_heard(two, 20) == 0.0
    assert share_heard(two, 20, header=SECONDARY) == 1.0


def test_what_is_too_weak_to_be_sensed_is_neither_heard_nor_waited_for() -> None:
    wire, ports, toys = world(line_levels(2, first_db=-1.0))
    drawing(ports[0], 0)
    drawing(ports[1], 4)
    for port in ports:
        wire.send(port, frame(port.number + 1, SubnetNode(1, 2 - port.number)))
    wire.run(0.03)
    assert [port.link.state for port in ports if port.link] == [LinkState.SENDING] * 2
    wire.run(1.0)
    assert (toys[0].heard, toys[1].heard, ports[1].lost) == ([], [], 0)


def test_lost_packets_are_counted_and_bring_no_delta_backlog() -> None:
    wire, ports, _ = world(levels(table(3, 30.0, ab=0.5)))
    drawing(ports[0], 0)
    wire.send(ports[0], frame(1, Broadcast(), header=9))
    wire.run(0.08)
    assert wire.channel is not None
    for port in ports[1:]:
        wire.channel.settle(port)
    b, c = (port.link for port in ports[1:])
    assert b is not None
    assert c is not None
    assert (ports[1].lost, ports[2].lost) == (1, 0)
    assert (b.backlog(wire.now), c.backlog(wire.now)) == (0, 9)
    assert (b.statistics.transmission_errors, c.statistics.transmission_errors) == (1, 0)


# ---- two at once ----------------------------------------------------------------------------------------------------
def met(given: Levels, *, header: int = 0, other_header: int = 0, slots: tuple[int, int] = (0, 8)) -> list[list[int]]:
    """a and b send to c, b so many slots later; a and b do not hear each other unless levels say so. Who heard whom."""
    wire, ports, toys = world(given, collision_detection=False)
    for port, slot, own in zip(ports, slots, (header, other_header)):
        drawing(port, slot, 0, 0)
        wire.send(port, frame(port.number + 1, Broadcast(), port.number, header=own))
    wire.run(2.0)
    return [[lpdu[-1] for _, lpdu in toy.heard] for toy in toys]


HIDDEN = {"ab": DEAF, "ba": DEAF}


def test_equally_strong_packets_that_meet_are_both_lost() -> None:
    assert met(levels(table(3, 30.0, **HIDDEN)))[2] == []


@pytest.mark.parametrize(("first_db", "second_db", "heard"), [(45.0, 30.0, [0]), (30.0, 45.0, [1])])
def test_the_stronger_of_two_is_captured_whichever_came_first(
    first_db: float, second_db: float, heard: list[int]
) -> None:
    assert met(levels(table(3, 30.0, **HIDDEN, ac=first_db, bc=second_db)))[2] == heard


def test_each_receiver_has_its_own_opinion_of_who_met() -> None:
    four = levels(table(4, 30.0, **HIDDEN, bd=DEAF))
    assert met(four)[2:] == [[], [0]]


def test_one_below_the_noise_still_disturbs_a_weak_packet() -> None:
    weak = levels(table(3, 30.0, **HIDDEN, ac=6.0, bc=-0.5))
    heard = 0
    for seed in range(200):
        wire = Wire(random=Random(1), medium=FrameMedium(weak, CURVES, seed=seed), collision_detection=False)
        toys = [Toy(node + 1) for node in range(3)]
        for port, slot in zip([wire.join(toy) for toy in toys], (0, 1)):
            drawing(port, slot)
            wire.send(port, frame(port.number + 1, Broadcast(), port.number))
        wire.run(1.0)
        assert len(toys[2].heard) <= 1
        heard += len(toys[2].heard)
    sinr_db = 6.0 - 10 * math.log10(1 + 10**-0.05)
    expected = 200 * (1 - CURVES.per("Q", False, sinr_db, 9))
    assert heard == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected / 200)) + 10)
    assert heard < 190


def test_packets_on_different_carriers_do_not_disturb_each_other() -> None:
    assert sorted(met(levels(table(3, 30.0, **HIDDEN)), other_header=SECONDARY)[2]) == [0, 1]


def test_access_waits_for_both_carriers() -> None:
    wire, ports, toys = world(levels(table(3, 30.0)))
    drawing(ports[0], 0)
    drawing(ports[1], 3, 0)
    wire.send(ports[0], frame(1, Broadcast(), header=SECONDARY))
    wire.send(ports[1], frame(2, Broadcast()))
    wire.run(2.0)
    first, second = (when for when, _ in toys[2].heard)
    assert second - first == pytest.approx(A_BAND.beta1_rx_s + OSGP.airtime_s(8))


def test_who_sends_hears_nothing_on_either_carrier() -> None:
    for other in (0, SECONDARY):
        a, b, c = met(levels(table(3, 30.0)), slots=(0, 1), other_header=other)
        assert (a, b) == ([1], [0])  # b heard a's carrier and waited
        a, b, c = met(levels(table(3, 30.0)), slots=(0, 0), other_header=other)
        assert (a, b) == ([], [])
        assert sorted(c) == ([0, 1] if other else [])


def test_senders_that_hear_each_other_in_the_preamble_break_off_and_come_through_later() -> None:
    wire, ports, toys = world(levels(table(3, 30.0)))
    for port, later in zip(ports, (5, 9)):
        drawing(port, 0, later, 0)
        wire.send(port, frame(port.number + 1, Broadcast(), port.number))
    wire.run(3.0)
    assert [port.collisions for port in ports] == [1, 1, 0]
    assert [lpdu[-1] for _, lpdu in toys[2].heard] == [0, 1]


# ---- nothing that was not heard costs anything ----------------------------------------------------------------------
def test_a_frame_touches_nobody_out_of_earshot(monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(crowd: int) -> tuple[int, int]:
        near = 12
        rows = [[DEAF] * crowd for _ in range(crowd)]
        for area in range(0, crowd, near):
            for a in range(area, area + near):
                rows[a][area : area + near] = [30.0] * near
        wire = Wire(random=Random(3), medium=FrameMedium(levels(rows), CURVES, seed=1))
        ports = [wire.join(Toy(1 + node % near, domain=bytes([node // near]))) for node in range(crowd)]
        channel = wire.channel
        assert isinstance(channel, MediumChannel)
        asked: Counter[int] = Counter()
        whole = wire.medium.whole  # type: ignore[union-attr]  # it has one

        def counting(transmission: Any, receiver: int) -> bool:
            asked[receiver] += 1
            return whole(transmission, receiver)

        monkeypatch.setattr(wire.medium, "whole", counting)
        taken = 0
        for number in range(20):
            wire.send(ports[0], frame(1, SubnetNode(1, 2), number, domain="00"))
            taken += wire.run(wire.now + 1)
        for port in ports:
            channel.settle(port)
        assert set(asked) == set(range(1, near))
        return taken, sum(asked.values())

    assert steps(240) == steps(12)


# ---- reading up -----------------------------------------------------------------------------------------------------
class Sticky(set[int]):
    """Contenders who never leave: every node follows every transmission."""

    def discard(self, number: int) -> None:
        pass


@given(
    seed=st.integers(0, 2**32),
    timing=st.sampled_from((A_BAND, PL20_A)),
    load=st.sampled_from((0.3, 2.0, 6.0)),
    detection=st.booleans(),
)
def test_who_reads_up_later_is_where_he_would_be_had_he_followed(
    seed: int, timing: ChannelTiming, load: float, detection: bool
) -> None:
    """Weak and one-way links, both carriers, levels that change, nodes that begin to send in the middle of a packet."""

    def world_of(eager: bool) -> tuple[list[tuple[object, ...]], list[tuple[float, bytes]]]:
        chance = Random(seed)

        def drawn() -> Levels:
            pick = (DEAF, DEAF, -4.0, 2.0, 4.0, 12.0, 30.0)
            tables = [[[chance.choice(pick) for _ in range(8)] for _ in range(8)] for _ in range(2)]
            return levels(*tables)

        medium = FrameMedium(drawn(), CURVES, seed=seed)
        wire = Wire(random=Random(seed), access=timing, medium=medium, collision_detection=detection)
        channel = wire.channel
        assert isinstance(channel, MediumChannel)
        ports = [wire.join(Toy(node)) for node in range(1, 9)]
        if eager:
            channel._contending = Sticky(range(8))
        seen: list[tuple[float, bytes]] = []
        wire.tap(lambda now, _sender, lpdu: seen.append((now, lpdu)))
        for number in range(50):
            for _ in range(chance.choice((1, 1, 3))):
                sender = chance.choice(ports[: chance.choice((3, 8))])
                header = chance.choice((0, 0, 1, 9, SECONDARY))
                wire.send(sender, frame(sender.number + 1, Broadcast(), number, header=header))
                wire.run(wire.now + chance.expovariate(20))
            if number % 20 == 7:
                medium.levels = drawn()
            wire.run(wire.now + chance.expovariate(load * 10))
        wire.run(wire.now + 30)
        for port in ports:
            channel.settle(port)
        return [state_of(port, wire.now)[:-4] + state_of(port, wire.now)[-3:] for port in ports], seen

    assert world_of(eager=False) == world_of(eager=True)


def test_what_is_kept_for_silent_listeners_is_bounded() -> None:
    wire, ports, _ = world(line_levels(4))
    channel = wire.channel
    assert isinstance(channel, MediumChannel)
    assert ports[0].link is not None
    ports[0].link._random = Drawn([0] * 2000)
    for number in range(1200):
        wire.send(ports[0], frame(1, SubnetNode(1, 2), number))
        wire.run(wire.now + 0.2)
    assert all(len(log) < 600 for log in channel._logs)
    assert all(not arriving for arriving in channel._arriving)


# ---- wrong use ------------------------------------------------------------------------------------------------------
def test_a_medium_has_only_so_many_places() -> None:
    wire, _, _ = world(line_levels(2))
    with pytest.raises(ConfigError, match="2 places"):
        wire.join(Toy(9))


def test_levels_that_are_no_square_or_no_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="rows"):
        Levels(([[1.0]], [[1.0]]), ("Q", "Q"))
    with pytest.raises(ConfigError, match="no number"):
        Levels(([[math.nan]], [[1.0]]), ("Q",))
    medium = FrameMedium(line_levels(2), CURVES, seed=1)
    with pytest.raises(ConfigError, match="2 nodes"):
        medium.levels = line_levels(3)


def test_a_wire_over_a_medium_takes_no_faults_of_its_own() -> None:
    wire, ports, _ = world(line_levels(2))
    with pytest.raises(ConfigError, match="no links of its own"):
        wire.cut(ports[0], ports[1])


# ---- real stacks ----------------------------------------------------------------------------------------------------
def test_stacks_ask_and_answer_and_the_last_attempts_take_the_other_carrier() -> None:
    """The primary carrier is dead between the two: the standard's last two transmissions bring it through."""
    wire = Wire(random=Random(2), medium=FrameMedium(levels(table(2, 2.0, ab=DEAF), table(2, 30.0)), CURVES, seed=4))
    a, b = stack_of(1), stack_of(2)
    ports = [wire.join(a), wire.join(b, on_events=responding)]
    carriers: list[bool] = []
    wire.tap(lambda _now, sender, lpdu: carriers.append(bool(lpdu[0] & SECONDARY)) if sender is ports[0] else None)
    wire.run(3.0)
    a.request(SubnetNode(1, 2), b"\x05", wire.now, Options(retry=3, timer_s=0.5))
    wire.touch(ports[0])
    wire.run(20.0)
    found: Sequence[Any] = a.events()
    assert [type(event) for event in found] == [ResponseReceived, TransactionCompleted]
    assert carriers == [False, False, True]
