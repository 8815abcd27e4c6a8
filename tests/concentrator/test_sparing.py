"""What is not asked twice: configuration, facts, clocks, logs without news, results that nobody needs; who is scanned seldom."""

from __future__ import annotations

from collections import Counter

import pytest

from osgp.concentrator.accounts import Usage
from osgp.concentrator.config import Collection, ConcentratorConfig
from osgp.concentrator.core import AlarmRaised
from osgp.concentrator.exchange import OutcomeUnknown
from osgp.tables.procedures.bp05 import BP05
from tests.concentrator.test_door import lose_answers_to_orders, orders
from tests.concentrator.town import Town
from tests.concentrator.world import World
from tests.node.meters import START

HOUR = 3600.0
DAILY = ConcentratorConfig(collection=Collection(measurements=("fwd_active_energy", "serial_number")))
FORGET = BP05.Parameters(list_type=7, entries_read=1).encode()
BT01, CLOCK, RING, LOG, SIZES, UNIT, MARKS, RESPONSE = 1, 52, 63, 74, 2069, 2103, 2052, 8


def settled() -> Town:
    """A town of one whose second day has come: everything is known of its meter."""
    town = Town(1, config=DAILY)
    town.run(26 * HOUR)
    town.devices[0].executed.clear()
    return town


def reads(town: Town) -> Counter[int]:
    """How often each table was read since the list was emptied."""
    messages = town.devices[0].executed
    return Counter(int.from_bytes(each[1:3], "big") for each in messages if each[0] in (0x30, 0x3F))


def test_a_day_reads_nothing_that_is_known() -> None:
    town = settled()
    before = len(town.journal.intervals(1))
    town.run(24 * HOUR)
    found = reads(town)
    assert [found[number] for number in (BT01, RING, SIZES, UNIT, RESPONSE)] == [0] * 5
    assert (found[CLOCK], found[MARKS], found[LOG]) == (1, 1, 2), "of the log its header and what is new"
    assert len(town.journal.intervals(1)) - before == 96
    facts = [value for name, _, value, _ in town.journal.readings(1, "serial_number")]
    assert len(facts) == len(town.journal.readings(1, "fwd_active_energy")) == 3
    assert len(set(facts)) == 1


def test_another_configuration_is_read_anew() -> None:
    town = settled()
    town.devices[0].meter.interface_changed()
    town.run(24 * HOUR)
    found = reads(town)
    assert all(found[number] for number in (BT01, RING, SIZES, UNIT))
    assert len(town.journal.intervals(1)) >= 96 * 2


def test_a_log_without_news_is_not_looked_at_and_one_with_news_is_forgotten_afterwards() -> None:
    town = settled()
    meter = town.devices[0].meter
    meter.events.primary.mark_read(0xFFFF)
    meter.advance(START + town.wire.now)
    town.run(60.0)
    kept = len(town.journal.events_of(1, "BT74"))
    meter.log("cover_removed")
    town.run(24 * HOUR)
    assert reads(town)[LOG] >= 2
    assert len(town.journal.events_of(1, "BT74")) > kept
    assert meter.events.primary.get("nbr_unread_entries") < 3, "those of the day are marked"


def test_who_sends_alerts_is_scanned_seldom_and_at_once_when_an_alert_came() -> None:
    scans = []
    for alerting in (True, False):
        town = Town(1, config=DAILY)
        town.concentrator.alerting = lambda device, alerting=alerting: alerting  # type: ignore[misc]  # default
        town.run(HOUR)
        town.devices[0].executed.clear()
        town.run(12 * HOUR)
        scans.append(reads(town)[3])
    assert scans[0] in (1, 2)
    assert 47 <= scans[1] <= 49
    town.concentrator.alerting = lambda device: True
    town.run(HOUR)
    town.events.clear()
    town.devices[0].meter.alarm("ed_std_status1", "cover_removed")
    town.concentrator._alerted(1, bytes(14), town.wire.now)
    town.touch()
    town.run(5.0)
    assert [each.alarm for each in town.events if isinstance(each, AlarmRaised)] == ["cover_removed"]


def test_an_order_whose_result_nobody_needs_takes_one_exchange() -> None:
    world = World()
    access = world.access()
    world.do(access.order(BP05.number, FORGET))
    world.devices[0].executed.clear()
    world.do(access.order(BP05.number, FORGET))
    assert [message[:3] for message in world.devices[0].executed] == [b"\x40\x00\x07"]


def test_if_the_devices_word_was_lost_its_response_is_looked_for() -> None:
    world = World()
    access = world.access()
    world.do(access.order(BP05.number, FORGET))
    lose_answers_to_orders(world)
    world.do(access.order(BP05.number, FORGET))
    assert orders(world) == 2
    assert world.devices[0].executed[-1][:3] == b"\x30\x00\x08"


def test_an_order_that_never_arrived_is_in_doubt() -> None:
    world = World()
    access = world.access()
    world.do(access.order(BP05.number, FORGET))
    device = world.devices[0]
    answer = device.answer
    device.answer = lambda apdu, now: b"\xff" * 12 if apdu[1:4] == b"\x40\x00\x07" else answer(apdu, now)  # type: ignore[method-assign]  # damaged
    with pytest.raises(OutcomeUnknown):
        world.do(access.order(BP05.number, FORGET))


def test_what_the_first_scan_learns_holds_for_the_first_read_out() -> None:
    town = Town(1, config=DAILY)
    town.run(60.0)
    found = reads(town)
    assert found[MARKS] == 3, "both marks before anything is learnt, one when registers are read"
    assert found[RING] == 1, "there is nothing to read yet"
    town.devices[0].executed.clear()
    town.devices[0].meter.alarm("ed_std_status1", "cover_removed")
    town.run(1000.0)
    assert reads(town)[3] >= 1
    assert not reads(town)[0], "the next alarm is read with what is known"


@pytest.mark.parametrize(("airtime_s", "again_s"), [(1.0, 900.0), (150.0, 1500.0), (5000.0, 2700.0)])
def test_many_that_send_no_alerts_are_scanned_less_often_but_before_they_think_that_they_are_alone(
    airtime_s: float, again_s: float
) -> None:
    town = Town(1, config=DAILY)
    account = town.concentrator.account
    town.run(60.0)
    account.by_class["alarm"] = Usage(exchanges=1, airtime_s=airtime_s)
    assert town.concentrator._scan_again_s(1) == again_s
