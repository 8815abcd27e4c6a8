"""Event codes of the logs BT74 and ET79.

The guides have no code list ("see the meter's documentation"); they say that there are up to 64 standard and 152
manufacturer events and mention some by name (MEP guide p. 241). Numbers 0–63 below are those generally known of ANSI C12.19
standard history codes (unverified for these devices); from 64 on they are a project choice for the simulated meter, so that
the events which the guides name can occur there. A real device's own list wins: hand it to ``event_of``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["EVENTS", "NO_USER", "Event", "describe", "event_of", "event_number"]

NO_USER = 0xFFFF
USERS = {NO_USER: "no user", 0xFFFE: "power line", 0xFFFD: "MEP client"}
"""User IDs with a meaning of their own (MEP guide p. 242)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event code. ``key``: our name; ``argument``: what the 16-bit argument means; ``status``: how sure the number is."""

    number: int
    key: str
    name: str
    argument: str = ""
    status: str = "unverified"


def _standard(number: int, key: str, name: str, argument: str = "") -> Event:
    return Event(number, key, name, argument)


def _chosen(number: int, key: str, name: str, argument: str = "") -> Event:
    return Event(number, key, name, argument, "project choice")


DEVICE_ARGUMENT = "device"
"""The argument's bits 13–15 are the device index (MEP guide p. 92: M-Bus and MEP events)."""

