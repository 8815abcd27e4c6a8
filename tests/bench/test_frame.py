"""The frame of the bench: medians of interleaved rounds, absent peers said so, groups found by name."""

from __future__ import annotations

import gc

import pytest

from osgp.bench import frame
from osgp.bench.frame import Bench, PeerMissing, Row, known_groups, run
from osgp.wire.errors import ConfigError


class Clock:
    """A clock that only the measured functions move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_ratio_is_ours_by_peer_at_the_same_work() -> None:
    clock = Clock()
    order: list[str] = []

    def ours() -> None:
        order.append("a")
        clock.now += 0.1

    def peer() -> None:
        order.append("b")
        clock.now += 0.4

    bench = Bench("g", quick=True, clock=clock)
    row = bench.compare("n", ours, peer, work=10, unit="x/s", floor=2.0, stretch=5.0, peer_name="p", peer_version="1")
    assert (round(row.ours), round(row.peer or 0), row.verdict) == (100, 25, "ok")
    assert row.ratio == pytest.approx(4)
    assert "".join(order).endswith("ab" * 5)
    assert set(row.as_json()) == {
        "group", "name", "ours", "peer", "unit", "ratio", "floor", "stretch", "peer_name", "peer_version",
    }  # fmt: skip


def test_work_of_the_peer_may_differ() -> None:
    clock = Clock()

    def side() -> None:
        clock.now += 1.0

    row = Bench("g", clock=clock).compare("n", side, side, work=10, peer_work=5, unit="x/s", peer_name="p")
    assert row.ratio == pytest.approx(2)


def test_one_slow_round_does_not_count_and_garbage_waits() -> None:
    clock = Clock()
    seen: list[bool] = []

    def side() -> None:
        seen.append(gc.isenabled())
        clock.now += 9.0 if len(seen) == 4 else 1.0

    assert gc.isenabled()
    assert Bench("g", quick=True, clock=clock).measure(side) == (1.0,)
    assert gc.isenabled()
    assert not any(seen[-5:])


def test_an_absent_peer_is_said_and_not_invented() -> None:
    clock = Clock()

    def side() -> None:
        clock.now += 1.0

    row = Bench("g", clock=clock).compare("n", side, PeerMissing("gcc"), work=1, unit="x/s", floor=1.0, peer_name="C")
    assert (row.peer, row.ratio, row.peer_name, row.verdict) == (None, None, "not installed: gcc", "no peer")
    assert row.ours == 1.0


def test_verdicts() -> None:
    def row(ratio: float) -> Row:
        return Row("g", "n", 1.0, 1.0, "x", ratio, 2.0, 10.0, "p", "1")

    assert [row(ratio).verdict for ratio in (1.9, 2.0, 10.0)] == ["below floor", "ok", "stretch"]


def test_groups_are_found_and_unknown_ones_refused() -> None:
    assert "crypto" in known_groups()
    with pytest.raises(ConfigError, match="no group") as caught:
        run(["no such thing"])
    assert "crypto" in caught.value.hint
    with pytest.raises(ConfigError, match="two groups"):
        frame.group("crypto")(lambda bench: [])
