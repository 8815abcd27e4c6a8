"""ET51 MEP Device Configuration (MEP guide p. 127; optical guide p. 14)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET51"]


class ET51(
    Table,
    number=2099,
    title="MEP Device Configuration",
    role="control",
    source="MEP guide p. 127; optical guide p. 14",
    status="verified",
    access=Access(
        read=("MBK", "MAK"),
        write=("MBK", "MAK"),
        optical_read=("MK", "PK"),
        optical_write=("MK", "PK"),
        nvm_write=True,
        nvm_read=False,
    ),
    notes=(
        ("Optical D.O.S. fields apply only while a single MEP port is enabled; on fw 4.0+ with both ports use ET55."),
    ),
):
    """MEP Device Configuration."""

    class Config(Struct, floor="tables"):
        """Per MEP client."""

        class MepFlags(Bits, size=1):
            """Configuration flags."""

            enable_optical_dos: int = bit(0, 1, default=1, doc="enforce optical denial-of-service timers")
            monitor_mep_health: int = bit(1, 1, default=0, doc="monitor MEP requests for device status")
            reset_device_down: int = bit(
                2, 1, default=0, since=Since("3.40"), doc="reset client when health timeout marks it down"
            )
            reset_mep_now: int = bit(3, 1, default=0, since=Since("3.60"), doc="toggle the reset line now, self-clears")
            unused: int = bit(4, 3, doc="unused")
            disable_mep: int = bit(7, 1, default=0, doc="disable all MEP operations")

        mep_flags: MepFlags = f.bits(MepFlags, vci="H", doc="configuration flags")
        health_timeout: int = f.u16(unit="s", vci="H", default=60, doc="MEP silence before device status 'down'")
        ondemand_otr_timeout: int = f.u8(unit="s", vci="H", default=30, doc="expiry of ET15 and ET20 entries")
        optical_session_timeout: int = f.u16(unit="s", vci="H", default=600, doc="optical session limit")
        optical_hold_off: int = f.u16(unit="s", vci="H", default=300, doc="optical lock-out after a timeout")
        down_reset_duration: int = f.u8(
            unit="s", vci="H", default=1, since=Since("3.40"), doc="reset pulse length, 0 acts as 1"
        )

        class HanFlags(Bits, size=1):
            """Home area network flags."""

            deactivate_han: int = bit(
                0,
                1,
                values={0: "activate", 1: "deactivate"},
                doc="head-end request to the client (optical guide: use ET55 on fw 4.0+)",
            )
            unused: int = bit(1, 7, doc="unused")

        han_flags: HanFlags = f.bits(HanFlags, vci="H", since=Since("3.70"), doc="home area network flags")

    config: list[Config] = f.record(
        Config, count=at(ET11).mep_channel_count + (at(ET11).mep_channel_count == 0), doc="per MEP client"
    )
