"""BP05 Update Last Read Entry (ANSI name, unverified) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["BP05"]


class BP05(Procedure):
    """Update Last Read Entry (ANSI name, unverified)."""

    number = 5
    title = "Update Last Read Entry (ANSI name, unverified)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = (("Clears overflow flags of BT63, BT74 and ET79 (with BP04); not idempotent, keep out of transactions."),)
