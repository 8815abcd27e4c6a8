"""What ``osgp concentrator run`` is told: line, place, journal, keys, socket, wishes. One TOML text. Project choice.

``[concentrator]`` is ``ConcentratorConfig`` (collection, plan, quotas …); the other tables are below. Paths are relative to the file.
Keys never stand in it: ``psk`` names where one is (``env:``, ``file:``, ``vault:``), ``vault`` and ``hsm`` where UMKs are,
``passphrase`` and ``pin`` what opens them. What is granted here is a PSK, never a UMK.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osgp.app.aes import psk_of
from osgp.app.profile import OsgpProfile
from osgp.concentrator.commission import Grant, KeySource, KeyTable, NotGranted
from osgp.concentrator.commission_vault import ServiceKeys
from osgp.concentrator.config import ConcentratorConfig
from osgp.concentrator.legacy_care import LegacyGrant
from osgp.concentrator.run_ways import StaticWays, static_ways
from osgp.crypto.keys import Key, KeyUse
from osgp.lon.address import SubnetNode
from osgp.lon.lonip_map import Endpoint
from osgp.ports.network_profile import read_profile
from osgp.ports.vault import Vault, default_vault_path, read_passphrase, resolve_key
from osgp.ports.vault_hsm import HsmKeys, hsm_trail, read_pin
from osgp.ports.vault_service import VaultKeys
from osgp.sim.device_kinds import KINDS
from osgp.sim.local_doors import DoorOptions
from osgp.sim.pl_device import lab_umk, node_id_of
from osgp.wire.errors import ConfigError, StoreError

__all__ = ["EXAMPLE", "LaboratoryKeys", "LonIpLine", "RunConfig", "SimulatedLine", "load_run_config"]

EXAMPLE = """\
# A data concentrator: osgp concentrator run THIS.toml
# profile = "network.toml"            # message codes, labels, limits where a network differs
journal = "street.sqlite"
socket = "concentrator.sock"          # only its owner may open it

[place]                               # of the concentrator itself
unique_node_id = "0A0B0C0D0E0F"
domain = "4F5347"
subnet = 1
node = 1

[line]                                # a simulated street of three meters; for real ones:
kind = "simulated"                    # kind = "lonip"
devices = ["3ph", "1ph", "load"]      # listen = "0.0.0.0:2541"
seed = 1                              # listeners = ["192.0.2.10:2541"]   (or multicast = true)

[keys]
laboratory = 1                        # keys of simulated devices of that seed; for real ones:
# vault = "vault.json"                # UMKs in a vault: osgp keys init, put, import
# passphrase = "env:OSGP_VAULT_PASSPHRASE"        # or file:PATH; or hsm = "MODULE.so", token, pin
# [[keys.devices]]
# unique_node_id = "050102030405"
# psk = "file:meter-12.psk"           # env:NAME, file:PATH or vault:NAME/KIND
# epoch = 1
# name = "meter 12"

# [legacy]                            # old devices that speak only the broken suite; off without this
# allowed = true                      # the concentrator's flag, beside one entry for each device:
# [[legacy.devices]]
# unique_node_id = "050102030407"
# omak = "vault:meter-7/OMAK"         # env:NAME, file:PATH or vault:NAME/OMAK
# subnet = 1                          # its address, which it has already
# node = 7

# [[topology.ways]]                   # fixed ways, once for each device; then nothing is looked for
# device = "050102030405"
# via = []                            # unique_node_ids of its repeaters, from the concentrator on
# backup = ["050102030406"]

[concentrator]
name = "street"

[concentrator.collection]
measurements = ["serial_number", "fwd_active_energy", "rev_active_energy"]
profiles = [1]

[concentrator.plan]                   # seconds
scan_s = 900
billing_s = 86400

