"""BP04 Reset List Pointers (ANSI name, unverified) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["BP04"]


class BP04(Procedure):
    """Forget the entries of a list."""

    number = 4
    title = "Reset List Pointers (ANSI name, unverified)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = (
        "Clears overflow flags of BT63, BT74 and ET79 (with BP05).",
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
