"""EP02 Remote relay/disconnect control (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP02"]


class EP02(Procedure):
    """Remote relay/disconnect control (name not given)."""

    number = 2050
    title = "Remote relay/disconnect control (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = (("Opens or closes the control relay remotely; keep-alive/heartbeat source for relays in ET97."),)
