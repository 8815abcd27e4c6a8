"""Timer and size codes: four bits on the wire, seconds everywhere else.

ISO/IEC 14908-1; ``spec/iso14908-1.md`` 3.5. The rule: 16 ms doubled every two codes, odd codes half as long again; receive timers are
eight times as long; the long row of the enhanced proxy goes on sixteen codes later (one open stack knows only its codes 0..4,
the other overflows from 8 on: those are refused here, project choice).
"""

from __future__ import annotations

from osgp.wire.errors import BadValue

__all__ = ["BUFFER_COUNTS", "BUFFER_SIZES", "LONG_S", "RECEIVE_S", "TRANSMIT_S", "code_for"]


def _ms(code: int) -> int:
    base = 16 << code // 2
    return base + base // 2 if code % 2 else base


TRANSMIT_S: tuple[float, ...] = tuple(_ms(code) / 1000 for code in range(16))
"""Transmit and repeat timers in seconds, by code: 0.016 to 3.072."""
RECEIVE_S: tuple[float, ...] = tuple(8 * _ms(code) / 1000 for code in range(16))
"""Receive timers in seconds, by code: 0.128 to 24.576."""
LONG_S: tuple[float, ...] = tuple(_ms(code + 16) / 1000 for code in range(8))
"""Long transmit timers of the enhanced proxy in seconds, by code: 4.096 to 49.152; codes from 5 on are one stack's alone."""
BUFFER_SIZES = (255, 20, 20, 21, 22, 24, 26, 30, 34, 42, 50, 66, 82, 114, 146, 210)
"""Bytes of a buffer, by code."""
BUFFER_COUNTS = (0, 1, 1, 2, 3, 5, 7, 11, 15, 23, 31, 47, 63, 95, 127, 191)
"""Number of buffers, by code."""


def code_for(seconds: float, row: tuple[float, ...] = TRANSMIT_S) -> int:
    """The smallest code that waits at least this long. Raises BadValue beyond the end of the row."""
    for code, value in enumerate(row):
        if value >= seconds - 1e-9:
            return code
    raise BadValue(f"no timer code waits {seconds:g} s; the longest is {row[-1]:g} s", floor="lon", field="timer")
