"""Commands on a saved device: what cannot be done is said, not pretended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osgp.cli.app import run
from tests.tables.profiles import profile_image


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


@pytest.mark.parametrize("source", ["file:/no/such/file", "env:OSGP_NO_SUCH_VARIABLE"])
def test_a_key_that_is_not_where_it_should_be_is_wrong_use(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("read", "mep+tls+tcp://127.0.0.1:1", "--key", source) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "options",
    [("--last", "0"), ("--last", "-1"), ("--output", "profile.txt"), ("--since", "soon")],
)
def test_a_profile_is_not_asked_for_in_vain(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Refused before the device is spoken to: nobody listens there, which would be status 3."""
    assert status("profile", "optical+tcp://127.0.0.1:1", *options) == 2
    assert "hint: " in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_a_profile_goes_into_a_file(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "meter.json"
    saved.write_text(json.dumps({"tables": profile_image(30)[0].to_json()}))
    output = tmp_path / f"profile.{suffix}"
    assert status("profile", f"image:{saved}", "--output", str(output), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == str(output)
    assert document["intervals"] > 0
    assert output.stat().st_size > 0
    assert status("profile", f"image:{saved}", "--output", str(tmp_path / "no" / output.name)) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("clone",), ("profile", "--output")])
@pytest.mark.parametrize("folder_is_there", [False, True])
def test_a_file_that_has_no_place_is_told_before_anything_is_read(
    command: tuple[str, ...], folder_is_there: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "house.csv" if folder_is_there else tmp_path / "no" / "house.csv"
    if folder_is_there:
        place.mkdir()
    # Nobody is at this port: who asks it first ends with 3.
    assert status(command[0], "mep+tls+tcp://127.0.0.1:1", *command[1:], str(place)) == 2
    assert "folder" in capsys.readouterr().err
