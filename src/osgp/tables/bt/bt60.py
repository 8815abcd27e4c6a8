"""BT60 Dimension Load Profile (MEP guide p. 231)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, bit, env
from osgp.wire import fields as f

__all__ = ["BT60"]


class BT60(
    Table,
    number=60,
    title="Dimension Load Profile",
    role="dimension",
    source="MEP guide p. 231",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=(
        (
            "Individual maxima, not a valid configuration. Memory: NVM - 24576 - overhead (2 per "
            "128 bytes): 104832 for 128K, 233856 for 256K."
        ),
    ),
):
    """Dimension Load Profile."""

    memory_len: int = f.u32(unit="byte", vci="M", default="104832 (128K), 233856 (256K)", doc="bytes for all sets")

    class LpFlags(Bits, size=2):
        """Options."""

        set1_inhibit_ovf: int = bit(0, 1, vci="F", default=0, doc="inhibit on overflow")
        set2_inhibit_ovf: int = bit(1, 1, vci="P", default=0, doc="inhibit on overflow")
        set3_inhibit_ovf: int = bit(2, 1, vci="F", default=0, doc="inhibit on overflow")
        set4_inhibit_ovf: int = bit(3, 1, vci="F", default=0, doc="inhibit on overflow")
        blk_end_read: int = bit(4, 1, vci="P", default=0, doc="end readings")
        blk_end_pulse: int = bit(5, 1, vci="F", default=0, doc="end pulses")
        scalar_divisor_set1: int = bit(6, 1, vci="P", default=0, doc="scalars and divisors")
        scalar_divisor_set2: int = bit(7, 1, vci="P", default=0, doc="scalars and divisors")
        scalar_divisor_set3: int = bit(8, 1, vci="F", default=0, doc="scalars and divisors")
        scalar_divisor_set4: int = bit(9, 1, vci="F", default=0, doc="scalars and divisors")
        extended_int_status: int = bit(10, 1, vci="F", default=1, doc="extended interval status")
        simple_int_status: int = bit(11, 1, vci="F", default=1, doc="simple interval status")
        filler: int = bit(12, 4, vci="F", doc="unused")

    lp_flags: LpFlags = f.bits(LpFlags, doc="options")

    class LpFmats(Bits, size=1):
        """Interval data formats."""

        inv_uint8: int = bit(0, 1, vci="F", default=0, doc="supported")
        inv_uint16: int = bit(1, 1, vci="F", default=0, doc="supported")
        inv_uint32: int = bit(2, 1, vci="F", default=0, doc="supported")
        inv_int8: int = bit(3, 1, vci="F", default=0, doc="supported")
        inv_int16: int = bit(4, 1, vci="P", default=0, doc="supported")
        inv_int32: int = bit(5, 1, vci="F", default=1, doc="supported")
        inv_ni_fmat1: int = bit(6, 1, vci="F", default=0, doc="supported")
        inv_ni_fmat2: int = bit(7, 1, vci="F", default=0, doc="supported")

    lp_fmats: LpFmats = f.bits(LpFmats, doc="interval data formats")

    class Sets(Struct, floor="tables"):
        """Per data set."""

        nbr_blks: int = f.u16(vci="P", default="9530 (128K), 21259 (256K)", doc="blocks")
        nbr_blk_ints: int = f.u16(vci="F", default=1440, doc="intervals per block")
        nbr_chns: int = f.u8(vci="P", default=16, doc="channels")
        max_int_time: int = f.u8(
            vci="F",
            default=255,
            values={(1, 60): "minutes", 84: "24 hours unless ANSI LP compliance is on"},
            doc="maximum interval time",
        )

    sets: list[Sets] = f.record(Sets, count=env.lp_sets, doc="per data set")
