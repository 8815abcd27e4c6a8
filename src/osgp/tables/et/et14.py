"""ET14 MEP/M-Bus Device Status (MEP guide p. 83)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, Since, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET14"]


class ET14(
    Table,
    number=2062,
    title="MEP/M-Bus Device Status",
    role="status",
    source="MEP guide p. 83",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=(
        (
            "Update classes: O on-demand, S scheduled, U unsolicited reads; each device type and "
            "read kind per the guide's column is noted in doc."
        ),
        (
            "MEP client 2 handles are printed 2000..2099 here but 2000..2999 in the multiple-MEP-"
            "port section (unverified which)."
        ),
    ),
):
    """MEP/M-Bus Device Status."""

    class Mode(Bits, size=1):
        """Polling mode, M-Bus only."""

        auto_discovery: int = bit(0, 1, values={0: "normal polling", 1: "auto-discovery"}, doc="mode")
        unlisted_1: int = bit(1, 7, doc="not listed")

    mode: Mode = f.bits(Mode, vci="M", doc="polling mode, M-Bus only")
    reserved_1: int = f.u32(vci="M", doc="reserved")

    class DeviceOccupancy(Bits, size=1):
        """Occupied slots, 1 = occupied."""

        dev1_mbus: int = bit(0, 1, doc="M-Bus device 1")
        dev2_mbus: int = bit(1, 1, doc="M-Bus device 2")
        dev3_mbus: int = bit(2, 1, doc="M-Bus device 3")
        dev4_mbus: int = bit(3, 1, doc="M-Bus device 4")
        dev5_mep: int = bit(4, 1, doc="MEP client 1")
        dev6_mep: int = bit(5, 1, doc="MEP client 2")
        unlisted_6: int = bit(6, 2, doc="not listed")

    device_occupancy: DeviceOccupancy = f.bits(DeviceOccupancy, vci="M", doc="occupied slots, 1 = occupied")

    class DeviceStatus(Struct, floor="tables"):
        """Status per device."""

        device_handle: int = f.u16(
            vci="M",
            values={(1, 999): "M-Bus device", (1000, 1999): "MEP client 1", (2000, 2999): "MEP client 2"},
            doc="unique device handle",
        )
        status: int = f.u8(
            vci="M",
            values={
                0: "empty slot",
                1: "M-Bus device up",
                2: "M-Bus device down",
                3: "MEP client up",
                4: "MEP client down",
            },
            doc=("updated OSU; meaningful for MEP if MONITOR_MEP_HEALTH in ET51 and handle non-zero"),
        )
        baud_rate: int = f.u8(
            vci="M",
            values={
                0: "9600",
                1: "300",
                2: "600",
                3: "1200",
                4: "2400",
                5: "4800",
                6: "9600",
                7: "14400",
                8: "19200",
                9: "28800",
                10: "38400",
                11: "57600",
                12: "115200",
                (13, 255): "reserved",
            },
            doc="operating baud rate",
        )
        billing_read_len: int = f.u16(
            unit="byte",
            vci="M",
            doc=(
                "bytes of the latest billing read in ET16 incl. timestamp, header fields and 0 terminator; updated OU"
            ),
        )
        read_attempts: int = f.u32(vci="M", doc="attempted communications, updated OS at request time")
        read_answers: int = f.u32(vci="M", doc="successful answers, updated OSU on response")

        class MepAlarms(Bits, size=2):
            """Latched until cleared by EP18; a new bit sets the BT03 MEP alarm."""

            billing_data_collected: int = bit(
                0, 1, doc=("scheduled billing read stored in ET16 (not raised for reads that go only to ET45)")
            )
            app_error_response: int = bit(1, 1, doc="not supported")
            new_device_alarm: int = bit(2, 1, doc="status read found a new device alarm")
            billing_read_overflow: int = bit(3, 1, doc="billing data did not fit")
            failed_comms_on_read: int = bit(4, 1, doc="M-Bus: request timeout; MEP: health monitor timeout")
            serial_nbr_mismatch: int = bit(5, 1, doc="M-Bus billing read had a different serial number")
            fw_switchover_ok: int = bit(6, 1, doc="MEP firmware switchover succeeded")
            fw_switchover_failed: int = bit(7, 1, doc="MEP firmware switchover failed")
            reserved_8: int = bit(8, 8, doc="reserved")

        mep_alarms: MepAlarms = f.bits(
            MepAlarms, vci="M", doc="latched until cleared by EP18; a new bit sets the BT03 MEP alarm"
        )
        mbus_primary_addr: int = f.u8(
            vci="M", since=Since("4.30"), doc="primary address assigned to the M-Bus device; unused elsewhere"
        )
        reserved_23: LTime = f.ltime(vci="M", doc="reserved")
        device_alarms: int = f.u8(vci="M", doc="device alarms from status reads, latched until EP18")
        status_read_time: LTime = f.ltime(vci="M", doc="local time of last good status read")
        last_read_attempt: LTime = f.ltime(vci="M", doc="local time of last billing read attempt")

    device_status: list[DeviceStatus] = f.record(
        DeviceStatus, count=at(ET11).nbr_devices, stride=at(ET11).status_entry_size, doc="status per device"
    )
