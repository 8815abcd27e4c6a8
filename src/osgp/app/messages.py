"""The layouts of OSGP's own messages: one structure for each frame, plaintext and parameter block.

A **project choice**, ``spec/osgp-application.md`` section 3, where the text of TS 104 001 could not be read. Numbers of frames are
most significant byte first; what is table data or a parameter of a procedure is least significant byte first (3.1).
Structures that hold a key do not show it.
"""

from __future__ import annotations

from osgp.wire import Bits, LTime, OpenEnum, Struct, bit
from osgp.wire import fields as f

__all__ = [
    "Alert",
    "AlertFrame",
    "Announcement",
    "BroadcastFrame",
    "Challenge",
    "ChallengeReply",
    "CodePacket",
    "Commission",
    "CommissionContents",
    "CommissionReply",
    "FcmKind",
    "Here",
    "ImageTrailer",
    "KeyUpdate",
    "KeyUpdateKind",
    "LegacyRequest",
    "LegacyResponse",
    "LegacySequenceError",
    "Probe",
    "ProbeFlags",
    "ReceivedBlocks",
    "ReverseHop",
    "ReverseStep",
    "ReverseRoute",
    "SecuredRequest",
    "SecuredResponse",
    "SequenceErrorFrame",
    "SequenceErrorContents",
    "Suites",
    "SwitchBank",
    "Token",
]


# ---- secured messages (3.3 to 3.6) ---------------------------------------------------------------------------------
class SecuredRequest(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.3", status="project choice"
):
    """A request under the unicast key."""

    code: int = f.u8(doc="10, 11: the low bit is the key slot")
    ciphertext: bytes = f.binary(leave=12, doc="table service message, encrypted")
    seq: int = f.u32(orig="SEQ", doc="sequence number, part of the nonce")
    tag: bytes = f.binary(8, doc="tag of AES-CCM")


class SecuredResponse(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.4", status="project choice"
):
    """The response to a secured request; it does not repeat the number."""

    code: int = f.u8(doc="that of the request")
    ciphertext: bytes = f.binary(leave=8, doc="response code, and of a read count and data, encrypted")
    tag: bytes = f.binary(8, doc="tag of AES-CCM; covers the tag of the request")


class SequenceErrorFrame(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.4", status="project choice"
):
    """The answer to a request with a good tag and an old number."""

    code: int = f.u8(doc="16, 17: the low bit is the slot of the request's key")
    ciphertext: bytes = f.binary(leave=12, doc="SequenceErrorContents, encrypted")
    ectr: int = f.u32(orig="ECTR", doc="the device's counter of sequence errors, part of the nonce")
    tag: bytes = f.binary(8, doc="tag of AES-CCM; covers the tag of the request")


class SequenceErrorContents(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.4", status="project choice", exact=True
):
    """The plaintext of a sequence error."""

    code: int = f.u8(default=0x0C, doc="0C: wrong sequence number")
    next: int = f.u32(doc="the least number that the device takes")


