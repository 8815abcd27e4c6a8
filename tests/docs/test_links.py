"""Links inside the documentation, files and tests that it names, and the words that it uses."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from .pages import DOCS, ROOT, pages, prose

TEST = re.compile(r"tests/[\w/]+\.py(?:::\w+)?")
FILE = re.compile(r"`((?:src|tests|docs|tools|changelog\.d)/[\w./-]+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
ROLE = re.compile(r"\{(?:doc|ref|term)\}`(?:[^<`]*<)?([^>`]+)>?`")

# What a glossary is for: one spelling. Wrong form in prose → the right one.
SPELLINGS = {
    r"(?i)\bneuron[ _-]?id\b": "unique_node_id",
    r"(?i)\bunique[ -]node[ -]id\b": "unique_node_id",
    r"\b[SM]T\d\d\b": "BTnn, ETnn",
    r"(?i)\bhead ?end\b": "head-end",
    r"(?i)\bself reads?\b": "self-read",
    r"(?i)\btime ?slots?\b": "interval",
    r"(?i)\btimeouts?\b": "time-out",
    r"(?i)\bback[ -]log\b": "backlog",
    r"(?i)\bpre shared\b": "pre-shared",
    r"\bOsgp\b": "osgp or OSGP",
    r"\bC12\.?1[89][- ]table\b": "table",
    r"(?i)\bmanufacturer tables?\b": "extended table",
    r"(?i)\bstandard tables?\b": "basic table",
}


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def named_tests() -> list[tuple[str, str]]:
    return sorted({(page.name, hit) for page in pages() for hit in TEST.findall(page.read_text("utf-8"))})


@pytest.mark.parametrize(("page", "test"), named_tests())
def test_every_test_that_a_page_names_exists(page: str, test: str) -> None:
    file, _, name = test.partition("::")
    assert (ROOT / file).is_file(), f"{page}: {file}"
    assert not name or name in functions(ROOT / file), f"{page}: {test}"


def test_every_file_that_a_page_names_exists() -> None:
    made = ("docs/_build", "docs/_generated", "docs/reference/tables", "docs/reference/cli", "docs/_data")
    bad = [
        f"{page.name}: {name}"
        for page in pages()
        for name in FILE.findall(page.read_text("utf-8"))
        if not name.startswith(made) and not (ROOT / name).exists() and not list(ROOT.glob(name + ".*"))
    ]
    assert not bad


def test_relative_links_lead_somewhere() -> None:
    bad = []
    for page in pages():
        text = page.read_text("utf-8")
        for target in LINK.findall(text):
            path = target.partition("#")[0]
            if path and not path.startswith(("http:", "https:", "mailto:")) and not (page.parent / path).exists():
                bad.append(f"{page.name}: {target}")
    assert not bad


def test_references_between_pages_lead_somewhere() -> None:
    """Sphinx checks them too, but a name in a second is better than in a build."""
    made = {"reference/tables", "reference/cli"}
    bad = []
    for page in pages():
        if DOCS not in page.parents:
            continue
        for target in ROLE.findall(page.read_text("utf-8")):
            file = (page.parent / f"{target}.md").resolve()
            if not file.exists() and not any(part in str(file) for part in made):
                bad.append(f"{page.name}: {target}")
    assert not bad


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_words_have_one_spelling(page: Path) -> None:
    """The glossary may name the other forms, to send readers to ours."""
    if page.name in ("glossary.md", "CHANGELOG.md", "LICENSE.md"):
        return
    bad = [
        f"line {number}: {hit[0]!r} should be {right!r}"
        for number, line in prose(page)
        for wrong, right in SPELLINGS.items()
        if (hit := re.search(wrong, line))
    ]
    assert not bad


def test_code_says_unique_node_id_only() -> None:
    """The old name lives in the glossary and where old files are read."""
    bad = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if "import_old" not in path.name and re.search(r"(?i)neuron[ _]?id", path.read_text("utf-8"))
    ]
    assert not bad


def test_the_glossary_is_in_order_and_says_each_thing_once() -> None:
    text = (DOCS / "glossary.md").read_text("utf-8")
    body = text.split(":::{glossary}")[1].split(":::")[0]
    terms = [line for line in body.splitlines() if line and not line.startswith(" ")]
    assert terms == sorted(terms, key=str.lower)
    assert len(set(terms)) == len(terms)
    for word in ("MAK", "MBK", "MK", "PK", "RK", "OMAK", "path", "pending table", "unique_node_id", "image", "door"):
        assert any(word in term.split(", ") for term in terms), word


@pytest.mark.long  # `make docs` is the same, and part of `make test`
def test_no_page_stands_outside_the_contents(tmp_path: Path) -> None:
    """The whole documentation builds without a warning; Sphinx complains of pages in no table of contents."""
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-b", "dummy", "-d", str(tmp_path / "trees"),
         str(DOCS), str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
