"""EP18 Clears ET14 alarms / M-Bus multicast group use (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EP18"]


class EP18(Procedure):
    """Clear the latched alarms of M-Bus and MEP devices."""

    number = 2066
    title = "Clears ET14 alarms / M-Bus multicast group use (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    results = {3: "handle matches no installed device"}
    notes = (
        "Clears latched MEP_ALARMS and DEVICE_ALARMS in ET14; ET34 GROUP_MASK refers to it for multicast.",
        "Parameters are not in the guides: project choice.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        device_handle: int = f.u16(doc="handle of the device, 0xFFFF all")
