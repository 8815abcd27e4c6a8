"""BT65 Load Profile Data, Data Set 2 (MEP guide p. 238; optical guide p. 35)."""

from __future__ import annotations

from osgp.tables.bt.bt61 import BT61
from osgp.tables.table import Access, Table
from osgp.wire import STime, Struct, at
from osgp.wire import fields as f

__all__ = ["BT65"]


class BT65(
    Table,
    number=65,
    title="Load Profile Data, Data Set 2",
    role="log",
    source="MEP guide p. 238; optical guide p. 35",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True),
    notes=("Same layout as BT64 with data set index 1.", "Fw 3.50+, modules 1.20+, only with multiple data sets."),
):
    """Load Profile Data, Data Set 2."""

    class Blocks(Struct, floor="tables"):
        """Circular list of blocks."""

        blk_end_time: STime = f.stime(vci="M", doc="UTC of the newest interval; block end when complete")
        end_readings: list[int] = f.ni_fmat1(
            count=at(BT61).sets[1].nbr_chns,
            when=at(BT61).lp_flags.blk_end_read == 1,
            doc="channel snapshots at block end",
        )
        simple_int_status: bytes = f.binary(
            (at(BT61).sets[1].nbr_blk_ints + 7) // 8, vci="M", doc="bit per interval, 1 = processed"
        )

        class Intervals(Struct, floor="tables"):
            """Interval records."""

            ext_int_status: bytes = f.binary(at(BT61).sets[1].nbr_chns // 2 + 1, vci="M", doc="status nibbles")
            int_data: list[int] = f.i32(count=at(BT61).sets[1].nbr_chns, vci="M", doc="end of interval values")

        intervals: list[Intervals] = f.record(
            Intervals,
            count=at(BT61).sets[1].nbr_blk_ints,
            doc="interval records",
        )

    blocks: list[Blocks] = f.record(Blocks, count=at(BT61).sets[1].nbr_blks, doc="circular list of blocks")