[concentrator.quotas.contactor-open]
count = 50
window_s = 3600
"""


@dataclass(frozen=True, slots=True)
class LonIpLine:
    """LON/IP: where to listen, and who hears what is for many, unless it is multicast."""

    host: str
    port: int
    own: str = ""
    listeners: tuple[Endpoint, ...] = ()
    multicast: bool = False


@dataclass(frozen=True, slots=True)
class SimulatedLine:
    """Simulated devices in a row on a power line: neighbours hear each other at ``first_db``, the next at ``step_db`` less …
    ``phases``: of the mains, 1 to 3, device by device; the concentrator is on 1, and so are those that are left out. ``doors``:
    optical ports and MEP of the same devices."""

    devices: tuple[str, ...] = ("3ph", "1ph", "load")
    seed: int = 1
    first_db: float = 30.0
    step_db: float = 15.0
    phases: tuple[int, ...] = ()
    doors: DoorOptions | None = None


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything. ``domain``, ``subnet``, ``node``: the concentrator's own place; ``unique_node_id``: NC; ``ways``: in place of
    what is found out; ``legacy``: devices that may be asked by the broken suite; ``profile``: the
    numbers of the network."""

    line: LonIpLine | SimulatedLine
    journal: Path
    socket: Path
    keys: KeySource
    unique_node_id: bytes
    domain: bytes
    subnet: int = 1
    node: int = 1
    concentrator: ConcentratorConfig = field(default_factory=ConcentratorConfig)
    ways: StaticWays | None = None
    legacy: Mapping[bytes, LegacyGrant] = field(default_factory=dict)
    profile: OsgpProfile = field(default_factory=OsgpProfile)


class LaboratoryKeys:
    """Grants for the simulated devices of a seed. Anybody can compute them: laboratory only."""

    def __init__(self, seed: int, profile: OsgpProfile | None = None) -> None:
        self.seed = seed
        self.profile = profile or OsgpProfile()

    def grant(self, unique_node_id: bytes, concentrator_id: bytes) -> Grant | NotGranted:
        """See ``KeySource``."""
        if unique_node_id[:4] != node_id_of(self.seed, 0)[:4]:
            return NotGranted.NO_KEY
        umk = lab_umk(self.seed, unique_node_id)
        psk = psk_of(umk, unique_node_id, concentrator_id, 1, self.profile)
        return Grant(psk, 1, name=unique_node_id.hex(), key=f"laboratory {self.seed}")


def load_run_config(path: str | Path) -> RunConfig:
    """The configuration of a file. Raises ConfigError, StoreError if it cannot be read, and what ``resolve_key`` raises."""
    place = Path(path)
    try:
        text = place.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{place} cannot be read: {error}", hint="osgp concentrator run --example prints one"
        ) from error
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{place} is no TOML: {error}") from error
    return _config(given, place.parent, text)


def _config(given: Mapping[str, Any], folder: Path, text: str) -> RunConfig:
    _known(given, ("profile", "journal", "socket", "place", "line", "keys", "legacy", "topology", "concentrator"), "")
    place = _table(given, "place")
    _known(place, ("unique_node_id", "domain", "subnet", "node"), "place.")
    subnet, node = _value(place, "subnet", 1), _value(place, "node", 1)
    if not (1 <= subnet <= 255 and 1 <= node <= 127):
        raise ConfigError(f"the place of the concentrator is subnet 1 to 255, node 1 to 127, not {subnet}/{node}")
    domain = _octets(place.get("domain", "4F5347"), "place.domain", (0, 1, 3, 6))
    named = _value(given, "profile", "")
    profile = read_profile(folder / named if named else None)
    return RunConfig(
        line=_line(_table(given, "line"), folder),
        journal=folder / _value(given, "journal", "concentrator.sqlite"),
        socket=folder / _value(given, "socket", "concentrator.sock"),
        keys=_keys(_table(given, "keys"), folder, profile),
        unique_node_id=_octets(place.get("unique_node_id"), "place.unique_node_id", (6,)),
        domain=domain,
        subnet=subnet,
        node=node,
        concentrator=ConcentratorConfig.from_mapping(_table(given, "concentrator")),
        ways=static_ways(_table(given, "topology"), text),
        legacy=_legacy(_table(given, "legacy"), _table(given, "keys"), folder),
        profile=profile,
    )


