"""What holds for the command line as a whole: every command tells what it does, nothing but JSON goes to stdout."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize(("keys", "expected"), [(("yes", "yes"), 3), (("yes", "no"), 1), (("no", "no"), 1)])
def test_collect_tells_silence_from_refusal(
    keys: tuple[str, str], expected: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "yes").write_text("8d3c51f07be2946a1fc8305d97ae42b60e71d95c")
    lines = [f'store = "{tmp_path / "store.sqlite"}"', "retries = 0"]
    for place, key in enumerate(keys):  # nobody is at port 1; a key that is not there is no fault of the line
        address = "mep+tls+tcp://127.0.0.1:1"
        lines += ["[[device]]", f'name = "{place}"', f'address = "{address}"', f'key = "file:{tmp_path / key}"']
    (tmp_path / "c.toml").write_text("\n".join(lines))
    assert status("collect", str(tmp_path / "c.toml"), "--once", "--json") == expected
    assert json.loads(capsys.readouterr().out)["errors"] == 2
