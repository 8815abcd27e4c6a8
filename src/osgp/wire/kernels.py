"""CRC-16 in compiled code, for what checks or makes many frames at once (extra ``fast``).

Import this module only at need: it imports Numba. The polynomial comes with the tables, such as those of ``osgp.lon.crc``; most
significant bit first, eight bytes a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

__all__ = ["crc_register", "njit", "uint8", "uint16"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
# Numba's types are only partly declared: taken through Any, so that strict checks do not depend on its version.
_numba: Any = numba
njit: Callable[..., Callable[[_Function], _Function]] = _numba.njit
uint8: Any = np.uint8
uint16: Any = np.uint16


@njit(cache=True, nogil=True)
def crc_register(data: Any, start: Any, end: Any, tables: Any) -> Any:
    """The register after the bytes from ``start`` to ``end``, preset with ones, not complemented. ``tables``: (8, 256), uint16."""
    register = uint16(0xFFFF)
    place = start
    while place + 8 <= end:
        register = (
            tables[7, data[place] ^ uint8(register >> 8)]
            ^ tables[6, data[place + 1] ^ uint8(register & 0xFF)]
            ^ tables[5, data[place + 2]]
            ^ tables[4, data[place + 3]]
            ^ tables[3, data[place + 4]]
            ^ tables[2, data[place + 5]]
            ^ tables[1, data[place + 6]]
            ^ tables[0, data[place + 7]]
        )
        place += 8
    while place < end:
        register = uint16((register & 0xFF) << 8) ^ tables[0, data[place] ^ uint8(register >> 8)]
        place += 1
    return register
