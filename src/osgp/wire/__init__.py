"""The one language for bytes: every frame, table, parameter and answer of osgp is declared in it, once.

A project choice from end to end; the layouts said in it carry their own sources. Start reading at ``struct`` (declaring),
``fields`` (the words), ``layout`` (what a declaration can do), ``errors`` (the one error tree).
"""

from osgp.wire.bits import Bits, bit
from osgp.wire.context import EMPTY, Context, MissingTable
from osgp.wire.expr import INDEX, Unresolved, all_of, any_of, at, env, negate, outer, popcount
from osgp.wire.fields import MANY, Case, Element
from osgp.wire.firmware import Firmware, Since
from osgp.wire.layout import Layout, Span, dependencies, layout_of
from osgp.wire.struct import Struct
from osgp.wire.values import LTime, OpenEnum, STime, Text, TimeOfDay

__all__ = [
    "EMPTY",
    "INDEX",
    "MANY",
    "Bits",
    "Case",
    "Context",
    "Element",
    "Firmware",
    "LTime",
    "Layout",
    "MissingTable",
    "OpenEnum",
    "STime",
    "Since",
    "Span",
    "Struct",
    "Text",
    "TimeOfDay",
    "Unresolved",
    "all_of",
    "any_of",
    "at",
    "bit",
    "dependencies",
    "env",
    "layout_of",
    "negate",
    "outer",
    "popcount",
]
