"""EP33 Demand configuration / reset (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP33"]


class EP33(Procedure):
    """Demand configuration / reset (name not given)."""

    number = 2081
    title = "Demand configuration / reset (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = (("Changes demand interval; listed as a demand reset instigator; increments ET04.IDT_VERSION."),)
