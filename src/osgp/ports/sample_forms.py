"""How files keep samples: encodings of a number, the head of a WAV file, the metadata of SigMF.

Sources: Multimedia Programming Interface and Data Specifications 1.0 (RIFF, WAVE) with the extensible format of 1998; SigMF 1.2
(github.com/sigmf/SigMF, ``sigmf-spec.md``). Use ``osgp.ports.samples``, which opens files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from osgp.ports.pcap import Source
from osgp.ports.riff import EXTENSIBLE, FLOAT, PCM, Chunk, RiffHead, WaveExtension, WaveFormat
from osgp.wire import Context, layout_of
from osgp.wire.errors import BadValue, DecodeError, Truncated, UnknownCode

__all__ = [
    "ENCODINGS",
    "MOST_HZ",
    "OPEN_SIZE",
    "WAV_LIMIT",
    "Annotation",
    "Encoding",
    "SampleHead",
    "checked_rate",
    "sigmf_document",
    "sigmf_head",
    "wav_bytes",
    "wav_head",
]

MOST_HZ = 1e9
"""Most samples per second that are believed."""
OPEN_SIZE = 0xFFFFFFFF
"""What a WAV file says of its size while it is written into a pipe."""
WAV_LIMIT = 0xFFFFFFFF - 64
"""Most bytes of samples in a WAV file."""
_MOST_META = 1 << 26
"""Most bytes of SigMF metadata (project choice)."""
_LITTLE = Context(order="little")
_SIGMF_VERSION = "1.2.0"


# ---- numbers -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Encoding:
    """How one sample is kept: a NumPy ``dtype`` of ``size`` bytes, where ``zero`` is 0.0 and ``zero + full`` is 1.0."""

    name: str
    dtype: str
    size: int
    full: float = 1.0
    zero: float = 0.0

    def decode(self, raw: bytes) -> NDArray[np.float32]:
        """Whole samples as float32, amplitude 1 for full scale."""
        if self.size == 3:
            wide = np.zeros((len(raw) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
            values: NDArray[Any] = wide.view("<i4")[:, 0]
        else:
            values = np.frombuffer(raw, self.dtype)
        if self.zero == 0.0 and self.full == 1.0:
            with np.errstate(over="ignore"):  # a float64 that is too large becomes infinite, which the reader rejects
                return values.astype(np.float32)
        return ((values - np.float64(self.zero)) / self.full).astype(np.float32)

    def encode(self, samples: NDArray[Any]) -> tuple[bytes, int]:
        """(samples as bytes, how many were too large and are clipped)."""
        if self.full == 1.0:
            return np.asarray(samples).astype(self.dtype).tobytes(), 0
        scaled = np.rint(np.asarray(samples, np.float64) * self.full + self.zero)
        limits = np.iinfo(self.dtype)
        clipped = int(np.count_nonzero((scaled < limits.min) | (scaled > limits.max)))
        return np.clip(scaled, limits.min, limits.max).astype(self.dtype).tobytes(), clipped


ENCODINGS = {
    each.name: each
    for each in (
        Encoding("int16", "<i2", 2, 32767.0),
        Encoding("float32", "<f4", 4),
        Encoding("float64", "<f8", 8),
        Encoding("int32", "<i4", 4, 2147483647.0),
        Encoding("int24", "", 3, 2147483392.0),
        Encoding("int8", "<i1", 1, 127.0),
        Encoding("uint8", "<u1", 1, 127.0, 128.0),
        Encoding("int16_be", ">i2", 2, 32767.0),
        Encoding("float32_be", ">f4", 4),
        Encoding("float64_be", ">f8", 8),
        Encoding("int32_be", ">i4", 4, 2147483647.0),
    )
}
"""All encodings that are read; little endian unless the name says otherwise. int16 and float32 are also written."""
_SIGMF_TYPES = {
    "ri16_le": "int16",
    "rf32_le": "float32",
    "rf64_le": "float64",
    "ri32_le": "int32",
    "ri8": "int8",
    "ru8": "uint8",
    "ri16_be": "int16_be",
    "rf32_be": "float32_be",
    "rf64_be": "float64_be",
    "ri32_be": "int32_be",
}
_WAV_TYPES = {
    (PCM, 8): "uint8",
    (PCM, 16): "int16",
    (PCM, 24): "int24",
    (PCM, 32): "int32",
    (FLOAT, 32): "float32",
    (FLOAT, 64): "float64",
}


@dataclass(frozen=True, slots=True)
class Annotation:
    """What somebody says about a stretch of samples.

    ``low_hz``, ``high_hz``: the band it is about. ``lpdu``: the packet there, without CRC (a field of our own, ``osgp:lpdu``).
    """

    start: int
    count: int | None = None
    label: str = ""
    comment: str = ""
    low_hz: float | None = None
    high_hz: float | None = None
    lpdu: bytes = b""


class SampleHead(NamedTuple):
    """What a file says about its samples.

    ``rate``: as it stands there, not yet judged (``checked_rate``); ``size``: bytes of samples, None to the end; ``skip``: bytes in
    front of them.
    """

    rate: Any
    encoding: Encoding
    channels: int = 1
    size: int | None = None
    skip: int = 0
    annotations: tuple[Annotation, ...] = ()
    datetime: str = ""


def checked_rate(value: Any) -> float:
    """A sample rate out of a file. Raises BadValue."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MOST_HZ:
        return float(value)
    said = "the file does not say its sample rate" if value is None else f"a sample rate cannot be {str(value)[:30]}"
    raise BadValue(said, floor="ports", struct="samples", field="rate", hint="say it with --rate")


