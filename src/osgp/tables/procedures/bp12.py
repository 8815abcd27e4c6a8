"""BP12 Activate All Pending Tables (ANSI name, unverified) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["BP12"]


class BP12(Procedure):
    """Activate what is pending, now."""

    number = 12
    title = "Activate All Pending Tables (ANSI name, unverified)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = (
        "Activates pending tables regardless of the event code.",
        "number and parameters as generally known of ANSI C12.19 (unverified)",
    )
