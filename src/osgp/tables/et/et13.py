"""ET13 MEP/M-Bus Device Configuration (MEP guide p. 80)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import INDEX, Bits, Case, Since, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET13"]


class ET13(
    Table,
    number=2061,
    title="MEP/M-Bus Device Configuration",
    role="control",
    source="MEP guide p. 80",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), nvm_write=True, nvm_read=False),
    notes=(
        (
            "Elements 0..3 are M-Bus devices, element 4 the MEP client (element 5 the second MEP "
            "client on fw 4.x). Guide offsets are those of element 0."
        ),
    ),
):
    """MEP/M-Bus Device Configuration."""

    class DeviceConfig(Struct, floor="tables"):
        """Configuration per device."""

        sched_day: int = f.u8(
            vci="H",
            values={
                0: "first day of month",
                (1, 28): "day of month",
                32: "Sunday",
                33: "Monday",
                34: "Tuesday",
                35: "Wednesday",
                36: "Thursday",
                37: "Friday",
                38: "Saturday",
                39: "disable, with frequency 2",
            },
            doc="scheduled billing read day, local time; 29..31 forbidden",
        )
        sched_hour: int = f.u8(unit="h", vci="H", doc="0..23")
        sched_minute: int = f.u8(unit="min", vci="H", doc="0..59")
        sched_freq: int = f.u8(
            vci="H",
            values={0: "hourly", 1: "daily", 2: "weekly", 3: "monthly", 4: "never"},
            doc="billing read frequency; 4 required for CPM 0600/6010 before registration",
        )
        status_read_freq: int = f.u16(
            unit="min", vci="H", doc="status read period, M-Bus only; 0 = only with billing reads"
        )
        baud_rate: int = f.u8(
            vci="H",
            values={
                0: "9600 (MEP default)",
                1: "300",
                2: "600",
                3: "1200",
                4: "2400 (M-Bus default)",
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
            doc="desired baud rate; 7..12 not guaranteed",
        )
        device_alarm_mask: int = f.u8(vci="H", doc="device alarms that raise an urgent MEP alarm")

        class Config0(Struct, floor="tables"):
            """Remainder depends on the device kind, i = element index. (case 0)."""

            customer_id: str = f.text(
                20, vci="H", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="customer identification of the M-Bus device"
            )
            app_reset_param: int = f.u8(
                vci="H", doc="application-reset parameter selecting the telegrams of a billing read"
            )
            key_length: int = f.u8(unit="byte", vci="H", doc="security key length; 7 or less = no key")
            key: bytes = f.binary(32, vci="H", doc="security key; first 8 bytes write-only, read back as zero")
            ta: int = f.u16(unit="bit-times", vci="H", doc="extra turn-around added to 330")
            to: int = f.u16(unit="ms", vci="H", doc="extra turn-around added to 50")

        class Config1(Struct, floor="tables"):
            """Remainder depends on the device kind, i = element index. (case 1)."""

            class AlertFlags(Bits, size=1):
                """Set by the meter to notify the MEP client."""

                sched_read_request: int = bit(
                    0, 1, default=0, doc="scheduled billing period elapsed; cleared when the read data write completes"
                )
                ondemand_request: int = bit(1, 1, default=0, doc="request pending in ET15; cleared when completed")
                reserved_2: int = bit(2, 1, default=0, doc="internal use")
                mbus_change: int = bit(3, 1, default=0, doc="M-Bus control value changed or new M-Bus LP data")
                delta_data_alert: int = bit(
                    4, 1, default=0, since=Since("3.40"), doc="change on a source monitored in ET71"
                )
                unused: int = bit(5, 3, doc="reserved")

            alert_flags: AlertFlags = f.bits(AlertFlags, vci="M", doc="set by the meter to notify the MEP client")
            downlink_data: bytes = f.binary(
                at(ET11).config_entry_size - 9, vci="H", doc="opaque non-urgent downlink data for the MEP client"
            )

        config: Config0 | Config1 | None = f.union(
            [Case(INDEX < 4, Config0), Case(INDEX >= 4, Config1)],
            doc="remainder depends on the device kind, i = element index",
        )

    device_config: list[DeviceConfig] = f.record(
        DeviceConfig, count=at(ET11).nbr_devices, stride=at(ET11).config_entry_size, doc="configuration per device"
    )
