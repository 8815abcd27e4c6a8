"""``osgp sim domains``: figures, readings and a capture of many domains."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from osgp.analyse.lon import dissect_frame
from osgp.ports.capture import lon_frames
from tests.cli.test_contract import status

SMALL = ("sim", "domains", "--domains", "3", "--streets", "2", "--meters", "8", "--hours", "0.05", "--reports", "2000")


def test_figures_are_shown_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*SMALL) == 0
    shown = capsys.readouterr().out
    for words in ("3 domains, 24 meters", "frames received", "CRC wrong", "tags computed", "polls answered", "refused"):
        assert words in shown


def test_the_same_seed_gives_the_same_figures_readings_and_capture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for name in ("a", "b"):
        readings, capture = tmp_path / f"{name}.csv", tmp_path / f"{name}.pcapng"
        arguments = ("--json", "--readings", str(readings), "--capture", str(capture), "--frames", "120")
        assert status(*SMALL, *arguments) == 0
        figures = json.loads(capsys.readouterr().out)
        for each in ("wall_s", "times_real_time", "meter_seconds_per_s", "frames_per_s"):
            assert figures.pop(each) >= 0
        found.append((figures, readings.read_bytes(), capture.read_bytes()))
    assert found[0] == found[1]
    figures, text, capture_bytes = found[0]
    assert (figures["domains"], figures["meters"], figures["simulated_s"]) == (3, 24, 180.0)
    assert figures["refused"] == figures["crc_bad"] == figures["tags_bad"] == 0
    assert figures["frames_delivered"] == sum(figures["verdicts"].values()) > 400
    assert figures["alerts"] > 20
    rows = list(csv.DictReader(text.decode().splitlines()))
    assert len(rows) == figures["reads"] == figures["readings"] / 15
    assert {row["domain"] for row in rows} == {"1", "2", "3"}
    assert all(row["time_utc"].startswith("2026-01-12T17:0") and int(row["fwd_active_energy[Wh]"]) > 0 for row in rows)
    frames = list(lon_frames(capture_bytes))
    assert len(frames) == 120
    assert all(frame.crc and dissect_frame(frame.lpdu, crc=False).ok for frame in frames)


def test_parquet_has_the_same_readings_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, text = tmp_path / "r.parquet", tmp_path / "r.csv"
    for each in (path, text):
        assert status(*SMALL, "--registers", "2", "--start", "2025-06-01T00:00", "--readings", str(each), "--json") == 0
    table = parquet.read_table(path)
    rows = list(csv.DictReader(text.read_text().splitlines()))
    assert table.column_names == ["domain", "meter", "time_utc", "fwd_active_energy[Wh]", "rev_active_energy[Wh]"]
    assert str(table.schema.field("time_utc").type) == "timestamp[us, tz=UTC]"
    for name in ("domain", "meter", "fwd_active_energy[Wh]", "rev_active_energy[Wh]"):
        assert table[name].to_pylist() == [int(row[name]) for row in rows]


def test_domains_in_which_nobody_answers_say_no(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("sim", "domains", "--domains", "1", "--meters", "2", "--hours", "0.00005", "--json") == 1
    figures = json.loads(capsys.readouterr().out)
    assert (figures["polls"], figures["reads"]) == (1, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--domains", "0"), "--domains"),
        (("--hours", "0"), "--hours"),
        (("--reports", "-1"), "--reports"),
        (("--meters", "128"), "127"),
        (("--registers", "30"), "registers"),
        (("--readings", "x.txt"), ".csv or .parquet"),
        (("--readings", "nowhere/x.csv"), "nowhere"),
        (("--capture", "x.txt"), "suffix"),
    ],
)
def test_wrong_use_is_told_in_words(
    arguments: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status("sim", "domains", *arguments) == 2
    assert words in capsys.readouterr().err
