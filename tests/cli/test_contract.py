"""What holds for the command line as a whole: every command tells what it does, nothing but JSON goes to stdout."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
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


ALONE = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in NAMES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

NAMES = sys.argv.pop(1).split(",")
sys.meta_path.insert(0, Blocked())
from osgp.cli.main import main
main()
"""
"""Runs a command as where these packages are not installed."""


def extras() -> set[str]:
    """The packages of all extras but ``cli``, as they are imported."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["optional-dependencies"]
    names = {
        re.match(r"[\w-]+", each)[0]  # type: ignore[index]  # each begins with its name
        for extra, packages in wanted.items()
        if extra in ("fast", "serial", "store", "web", "mbus", "sim", "plot", "udp")
        for each in packages
    }
    return names - {"osgp"}


def alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ALONE, ",".join(sorted(extras())), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("arguments", [(), ("--help",), *((name, "--help") for name in app if name[0] != "-")])
def test_with_the_extra_cli_alone_every_command_tells_what_it_does(arguments: tuple[str, ...]) -> None:
    assert "numpy" in extras()
    done = alone(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "missing"), [(("collect", "--example"), "pydantic"), (("grid", "show", "x.grid"), "numpy")]
)
def test_a_command_whose_packages_are_missing_names_one(arguments: tuple[str, ...], missing: str) -> None:
    done = alone(*arguments)
    assert done.returncode == 2, done.stderr
    assert f"needs the package {missing}" in done.stderr
    assert "osgp[all]" in done.stderr
    assert "Traceback" not in done.stderr


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