EVENTS: dict[int, Event] = {
    each.number: each
    for each in (
        _standard(0, "no_event", "no event"),
        _standard(1, "power_down", "primary power down"),
        _standard(2, "power_up", "primary power up"),
        _standard(3, "time_changed_old", "time changed, old time"),
        _standard(4, "time_changed_new", "time changed, new time"),
        _standard(7, "device_accessed_read", "device accessed for reading"),
        _standard(8, "device_accessed_write", "device accessed for writing"),
        _standard(9, "procedure_invoked", "procedure invoked"),
        _standard(10, "table_written", "table written to", "table"),
        _standard(11, "device_programmed", "end device programmed"),
        _standard(12, "communication_ended_normal", "communication ended normally"),
        _standard(13, "communication_ended_abnormal", "communication ended abnormally"),
        _standard(14, "reset_list_pointers", "list pointers reset", "list"),
        _standard(15, "update_list_pointers", "list pointers updated", "list"),
        _standard(16, "history_log_cleared", "history log cleared"),
        _standard(17, "history_log_pointers_updated", "history log pointers updated"),
        _standard(18, "event_log_cleared", "event log cleared"),
        _standard(19, "event_log_pointers_updated", "event log pointers updated"),
        _standard(20, "demand_reset", "demand reset occurred"),
        _standard(21, "self_read", "self read occurred"),
        _standard(22, "dst_on", "daylight saving time on"),
        _standard(23, "dst_off", "daylight saving time off"),
        _standard(24, "season_changed", "season changed", "season"),
        _standard(25, "rate_changed", "rate changed", "tier"),
        _standard(26, "special_schedule", "special schedule activated"),
        _standard(27, "tier_switched", "tier switched", "tier"),
        _standard(28, "pending_table_activated", "pending table activated", "table"),
        _standard(29, "pending_table_cleared", "pending table cleared", "table"),
        _standard(30, "metering_mode_started", "metering mode started"),
        _standard(31, "metering_mode_stopped", "metering mode stopped"),
        _standard(32, "test_mode_started", "test mode started"),
        _standard(33, "test_mode_stopped", "test mode stopped"),
        _standard(36, "configuration_error", "configuration error"),
        _standard(37, "self_check_error", "self check error"),
        _standard(38, "ram_failure", "RAM failure"),
        _standard(39, "rom_failure", "ROM failure"),
        _standard(40, "nvm_failure", "non-volatile memory failure"),
        _standard(41, "clock_error", "clock error"),
        _standard(42, "measurement_error", "measurement error"),
        _standard(43, "low_battery", "low battery"),
        _standard(44, "low_loss_potential", "low loss potential"),
        _standard(45, "demand_overload", "demand overload"),
        _standard(46, "tamper", "tamper attempt"),
        _standard(47, "reverse_rotation", "reverse energy"),
        _chosen(64, "load_profile_overflow_1", "load profile overflow, data set 1"),
        _chosen(65, "load_profile_overflow_2", "load profile overflow, data set 2"),
        _chosen(66, "load_profile_overflow_3", "load profile overflow, data set 3"),
        _chosen(67, "load_profile_overflow_4", "load profile overflow, data set 4"),
        _chosen(68, "alternate_log_cleared", "alternate event log cleared"),
        _chosen(69, "alternate_log_updated", "alternate event log pointers updated"),
        _chosen(70, "mbus_command_matched", "M-Bus or MEP command matched", DEVICE_ARGUMENT),
        _chosen(71, "mep_device_removed", "MEP status: device removed", DEVICE_ARGUMENT),
        _chosen(72, "key_usage_80", "key usage at 80 percent"),
        _chosen(73, "voltage_sag", "voltage sag", "phase"),
        _chosen(74, "voltage_surge", "voltage surge", "phase"),
        _chosen(75, "thd_state_changed", "THD state changed"),
        _chosen(76, "power_quality_changed", "power quality state changed"),
        _chosen(77, "disconnect_opened", "load disconnect opened"),
        _chosen(78, "disconnect_closed", "load disconnect closed"),
        _chosen(79, "relay_opened", "control relay opened", "relay"),
        _chosen(80, "relay_closed", "control relay closed", "relay"),
        _chosen(81, "cover_removed", "cover removed"),
        _chosen(82, "magnetic_tamper", "magnetic tamper detected"),
        _chosen(83, "phase_loss", "phase loss", "phase"),
        _chosen(84, "invalid_password", "invalid password"),
        _chosen(85, "load_profile_configured", "load profile configured anew"),
        _chosen(86, "mbus_device_found", "M-Bus device found", DEVICE_ARGUMENT),
        _chosen(87, "mbus_device_lost", "M-Bus device lost", DEVICE_ARGUMENT),
        _chosen(88, "lock_open_scheduled", "lock open scheduled or forgotten"),
        _chosen(89, "disconnect_locked", "load disconnect locked open"),
        _chosen(90, "disconnect_unlocked", "load disconnect may be closed by the button"),
        _chosen(91, "power_limit_exceeded", "power limit exceeded", "level"),
        _chosen(92, "power_limit_set", "power limit set", "level"),
        _chosen(93, "prepay_credit_added", "prepaid credit added", "kWh"),
        _chosen(94, "prepay_warning", "prepaid credit low"),
        _chosen(95, "prepay_exhausted", "prepaid credit exhausted"),
        _chosen(96, "prepay_emergency", "emergency credit in use"),
        _chosen(97, "prepay_set", "prepayment switched", "state"),
        _chosen(98, "generation_curtailed", "generation curtailed", "percent"),
        _chosen(99, "generation_released", "generation released"),
        _chosen(100, "relay_mode_changed", "mode of a control relay changed", "relay"),
        _chosen(101, "order_delayed", "order of chance delay waits", "seconds"),
        _chosen(102, "cover_closed", "cover closed"),
        _chosen(103, "device_commissioned", "commissioned by a concentrator"),
        _chosen(105, "key_changed", "key changed", "kind"),
        _chosen(106, "storage_failed", "memory failed"),
        _chosen(107, "firmware_announced", "firmware image announced"),
        _chosen(108, "firmware_refused", "firmware image refused", "result"),
        _chosen(109, "code_bank_switched", "code bank switched"),
        _chosen(110, "code_bank_kept", "trial of a code bank passed"),
        _chosen(111, "code_bank_fallback", "fallen back to the safe image"),
        _chosen(112, "group_changed", "groups changed", "group"),
        _chosen(114, "legacy_enabled", "broken security suite switched on", "writes"),
        _chosen(115, "legacy_quarantined", "too many bad digests: broken suite shut off", "bad digests"),
    )
}


def event_of(number: int, own: Mapping[int, str] | None = None) -> Event:
    """The event behind a code; ``own`` is a device's own list (code → name). Unknown codes get a name that says so."""
    if own and number in own:
        return Event(number, f"event_{number}", own[number], status="device list")
    return EVENTS.get(number) or Event(number, f"event_{number}", f"event {number}")


def event_number(key: str) -> int:
    """The code of an event by our name (simulator side). Raises KeyError."""
    return {each.key: each.number for each in EVENTS.values()}[key]


def describe(number: int, argument: int, user: int = NO_USER, own: Mapping[int, str] | None = None) -> str:
    """An event in words, with its argument where that is not zero, and its user where there was one."""
    event = event_of(number, own)
    text = event.name
    if event.argument == DEVICE_ARGUMENT:
        text += f", device {(argument >> 13) + 1}"
    elif event.argument and argument:
        text += f", {event.argument} {argument}"
    elif argument:
        text += f" (argument {argument})"
    if user != NO_USER:
        text += f", by {USERS.get(user, f'user {user}')}"
    return text
