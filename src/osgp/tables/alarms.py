"""Alarms: the bits of BT03 that are set, in words, with how much they matter.

Bits and texts come from the declaration of BT03 (optical guide p. 45); the severities are a project choice: ``critical``
(the measurement or the device is in doubt), ``warning`` (somebody should look), ``info`` (a fact).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from osgp.tables.bt.bt03 import BT03
from osgp.wire import Bits

__all__ = ["SEVERITY", "Alarm", "active_alarms"]

_CRITICAL = [
    "config_error",
    "ram_failure",
    "rom_failure",
    "nvm_failure",
    "clock_error",
    "measurement_error",
    "software_crc_error",
    "disconnect_switch_error",
    "general_error",
    "magnetic_tamper",
    "cover_removed",
    "fw_separation_violation",
    "current_on_missing_phase",
    "pulse1_tamper",
    "pulse2_tamper",
]
_INFO = [
    "self_read",
    "disconnect_changed",
    "relay1_open",
    "relay2_open",
    "lp1_unread",
    "lp2_unread",
    "lp3_unread",
    "lp4_unread",
    "event_log_unread",
    "mfg_log_entry_available",
    "mep_installed_removed",
    "mbus_auto_disc_complete",
    "dimension_change",
    "code_bank_changed",
    "prepay_warning_ack",
    "system_reset",
    "g3_event_logged",
    "thd_state_changed",
    "power_failure",
    "unprogrammed",
]

SEVERITY: dict[str, str] = {**dict.fromkeys(_CRITICAL, "critical"), **dict.fromkeys(_INFO, "info")}
"""Severity by bit name; everything else is a ``warning``."""

_NOT_ALARMS = ("filler", "reserved", "unlisted")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One active alarm: ``key`` is the bit's name in BT03, ``field`` the word it stands in, ``bit`` its place there."""

    key: str
    text: str
    severity: str
    field: str
    bit: int


def active_alarms(status: BT03) -> list[Alarm]:
    """The alarms that BT03 shows, most severe first. The operating mode (byte 0) and reserved bits are none."""
    found: list[Alarm] = []
    for name in BT03.specs:
        word: Any = getattr(status, name)
        if name == "ed_mode" or not isinstance(word, Bits):
            continue
        for key, bit in type(word).fields.items():
            if getattr(word, key) and not key.startswith(_NOT_ALARMS):
                found.append(Alarm(key, bit.doc, SEVERITY.get(key, "warning"), name, bit.lsb))
    order = ("critical", "warning", "info")
    return sorted(found, key=lambda alarm: order.index(alarm.severity))
