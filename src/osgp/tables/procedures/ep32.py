"""EP32 Demand configuration (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP32"]


class EP32(Procedure):
    """Configure the demand registers; demand and self-read data begin anew."""

    number = 2080
    title = "Demand configuration (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    results = {2: "a source without power, or too many"}
    notes = (
        "Sets demand sources and ET41 size; increments ET04.IDT_VERSION.",
        "Parameters are not in the guides: project choice.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        nbr_demands: int = f.u8(doc="demand registers, 0..8")
        sources: list[int] = f.u8(count=nbr_demands, doc="source IDs of the demands: 8..11 or 20")