# ---- WAV ---------------------------------------------------------------------------------------------------------------
_CHUNK = layout_of(Chunk, _LITTLE).size or 0
_MOST_FORMAT = 4096


def wav_head(source: Source) -> SampleHead:
    """Read a WAV file up to its first sample. Raises Truncated, BadValue, UnknownCode."""
    head = RiffHead.decode(source.need(layout_of(RiffHead, _LITTLE).size or 0, "RiffHead"), _LITTLE)
    if head.form != b"WAVE":
        raise _unknown(f"a RIFF file of the form {head.form!r} holds no samples", "RiffHead", "form", source.offset - 4)
    wave: WaveFormat | None = None
    while True:
        chunk = Chunk.decode(source.need(_CHUNK, "Chunk"), _LITTLE)
        if chunk.tag == b"data":
            break
        if chunk.tag == b"fmt ":
            if chunk.size > _MOST_FORMAT:
                raise BadValue(f"a format of {chunk.size} bytes is none", floor="ports", struct="Chunk", field="size",
                               bit_offset=8 * (source.offset - 4))  # fmt: skip
            wave = WaveFormat.decode(source.need(chunk.size, "WaveFormat"), _LITTLE)
            source.need(chunk.size % 2, "Chunk")
        else:
            _pass_over(source, chunk.size + chunk.size % 2)
    if wave is None:
        raise BadValue("the samples come before their format", floor="ports", struct="Chunk", field="tag",
                       bit_offset=8 * (source.offset - _CHUNK))  # fmt: skip
    code = wave.code
    if code == EXTENSIBLE:
        code = WaveExtension.decode(wave.extension, _LITTLE).code
    name = _WAV_TYPES.get((code, wave.bits))
    if name is None or not wave.channels or wave.frame * 8 != wave.channels * wave.bits:
        raise _unknown(
            f"samples of format {code} with {wave.bits} bits in {wave.channels} channels cannot be read",
            "WaveFormat",
            "code",
            None,
            "PCM of 8, 16, 24 or 32 bits, or floating point of 32 or 64",
        )
    size = None if chunk.size in (0, OPEN_SIZE) else chunk.size
    return SampleHead(wave.rate, ENCODINGS[name], wave.channels, size)


def _pass_over(source: Source, size: int) -> None:
    while size:
        step = min(size, 1 << 16)
        source.need(step, "Chunk")
        size -= step


def _unknown(message: str, struct: str, field: str, offset: int | None, hint: str = "") -> UnknownCode:
    return UnknownCode(message, floor="ports", struct=struct, field=field, hint=hint,
                       bit_offset=None if offset is None else 8 * offset)  # fmt: skip


