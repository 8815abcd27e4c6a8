"""The Open Smart Grid Protocol (OSGP) in Python.

ETSI TS 104 001 tables and procedures, the optical (ANSI C12.18) and MEP doors, simulated devices and collection.
Start reading at ``osgp.open`` (the client), ``osgp.tables`` (what a device holds) or ``docs/design`` (the floors).

Importing this package is cheap on purpose: names below load their module at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from osgp.ports.opening import open, open_sync  # noqa: A004  # osgp.open is the public name
    from osgp.wire.errors import Error

__all__ = ["Error", "__version__", "open", "open_sync"]

_LAZY = {
    "Error": "osgp.wire.errors",
    "open": "osgp.ports.opening",
    "open_sync": "osgp.ports.opening",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'osgp' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value
