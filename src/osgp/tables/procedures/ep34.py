"""EP34 Demand reset instigator (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP34"]


class EP34(Procedure):
    """Demand reset instigator (name not given)."""

    number = 2082
    title = "Demand reset instigator (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Listed with EP33 in ET41.RESET_REASON.",)
