"""Curves of packet loss: intervals, interpolation over Ec/N0 and length, files and what is wrong with them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.sim.per import NEVER, Curve, Curves, Point, wilson
from osgp.wire.errors import ConfigError

ROWS = ((0.0, 1000, 1000), (3.0, 1000, 500), (5.0, 1000, 50), (7.0, 1000, 1), (9.0, 1000, 0))


def curve(size: int = 18, *, scenario: str = "Q", carrier: str = "primary", rows: Any = ROWS) -> Curve:
    return Curve(scenario, carrier, size, tuple(Point(*row) for row in rows))


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    assert wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert wilson(0, 100) == (0.0, pytest.approx(0.0370, abs=1e-4))
    assert wilson(100, 100) == (pytest.approx(0.9630, abs=1e-4), 1.0)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_what_was_counted(pair: tuple[int, int]) -> None:
    low, high = wilson(*pair)
    assert 0.0 <= low <= pair[0] / pair[1] <= high <= 1.0


@pytest.mark.parametrize(("at", "per"), [(3.0, 0.5), (5.0, 0.05), (7.0, 0.001)])
def test_at_a_point_the_curve_says_what_was_counted(at: float, per: float) -> None:
    assert Curves([curve()]).per("Q", False, at, 18) == pytest.approx(per)


def test_between_points_the_hazard_is_a_straight_line_in_its_logarithm() -> None:
    hazard = Curves([curve()]).hazard("Q", False, 4.0, 18)
    assert hazard == pytest.approx(math.sqrt(math.log(2) * -math.log(0.95)))


def test_beyond_the_last_loss_the_curve_falls_on() -> None:
    curves = Curves([curve()])
    assert curves.per("Q", False, 9.0, 18) < 1e-3 * curves.per("Q", False, 7.0, 18) ** 0.5
    assert curves.per("Q", False, 9.0, 18) <= 0.5 / 1000
    assert curves.per("Q", False, 20.0, 18) < 1e-12
    assert curves.per("Q", False, -20.0, 18) == pytest.approx(1.0)


def test_a_floor_that_was_counted_stays() -> None:
    floor = Curves([curve(rows=((0.0, 100, 100), (10.0, 100, 20), (20.0, 100, 19)))])
    assert floor.per("Q", False, 40.0, 18) == pytest.approx(0.19)


def test_where_all_were_lost_fewer_come_through_the_less_signal_there_is() -> None:
    curves = Curves([curve(rows=((0.0, 60, 60), (1.0, 60, 60), (2.0, 60, 60), (3.0, 60, 30), (4.0, 600, 3)))])
    assert curves.per("Q", False, 2.0, 18) == pytest.approx(1 - 0.5 / 60)
    assert 1 - curves.per("Q", False, 1.0, 18) < 1e-6
    hopeless = Curves([curve(rows=((0.0, 60, 60), (1.0, 60, 60)))])
    assert hopeless.per("Q", False, 30.0, 18) > 0.99


def test_where_nothing_was_ever_lost_nothing_is() -> None:
    assert Curves([curve(rows=((0.0, 100, 0), (5.0, 100, 0)))]).per("Q", False, 3.0, 18) == 0.0


def test_hazards_are_a_straight_line_over_the_length_through_both_curves() -> None:
    short, long = curve(18), curve(58, rows=((3.0, 1000, 900), (5.0, 1000, 140)))
    curves = Curves([long, short])
    low, high = (curves.hazard("Q", False, 5.0, size) for size in (18, 58))
    assert low == pytest.approx(-math.log(0.95))
    assert high == pytest.approx(-math.log(0.86))
    assert curves.hazard("Q", False, 5.0, 38) == pytest.approx((low + high) / 2)
    assert curves.hazard("Q", False, 5.0, 118) == pytest.approx(2 * high)
    assert curves.hazard("Q", False, 5.0, 8) == pytest.approx(low / 2)


def test_one_length_alone_counts_in_proportion() -> None:
    curves = Curves([curve()])
    assert curves.hazard("Q", False, 5.0, 38) == pytest.approx(2 * curves.hazard("Q", False, 5.0, 18))


@given(st.floats(-40, 60), st.floats(-40, 60), st.integers(6, 252), st.integers(6, 252))
def test_more_signal_and_fewer_bytes_never_lose_more(a: float, b: float, size: int, other: int) -> None:
    curves = Curves(
        [
            curve(18),
            curve(58, rows=((0.0, 1000, 1000), (3.0, 1000, 900), (5.0, 1000, 140), (9.0, 1000, 1), (11.0, 1000, 0))),
        ]
    )
    worse, better = sorted((a, b))
    assert curves.hazard("Q", False, better, size) <= curves.hazard("Q", False, worse, size) * (1 + 1e-9)
    less, more = sorted((size, other))
    assert 0.0 <= curves.hazard("Q", False, 4.0, less) <= curves.hazard("Q", False, 4.0, more) * (1 + 1e-9) <= NEVER


def test_no_signal_is_never_and_no_noise_always() -> None:
    curves = Curves([curve()])
    assert curves.hazard("Q", False, -math.inf, 18) == NEVER
    assert curves.hazard("Q", False, math.inf, 18) == 0.0


def test_an_unknown_scenario_or_carrier_names_those_that_are_known() -> None:
    curves = Curves([curve(), curve(scenario="R")])
    with pytest.raises(ConfigError, match="scenario X on the primary") as error:
        curves.hazard("X", False, 5.0, 18)
    assert "Q, R" in (error.value.hint or "")
    with pytest.raises(ConfigError, match="secondary"):
        curves.hazard("Q", True, 5.0, 18)


def test_a_file_comes_back_as_it_was_with_its_provenance(tmp_path: Path) -> None:
    curves = Curves([curve(), curve(58, carrier="secondary")], {"seed": 7})
    path = tmp_path / "curves.json"
    path.write_text(curves.to_text())
    again = Curves.from_file(path)
    assert again.curves == curves.curves
    assert again.provenance == {"seed": 7}
    assert json.loads(path.read_text())["curves"][0]["wilson_95"][1] == pytest.approx([0.469, 0.531], abs=1e-3)


GOOD = {"scenario": "Q", "carrier": "primary", "lpdu_bytes": 18, "points": [[3.0, 10, 5]]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no JSON"),
        ("[]", "no file of packet loss"),
        ('{"format": 2}', "no file of packet loss"),
        ('{"format": 1}', "no curves"),
        ('{"format": 1, "provenance": 3, "curves": []}', "provenance"),
        (json.dumps({"format": 1, "curves": [GOOD, 7]}), "curve 1"),
        (json.dumps({"format": 1, "curves": [GOOD | {"carrier": "third"}]}), "no such carrier"),
        (json.dumps({"format": 1, "curves": [GOOD | {"points": [[1, 2]]}]}), "cannot be read"),
        (json.dumps({"format": 1, "curves": [GOOD | {"points": [[1, 2, 3]]}]}), "packets, lost"),
        (json.dumps({"format": 1, "curves": [GOOD | {"points": [[1, 2, 1], [1, 2, 1]]}]}), "order"),
        (json.dumps({"format": 1, "curves": [GOOD | {"points": []}]}), "no points"),
        ('{"format": 1, "curves": [{"scenario": "Q", "lpdu_bytes": 1e999}]}', "curve 0"),
    ],
)
def test_a_file_that_is_none_says_where(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=words) as error:
        Curves.from_file(path)
    assert "bad.json" in error.value.message


def test_a_file_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Curves.from_file(tmp_path / "none.json")
