"""The APDU: a code and its data; by the code an application message, a foreign frame, diagnostics, management or a variable.

ISO/IEC 14908-1, application layer; ``spec/iso14908-1.md`` 5.1, 5.3. A response's code is not distinguishable from an
application message by itself: the session decides, never the codec.
"""

from __future__ import annotations

from osgp.wire import Bits, OpenEnum, Struct, bit
from osgp.wire import fields as f

__all__ = [
    "CLASSIC_PROXY",
    "OFFLINE",
    "PROXY",
    "PROXY_FAILED",
    "ROUTER_ESCAPE",
    "Apdu",
    "Family",
    "NvHeader",
    "NvMessage",
    "failure_code",
    "family",
    "success_code",
]

OFFLINE = 0x3F
"""Response of an application that is offline."""
PROXY_FAILED = 0x4C
"""Response of the enhanced proxy: a hop failed; one byte says which."""
PROXY = 0x4D
"""Enhanced proxy message; as a response: done."""
CLASSIC_PROXY = 0x52
"""Classic proxy: with an address for an agent, without one for the node itself."""
ROUTER_ESCAPE = 0x7E
"""A command for the other half of a router: the command follows."""


class Family(OpenEnum):
    """What an APDU's first byte says it is."""

    APPLICATION = 0
    FOREIGN = 1
    DIAGNOSTIC = 2
    MANAGEMENT = 3
    VARIABLE = 4


_FAMILIES = tuple(
    Family.VARIABLE
    if code >= 0x80
    else Family.MANAGEMENT
    if code >= 0x60
    else Family.DIAGNOSTIC
    if code >= 0x50
    else Family.FOREIGN
    if code >= 0x40
    else Family.APPLICATION
    for code in range(256)
)


def family(code: int) -> Family:
    """The family of a message by its first byte (0..255)."""
    return _FAMILIES[code]


class Apdu(Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.1", status="verified"):
    """Any APDU."""

    code: int = f.u8(
        values={
            (0x00, 0x3C): "application message",
            0x3D: "interoperable self-installation",
            0x3E: "file transfer",
            0x3F: "application message (offline)",
            (0x40, 0x4B): "foreign frame",
            0x4C: "enhanced proxy failed",
            0x4D: "enhanced proxy",
            0x4E: "AES-GCM wrapper",
            0x4F: "foreign frame (offline)",
            (0x50, 0x5F): "network diagnostic",
            (0x60, 0x7F): "network management",
            (0x80, 0xFF): "network variable",
        }
    )
    data: bytes = f.binary(default=b"")


class NvHeader(Bits, size=2):
    """First two bytes of a network variable message."""

    selector: int = bit(0, 14, orig="NV_SELECTOR", doc="which variables are bound together")
    direction: int = bit(
        14, orig="NV_DIR", values={0: "update of an input, or a poll's response", 1: "poll of an output"}
    )
    variable: int = bit(15, orig="NV", doc="always 1")


class NvMessage(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.1", status="verified"
):
    """Update or poll of a network variable; a poll, and the answer of a node that does not know it, have no value."""

    header: NvHeader = f.bits(NvHeader)
    value: bytes = f.binary(default=b"")


def success_code(code: int) -> int:
    """The response code of a diagnostic (50..5F) or management (60..7F) request that was carried out."""
    return 0x20 | code & 0x1F if code >= 0x60 else 0x30 | code & 0x0F


def failure_code(code: int) -> int:
    """The response code of a diagnostic (50..5F) or management (60..7F) request that was refused."""
    return code & 0x1F if code >= 0x60 else 0x10 | code & 0x0F
