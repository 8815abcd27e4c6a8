"""ET66 Load Profile Source ID Mapping Table (MEP guide p. 173)."""

from __future__ import annotations

from osgp.tables.bt.bt60 import BT60
from osgp.tables.table import Access, Table
from osgp.wire import Struct, at
from osgp.wire import fields as f

__all__ = ["ET66"]


class ET66(
    Table,
    number=2114,
    title="Load Profile Source ID Mapping Table",
    role="data",
    source="MEP guide p. 173",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=(
        (
            "Mapped source IDs 112..163 index this table: table offset = 2*(source-112) (source "
            "114 is at offset 4). Changed by EP11 or EP52."
        ),
        (
            "Four sets of 16 channels make 64 entries, but only 52 mapped IDs (112..163) exist; "
            "what the last 12 entries hold is not stated (unverified)."
        ),
    ),
):
    """Load Profile Source ID Mapping Table."""

    class Sets(Struct, floor="tables"):
        """Per load profile data set."""

        ext_source_ids: list[int] = f.u16(count=at(BT60).sets[0].nbr_chns, vci="H", doc="extended source IDs")

    sets: list[Sets] = f.record(Sets, count=4, doc="per load profile data set")
