"""ET47 Calendar Override Settings (MEP guide p. 122)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import LTime
from osgp.wire import fields as f

__all__ = ["ET47"]


class ET47(
    Table,
    number=2095,
    title="Calendar Override Settings",
    role="control",
    source="MEP guide p. 122",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=False),
):
    """Calendar Override Settings."""

    tariff: int = f.u8(
        vci="HD,HI",
        default=255,
        values={(0, 7): "tariff", 255: "cancel override"},
        doc="tariff to set (0..3 where only 4 tiers exist)",
    )
    cancellation: int = f.u8(
        vci="HD,HI",
        values={0: "next calendar tier switch", 1: "indefinite", 2: "after OVERRIDE_DURATION", 3: "at CANCEL_TIME"},
        doc="how the override ends",
    )
    override_duration: int = f.u32(unit="s", vci="HD,HI", doc="0 = no switch")
    cancel_time: LTime = f.ltime(vci="HD,HI", doc="UTC end of override")
    calendar_id: int = f.u32(vci="HD,HI", doc="calendar ID shown while overridden")
