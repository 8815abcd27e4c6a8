"""``osgp keys``: the encrypted vault for keys, and UMKs in a hardware security module."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from osgp.cli.keys_places import Hsm, Json, Lab, Place, Token, node_id, now, opened, place_of, vault_keys
from osgp.cli.keys_token import app as token_app
from osgp.cli.output import console, print_json, print_table
from osgp.crypto.keys import Key, default_key, use_of_kind
from osgp.ports.vault import Vault, read_passphrase, resolve_key
from osgp.ports.vault_hsm import HsmKeys
from osgp.ports.vault_lists import listed_in_vault, read_list, wrapped_list
from osgp.ports.vault_service import VaultKeys, due, refuse_known_key
from osgp.wire.errors import ConfigError, StoreError

app = App(name="keys", help="The encrypted vault for keys (Argon2id, AES-256-GCM). Keys are never shown.")
app.command(token_app)

EXPORT_VARIABLE = "OSGP_EXPORT_PASSPHRASE"
"""Environment variable with the passphrase of an exported list; without it the question comes up."""
_DAY_S = 86400


def _say(document: object, text: str, json: bool) -> None:
    if json:
        print_json(document)
    else:
        console.print(text, markup=False, soft_wrap=True)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds else "unknown"


@app.command
def init(*, vault: Place = None, json: Json = False) -> None:
    """Make an empty vault; asks for a passphrase, or takes OSGP_VAULT_PASSPHRASE."""
    place = place_of(vault)
    if place.exists():
        raise ConfigError(f"{place} exists already", hint="choose another file with --vault, or go on using it")
    trail = place.with_name(place.name + ".audit")
    if trail.exists():
        raise ConfigError(f"{trail} is the audit trail of a vault that is gone", hint="move it away, and keep it")
    made = Vault.create(place, read_passphrase(new=True))
    VaultKeys(made, place).record("init", now())
    made.save()
    _say({"vault": str(place)}, f"made {place}", json)


@app.command
def put(
    name: str, kind: str, /, *, key: str = "prompt:", epoch: int = 1, insecure_lab: Lab = False,
    hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False,
) -> None:  # fmt: skip
    """Keep a key.

    Parameters
    ----------
    name
        the device, for example kitchen or meter-12; for a UMK its unique_node_id, for a KB the concentrator's
    kind
        MAK, MBK, MK, PK, RK, OMAK, UMK, PSK or KB
    key
        where it comes from: prompt: (default), file:PATH or env:VAR
    epoch
        of a UMK: the first epoch that goes with it
    """
    kind = kind.upper()
    use = use_of_kind(kind)
    if kind == "UMK":
        name = node_id(name).hex()
    elif hsm is not None:
        raise ConfigError("the HSM keeps UMKs; other keys are kept in the vault", hint="leave --hsm out")
    if not 0 < epoch <= 0xFFFF:
        raise ConfigError(f"an epoch is 1 to 65535, not {epoch}")
    found = resolve_key(key, use=use)
    refuse_known_key(found, insecure_lab=insecure_lab)
    with opened(vault, hsm, token) as service:
        if kind == "UMK":
            service.add(bytes.fromhex(name), found, epoch, now())
        elif isinstance(service, VaultKeys):
            service.put(name, kind, found, now())
            service.record(f"put {name}/{kind}", now())
            service.vault.save()
    document = {"name": name, "kind": kind, "default_key": default_key(found) or None}
    where = f"in {token}" if hsm is not None else f"use it as --key vault:{name}/{kind}"
    _say(document, f"kept {name}/{kind}; {where}", json)


@app.command
def remove(
    name: str, kind: str | None = None, /, *,
    hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False,
) -> None:  # fmt: skip
    """Forget a device's key of a kind, or all of them.

    Parameters
    ----------
    name
        the device
    kind
        MAK, MBK, MK, PK, RK, OMAK, UMK, PSK or KB; all of the device's keys without it
    """
    which = f"/{kind.upper()}" if kind else ""
    with opened(vault, hsm, token) as service:
        if isinstance(service, HsmKeys):
            service.remove(node_id(name), now())
        elif isinstance(service, VaultKeys):
            service.remove(name, kind.upper() if kind else None)
            service.record(f"remove {name}{which}", now())
            service.vault.save()
    _say({"removed": name, "kind": kind}, f"removed {name}{which}", json)


@app.command(name="list")
def list_(*, hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False) -> None:
    """List names and kinds; never keys."""
    with opened(vault, hsm, token) as service:
        if isinstance(service, VaultKeys):
            found = [(name, service.vault.kinds(name)) for name in service.vault.names()]
        else:
            found = [(device.hex(), ["UMK", "UMK-NEXT"][: len(service.umks(device))]) for device in service.devices()]
    if json:
        print_json([{"name": name, "kinds": kinds} for name, kinds in found])
    else:
        print_table("", ["name", "kinds"], [(name, ", ".join(kinds)) for name, kinds in found])


@app.command(name="import")
def import_(
    file: Path, /, *, unwrap: str = "", encrypted: bool = False, insecure_lab: Lab = False,
    hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False,
) -> None:  # fmt: skip
    """Take over a list of keys: all of it, or nothing.

    Parameters
    ----------
    file
        CSV or JSON: a row per key (device, kind, key), or a row per device with a column per kind; or an exported list
    unwrap
        where the key comes from under which the list's keys are wrapped: prompt:, file:PATH or env:VAR
    encrypted
        the list was made by osgp keys export, under a passphrase (OSGP_EXPORT_PASSPHRASE, or a question)
    """
    if encrypted:
        passphrase = os.environ.get(EXPORT_VARIABLE) or read_passphrase(environ={})
        found = listed_in_vault(Vault.open(file, passphrase))
    else:
        found = read_list(file, resolve_key(unwrap, use="aes") if unwrap else None)
    for each in found:
        if default_key(each.key) and not insecure_lab:
            raise ConfigError(
                f"the {each.kind} of {each.name} is a known default key ({default_key(each.key)}); nothing was imported",
                hint="ask for the device's own key; for a laboratory only: --insecure-lab",
            )
    wanted = [each._replace(name=node_id(each.name).hex()) if each.kind.startswith("UMK") else each for each in found]
    with opened(vault, hsm, token) as service:
        at = now()
        if isinstance(service, VaultKeys):
            for name, kind, key, epoch in wanted:
                if kind == "UMK" and service.umks(bytes.fromhex(name)):
                    raise ConfigError(f"{name} has a UMK already; nothing was imported", hint="osgp keys rotate")
                service.put(name, kind, key, at, first_epoch=epoch)
            service.record(f"import {len(wanted)} keys from {file.name}", at)
            service.vault.save()
        else:
            if other := sorted({kind for _, kind, _, _ in wanted} - {"UMK"}):
                raise ConfigError(f"the HSM keeps UMKs, and the list has {', '.join(other)}; nothing was imported")
            if held := sorted({bytes.fromhex(name) for name, _, _, _ in wanted} & set(service.devices())):
                raise ConfigError(f"{held[0].hex()} has a UMK already; nothing was imported", hint="osgp keys rotate")
            for name, _, key, epoch in wanted:
                service.add(bytes.fromhex(name), key, epoch, at)
    _say({"imported": len(wanted)}, f"imported {len(wanted)} keys", json)


@app.command
def export(
    file: Path, /, *, kind: list[str] | None = None, wrap: str = "", plain: bool = False, insecure_lab: Lab = False,
    vault: Place = None, json: Json = False,
) -> None:  # fmt: skip
    """Write a list of keys: encrypted to a passphrase, or wrapped under a key; in clear for a laboratory only.

    Parameters
    ----------
    file
        the new file
    kind
        only keys of these kinds
    wrap
        where the key comes from under which each is wrapped (AES-KWP, CSV): prompt:, file:PATH or env:VAR
    plain
        in clear, as CSV; needs --insecure-lab
    """
    if plain and not insecure_lab:
        raise ConfigError("keys do not leave the vault in clear", hint="for a laboratory only: --plain --insecure-lab")
    if plain and wrap:
        raise ConfigError("--plain and --wrap exclude each other")
    if file.exists():
        raise ConfigError(f"{file} exists already", hint="name another file")
    wrapping: Key | None = resolve_key(wrap, use="aes") if wrap else None
    if wrapping is not None:
        refuse_known_key(wrapping, insecure_lab=insecure_lab)
    for each in kind or []:
        use_of_kind(each)
    how = "in clear" if plain else "wrapped" if wrap else "encrypted"
    with vault_keys(vault) as service:
        found = listed_in_vault(service.vault, kind or ())
        service.record(f"export {len(found)} keys to {file.name}, {how}", now())
        service.vault.save()
    if plain or wrap:
        _write_new(file, wrapped_list(found, wrapping))
    else:
        out = Vault.create(file, os.environ.get(EXPORT_VARIABLE) or read_passphrase(new=True, environ={}))
        for name, each_kind, key, epoch in found:
            out.put(name, each_kind, key)
            out.notes.setdefault("epochs", {})[f"{name}/{each_kind}"] = epoch
        out.save()
    _say({"exported": len(found), "how": how}, f"exported {len(found)} keys to {file}, {how}", json)


def _write_new(file: Path, raw: bytes) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(raw)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from None


@app.command(name="due")
def due_(*, within: int = 0, hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False) -> None:
    """List the keys that are due for another, most urgent first; a key of unknown age is due.

    Parameters
    ----------
    within
        also those due within so many days
    """
    with opened(vault, hsm, token) as service:
        if isinstance(service, VaultKeys):
            dues = service.dues()
        else:
            held = [(device.hex(), "UMK", service.umks(device)[-1].since) for device in service.devices()]
            dues = due(held, lambda _kind, days: days)
    at = now()
    found = [each for each in dues if each.due <= at + within * _DAY_S]
    if json:
        print_json(found)
    else:
        rows = [(each.name, each.kind, _day(each.since), _day(each.due)) for each in found]
        print_table("", ["name", "kind", "since", "due"], rows)


@app.command
def schedule(kind: str, days: Annotated[int, Parameter()], /, *, vault: Place = None, json: Json = False) -> None:
    """Say after how many days keys of a kind are due (KB 90, PSK 365, others 1825).

    Parameters
    ----------
    kind
        UMK, KB, MAK …
    days
        1 to 36500
    """
    use_of_kind(kind)
    if not 1 <= days <= 36500:
        raise ConfigError(f"a key is renewed after 1 to 36500 days, not {days}")
    with vault_keys(vault) as service:
        service.set_schedule(kind.upper(), days, now())
    _say({"kind": kind.upper(), "days": days}, f"{kind.upper()} is due after {days} days", json)


@app.command
def rotate(
    name: str, kind: str = "UMK", /, *,
    hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False,
) -> None:  # fmt: skip
    """Make a new key: a UMK with its first epoch, kept beside the old one until the device commits it; or a KB.

    Parameters
    ----------
    name
        the device's unique_node_id; for a KB the concentrator's
    kind
        UMK or KB
    """
    node = node_id(name)
    kind = kind.upper()
    if kind not in ("UMK", "KB") or (kind == "KB" and hsm is not None):
        raise ConfigError(
            "only a UMK, or a KB in the vault, is made here", hint="other keys come from who sets the device up"
        )
    with opened(vault, hsm, token) as service:
        if kind == "KB" and isinstance(service, VaultKeys):
            service.put(node.hex(), "KB", Key(secrets.token_bytes(16)), now())
            service.record(f"rotate {node.hex()}/KB", now())
            service.vault.save()
            _say({"name": node.hex(), "kind": "KB"}, f"made a new KB of {node.hex()}", json)
            return
        first_epoch, wrapped = service.rotate(node, now())
    _say(
        {"name": node.hex(), "kind": "UMK", "first_epoch": first_epoch, "wrapped": wrapped.hex()},
        f"made a new UMK of {node.hex()}, from epoch {first_epoch} on; wrapped for the device: {wrapped.hex()}",
        json,
    )


@app.command
def wrapped(node: str, /, *, hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False) -> None:
    """Show the new UMK as the device takes it (EP20, kind 2): only the device can open it.

    Parameters
    ----------
    node
        the device's unique_node_id
    """
    with opened(vault, hsm, token) as service:
        found = service.wrapped_umk(node_id(node)).hex()
    _say({"wrapped": found}, found, json)


@app.command
def committed(
    node: str, epoch: int, /, *, hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False
) -> None:
    """Say that a device has committed a handshake of an epoch; with that of its new UMK the old one is erased.

    Parameters
    ----------
    node
        the device's unique_node_id
    epoch
        of the handshake
    """
    with opened(vault, hsm, token) as service:
        erased = service.committed(node_id(node), epoch, now())
    text = "the old UMK is erased" if erased else "nothing to erase: that is an epoch of the UMK in force"
    _say({"erased": erased}, text, json)


@app.command(name="image-mac")
def image_mac(
    node: str, image: Path, /, *, hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False
) -> None:
    """Make the MAC of a firmware image for a device.

    Parameters
    ----------
    node
        the device's unique_node_id
    image
        the image file
    """
    try:
        content = image.read_bytes()
    except OSError as error:
        raise ConfigError(f"{image} cannot be read: {error.strerror}") from None
    with opened(vault, hsm, token) as service:
        mac = service.image_mac(node_id(node), content).hex()
        service.record(f"image MAC for {node_id(node).hex()}", now())
        if isinstance(service, VaultKeys):
            service.vault.save()
    _say({"mac": mac}, mac, json)


@app.command
def audit(*, hsm: Hsm = None, token: Token = "osgp", vault: Place = None, json: Json = False) -> None:
    """Show who did what with keys, and verify that nothing was changed, put in or cut off."""
    with opened(vault, hsm, token) as service:
        if not isinstance(service, (VaultKeys, HsmKeys)):
            raise ConfigError("there is no audit trail here")
        entries = service.trail.verify()
    if json:
        print_json(entries)
    else:
        rows = [(each.number, each.when, each.who, each.what, "" if each.saved else "not saved") for each in entries]
        print_table("", ["no>", "when", "who", "what", ""], rows)
        console.print(f"{len(entries)} entries, whole", markup=False)
