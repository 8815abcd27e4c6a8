"""BT01 General Manufacturer Identification (MEP guide p. 198; optical guide p. 19)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import fields as f

__all__ = ["BT01"]


class BT01(
    Table,
    number=1,
    title="General Manufacturer Identification",
    role="data",
    source="MEP guide p. 198; optical guide p. 19",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("open",), nvm_write=True, nvm_read=False),
    notes=(
        (
            "MEP guide prints reserved 5...15 and 5...16 around the version bytes (misprints) and"
            " omits the serial number; optical guide fills them."
        ),
        (
            "Version word = byte 14 (or 12) as MSB, next byte LSB: bits 15..12 major, 11..5 "
            "minor, 4..0 build; 0x3018 = 3.00.24, 0x3155 = 3.10.21."
        ),
    ),
):
    """General Manufacturer Identification."""

    manufacturer: str = f.text(4, vci="H", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="manufacturer name")
    ed_model: str = f.text(8, vci="H", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="model, left-justified")
    hw_version_nbr: int = f.u8(
        vci="M", doc=("optical guide: first byte of a packed version word (described as application firmware)")
    )
    hw_revision_nbr: int = f.u8(vci="M", doc="second byte of that word")
    fw_version_nbr: int = f.u8(vci="M", doc="MSB of the packed legally relevant firmware version")
    fw_revision_nbr: int = f.u8(vci="M", doc="LSB of the packed firmware version")
    mfg_serial_nbr: str = f.bcd(8, vci="H", doc="manufacturer serial number, 16 BCD digits")
