"""BT53 Time Offset (MEP guide p. 225)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import TimeOfDay
from osgp.wire import fields as f

__all__ = ["BT53"]


class BT53(
    Table,
    number=53,
    title="Time Offset",
    role="control",
    source="MEP guide p. 225",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",)),
):
    """Time Offset."""

    dst_time_eff: TimeOfDay = f.time(vci="H", doc="time of day of the DST switch (see ET04.DST_OFF_DELTA)")
    dst_time_amt: int = f.u8(unit="min", vci="H", doc="DST adjustment of BT55")
    time_zone_offset: int = f.i16(unit="min", vci="H", doc="offset of BT55, -12..+14 h")
