"""EP06 Reconfigures extended logs (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP06"]


class EP06(Procedure):
    """Reconfigures extended logs (name not given)."""

    number = 2054
    title = "Reconfigures extended logs (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Updates ET36; increments ET04.IDT_VERSION.",)
