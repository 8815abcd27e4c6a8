"""Commands on a saved device: what cannot be done is said, not pretended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osgp.cli.app import run


def status(*arguments: str) -> int:
    try:
        run(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def image(tmp_path: Path) -> str:
    file = tmp_path / "meter.json"
    file.write_text(json.dumps({"tables": {"BT52": "1a05010c1e0f00"}}))
    return f"image:{file}"


def test_an_image_is_read_but_not_written(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path(image.removeprefix("image:")).read_bytes()
    assert status("read", image, "BT52.clock_calendar", "--json") == 0
    assert json.loads(capsys.readouterr().out)["values"][0]["value"] == "2026-05-01T12:30:15"
    assert status("write", image, "BT52.time_qual", "1") == 2
    assert "not written" in capsys.readouterr().err
    assert Path(image.removeprefix("image:")).read_bytes() == before


def test_an_image_runs_no_procedures(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("run", image, "EP61", "lock=1") == 1
    err = capsys.readouterr().err
    assert "open the device itself" in err
    assert "partial read" not in err


def test_missing_parameters_are_wrong_use(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("run", image, "EP61") == 2
    assert "LOCK" in capsys.readouterr().err
