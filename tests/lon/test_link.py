"""Access to the channel: every row of the tables of spec/iso14908-1.md 1.4, one node at a time (crowds: tests/sim/test_wire.py)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.lon.crc import with_crc
from osgp.lon.csma import (
    A_BAND,
    COLLISION,
    PL20_A,
    PL20_C,
    TRANSITIONS,
    W_BASE,
    Activity,
    ChannelHistory,
    ChannelTiming,
    LinkState,
    Step,
)
from osgp.lon.entries import ConfigurationBlock
from osgp.lon.events import Dropped
from osgp.lon.link import MAX_COLLISIONS, MAX_FRAME, FrameReceived, Link
from osgp.lon.lpdu import MAX_BACKLOG
from osgp.wire.errors import ConfigError, LocalProtocolError

TIMING = ChannelTiming(beta1_rx_s=0.5, beta1_tx_s=0.75, beta2_s=0.125, packet_cycle_s=8.0, channel_priorities=4)
"""Binary fractions: sums are exact, so that tests can compare times with ==."""
PLAIN = ChannelTiming(0.5, 0.75, 0.125, 8.0)
FRAME = bytes.fromhex("0119018a0194490151")
QUIET_FRAME = b"\0" + FRAME[1:]


class Drawn(Random):
    """A source that draws what the test says and remembers the windows."""

    def __init__(self, *slots: int) -> None:
        super().__init__(0)
        self.slots = list(slots)
        self.windows: list[int] = []

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        assert stop is None
        self.windows.append(start)
        return self.slots.pop(0)


def link_of(*slots: int, timing: ChannelTiming = TIMING, node_priority: int = 0) -> Link:
    return Link(timing, Drawn(*slots) if slots else Random(1), node_priority=node_priority)


def heard(link: Link, start: float, end: float, delta: int | None = 1) -> None:
    link.activity(start)
    link.quiet(end, delta)


def raised(link: Link, to: int, now: float) -> float:
    """Bring the estimate to a value by one packet; the time at which it is over."""
    heard(link, now, now + 1, to)
    assert link.backlog(now + 1) == to
    return now + 1


# ---- times ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("timing", "beta2", "rx", "tx", "cycle", "slots"),
    [
        (PL20_C, 2.016, 4.911, 5.318, 67.81, 8),
        (PL20_A, 2.784, 6.097, 6.725, 96.88, 8),
        (A_BAND, 2.7832, 6.112, 6.733, 96.90, 0),
    ],
    ids=["PL-20C", "PL-20A", "A band"],
)
def test_presets_have_the_times_of_the_digests(
    timing: ChannelTiming, beta2: float, rx: float, tx: float, cycle: float, slots: int
) -> None:
    assert timing.beta2_s * 1e3 == pytest.approx(beta2, abs=5e-4)
    assert timing.beta1_rx_s * 1e3 == pytest.approx(rx, abs=5e-4)
    assert timing.beta1_tx_s * 1e3 == pytest.approx(tx, abs=5e-4)
    assert timing.packet_cycle_s * 1e3 == pytest.approx(cycle, abs=5e-3)
    assert timing.channel_priorities == slots


def test_a_block_gives_its_times_and_half_the_clock_doubles_them() -> None:
    block = ConfigurationBlock(channel_priorities=3)
    fast, slow = ChannelTiming.of_block(block), ChannelTiming.of_block(block, 5e6)
    assert fast.beta2_s == pytest.approx(PL20_C.beta2_s)
    assert fast.channel_priorities == 3
    assert slow.beta1_rx_s == pytest.approx(2 * fast.beta1_rx_s)


def test_padding_above_127_counts_in_longer_steps() -> None:
    short = ChannelTiming.of_block(ConfigurationBlock(receive_interpacket=127))
    long = ChannelTiming.of_block(ConfigurationBlock(receive_interpacket=128 + 100))
    assert long.beta1_rx_s - short.beta1_rx_s == pytest.approx((14500 - 41 * 127) * 0.6e-6)


def test_times_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="packet_cycle_s"):
        ChannelTiming.of_block(ConfigurationBlock(packet_cycle=0))
    with pytest.raises(ConfigError, match="priority slots"):
        ChannelTiming(1, 1, 1, 1, 128)
    with pytest.raises(ConfigError, match="beta2_s"):
        ChannelTiming(1, 1, float("nan"), 1)


# ---- states ---------------------------------------------------------------------------------------------------------
def idle() -> Link:
    return link_of(5, 5, 5, node_priority=2)


def busy() -> Link:
    link = idle()
    link.activity(1.0)
    return link


def beta1(*, frame: bool = False, priority: bool = False) -> Link:
    link = busy()
    if frame:
        link.submit(FRAME, 1.5, priority=priority)
    link.quiet(2.0, 1)
    return link


def priority(*, frame: bool = False) -> Link:
    link = beta1(frame=frame)
    link.wake(2.5)
    return link


def priority_wait() -> Link:
    link = beta1(frame=True, priority=True)
    link.wake(2.5)
    return link


def random() -> Link:
    link = idle()
    link.submit(FRAME, 1.0)
    return link


def sending() -> Link:
    link = random()
    assert link.outgoing(1.0 + 5 * 0.125) == with_crc(FRAME)
    return link


CAUSES: dict[tuple[LinkState, Step], tuple[Callable[[], Link], Callable[[Link], object]]] = {
    (LinkState.IDLE, Step.ACTIVITY): (idle, lambda link: link.activity(3.0)),
    (LinkState.IDLE, Step.SUBMITTED): (idle, lambda link: link.submit(FRAME, 3.0)),
    (LinkState.BUSY, Step.QUIET): (busy, lambda link: link.quiet(3.0, 0)),
    (LinkState.BETA1, Step.ACTIVITY): (beta1, lambda link: link.activity(2.25)),
    (LinkState.BETA1, Step.BETA1_OVER): (beta1, lambda link: link.wake(2.5)),
    (LinkState.BETA1, Step.PRIORITY_GRANTED): (
        lambda: beta1(frame=True, priority=True),
        lambda link: link.wake(2.5),
    ),
    (LinkState.PRIORITY_WAIT, Step.ACTIVITY): (priority_wait, lambda link: link.activity(2.55)),
    (LinkState.PRIORITY_WAIT, Step.OWN_SLOT): (priority_wait, lambda link: link.outgoing(2.5 + 0.125)),
    (LinkState.PRIORITY, Step.ACTIVITY): (priority, lambda link: link.activity(2.75)),
    (LinkState.PRIORITY, Step.SLOTS_OVER): (priority, lambda link: link.wake(3.0)),
    (LinkState.PRIORITY, Step.SLOTS_OVER_WAITING): (lambda: priority(frame=True), lambda link: link.wake(3.0)),
    (LinkState.RANDOM, Step.ACTIVITY): (random, lambda link: link.activity(1.25)),
    (LinkState.RANDOM, Step.OWN_SLOT): (random, lambda link: link.outgoing(1.625)),
    (LinkState.SENDING, Step.QUIET): (sending, lambda link: link.sent(4.0)),
}


def test_every_step_of_the_table_has_its_cause_here() -> None:
    assert set(CAUSES) == set(TRANSITIONS)


@pytest.mark.parametrize("pair", TRANSITIONS, ids=lambda pair: f"{pair[0].value}, {pair[1].value}")
def test_each_step_of_the_table_is_taken(pair: tuple[LinkState, Step]) -> None:
    make, cause = CAUSES[pair]
    link = make()
    assert link.state is pair[0]
    cause(link)
    assert link.state is TRANSITIONS[pair]


@pytest.mark.parametrize("make", [busy, sending], ids=["busy", "sending"])
def test_more_activity_moves_neither_a_busy_node_nor_one_that_sends(make: Callable[[], Link]) -> None:
    link = make()
    state = link.state
    link.activity(1.8)
    assert link.state is state
    if state is LinkState.SENDING:
        link.quiet(1.9, 5)
        link.receive(with_crc(FRAME), 1.9)
        assert link.state is state
        assert link.events() == [Dropped("a frame while sending", with_crc(FRAME))]
        assert link.backlog(1.9) == 0


def test_a_packet_heard_without_its_beginning_counts_like_any_other() -> None:
    link = idle()
    link.quiet(3.0, 4)
    assert (link.state, link.backlog(3.0)) == (LinkState.BETA1, 4)


def test_the_end_of_a_transmission_that_never_was_is_a_wrong_call() -> None:
    with pytest.raises(LocalProtocolError, match="no transmission"):
        idle().sent(1.0)
    with pytest.raises(LocalProtocolError, match="no transmission"):
        random().collided(1.0)


# ---- when to send ---------------------------------------------------------------------------------------------------
def test_a_frame_that_becomes_ready_in_idle_draws_at_once() -> None:
    link = link_of(7)
    link.submit(FRAME, 10.0)
    assert link.deadline() == 10.0 + 7 * TIMING.beta2_s
    assert link.outgoing(10.0 + 6.9 * TIMING.beta2_s) is None
    assert link.outgoing(10.0 + 7 * TIMING.beta2_s) == with_crc(FRAME)
    assert link.deadline() is None


@pytest.mark.parametrize(("timing", "slots"), [(TIMING, 4), (PLAIN, 0)], ids=["4 priority slots", "none"])
def test_after_a_packet_heard_one_waits_beta1_and_the_priority_slots(timing: ChannelTiming, slots: int) -> None:
    link = link_of(3, timing=timing)
    link.activity(1.0)
    link.submit(FRAME, 1.5)
    assert link.deadline() is None
    link.quiet(2.0, None)
    assert link.deadline() == 2.0 + 0.5
    link.wake(2.5)
    link.wake(2.5 + slots * 0.125)
    assert link.deadline() == 2.5 + (slots + 3) * 0.125


@pytest.mark.parametrize(("timing", "slots"), [(TIMING, 4 + W_BASE), (PLAIN, 0)], ids=["4 priority slots", "none"])
def test_after_a_packet_of_our_own_we_let_others_go_first(timing: ChannelTiming, slots: int) -> None:
    link = link_of(0, 3, timing=timing)
    link.submit(QUIET_FRAME, 1.0)
    link.submit(FRAME, 1.0)
    assert link.outgoing(1.0) == with_crc(QUIET_FRAME)
    link.sent(2.0)
    link.wake(2.75)
    link.wake(2.75 + slots * 0.125)
    assert link.deadline() == 2.75 + (slots + 3) * 0.125
    assert link.outgoing(2.75 + (slots + 3) * 0.125) == with_crc(FRAME)


def test_activity_before_our_slot_makes_us_draw_anew() -> None:
    link = link_of(9, 2)
    link.submit(FRAME, 0.0)
    heard(link, 0.5, 2.0, 1)
    link.wake(2.5)
    link.wake(3.0)
    assert link.deadline() == 3.0 + 2 * 0.125


@pytest.mark.parametrize("backlog", [0, 1, 5, 63])
def test_the_window_has_sixteen_slots_for_each_packet_expected_and_our_own(backlog: int) -> None:
    source = Drawn(0)
    link = Link(TIMING, source)
    heard(link, 0.0, 1.0, backlog)
    link.submit(FRAME, 1.0)
    link.wake(1.5)
    link.wake(2.0)
    assert source.windows == [(backlog + 1) * W_BASE]


@pytest.mark.parametrize("backlog", [1, 4, 20])
def test_the_mean_access_probability_is_one_in_the_window(backlog: int) -> None:
    source = Random(708)
    slots = []
    for _ in range(3000):
        link = Link(PLAIN, source)
        heard(link, 0.0, 1.0, backlog)
        link.submit(FRAME, 1.0)
        link.wake(1.5)
        due = link.deadline()
        assert due is not None
        slots.append(round((due - 1.5) / PLAIN.beta2_s))
    window = W_BASE * (backlog + 1)
    assert mean(slots) == pytest.approx((window - 1) / 2, rel=0.04)
    assert (min(slots), max(slots)) == (0, window - 1)
    assert sum(slot == 0 for slot in slots) / 3000 == pytest.approx(1 / window, rel=0.5)


# ---- priority -------------------------------------------------------------------------------------------------------
def contender(*, urgent: bool, node_priority: int, valid: bool, own: bool, collisions: int) -> Link:
    """A node at the end of beta1 with a frame to send."""
    link = link_of(*[0] * (collisions + 3), node_priority=node_priority)
    now = 0.0
    if own:
        link.submit(QUIET_FRAME, now)
        assert link.outgoing(now)
        link.submit(FRAME, now, priority=urgent)
        link.sent(now := now + 1)
        link.wake(now + TIMING.beta1_tx_s)
        return link
    link.submit(FRAME, now, priority=urgent)
    for _ in range(collisions):
        assert link.outgoing(now)
        link.collided(now := now + 1)
        link.wake(now := now + 20)
    heard(link, now, now + 1, 0 if valid else None)
    link.wake(now + 1 + TIMING.beta1_rx_s)
    return link


@pytest.mark.parametrize("collisions", [0, 1])
def test_a_priority_packet_waits_for_its_nodes_own_slot(collisions: int) -> None:
    link = contender(urgent=True, node_priority=3, valid=True, own=False, collisions=collisions)
    assert link.state is LinkState.PRIORITY_WAIT
    due = link.deadline()
    assert due is not None
    assert link.outgoing(due - 0.01) is None
    assert link.outgoing(due) == with_crc(FRAME)
    assert (due - TIMING.beta1_rx_s) % 1 == 2 * TIMING.beta2_s


@pytest.mark.parametrize(
    ("urgent", "node_priority", "valid", "own", "collisions"),
    [
        (False, 3, True, False, 0),
        (True, 0, True, False, 0),
        (True, 3, False, False, 0),
        (True, 3, True, True, 0),
        (True, 3, True, False, 2),
    ],
    ids=["not a priority packet", "no slot of its own", "bad CRC before", "own packet before", "two collisions"],
)
def test_without_one_of_the_conditions_it_competes_like_the_others(
    urgent: bool, node_priority: int, valid: bool, own: bool, collisions: int
) -> None:
    link = contender(urgent=urgent, node_priority=node_priority, valid=valid, own=own, collisions=collisions)
    assert link.state is LinkState.PRIORITY


def test_a_priority_packet_that_comes_after_beta1_competes_like_the_others() -> None:
    link = priority()
    link.submit(FRAME, 2.75, priority=True)
    link.wake(3.0)
    assert link.state is LinkState.RANDOM


def test_the_priority_class_goes_first_whatever_came_first() -> None:
    link = link_of(0, 0, 0, timing=PLAIN)
    for number, urgent in enumerate((False, False, True)):
        link.submit(bytes([urgent << 7, number]) + FRAME, 0.0, priority=urgent)
    now, order = 0.0, []
    while link.waiting:
        due = link.deadline()
        assert due is not None
        now = due
        link.wake(now)
        if frame := link.outgoing(now):
            order.append(frame[1])
            link.sent(now := now + 1)
    assert order == [2, 0, 1]


# ---- the estimate ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("delta", "before", "after"),
    [(1, 0, 1), (5, 3, 8), (0, 3, 2), (0, 0, 0), (63, 0, 63), (None, 3, 3), (COLLISION, 3, 4)],
)
def test_a_packet_heard_moves_the_estimate(delta: int | None, before: int, after: int) -> None:
    link = link_of()
    now = raised(link, before, 0.0) if before else 1.0
    heard(link, now, now + 0.25, delta)
    assert link.backlog(now + 0.25) == after


@pytest.mark.parametrize("delta", [None, COLLISION])
def test_a_collision_of_others_is_no_packet(delta: int | None) -> None:
    link = link_of()
    heard(link, 0.0, 1.0, 0)
    assert link.last_valid
    heard(link, 5.0, 5.25, delta)
    assert not link.last_valid
    assert link.statistics.transmission_errors == 1
    assert link.statistics.collisions == 0, "it is none of our own"


@pytest.mark.parametrize(("delta", "after"), [(0, 2), (4, 7)])
def test_a_packet_sent_moves_the_estimate(delta: int, after: int) -> None:
    link = link_of(0)
    now = raised(link, 3, 0.0)
    link.submit(bytes([delta]) + FRAME[1:], now)
    link.wake(now + 0.5)
    link.wake(now + 1.0)
    assert link.outgoing(now + 1.0)
    link.sent(now + 2.0)
    assert link.backlog(now + 2.0) == after


def test_a_collision_raises_the_estimate_by_one_whatever_the_header_says() -> None:
    link = link_of(0, 0)
    link.submit(b"\x3f" + FRAME[1:], 0.0)
    assert link.outgoing(0.0)
    link.collided(1.0)
    assert (link.backlog(1.0), link.waiting, link.statistics.collisions) == (1, 1, 1)


def test_sixteen_slots_of_waiting_lower_the_estimate_by_one() -> None:
    link = link_of(100)
    now = raised(link, 6, 0.0)
    link.submit(FRAME, now)
    link.wake(now + 0.5)
    link.wake(now + 1.0)
    at = [link.backlog(now + 1.0 + slots * 0.125) for slots in (0, 15, 16, 31, 32, 99)]
    assert at == [6, 6, 5, 5, 4, 0]
    assert link.outgoing(now + 1.0 + 100 * 0.125)
    assert link.backlog(now + 20.0) == 0


def test_waiting_that_is_broken_off_counts_as_far_as_it_went() -> None:
    link = link_of(100)
    now = raised(link, 6, 0.0)
    link.submit(FRAME, now)
    link.wake(now + 1.0)
    link.activity(now + 1.0 + 40 * 0.125)
    link.quiet(now + 10.0, None)
    assert link.backlog(now + 10.0) == 4


def test_each_packet_cycle_of_idle_time_lowers_the_estimate_by_one() -> None:
    link = link_of()
    now = raised(link, 3, 0.0) + 1.0  # beta1 and the priority slots
    assert [link.backlog(now + cycles * 8.0) for cycles in (0.99, 1.0, 2.0, 3.0, 50.0)] == [3, 2, 1, 0, 0]


def test_the_cycle_timer_pauses_outside_idle_and_begins_anew_after_a_valid_packet() -> None:
    paused, anew = link_of(), link_of()
    for link, delta, waited in ((paused, None, 2.0), (anew, 0, 8.0)):
        now = raised(link, 9, 0.0) + 1.0 + 6.0  # six of eight seconds of the cycle
        heard(link, now, now + 5.0, delta)
        before = link.backlog(now + 6.0)
        assert link.backlog(now + 6.0 + waited - 0.01) == before
        assert link.backlog(now + 6.0 + waited) == before - 1


def test_the_estimate_stops_at_its_limit_and_counts_the_overflow() -> None:
    link = link_of()
    now = raised(link, MAX_BACKLOG, 0.0)
    assert link.statistics.backlog_overflows == 0
    heard(link, now, now + 0.25, 1)
    assert link.backlog(now + 0.25) == MAX_BACKLOG
    assert link.statistics.backlog_overflows == 1


def test_a_frame_is_given_up_after_its_last_collision() -> None:
    link = Link(PLAIN, Random(3))
    link.submit(FRAME, 0.0)
    for number in range(1, MAX_COLLISIONS + 1):
        while not link.outgoing(now := link.deadline() or 0.0):
            link.wake(now)
        link.collided(now + 1)
        assert link.waiting == (number < MAX_COLLISIONS)
    assert link.events() == [Dropped("given up after 255 collisions", FRAME)]
    assert link.statistics.collisions == MAX_COLLISIONS


# ---- frames ---------------------------------------------------------------------------------------------------------
def test_a_whole_frame_is_handed_up_without_its_crc() -> None:
    link = link_of()
    link.activity(0.0)
    link.receive(with_crc(FRAME), 1.0)
    assert link.events() == [FrameReceived(FRAME)]
    assert link.events() == []
    assert link.backlog(1.0) == FRAME[0] & 63


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_dropped_and_the_machine_goes_on(data: bytes) -> None:
    link = link_of()
    link.receive(data, 1.0)
    (event,) = link.events()
    if isinstance(event, FrameReceived):
        assert with_crc(event.lpdu) == data
    else:
        assert link.statistics.transmission_errors == link.dropped == 1
    assert link.state is LinkState.BETA1


@given(st.integers(0, 8 * 11 - 1))
def test_a_flipped_bit_is_noticed(bit: int) -> None:
    link = link_of()
    damaged = bytearray(with_crc(FRAME))
    damaged[bit // 8] ^= 1 << bit % 8
    link.receive(bytes(damaged), 1.0)
    assert link.events() == [Dropped("wrong CRC", bytes(damaged))]


def test_frames_that_nobody_could_receive_are_not_queued() -> None:
    link = link_of()
    assert not link.submit(bytes(5), 0.0)
    assert link.submit(bytes(6), 0.0)
    assert not link.submit(bytes(MAX_FRAME - 1), 0.0)
    assert [type(event) for event in link.events()] == [Dropped, Dropped]
    assert (link.waiting, link.dropped) == (1, 2)


def test_a_full_queue_drops_what_comes_next_and_the_other_class_has_its_own() -> None:
    link = Link(TIMING, Random(1), capacity=2)
    assert [link.submit(FRAME, 0.0) for _ in range(3)] == [True, True, False]
    assert link.submit(FRAME, 0.0, priority=True)
    assert link.events() == [Dropped("the queue of the link is full", FRAME)]


# ---- catching up ----------------------------------------------------------------------------------------------------
def picture(link: Link, now: float) -> tuple[object, ...]:
    link.wake(now)
    names = ("state", "_since", "_carried_s", "_backlog", "_wait_s", "_priority_s", "last_valid", "cursor")
    return (*(getattr(link, name) for name in names), link.statistics.encode())


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 2500).map(lambda count: 2500 - count),
    stops=st.lists(st.integers(0, 2500), max_size=5).map(sorted),
    load=st.sampled_from((0.02, 0.3, 5.0)),
    deltas=st.sampled_from(
        ((None, 0, 0, 0, 0, 1), (None, 0, 0, 0, 1, 3, 15, 63), (None, 0, 1, 2), (None, COLLISION, 0, 2))
    ),
    timing=st.sampled_from((TIMING, PLAIN, A_BAND, PL20_C)),
)
def test_reading_up_gives_the_very_same_state_as_following(
    seed: int, count: int, stops: list[int], load: float, deltas: tuple[int | None, ...], timing: ChannelTiming
) -> None:
    """Times of every kind, estimates at both limits, transmissions of our own in between, forgotten halves of the history."""
    chance = Random(seed)
    history = ChannelHistory(timing, capacity=1024)
    lazy, eager = (Link(timing, Random(seed)) for _ in range(2))
    now = chance.random()
    for number in range(count):
        if history.full and lazy.cursor < history.middle:
            lazy.catch_up(history)
        if number in stops:  # both send a frame
            lazy.catch_up(history)
            for link in (lazy, eager):
                link.submit(FRAME, now)
                while not link.outgoing(begun := link.deadline() or 0.0):
                    link.wake(begun)
                link.sent(begun + 0.1)
            now = begun + 0.1
        now += chance.expovariate(1 / (timing.packet_cycle_s * load))
        delta = chance.choice(deltas)
        history.append(Activity(now, now + 0.25, delta))
        eager.backlog(now - 1e-3)  # looking and waking in between change nothing
        eager.wake(now)
        heard(eager, now, now + 0.25, delta)
        eager.cursor += 1
        now += 0.25
    lazy.catch_up(history)
    assert picture(lazy, now) == picture(eager, now)
    assert picture(lazy, now + 100) == picture(eager, now + 100)


def test_a_block_is_taken_as_one_by_those_alone_who_carry_the_same_part_of_a_packet_cycle() -> None:
    """After activity that was no packet the cycle timers of nodes differ, and so may what comes of the idle time behind it."""
    history = ChannelHistory(PLAIN)
    lazy, eager = link_of(timing=PLAIN), link_of(timing=PLAIN)
    for link in (lazy, eager):
        heard(link, 1.0, 3.0, 40)  # before what the history knows
    for number in range(40):
        activity = Activity(4.0 + 4 * number, 5.0 + 4 * number, None)
        history.append(activity)
        heard(eager, activity.start_s, activity.end_s, None)
        eager.cursor += 1
    lazy.catch_up(history)
    assert picture(lazy, 164.0) == picture(eager, 164.0)


def test_a_node_that_wants_to_send_has_nothing_to_read_up() -> None:
    history = ChannelHistory(TIMING)
    history.append(Activity(0.0, 1.0, 0))
    link = link_of()
    link.submit(FRAME, 0.0)
    with pytest.raises(LocalProtocolError, match="missed nothing"):
        link.catch_up(history)


def test_what_is_forgotten_cannot_be_read_up() -> None:
    history = ChannelHistory(TIMING, capacity=1024)
    for number in range(1025):
        history.append(Activity(number, number + 0.5, 0))
    assert (history.first, history.end) == (512, 1025)
    with pytest.raises(LocalProtocolError, match="is forgotten"):
        link_of().catch_up(history)


def test_a_history_is_in_order_and_in_whole_blocks() -> None:
    history = ChannelHistory(TIMING)
    history.append(Activity(0.0, 1.0, 0))
    with pytest.raises(LocalProtocolError, match="in order"):
        history.append(Activity(0.5, 2.0, 0))
    with pytest.raises(ConfigError, match="cannot be halved"):
        ChannelHistory(TIMING, capacity=512)
