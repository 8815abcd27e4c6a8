"""BP15 Clear Specific Pending Table(s) (heading missing in the guide; number per ANSI C12.19, unverified) (optical guide p. 12)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Bits, Struct, bit
from osgp.wire import fields as f

__all__ = ["BP15"]


class BP15(Procedure):
    """Clear Specific Pending Table(s) (heading missing in the guide; number per ANSI C12.19, ..."""

    number = 15
    title = "Clear Specific Pending Table(s) (heading missing in the guide; number per ANSI C12.19, unverified)"
    source = "optical guide p. 12"
    status = "unverified"
    defined = True
    optical = ("MK", "PK")
    results = {1: "no pending table matched", 3: "internal conflict while processing"}
    notes = ("Clears the pending state of tables whose PED matches; data is not changed.",)

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        class Event(Bits, size=1):
            """Activation condition."""

            event_code: int = bit(0, 4, doc="0 absolute, 1 relative, 2 no automatic activation")
            self_read_flag: int = bit(4, 1, doc="self read before activation")
            demand_reset_flag: int = bit(5, 1, doc="demand reset before activation")
            unlisted_6: int = bit(6, 2, doc="not listed")

        event: Event = f.bits(Event, doc="activation condition")
        event_storage: bytes = f.binary(5, doc="stime UTC, or weeks/days/hours/minutes/seconds, or opaque")
