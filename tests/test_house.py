"""The house rules that a machine can check: floors, forbidden doors to the outside, a light core, packaging, tidiness.

The rules themselves, with their reasons, are in ``docs/design/floors.md``.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "osgp"

FLOOR = {
    "wire": 0,
    "crypto": 0,
    "tables": 1,
    "app": 1,
    "c1218": 1,
    "mep": 1,
    "lon": 1,
    "plc": 1,
    "node": 2,
    "ports": 3,
    "sim": 3,
    "analyse": 3,
    "headend": 4,
    "concentrator": 4,
    "street": 4,
    "web": 5,
    "cli": 5,
    "bench": 5,
}
# Floors 0 and 1 see only what is named here; from floor 2 on a package sees every floor below its own ...
SEES = {
    "wire": set(),
    "crypto": {"wire"},
    "tables": {"wire"},
    "c1218": {"wire", "tables"},
    "mep": {"wire", "crypto", "tables", "c1218"},
    "lon": {"wire", "crypto"},
    "app": {"wire", "crypto", "tables", "lon"},
    "plc": {"wire", "lon"},
}
# ... and beside itself, on the same floor, only these: a simulated meter is served on a line, the analyser reads capture
# files, a command starts the web pages and the benches.
BESIDE = {("sim", "ports"), ("analyse", "ports"), ("cli", "web"), ("cli", "bench"), ("street", "concentrator")}

# Time is the argument `now`, randomness is a random.Random handed in, bytes come and go through the five verbs.
FORBIDDEN_BELOW_PORTS = {
    "asyncio",
    "concurrent",
    "multiprocessing",
    "select",
    "selectors",
    "serial",
    "serialx",
    "signal",
    "socket",
    "socketserver",
    "sqlalchemy",
    "sqlite3",
    "ssl",
    "subprocess",
    "threading",
    "time",
}
CLOCK_CALLS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
HEAVY = {"numpy", "numba"}
# Modules that exist for the sake of an extra; everybody else on floors 0 and 1 imports them inside a function.
KERNELS = {"osgp.crypto.kernels", "osgp.crypto.lanes", "osgp.wire.kernels", "osgp.tables.kernels"}

MAX_LINES = 800


@dataclass(frozen=True)
class Import:
    """One imported module, where it stands, and whether importing the importer executes it."""

    module: str
    names: tuple[str, ...]
    line: int
    at_import: bool


def modules() -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of every module of the package."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def package_of(module: str) -> str:
    """``osgp.mep.tls.records`` lives in ``mep``; the root module itself in ``""``."""
    return module.split(".")[1] if "." in module else ""


def imports_of(tree: ast.Module, module: str, *, is_package: bool) -> list[Import]:
    """Every import: at the top, in functions, under TYPE_CHECKING, and by ``import_module`` with a constant name."""
    found: list[Import] = []

    def visit(node: ast.AST, at_import: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, (), node.lineno, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join([*parts, base] if base else parts)
            found.append(Import(base, tuple(alias.name for alias in node.names), node.lineno, at_import))
        elif isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            target = node.args[0]
            if name == "import_module" and isinstance(target, ast.Constant) and isinstance(target.value, str):
                found.append(Import(target.value, (), node.lineno, at_import))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, False)
            for child in node.orelse:
                visit(child, at_import)
            return
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, at_import and not inside)

    visit(tree, True)
    return found


def osgp_targets(found: Import) -> list[str]:
    """The packages of osgp that an import reaches: ``from osgp import mep`` reaches mep, ``import osgp`` the root."""
    if found.module == "osgp":
        return [name if name in FLOOR else "" for name in found.names] or [""]
    return [package_of(found.module)] if found.module.startswith("osgp.") else []


def may_import(importer: str, target: str) -> bool:
    """The contract of the floors."""
    if importer == target or importer == "":
        return True
    if target == "":  # the root offers the lazy `open`: from floor 3 on
        return FLOOR[importer] >= 3
    if importer in SEES:
        return target in SEES[importer]
    return FLOOR[target] < FLOOR[importer] or (importer, target) in BESIDE


def upward(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Imports of ``source`` that break the contract, as 'line: importer -> target'."""
    importer = package_of(module)
    return [
        f"{found.line}: {importer} -> {target or 'osgp'}"
        for found in imports_of(ast.parse(source), module, is_package=is_package)
        for target in osgp_targets(found)
        if not may_import(importer, target)
    ]


