"""What a node keeps over restarts: its tables and state as one JSON file, written whole or not at all.

It holds the keys of its domains, as a device's memory does: the file is readable by its owner alone. A project choice.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from osgp.lon.configuration import ADDRESSES, DOMAINS, Configuration
from osgp.lon.entries import AddressEntry, ConfigurationBlock, DomainEntry, NodeState
from osgp.lon.npdu import DOMAIN_LENGTHS
from osgp.wire.errors import ConfigError, DecodeError, StoreError

__all__ = ["content_of", "load_node", "save_node"]

_FORMAT = "osgp-lon-node"
_VERSION = 1


def save_node(path: Path, configuration: Configuration) -> None:
    """Write the file. Raises StoreError."""
    content = content_of(configuration)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StoreError(f"the node's state cannot be written to {path}: {error.strerror}") from error


def content_of(configuration: Configuration) -> dict[str, Any]:
    """What the file says, keys included."""
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "unique_node_id": configuration.unique_node_id.hex(),
        "program_id": configuration.program_id.hex(),
        "state": int(configuration.state),
        "soft_offline": configuration.soft_offline,
        "domains": [entry.to_json() for entry in configuration.domains],
        "addresses": [None if entry is None else entry.to_json() for entry in configuration.addresses],
        "block": configuration.block.to_json(),
    }


def load_node(path: Path) -> Configuration | None:
    """Read the file; None if there is none yet. Raises StoreError for one that cannot be used."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"the node's state cannot be read from {path}: {error.strerror}") from error
    try:
        return _configuration(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ConfigError, DecodeError) as error:
        raise StoreError(
            f"{path} is no state of a node", hint="name another file, or remove it to begin with a fresh node"
        ) from error


def _configuration(content: dict[str, Any]) -> Configuration:
    if content["format"] != _FORMAT or content["version"] != _VERSION:
        raise ValueError(content["format"])
    domains = [DomainEntry.from_json(entry) for entry in content["domains"]]
    addresses = [None if entry is None else AddressEntry.from_json(entry) for entry in content["addresses"]]
    if len(domains) != DOMAINS or len(addresses) != ADDRESSES:
        raise ValueError("tables of another size")
    if any(entry.in_use and entry.flags.length not in DOMAIN_LENGTHS for entry in domains):
        raise ValueError("a length that no domain has")
    state = content["state"]
    if state not in tuple(NodeState):
        raise ValueError(f"state {state}")
    # Through their bytes: what has no room there is found now, and not when a peer asks for it.
    return Configuration(
        bytes.fromhex(content["unique_node_id"]),
        bytes.fromhex(content["program_id"]),
        domains=[DomainEntry.decode(entry.encode()) for entry in domains],
        addresses=[None if entry is None else AddressEntry.decode(entry.encode()) for entry in addresses],
        block=ConfigurationBlock.decode(ConfigurationBlock.from_json(content["block"]).encode()),
        state=NodeState(state),
        soft_offline=bool(content["soft_offline"]),
    )
