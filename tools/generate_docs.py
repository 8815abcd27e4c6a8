"""Pages and page parts made from the package itself: tables, command line, standards, machines, measurements, errors, HTTP,
bench.

``make docs`` runs this before it builds; by hand: ``python tools/generate_docs.py [DOCS-FOLDER]``. Whole pages go to
``docs/reference/tables/`` and ``docs/reference/cli/``, parts to ``docs/_generated/`` (``{generated} NAME`` puts them in). None
of it is kept in git: nobody edits it, and it cannot be older than the code.
"""

from __future__ import annotations

import enum
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def cell(text: Any) -> str:
    """Plain text that means nothing to Markdown."""
    plain = " ".join(str(text).split())
    for sign in "\\|*_`<>[]{}$#~":
        plain = plain.replace(sign, "\\" + sign)
    return plain


def code(text: str) -> str:
    """A name as code inside a table cell."""
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


def words(text: str) -> str:
    """Prose of a docstring: what stands between double backticks is code, the rest plain text."""
    return " ".join(
        code(part) if place % 2 else cell(part) for place, part in enumerate(text.split("``")) if part.strip()
    )


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table of ready cells."""
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(part or " " for part in row) + " |" for row in rows),
        "",
    ]


def place(row: Mapping[str, Any]) -> str:
    """Offset as text: ``12`` or, for bits, ``12.4..6``; a dot where the offset follows from other tables."""
    offset = "·" if row["offset"] is None else str(row["offset"])
    if "bit" not in row:
        return offset
    last = row["bit"] + row["width"] - 1
    return f"{offset}.{row['bit']}" + (f"..{last}" if row["width"] > 1 else "")


def meaning(row: Mapping[str, Any], status: str) -> str:
    """What a field means, with all that bears on it."""
    text = cell(row["doc"])
    if row["values"]:
        text += ("; " if text else "") + "; ".join(
            f"{cell(key)} = {cell(value)}" for key, value in row["values"].items()
        )
    for mark, key in (("if", "when"), ("times:", "count"), ("from", "since"), ("default", "default")):
        if row.get(key) not in (None, ""):
            text += f" ({mark} {cell(row[key])})"
    if row.get("scale") not in (None, 1, 1.0):
        text += f" (× {row['scale']:g})"
    if row["status"] != status:
        text += f" *({cell(row['status'])})*"
    return text.strip()


# ---- tables and procedures ----------------------------------------------------------------------------------------
def rights(access: Any) -> list[tuple[str, str]]:
    """Who may do what, in words."""

    def keys(given: tuple[str, ...] | None) -> str:
        return "not listed" if given is None else ", ".join(given) or "nobody"

    lines = [
        ("read, MEP", keys(access.read)),
        ("write, MEP", keys(access.write)),
        ("read, optical", keys(access.optical_read)),
    ]
    if access.optical_write is not None:
        lines.append(("write, optical", keys(access.optical_write)))
    if access.nvm_write:
        lines.append(("wear", "a write goes to non-volatile memory: write sparingly"))
    if access.clients:
        lines.append(("clients", ", ".join(access.clients)))
    return lines


def table_page(declared: Any, row: Any) -> str:
    """One table, from the same rows that ``osgp tables NAME`` prints."""
    from osgp.cli.tables import field_rows
    from osgp.wire import Context, dependencies
    from osgp.wire.layout import layout_of

    status = declared.about.status
    fields = field_rows(declared, Context())
    needs = sorted(one.__name__ for one in dependencies(declared))
    facts = [
        ("number", str(declared.number)),
        ("role", declared.role),
        ("source", declared.about.source),
        (
            "provenance",
            row.provenance if row.worst == row.provenance else f"{row.provenance}; single fields {row.worst}",
        ),
        *rights(declared.access),
    ]
    if needs:
        facts.append(("sized by", ", ".join(needs)))
    else:
        facts.append(("size", f"{layout_of(declared, Context()).size} bytes"))
    lines = [f"# {declared.__name__}: {cell(declared.title)}", ""]
    lines += grid(("", ""), [(cell(key), cell(value)) for key, value in facts])
    lines += ["## Layout", ""]
    lines += grid(
        ("offset", "field", "path", "type", "unit", "meaning"),
        [
            (
                place(part),
                code(part["name"]),
                code(part["path"]),
                cell(part["type"]),
                cell(part["unit"]),
                meaning(part, status),
            )
            for part in fields
        ],
    )
    if needs:
        lines += [
            "A dot stands for an offset that the tables named under *sized by* decide; "
            f"`osgp tables {declared.__name__} --dim …` computes it.",
            "",
        ]
    for part in fields:
        if part.get("elements"):
            lines += [f"### Elements of {part['name']}", ""]
            lines += grid(("number", "element"), [(cell(key), cell(name)) for key, name in part["elements"].items()])
    if declared.notes:
        lines += ["## Notes", "", *(f"- {cell(note)}" for note in declared.notes), ""]
    return "\n".join(lines)


def table_pages() -> Iterator[tuple[str, str]]:
    """(path, text) of every table's page."""
    from osgp.analyse.conformance import declarations
    from osgp.tables.registry import all_tables

    known = {row.name: row for row in declarations() if row.kind == "table"}
    for declared in all_tables():
        yield f"reference/tables/{declared.__name__}.md", table_page(declared, known[declared.__name__])


