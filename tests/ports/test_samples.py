"""Files of samples: what is written is read, by others too; what cannot be a sample is told; rates become other rates."""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.ports import sample_forms
from osgp.ports.resample import Resampler, resampled
from osgp.ports.sample_forms import sigmf_head
from osgp.ports.samples import ENCODINGS, Annotation, create_samples, open_samples
from osgp.wire.errors import BadValue, ConfigError, DecodeError, Error, Truncated, UnknownCode

RATE = 6553600 / 19
SIGNAL = np.sin(np.arange(5000) / 7).astype(np.float32) * np.float32(0.8)


def read(path: Path | io.BytesIO, **options: object) -> np.ndarray:
    with open_samples(path, **options) as samples:  # type: ignore[arg-type]
        return np.concatenate(list(samples.blocks(777)))


def for_each(blocks: Iterator[np.ndarray], sizes: list[int]) -> None:
    for block in blocks:
        sizes.append(len(block))


# ---- there and back ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["int16", "float32"])
@pytest.mark.parametrize("name", ["a.wav", "a.sigmf-meta", "a.sigmf-data", "a.raw"])
def test_what_is_written_is_read(name: str, encoding: str, tmp_path: Path) -> None:
    with create_samples(tmp_path / name, RATE, encoding=encoding) as out:
        for block in np.split(SIGNAL, (0, 1, 1700)):
            out.write(block)
    assert (out.count, out.clipped) == (5000, 0)
    raw = {"rate_hz": RATE, "encoding": encoding} if name == "a.raw" else {}
    with open_samples(tmp_path / name, **raw) as samples:  # type: ignore[arg-type]
        assert samples.encoding == encoding
        assert samples.count == 5000
        assert abs(samples.rate_hz - RATE) <= 0.5
        assert samples.duration_s == pytest.approx(5000 / RATE, rel=1e-5)
        found = np.concatenate(list(samples.blocks()))
    if encoding == "float32":
        np.testing.assert_array_equal(found, SIGNAL)
    else:
        assert np.abs(found - SIGNAL).max() <= 0.5 / 32767 + 1e-7


def test_the_suffix_of_raw_numbers_says_how_they_are_kept(tmp_path: Path) -> None:
    for suffix, size in ((".s16", 2), (".f32", 4)):
        with create_samples(tmp_path / f"a{suffix}", RATE) as out:
            out.write(SIGNAL)
        assert (tmp_path / f"a{suffix}").stat().st_size == 5000 * size
        assert np.abs(read(tmp_path / f"a{suffix}", rate_hz=RATE) - SIGNAL).max() < 1e-4


def test_the_library_of_python_reads_our_wav_files(tmp_path: Path) -> None:
    with create_samples(tmp_path / "a.wav", RATE) as out:
        out.write(SIGNAL)
    with wave.open(str(tmp_path / "a.wav")) as other:
        assert (other.getnchannels(), other.getsampwidth(), other.getframerate()) == (1, 2, 344926)
        numbers = np.frombuffer(other.readframes(9999), "<i2")
    np.testing.assert_array_equal(numbers, np.rint(SIGNAL.astype(float) * 32767))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_we_read_wav_files_that_the_library_of_python_writes(width: int, channels: int, tmp_path: Path) -> None:
    full = 2 ** (8 * width - 1) - 1
    numbers = np.rint(SIGNAL.astype(float) * full).astype(np.int64) + (128 if width == 1 else 0)
    raw = b"".join(int(n).to_bytes(width, "little", signed=width > 1) + bytes(width * (channels - 1)) for n in numbers)
    with wave.open(str(tmp_path / "a.wav"), "wb") as other:
        other.setnchannels(channels)
        other.setsampwidth(width)
        other.setframerate(192000)
        other.writeframes(raw)
    with open_samples(tmp_path / "a.wav") as samples:
        assert (samples.rate_hz, samples.channels, samples.count) == (192000, channels, 5000)
    assert np.abs(read(tmp_path / "a.wav") - SIGNAL).max() < 2 / full
    if channels == 2 and width > 1:
        assert not read(tmp_path / "a.wav", channel=1).any()


