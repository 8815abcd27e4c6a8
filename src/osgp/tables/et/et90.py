"""ET90 Dimension LN (MEP guide p. 190)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Since
from osgp.wire import fields as f

__all__ = ["ET90"]


class ET90(
    Table,
    number=2138,
    title="Dimension LN",
    role="dimension",
    source="MEP guide p. 190",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK")),
    notes=(
        (
            "Fields 0..15 fw 4.10+, byte 16 fw 3.82/4.02+ and modules 1.31+, 17..19 fw 4.20+. "
            "Bytes 20..26 are not in the chart; 25 and 26 are referenced by ET89 (their firmware, 4.50, is that of the ET89 array; unverified)."
        ),
    ),
):
    """Dimension LN."""

    ip_addr_len: int = f.u16(
        unit="byte", vci="P", default=50, since=Since("4.10"), doc="IP address fields in ET92..ET96"
    )
    urgent_alarm_mask_len: int = f.u8(
        unit="byte", vci="P", default=20, since=Since("4.10"), doc="urgent alarm bitmask in ET92"
    )
    conn_reason_len: int = f.u8(
        unit="byte", vci="P", default=2, since=Since("4.10"), doc="connection reason bitmap in ET93"
    )
    apn_len: int = f.u8(vci="P", default=64, since=Since("4.10"), doc="APN characters in ET95")
    apn_user_len: int = f.u8(vci="P", default=32, since=Since("4.10"), doc="APN user characters in ET95")
    apn_password_len: int = f.u8(vci="P", default=32, since=Since("4.10"), doc="APN password characters in ET95")
    sim_pin_len: int = f.u8(vci="P", default=5, since=Since("4.10"), doc="SIM PIN characters in ET94")
    modem_mfr_len: int = f.u8(vci="P", default=32, since=Since("4.10"), doc="modem manufacturer characters in ET95")
    modem_model_len: int = f.u8(vci="P", default=32, since=Since("4.10"), doc="modem model characters in ET95")
    modem_rev_len: int = f.u8(vci="P", default=32, since=Since("4.10"), doc="modem revision characters in ET95")
    modem_imei_len: int = f.u8(vci="P", default=32, since=Since("4.10"), doc="IMEI characters in ET95")
    sim_phone_len: int = f.u8(
        vci="P", default=32, since=Since("4.10"), doc="SIM phone number characters in ET93 and ET95"
    )
    operator_len: int = f.u8(vci="P", default=40, since=Since("4.10"), doc="operator name characters in ET95")
    max_sockets: int = f.u8(vci="P", default=2, since=Since("4.10"), doc="modem connections")
    max_services: int = f.u8(vci="P", default=10, since=Since("4.10"), doc="modem IP services")
    nbr_ftz_msgs: int = f.u8(vci="P", default=3, since=Since("3.82", "4.02"), doc="FTz message display sources")
    at_reply_len: int = f.u16(unit="byte", vci="P", default=200, since=Since("4.20"), doc="AT command reply in ET98")
    sim_iccid_len: int = f.u8(vci="P", default=23, since=Since("4.20"), doc="ICCID characters in ET95")
    unlisted_20: bytes = f.binary(5, since=Since("4.50"), doc="not in the chart (unverified)", status="unverified")
    nbr_pending_sec_events: int = f.u8(
        since=Since("4.50"),
        doc=("pending security event entries, known only from the ET89 reference (type unverified)"),
        status="unverified",
    )
    pending_sec_event_size: int = f.u8(
        unit="byte",
        since=Since("4.50"),
        doc="bytes per entry, known only from the ET89 reference (type unverified)",
        status="unverified",
    )
