"""BT04 Pending Status (MEP guide p. 259; optical guide p. 10)."""

from __future__ import annotations

from osgp.tables.bt.bt00 import BT00
from osgp.tables.table import Access, Table
from osgp.wire import Bits, STime, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["BT04"]


class BT04(
    Table,
    number=4,
    title="Pending Status",
    role="status",
    source="MEP guide p. 259; optical guide p. 10",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK"), nvm_write=False, nvm_read=False),
    notes=(
        (
            "Structure only in the optical guide (access in the MEP guide's Appendix C). PED = "
            "named 6-byte type used by pending tables."
        ),
    ),
):
    """Pending Status."""

    basic_pending: bytes = f.binary(at(BT00).dim_std_tbls_used, vci="M", doc="bit per basic table with a pending table")
    extended_pending: bytes = f.binary(
        at(BT00).dim_mfg_tbls_used, vci="M", doc="bit per extended table with a pending table"
    )
    last_activation: STime = f.stime(vci="M", doc="time of the last activation")
    nbr_activations: int = f.u8(vci="M", doc="pending activations")

    class Activations(Struct, floor="tables"):
        """8-byte activation records."""

        class Event(Bits, size=1):
            """Activation condition."""

            event_code: int = bit(
                0,
                4,
                values={0: "absolute time", 1: "relative time", 2: "no automatic activation (BP12/BP13)"},
                doc="condition",
            )
            self_read_flag: int = bit(4, 1, doc="self read before activation")
            demand_reset_flag: int = bit(5, 1, doc="demand reset before activation")
            unlisted_6: int = bit(6, 2, doc="not listed")

        event: Event = f.bits(Event, vci="M", doc="activation condition")
        event_storage: bytes = f.binary(
            5,
            vci="M",
            doc=(
                "code 0: stime UTC (all zero = empty PED); code 1: weeks, days, hours, minutes, seconds; code 2: opaque"
            ),
        )

        class Table(Bits, size=2):
            """Table of the activation."""

            table_id: int = bit(0, 12, vci="M", doc="table number 0..4095 without the 4096 offset")
            still_pending: int = bit(12, 1, vci="M", doc="1 = still pending")
            unlisted_13: int = bit(13, 3, doc="not listed")

        table: Table = f.bits(Table, doc="table of the activation")

    activations: list[Activations] = f.record(Activations, count=at(BT00).nbr_pending, doc="8-byte activation records")
