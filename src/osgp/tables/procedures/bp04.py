"""BP04 Reset List Pointers (ANSI name, unverified) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["BP04"]


class BP04(Procedure):
    """Reset List Pointers (ANSI name, unverified)."""

    number = 4
    title = "Reset List Pointers (ANSI name, unverified)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Clears overflow flags of BT63, BT74 and ET79 (with BP05).",)
