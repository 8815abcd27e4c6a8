"""Network diagnostics, codes 50 to 5F: what a node counts and what its transceiver measures.

ISO/IEC 14908-1, network diagnostics; ``spec/iso14908-1.md`` 5.6, 5.9. Requests and responses begin with their code, as APDUs do. Which
response belongs to which request only the session knows (see ``commands``).
"""

from __future__ import annotations

from osgp.lon.apdu import CLASSIC_PROXY
from osgp.lon.entries import AddressEntry, NodeStateByte
from osgp.wire import Bits, Struct, bit
from osgp.wire import fields as f

__all__ = [
    "PERFECT",
    "PERFECT_ALTERNATE",
    "RESET_CAUSES",
    "BothWaysFlags",
    "BothWaysRequest",
    "BothWaysResponse",
    "ClearStatus",
    "ComputePhase",
    "Diagnostics",
    "FullVersion",
    "FullVersionResponse",
    "PhaseResponse",
    "ProxyRequest",
    "QueryStatus",
    "QueryStatusFlex",
    "QueryTransceiver",
    "SignalQuality",
    "StatusResponse",
    "TransceiverRegisters",
    "TransceiverResponse",
]

RESET_CAUSES = {0x00: "cleared", 0x01: "power-up", 0x02: "external", 0x0C: "watchdog", 0x14: "software"}
"""Reset causes of query status."""


class Diagnostics(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.6", status="verified"
):
    """What the layouts of this family share: byte order, source and standing."""


class QueryStatus(Diagnostics):
    """Ask for state and first counters."""

    code: int = f.u8(default=0x51, values={0x51: "query status"})


class QueryStatusFlex(Diagnostics):
    """The same, to be answered as if the node were no member of the domain (source 0/0)."""

    code: int = f.u8(default=0x56, values={0x56: "query status, flex domain"})


class StatusResponse(Diagnostics):
    """State, version and the first five counters of a node."""

    code: int = f.u8(default=0x31, values={0x31: "status", 0x32: "status by proxy", 0x36: "status, flex domain"})
    transmission_errors: int = f.u16(default=0, orig="XMIT_ERRORS", doc="frames with a wrong CRC")
    transaction_timeouts: int = f.u16(default=0, doc="transactions without all their answers")
    receive_transactions_full: int = f.u16(
        default=0, orig="RCV_TRANS_FULL", doc="messages discarded for want of a receive transaction"
    )
    lost_messages: int = f.u16(default=0, orig="LOST_MSGS", doc="messages discarded for want of an application buffer")
    missed_messages: int = f.u16(default=0, orig="MISSED_MSGS", doc="messages discarded for want of a network buffer")
    reset_cause: int = f.u8(default=0, values=RESET_CAUSES)
    state: NodeStateByte = f.bits(NodeStateByte, default=2, orig="NODE_STATE")
    firmware: int = f.u8(default=4, orig="VERSION_NUMBER", doc="version of the firmware")
    error_log: int = f.u8(default=0, doc="last error, 0 none")
    model: int = f.u8(default=0xA8, orig="MODEL_NUMBER")


class ProxyRequest(Diagnostics):
    """Classic proxy: with an address for an agent, which sends the first two bytes there; without one for the node itself."""

    code: int = f.u8(default=CLASSIC_PROXY, values={CLASSIC_PROXY: "proxy"})
    subcommand: int = f.u8(default=1, values={0: "query ID, unconfigured", 1: "query status", 2: "query transceiver"})
    address: AddressEntry | None = f.record(
        AddressEntry, optional=True, doc="send address of the target; its domain index is not used", default=None
    )


class ClearStatus(Diagnostics):
    """Set all counters, the reset cause and the error log to zero."""

    code: int = f.u8(default=0x53, values={0x53: "clear status"})


class QueryTransceiver(Diagnostics):
    """Ask for the registers of the transceiver."""

    code: int = f.u8(default=0x54, values={0x54: "query transceiver"})


class VersionByte(Bits, size=1):
    """Register 0 of a power line transceiver."""

    version: int = bit(0, 4, orig="VERSION", doc="of the transceiver")
    threshold: int = bit(5, 3, orig="THRESHOLD", doc="receive threshold")


class PacketFlags(Bits, size=1):
    """Register 2: what the last packet was like."""

    band_in_use: int = bit(0, orig="BNDINUSE", doc="the band was seen in use")
    parity_error: int = bit(1, orig="PARITY")
    one_packet: int = bit(2, orig="PKTFLG", doc="exactly one packet since the last read: only then trust the reading")
    secondary: int = bit(3, orig="SECONDARY", doc="the last packet came on the secondary carrier")


