"""Domains frame by frame: two engines that agree in every event, and rules that can be seen in what they report."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.plc.params import OSGP
from osgp.sim.domains import model
from osgp.sim.domains.engine import Results, simulate
from osgp.sim.domains.model import Counter, Domain, Domains, Kind, Load, What, street
from osgp.sim.medium import Levels, line_levels
from osgp.sim.per import Curve, Curves, Point, default_curves
from osgp.wire.errors import ConfigError

SILENT = -math.inf


def levels(table: list[list[float]], other: list[list[float]] | None = None) -> Levels:
    return Levels((table, other or table), ("Q",) * len(table))


def clean(size: int, ec_n0_db: float = 40.0) -> Levels:
    return levels([[ec_n0_db] * size for _ in range(size)])


def rows(results: Results, *only: What, domain: int = 0) -> list[list[int]]:
    assert results.trace is not None
    trace = results.trace[domain]
    return [row for row in trace.tolist() if not only or row[1] in only]


def both(domains: list[Domain] | Domains, seconds: float, seed: int) -> Results:
    """What the compiled engine says, after it was held against the reference."""
    fast = simulate(domains, seconds, seed, trace=True)
    slow = simulate(domains, seconds, seed, engine="reference", trace=True)
    assert fast.trace is not None
    assert slow.trace is not None
    for one, other in zip(fast.trace, slow.trace, strict=True):
        shared = min(len(one), len(other))
        differing = np.flatnonzero((one[:shared] != other[:shared]).any(1))
        assert not differing.size, (one[differing[0]].tolist(), other[differing[0]].tolist())
        assert len(one) == len(other)
    for name in ("counters", "polls", "reads"):
        assert (getattr(fast, name) == getattr(slow, name)).all(), name
    return fast


def any_domain(rng: random.Random) -> Domain:
    """Levels of any kind in both directions on both carriers, ways of any kind over what is there."""
    size = rng.choice((2, 3, 5, 12, 30, 64, 65, 90, 128))
    reach = rng.uniform(0.0, 1.0)
    tables = [
        [[rng.uniform(-9.0, 60.0) if rng.random() < reach else SILENT for _ in range(size)] for _ in range(size)]
        for _ in range(2)
    ]
    ways: list[list[tuple[int, bool]]] = [[]]
    for meter in range(1, size):
        between = rng.sample([node for node in range(1, size) if node != meter], min(rng.randrange(4), size - 2))
        way = [(node, rng.random() < 0.3) for node in (*between, meter)]
        if rng.random() < 0.1:
            way = []
        sender = 0
        for node, secondary in way:
            for one, other in ((sender, node), (node, sender)):
                if tables[secondary][one][other] < -9.0 or rng.random() < 0.7:
                    tables[secondary][one][other] = rng.uniform(2.0, 40.0)
            sender = node
        ways.append(way)
    load = Load(
        poll_every_s=rng.choice((None, 0.0, 0.4, 3.0)),
        report_every_s=rng.choice((None, size / 20, size / 5, float(size))),
        request_bytes=rng.choice((6, 16, 60, (31, 36, 38, 39))),
        response_bytes=rng.choice((6, 16, 250, (60, 50, 40, 30))),
        report_bytes=rng.choice((6, 24, (34, 40, 42, 43))),
        retries=rng.randrange(6),
        turnaround_s=rng.choice((0.0, 0.02, 0.5)),
        leg_wait_s=rng.choice((None, 0.01, 0.1)),
    )
    profile = replace(OSGP, detect_bits=rng.choice((4, 7, 10, 21)), beta2_bits=rng.choice((1, 10)))
    return Domain(Levels((tables[0], tables[1]), [rng.choice("QRT") for _ in range(size)]), ways, load, profile)


# ---- two engines -----------------------------------------------------------------------------------------------------
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(-(2**70), 2**70))
def test_both_engines_tell_the_same_events(shape: int, seed: int) -> None:
    rng = random.Random(shape)
    both([any_domain(rng), any_domain(rng)], 20.0, seed)


@pytest.mark.parametrize("length_m", [500.0, 3000.0])
def test_both_engines_agree_on_streets(length_m: float) -> None:
    load = Load(poll_every_s=0.5, report_every_s=20.0)
    results = both([street(100, random.Random(7), load, length_m=length_m)], 300.0, 4)
    assert results.total(Counter.EVENTS) > 5_000
    assert results.total(Counter.COLLIDED) > 50
    assert results.total(Counter.CAPTURED) > 50
    assert results.total(Counter.RETRIES) > 20


def test_a_domain_does_not_know_threads_or_the_others() -> None:
    load = Load(poll_every_s=0.5, report_every_s=20.0)
    a, b = (street(20, random.Random(seed), load) for seed in (1, 2))
    one = simulate([a, b] * 20, 30.0, 9, trace=True)
    two = simulate([a, b] * 20, 30.0, 9, threads=3, trace=True)
    others = simulate([a, a, a, b], 30.0, 9, trace=True)
    assert one.trace is not None
    assert two.trace is not None
    assert others.trace is not None
    assert all((x == y).all() for x, y in zip(one.trace, two.trace, strict=True))
    assert [len(others.trace[at]) == len(one.trace[at]) for at in range(4)] == [True, False, True, True]
    assert (others.trace[2] == one.trace[2]).all()
    assert (one.counters[0] != one.counters[2]).any(), "the same domain at another place has chances of its own"


def test_another_seed_is_another_run() -> None:
    domain = street(20, random.Random(1), Load(report_every_s=10.0))
    assert (simulate([domain], 60.0, 1).counters != simulate([domain], 60.0, 2).counters).any()


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    domain = street(30, random.Random(3), Load(poll_every_s=1.0, report_every_s=10.0))
    short, long = (rows(simulate([domain], seconds, 5, trace=True)) for seconds in (20.0, 60.0))
    assert long[: len(short)] == short
    assert all(row[0] < 20e6 for row in short)
    assert long[len(short)][0] >= 20e6


# ---- access ----------------------------------------------------------------------------------------------------------
def test_nobody_begins_while_a_carrier_is_noticed() -> None:
    domain = street(60, random.Random(11), Load(poll_every_s=0.3, report_every_s=10.0), length_m=2500.0)
    arrays = Domains.of([domain])
    airtime = arrays.numbers[0, : model.SHAPES : model.MAX_LEGS].tolist()
    detect = int(arrays.numbers[0, model.Number.DETECT])
    beta1 = int(arrays.numbers[0, model.Number.BETA1_RECEIVE])
    begun = [(row[0], row[0] + airtime[row[4]], row[2], row[7]) for row in rows(both(arrays, 120.0, 2), What.SENT)]
    close = 0
    for place, (start, _, sender, _) in enumerate(begun):
        for earlier_start, earlier_end, other, carrier in begun[max(0, place - 30) : place]:
            if other == sender:
                assert start >= earlier_end, "a node sends one frame at a time"
            elif domain.levels.ec_n0_db[carrier][other][sender] >= 0.0:
                assert start < earlier_start + detect or start >= earlier_end + beta1
                close += earlier_start < start < earlier_start + detect
    assert close > 20, "begins that nobody has noticed yet do meet"


def test_every_transmission_has_one_outcome() -> None:
    domain = street(60, random.Random(11), Load(poll_every_s=0.3, report_every_s=10.0))
    found = both([domain], 120.0, 2)
    outcomes = (What.RECEIVED, What.CAPTURED, What.LOST, What.COLLIDED, What.DEAF)
    sent = [(row[2], row[3], *row[4:]) for row in rows(found, What.SENT)]
    ended = [(row[3], row[2], *row[4:]) for row in rows(found, *outcomes)]
    still = len(sent) - len(ended)
    assert 0 <= still <= 3
    assert sorted(set(ended) - set(sent)) == []
    assert found.frames == len(sent) == len(ended) + still


def test_hidden_nodes_meet_at_the_one_between() -> None:
    table = [[SILENT, 30.0, 30.0], [30.0, SILENT, SILENT], [30.0, SILENT, SILENT]]
    load = Load(poll_every_s=None, report_every_s=0.5)
    hidden = simulate([Domain(levels(table), [[], [(1, False)], [(2, False)]], load)], 600.0, 1)
    heard = simulate([Domain(clean(3, 30.0), [[], [(1, False)], [(2, False)]], load)], 600.0, 1)
    assert hidden.collisions > 0.15
    assert heard.collisions < 0.1
    met = hidden.total(Counter.CAPTURED) + hidden.total(Counter.COLLIDED)
    assert hidden.total(Counter.CAPTURED) < 0.03 * met, "at equal levels hardly ever one comes through"


def test_the_stronger_of_two_is_captured() -> None:
    table = [[SILENT, 60.0, 30.0], [60.0, SILENT, SILENT], [30.0, SILENT, SILENT]]
    load = Load(poll_every_s=None, report_every_s=0.5)
    found = simulate([Domain(levels(table), [[], [(1, False)], [(2, False)]], load)], 600.0, 1, trace=True)
    assert {row[3] for row in rows(found, What.CAPTURED)} == {1}
    assert {row[3] for row in rows(found, What.COLLIDED)} == {2}


def test_carriers_do_not_disturb_each_other() -> None:
    table = [[SILENT, 30.0, 30.0], [30.0, SILENT, SILENT], [30.0, SILENT, SILENT]]
    load = Load(poll_every_s=None, report_every_s=0.5)
    found = simulate([Domain(levels(table), [[], [(1, False)], [(2, True)]], load)], 600.0, 1, trace=True)
    assert found.total(Counter.COLLIDED) == 0
    assert {row[2]: row[7] for row in rows(found, What.SENT)} == {1: 0, 2: 1}


def test_who_sends_is_deaf_and_nobody_else() -> None:
    # The meter's carrier is too weak to be sensed by the concentrator, but would be understood.
    certain = Curves([Curve("Q", carrier, 16, (Point(-20.0, 100, 0),)) for carrier in ("primary", "secondary")])
    domain = Domain(levels([[SILENT, 30.0], [-5.0, SILENT]]), [[], [(1, False)]], Load(0.0, 0.5))
    arrays = Domains.of([domain], certain)
    airtime = arrays.numbers[0, : model.SHAPES : model.MAX_LEGS].tolist()
    found = both(arrays, 300.0, 1)
    sent = [(row[2], row[0], row[0] + airtime[row[4]]) for row in rows(found, What.SENT)]
    outcomes = rows(found, What.DEAF, What.RECEIVED)
    for end, what, receiver, _, kind, *_ in outcomes:
        start = end - airtime[kind]
        met = any(node == receiver and first < end and start < last for node, first, last in sent)
        assert met == (what == What.DEAF)
    assert len(outcomes) == found.frames - sum(last >= 300e6 for _, _, last in sent)
    assert found.total(Counter.DEAF) > 10


# ---- loss ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ec_n0_db", [2.0, 3.5, 5.0])
def test_frames_are_lost_as_often_as_the_curve_says(ec_n0_db: float) -> None:
    load = Load(poll_every_s=None, report_every_s=0.3)
    found = simulate([Domain(clean(2, ec_n0_db), [[], [(1, False)]], load)] * 40, 300.0, 1)
    lost, sent = found.total(Counter.LOST), found.total(Counter.LOST) + found.total(Counter.RECEIVED)
    expected = default_curves().per("Q", False, ec_n0_db, load.report_bytes)
    assert sent > 20_000
    assert abs(lost / sent - expected) < 4 * math.sqrt(expected * (1 - expected) / sent) + 1e-9


# ---- exchanges -------------------------------------------------------------------------------------------------------
def chain(size: int, load: Load) -> Domain:
    """Only neighbours hear each other; the last is polled over all others."""
    last = [(node, False) for node in range(1, size)]
    return Domain(line_levels(size, first_db=40.0, step_db=100.0), [[]] * (size - 1) + [last], load)


def test_four_legs_take_eight_frames() -> None:
    found = both([chain(5, Load(poll_every_s=10.0))], 10.0 * 300, 1)
    assert found.total(Counter.READS) == found.total(Counter.POLLS) == 300
    assert (found.total(Counter.REQUESTS), found.total(Counter.RESPONSES)) == (1200, 1200)
    assert found.reads.tolist() == [[0, 0, 0, 0, 300]]
    first = rows(found)[:18]
    ways = [(row[2], row[3]) for row in first if row[1] == What.SENT]
    assert ways == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 3), (3, 2), (2, 1), (1, 0)]
    assert [row[1] for row in first] == [What.POLLED, *[What.SENT, What.RECEIVED] * 8, What.READ]
    # Airtimes, seven turnarounds, and for each frame up to sixteen slots (up to 32 where a request announced an answer).
    least_us = 4 * sum(OSGP.airtime_s(size) for size in (30, 40)) * 1e6 + 7 * 20_000
    latency_us = found.total(Counter.READ_LATENCY_US) / 300
    assert least_us + 8 * 5 * OSGP.beta2_s * 1e6 < latency_us < least_us + 8 * 16 * OSGP.beta2_s * 1e6


def test_the_last_two_retries_take_the_other_carrier() -> None:
    dead, good = [[SILENT, -8.0], [-8.0, SILENT]], [[SILENT, 30.0], [30.0, SILENT]]
    found = both([Domain(levels(dead, good), [[], [(1, False)]], Load(poll_every_s=20.0))], 200.0, 1)
    requests = [row[7] for row in rows(found, What.SENT) if row[4] == Kind.REQUEST]
    assert requests == [0, 0, 1] * 10
    assert [row[7] for row in rows(found, What.SENT) if row[4] == Kind.RESPONSE] == [1] * 10
    assert found.delivery == 1.0


def test_a_repeater_that_reaches_nobody_gives_up_and_the_concentrator_after_it() -> None:
    nobody = [[SILENT, 30.0, SILENT], [30.0, SILENT, -8.0], [SILENT, -8.0, SILENT]]
    domain = Domain(levels(nobody), [[], [], [(1, False), (2, False)]], Load(poll_every_s=60.0, retries=2))
    found = both([domain], 600.0, 1)
    assert (found.total(Counter.READS), found.total(Counter.FAILURES)) == (0, 10)
    assert found.total(Counter.GAVE_UP) >= 10
    assert found.delivery == 0.0
    assert len(rows(found, What.FAILED)) == 10


def test_reports_of_a_meter_are_spread_by_chance_with_their_mean() -> None:
    found = simulate(
        [Domain(clean(11), [[]] + [[(n, False)] for n in range(1, 11)], Load(None, 50.0))] * 4, 5000.0, 1, trace=True
    )
    gaps: list[int] = []
    meters: list[int] = []
    for domain in range(4):
        told = rows(found, What.REPORTED, domain=domain)
        gaps += np.diff([row[0] for row in told]).tolist()
        meters += [row[2] for row in told]
    mean = np.mean(gaps)
    assert mean == pytest.approx(5e6, rel=0.06)
    assert np.std(gaps) == pytest.approx(mean, rel=0.06), "exponential: as wide as its mean"
    assert np.bincount(meters, minlength=11)[1:] == pytest.approx(len(meters) / 10, rel=0.25)


def test_reports_wait_drop_and_arrive() -> None:
    crowded = both([Domain(clean(60), [[]] + [[(n, False)] for n in range(1, 60)], Load(None, 1.0))], 60.0, 1)
    assert crowded.total(Counter.DROPPED) > 100
    assert crowded.airtime > 0.5
    told = crowded.total(Counter.REPORTS_MADE)
    waiting = 60 * (model.QUEUE + 1)
    assert told - waiting <= crowded.total(Counter.DROPPED) + crowded.total(Counter.REPORTS) <= told
    quiet = both([chain(4, Load(None, 30.0))], 900.0, 1)
    assert quiet.total(Counter.REPORTS_DELIVERED) > 15
    assert quiet.total(Counter.REPORTS) >= 3 * quiet.total(Counter.REPORTS_DELIVERED)
    assert quiet.total(Counter.REPORT_LATENCY_US) > 0


# ---- descriptions ----------------------------------------------------------------------------------------------------
def test_a_street_is_made_again_from_its_seed() -> None:
    one, two = (street(100, random.Random(5), length_m=3000.0) for _ in range(2))
    assert one.levels == two.levels
    assert one.ways == two.ways
    legs = [len(way) for way in one.ways[1:]]
    assert min(filter(None, legs)) >= 1
    assert max(legs) in (2, 3, 4)
    both([one, two], 20.0, 3)


def test_a_domain_that_occurs_again_costs_nothing() -> None:
    domain = street(5, random.Random(5))
    arrays = Domains.of([domain] * 1000)
    assert (arrays.count, len(arrays.level)) == (1000, 1)


def test_levels_become_quarters_of_a_decibel() -> None:
    assert [model.level_index(at) for at in (-10.0, -9.75, 0.0, 90.0, 200.0)] == [0, 1, 40, 400, 400]
    assert [model.level_index(at) for at in (-10.01, SILENT, math.nan)] == [model.NOTHING] * 3


def one_meter(**load: Any) -> Domain:
    return Domain(clean(2), [[], [(1, False)]], Load(**load))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Load(poll_every_s=-1.0),
        lambda: Load(report_every_s=0.0),
        lambda: Load(report_every_s=math.nan),
        lambda: Load(turnaround_s=math.inf),
        lambda: Load(retries=16),
        lambda: Load(leg_wait_s=0.0),
        lambda: Domains.of([one_meter(request_bytes=5)]),
        lambda: Domains.of([one_meter(response_bytes=253)]),
        lambda: Domains.of([]),
        lambda: Domains.of([Domain(Levels((clean(2).ec_n0_db[0],) * 2, "XX"), [[], [(1, False)]])]),
        lambda: Domains.of([Domain(clean(2), [[], [(1, False)]], Load(), replace(OSGP, detect_bits=22))]),
        lambda: Domain(clean(129), [[]] * 129),
        lambda: Domain(clean(1), [[]]),
        lambda: Domain(clean(3), [[], []]),
        lambda: Domain(clean(2), [[(1, False)], []]),
        lambda: Domain(clean(3), [[], [(2, False)], []]),
        lambda: Domain(clean(3), [[], [(2, False), (0, False), (1, False)], []]),
        lambda: Domain(clean(7), [[], *[[]] * 5, [(1, False), (2, False), (3, False), (4, False), (6, False)]]),
        lambda: Domain(clean(2), [[], [(2, False)]]),
        lambda: Domain(clean(2, -10.5), [[], [(1, True)]]),
        lambda: street(128, random.Random(1)),
        lambda: street(0, random.Random(1)),
        lambda: simulate([one_meter()], 0.0, 1),
        lambda: simulate([one_meter()], math.nan, 1),
        lambda: simulate([one_meter()], 1e10, 1),
        lambda: simulate([one_meter()], 1.0, 1, engine="quick"),  # type: ignore[arg-type]
        lambda: simulate([one_meter()], 1.0, 1, threads=-1),
    ],
)
def test_what_cannot_be_is_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_without_numba_the_reference_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "osgp.sim.domains.kernels", None)
    monkeypatch.delattr("osgp.sim.domains.kernels", raising=False)
    with pytest.raises(ConfigError, match="Numba"):
        simulate([one_meter()], 1.0, 1)
    assert simulate([one_meter()], 60.0, 1, engine="reference").total(Counter.READS) > 50


def test_importing_the_package_is_light() -> None:
    code = "import sys, osgp.sim.domains; print({'numpy', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_results_say_shares_also_of_nothing() -> None:
    nothing = simulate([one_meter(poll_every_s=None)], 10.0, 1, threads=0)
    assert (nothing.frames, nothing.delivery, nothing.airtime, nothing.collisions, nothing.trace) == (
        0,
        1.0,
        0.0,
        0.0,
        None,
    )
