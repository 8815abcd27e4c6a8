"""EP18 Clears ET14 alarms / M-Bus multicast group use (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP18"]


class EP18(Procedure):
    """Clears ET14 alarms / M-Bus multicast group use (name not given)."""

    number = 2066
    title = "Clears ET14 alarms / M-Bus multicast group use (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = (("Clears latched MEP_ALARMS and DEVICE_ALARMS in ET14; ET34 GROUP_MASK refers to it for multicast."),)
