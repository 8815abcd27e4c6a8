"""EP61 MEP Transaction Lock Control (MEP guide p. 247)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP61"]


class EP61(Procedure):
    """MEP Transaction Lock Control."""

    number = 2109
    title = "MEP Transaction Lock Control"
    source = "MEP guide p. 247"
    status = "verified"
    defined = True
    mep = ("MBK", "MAK")
    results = {3: "the other MEP client holds the lock", 5: "not executed by a MEP client"}
    notes = (
        "Fw 4.0+ meters with both MEP ports enabled. Automatic unlock after 10 s.",
        "ET54 refers to this lock as set via EP62 (misprint, unverified).",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        lock: int = f.u8(vci="H", values={0: "unlock", 1: "lock"}, doc="lock control")
