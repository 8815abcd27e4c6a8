"""The group ``planner``: no alternative is cheaper, and brute force is reached."""

from __future__ import annotations

import pytest

from osgp.bench.frame import Bench
from osgp.bench.planner import QUERY, planner
from osgp.tables.query import parse_query


def test_no_alternative_is_cheaper() -> None:
    assert len(QUERY) == 20
    assert len({parse_query(text).table for text in QUERY}) == 7
    rows = list(planner(Bench("planner", quick=True)))
    assert len(rows) == 9
    for row in rows:
        assert row.ratio is not None
        assert row.ratio >= 1
        assert row.verdict == "ok"
        if "brute force" in row.peer_name:
            assert row.ratio == pytest.approx(1)
