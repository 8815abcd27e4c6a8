"""Firmware over a street: an image reaches all meters of a kind by broadcast, gaps are mended, and the report says what it took."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from osgp.node.firmware_banks import FirmwareBanks, version_of
from osgp.node.osgp_parts import find
from osgp.street.plan import Fault, Upgrade, default_text, parse_plan
from osgp.street.run import StreetRun
from osgp.street.summary import summary
from osgp.wire.errors import ConfigError
from tests.street.small import small_plan

NEW, OLD = version_of(4, 61), version_of(4, 60)


def versions(run: StreetRun, kind: str) -> list[int]:
    """What runs in the devices of a kind."""
    found = [find(run.by_name[house.node].meter, FirmwareBanks) for house in run.plan.houses if house.kind == kind]
    return [banks.version for banks in found if banks is not None]


@pytest.fixture(scope="module")
def ran() -> StreetRun:
    """For four meters, while nobody hears well for some seconds."""
    plan = small_plan(8, hours=2.0, faults=(Fault("noise", at_h=0.71, minutes=0.2, db=15.0),))
    run = StreetRun(dataclasses.replace(plan, upgrades=(Upgrade("1ph", at_h=0.7, kib=4.0),)))
    run.run()
    return run


@pytest.fixture(scope="module")
def told(ran: StreetRun) -> dict[str, Any]:
    (found,) = summary(ran)["firmware"]
    assert isinstance(found, dict)
    return found


def test_all_meters_of_the_kind_run_the_image_and_the_others_do_not(ran: StreetRun, told: dict[str, Any]) -> None:
    assert told["count"] == told["switched"] == 4
    assert told["results"] == {"done": 4}
    assert versions(ran, "1ph") == [NEW] * 4
    for kind in ("3ph", "load", "inverter", "gateway"):
        assert versions(ran, kind) == [OLD]


def test_no_reading_is_lost_beside_it(ran: StreetRun) -> None:
    assert ran.truth().exact


def test_its_course_is_told_over_time(told: dict[str, Any]) -> None:
    moments = told["moments"]
    assert told["begun_s"] == 0.7 * 3600 <= moments[0]["at_s"] < moments[-1]["at_s"] == told["over_s"]
    sent = [each["sent"] for each in moments]
    assert sent == sorted(sent)
    assert sent[-1] == told["blocks"] == 78
    assert moments[-1]["phases"] == told["results"]
    assert moments[-1]["missing"] == 0


def test_its_airtime_is_what_its_frames_took_and_less_than_unicast(ran: StreetRun, told: dict[str, Any]) -> None:
    assert told["airtime_s"] == pytest.approx(told["broadcast_s"] + told["unicast_s"], rel=0.35), "an estimate"
    assert 0 < told["repair_broadcast_s"] + told["repair_unicast_s"] < told["airtime_s"]
    assert told["by_unicast"] == pytest.approx(told["airtime_s"] / told["alone_s"], abs=1e-3)
    assert told["by_unicast"] < 1


def test_a_moment_to_switch_is_kept() -> None:
    plan = small_plan(6, hours=1.5)
    run = StreetRun(dataclasses.replace(plan, upgrades=(Upgrade("3ph", at_h=0.4, kib=1.0, activate_h=1.25),)))
    run.run_to(1.2 * 3600)
    assert versions(run, "3ph") == [OLD, OLD]
    run.run()
    assert versions(run, "3ph") == [NEW, NEW]
    (course,) = run.upgrades.all
    assert course.results == {"done": 2}
    assert course.over_s is not None
    assert course.over_s > 1.25 * 3600


def test_a_concentrator_that_is_killed_meanwhile_goes_on_with_it() -> None:
    plan = small_plan(6, hours=1.5, faults=(Fault("kill", at_h=0.45, minutes=3.0, count=2),))
    run = StreetRun(dataclasses.replace(plan, upgrades=(Upgrade("3ph", at_h=0.4, kib=4.0),)))
    run.run()
    (course,) = run.upgrades.all
    assert run.lives == 3
    assert course.results == {"done": 2}
    assert course.switched == 2


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('devices = "washing machine"', "no kind of device"),
        ('devices = "mbus"', "no kind of device"),
        ('devices = "1ph"\nversion = "new"', "no version"),
        ('devices = "1ph"\nversion = "4.999"', "no version"),
        ('devices = "1ph"\nkib = 9999', "kib"),
        ("at_h = 3", "needs devices"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_its_line(lines: str, words: str) -> None:
    text = default_text(8, kind="rural") + f"[[firmware]]\n{lines}\n"
    with pytest.raises(ConfigError, match=words) as caught:
        parse_plan(text, "street.toml")
    assert str(caught.value).startswith("street.toml:")


def test_firmware_for_a_kind_that_nobody_has_is_refused() -> None:
    text = default_text(3, kind="rural") + '[[firmware]]\ndevices = "gateway"\n'
    with pytest.raises(ConfigError, match="no house has a device"):
        parse_plan(text)


def test_the_houses_that_are_not_named_may_all_have_one_kind() -> None:
    plan = parse_plan('[grid]\nkind = "rural"\nhouses = 8\n[devices]\n3ph = "others"\nload = ["4"]\n')
    assert {house.kind for house in plan.houses if house.node != "4"} == {"3ph"}
    assert [house.kind for house in plan.houses if house.node == "4"] == ["load"]
