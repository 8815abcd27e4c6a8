"""Who may read, write and run what: the access rights of a device, taken from the declarations.

MEP keys (MEP guide p. 7–9, Appendix C p. 259–264): MBK reads all and writes BT07, ET50, ET51, ET52, ET71; MAK writes most
tables. Optical keys (optical guide p. 13): MK everything, PK everything but keys and firmware download, RK reads. Where the
guides list nothing for a table, the general rule of the key holds (project choice, marked below). "PL" is whoever holds the key
of the power line, the concentrator: it reads everything, writes what any key of another door writes, and the way of alerts
(UT19), which nobody else does (project choice). What it may do only with a token of the head-end is the security's affair.
"""

from __future__ import annotations

from osgp.tables.registry import find_procedure, find_table
from osgp.tables.table import PENDING, USER, extended

__all__ = ["KEYS", "POWER_LINE", "may_read", "may_run", "may_write"]

POWER_LINE = "PL"
KEYS = ("open", "MBK", "MAK", "RK", "PK", "MK", POWER_LINE)
_ALERT_ROUTE = USER + 19
_REGISTERS = frozenset((23,))
"""Table C.1 lets MAK write BT23; by the power line nobody sets what was measured (project choice)."""

_MAK_ONLY_NAMED = frozenset(extended(n) for n in (1, 2, 5, 6, 7, 40, 67, 76, 77))
"""Tables without a layout that Table C.1 lets MAK write."""
_MBK_PROCEDURES = frozenset(extended(n) for n in (16, 17, 39, 61))
_RK_PROCEDURES = frozenset((10, extended(16)))
_FIRMWARE = frozenset(extended(n) for n in (8, 9, 10))
_PROCEDURE_INITIATE = 7
_OPEN = frozenset((0, 1, extended(3)))
"""Read without any key (optical guide p. 18–19, 48)."""


def may_read(number: int, key: str) -> bool:
    """Whether ``key`` ("open", MBK, MAK, RK, PK, MK, PL) may read a table."""
    number &= ~PENDING
    if number in _OPEN:
        return True
    if key == "open":
        return False
    if key in ("MBK", "MAK", "MK", POWER_LINE):
        return True
    declared = find_table(number)
    listed = declared.access.optical_read if declared is not None else None
    if listed is None:
        return True  # project choice: the general rule of RK and PK, "read all tables but keys, calibration, download"
    return key in listed


def may_write(number: int, key: str) -> bool:
    """Whether ``key`` may write a table. Tables that no key of either door writes are read-only for all."""
    pending = bool(number & PENDING)
    number &= ~PENDING
    if key == "open":
        return False
    if number == _PROCEDURE_INITIATE:
        return True  # the procedure itself decides
    if number >= USER:
        return key == POWER_LINE and number == _ALERT_ROUTE and not pending
    declared = find_table(number)
    write = declared.access.write if declared is not None else ()
    if number in _MAK_ONLY_NAMED:
        write = ("MAK",)
    if key in ("MBK", "MAK"):
        return key in write
    optical = declared.access.optical_write if declared is not None else None
    if key == "RK":
        return False
    if key == POWER_LINE:
        return number not in _REGISTERS and (bool(write) or bool(optical) or pending)
    if optical is not None:
        return key in optical
    return bool(write) or pending  # project choice: MK and PK write what MAK writes


def may_run(number: int, key: str, *, rk_sets_clock: bool = True) -> bool:
    """Whether ``key`` may run a procedure. ``rk_sets_clock``: ET04 offset 71 bit 0 is 0 (optical guide p. 13)."""
    if key == "open":
        return False
    if key == "RK":
        return rk_sets_clock and number in _RK_PROCEDURES
    if key == "PK" and number in _FIRMWARE:
        return False
    if key == "MBK":
        declared = find_procedure(number)
        listed = declared.mep if declared is not None else ()
        return "MBK" in listed if listed else number in _MBK_PROCEDURES
    return True
