"""The store bench compares like with like: both sides end with the same rows in the same table."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from osgp.bench import store as bench
from osgp.bench.profile import ROWS, table_of_a_month
from osgp.tables.profile import decode_blocks


def rows(path: Path) -> list[tuple[int, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT * FROM profile_interval ORDER BY device_id, time").fetchall()


def test_both_sides_store_the_same(tmp_path: Path) -> None:
    blocks, shape = table_of_a_month()
    month = decode_blocks(blocks, shape, channels=bench._CHANNELS)
    ours, raw, decoded = (
        bench._Ours(tmp_path, "ours"),
        bench._Raw(tmp_path, "raw", month),
        bench._Ours(tmp_path, "both"),
    )
    ours.keep_one(month)
    raw.insert_one()
    decoded.keep_one(decode_blocks(blocks, shape, channels=bench._CHANNELS))
    for side in (ours, raw, decoded):
        side.close()
    found = rows(tmp_path / "ours.sqlite")
    assert len(found) == ROWS
    assert found == rows(tmp_path / "raw.sqlite") == rows(tmp_path / "both.sqlite")
