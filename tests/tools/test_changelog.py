"""The changelog tool: what it refuses, what it writes, and that it forgets nothing."""

from __future__ import annotations

import importlib.util
import subprocess
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

DAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def changelog() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "tools" / "changelog.py"
    spec = importlib.util.spec_from_file_location("changelog", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "changelog.d").mkdir()
    (tmp_path / "changelog.d" / "README.md").write_text("# The rule\n")
    return tmp_path


def add(tree: Path, name: str, text: str) -> Path:
    path = tree / "changelog.d" / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plain_sentence_is_well_formed(changelog: ModuleType, tree: Path) -> None:
    assert changelog.problems(add(tree, "optical-door.md", "The optical door can be opened.\n")) == []


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("Optical.md", "A sentence.", "name"),
        ("optical.txt", "A sentence.", "name"),
        ("empty.md", " \n", "empty"),
        ("heading.md", "# News\n\nA sentence.", "headings"),
        ("list.md", "- one.\n- two.", "lists"),
        ("open.md", "No end", "sentence"),
        ("long.md", "word " * 200 + "end.", "characters"),
    ],
)
def test_what_is_not_a_fragment_is_named(changelog: ModuleType, tree: Path, name: str, text: str, word: str) -> None:
    found = changelog.problems(add(tree, name, text))
    assert any(word in problem for problem in found)
    assert changelog.main(["--root", str(tree), "check"]) == 1


def test_assembling_moves_every_fragment_above_the_older_releases(changelog: ModuleType, tree: Path) -> None:
    add(tree, "b-second.md", "Second thing.\nIt has two lines.\n")
    add(tree, "a-first.md", "First thing.\n")
    assert changelog.assemble(tree, "0.1.0", DAY) == 2
    assert changelog.fragments(tree) == []
    add(tree, "third.md", "Third thing.")
    assert changelog.assemble(tree, "0.2.0", DAY) == 1
    text = (tree / "CHANGELOG.md").read_text()
    assert text == (
        changelog.HEAD
        + "\n## 0.2.0 (2026-11-24)\n\n- Third thing.\n"
        + "\n## 0.1.0 (2026-11-24)\n\n- First thing.\n- Second thing.\n  It has two lines.\n"
    )


def test_a_release_without_fragments_or_twice_is_refused(changelog: ModuleType, tree: Path) -> None:
    with pytest.raises(ValueError, match="no fragment"):
        changelog.assemble(tree, "0.1.0", DAY)
    add(tree, "one.md", "One.")
    changelog.assemble(tree, "0.1.0", DAY)
    add(tree, "two.md", "Two.")
    with pytest.raises(ValueError, match="already"):
        changelog.assemble(tree, "0.1.0", DAY)
    assert [path.name for path in changelog.fragments(tree)] == ["two.md"]


def test_a_change_of_the_package_must_bring_a_fragment(changelog: ModuleType, tree: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tree, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    (tree / "src").mkdir()
    (tree / "src" / "a.py").write_text("A = 1\n")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    assert changelog.missing(tree, None)
    git("tag", "v0.1.0")
    assert changelog.missing(tree, None) == []
    (tree / "src" / "a.py").write_text("A = 2\n")
    git("commit", "-q", "-a", "-m", "two")
    assert changelog.missing(tree, "v0.1.0")
    add(tree, "two.md", "Two.")
    git("add", ".")
    git("commit", "-q", "-m", "three")
    assert changelog.missing(tree, "v0.1.0") == []
    assert changelog.missing(tree, "no-such-revision")
