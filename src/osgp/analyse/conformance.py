"""What is covered, and how sure we are: every declaration of the package, and every clause of the documents behind it.

Declarations speak for themselves (``Struct.about``, ``Spec.status``, ``Procedure.source``, ``Source.status`` …). What no
declaration can say, whether a rule of behaviour is kept, stands clause by clause in ``osgp/conformance/*.toml``, one file
for each document; ``declarations.toml`` there names the tests that hold whole kinds of declarations. Both together are what
``osgp conformance`` prints and the pages under ``docs/standards`` show. A project choice.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.resources
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import osgp
from osgp.tables.registry import all_procedures, all_tables
from osgp.tables.table import Procedure, Table, procedure_name
from osgp.wire import Bits, Struct
from osgp.wire.errors import ConfigError

__all__ = ["DOCUMENTS", "Clause", "Document", "Row", "clauses", "declarations", "documents", "rows"]

DOCUMENTS = ("c12-18-optical", "mep", "tables", "iso14908-1", "ts104001", "ts103908", "legacy-crypto")
"""The files of clauses, in the order of the pages; each is also the name of its page under ``docs/standards``."""

STATES = ("done", "partly", "exempt")
PROVENANCE = ("verified", "project choice", "unverified")
"""From the surest to the least sure; a declaration is as sure as its least sure field."""

_DECLARES = re.compile(r"^\s*class \w+\(\s*[^)]*?\b(?:Struct|Bits)\b", re.MULTILINE)
_SPEC = re.compile(r"spec/([\w-]+)\.md(?: (?=\d))?")
_DIGEST = {
    "optical": "C12.18 digest",
    "mep": "MEP digest",
    "tables": "tables digest",
    "legacy-crypto": "crypto digest",
    "iso14908-1": "14908 digest",
    "osgp-application": "OSGP digest",
    "phy-ts103908": "PHY digest",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One declaration or clause. ``provenance``: of the declaration itself; ``worst``: of the least sure of its ``fields``.

    ``kind``: table, procedure, struct, bits, measurement, source, event or clause. ``state`` and ``reason`` are
    filled for clauses. ``tests``: pytest names, ``tests/…/test_x.py::test_y``.
    """

    kind: str
    name: str
    title: str
    document: str
    clause: str
    provenance: str
    worst: str = ""
    fields: int = 0
    state: str = ""
    reason: str = ""
    tests: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {part.name: getattr(self, part.name) for part in dataclasses.fields(self)} | {"tests": list(self.tests)}


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a document: what is kept of it, and how that is shown."""

    number: str
    title: str
    state: str
    reason: str = ""
    provenance: str = "verified"
    tests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """One document, its edition, and its clauses."""

    name: str
    title: str
    edition: str
    clauses: tuple[Clause, ...] = field(default=())


def _folder() -> Path:
    with importlib.resources.as_file(importlib.resources.files(osgp) / "conformance") as folder:
        return folder


def _load(name: str) -> dict[str, Any]:
    with (_folder() / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def documents() -> tuple[Document, ...]:
    """Every document with its clauses. Raises ConfigError for a state or a provenance that is none."""
    found = []
    for name in DOCUMENTS:
        data = _load(name)
        parts = tuple(
            Clause(**{**entry, "tests": tuple(entry.get("tests", ()))})  # a wrong key is a TypeError that names it
            for entry in data["clause"]
        )
        for part in parts:
            if part.state not in STATES or part.provenance not in PROVENANCE:
                raise ConfigError(f"{name}.toml, clause {part.number}: {part.state!r}, {part.provenance!r}")
            if part.state != "done" and not part.reason:
                raise ConfigError(f"{name}.toml, clause {part.number}: {part.state} needs its reason")
        found.append(Document(name, data["title"], data["edition"], parts))
    return tuple(found)


def clauses() -> Iterator[Row]:
    """One row for each clause of each document."""
    for document in documents():
        for part in document.clauses:
            yield Row(
                "clause",
                f"{document.name} {part.number}",
                part.title,
                document.title,
                part.number,
                part.provenance,
                part.provenance,
                0,
                part.state,
                part.reason,
                part.tests,
            )


def worst(found: list[str]) -> str:
    """The least sure of several provenances."""
    return max(found, key=_rank, default="verified")


def _rank(provenance: str) -> int:
    return PROVENANCE.index(provenance) if provenance in PROVENANCE else len(PROVENANCE)


def declared_fields(declared: type[Struct] | type[Bits], status: str) -> Iterator[tuple[str, str]]:
    """(path, provenance) of every field, through records, unions and words of bits; ``status`` where a field says nothing."""
    if issubclass(declared, Bits):
        for part in declared.fields.values():
            yield part.name, part.status or status
        return
    for spec in declared.specs.values():
        own = spec.status or status
        yield spec.name, own
        inner = [] if spec.struct is None else [spec.struct]
        inner += [case.struct for case in spec.cases]
        word = getattr(spec.kind, "bits", None)
        if isinstance(word, type) and issubclass(word, Bits):
            inner.append(word)
        for struct in inner:
            for path, deeper in declared_fields(struct, _about(struct)[1] or own):
                yield f"{spec.name}.{path}", deeper


def _modules() -> Iterator[str]:
    """Every module of the package whose text declares a structure; found without importing anything heavy."""
    root = Path(next(iter(osgp.__path__)))
    for path in sorted(root.rglob("*.py")):
        if _DECLARES.search(path.read_text("utf-8")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _descendants(base: type) -> Iterator[type]:
    children: list[type] = type.__subclasses__(base)
    for child in children:
        yield child
        yield from _descendants(child)


def _outer(declared: type) -> Any:
    """The class in whose body a nested one stands, or the class itself."""
    found: Any = importlib.import_module(declared.__module__)
    return getattr(found, declared.__qualname__.split(".")[0], declared)


def _about(declared: Any) -> tuple[str, str]:
    """(source, status) as declared, or empty."""
    about = getattr(declared, "about", None)
    if about is not None:
        return about.source, about.status
    return getattr(declared, "source", ""), getattr(declared, "status", "")


Holders = dict[type, list[type[Struct]]]
"""The structures that a word of bits stands in: those of its own module first, and the surest of them."""


def _holders() -> Holders:
    found: Holders = {}
    for struct in _descendants(Struct):
        assert issubclass(struct, Struct)
        for spec in struct.specs.values():
            word = getattr(spec.kind, "bits", None)
            if isinstance(word, type) and issubclass(word, Bits):
                found.setdefault(word, []).append(struct)
    for word, structs in found.items():
        structs.sort(key=lambda one: (one.__module__ != word.__module__, _rank(_about(one)[1]), one.__qualname__))
    return found


def _source(
    declared: type[Struct] | type[Bits], rules: list[dict[str, Any]], name: str, holders: Holders
) -> tuple[str, str]:
    """Where a declaration comes from and how sure it is.

    It says so itself, or the class around it, its fields, the structure that it stands in, or a rule for its kind.
    """
    source, status = _about(declared)
    above = _about(_outer(declared))
    source, status = source or above[0], status or above[1]
    parts = declared.fields.values() if issubclass(declared, Bits) else declared.specs.values()
    for part in parts:
        source, status = source or part.source, status or part.status
    for holder in holders.get(declared, ()):
        above = _about(holder)
        source, status = source or above[0], status or above[1]
    for rule in rules:
        if fnmatchcase(name, rule["match"]):
            source, status = source or rule.get("source", ""), status or rule.get("provenance", "")
    return source, status


def _place(source: str) -> tuple[str, str]:
    """(document, clause) of a source note such as ``MEP guide p. 207; optical guide p. 24``."""
    if source.startswith("mentioned only"):
        return "MEP guide", "named there, not described"
    document, found, places = source.partition("; spec/")
    if found:  # a document that was not at hand, and the digest that stands for it
        return document, _SPEC.sub(lambda hit: f"{_DIGEST.get(hit[1], hit[1])} section ", f"spec/{places}")
    text = _SPEC.sub(lambda hit: f"{_DIGEST.get(hit[1], hit[1])} section ", source).replace("section  ", "section ")
    hits = re.findall(r"([A-Za-z][\w .,/-]*?)\s+((?:p\. |section |pages? |clause )\d+(?:[–, .-]+\d+)*)", text)
    names = list(dict.fromkeys(name.strip(" ,;") for name, _ in hits))
    if len(names) == 1:
        return names[0], text.replace(names[0], "", 1).strip()
    return (", ".join(names) or text), text


def _tests(rules: list[dict[str, Any]], kind: str, name: str) -> tuple[str, ...]:
    found: list[str] = []
    for rule in rules:
        if kind in rule.get("kinds", (kind,)) and fnmatchcase(name, rule["match"]):
            found += [test for test in rule.get("tests", ()) if test not in found]
    return tuple(found)


def _row(
    declared: type[Struct] | type[Bits],
    kind: str,
    name: str,
    title: str,
    rules: list[dict[str, Any]],
    holders: Holders | None = None,
) -> Row:
    source, status = _source(declared, rules, name, holders or {})
    status = status if status in PROVENANCE else "unverified"
    found = [provenance for _, provenance in declared_fields(declared, status)]
    document, clause = _place(source)
    return Row(
        kind,
        name,
        title,
        document,
        clause,
        status,
        worst([status, *found]),
        len(found),
        tests=_tests(rules, kind, name),
    )


def _structures(rules: list[dict[str, Any]]) -> Iterator[Row]:
    for module in _modules():
        importlib.import_module(module)
    holders = _holders()
    seen: set[type] = {Struct, Bits, Table}
    for base in (Struct, Bits):
        for declared in sorted(_descendants(base), key=lambda one: (one.__module__, one.__qualname__)):
            if declared in seen or not declared.__module__.startswith("osgp."):
                continue
            seen.add(declared)
            if issubclass(declared, Table) and "number" in vars(declared):
                continue  # has its row as a table
            name = f"{declared.__module__.removeprefix('osgp.')}.{declared.__qualname__}"
            title = (declared.__doc__ or "").strip().split("\n")[0]
            yield _row(declared, "struct" if base is Struct else "bits", name, title, rules, holders)


def _procedure(declared: type[Procedure], rules: list[dict[str, Any]]) -> Row:
    name = procedure_name(declared.number)
    parts = [provenance for struct in (declared.Parameters, declared.Response)
             for _, provenance in declared_fields(struct, declared.status)]  # fmt: skip
    document, clause = _place(declared.source)
    status = declared.status if declared.status in PROVENANCE else "unverified"
    return Row(
        "procedure",
        name,
        declared.title,
        document,
        clause,
        status,
        worst([status, *parts]),
        len(parts),
        tests=_tests(rules, "procedure", name),
    )


def _catalogues(rules: list[dict[str, Any]]) -> Iterator[Row]:
    from osgp.tables.events import EVENTS
    from osgp.tables.measurements import all_measurements
    from osgp.tables.sources import SOURCES

    for measurement in all_measurements():
        unit = f" [{measurement.unit}]" if measurement.unit else ""
        yield Row(
            "measurement", measurement.name, measurement.title + unit, "project choice", "names and classes",
            "project choice", "project choice", tests=_tests(rules, "measurement", measurement.name),
        )  # fmt: skip
    for one in SOURCES.values():
        unit = f" [{one.unit}]" if one.unit else ""
        yield Row(
            "source", f"source {one.number}", one.name + unit, "MEP guide", "p. 202–206 (BT22)", one.status, one.status,
            tests=_tests(rules, "source", f"source {one.number}"),
        )  # fmt: skip
    for event in EVENTS.values():
        yield Row(
            "event", f"event {event.number}", event.name, "MEP guide", "p. 241 (names; the guide gives no numbers)",
            event.status, event.status, tests=_tests(rules, "event", f"event {event.number}"),
        )  # fmt: skip


def declarations() -> Iterator[Row]:
    """One row for each table, procedure, structure, word of bits, measurement, source ID and event."""
    rules: list[dict[str, Any]] = _load("declarations")["rule"]
    for table in all_tables():
        yield _row(table, "table", table.__name__, table.title, rules)
    for procedure in all_procedures():
        yield _procedure(procedure, rules)
    yield from _structures(rules)
    yield from _catalogues(rules)


def rows() -> list[Row]:
    """Everything: declarations, then clauses."""
    return [*declarations(), *clauses()]
