"""BT03 End Device Mode Status (optical guide p. 45)."""

from __future__ import annotations

from osgp.tables.bt.bt00 import BT00
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, at, bit
from osgp.wire import fields as f

__all__ = ["BT03"]


class BT03(
    Table,
    number=3,
    title="End Device Mode Status",
    role="status",
    source="optical guide p. 45",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK")),
    notes=(
        (
            "Only in the optical guide; the MEP guide refers to single alarms and lists no key "
            "for BT03 (read keys of the MEP port per the general rule, unverified). Manufacturer "
            "status length is BT00.DIM_MFG_STATUS_USED (9 or 4 printed; bytes listed here need "
            "6)."
        ),
    ),
):
    """End Device Mode Status."""

    class EdMode(Bits, size=1):
        """Operating mode."""

        metering: int = bit(0, 1, vci="F", doc="metering mode")
        test_mode: int = bit(1, 1, vci="P", doc="test mode")
        shop_mode: int = bit(2, 1, vci="F", doc="meter shop mode")
        filler: int = bit(3, 5, doc="zero")

    ed_mode: EdMode = f.bits(EdMode, doc="operating mode")

    class EdStdStatus1(Bits, size=2):
        """Standard status."""

        unprogrammed: int = bit(0, 1, doc="unprogrammed")
        config_error: int = bit(1, 1, doc="configuration error")
        system_reset: int = bit(2, 1, doc="system reset")
        ram_failure: int = bit(3, 1, doc="RAM failure")
        rom_failure: int = bit(4, 1, doc="ROM failure")
        nvm_failure: int = bit(5, 1, doc="non-volatile memory failure")
        clock_error: int = bit(6, 1, doc="clock error")
        measurement_error: int = bit(7, 1, doc="measurement error")
        low_battery: int = bit(8, 1, doc="low battery")
        low_loss_potential: int = bit(9, 1, doc="low loss potential")
        demand_overload: int = bit(10, 1, doc="demand overload")
        power_failure: int = bit(11, 1, doc="power failure")
        cover_removed: int = bit(12, 1, doc="cover removed (clear with EP03)")
        reverse_energy: int = bit(13, 1, doc="reverse energy")
        data_backup_incomplete: int = bit(14, 1, doc="data backup incomplete")
        disconnect_switch_error: int = bit(15, 1, doc="disconnect switch error")

    ed_std_status1: EdStdStatus1 = f.bits(EdStdStatus1, vci="M", doc="standard status")

    class EdStdStatus2(Bits, size=1):
        """Extended alarms."""

        lp2_unread: int = bit(0, 1, since=Since("3.50"), doc="load profile set 2 unread entries")
        lp3_unread: int = bit(1, 1, since=Since("3.50"), doc="load profile set 3 unread entries")
        lp4_unread: int = bit(2, 1, since=Since("3.50"), doc="load profile set 4 unread entries")
        neutral_current_deviation: int = bit(
            3,
            1,
            since=Since("3.60"),
            doc=("neutral current deviation; earth fault detection on fw 4.0+ with ET29 EARTH_FAULT"),
        )
        reserved_4: int = bit(4, 4, doc="reserved")

    ed_std_status2: EdStdStatus2 = f.bits(EdStdStatus2, vci="M", doc="extended alarms")

    class MfgStatus0(Bits, size=1):
        """Manufacturer alarms, byte 0."""

        lp_overflow: int = bit(0, 1, doc="load profile overflow (primary set on fw 3.50+)")
        self_read: int = bit(1, 1, doc="self-read occurred")
        disconnect_changed: int = bit(2, 1, doc="load disconnect changed state")
        relay1_open: int = bit(3, 1, doc="control relay (1) open")
        phase_loss: int = bit(4, 1, doc="phase loss")
        phase_inversion: int = bit(5, 1, doc="phase inversion")
        plc_config_failure: int = bit(6, 1, doc="PLC configuration failure")
        general_error: int = bit(7, 1, doc="general error")

    mfg_status_0: MfgStatus0 = f.bits(MfgStatus0, vci="M", doc="manufacturer alarms, byte 0")

    class MfgStatus1(Bits, size=1):
        """Manufacturer alarms, byte 1."""

        invalid_password: int = bit(0, 1, doc="invalid password")
        remote_comm_inactive: int = bit(1, 1, doc="remote communications inactive")
        current_on_missing_phase: int = bit(2, 1, doc="current on missing or unused phase")
        pulse1_tamper: int = bit(3, 1, doc="pulse input 1 tamper")
        pulse2_tamper: int = bit(4, 1, doc="pulse input 2 tamper")
        software_crc_error: int = bit(5, 1, doc="software CRC error")
        code_bank_changed: int = bit(6, 1, doc="code bank changed")
        lp_backfill_failed: int = bit(7, 1, doc="load profile backfill failed")

    mfg_status_1: MfgStatus1 = f.bits(MfgStatus1, vci="M", doc="manufacturer alarms, byte 1")

    class MfgStatus2(Bits, size=1):
        """Manufacturer alarms, byte 2."""

        mep_installed_removed: int = bit(0, 1, since=Since("2.10"), doc="MEP installed or removed")
        mbus_alarm: int = bit(1, 1, since=Since("2.10"), doc="M-Bus alarm")
        mbus_auto_disc_complete: int = bit(2, 1, since=Since("2.10"), doc="M-Bus auto-discovery complete")
        phase_rotation_changed: int = bit(3, 1, since=Since("2.10"), doc="phase rotation changed")
        prepay_exhausted: int = bit(4, 1, since=Since("2.10"), doc="prepay credit exhausted")
        prepay_warning_ack: int = bit(5, 1, since=Since("2.10"), doc="prepay warning acknowledged")
        event_log_overflow_pending: int = bit(
            6, 1, since=Since("2.12", "3.01"), doc="event log overflow pending (also fw 2.0)"
        )
        mfg_log_entry_available: int = bit(7, 1, since=Since("2.12", "3.01"), doc="manufacturer log entry available")

    mfg_status_2: MfgStatus2 = f.bits(MfgStatus2, vci="M", doc="manufacturer alarms, byte 2")

    class MfgStatus3(Bits, size=1):
        """Manufacturer alarms, byte 3."""

        dimension_change: int = bit(0, 1, since=Since("2.12", "3.01"), doc="dimension (interface) change")
        magnetic_tamper: int = bit(1, 1, since=Since("2.12", "3.01"), doc="magnetic tamper detected")
        access_lockout_override: int = bit(2, 1, since=Since("2.12", "3.01"), doc="access lockout override")
        pq_event: int = bit(3, 1, since=Since("2.12", "3.01"), doc="power quality event detected")
        event_log_unread: int = bit(4, 1, since=Since("2.12", "3.01"), doc="event log unread entries")
        thd_state_changed: int = bit(5, 1, since=Since("2.12", "3.01"), doc="THD state changed")
        lp1_unread: int = bit(
            6, 1, since=Since("3.10"), doc="load profile set 1 unread entries (the only one before fw 3.50)"
        )
        load_side_voltage: int = bit(7, 1, since=Since("3.30"), doc="load side voltage detected")

    mfg_status_3: MfgStatus3 = f.bits(MfgStatus3, vci="M", doc="manufacturer alarms, byte 3")

    class MfgStatus4(Bits, size=1):
        """Manufacturer alarms, byte 4."""

        unbalanced_voltage: int = bit(0, 1, since=Since("3.60"), doc="unbalanced voltage detected")
        password_table_written: int = bit(1, 1, since=Since("3.70"), doc="password table written to")
        key_expiration_pending: int = bit(
            2, 1, since=Since("2.04", "2.13", "3.13", "3.80"), doc="password (key) expiration pending"
        )
        p2p_security: int = bit(3, 1, since=Since("4.10"), doc="P2P security")
        fw_separation_violation: int = bit(4, 1, since=Since("4.10"), doc="firmware separation violation")
        modem_error: int = bit(5, 1, since=Since("4.10"), doc="modem error")
        g3_alarm: int = bit(6, 1, since=Since("4.20"), doc="G3 alarm")
        g3_event_logged: int = bit(7, 1, since=Since("4.20"), doc="G3 event logged")

    mfg_status_4: MfgStatus4 = f.bits(
        MfgStatus4, when=at(BT00).dim_mfg_status_used >= 5, vci="M", doc="manufacturer alarms, byte 4"
    )

    class MfgStatus5(Bits, size=1):
        """Manufacturer alarms, byte 5."""

        relay2_open: int = bit(0, 1, since=Since("4.30"), doc="control relay (2) open")
        unlisted_1: int = bit(1, 7, doc="not listed")

    mfg_status_5: MfgStatus5 = f.bits(
        MfgStatus5, when=at(BT00).dim_mfg_status_used >= 6, vci="M", doc="manufacturer alarms, byte 5"
    )
    mfg_status_rest: bytes = f.binary(
        at(BT00).dim_mfg_status_used - 6,
        when=at(BT00).dim_mfg_status_used > 6,
        doc=("further manufacturer status bytes, not described (none if the length is 6 or less)"),
    )
