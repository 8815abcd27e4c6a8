"""``osgp tables``: the catalogue at the command line; decode and encode table bytes without a device."""

from __future__ import annotations

import json as jsonlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from osgp.cli.output import console, print_json, print_table, tree
from osgp.cli.target import ANYWHERE, Target, with_device
from osgp.node.device import Device
from osgp.tables.image import context_of
from osgp.tables.mentioned import MENTIONED
from osgp.tables.registry import all_procedures, all_tables, load_directory, table
from osgp.tables.table import Access, Procedure, Table, number_of, procedure_name, table_name
from osgp.wire import MANY, Bits, Context, Firmware, Layout, MissingTable, dependencies, layout_of
from osgp.wire.errors import BadValue, ConfigError, DecodeError
from osgp.wire.expr import Unresolved
from osgp.wire.fields import Spec
from osgp.wire.struct import field_meta

app = App(name="tables", help="The catalogue of tables and procedures; decode and encode table bytes.")

Image = Annotated[
    list[str] | None, Parameter(name="--image", help="bytes of another table as TABLE=HEX, for its dimensions")
]
Dim = Annotated[list[str] | None, Parameter(name="--dim", help="one dimension as TABLE.FIELD=N")]
Version = Annotated[str | None, Parameter(name="--firmware", help="firmware version, for example 4.10")]
Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]
Makers = Annotated[
    Path | None, Parameter(name="--tables", help="directory of further table declarations (Python files)")
]


@app.default
def show(
    name: str | None = None,
    /,
    *,
    search: Annotated[str | None, Parameter(help="find fields whose name, meaning or unit contains this text")] = None,
    procedures: Annotated[bool, Parameter(help="list procedures instead of tables")] = False,
    image: Image = None,
    dim: Dim = None,
    firmware: Version = None,
    device: Annotated[str | None, Parameter(help="take the dimensions from this device (an address)")] = None,
    json: Json = False,
    target: Target = ANYWHERE,
) -> None:
    """List all tables, lay out one of them (``osgp tables ET04``), or search (``--search voltage``).

    Parameters
    ----------
    name
        a table or procedure, for example BT23, ET52 or EP17
    """
    if target.tables is not None:
        load_directory(target.tables)
    if search is not None:
        _search(search, json)
    elif name is not None and name.upper()[:2] in ("BP", "EP", "SP", "MP"):
        _procedure(name, json)
    elif name is not None:
        context = context_from(image, dim, firmware) if device is None else _context_of_device(device, name, target)
        _layout(table(name), context, json)
    elif procedures:
        _procedures(json)
    else:
        _list(json)


def _context_of_device(address: str, name: str, target: Target) -> Context:
    """The dimensions that a device gives to a table; read from it."""

    async def work(found: Device) -> Context:
        await found.plan(name)
        return found.context

    return with_device(address, target, work)


def context_from(image: list[str] | None, dim: list[str] | None, firmware: str | None) -> Context:
    """The context that ``--image``, ``--dim`` and ``--firmware`` describe. Raises ConfigError."""
    raw: dict[int, bytes] = {}
    for entry in image or []:
        name, mark, text = entry.partition("=")
        if not mark:
            raise ConfigError(f"--image {entry!r} is not TABLE=HEX", hint="for example --image BT21=0300...")
        raw[number_of(name)] = read_hex(text)
    overrides: dict[str, int] = {}
    for entry in dim or []:
        name, mark, text = entry.partition("=")
        head, dot, _ = name.partition(".")
        try:
            value = int(text, 0)
        except ValueError:
            value = -1
        if not mark or not dot or value < 0:
            raise ConfigError(f"--dim {entry!r} is not TABLE.FIELD=N", hint="for example --dim BT21.NBR_TIERS=4")
        if head.lower() != "env":
            _check_dimension(table(head), name)
        overrides[name] = value
    known = Firmware.parse(firmware) if firmware else None
    return context_of(raw, Context(overrides=overrides, firmware=known))