def outside(source: str, module: str) -> list[str]:
    """Where a module of floors 0 to 2 reaches for the clock, the network, a thread, a store or the global dice."""
    tree = ast.parse(source)
    found: list[str] = []
    for one in imports_of(tree, module, is_package=False):
        if one.module.split(".")[0] in FORBIDDEN_BELOW_PORTS:
            found.append(f"{one.line}: import {one.module}")
        if one.module == "random" and set(one.names) - {"Random"}:
            found.append(f"{one.line}: from random import {', '.join(one.names)}")
    for node in ast.walk(tree):
        # `secrets.token_bytes` may be the default of a parameter (a simulation hands in its own), never be called here.
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("secrets."):
            found.append(f"{node.lineno}: {ast.unparse(node.func)}()")
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        if (owner, node.attr) in CLOCK_CALLS:
            found.append(f"{node.lineno}: {owner}.{node.attr}")
        if isinstance(node.value, ast.Name) and owner == "random" and node.attr != "Random":
            found.append(f"{node.lineno}: random.{node.attr}")
        if owner == "os" and node.attr == "urandom":
            found.append(f"{node.lineno}: os.urandom")
    return found


def heavy_at_import(source: str, module: str) -> list[str]:
    """Numeric libraries that merely importing the module would load, itself or through a kernel module."""
    return [
        f"{found.line}: {found.module}"
        for found in imports_of(ast.parse(source), module, is_package=False)
        if found.at_import
        and (
            found.module.split(".")[0] in HEAVY
            or found.module in KERNELS
            or any(f"{found.module}.{name}" in KERNELS for name in found.names)
        )
    ]


def test_every_package_has_a_floor() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages == set(FLOOR)
    loose = {path.name for path in SOURCE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert not loose, "a module outside every package has no floor"


def test_imports_only_go_down() -> None:
    bad = {
        module: found
        for module, path in modules()
        if (found := upward(path.read_text("utf-8"), module, is_package=path.name == "__init__.py"))
    }
    assert not bad


def test_floors_without_io_do_not_reach_outside() -> None:
    bad = {
        module: found
        for module, path in modules()
        if FLOOR.get(package_of(module), 9) <= 2 and (found := outside(path.read_text("utf-8"), module))
    }
    assert not bad


def test_numeric_libraries_are_loaded_at_need_only() -> None:
    bad = {
        module: found
        for module, path in modules()
        if FLOOR.get(package_of(module), 9) <= 1
        and module not in KERNELS
        and package_of(module) != "plc"  # arrays in, arrays out: the package exists for the sake of its extra
        and (found := heavy_at_import(path.read_text("utf-8"), module))
    }
    assert not bad


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("osgp.wire.fields", "import osgp.tables"),
        ("osgp.tables.image", "from osgp.mep import frame"),
        ("osgp.tables.image", "def f():\n    from osgp.node.device import Device"),
        ("osgp.mep.client", "if TYPE_CHECKING:\n    from osgp.ports import serial"),
        ("osgp.c1218.link", "from osgp import node"),
        ("osgp.c1218.link", "from ..mep import frame"),
        ("osgp.node.device", "import importlib\nimportlib.import_module('osgp.sim.clock')"),
        ("osgp.headend.store", "from osgp.web import app"),
        ("osgp.web.app", "from osgp.cli import main"),
        ("osgp.ports.capture", "from osgp.analyse import lon"),
        ("osgp.sim.wire", "from osgp.analyse import lon"),
    ],
)
def test_the_contract_catches_an_upward_import(module: str, source: str) -> None:
    assert upward(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("osgp.mep.client", "from osgp.c1218 import services\nfrom .frame import Frame\nfrom ..wire import errors"),
        ("osgp.headend.store", "import osgp\nfrom osgp.node import planner"),
        ("osgp.cli.demo", "from osgp.web import app"),
        ("osgp.analyse.lonbatch", "from osgp.ports.capture import lon_frames"),
        ("osgp.wire.errors", "import json"),
    ],
)
def test_the_contract_lets_downward_imports_pass(module: str, source: str) -> None:
    assert not upward(source, module)


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "def f():\n    import time",
        "from time import monotonic",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\nx = datetime.datetime.utcnow",
        "import random\nrandom.random()",
        "from random import randint",
        "import os\nos.urandom(8)",
        "import secrets\nx = secrets.token_bytes(8)",
    ],
)
def test_reaching_outside_is_caught(source: str) -> None:
    assert outside(source, "osgp.wire.example")