class AlertFrame(Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.5", status="project choice"):
    """An unsolicited alert."""

    code: int = f.u8(doc="14, 15: the low bit is the key slot")
    ciphertext: bytes = f.binary(leave=12, doc="Alert, encrypted")
    actr: int = f.u32(orig="ACTR", doc="the device's counter of alerts, part of the nonce")
    tag: bytes = f.binary(8, doc="tag of AES-CCM")


class Alert(
    Struct,
    byte_order="little",
    floor="app",
    source="spec/osgp-application.md 3.5",
    status="project choice",
    exact=True,
):
    """The plaintext of an alert. The log entry it tells of stays unread until it is read."""

    alert_class: int = f.u8(orig="CLASS", doc="class, the unit of the limits of 3.5")
    event_id: int = f.u16(doc="event as in the log")
    time: LTime = f.ltime(doc="UTC of the event")
    log_sequence: int = f.u32(doc="sequence number of the log entry")
    argument: bytes = f.binary(prefix=1, most=16, default=b"", doc="argument of the event")


class BroadcastFrame(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.6", status="project choice"
):
    """A command to all devices, or to those of the groups that are named. Never answered."""

    code: int = f.u8(doc="12, 13: the low bit is the key slot")
    group_count: int = f.u8(orig="G", doc="group ids that follow; 0: all devices")
    groups: list[int] = f.u16(
        order="little", count=group_count, doc="YYFF all sub-groups of YY, FFYY everyone, 0000 nobody"
    )
    ciphertext: bytes = f.binary(leave=12, doc="table service message, encrypted")
    bctr: int = f.u32(orig="BCTR", doc="the concentrator's counter of broadcasts, part of the nonce")
    tag: bytes = f.binary(8, doc="tag of AES-CCM")


# ---- commissioning (3.7) -------------------------------------------------------------------------------------------
class FcmKind(OpenEnum):
    """Second byte of the handshake's messages."""

    CHALLENGE = 0x01
    COMMISSION = 0x02
    CHALLENGE_REPLY = 0x81
    COMMISSION_REPLY = 0x82


class Suites(Bits, size=1):
    """Map of security suites, as ET54.90."""

    rc4: int = bit(0, orig="RC4", doc="mode 0: legacy suite, broken")
    reserved_1: int = bit(1, doc="reserved")
    aes_128_psk: int = bit(2, orig="OSGP_AES_128_PSK", doc="mode 2")


class Challenge(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.7", status="project choice", exact=True
):
    """Message 1, concentrator to device."""

    code: int = f.u8(default=0x18, doc="18")
    kind: FcmKind = f.code(FcmKind, default=FcmKind.CHALLENGE)
    suites: Suites = f.bits(Suites, doc="what the concentrator offers; under MAC 1, so that a downgrade shows")
    rc: bytes = f.binary(32, orig="RC", doc="random of the concentrator")
    concentrator_id: bytes = f.binary(6, orig="NC", doc="unique_node_id of the concentrator")
    epoch: int = f.u16(orig="EP", doc="which PSK; never lower than the device's")


class ChallengeReply(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.7", status="project choice", exact=True
):
    """Message 2, device to concentrator."""

    code: int = f.u8(default=0x18, doc="18")
    kind: FcmKind = f.code(FcmKind, default=FcmKind.CHALLENGE_REPLY)
    suite: int = f.u8(doc="2: OSGP-AES-128-PSK")
    rd: bytes = f.binary(32, orig="RD", doc="random of the device")
    unique_node_id: bytes = f.binary(6, orig="ND", doc="unique_node_id of the device")
    epoch: int = f.u16(orig="EP", doc="as in message 1")
    generation: int = f.u16(orig="GEN", doc="generation of the unicast key in use, 0: none")
    mac: bytes = f.binary(16, orig="MAC1")


class Commission(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.7", status="project choice", exact=True
):
    """Message 3, concentrator to device."""

    code: int = f.u8(default=0x18, doc="18")
    kind: FcmKind = f.code(FcmKind, default=FcmKind.COMMISSION)
    ciphertext: bytes = f.binary(45, orig="CT", doc="CommissionContents, encrypted, with its tag of 8 bytes")
    mac: bytes = f.binary(16, orig="MAC2")


class CommissionContents(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.7", status="project choice", exact=True
):
    """The plaintext of message 3."""

    domain_length: int = f.u8(unit="byte", doc="0, 1, 3 or 6")
    domain: bytes = f.binary(6, doc="domain id, zeros behind it")
    subnet: int = f.u8()
    node: int = f.u8()
    first_seq: int = f.u32(doc="first sequence number under the new unicast key, not 0")
    kb_generation: int = f.u16()
    kb: bytes = f.binary(16, orig="KB", doc="secret: broadcast key")
    b: int = f.u32(orig="B", doc="ET04.82: least counter of a broadcast")
    d: int = f.u16(orig="D", doc="ET04.86: how far above B a counter may be")

    def __repr__(self) -> str:
        return f"CommissionContents(subnet={self.subnet}, node={self.node}, kb=(hidden))"


class CommissionReply(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.7", status="project choice", exact=True
):
    """Message 4, device to concentrator."""

    code: int = f.u8(default=0x18, doc="18")
    kind: FcmKind = f.code(FcmKind, default=FcmKind.COMMISSION_REPLY)
    result: int = f.u8(values={0: "taken", 1: "contents refused, nothing kept"})
    mac: bytes = f.binary(16, orig="MAC3")


# ---- keys and critical actions (3.8) -------------------------------------------------------------------------------
class KeyUpdateKind(OpenEnum):
    """First parameter of EP20."""

    BROADCAST_KEY = 0x01
    UMK = 0x02
    BROADCAST_KEY_AT_ONCE = 0x81


class KeyUpdate(
    Struct, byte_order="little", floor="app", source="spec/osgp-application.md 3.8", status="project choice", exact=True
):
    """Parameters of EP20 (2068), token excluded."""

    kind: KeyUpdateKind = f.code(KeyUpdateKind)
    slot: int = f.u8(doc="slot of the generation; 0 for a UMK")
    generation: int = f.u16(doc="of a broadcast key its generation, of a UMK the first epoch that goes with it")
    wrap: int = f.u8(values={0: "16 raw bytes", 1: "24 bytes of AES-KW under KEK"})
    key: bytes = f.binary(doc="secret: 16 or 24 bytes by WRAP")

    def __repr__(self) -> str:
        return f"KeyUpdate(kind={self.kind!r}, generation={self.generation}, key=(hidden))"


class Token(
    Struct, byte_order="little", floor="app", source="spec/osgp-application.md 3.8", status="project choice", exact=True
):
    """What a head-end puts behind a critical order."""

    counter: int = f.u32(doc="rises with every token of a device")
    mac: bytes = f.binary(8, doc="first half of a CMAC under KCRIT")


# ---- firmware (3.9) ------------------------------------------------------------------------------------------------
class Announcement(
    Struct, byte_order="little", floor="app", source="spec/osgp-application.md 3.9", status="project choice", exact=True
):
    """Parameters of EP08 (2056): what will come; the idle bank is erased."""

    image_id: int = f.u32()
    length: int = f.u32(unit="byte", doc="whole image, trailer included")
    blocks: int = f.u16()
    sha256: bytes = f.binary(32, doc="over the whole image")


class CodePacket(
    Struct, byte_order="little", floor="app", source="spec/osgp-application.md 3.9", status="project choice", exact=True
):
    """Parameters of EP09 (2057): one block of the image."""

    block: int = f.u16(doc="from 0")
    code: bytes = f.binary(54, doc="the last block is padded with zeros")


class SwitchBank(
    Struct, byte_order="little", floor="app", source="spec/osgp-application.md 3.9", status="project choice", exact=True
):
    """Parameters of EP10 (2058), token excluded."""

    length: int = f.u32(unit="byte", doc="whole image")
    mac: bytes = f.binary(16, doc="CMAC of the image under KFW")
    activation: LTime = f.ltime(doc="UTC of the switch")


class ImageTrailer(
    Struct, byte_order="little", floor="app", source="spec/osgp-application.md 3.9", status="project choice", exact=True
):
    """The last bytes of an image."""

    hardware_id: int = f.u32()
    version: int = f.u32()
    key_id: int = f.u16(doc="which public key")
    signature: bytes = f.binary(64, doc="Ed25519 over everything before it")


class ReceivedBlocks(
    Struct, byte_order="little", floor="app", source="spec/osgp-application.md 3.9", status="project choice"
):
    """User table 4000+16: which blocks of the announced image are held."""

    image_id: int = f.u32()
    blocks: int = f.u16(doc="blocks of the image")
    bitmap: bytes = f.binary((blocks + 7) // 8, doc="block n is bit n mod 8 of byte n / 8")


# ---- discovery and alerts' way back (3.10) --------------------------------------------------------------------------
class ProbeFlags(Bits, size=1):
    """Who shall answer a probe."""

    only_uncommissioned: int = bit(0)
    only_out_of_communication: int = bit(1, doc="only devices that hear no concentrator (ET55.15)")
    all_devices: int = bit(2, orig="ALL", doc="whatever their state")


class Probe(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.10", status="project choice", exact=True
):
    """Who is there? Unauthenticated: answers are proposals."""

    code: int = f.u8(default=0x1A, doc="1A")
    kind: int = f.u8(default=0x01, doc="01: probe")
    round: int = f.u16(doc="goes into the hash")
    lo: int = f.u16(doc="lowest hash that answers")
    hi: int = f.u16(doc="highest hash that answers")
    flags: ProbeFlags = f.bits(ProbeFlags, default=0)
    slots: int = f.u8(doc="hash modulo slots is the slot of the answer")
    slot_time: int = f.u8(unit="16 ms", doc="length of a slot")
    sender: bytes = f.binary(6, doc="unique_node_id of the concentrator or agent that asks")


class Here(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 3.10", status="project choice", exact=True
):
    """The answer to a probe."""

    code: int = f.u8(default=0x1A, doc="1A")
    kind: int = f.u8(default=0x81, doc="81: here")
    round: int = f.u16(doc="of the probe")
    unique_node_id: bytes = f.binary(6, orig="ND")
    strength: int = f.i8(unit="dB", doc="at which the probe was heard")
    margin: int = f.u8(unit="dB", doc="by which the probe was above what is needed")
    phase: int = f.u8()
    state: int = f.u8()
    program_id: bytes = f.binary(8)


class ReverseHop(Bits, size=1):
    """A hop's node on the way of an alert."""

    node: int = bit(0, 7)
    alternate_path: int = bit(7)


class ReverseStep(
    Struct, byte_order="little", floor="app", source="spec/osgp-application.md 3.10", status="project choice"
):
    """A hop on the way of an alert."""

    hop: ReverseHop = f.bits(ReverseHop, orig="PATH_NODE")
    subnet: int = f.u8()


class ReverseRoute(
    Struct, byte_order="little", floor="app", source="spec/osgp-application.md 3.10", status="project choice"
):
    """User table 4000+19: the way to the concentrator, for alerts."""

    lifetime: int = f.u16(unit="min")
    count: int = f.u8(orig="N", doc="hops")
    hops: list[ReverseStep] = f.record(ReverseStep, count=count)


# ---- legacy suite (1.2) --------------------------------------------------------------------------------------------
class LegacyRequest(Struct, byte_order="big", floor="app", source="spec/osgp-application.md 1.2", status="verified"):
    """A request of the legacy suite, in clear."""

    code: int = f.u8(default=0x00, doc="00")
    message: bytes = f.binary(leave=12, doc="table service message")
    seq: int = f.u32(orig="SEQ", doc="sequence number")
    digest: bytes = f.binary(8, doc="OMA digest")


class LegacyResponse(Struct, byte_order="big", floor="app", source="spec/osgp-application.md 1.2", status="verified"):
    """A response of the legacy suite, in clear."""

    code: int = f.u8(default=0x00, doc="00")
    message: bytes = f.binary(leave=8, doc="response code, and of a read count and data")
    digest: bytes = f.binary(8, doc="OMA digest; covers the request")


class LegacySequenceError(
    Struct, byte_order="big", floor="app", source="spec/osgp-application.md 1.2", status="unverified", exact=True
):
    """What a response with code 0C says (verified on the local port)."""

    code: int = f.u8(default=0x0C, doc="0C: wrong sequence number")
    current: int = f.u32(doc="the number that the device took last")
