"""EP16 Change System Clock By Delta (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP16"]


class EP16(Procedure):
    """Move the clock."""

    number = 2064
    title = "Change System Clock By Delta"
    source = "mentioned only"
    status = "project choice"
    defined = False
    mep = (
        "MBK",
        "MAK",
    )
    notes = (
        "Rate limited by ET55.DELTA_TIME_INCREMENT, s a minute (0: at once, project choice); not idempotent.",
        "Parameters are not in the guides: project choice.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        delta: int = f.i32(unit="s", doc="added to the clock")