def test_a_random_generator_handed_in_is_welcome() -> None:
    source = "import random\ndef f(r: random.Random) -> float:\n    return r.random()"
    assert not outside(source, "osgp.wire.example")


def test_importing_osgp_is_light() -> None:
    heavy = [
        "numpy",
        "numba",
        "sqlalchemy",
        "fastapi",
        "starlette",
        "rich",
        "cyclopts",
        "pydantic",
        "pyarrow",
        "asyncio",
    ]
    code = f"import json, sys, osgp; osgp.Error; print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert json.loads(done.stdout) == []
    assert "| osgp" in done.stderr, "the import was not timed: something imported osgp before"


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("__init__.py")), ids=lambda p: p.parent.relative_to(SOURCE.parent).as_posix()
)
def test_every_package_names_its_document(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert text, "no docstring"
    assert re.search(r"Guide|ANSI|ETSI|ISO/IEC|RFC \d|[Pp]roject choice", text), (
        "no document and no 'project choice' named"
    )


def test_every_folder_with_modules_is_a_package() -> None:
    assert not [path for path in SOURCE.rglob("*.py") if not (path.parent / "__init__.py").exists()]


def test_the_wheel_is_typed_and_knows_its_version(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    declared = re.search(r'^__version__ = "(.+)"$', (SOURCE / "__init__.py").read_text("utf-8"), re.MULTILINE)
    assert declared is not None
    assert wheel.name.split("-")[:2] == ["osgp", declared[1]]
    assert importlib.metadata.version("osgp") == declared[1]
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"osgp-{declared[1]}.dist-info/METADATA").decode()
    assert "osgp/py.typed" in names
    assert f"osgp-{declared[1]}.dist-info/licenses/LICENSE" in names
    assert "License-Expression: Apache-2.0" in metadata
    assert {path.relative_to(SOURCE.parent).as_posix() for path in SOURCE.rglob("*.py")} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_no_source_file_has_grown_too_long() -> None:
    long = {path.name: n for _, path in modules() if (n := len(path.read_text("utf-8").splitlines())) > MAX_LINES}
    assert not long


def tracked_files() -> list[Path]:
    """What git tracks; in an unpacked archive, what an archive holds."""
    if (ROOT / ".git").exists():
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    kept = ("src", "tests", "docs", "tools", "changelog.d")
    return [path for folder in kept for path in (ROOT / folder).rglob("*") if path.is_file()]


def test_no_file_tells_on_the_machine_it_was_made_on() -> None:
    # Put together here so that this file does not find itself. /dev and /etc mean the same on every machine.
    homes = "|".join(("w" + "ork", "r" + "oot", "h" + "ome", "U" + "sers"))
    pattern = re.compile(rf"(?<![\w.:/~$}}>-])/(?:{homes})/\w|[A-Z]:\\+U" + r"sers\\")
    assert pattern.search(" /ho" + "me/someone")
    assert not pattern.search("https://example.org/ho" + "me/page")
    bad = []
    for path in tracked_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a database
        bad += [
            f"{path.relative_to(ROOT)}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if len(line) < 2000 and pattern.search(line)
        ]
    assert not bad