def _check_dimension(declared: type[Table], name: str) -> None:
    """A misspelled dimension would count as absent and give another layout without a word. Raises ConfigError."""
    path = re.sub(r"\s+|\[[^]]*\]", "", name).lower().split(".")[1:]
    if field_meta(declared, *path) is None:
        raise ConfigError(
            f"--dim {name!r}: {declared.__name__} has no such field",
            hint=f"osgp tables {declared.__name__} lists its fields",
        )


def _sized(declared: type[Table], context: Context) -> Layout[Any]:
    """The layout for decode and encode. A table that must be given by option, and is not, is wrong use: ConfigError."""
    try:
        return layout_of(declared, context)
    except MissingTable as error:
        raise ConfigError(error.message, hint=error.hint) from error


def read_hex(text: str) -> bytes:
    """Bytes from hexadecimal with or without spaces, colons or 0x; ``@FILE`` and ``-`` read a file or stdin. ConfigError."""
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text()
        except OSError as error:
            raise ConfigError(f"cannot read {text[1:]}: {error.strerror}") from error
    try:
        return bytes.fromhex("".join(text.replace(":", " ").replace("0x", " ").split()))
    except ValueError as error:
        raise ConfigError(f"not hexadecimal: {text[:40]!r}", hint="two digits for each byte, spaces allowed") from error


def _list(json: bool) -> None:
    declared = {one.number: one for one in all_tables()}
    if json:
        print_json(
            [
                {
                    "table": one.__name__,
                    "number": number,
                    "title": one.title,
                    "role": one.role,
                    "source": one.about.source,
                    "status": one.about.status,
                    "fields": len(one.specs),
                }
                for number, one in sorted(declared.items())
            ]
            + [
                {
                    "table": table_name(number),
                    "number": number,
                    "title": title,
                    "role": "",
                    "source": "",
                    "status": "named only",
                }
                for number, title in sorted(MENTIONED.items())
                if number not in declared
            ]
        )
        return
    print_table(
        "Tables (BT = basic, ET = extended)",
        ["table", "number>", "title", "role", "source"],
        [(one.__name__, number, one.title, one.role, one.about.source) for number, one in sorted(declared.items())],
    )
    named = ", ".join(table_name(number) for number in sorted(MENTIONED) if number not in declared)
    console.print(f"Named by the guides without a layout (read and kept as raw bytes): {named}")


def _procedures(json: bool) -> None:
    rows = [(procedure_name(one.number), one.number, one.title, one.status, one.source) for one in all_procedures()]
    if json:
        keys = ("procedure", "number", "title", "status", "source")
        print_json([dict(zip(keys, row)) for row in rows])
        return
    print_table("Procedures (BP = basic, EP = extended)", ["procedure", "number>", "title", "status", "source"], rows)


def _keys(keys: tuple[str, ...] | None) -> str:
    if keys is None:
        return "not listed"
    return ", ".join(keys) or "none"


def _access(access: Access) -> str:
    text = f"MEP read {_keys(access.read)}, write {_keys(access.write)}; optical read {_keys(access.optical_read)}"
    return text + ("; kept in non-volatile memory: write sparingly" if access.nvm_write else "")


def _size(value: Any) -> str:
    return "to the end" if value is MANY else repr(value)