def tables_part() -> str:
    """The list of all tables, of those without a layout, and all procedures."""
    from osgp.tables.mentioned import MENTIONED
    from osgp.tables.registry import all_tables
    from osgp.tables.table import table_name

    declared = list(all_tables())
    lines = ["### Tables", ""]
    lines += grid(
        ("table", "number", "title", "role", "source"),
        [
            (
                f"[{one.__name__}](tables/{one.__name__}.md)",
                str(one.number),
                cell(one.title),
                cell(one.role),
                cell(one.about.source),
            )
            for one in declared
        ],
    )
    numbers = {one.number for one in declared}
    named = [
        f"{table_name(number)} ({cell(title)})" for number, title in sorted(MENTIONED.items()) if number not in numbers
    ]
    lines += ["Named by the guides without a layout, read and kept as raw bytes: " + ", ".join(named) + ".", ""]
    lines += ["```{toctree}", ":hidden:", "", *(f"tables/{one.__name__}" for one in declared), "```", ""]
    return "\n".join(lines)


def procedures_part() -> str:
    """Every procedure with parameters, answer and results."""
    from osgp.tables.registry import all_procedures
    from osgp.tables.table import procedure_name

    lines: list[str] = []
    for one in all_procedures():
        lines += [f"### {procedure_name(one.number)}: {cell(one.title)}", ""]
        keys = "; ".join(
            f"{door}: {', '.join(given)}" for door, given in (("MEP", one.mep), ("optical", one.optical)) if given
        )
        lines += [f"Number {one.number}. {cell(one.source)}; {cell(one.status)}. {keys}".rstrip() + "", ""]
        for title, struct in (("parameter", one.Parameters), ("answer", one.Response)):
            if struct.specs:
                lines += grid(
                    (title, "type", "unit", "meaning"),
                    [
                        (code(spec.orig), cell(spec.type_name), cell(spec.unit), cell(spec.doc))
                        for spec in struct.specs.values()
                    ],
                )
        if one.results:
            lines += [
                "Results of its own: " + "; ".join(f"{key} {cell(text)}" for key, text in one.results.items()) + ".",
                "",
            ]
        lines += [*(f"- {cell(note)}" for note in one.notes), ""]
    return "\n".join(lines)


# ---- the command line ---------------------------------------------------------------------------------------------
def commands() -> Iterator[tuple[str, Any]]:
    """(words, cyclopts App) of every command and subcommand of ``osgp``, in the order of its help."""
    from osgp.cli.app import app

    def walk(words: str, one: Any) -> Iterator[tuple[str, Any]]:
        yield words, one
        for name in one:
            if not name.startswith("-"):
                yield from walk(f"{words} {name}", one[name])

    for name in app:
        if not name.startswith("-"):
            yield from walk(name, app[name])


def arguments(command: Any) -> list[Any]:
    """What a command takes: positional arguments and options, without containers."""
    if command.default_command is None:
        return []
    return [one for one in command.assemble_argument_collection(parse_docstring=True) if one.show and one.name != "*"]


def summary(command: Any) -> str:
    """The prose of a command's help: all before its list of parameters."""
    return str(command.help or "").split("\n\n    Parameters")[0].split("\nParameters\n")[0].strip()


def default_of(one: Any) -> str:
    """A default worth showing."""
    value = one.field_info.default
    if value in (None, "", False, (), []) or isinstance(value, type) or one.required:
        return ""
    return str(value.value if isinstance(value, enum.Enum) else value)


