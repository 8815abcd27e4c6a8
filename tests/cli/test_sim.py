"""``osgp sim``: streets at the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osgp.ports.capture import lon_frames
from osgp.sim.grid_generators import new_grid
from osgp.sim.grid_text import write_grid
from tests.cli.test_contract import status

SMALL = ("sim", "street", "--hours", "0.1", "--houses", "30", "--every", "3")


def test_a_street_shows_delivery_airtime_collisions_and_legs(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*SMALL, "--noise", "95", "--kind", "rural") == 0
    shown = capsys.readouterr().out
    for words in ("polls answered", "somebody sends", "collisions noticed", "legs", "median", "frame fidelity"):
        assert words in shown


def test_the_same_seed_gives_the_same_figures_and_the_same_capture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for name in ("a.pcap", "b.pcap"):
        assert status(*SMALL, "--json", "--capture", str(tmp_path / name)) == 0
        report = json.loads(capsys.readouterr().out)
        assert report.pop("wall_s") >= 0
        found.append((report, (tmp_path / name).read_bytes()))
    assert found[0] == found[1]
    report, capture = found[0]
    assert report["polls"] == 60 == report["answered"]
    assert report["nodes"] == 31
    sent = report["transmissions"] - report["collisions"]
    assert len(list(lon_frames(capture))) == sent > 120


def test_a_grid_file_is_a_street(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(write_grid(new_grid("city", houses=12, seed=4)))
    assert status("sim", "street", "--grid", str(path), "--hours", "0.05", "--start", "2025-06-01T03:00", "--json") == 0
    assert json.loads(capsys.readouterr().out)["nodes"] == 13


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--hours", "0"), "--hours"),
        (("--hours", "nan"), "--hours"),
        (("--every", "0.000001"), "--every"),
        (("--every", "inf"), "--every"),
        (("--reports", "inf"), "--reports"),
        (("--reports", "-1"), "--reports"),
        (("--speed", "fast"), "not a speed"),
        (("--grid", "none.toml"), "none.toml"),
        (("--kind", "moon"), "moon"),
        (("--capture", "x.txt"), "suffix"),
    ],
)
def test_wrong_use_is_told_in_words(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("sim", "street", *arguments) == 2
    assert words in capsys.readouterr().err


def test_a_street_in_which_nobody_answers_says_no(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(
        '[[node]]\nname = "dc"\nat = "transformer"\ndevice = "concentrator"\n'
        '[[branch]]\nname = "b"\nstart = "transformer"\nend = "far"\nlength_m = 20000\n'
        '[[node]]\nname = "m"\nat = "far"\n'
    )
    assert status("sim", "street", "--grid", str(path), "--hours", "0.05") == 1


def test_a_street_that_ends_before_anybody_was_asked_has_no_share(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("sim", "street", "--hours", "0.0005", "--houses", "5", "--json") == 1
    report = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (report["polls"], report["delivered"]) == (0, None)
    assert status("sim", "street", "--hours", "0.0005", "--houses", "5") == 1
    assert "nan" not in capsys.readouterr().out


def test_the_access_is_measured_in_a_table_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ("sim", "mac", "--nodes", "2", "--nodes", "10", "--loads", "0.2", "--seconds", "20")
    assert status(*chosen) == 0
    assert "throughput" in capsys.readouterr().out
    assert status(*chosen, "--json") == 0
    points = json.loads(capsys.readouterr().out)
    assert [point["nodes"] for point in points] == [2, 10]
    assert all(0.1 < point["throughput"] < 0.3 for point in points)
