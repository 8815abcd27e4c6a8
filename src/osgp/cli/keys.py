"""``osgp keys``: the encrypted vault for keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from osgp.cli.output import console, print_json, print_table
from osgp.crypto.keys import default_key, use_of_kind
from osgp.ports.vault import Vault, default_vault_path, read_passphrase, resolve_key
from osgp.wire.errors import ConfigError

app = App(name="keys", help="The encrypted vault for keys (Argon2id, AES-256-GCM). Keys are never shown.")

Place = Annotated[Path | None, Parameter(name="--vault", help="vault file (default: in the user's data folder)")]
Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]


def _place(vault: Path | None) -> Path:
    return vault if vault is not None else default_vault_path()


@app.command
def init(*, vault: Place = None, json: Json = False) -> None:
    """Make an empty vault; asks for a passphrase, or takes OSGP_VAULT_PASSPHRASE."""
    place = _place(vault)
    if place.exists():
        raise ConfigError(f"{place} exists already", hint="choose another file with --vault, or go on using it")
    Vault.create(place, read_passphrase(new=True)).save()
    if json:
        print_json({"vault": str(place)})
    else:
        console.print(f"made {place}", markup=False)


@app.command
def put(name: str, kind: str, /, *, key: str = "prompt:", vault: Place = None, json: Json = False) -> None:
    """Keep a key.

    Parameters
    ----------
    name
        the device, for example kitchen or meter-12
    kind
        MAK, MBK, MK, PK, RK or OMAK
    key
        where it comes from: prompt: (default), file:PATH or env:VAR
    """
    kind = kind.upper()
    found = resolve_key(key, use=use_of_kind(kind))
    store = Vault.open(_place(vault), read_passphrase())
    store.put(name, kind, found)
    store.save()
    meaning = default_key(found)
    if json:
        print_json({"name": name, "kind": kind, "default_key": meaning or None})
    else:
        console.print(f"kept {name}/{kind}; use it as --key vault:{name}/{kind}", markup=False)
        if meaning:
            console.print(f"note: this is a known default key ({meaning})", style="yellow", markup=False)


@app.command
def remove(name: str, kind: str | None = None, /, *, vault: Place = None, json: Json = False) -> None:
    """Forget a device's key of a kind, or all of them.

    Parameters
    ----------
    name
        the device
    kind
        MAK, MBK, MK, PK, RK or OMAK; all of the device's keys without it
    """
    store = Vault.open(_place(vault), read_passphrase())
    store.remove(name, kind.upper() if kind else None)
    store.save()
    if json:
        print_json({"removed": name, "kind": kind})
    else:
        console.print(f"removed {name}" + (f"/{kind.upper()}" if kind else ""), markup=False)


@app.command(name="list")
def list_(*, vault: Place = None, json: Json = False) -> None:
    """List names and kinds; never keys."""
    store = Vault.open(_place(vault), read_passphrase())
    rows = [(name, ", ".join(store.kinds(name))) for name in store.names()]
    if json:
        print_json([{"name": name, "kinds": store.kinds(name)} for name in store.names()])
    else:
        print_table("", ["name", "kinds"], rows)
