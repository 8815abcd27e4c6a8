"""Exchanges on a shared line: order, retries with the same bytes, numbers, doubt, routes, and how well the line is used."""

from __future__ import annotations

import pytest

from osgp.concentrator.accounts import AirtimeAccount, LineCosts
from osgp.concentrator.exchange import DIRECT, Exchange, OutcomeUnknown, Policy, Priority, Route
from osgp.concentrator.tasks import Cancelled
from osgp.lon.address import Broadcast
from osgp.lon.events import MessageReceived
from osgp.lon.proxy import Hop
from osgp.street.few import use_of_line
from osgp.wire.errors import BadDigest, NoAnswer, NoRoute, Replayed
from tests.concentrator.world import World
from tests.node.meters import make

READ = bytes.fromhex("3f0000000000000a")
WRITE = bytes.fromhex("400007000400000500")
OTHER = bytes.fromhex("300000")


def ask(world: World, number: int = 0, message: bytes = READ, priority: Priority = Priority.ON_DEMAND) -> Exchange:
    reads = message[0] in (0x30, 0x3F)
    found = world.asker.exchanges.ask(world.peers[number], message, priority, world.wire.now, reads=reads)
    world.asker.work(world.wire.now)
    world.wire.touch(world.port)
    return found


class Told:
    """Routes from a list, attempt by attempt, that note what they are told."""

    def __init__(self, ways: list[Route | None]) -> None:
        self.ways = ways
        self.told: list[tuple[str, int]] = []

    def route(self, device: int, attempt: int, now: float) -> Route | None:
        return self.ways[min(attempt, len(self.ways) - 1)]

    def answered(self, device: int, route: Route, attempts: int, now: float) -> None:
        self.told.append(("answered", route.legs))

    def failed(self, device: int, route: Route, leg: int, attempts: int, now: float) -> None:
        self.told.append(("failed", leg))


def run(world: World, *exchanges: Exchange) -> None:
    while not all(each.is_done for each in exchanges) and world.wire.step():
        pass


def test_a_read_is_answered_with_the_message_inside_the_security() -> None:
    world = World()
    exchange = ask(world)
    run(world, exchange)
    image = world.devices[0].meter.image.read(0)
    assert exchange.result() == b"\x00\x00\x0a" + image[:10]
    assert world.asker.exchanges.account.by_device[0].answered == 1


def test_the_more_urgent_class_goes_first_and_the_older_within_a_class() -> None:
    world = World(4)
    ended: list[int] = []
    first = ask(world, 0, priority=Priority.HOUSEKEEPING)
    rest = [
        ask(world, 1, priority=Priority.PROFILE),
        ask(world, 2, priority=Priority.PROFILE),
        ask(world, 3, priority=Priority.ALARM),
    ]
    for exchange in (first, *rest):
        exchange.when_done(lambda done: ended.append(done.peer.device))  # type: ignore[attr-defined]  # exchanges
    run(world, first, *rest)
    assert ended == [0, 3, 1, 2], "what is on its way is not called back"


def test_one_device_has_one_open_request_and_others_pass_it() -> None:
    world = World(2, policy=Policy(in_flight=2))
    world.asker.stack.transport.concurrent = 2
    one, two, other = ask(world, 0), ask(world, 0, OTHER), ask(world, 1)
    assert world.asker.exchanges.in_flight == 2
    assert not two.handle
    assert one.handle
    assert other.handle
    run(world, one, two, other)
    assert [each.error for each in (one, two, other)] == [None] * 3


def test_a_lost_answer_is_fetched_with_the_same_bytes_and_executed_once() -> None:
    world = World()
    world.wire.cut(world.ports[0], world.port, both=False)
    exchange = ask(world, message=WRITE)
    while world.ports[0].sent < 1:
        world.wire.step()
    world.wire.links.mend(world.ports[0], world.port)
    run(world, exchange)
    assert exchange.result() == b"\x00"
    assert exchange.attempts > 1
    assert len(world.sealers[0].sealed) == 1
    assert world.devices[0].executed == [WRITE]


def test_a_changed_message_takes_a_new_number() -> None:
    world = World()
    run(world, ask(world), ask(world, message=OTHER))
    assert world.sealers[0].sealed == [READ, OTHER]
    assert world.devices[0].last == 0x1002


def test_a_sequence_error_is_followed_by_the_same_message_under_the_next_number() -> None:
    world = World()
    world.devices[0].last = 0x2000
    exchange = ask(world)
    run(world, exchange)
    assert exchange.result()[0] == 0
    assert world.devices[0].last == 0x2001


