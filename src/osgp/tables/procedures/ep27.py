"""EP27 Add or Remove Group (spec/osgp-application.md 1.8)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP27"]


class EP27(Procedure):
    """Change the groups whose broadcasts the device takes."""

    number = 2075
    title = "Add or Remove Group"
    source = "spec/osgp-application.md 1.8"
    status = "project choice"
    defined = False
    results = {2: "no such group", 7: "ten groups already"}
    notes = ("The number is that of the meter user's guide; parameters are not in the guides: project choice.",)

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        action: int = f.u8(values={0: "add", 1: "remove", 2: "remove all"}, doc="what to do")
        group: int | None = f.u16(optional=True, default=None, doc="group id; 0 and sub-group FF are none")
