"""Domains with contents in the bench: the work is real and the same each time, the goal stands in the row."""

from __future__ import annotations

import sys

import pytest

from osgp.bench import street_frames
from osgp.bench.frame import Bench, PeerMissing


def quick() -> Bench:
    bench = Bench("street", quick=True)
    bench.sample_s = 0.0
    return bench


def test_the_row_is_counted_in_frames_against_the_skeleton_and_has_its_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(street_frames, "_DOMAINS", 2)
    monkeypatch.setattr(street_frames, "_HOUR_S", 300.0)
    (row,) = street_frames.content_rows(quick(), streets=1)
    assert (row.unit, row.floor, row.stretch) == ("frames/s", 3.0, None)
    assert row.ratio is not None
    assert row.peer is not None
    assert row.ratio == pytest.approx(row.ours / row.peer)
    assert "simpy" in row.peer_name


def test_an_hour_of_a_domain_is_thousands_of_frames_and_always_the_same() -> None:
    hour = street_frames.contents(1)
    assert hour() == hour() > 10_000


def test_without_simpy_ours_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simpy", None)
    monkeypatch.setattr(street_frames, "_HOUR_S", 300.0)
    (row,) = street_frames.content_rows(quick(), streets=1)
    assert (row.peer, row.ratio, row.verdict) == (None, None, "no peer")
    assert row.ours > 0


def test_without_numba_there_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(streets: int) -> None:
        raise PeerMissing("numba is not installed")

    monkeypatch.setattr(street_frames, "contents", missing)
    assert not list(street_frames.content_rows(quick()))