def test_a_device_that_never_agrees_on_a_number_is_given_up() -> None:
    world = World()
    world.devices[0].last = 0xFFFFFFF0
    world.devices[0].answer = lambda apdu, now: b"\x16" + bytes(4) + bytes(8)  # type: ignore[method-assign]  # stubborn
    exchange = ask(world)
    run(world, exchange)
    assert isinstance(exchange.error, Replayed)


def test_a_sequence_error_to_the_repeat_of_a_write_leaves_its_outcome_unknown() -> None:
    world = World()
    device = world.devices[0]
    world.wire.cut(world.ports[0], world.port, both=False)
    exchange = ask(world, message=WRITE)
    while world.ports[0].sent < 1:
        world.wire.step()
    assert device.executed == [WRITE]
    device.stored = (b"", b"")  # the stored response is volatile: power failed
    device.stack.reset(world.wire.now)
    world.wire.links.mend(world.ports[0], world.port)
    run(world, exchange)
    assert isinstance(exchange.error, OutcomeUnknown)
    assert world.peers[0].doubt
    assert device.executed == [WRITE]


def test_after_a_write_was_given_up_a_read_is_answered_before_the_next_write() -> None:
    world = World()
    device = world.devices[0]
    device.silent = True
    first = ask(world, message=WRITE)
    run(world, first)
    assert isinstance(first.error, OutcomeUnknown)
    device.silent = False
    second = ask(world, message=WRITE[:-1] + b"\x07")
    run(world, second)
    assert second.result() == b"\x00"
    assert [message[0] for message in device.executed] == [0x3F, 0x40]
    assert not world.peers[0].doubt


def test_a_device_in_doubt_that_answers_no_read_gets_no_write() -> None:
    world = World()
    device = world.devices[0]
    device.silent = True
    run(world, ask(world, message=WRITE))
    second = ask(world, message=WRITE[:-1] + b"\x07")
    run(world, second)
    assert isinstance(second.error, NoAnswer)
    assert not isinstance(second.error, OutcomeUnknown), "it was never sent"
    assert len(world.sealers[0].sealed) == 2, "the first write and the probe"


def test_a_silent_device_is_given_up_after_the_tries_of_the_policy() -> None:
    world = World(policy=Policy(tries=3, retry=1))
    world.devices[0].silent = True
    exchange = ask(world)
    run(world, exchange)
    assert isinstance(exchange.error, NoAnswer)
    assert exchange.error.attempts == 6
    assert "0 at 1/1" in str(exchange.error)


def test_an_answer_that_cannot_be_trusted_is_asked_for_again_with_the_same_bytes() -> None:
    world = World()
    world.sealers[0].spoil = 1
    exchange = ask(world)
    run(world, exchange)
    assert exchange.result()[0] == 0
    assert len(world.sealers[0].sealed) == 1
    world.sealers[0].spoil = 9
    bad = ask(world)
    run(world, bad)
    assert isinstance(bad.error, BadDigest)
    assert world.sealers[0].given_up == 1


def test_without_a_way_nothing_is_sent() -> None:
    world = World()
    world.asker.exchanges.routes = Told([None])
    exchange = ask(world)
    run(world, exchange)
    assert isinstance(exchange.error, NoRoute)
    assert world.port.sent == 0


def test_through_repeaters_the_answer_is_the_same_and_a_broken_leg_is_named() -> None:
    world = World(repeaters=2)
    routes = world.asker.exchanges.routes = Told([world.routes.by_device[0]])
    exchange = ask(world)
    run(world, exchange)
    assert exchange.result()[0] == 0
    world.wire.cut(world.repeaters[0], world.repeaters[1])
    broken = ask(world, message=OTHER)
    run(world, broken)
    assert isinstance(broken.error, NoAnswer)
    assert routes.told == [("answered", 3), ("failed", 1), ("failed", 1)]


def test_another_way_is_tried_with_the_same_bytes() -> None:
    world = World(repeaters=1)
    world.asker.exchanges.routes = Told([Route((Hop(1, 99),)), DIRECT])
    exchange = ask(world)
    run(world, exchange)
    assert exchange.result()[0] == 0
    assert len(world.sealers[0].sealed) == 1


def test_what_nobody_waits_for_any_more_is_not_sent() -> None:
    world = World()

    async def visit() -> None:
        await world.asker.exchanges.ask(world.peers[0], OTHER, Priority.BILLING, 0.0, reads=True)

    first = ask(world)
    task = world.asker.tasks.start(visit(), 0.0)
    world.asker.work(0.0)
    assert world.asker.exchanges.waiting()["billing"] == 1
    task.cancel()
    run(world, first)
    world.wire.run(10.0)
    assert isinstance(task.error, Cancelled)
    assert world.devices[0].executed == [READ]


