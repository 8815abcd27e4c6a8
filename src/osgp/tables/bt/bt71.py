"""BT71 Actual Log (optical guide p. 50)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, bit
from osgp.wire import fields as f

__all__ = ["BT71"]


class BT71(
    Table,
    number=71,
    title="Actual Log",
    role="actual",
    source="optical guide p. 50",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=False),
    notes=("Structure only in the optical guide.",),
):
    """Actual Log."""

    class Flags(Bits, size=1):
        """Log options."""

        event_number: int = bit(0, 1, vci="F", default=0, doc="common event number")
        hist_date_time: int = bit(1, 1, vci="F", default=1, doc="date/time stamps")
        hist_seq_nbr: int = bit(2, 1, vci="F", default=1, doc="sequence numbers")
        hist_inhibit_ovf: int = bit(3, 1, vci="F", default=0, doc="history never inhibited")
        event_inhibit_ovf: int = bit(4, 1, vci="F", default=0, doc="event log never inhibited")
        filler: int = bit(5, 3, vci="F", doc="zero")

    flags: Flags = f.bits(Flags, doc="log options")
    nbr_std_event_bytes: int = f.u8(unit="byte", vci="F", default=8, doc="standard event mask bytes (up to 64 events)")
    nbr_mfg_event_bytes: int = f.u8(
        unit="byte", vci="F", default=19, doc="manufacturer event mask bytes (up to 152 events)"
    )
    hist_data_length: int = f.u8(unit="byte", vci="F", default=2, doc="history argument bytes")
    event_data_length: int = f.u8(unit="byte", vci="F", default=2, doc="event argument bytes")
    nbr_history_entries: int = f.u16(vci="M", default=100, doc="history entries, 0..BT70.NBR_HISTORY_ENTRIES")
    nbr_event_entries: int = f.u16(vci="F", default=0, doc="event entries")
