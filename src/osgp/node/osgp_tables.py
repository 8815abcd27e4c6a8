"""User-defined tables of a device on the power line: layouts that its server writes and the concentrator reads.

Numbers and contents of UT16 to UT20 are those of ``spec/osgp-application.md`` 3.9 and 3.10; layouts, and UT21 to UT24, are a project
choice. UT16 and UT19 are laid out in ``osgp.app.messages``. Like all table data they are least
significant byte first. UT19 alone may be written.
"""

from __future__ import annotations

from osgp.tables.table import USER
from osgp.wire import Bits, LTime, OpenEnum, Struct, bit
from osgp.wire import fields as f

__all__ = [
    "ALERT_ROUTE",
    "BLOCK_HASHES",
    "CONTACTOR",
    "FIRMWARE",
    "GENERATION",
    "HEARD_ANSWERS",
    "LINK_REGISTER",
    "PREPAY",
    "RECEIVED_BLOCKS",
    "BlockHashes",
    "ContactorState",
    "FirmwareState",
    "GenerationState",
    "HeardAnswer",
    "HeardAnswers",
    "HereState",
    "Link",
    "LinkPath",
    "LinkRegister",
    "PrepayState",
]

RECEIVED_BLOCKS = USER + 16
HEARD_ANSWERS = USER + 17
LINK_REGISTER = USER + 18
ALERT_ROUTE = USER + 19
BLOCK_HASHES = USER + 20
CONTACTOR = USER + 21
PREPAY = USER + 22
GENERATION = USER + 23
FIRMWARE = USER + 24


class _User(Struct, floor="node", source="spec/osgp-application.md 3.9, 3.10; project choice", status="project choice"):
    """What these layouts share: their source and standing."""


class HereState(OpenEnum):
    """How far a device has come, as it tells it in an answer to a probe (project choice)."""

    NEW = 0
    CHALLENGED = 1
    COMMISSIONED = 2
    UP = 3


class BlockHashes(_User):
    """UT20: what is held, in runs of 64 blocks, so that spoilt ones are found without sending all of them."""

    runs: bytes = f.binary(
        default=b"", doc="first 8 bytes of SHA-256 over each run, one after the other; gaps count as zeros"
    )


class HeardAnswer(_User):
    """One device that answered a probe of ours: a proposal, nothing more, because answers are not authenticated."""

    unique_node_id: bytes = f.binary(6, doc="as it says")
    strength_there: int = f.i8(unit="dB", doc="of the probe, as it says")
    margin_there: int = f.u8(unit="dB", doc="of the probe, as it says")
    strength_here: int = f.i8(unit="dB", doc="of its answer, measured here")
    margin_here: int = f.i8(unit="dB", doc="of its answer, measured here")
    phase: int = f.u8(values={0: "unknown"}, doc="of the mains, 1 to 6 in steps of 60 degrees, as it says")
    state: int = f.code(HereState, doc="how far it has come, as it says")
    alternate_path: int = f.u8(values={0: "primary", 1: "secondary"}, doc="carrier on which its answer came")
    program_id: bytes = f.binary(8, doc="as it says")


class HeardAnswers(_User):
    """UT17: the best 16 answers to the latest round of probes."""

    round: int = f.u16(default=0, doc="of the probe")
    lost: int = f.u8(
        default=0, doc="frames that came damaged since the round began, at most 255: collisions among them"
    )
    count: int = f.u8(default=0, doc="answers, at most 16")
    answers: list[HeardAnswer] = f.record(HeardAnswer, count=count, default=())


class LinkPath(Bits, size=1):
    """On which carrier a neighbour was heard, and on which phase of the mains it seems to sit."""

    alternate_path: int = bit(0, values={0: "primary", 1: "secondary"}, doc="carrier: each is a link of its own")
    phase: int = bit(1, 3, values={0: "unknown"}, doc="of its mains as seen here, 1 to 6 in steps of 60 degrees")


