"""EP02 Remote relay/disconnect control (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure
from osgp.wire import LTime, Struct
from osgp.wire import fields as f

__all__ = ["EP02"]


class EP02(Procedure):
    """Open or close the load disconnect or a control relay."""

    number = 2050
    title = "Remote relay/disconnect control (name not given)"
    source = "mentioned only"
    status = "project choice"
    defined = False
    results = {4: "the order has expired", 7: "too many orders wait"}
    notes = (
        "Opens or closes the control relay remotely; keep-alive/heartbeat source for relays in ET97.",
        "Parameters are not in the guides: project choice. What is left out at the end is zero.",
    )

    class Parameters(Struct, floor="tables"):
        """What is asked."""

        target: int = f.u8(
            values={0: "load disconnect", 1: "control relay 1", 2: "control relay 2", 3: "generation"},
            doc="what switches",
        )
        action: int = f.u8(values={0: "open, or curtail", 1: "close, or release"}, doc="new state")
        reason: int | None = f.u8(
            optional=True, default=None, doc="of the customer's or the grid's, kept in the event log"
        )
        expiry: LTime | None = f.ltime(
            optional=True, default=None, doc="UTC after which the order is refused; zero: it does not expire"
        )
        random: int | None = f.u16(
            optional=True,
            default=None,
            unit="s",
            doc="carried out after a delay of chance up to this (not the load disconnect)",
        )
        hold: int | None = f.u16(
            optional=True,
            default=None,
            unit="min",
            doc="control relays, generation: for how long, 0 until the next order",
        )
        level: int | None = f.u8(
            optional=True,
            default=None,
            unit="%",
            doc="generation: of the rated power that is left when it is curtailed",
        )
        mode: int | None = f.u8(
            optional=True,
            default=None,
            values={0: "remote order", 1: "locked", 2: "maintenance", 3: "end that mode"},
            doc="control relays: which mode of ET89 the order sets",
        )
