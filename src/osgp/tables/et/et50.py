"""ET50 MEP Inbound Data Space (MEP guide p. 124)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET50"]


class ET50(
    Table,
    number=2098,
    title="MEP Inbound Data Space",
    role="control",
    source="MEP guide p. 124",
    status="verified",
    access=Access(
        read=("MBK", "MAK"), write=("MBK", "MAK"), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False
    ),
    notes=(
        (
            "One element per MEP client (one on devices without ET11.MEP_CHANNEL_COUNT). MEP_ID "
            "layout: 3-byte manufacturer ID (MSBit of byte 0 set), class, N, N-byte program ID "
            "(4- or 6-byte standard forms), M, M-byte unique ID, zero spare to 30 bytes. Classes:"
            " 0 LonTalk, 1 ZigBee, 4 C-Band, 5 OSGP. 4-byte program ID: device type, sub-type, "
            "interface version, revision; 6-byte form replaces revision by fw major, minor, "
            "revision."
        ),
    ),
):
    """MEP Inbound Data Space."""

    class Inbound(Struct, floor="tables"):
        """Inbound data space per client."""

        mep_id: bytes = f.binary(30, vci="M", default=0, doc="identification string of the MEP client")

        class MepFlags(Bits, size=1):
            """Set by the MEP client."""

            registered: int = bit(0, 1, default=0, doc="client announces its presence (auto-discovery)")
            et59_response: int = bit(
                1, 1, default=0, values={0: "BT08", 1: "ET59"}, doc="procedure response table of MEP client 1"
            )
            mbus_alerts: int = bit(2, 1, default=0, doc="receive M-Bus alerts")
            delta_data_alerts: int = bit(3, 1, default=0, since=Since("3.40"), doc="enable delta data alerts")
            unused: int = bit(4, 4, doc="reserved")

        mep_flags: MepFlags = f.bits(MepFlags, vci="M", doc="set by the MEP client")

        class IconControl(Bits, size=2):
            """Icons per data source (OR-ed)."""

            euro: int = bit(0, 1, doc="value 1")
            dollar: int = bit(1, 1, doc="value 2")
            date: int = bit(2, 1, doc="value 4")
            time: int = bit(3, 1, doc="value 8")
            kvarh: int = bit(4, 1, doc="value 16")
            kwh: int = bit(5, 1, doc="value 32")
            kvar: int = bit(6, 1, doc="value 64")
            kw: int = bit(7, 1, doc="value 128")
            negative: int = bit(8, 1, doc="value 256, minus sign")
            unlisted_9: int = bit(9, 7, doc="not listed")

        icon_control: list[IconControl] = f.bits(
            IconControl, count=at(ET11).nbr_mep_data_sources, vci="M", doc="icons per data source (OR-ed)"
        )
        data_sources: list[int] = f.ni_fmat1(
            count=at(ET11).nbr_mep_data_sources, vci="M", doc="values for load profile and LCD"
        )

        class Icons1(Bits, size=1):
            """MEP icons: 0 off, 1 on, 2 flash."""

            house: int = bit(
                0,
                4,
                default=0,
                values={0: "off", 1: "on", 2: "flash"},
                doc="house icon (one client only, see ET55 HOUSE_ICON_CONTROL)",
            )
            short_bar: int = bit(4, 4, default=0, doc="reserved")

        icons_1: Icons1 = f.bits(Icons1, vci="M", doc="MEP icons: 0 off, 1 on, 2 flash")

        class Icons2(Bits, size=1):
            """Bar icons."""

            medium_bar: int = bit(0, 4, default=0, doc="reserved")
            long_bar: int = bit(4, 4, default=0, doc="reserved")

        icons_2: Icons2 = f.bits(Icons2, vci="M", doc="bar icons")
        reserved: int = f.u16(vci="M", doc="reserved")

    inbound: list[Inbound] = f.record(
        Inbound,
        count=at(ET11).mep_channel_count + (at(ET11).mep_channel_count == 0),
        doc="inbound data space per client",
    )
