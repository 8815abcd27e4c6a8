"""The collector as a supervisor, over living meters without a line and in virtual time: schedule, retries, resume, stop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from osgp.headend.collect import Collector, StepStored, VisitEnded, VisitRetried
from osgp.headend.plausibility import Flag
from osgp.headend.store import Store
from osgp.node.meter import Meter
from osgp.sim.clock import run_virtual
from osgp.tables.services import response_error
from osgp.wire.errors import NoAnswer
from tests.node.meters import START

from .doors import Door, Street, config, meter

DAY = 86400
BARE = {"every": 600.0, "profiles": (), "logs": ()}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.sqlite") as opened:
        yield opened


class World:
    """Meters, a collector, and a clock that a test may move on. Everything runs in virtual time from ``START`` on."""

    def __init__(self, store: Store, *names: str, model: str = "1ph", days: float = 1, **options: Any) -> None:
        self.store = store
        self.offset = 0.0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.meters = {name: meter(model, days=days) for name in names or ("a",)}
        self.street = Street({name: Door(one, self.wall) for name, one in self.meters.items()})
        self.config = config(self.meters, **options)
        self.events: list[Any] = []
        self.collector = self.another()

    def another(self) -> Collector:
        """A collector that remembers nothing, as after a restart."""
        self.collector = Collector(
            self.config, self.store, open_device=self.street.open, wall=self.wall, progress=self.events.append,
            rng=random.Random(4),
        )  # fmt: skip
        return self.collector

    def wall(self) -> float:
        """UTC seconds; also asked by the threads that write."""
        return START + self.offset + (self.loop.time() if self.loop is not None else 0.0)

    @property
    def door(self) -> Door:
        return self.street.doors["a"]

    @property
    def meter(self) -> Meter:
        return self.meters["a"]

    def once(self, after: float = 0.0) -> Any:
        """One round, that many seconds after the one before."""
        self.offset = max(self.offset, *(one.at - START for one in self.meters.values())) + after

        async def life() -> Any:
            self.loop = asyncio.get_running_loop()
            return await self.collector.run_once()

        self.loop = None
        return run_virtual(life())

    def forever(self, seconds: float, during: Callable[[asyncio.Event], Awaitable[None]] | None = None) -> None:
        """By schedule, for that long."""

        async def life() -> None:
            self.loop = asyncio.get_running_loop()
            stop = asyncio.Event()
            running = asyncio.ensure_future(self.collector.run_forever(stop))
            if during is not None:
                await during(stop)
            await asyncio.sleep(seconds)
            stop.set()
            await running

        run_virtual(life())

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def times(self) -> list[int]:
        """Ends of all stored intervals of the meter ``a``."""
        return self.store.profile("a").epochs()


def test_visits_follow_the_schedule(store: Store) -> None:
    world = World(store, collection=BARE)
    world.forever(1900)
    assert [round(time) for time in world.street.times("a")] == [0, 600, 1200, 1800]


def test_jitter_spreads_and_stays_within(store: Store) -> None:
    world = World(store, "a", "b", collection={**BARE, "jitter": 60.0})
    world.forever(3700)
    for name in ("a", "b"):
        assert all(0 <= time % 600 <= 60 for time in world.street.times(name))
    assert world.street.times("a") != world.street.times("b")


def test_retries_back_off_and_then_the_visit_has_failed(store: Store) -> None:
    world = World(store, retries=3, backoff=2.0)
    world.street.unreachable.add("a")
    assert world.once().outcomes == {"a": "failed"}
    retried = world.of(VisitRetried)
    assert [each.attempt for each in retried] == [2, 3, 4]
    for each, middle in zip(retried, (2, 4, 8)):
        assert middle / 2 <= each.pause_s <= middle * 1.5
    (visit,) = store.visits("a")
    assert (visit.outcome, visit.error) == ("failed", "nobody is there")


def test_a_busy_meter_is_asked_again_and_nothing_is_taken_for_absent(store: Store) -> None:
    world = World(store, collection=BARE)
    answers = iter([6, 7, 8])

    def busy(table: int, offset: int, count: int | None) -> None:
        if table == 23 and (code := next(answers, 0)):
            raise response_error(code)

    world.door.before = busy
    assert world.once().outcomes == {"a": "ok"}
    assert len(world.of(VisitRetried)) == 3
    assert {each.name for each in store.latest("a")} == {"serial_number", "fwd_active_energy", "voltage_l1"}


def test_what_failed_in_the_attempt_before_is_not_missing(store: Store) -> None:
    world = World(store, collection={"logs": ("BT26", "BT74"), "profiles": ()})
    answers = iter([response_error(3), NoAnswer("gone")])

    def once_bad(table: int, offset: int, count: int | None) -> None:
        if table in (26, 74) and (error := next(answers, None)) is not None:
            raise error

    world.door.before = once_bad
    assert world.once().outcomes == {"a": "ok"}
    assert store.visits("a")[0].error == ""


def test_after_failed_visits_the_pause_grows_up_to_the_longest_and_heals(store: Store) -> None:
    world = World(store, retries=0, longest_pause=3000.0, collection=BARE)
    world.street.unreachable.add("a")

    async def repaired(stop: asyncio.Event) -> None:
        await asyncio.sleep(13_500)
        world.street.unreachable.clear()

    world.forever(5000, repaired)
    pauses = [round(later - earlier, -1) for earlier, later in pairwise(world.street.times("a"))]
    assert pauses[:5] == [600, 1200, 2400, 3000, 3000]
    outcomes = [each.outcome for each in world.of(VisitEnded)]
    assert outcomes[:6] == ["failed"] * 6
    assert outcomes[-3:] == ["ok"] * 3
    assert pauses[-2:] == [600, 600]


def test_a_mistake_of_ours_in_one_visit_is_told_and_no_end(store: Store) -> None:
    world = World(store, "a", "good", retries=2, at_once=1)

    def mistake(table: int, offset: int, count: int | None) -> None:
        raise ZeroDivisionError("ours")

    world.door.before = mistake
    assert world.once().outcomes == {"a": "failed", "good": "ok"}
    assert store.visits("a")[0].error == "ZeroDivisionError: ours"


def test_a_crowded_line_leaves_room_for_others(store: Store) -> None:
    """Devices that wait for their line do not take the places of those read at once."""
    world = World(store, "a", "b", "c", "d", at_once=2, retries=0)
    *crowd, alone = world.config.device
    crowd = [one.model_copy(update={"address": "optical+tcp://gateway:7000"}) for one in crowd]
    world.config = world.config.model_copy(update={"device": (*crowd, alone)})
    world.another()
    assert world.once().errors == 0
    assert world.street.times("d") == [0.0]
    assert world.street.most_open == 2


def test_values_that_stand_still_are_found_however_often_they_are_read(store: Store) -> None:
    world = World(store, collection={**BARE, "every": 60.0, "measurements": ("voltage_l1",)})
    rules = world.config.rules.model_copy(update={"frozen": 7200.0})
    world.config = world.config.model_copy(update={"rules": rules})
    world.another()
    world.forever(2.5 * 3600)
    readings = store.readings("a", "voltage_l1")
    assert len(readings) > 140
    for each in readings:
        assert bool(each.flags & Flag.FROZEN) == (each.time - readings[0].time >= 7200), each


def test_bytes_that_did_not_change_are_stored_once(store: Store) -> None:
    world = World(store, collection={**BARE, "tables": ("BT01", "BT52")})
    for _ in range(4):
        world.once(900)
    assert [each.whole for each in store.raw("a", 1)] == [False, True]
    assert len(store.raw("a", 52)) == 4


def test_bytes_that_cannot_be_decoded_are_kept(store: Store) -> None:
    world = World(store, collection={"profiles": (), "logs": ("BT74",)})
    whole = world.door.read_part

    async def cut(table: int, offset: int, count: int) -> bytes:
        data = await whole(table, offset, count)
        return data[:3] if table == 74 else data

    world.door.read_part = cut  # type: ignore[method-assign]  # a meter that sends too little
    assert world.once().outcomes == {"a": "partial"}
    assert [len(each.content) for each in store.raw("a", 74)] == [3]


def test_a_profile_is_read_on_from_where_the_store_ends(store: Store) -> None:
    world = World(store, days=3)
    assert world.once().intervals == 3 * 96
    world.door.asked.clear()
    world.another()
    assert world.once(3600).intervals == 4
    asked = {table for table, _, _ in world.door.asked}
    assert sum(count or 0 for table, _, count in world.door.asked if table == 64) < 200, "only the new intervals"
    assert not {21, 61, 62} & asked, "dimensions are known, also after a restart"
    assert [b - a for a, b in pairwise(world.times())] == [900] * (3 * 96 + 3)


def test_a_gap_longer_than_a_visit_is_caught_up_piece_by_piece(store: Store) -> None:
    """Each visit is cut off in the middle; what was stored stays, the oldest first, and the next one goes on behind it."""
    world = World(store, days=30, retries=0, visit_timeout=9.0, collection={"logs": ()})
    world.door.seconds = 0.1
    world.door.before = lambda table, offset, count: asyncio.sleep((count or 0) / 4096) if table == 64 else None
    lengths, outcome = [0], "failed"
    while outcome == "failed":
        outcome = world.once(1).outcomes["a"]
        times = world.times()
        assert [b - a for a, b in pairwise(times)] == [900] * (len(times) - 1), "no hole, ever"
        assert len(times) > lengths[-1], "every visit gets further"
        lengths.append(len(times))
    assert outcome == "ok"
    assert len(lengths) > 3
    assert lengths[-1] >= 29 * 96


def test_a_clock_set_back_does_not_end_the_profile(store: Store) -> None:
    world = World(store)
    one = world.meter
    one.set_clock(one.at, one.at + 400 * DAY)
    one.advance(one.at + 7200)
    world.once()
    assert world.times()[-1] > START + 399 * DAY
    one.set_clock(one.at, one.at)
    one.advance(one.at + 7200)
    world.once()
    assert [time for time in world.times() if abs(time - one.at) < 4000]


def test_a_meter_that_lost_its_log_is_read_on(store: Store) -> None:
    world = World(store)
    world.once()
    before = set(world.times())
    fresh = meter(days=0, start=world.meter.at)
    world.meters["a"] = world.door.meter = fresh
    fresh.advance(fresh.at + 3600)
    assert world.once().outcomes == {"a": "ok"}
    assert before < set(world.times())
    assert len(world.times()) == len(before) + 4


def test_a_meter_that_was_off_and_is_back(store: Store) -> None:
    world = World(store)
    world.once()
    one = world.meter
    one.power_off(one.at + 100)
    one.power_on(one.at + 7200)
    assert world.once(3600).outcomes == {"a": "ok"}
    assert world.times() == sorted(set(world.times()))
    assert world.times()[-1] > one.at - 4500


def test_logs_are_read_on_too(store: Store) -> None:
    world = World(store, collection={"profiles": (), "logs": ("BT74",)})
    world.once()
    before = {each.sequence for each in store.events("a")}
    for number in range(20):
        world.meter.log("invalid_password", number)
    assert world.once(60).events == 20
    assert world.once(60).events == 0
    assert len({each.sequence for each in store.events("a")}) == len(before) + 20


def test_stop_ends_the_step_under_way_and_no_more(store: Store) -> None:
    world = World(store, "a", "idle", collection={"logs": ("BT74",)})

    async def in_the_middle(stop: asyncio.Event) -> None:
        reached = asyncio.Event()

        def slow(table: int, offset: int, count: int | None) -> Any:
            if table != 64:
                return None
            reached.set()
            return asyncio.sleep(20)

        world.door.before = slow
        await reached.wait()
        stop.set()

    world.forever(0.0, in_the_middle)
    (visit,) = store.visits("a")
    assert (visit.outcome, visit.error) == ("interrupted", "the collector was stopped")
    assert len(world.times()) == 96, "the step was ended"
    steps = [each.what for each in world.of(StepStored) if each.device == "a"]
    assert steps == ["registers", "profile 1"], "the next one was not begun"
