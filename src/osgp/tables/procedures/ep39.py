"""EP39 Post MEP Data (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP39"]


class EP39(Procedure):
    """Post MEP Data."""

    number = 2087
    title = "Post MEP Data"
    source = "mentioned only"
    status = "unverified"
    defined = False
    mep = ("MBK", "MAK")
    notes = (
        (
            "Types named: scheduled read data, scheduled read data plus alarms, clear M-Bus "
            "alert, clear delta data alert (type 12). Dimensions in BT00 and ET11; may exceed "
            "BT07 inside an ET52 transaction."
        ),
    )
