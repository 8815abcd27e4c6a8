"""Who is next: classes, fairness, devices that fail, quotas; and the configuration that says so."""

from __future__ import annotations

from random import Random

import pytest

from osgp.concentrator.accounts import AirtimeAccount
from osgp.concentrator.clockwork import ClockPolicy, clock_action
from osgp.concentrator.config import ConcentratorConfig, Plan, Quota
from osgp.concentrator.journal import Journal
from osgp.concentrator.schedule import Due, Duty, Quotas, Schedule, command_class
from osgp.tables.table import extended
from osgp.wire.errors import ConfigError

PLAN = Plan(scan_s=900.0, billing_s=86400.0, profile_s=21600.0, visits_at_once=2)


def schedule(count: int, plan: Plan = PLAN) -> Schedule:
    made = Schedule(plan, Random(1))
    for device in range(count):
        made.add(device, 0.0)
    return made


def everything(plan: Schedule, now: float) -> list[Due]:
    found = []
    while (due := plan.next(now)) is not None:
        found.append(due)
    return found


def test_scans_go_first_and_do_not_count_as_visits() -> None:
    plan = schedule(4)
    found = everything(plan, 0.0)
    assert [each.duty for each in found] == [Duty.SCAN] * 4 + [Duty.BILLING] * 2
    assert plan.next(0.0) is None
    plan.done(found[4], 1.0)
    again = plan.next(1.0)
    assert again is not None
    assert (again.device, again.duty) == (2, Duty.BILLING)


def test_a_device_has_one_visit_at_a_time_and_its_scan_beside_it() -> None:
    plan = schedule(1, Plan(visits_at_once=9))
    found = everything(plan, 0.0)
    assert [each.duty for each in found] == [Duty.SCAN, Duty.BILLING]
    assert plan.deadline(0.0) is None, "its profile waits for the end of the other visit, not for a time"
    plan.done(found[1], 5.0)
    assert [each.duty for each in everything(plan, 5.0)] == [Duty.PROFILE]


def test_nobody_is_forgotten() -> None:
    plan = schedule(50)
    served: dict[int, int] = {}
    now = 0.0
    for _ in range(400):
        due = plan.next(now)
        if due is None:
            following = plan.deadline(now)
            assert following is not None
            assert following > now, "a deadline at which there is nothing to do would be asked for ever"
            now = following
            continue
        served[due.device] = served.get(due.device, 0) + 1
        now += 5.0
        plan.done(due, now)
    assert set(served) == set(range(50))
    assert max(served.values()) - min(served.values()) <= 3


def test_duties_come_back_after_their_interval_from_when_they_were_due() -> None:
    plan = schedule(1)
    due = plan.next(0.0)
    assert due is not None
    plan.done(due, 30.0)
    assert plan.due(0)["scan"] == 900.0
    late = plan.next(5000.0)
    assert late is not None
    plan.done(late, 5000.0)
    assert plan.due(0)["scan"] == 5900.0, "what was missed is not made up for"


def test_each_failure_doubles_the_wait_and_one_answer_brings_everything_back() -> None:
    plan = schedule(1)
    now, waits = 0.0, []
    for _ in range(10):
        due = plan.next(now)
        assert due is not None
        until = plan.failed(due, now)
        waits.append(until - now)
        assert plan.next(now) is None, "all its duties are silent"
        now = until
    assert all(0.9 * 60 * 2**n <= wait <= 1.1 * 60 * 2**n for n, wait in enumerate(waits[:7]))
    assert max(waits) <= 1.1 * PLAN.retry_most_s
    due = plan.next(now)
    assert due is not None
    plan.done(due, now)
    assert plan.failures(0) == 0
    assert {each.duty for each in everything(plan, now)} == {Duty.BILLING}


def test_a_device_that_was_found_again_is_asked_at_once() -> None:
    plan = schedule(1)
    now = 0.0
    for _ in range(3):
        due = plan.next(now)
        assert due is not None
        now = plan.failed(due, now)
    assert plan.next(now - 100.0) is None
    plan.add(0, now - 100.0)
    assert plan.next(now - 100.0) is not None


def test_what_is_unread_can_hurry_a_profile() -> None:
    plan = schedule(1)
    for _ in range(2):
        for due in everything(plan, 0.0):
            plan.done(due, 0.0)
    assert plan.next(1.0) is None
    plan.hurry(0, Duty.PROFILE, 1.0)
    assert plan.next(1.0) == Due(0, Duty.PROFILE, 1.0)


def test_a_removed_device_is_not_next() -> None:
    plan = schedule(2)
    plan.remove(0)
    assert {each.device for each in everything(plan, 0.0)} == {1}


def test_first_visits_can_be_spread() -> None:
    plan = Schedule(Plan(spread=1.0), Random(2))
    for device in range(100):
        plan.add(device, 0.0)
    times = sorted(plan.due(device)["scan"] for device in range(100))
    assert 300 < times[50] < 600
    assert times[-1] <= 900


