"""ET04 System Information (MEP guide p. 56)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, Since, bit
from osgp.wire import fields as f

__all__ = ["ET04"]


class ET04(
    Table,
    number=2052,
    title="System Information",
    role="status",
    source="MEP guide p. 56",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), nvm_write=False, nvm_read=False),
    notes=(
        (
            "Other tables cite ET04.107.1 (extended LP source mapping flag) and ET04.114 (C12.19 "
            "compliance); byte 107 is listed as unused here (unverified)."
        ),
        "Writable by MAK, but fields marked vci M are maintained by the meter.",
    ),
):
    """System Information."""

    seq_nbr: int = f.u32(vci="M", doc="current PLC (LonTalk) message sequence number")
    xcvr_id: bytes = f.binary(6, vci="M", doc="unique ID of the smart transceiver, refreshed at power-up/reset")
    subnet_id: int = f.u8(vci="H/M", doc="PLC subnet; non-zero means commissioned by a control node")
    node_id: int = f.u8(vci="H/M", doc="PLC node; non-zero means commissioned by a control node")

    class PlcFlags(Bits, size=1):
        """PLC/Neuron flags."""

        explicit_msg_received: int = bit(0, 1, vci="M", doc="an explicit message was received")
        force_neuron_cnfg: int = bit(
            1,
            1,
            vci="H/M",
            doc=(
                "start Neuron manufacturing configuration; self-clears (about 4 s, 30 s timeout "
                "leaves it set); resets encryption key to default"
            ),
        )
        request_neuron_state: int = bit(
            2,
            1,
            vci="H/M",
            doc=("ask for Neuron state (result in NEURON_STATE); self-clears, stays set on 4 s timeout"),
        )
        disable_plc_encryption: int = bit(3, 1, vci="H", doc="1 disables PLC encryption")
        disable_neuron_eeprom_lock: int = bit(4, 1, vci="H", doc="1 disables the EEPROM lock feature")
        neuron_phase: int = bit(
            5,
            3,
            vci="M",
            values={
                0: "no phase inversion present",
                1: "in phase normal",
                2: "plus 120 deg inverted",
                3: "minus 120 deg normal",
                4: "180 deg inverted",
                5: "plus 120 deg normal",
                6: "minus 120 deg inverted",
                7: "n/a",
            },
            doc="latest phase reported by the Neuron",
        )

    plc_flags: PlcFlags = f.bits(PlcFlags, doc="PLC/Neuron flags")
    rated_freq: int = f.u8(unit="Hz", vci="H", doc="rated frequency, set in manufacturing")
    program_id: bytes = f.binary(8, vci="M", doc="program ID of the running firmware, refreshed at power-up")
    self_id: bytes = f.binary(30, vci="M", doc="LonTalk self-identification string, refreshed at power-up")
    pk_access: int = f.u8(vci="H", values={0: "enabled", 1: "disabled"}, doc="provisioning-key access")
    max_pwr_outages: int = f.u8(vci="P", default=10, doc="outage records kept (FIFO) in ET09 and ET10")
    unused_54: int = f.u8(vci="F", default=4, doc="unused")
    max_te_regs: int = f.u8(vci="P", default=4, doc="total-energy (daily consumption) registers recorded in ET12")
    reg_current: int = f.u16(unit="mA", vci="H", default="10 or 16", doc="starting (registration) current")
    max_current: int = f.u16(unit="A", vci="H", default=100, doc="maximum current, used for over-current detection")
    rated_voltage: int = f.u16(unit="V", vci="H", default=230, doc="rated voltage")

    class InactivePhases(Bits, size=1):
        """Phases to ignore for loss/sag/current events."""

        volt_l1_inactive: int = bit(
            0, 1, doc="1 = voltage phase L1 not present (control-point modules up to fw 1.20 need L1)"
        )
        volt_l2_inactive: int = bit(1, 1, doc="1 = voltage phase L2 not present (required in delta meters)")
        volt_l3_inactive: int = bit(2, 1, doc="1 = voltage phase L3 not present")
        separate_current_phases: int = bit(
            3,
            1,
            values={0: "current follows voltage bits", 1: "use current bits 4..6"},
            doc="separate inactive sets for voltage and current (meters only)",
        )
        curr_l1_inactive: int = bit(4, 1, doc="1 = no current on L1 (not for control-point/OSGP modules)")
        curr_l2_inactive: int = bit(5, 1, doc="1 = no current on L2 (required in delta meters)")
        curr_l3_inactive: int = bit(6, 1, doc="1 = no current on L3")
        reserved_7: int = bit(7, 1, doc="reserved")

    inactive_phases: InactivePhases = f.bits(
        InactivePhases, vci="H", doc="phases to ignore for loss/sag/current events"
    )
    dst_off_delta: int = f.i16(
        unit="min", vci="H", doc="minutes between DST-off time and DST-on time (practical -720..719)"
    )
    self_read_hour: int = f.u8(unit="h", vci="H", doc="time of day of the self read to BT26, 0..23")
    self_read_minute: int = f.u8(unit="min", vci="H", doc="0..59")
    stop_mode_days: int = f.u8(
        unit="d",
        vci="H",
        values={0: "never stop", 255: "stop immediately"},
        doc="days in wait mode before RTC stop; not for fw >= 4.0",
    )
    mfg_status: bytes = f.binary(3, vci="H", doc="internal use")

    class Options71(Bits, size=1):
        """Option bits."""

        rk_bp10_ep16_disabled: int = bit(0, 1, doc="1 = read-only key may not call BP10 and EP16")
        test_point: int = bit(1, 1, doc="1 = is a test point")
        test_point_confirmed: int = bit(2, 1, doc="internal use")
        lp_use_skipped: int = bit(
            3, 1, doc=("1 = stuffed/unpolled/unregistered LP channels get value 0 and status 4 (skipped)")
        )
        unlisted_4: int = bit(4, 4, doc="not listed")

    options_71: Options71 = f.bits(Options71, vci="H", doc="option bits")
    neuron_state: int = f.u8(
        vci="M",
        values={
            0: "invalid",
            1: "invalid",
            2: "application present, unconfigured",
            3: "applicationless, unconfigured",
            4: "configured online",
            5: "invalid",
            6: "hard offline",
            7: "invalid",
            12: "configured soft offline",
            140: "configured, bypass",
            255: "no reply",
        },
        doc="last Neuron state received",
    )
    phase_rotation: int = f.u8(
        vci="M", values={0: "L1L2L3", 1: "L3L2L1", 2: "unknown"}, doc="phase rotation, updated each second"
    )
    plc_inactive_threshold: int = f.u16(
        unit="min", vci="H", doc="PLC silence before Remote Communications Inactive alarm; 0 disables"
    )
    broadcast_receipt_time: LTime = f.ltime(vci="M", doc="UTC of last good secure broadcast")
    broadcast_base: int = f.u32(vci="H", doc="secure broadcast base value B")
    broadcast_delta: int = f.u16(vci="H", doc="secure broadcast delta value D")
    rev_energy_current_threshold: int = f.u16(
        unit="mA",
        vci="F",
        default=1000,
        doc=(
            "with rated voltage gives the reverse active power alarm threshold; 0 disables on fw "
            ">= 3.71, on others any reverse energy alarms"
        ),
    )
    plc_signal_quality: int = f.u8(
        vci="M",
        values={
            0: "no PLC traffic",
            1: "traffic, none for this meter",
            2: "own packet, margin <= 9 dB",
            3: "own packet, margin 12 or 15 dB",
            4: "own packet, margin >= 18 dB",
            5: "as 2 but C12.18 idle",
            6: "as 3 but C12.18 idle",
            7: "as 4 but C12.18 idle",
        },
        doc=("PLC signal quality; 5..7 = commissioned but no C12.18 message within the PLC active timeout"),
    )
    auto_disc_ta: int = f.u16(
        unit="bit-times", vci="H", doc="extra turn-around added to 330, address 0 in auto-discovery"
    )
    auto_disc_to: int = f.u16(unit="ms", vci="H", doc="extra turn-around added to 50, address 0 in auto-discovery")
    auto_disc_disable: int = f.u8(vci="H", doc="non-zero disables MEP auto-discovery")
    amp_gain_sensitivity: int = f.i16(vci="H", doc="amplifier gain detection sensitivity")
    event_outage_threshold: int = f.u16(
        unit="s",
        vci="H",
        doc=("off time needed for power down/up events in BT74/ET79; 0xFFFF = use ET09.LONG_OUTAGE_THRESHOLD"),
    )
    nvm_size: int = f.u16(unit="KiB", vci="F", doc="non-volatile memory in 1K blocks")
    safe_image_locked: int = f.u8(vci="H", default=0, doc="1 = safe image cannot be activated")
    mep_seq_nbr: int = f.u32(doc="MEP sequence number; unused on fw >= 4.0")
    unused_107: int = f.u16(vci="H", doc="unused")
    premise_power_gen: int = f.u8(vci="H", values={0: "off", 1: "on"}, doc="premise power generation")
    pwr_outage_detect_pct: int = f.u8(
        unit="%",
        vci="H",
        default=72,
        doc=("percent of rated voltage that means an outage; effective after reset; fw 3.x and modules only"),
    )
    phase_loss_pct: int = f.u8(
        unit="%",
        vci="H",
        default=61,
        doc=(
            "percent of reference voltage below which a phase is missing (fw 3.x: not below 61; "
            "fw 4.10+: capped at 80, floored to equivalent of 40 V)"
        ),
    )
    meter_form: int = f.u8(
        vci="M",
        values={0: "default, IEC measurements", 83: "S-base", 65: "A-base"},
        doc="meter form ('S'/'A' read as ASCII codes)",
    )
    clock_error_tier: int = f.u8(vci="H", default=0, doc="tariff used during a clock error, 0..3")

    class C1219Compliance(Bits, size=2):
        """C12.19 compliance flags."""

        unused: int = bit(0, 16, doc="all bits unused")

    c1219_compliance: C1219Compliance = f.bits(C1219Compliance, vci="H", doc="C12.19 compliance flags")
    idt_version: int = f.u8(vci="M", doc="wraps; +1 after EP11, EP32, EP33, EP06, EP37 or a firmware update")
    tilt_timer: int = f.u8(
        unit="s", vci="H", default=30, doc="seconds before an outage within which tilt events count; 255 = never ignore"
    )
    min_reg_current: int = f.u16(
        unit="mA", vci="H", default="10 (fw 4.10+) or 17", doc="starting current used if larger than REG_CURRENT"
    )
    reg_current_fraction: int = f.u8(
        unit="mA", scale=0.1, vci="H", default=17, doc="0.1 mA units, added to the registration current"
    )

    class AlarmOptions(Bits, size=1):
        """Phase loss alarm option."""

        constant_phase_loss_alarm: int = bit(
            0, 1, values={0: "set only on change", 1: "set whenever loss exists"}, doc="phase loss alarm behaviour"
        )
        unlisted_1: int = bit(1, 7, doc="not listed")

    alarm_options: AlarmOptions = f.bits(AlarmOptions, vci="H", since=Since("3.60"), doc="phase loss alarm option")
    power_up_wait: int = f.u8(
        unit="s",
        vci="H",
        default=0,
        doc=("delay before external communication (modules only; CPM 0600 uses 20) (unit unverified)"),
        status="unverified",
    )
    max_key_usage: int = f.u32(
        vci="F",
        default=1000000,
        since=Since("3.13", "3.80"),
        doc="allowed uses of PLC unicast/broadcast keys; event at 80 percent",
    )
    security_mode: int = f.u8(
        vci="FM",
        since=Since("3.13", "3.80"),
        values={0: "RC4", 1: "reserved", 2: "OSGP-AES-128-PSK"},
        doc="PLC security mode",
    )
    fcm_msg_count: int = f.u8(
        vci="M", since=Since("3.13", "3.80"), doc="FCM messages today, saturates at 100, cleared at 00:00:00"
    )
    mep_seq_nbrs: list[int] = f.u32(count=2, vci="M", since=Since("4.0"), doc="MEP sequence number per port")
    rev_energy_time_ms: int = f.u8(
        unit="ms", since=Since("4.0"), doc="millisecond part of the reverse energy time threshold"
    )
    rev_energy_time_s: int = f.u16(
        unit="s", default=10, since=Since("4.0"), doc="second part; 0/0 = immediate alarm; other devices use fixed 10 s"
    )
