"""Reading the project's Markdown: pages, fenced blocks with the mark in front of them, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
GENERATED = ("_generated", "_build", "_data", "reference/tables", "reference/cli")

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|:{3,})(?P<info>[^`\n]*)$")
_MARK = re.compile(r"^ *<!-- ([a-z]+) -->$")

MARKS = ("hardware", "interactive", "make", "background", "slow")
"""hardware: needs a real meter. interactive: asks something. make: about the clone itself, with a target of the Makefile.
background: goes on running. slow: takes minutes, run by ``make test-long``."""


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, the mark in the comment above it, and where it stands."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def pages() -> list[Path]:
    """Every page written by hand."""
    found = [path for path in DOCS.rglob("*.md") if not path.relative_to(DOCS).as_posix().startswith(GENERATED)]
    return sorted([*ROOT.glob("*.md"), *found])


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    lines = page.read_text("utf-8").splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if not fence:
            at += 1
            continue
        start = at
        body: list[str] = []
        at += 1
        while at < len(lines) and lines[at].strip() != fence["ticks"]:
            body.append(lines[at].removeprefix(fence["indent"]))
            at += 1
        above = _MARK.match(lines[start - 1]) if start else None
        mark = above[1] if above else ""
        assert not mark or mark in MARKS, f"{page.name}:{start}: no such mark: {mark}"
        found.append(Block(page, start + 1, fence["info"].strip(), mark, "\n".join(body) + "\n"))
        at += 1
    return found


def blocks(*languages: str) -> list[Block]:
    """All blocks of these languages, page by page."""
    return [block for page in pages() for block in blocks_of(page) if block.language in languages]


def prose(page: Path) -> list[tuple[int, str]]:
    """(line number, text) without fenced blocks, inline code and addresses."""
    inside = ""
    found = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if inside:
            inside = "" if line.strip() == inside else inside
        elif fence and fence["ticks"].startswith("`"):
            inside = fence["ticks"]
        else:
            found.append((number, re.sub(r"\{doc\}`[^`]*`|`[^`]*`|\(https?:[^)]*\)|https?:\S+", "", line)))
    return found


@dataclass(frozen=True)
class Command:
    """A command line of a ``console`` block and the output that the page shows for it."""

    line: str
    shown: tuple[str, ...]


def commands_of(block: Block) -> list[Command]:
    """The ``$`` lines of a console block; a trailing backslash or ``> `` goes on in the next line."""
    found: list[tuple[str, list[str]]] = []
    going = False
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif going or line.startswith("> "):
            command, shown = found[-1]
            found[-1] = (command + "\n" + line.removeprefix("> "), shown)
        elif found and line:
            found[-1][1].append(line)
        going = bool(found) and line.endswith("\\") and not found[-1][1]
    return [Command(line, tuple(shown)) for line, shown in found]
