"""The group ``street`` runs, and says what it compares."""

from __future__ import annotations

import pytest

from osgp.bench import street, street_frames, street_line, street_planner
from osgp.bench.frame import Bench


def test_rows_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of less work than they measure: fewer frames and reads."""
    monkeypatch.setattr(street_frames, "_HOUSES", 12)
    monkeypatch.setattr(street_frames, "_DOMAINS", 2)
    monkeypatch.setattr(street_frames, "_STREETS", 1)
    monkeypatch.setattr(street_frames, "_HOUR_S", 300.0)
    monkeypatch.setattr(street_line, "_READS", 20)
    bench = Bench("street", quick=True)
    bench.sample_s = 0.0
    rows = list(street.street(bench))
    assert [row.floor for row in rows[:3]] == [0.5, 0.5, None]
    assert len(rows) > 7
    assert all(row.ratio and row.peer_version and row.ours for row in rows)


def test_the_planner_takes_the_least_airtime_and_a_third_less_than_table_by_table() -> None:
    rows = list(street_planner.planner_rows(Bench("street", quick=True)))
    exhaustive, tables = rows[0::2], rows[1::2]
    assert all(row.ratio is not None and 1 / 1.02 <= row.ratio <= 1 for row in exhaustive)
    assert all(row.ratio is not None and 1 - 1 / row.ratio >= 0.3 for row in tables)
    assert all(row.verdict == "ok" for row in rows)
