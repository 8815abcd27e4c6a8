"""EP23 Remote Reconnect (spec/osgp-application.md 1.8)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import LTime, Struct
from osgp.wire import fields as f

__all__ = ["EP23"]


class EP23(Procedure):
    """Close the load disconnect, or let the customer do so."""

    number = 2071
    title = "Remote Reconnect"
    source = "spec/osgp-application.md 1.8"
    status = "project choice"
    defined = False
    results = {3: "prepaid credit is exhausted", 4: "the order has expired"}
    notes = ("The number is that of the meter user's guide; parameters are not in the guides: project choice.",)

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        action: int = f.u8(values={0: "close", 1: "let the button close"}, doc="what to do")
        expiry: LTime | None = f.ltime(
            optional=True, default=None, doc="UTC after which the order is refused; zero: it does not expire"
        )
