"""``osgp tables decode`` and ``encode``: exit status and what counts as wrong use."""

from __future__ import annotations

import json

import pytest

from osgp.cli.app import run


def status(*arguments: str) -> int:
    try:
        run(["tables", *arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("decode", "BT23", "zz"),
        ("decode", "BT23", "00"),
        ("decode", "BT23", "00", "--dim", "BT21.NOSUCH=3"),
        ("decode", "BT23", "00", "--dim", "BT99.X=3"),
        ("decode", "BT23", "00", "--firmware", "new"),
        ("encode", "BT23", "{}"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "error: " in err
    assert "hint: " in err


def test_a_misspelled_dimension_is_not_taken_for_another_layout(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("decode", "BT23", "00000000", "--dim", "BT21.NBR_SUMATIONS=1") == 2
    assert "no such field" in capsys.readouterr().err
    assert status("decode", "BT23", "01000000", "--dim", "bt21.nbr_summations=1", "--dim", "env.gen4=1", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fields"]["TOT_DATA_BLOCK"]["SUMMATIONS"] == [1]


def test_bytes_that_do_not_fit_are_what_the_data_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("decode", "BT52", "1a0b18", "--json") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "BT52" in err


def test_a_procedure_says_what_its_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("EP19", "--json") == 0
    fields = {row["name"]: row for row in json.loads(capsys.readouterr().out)["parameters"]}
    assert fields["REQUEST_TYPE"]["values"]["2"] == "billing read"
    assert ["WRITE_LEN", "WRITE_DATA"] in fields["PAYLOAD"]["cases"]
    assert status("EP19") == 0
    assert "2 billing read" in " ".join(capsys.readouterr().out.replace("│", " ").split())
