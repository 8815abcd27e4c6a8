"""EP03 Clears alarms (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP03"]


class EP03(Procedure):
    """Clear all alarms of BT03."""

    number = 2051
    title = "Clears alarms (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    notes = (
        "Used to clear the Cover Removed alarm.",
        "Clears the alarm bits of BT03; parameters are not in the guides: none (project choice).",
    )
