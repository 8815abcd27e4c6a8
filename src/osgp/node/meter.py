"""``Meter``: a whole simulated meter behind its tables, without I/O and without a clock of its own.

``now`` is true time, UTC seconds since 1970; what the meter believes is its ``clock``. ``advance(now)`` brings everything up
to date: work is done at the ends of profile and demand intervals, at tariff switches and at events only, so that a day costs
milliseconds. All that clients see is in ``image``, served by ``server`` (``TableServer``), which asks ``refresh`` first.

Registers, load profile, self reads and tiers are all read off the same exact counters (``osgp.node.registers``), so they can
never disagree. The behaviour follows the guides where they speak; what they leave open is a project choice, named where it
is made.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Sequence
from typing import Any

from osgp.node import meter_procedures, meter_state
from osgp.node.averages import Averages
from osgp.node.channel_changes import ChannelChanges
from osgp.node.clock_steps import ClockSteps
from osgp.node.clockwork import Clockwork, utc_datetime
from osgp.node.demand import DemandClock
from osgp.node.dimensions import copy_dimensions
from osgp.node.energy import FLOWS, EnergySource
from osgp.node.event_log import EventLog
from osgp.node.mbus_devices import MbusChild, MbusDevices
from osgp.node.mep_clients import MepClients
from osgp.node.meter_image import PENDING_TABLES, Model, build_image, check_model
from osgp.node.meter_views import MeterViews
from osgp.node.osgp_parts import Part
from osgp.node.override import TierOverride
from osgp.node.pending import PendingTable, PendingTables
from osgp.node.power_quality import PowerQuality
from osgp.node.present import PresentValues
from osgp.node.profile_log import POWER_FAIL, ProfileLog
from osgp.node.registers import Registers
from osgp.node.relay_calendar import RelayCalendar
from osgp.node.relays import Relays
from osgp.node.self_reads import SelfReads
from osgp.node.server import Port, TableServer
from osgp.node.tariff import Calendar, TariffState
from osgp.node.transaction import Transactions
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt22 import BT22
from osgp.tables.bt.bt50 import BT50
from osgp.tables.bt.bt53 import BT53
from osgp.tables.bt.bt54 import BT54
from osgp.tables.bt.bt62 import BT62
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et11 import ET11
from osgp.tables.et.et21 import ET21
from osgp.tables.et.et55 import ET55
from osgp.tables.et.et66 import ET66
from osgp.tables.events import NO_USER
from osgp.tables.image import Image
from osgp.tables.profile_geometry import geometry
from osgp.tables.table import extended
from osgp.wire import Firmware

__all__ = ["Meter"]

_SAMPLE_S = 3600


class Meter:
    """A meter of a ``model`` ("1ph", "3ph", "mbus") that is switched on at ``start`` (true UTC seconds).

    ``seed`` decides what its registers showed before. ``children`` are the M-Bus devices on its bus, at most four. ``parts``: what
    its kind has beyond a plain meter. Raises ConfigError for an unknown model or firmware.
    """

    def __init__(
        self,
        model: str,
        serial: str,
        source: EnergySource,
        *,
        start: float,
        seed: int = 0,
        firmware: str = "4.10",
        children: Sequence[MbusChild] = (),
        parts: Sequence[type[Part]] = (),
    ) -> None:
        self.model: Model = check_model(model)
        self.serial = serial
        self.seed = seed
        self.firmware = Firmware.parse(firmware)
        self.source = source
        self.children = tuple(children[:4])
        self.kinds_of_parts = tuple(parts)
        self.parts: list[Part] = []
        self.on_written: Callable[[int, Port], None] = lambda number, port: None
        self.on_refresh: Callable[[int], None] = lambda number: None
        self.on_log: Callable[[str, int], None] = lambda key, argument: None
        self.handlers = meter_procedures.handlers(self)
        self._begin(start, self._factory_image())

    def _factory_image(self) -> Image:
        more = (number for kind in self.kinds_of_parts for number in kind.procedures)
        return build_image(self.model, self.serial, self.firmware, (*self.handlers, *more))

    def _begin(self, start: float, image: Image) -> None:
        """Everything as it is at ``start``, with registers that have counted before."""
        self.at = round(start, 3)
        self.image = image
        self.clock = Clockwork(self.at)
        self.powered = True
        self.off_since = 0.0
        self.outages = 0
        self.outage_s = 0
        self.errors = 0
        self.on_interface_change: Callable[[], None] = lambda: None
        self.on_disconnect: Callable[[], None] = lambda: None
        self.mep_sequences: Callable[[], tuple[int, ...]] = lambda: (0, 0)
        rng = random.Random(f"registers {self.seed} {self.serial}")
        imported = rng.randrange(2_000_000, 30_000_000)
        first = (imported, rng.randrange(0, 50_000), imported // 9, 0, 0, imported // 50, imported, 0, 0, 0)
        self.registers = Registers(self.tiers, first[: len(FLOWS)], len(self.model.demands))
        self.wire()
        self._settle_tier()
        self._schedule()
        self._copy_dimensions()
        self.views.internals()
        self._copy_dimensions()
        self.log("device_programmed")

    def wire(self) -> None:
        """Make the parts over the image (again)."""
        image = self.image
        self.pending = PendingTables(image, tuple(n for n in PENDING_TABLES if n in image))
        transactions = Transactions(image.get(ET11, "trans_request_len"), image.get(ET11, "trans_response_len"))
        self.server = TableServer(
            image,
            self.pending,
            transactions,
            self.utc,
            procedures=self.handlers,
            refresh=self.refresh,
            written=self.written,
            responding=self._responding,
            activating=self._activating,
            waiting=self.plan_pending,
            activated=self._activated,
            allowed=lambda number: number != extended(62) or self.channel_changes.allow(),
        )
        self.views = MeterViews(self)
        self.self_reads = SelfReads(self)
        self.relays = Relays(self)
        self.override = TierOverride(self)
        self.quality = PowerQuality(self)
        self.clock_steps = ClockSteps(self)
        self.demand = DemandClock(self)
        self.averages = Averages(self)
        self.channel_changes = ChannelChanges(self)
        self.events = EventLog(image)
        self.mbus = MbusDevices(self)
        self.mep = MepClients(self)
        self.profiles: list[ProfileLog] = []
        self._make_profiles()
        self._read_settings()
        self._calendar_changed()
        self.relay_calendar = RelayCalendar(self)
        self.parts = [kind(self) for kind in self.kinds_of_parts]
        for part in self.parts:
            self.handlers.update(part.handlers())

    def _make_profiles(self) -> None:
        image, self.profiles = self.image, []
        settings = image.decode(BT62)
        inner: Any = image.decode(ET21)
        for number, record in enumerate(settings.sets):
            if 64 + number not in image:
                continue
            shape = geometry(image.context, number + 1)
            one = inner.sets[number]
            start_s = ((one.block_start_hour or 0) * 60 + (one.block_start_minute or 0)) * 60
            if shape.configured:
                sources = tuple(each.lp_source_sel for each in record.channels)
                self.profiles.append(ProfileLog(image, shape, sources, start_s))

    def _read_settings(self) -> None:
        """What is asked often and changes seldom."""
        image = self.image
        bt22 = image.decode(BT22)
        self.summations = list(bt22.summation_select)
        self.demand_sources = list(bt22.demand_select)
        self.coincident = list(zip(bt22.coincident_select, bt22.coin_demand_assoc))
        et04: Any = image.decode(ET04)
        self.self_read_s = (et04.self_read_hour % 24) * 3600 + (et04.self_read_minute % 60) * 60
        self.stuffs_skipped = bool(et04.options_71.lp_use_skipped)
        self.server.rk_sets_clock = not et04.options_71.rk_bp10_ep16_disabled
        unit = image.decode(ET55).energy_reg_unit
        self.unit = unit if unit in (1, 10, 100) else 1
        self.mapping = (
            [each for one in image.decode(ET66).sets for each in one.ext_source_ids] if ET66.number in image else []
        )

    @property
    def tiers(self) -> int:
        """TOU tiers (BT21)."""
        return int(self.image.context.table(BT21).nbr_tiers)

    # --- time

    def utc(self, now: float) -> dt.datetime:
        """What the meter's clock shows at ``now``, aware, to the second."""
        return utc_datetime(self.clock.shows(now))

    @property
    def shown(self) -> float:
        """What the clock shows at the moment up to which the meter is up to date."""
        return self.clock.shows(self.at)

    @property
    def local(self) -> dt.datetime:
        """Local time of that moment (BT55), without a zone."""
        return utc_datetime(self.shown + self.tariff.offset_s).replace(tzinfo=None)

    def advance(self, now: float) -> None:
        """Bring everything up to date. Time never goes backwards: an earlier ``now`` changes nothing."""
        now = round(now, 3)
        if now <= self.at:
            return
        if not self.powered:
            return
        timers = self.demand, self.quality, self.averages, self.relay_calendar, self.clock_steps
        while True:
            due = min(self.next_change, self._next_pending, self.override.until, *self.next_interval)
            due = min(due, *(each.due for each in timers), *(each.due for each in self.parts))
            if due > self.clock.shows(now):  # the clock may have been moved meanwhile
                break
            self._flow(self.clock.true_at(due))
            self._boundary(int(due))
        self._flow(now)
        self.mbus.work(now)
        self.mep.work(self.clock.shows(now))

    def _flow(self, to: float) -> None:
        """Energy flows until ``to``."""
        if to <= self.at:
            return
        if self.relays.closed:
            self.registers.add(self.source.energy(self.at, to))
        self.at = to

    def _schedule(self) -> None:
        """When the next things are due, on the meter's clock."""
        shown = self.shown
        self.next_interval = [one.end_after(shown) for one in self.profiles]
        self.demand.plan(shown)
        self.averages.plan(shown)
        self.relay_calendar.plan(shown)
        self.quality.plan(shown)
        for part in self.parts:
            part.plan(shown)
        self.next_change = self.calendar.next_change(shown, self.self_read_s, *self.mbus.seconds_of_day)
        self.plan_pending()

    def plan_pending(self) -> None:
        """When the next pending table becomes active."""
        due = self.pending.next_due()
        self._next_pending = due.timestamp() if due is not None else float("inf")

    def _boundary(self, due: int) -> None:
        for number, one in enumerate(self.profiles):
            if self.next_interval[number] == due:
                self._end_interval(one, due)
                self.next_interval[number] = due + one.shape.interval_s
        if self.demand.due <= due:
            self.demand.work(due)
        if self.override.until <= due:
            self.override.settle(due, False)
            self._settle_tier()
        if self.next_change <= due:
            self._tariff_to(due)
            self.next_change = self.calendar.next_change(due, self.self_read_s, *self.mbus.seconds_of_day)
        if self._next_pending <= due:
            self.server.tick(self.at)
            self.plan_pending()
        for each in (self.quality, self.averages, self.relay_calendar, self.clock_steps):
            if each.due <= due:
                each.work(due)
        for part in self.parts:
            if part.due <= due:
                part.work(due)

    # --- intervals

    def present(self) -> PresentValues:
        """The instantaneous values of this moment."""
        return PresentValues(self.source.instant(self.at), self.averages.value, closed=self.relays.closed)

    def snapshot(self, one: ProfileLog) -> tuple[list[int], list[int]]:
        """The values of a data set's channels at this moment, and their statuses."""
        values, statuses = [], []
        present: PresentValues | None = None
        counts = self.registers.counts()
        for source in one.sources:
            status = 0
            if 112 <= source <= 163:
                value, status = self.mbus.channel_value(self.mapping[source - 112])
            else:
                found = self.register_value(source, counts)
                if found is None:
                    present = present or self.present()
                    found = present.value(source)
                value = found
            values.append(value)
            statuses.append(status)
        return values, statuses

    def _end_interval(self, one: ProfileLog, due: int) -> None:
        if any(112 <= source <= 163 for source in one.sources):
            self.mbus.poll_for_profile(due)
        values, statuses = self.snapshot(one)
        overflowed = one.overflow
        one.close(due, values, statuses, dst=self.calendar.dst(due - 1), stuff=self.stuffs_skipped)
        if one.index == 0 and due % _SAMPLE_S == 0:
            self.quality.sample()
        if one.overflow and not overflowed:
            self.log(f"load_profile_overflow_{one.index + 1}")
            if one.index == 0:
                self.alarm("mfg_status_0", "lp_overflow")

    def extended_sources(self, one: ProfileLog) -> list[int]:
        """The channels of a data set as extended source IDs (ET66)."""
        mapping = self.mapping
        return [mapping[each - 112] if 112 <= each < 112 + len(mapping) else each for each in one.sources]

    def register_value(self, source: int, counts: dict[int, int]) -> int | None:
        """The count of a register source in register units; None for an instantaneous one."""
        if source in counts:
            return counts[source] // self.unit
        if 29 <= source <= 72:
            tier, place = divmod(source - 29, 11)
            kind = (0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28)[place]
            known = self.registers.tier_count(tier).get(kind, 0) if tier < len(self.registers.tier_counts) else 0
            return known // self.unit
        if source == 4:
            return self.outage_s
        if source == 5:
            return self.outages
        if source == 28:
            return self.errors
        if 88 <= source <= 95:
            demands = self.demand.present()
            return demands[source - 88] if source - 88 < len(demands) else 0
        if 96 <= source <= 103:
            previous = self.registers.previous
            return previous[source - 96] if source - 96 < len(previous) else 0
        return 0 if source in (26, 27) else None

    # --- tariff

    def _calendar_changed(self) -> None:
        image = self.image
        delta = int(image.get(ET04, "dst_off_delta"))
        delta -= 0x10000 if delta > 0x7FFF else 0
        self.calendar = Calendar(image.decode(BT50), image.decode(BT53), image.decode(BT54), delta, self.tiers)
        self.tariff: TariffState = self.calendar.state(self.clock.shows(self.at))

    def _tariff_to(self, due: int, *, passed: bool = False) -> None:
        """The calendar's state at ``due``, with what its change brings; ``passed``: some of it was slept through."""
        old, new = self.tariff, self.calendar.state(due)
        self.tariff = new
        if old.dst != new.dst:
            self.log("dst_on" if new.dst else "dst_off")
            self.relay_calendar.plan(due)
        if old.season != new.season:
            self.self_reads.previous_season(old.season)
            self.log("season_changed", new.season)
        if old.day != new.day and new.special is not None:
            self.log("special_schedule")
        self.override.settle(due, old.tier != new.tier)
        self._settle_tier()
        second = (due + new.offset_s) % 86400
        days = range(old.day + 1, new.day + 1) if passed else ((new.day,) if old.day != new.day else ())
        if any(self.calendar.day(day).demand_reset for day in days):
            self.demand_reset(reason=1)
        missed = passed and any(self.calendar.day(day).self_read for day in days)
        if missed or (second == self.self_read_s and self.calendar.day(new.day).self_read):
            self.self_reads.self_read()
        self.mbus.scheduled(new.day, second)

    def _settle_tier(self) -> None:
        """Energy goes to the tier that rules now: the calendar's, or that of an override."""
        tier = self.tariff.tier if self.override.tier is None else self.override.tier
        if tier != self.registers.tier:
            self.registers.switch(tier)
            self.log("tier_switched", tier)

    def demand_reset(self, reason: int, user: int = NO_USER) -> None:
        """Copy the registers to BT25 and ET41 and begin new maxima."""
        self.self_reads.previous_demand_reset(reason)
        self.registers.reset_demand()
        self.log("demand_reset", user=user)

    # --- power and clock from outside

    def power_off(self, now: float) -> None:
        """The supply fails at ``now``."""
        self.advance(now)
        if self.powered:
            self.powered = False
            self.off_since = self.at
            self.averages.flow_changed()

    def power_on(self, now: float) -> None:
        """The supply is back at ``now``; the clock has gone on."""
        now = round(now, 3)
        if self.powered or now < self.at:
            return
        down, up = self.clock.shows(self.off_since), self.clock.shows(now)
        seconds = int(now - self.off_since)
        self.outages += 1
        self.outage_s += seconds
        for number, one in enumerate(self.profiles):
            one.mark(common=POWER_FAIL, partial=True)
            end = self.next_interval[number]
            if up >= end:
                values, statuses = self.snapshot(one)
                one.close(end, values, statuses, dst=self.calendar.dst(end - 1), stuff=self.stuffs_skipped)
                one.mark(common=POWER_FAIL, partial=True)
        self.at = now
        self.powered = True
        self.log("power_down", at=down)
        self.log("power_up")
        self.alarm("ed_std_status1", "power_failure")
        self.quality.outage(down, up, seconds)
        self._tariff_to(int(up), passed=True)
        self._schedule()
        self.demand.begin()
        self.averages.flow_changed()
        self.relay_calendar.settle(up)
        self.quality.supplied(up)
        for part in self.parts:
            part.supplied(up)
        if self._next_pending <= up:
            self.server.tick(self.at)
            self.plan_pending()

    def set_clock(self, now: float, utc: float, user: int = NO_USER) -> None:
        """From ``now`` on the clock shows ``utc`` (seconds since 1970)."""
        self.advance(now)
        if not self.powered:
            return
        self.clock_steps.stop()
        if utc != self.shown:
            self.log("time_changed_old", user=user)
            self.move_clock(utc)
            self.log("time_changed_new", user=user)

    def move_clock(self, utc: float) -> None:
        """The clock shows ``utc`` from this moment on; nothing is logged."""
        old, dst, switch = self.shown, self.tariff.dst, self.relay_calendar.due
        for one in self.profiles:
            one.clock_changed(old, utc, lambda one=one: self.snapshot(one), dst)  # type: ignore[misc]  # default binds
        self.clock.set(self.at, utc)
        self._tariff_to(int(utc // 1), passed=False)
        self._schedule()
        if utc >= switch or old - utc > 60:  # an order of EP02 outlives small steps
            self.relay_calendar.settle(utc)

    # --- tables

    def refresh(self, number: int, now: float) -> None:
        """Bring a table up to date before it is read."""
        self.advance(now)
        if self.powered:
            self.views.refresh(number)
            for part in self.parts:
                part.refresh(number)
            self.on_refresh(number)

    def written(self, number: int, offset: int, data: bytes, port: Port, now: float) -> None:
        """What a write by a client brings about."""
        del offset, data
        if number in (extended(4), extended(9), extended(55), extended(80)):
            self.quality.read_settings()
            self.quality.plan(self.shown)
            self.averages.read_settings()
        if number in (53, 54):
            self._calendar_changed_by(now)
        elif number in (extended(4), extended(55)):
            self._read_settings()
            self._calendar_changed_by(now)
        elif number == extended(50):
            self.mep.inbound_written(port)
        elif number == extended(47):
            self._override_changed()
        elif number == extended(61):
            self._relays_changed()
        elif number in (extended(13), extended(34)):
            self._schedule_change()
        elif number == extended(57):
            self._schedule_change()
            self.interface_changed()
        self.on_written(number, port)
        if number not in (extended(50), extended(51)):
            self.log("table_written", number, user=port.event_user)

    def _schedule_change(self) -> None:
        self.mbus.read_settings()
        self.next_change = self.calendar.next_change(self.shown, self.self_read_s, *self.mbus.seconds_of_day)

    def _calendar_changed_by(self, now: float) -> None:
        del now
        before = self.tariff
        self._calendar_changed()
        self.tariff = before
        self._tariff_to(int(self.shown // 1))
        self._schedule_change()
        self.relay_calendar.plan(self.shown)

    def _activating(self, one: PendingTable, now: float) -> None:
        """A pending table may want a self read and a demand reset before it becomes active (optical guide p. 9)."""
        del now
        if one.self_read:
            self.self_reads.self_read()
        if one.demand_reset and self.demand_sources:
            self.demand_reset(reason=2)

    def _activated(self, number: int, now: float) -> None:
        self.log("pending_table_activated", number)
        if number == 54:
            self._calendar_changed_by(now)
        elif number == extended(47):
            self._override_changed()
        elif number == extended(61):
            self._relays_changed()

    def _relays_changed(self) -> None:
        self.relay_calendar.read_settings()
        self.relay_calendar.settle(self.shown)

    def _override_changed(self) -> None:
        self.override.changed()
        self._settle_tier()

    def _responding(self, port: Port) -> int:
        return self.mep.response_table(port)

    def _copy_dimensions(self) -> None:
        copy_dimensions(self.image, self.demand.minutes, self.demand.multiplier)

    def interface_changed(self) -> None:
        """Dimensions have changed: ET42, ET04.IDT_VERSION, the alarm, and the MEP sequence number."""
        self.sources_changed()
        version = int(self.image.get(ET04, "idt_version"))
        self.image.set(ET04, "idt_version", (version + 1) & 0xFF)
        self.alarm("mfg_status_3", "dimension_change")
        self.on_interface_change()

    def sources_changed(self) -> None:
        """Channels have other sources: ET21 and ET42 tell them."""
        self._read_settings()
        self.views.internals()
        self._copy_dimensions()

    def replace_profiles(self, profiles: list[ProfileLog]) -> None:
        """Other load profile data sets from now on; those that stay keep what they have."""
        self.profiles = profiles
        self.next_interval = [one.end_after(self.shown) for one in profiles]
        self.reconfigured()

    def reconfigured(self) -> None:
        """Sizes have changed under the parts: make them again."""
        self.events = EventLog(self.image)
        self.self_reads = SelfReads(self)
        self.quality.make_log()
        self.channel_changes.make_log()
        self.mbus.make_log()
        self._read_settings()
        self.interface_changed()

    def log(self, key: str, argument: int = 0, *, user: int = NO_USER, at: float | None = None) -> None:
        """An event, now or at a moment that the clock showed."""
        self.events.record(key, utc_datetime(self.shown if at is None else at), argument, user)
        self.on_log(key, argument)

    def alarm(self, word: str, name: str, value: int = 1) -> None:
        """Set a bit of BT03."""
        status: Any = self.image.decode(BT03)
        old = getattr(status, word)
        if old is not None and getattr(old, name) != value:
            setattr(status, word, old.with_(**{name: value}))
            self.image.encode(status)

    # --- history and state

    def backfill(self, days: float) -> None:
        """Begin ``days`` earlier: the meter has run since then. For a meter that has just been made."""
        now = self.at
        hooks = self.on_interface_change, self.on_disconnect, self.mep_sequences
        self._begin(now - days * 86400, self._factory_image())
        self.on_interface_change, self.on_disconnect, self.mep_sequences = hooks
        self.advance(now)

    def to_json(self) -> dict[str, Any]:
        """Everything, so that ``restore`` goes on as if nothing had been."""
        return meter_state.save(self)

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``, into a meter made with the same arguments."""
        meter_state.restore(self, saved)