def test_a_wav_file_may_come_through_a_pipe_with_other_chunks_and_no_length(tmp_path: Path) -> None:
    body = wave_bytes(chunks=[(b"LIST", b"odd")], size=0xFFFFFFFF)
    reading, writing = os.pipe()

    def feed() -> None:
        with open(writing, "wb") as stream:
            stream.write(body)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with open(reading, "rb") as stream:
        samples = open_samples(stream)
        assert samples.count is None
        assert samples.duration_s is None
        assert len(np.concatenate(list(samples.blocks()))) == 100
    feeder.join()


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_every_encoding_gives_full_scale_and_nothing(name: str, tmp_path: Path) -> None:
    encoding = ENCODINGS[name]
    if name == "int24":
        raw = bytes(3) + bytes.fromhex("FFFF7F 010080")
    else:
        raw = (
            np.array([encoding.zero, encoding.zero + encoding.full, encoding.zero - encoding.full])
            .astype(encoding.dtype)
            .tobytes()
        )
    (tmp_path / "a.raw").write_bytes(raw)
    np.testing.assert_allclose(read(tmp_path / "a.raw", rate_hz=1e5, encoding=name), [0, 1, -1], atol=1e-6)


@pytest.mark.parametrize("name", ["a.wav", "a.sigmf-data"])
def test_an_encoding_is_refused_where_the_file_says_its_own(name: str, tmp_path: Path) -> None:
    with create_samples(tmp_path / name, RATE) as out:
        out.write(np.zeros(8))
    with pytest.raises(ConfigError, match="says itself"):
        read(tmp_path / name, encoding="int16")


def test_what_is_too_large_for_int16_is_clipped_and_counted(tmp_path: Path) -> None:
    with create_samples(tmp_path / "a.wav", RATE) as out:
        out.write(np.array([0.0, 2.0, -3.0, 1.0]))
    assert out.clipped == 2
    np.testing.assert_allclose(read(tmp_path / "a.wav"), [0, 1, -1, 1], atol=1e-4)


# ---- SigMF -------------------------------------------------------------------------------------------------------------
def test_annotations_are_kept_in_order_with_their_packets(tmp_path: Path) -> None:
    late = Annotation(3000, 500, "packet", "1/10 → 1/20", 80e3, 90e3, bytes.fromhex("40010203"))
    early = Annotation(10, None, "noise")
    with create_samples(tmp_path / "a.sigmf-meta", RATE, description="two things") as out:
        out.write(SIGNAL)
        out.annotate(late)
        out.annotate(early)
    with open_samples(tmp_path / "a.sigmf-data") as samples:
        assert samples.annotations == (early, late)
        assert samples.rate_hz == RATE
    document = json.loads((tmp_path / "a.sigmf-meta").read_text("utf-8"))
    assert document["global"]["core:datatype"] == "rf32_le"
    assert document["global"]["core:extensions"][0]["name"] == "osgp"


def recording(folder: Path, data: bytes, **changes: object) -> Path:
    head: dict[str, object] = {"core:datatype": "ri16_le", "core:sample_rate": 250000, "core:version": "1.0.0"}
    document: dict[str, object] = {"global": head, "captures": [{"core:sample_start": 0}], "annotations": []}
    for key, value in changes.items():
        (document if key in document else head)[key if key in document else f"core:{key}"] = value
    (folder / "r.sigmf-data").write_bytes(data)
    (folder / "r.sigmf-meta").write_text(json.dumps(document))
    return folder / "r.sigmf-meta"


