"""``osgp decode``: captured bytes explained, frame by frame."""

from __future__ import annotations

import json as jsonlib
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.text import Text

from osgp.cli.output import EXIT_NO, console, print_json, tree
from osgp.ports.vault import resolve_key
from osgp.wire.errors import ConfigError

__all__ = ["decode"]

_NOT_HEX = re.compile(r"[^0-9a-fA-F]")


def decode(
    data: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    door: Annotated[
        Literal["mep", "optical", "lon"], Parameter(help="which port the bytes come from; lon: the control network")
    ],
    key: Annotated[
        list[str] | None, Parameter(help="key source (file:, vault:, env:, prompt:) to check digests and decrypt")
    ] = None,
    key_file: Annotated[Path | None, Parameter(help="file with the key (MAK or MBK)")] = None,
    direction: Annotated[
        Literal["", "in", "out"], Parameter(help="out: client to device, in: device to client; default: guessed")
    ] = "",
    carrier: Annotated[
        Literal["lpdu", "cnip", "lonip"] | None,
        Parameter(
            help="lon: what the bytes are: a link frame (default), a CN/IP or a LON/IP datagram; captures say it"
        ),
    ] = None,
    crc: Annotated[
        Literal["auto", "yes", "no"], Parameter(help="lon: whether frames end with their CRC; default: found out")
    ] = "auto",
    from_ip: Annotated[str, Parameter(help="lon: the IP address a LON/IP datagram came from")] = "",
    to_ip: Annotated[str, Parameter(help="lon: the IP address it was sent to")] = "",
    explain: Annotated[bool, Parameter(help="show every field with its bit offset")] = False,
    json: Annotated[bool, Parameter(name="--json", help="print one JSON document")] = False,
) -> None:
    """Explain captured bytes: frames, checks, services, tables; passwords and keys are left out.

    Parameters
    ----------
    data
        hexadecimal text, a file with hexadecimal or raw bytes, a trace of ``--trace``, or - for stdin; lon: also a capture
        (pcap, pcapng), and text files hold one frame in each line
    """
    if door == "lon":
        from osgp.cli.lon.decoding import decode_lon

        decode_lon(data, carrier=carrier, crc=crc, from_ip=from_ip, to_ip=to_ip, explain=explain, json=json)
        return
    raw = _bytes(data)
    words = {"": "", "out": "client to server", "in": "server to client"}[direction]
    rows: list[Any]
    if door == "mep":
        from osgp.mep.explain import explain as explain_mep

        sources = [*(key or []), *([f"file:{key_file}"] if key_file else [])]
        keys: dict[str, object] = {}
        for number, source in enumerate(sources):
            named = source.replace("/", ".").rpartition(".")[2].upper()  # vault:NAME/MBK, file:12345678.MBK
            kind = named if named in ("MAK", "MBK") else ("MAK", "MBK")[number % 2]
            keys[kind] = resolve_key(source, use="mep").for_mep()
        rows = list(explain_mep(raw, keys=keys or None, direction=words))
    else:
        from osgp.c1218.explain import explain as explain_optical

        rows = list(explain_optical(raw, direction=words))
    documents = [row.to_json(tree=explain) for row in rows]
    if json:
        print_json(documents)
    else:
        for row, document in zip(rows, documents):
            _show(row, document, explain)
    if rows and not any(row.ok for row in rows):
        raise SystemExit(EXIT_NO)


def _bytes(data: str) -> bytes:
    """Bytes out of hexadecimal text, a file of either kind, a JSON-lines trace, or stdin. Raises ConfigError."""
    if data == "-":
        content = sys.stdin.buffer.read()
    else:
        compact = "".join(data.replace("0x", "").replace(":", "").split())
        if compact and not _NOT_HEX.search(compact):
            if len(compact) % 2:
                raise ConfigError(f"{len(compact)} hex digits make no whole bytes", hint="two digits for each byte")
            return bytes.fromhex(compact)
        path = Path(data.removeprefix("@"))
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{data[:60]!r} is neither hexadecimal nor a file that can be read ({error.strerror})"
            ) from error
    if content.lstrip().startswith(b"{"):
        return _trace(content)
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        return content
    compact = "".join(text.replace("0x", "").replace(":", "").split())
    if compact and not _NOT_HEX.search(compact) and len(compact) % 2 == 0:
        return bytes.fromhex(compact)
    return content


def _trace(content: bytes) -> bytes:
    """The bytes of a trace file in time order."""
    out = b""
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            out += bytes.fromhex(jsonlib.loads(line)["bytes"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"line {number} of the trace cannot be read: {error}") from error
    return out


def _show(row: Any, document: dict[str, Any], explain: bool) -> None:
    head = Text()
    head.append("✓ " if row.ok else "✗ ", style="green" if row.ok else "bold red")
    head.append(f"{document.get('direction') or 'either way'}  ", style="bold")
    head.append(row.raw.hex(" ").upper()[:160], style="cyan")
    console.print(head)
    _fields(document.get("fields", {}), 1)
    if document.get("error"):
        console.print(Text(f"  {document['error']}", style="bold red"))
    if explain and row.tree is not None:
        console.print(tree(row.tree, "  every field"))


def _fields(fields: Any, depth: int) -> None:
    pad = "  " * depth
    if isinstance(fields, dict):
        for name, value in fields.items():
            if isinstance(value, (dict, list)):
                console.print(Text(f"{pad}{name}", style="bold"))
                _fields(value, depth + 1)
            else:
                console.print(Text.assemble((f"{pad}{name}: ", "bold"), str(value)))
    elif isinstance(fields, list):
        for value in fields:
            if isinstance(value, (dict, list)):
                console.print(Text(f"{pad}-"))
                _fields(value, depth + 1)
            else:
                console.print(Text(f"{pad}- {value}"))
