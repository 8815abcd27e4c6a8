"""Orders about a device that only people or the head-end can give: take it back, remove it, revoke it. Project choice.

What a concentrator finds suspicious it tells, and then waits: a generation that went back, a stolen device, a quarantine. These are
the ways on. All of them hold over a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from osgp.concentrator.topology_care import NetworkCare
from osgp.wire.errors import ConfigError

__all__ = ["DEVICE_ORDERS", "accept", "node_named", "ordered", "release", "remove", "revoke"]

_HINT = "osgp concentrator devices lists them"


def node_named(care: NetworkCare, given: Any) -> bytes:
    """The unique_node_id of a device that is given by it (12 hexadecimal digits), or by its number. Raises ConfigError."""
    topology = care.topology
    if type(given) is int or (isinstance(given, str) and len(given) < 12 and given.isdigit()):
        node = topology.by_device(int(given))
        if node is not None:
            return node.unique_node_id
    elif isinstance(given, str):
        try:
            found = bytes.fromhex(given)
        except ValueError:
            found = b""
        if found in topology.nodes or found in topology.strangers or found in care.commissioner.revoked:
            return found
    raise ConfigError(f"there is no device {given!r:.40} here", hint=_HINT)


def accept(care: NetworkCare, given: Any, now: float) -> dict[str, Any]:
    """Go on with a device: with one that was reset, whatever its generation is now; with one that was revoked, as if it were new."""
    unique_node_id = node_named(care, given)
    if unique_node_id in care.commissioner.revoked:
        care.commissioner.revoke(unique_node_id, revoked=False)
        care.keys_changed(now)
    if unique_node_id in care.topology.nodes:
        care.order_generation(unique_node_id, now)
    return _told(care, unique_node_id, "is taken on again", now)


def remove(care: NetworkCare, given: Any, now: float) -> dict[str, Any]:
    """Forget a device that is gone: its address is free. Where it is still there, and has a key here, it is found again."""
    unique_node_id = node_named(care, given)
    care.remove(unique_node_id)
    return _told(care, unique_node_id, "was removed", now)


def revoke(care: NetworkCare, given: Any, now: float) -> dict[str, Any]:
    """A device was lost to somebody: it gets nothing here any more, and all others another broadcast key at once."""
    unique_node_id = node_named(care, given)
    care.keys.revoke(unique_node_id)
    care.wake()
    return _told(care, unique_node_id, "was revoked: all others get another broadcast key", now)


def release(care: NetworkCare, given: Any, now: float) -> dict[str, Any]:
    """A device in quarantine is asked by the legacy suite again."""
    unique_node_id = node_named(care, given)
    care.legacy.release(unique_node_id, now)
    care.wake()
    return _told(care, unique_node_id, "was released from quarantine", now)


def _told(care: NetworkCare, unique_node_id: bytes, what: str, now: float) -> dict[str, Any]:
    concentrator = care.concentrator
    text = f"{unique_node_id.hex()} {what}, by order"
    concentrator.journal.note("order", text, concentrator.wall(), severity="warning")
    concentrator.begin(now)
    return {"unique_node_id": unique_node_id.hex(), "text": text}


DEVICE_ORDERS: dict[str, Callable[[NetworkCare, Any, float], dict[str, Any]]] = {
    "accept": accept,
    "release": release,
    "remove": remove,
    "revoke": revoke,
}
"""By the word that the status socket takes; each with ``device``."""


def ordered(care: NetworkCare, asked: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The result of ``{"do": "revoke", "device": 7}`` and its like. Raises ConfigError, StorageError, StoreError."""
    return DEVICE_ORDERS[str(asked["do"])](care, asked.get("device"), now)
