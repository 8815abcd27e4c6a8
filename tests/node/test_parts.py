"""What kinds of devices have beyond a plain meter: locks, limits, prepayment, modes of relays, curtailment, tampering."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import Any

import pytest

from osgp.node.disconnect import Contactor, Lock, Reason
from osgp.node.energy import FLOWS, Instant, PhaseInstant
from osgp.node.load_control import LOCAL, LOCKED, MAINTENANCE, REMOTE, LoadControl
from osgp.node.meter import Meter
from osgp.node.osgp_orders import BROADCAST_WINDOW_S, Orders
from osgp.node.osgp_parts import P, find
from osgp.node.osgp_tables import CONTACTOR, GENERATION, PREPAY, ContactorState, GenerationState, PrepayState
from osgp.node.osgp_tamper import Tamper
from osgp.node.power_limit import PowerLimit
from osgp.node.prepay import State
from osgp.node.server import Port
from osgp.sim.device_kinds import KINDS, SolarSource, make_meter
from osgp.sim.load import Household
from osgp.sim.load_weather import Weather
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt74 import BT74
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et09 import ET09
from osgp.tables.et.et46 import ET46
from osgp.tables.et.et54 import ET54
from osgp.tables.et.et79 import ET79
from osgp.tables.et.et81 import ET81
from osgp.tables.et.et89 import ET89
from osgp.tables.events import event_of
from osgp.wire import LTime
from osgp.wire.errors import ConfigError

from .meters import Client

START = dt.datetime(2026, 3, 20, 12, 0, tzinfo=dt.UTC).timestamp()


class Steady:
    """A load of so many watts, of one phase; below 0 it feeds in. It can be told to feed in less, and notes that it was."""

    rated_w = 5000.0

    def __init__(self, watts: float) -> None:
        self.watts = watts
        self.caps: list[tuple[float, float | None]] = []

    def energy(self, start: float, end: float) -> tuple[int, ...]:
        amount = round(abs(self.watts) * 1e6 * (end - start))
        return (amount, 0, *(0,) * 8) if self.watts >= 0 else (0, amount, *(0,) * 8)

    def instant(self, at: float) -> Instant:
        return Instant((PhaseInstant(self.watts),))

    def limit(self, at: float, watts: float | None) -> None:
        self.caps.append((at, watts))


def device(kind: str = "1ph", source: Any = None, **options: Any) -> tuple[Meter, Client]:
    meter = make_meter(kind, "00004711", seed=5, start=START, source=source or Steady(1000.0), **options)
    return meter, Client(meter)


def part(meter: Meter, kind: type[P]) -> P:
    found = find(meter, kind)
    assert found is not None
    return found


def later(client: Client, seconds: float) -> None:
    client.now += seconds
    client.meter.advance(client.now)


def stamp(moment: float) -> bytes:
    return bytes(LTime.of(dt.datetime.fromtimestamp(moment, dt.UTC)))


def events(meter: Meter) -> list[str]:
    """The event log by our names, newest first."""
    log: Any = meter.image.decode(BT74)
    order = [(log.last_entry_element - n) % len(log.entries) for n in range(log.nbr_valid_entries)]
    return [event_of(log.entries[n].history_code.event_id).key for n in order]


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


# ---- the load disconnect --------------------------------------------------------------------------------------------
def contactor_state(client: Client) -> ContactorState:
    return ContactorState.decode(client.read("UT21"))


def test_after_a_remote_order_the_button_does_nothing_until_it_is_allowed_to() -> None:
    meter, client = device()
    contactor = part(meter, Contactor)
    assert client.run("EP02", b"\0\0")[0] == 0
    assert contactor_state(client) == ContactorState(
        lock=Lock.REMOTE, reason=Reason.REMOTE, closed=0, lock_open_at=LTime()
    )
    assert not contactor.button(client.now + 1)
    assert client.run("EP23", b"\1")[0] == 0
    assert contactor_state(client).lock == Lock.BUTTON
    assert not meter.relays.closed
    assert contactor.button(client.now + 2)
    assert meter.relays.closed
    assert contactor_state(client).reason == Reason.NONE
    assert events(meter)[:3] == ["disconnect_closed", "disconnect_unlocked", "disconnect_opened"]


def test_a_remote_reconnect_closes_at_once() -> None:
    meter, client = device()
    client.run("EP02", b"\0\0")
    assert client.run("EP23", b"\0")[0] == 0
    assert meter.relays.closed


def test_an_order_that_has_expired_is_refused() -> None:
    meter, client = device()
    assert client.run("EP02", b"\0\0\1" + stamp(client.now - 60))[0] == 4
    assert client.run("EP23", b"\0" + stamp(client.now - 60))[0] == 4
    assert meter.relays.closed
    assert client.run("EP02", b"\0\0\1" + stamp(client.now + 60))[0] == 0
    assert client.run("EP02", b"\0\1\1" + b"\x1a\x63\0\0\0\0")[0] == 2, "the 99th month"
    assert not meter.relays.closed


def test_locked_open_only_its_own_procedure_unlocks() -> None:
    meter, client = device()
    contactor = part(meter, Contactor)
    assert client.run("EP36", b"\0" + stamp(START + 3600))[0] == 0
    assert contactor_state(client).lock_open_at.datetime() == dt.datetime(2026, 3, 20, 13, 0, tzinfo=dt.UTC)
    later(client, 3590)
    assert meter.relays.closed
    later(client, 20)
    assert not meter.relays.closed
    assert contactor_state(client).reason == Reason.SCHEDULE
    assert client.run("EP02", b"\0\1")[0] == 3
    assert client.run("EP23", b"\0")[0] == 3
    assert client.run("EP23", b"\1")[0] == 3
    assert not contactor.button(client.now)
    table: Any = meter.image.decode(ET54) if client.read("ET54") else None
    assert table.status_71.push_button_close_locked == 1
    assert client.run("EP36", b"\3")[0] == 0
    assert contactor.button(client.now)
    assert meter.relays.closed


def test_a_scheduled_lock_can_be_forgotten_and_survives_an_outage() -> None:
    meter, client = device()
    client.run("EP36", b"\0" + stamp(START + 3600))
    client.run("EP36", b"\2")
    later(client, 7200)
    assert meter.relays.closed
    client.run("EP36", b"\0" + stamp(client.now + 600))
    meter.power_off(client.now + 10)
    meter.power_on(client.now + 6000)
    later(client, 6001)
    assert not meter.relays.closed
    assert contactor_state(client).lock == Lock.LOCKED
    assert client.run("EP36", b"\0")[0] == 2, "a schedule without a time"
    assert client.run("EP36", b"\7")[0] == 2


def test_the_button_opens_unless_it_is_blocked() -> None:
    meter, client = device()
    contactor = part(meter, Contactor)
    assert contactor.button(client.now)
    assert contactor_state(client).reason == Reason.BUTTON
    assert contactor.button(client.now)
    table: Any = meter.image.decode(ET89)
    table.disconnect_flags = table.disconnect_flags.with_(block_auto_pushbutton=1)
    meter.image.encode(table)
    assert not contactor.button(client.now)
    assert meter.relays.closed


def test_without_supply_the_button_is_dead() -> None:
    meter, client = device()
    meter.power_off(client.now)
    assert not part(meter, Contactor).button(client.now + 5)


def test_average_power_opens_and_the_button_closes() -> None:
    meter, client = device(source=Steady(3000.0))
    client.write("ET80", b"\1\x3c\0\1" + u32(2000))
    later(client, 200)
    assert contactor_state(client).reason == Reason.AVERAGE_POWER
    assert part(meter, Contactor).button(client.now)


# ---- power limit ----------------------------------------------------------------------------------------------------
def test_more_than_the_limit_opens_and_a_pause_closes_again() -> None:
    source = Steady(900.0)
    meter, client = device(source=source)
    assert client.run("EP22", b"\1" + u32(1000) + u32(0) + b"\x3c\0" + b"\x2c\x01")[0] == 0
    later(client, 600)
    assert meter.relays.closed
    source.watts = 1100.0
    later(client, 130)
    assert not meter.relays.closed
    state = contactor_state(client)
    assert (state.reason, state.lock, state.limit_w, state.openings) == (Reason.POWER_LIMIT, Lock.BUTTON, 1000, 1)
    client.read("ET46")
    opened: Any = meter.image.get(ET46, "max_pwr_disconnect_time")
    assert abs(opened.datetime().timestamp() - client.now) < 130
    source.watts = 900.0
    later(client, 310)
    assert meter.relays.closed
    source.watts = 1100.0
    later(client, 130)
    assert not meter.relays.closed
    assert contactor_state(client).openings == 2
    assert "power_limit_exceeded" in events(meter)


def test_energy_while_it_is_open_is_none_and_a_window_begins_with_closing() -> None:
    meter, client = device(source=Steady(5000.0))
    client.run("EP22", b"\2" + u32(0) + u32(4000) + b"\x3c\0")
    before = meter.registers.counts()[0]
    later(client, 3600)
    assert abs(meter.registers.counts()[0] - before - 5000 * 60 // 3600) <= 1
    assert part(meter, Contactor).button(client.now)
    later(client, 61)
    assert not meter.relays.closed


def test_a_level_without_a_limit_is_refused_and_level_0_ends_it() -> None:
    meter, client = device(source=Steady(5000.0))
    assert client.run("EP22", b"\1")[0] == 2
    assert client.run("EP22", b"\3" + u32(1000))[0] == 2
    assert client.run("EP22", b"\1" + u32(1000) + u32(0) + b"\5\0")[0] == 2, "a window of 5 s"
    assert client.run("EP22", b"\1" + u32(1000))[0] == 0
    assert client.run("EP22", b"\0")[0] == 0
    later(client, 3600)
    assert meter.relays.closed
    assert part(meter, PowerLimit).due == float("inf")


# ---- prepayment -----------------------------------------------------------------------------------------------------
def prepay_state(client: Client) -> PrepayState:
    return PrepayState.decode(client.read("UT22"))


def prepaid(
    watts: float = 1000.0, *, credit: int = 500, emergency: int = 200, warning: int = 100
) -> tuple[Meter, Client]:
    meter, client = device(source=Steady(watts))
    assert client.run("EP21", b"\0" + u32(1) + u32(credit))[0] == 0
    assert client.run("EP21", b"\1" + u32(0) + u32(0) + u32(emergency) + u32(warning))[0] == 0
    return meter, client


def test_credit_is_used_by_the_wh_then_warned_of_and_then_the_load_opens() -> None:
    meter, client = prepaid()
    assert prepay_state(client).state == State.IN_CREDIT
    later(client, 1500)
    state = prepay_state(client)
    assert state.state == State.WARNING
    assert 80 <= state.credit <= 90
    later(client, 600)
    assert not meter.relays.closed
    assert contactor_state(client).reason == Reason.PREPAY
    status: Any = meter.image.decode(BT03)
    assert status.mfg_status_2.prepay_exhausted == 1
    assert events(meter)[:3] == ["disconnect_opened", "prepay_exhausted", "prepay_warning"]


def test_the_button_takes_the_emergency_credit_and_then_nothing_but_new_credit_helps() -> None:
    meter, client = prepaid()
    later(client, 3600)
    contactor = part(meter, Contactor)
    assert contactor.button(client.now)
    later(client, 300)
    state = prepay_state(client)
    assert state.state == State.EMERGENCY
    assert -100 < state.credit < 0
    client.read("ET46")
    assert meter.image.get(ET46, "prepay_neg_credit") == -state.credit
    later(client, 3600)
    assert not meter.relays.closed
    assert prepay_state(client).state == State.EXHAUSTED
    assert not contactor.button(client.now)
    assert client.run("EP02", b"\0\1")[0] == 3, "no remote order either"
    assert client.run("EP21", b"\0" + u32(2) + u32(1000))[0] == 0
    assert not meter.relays.closed, "nobody may be surprised"
    assert contactor.button(client.now)
    assert prepay_state(client).credit == 1000 - 200 - 16, "16 Wh in the minute of the last look"


def test_the_same_credit_counts_once_and_an_older_one_not_at_all() -> None:
    _, client = prepaid(0.0)
    credit = b"\0" + u32(7) + u32(250)
    assert [client.run("EP21", credit)[0] for _ in range(3)] == [0, 0, 0]
    assert prepay_state(client).credit == 750
    assert client.run("EP21", b"\0" + u32(7) + u32(999))[0] == 4
    assert client.run("EP21", b"\0" + u32(6) + u32(250))[0] == 4
    assert client.run("EP21", b"\0" + u32(8) + u32(0))[0] == 2
    assert client.run("EP21", b"\0" + u32(8) + b"\xff\xff\xff\xff")[0] == 2
    assert client.run("EP21", b"\x09" + u32(8) + u32(1))[0] == 2
    assert prepay_state(client).credit == 750


def test_each_tier_has_its_rate() -> None:
    meter, client = device(source=Steady(1000.0))
    rates = b"".join(each.to_bytes(2, "little") for each in (1000, 2000, 3000, 500, 0, 0, 0, 0))
    client.run("EP21", b"\0" + u32(1) + u32(10_000))
    assert client.run("EP21", b"\1" + u32(0) + u32(0) + u32(0) + u32(0) + rates)[0] == 0
    tier = meter.registers.tier
    later(client, 3600)
    assert meter.registers.tier == tier
    used = 10_000 - prepay_state(client).credit
    assert abs(used - (1000, 2000, 3000, 500)[tier]) <= 2 * (1000, 2000, 3000, 500)[tier] // 1000


def test_switching_prepayment_off_lets_the_button_close() -> None:
    meter, client = prepaid()
    later(client, 3600)
    assert client.run("EP21", b"\2" + u32(0) + u32(0))[0] == 0
    assert part(meter, Contactor).button(client.now)
    assert prepay_state(client).state == State.OFF
    later(client, 7200)
    assert meter.relays.closed


# ---- control relays -------------------------------------------------------------------------------------------------
def relay_modes(client: Client) -> Any:
    client.read("ET89")
    return client.meter.image.decode(ET89).relays[0]


def test_an_order_for_a_time_is_the_remote_mode_and_the_calendar_comes_back_after_it() -> None:
    meter, client = device("load")
    assert client.run("EP02", b"\1\0\0" + bytes(6) + b"\0\0" + b"\x1e\0")[0] == 0
    assert meter.relays.control[0] is False
    record = relay_modes(client)
    assert record.op_mode.mode == REMOTE
    assert 1700 < record.remote.remaining <= 1800
    assert (record.remote.state, record.local.state, record.locked.state) == (0, 1, 2)
    meter.relays.by_calendar(1, False)
    meter.relays.by_calendar(1, True)
    assert meter.relays.control[0] is False, "the calendar waits"
    later(client, 1810)
    assert meter.relays.control[0] is True
    assert relay_modes(client).op_mode.mode == LOCAL


def test_stronger_modes_rule_over_weaker_ones_and_end_with_an_order() -> None:
    meter, client = device("load")

    def order(action: int, mode: int, hold: int = 0) -> None:
        assert (
            client.run("EP02", bytes([1, action, 0]) + bytes(8) + hold.to_bytes(2, "little") + bytes([0, mode]))[0] == 0
        )

    order(0, 1)
    assert (part(meter, LoadControl).mode(1), meter.relays.control[0]) == (LOCKED, False)
    order(1, 0, 10)
    assert meter.relays.control[0] is False, "locked rules over a remote order"
    order(1, 2, 5)
    assert (part(meter, LoadControl).mode(1), meter.relays.control[0]) == (MAINTENANCE, True)
    later(client, 301)
    assert (part(meter, LoadControl).mode(1), meter.relays.control[0]) == (LOCKED, False)
    order(0, 3)
    assert (part(meter, LoadControl).mode(1), meter.relays.control[0]) == (LOCAL, True)
    assert meter.relays.control[1] is True


def test_a_delay_of_chance_is_within_its_window_and_shown_while_it_runs() -> None:
    meter, client = device("load")
    result, _ = client.run("EP02", b"\1\0\0" + bytes(6) + b"\x2c\x01")
    orders = part(meter, Orders)
    (waiting,) = orders.waiting.values()
    assert result == 1
    assert 0 < waiting.due - client.now <= 301
    client.read("ET54")
    table: Any = meter.image.decode(ET54)
    assert (table.relay1_random_pending, table.relay1_random_total) == (1, 300)
    assert 0 < table.relay1_random_remaining <= 300
    later(client, 301)
    assert meter.relays.control[0] is False
    client.read("ET54")
    assert meter.image.get(ET54, "relay1_random_pending") == 0
    assert orders.due == float("inf")


def test_devices_that_hear_one_broadcast_do_not_switch_at_the_same_time() -> None:
    moments = set()
    for number in range(30):
        meter = make_meter("load", f"{number:08d}", seed=5, start=START)
        client = Client(meter, port="pl")
        client.port.broadcast = True
        assert client.write("BT07", (2050).to_bytes(2, "little") + b"\x09\1\0") == 0
        moments |= {order.due for order in part(meter, Orders).waiting.values()}
        later(client, BROADCAST_WINDOW_S + 1)
        assert meter.relays.control[0] is False
    assert len(moments) > 15
    assert max(moments) - min(moments) <= BROADCAST_WINDOW_S + 1


def test_the_same_seed_draws_the_same_delays() -> None:
    def delays() -> list[int]:
        meter, client = device("load")
        found = []
        for _ in range(5):
            client.run("EP02", b"\1\0\0" + bytes(6) + b"\x2c\x01")
            found += [order.due for order in part(meter, Orders).waiting.values()]
        return found

    assert delays() == delays()


def test_a_new_order_takes_the_place_of_one_that_waits() -> None:
    meter, client = device("load")
    client.run("EP02", b"\1\0\0" + bytes(6) + b"\x2c\x01")
    assert client.run("EP02", b"\1\1")[0] == 0
    later(client, 400)
    assert meter.relays.control[0] is True


def test_what_no_order_can_be_is_refused() -> None:
    meter, client = device("load")
    for parameters in (b"\4\0", b"\0\2", b"\1\0\0" + bytes(10) + b"\x65", b"\1\0\0" + bytes(11) + b"\4", b"\1"):
        assert client.run("EP02", parameters)[0] == 2, parameters.hex()
    assert client.run("EP02", b"\3\0")[0] == 3, "there is no inverter here"
    assert meter.relays.control == [True, True]


# ---- generation -----------------------------------------------------------------------------------------------------
def generation_state(client: Client) -> GenerationState:
    return GenerationState.decode(client.read("UT23"))


def test_a_curtailed_inverter_obeys_for_as_long_as_it_is_told() -> None:
    source = Steady(-4000.0)
    meter, client = device("inverter", source)
    assert meter.image.get(ET04, "premise_power_gen") == 1
    assert client.run("EP02", b"\3\0\0" + bytes(8) + b"\x1e\0" + b"\x28")[0] == 0
    assert source.caps[-1][1] == 2000.0
    later(client, 1200)
    state = generation_state(client)
    assert (state.level, state.rated_w) == (40, 5000)
    assert 1195 <= state.seconds <= 1205
    later(client, 700)
    assert source.caps[-1][1] is None
    assert generation_state(client).level == 100
    assert events(meter)[:2] == ["generation_released", "generation_curtailed"]


def test_exported_energy_of_a_curtailed_roof_adds_up_exactly() -> None:
    noon = dt.datetime(2026, 6, 20, 10, 0, tzinfo=dt.UTC).timestamp()
    house = Household(3, "3ph", 0.0, 8.0, weather=Weather(3))
    free, source = SolarSource(house), SolarSource(house)
    source.limit(noon + 1800.5, 1000.0)
    source.limit(noon + 5400.0, None)
    whole = source.energy(noon, noon + 7200)
    parts = [
        source.energy(noon + a, noon + b)
        for a, b in ((0, 1000.25), (1000.25, 1800.5), (1800.5, 4321.0), (4321.0, 7200))
    ]
    assert tuple(map(sum, zip(*parts))) == whole
    assert source.energy(noon, noon + 1800.5) == free.energy(noon, noon + 1800.5)
    assert source.energy(noon + 5400, noon + 7200) == free.energy(noon + 5400, noon + 7200)
    middle = source.energy(noon + 1800.5, noon + 5400)
    assert free.energy(noon + 1800.5, noon + 5400)[1] > middle[1]
    assert 0 < middle[1] <= 1000 * 1_000_000 * 3600
    assert sum(each.power_w for each in source.instant(noon + 3600).phases) == pytest.approx(-1000.0)


def test_a_roof_has_registers_in_four_quadrants_and_imports_nothing_by_day() -> None:
    noon = dt.datetime(2026, 6, 20, 10, 0, tzinfo=dt.UTC).timestamp()
    meter = make_meter("inverter", "00004711", seed=6, start=noon)
    before = meter.registers.counts()
    meter.advance(noon + 3600)
    grown = {source: value - before[source] for source, value in meter.registers.counts().items()}
    assert grown[1] > 500
    assert grown[0] == 0
    assert grown[109] > 0, "underexcited while it feeds in: the second quadrant"
    assert grown[246] >= grown[1]


# ---- tampering ------------------------------------------------------------------------------------------------------
def test_a_cover_that_stays_off_is_told_after_its_time_and_stays_told_until_it_is_cleared() -> None:
    meter, client = device()
    tamper = part(meter, Tamper)
    tamper.cover(True, client.now)
    later(client, 5)
    tamper.cover(False, client.now)
    later(client, 60)
    assert "cover_removed" not in events(meter), "5 s are less than ET55 wants"
    tamper.cover(True, client.now)
    later(client, 60)
    status: Any = meter.image.decode(BT03)
    assert status.ed_std_status1.cover_removed == 1
    tamper.cover(False, client.now)
    assert events(meter)[:2] == ["cover_closed", "cover_removed"]
    client.run("EP03")
    status = meter.image.decode(BT03)
    assert status.ed_std_status1.cover_removed == 0


def test_a_magnet_is_told_once_each_time_it_comes() -> None:
    meter, client = device()
    tamper = part(meter, Tamper)
    for _ in range(2):
        tamper.magnet(True, client.now)
        later(client, 100)
        tamper.magnet(True, client.now)
        later(client, 100)
        tamper.magnet(False, client.now)
    assert events(meter).count("magnetic_tamper") == 2


def test_energy_that_flows_backwards_is_an_alarm_but_not_where_somebody_generates() -> None:
    meter, client = device(source=Steady(-500.0))
    later(client, 7200)
    assert events(meter).count("reverse_rotation") == 1
    inverter, other = device("inverter", Steady(-500.0))
    later(other, 7200)
    assert "reverse_rotation" not in events(inverter)


# ---- power quality and outages --------------------------------------------------------------------------------------
class OnePhaseGone:
    """Three phases, of which the second has a tenth of its voltage for a while."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end

    def energy(self, start: float, end: float) -> tuple[int, ...]:
        return (0,) * len(FLOWS)

    def instant(self, at: float) -> Instant:
        low = 23.0 if self.begin <= at < self.end else 230.0
        return Instant((PhaseInstant(), PhaseInstant(voltage_v=low), PhaseInstant()))

    def beyond(self, start: float, end: float, low_v: float, high_v: float) -> float | None:
        first = max(start, self.begin)
        return first if first < min(end, self.end) else None