def test_patient_classes_wait_for_the_airtime_budget_and_urgent_ones_do_not() -> None:
    world = World(account=AirtimeAccount(share=0.25, window_s=8.0))

    async def visit(priority: Priority, count: int) -> float:
        start = world.wire.now
        for _ in range(count):
            await world.asker.exchanges.ask(world.peers[0], READ, priority, world.wire.now, reads=True)
        return world.wire.now - start

    patient = world.do(visit(Priority.PROFILE, 60))
    account = world.asker.exchanges.account
    assert account.total.airtime_s <= 0.25 * (patient + 8.0) + 1.0
    assert account.total.airtime_s >= 0.25 * patient
    urgent = world.do(visit(Priority.ALARM, 60))
    assert urgent < patient / 3


def test_a_broadcast_wants_no_answer_and_costs_its_airtime() -> None:
    world = World(2)
    heard: list[int] = []
    for port, device in zip(world.ports, world.devices):

        def note(port, events, now, device=device):  # type: ignore[no-untyped-def]
            heard.extend(device.node for each in events if isinstance(each, MessageReceived))

        port.on_events = note
    told = world.asker.exchanges.tell(Broadcast(), b"\x12" + bytes(30), Priority.ON_DEMAND, 0.0)
    world.asker.work(0.0)
    world.wire.touch(world.port)
    world.wire.run(2.0)
    assert told.result() == b""
    assert heard == [1, 2]
    assert world.asker.exchanges.account.by_class["broadcast"].airtime_s > 0.1


@pytest.mark.parametrize(("backlog", "announced"), [(0, 0), (None, 1), (5, 5)])
def test_requests_announce_what_the_policy_says(backlog: int | None, announced: int) -> None:
    world = World(policy=Policy(backlog=backlog))
    spoken: list[int] = []
    world.wire.tap(lambda now, port, lpdu: spoken.append(lpdu[0] & 0x3F))
    run(world, ask(world))
    assert spoken == [announced, 0]


@pytest.mark.parametrize(("repeaters", "least"), [(0, 0.97), (2, 0.95)])
def test_a_line_without_losses_is_kept_busy(repeaters: int, least: float) -> None:
    """Against the mean back-off capacity of ``spec/perf-anchors.md`` section 8."""
    world = World(3, repeaters=repeaters, seed=5)
    bound, took = use_of_line(world, exchanges=100, legs=repeaters + 1)
    assert bound / took >= least


def test_a_line_that_loses_a_tenth_of_all_frames_is_kept_busy() -> None:
    world = World(3, loss=0.1, seed=5)
    bound, took = use_of_line(world, exchanges=150, legs=1)
    assert bound / took >= 0.9 * 0.9**2


def test_times_of_exchanges_are_those_of_the_anchors() -> None:
    costs = LineCosts(domain_bytes=6)
    for request, response, legs, reads_per_hour in (
        (16, 36, 1, 10_700),
        (16, 36, 3, 3_440),
        (21, 96, 1, 6_720),
        (21, 96, 3, 2_190),
        (21, 47, 1, 9_330),
        (21, 47, 3, 3_020),
    ):
        assert 3600 / costs.exchange_s(request, response, legs) == pytest.approx(reads_per_hour, rel=0.005)


def test_the_meter_model_of_these_tests_answers() -> None:
    assert make("1ph").image.read(0)


def test_alarms_that_overfill_the_line_leave_billing_and_profile_their_share() -> None:
    """One exchange of billing begins before the alarms; then one after every eight of them, by turns."""
    account = AirtimeAccount(share=0.0, window_s=0.0)
    world = World(4, account=account)
    patient = {each: [ask(world, 2, priority=each) for _ in range(4)] for each in (Priority.BILLING, Priority.PROFILE)}
    urgent = [ask(world, place % 2, priority=Priority.ALARM) for place in range(45)]
    run(world, *urgent)
    done = {each: sum(one.is_done for one in some) for each, some in patient.items()}
    assert done == {Priority.BILLING: 1 + 3, Priority.PROFILE: 2}


def test_a_budget_that_is_used_up_by_patient_work_is_not_overdrawn_for_its_share() -> None:
    account = AirtimeAccount(share=0.0, window_s=0.0)
    world = World(2, account=account)
    account.book("profile", 0, 1.0, 0.0)
    waiting = [ask(world, place % 2, priority=Priority.PROFILE) for place in range(20)]
    world.wire.run(600.0)
    assert not any(each.is_done for each in waiting)
