"""ET70 RAM Only Status (MEP guide p. 173)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Since
from osgp.wire import fields as f

__all__ = ["ET70"]


class ET70(
    Table,
    number=2118,
    title="RAM Only Status",
    role="status",
    source="MEP guide p. 173",
    status="verified",
    access=Access(
        read=("MBK", "MAK"),
        write=("MAK",),
        optical_read=("MK", "PK", "RK"),
        nvm_write=False,
        nvm_read=False,
        clients=("meter",),
    ),
    notes=(("Meters with fw 4.0+ only. Text elsewhere calls it read-only although MAK write is listed."),),
):
    """RAM Only Status."""

    reserved_0: bytes = f.binary(142, doc="internal use")
    comm_channel_index: int = f.u8(
        since=Since("4.0"), values={1: "MEP client 1", 2: "MEP client 2"}, doc="port the reader is connected to"
    )
    reserved_143: bytes = f.binary(13, since=Since("4.0"), doc="internal use, 143..155")
