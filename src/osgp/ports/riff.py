"""The heads of WAV files, declared: RIFF, its chunks, and the format of the samples.

*Multimedia Programming Interface and Data Specifications* 1.0 (RIFF and WAVE), and the extensible format that came later. What
reads and writes them is ``sample_forms``. That WAV is one of the forms of samples is a project choice.
"""

from __future__ import annotations

from osgp.wire import Struct
from osgp.wire import fields as f

__all__ = ["EXTENSIBLE", "FLOAT", "PCM", "Chunk", "RiffHead", "WaveExtension", "WaveFormat"]

_RIFF = "RIFF and WAVE"
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
"""Format codes: whole numbers, floating point, and that the extension says which."""


class RiffHead(Struct, floor="ports", source=_RIFF, status="verified"):
    """The first 12 bytes of a WAV file."""

    tag: bytes = f.binary(4, default=b"RIFF")
    size: int = f.u32(unit="byte", doc="of what follows")
    form: bytes = f.binary(4, default=b"WAVE")


class Chunk(Struct, floor="ports", source=_RIFF, status="verified"):
    """The head of each part of it; an odd size is followed by one byte that fills it up."""

    tag: bytes = f.binary(4)
    size: int = f.u32(unit="byte")


class WaveFormat(Struct, floor="ports", source=_RIFF, status="verified"):
    """Body of the chunk ``fmt``: what the samples are."""

    code: int = f.u16(values={PCM: "whole numbers", FLOAT: "floating point", EXTENSIBLE: "see the extension"})
    channels: int = f.u16()
    rate: int = f.u32(unit="Hz")
    bytes_per_second: int = f.u32()
    frame: int = f.u16(unit="byte", doc="one sample of each channel")
    bits: int = f.u16(doc="of a sample")
    extension: bytes = f.binary(default=b"")


class WaveExtension(Struct, floor="ports", source=_RIFF, status="verified"):
    """Extension of the format FFFE."""

    size: int = f.u16(unit="byte")
    valid_bits: int = f.u16()
    speakers: int = f.u32()
    code: int = f.u16(values={PCM: "whole numbers", FLOAT: "floating point"}, doc="first bytes of a GUID")
    guid: bytes = f.binary(14)
