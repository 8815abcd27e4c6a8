"""``osgp keys token``: the head-end's tokens for orders that a concentrator alone must not be able to give."""

from __future__ import annotations

import json as jsonlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from osgp.cli.keys_places import Hsm, Json, Place, Token, node_id, now, opened
from osgp.cli.output import console, print_json
from osgp.ports.vault_service import KeyService
from osgp.wire.errors import ConfigError, StoreError

__all__ = ["app"]

app = App(
    name="token",
    help="Make orders with the head-end's token: for critical procedures and writes, firmware and new UMKs. Each is audited.",
)

Devices = Annotated[
    tuple[str, ...],
    Parameter(name="--devices", help="unique_node_ids, several times or in a row", consume_multiple=True),
]
Out = Annotated[Path, Parameter(name="--out", help="the new file, for osgp concentrator job … --token (or --orders)")]


def _make(
    devices: tuple[str, ...], place: Path, shape: Callable[[dict[str, str]], Any], made: Callable[[KeyService, bytes], bytes],
    hsm: Path | None, token: str, vault: Path | None, json: bool,
) -> None:  # fmt: skip
    """One order for each device, all of them in a file that only its owner may read."""
    nodes = [node_id(each) for each in devices]
    if not nodes:
        raise ConfigError("for which devices?", hint="--devices 050102030405 …; osgp keys list names them")
    if place.exists():
        raise ConfigError(f"{place} exists already", hint="name another file")
    with opened(vault, hsm, token) as service:
        held = set(service.devices())
        for node in nodes:
            if node not in held:
                raise ConfigError(
                    f"there is no UMK of {node.hex()}; no token was made", hint="osgp keys list names all"
                )
        found = {node.hex(): made(service, node).hex() for node in nodes}
    try:
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(jsonlib.dumps(shape(found), indent=1) + "\n")
    except OSError as error:
        raise StoreError(f"{place} cannot be written: {error.strerror}", hint="no order has been given") from None
    if json:
        print_json({"devices": sorted(found), "file": str(place)})
    else:
        console.print(f"made {len(found)} tokens in {place}", markup=False)


@app.command
def procedure(
    name: str, /, *parameters: str, devices: Devices, out: Out,
    hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False,
) -> None:  # fmt: skip
    """Make tokens for a critical procedure.

    Parameters
    ----------
    name
        EP02, EP21, EP22, EP36 …
    parameters
        FIELD=VALUE for each parameter, or one hexadecimal text; osgp tables EP02 shows them
    """
    from osgp.cli.device import parameters_of
    from osgp.tables.registry import procedure as declared
    from osgp.tables.table import number_of, procedure_name
    from osgp.wire.context import Context

    number = number_of(name)
    given = parameters_of(name, parameters)
    raw = given or b""
    if isinstance(raw, dict):
        raw = declared(number).Parameters.from_json(raw).encode(Context())
    at = now()

    def shape(orders: dict[str, str]) -> dict[str, Any]:
        return {"kind": "procedure", "procedure": procedure_name(number), "orders": orders}

    def made(service: KeyService, node: bytes) -> bytes:
        return raw + service.procedure_token(node, number, raw, at)

    _make(devices, out, shape, made, hsm, token, vault, json)


@app.command
def write(
    table: str, data: str, /, *, devices: Devices, out: Out, offset: int = 0,
    hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False,
) -> None:  # fmt: skip
    """Make tokens for a critical table write.

    Parameters
    ----------
    table
        ET05, ET29, ET80 …
    data
        what is written, hexadecimal
    offset
        where in the table; 0: a full write
    """
    from osgp.cli.tables import read_hex
    from osgp.tables.table import number_of, table_name

    number, raw, at = number_of(table), read_hex(data), now()
    if not 0 <= offset <= 0xFFFFFF:
        raise ConfigError(f"an offset is 0 to 16777215, not {offset}")

    def shape(tokens: dict[str, str]) -> dict[str, Any]:
        return {"kind": "write", "table": table_name(number), "offset": offset, "data": raw.hex(), "tokens": tokens}

    def made(service: KeyService, node: bytes) -> bytes:
        return service.write_token(node, number, offset, raw, at)

    _make(devices, out, shape, made, hsm, token, vault, json)


@app.command
def switch(
    image: Path, /, *, devices: Devices, out: Out, at: str | None = None,
    hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False,
) -> None:  # fmt: skip
    """Make orders to switch to a firmware image: the file for osgp concentrator job firmware --orders.

    Parameters
    ----------
    image
        the signed image, trailer included
    at
        when: 2026-11-01T02:00, UTC unless it says otherwise; at once without it
    """
    from osgp.cli.device import moment

    try:
        content = image.read_bytes()
    except OSError as error:
        raise StoreError(f"{image} cannot be read: {error.strerror}") from None
    when, begun = moment(at), now()

    def made(service: KeyService, node: bytes) -> bytes:
        return service.switch_order(node, content, when, begun)

    _make(devices, out, dict, made, hsm, token, vault, json)


@app.command
def umk(
    *, devices: Devices, out: Out, hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False
) -> None:
    """Make orders that bring devices their new UMK, after osgp keys rotate."""
    at = now()

    def shape(orders: dict[str, str]) -> dict[str, Any]:
        return {"kind": "procedure", "procedure": "EP20", "orders": orders}

    _make(devices, out, shape, lambda service, node: service.umk_order(node, at), hsm, token, vault, json)
