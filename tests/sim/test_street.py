"""Streets on virtual time: polling through repeaters, what is counted, the same again from one seed, a branch switched off."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from osgp.ports.capture import CaptureWriter, lon_frames
from osgp.sim.clock import Speed
from osgp.sim.grid import Grid
from osgp.sim.grid_generators import new_grid
from osgp.sim.medium import Levels, line_levels
from osgp.sim.medium_grid import devices_of, grid_levels
from osgp.sim.per import Curve, Curves, Point
from osgp.sim.street import Habits, Street
from osgp.sim.street_routes import routes
from osgp.wire.errors import ConfigError

ROWS = ((0.0, 10_000, 10_000), (4.0, 10_000, 1000), (6.0, 10_000, 10), (8.0, 10_000, 0))
CURVES = Curves(
    [
        Curve(scenario, carrier, 18, tuple(Point(*row) for row in ROWS))
        for scenario in "QRDTF"
        for carrier in ("primary", "secondary")
    ]
)
BUSY = Habits(interval_s=300.0, reports_per_day=48.0)


def loud_grid(houses: int = 100, *, seed: int = 1, background_dbuv: float = 90.0, kind: str = "rural") -> Grid:
    description = new_grid(kind, houses=houses, seed=seed)
    settings = dataclasses.replace(description.settings, background_dbuv=background_dbuv)
    return Grid(dataclasses.replace(description, settings=settings))


def captured(seconds: float = 400.0, *, seed: int = 1, speed: Speed = "max", houses: int = 40) -> bytes:
    stream = io.BytesIO()
    with CaptureWriter(stream, carrier="lpdu") as capture:
        Street(loud_grid(houses), seed=seed, habits=BUSY, curves=CURVES, capture=capture).run(seconds, speed=speed)
    return stream.getvalue()


# ---- ways -----------------------------------------------------------------------------------------------------------
def test_ways_go_from_node_to_node_and_no_further_than_allowed() -> None:
    levels = line_levels(7, first_db=20.0, step_db=20.0)
    ways = routes(levels, CURVES, 0, lpdu_bytes=40)
    assert [None if way is None else [leg.node for leg in way] for way in ways] == [
        [],
        [1],
        [1, 2],
        [1, 2, 3],
        [1, 2, 3, 4],
        None,
        None,
    ]
    assert routes(levels, CURVES, 0, lpdu_bytes=40, max_legs=1)[2] is None


def test_a_way_uses_the_better_carrier_of_each_leg_and_both_directions_of_it() -> None:
    def table(there: float, back: float) -> list[list[float]]:
        return [[0.0, there], [back, 0.0]]

    one = routes(Levels((table(30, 3.0), table(8, 8)), ("Q", "Q")), CURVES, 0, lpdu_bytes=40)[1]
    assert one is not None
    assert one[0].secondary
    assert routes(Levels((table(30, -5), table(-5, 30)), ("Q", "Q")), CURVES, 0, lpdu_bytes=40)[1] is None


def test_two_good_legs_are_better_than_one_bad_one() -> None:
    table = [[0.0, 30.0, 2.6], [30.0, 0.0, 30.0], [2.6, 30.0, 0.0]]
    way = routes(Levels((table, table), ("Q",) * 3), CURVES, 0, lpdu_bytes=18)[2]
    assert way is not None
    assert [leg.node for leg in way] == [1, 2]


# ---- polling --------------------------------------------------------------------------------------------------------
def test_meters_answer_over_several_legs_and_everything_is_counted() -> None:
    street = Street(loud_grid(), seed=3, habits=BUSY, curves=CURVES)
    street.run(900.0)
    report = street.report()
    assert report.rounds == 3
    assert {row.legs for row in report.by_legs} == {1, 2, 3, 4}
    assert sum(row.polls for row in report.by_legs) == report.polls > 250
    assert report.answered == sum(row.answered for row in report.by_legs)
    assert report.delivered > 0.97
    assert report.unreachable == sum(way is None for way in street.poller.ways) * 3
    assert 0.05 < report.airtime < 0.6
    assert report.transmissions == sum(port.sent + port.collisions for port in street.wire.ports)
    assert 0 < report.transmissions_secondary < report.transmissions
    assert report.frames_received > report.polls
    assert report.reports > 0
    medians = [row.latency_median_s for row in report.by_legs]
    assert medians == sorted(medians, key=lambda each: each or 0.0)
    assert all(0.2 < (row.latency_median_s or 0) <= (row.latency_p95_s or 0) for row in report.by_legs)


def test_a_poller_does_not_wait_for_old_transaction_numbers() -> None:
    """It remembers more destinations than a plain node, which would have to pause after the tenth."""
    street = Street(loud_grid(40, background_dbuv=60.0), seed=1, habits=BUSY, curves=CURVES)
    street.run(60.0)
    assert street.report().answered == 40


def test_polls_that_a_round_had_no_time_for_are_counted_as_unanswered() -> None:
    street = Street(loud_grid(40), seed=1, habits=Habits(interval_s=15.0, reports_per_day=0.0), curves=CURVES)
    street.run(60.0)
    reasons = Counter(poll.reason for poll in street.poller.polls)
    assert reasons["no time left in its round"] > 10
    assert street.report().delivered < 0.9


def test_reports_that_a_meter_has_no_room_for_are_lost_and_the_street_goes_on() -> None:
    habits = Habits(interval_s=60.0, reports_per_day=86400.0)
    street = Street(loud_grid(10, background_dbuv=60.0), seed=1, habits=habits, curves=CURVES)
    street.run(150.0)
    report = street.report()
    assert 0 < report.reports_acknowledged < report.reports - 500
    assert report.answered > 0


@pytest.mark.parametrize(
    "habit",
    [
        {"interval_s": 0.0},
        {"interval_s": float("nan")},
        {"interval_s": float("inf")},
        {"reports_per_day": -1.0},
        {"reports_per_day": float("inf")},
        {"attempts": 0},
        {"max_legs": 5},
        {"request_bytes": 1},
        {"response_bytes": 103},
    ],
)
def test_habits_that_nobody_can_have_are_refused(habit: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as told:
        Habits(**habit)
    assert told.value.hint


def test_the_longest_messages_go_through_the_longest_chains() -> None:
    habits = Habits(interval_s=300.0, request_bytes=102, response_bytes=102)
    street = Street(loud_grid(60), seed=3, habits=habits, curves=CURVES)
    street.run(240.0)
    assert next(row.answered for row in street.report().by_legs if row.legs == 4) > 0


def test_meters_behind_a_branch_that_is_off_do_not_answer_until_it_is_on_again() -> None:
    grid = loud_grid(30, kind="suburban", background_dbuv=60.0)
    branch = grid.between(devices_of(grid)[0], devices_of(grid)[-1])
    assert branch is not None
    street = Street(grid, seed=1, habits=BUSY, curves=CURVES)

    def answered(round_: int) -> set[int]:
        return {poll.device for poll in street.poller.polls if poll.round == round_ and poll.answered}

    everybody = set(range(1, 31))
    street.run(290.0)
    street.cut(branch[len(branch) // 2])
    street.run(300.0)
    dark = everybody - answered(1)
    assert 30 in dark
    assert dark != everybody
    street.restore(branch[len(branch) // 2])
    street.run(300.0)
    assert answered(0) == answered(2) == everybody
    assert street.report().unreachable == len(dark)


def test_a_cut_in_the_middle_of_a_round_breaks_chains_and_tells_why() -> None:
    grid = loud_grid(60, kind="suburban")
    branch = grid.between(devices_of(grid)[0], devices_of(grid)[-1])
    assert branch is not None
    street = Street(grid, seed=1, habits=Habits(interval_s=600.0, attempts=1), curves=CURVES)
    street.run(5.0)
    street.cut(branch[0])
    street.run(590.0)
    failed = [poll for poll in street.poller.polls if not poll.answered]
    assert failed
    assert all(poll.reason for poll in failed)


def test_a_street_lives_at_waveform_fidelity_too() -> None:
    street = Street(loud_grid(5, background_dbuv=60.0), seed=1, fidelity="waveform", curves=CURVES)
    street.run(8.0)
    report = street.report()
    assert report.fidelity == "waveform"
    assert report.answered == report.polls == 5


def test_noise_follows_the_time_of_day() -> None:
    street = Street(loud_grid(20, background_dbuv=60.0), seed=1, curves=CURVES)
    evening = street.medium.levels
    street.run(8 * 3600.0)
    night = street.medium.levels
    assert evening != night
    assert night == grid_levels(street.grid, street.devices, 2.0)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_street_runs_for_a_length_of_time_only(seconds: float) -> None:
    street = Street(loud_grid(5, background_dbuv=60.0), seed=1, curves=CURVES)
    with pytest.raises(ConfigError, match="cannot run"):
        street.run(seconds)


def test_a_street_without_meters_is_refused() -> None:
    lonely = Grid.parse('[[node]]\nname = "a"\nat = "transformer"\ndevice = "concentrator"\n')
    with pytest.raises(ConfigError, match="at least one meter"):
        Street(lonely, seed=1, curves=CURVES)


# ---- the same again -------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_capture_and_another_gives_another() -> None:
    first = captured()
    assert first == captured()
    assert first != captured(seed=2)
    frames = list(lon_frames(first))
    assert len(frames) > 100
    assert all(frame.crc for frame in frames)
    assert {bool(frame.lpdu[0] & 0x40) for frame in frames} == {False, True}


def test_virtual_time_at_a_speed_gives_the_same_frames_at_the_same_times_as_at_once() -> None:
    at_once = captured(20.0)
    assert len(list(lon_frames(at_once))) > 20
    assert captured(20.0, speed=200.0) == at_once
    assert captured(20.0, speed=1e9) == at_once


def test_runs_in_other_processes_with_other_hash_seeds_give_the_same_capture(tmp_path: Path) -> None:
    code = (
        "import hashlib, sys\n"
        "from tests.sim.test_street import captured\n"
        "sys.stdout.write(hashlib.sha256(captured()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "77")
    }
    assert len(found) == 1
    assert len(found.pop()) == 64
