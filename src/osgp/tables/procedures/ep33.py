"""EP33 Demand configuration / reset (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP33"]


class EP33(Procedure):
    """Set the demand interval; demands begin anew, after a demand reset."""

    number = 2081
    title = "Demand configuration / reset (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    results = {2: "no such interval", 3: "ET75 is full"}
    notes = (
        "Changes demand interval; listed as a demand reset instigator; increments ET04.IDT_VERSION.",
        "Parameters are not in the guides: project choice.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        subinterval: int = f.u8(unit="min", doc="sub-interval, a divisor of 60")
        multiplier: int = f.u8(doc="sub-intervals in an interval, 1 (block) to 15 (rolling)")