class SignalQuality(Bits, size=1):
    """How a carrier was received: margin -6..39 dB in steps of 3, strength -84..+6 dB in steps of 6."""

    strength: int = bit(0, 4, orig="STRENGTH", unit="dB", values={code: f"{6 * code - 84} dB" for code in range(16)})
    margin: int = bit(4, 4, orig="MARGIN", unit="dB", values={code: f"{3 * code - 6} dB" for code in range(16)})

    @property
    def known(self) -> bool:
        """Whether there is a reading: largest margin with least strength says that there is none."""
        return not (self.margin == 15 and self.strength == 0)

    @property
    def margin_db(self) -> int:
        """Signal above what reception needs, dB."""
        return 3 * self.margin - 6

    @property
    def strength_db(self) -> int:
        """Signal strength, dB."""
        return 6 * self.strength - 84


class FormatByte(Bits, size=1):
    """Register 5."""

    frequency_format: int = bit(6, 2, orig="FORMAT", doc="frequency format")


class TransceiverRegisters(Diagnostics, source="open stack's headers; spec/iso14908-1.md 5.9", status="unverified"):
    """The seven registers of a power line transceiver, as of the last packet it received."""

    version: VersionByte = f.bits(VersionByte, default=0)
    signal_noise: int = f.u8(default=0, orig="SNAVG", doc="average of signal and noise")
    packet: PacketFlags = f.bits(PacketFlags, default=0)
    primary: SignalQuality = f.bits(SignalQuality, default=0xF0, doc="primary carrier")
    secondary: SignalQuality = f.bits(SignalQuality, default=0xF0, doc="secondary carrier")
    format: FormatByte = f.bits(FormatByte, default=0)
    unused: int = f.u8(default=0)

    @property
    def trusted(self) -> bool:
        """Whether the reading belongs to one packet alone."""
        return bool(self.packet.one_packet)


PERFECT = bytes.fromhex("040004ffff0000")
"""The registers of an answer that never was on a line (same node); ``spec/iso14908-1.md`` 5.9."""
PERFECT_ALTERNATE = bytes.fromhex("04000cffff0000")
"""The same on the alternate path."""


class TransceiverResponse(Diagnostics):
    """Registers of the transceiver."""

    code: int = f.u8(default=0x34, values={0x32: "transceiver by proxy", 0x34: "transceiver"})
    registers: TransceiverRegisters = f.record(TransceiverRegisters)


class BothWaysFlags(Bits, size=1):
    """How the answer is to be sent."""

    attenuate: int = bit(0, orig="ATTENUATE", doc="answer attenuated")


class BothWaysRequest(Diagnostics):
    """Ask how this very request was received; one open stack's header knows flags behind it."""

    code: int = f.u8(default=0x57, values={0x57: "query transceiver, both ways"})
    flags: BothWaysFlags | None = f.bits(BothWaysFlags, optional=True, status="unverified", default=None)


class BothWaysResponse(Diagnostics):
    """How the request was received there and, appended by the asking node's own stack, how the response was received here."""

    code: int = f.u8(default=0x37, values={0x37: "transceiver, both ways"})
    there: TransceiverRegisters = f.record(TransceiverRegisters, doc="measured on the request")
    here: TransceiverRegisters | None = f.record(
        TransceiverRegisters, optional=True, doc="measured on the response; never on the line", default=None
    )


class ComputePhase(Diagnostics, source="open stack's headers; spec/iso14908-1.md 5.6, 5.9", status="unverified"):
    """Ask on which phase of the mains this request arrived; it must be sent at a zero crossing."""

    code: int = f.u8(default=0x58, values={0x58: "compute phase"})
    phase: int | None = f.u8(optional=True, doc="phase of the asking node, 1..6", default=None)


class PhaseResponse(Diagnostics, source="open stack's headers; spec/iso14908-1.md 5.9", status="unverified"):
    """Phase of the mains as seen from the asking node."""

    code: int = f.u8(default=0x38, values={0x38: "phase"})
    phase: int = f.u8(default=0, values={0: "unknown", **{code: f"{60 * (code - 1)} degrees" for code in range(1, 7)}})
    frequency_hz: int = f.u8(default=50, orig="FREQ", unit="Hz", doc="of the mains")
    raw: int = f.u8(default=0, orig="RAW", doc="ticks since the node's own zero crossing, for debugging")
    certainty: int = f.i8(default=0, orig="CERTAINTY", doc="-7..7; the closer to 0 the better")


class FullVersion(Diagnostics):
    """Ask for the version in full."""

    code: int = f.u8(default=0x59, values={0x59: "get full version"})


class FullVersionResponse(Diagnostics, source="open stack's headers; spec/iso14908-1.md 5.6"):
    """Version in full."""

    code: int = f.u8(default=0x39, values={0x39: "full version"})
    version: int = f.u8(default=4, doc="as in query status")
    variant: int = f.u8(default=0)
    rom_version: int = f.u8(default=0)
    minor_version: int = f.u8(default=0)
    build: int = f.u8(default=0, orig="BUILD_NUMBER")
    type_code: int = f.u8(default=0)
