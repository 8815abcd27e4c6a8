"""``osgp street``: files, figures, exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osgp.cli.main import main
from osgp.street.plan import parse_plan


def call(*arguments: str) -> int:
    try:
        main(list(arguments))
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def small(folder: Path) -> str:
    file = folder / "street.toml"
    assert call("street", "new", "--houses", "4", "--kind", "rural", "--hours", "0.5", "-o", str(file)) == 0
    return str(file)


def test_a_new_street_is_a_file_that_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("street", "new", "--houses", "12") == 0
    assert len(parse_plan(capsys.readouterr().out).houses) == 12


def test_a_run_says_that_every_reading_came_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("street", "run", small(tmp_path), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["truth"]["exact"] is True
    assert found["truth"]["held"] == found["truth"]["kept"] == 8
    assert found["processor_s"] > 0


def test_tables_are_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("street", "run", small(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "readings exactly once" in out
    assert "8 of 8" in out


def test_readings_that_never_come_are_an_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(small(tmp_path))
    text = file.read_text().replace("hours = 0.5\n", "hours = 0.5\nsettle_minutes = 0\n")
    file.write_text(text)
    assert call("street", "run", str(file), "--json") == 1
    assert json.loads(capsys.readouterr().out)["truth"]["exact"] is False


def test_the_report_is_one_page_that_needs_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("street", "run", small(tmp_path), "--report", str(tmp_path / "out"), "--json") == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<svg") == 7, "six plots and a map"
    assert "exactly once" in page
    plots = (
        "Readings by time",
        "Readings complete by time of day",
        "Hops",
        "Airtime",
        "Collisions and losses",
        "Read-out times",
    )
    assert [title for title in (*plots, "Ways") if f"<h2>{title}</h2>" not in page] == []
    assert "messages sent again per 100 exchanges" in page
    assert "<script" not in page
    assert 'src="' not in page
    found = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["truth"] == found["truth"]


def test_frames_go_to_a_capture(tmp_path: Path) -> None:
    capture = tmp_path / "street.pcapng"
    assert call("street", "run", small(tmp_path), "--capture", str(capture)) == 0
    assert capture.stat().st_size > 10_000


def test_torture_is_a_row_for_each_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        call("street", "torture", "--houses", "4", "--hours", "1.5", "--only", "outage", "--only", "clock-ahead") == 0
    )
    out = capsys.readouterr().out
    assert "outage" in out
    assert "clock-ahead" in out
    assert call("street", "torture", "--houses", "2", "--hours", "1", "--only", "noise", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["held_up"] is True
    assert row["name"] == "noise"


def test_a_report_shows_faults_with_a_map_before_and_after(tmp_path: Path) -> None:
    file = Path(small(tmp_path))
    file.write_text(
        file.read_text().replace("hours = 0.5", "hours = 1") + '[[fault]]\nkind = "outage"\nat_h = 0.5\nminutes = 5\n'
    )
    assert call("street", "run", str(file), "--report", str(tmp_path / "out")) == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "before: outage" in page
    assert "after: outage" in page
    assert json.loads((tmp_path / "out" / "report.json").read_text())["faults"][0]["recovery_s"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--hours", "0"), "--hours"),
        (("--seed", "-1"), "--seed"),
        (("--speed", "slow"), "slow"),
        (("--journal", "HERE"), "is there already"),
    ],
)
def test_wrong_use_is_told(
    arguments: tuple[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = small(tmp_path)
    given = [file if each == "HERE" else each for each in arguments]
    assert call("street", "run", file, *given) == 2
    assert words in capsys.readouterr().err.replace("\n", "")
