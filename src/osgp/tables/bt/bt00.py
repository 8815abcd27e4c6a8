"""BT00 General Configuration (MEP guide p. 196; optical guide p. 48)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, bit
from osgp.wire import fields as f

__all__ = ["BT00"]


class BT00(
    Table,
    number=0,
    title="General Configuration",
    role="dimension",
    source="MEP guide p. 196; optical guide p. 48",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("open",), nvm_write=False, nvm_read=False),
    notes=(
        (
            "Fields from byte 19 on are reserved in the guides; the guide symbols A..D (sums of "
            "the DIM fields) match the ANSI C12.19-1997 sets modelled here (unverified)."
        ),
    ),
):
    """General Configuration."""

    class Format0(Bits, size=1):
        """Data order and characters."""

        data_order: int = bit(
            0,
            1,
            vci="P",
            default=0,
            values={0: "little endian", 1: "big endian"},
            doc="byte order of multi-byte fields",
        )
        char_format: int = bit(
            1,
            3,
            vci="P",
            default=1,
            values={0: "unassigned", 1: "ASCII ISO/IEC 646", 2: "ISO 8859-1 / ECMA-94", (3, 7): "unassigned"},
            doc="character coding",
        )
        filler: int = bit(4, 4, doc="zero")

    format_0: Format0 = f.bits(Format0, doc="data order and characters")

    class Format1(Bits, size=1):
        """Time, access, identification, integer formats."""

        time_format: int = bit(0, 3, vci="F", default=2, values={2: "discrete uint8 fields"}, doc="date/time coding")
        data_access: int = bit(3, 2, vci="F", default=1, values={1: "offset/count"}, doc="partial table access method")
        id_format: int = bit(
            5, 1, vci="P", default=1, values={0: "characters", 1: "BCD"}, doc="ID fields of BT01, BT05, BT06"
        )
        int_format: int = bit(6, 2, vci="F", default=0, values={0: "two's complement"}, doc="signed integers")

    format_1: Format1 = f.bits(Format1, doc="time, access, identification, integer formats")

    class Format2(Bits, size=1):
        """Non-integer formats."""

        ni_fmat1: int = bit(0, 4, vci="P", default=8, values={8: "INT32"}, doc="type behind ni_fmat1")
        ni_fmat2: int = bit(4, 4, vci="P", default=8, values={8: "INT32"}, doc="type behind ni_fmat2")

    format_2: Format2 = f.bits(Format2, doc="non-integer formats")
    manufacturer: str = f.text(
        4, vci="P", default="NES or ELON", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="manufacturer code"
    )
    nameplate_type: int = f.u8(vci="F", default=2, values={2: "electric"}, doc="device kind")
    default_set_used: int = f.u8(vci="F", default=0, values={0: "none"}, doc="C12.10 default set")
    proc_param_len: int = f.u8(unit="byte", vci="P", default=255, doc="maximum parameters in BT07")
    resp_data_len: int = f.u8(unit="byte", vci="P", default=12, doc="maximum response data in BT08, ET59, ET85")
    std_version: int = f.u8(vci="F", default=1, doc="C12.19 version")
    std_revision: int = f.u8(vci="P", default=0, doc="C12.19 revision")
    dim_std_tbls_used: int = f.u8(unit="byte", vci="P", default=10, doc="bytes of the basic table set (A = this)")
    dim_mfg_tbls_used: int = f.u8(
        unit="byte", vci="P", default="13 (20 on fw 4.0+)", doc="bytes of the extended table set (B = A + this)"
    )
    dim_std_proc_used: int = f.u8(
        unit="byte", vci="P", default=2, doc="bytes of the basic procedure set (C = B + this)"
    )
    dim_mfg_proc_used: int = f.u8(
        unit="byte", vci="P", default=12, doc="bytes of the extended procedure set (D = C + this)"
    )
    dim_mfg_status_used: int = f.u8(
        unit="byte", vci="P", default="9 (optical guide: 4)", doc="manufacturer alarm/status bytes in BT03"
    )
    nbr_pending: int = f.u8(vci="P", default="2, 3 or 4", doc="pending tables (4 on fw 4.0+)")
    std_tbls_used: bytes = f.binary(
        dim_std_tbls_used,
        doc="bit per basic table, LSB first (unverified: C12.19; reserved in the guides)",
        status="unverified",
    )
    mfg_tbls_used: bytes = f.binary(
        dim_mfg_tbls_used, doc="bit per extended table (unverified, as above)", status="unverified"
    )
    std_proc_used: bytes = f.binary(
        dim_std_proc_used, doc="bit per basic procedure (unverified, as above)", status="unverified"
    )
    mfg_proc_used: bytes = f.binary(
        dim_mfg_proc_used, doc="bit per extended procedure (unverified, as above)", status="unverified"
    )
    std_tbls_write: bytes = f.binary(
        dim_std_tbls_used, doc="writable basic tables (unverified, as above)", status="unverified"
    )
    mfg_tbls_write: bytes = f.binary(
        dim_mfg_tbls_used, doc="writable extended tables (unverified, as above)", status="unverified"
    )
