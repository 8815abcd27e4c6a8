"""The access to the channel over the load: it saturates and does not collapse where it can predict, and is lonely without load."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from osgp.lon.csma import A_BAND, PL20_C
from osgp.plc.params import C_BAND
from osgp.sim import mac
from osgp.sim.mac import MacPoint, measure
from osgp.wire.errors import ConfigError


@pytest.mark.parametrize("traffic", ["unacknowledged", "acknowledged"])
@pytest.mark.parametrize("nodes", [2, 50])
def test_a_light_load_comes_through_whole_and_at_once(nodes: int, traffic: mac.Traffic) -> None:
    point = measure(nodes, 0.1, traffic=traffic, seconds=120.0)
    assert point.goodput == pytest.approx(0.1, abs=0.03)
    assert point.throughput == pytest.approx(point.goodput, rel=0.05)
    assert point.lost == 0.0
    assert point.collision_ratio < 0.03
    assert point.latency_median_s is not None
    airtime_s = 0.053 if traffic == "unacknowledged" else 0.102
    most_slots_s = 17 * A_BAND.beta2_s if traffic == "unacknowledged" else 36 * A_BAND.beta2_s
    assert airtime_s < point.latency_median_s < airtime_s + most_slots_s + 0.05


@pytest.mark.parametrize("nodes", [10, 50, 200])
def test_with_announced_answers_throughput_saturates_and_does_not_collapse(nodes: int) -> None:
    """Published of predictive p-persistent CSMA: however much is offered by however many, the line carries on."""
    seconds = 30.0 if nodes == 200 else 60.0
    reached = [measure(nodes, load, traffic="acknowledged", seconds=seconds) for load in (0.5, 1.0, 3.0)]
    assert all(point.throughput > 0.45 for point in reached)
    assert reached[-1].throughput > 0.8 * max(point.throughput for point in reached)
    assert all(point.collision_ratio < 0.25 for point in reached)


def test_without_answers_nothing_is_predicted_and_a_crowd_that_offers_too_much_collides() -> None:
    """The window stays at its sixteen slots: that is what the prediction is for."""
    few, many = (measure(nodes, 2.0, seconds=30.0) for nodes in (2, 50))
    assert few.throughput > 0.6
    assert many.collision_ratio > 0.5 > few.collision_ratio
    assert many.throughput < few.throughput


def test_the_published_figures_of_the_c_band_are_met() -> None:
    """Digest 1.5: 10 packets a second of 11 bytes, 4 % collisions. The number of nodes is not told; a handful fits."""
    airtime_s = 11 * 11 / C_BAND.bit_rate + 57 / C_BAND.bit_rate
    point = measure(10, 10 * airtime_s, seconds=120.0, timing=PL20_C, profile=C_BAND)
    assert point.packets_per_s == pytest.approx(10.0, abs=1.0)
    assert 0.005 < point.collision_ratio < 0.08


def test_everybody_gets_a_share() -> None:
    point = measure(10, 3.0, seconds=120.0)
    assert point.fairness > 0.95
    assert point.lost > 0.5


def test_the_same_seed_measures_the_same() -> None:
    once: Callable[[int], MacPoint] = lambda seed: measure(5, 0.5, seconds=10.0, seed=seed)  # noqa: E731
    assert once(1) == once(1)
    assert once(1) != once(2)


@pytest.mark.parametrize(("nodes", "offered"), [(1, 0.5), (2, 0.0), (2, -1.0), (2, float("nan"))])
def test_loads_that_nobody_can_offer_are_refused(nodes: int, offered: float) -> None:
    with pytest.raises(ConfigError, match="two nodes or more"):
        measure(nodes, offered)