def test_a_recording_of_others_with_channels_and_bytes_in_front(tmp_path: Path) -> None:
    data = b"head!" + np.arange(20, dtype="<i2").tobytes()
    place = recording(
        tmp_path, data, num_channels=2, captures=[{"core:header_bytes": 5, "core:datetime": "2024-01-02T03:04:05Z"}]
    )
    with open_samples(place, channel=1) as samples:
        assert (samples.count, samples.datetime) == (10, "2024-01-02T03:04:05Z")
    np.testing.assert_allclose(read(place, channel=1) * 32767, np.arange(1, 20, 2), atol=1e-3)


def test_a_recording_may_name_its_samples_but_not_those_elsewhere(tmp_path: Path) -> None:
    place = recording(tmp_path, b"", dataset="other.bin")
    (tmp_path / "other.bin").write_bytes(bytes(8))
    assert len(read(place)) == 4
    with pytest.raises(BadValue, match="beside"):
        read(recording(tmp_path, b"", dataset="../../etc/passwd"))


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"datatype": "cf32_le"}, UnknownCode, "complex"),
        ({"datatype": "ru64_le"}, UnknownCode, "ru64_le"),
        ({"datatype": 7}, UnknownCode, "7"),
        ({"sample_rate": -1}, BadValue, "r.sigmf-meta: a sample rate"),
        ({"sample_rate": None}, BadValue, "does not say"),
        ({"sample_rate": True}, BadValue, "sample rate"),
        ({"num_channels": "many"}, BadValue, "num_channels"),
        ({"num_channels": 0}, BadValue, "no channels"),
        ({"metadata_only": True}, BadValue, "without samples"),
        ({"captures": [{}, {"core:header_bytes": 9}]}, BadValue, "between"),
        ({"annotations": [{"core:sample_start": -4}]}, BadValue, "sample_start"),
        ({"annotations": ["x"]}, BadValue, "annotations"),
        ({"annotations": 5}, BadValue, "annotations"),
        ({"captures": {}}, BadValue, "captures"),
        ({"global": []}, BadValue, "global"),
    ],
)
def test_metadata_that_cannot_be_followed_are_told(
    changes: dict[str, object], kind: type[Error], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words):
        read(recording(tmp_path, bytes(100), **changes))


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["global", "captures", "annotations", "core:datatype", "core:sample_start"]), inner
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_metadata_give_a_head_or_our_error(raw: bytes) -> None:
    with contextlib.suppress(DecodeError):
        sigmf_head(raw)


def test_deep_metadata_are_our_error() -> None:
    with pytest.raises(BadValue):
        sigmf_head(b"[" * 200_000)


# ---- bad input ---------------------------------------------------------------------------------------------------------
def wave_bytes(
    *, code: int = 1, bits: int = 16, channels: int = 1, rate: int = 250000, chunks: list[tuple[bytes, bytes]] | None = None,
    size: int | None = None, extension: bytes = b"", data: bytes = bytes(200), frame: int | None = None,
) -> bytes:  # fmt: skip
    frame = channels * bits // 8 if frame is None else frame
    form = struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits) + extension
    parts = [*(chunks or []), (b"fmt ", form)]
    body = b"".join(tag + struct.pack("<I", len(part)) + part + bytes(len(part) % 2) for tag, part in parts)
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def test_the_extensible_form_of_wav_is_read() -> None:
    extension = struct.pack("<HHIH", 22, 32, 0, 3) + bytes.fromhex("000000001000800000AA00389B71")
    raw = wave_bytes(code=0xFFFE, bits=32, extension=extension, data=SIGNAL.tobytes())
    np.testing.assert_array_equal(read(io.BytesIO(raw)), SIGNAL)


