"""ET11 MFG Dimension Table (MEP guide p. 77; optical guide p. 40)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Since
from osgp.wire import fields as f

__all__ = ["ET11"]


class ET11(
    Table,
    number=2059,
    title="MFG Dimension Table",
    role="dimension",
    source="MEP guide p. 77; optical guide p. 40",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=(
        (
            "VCI is P in the MEP guide, mostly F in the optical guide. Bytes 14..17 and 32..37 "
            "are reserved in the MEP guide; names and defaults here come from the optical guide."
        ),
    ),
):
    """MFG Dimension Table."""

    nbr_devices: int = f.u8(
        vci="P", default="5 or 6", doc="MEP clients plus M-Bus devices (5 on fw 3.x and modules, 6 on fw 4.x)"
    )
    config_entry_size: int = f.u8(unit="byte", vci="P", default=66, doc="entry size of ET13")
    status_entry_size: int = f.u8(unit="byte", vci="P", default=36, doc="entry size of ET14")
    ondemand_queue_size: int = f.u8(vci="P", default=5, doc="entries in the ET15 request queue")
    ondemand_entry_size: int = f.u8(unit="byte", vci="P", default=6, doc="request entry size of ET15")
    data_entry_size: int = f.u16(unit="byte", vci="P", default=517, doc="entry size of ET16")
    trans_request_len: int = f.u16(
        unit="byte",
        vci="P",
        default="768 or 896",
        doc=("ET52 length; 896 on fw 3.50+ and modules 1.20+; the worked example in the guide returns 769"),
    )
    trans_response_len: int = f.u16(unit="byte", vci="P", default=1785, doc="ET53 length")
    ondemand_write_entry_size: int = f.u8(unit="byte", vci="P", default=25, doc="length byte plus message, per device")
    phase_meas_data_size: int = f.u8(unit="byte", vci="P", default=16, doc="per-phase measurement data size")
    config_entry2_size: int = f.u8(unit="byte", vci="P", default=22, doc="entry size of ET34")
    meter_otr_queue_size: int = f.u8(vci="P", default=3, doc="meter one-time-read request queue entries")
    mbus_otr_queue_size: int = f.u8(vci="P", default=4, doc="M-Bus one-time-read request queue entries")
    meter_otr_entry_size: int = f.u8(unit="byte", vci="P", default=17, doc="request entry size of ET19")
    mbus_otr_entry_size: int = f.u8(unit="byte", vci="P", default=17, doc="request entry size of ET20")
    nbr_group_ids: int = f.u8(vci="P", default=10, doc="group IDs assignable to the meter")
    nbr_harmonics: int = f.u8(vci="P", default=10, doc="harmonics calculated (1st..10th)")
    mbus_mcast_len: int = f.u8(
        unit="byte", vci="P", default=65, doc="M-Bus multicast message incl. length, C and CI fields"
    )
    et22_alarm_size: int = f.u8(unit="byte", vci="P", default=120, doc="bytes in the first ET22 array")
    nbr_mep_data_sources: int = f.u8(vci="P", default="6 (20 on modules 1.11+)", doc="MEP data sources in ET50")
    nbr_et48_entries: int = f.u8(vci="P", default=10, doc="entries in ET48")
    max_critical_event_masks: int = f.u8(vci="P", default=10, since=Since("3.30"), doc="bit masks for critical events")
    nbr_et57_entries: int = f.u8(vci="P", default=16, since=Since("3.30"), doc="M-Bus data type entries in ET57")
    nbr_relay_switches: int = f.u8(
        vci="P", default=80, since=Since("3.30"), doc="time-based relay switches per relay in ET61"
    )
    nbr_delta_data_sources: int = f.u8(vci="P", default=10, since=Since("3.40"), doc="delta data alert sources in ET71")
    ram_trans_request_len: int = f.u16(
        unit="byte", vci="P", default=261, since=Since("3.50"), doc="RAM-only transaction request table length"
    )
    ram_trans_response_len: int = f.u16(
        unit="byte", vci="P", default=769, since=Since("3.50"), doc="RAM-only transaction response table length"
    )
    nbr_fw_modules: int = f.u8(
        vci="P", default=6, since=Since("4.0"), doc="firmware modules (reserved in the MEP guide)"
    )
    fw_module_entry_len: int = f.u8(
        unit="byte",
        vci="P",
        default=7,
        since=Since("4.0"),
        doc="bytes per firmware module entry (reserved in the MEP guide)",
    )
    mep_channel_count: int = f.u8(
        vci="P", default=2, since=Since("4.0"), doc="MEP clients (ports); treat as 1 where the field does not exist"
    )
    reserved_35: int = f.u8(vci="P", default=10, since=Since("4.0"), doc="reserved")
    et17_bitmap_size: int = f.u16(
        unit="byte",
        vci="P",
        default=1250,
        since=Since("4.0"),
        doc="ET17 verification bitmap bytes (reserved in the MEP guide)",
    )
    nbr_error_screens: int = f.u8(
        vci="P", default=3, since=Since("4.30"), doc="error/caution screens on the LCD (optical guide: since 4.20)"
    )
