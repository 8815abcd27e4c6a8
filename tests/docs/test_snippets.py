"""Every snippet of README and documentation runs, as a reader would run it: page by page, from top to bottom.

``python`` blocks with prompts are doctests; those without are programs. ``console`` blocks are typed into a shell in an empty
folder, and the output that the page shows must come (``…`` stands for anything). What needs a real meter is marked in the page
and only checked for form.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from osgp.cli.app import app

from .pages import ROOT, Block, Command, blocks, blocks_of, commands_of, pages

PORT = re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}|(?<=localhost:)\d{4,5}|(?<=--port )\d{4,5}")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def is_doctest(block: Block) -> bool:
    return block.text.lstrip().startswith(">>>")


def runnable(page: Path, *marks: str) -> list[Block]:
    return [
        block
        for block in blocks_of(page)
        if block.mark in ("", "background", *marks)
        and (block.language == "console" or (block.language == "python" and not is_doctest(block)))
    ]


def of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in pages() if any(is_doctest(b) for b in blocks_of(page))], ids=of)
def test_python_snippets_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for block in blocks_of(page):
        if block.language == "python" and not block.mark and is_doctest(block):
            test = doctest.DocTestParser().get_doctest(block.text, names, block.name, str(page), block.line)
            report: list[str] = []
            runner.run(test, out=report.append, clear_globs=False)
            assert not runner.failures, "".join(report)
            names = test.globs


class Shell:
    """What a reader has: a folder, a path with ``osgp`` on it, programs left running, ports that are free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        self.ports: dict[str, str] = {}
        beside = str(Path(sys.executable).parent)
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([beside, os.environ["PATH"]]),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
            "HOME": str(folder),
        }

    def own_ports(self, text: str) -> str:
        """The page's port numbers replaced by free ones, the same number by the same."""
        return PORT.sub(lambda hit: self.ports.setdefault(hit[0], str(free_port())), text)

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.own_ports(command)],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {command}\nexit status {done.returncode}\n{done.stdout}"
        return done.stdout

    def leave_running(self, command: str, ready: str) -> str:
        """Start a program and read what it says up to the line that the page shows last."""
        program = subprocess.Popen(
            ["bash", "-euc", f"exec {self.own_ports(command)}"], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.running.append(program)
        said = ""
        assert program.stdout is not None
        for line in program.stdout:
            said += line
            if fits(self.own_ports(ready), line):
                return said
        raise AssertionError(f"$ {command}\nended before it said {ready!r}:\n{said}")

    def close(self) -> None:
        for program in self.running:
            os.killpg(program.pid, signal.SIGTERM)
            program.communicate(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fits(shown: str, line: str) -> bool:
    """Whether a line is what the page shows, blanks aside; ``…`` stands for anything."""
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in shown.split("…"))
    return re.search(pattern.replace(r"\ ", r"\s*"), " ".join(line.split())) is not None


def check_output(command: Command, said: str, shell: Shell) -> None:
    lines = said.splitlines()
    at = 0
    for shown in command.shown:
        wanted = shell.own_ports(shown)
        if wanted.strip() == "…":
            continue
        for number in range(at, len(lines)):
            if fits(wanted, lines[number]):
                at = number + 1
                break
        else:
            raise AssertionError(f"$ {command.line}\nthe page shows {shown!r}, which does not come:\n{said}")


def run_page(blocks: list[Block], folder: Path) -> None:
    shell = Shell(folder)
    try:
        for block in blocks:
            if block.language == "python":
                (folder / "snippet.py").write_text(shell.own_ports(block.text), "utf-8")
                shell.run(f"{shlex.quote(sys.executable)} snippet.py")
                continue
            for command in commands_of(block):
                if block.mark == "background":
                    check_output(command, shell.leave_running(command.line, command.shown[-1]), shell)
                else:
                    check_output(command, shell.run(command.line), shell)
    finally:
        shell.close()


@pytest.mark.parametrize("page", [page for page in pages() if runnable(page)], ids=of)
def test_console_snippets_run(page: Path, tmp_path: Path) -> None:
    run_page(runnable(page), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    "page", [page for page in pages() if len(runnable(page, "slow")) > len(runnable(page))], ids=of
)
def test_slow_snippets_run(page: Path, tmp_path: Path) -> None:
    run_page(runnable(page, "slow"), tmp_path)


def osgp_lines() -> list[tuple[str, str]]:
    return [
        (block.name, line.strip())
        for block in blocks("console", "sh")
        for command in commands_of(block)
        for line in command.line.split("\n")
        if line.strip().startswith("osgp ")
    ]


@pytest.mark.parametrize(("where", "line"), osgp_lines())
def test_every_command_line_exists(where: str, line: str) -> None:
    """Also those that are not run: the command, its options and their values are read as the program would."""
    words = shlex.split(re.split(r"\s[|>&]", line)[0])[1:]
    if {"--help", "--version"} & set(words):
        return
    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("block", [b for b in blocks("python") if b.mark == "hardware"], ids=lambda b: b.name)
def test_snippets_for_hardware_are_at_least_valid(block: Block) -> None:
    """They compile, and whatever they import from us is there."""
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "osgp":
            import osgp

            assert hasattr(osgp, node.attr), f"osgp.{node.attr}"


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.name)
def test_configurations_are_accepted(block: Block, tmp_path: Path) -> None:
    """A ``toml`` block is a configuration of ``osgp collect``."""
    from osgp.headend.config import load_config

    place = tmp_path / "collect.toml"
    place.write_text(block.text, "utf-8")
    assert load_config(place).device


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = {
        hit
        for page in pages()
        for hit in re.findall(r"(?:^\$? ?|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert asked
    assert asked <= targets


def test_code_is_named_by_its_language() -> None:
    known = {"python", "console", "sh", "text", "toml", "yaml", "json", "mermaid"}
    bad = [
        block.name
        for page in pages()
        for block in blocks_of(page)
        if block.language not in known and not block.language.startswith(("{", "note", "warning"))
    ]
    assert not bad


def test_the_runner_finds_what_it_should(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- hardware -->\n```console\n$ one \\\n  two\nanswer\n$ three\n```\n", "utf-8")
    (block,) = blocks_of(page)
    assert (block.language, block.mark) == ("console", "hardware")
    assert commands_of(block) == [Command("one \\\n  two", ("answer",)), Command("three", ())]
    assert fits("12 meters, … errors", "  12   meters, 3 errors")
    assert not fits("12 meters", "11 meters")
