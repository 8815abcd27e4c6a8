"""EP52 Load profile source reconfiguration (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP52"]


class EP52(Procedure):
    """Give the channels of a load profile data set other sources; its data stay."""

    number = 2100
    title = "Load profile source reconfiguration (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    results = {2: "not as many channels as the data set has, or no room in ET66", 3: "ET75 is full"}
    notes = (
        "Changes ET66; rejected when ET75 is full under Welmec compliance.",
        "Parameters are not in the guides: project choice.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        data_set: int = f.u8(values={(0, 3): "data set 1..4"}, doc="which data set, from 0")
        nbr_chns: int = f.u8(doc="channels, as many as the data set has")
        sources: list[int] = f.u16(count=nbr_chns, doc="extended source IDs; those above 255 go through ET66")