class Link(_User):
    """How well one neighbour and this device hear each other."""

    subnet: int = f.u8(doc="of the neighbour")
    node: int = f.u8(doc="of the neighbour")
    path: LinkPath = f.bits(LinkPath, doc="carrier and phase")
    strength: int = f.i8(unit="dB", doc="of its latest frame here")
    margin_in: int = f.i8(unit="dB", doc="of its latest frame here")
    margin_out: int = f.i8(
        unit="dB", values={-128: "not known"}, doc="of our frames there, as it answered a link probe"
    )
    age: int = f.u16(unit="min", doc="since its latest frame; stays at 65535")


class LinkRegister(_User):
    """UT18: links to neighbours, those heard last first."""

    count: int = f.u8(default=0, doc="links, at most 16")
    links: list[Link] = f.record(Link, count=count, default=())


class ContactorState(_User):
    """UT21: why the load is on or off."""

    closed: int = f.u8(default=1, values={0: "open", 1: "closed"}, doc="load disconnect")
    lock: int = f.u8(
        default=0,
        values={0: "none", 1: "button may close", 2: "only a remote order closes", 3: "locked open: only EP36 unlocks"},
        doc="while open",
    )
    reason: int = f.u8(
        default=0,
        values={
            0: "none",
            1: "remote order",
            2: "schedule",
            3: "power limit",
            4: "prepay",
            5: "average power",
            6: "button",
        },
        doc="of the last opening",
    )
    lock_open_at: LTime = f.ltime(doc="UTC at which the load will be locked open; zero: not scheduled")
    limit_w: int = f.u32(default=0, unit="W", doc="power limit in force, 0 none")
    limit_level: int = f.u8(default=0, values={0: "off", 1: "primary", 2: "secondary"}, doc="which of the two levels")
    limit_s: int = f.u16(default=0, unit="s", doc="over which the power is averaged")
    openings: int = f.u16(default=0, doc="by the power limit, since it was switched on")


class PrepayState(_User):
    """UT22: prepayment."""

    enabled: int = f.u8(default=0, values={0: "off", 1: "on"}, doc="prepayment")
    credit: int = f.i32(default=0, unit="Wh", doc="left; below 0: emergency credit in use")
    emergency: int = f.u32(default=0, unit="Wh", doc="that may be used beyond 0")
    warning: int = f.u32(default=0, unit="Wh", doc="the warning sounds below it")
    last_token: int = f.u32(default=0, doc="number of the last credit that was taken")
    state: int = f.u8(
        default=0,
        values={0: "off", 1: "in credit", 2: "warning", 3: "emergency credit", 4: "exhausted"},
        doc="what follows",
    )
    rates: list[int] = f.u16(count=8, unit="Wh/kWh", doc="taken from the credit, by tier")


class GenerationState(_User):
    """UT23: curtailment of an inverter."""

    rated_w: int = f.u32(default=0, unit="W", doc="most that the generator gives")
    level: int = f.u8(default=100, unit="%", doc="of the rated power that it may give now")
    ends: LTime = f.ltime(doc="UTC at which the order ends by itself; zero: it does not")
    seconds: int = f.u32(default=0, unit="s", doc="curtailed so far, in all")


class FirmwareState(_User):
    """UT24: what runs, and how far the next image has come."""

    version: int = f.u32(default=0, doc="of the image that runs, as in its trailer")
    floor: int = f.u32(default=0, doc="lowest version that is taken")
    state: int = f.u8(
        default=0, values={0: "idle", 1: "loading", 2: "waiting for its moment", 3: "on trial"}, doc="state"
    )
    missing: int = f.u16(default=0, doc="blocks that have not come")
    moment: LTime = f.ltime(doc="UTC of the switch, or at which the trial ends; zero: neither")
    result: int = f.u8(default=0, doc="of the last check, as EP10 answered it")
    sha256: bytes = f.binary(
        8, default=bytes(8), doc="first bytes of the hash of the image that runs; zero: from the factory"
    )
