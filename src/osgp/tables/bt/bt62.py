"""BT62 Load Profile Control (MEP guide p. 235; optical guide p. 33)."""

from __future__ import annotations

from osgp.tables.bt.bt60 import BT60
from osgp.tables.bt.bt61 import BT61
from osgp.tables.table import Access, Table
from osgp.wire import INDEX, Bits, Struct, at, bit, env
from osgp.wire import fields as f
from osgp.wire.expr import bit as bit_of

__all__ = ["BT62"]


class BT62(
    Table,
    number=62,
    title="Load Profile Control",
    role="control",
    source="MEP guide p. 235; optical guide p. 33",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=False),
    notes=(("Scalars/divisors exist only if BT60 bit 6+set (0-based set) is on; always off in the guides."),),
):
    """Load Profile Control."""

    class Sets(Struct, floor="tables"):
        """Per data set."""

        class Channels(Struct, floor="tables"):
            """Channel settings."""

            class EndRdgFlag(Bits, size=1):
                """End reading flag."""

                end_reading: int = bit(0, 1, default=0, doc="not supported")
                unlisted_1: int = bit(1, 7, doc="not listed")

            end_rdg_flag: EndRdgFlag = f.bits(EndRdgFlag, vci="F", default=0, doc="end reading flag")
            lp_source_sel: int = f.u8(vci="H", doc="interval source ID; 112..163 = mapped through ET66")
            end_source_sel: int = f.u8(vci="P", default=0, doc="not supported")

        channels: list[Channels] = f.record(Channels, count=at(BT61).sets[INDEX].nbr_chns, doc="channel settings")
        int_fmt_cde: int = f.u8(
            vci="P", default=32, values={32: "INT32 snapshot of the register"}, doc="interval format"
        )
        scalars: list[int] = f.u16(
            count=at(BT61).sets[INDEX].nbr_chns,
            when=bit_of(at(BT60).lp_flags, 6 + INDEX) == 1,
            vci="H",
            doc="interval scalars",
        )
        divisors: list[int] = f.u16(
            count=at(BT61).sets[INDEX].nbr_chns,
            when=bit_of(at(BT60).lp_flags, 6 + INDEX) == 1,
            vci="H",
            doc="interval divisors",
        )

    sets: list[Sets] = f.record(Sets, count=env.lp_sets, doc="per data set")
