"""Where ``osgp keys`` finds its keys: the vault's file, or a token of a hardware security module."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from osgp.ports.network_profile import read_profile
from osgp.ports.vault import Vault, default_vault_path, read_passphrase
from osgp.ports.vault_hsm import HsmKeys, hsm_trail, read_pin
from osgp.ports.vault_service import KeyService, VaultKeys
from osgp.wire.errors import ConfigError

__all__ = ["Hsm", "Json", "Lab", "Place", "Token", "node_id", "now", "opened", "place_of", "vault_keys"]

Place = Annotated[Path | None, Parameter(name="--vault", help="vault file (default: in the user's data folder)")]
Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]
Hsm = Annotated[Path | None, Parameter(name="--hsm", help="PKCS#11 module: the UMKs are in an HSM, not in the vault")]
Token = Annotated[str, Parameter(name="--token", help="label of the HSM's token")]
Lab = Annotated[bool, Parameter(name="--insecure-lab", help="a laboratory: known default keys and keys in clear")]


def now() -> float:
    """UTC seconds."""
    return time.time()


def place_of(vault: Path | None) -> Path:
    """The vault's file."""
    return vault if vault is not None else default_vault_path()


def node_id(text: str) -> bytes:
    """A unique_node_id as typed: 12 hex digits, also in pairs. ConfigError else."""
    digits = text.translate({ord(each): None for each in " :-."})
    with contextlib.suppress(ValueError):
        if len(digits) == 12:
            return bytes.fromhex(digits)
    raise ConfigError(f"{text!r} is no unique_node_id", hint="12 hex digits, as printed on the device: 050102030405")


@contextlib.contextmanager
def vault_keys(vault: Path | None) -> Iterator[VaultKeys]:
    """The vault's keys; asks for the passphrase. Others who use the vault wait meanwhile."""
    place = place_of(vault)
    if not place.exists():
        Vault.open(place, " ")  # says that it is not there before anybody types a passphrase
    keys = VaultKeys(Vault.open(place, read_passphrase()), place, read_profile())
    with keys.held():
        yield keys


@contextlib.contextmanager
def opened(vault: Path | None, hsm: Path | None, token: str) -> Iterator[KeyService]:
    """The vault's keys, or those of the HSM if one is named."""
    if hsm is None:
        with vault_keys(vault) as service:
            yield service
        return
    folder = place_of(vault).parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = HsmKeys.open(hsm, token, read_pin(os.environ), hsm_trail(folder, token), read_profile())
    try:
        yield keys
    finally:
        keys.close()