@pytest.mark.parametrize(
    ("raw", "kind", "words"),
    [
        (wave_bytes()[:30], Truncated, "a.wav: 16 bytes needed"),
        (wave_bytes(size=300), Truncated, "holds 100"),
        (wave_bytes()[:-1], Truncated, "within sample"),
        (wave_bytes(data=b""), Truncated, "no samples"),
        (wave_bytes(code=17, bits=4), UnknownCode, "format 17"),
        (wave_bytes(channels=0), UnknownCode, "0 channels"),
        (wave_bytes(frame=7), UnknownCode, "cannot be read"),
        (wave_bytes(code=0xFFFE), Truncated, "needed"),
        (wave_bytes(rate=0), BadValue, "a.wav: a sample rate"),
        (wave_bytes().replace(b"WAVE", b"AVI "), UnknownCode, "AVI"),
        (wave_bytes().replace(b"fmt ", b"tmf "), BadValue, "before their format"),
        (b"RF64" + bytes(40), ConfigError, "RF64"),
        (b"OggS" + bytes(40), BadValue, "no WAV"),
        (b"", Truncated, "a.wav: the file is empty"),
    ],
)
def test_damaged_wav_files_are_our_errors(raw: bytes, kind: type[Error], words: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(raw)
    with pytest.raises(kind, match=words):
        read(tmp_path / "a.wav")


@given(st.data())
def test_any_bytes_of_a_wav_file_give_samples_or_our_error(data: st.DataObject) -> None:
    raw = bytearray(wave_bytes())
    for place in data.draw(st.lists(st.integers(0, 47), max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    try:
        found = read(io.BytesIO(bytes(raw[: data.draw(st.integers(0, len(raw)))])))
    except Error:
        return
    assert np.isfinite(found).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 1234, 4999])
def test_what_is_no_number_is_told_behind_the_good_samples(bad: float, place: int, tmp_path: Path) -> None:
    signal = SIGNAL.copy()
    signal[place] = bad
    (tmp_path / "a.f32").write_bytes(signal.tobytes())
    good: list[int] = []
    with open_samples(tmp_path / "a.f32", rate_hz=RATE) as samples, pytest.raises(BadValue, match=f"sample {place} "):
        for_each(samples.blocks(1000), good)
    assert sum(good) == place


def test_a_number_too_large_for_float32_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "a.f64").write_bytes(np.array([0.5, 1e300]).tobytes())
    with pytest.raises(BadValue, match="sample 1 "):
        read(tmp_path / "a.f64", rate_hz=1e5)


def test_a_writer_takes_no_such_numbers(tmp_path: Path) -> None:
    with create_samples(tmp_path / "a.wav", RATE) as out:
        for bad in (np.array([np.nan]), np.array([[1.0]]), np.array([np.inf])):
            with pytest.raises(BadValue):
                out.write(bad)
        out.write(SIGNAL)
    assert len(read(tmp_path / "a.wav")) == 5000


def test_wrong_use_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(16))
    for make, words in (
        (lambda: open_samples(tmp_path / "a.raw"), "--rate"),
        (lambda: open_samples(tmp_path / "a.raw", rate_hz=float("nan")), "above zero"),
        (lambda: open_samples(tmp_path / "a.raw", rate_hz=1e5, encoding="int15"), "int16"),
        (lambda: open_samples(tmp_path / "a.raw", rate_hz=1e5, channel=1), "0 to 0"),
        (lambda: open_samples(tmp_path / "a.sigmf"), "tar"),
        (lambda: create_samples(tmp_path / "a.sigmf", RATE), "sigmf-meta"),
        (lambda: create_samples(tmp_path / "a.raw", RATE, encoding="int24"), "int16"),
        (lambda: create_samples(tmp_path / "a.raw", 0.0), "above zero"),
    ):
        with pytest.raises(ConfigError) as told:
            make()
        assert words in told.value.hint
    for make in (
        lambda: open_samples(tmp_path / "none.wav"),
        lambda: open_samples(tmp_path / "none.sigmf-meta"),
        lambda: open_samples(tmp_path),
        lambda: create_samples(tmp_path / "no" / "such.wav", RATE),
    ):
        with pytest.raises(ConfigError, match="cannot"):
            make()