def _line(given: Mapping[str, Any], folder: Path) -> LonIpLine | SimulatedLine:
    kind = given.get("kind")
    if kind == "simulated":
        _known(given, ("kind", "devices", "seed", "first_db", "step_db", "phases", "doors"), "line.")
        devices = _value(given, "devices", ["3ph", "1ph", "load"])
        for each in devices:
            if each not in KINDS:
                raise ConfigError(
                    f"line.devices: there is no kind of device {each!r}", hint=f"kinds: {', '.join(KINDS)}"
                )
        phases = _value(given, "phases", [])
        if len(phases) > len(devices) or not all(type(each) is int and 1 <= each <= 3 for each in phases):
            raise ConfigError(
                f"line.phases is a phase, 1 to 3, for each device, not {phases!r:.40}", hint="phases = [1, 2, 3]"
            )
        return SimulatedLine(
            tuple(devices),
            _value(given, "seed", 1),
            float(_value(given, "first_db", 30.0)),
            float(_value(given, "step_db", 15.0)),
            tuple(phases),
            _doors(_table(given, "doors"), folder) if "doors" in given else None,
        )
    if kind != "lonip":
        raise ConfigError(f"line.kind is {kind!r}", hint='"lonip" or "simulated"')
    _known(given, ("kind", "listen", "own", "listeners", "multicast"), "line.")
    host, port = _endpoint(_value(given, "listen", "0.0.0.0:2541"), "line.listen")
    listeners = tuple(_endpoint(each, "line.listeners") for each in _value(given, "listeners", []))
    return LonIpLine(host, port, _value(given, "own", ""), listeners, _value(given, "multicast", False))


def _doors(given: Mapping[str, Any], folder: Path) -> DoorOptions:
    _known(given, ("optical", "mep", "keys_dir"), "line.doors.")
    keys_dir = folder / _value(given, "keys_dir", "") if "keys_dir" in given else None
    return DoorOptions(_value(given, "optical", ""), _value(given, "mep", ""), keys_dir)


def _keys(given: Mapping[str, Any], folder: Path, profile: OsgpProfile) -> KeySource:
    _known(given, ("laboratory", "devices", "foreign", "vault", "passphrase", "hsm", "token", "pin", "trail"), "keys.")
    if "laboratory" in given:
        return LaboratoryKeys(_value(given, "laboratory", 1), profile)
    grants: dict[bytes, Grant] = {}
    vault = folder / Path(_value(given, "vault", "")).expanduser() if "vault" in given else None
    for entry in _value(given, "devices", []):
        if not isinstance(entry, Mapping):
            raise ConfigError("keys.devices are tables", hint="[[keys.devices]] and lines below")
        _known(entry, ("unique_node_id", "psk", "epoch", "generation", "name"), "keys.devices.")
        name = _octets(entry.get("unique_node_id"), "keys.devices.unique_node_id", (6,))
        psk, shown = _key(_value(entry, "psk", ""), f"the PSK of {name.hex()}", "psk", vault, folder, "any")
        psk.for_aes()
        grants[name] = Grant(
            psk, _value(entry, "epoch", 1), _value(entry, "generation", 0), _value(entry, "name", name.hex()), shown
        )
    foreign = frozenset(_octets(each, "keys.foreign", (6,)) for each in _value(given, "foreign", []))
    table = KeyTable(grants, foreign)
    if "hsm" in given:
        return ServiceKeys(_hsm_keys(given, folder, profile), foreign, table=table)
    if vault is None or (grants and "passphrase" not in given):
        return table
    passphrase = _secret(given, "passphrase", folder)
    service = VaultKeys(Vault.open(vault, passphrase or read_passphrase()), vault, profile)
    return ServiceKeys(service, foreign, table=table)


def _legacy(given: Mapping[str, Any], keys: Mapping[str, Any], folder: Path) -> dict[bytes, LegacyGrant]:
    """``[legacy]``: the flag of the concentrator, and an entry for each device. Raises ConfigError, and as ``resolve_key``."""
    _known(given, ("allowed", "devices"), "legacy.")
    entries = _value(given, "devices", [])
    if entries and not _value(given, "allowed", False):
        raise ConfigError(
            "legacy.devices are named, but the suite is not allowed here",
            hint="it is broken, and off unless [legacy] has allowed = true; better give the devices UMKs",
        )
    vault = folder / Path(_value(keys, "vault", "")).expanduser() if "vault" in keys else None
    found: dict[bytes, LegacyGrant] = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise ConfigError("legacy.devices are tables", hint="[[legacy.devices]] and lines below")
        _known(entry, ("unique_node_id", "omak", "subnet", "node", "writes", "encrypt", "name"), "legacy.devices.")
        device = _octets(entry.get("unique_node_id"), "legacy.devices.unique_node_id", (6,))
        if device in found:
            raise ConfigError(f"{device.hex()} stands in legacy.devices twice", hint="one entry for each device")
        subnet, node = _value(entry, "subnet", 0), _value(entry, "node", 0)
        if not (1 <= subnet <= 255 and 1 <= node <= 127):
            raise ConfigError(
                f"the address of {device.hex()} is subnet 1 to 255, node 1 to 127, not {subnet}/{node}",
                hint="the one that it has: nobody can give it another by this suite",
            )
        omak, shown = _key(_value(entry, "omak", ""), f"the OMAK of {device.hex()}", "omak", vault, folder, "omak")
        found[device] = LegacyGrant(
            omak,
            SubnetNode(subnet, node),
            _value(entry, "writes", False),
            _value(entry, "encrypt", False),
            _value(entry, "name", device.hex()),
            shown,
        )
    return found


