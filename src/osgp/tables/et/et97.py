"""ET97 Meter Configuration LN (MEP guide p. 192)."""

from __future__ import annotations

from osgp.tables.et.et90 import ET90
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET97"]


class ET97(
    Table,
    number=2145,
    title="Meter Configuration LN",
    role="control",
    source="MEP guide p. 192",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), optical_read=("MK", "PK", "RK")),
    notes=(
        (
            "Symbol F = the guide's A, which it does not define: 8*ET90.NBR_FTZ_MSGS by the array"
            " at the start (unverified). Fw 3.82, 4.02+ and modules 1.31+; fields after "
            "MEP1_ID_MASK fw 4.02+ only."
        ),
        (
            "The chart prints the M-Bus bit and the reserved bits of byte A+62 in the offset "
            "column of fw 3.82 and modules 1.31, where A+31..A+61 do not exist; taken as a slip, "
            "all of A+62 is fw 4.02+ here (unverified). A+63 on is the 4.02 column."
        ),
        (
            "SECURITY_LOG_INTERVAL is printed UINT16 at A+97 but the next field is at A+98; the "
            "offsets are followed here, so it has one byte (unverified)."
        ),
    ),
):
    """Meter Configuration LN."""

    ftz_msgs: list[bytes] = f.binary(
        8, count=at(ET90).nbr_ftz_msgs, doc="FTz message contents (remaining energy units and unit characters)"
    )
    mep1_id_compare: int = f.u8(
        vci="H",
        default=0,
        values={
            0: "standard",
            1: "mask",
            2: "none, any registration is a new device",
            3: "none, any registration is the same device",
        },
        doc="MEP1 ID change detection",
    )
    mep1_id_mask: bytes = f.binary(30, vci="H", default=0, doc="mask applied to old/new MEP1 ID")
    mep2_id_compare: int = f.u8(
        vci="H",
        default=0,
        since=Since("4.02"),
        values={
            0: "standard",
            1: "mask",
            2: "none, any registration is a new device",
            3: "none, any registration is the same device",
        },
        doc="MEP2 ID change detection",
    )
    mep2_id_mask: bytes = f.binary(
        30, vci="H", default=0, since=Since("4.02"), doc="mask for the MEP2 ID (description says MEP 1)"
    )

    class RelayMbusFlags(Bits, size=1):
        """Flags."""

        power_boost_relay: int = bit(
            0,
            1,
            default=0,
            doc=(
                "relays need a power boost pulse to close (OR-ed with ET29); 1 after upgrade from "
                "<4.31 with only relay 1"
            ),
        )
        mbus_ad_300_baud: int = bit(1, 1, vci="H", default=0, doc="M-Bus auto-discovery also scans 300 baud")
        reserved_2: int = bit(2, 6, doc="reserved")

    relay_mbus_flags: RelayMbusFlags = f.bits(RelayMbusFlags, since=Since("4.02"), doc="flags")

    class Relays(Struct, floor="tables"):
        """Per relay, 17 bytes."""

        group_ids: list[int] = f.u16(count=5, doc="group IDs of the relay")

        class ModeFlags(Bits, size=1):
            """Relay mode."""

            mode: int = bit(
                0, 3, default=0, values={0: "standard", 1: "load management", (2, 7): "reserved"}, doc="mode"
            )
            require_explicit_hb: int = bit(3, 1, default=0, doc="1 = only EP02 keep-alive counts as heartbeat")
            reserved_4: int = bit(4, 4, default=0, doc="0")

        mode_flags: ModeFlags = f.bits(ModeFlags, vci="H", doc="relay mode")
        heartbeat_interval: int = f.u16(
            unit="min", vci="H", default=0, doc="load management heartbeat, 0 = none expected"
        )

        class Maintenance(Bits, size=1):
            """Maintenance mode control."""

            entry: int = bit(
                0,
                2,
                default=0,
                values={0: "explicit command", 1: "terminal cover removed", (2, 3): "reserved"},
                doc="entry condition",
            )
            display: int = bit(
                2,
                2,
                default=0,
                values={0: "no display, no update", 1: "display, no update", 2: "display, allow update", 3: "reserved"},
                doc="LCD and push button",
            )
            open_on_entry: int = bit(4, 1, default=0, doc="relay opened on entry")
            exit: int = bit(
                5,
                2,
                values={
                    0: "explicit command",
                    1: "cover replaced plus delay",
                    2: "cover replaced, at specified time",
                    3: "reserved",
                },
                doc="exit condition",
            )
            reserved_7: int = bit(7, 1, default=0, doc="0")

        maintenance: Maintenance = f.bits(Maintenance, vci="H", doc="maintenance mode control")
        exit_delay: int = f.u8(unit="s", vci="H", default=0, doc="delay for exit 1")
        exit_time: bytes = f.binary(2, vci="H", doc="local hour, minute for exit 2")

    relays: list[Relays] = f.record(Relays, count=2, since=Since("4.02"), doc="per relay, 17 bytes")
    security_log_interval: int = f.u8(
        unit="min",
        vci="H",
        default=0,
        since=Since("4.02"),
        doc=(
            "consolidation window of security events logged in ET124; printed UINT16, one byte by offsets (unverified)"
        ),
        status="unverified",
    )

    class TlsOptical(Bits, size=1):
        """Optical port security."""

        require_tls: int = bit(0, 1, vci="H", default=0, doc="optical clients must use TLS")
        reserved_1: int = bit(1, 7, vci="M", default=0, doc="reserved")

    tls_optical: TlsOptical = f.bits(TlsOptical, since=Since("4.02"), doc="optical port security")

    class TlsMep1(Bits, size=1):
        """MEP1 security."""

        require_tls: int = bit(0, 1, vci="H", default=0, doc="MEP1 client must use TLS")
        reserved_1: int = bit(1, 7, vci="M", default=0, doc="reserved")

    tls_mep1: TlsMep1 = f.bits(TlsMep1, since=Since("4.02"), doc="MEP1 security")

    class TlsMep2(Bits, size=1):
        """MEP2 security."""

        require_tls: int = bit(0, 1, vci="H", default=0, doc="MEP2 client must use TLS")
        reserved_1: int = bit(1, 7, vci="M", default=0, doc="reserved")

    tls_mep2: TlsMep2 = f.bits(TlsMep2, since=Since("4.02"), doc="MEP2 security")
