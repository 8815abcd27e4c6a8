"""EP02 Remote relay/disconnect control (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP02"]


class EP02(Procedure):
    """Open or close the load disconnect or a control relay."""

    number = 2050
    title = "Remote relay/disconnect control (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    notes = (
        "Opens or closes the control relay remotely; keep-alive/heartbeat source for relays in ET97.",
        "Parameters are not in the guides: project choice.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        target: int = f.u8(
            values={0: "load disconnect", 1: "control relay 1", 2: "control relay 2"}, doc="what switches"
        )
        action: int = f.u8(values={0: "open", 1: "close"}, doc="new state")
