"""Lists of keys as utilities send them, and lists that we give away: encrypted to a passphrase, or wrapped.

Read: CSV (comma, semicolon or tab) or JSON (a list of objects). Either a row per key with columns device, kind and key (or
wrapped), or a row per device with a column per kind. The device's column may be called device, name, serial, meter, node or
unique_node_id. Written: a vault's file under a passphrase of its own, or CSV with keys wrapped by AES-KWP (RFC 5649). Project choice.

Errors name rows and columns, never a key.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from osgp.crypto.keys import KEY_KINDS, Key, parse_key, use_of_kind
from osgp.ports.vault import Vault
from osgp.wire.errors import BadDigest, ConfigError, Error, StoreError

__all__ = ["Listed", "listed_in_vault", "read_list", "wrapped_list"]

_DEVICE = ("device", "name", "serial", "meter", "node", "unique_node_id")
_LARGEST = 64 << 20


class Listed(NamedTuple):
    """A key of a list. ``epoch``: of a UMK, the first that goes with it."""

    name: str
    kind: str
    key: Key
    epoch: int = 1


def _rows(raw: bytes, place: Path) -> list[dict[str, Any]]:
    text = ""
    with contextlib.suppress(UnicodeDecodeError):
        text = raw.decode("utf-8-sig")
    if not text.strip():
        raise StoreError(f"{place} is no list of keys: it is empty, or no text in UTF-8")
    if text.lstrip()[0] in "[{":
        rows: Any = None
        with contextlib.suppress(ValueError, RecursionError):
            rows = json.loads(text)
        if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
            raise StoreError(f"{place} is no list of keys", hint='JSON is a list: [{"device": …, "kind": …, "key": …}]')
        return rows
    first = text.lstrip().splitlines()[0]
    delimiter = max(",;\t", key=first.count)
    try:
        return list(csv.DictReader(io.StringIO(text.lstrip()), delimiter=delimiter, strict=True))
    except csv.Error:
        raise StoreError(f"{place} is no CSV that can be read", hint="a row per key: device,kind,key") from None


def _unwrapped(text: str, wrapping: Key | None) -> bytes:
    from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

    if wrapping is None:
        raise ConfigError(
            "the list has wrapped keys", hint="name the key that they are wrapped under: --unwrap file:PATH"
        )
    with contextlib.suppress(InvalidUnwrap, ValueError):
        return aes_key_unwrap_with_padding(wrapping.for_aes(), base64.b64decode(text, validate=True))
    raise BadDigest("the key does not unwrap: it was wrapped under another key, or was changed")


def read_list(place: Path, wrapping: Key | None = None) -> list[Listed]:
    """All keys of a list, or an error that names the row: nothing is taken from a list with a mistake.

    Raises StoreError (not readable, no list), ConfigError (a row is wrong), BadDigest (a wrapped key does not open).
    """
    try:
        with place.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise StoreError(f"{place} cannot be read: {error.strerror}") from None
    if len(raw) > _LARGEST:
        raise StoreError(f"{place} is far too large for a list of keys")
    found: list[Listed] = []
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(_rows(raw, place), 1):
        problem: Error | None = None
        try:
            fields = {str(name).strip().lower(): str(value).strip() for name, value in row.items() if value is not None}
            for each in _keys_of(fields, wrapping):
                if (each.name, each.kind) in seen:
                    raise ConfigError(f"the {each.kind} of {each.name!r} stands in the list twice")
                seen.add((each.name, each.kind))
                found.append(each)
        except Error as error:
            problem = error
        if problem is not None:
            raise type(problem)(f"{place}, row {number}: {problem}", hint=problem.hint) from None
    return found


def _epoch(row: dict[str, str]) -> int:
    text = row.get("epoch") or "1"
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 0xFFFF):
        raise ConfigError("the epoch is no number from 1 to 65535")
    return int(text)


def _keys_of(row: dict[str, str], wrapping: Key | None) -> Iterable[Listed]:
    name = next((row[each] for each in _DEVICE if row.get(each)), "")
    if not name:
        raise ConfigError("no device is named", hint=f"one of the columns: {', '.join(_DEVICE)}")
    if "kind" in row:
        kind = row["kind"].upper()
        use = use_of_kind(kind)
        if row.get("wrapped"):
            yield Listed(name, kind, parse_key(_unwrapped(row["wrapped"], wrapping), use=use), _epoch(row))
        else:
            yield Listed(name, kind, parse_key(row.get("key", ""), use=use), _epoch(row))
        return
    kinds = [each for each in KEY_KINDS if row.get(each.lower())]
    if not kinds:
        raise ConfigError("no key in this row", hint="columns kind and key, or a column per kind, such as MAK or UMK")
    for kind in kinds:
        yield Listed(name, kind, parse_key(row[kind.lower()], use=use_of_kind(kind)), _epoch(row))


def listed_in_vault(vault: Vault, kinds: Iterable[str] = ()) -> list[Listed]:
    """The keys of a vault, of the named kinds or all."""
    wanted = {kind.upper() for kind in kinds}
    epochs = vault.notes.get("epochs", {})
    return [
        Listed(name, kind, vault.get(name, kind), int(epochs.get(f"{name}/{kind}", 1)))
        for name in vault.names()
        for kind in vault.kinds(name)
        if not wanted or kind in wanted
    ]


def wrapped_list(keys: Iterable[Listed], wrapping: Key | None) -> bytes:
    """CSV with keys wrapped under another; in clear without one, which is for a laboratory only."""
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("device", "kind", "wrapped" if wrapping is not None else "key", "epoch"))
    for name, kind, key, epoch in keys:
        if wrapping is None:
            writer.writerow((name, kind, "hex:" + key.secret().hex(), epoch))
        else:
            wrapped = aes_key_wrap_with_padding(wrapping.for_aes(), key.secret())
            writer.writerow((name, kind, base64.b64encode(wrapped).decode(), epoch))
    return out.getvalue().encode()
