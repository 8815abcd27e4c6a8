"""Out of the store: the same rows as CSV and as Parquet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from osgp.headend.store import Step, StepReading, Store
from osgp.headend.store.export import export
from osgp.wire.errors import ConfigError, StoreError

from .test_store import START, profile_of, whole_step


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store.open(tmp_path / "store.sqlite")
    house = opened.add_device("house", "image:x")
    step = whole_step()
    step.profiles[0].status[4, 2] = 10
    step.profiles[0].common[5] = 2
    opened.keep(house, step)
    return opened


def rows(store: Store, **asked: object) -> list[list[str]]:
    out = io.StringIO()
    count = export(store, "house", out, **asked)  # type: ignore[arg-type]  # the options under test
    found = list(csv.reader(io.StringIO(out.getvalue())))
    assert len(found) == count + 1
    return found


def test_a_profile_is_one_row_per_interval(store: Store) -> None:
    head, *body = rows(store)
    assert head[:4] == ["time", "status", "fwd_active_energy_wh", "rev_active_energy_wh"]
    assert body[0][0] == "2026-02-02T02:45:00Z"
    assert [int(each[2]) for each in body] == profile_of(10).values[:, 0].tolist()
    assert body[4][4] == ""
    assert "device missing" in body[4][1]
    assert body[5][1] == "power fail"
    assert len(rows(store, since=START + 900 * 6)) == 4


def test_readings_and_events(store: Store) -> None:
    head, *body = rows(store, what="readings")
    assert head == ["time", "name", "value", "unit", "flags", "collected"]
    assert ["voltage_l1", "231.4", "V", "range"] in [each[1:5] for each in body]
    head, *body = rows(store, what="events")
    assert [each[2] for each in body] == ["7", "8"]


@pytest.mark.parametrize("what", ["profile", "readings", "events"])
def test_parquet_says_the_same_as_csv(store: Store, tmp_path: Path, what: str) -> None:
    path = tmp_path / "out.parquet"
    count = export(store, "house", path, format="parquet", what=what)  # type: ignore[arg-type]  # one of the kinds
    table = pq.read_table(path)
    text = rows(store, what=what)
    assert table.num_rows == count == len(text) - 1
    assert str(table.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    if what == "readings":
        assert table.column("text").to_pylist().count("00012345") == 1
    else:
        assert table.column_names == text[0]


def test_a_change_of_channels_widens_the_table(store: Store) -> None:
    store.keep(1, Step(0.0, 0, profiles=[profile_of(5, first=10, channels=1)]))
    head, *body = rows(store)
    assert len(head) == 5
    assert body[-1][3:] == ["", ""]
    assert len(body) == 15


def test_what_cannot_be_written_is_told(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file"):
        export(store, "house", io.StringIO(), format="parquet")
    with pytest.raises(StoreError, match="cannot be written"):
        export(store, "house", tmp_path / "no" / "such" / "folder.csv")
    with pytest.raises(StoreError, match="no device"):
        export(store, "barn", io.StringIO())


def test_an_empty_profile_is_a_header(store: Store) -> None:
    store.add_device("barn", "image:y")
    store.keep(2, Step(0.0, 0, readings=[StepReading("n", 1)]))
    out = io.StringIO()
    assert export(store, "barn", out) == 0
    assert out.getvalue() == "time,status\n"
