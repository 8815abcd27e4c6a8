"""EP21 Prepay Credit (spec/osgp-application.md 1.8)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP21"]


class EP21(Procedure):
    """Give credit, or set prepayment up."""

    number = 2069
    title = "Prepay Credit"
    source = "spec/osgp-application.md 1.8"
    status = "project choice"
    defined = False
    results = {4: "a credit with a number that is not above the last"}
    notes = ("The number is that of the meter user's guide; parameters are not in the guides: project choice.",)

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        action: int = f.u8(values={0: "credit", 1: "switch on", 2: "switch off"}, doc="what to do")
        token: int = f.u32(
            doc="credit: its number, which must rise; the last one again changes nothing and is answered with 0"
        )
        amount: int = f.i32(unit="Wh", doc="credit: added to what is left")
        emergency: int | None = f.u32(
            optional=True, default=None, unit="Wh", doc="switch on: that may be used beyond 0"
        )
        warning: int | None = f.u32(optional=True, default=None, unit="Wh", doc="switch on: warn below it")
        rates: list[int] | None = f.u16(
            count=8, optional=True, default=None, unit="Wh/kWh", doc="switch on: taken from the credit, by tier"
        )
