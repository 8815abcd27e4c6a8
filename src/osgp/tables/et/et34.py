"""ET34 Additional M-Bus/MEP Device Configuration (MEP guide p. 106)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET34"]


class ET34(
    Table,
    number=2082,
    title="Additional M-Bus/MEP Device Configuration",
    role="control",
    source="MEP guide p. 106",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), nvm_write=True, nvm_read=False),
    notes=(("Reserved tail is printed as ARRAY[7] at 14-21, which is 8 bytes; entry size 22 needs 8."),),
):
    """Additional M-Bus/MEP Device Configuration."""

    class DeviceConfig(Struct, floor="tables"):
        """Per device."""

        reserved_0: bytes = f.binary(2, doc="reserved")
        group_mask: int = f.u8(vci="H", doc="membership in 8 multicast groups (EP18; M-Bus only)")
        reserved_3: int = f.u8(doc="reserved")
        lp_poll_rate: int = f.u16(unit="min", vci="H", default=60, doc="maximum LP poll period; 0 = every LP interval")
        control_mdt: int = f.u8(vci="H", default=0, doc="MDT of a control status recorded in ET58")
        cmd_monitor_mdt: int = f.u8(vci="H", default=0, doc="MDT of a command to monitor; 0 = none")
        timestamp_mdt: int = f.u8(vci="H", default=0, doc="MDT of the record header carrying a time stamp")

        class HourLocator(Bits, size=1):
            """Hour bits in the time stamp."""

            start_bit: int = bit(0, 5, default=0, doc="1-based start bit")
            bits_used: int = bit(
                5,
                3,
                orig="BIT_COUNT",
                default=0,
                doc="number of bits; 0 = default locator (4-byte value 9/5, 6-byte value 17/5)",
            )

        hour_locator: HourLocator = f.bits(HourLocator, vci="H", doc="hour bits in the time stamp")

        class MinuteLocator(Bits, size=1):
            """Minute bits in the time stamp."""

            start_bit: int = bit(0, 5, default=0, doc="1-based start bit")
            bits_used: int = bit(
                5,
                3,
                orig="BIT_COUNT",
                default=0,
                doc="number of bits; 0 = default (4-byte value 1/6, 6-byte value 9/6)",
            )

        minute_locator: MinuteLocator = f.bits(MinuteLocator, vci="H", doc="minute bits in the time stamp")
        lp_poll_wait: int = f.u8(unit="s", vci="H", default=0, doc="wait after interval end before polling")
        lp_retry_attempts: int = f.u8(vci="H", default=0, doc="retries 0..254")
        lp_retry_wait: int = f.u8(unit="s", vci="H", default=0, doc="wait between retries (unit per p. 33)")
        reserved_14: bytes = f.binary(8, doc="reserved")

    device_config: list[DeviceConfig] = f.record(
        DeviceConfig, count=at(ET11).nbr_devices, stride=at(ET11).config_entry2_size, doc="per device"
    )
