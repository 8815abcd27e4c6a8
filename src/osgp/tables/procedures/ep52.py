"""EP52 Load profile source reconfiguration (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP52"]


class EP52(Procedure):
    """Load profile source reconfiguration (name not given)."""

    number = 2100
    title = "Load profile source reconfiguration (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Changes ET66; rejected when ET75 is full under Welmec compliance.",)
