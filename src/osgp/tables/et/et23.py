"""ET23 Miscellaneous Information (MEP guide p. 98)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import env
from osgp.wire import fields as f

__all__ = ["ET23"]


class ET23(
    Table,
    number=2071,
    title="Miscellaneous Information",
    role="status",
    source="MEP guide p. 98",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), nvm_write=False, nvm_read=False),
    notes=("Mostly internal; the heading 'Exception Log [0]' precedes the first field.",),
):
    """Miscellaneous Information."""

    lon_msgs_received: int = f.u32(vci="M", doc="non-validated explicit LonTalk messages received")
    lon_msgs_validated: int = f.u32(vci="M", doc="digest-validated explicit LonTalk messages")
    reserved_8: bytes = f.binary(86, doc="internal use, 8..93")
    disconnect_state: int = f.u8(
        vci="M",
        values={0: "closed", 1: "closing", 2: "opened", 3: "opening"},
        doc="commanded state of the load disconnect contactor (meters only)",
    )
    active_calendar_id: int = f.u32(vci="M", doc="active TOU calendar ID, never write")
    reserved_99: bytes = f.binary(
        87 + 32 * env.gen4, doc="internal use, 99..185 (fw 3.x, modules) or 99..217 (fw 4.0+)"
    )
