"""BP13 Activate Specific Pending Table(s) (ANSI name, unverified) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["BP13"]


class BP13(Procedure):
    """Activate Specific Pending Table(s) (ANSI name, unverified)."""

    number = 13
    title = "Activate Specific Pending Table(s) (ANSI name, unverified)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Activates pending tables regardless of the event code.",)
