"""EP34 Demand reset instigator (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP34"]


class EP34(Procedure):
    """Reset the demands now."""

    number = 2082
    title = "Demand reset instigator (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    results = {3: "no demand is configured"}
    notes = (
        "Listed with EP33 in ET41.RESET_REASON.",
        "Parameters are not in the guides: none (project choice).",
    )
