"""The access to the channel over the load: it saturates and does not collapse where it can predict, and is lonely without load.

``tests.sim.slots`` is the yardstick: the standard's rule once more, without our machine, our wire or our transactions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from osgp.lon.csma import A_BAND, PL20_C
from osgp.plc.params import C_BAND
from osgp.sim import mac
from osgp.sim.mac import MacPoint, measure
from osgp.wire.errors import ConfigError
from tests.sim.slots import Saturated, saturated

NODES = (2, 10, 50, 200)
EACH = [*NODES[:3], pytest.param(200, marks=pytest.mark.long)]
OVERLOAD = 4.0
"""Times what the line could carry without a pause."""


@cache
def measured(nodes: int, load: float, traffic: mac.Traffic, collisions_heard: bool = False) -> MacPoint:
    """A point, for long enough that everybody has had a turn or several."""
    seconds = {2: 60.0, 10: 60.0, 50: 30.0, 200: 60.0 if traffic == "acknowledged" else 20.0}[nodes]
    return measure(nodes, load, traffic=traffic, seconds=seconds, collisions_heard=collisions_heard)


@cache
def by_the_rule(nodes: int, acknowledged: bool, collisions_heard: bool = False) -> Saturated:
    """The same of the yardstick."""
    seconds = {2: 600.0, 10: 600.0, 50: 200.0, 200: 80.0}[nodes]
    return saturated(nodes, acknowledged=acknowledged, collisions_heard=collisions_heard, seconds=seconds)


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


@pytest.mark.parametrize("nodes", EACH)
def test_acknowledged_throughput_saturates_and_does_not_collapse(nodes: int) -> None:
    """Published of predictive p-persistent CSMA: however much is offered by however many, the line carries on."""
    reached = [measured(nodes, load, "acknowledged") for load in (0.6, 1.0, OVERLOAD)]
    assert reached[-1].throughput > 0.8 * max(point.throughput for point in reached)
    assert all(point.throughput > 0.5 for point in reached)
    assert all(point.collision_ratio < 0.25 for point in reached)


@pytest.mark.parametrize(("nodes", "share"), [(2, 0.9), (10, 0.85), (50, 0.5), (200, 0.4)])
def test_acknowledged_messages_come_through_under_overload(nodes: int, share: float) -> None:
    """What is behind that: a node does not fill the line with copies of what has not even had its turn. ``share``: of the throughput;
    the rest are repetitions, because some answers wait longer for their turn than anybody could know."""
    point = measured(nodes, OVERLOAD, "acknowledged")
    assert point.goodput > share * point.throughput
    assert point.failed < 0.1, "of those that the nodes took on"
    assert point.lost > 0.7 if nodes < 200 else point.lost > 0.2, "or it was no overload"


@pytest.mark.parametrize("acknowledged", [False, True], ids=["unacknowledged", "acknowledged"])
@pytest.mark.parametrize("nodes", EACH)
def test_the_machine_does_what_the_rule_says(nodes: int, acknowledged: bool) -> None:
    """Within what transactions, and beta1 that differs after one's own packet, make of it."""
    point = measured(nodes, OVERLOAD, "acknowledged" if acknowledged else "unacknowledged")
    rule = by_the_rule(nodes, acknowledged)
    assert point.throughput == pytest.approx(rule.throughput, abs=0.1 if acknowledged else 0.06)
    if not acknowledged:
        assert point.collision_ratio == pytest.approx(rule.collision_ratio, abs=0.05)


def test_by_the_rule_a_crowd_that_announces_nothing_and_offers_too_much_collides() -> None:
    """The window stays at its sixteen slots: those who collide count it, but each packet that comes through takes it back from all."""
    few, many = (by_the_rule(nodes, False) for nodes in (2, 200))
    assert few.throughput > 0.65
    assert many.throughput < 0.15
    assert many.collision_ratio > 0.95


@pytest.mark.parametrize("nodes", EACH)
def test_with_collisions_heard_unacknowledged_throughput_does_not_collapse_either(nodes: int) -> None:
    reached = [measured(nodes, load, "unacknowledged", True) for load in (0.6, OVERLOAD)]
    assert reached[-1].throughput > 0.8 * max(point.throughput for point in reached)
    rule = by_the_rule(nodes, False, True)
    assert reached[-1].throughput == pytest.approx(rule.throughput, abs=0.05)
    assert reached[-1].collision_ratio == pytest.approx(rule.collision_ratio, abs=0.05)


@pytest.mark.parametrize("nodes", [2, 50])
def test_the_time_to_detect_a_carrier_costs_little_as_long_as_it_fits_into_a_slot(nodes: int) -> None:
    """Digest 3.4: within 10 line bits, one slot; half a slot is the wire's default."""
    half, nearly = (
        measure(nodes, OVERLOAD, traffic="acknowledged", seconds=30.0, detect_s=share * A_BAND.beta2_s)
        for share in (0.5, 0.9)
    )
    assert nearly.throughput > 0.93 * half.throughput
    with pytest.raises(ConfigError, match="makes no slots"):
        measure(nodes, OVERLOAD, detect_s=1.1 * A_BAND.beta2_s)


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


@pytest.mark.parametrize(
    ("nodes", "offered", "seconds"),
    [
        (1, 0.5, 1.0),
        (1001, 0.5, 1.0),
        (2, 0.0, 1.0),
        (2, -1.0, 1.0),
        (2, float("nan"), 1.0),
        (2, 0.5, 0.0),
        (2, 0.5, float("inf")),
    ],
)
def test_loads_that_nobody_can_offer_are_refused(nodes: int, offered: float, seconds: float) -> None:
    with pytest.raises(ConfigError, match="is not offered by"):
        measure(nodes, offered, seconds=seconds)
