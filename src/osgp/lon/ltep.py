"""The enhanced proxy (LTEP): a message that carries its own list of repeaters.

``spec/iso14908-1.md`` 6, from two open stacks (run); annex G of ETSI TS 104 001, which defines repeating, was not read: differences
will be settled in its favour. The chain is source, repeaters, agent, target. The first hop is the network address of the packet; the
list names those after it, so its count says how many nodes still follow this one before the target.
"""

from __future__ import annotations

from osgp.wire import Bits, OpenEnum, Struct, any_of, bit, negate
from osgp.wire import fields as f

__all__ = [
    "MAX_LIST",
    "MAX_TARGET_DATA",
    "AlternateKey",
    "LongHop",
    "Mode",
    "Ltep",
    "LtepFailure",
    "LtepHeader",
    "Service",
    "ShortHop",
    "TargetControl",
    "TargetType",
    "TransmitControl",
]

MAX_LIST = 15
"""Addresses that the count can say; with the first hop 16 nodes that forward."""
MAX_TARGET_DATA = 102
"""Bytes of data behind the target APDU's code (open stack)."""


class Service(OpenEnum):
    """Service numbers of control bytes; 4 is internal to a stack (response)."""

    ACKD = 0
    UNACKD_RPT = 1
    UNACKD = 2
    REQUEST = 3


class Mode(OpenEnum):
    """How the agent sends to the target."""

    NORMAL = 0
    ZERO_SYNC = 1
    ALTERNATE_KEY = 2
    ATTENUATE = 3


class TargetType(OpenEnum):
    """How the target is said."""

    GROUP = 0
    SUBNET_NODE = 1
    UNIQUE_NODE_ID = 2
    BROADCAST = 3
    GROUP_COMPACT = 4
    SUBNET_NODE_OF_SOURCE = 5
    UNIQUE_NODE_ID_COMPACT = 6
    SUBNET_NODE_OF_AGENT = 7


class LtepHeader(Bits, size=1):
    """The byte behind code 4D."""

    count: int = bit(0, 4, orig="COUNT", doc="addresses that follow; 0: this node is the agent")
    uniform_by_source: int = bit(4, orig="UNIFORM_BY_SRC", doc="addresses without subnet: that of the packet's source")
    all_agents: int = bit(5, orig="ALL_AGENTS", doc="every repeater also delivers the target's message itself")
    long_timer: int = bit(6, orig="LONG_TIMER", doc="the hops' transmit timers are those of the long row")
    uniform_by_destination: int = bit(
        7, orig="UNIFORM_BY_DEST", doc="addresses without subnet: that of the reading node"
    )


class ShortHop(Bits, size=1):
    """An address of one byte: the subnet follows from the header's flags."""

    node: int = bit(0, 7, orig="NODE")
    alternate_path: int = bit(7, orig="PATH", doc="1: all transmissions of this hop on the alternate path; 0: none")


class LongHop(Bits, size=2):
    """An address of two bytes."""

    node: int = bit(0, 7, orig="NODE")
    alternate_path: int = bit(7, orig="PATH", doc="1: all transmissions of this hop on the alternate path; 0: none")
    subnet: int = bit(8, 8, orig="SUBNET")


class TransmitControl(Bits, size=1):
    """Retries and timer of one leg; the timer is a code of ``timers``."""

    timer: int = bit(0, 4, orig="TIMER", doc="code of the transmit timer")
    retry: int = bit(4, 4, orig="RETRY", doc="transmissions after the first")


class TargetControl(Bits, size=2):
    """How the agent sends to the target ("sicb")."""

    timer: int = bit(0, 4, orig="TIMER", doc="code of the transmit timer")
    retry: int = bit(4, 4, orig="RETRY", doc="transmissions after the first")
    mode: int = bit(
        8, 2, orig="MODE", values={0: "normal", 1: "zero-cross synchronised", 2: "alternate key", 3: "attenuated"}
    )
    service: int = bit(
        10, 2, orig="SERVICE", values={0: "acknowledged", 1: "repeated", 2: "unacknowledged", 3: "request"}
    )
    alternate_path: int = bit(12, orig="PATH", doc="all transmissions to the target on the alternate path")
    target_type: int = bit(
        13,
        3,
        orig="TARGET_TYPE",
        values={
            0: "group",
            1: "subnet/node",
            2: "unique node ID",
            3: "broadcast",
            4: "group, compact",
            5: "subnet/node, source's subnet",
            6: "unique node ID, compact",
            7: "subnet/node, agent's subnet",
        },
    )


class AlternateKeyKind(Bits, size=1):
    """First byte of an alternate key."""

    open_media: int = bit(0, 2, orig="TYPE", values={0: "6 bytes", 1: "12 bytes"})


class AlternateKey(
    Struct, byte_order="big", floor="lon", source="enhanced proxy; spec/iso14908-1.md 6.4", status="verified"
):
    """What is added to the agent's own key, byte by byte, to answer the target's challenge."""

    kind: AlternateKeyKind = f.bits(AlternateKeyKind, default=0)
    delta: bytes = f.binary(6 + 6 * (kind.open_media == 1), doc="secret: increments of the key")

    def __repr__(self) -> str:
        return f"AlternateKey(kind={self.kind!r}, delta=(hidden))"


class Ltep(Struct, byte_order="big", floor="lon", source="enhanced proxy; spec/iso14908-1.md 6.2", status="verified"):
    """An enhanced proxy message, code 4D included."""

    code: int = f.u8(default=0x4D, doc="enhanced proxy message")
    header: LtepHeader = f.bits(LtepHeader, default=0)
    long_hops: list[LongHop] | None = f.bits(
        LongHop,
        default=None,
        count=header.count,
        when=negate(any_of(header.uniform_by_source, header.uniform_by_destination)),
        doc="the nodes after this one, the agent last",
    )
    short_hops: list[ShortHop] | None = f.bits(
        ShortHop,
        default=None,
        count=header.count,
        when=any_of(header.uniform_by_source, header.uniform_by_destination),
        doc="the nodes after this one, the agent last",
    )
    transmit: TransmitControl | None = f.bits(TransmitControl, default=None, when=header.count > 0, orig="TXCTRL")
    control: TargetControl = f.bits(TargetControl, default=0, orig="SICB")
    alternate_key: AlternateKey | None = f.record(AlternateKey, default=None, when=control.mode == 2)
    target_subnet: int | None = f.u8(
        default=None, when=any_of(control.target_type == 1, control.target_type == 2, control.target_type == 3)
    )
    target_group: int | None = f.u8(default=None, when=any_of(control.target_type == 0, control.target_type == 4))
    target_size: int | None = f.u8(
        default=None, when=control.target_type == 0, doc="size of a send address: answers expected, and one"
    )
    target_backlog: int | None = f.u8(
        default=None, when=control.target_type == 3, doc="answers expected of a broadcast; 0 means 15"
    )
    target_node: int | None = f.u8(
        default=None,
        when=any_of(control.target_type == 1, control.target_type == 5, control.target_type == 7),
        doc="bit 7 is ignored",
    )
    target_unique_node_id: bytes | None = f.binary(
        6, default=None, when=any_of(control.target_type == 2, control.target_type == 6)
    )
    apdu: bytes = f.binary(doc="the target's APDU")


class LtepFailure(
    Struct, byte_order="big", floor="lon", source="enhanced proxy; spec/iso14908-1.md 6.5", status="verified"
):
    """The response of a chain that broke."""

    code: int = f.u8(default=0x4C, doc="enhanced proxy failed")
    remaining: int = f.u8(
        doc="addresses that the node which gave up had received: 0 the agent; an older stack counts one less"
    )
