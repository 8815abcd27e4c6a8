"""BP10 Set Date and/or Time (ANSI name, unverified) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["BP10"]


class BP10(Procedure):
    """Set Date and/or Time (ANSI name, unverified)."""

    number = 10
    title = "Set Date and/or Time (ANSI name, unverified)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("ET04 bit can deny it to the read-only key.",)
