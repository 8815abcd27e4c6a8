"""EP11 Load profile configuration (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP11"]


class EP11(Procedure):
    """Load profile configuration (name not given)."""

    number = 2059
    title = "Load profile configuration (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = (("Sets LP dimensions and ET66, clears BT63 overflow; increments ET04.IDT_VERSION."),)
