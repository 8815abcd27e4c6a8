"""ET71 Delta Data Alerts (MEP guide p. 174)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET71"]


class ET71(
    Table,
    number=2119,
    title="Delta Data Alerts",
    role="control",
    source="MEP guide p. 174",
    status="verified",
    access=Access(
        read=("MBK", "MAK"), write=("MBK", "MAK"), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False
    ),
    notes=(
        (
            "RAM only, defaults after each power-up. Fw 3.40+. The text speaks of an 'Alert "
            "State' bit per entry that the structure does not list (unverified)."
        ),
    ),
):
    """Delta Data Alerts."""

    class Sources(Struct, floor="tables"):
        """Monitored sources."""

        source_id: int = f.u16(vci="H", default=255, doc="extended source ID, 255 = unused")
        delta: int = f.u16(vci="H", default=0, doc="change that triggers an alert, 0 disables")
        comparison: int = f.ni_fmat1(vci="M,H", default=0, doc="comparison value in use")
        sampled: int = f.ni_fmat1(vci="M", default=0, doc="current value, about once per second")

        class Status(Bits, size=1):
            """Status flags."""

            source_invalid: int = bit(0, 1, vci="M", doc="source ID invalid")
            spares: int = bit(1, 7, vci="M", doc="unused")

        status: Status = f.bits(Status, vci="M,H", default=0, doc="status flags")

    sources: list[Sources] = f.record(
        Sources, count=at(ET11).nbr_delta_data_sources, vci="M,H", doc="monitored sources"
    )
