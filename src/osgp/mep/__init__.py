"""The multipurpose expansion port (MEP): the serial port of an OSGP meter for devices beside it.

Document: OSGP Alliance, *MEP Client Developer's Guide* v1.1 (2022). No I/O and no clock here: bytes and times come in,
bytes and events go out.

Start reading at ``frame`` (layouts, and finding frames in a stream), then ``client`` and ``server`` (the two machines),
``rc4`` (old security: published as broken, only on request) and ``tls`` (the default), ``access`` (tables, procedures,
transactions and registration over a client), ``explain`` (captured bytes in words).
"""

from __future__ import annotations

from osgp.mep.client import MepClient, PossiblyExecuted
from osgp.mep.server import MepServer

__all__ = ["MepClient", "MepServer", "PossiblyExecuted"]
