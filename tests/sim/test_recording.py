"""Recordings: packets in their places, with a clock that is off, the same however they are cut."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.analyse.phy_symbols import Place, symbols_of
from osgp.plc.modulate import modulate
from osgp.plc.params import C_BAND, OSGP, PhyProfile
from osgp.sim.channel import scenario, scenario_from_text
from osgp.sim.recording import Recording, waveform
from osgp.wire.errors import BadValue, ConfigError

LPDU = bytes.fromhex("01090155000101023149")
OTHER = bytes([LPDU[0] | 0x40]) + LPDU[1:]


def samples(recording: Recording, size: int = 1 << 16) -> np.ndarray:
    return np.concatenate(list(recording.blocks(size)))


@pytest.mark.parametrize("profile", [OSGP, C_BAND, PhyProfile(start_up_bits=11), PhyProfile(pulse="edge")])
@pytest.mark.parametrize("lpdu", [LPDU, OTHER])
def test_a_right_clock_gives_what_the_modulator_gives(lpdu: bytes, profile: PhyProfile) -> None:
    np.testing.assert_allclose(waveform(lpdu, profile), modulate(lpdu, profile), atol=1e-5)


def test_packets_lie_in_silence_where_the_recording_says() -> None:
    recording = Recording([LPDU, OTHER], gap_s=0.01)
    found = samples(recording)
    gap = round(0.01 * OSGP.sample_rate_hz)
    first, second = recording.sent
    assert first.start == gap
    assert second.start == gap + first.count + gap
    assert (first.secondary, second.secondary) == (False, True)
    assert len(found) == recording.count == second.start + second.count + gap
    for each in recording.sent:
        np.testing.assert_array_equal(found[each.start : each.start + each.count], waveform(each.lpdu))
        found[each.start : each.start + each.count] = 0
    assert not found.any()
    assert recording.peak() == 1.0
    assert recording.ec_n0_db(False) is None


@settings(max_examples=20, deadline=None)
@given(st.floats(-500, 500), st.booleans(), st.integers(6, 40))
def test_a_clock_that_is_off_turns_carrier_and_bits_alike(ppm: float, secondary: bool, size: int) -> None:
    lpdu = (OTHER if secondary else LPDU)[:1] + bytes(range(size - 1))
    recording = Recording([lpdu], ppm=ppm)
    (sent,) = recording.sent
    found = symbols_of(samples(recording), 0, Place(lpdu, sent.start))
    assert found.place.offset_ppm == pytest.approx(ppm, abs=1.0)
    assert found.place.start == pytest.approx(sent.start, abs=1.5)
    assert found.errors == 0
    assert sent.count == pytest.approx(OSGP.line_bits(size) * 96 / (1 + ppm * 1e-6), abs=1)


@pytest.mark.parametrize("name", ["Q", "R", "D", "T", "F"])
def test_a_line_delivers_the_level_that_was_asked_for_on_both_carriers(name: str) -> None:
    recording = Recording([LPDU, OTHER], scenario=scenario(name), ec_n0_db=7.0)
    for secondary in (False, True):
        assert recording.ec_n0_db(secondary) == pytest.approx(7.0)
    assert recording.peak() == np.abs(samples(recording)).max()


def test_what_was_asked_for_is_what_is_there() -> None:
    lpdu = LPDU + bytes(range(230))
    recording = Recording([lpdu], scenario=scenario("Q"), ec_n0_db=9.0, ppm=-150.0, seed=4)
    found = symbols_of(samples(recording), 0, Place(lpdu, recording.sent[0].start))
    assert found.ec_n0_db == pytest.approx(9.0, abs=0.4)


@pytest.mark.parametrize("scene", [None, "D", "F", '[multipath]\n[lptv]\nkind = "step"\n'])
def test_the_size_of_blocks_and_asking_again_change_nothing(scene: str | None) -> None:
    named = None if scene is None else scenario(scene) if len(scene) == 1 else scenario_from_text(scene)
    recording = Recording([LPDU, OTHER], scenario=named, ec_n0_db=None if scene is None else 6.0, ppm=50.0)
    whole = samples(recording)
    np.testing.assert_array_equal(samples(recording, 9_999), whole)


def test_a_seed_decides_the_noise() -> None:
    one, same, other = (
        samples(Recording([LPDU], scenario=scenario("R"), ec_n0_db=6.0, seed=seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_far_line_says_itself_how_far_it_is() -> None:
    level = Recording([LPDU, OTHER], scenario=scenario("F")).ec_n0_db(False)
    assert level is not None
    assert math.isfinite(level)


def test_what_cannot_be_is_told() -> None:
    cases: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: Recording([]), "no packet"),
        (lambda: Recording([LPDU], gap_s=-1.0), "gap"),
        (lambda: Recording([LPDU], gap_s=math.nan), "gap"),
        (lambda: Recording([LPDU], ppm=math.inf), "clock"),
        (lambda: Recording([LPDU], seed=-1), "seed"),
        (lambda: Recording([LPDU], ec_n0_db=9.0), "needs a line"),
        (lambda: Recording([LPDU], scenario=scenario("Q"), ec_n0_db=math.nan), "Ec/N0"),
        (lambda: Recording([LPDU], scenario=scenario("Q")), "how far"),
    )
    for make, words in cases:
        with pytest.raises(ConfigError, match=words):
            make()
    for size in (5, 253):
        with pytest.raises(BadValue, match="6 to 252"):
            Recording([bytes(size)])
