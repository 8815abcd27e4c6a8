"""What a node's tables and blocks hold, as they travel in network management.

ISO/IEC 14908-1, network management; ``spec/iso14908-1.md`` 5.2, 5.8. Keys are never shown: see ``DomainEntry.__repr__`` and
``redact``.
"""

from __future__ import annotations

from osgp.wire import Bits, OpenEnum, Struct, bit
from osgp.wire import fields as f

__all__ = [
    "AddressEntry",
    "AddressKind",
    "AddressPlace",
    "AliasEntry",
    "AuthenticationType",
    "ConfigurationBlock",
    "DomainEntry",
    "DomainFlags",
    "NodeState",
    "NodeStateByte",
    "NvEntry",
    "NvEntryFlags",
    "NvEntrySelector",
    "Retry",
    "Statistics",
    "Timers",
]


class AuthenticationType(OpenEnum):
    """How a domain's members authenticate."""

    CLASSIC = 0
    OPEN_MEDIA = 1


class DomainFlags(Bits, size=1):
    """The flags of a domain entry."""

    length: int = bit(0, 3, orig="LENGTH", unit="byte", doc="of the identifier: 0, 1, 3, 6")
    authentication: int = bit(3, 2, orig="AUTH_TYPE", values={0: "classic", 1: "open media authentication"})
    dhcp: int = bit(5, orig="DHCP")
    enhanced: int = bit(6, orig="LS_MODE", values={0: "compatible", 1: "enhanced"})
    invalid: int = bit(7, orig="INVALID", doc="the entry is not in use")


class DomainNode(Bits, size=1):
    """A node's own number in a domain."""

    node: int = bit(0, 7, orig="NODE", doc="1..127")
    not_clone: int = bit(7, orig="NOT_CLONE", doc="1: no other node has this address")


class DomainEntry(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.2", status="verified"
):
    """One of a node's two domains."""

    id: bytes = f.binary(6, default=bytes(6), doc="identifier, left justified")
    subnet: int = f.u8(default=0, doc="1..255")
    node: DomainNode = f.bits(DomainNode, default=0x80)
    flags: DomainFlags = f.bits(DomainFlags, default=0x80)
    key: bytes = f.binary(6, default=bytes(6), doc="secret: authentication key")

    @property
    def domain(self) -> bytes:
        """The identifier at its own length (a length that no domain has counts as the next shorter one)."""
        length = self.flags.length
        return self.id[: 6 if length >= 6 else 3 if length >= 3 else 1 if length else 0]

    @property
    def in_use(self) -> bool:
        """Whether the node is a member."""
        return not self.flags.invalid

    def __repr__(self) -> str:
        return (
            f"DomainEntry(domain={self.domain.hex() or 'empty'}, subnet={self.subnet}, node={self.node.node}, "
            f"flags={self.flags!r}, key=(hidden))"
        )


class AddressKind(Bits, size=1):
    """First byte of an address entry: a group with its size, or the kind of address."""

    kind: int = bit(
        0, 7, orig="TYPE_OR_SIZE", doc="group: its size; else 0 unused, 1 subnet/node, 2 unique node ID, 3 broadcast"
    )
    group: int = bit(7, orig="GROUP", doc="a group address")


class AddressPlace(Bits, size=1):
    """Second byte of an address entry."""

    number: int = bit(
        0, 7, orig="MEMBER_NODE_BACKLOG", doc="group: own member number; subnet/node: node; broadcast: backlog"
    )
    domain_index: int = bit(7, orig="DOMAIN", doc="entry of the domain table")


class Retry(Bits, size=1):
    """Third byte of an address entry."""

    retry: int = bit(0, 4, orig="RETRY", doc="transmissions after the first")
    repeat_timer: int = bit(4, 4, orig="RPT_TIMER", doc="code of the repeat timer")


class Timers(Bits, size=1):
    """Fourth byte of an address entry."""

    transmit_timer: int = bit(0, 4, orig="TX_TIMER", doc="code of the transmit timer")
    receive_timer: int = bit(4, 4, orig="RCV_TIMER", doc="group: code of the receive timer; broadcast: most responses")


class AddressEntry(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.8", status="verified"
):
    """Whom to send to and how; the form with a unique node ID exists in send addresses only, not in the table."""

    kind: AddressKind = f.bits(AddressKind, default=0)
    place: AddressPlace = f.bits(AddressPlace, default=0)
    retry: Retry = f.bits(Retry, default=0)
    timers: Timers = f.bits(Timers, default=0)
    number: int = f.u8(default=0, doc="group, or subnet")
    unique_node_id: bytes | None = f.binary(6, default=None, when=kind == 2)


class NvEntrySelector(Bits, size=2):
    """First two bytes of a network variable's configuration."""

    selector: int = bit(0, 14, orig="SELECTOR")
    output: int = bit(14, orig="DIRECTION", values={0: "input", 1: "output"})
    priority: int = bit(15, orig="PRIORITY")


