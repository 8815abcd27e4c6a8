"""EP37 Reconfigures extended logs (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP37"]


class EP37(Procedure):
    """Give the entries of a log of ET36 another size and number; it begins empty."""

    number = 2085
    title = "Reconfigures extended logs (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    results = {2: "no such log, or size or number out of range"}
    notes = (
        "Updates ET36 (ET32, ET45 entry size); increments ET04.IDT_VERSION.",
        "Parameters are not in the guides: project choice. ET32 has no layout there: log 4, ET45, alone is taken.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        log_index: int = f.u8(values={4: "ET45"}, doc="position in ET36.LOGS")
        entry_size: int = f.u16(unit="byte", doc="size of an entry, 32 to 1000")
        entries: int = f.u8(doc="entries from now on")
