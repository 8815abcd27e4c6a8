"""EP26 Decrements unread entries of ET36 logs (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP26"]


class EP26(Procedure):
    """Entries of a log of ET36 have been read."""

    number = 2074
    title = "Decrements unread entries of ET36 logs (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    notes = (
        "Clears the log alarm when no unread entries remain.",
        "Parameters are not in the guides: project choice.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        log_index: int = f.u8(doc="position in ET36.LOGS")
        entries_read: int = f.u16(doc="how many unread entries were taken")
