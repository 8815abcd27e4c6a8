"""Changelog fragments: check them, and assemble them into CHANGELOG.md at a release. Standard library only.

::

    python tools/changelog.py check                 every fragment is well-formed, and one exists
    python tools/changelog.py check --base REF      additionally: a change of src/ since REF brings a fragment
    python tools/changelog.py assemble 0.2.0        move all fragments into CHANGELOG.md under that version

The rule that fragments follow stands in ``changelog.d/README.md``. Exit status: 0 good, 1 not, 2 wrong use.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = "# Changelog\n\nWhat changed for users, newest first. What is not released yet stands in `changelog.d/`.\n"
MAX_LENGTH = 800
NAME = re.compile(r"[a-z0-9][a-z0-9-]*\.md")


def fragments(root: Path) -> list[Path]:
    """The fragment files, in the order in which they are assembled."""
    return sorted(path for path in (root / "changelog.d").glob("*") if path.name not in ("README.md", ".gitkeep"))


def problems(path: Path) -> list[str]:
    """What is wrong with one fragment, in words; empty when nothing is."""
    found = []
    if not NAME.fullmatch(path.name):
        found.append("the name must be lower-case words joined by hyphens, ending in .md")
    text = path.read_text(encoding="utf-8").strip()
    if not text:
        return [*found, "it is empty"]
    if len(text) > MAX_LENGTH:
        found.append(
            f"it has {len(text)} characters; at most {MAX_LENGTH}: say what users notice, leave the rest to the docs"
        )
    if any(line.startswith(("#", "- ", "* ")) for line in text.splitlines()):
        found.append("no headings and no lists: one or two plain sentences")
    if text[-1] not in ".!?)`":
        found.append("it must end as a sentence does")
    return found


def entry(text: str) -> str:
    """A fragment as one list item of the changelog; its line breaks are kept, indented."""
    lines = text.strip().splitlines()
    return "\n".join([f"- {lines[0]}", *(f"  {line}".rstrip() for line in lines[1:])])


def assemble(root: Path, version: str, day: date) -> int:
    """Move all fragments under a heading of CHANGELOG.md; returns how many. ValueError: there is none, or a bad one."""
    paths = fragments(root)
    if not paths:
        raise ValueError("there is no fragment to release")
    bad = [f"{path.name}: {problem}" for path in paths for problem in problems(path)]
    if bad:
        raise ValueError("; ".join(bad))
    changelog = root / "CHANGELOG.md"
    old = changelog.read_text(encoding="utf-8") if changelog.exists() else HEAD
    if f"\n## {version} " in old:
        raise ValueError(f"{version} is in CHANGELOG.md already")
    head, mark, rest = old.partition("\n## ")
    entries = "\n".join(entry(path.read_text(encoding="utf-8")) for path in paths)
    new = f"{head.rstrip()}\n\n## {version} ({day.isoformat()})\n\n{entries}\n{mark}{rest}"
    changelog.write_text(new, encoding="utf-8")
    for path in paths:
        path.unlink()
    return len(paths)


def _git(root: Path, *arguments: str) -> str | None:
    """The output of git, or None when there is no git, no repository or no such revision."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def missing(root: Path, base: str | None) -> list[str]:
    """Why a fragment is missing, in words; empty when none is, or when there is no history to ask."""
    if _git(root, "rev-parse", "--git-dir") is None:
        return []
    tag = (_git(root, "describe", "--tags", "--abbrev=0", "--match", "v*") or "").strip()
    changed = _git(root, "diff", "--name-only", tag, "--", "src") if tag else "src"
    found = []
    if changed and not fragments(root):
        found.append(f"src/ has changed since {tag or 'the beginning'}, and changelog.d/ holds no fragment")
    if base is not None:
        names = _git(root, "diff", "--name-only", f"{base}...HEAD", "--", "src", "changelog.d", "CHANGELOG.md")
        if names is None:
            found.append(f"the revision {base!r} is not known to git")
        elif "src/" in names and "changelog.d/" not in names and "CHANGELOG.md" not in names:
            found.append(f"src/ has changed since {base}, and no fragment came with it")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="check or assemble changelog fragments")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="are all fragments well-formed, and is there one?")
    check.add_argument("--base", help="a revision: changes of src/ since then must bring a fragment")
    release = commands.add_parser("assemble", help="move the fragments into CHANGELOG.md")
    release.add_argument("version")
    given = parser.parse_args(arguments)
    if given.command == "assemble":
        try:
            count = assemble(given.root, given.version, datetime.now(UTC).date())
        except ValueError as error:
            print(f"changelog: {error}", file=sys.stderr)
            return 1
        print(f"changelog: {count} entries under {given.version}")
        return 0
    bad = [f"changelog.d/{path.name}: {problem}" for path in fragments(given.root) for problem in problems(path)]
    bad += missing(given.root, given.base)
    for line in bad:
        print(line, file=sys.stderr)
    if not bad:
        print(f"changelog: fragments well-formed: {len(fragments(given.root))}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
