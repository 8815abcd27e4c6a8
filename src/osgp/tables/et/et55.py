"""ET55 Meter Configuration (MEP guide p. 139)."""

from __future__ import annotations

from osgp.tables.bt.bt20 import BT20
from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, Since, at, bit, env
from osgp.wire import fields as f

__all__ = ["ET55"]


class ET55(
    Table,
    number=2103,
    title="Meter Configuration",
    role="control",
    source="MEP guide p. 139",
    status="verified",
    access=Access(
        read=("MBK", "MAK"), write=("MAK",), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False
    ),
    notes=(
        (
            "Offsets: fw 3.x/modules first; fw 4.0+ is +1 from LCD_MSG_DP on because ID codes "
            "have 5 characters (env.GEN4). Symbol A = 146+env.GEN4+4*(BT20.NBR_TIERS-1)."
        ),
        "Byte 127+env.GEN4 is skipped between the listed offsets (unverified).",
        (
            "For fw 4.0+ the guide prints offset 1 for DELTA_TIME_INCREMENT and reserved 4..13 "
            "(unverified; 4 used here)."
        ),
        (
            "Fields from 52 to 77 are also used by the Free Text (FTa) message feature on fw "
            "3.82, 4.02+ and modules 1.31+."
        ),
        (
            "The MSB field text cites ET54.138 for the reverse energy threshold; the 16-bit "
            "threshold is REV_ENERGY_CURRENT here."
        ),
    ),
):
    """Meter Configuration."""

    reserved_0: bytes = f.binary(3, doc="reserved")

    class TariffEnable(Bits, size=1):
        """Tariff features."""

        reserved_0: int = bit(0, 1, doc="reserved")
        consumption_tariff_enabled: int = bit(1, 1, default=0, doc="effective only with DISABLE_CONSUMPTION_TARIFF 0")
        reserved_2: int = bit(2, 3, doc="reserved")
        step_tariff_enabled: int = bit(5, 1, default=0, doc="effective only with DISABLE_STEP_TARIFF 0")
        unlisted_6: int = bit(6, 2, doc="not listed")

    tariff_enable: TariffEnable = f.bits(TariffEnable, vci="H", doc="tariff features")
    delta_time_increment: int = f.u8(
        unit="s", vci="H", doc="clock change per minute during an EP16 delta adjustment, 0..16"
    )
    reserved_5: bytes = f.binary(9, doc="reserved, 5..13")
    signal_strength_threshold: int = f.i8(
        unit="dB",
        vci="H",
        default=-84,
        doc=("PLC activity threshold; -84 accepts all (stored in a UINT8; signedness unverified)"),
        status="unverified",
    )
    plc_active_timeout: int = f.u16(
        unit="min", vci="H", default=60, doc="PLC silence before icon and ATM response stop"
    )
    reserved_17: bytes = f.binary(3, doc="reserved (guide prints 17..51 and then details 20..23)")
    plc_auth_lockout_count: int = f.u8(
        vci="H",
        default=0,
        since=Since("4.30"),
        doc=("consecutive PLC authentication failures before lock-out (recommended at least 30)"),
    )
    plc_auth_lockout_time: int = f.u8(unit="min", vci="H", default=0, since=Since("4.30"), doc="PLC lock-out duration")
    opt_auth_lockout_count: int = f.u8(vci="H", default=0, since=Since("4.30"), doc="same for the optical port")
    opt_auth_lockout_time: int = f.u8(
        unit="min", vci="H", default=0, since=Since("4.30"), doc="optical lock-out duration"
    )
    reserved_24: bytes = f.binary(28, doc="reserved, 24..51")
    lcd_msg_id: str = f.text(
        4 + env.gen4,
        vci="H",
        charset="BT00.FORMAT_0.CHAR_FORMAT",
        doc="ID shown left on the LCD, element 0 leftmost; FTa OBIS code",
    )
    lcd_msg_dp: int = f.u8(vci="H", doc="decimal point bits, bit 0 rightmost")
    lcd_msg_text: str = f.text(
        8, vci="M", charset="BT00.FORMAT_0.CHAR_FORMAT", doc="8-character message (FTa remaining characters)"
    )
    lcd_msg_start: LTime = f.ltime(vci="M", doc="UTC start of display (value printed as a bare 1)")
    lcd_msg_end: LTime = f.ltime(
        vci="M",
        doc=(
            "UTC end of display (value printed as a bare 1); earlier than start = do not show and deactivate previous FTa"
        ),
    )

    class LcdMsgFlags(Bits, size=1):
        """Override control."""

        disable_override: int = bit(0, 1, vci="H", doc="1 = push button cannot dismiss the message")
        overridden: int = bit(1, 1, vci="M,H", doc="1 = message dismissed/inactive")
        disable_in_scroll_list: int = bit(2, 1, vci="H", doc="1 = dismissed message not added to the scrolling list")
        unlisted_3: int = bit(3, 5, doc="not listed")

    lcd_msg_flags: LcdMsgFlags = f.bits(LcdMsgFlags, doc="override control")
    phase_loss_seconds: int = f.u16(unit="s", vci="H", default=10, doc="phase loss duration before the event")

    class TariffDisable(Bits, size=1):
        """Tariff feature disables."""

        reserved_0: int = bit(0, 1, default=1, doc="reserved")
        disable_consumption_tariff: int = bit(1, 1, default=0, doc="1 = disabled")
        reserved_2: int = bit(2, 1, default=0, doc="reserved")
        disable_step_tariff: int = bit(3, 1, default=0, doc="1 = disabled")
        unlisted_4: int = bit(4, 4, doc="not listed")

    tariff_disable: TariffDisable = f.bits(TariffDisable, doc="tariff feature disables")
    over_pwr_threshold: int = f.u32(unit="W", vci="H", default=0, doc="power that triggers the consumption tariff")
    over_pwr_time: int = f.u16(unit="s", vci="H", default=0, doc="duration above the threshold")
    over_pwr_tier: int = f.u8(vci="H", default=0, doc="consumption-based tariff")
    over_pwr_source: int = f.u8(
        vci="H", default=0, values={0: "forward+reverse", 1: "forward", 2: "forward-reverse"}, doc="power compared"
    )
    reserved_89: bytes = f.binary(4, doc="reserved")
    ct_secondary_current: int = f.u8(
        unit="A", vci="H", default=1, doc="CT secondary rated current (unit unverified)", status="unverified"
    )
    clock_error_calendar_id: int = f.u32(vci="H", default=0, doc="calendar ID shown during a clock error")
    over_pwr_calendar_id: int = f.u32(vci="H", default=0, doc="calendar ID shown with the consumption tariff")
    reserved_102: int = f.u8(doc="reserved")
    general_crdt: int = f.u16(
        unit="s",
        vci="H",
        default=10,
        doc=("cover removed duration threshold (lower cover fw 3.x and 4.10+, upper cover fw 4.0x); 0 disables"),
    )
    pq_crdt: int = f.u16(
        unit="s",
        vci="H",
        default=10,
        since=Since("3.40"),
        doc="power quality cover removed threshold, gen 3.x only; 0 disables",
    )

    class CoverPqEventMask(Bits, size=2):
        """PQ events that qualify Cover Removed, gen 3.x only."""

        phase_loss: int = bit(0, 1, default=0, doc="coincident unqualified phase loss")
        current_on_missing_phase: int = bit(1, 1, default=0, doc="coincident current on no voltage")
        subsequent_outage: int = bit(2, 1, default=0, doc="later power outage")
        preceding_outage: int = bit(3, 1, default=0, doc="preceding or coincident outage")
        reserved_4: int = bit(4, 12, doc="reserved")

    cover_pq_event_mask: CoverPqEventMask = f.bits(
        CoverPqEventMask,
        vci="H",
        default=0,
        since=Since("3.40"),
        doc="PQ events that qualify Cover Removed, gen 3.x only",
    )
    primary_lp_index: int = f.u8(
        vci="H",
        default=0,
        since=Since("3.50"),
        values={0: "data set 1", 1: "data set 2", 2: "data set 3", 3: "data set 4"},
        doc="primary load profile set",
    )
    hf_noise_threshold: int = f.i16(
        vci="H", default=0, since=Since("3.50"), doc="high-frequency noise threshold; over 512 disables"
    )
    hf_noise_time: int = f.u16(unit="s", vci="H", default=0, since=Since("3.50"), doc="duration before logging")
    earth_fault_current: int = f.u16(
        unit="mA", vci="H", since=Since("4.0"), doc="earth fault alarm current (delta meters fw 4.0+)"
    )
    reserved_116: int = f.u8(vci="H", since=Since("3.60"), doc="reserved")
    earth_fault_time: int = f.u16(
        vci="H", since=Since("4.0"), doc="earth fault duration (delta meters fw 4.0+; unit not stated)"
    )
    broken_mv_time: int = f.u16(
        unit="s", vci="M", default=600, since=Since("3.60"), doc="broken MV conductor duration (unit unverified)"
    )
    zero_fault_time: int = f.u16(
        unit="s", vci="M", default=10, since=Since("3.60"), doc="zero fault duration, 0 disables"
    )
    normal_v_upper: int = f.u8(
        unit="%", vci="M", default=115, since=Since("3.60"), doc="zero fault: normal voltage upper limit"
    )
    normal_v_lower: int = f.u8(unit="%", vci="M", default=85, since=Since("3.60"), doc="normal voltage lower limit")
    low_v_higher: int = f.u8(unit="%", vci="M", default=60, since=Since("3.60"), doc="low voltage higher limit")
    v_fluctuation_limit: int = f.u8(unit="%", vci="M", default=5, since=Since("3.60"), doc="voltage fluctuation limit")
    unlisted_127: int = f.u8(since=Since("3.70"), doc="gap in the listed offsets (unverified)", status="unverified")
    prepay_rates_5_8: list[int] = f.u32(
        count=4,
        unit="Wh/kWh",
        vci="H",
        default=0,
        since=Since("3.70"),
        doc="prepay conversion rates of tiers 5..8, max 1000000",
    )
    rev_energy_current: int = f.u16(
        unit="mA",
        vci="F",
        default=1000,
        since=Since("3.70"),
        doc="reverse energy alarm current threshold (low 16 bits on fw 4.0+)",
    )
    step_thresholds: list[int] = f.u32(
        count=at(BT20).nbr_tiers - 1,
        vci="H",
        default=0,
        since=Since("3.70"),
        doc="step tariff thresholds in energy register units, 0 = unused",
    )
    step_source: int = f.u8(
        vci="H",
        default=0,
        since=Since("3.70"),
        values={0: "forward active Wh", 1: "reverse active Wh", 2: "forward+reverse", 3: "forward-reverse"},
        doc="energy compared to the step thresholds",
    )
    step_tou_id: int = f.u32(vci="H", default=0, since=Since("3.70"), doc="TOU ID shown with the step tariff")
    step_reset_day: int = f.u8(vci="H", default=1, since=Since("3.70"), doc="day of month 1..28")
    step_reset_hour: int = f.u8(vci="H", default=0, since=Since("3.70"), doc="0..23 local")
    step_reset_minute: int = f.u8(vci="H", default=0, since=Since("3.70"), doc="0..59 local")
    step_reset_second: int = f.u8(vci="H", default=0, since=Since("3.70"), doc="0..59 local")
    reserved_a9: int = f.u8(vci="H", default=0, since=Since("3.70"), doc="reserved")
    rms_v_cycles: int = f.u16(default=15, since=Since("3.70"), doc="mains cycles for consecutive RMS voltage, 10..800")
    avg_v_seconds: int = f.u16(
        unit="s",
        default=600,
        since=Since("3.70"),
        doc="averaging time, synced to the hour, non-zero, restricted divisors",
    )
    avg_v_count: int = f.u16(default=1008, since=Since("3.70"), doc="average voltages used for nlc/nlp, non-zero")
    delta_adsup: int = f.u32(unit="mV", default=0, since=Since("3.70"), doc="upper limit of proper voltage range")
    delta_adinf: int = f.u32(unit="mV", default=0, since=Since("3.70"), doc="lower limit of proper voltage range")
    delta_prsup: int = f.u32(
        unit="mV", default=0, since=Since("3.70"), doc="added to DELTA_ADSUP: upper limit of medium range"
    )
    delta_prinf: int = f.u32(
        unit="mV", default=0, since=Since("3.70"), doc="added to DELTA_ADINF: lower limit of medium range"
    )
    mvd_lower_cycles: int = f.u16(
        default=1, since=Since("3.70"), doc="cycles for momentary voltage disturbance detection, lower limit"
    )
    mvd_upper_cycles: int = f.u16(default=180, since=Since("3.70"), doc="upper limit")
    mvd_sag_low_pct: int = f.u8(unit="%", default=10, since=Since("3.70"), doc="low threshold of an MVD sag")
    mvd_sag_high_pct: int = f.u8(unit="%", default=90, since=Since("3.70"), doc="high threshold of an MVD sag")
    mvd_swell_low_pct: int = f.u8(unit="%", default=110, since=Since("3.70"), doc="low threshold of an MVD swell")
    energy_reg_unit: int = f.u8(
        default=1,
        since=Since("3.70"),
        values={1: "1 Wh/varh", 10: "10 Wh/varh", 100: "100 Wh/varh"},
        doc="unit of stored Wh/varh registers; CT meters and modules, factory set",
    )

    class MepFlags(Bits, size=1):
        """Flags for MEP."""

        house_icon_control: int = bit(
            0, 2, default=0, values={0: "neither", 1: "MEP client 1", 2: "MEP client 2"}, doc="owner of the house icon"
        )
        mbus_auto_confirm: int = bit(2, 1, default=0, since=Since("4.30"), doc="M-Bus discovery auto-confirmation")
        reserved_3: int = bit(3, 5, doc="reserved")

    mep_flags: MepFlags = f.bits(MepFlags, since=Since("4.0"), doc="flags for MEP")

    class OpticalFlags(Bits, size=1):
        """Optical settings."""

        enable_optical_dos: int = bit(0, 1, vci="H", default=0, doc="enforce optical denial-of-service timers")
        disable_optical: int = bit(1, 1, vci="H", default=0, doc="disable the optical port")
        reserved_2: int = bit(2, 6, doc="reserved")

    optical_flags: OpticalFlags = f.bits(OpticalFlags, since=Since("4.0"), doc="optical settings")
    optical_session_timeout: int = f.u16(
        unit="s", vci="H", default=600, since=Since("4.0"), doc="optical session limit"
    )
    optical_hold_off: int = f.u16(
        unit="s", vci="H", default=300, since=Since("4.0"), doc="optical lock-out after a timeout"
    )

    class ExtTamperStatus(Bits, size=1):
        """External tamper use."""

        ext_tamper1_active: int = bit(0, 1, vci="H", default=1, doc="channel 1 active")
        ext_tamper2_active: int = bit(1, 1, vci="H", default=1, doc="channel 2 active")
        unlisted_2: int = bit(2, 6, doc="not listed")

    ext_tamper_status: ExtTamperStatus = f.bits(ExtTamperStatus, since=Since("4.0"), doc="external tamper use")
    tamper_adc: list[int] = f.i16(
        count=3,
        vci="H",
        since=Since("4.0"),
        doc=(
            "ADC levels Vtamper12, Vtamper2, Vtamper1; VADC below 12: both, 12..2: input 2, 2..1: input 1, above: none"
        ),
    )
    ext_tamper_time: int = f.u8(
        unit="s", vci="H", default=5, since=Since("4.0"), doc="duration before alarm, 0 disables"
    )
    cover_crdt_2: int = f.u16(
        unit="s",
        vci="H",
        default=10,
        since=Since("4.0"),
        doc="cover removed threshold (lower cover fw 4.0x, upper cover fw 4.10+)",
    )
    magnetic_tamper_time: int = f.u16(
        unit="s", vci="H", default=10, since=Since("4.0"), doc="duration before alarm, 0 disables"
    )
    va_method: int = f.u8(
        vci="H",
        default=0,
        since=Since("4.0"),
        values={0: "Vrms*Irms", 1: "sqrt(W^2+var^2)"},
        doc="VA power and energy method (guide prints 'w*w = var*var')",
    )

    class LockedFlags(Bits, size=2):
        """Locked flags."""

        bev_lp_lock: int = bit(
            0,
            1,
            vci="H",
            default=0,
            doc=(
                "1 = primary LP set is billing set and frozen; other sets may not use the restricted "
                "sources (0-3,6,7,29-32,35,36,40-43,46,47,51-54,57,58,62-65,68,69,88-103,108-111 and "
                "extended type 3 sub-types 0-4,7,8,12)"
            ),
        )
        unlisted_1: int = bit(1, 15, doc="not listed")

    locked_flags: LockedFlags = f.bits(LockedFlags, since=Since("4.0"), doc="locked flags")
    rev_energy_current_msb: int = f.u8(
        vci="H", default=0, since=Since("4.0"), doc="most significant byte of the reverse energy current threshold"
    )
