"""Files of samples: WAV, raw numbers, SigMF; read and written block by block.

``open_samples`` gives float32 whatever the file holds, at the file's own rate; ``osgp.ports.resample`` makes that the modem's.
``create_samples`` writes int16 or float32. What cannot be a sample (not a number, infinite) and files that end too early are our
errors, raised after the good samples before it. Which files: by the end of the name, and WAV also by how it begins.

====================================  ==================================================================
``.wav``                              PCM of 8, 16, 24, 32 bits, floating point; read also from a pipe
``.sigmf-meta``, ``.sigmf-data``      a SigMF recording of real samples, with annotations
anything else                         raw numbers; the caller says rate and encoding (``.s16``, ``.f32`` say the latter)
====================================  ==================================================================
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from osgp import __version__
from osgp.ports.pcap import Source
from osgp.ports.sample_forms import (
    ENCODINGS,
    WAV_LIMIT,
    Annotation,
    Encoding,
    SampleHead,
    checked_rate,
    out_of_samples,
    sigmf_document,
    sigmf_head,
    wav_bytes,
    wav_head,
)
from osgp.wire.errors import BadValue, ConfigError, DecodeError

__all__ = ["ENCODINGS", "Annotation", "SampleReader", "SampleWriter", "create_samples", "open_samples"]

BLOCK = 1 << 16
"""Samples of a block, unless somebody wishes otherwise."""
META, DATA = ".sigmf-meta", ".sigmf-data"
_RAW = {".f32": "float32", ".s16": "int16", ".i16": "int16", ".f64": "float64", ".s8": "int8", ".u8": "uint8"}


class SampleReader:
    """The samples of a file, once from its beginning to its end. Usable with ``with``.

    ``rate_hz``: samples per second. ``encoding``: how the file keeps them. ``count``: samples of one channel that it should have;
    None where only reading will tell. ``annotations``: of SigMF. ``datetime``: when the first was taken, if the file says (ISO 8601).
    """

    def __init__(
        self, source: Source, head: SampleHead, rate_hz: float, size: int | None, name: str, channel: int
    ) -> None:
        self.name = name
        self.rate_hz = rate_hz
        self.encoding = head.encoding.name
        self.channels = head.channels
        self.annotations = head.annotations
        self.datetime = head.datetime
        self.count = None if size is None else size // (head.encoding.size * head.channels)
        self._source = source
        self._head = head
        self._size = size
        self._channel = channel

    @property
    def duration_s(self) -> float | None:
        """Seconds; None where only reading will tell."""
        return None if self.count is None else self.count / self.rate_hz

    def blocks(self, size: int = BLOCK) -> Iterator[NDArray[np.float32]]:
        """All samples of one channel, float32, amplitude 1 for full scale; at most ``size`` at a time.

        Raises behind the last good sample: Truncated for a file that ends too early or holds none, BadValue for a sample that is
        no finite number.
        """
        encoding = self._head.encoding
        frame = encoding.size * self._head.channels
        left, number = self._size, 0
        while left is None or left > 0:
            start = self._source.offset
            wanted = size * frame if left is None else min(size * frame, left)
            raw = self._source.read(wanted)
            left = None if left is None else left - len(raw)
            whole = len(raw) // frame * frame
            block = encoding.decode(raw[:whole])[self._channel :: self._head.channels]
            bad = np.flatnonzero(~np.isfinite(block))
            if len(bad):
                if bad[0]:
                    yield block[: bad[0]]
                raise BadValue(
                    f"sample {number + int(bad[0])} is no finite number",
                    floor="ports",
                    struct="samples",
                    bit_offset=8 * (start + int(bad[0]) * frame),
                    hint=f"are these really {encoding.name}? --encoding says another; else cut the file there",
                )
            if len(block):
                yield block
            number += len(block)
            if whole < len(raw):
                raise out_of_samples(f"{self.name} ends within sample {number}", self._source.offset)
            if len(raw) < wanted:
                break
        if not number:
            raise out_of_samples(f"there are no samples in {self.name}")
        if left:
            raise out_of_samples(f"{self.name} says {self.count} samples and holds {number}", self._source.offset)

    def close(self) -> None:
        """Close the file."""
        self._source.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_samples(
    target: str | Path | BinaryIO, *, rate_hz: float | None = None, encoding: str | None = None, channel: int = 0
) -> SampleReader:
    """Open a file of samples, or a stream open for reading.

    ``rate_hz``: needed for raw numbers; elsewhere it overrules what the file says. ``encoding``: of raw numbers (a name in
    ``ENCODINGS``; default: by the file's name, else float32). ``channel``: which one of several, from 0. Raises ConfigError for what
    cannot be opened or is not said, DecodeError for a file whose head is wrong.
    """
    if rate_hz is not None:
        _rate(rate_hz)
    name = Path(target).name if isinstance(target, (str, Path)) else "the stream"
    suffix = Path(target).suffix.lower() if isinstance(target, (str, Path)) else ""
    try:
        head, source, size = _opened_head(target, name, suffix, encoding)
    except DecodeError as error:
        error.args = (f"{name}: {error.message}",)
        raise
    try:
        if not 0 <= channel < head.channels:
            raise ConfigError(
                f"{name} has no channel {channel}", hint=f"channels are numbered 0 to {head.channels - 1}"
            )
        rate = head.rate if rate_hz is None else rate_hz
        if rate is None and suffix not in (META, DATA):
            raise ConfigError(
                f"{name} holds raw numbers, and nobody says at what rate",
                hint="--rate 345000 says it; WAV and SigMF files say it themselves",
            )
        try:
            rate = checked_rate(rate)
        except BadValue as error:
            error.args = (f"{name}: {error.message}",)
            raise
        return SampleReader(source, head, rate, size, name, channel)
    except BaseException:
        source.stream.close()
        raise


def _opened_head(
    target: str | Path | BinaryIO, name: str, suffix: str, encoding: str | None
) -> tuple[SampleHead, Source, int | None]:
    """What the head says; the file stands behind it."""
    if isinstance(target, (str, Path)) and suffix in (META, DATA, ".sigmf"):
        _says_itself(encoding, "a SigMF recording")
        return _open_sigmf(Path(target))
    stream = _opened(Path(target), "rb") if isinstance(target, (str, Path)) else target
    try:
        return _open_plain(stream, suffix, encoding)
    except BaseException:
        if stream is not target:
            stream.close()
        raise


def _open_plain(stream: BinaryIO, suffix: str, encoding: str | None) -> tuple[SampleHead, Source, int | None]:
    """A WAV file or raw numbers; the stream may be a pipe."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    source = Source(buffered)
    first = buffered.peek(4)[:4]
    if suffix == ".wav" or first == b"RIFF":
        if first in (b"RF64", b"RIFX"):
            raise ConfigError(
                f"WAV files of the form {first.decode()} cannot be read", hint="convert it to RIFF, or raw"
            )
        if not first:
            raise out_of_samples("the file is empty")
        if first != b"RIFF":
            raise BadValue("the file is no WAV file", floor="ports", struct="RiffHead", field="tag", bit_offset=0,
                           data=first, hint="a WAV file begins with RIFF")  # fmt: skip
        head = wav_head(source)
        _says_itself(encoding, "a WAV file")
        return head, source, head.size
    chosen = encoding or _RAW.get(suffix, "float32")
    if chosen not in ENCODINGS:
        raise ConfigError(f"there is no encoding {chosen!r}", hint=f"one of {', '.join(ENCODINGS)}")
    return SampleHead(None, ENCODINGS[chosen]), source, _file_size(stream)


def _says_itself(encoding: str | None, what: str) -> None:
    if encoding is not None:
        raise ConfigError(
            f"{what} says itself how its numbers are written, and {encoding!r} was asked for",
            hint="--encoding is for raw numbers only",
        )


def _file_size(stream: BinaryIO) -> int | None:
    """Bytes of an ordinary file; None for pipes and the like."""
    try:
        place = stream.fileno()
    except (OSError, AttributeError):
        return None
    found = os.fstat(place)
    return found.st_size if found.st_size else None


def _open_sigmf(path: Path) -> tuple[SampleHead, Source, int | None]:
    if path.suffix.lower() == ".sigmf":
        raise ConfigError(f"{path} is a SigMF archive", hint=f"unpack it: tar xf {path.name}")
    meta = path.with_suffix(META)
    with _opened(meta, "rb") as stream:
        head, name = sigmf_head(stream.read())
    data = path.parent / name if name else path.with_suffix(DATA)
    stream = _opened(data, "rb")
    source = Source(stream)
    size = (_file_size(stream) or 0) - head.skip
    if size > 0:
        source.seek(head.skip)
    return head, source, max(size, 0)


def _opened(path: Path, mode: str) -> BinaryIO:
    try:
        return open(path, mode)  # type: ignore[return-value]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"cannot {'read' if mode == 'rb' else 'write'} {path}: {reason}") from error


def _rate(rate_hz: float) -> float:
    try:
        return checked_rate(rate_hz)
    except BadValue as error:
        raise ConfigError(error.message, hint="samples per second, above zero") from error


class SampleWriter:
    """Writes samples into a file, block by block. Usable with ``with``; the file is complete when it is closed.

    ``count``: samples written so far. ``clipped``: how many of them were beyond full scale and are not kept as they were.
    """

    def __init__(self, path: Path, rate_hz: float, encoding: Encoding, description: str) -> None:
        suffix = path.suffix.lower()
        self.path = path
        self.rate_hz = _rate(rate_hz)
        self.encoding = encoding.name
        self.count = 0
        self.clipped = 0
        self._coding = encoding
        self._description = description
        self._annotations: list[Annotation] = []
        self._meta = path.with_suffix(META) if suffix in (META, DATA) else None
        self._limit = WAV_LIMIT if suffix == ".wav" else None
        self._stream = _opened(path.with_suffix(DATA) if self._meta else path, "wb")
        if self._limit is not None:
            self._put(lambda: self._stream.write(wav_bytes(self.rate_hz, encoding, 0)))

    def write(self, samples: NDArray[Any]) -> None:
        """Write samples, amplitude 1 for full scale; int16 samples clip what is larger.

        Raises BadValue for samples that are no finite numbers, ConfigError when the file cannot take them.
        """
        block = np.asarray(samples)
        if block.ndim != 1 or not np.isfinite(block).all():
            raise BadValue("these are no samples", floor="ports", struct="samples", hint="one axis, finite numbers")
        raw, clipped = self._coding.encode(block)
        if self._limit is not None and (self.count + len(block)) * self._coding.size > self._limit:
            raise ConfigError(
                f"{self.path} cannot take more than {self._limit >> 20} MiB of samples",
                hint="SigMF (.sigmf-meta) and raw files have no such limit",
            )
        self._put(lambda: self._stream.write(raw))
        self.count += len(block)
        self.clipped += clipped

    def annotate(self, annotation: Annotation) -> None:
        """Say something about a stretch of samples; only SigMF keeps it."""
        self._annotations.append(annotation)

    def close(self) -> None:
        """Finish the file."""
        if self._stream.closed:
            return
        try:
            if self._limit is not None:
                head = wav_bytes(self.rate_hz, self._coding, self.count * self._coding.size)
                self._put(lambda: (self._stream.seek(0), self._stream.write(head)))
        finally:
            self._put(self._stream.close)
        if self._meta is not None:
            text = sigmf_document(
                self.rate_hz, self._coding, tuple(self._annotations), self._description, f"osgp {__version__}"
            )
            meta = self._meta
            self._put(lambda: meta.write_text(text, "utf-8"))

    def _put(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def create_samples(
    path: str | Path, rate_hz: float, *, encoding: str | None = None, description: str = ""
) -> SampleWriter:
    """Begin a file of samples, its form by the end of its name.

    ``encoding``: ``int16`` or ``float32``; default int16 for ``.wav`` and ``.s16``, else float32. ``description``: for SigMF. Raises
    ConfigError.
    """
    place = Path(path)
    suffix = place.suffix.lower()
    if suffix == ".sigmf":
        raise ConfigError(f"{path} would be a SigMF archive", hint=f"a name that ends in {META}")
    chosen = encoding or ("int16" if suffix in (".wav", ".s16", ".i16") else "float32")
    if chosen not in ("int16", "float32"):
        raise ConfigError(f"samples cannot be written as {chosen!r}", hint="int16 or float32")
    return SampleWriter(place, rate_hz, ENCODINGS[chosen], description)
