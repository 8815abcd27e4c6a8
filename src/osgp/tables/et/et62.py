"""ET62 Load Profile Display Configuration (MEP guide p. 167)."""

from __future__ import annotations

from osgp.tables.bt.bt60 import BT60
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, Struct, at, bit, env
from osgp.wire import fields as f

__all__ = ["ET62"]


class ET62(
    Table,
    number=2110,
    title="Load Profile Display Configuration",
    role="control",
    source="MEP guide p. 167",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), optical_read=("MK", "PK", "RK")),
    notes=(
        (
            "ID codes have 4 characters, 5 on generation 4 meters (env.GEN4). Decimal point "
            "fields: bit 0 rightmost, 4 (or 5) bits used. On generation 4 the default codes carry one more "
            "trailing space."
        ),
    ),
):
    """Load Profile Display Configuration."""

    class Flags(Bits, size=1):
        """Display flags."""

        display_local_time: int = bit(0, 1, default=0, values={0: "UTC", 1: "local"}, doc="LP display time base")
        use_all_id_chars: int = bit(
            1,
            1,
            default=0,
            values={0: "2 characters plus channel number", 1: "all 4 characters"},
            doc="channel ID of LP entries",
        )
        disable_lp_display: int = bit(2, 1, default=0, doc="1 = disabled (ignored with Welmec compliance)")
        unlisted_3: int = bit(3, 5, doc="not listed")

    flags: Flags = f.bits(Flags, vci="H", doc="display flags")
    lp_list_id: str = f.text(
        4 + env.gen4, vci="H", default="P01", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="ID on entering LP display"
    )
    lp_list_dp: int = f.u8(vci="H", default=4, doc="decimal points")
    lp_date_id: str = f.text(
        4 + env.gen4, vci="H", default="DATE", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="ID of interval date/time"
    )
    lp_date_dp: int = f.u8(vci="H", doc="decimal points")
    interval_time_id: str = f.text(
        4 + env.gen4, vci="H", default="TIME", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="ID of the interval time"
    )
    interval_time_dp: int = f.u8(vci="H", doc="decimal points")
    ext_status_id: str = f.text(
        4 + env.gen4, vci="H", default="STAT", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="ID of extended status"
    )
    ext_status_dp: int = f.u8(vci="H", doc="decimal points")

    class Channels(Struct, floor="tables"):
        """Per LP channel (6 bytes, 7 on generation 4)."""

        channel_id: str = f.text(
            4 + env.gen4, vci="H", default="CH01..CH16", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="channel ID"
        )
        channel_dp: int = f.u8(vci="H", doc="decimal points")

        class DataFormat(Bits, size=1):
            """Number format."""

            digits_after_dp: int = bit(0, 3, doc="0..3, sum with DIGITS_BEFORE_DP at most 8")
            digits_before_dp: int = bit(3, 4, doc="1..8")
            zero_suppression: int = bit(7, 1, doc="1 = hide leading zeros")

        data_format: DataFormat = f.bits(DataFormat, vci="H", doc="number format")

    channels: list[Channels] = f.record(
        Channels, count=at(BT60).sets[0].nbr_chns, doc="per LP channel (6 bytes, 7 on generation 4)"
    )
    outage_list_id: str = f.text(
        4 + env.gen4,
        vci="H",
        default="    ",
        since=Since("3.70"),
        charset="BT00.FORMAT_0.CHAR_FORMAT",
        doc="ID of the outage list",
    )
    outage_list_dp: int = f.u8(vci="H", default=0, since=Since("3.70"), doc="decimal points")
    outage_nbr_id: str = f.text(
        4 + env.gen4,
        vci="H",
        default="NUM ",
        since=Since("3.70"),
        charset="BT00.FORMAT_0.CHAR_FORMAT",
        doc="ID of the outage number",
    )
    outage_nbr_dp: int = f.u8(vci="H", default=0, since=Since("3.70"), doc="decimal points")
