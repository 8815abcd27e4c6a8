"""EP36 Schedule Lock Open (spec/osgp-application.md 1.8)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import LTime, Struct
from osgp.wire import fields as f

__all__ = ["EP36"]


class EP36(Procedure):
    """Lock the load disconnect open at a time."""

    number = 2084
    title = "Schedule Lock Open"
    source = "spec/osgp-application.md 1.8"
    status = "project choice"
    defined = False
    results = {2: "no such action, or no time"}
    notes = ("The number is that of the meter user's guide; parameters are not in the guides: project choice.",)

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        action: int = f.u8(
            values={0: "at the time given", 1: "now", 2: "forget the schedule", 3: "unlock: the button may close"},
            doc="what to do",
        )
        at: LTime | None = f.ltime(optional=True, default=None, doc="UTC")
