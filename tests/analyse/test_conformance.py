"""The conformance listing is whole: every structure, every clause, every named test exists."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import random
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import osgp
from osgp.analyse.conformance import DOCUMENTS, PROVENANCE, documents, rows
from osgp.tables.registry import all_procedures, all_tables
from osgp.tables.table import Table, procedure_name
from osgp.wire import Bits, Context, Struct, layout_of
from osgp.wire.errors import DecodeError

ROOT = Path(__file__).resolve().parent.parent.parent


@cache
def functions(path: Path) -> frozenset[str]:
    return frozenset(
        node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )  # fmt: skip


def named_tests() -> list[str]:
    return sorted({test for row in rows() for test in row.tests})


@pytest.mark.parametrize("test", named_tests())
def test_every_named_test_exists(test: str) -> None:
    file, _, name = test.partition("::")
    assert (ROOT / file).is_file(), f"{file} is gone"
    assert name in functions(ROOT / file), f"{name} is not in {file}"


def test_every_file_of_tests_of_the_control_network_is_named() -> None:
    named = {test.partition("::")[0] for test in named_tests()}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "lon").glob("test_*.py")}
    assert files - named == set()


def descendants(base: type) -> set[type]:
    found: set[type] = set()
    for child in type.__subclasses__(base):
        found |= {child} | descendants(child)
    return found


def test_every_structure_of_the_package_is_listed() -> None:
    for module in pkgutil.walk_packages(osgp.__path__, "osgp."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    listed = {row.name for row in rows()}
    missing = []
    for declared in descendants(Struct) | descendants(Bits):
        if not declared.__module__.startswith("osgp.") or declared is Table:
            continue
        whole = issubclass(declared, Table) and "number" in vars(declared)
        name = declared.__name__ if whole else f"{declared.__module__.removeprefix('osgp.')}.{declared.__qualname__}"
        if name not in listed:
            missing.append(name)
    assert not missing


def test_every_table_and_procedure_is_listed() -> None:
    listed = {row.name for row in rows()}
    assert {one.__name__ for one in all_tables()} <= listed
    assert {procedure_name(one.number) for one in all_procedures()} <= listed


def test_every_row_is_whole() -> None:
    bad = [
        (row.kind, row.name)
        for row in rows()
        if not (row.title and row.document and row.provenance in PROVENANCE and row.worst in PROVENANCE)
        or (row.kind in ("table", "struct", "bits") and not row.clause)
        or (
            row.kind in ("table", "procedure", "struct", "bits", "message", "source", "measurement", "event")
            and not row.tests
        )
        or (row.kind == "clause" and row.state == "done" and not row.tests)
    ]
    assert not bad


def test_names_are_unique_within_their_kind() -> None:
    assert not [key for key, count in Counter((row.kind, row.name) for row in rows()).items() if count > 1]


def test_a_declaration_is_as_sure_as_its_least_sure_field() -> None:
    ranks = {name: rank for rank, name in enumerate(PROVENANCE)}
    for row in rows():
        assert ranks[row.worst] >= ranks[row.provenance], row.name
    assert {row.worst for row in rows()} == set(PROVENANCE)


def test_every_document_has_clauses_and_a_page() -> None:
    assert [document.name for document in documents()] == list(DOCUMENTS)
    for document in documents():
        assert document.clauses
        page = ROOT / "docs" / "standards" / f"{document.name}.md"
        assert f"{{generated}} standards-{document.name}" in page.read_text("utf-8")


@pytest.mark.parametrize("number", [one.number for one in all_procedures()])
def test_every_procedure_survives_reading_and_writing(number: int) -> None:
    """Parameters and answers: random bytes of any length come back unchanged, or give our error."""
    declared = next(one for one in all_procedures() if one.number == number)
    rng = random.Random(number)
    context = Context(env={"GEN4": 1, "LP_SETS": 4})
    for struct in (declared.Parameters, declared.Response):
        layout = layout_of(struct, context)
        for length in range(40):
            raw = rng.randbytes(length)
            try:
                value = layout.decode(raw)
            except DecodeError:
                continue
            assert layout.encode(value) == raw


def test_the_listing_is_one_document_and_light() -> None:
    code = (
        "import sys; from osgp.cli.main import main\n"
        "try:\n    main(['conformance', '--json'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'numpy', 'numba', 'sqlalchemy', 'fastapi', 'pyarrow', 'pandas'} & set(sys.modules)\n"
        "sys.stderr.write(' '.join(sorted(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listed = json.loads(done.stdout)
    assert len(listed) == len(rows())
    assert set(listed[0]) == {
        "kind", "name", "title", "document", "clause", "provenance", "worst", "fields", "state", "reason", "tests",
    }  # fmt: skip
    assert done.stderr == ""


def test_a_part_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    from osgp.cli.conformance import conformance

    conformance(kind="procedure", json=True)
    assert {row["kind"] for row in json.loads(capsys.readouterr().out)} == {"procedure"}
    conformance(document="mep", provenance="unverified", json=True)
    found = json.loads(capsys.readouterr().out)
    assert found
    assert {row["worst"] for row in found} == {"unverified"}
    with pytest.raises(osgp.Error, match="no document"):
        conformance(document="nothing")
    with pytest.raises(osgp.Error, match="no kind"):
        conformance(kind="nothing")
    conformance(kind="clause")
    assert "rows" in capsys.readouterr().out
