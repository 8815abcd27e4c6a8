"""Jobs of a street's plan: they are given when they are due, carried out at every device of their kind, and told of."""

from __future__ import annotations

import dataclasses

import pytest

from osgp.street.demo import demo_plan
from osgp.street.plan import Fault, Order, StreetPlan, parse_plan
from osgp.street.run import StreetRun
from osgp.street.summary import summary
from osgp.wire.errors import ConfigError
from tests.street.small import small_plan

GRID = "[grid]\nkind = 'rural'\nhouses = 4\n"


def test_a_bounded_demo_switches_loads_and_upgrades_their_firmware_and_loses_no_reading() -> None:
    run = StreetRun(demo_plan(6, seed=7, hours=1.0))
    run.run()
    found = summary(run)
    assert run.truth().exact
    assert found["jobs"][0]["results"] == {"done": 1}
    assert found["firmware"][0]["switched"] == 1
    (load,) = [device for device in run.devices if device.kind.name == "load"]
    load.advance(run.wire.now)
    assert load.meter.relays.control[0] is False
    assert all(device.meter.relays.control[0] for device in run.devices if device is not load)


def test_an_order_that_falls_due_without_a_concentrator_waits_for_it() -> None:
    plan = dataclasses.replace(
        small_plan(4, hours=1.0, faults=(Fault("outage", 0.4, 10.0),)),
        orders=(Order("read", 0.45, "", {"names": ["fwd_active_energy"]}),),
    )
    run = StreetRun(plan)
    run.run()
    (told,) = run.orders.told()
    assert told["begun_s"] >= (0.4 + 1 / 6) * 3600
    assert told["results"] == {"done": 4}
    assert run.truth().exact


def test_an_order_that_cannot_be_meant_fails_at_each_device_and_reading_goes_on() -> None:
    wrong = Order("procedure", 0.3, "", {"procedure": "XY99"})
    run = StreetRun(dataclasses.replace(small_plan(4, hours=0.5), orders=(wrong,)))
    run.run()
    assert run.orders.told()[0]["results"] == {"failed": 4}
    assert run.truth().exact


def test_jobs_stand_in_the_file() -> None:
    plan: StreetPlan = parse_plan(GRID + "[[job]]\nkind = 'visit'\nat_h = 2\nparameters = {what = ['scan']}\n")
    assert plan.orders == (Order("visit", 2.0, "", {"what": ["scan"]}),)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("kind = 'dance'", "no job is called"),
        ("kind = 'read'\ndevices = 'load'\n", "no house has a device of the kind 'load'"),
        ("kind = 'read'\nparameters = 7", "parameters of a job are a table"),
        ("at_h = 2", "job needs kind"),
        ("kind = 'read'\nwhen = 2", "has no setting 'when'"),
    ],
)
def test_what_is_wrong_with_a_job_is_named_with_its_line(lines: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_plan(f"{GRID}[[job]]\n{lines}\n", "street.toml")
    assert "street.toml:" in str(caught.value)
