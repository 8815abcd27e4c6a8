"""EP06 Reconfigures extended logs (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP06"]


class EP06(Procedure):
    """Give a log of ET36 another number of entries; it begins empty."""

    number = 2054
    title = "Reconfigures extended logs (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    results = {2: "no such log, or too many entries"}
    notes = (
        "Updates ET36; increments ET04.IDT_VERSION.",
        "Parameters are not in the guides: project choice.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        log_index: int = f.u8(doc="position in ET36.LOGS")
        entries: int = f.u8(doc="entries from now on")
