"""ET54 Meter Status (MEP guide p. 132)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET54"]


class ET54(
    Table,
    number=2102,
    title="Meter Status",
    role="status",
    source="MEP guide p. 132",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), nvm_write=False, nvm_read=False),
    notes=(
        "Symbol R = ET11.NBR_FW_MODULES*ET11.FW_MODULE_ENTRY_LEN (42 by default).",
        ("Guide lists reserved 20..43 although FLAGS_19 (uint16) covers 19..20; modelled as 21..43 (unverified)."),
        (
            "Module record: guide prints a UINT32 at 95 and a bit field at 97; 7-byte records fit"
            " only a 2-byte field at 95 (unverified)."
        ),
        ("The bit at 0.2 refers to ET42; ET42 cites ET54.0.1 for the extended source mapping (unverified which bit)."),
    ),
):
    """Meter Status."""

    class InterfaceCompat(Bits, size=2):
        """Interface compatibility settings."""

        reserved_0: int = bit(0, 2, doc="reserved")
        multi_lp: int = bit(
            2,
            1,
            values={0: "single set in ET42", 1: "multiple sets in ET42"},
            doc="multiple load profile data set support",
        )
        reserved_3: int = bit(3, 3, doc="reserved")
        energy_unit_change: int = bit(
            6, 1, vci="H", default=1, doc="1 = control node supports energy units other than 1 Wh/varh"
        )
        lcd_5_digit_id: int = bit(
            7,
            1,
            vci="H",
            default=1,
            since=Since("4.0"),
            values={0: "4-digit value ID", 1: "5-digit value ID"},
            doc="LCD ID code length",
        )
        multi_mep: int = bit(
            8,
            1,
            vci="H",
            default=1,
            since=Since("4.0"),
            values={0: "only MEP client 1", 1: "multiple MEP clients"},
            doc="number of MEP clients",
        )
        reserved_9: int = bit(9, 7, vci="H", default=0, doc="reserved")

    interface_compat: InterfaceCompat = f.bits(InterfaceCompat, doc="interface compatibility settings")
    reserved_2: bytes = f.binary(17, doc="reserved, 2..18")

    class Flags19(Bits, size=2):
        """Flags."""

        lp_disabled: int = bit(0, 1, vci="M", doc="load profiling disabled by opt-out")
        reserved_1: int = bit(1, 15, doc="reserved")

    flags_19: Flags19 = f.bits(Flags19, doc="flags")
    reserved_21: bytes = f.binary(23, doc="reserved (guide prints 20..43)")

    class TierDrive(Bits, size=1):
        """Reason when BT55 tier drive is 3 (all 0 = time-based override)."""

        over_pwr_exceeded: int = bit(
            0, 1, vci="M", default=0, doc="over power threshold exceeded for the threshold time"
        )
        step_tariff_in_use: int = bit(1, 1, vci="M", doc="step tariff in use")
        unlisted_2: int = bit(2, 6, doc="not listed")

    tier_drive: TierDrive = f.bits(
        TierDrive, vci="M", doc="reason when BT55 tier drive is 3 (all 0 = time-based override)"
    )
    reserved_45: bytes = f.binary(17, doc="reserved, 45..61")
    relay1_random_pending: int = f.u8(
        vci="M", values={0: "none", 1: "pending"}, doc="randomised operation of control relay 1 pending"
    )
    relay1_random_remaining: int = f.u16(unit="s", vci="M", doc="time to the pending operation")
    relay1_random_total: int = f.u16(
        unit="s", vci="M", doc="total randomisation time of the pending (or last) operation"
    )
    reserved_67: int = f.u8(doc="reserved")
    miswiring: int = f.u8(
        vci="M",
        since=Since("3.60"),
        values={
            0: "none",
            1: "low voltage on a phase (not fw 4.0+)",
            2: "high voltage on a phase",
            4: "two or more phases in phase",
        },
        doc="mis-wiring reason",
    )
    et74_entry_count: int = f.u16(vci="M", default=0, since=Since("3.60"), doc="entries in ET74 (entry size as ET45)")

    class Status71(Bits, size=1):
        """Status bits."""

        welmec_11_2: int = bit(
            0, 1, default=0, since=Since("3.60", modules="1.30"), doc="Welmec 11.2 compliance active"
        )
        time_sync_status: int = bit(
            1,
            2,
            default=0,
            since=Since("3.60", modules="1.30"),
            values={0: "none in interval", 1: "ongoing", 2: "done"},
            doc="delta time sync in current LP interval",
        )
        reserved_3: int = bit(3, 3, default=0, doc="reserved")
        push_button_close_locked: int = bit(
            6, 1, default=0, since=Since("4.0"), doc="disconnect push button temporarily may not close"
        )
        unlisted_7: int = bit(7, 1, doc="not listed")

    status_71: Status71 = f.bits(Status71, vci="M", since=Since("3.60"), doc="status bits")
    time_adjustment: int = f.i32(
        unit="s", vci="M", default=0, since=Since("3.60"), doc="cumulative adjustment in the current LP interval"
    )
    step_tariff_reset_date: bytes = f.binary(
        3,
        vci="M",
        default=0,
        since=Since("3.70"),
        doc=("type printed DATE (not defined); 3 bytes by offsets, presumably year, month, day (unverified)"),
        status="unverified",
    )
    et77_entry_count: int = f.u8(vci="M", default=0, since=Since("3.70"), doc="entries in ET77")
    et79_entry_count: int = f.u16(
        vci="M", default=0, since=Since("3.70"), doc="entries in ET79 (alternate event log), 0 = disabled"
    )
    unicast_key_usage: int = f.u32(
        vci="M",
        default=0,
        since=Since("3.13", "3.80"),
        doc="unicast key uses (fw 3.13: partial access only; meters only)",
    )
    broadcast_key_usage: int = f.u32(
        vci="M", default=0, since=Since("3.13", "3.80"), doc="broadcast key uses (meters only)"
    )

    class SecurityModes(Bits, size=1):
        """Supported PLC security modes."""

        rc4: int = bit(0, 1, doc="RC4")
        reserved_1: int = bit(1, 1, doc="reserved")
        aes_128_psk: int = bit(2, 1, doc="OSGP-AES-128-PSK")
        unlisted_3: int = bit(3, 5, doc="not listed")

    security_modes: SecurityModes = f.bits(
        SecurityModes, vci="F", default=5, since=Since("3.13", "3.80"), doc="supported PLC security modes (meters only)"
    )

    class Modules(Struct, floor="tables"):
        """Internal use."""

        reserved_91: int = f.u8(default=0, doc="reserved")
        reserved_92: int = f.u8(default=0, doc="reserved")
        reserved_93: int = f.u8(default=0, doc="reserved")
        reserved_94: int = f.u8(default=0, doc="reserved")
        reserved_95: int = f.u16(default=0, doc="printed UINT32, but 97 follows (unverified)", status="unverified")

        class Reserved97(Bits, size=1):
            """Reserved bits."""

            reserved_0: int = bit(0, 1, doc="reserved")
            reserved_1: int = bit(1, 7, doc="reserved")

        reserved_97: Reserved97 = f.bits(Reserved97, default=0, doc="reserved bits")

    modules: list[Modules] = f.record(
        Modules,
        count=at(ET11).nbr_fw_modules,
        stride=at(ET11).fw_module_entry_len,
        vci="M",
        since=Since("4.0"),
        doc="internal use",
    )
    reserved_mod_end: bytes = f.binary(4, since=Since("4.0"), doc="reserved")
    ext_tamper_adc: int = f.u16(
        vci="M", since=Since("4.0"), doc="raw ADC of the external tamper input, updated each second"
    )
    mep_tx_locked: int = f.u8(
        vci="M", default=0, since=Since("4.0"), doc="a MEP client locked ET52/ET53 (EP61; guide prints EP62)"
    )
    mep_tx_lock_channel: int = f.u8(
        vci="M",
        default=0,
        since=Since("4.0"),
        values={0: "none", 1: "MEP client 1", 2: "MEP client 2"},
        doc="lock holder",
    )
    proc_ext_failure: int = f.u32(
        vci="M", default=0, since=Since("4.10"), doc="upper 16 bits procedure number, lower 16 bits failure code"
    )
    relay2_random_pending: int = f.u8(
        vci="M",
        since=Since("4.30"),
        values={0: "none", 1: "pending"},
        doc="randomised operation of control relay 2 pending",
    )
    relay2_random_remaining: int = f.u16(unit="s", vci="M", since=Since("4.30"), doc="time to the pending operation")
    relay2_random_total: int = f.u16(unit="s", vci="M", since=Since("4.30"), doc="total randomisation time")
