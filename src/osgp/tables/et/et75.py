"""ET75 Primary Load Profile Channel Change Log (MEP guide p. 177)."""

from __future__ import annotations

from osgp.tables.bt.bt20 import BT20
from osgp.tables.bt.bt60 import BT60
from osgp.tables.et.et36 import ET36
from osgp.tables.table import Access, Table
from osgp.wire import Bits, STime, Struct, at, bit, env
from osgp.wire import fields as f

__all__ = ["ET75"]


class ET75(
    Table,
    number=2123,
    title="Primary Load Profile Channel Change Log",
    role="log",
    source="MEP guide p. 177",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=True),
    notes=(
        (
            "Welmec 11.2 log of primary LP set changes; fw 3.60+, modules 1.30+. Not a circular "
            "queue in behaviour: a change is rejected when full."
        ),
        ("143 bytes (ET36) is the layout with 4-character IDs; 159 on generation 4 by layout (unverified)."),
    ),
):
    """Primary Load Profile Channel Change Log."""

    class ListFlags(Bits, size=1):
        """List header."""

        order: int = bit(0, 1, vci="F", default=0, values={0: "ascending, N older than N+1"}, doc="entry order")
        overflow: int = bit(1, 1, vci="M", doc="old data was overwritten")
        list_type: int = bit(
            2, 1, vci="F", default=1, values={0: "max entries is 0", 1: "circular queue"}, doc="list kind"
        )
        inhibit_overflow: int = bit(3, 1, vci="F", default=0, doc="inhibits only if an old entry still applies")
        filler: int = bit(4, 4, doc="zero")

    list_flags: ListFlags = f.bits(ListFlags, doc="list header")
    nbr_valid_entries: int = f.u8(vci="M", doc="valid records")
    last_entry_element: int = f.u8(vci="F", default=0, doc="array element of newest entry")
    last_entry_seq_nbr: int = f.u16(vci="M", doc="never reset")
    nbr_unread_entries: int = f.u8(vci="M,H", doc="unread records")

    class Entries(Struct, floor="tables"):
        """Changes."""

        timestamp: STime = f.stime(vci="M", doc="UTC time the change applies; first entry = Welmec enabled")
        ext_source_ids: list[int] = f.u16(
            count=at(BT60).sets[0].nbr_chns, vci="H", doc="extended source IDs before the change"
        )
        demand_sources: list[int] = f.u8(count=at(BT20).nbr_demands, vci="H", doc="demand source IDs before the change")
        demand_subinterval: int = f.u8(vci="H", doc="sub-interval before the change")
        demand_multiplier: int = f.u8(vci="H", doc="multiplier before the change")

        class LpDisplay(Struct, floor="tables"):
            """Copy of ET62 channel ID and data format."""

            id_code: str = f.text(
                4 + env.gen4, vci="H", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="ID code, element 0 leftmost"
            )
            id_dp: int = f.u8(vci="H", doc="decimal points")

            class DataFormat(Bits, size=1):
                """Number format."""

                digits_after_dp: int = bit(0, 3, doc="0..3")
                digits_before_dp: int = bit(3, 4, doc="1..8")
                zero_suppression: int = bit(7, 1, doc="1 = hide leading zeros")

            data_format: DataFormat = f.bits(DataFormat, vci="H", doc="number format")

        lp_display: list[LpDisplay] = f.record(
            LpDisplay, count=at(BT60).sets[0].nbr_chns, doc="copy of ET62 channel ID and data format"
        )

    entries: list[Entries] = f.record(
        Entries, count=at(ET36).logs[5].current_entries, stride=at(ET36).logs[5].entry_size, doc="changes"
    )
