"""``osgp phy calibrate``: curves of packet loss at the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osgp.sim.per import Curves
from tests.cli.test_contract import status
from tests.cli.test_phy import told


def test_curves_are_counted_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--packets", "20", "--errors", "10", "--from-db", "0", "--to-db", "9", "--step-db", "3", "--bytes", "8")
    place = tmp_path / "curves.json"
    document = told(capsys, "calibrate", "--scenario", "Q", *few, "-o", str(place))
    assert json.loads(place.read_text("utf-8")) == document
    assert Curves.from_file(place).per("Q", False, 9.0, 8) < 0.1 < Curves.from_file(place).per("Q", False, 0.0, 8)
    assert {(each["scenario"], each["lpdu_bytes"]) for each in document["curves"]} == {("Q", 8)}
    assert status("phy", "calibrate", "--scenario", "Q", *few) == 0
    assert "Q secondary 8 bytes" in capsys.readouterr().out


def test_the_modem_is_counted_unless_the_reference_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--packets", "20", "--errors", "10", "--from-db", "2", "--to-db", "10", "--step-db", "8", "--bytes", "8")
    for receiver, name in (
        ((), "modem"),
        (("--receiver", "modem"), "modem"),
        (("--receiver", "reference"), "known timing"),
    ):
        document = told(capsys, "calibrate", "--scenario", "Q", *receiver, *few)
        assert document["provenance"]["receiver"].startswith(name)
        for curve in document["curves"]:
            assert curve["points"][-1][2] <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--receiver", "ears"), "ears"),
        (("--scenario", "X"), "'X'"),
        (("--step-db", "0"), "--step-db"),
        (("--from-db", "9", "--to-db", "1"), "range"),
        (("--bytes", "3"), "--bytes"),
        (("--seed", "-1"), "--seed"),
        (("--packets", "0"), "packets"),
    ],
)
def test_what_cannot_be_counted_is_told_in_words(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("phy", "calibrate", *arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