def test_a_phase_that_is_gone_for_its_time_is_told_once() -> None:
    meter, client = device("3ph", OnePhaseGone(START + 1000, START + 1400))
    later(client, 1005)
    assert "phase_loss" not in events(meter)
    later(client, 1000)
    log = [key for key in _alternate(meter) if key == "phase_loss"]
    assert log == ["phase_loss"]
    status: Any = meter.image.decode(BT03)
    assert status.mfg_status_0.phase_loss == 1


def _alternate(meter: Meter) -> list[str]:
    log: Any = meter.image.decode(ET79)
    return [event_of(each.event.event_id).key for each in log.entries[: log.nbr_valid_entries]]


def test_outages_stand_in_their_logs_newest_first() -> None:
    meter, client = device("3ph")
    for seconds in (30, 400):
        later(client, 100)
        meter.power_off(client.now)
        client.now += seconds
        meter.power_on(client.now)
    table: Any = meter.image.decode(ET09)
    assert [each.power_off_duration for each in table.outages[:3]] == [400, 30, 0]
    assert table.short_outage_count == 1
    log: Any = meter.image.decode(ET81)
    assert log.nbr_valid_entries == 2
    assert events(meter)[:4] == ["power_up", "power_down", "power_up", "power_down"]


# ---- all kinds ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
def test_a_device_of_any_kind_goes_on_where_it_was_saved(kind: str) -> None:
    meter = make_meter(kind, "00004711", seed=5, start=START)
    client = Client(meter)
    client.run("EP22", b"\1" + u32(40_000) + u32(0) + b"\x3c\0")
    client.run("EP02", b"\1\0\0" + bytes(6) + b"\x58\x02" + b"\x3c\0")
    client.run("EP36", b"\0" + stamp(START + 5000))
    client.run("EP21", b"\0" + u32(1) + u32(90_000))
    client.run("EP21", b"\1" + u32(0) + u32(0) + u32(10) + u32(10))
    later(client, 1000)
    text = json.dumps(meter.to_json())
    again = make_meter(kind, "00004711", seed=5, start=START)
    again.restore(json.loads(text))
    assert json.dumps(again.to_json()) == text
    for each in (meter, again):
        each.advance(client.now + 9000)
    assert json.dumps(again.to_json()) == json.dumps(meter.to_json())


