"""Making a saved device fit for a bug report: identities and keys replaced, structure kept.

What is replaced by constant or zero content of the same size, in every table: serial numbers (also those inside M-Bus
telegrams), customer names, keys, identifications of MEP devices and the transceiver's unique ID, wherever a declaration names
them; and as a whole the tables without a layout that name the device or its modem. Project choice.
"""

from __future__ import annotations

import re

from osgp.tables.image import Image
from osgp.tables.registry import find_table
from osgp.tables.table import table_name
from osgp.wire import layout_of
from osgp.wire.errors import DecodeError

__all__ = ["anonymise"]

_NAMES = re.compile(r"(MFG_|UTIL_)?SERIAL_NBR|CUSTOMER_ID|KEY|MEP_ID|PRIOR_MEP[12]_ID|XCVR_ID|SELF_ID")
"""Fields that tell who somebody or which device it is (the catalogue's names)."""
_WHOLE = (5, 6, 2140, 2141, 2142, 2143, 2144, 2146)
"""Tables without a layout that name the device or its modem (BT05, BT06; ET92–ET96, ET98): all of them goes."""
_DIGIT = ord("0")


def anonymise(image: Image) -> list[str]:
    """Replace identities in place; answers the paths that were replaced."""
    replaced: list[str] = []
    for number in list(image):
        if number in _WHOLE:
            image.put(number, bytes(image.size(number)))
            replaced.append(table_name(number))
            continue
        declared = find_table(number)
        if declared is None:
            continue
        raw = bytearray(image.read(number))
        try:
            root = layout_of(declared, image.context).explain(bytes(raw))
        except DecodeError:
            continue
        for _, node in root.walk():
            if (
                not node.children
                and any(node.raw)
                and _NAMES.fullmatch((node.orig or node.name).upper().partition("[")[0])
            ):
                filler = _DIGIT if node.type == "string" else 0
                raw[node.offset : node.offset + node.size] = bytes([filler]) * node.size
                replaced.append(f"{declared.__name__}.{node.orig or node.name}")
        image.put(number, bytes(raw))
    return replaced
