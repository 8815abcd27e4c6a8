"""Events of a concentrator in words, with a severity. Project choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osgp.web.street.models import SEVERITIES, Happened

__all__ = ["told"]

_TOPOLOGY = {
    "lost": "critical",
    "generation went back": "critical",
    "wrong key": "critical",
    "down": "warning",
    "foreign": "warning",
    "no key": "warning",
    "refuses": "warning",
    "journal": "warning",
}


def told(number: int, event: Mapping[str, Any], ids: Mapping[int, str], names: Mapping[str, str]) -> Happened:
    """An event of a feed or a notice of a journal. ``ids``: unique node IDs by number in the journal; ``names`` by ID."""
    kind = str(event.get("kind", ""))
    device = str(event.get("unique_node_id") or ids.get(_number(event.get("device")), ""))
    name = names.get(device, device)
    severity, text = _words(kind, event)
    if device and name != device:
        text = text.replace(device, name)
    return Happened(number, float(event["wall"]), severity, kind, device, name, text)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _words(kind: str, event: Mapping[str, Any]) -> tuple[str, str]:
    """(severity, text)."""
    match kind:
        case "topology":
            return _TOPOLOGY.get(str(event.get("what")), "info"), str(event.get("text", ""))
        case "alarm_raised":
            return _severity(event), f"alarm: {event.get('text') or event.get('alarm')}"
        case "alert":
            return "warning", f"sent {event.get('text') or 'an alert'}"
        case "device_silent":
            times = _number(event.get("failures"))
            return "warning", f"does not answer, {times} time{'' if times == 1 else 's'} in a row"
        case "step_stored":
            new = _number(event.get("new"))
            return "info", f"{event.get('what')}: {new} new row{'' if new == 1 else 's'} in the journal"
        case "visit_ended":
            error = str(event.get("error") or "")
            return ("warning", f"{event.get('duty')}: {error}") if error else ("info", f"{event.get('duty')} is done")
        case "keys":
            return "warning", str(event.get("text", ""))
    return _severity(event), str(event.get("text") or kind)


def _severity(event: Mapping[str, Any]) -> str:
    found = str(event.get("severity", ""))
    return found if found in SEVERITIES else "info"