def field_rows(declared: type[Table], context: Context) -> list[dict[str, Any]]:
    """One row for each field, bits included: path, type, offset (None where dimensions are missing), size, unit, meaning."""
    rows: list[dict[str, Any]] = []
    try:
        layout = layout_of(declared, context)
    except DecodeError:
        layout = None

    def place(path: str) -> tuple[int | None, int | None]:
        if layout is None:
            return None, None
        try:
            span = layout.span(path)
        except (DecodeError, ConfigError, Unresolved):
            return None, None
        return span.offset, span.size

    def add(specs: dict[str, Spec], prefix: str, depth: int) -> None:
        for spec in specs.values():
            path = f"{prefix}{spec.name}"
            shown = path + ("[]" if spec.count is not None else "")
            element = path + ("[0]" if spec.count is not None else "")
            offset, size = place(path)
            rows.append(
                {
                    "path": shown,
                    "name": spec.orig,
                    "type": spec.type_name,
                    "offset": offset,
                    "size": size,
                    "count": None if spec.count is None else _size(spec.count),
                    "when": None if spec.when is None else repr(spec.when),
                    "unit": spec.unit,
                    "scale": spec.scale,
                    "vci": spec.vci,
                    "default": spec.default,
                    "since": str(spec.since or ""),
                    "status": spec.status or declared.about.status,
                    "doc": spec.doc,
                    "values": _values(spec.values),
                    "elements": {str(k): v.name for k, v in spec.elements.items()},
                    "depth": depth,
                }
            )
            word = getattr(spec.kind, "bits", None)
            if isinstance(word, type) and issubclass(word, Bits):
                for part in word.fields.values():
                    rows.append(
                        {
                            "path": f"{shown}.{part.name}",
                            "name": part.orig,
                            "type": "bits",
                            "offset": offset,
                            "bit": part.lsb,
                            "width": part.width,
                            "unit": part.unit,
                            "vci": part.vci,
                            "default": part.default,
                            "since": str(part.since or ""),
                            "status": part.status or declared.about.status,
                            "doc": part.doc,
                            "values": _values(part.values),
                            "depth": depth + 1,
                        }
                    )
            if spec.struct is not None:
                add(spec.struct.specs, f"{element}.", depth + 1)
            for case in spec.cases:
                add(case.struct.specs, f"{element}.", depth + 1)

    add(declared.specs, "", 0)
    return rows


def _values(values: Mapping[Any, str]) -> dict[str, str]:
    """Codes and their meaning for JSON; a range of codes as ``first..last``."""
    return {(f"{code[0]}..{code[1]}" if isinstance(code, tuple) else str(code)): text for code, text in values.items()}


def _layout(declared: type[Table], context: Context, json: bool) -> None:
    rows = field_rows(declared, context)
    needs = sorted(one.__name__ for one in dependencies(declared))
    try:
        size = layout_of(declared, context).size
    except DecodeError:
        size = None
    if json:
        print_json(
            {
                "table": declared.__name__,
                "number": declared.number,
                "title": declared.title,
                "role": declared.role,
                "source": declared.about.source,
                "status": declared.about.status,
                "size": size,
                "sized_by": needs,
                "access": declared.access,
                "notes": list(declared.notes),
                "fields": rows,
            }
        )
        return
    console.print(f"[bold]{declared.__name__}[/] ({declared.number}) {declared.title}")
    console.print(f"{declared.about.source}; {declared.about.status}. {_access(declared.access)}")
    if needs:
        missing = "" if size is not None else " (give them with --image or --dim to see offsets)"
        console.print(f"Sized by {', '.join(needs)}{missing}")
    if size is not None:
        console.print(f"{size} bytes")
    shown = []
    for row in rows:
        offset = "" if row["offset"] is None else str(row["offset"])
        if "bit" in row:
            offset = f"{offset or '·'}.{row['bit']}" + (
                f"..{row['bit'] + row['width'] - 1}" if row["width"] > 1 else ""
            )
        meaning = row["doc"] + (f" ({row['since']})" if row["since"] else "")
        if row.get("when"):
            meaning += f" [if {row['when']}]"
        if row.get("count"):
            meaning += f" [{row['count']} times]"
        if row["values"]:
            meaning += ": " + "; ".join(f"{key} {text}" for key, text in row["values"].items())
        shown.append((offset, "  " * row["depth"] + row["name"], row["type"], row["unit"], meaning))
    print_table("", ["offset>", "field", "type", "unit", "meaning"], shown)
    for note in declared.notes:
        console.print(f"- {note}", markup=False)


