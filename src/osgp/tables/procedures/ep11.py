"""EP11 Load profile configuration (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP11"]


class EP11(Procedure):
    """Configure a load profile data set anew; its data are lost."""

    number = 2059
    title = "Load profile configuration (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    results = {2: "not a possible configuration", 3: "does not fit the memory (BT60)"}
    notes = (
        "Sets LP dimensions and ET66, clears BT63 overflow; increments ET04.IDT_VERSION.",
        "Parameters are not in the guides: project choice.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        data_set: int = f.u8(values={(0, 3): "data set 1..4"}, doc="which data set, from 0")
        interval_time: int = f.u8(unit="min", values={(0, 60): "minutes, 0 off", 84: "24 hours"}, doc="as BT61")
        nbr_blk_ints: int = f.u16(doc="intervals per block")
        nbr_blks: int = f.u16(doc="blocks")
        nbr_chns: int = f.u8(doc="channels, 0..16")
        sources: list[int] = f.u16(count=nbr_chns, doc="extended source IDs; those above 255 go through ET66")
