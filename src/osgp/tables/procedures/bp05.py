"""BP05 Update Last Read Entry (ANSI name, unverified) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["BP05"]


class BP05(Procedure):
    """Entries of a list have been read."""

    number = 5
    title = "Update Last Read Entry (ANSI name, unverified)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = (
        "Clears overflow flags of BT63, BT74 and ET79 (with BP04); not idempotent, keep out of transactions.",
        "number and parameters as generally known of ANSI C12.19 (unverified)",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        list_type: int = f.u8(
            values={
                1: "event log",
                2: "self reads",
                (3, 6): "load profile set 1..4",
                7: "history log",
                255: "all lists",
            },
            doc="which list (codes unverified; 7: BT74)",
            status="unverified",
        )
        entries_read: int = f.u16(doc="how many unread entries were taken", status="unverified")
