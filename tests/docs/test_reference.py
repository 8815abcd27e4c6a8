"""What is made from the code is whole: each command, option, table, measurement and clause has its place, and its words."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import pytest

from osgp.analyse.conformance import documents
from osgp.cli.tables import field_rows
from osgp.tables.measurements import all_measurements
from osgp.tables.registry import all_procedures, all_tables
from osgp.tables.table import procedure_name
from osgp.wire import Context
from tools import generate_docs

from .pages import DOCS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything that is generated, by path below the documentation's folder."""
    folder = tmp_path_factory.mktemp("docs")
    return {file.relative_to(folder).as_posix(): file.read_text("utf-8") for file in generate_docs.generate(folder)}


def test_every_command_and_option_has_a_page(made: dict[str, str]) -> None:
    for words, command in generate_docs.commands():
        page = made[f"reference/cli/{words.split()[0]}.md"]
        assert re.search(rf"^#+ osgp {words}$", page, re.MULTILINE)
        for one in generate_docs.arguments(command):
            for name in one.names:
                assert f"`{name}`" in page, f"osgp {words} {name}"


def test_every_command_and_option_says_what_it_is_for() -> None:
    silent = []
    for words, command in generate_docs.commands():
        if not generate_docs.summary(command):
            silent.append(f"osgp {words}")
        silent += [
            f"osgp {words} {one.name}"
            for one in generate_docs.arguments(command)
            if not (one.parameter.help or "").strip()
        ]
    assert not silent


def test_every_page_of_commands_is_reached(made: dict[str, str]) -> None:
    listed = set(re.findall(r"^(cli/\S+)$", made["_generated/cli.md"], re.MULTILINE))
    assert {f"reference/{name}.md" for name in listed} == {path for path in made if path.startswith("reference/cli/")}


def test_every_table_has_a_page_with_every_field(made: dict[str, str]) -> None:
    for declared in all_tables():
        page = made[f"reference/tables/{declared.__name__}.md"]
        for row in field_rows(declared, Context()):
            assert f"`{row['path']}`" in page, f"{declared.__name__}.{row['path']}"
        assert f"[{declared.__name__}](tables/{declared.__name__}.md)" in made["_generated/tables.md"]


def test_every_procedure_measurement_and_clause_is_there(made: dict[str, str]) -> None:
    for procedure in all_procedures():
        assert f"### {procedure_name(procedure.number)}: " in made["_generated/procedures.md"]
    for measurement in all_measurements():
        assert f"`{measurement.name}`" in made["_generated/measurements.md"]
    for document in documents():
        part = made[f"_generated/standards-{document.name}.md"]
        for clause in document.clauses:
            assert f"| {generate_docs.cell(clause.number)} | {generate_docs.cell(clause.title)} |" in part


def test_every_part_stands_on_a_page_and_every_place_has_its_part(made: dict[str, str]) -> None:
    used = {
        name
        for page in DOCS.rglob("*.md")
        if "_build" not in page.parts and "_generated" not in page.parts
        for name in re.findall(r"^```\{generated\} ([\w-]+)$", page.read_text("utf-8"), re.MULTILINE)
    }
    assert used == {Path(path).stem for path in made if path.startswith("_generated/")}


def test_every_address_of_the_pages_is_there(made: dict[str, str]) -> None:
    from osgp.headend.store import Store
    from osgp.web.app import create_app

    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "empty.sqlite") as store:
        described = create_app(store).openapi()["paths"]
    assert described
    for path, methods in described.items():
        for method, about in methods.items():
            assert f"`{method.upper()} {path}`" in made["_generated/http.md"]
            assert about.get("description") or not path.startswith("/api"), f"{path} says nothing of itself"


def test_what_is_gone_loses_its_page(tmp_path: Path) -> None:
    old = tmp_path / "reference" / "tables" / "BT99.md"
    old.parent.mkdir(parents=True)
    old.write_text("# gone\n")
    generate_docs.generate(tmp_path)
    assert not old.exists()


def test_published_figures_fill_the_bench_page(tmp_path: Path) -> None:
    assert "No figures" in generate_docs.bench_part(tmp_path)
    row = {
        "group": "crypto", "name": "digest | one", "ours": 10.0, "peer": None, "unit": "1/s", "ratio": None,
        "floor": 0.8, "stretch": None, "peer_name": "gcc", "peer_version": "missing",
    }  # fmt: skip
    (tmp_path / "_data").mkdir()
    (tmp_path / "_data" / "bench.json").write_text(json.dumps([row]))
    assert "| crypto | digest \\| one | 10 |" in generate_docs.bench_part(tmp_path)


def test_the_floors_page_names_every_package() -> None:
    from tests.test_house import FLOOR

    text = (DOCS / "design" / "floors.md").read_text("utf-8")
    for package, floor in FLOOR.items():
        assert re.search(rf"^\| {floor} \| `{package}` \|", text, re.MULTILINE), package


def test_the_errors_page_draws_every_branch() -> None:
    from osgp.wire.errors import Error

    text = (DOCS / "design" / "errors.md").read_text("utf-8")
    for branch in Error.__subclasses__():
        if branch.__module__ == "osgp.wire.errors":
            assert branch.__name__ in text, branch.__name__
