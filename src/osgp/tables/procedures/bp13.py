"""BP13 Activate Specific Pending Table(s) (ANSI name, unverified) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Bits, Struct, bit
from osgp.wire import fields as f

__all__ = ["BP13"]


class BP13(Procedure):
    """Activate the pending tables whose event description matches."""

    number = 13
    title = "Activate Specific Pending Table(s) (ANSI name, unverified)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    results = {1: "no pending table matched"}
    notes = (
        "Activates pending tables regardless of the event code.",
        "Parameters as BP15 (unverified).",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        class Event(Bits, size=1):
            """Activation condition."""

            event_code: int = bit(0, 4, doc="0 absolute, 1 relative, 2 no automatic activation")
            self_read_flag: int = bit(4, 1, doc="self read before activation")
            demand_reset_flag: int = bit(5, 1, doc="demand reset before activation")
            unlisted_6: int = bit(6, 2, doc="not listed")

        event: Event = f.bits(Event, doc="activation condition")
        event_storage: bytes = f.binary(5, doc="as in the pending event description")
