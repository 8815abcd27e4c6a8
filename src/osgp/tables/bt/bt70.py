"""BT70 Dimension Log (optical guide p. 50)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, bit
from osgp.wire import fields as f

__all__ = ["BT70"]


class BT70(
    Table,
    number=70,
    title="Dimension Log",
    role="dimension",
    source="optical guide p. 50",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=("Structure only in the optical guide.",),
):
    """Dimension Log."""

    class Flags(Bits, size=1):
        """Log options."""

        event_number: int = bit(0, 1, vci="F", default=0, doc="common event number")
        hist_date_time: int = bit(1, 1, vci="F", default=1, doc="date/time stamps")
        hist_seq_nbr: int = bit(2, 1, vci="F", default=1, doc="sequence numbers")
        hist_inhibit_ovf: int = bit(3, 1, vci="F", default=0, doc="history never inhibited")
        event_inhibit_ovf: int = bit(4, 1, vci="F", default=0, doc="event log never inhibited")
        filler: int = bit(5, 3, vci="F", doc="zero")

    flags: Flags = f.bits(Flags, doc="log options")
    nbr_std_events: int = f.u8(vci="F", default="varies", doc="standard events (up to 64)")
    nbr_mfg_events: int = f.u8(vci="P", default="varies", doc="manufacturer events (up to 152)")
    hist_data_length: int = f.u8(unit="byte", vci="F", default=2, doc="history argument bytes")
    event_data_length: int = f.u8(unit="byte", vci="F", default=2, doc="event argument bytes")
    nbr_history_entries: int = f.u16(vci="P", default="100 or 200 typical", doc="history capacity")
    nbr_event_entries: int = f.u16(vci="P", default=0, doc="event log capacity")
