"""EP37 Reconfigures extended logs (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP37"]


class EP37(Procedure):
    """Reconfigures extended logs (name not given)."""

    number = 2085
    title = "Reconfigures extended logs (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Updates ET36 (ET32, ET45 entry size); increments ET04.IDT_VERSION.",)
