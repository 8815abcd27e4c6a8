"""Our names for what the standard measures: ``Fwd active energy L1L2L3`` is ``fwd_active_energy``. Project choice.

L1L2L3 (the vector sum of the phases) goes without a suffix, a single phase is ``_l1``, a quadrant ``_q1``. TOU tier 0 of
the standard is tier 1 on the display (MEP guide p. 203) and ``_t1`` here.
"""

from __future__ import annotations

import re

__all__ = ["CUMULATIVE_UNITS", "is_cumulative", "short_name"]

CUMULATIVE_UNITS = frozenset({"Wh", "varh", "VAh"})
_COUNTED = ("power off", "power outage", "pulse input", "error counter")

_REPLACED = (
    (re.compile(r"\(.*?\)"), " "),
    (re.compile(r"(times|post) CT/VT ratio( if enabled)?", re.I), " post ratio "),
    (re.compile(r"\bFwd\+Rev\b"), "fwd plus rev"),
    (re.compile(r"\bFwd-Rev\b"), "fwd minus rev"),
    (re.compile(r"\bL1L2L3\b"), " "),
    (re.compile(r"\bRMS\b"), " "),
    (re.compile(r"\bVoltage angle A to B\b"), "voltage angle l1 l2"),
    (re.compile(r"\bVoltage angle B to C\b"), "voltage angle l2 l3"),
    (re.compile(r"\bVoltage angle C to A\b"), "voltage angle l3 l1"),
    (re.compile(r"reactive power A\b"), "reactive power l1"),
    (re.compile(r"reactive power B\b"), "reactive power l2"),
    (re.compile(r"reactive power C\b"), "reactive power l3"),
    (re.compile(r"\binput channel\b"), "input"),
)
_QUADRANT = re.compile(r"^(Q[1-4]) (.*)$")
_TIER = re.compile(r"^T(\d) (.*)$")


def short_name(text: str) -> str:
    """The name of a measurement from the standard's words."""
    tier = _TIER.match(text)
    suffix = ""
    if tier:
        suffix, text = f" t{int(tier[1]) + 1}", tier[2]
    for pattern, into in _REPLACED:
        text = pattern.sub(into, text)
    quadrant = _QUADRANT.match(text.strip())
    if quadrant:
        text = f"{quadrant[2]} {quadrant[1]}"
    return re.sub(r"[^a-z0-9]+", "_", (text + suffix).lower()).strip("_")


def is_cumulative(name: str, unit: str) -> bool:
    """Whether a register only counts upwards, so that differences of it are what was consumed."""
    return unit in CUMULATIVE_UNITS or any(word in name.lower() for word in _COUNTED)
