"""The group ``street`` runs, and says what it compares."""

from __future__ import annotations

from osgp.bench import street
from osgp.bench.frame import Bench


def test_rows_are_whole() -> None:
    bench = Bench("street", quick=True)
    bench.sample_s = 0.0
    rows = list(street.street(bench))
    assert [row.floor for row in rows] == [0.5, 0.5, None]
    assert all(row.ratio and row.peer_version and row.ours for row in rows)
