"""ET03 Utility Information (MEP guide p. 55; optical guide p. 18)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import fields as f

__all__ = ["ET03"]


class ET03(
    Table,
    number=2051,
    title="Utility Information",
    role="data",
    source="MEP guide p. 55; optical guide p. 18",
    status="verified",
    access=Access(read=("open",), write=("MAK",), optical_read=("open",), nvm_write=True, nvm_read=False),
    notes=(
        (
            "Guide lists reserved range 138..142 although IMAGE_CRC (uint16 at 137) already "
            "covers byte 138; modelled as 139..142 (unverified)."
        ),
    ),
):
    """Utility Information."""

    util_serial_nbr: str = f.text(
        30, vci="H", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="utility/customer serial number, NUL-terminated ASCII"
    )
    reserved_30: bytes = f.binary(107, doc="reserved, do not overwrite")
    image_crc: int = f.u16(vci="M", doc="read-only CRC of the legally relevant firmware image")
    reserved_139: bytes = f.binary(4, doc="reserved, do not overwrite (guide prints 138..142)")
