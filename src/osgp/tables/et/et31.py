"""ET31 Meter One-time-read Log (MEP guide p. 104)."""

from __future__ import annotations

from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.et.et36 import ET36
from osgp.tables.table import Access, Table
from osgp.wire import Bits, STime, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET31"]


class ET31(
    Table,
    number=2079,
    title="Meter One-time-read Log",
    role="log",
    source="MEP guide p. 104",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=True),
    notes=(
        (
            "Entry count and size are ET36.LOGS[0], as for the other adjustable logs; the text gives "
            "BT21.NBR_SELF_READS as count (unverified)."
        ),
        (
            "ET36 quotes 232 bytes, without the list header; the listed fields give 226 (11 summations, 4 tiers, "
            "no demand), the last 6 bytes are unknown (unverified)."
        ),
    ),
):
    """Meter One-time-read Log."""

    class ListFlags(Bits, size=1):
        """List header."""

        order: int = bit(0, 1, vci="F", default=0, values={0: "ascending, N older than N+1"}, doc="entry order")
        overflow: int = bit(1, 1, vci="M", doc="old data was overwritten")
        list_type: int = bit(
            2, 1, vci="F", default=1, values={0: "max entries is 0", 1: "circular queue"}, doc="list kind"
        )
        inhibit_overflow: int = bit(3, 1, vci="F", default=0, doc="0 = never inhibits new entries")
        filler: int = bit(4, 4, doc="zero")

    list_flags: ListFlags = f.bits(ListFlags, doc="list header")
    nbr_valid_entries: int = f.u8(vci="M", doc="valid records")
    last_entry_element: int = f.u8(vci="M", doc="array element of newest entry")
    last_entry_seq_nbr: int = f.u16(vci="M", doc="sequence number of newest entry, never reset")
    nbr_unread_entries: int = f.u8(vci="M,H", doc="incremented by meter, decremented by host")

    class Entries(Struct, floor="tables"):
        """One-time read records."""

        bidn: int = f.u16(when=at(BT21).nbr_demands != 0, vci="M", doc="billing interface definition number")
        end_time: STime = f.stime(when=at(BT21).flags0.date_time == 1, vci="M", doc="local time (BT55) of capture")
        season: int = f.u8(when=at(BT21).flags0.season_info == 1, vci="M", doc="season")
        reg_data: BT23 = f.record(BT23, doc="register data, BT23 format")

    entries: list[Entries] = f.record(
        Entries, count=at(ET36).logs[0].current_entries, stride=at(ET36).logs[0].entry_size, doc="one-time read records"
    )
