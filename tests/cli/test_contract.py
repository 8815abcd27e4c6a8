"""What holds for the command line as a whole: every command tells what it does, nothing but JSON goes to stdout."""

from __future__ import annotations

from pathlib import Path

import pytest

from osgp.cli.app import app, run
from osgp.headend.store import Store


def status(*arguments: str) -> int:
    try:
        run(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_the_list_of_commands_tells_what_each_does(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*arguments) == 0
    shown = capsys.readouterr().out
    for name in app:
        if not name.startswith("-"):
            line = next(line for line in shown.splitlines() if line.strip("│ ").split(" ")[0] == name)
            assert len(line.strip("│ ").split()) > 2, line


def test_export_with_json_never_mixes_csv_into_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "some.sqlite"
    with Store.open(place) as store:
        store.add_device("house", "mep+tls+tcp://127.0.0.1:1", door="mep+tls", wall=0.0)
    assert status("export", str(place), "house", "--json") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "--output" in told.err
    assert status("export", str(place), "house", "--what", "events", "--json", "--output", str(tmp_path / "e.csv")) == 0
    assert capsys.readouterr().out.startswith("{")
