"""Network management of routers, codes 74 to 7C and 7E: kinds of routers, their mode, their tables.

Router manuals and an open stack, read, not run; ``spec/iso14908-1.md`` 2.4, 5.5. A table has 256 bits, one for each subnet or
group, in four blocks of eight bytes; bit n is bit n % 8, least significant first, of byte n // 8 (unverified).
"""

from __future__ import annotations

from osgp.lon.apdu import ROUTER_ESCAPE
from osgp.lon.nm import Management
from osgp.wire import Bits, OpenEnum, bit
from osgp.wire import fields as f

__all__ = [
    "ClearGroupForward",
    "ClearRouterTable",
    "ClearSubnetForward",
    "DownloadRouterTable",
    "ForwardSelect",
    "QueryRouterStatus",
    "QueryRouterTable",
    "RouterEscape",
    "RouterKind",
    "RouterMode",
    "RouterStatusResponse",
    "RouterTableResponse",
    "SetGroupForward",
    "SetRouterMode",
    "SetSubnetForward",
    "TableSelect",
]

_SOURCE = "open stack; spec/iso14908-1.md 5.5"
_MODES = {0: "normal", 1: "initialise subnet tables", 2: "temporary bridge"}
_MEMORY = {0: "volatile", 1: "permanent"}


class RouterKind(OpenEnum):
    """How a router decides."""

    CONFIGURED = 0
    LEARNING = 1
    BRIDGE = 2
    REPEATER = 3


class RouterMode(OpenEnum):
    """What a router does for the time being."""

    NORMAL = 0
    INITIALISE = 1
    TEMPORARY_BRIDGE = 2


class SetRouterMode(Management, source=_SOURCE, status="unverified"):
    """Change a router's mode, on both sides."""

    code: int = f.u8(default=0x74, values={0x74: "set router mode"})
    mode: int = f.u8(default=0, values=_MODES)


class TableSelect(Bits, size=1):
    """Which part of which table."""

    block: int = bit(0, 2, orig="SEGMENT", doc="8 bytes from 8 * block on")
    permanent: int = bit(5, orig="EEPROM", doc="queries: the table that survives a reset", values=_MEMORY)
    domain_index: int = bit(6, orig="DOMAIN")
    group: int = bit(7, orig="GROUP", values={0: "subnets", 1: "groups"})


class ClearRouterTable(Management, source=_SOURCE, status="unverified"):
    """Set a block of a table to zero."""

    code: int = f.u8(default=0x75, values={0x75: "clear router table"})
    select: TableSelect = f.bits(TableSelect, default=0)


class DownloadRouterTable(Management, source=_SOURCE, status="unverified"):
    """Write a block of a table."""

    code: int = f.u8(default=0x76, values={0x76: "download router table"})
    select: TableSelect = f.bits(TableSelect, default=0)
    block: bytes = f.binary(8, default=bytes(8))


class QueryRouterTable(Management, source=_SOURCE, status="unverified"):
    """Ask for a block of a table."""

    code: int = f.u8(default=0x7B, values={0x7B: "query router table"})
    select: TableSelect = f.bits(TableSelect, default=0)


class RouterTableResponse(Management, source=_SOURCE, status="unverified"):
    """A block of a table."""

    code: int = f.u8(default=0x3B, values={0x3B: "router table"})
    block: bytes = f.binary(8, default=bytes(8))


class ForwardSelect(Bits, size=1):
    """Which table of which memory."""

    permanent: int = bit(0, orig="EEPROM", values=_MEMORY)
    domain_index: int = bit(6, orig="DOMAIN")


class SetGroupForward(Management, source=_SOURCE, status="unverified"):
    """Forward a group."""

    code: int = f.u8(default=0x77, values={0x77: "forward group"})
    select: ForwardSelect = f.bits(ForwardSelect, default=0)
    number: int = f.u8(default=0, orig="GROUP")


class SetSubnetForward(Management, source=_SOURCE, status="unverified"):
    """Forward a subnet."""

    code: int = f.u8(default=0x78, values={0x78: "forward subnet"})
    select: ForwardSelect = f.bits(ForwardSelect, default=0)
    number: int = f.u8(default=0, orig="SUBNET")


class ClearGroupForward(SetGroupForward):
    """Forward a group no longer."""

    code: int = f.u8(default=0x79, values={0x79: "do not forward group"})


class ClearSubnetForward(SetSubnetForward):
    """Forward a subnet no longer."""

    code: int = f.u8(default=0x7A, values={0x7A: "do not forward subnet"})


class QueryRouterStatus(Management, source=_SOURCE, status="unverified"):
    """Ask what kind of router this is."""

    code: int = f.u8(default=0x7C, values={0x7C: "router status"})


class RouterStatusResponse(Management, source=_SOURCE, status="unverified"):
    """Kind and mode of a router."""

    code: int = f.u8(default=0x3C, values={0x3C: "router status"})
    kind: int = f.u8(
        default=0, orig="TYPE", values={0: "configured router", 1: "learning router", 2: "bridge", 3: "repeater"}
    )
    mode: int = f.u8(default=0, values=_MODES)


class RouterEscape(Management, source=_SOURCE, status="unverified"):
    """A command for the other half of a router."""

    code: int = f.u8(default=ROUTER_ESCAPE, values={ROUTER_ESCAPE: "router escape"})
    apdu: bytes = f.binary(default=b"", doc="the command")
