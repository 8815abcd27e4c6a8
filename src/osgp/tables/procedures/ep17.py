"""EP17 Remove MEP Device (MEP guide p. 243)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP17"]


class EP17(Procedure):
    """Remove MEP Device."""

    number = 2065
    title = "Remove MEP Device"
    source = "MEP guide p. 243"
    status = "verified"
    defined = True
    mep = ("MAK", "MBK")
    results = {
        1: "not complete, until all requested devices are removed",
        2: "invalid action",
        3: "handle matches no installed device",
        4: "a remove request is already in progress",
    }
    notes = (
        "MBK may remove only the MEP client, not M-Bus devices (meter clients).",
        (
            "Clears MEP registration flag and icon control in ET50, the ET14 entry and occupancy "
            "bit; ET14 baud rate returns to 9600; ET16 data stays."
        ),
        "Avoid action 1 for M-Bus devices: address 250 cannot be rediscovered.",
        ("Worked example: BT07 write 11 08 07 00 F8 03 = EP17, PSN 7, action 0, handle 0x03F8."),
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        action: int = f.u8(
            vci="H",
            values={0: "remove, primary address 0", 1: "remove, primary address 250"},
            doc="re-addressing after removal",
        )
        device_handle: int = f.u16(
            vci="H", doc=("handle of the device; 0xFFFF = all devices (provisioning only, addresses unchanged)")
        )
