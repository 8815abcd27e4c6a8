"""EP22 Switch Maximum Power Level (spec/osgp-application.md 1.8)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP22"]


class EP22(Procedure):
    """Limit the power that a customer may take."""

    number = 2070
    title = "Switch Maximum Power Level"
    source = "spec/osgp-application.md 1.8"
    status = "project choice"
    defined = False
    results = {2: "no such level, or one without a limit"}
    notes = ("The number is that of the meter user's guide; parameters are not in the guides: project choice.",)

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        level: int = f.u8(values={0: "no limit", 1: "primary", 2: "secondary"}, doc="level in force from now on")
        primary: int | None = f.u32(optional=True, default=None, unit="W", doc="new limit of the primary level")
        secondary: int | None = f.u32(optional=True, default=None, unit="W", doc="new limit of the secondary level")
        seconds: int | None = f.u16(
            optional=True,
            default=None,
            unit="s",
            doc="the power is averaged over these; 10 to 3600, 60 from the factory",
        )
        reclose: int | None = f.u16(
            optional=True, default=None, unit="s", doc="close again after these; 0: only the customer's button does"
        )