class NvEntryFlags(Bits, size=1):
    """Third byte of a network variable's configuration."""

    address_index: int = bit(0, 4, orig="ADDR_INDEX", doc="entry of the address table; 15 none")
    authenticated: int = bit(4, orig="AUTH")
    service: int = bit(5, 2, orig="SERVICE", values={0: "acknowledged", 1: "repeated", 2: "unacknowledged"})
    turnaround: int = bit(7, orig="TURNAROUND", doc="bound to a variable of the same node")


class NvEntry(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.8", status="verified"
):
    """Configuration of a network variable."""

    selector: NvEntrySelector = f.bits(NvEntrySelector, default=0x3FFF)
    flags: NvEntryFlags = f.bits(NvEntryFlags, default=0x0F)


class AliasEntry(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.5, 5.8", status="unverified"
):
    """A second configuration of a network variable (six bytes in command 68, five in 60 13 with a one-byte index)."""

    selector: NvEntrySelector = f.bits(NvEntrySelector, default=0x3FFF)
    flags: NvEntryFlags = f.bits(NvEntryFlags, default=0x0F)
    primary: int = f.u8(
        default=0xFF, doc="index of the variable; FF: the two bytes behind say it, or the alias is unused"
    )
    primary_wide: int | None = f.u16(
        default=None, optional=True, doc="index of the variable where the byte in front is FF"
    )


class NodeState(OpenEnum):
    """The state of a node (b2..0 of the state byte)."""

    UNCONFIGURED = 2
    NO_APPLICATION = 3
    CONFIGURED = 4
    HARD_OFFLINE = 6


class NodeStateByte(Bits, size=1):
    """State byte of the read-only block and of query status."""

    state: int = bit(
        0, 3, orig="STATE", values={2: "unconfigured", 3: "no application", 4: "configured", 6: "hard offline"}
    )
    soft_offline: int = bit(3, orig="SOFT_OFFLINE", doc="the application is stopped until told otherwise")
    bypass: int = bit(7, orig="BYPASS")


class ClockByte(Bits, size=1):
    """Clocks of the configuration block."""

    input_clock: int = bit(0, 3, orig="INPUT_CLOCK")
    communication_clock: int = bit(3, 5, orig="COMM_CLOCK")


class TypeByte(Bits, size=1):
    """Transceiver type of the configuration block."""

    pin_direction: int = bit(0, 5, orig="COMM_PIN_DIR")
    type: int = bit(5, 3, orig="COMM_TYPE")


class LastByte(Bits, size=1):
    """Last byte of the configuration block."""

    preemption_timer: int = bit(0, 3, orig="PREEMPT_TIMEOUT")
    management_authentication: int = bit(
        3, orig="NM_AUTH", doc="network management must be authenticated once configured"
    )
    non_group_timer: int = bit(4, 4, orig="NON_GROUP_TIMER", doc="code of the receive timer of all but group messages")


class ConfigurationBlock(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.8", status="verified"
):
    """Channel and timing of a node, 25 bytes; memory mode 2 reads and writes it."""

    channel: int = f.u16(default=0, orig="CHANNEL_ID")
    location: bytes = f.binary(6, default=bytes(6), doc="where the node is, in the installer's words")
    clocks: ClockByte = f.bits(ClockByte, default=0)
    type: TypeByte = f.bits(TypeByte, default=0)
    preamble_length: int = f.u8(default=0)
    packet_cycle: int = f.u8(default=0x3F, doc="mean packet cycle: 1794 instruction cycles for each")
    beta2_control: int = f.u8(default=0xA6, doc="slot: 40 + 20 for each, in instruction cycles")
    transmit_interpacket: int = f.u8(default=0x77, orig="XMIT_INTERPACKET")
    receive_interpacket: int = f.u8(default=0x67, orig="RECV_INTERPACKET")
    node_priority: int = f.u8(default=0, doc="own priority slot; 0 none")
    channel_priorities: int = f.u8(default=0, doc="priority slots of the channel, 0..127")
    transceiver: bytes = f.binary(7, default=bytes(7), doc="transceiver parameters")
    last: LastByte = f.bits(LastByte, default=0xC0)


class Statistics(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.8", status="verified"
):
    """Counters of a node, 16 bits each; memory mode 3 reads them."""

    transmission_errors: int = f.u16(default=0, doc="frames with a wrong CRC")
    transaction_timeouts: int = f.u16(default=0, doc="transactions without all their answers")
    receive_transactions_full: int = f.u16(default=0, doc="messages discarded because no receive transaction was free")
    lost_messages: int = f.u16(default=0, doc="messages discarded because no application buffer was free")
    missed_messages: int = f.u16(default=0, doc="messages discarded because no network buffer was free")
    layer_2_received: int = f.u16(default=0, doc="frames with a right CRC")
    layer_3_received: int = f.u16(default=0, doc="packets for this node")
    layer_3_sent: int = f.u16(default=0, doc="packets sent")
    retries: int = f.u16(default=0, orig="TRANSMIT_RETRIES")
    backlog_overflows: int = f.u16(default=0)
    late_acknowledgements: int = f.u16(default=0)
    collisions: int = f.u16(default=0)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter; it stops at 65535."""
        setattr(self, name, min(0xFFFF, getattr(self, name) + by))