def _procedure(name: str, json: bool) -> None:
    from osgp.tables.registry import procedure

    found: type[Procedure] = procedure(name)
    parts = {"parameters": found.Parameters, "response": found.Response}
    fields: dict[str, list[dict[str, Any]]] = {
        key: [
            {
                "name": s.orig,
                "type": s.type_name,
                "unit": s.unit,
                "doc": s.doc,
                "values": _values(s.values),
                "cases": [[field.orig for field in case.struct.specs.values()] for case in s.cases],
            }
            for s in struct.specs.values()
        ]
        for key, struct in parts.items()
    }
    if json:
        print_json(
            {
                "procedure": procedure_name(found.number),
                "number": found.number,
                "title": found.title,
                "source": found.source,
                "status": found.status,
                "results": found.results,
                "notes": list(found.notes),
                **fields,
            }
        )
        return
    console.print(f"[bold]{procedure_name(found.number)}[/] ({found.number}) {found.title}")
    console.print(f"{found.source}; {found.status}")
    for key, rows in fields.items():
        if rows:
            shown = []
            for row in rows:
                meaning = "; ".join(
                    [
                        row["doc"],
                        *(f"{code} {text}" for code, text in row["values"].items()),
                        *(f"or {{{', '.join(names)}}}" for names in row["cases"]),
                    ]
                )
                shown.append((row["name"], row["type"], row["unit"], meaning))
            print_table(key, ["field", "type", "unit", "meaning"], shown)
    for code, text in found.results.items():
        console.print(f"result {code}: {text}", markup=False)
    for note in found.notes:
        console.print(f"- {note}", markup=False)


def _search(text: str, json: bool) -> None:
    wanted = text.lower()
    hits: list[dict[str, Any]] = []
    for declared in all_tables():
        for row in field_rows(declared, Context()):
            elements = [(key, name) for key, name in (row.get("elements") or {}).items() if wanted in name.lower()]
            path = f"{declared.__name__}.{row['path']}"
            hits.extend(
                {"path": path.replace("[]", f"[{key}]"), "doc": name, "unit": row["unit"]} for key, name in elements
            )
            if not elements and wanted in f"{row['path']} {row['name']} {row['doc']} {row['unit']}".lower():
                hits.append({"path": path, "doc": row["doc"], "unit": row["unit"]})
    if json:
        print_json(hits)
    else:
        print_table(
            f"{len(hits)} places for {text!r}",
            ["path", "meaning", "unit"],
            [(h["path"], h["doc"], h["unit"]) for h in hits],
        )


@app.command
def decode(
    name: str,
    data: str,
    /,
    *,
    image: Image = None,
    dim: Dim = None,
    firmware: Version = None,
    tables: Makers = None,
    explain: Annotated[bool, Parameter(help="show every byte and bit with its offset and source")] = False,
    json: Json = False,
) -> None:
    """Decode the bytes of a table without a device.

    Parameters
    ----------
    name
        the table, for example BT23
    data
        its bytes in hexadecimal; @FILE or - for a file or stdin
    """
    if tables is not None:
        load_directory(tables)
    declared = table(name)
    raw = read_hex(data)
    layout = _sized(declared, context_from(image, dim, firmware))
    value = layout.decode(raw)
    if json:
        document: dict[str, Any] = {"table": declared.__name__, "fields": value.to_json()}
        if explain:
            document["explain"] = layout.explain(raw).to_json()
        print_json(document)
        return
    console.print(tree(layout.explain(raw), f"{declared.__name__} {declared.title}, {len(raw)} bytes"))


@app.command
def encode(
    name: str,
    fields: str,
    /,
    *,
    image: Image = None,
    dim: Dim = None,
    firmware: Version = None,
    tables: Makers = None,
    json: Json = False,
) -> None:
    """Encode a table from JSON: the inverse of decode.

    Parameters
    ----------
    name
        the table, for example BT23
    fields
        its fields as JSON, or the whole document that decode --json prints; @FILE or - for a file or stdin
    """
    if tables is not None:
        load_directory(tables)
    declared = table(name)
    text = fields
    if fields == "-":
        text = sys.stdin.read()
    elif fields.startswith("@"):
        try:
            text = Path(fields[1:]).read_text()
        except OSError as error:
            raise ConfigError(f"cannot read {fields[1:]}: {error.strerror}") from error
    try:
        given = jsonlib.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"not JSON: {error}", hint="give an object of fields, for example '{\"CURRENT_TIME\": …}'"
        ) from error
    if not isinstance(given, dict):
        raise BadValue("a JSON object is needed", floor="tables", struct=declared.__name__)
    if isinstance(given.get("fields"), dict) and "table" in given:
        given = given["fields"]
    context = context_from(image, dim, firmware)
    raw = _sized(declared, context).encode(declared.from_json(given))
    if json:
        print_json({"table": declared.__name__, "hex": raw.hex(), "size": len(raw)})
    else:
        print(raw.hex())
