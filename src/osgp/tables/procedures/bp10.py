"""BP10 Set Date and/or Time (ANSI name, unverified) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Bits, LTime, Struct, bit
from osgp.wire import fields as f

__all__ = ["BP10"]


class BP10(Procedure):
    """Set the UTC clock."""

    number = 10
    title = "Set Date and/or Time (ANSI name, unverified)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = (
        "ET04 bit can deny it to the read-only key.",
        "number and parameters as generally known of ANSI C12.19 (unverified)",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        class SetMask(Bits, size=1):
            """What is set."""

            set_time: int = bit(0, 1, doc="set the time of day")
            set_date: int = bit(1, 1, doc="set the date")
            unlisted_2: int = bit(2, 6, doc="not listed")

        set_mask: SetMask = f.bits(SetMask, doc="what is set", status="unverified")
        date_time: LTime = f.ltime(doc="UTC", status="unverified")
        time_qual: int = f.u8(doc="qualifiers as BT52; not looked at", status="unverified")

    class Response(Struct, floor="tables"):
        """What is answered."""

        before: LTime = f.ltime(doc="UTC before", status="unverified")
        after: LTime = f.ltime(doc="UTC after", status="unverified")
