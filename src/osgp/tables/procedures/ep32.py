"""EP32 Demand configuration (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP32"]


class EP32(Procedure):
    """Demand configuration (name not given)."""

    number = 2080
    title = "Demand configuration (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Sets demand sources and ET41 size; increments ET04.IDT_VERSION.",)
