"""EP03 Clears alarms (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP03"]


class EP03(Procedure):
    """Clears alarms (name not given)."""

    number = 2051
    title = "Clears alarms (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Used to clear the Cover Removed alarm.",)
