"""What a device's tables tell of its power line: ET04, ET23, ET54 from the state of its security and its node.

Fields and offsets: MEP guide p. 56, 98, 132. Several of them are read only here, whatever a client writes: they are put right again
before anybody reads them. Tables of the power line's own (UT16 to UT20) are made at the moment they are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osgp.node.osgp_tables import HEARD_ANSWERS, LINK_REGISTER
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et23 import ET23
from osgp.tables.et.et54 import ET54
from osgp.wire import LTime

if TYPE_CHECKING:
    from osgp.node.osgp import OsgpNode

__all__ = ["refresh"]

_LISTENING, _CONFIGURED, _OFFLINE = 2, 4, 12


def refresh(node: OsgpNode, number: int, now: float) -> None:
    """Bring one table up to date; ``now``: monotonic seconds."""
    image = node.meter.image
    if number == LINK_REGISTER:
        image.put(number, node.links.table(now))
    elif number == HEARD_ANSWERS:
        image.put(number, node.agent.table())
    elif number == ET04.number:
        _et04(node, now)
    elif number == ET54.number:
        _et54(node)
    elif number == ET23.number:
        image.set(ET23, "lon_msgs_received", node.received & 0xFFFFFFFF)
        image.set(ET23, "lon_msgs_validated", node.validated & 0xFFFFFFFF)


def _et04(node: OsgpNode, now: float) -> None:
    image, security, configuration = node.meter.image, node.security, node.stack.configuration
    table: Any = image.decode(ET04)
    (place,) = configuration.memberships()[:1] or (None,)
    table.seq_nbr = node.legacy.last_seq if node.legacy is not None and node.mode == 0 else node.sequence
    table.xcvr_id = configuration.unique_node_id
    table.program_id = configuration.program_id
    table.subnet_id = place.subnet if place is not None else 0
    table.node_id = place.node if place is not None else 0
    heard = node.management.heard.phase
    table.plc_flags = table.plc_flags.with_(explicit_msg_received=int(node.received > 0), neuron_phase=heard & 7)
    state = _CONFIGURED if configuration.configured else _LISTENING
    table.neuron_state = _OFFLINE if configuration.configured and configuration.soft_offline else state
    moment = security.broadcast_time
    if moment is not None:
        table.broadcast_receipt_time = LTime.of(moment)
    table.broadcast_base, table.broadcast_delta = security.window
    if table.security_mode is not None:
        table.security_mode = node.mode
    if table.fcm_msg_count is not None:
        table.fcm_msg_count = min(100, security.fcm_count(now))
    image.encode(table)


def _et54(node: OsgpNode) -> None:
    image, security = node.meter.image, node.security
    table: Any = image.decode(ET54)
    if table.unicast_key_usage is not None:
        table.unicast_key_usage = min(0xFFFFFFFF, security.unicast_uses)
        table.broadcast_key_usage = min(0xFFFFFFFF, security.broadcast_uses)
        table.security_modes = table.security_modes.with_(rc4=int(node.legacy is not None), aes_128_psk=1)
    image.encode(table)