def wav_bytes(rate_hz: float, encoding: Encoding, size: int) -> bytes:
    """The head of a WAV file with one channel and ``size`` bytes of samples; its length does not depend on them.

    The rate is rounded to whole samples per second. Raises BadValue when that is not possible.
    """
    rate = round(checked_rate(rate_hz))
    whole = encoding.full != 1.0
    wave = WaveFormat(
        code=PCM if whole else FLOAT,
        channels=1,
        rate=rate,
        bytes_per_second=rate * encoding.size,
        frame=encoding.size,
        bits=8 * encoding.size,
        extension=b"" if whole else b"\0\0",
    ).encode(_LITTLE)
    parts = [Chunk(tag=b"fmt ", size=len(wave)).encode(_LITTLE), wave]
    if not whole:  # formats other than PCM say the number of samples apart
        parts += [Chunk(tag=b"fact", size=4).encode(_LITTLE), (size // encoding.size).to_bytes(4, "little")]
    parts.append(Chunk(tag=b"data", size=size).encode(_LITTLE))
    body = b"".join(parts)
    return RiffHead(size=4 + len(body) + size).encode(_LITTLE) + body


# ---- SigMF -------------------------------------------------------------------------------------------------------------
def sigmf_document(
    rate_hz: float, encoding: Encoding, annotations: tuple[Annotation, ...], description: str, recorder: str
) -> str:
    """The metadata of a SigMF recording."""
    kind = next(key for key, name in _SIGMF_TYPES.items() if name == encoding.name)
    ours = any(each.lpdu for each in annotations)
    head: dict[str, Any] = {
        "core:datatype": kind,
        "core:sample_rate": rate_hz,
        "core:version": _SIGMF_VERSION,
        "core:num_channels": 1,
        "core:recorder": recorder,
    }
    if description:
        head["core:description"] = description
    if ours:
        head["core:extensions"] = [{"name": "osgp", "version": "1.0.0", "optional": True}]
    notes = []
    for each in sorted(annotations, key=lambda one: one.start):
        fields = {
            "core:sample_start": each.start,
            "core:sample_count": each.count,
            "core:freq_lower_edge": each.low_hz,
            "core:freq_upper_edge": each.high_hz,
            "core:label": each.label or None,
            "core:comment": each.comment or None,
            "osgp:lpdu": each.lpdu.hex() or None,
        }
        notes.append({key: value for key, value in fields.items() if value is not None})
    document = {"global": head, "captures": [{"core:sample_start": 0}], "annotations": notes}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def sigmf_head(raw: bytes) -> tuple[SampleHead, str]:
    """(what SigMF metadata say, the name of the file with the samples if they say that). Raises BadValue, UnknownCode, Truncated."""
    if len(raw) > _MOST_META:
        raise _bad(f"{len(raw)} bytes of metadata are too many", "")
    try:
        document = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad(f"the metadata are no JSON: {error}", "") from error
    head = _object(_object(document, "metadata").get("global"), "global")
    captures, notes = _objects(document, "captures"), _objects(document, "annotations")
    kind = head.get("core:datatype")
    if isinstance(kind, str) and kind.startswith("c"):
        raise _unknown(f"samples of the type {kind[:20]!r} are complex", "SigMF", "core:datatype", None,
                       "record the line itself, as real numbers; a mixed-down band has lost the carrier's frequency")  # fmt: skip
    if not isinstance(kind, str) or kind not in _SIGMF_TYPES:
        raise _unknown(f"samples of the type {str(kind)[:20]!r} cannot be read", "SigMF", "core:datatype", None,
                       f"one of {', '.join(_SIGMF_TYPES)}")  # fmt: skip
    if head.get("core:metadata_only") is True:
        raise _bad("these metadata come without samples", "core:metadata_only")
    first = captures[0] if captures else {}
    if any(_whole(each, "core:header_bytes", 0) for each in captures[1:]):
        raise _bad("other data between the samples cannot be passed over", "core:header_bytes")
    name = head.get("core:dataset", "")
    if not isinstance(name, str) or "/" in name or "\\" in name or "\0" in name:
        raise _bad(f"{str(name)[:40]!r} is no name of a file beside the metadata", "core:dataset")
    stamp = first.get("core:datetime", "")
    channels = _whole(head, "core:num_channels", 1)
    if not channels:
        raise _bad("these samples have no channels", "core:num_channels")
    return SampleHead(
        head.get("core:sample_rate"),
        ENCODINGS[_SIGMF_TYPES[kind]],
        channels,
        None,
        _whole(first, "core:header_bytes", 0),
        tuple(_annotation(each) for each in notes),
        stamp if isinstance(stamp, str) else "",
    ), name


def _annotation(values: Mapping[str, Any]) -> Annotation:
    count = values.get("core:sample_count")
    try:
        lpdu = bytes.fromhex(str(values.get("osgp:lpdu", "")))
    except ValueError:
        lpdu = b""
    return Annotation(
        _whole(values, "core:sample_start", 0),
        None if count is None else _whole(values, "core:sample_count", 0),
        str(values.get("core:label", "")),
        str(values.get("core:comment", "")),
        _real(values.get("core:freq_lower_edge")),
        _real(values.get("core:freq_upper_edge")),
        lpdu,
    )


def _real(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= MOST_HZ
    return float(value) if good else None


def _whole(values: Mapping[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise _bad(f"{key} cannot be {str(value)[:30]}", key)
    return value


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad(f"{what} is no JSON object", what)
    return value


def _objects(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = document.get(key, [])
    if not isinstance(found, list):
        raise _bad(f"{key} is no JSON array", key)
    return [_object(each, key) for each in found]


def _bad(message: str, field: str) -> DecodeError:
    return BadValue(message, floor="ports", struct="SigMF", field=field,
                    hint="a .sigmf-meta file is JSON with global, captures and annotations")  # fmt: skip


def out_of_samples(message: str, byte: int | None = None) -> Truncated:
    """The error for samples that end too early."""
    return Truncated(message, floor="ports", struct="samples", bit_offset=None if byte is None else 8 * byte,
                     hint="the recording is still being made, or its copy is not complete; what is before this is good")  # fmt: skip
