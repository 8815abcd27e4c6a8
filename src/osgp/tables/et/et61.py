"""ET61 Time-Based Relay Control Calendar (MEP guide p. 166)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET61"]


class ET61(
    Table,
    number=2109,
    title="Time-Based Relay Control Calendar",
    role="control",
    source="MEP guide p. 166",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",)),
    notes=(
        (
            "At most ten switches per day; meaning of each block of ten depends on the mode in "
            "ET05. Second relay only on meters that have one (fw 4.30+)."
        ),
    ),
):
    """Time-Based Relay Control Calendar."""

    class Relays(Struct, floor="tables"):
        """Per control relay."""

        class Switches(Bits, size=2):
            """Relay switch points."""

            state: int = bit(0, 1, default=0, values={0: "open", 1: "closed"}, doc="state to switch to")
            filler: int = bit(1, 4, default=0, doc="unused")
            minute: int = bit(5, 6, default=0, doc="start minute")
            hour: int = bit(11, 5, default=0, doc="start hour")

        switches: list[Switches] = f.bits(
            Switches, count=at(ET11).nbr_relay_switches, vci="H", doc="relay switch points"
        )

    relays: list[Relays] = f.record(Relays, count=2, doc="per control relay")
