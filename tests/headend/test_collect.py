"""The collector against living meters in the same process: what it stores, how it goes on, and what it survives.

The meters are simulated; the test turns their clock. Doors have tests of their own; one test here goes through a real one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osgp.headend.collect import (
    Collector,
    StepStored,
    VisitEnded,
    VisitRetried,
    VisitStarted,
    next_pause,
    open_configured,
)
from osgp.headend.config import CollectConfig, Collection, DeviceConfig, RuleConfig
from osgp.headend.plausibility import Flag
from osgp.headend.store import Store
from osgp.node.device import Device
from osgp.ports.serve import Server
from osgp.sim.device import SimulatedDevice
from osgp.tables.et.et04 import ET04
from osgp.tables.image import ImageTables
from osgp.tables.profile import Profile
from osgp.wire import layout_of
from osgp.wire.errors import ConfigError, NoAnswer, PortClosed, StoreError

BEGIN = datetime(2026, 3, 10, 12, 7, tzinfo=UTC).timestamp()
QUARTER = 900


class World:
    """Meters by name, and one clock for all. Reading takes no time."""

    def __init__(self, *names: str, history: float = 1.0, model: str = "1ph") -> None:
        self.now = 1.0
        self.meters = {
            name: SimulatedDevice(model, seed=3, index=index, start=datetime.fromtimestamp(BEGIN, UTC), history=history)
            for index, name in enumerate(names)
        }
        self.opened: list[str] = []
        self.reads: list[tuple[str, int, int, int]] = []
        self.trouble: Callable[[str, int], None] = lambda name, table: None
        self.refuse: Callable[[str], None] = lambda name: None
        self.pass_time(0)

    def wall(self) -> float:
        return BEGIN + self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for meter in self.meters.values():
            meter.advance(self.now)

    @asynccontextmanager
    async def open(self, device: DeviceConfig, dimensions: dict[int, bytes]) -> AsyncIterator[Device]:
        self.opened.append(device.name)
        self.refuse(device.name)
        await asyncio.sleep(0)
        yield Device(Living(self, device.name), name=device.name, dimensions=dimensions)

    def bytes_of(self, table: int) -> int:
        """Bytes that were read of a table since the last call."""
        total = sum(count for _, number, _, count in self.reads if number == table)
        self.reads = [each for each in self.reads if each[1] != table]
        return total


class Living(ImageTables):
    """A meter's image that is brought up to date before it answers."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.meter = world.meters[name].meter
        super().__init__(self.meter.image)

    async def read(self, table: int) -> bytes:
        self.world.trouble(self.name, table)
        self.meter.views.refresh(table)
        data = await super().read(table)
        self.world.reads.append((self.name, table, 0, len(data)))
        return data

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        self.world.trouble(self.name, table)
        self.meter.views.refresh(table)
        self.world.reads.append((self.name, table, offset, count))
        return await super().read_part(table, offset, count)


def configured(*names: str, addresses: Sequence[str] = (), **settings: Any) -> CollectConfig:
    places = list(addresses) or [f"image:{name}" for name in names]
    collection = settings.pop("collection", Collection(every=900.0))
    return CollectConfig(
        backoff=0,
        collection=collection,
        device=tuple(DeviceConfig(name=name, address=place) for name, place in zip(names, places)),
        **settings,
    )


