"""ET29 Hardware Configuration (MEP guide p. 99)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, Struct, bit
from osgp.wire import fields as f

__all__ = ["ET29"]


class ET29(
    Table,
    number=2077,
    title="Hardware Configuration",
    role="data",
    source="MEP guide p. 99",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), nvm_write=False, nvm_read=False),
    notes=(
        ("Read-only for meters; ET76 is a writable mirror of bits 0..23 on modules with fw 1.11+."),
        (
            "Guide lists reserved bytes 2..4 although HW_OPTIONS covers bytes 0..2; modelled as "
            "3..4 (unverified). The cross reference ET29.10 means bit 10, ET29.0.23 bit 23."
        ),
    ),
):
    """Hardware Configuration."""

    class HwOptions(Bits, size=3):
        """1 = feature present."""

        so_kyz_output: int = bit(0, 1, doc="S0/KYZ pulse output")
        pulse_input_1: int = bit(1, 1, doc="informational; not on generation 4 meters")
        pulse_input_2: int = bit(2, 1, doc="informational; not on generation 4 meters")
        reserved_3: int = bit(3, 2, doc="reserved")
        disconnect_buzzer: int = bit(5, 1, doc="disconnect and buzzer")
        control_relay_1: int = bit(6, 1, doc="control relay 1 (dry)")
        control_relay_2: int = bit(7, 1, since=Since("4.30"), doc="control relay 2 (dry)")
        mbus_module: int = bit(8, 1, doc="M-Bus module")
        cover_tamper: int = bit(9, 1, doc="cover tamper")
        mep1_enabled: int = bit(10, 1, doc="MEP client 1 port enabled (the only port on fw 3.x and modules)")
        disconnect_sensor: int = bit(11, 1, doc="disconnect sensor")
        magnetic_tamper: int = bit(12, 1, doc="magnetic tamper")
        hf_noise_detect_disabled: int = bit(13, 1, doc="high-frequency noise detection disabled if set")
        two_line_disconnect: int = bit(14, 1, default=1, doc="separate open/close lines (default set)")
        no_metering: int = bit(15, 1, doc="no metering")
        no_lcd: int = bit(16, 1, doc="no LCD")
        external_ct: int = bit(17, 1, doc="external CT")
        backup_power: int = bit(18, 1, doc="backup power")
        ext_disconnect_feedback: int = bit(19, 1, doc="disconnect outside the device, feedback via EP50")
        external_voltage: int = bit(20, 1, doc="external device supplies voltage updates for BT28")
        voltage_adc_inverted: int = bit(21, 1, doc="voltage ADC input inverted")
        non_latching_relay: int = bit(22, 1, doc="CPM 0600/6010 only")
        mep2_enabled: int = bit(23, 1, since=Since("4.0"), doc="MEP client 2 port enabled")

    hw_options: HwOptions = f.bits(HwOptions, vci="F", doc="1 = feature present")
    reserved_3: bytes = f.binary(2, vci="H", doc="internal use (guide prints 2..4)")

    class InternalConfig(Bits, size=1):
        """Internal configuration."""

        single_phase: int = bit(0, 1, doc="informational on modules")
        polyphase: int = bit(1, 1, doc="informational on modules")
        reserved_2: int = bit(2, 4, doc="reserved")
        pulse_relay_for_disconnect: int = bit(
            6,
            1,
            since=Since("3.70"),
            doc=("CT meters: average power drives the control relay, time-based relay control off"),
        )
        power_boost_relay: int = bit(7, 1, since=Since("4.0"), doc="power boost relay; reserved elsewhere")

    internal_config: InternalConfig = f.bits(InternalConfig, doc="internal configuration")
    reserved_6: bytes = f.binary(14, vci="H", doc="internal use, 6..19")
    reserved_20: bytes = f.binary(4, since=Since("4.0"), doc="reserved")

    class CommMatrix1(Struct, floor="tables"):
        """USART1..USART3 assignment."""

        board: int = f.u8(values={1: "wireless", 2: "wired", 3: "PLC"}, doc="board type")
        port: int = f.u8(values={1: "MEP", 2: "M-Bus", 3: "PLC"}, doc="port type")
        sequence: int = f.u8(doc="MEP client 1 or 2")

    comm_matrix_1: list[CommMatrix1] = f.record(
        CommMatrix1, count=3, vci="F", since=Since("4.0"), doc="USART1..USART3 assignment"
    )

    class ExtHwOptions(Bits, size=4):
        """Extended options."""

        two_disconnect_sensors: int = bit(
            0,
            1,
            values={0: "no automatic refresh", 1: "refresh when the two sensors differ"},
            doc="disconnect sensor handling",
        )
        disconnect_toggle_button: int = bit(
            1, 1, default=1, values={0: "two push buttons", 1: "one toggling push button"}, doc="disconnect buttons"
        )
        reserved_2: int = bit(2, 1, doc="reserved")
        backlight: int = bit(3, 1, doc="LCD backlight present")
        buzzer: int = bit(4, 1, doc="buzzer present")
        battery_type: int = bit(
            5, 2, default=1, values={0: "none", 1: "standard", 2: "reserved", 3: "supercap"}, doc="battery"
        )
        earth_fault: int = bit(7, 1, doc="earth fault protection present")
        ext_tamper_1: int = bit(8, 1, doc="external tamper input 1 present")
        ext_tamper_2: int = bit(9, 1, doc="external tamper input 2 present")
        s0_pulse_output_2: int = bit(10, 1, doc="second S0 output present")
        security_chip: int = bit(11, 1, doc="security chip present")
        last_gasp: int = bit(12, 1, doc="last gasp module (P2P meters)")
        relay1_latching: int = bit(13, 1, since=Since("4.30"), doc="control relay 1 is latching")
        relay2_latching: int = bit(14, 1, since=Since("4.30"), doc="control relay 2 is latching")
        unlisted_15: int = bit(15, 17, doc="not listed")

    ext_hw_options: ExtHwOptions = f.bits(ExtHwOptions, vci="F", since=Since("4.0"), doc="extended options")
    reserved_37: bytes = f.binary(10, vci="H", since=Since("4.0"), doc="reserved, 37..46")

    class CurrentSensors(Bits, size=1):
        """Current sensor types."""

        line: int = bit(
            0,
            5,
            vci="F",
            default="2 single phase, 1 polyphase",
            values={0: "shunt", 1: "PCB coil"},
            doc="line current sensor",
        )
        neutral: int = bit(
            5,
            3,
            vci="F",
            default="2 single phase, 0 polyphase",
            values={0: "shunt", 1: "PCB coil", 2: "earth fault transformer"},
            doc="neutral current sensor",
        )

    current_sensors: CurrentSensors = f.bits(CurrentSensors, since=Since("4.0"), doc="current sensor types")

    class CommMatrix2(Struct, floor="tables"):
        """P2P gateway module UART1..2 (P2P meters only)."""

        board: int = f.u8(values={0: "none", 4: "modem", 5: "PLC A-band", 6: "PLC G3"}, doc="board type")
        port: int = f.u8(values={3: "PLC", 4: "modem", 5: "optical"}, doc="port type")
        logical_port: int = f.u8(doc="logical port 1..4 (guide's allocation chart prints 0)")

    comm_matrix_2: list[CommMatrix2] = f.record(
        CommMatrix2, count=2, vci="F", since=Since("4.0"), doc="P2P gateway module UART1..2 (P2P meters only)"
    )