def _key(source: str, what: str, name: str, vault: Path | None, folder: Path, use: KeyUse) -> tuple[Key, str]:
    """A key that a configuration names, and where it is, for people. ConfigError for one that stands in it."""
    if source.startswith("file:"):
        source = f"file:{folder / source[5:]}"
    elif not source.startswith(("env:", "vault:", "prompt:")):
        raise ConfigError(
            f"{what} stands in the configuration or is missing",
            hint=f'{name} = "env:NAME", "file:PATH" or "vault:NAME/KIND": where it is, never the key',
        )
    return resolve_key(source, use=use, vault_path=vault), source if source.startswith(("env:", "vault:")) else "file"


def _hsm_keys(given: Mapping[str, Any], folder: Path, profile: OsgpProfile) -> HsmKeys:
    """UMKs in a token; the audit trail is that of ``osgp keys --hsm``, beside its vault, unless ``trail`` names it."""
    token = _value(given, "token", "osgp")
    trail = folder / given["trail"] if "trail" in given else hsm_trail(default_vault_path().parent, token)
    trail.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return HsmKeys.open(_value(given, "hsm", ""), token, _secret(given, "pin", folder) or read_pin(), trail, profile)


def _secret(given: Mapping[str, Any], name: str, folder: Path) -> str:
    """What an environment variable or a file holds, as named; empty if nothing is named. ConfigError, never with the secret."""
    source = _value(given, name, "")
    scheme, _, place = source.partition(":")
    if not source:
        return ""
    if scheme == "env":
        found = os.environ.get(place, "")
    elif scheme == "file":
        try:
            found = (folder / Path(place).expanduser()).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"keys.{name}: {place} cannot be read", hint="a file with nothing else in it") from error
    else:
        raise ConfigError(
            f"keys.{name} stands in the configuration",
            hint=f'{name} = "env:NAME" or "file:PATH": where it is; without it you are asked',
        )
    if not found:
        raise ConfigError(
            f"keys.{name}: {source} is empty or not there", hint="set it where the concentrator is started"
        )
    return found


# ---- values -----------------------------------------------------------------------------------------------------------
def _known(given: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in names:
            raise ConfigError(f"the configuration has no {where}{name}", hint=f"known: {', '.join(names)}")


def _table(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = given.get(name, {})
    if not isinstance(found, Mapping):
        raise ConfigError(f"{name} is a table", hint=f"[{name}] and lines below")
    return found


def _value(given: Mapping[str, Any], name: str, default: Any) -> Any:
    found = given.get(name, default)
    fits = isinstance(found, type(default)) or (isinstance(default, float) and type(found) is int)
    if not fits or isinstance(found, bool) != isinstance(default, bool):
        raise ConfigError(f"{name} is of another kind: {found!r:.60}", hint=f"it looks like {default!r:.60}")
    return found


def _octets(value: Any, name: str, sizes: tuple[int, ...]) -> bytes:
    try:
        found = bytes.fromhex(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} is given in hexadecimal, not as {value!r:.40}") from error
    if len(found) not in sizes:
        raise ConfigError(f"{name} has {' or '.join(map(str, sizes))} bytes, not {len(found)}")
    return found


def _endpoint(value: Any, name: str) -> tuple[str, int]:
    host, colon, port = str(value).rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{name}: {value!r:.60} is no address", hint="HOST:PORT, for example 192.0.2.10:2541")
    return host.strip("[]"), int(port)