def test_a_wav_file_takes_no_more_than_it_can_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osgp.ports.samples.WAV_LIMIT", 8000)
    with create_samples(tmp_path / "a.wav", RATE) as out:
        out.write(SIGNAL[:4000])
        with pytest.raises(ConfigError, match="cannot take more"):
            out.write(SIGNAL[:1])
    assert len(read(tmp_path / "a.wav")) == 4000
    assert sample_forms.WAV_LIMIT < 2**32


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    import tracemalloc

    with open(tmp_path / "a.s16", "wb") as stream:
        stream.truncate(64 << 20)
    with open_samples(tmp_path / "a.s16", rate_hz=RATE) as samples:
        tracemalloc.start()
        resampler = Resampler(500e3, RATE)
        found = sum(
            len(resampler.push(block)) if number < 4 else len(block) for number, block in enumerate(samples.blocks())
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert found > 30e6
    assert peak < 24 << 20


# ---- other rates -------------------------------------------------------------------------------------------------------
def tone(rate_hz: float, count: int, tone_hz: float = 86231.6) -> np.ndarray:
    wave_form: np.ndarray = np.cos(2 * np.pi * tone_hz * np.arange(count) / rate_hz).astype(np.float32)
    return wave_form


@pytest.mark.parametrize("rate_hz", [192e3, 250e3, 344.9e3, 384e3, 500e3, 1e6, 2.4e6])
def test_a_carrier_at_another_rate_is_the_same_carrier(rate_hz: float) -> None:
    resampler = Resampler(rate_hz, RATE)
    found = np.concatenate((resampler.push(tone(rate_hz, round(rate_hz / 10))), resampler.flush()))
    assert len(found) == pytest.approx(RATE / 10, abs=1)
    inside = slice(200, -200)
    error = found[inside] - tone(RATE, len(found))[inside]
    assert 20 * np.log10(error.std() / np.sqrt(0.5)) < -70


def test_what_lies_above_half_the_new_rate_is_gone() -> None:
    resampler = Resampler(1e6, RATE)
    found = np.concatenate((resampler.push(tone(1e6, 100_000, 250e3)), resampler.flush()))
    assert 20 * np.log10(found[200:-200].std() / np.sqrt(0.5)) < -60


def test_a_rate_rounded_to_whole_numbers_passes_unchanged() -> None:
    resampler = Resampler(344926.0, RATE)
    assert not resampler.changes
    np.testing.assert_array_equal(resampler.push(SIGNAL), SIGNAL)
    assert len(resampler.flush()) == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 3000), max_size=6), st.sampled_from([192e3, 500e3, 1.7e6, 689852.6]), st.integers(0, 3000)
)
def test_how_samples_are_cut_makes_no_difference(cuts: list[int], rate_hz: float, length: int) -> None:
    signal = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    whole, pieces = Resampler(rate_hz, RATE), Resampler(rate_hz, RATE)
    expected = np.concatenate((whole.push(signal), whole.flush()))
    found = [pieces.push(part) for part in np.split(signal, sorted(min(cut, length) for cut in cuts))]
    np.testing.assert_array_equal(np.concatenate((*found, pieces.flush())), expected)
    assert len(expected) == pytest.approx(length * RATE / rate_hz, abs=1)


def test_a_rate_that_is_none_is_refused() -> None:
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError):
            Resampler(bad, RATE)


def test_what_was_good_before_an_error_is_not_lost_by_another_rate() -> None:
    def blocks() -> Iterator[np.ndarray]:
        yield SIGNAL
        raise Truncated("ends")

    found: list[int] = []
    with pytest.raises(Truncated):
        for_each(resampled(blocks(), 500e3, RATE), found)
    assert sum(found) == pytest.approx(5000 * RATE / 500e3, abs=1)
    assert sum(len(block) for block in resampled([SIGNAL], 500e3, RATE)) == sum(found)
