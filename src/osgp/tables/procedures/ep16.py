"""EP16 Change System Clock By Delta (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP16"]


class EP16(Procedure):
    """Change System Clock By Delta."""

    number = 2064
    title = "Change System Clock By Delta"
    source = "mentioned only"
    status = "unverified"
    defined = False
    mep = ("MBK", "MAK")
    notes = ("Rate limited by ET55.DELTA_TIME_INCREMENT; not idempotent.",)