@pytest.mark.parametrize("kind", KINDS)
def test_any_parameters_of_any_procedure_give_a_result(kind: str) -> None:
    meter, client = device(kind)
    chance = random.Random(kind)
    client.port = Port("pl")
    procedures = [number for number in meter.handlers if number not in (2054, 2059, 2085)]  # these make all logs anew
    for turn in range(300):
        raw = chance.choice((chance.randbytes, lambda size: bytes(chance.choice((0, 1, 2, 255)) for _ in range(size))))
        data = chance.choice(procedures).to_bytes(2, "little") + bytes((turn % 250,)) + raw(chance.randrange(60))
        client.port.broadcast = bool(chance.randrange(2))
        assert client.write("BT07", data) == 0
        client.now += chance.choice((0.0, 5.0, 700.0))
        meter.advance(client.now)
        client.now = max(client.now, meter.at)
    for number in meter.image:
        meter.refresh(number, client.now)
    json.dumps(meter.to_json())


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="no kind of device"):
        make_meter("toaster", "1", seed=1, start=START)


def test_user_tables_are_there_where_the_kind_has_them() -> None:
    assert all(number in device("1ph")[0].image for number in (CONTACTOR, PREPAY))
    assert GENERATION in device("inverter")[0].image
    assert CONTACTOR not in device("load")[0].image
    assert len(FLOWS) == 10
