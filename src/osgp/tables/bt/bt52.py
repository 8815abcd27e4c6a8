"""BT52 UTC Clock (MEP guide p. 224)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, bit
from osgp.wire import fields as f

__all__ = ["BT52"]


class BT52(
    Table,
    number=52,
    title="UTC Clock",
    role="status",
    source="MEP guide p. 224",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), nvm_write=False, nvm_read=False),
):
    """UTC Clock."""

    clock_calendar: LTime = f.ltime(vci="M", doc="UTC, updated each second")

    class TimeQual(Bits, size=1):
        """Qualifiers."""

        day_of_week: int = bit(
            0,
            3,
            vci="M",
            values={0: "Sunday", 1: "Monday", 2: "Tuesday", 3: "Wednesday", 4: "Thursday", 5: "Friday", 6: "Saturday"},
            doc="day of week",
        )
        dst_flag: int = bit(3, 1, vci="M", doc="DST in effect (not applied here)")
        gmt_flag: int = bit(4, 1, vci="F", doc="time is GMT")
        tz_applied: int = bit(5, 1, vci="F", doc="time zone not applied")
        dst_applied: int = bit(6, 1, vci="F", doc="DST not applied")
        filler: int = bit(7, 1, doc="zero")

    time_qual: TimeQual = f.bits(TimeQual, doc="qualifiers")