def command_section(name: str, command: Any, level: int) -> list[str]:
    """One command: what it does, what it takes."""
    lines = [f"{'#' * level} osgp {name}", "", words(summary(command)), ""]
    taken = arguments(command)
    if taken:
        lines += grid(
            ("", "meaning", "default"),
            [
                (", ".join(code(name) for name in one.names), words(one.parameter.help or ""), code(default_of(one)))
                for one in taken
            ],
        )
    return lines


def command_pages() -> Iterator[tuple[str, str]]:
    """(path, text) of each top-level command's page, its subcommands on it."""
    pages: dict[str, list[str]] = {}
    for name, command in commands():
        first = name.split()[0]
        pages.setdefault(first, [])
        pages[first] += command_section(name, command, 1 if name == first else 2)
    for name, lines in pages.items():
        yield f"reference/cli/{name}.md", "\n".join(lines)


def cli_part() -> str:
    """The list of commands."""
    top = [(name, command) for name, command in commands() if " " not in name]
    lines = grid(
        ("command", "what it does"),
        [(f"[osgp {name}](cli/{name}.md)", words(summary(command).split("\n")[0])) for name, command in top],
    )
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *(f"cli/{name}" for name, _ in top), "```", ""])


# ---- standards ----------------------------------------------------------------------------------------------------
def standards_part(document: Any, rows: list[Any]) -> str:
    """Clause, state, provenance, tests."""
    states = Counter(part.state for part in document.clauses)
    lines = [
        f"{cell(document.edition)}.",
        "",
        ", ".join(f"{number} {state}" for state, number in states.items()) + ".",
        "",
    ]
    lines += grid(
        ("clause", "what", "state", "provenance", "shown by"),
        [
            (
                cell(part.number),
                cell(part.title),
                part.state + (f": {cell(part.reason)}" if part.reason else ""),
                part.provenance if part.provenance != "unverified" else "*(unverified)*",
                "<br>".join(code(test.removeprefix("tests/").replace("::", " · ")) for test in part.tests),
            )
            for part in document.clauses
        ],
    )
    chosen = [row for row in rows if _belongs(row, document.name)]
    if chosen:
        sure = Counter(row.worst for row in chosen)
        lines += ["### Declarations", ""]
        lines += [f"{len(chosen)}: " + ", ".join(f"{number} {name}" for name, number in sure.most_common()) + ".", ""]
        lines += grid(
            ("declaration", "what", "source", "fields", "least sure field"),
            [
                (code(row.name), cell(row.title), cell(row.clause if row.document in row.clause else f"{row.document} {row.clause}"),
                 str(row.fields or ""), row.worst)
                for row in chosen
            ],
        )  # fmt: skip
    return "\n".join(lines)


def _belongs(row: Any, document: str) -> bool:
    if document == "tables":
        return row.kind in ("table", "procedure")
    floor = {
        "mep": "mep.",
        "c12-18-optical": "c1218.",
        "iso14908-1": "lon.",
        "ts104001": "app.",
        "ts103908": "plc.",
    }.get(document, "?")
    return row.kind in ("struct", "bits") and row.name.startswith(floor)


# ---- machines, measurements, errors, bench ------------------------------------------------------------------------
def transitions(table: Mapping[tuple[Any, Any], Any], what: str) -> list[str]:
    """A transition table as a grid: a row for each state, a column for what moves it; an empty cell is refused."""
    states = list(dict.fromkeys([*(state for state, _ in table), *table.values()]))
    inputs = list(dict.fromkeys(word for _, word in table))
    return grid(
        (what, *(cell(word.value) for word in inputs)),
        [
            (
                f"**{cell(state.value)}**",
                *(cell(table[state, word].value) if (state, word) in table else "" for word in inputs),
            )
            for state in states
        ],
    )


def picture(table: Mapping[tuple[Any, Any], Any]) -> list[str]:
    """The same as text: from each state, where to and by what."""
    lines = ["```text"]
    wide = max(len(state.value) for state, _ in table)
    for state in dict.fromkeys(state for state, _ in table):
        targets: dict[Any, list[str]] = {}
        for (start, word), end in table.items():
            if start is state:
                targets.setdefault(end, []).append(word.value)
        for number, (end, words) in enumerate(targets.items()):
            name = state.value.ljust(wide) if number == 0 else " " * wide
            lines.append(f"{name} ── {' / '.join(words)} ──▶ {end.value}")
    return [*lines, "```", ""]


