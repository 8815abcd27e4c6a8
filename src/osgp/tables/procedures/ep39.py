"""EP39 Post MEP Data (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP39"]


class EP39(Procedure):
    """A MEP client hands over data, or answers an alert."""

    number = 2087
    title = "Post MEP Data"
    source = "mentioned only"
    status = "unverified"
    defined = False
    mep = (
        "MBK",
        "MAK",
    )
    notes = (
        "Types named: scheduled read data, scheduled read data plus alarms, clear M-Bus alert, clear delta data alert (type 12).",
        "Not described in the guides; layout from field software (unverified).",
        "Larger than BT07 holds: put the write into a transaction.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        kind: int = f.u8(
            values={
                4: "scheduled read data (field notes)",
                5: "scheduled read data with alarms",
                12: "clear delta data alert",
            },
            doc="type of data",
        )
        second: int = f.u8(doc="field software sends 1")
        length: int = f.u16(unit="byte", doc="bytes that follow")
        data: bytes = f.binary(length, at_most=True, doc="the data")
