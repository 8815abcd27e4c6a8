"""What orders and writes bring about in a device on the power line, and what its security tells the log.

``spec/osgp-application.md`` 1.7, 3.6 to 3.8, 3.10; parameters of EP27 are a project choice. Tables: MEP guide p. 56, 139.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from osgp.app.events import KeyChanged, KeyUsage, LegacyEnabled, Quarantined, SetCommitted, StorageFailed
from osgp.app.memory import StorageError
from osgp.node.osgp_tables import ALERT_ROUTE
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et55 import ET55
from osgp.tables.procedures.ep27 import EP27
from osgp.tables.table import extended

if TYPE_CHECKING:
    from osgp.node.osgp import OsgpNode
    from osgp.node.server import Handler, Port

__all__ = ["GROUPS", "MODE_AES", "MODE_RC4", "ROUTE", "handlers", "told", "written"]

MODE_RC4, MODE_AES = 0, 2
"""ET04.127."""
GROUPS, ROUTE = "groups", "alert-route"
"""Names in the node's memory."""
_EP20, _EP27 = extended(20), EP27.number
_DONE, _INVALID, _CONFLICT, _NOT_AUTHORISED, _FULL = 0, 2, 3, 5, 7
_RESULTS = {"": _DONE, "bad-tag": _NOT_AUTHORISED, "storage": _CONFLICT}
_KEYS = {"unicast": 0, "broadcast": 1}
_OTHER = 2


# ---- writes ---------------------------------------------------------------------------------------------------------
def written(node: OsgpNode, number: int, port: Port) -> None:
    """A client has written a table."""
    if number == ALERT_ROUTE:
        table = node.meter.image.read(ALERT_ROUTE)
        node.alerts.route(table, node.utc_of(node.now))
        node.keep({ROUTE: round(node.alerts.expires * 1000).to_bytes(8, "little") + table})
    elif number == ET55.number:
        node.read_settings()
    elif number == ET04.number:
        _et04(node, port)


def _et04(node: OsgpNode, port: Port) -> None:
    image, secured = node.meter.image, port is node.port
    if image.get(ET04, "plc_flags.force_neuron_cnfg"):
        image.set(ET04, "plc_flags.force_neuron_cnfg", 0)
        if secured:  # under the key that goes: first the answer, then the deed
            node.after_answer.append(lambda: _forget(node))
        else:
            _forget(node)
        return
    window = int(image.get(ET04, "broadcast_base")), int(image.get(ET04, "broadcast_delta"))
    if secured and window != node.security.window:
        try:
            node.security.set_window(*window)
        except StorageError:
            node.failed("window")
    mode = image.get(ET04, "security_mode")
    if mode == MODE_AES or (mode == MODE_RC4 and node.legacy is not None and secured):
        node.set_mode(int(mode))
    node.read_settings()


def _forget(node: OsgpNode) -> None:
    """ "Force Neuron config" (ET04.12 bit 1): no key set, no address; epoch and token counter stay. Ends a quarantine, too."""
    try:
        node.security.forget_sets()
        if node.legacy is not None:
            node.legacy.release()
    except StorageError:
        node.failed("forget sets")
        return
    node.unheard()
    node.settle_place()


# ---- procedures -----------------------------------------------------------------------------------------------------
def handlers(node: OsgpNode) -> dict[int, Handler]:
    """EP20, change a key of the power line; EP27, add or remove a group."""

    def ep20(raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        if port is not node.port:  # by secured unicast alone
            return _NOT_AUTHORISED, b""
        return _RESULTS.get(node.security.update_key(raw, node.now), _INVALID), b""

    def ep27(raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        if port.broadcast:
            return _NOT_AUTHORISED, b""
        return _groups(node, EP27.Parameters.decode(raw), port), b""

    return {_EP20: ep20, _EP27: ep27}


def _groups(node: OsgpNode, asked: EP27.Parameters, port: Port) -> int:
    group = asked.group or 0
    if asked.action == 2:
        groups: tuple[int, ...] = ()
    elif asked.action > 2 or not group or group & 0xFF == 0xFF or group >> 8 == 0xFF:
        return _INVALID
    elif asked.action == 0:
        groups = tuple(dict.fromkeys((*node.groups, group)))
    else:
        groups = tuple(each for each in node.groups if each != group)
    if len(groups) > node.security.profile.limits.max_groups:
        return _FULL
    if not node.keep({GROUPS: b"".join(each.to_bytes(2, "little") for each in groups)}):
        return _CONFLICT
    node.groups = groups
    node.meter.log("group_changed", group, user=port.event_user)
    return _DONE


# ---- the log --------------------------------------------------------------------------------------------------------
def told(node: OsgpNode) -> None:
    """Events of the security become entries of the log and alarms (BT03 bytes 8.1 and 8.2)."""
    meter, happened = node.meter, node.security.events()
    if node.legacy is not None:
        happened += node.legacy.events()
    for event in happened:
        match event:
            case KeyUsage(which, _):
                meter.log("key_usage_80", _KEYS.get(which, _OTHER))
                meter.alarm("mfg_status_4", "key_expiration_pending")
            case KeyChanged(which, _):
                meter.log("key_changed", _KEYS.get(which, _OTHER))
                meter.alarm("mfg_status_4", "password_table_written")
            case SetCommitted():
                meter.log("device_commissioned")
            case StorageFailed(doing):
                node.failed(doing)
            case LegacyEnabled(writes):
                meter.log("legacy_enabled", int(writes))
            case Quarantined(count):
                meter.log("legacy_quarantined", count)
                meter.alarm("mfg_status_1", "invalid_password")
            case _:
                pass