def test_quotas_count_for_all_and_for_each() -> None:
    quotas = Quotas({"contactor-open": Quota(2, 100.0), "command": Quota(0, 100.0, 3)}, Journal())
    for wall in (0.0, 10.0):
        assert quotas.free_at("contactor-open", 1, wall) == wall
        quotas.use("contactor-open", 1, wall)
    assert quotas.free_at("contactor-open", 2, 20.0) == 100.0
    assert quotas.free_at("", 1, 20.0) == 20.0
    quotas.use("", 1, 20.0)
    assert quotas.free_at("", 1, 30.0) == 100.0, "three commands at one device"
    assert quotas.free_at("", 2, 30.0) == 30.0


def test_only_opening_the_contactor_is_in_its_class() -> None:
    assert command_class(extended(2), b"\0\0") == "contactor-open"
    assert command_class(extended(2), b"\0\1") == command_class(extended(2), b"\1\0") == ""
    assert command_class(extended(16), b"\0\0") == command_class(extended(2), b"") == ""


@pytest.mark.parametrize(
    ("drift", "kind"),
    [(0, None), (5, None), (-5, None), (5.1, "gradual"), (-300, "gradual"), (301, "step"), (-4000, "step")],
)
def test_drifts_ask_for_what_the_policy_says(drift: float, kind: str | None) -> None:
    action = clock_action(drift, ClockPolicy())
    assert (action.kind if action is not None else None) == kind


def test_the_airtime_budget_is_saved_up_and_paid_back() -> None:
    account = AirtimeAccount(share=0.5, window_s=10.0)
    assert account.free_at(0.0) == 0.0
    account.book("profile", 1, 9.0, 0.0, answered=True)
    assert account.free_at(0.0) == pytest.approx(8.0)
    assert account.free_at(8.0) == 8.0
    assert account.free_at(1000.0) == 1000.0
    account.book("profile", 1, 6.0, 1000.0)
    assert account.free_at(1000.0) == pytest.approx(1002.0), "no more than the window is saved"
    assert (account.total.exchanges, account.total.answered) == (2, 1)


def test_a_configuration_comes_from_toml_and_says_what_it_does_not_know() -> None:
    text = """
    name = "mill lane"
    airtime_share = 0.5
    [collection]
    measurements = ["fwd_active_energy", "BT23.tot_data_block.summations[0]"]
    profiles = [1, 2]
    [exchange]
    tries = 3
    [clock]
    leave_s = 10
    [quotas.contactor-open]
    count = 5
    """
    config = ConcentratorConfig.from_toml(text)
    assert (config.name, config.airtime_share, config.exchange.tries) == ("mill lane", 0.5, 3)
    assert config.collection.profiles == (1, 2)
    assert config.clock.leave_s == 10.0
    assert config.quotas["contactor-open"] == Quota(5, 3600.0)
    assert config.quotas["command"].per_device == 60


@pytest.mark.parametrize(
    "text",
    [
        "name = 5",
        "colour = 'red'",
        "[plan]\nscan_s = 0",
        "[plan]\nscan = 5",
        "plan = 5",
        "airtime_share = 2.0",
        "[collection]\nprofiles = [7]",
        "[collection]\nmeasurements = ['nonsense']",
        "[collection]\nlogs = ['BT99999']",
        "quotas = 5",
        "[quotas]\nx = 5",
        "name = ",
    ],
)
def test_wrong_configurations_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        ConcentratorConfig.from_toml(text)


def test_a_silent_device_that_answers_something_else_has_its_duties_back() -> None:
    plan = schedule(1)
    due = plan.next(0.0)
    assert due is not None
    for failure in range(3):
        plan.heard(due.device, 0.0)
        assert plan.failures(due.device) == failure, "a part of a visit is no visit"
        until = plan.failed(due, 0.0)
        due = plan.next(until)
        assert due is not None
    plan.failed(due, until)
    plan.heard(due.device, until + 1.0)
    assert plan.failures(due.device) == 0
    assert plan.next(until + 1.0) is not None


def test_another_way_is_tried_at_once_and_patience_is_kept() -> None:
    plan = schedule(1)
    due = plan.next(0.0)
    assert due is not None
    plan.failed(due, 0.0)
    assert plan.next(1.0) is None
    plan.retry(due.device, 1.0)
    again = plan.next(1.0)
    assert again is not None
    assert plan.failed(again, 1.0) > 1.0 + 1.8 * 60.0, "the second failure in a row"
    plan.retry(99, 1.0)
    assert plan.failures(99) == 0


def test_readings_are_late_when_they_have_been_due_for_long_and_nobody_is_silent() -> None:
    plan = schedule(1)
    assert not plan.is_late(3599.0, 3600.0)
    assert plan.is_late(3600.0, 3600.0)
    scan, billing = everything(plan, 3600.0)
    plan.done(scan, 3600.0)
    plan.done(billing, 3600.0)
    (profile,) = everything(plan, 3600.0)
    assert not plan.is_late(9000.0, 3600.0), "it is being read"
    plan.done(profile, 9000.0)
    assert not plan.is_late(9000.0 + 3 * 900.0, 3600.0), "late scans are no late readings"
    silent = schedule(1)
    until = silent.failed(everything(silent, 0.0)[0], 0.0)
    assert not silent.is_late(until - 1.0, 0.0)
    assert silent.is_late(until, 0.0)
