"""EP64 Reset previous season data (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP64"]


class EP64(Procedure):
    """Set BT24 to zero."""

    number = 2112
    title = "Reset previous season data (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    notes = (
        "Resets BT24 on fw 4.10+.",
        "Parameters are not in the guides: none (project choice).",
    )
