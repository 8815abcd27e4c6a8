"""Making a saved device fit for a bug report: identities and keys replaced, structure kept.

What is replaced: serial numbers and identifications (BT01, BT05, BT06, ET03, ET13 customer IDs and keys, ET16 and ET50
identifications) by constant or zero content of the same size. Project choice.
"""

from __future__ import annotations

from osgp.tables.image import Image
from osgp.tables.registry import find_table
from osgp.tables.table import table_name
from osgp.wire import layout_of
from osgp.wire.errors import DecodeError
from osgp.wire.explain import ExplainNode

__all__ = ["anonymise"]

_NAMES = (
    "SERIAL",
    "MFG_SERIAL",
    "CUSTOMER_ID",
    "KEY",
    "UTIL",
    "MEP_ID",
    "UNIQUE",
    "IDENT",
    "LOCATION",
    "NAME",
    "HANDLE_ID",
    "ADDRESS",
)
_TABLES = (1, 5, 6, 2051, 2061, 2064, 2092, 2093, 2098, 2122, 2137)
_WHOLE = (5, 6)
"""Identification tables without a layout: all of them goes."""
_DIGIT = ord("0")


def anonymise(image: Image) -> list[str]:
    """Replace identities in place; answers the paths that were replaced."""
    replaced: list[str] = []
    for number in _TABLES:
        if number not in image:
            continue
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
            if node.raw and any(node.raw) and _is_identity(node):
                filler = _DIGIT if node.type == "string" else 0
                raw[node.offset : node.offset + node.size] = bytes([filler]) * node.size
                replaced.append(f"{declared.__name__}.{node.orig or node.name}")
        image.put(number, bytes(raw))
    return replaced


def _is_identity(node: ExplainNode) -> bool:
    name = (node.orig or node.name).upper()
    return any(word in name for word in _NAMES) and node.type in ("string", "binary", "bcd", "uint32", "uint64")
