"""BP14 Clear All Pending Tables (ANSI name, unverified) (ANSI C12.19)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["BP14"]


class BP14(Procedure):
    """Forget what is pending."""

    number = 14
    title = "Clear All Pending Tables (ANSI name, unverified)"
    source = "ANSI C12.19"
    status = "unverified"
    defined = False
    notes = ("number and parameters as generally known of ANSI C12.19 (unverified)",)