class Bench:
    """A world, a store and a collector, and what the collector said."""

    def __init__(self, world: World, store: Store, config: CollectConfig) -> None:
        self.events: list[Any] = []
        self.world, self.store = world, store
        self.collector = Collector(
            config,
            store,
            open_device=world.open,
            wall=world.wall,
            progress=self.events.append,
            rng=random.Random(1),
        )

    def once(self) -> Any:
        return asyncio.run(self.collector.run_once())

    def ended(self) -> dict[str, VisitEnded]:
        return {event.device: event for event in self.events if isinstance(event, VisitEnded)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store.sqlite")


def profile_of(world: World, name: str) -> Profile:
    """All intervals that the meter holds and that count."""
    profile = asyncio.run(Device(Living(world, name)).profile())
    return profile.select(np.flatnonzero(profile.valid))


def assert_same(found: Profile, expected: Profile) -> None:
    assert found.epochs() == expected.epochs()
    assert (found.values == expected.values).all()
    assert (found.status == expected.status).all()


# --- what a visit brings


def test_a_first_visit_brings_everything_the_meter_holds(store: Store) -> None:
    world = World("house")
    bench = Bench(world, store, configured("house"))
    summary = bench.once()
    assert summary.outcomes == {"house": "ok"}
    assert (summary.devices, summary.errors) == (1, 0)
    readings = {each.name: each for each in store.latest("house")}
    assert readings["fwd_active_energy"].unit == "Wh"
    assert readings["serial_number"].value == world.meters["house"].serial
    assert all(abs(each.time - world.wall()) <= 1 for each in readings.values())
    device = profile_of(world, "house")
    assert len(device) >= 95
    assert_same(store.profile("house"), device)
    assert store.events("house", "BT74")
    record = store.device("house")
    assert record.serial == world.meters["house"].serial
    assert record.firmware
    assert 61 in record.dimensions
    visit = store.visits("house")[0]
    assert (visit.outcome, visit.readings) == ("ok", summary.readings)
    assert visit.clock_deviation is not None
    assert abs(visit.clock_deviation) <= 1
    kinds = [type(event) for event in bench.events]
    assert (kinds[0], kinds[-1]) == (VisitStarted, VisitEnded)
    assert [event.what for event in bench.events if isinstance(event, StepStored)][:2] == ["registers", "profile 1"]


def test_the_bytes_stand_beside_what_was_made_of_them(store: Store) -> None:
    """A repaired decoder can repair history: every decoded table is there as bytes, with its door and both times."""
    world = World("house")
    Bench(world, store, configured("house", collection=Collection(tables=("BT23",)))).once()
    tables = {each.name: each for each in store.raw_tables("house")}
    assert tables["BT23"].content == bytes(world.meters["house"].meter.image.read(23))
    assert tables["BT23"].door == "image"
    parts = store.raw("house", 64, last=10_000)
    image = world.meters["house"].meter.image.read(64)
    assert parts
    for part in parts:
        assert image[part.offset : part.offset + len(part.content)] == part.content


def test_a_later_visit_reads_only_what_is_new(store: Store) -> None:
    world = World("house", history=2)
    bench = Bench(world, store, configured("house"))
    bench.once()
    first = world.bytes_of(64)
    before = len(store.profile("house"))
    world.pass_time(QUARTER)
    bench.once()
    assert len(store.profile("house")) == before + 1
    assert 0 < world.bytes_of(64) < first / 20
    assert len(store.readings("house", "fwd_active_energy")) == 2


def test_an_outage_of_the_collector_is_caught_up(store: Store) -> None:
    world = World("house")
    Bench(world, store, configured("house")).once()
    world.pass_time(3 * 86400)
    again = Bench(world, store, configured("house"))  # a new process, which knows only what the store knows
    again.once()
    device = profile_of(world, "house")
    stored = store.profile("house")
    assert set(device.epochs()) <= set(stored.epochs())
    assert stored.gaps() == []
    assert len(stored) >= 4 * 96 - 1


def test_dimensions_come_from_the_store_and_are_not_read_again(store: Store) -> None:
    world = World("house")
    Bench(world, store, configured("house")).once()
    assert world.bytes_of(61) > 0
    Bench(world, store, configured("house")).once()
    assert world.bytes_of(61) == 0


def test_a_changed_configuration_is_noticed_and_its_dimensions_read_anew(store: Store) -> None:
    world = World("house")
    bench = Bench(world, store, configured("house"))
    bench.once()
    version = store.device("house").configuration_version
    world.bytes_of(61)
    meter = world.meters["house"].meter
    system = bytearray(meter.image.read(ET04.number))
    system[layout_of(ET04).span("idt_version").offset] ^= 0x55
    meter.image.put(ET04.number, bytes(system))
    bench.once()
    assert world.bytes_of(61) > 0
    assert store.device("house").configuration_version == version + 1


def test_what_a_meter_has_not_is_left_out(store: Store) -> None:
    world = World("house")
    wish = Collection(measurements=("fwd_active_energy", "voltage_l3", "mbus[1].volume"), profiles=(), logs=())
    bench = Bench(world, store, configured("house", collection=wish))
    assert bench.once().readings >= 1
    assert "fwd_active_energy" in {each.name for each in store.latest("house")}


def test_a_table_that_is_refused_makes_a_visit_partial(store: Store) -> None:
    world = World("house")
    world.meters["house"].meter.image.remove(74)
    bench = Bench(world, store, configured("house"))
    assert bench.once().outcomes == {"house": "partial"}
    assert "log BT74" in store.visits("house")[0].error
    assert len(store.profile("house")) > 0


# --- doubts


def test_a_clock_that_is_off_is_recorded_and_flagged(store: Store) -> None:
    world = World("house")
    bench = Bench(world, store, configured("house", rules=RuleConfig(clock=30)))
    true = world.wall
    bench.collector.wall = lambda: true() + 3600
    bench.once()
    visit = store.visits("house")[0]
    assert visit.clock_deviation == pytest.approx(-3600, abs=2)
    assert all(each.flags & Flag.CLOCK for each in store.latest("house") if not isinstance(each.value, str))


def test_a_replaced_meter_is_no_spike(store: Store) -> None:
    world = World("house", "other")
    bench = Bench(world, store, configured("house"))
    bench.once()
    world.meters["house"] = world.meters["other"]
    world.pass_time(QUARTER)
    bench.once()
    latest = {each.name: each for each in store.latest("house")}
    assert latest["serial_number"].value == world.meters["other"].serial
    assert latest["fwd_active_energy"].flags & Flag.REPLACED
    assert not latest["fwd_active_energy"].flags & (Flag.SPIKE | Flag.BACKWARDS)
    assert store.device("house").serial == world.meters["other"].serial


def test_flagged_values_are_stored_as_they_came(store: Store) -> None:
    world = World("house")
    rules = RuleConfig(max_power_w=0.001)
    bench = Bench(world, store, configured("house", rules=rules))
    bench.once()
    world.pass_time(QUARTER)
    assert bench.once().flagged > 0
    first, second = store.readings("house", "fwd_active_energy")
    assert first.flags == 0
    assert second.flags & Flag.SPIKE
    assert second.value > first.value  # type: ignore[operator]  # both are numbers


# --- trouble


def test_one_bad_device_never_stops_the_others(store: Store) -> None:
    names = ("dumb", "wrong", "broken", "good")
    world = World(*names)

    def refuse(name: str) -> None:
        if name == "dumb":
            raise NoAnswer("nobody there", hint="is it plugged in?")
        if name == "wrong":
            raise ConfigError("no such key")
        if name == "broken":
            raise ZeroDivisionError("our mistake")

    world.refuse = refuse
    bench = Bench(world, store, configured(*names, retries=2))
    summary = bench.once()
    assert summary.outcomes == {"dumb": "failed", "wrong": "failed", "broken": "failed", "good": "ok"}
    assert summary.errors == 3
    assert world.opened.count("dumb") == 3
    assert world.opened.count("wrong") == 1, "what cannot get better is not tried again"
    retries = [event for event in bench.events if isinstance(event, VisitRetried)]
    assert [(event.device, event.attempt) for event in retries] == [("dumb", 2), ("dumb", 3)]
    assert bench.ended()["dumb"].hint == "is it plugged in?"
    assert "our mistake" in store.visits("broken")[0].error
    assert all(each.last_visit and each.last_visit.end for each in store.fleet())


def test_a_line_that_breaks_in_the_middle_costs_only_the_step_under_way(store: Store) -> None:
    world = World("house", history=3)
    cuts = iter([True])

    def trouble(name: str, table: int) -> None:
        if table == 64 and next(cuts, False):
            raise PortClosed("the cable was pulled")

    world.trouble = trouble
    bench = Bench(world, store, configured("house"))
    assert bench.once().outcomes == {"house": "ok"}
    assert world.opened == ["house", "house"]
    device = profile_of(world, "house")
    assert_same(store.profile("house"), device)
    assert len(store.visits("house")) == 1


def test_a_line_that_breaks_again_and_again_still_gets_there(store: Store) -> None:
    """A long profile comes in pieces, each of which stays: every attempt goes further than the one before."""
    world = World("house", history=25)
    reads = 0

    def trouble(name: str, table: int) -> None:
        nonlocal reads
        if table == 64:
            reads += 1
            if reads % 16 == 0:
                raise NoAnswer("noise")

    world.trouble = trouble
    bench = Bench(world, store, configured("house", retries=20))
    assert bench.once().outcomes == {"house": "ok"}
    assert len(world.opened) > 2
    world.trouble = lambda name, table: None
    device = profile_of(world, "house")
    assert_same(store.profile("house"), device)


def test_a_visit_that_takes_too_long_is_ended(store: Store) -> None:
    world = World("slow", "quick")
    opened = world.open

    @asynccontextmanager
    async def open_device(device: DeviceConfig, dimensions: dict[int, bytes]) -> AsyncIterator[Device]:
        if device.name == "slow":
            await asyncio.Event().wait()
        async with opened(device, dimensions) as found:
            yield found

    config = configured("slow", "quick", retries=0, visit_timeout=20.0)
    config = config.model_copy(update={"visit_timeout": 0.05})
    bench = Bench(world, store, config)
    bench.collector._open = open_device
    outcomes = bench.once().outcomes
    assert outcomes["slow"] == "failed"
    assert "longer" in store.visits("slow")[0].error


def test_a_store_that_cannot_be_written_is_an_error_of_the_round(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full", hint="make room")

    monkeypatch.setattr(store, "keep", full)
    bench = Bench(World("house"), store, configured("house"))
    with pytest.raises(ExceptionGroup) as caught:
        bench.once()
    assert caught.group_contains(StoreError)
    assert store.visits("house")[0].outcome == "failed"


def test_devices_on_one_line_take_turns_and_others_do_not_wait(store: Store) -> None:
    world = World("a", "b", "c")
    opened = world.open
    inside: set[str] = set()
    together: set[frozenset[str]] = set()

    @asynccontextmanager
    async def open_device(device: DeviceConfig, dimensions: dict[int, bytes]) -> AsyncIterator[Device]:
        inside.add(device.name)
        together.add(frozenset(inside))
        async with opened(device, dimensions) as found:
            yield found
        inside.discard(device.name)

    addresses = (
        "optical+tcp://10.0.0.1:4001?user_id=1",
        "optical+tcp://10.0.0.1:4001?user_id=2",
        "optical+tcp://10.0.0.2:4001",
    )
    bench = Bench(world, store, configured("a", "b", "c", addresses=addresses, at_once=2))
    bench.collector._open = open_device
    assert bench.once().errors == 0
    assert not any({"a", "b"} <= each for each in together)
    assert any("c" in each and len(each) == 2 for each in together)


# --- schedule


def test_every_is_at_the_full_quarters_and_at_is_a_time_of_day() -> None:
    noon = datetime(2026, 3, 10, 12, 0, tzinfo=UTC).timestamp()
    assert next_pause(Collection(every=900.0), noon + 60) == 840
    assert next_pause(Collection(every=900.0), noon) == 900
    assert next_pause(Collection(every=900.0), noon - 0.01) == pytest.approx(900.01)
    assert next_pause(Collection(at=("00:10", "12:10")), noon) == 600
    assert next_pause(Collection(at=("00:10", "12:10")), noon + 600) == 12 * 3600
    assert next_pause(Collection(at=("00:10",)), noon + 601) == 12 * 3600 - 1


def test_after_failures_pauses_grow_up_to_the_longest(store: Store) -> None:
    world = World("house")

    def refuse(name: str) -> None:
        raise NoAnswer("silence")

    world.refuse = refuse
    config = configured("house", retries=0, longest_pause=7200.0)
    bench = Bench(world, store, config)
    wish = config.wish(config.device[0])
    pauses = []
    for _ in range(7):
        bench.once()
        pauses.append(bench.collector.pause_before(config.device[0], wish))
    assert pauses[0] <= 900
    assert pauses[1:] == sorted(pauses[1:])
    assert pauses[-1] == 7200
    assert store.fleet()[0].failures == 7
    world.refuse = lambda name: None
    bench.once()
    assert bench.collector.pause_before(config.device[0], wish) <= 900


def test_stopping_ends_the_step_under_way_and_stores_it(store: Store) -> None:
    world = World("house")
    stop = asyncio.Event()
    bench = Bench(world, store, configured("house"))

    def progress(event: Any) -> None:
        bench.events.append(event)
        if isinstance(event, StepStored) and event.what == "registers":
            stop.set()

    bench.collector._progress = progress
    asyncio.run(bench.collector.run_forever(stop))
    visit = store.visits("house")[0]
    assert visit.outcome == "interrupted"
    assert visit.readings > 0
    assert store.counts()["readings"] == visit.readings


def test_a_collector_at_rest_stops_at_once(store: Store) -> None:
    world = World("house")
    stop = asyncio.Event()
    bench = Bench(world, store, configured("house"))

    def progress(event: Any) -> None:
        if isinstance(event, VisitEnded):
            asyncio.get_running_loop().call_soon(stop.set)

    bench.collector._progress = progress
    asyncio.run(bench.collector.run_forever(stop))
    assert store.visits("house")[0].outcome == "ok"


# --- a real door


def test_a_served_meter_with_its_key_in_a_file(store: Store, tmp_path: Path) -> None:
    meter = SimulatedDevice("1ph", seed=3, start=datetime.fromtimestamp(BEGIN, UTC), history=0.2)
    key = tmp_path / "rk.key"
    key.write_bytes(meter.keys["RK"].for_optical())

    async def collect() -> Any:
        async with Server(meter.optical_server, on_event=meter.on_event) as server:
            host, port = await server.tcp()
            device = DeviceConfig(
                name="house",
                address=f"optical+tcp://{host}:{port}?talk_baud=115200&packet_size=1024&packets=16",
                key=f"file:{key}",
            )
            config = CollectConfig(device=(device,), retries=1)
            collector = Collector(config, store, open_device=open_configured, wall=lambda: BEGIN)
            return await collector.run_once()

    summary = asyncio.run(collect())
    assert summary.outcomes == {"house": "ok"}, store.visits("house")
    assert "?" not in store.device("house").address
    assert len(store.profile("house")) > 10
    assert all(each.door == "optical" for each in store.raw("house"))
