"""Looking back at a packet, and pictures of it: the same each time, readable, told when they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from osgp.analyse.phy_picture import PANELS, Stretch, draw_stretch
from osgp.analyse.phy_symbols import Place, power_spectrum, symbols_of
from osgp.plc.modulate import modulate
from osgp.plc.params import OSGP
from osgp.sim.channel import scenario
from osgp.sim.recording import Recording
from osgp.wire.errors import ConfigError

LPDU = bytes([0x01]) + bytes(range(40))
RECORDING = Recording([LPDU], scenario=scenario("Q"), ec_n0_db=12.0, ppm=80.0, gap_s=0.02)
SAMPLES = np.concatenate(list(RECORDING.blocks())) / np.float32(RECORDING.peak())
PLACE = Place(LPDU, RECORDING.sent[0].start, 80.0)


def stretch(**changes: object) -> Stretch:
    values = {"samples": SAMPLES, "packets": (PLACE,), "symbols": symbols_of(SAMPLES, 0, PLACE), "title": "a line"}
    return Stretch(**(values | changes))  # type: ignore[arg-type]


# ---- looking back ------------------------------------------------------------------------------------------------------
def test_without_noise_every_bit_lies_where_it_belongs() -> None:
    found = symbols_of(modulate(LPDU, amplitude=0.25), 0, Place(LPDU, 0))
    assert found.errors == 0
    assert found.amplitude == pytest.approx(0.25, rel=1e-3)
    np.testing.assert_allclose(found.values, 1.0 - 2.0 * found.bits, atol=1e-3)
    assert [int(np.count_nonzero(found.part == each)) for each in range(3)] == [35, 11 * (len(LPDU) + 2), 22]


@pytest.mark.parametrize("off", [-40, 0, 33])
@pytest.mark.parametrize("first", [0, 5000])
def test_a_beginning_that_is_half_a_bit_wrong_is_found(off: int, first: int) -> None:
    found = symbols_of(SAMPLES[first:], first, Place(LPDU, PLACE.start + off))
    assert found.place.start == pytest.approx(PLACE.start, abs=1.5)
    assert found.place.offset_ppm == pytest.approx(80.0, abs=2.0)
    assert found.ec_n0_db == pytest.approx(12.0, abs=0.8)
    assert found.errors == 0


def test_the_eye_is_open_at_the_decision_and_nowhere_wider() -> None:
    found = symbols_of(SAMPLES, 0, PLACE)
    opening = np.abs(found.eye).min(axis=0)
    assert found.eye_bits[opening.argmax()] == pytest.approx(0.0, abs=0.1)
    assert opening.max() > 0.3


def test_a_packet_outside_of_the_samples_is_told() -> None:
    for place in (Place(LPDU, -500), Place(LPDU, len(SAMPLES) - 1000)):
        with pytest.raises(ConfigError, match="not within"):
            symbols_of(SAMPLES, 0, place)


def test_of_silence_nothing_is_claimed() -> None:
    found = symbols_of(np.zeros(len(SAMPLES)), 0, PLACE)
    assert np.isfinite(found.values).all()
    assert found.ec_n0_db < 1.0


def test_a_spectrum_says_the_power_of_a_tone_and_of_noise() -> None:
    times = np.arange(200_000) / OSGP.sample_rate_hz
    noise = np.random.default_rng(1).standard_normal(len(times))
    found = power_spectrum(noise)
    # White noise of power 1 over half the sample rate; a full-scale sine has power 1/2.
    expected = 10 * np.log10(OSGP.bit_rate / (OSGP.sample_rate_hz / 2) / 0.5)
    assert np.median(found.db) == pytest.approx(expected, abs=0.3)
    tone = power_spectrum(np.cos(2 * np.pi * 60e3 * times))
    assert tone.hz[tone.db.argmax()] == pytest.approx(60e3, abs=100)
    power = (10 ** (tone.db / 10)).sum() * tone.hz[1] / OSGP.bit_rate
    assert power == pytest.approx(1.0, rel=0.01)
    assert len(power_spectrum(np.ones(1)).db) == 1


# ---- pictures ----------------------------------------------------------------------------------------------------------
def words(path: Path) -> str:
    return path.read_text("utf-8")


def test_a_picture_in_svg_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw_stretch(stretch(), tmp_path / name)
    assert words(tmp_path / "a.svg") == words(tmp_path / "b.svg")
    assert ElementTree.fromstring(words(tmp_path / "a.svg")).tag.endswith("svg")
    for said in (
        "Waveform",
        "Spectrum",
        "Constellation",
        "Eye",
        "frequency, kHz",
        "a line",
        "primary carrier, 86.2 kHz",
    ):
        assert f"<!-- {said}" in words(tmp_path / "a.svg"), said


@pytest.mark.parametrize("panel", PANELS)
def test_each_panel_can_be_drawn_alone_as_png(panel: str, tmp_path: Path) -> None:
    draw_stretch(stretch(), tmp_path / "a.png", (panel, panel))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [1, 50, 9000])
def test_without_packets_waveform_and_spectrum_are_drawn_of_any_length(count: int, tmp_path: Path) -> None:
    draw_stretch(stretch(samples=np.zeros(count, np.float32), packets=(), symbols=None), tmp_path / "a.svg", PANELS[:2])
    assert "Constellation" not in words(tmp_path / "a.svg")


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    cases: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: draw_stretch(stretch(), tmp_path / "a.gif"), "no picture"),
        (lambda: draw_stretch(stretch(), tmp_path / "a.svg", ("eye", "ear")), "ear"),
        (lambda: draw_stretch(stretch(), tmp_path / "a.svg", ()), "nothing"),
        (lambda: draw_stretch(stretch(symbols=None), tmp_path / "a.svg"), "constellation and eye need a packet"),
        (lambda: draw_stretch(stretch(), tmp_path / "no" / "a.svg"), "cannot be written"),
    )
    for make, said in cases:
        with pytest.raises(ConfigError, match=said):
            make()
    assert not list(tmp_path.iterdir())