def machines_part() -> str:
    """Client and meter of the optical port; access to a line that many share."""
    from osgp.c1218 import server, session
    from osgp.lon import csma

    lines = ["### The reader's side (`osgp.c1218.session`)", ""]
    lines += [*picture(session.TRANSITIONS), *transitions(session.TRANSITIONS, "state")]
    lines += ["### The meter's side (`osgp.c1218.server`)", ""]
    lines += [*picture(server.TRANSITIONS), *transitions(server.TRANSITIONS, "state")]
    lines += ["### Access to a shared line (`osgp.lon.csma`)", ""]
    lines += [*picture(csma.TRANSITIONS), *transitions(csma.TRANSITIONS, "state")]
    return "\n".join(lines)


def measurements_part() -> str:
    """Every named measurement."""
    from osgp.tables.measurements import all_measurements

    lines = grid(
        ("name", "title", "unit", "direction", "device class", "state class", "needs"),
        [
            (code(one.name), cell(one.title), cell(one.unit), one.direction, code(one.device_class), code(one.state_class),
             ", ".join(table.__name__ for table in one.requires))
            for one in all_measurements()
        ],
    )  # fmt: skip
    return "\n".join(lines)


def errors_part() -> str:
    """The tree of errors, from the classes."""
    import osgp.mep.client
    import osgp.tables.services  # noqa: F401  response errors and the like are made there
    from osgp.wire.errors import Error

    lines = ["```text"]

    def walk(one: type, depth: int) -> None:
        words = (one.__doc__ or "").strip().split("\n")[0]
        lines.append(f"{'  ' * depth + one.__name__:<34} {words}")
        for child in sorted(one.__subclasses__(), key=lambda kind: kind.__name__):
            if child.__module__.startswith("osgp."):
                walk(child, depth + 1)

    walk(Error, 0)
    return "\n".join([*lines, "```", ""])


def http_part() -> str:
    """Every address that the local pages answer, from the application's own description."""
    from osgp.headend.store import Store
    from osgp.web.app import create_app

    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "empty.sqlite") as store:
        described = create_app(store).openapi()
    rows = []
    for path, methods in described["paths"].items():
        for method, about in methods.items():
            if not isinstance(about, dict):
                continue
            told = ", ".join(f"`{one['name']}`" for one in about.get("parameters", []) if one["in"] == "query")
            page = "page" if "text/html" in about["responses"].get("200", {}).get("content", {}) else "JSON"
            text = about.get("description") or about.get("summary", "")
            rows.append((code(f"{method.upper()} {path}"), page, told, words(text.split("\n\n")[0])))
    return "\n".join(grid(("address", "gives", "options", "what"), rows))


def bench_part(docs: Path) -> str:
    """The published figures: ``docs/_data/bench.json``, as ``osgp bench --json`` wrote it."""
    file = docs / "_data" / "bench.json"
    if not file.exists():
        return "No figures have been published yet: run `make bench`.\n"
    rows = json.loads(file.read_text("utf-8"))
    if isinstance(rows, dict):
        rows = rows["rows"]

    def number(value: Any) -> str:
        return "" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"

    lines = grid(
        ("group", "what", "ours", "peer", "unit", "ratio", "floor", "stretch", "peer is"),
        [
            (cell(row["group"]), cell(row["name"]), number(row["ours"]), number(row["peer"]), cell(row["unit"]),
             number(row["ratio"]), number(row["floor"]), number(row["stretch"]),
             cell(f"{row['peer_name']} {row['peer_version']}"))
            for row in rows
        ],
    )  # fmt: skip
    return "\n".join(lines)


def parts(docs: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of every page part."""
    from osgp.analyse.conformance import declarations, documents

    rows = list(declarations())
    for document in documents():
        yield f"_generated/standards-{document.name}.md", standards_part(document, rows)
    yield "_generated/tables.md", tables_part()
    yield "_generated/procedures.md", procedures_part()
    yield "_generated/cli.md", cli_part()
    yield "_generated/machines.md", machines_part()
    yield "_generated/measurements.md", measurements_part()
    yield "_generated/errors.md", errors_part()
    yield "_generated/http.md", http_part()
    yield "_generated/bench.md", bench_part(docs)


def generate(docs: Path) -> list[Path]:
    """Write all pages and parts that differ, remove pages of what is gone; answers the files that now stand."""
    made: list[Path] = []
    for path, text in [*table_pages(), *command_pages(), *parts(docs)]:
        file = docs / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = text.rstrip("\n") + "\n"
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8")
        made.append(file)
    for folder in ("reference/tables", "reference/cli"):
        for file in (docs / folder).glob("*.md"):
            if file not in made:
                file.unlink()
    return made


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    print(f"{len(generate(where))} files")
