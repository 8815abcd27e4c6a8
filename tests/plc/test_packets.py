"""Packets of the power line against the profile's vectors, bit by bit and sample by sample; profiles from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.crc import crc16
from osgp.plc import fec
from osgp.plc.frame import bits_of, is_secondary, line_bits, text_of
from osgp.plc.modulate import carrier, envelope, modulate, modulate_bits, to_int16
from osgp.plc.params import C_BAND, OSGP, PROVENANCE, PhyProfile
from osgp.wire.errors import BadValue, ConfigError

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "phy" / "profile.json").read_text("utf-8")
)
X1182 = PhyProfile(code="x1182")
LPDU = bytes.fromhex(VECTORS["packet"]["lpdu_hex"])


def test_rates_and_carriers() -> None:
    wanted = VECTORS["constants"]
    assert pytest.approx(wanted["bit_rate_bps"]) == OSGP.bit_rate
    assert OSGP.carrier_hz(False) == pytest.approx(wanted["primary_hz"])
    assert OSGP.carrier_hz(True) == pytest.approx(wanted["secondary_hz"])
    assert pytest.approx(wanted["sample_rate_hz"]) == OSGP.sample_rate_hz
    assert pytest.approx(wanted["cband"]["bit_rate_bps"]) == C_BAND.bit_rate
    assert C_BAND.carrier_hz(True) == pytest.approx(wanted["cband"]["secondary_hz"])


def test_slot_timing() -> None:
    wanted = VECTORS["mac_timing"]
    assert OSGP.beta2_bits == wanted["beta2_line_bits"]
    assert OSGP.beta2_s * 1000 == pytest.approx(wanted["beta2_ms"])
    assert OSGP.beta1_receive_s * 1000 == pytest.approx(wanted["beta1_post_rx_ms"])
    assert OSGP.beta1_transmit_s * 1000 == pytest.approx(wanted["beta1_post_tx_ms"])
    assert OSGP.priority_slots == wanted["priority_slots_default"]


@pytest.mark.parametrize(("profile", "name"), [(OSGP, "default_parity01"), (X1182, "option_x1182")])
def test_words(profile: PhyProfile, name: str) -> None:
    for data, word in VECTORS["codes"][name]["codewords"].items():
        assert text_of(fec.encode(bytes.fromhex(data), profile)) == word
    book = fec.codebook(profile)
    distances = (book[:, None, :] != book[None, :, :]).sum(axis=2)
    nearest = distances[~np.eye(256, dtype=bool)].min()
    assert nearest == VECTORS["codes"][name]["dmin"]
    if name == "option_x1182":
        counts = np.bincount(book.sum(axis=1), minlength=12)
        assert counts.tolist() == VECTORS["codes"][name]["weight_distribution"]
    else:
        assert (distances[0] == 2).sum() == VECTORS["codes"][name]["weight2_neighbours"]


@pytest.mark.parametrize(("profile", "key"), [(OSGP, "line_bits_default"), (X1182, "line_bits_option_x1182")])
def test_the_packet_bit_by_bit(profile: PhyProfile, key: str) -> None:
    packet = VECTORS["packet"]
    assert f"{crc16(LPDU):04X}" == packet["crc_hex"]
    bits = line_bits(LPDU, profile)
    assert text_of(bits) == packet[key]
    assert len(bits) == profile.line_bits(len(LPDU)) == packet["line_bit_count"]
    assert profile.airtime_s(len(LPDU)) * 1000 == pytest.approx(packet["airtime_ms"])


def test_the_waveform_sample_by_sample() -> None:
    wanted = VECTORS["packet"]["waveform_check"]
    bits = line_bits(LPDU)
    for secondary, key in ((False, "primary_first_8"), (True, "secondary_first_8")):
        samples = modulate_bits(bits, secondary)
        assert samples[:8] == pytest.approx(wanted[key], abs=1e-9)
        assert len(samples) == wanted["samples_total"]
        assert float(np.sum(samples**2)) == pytest.approx(wanted["sum_of_squares"])
        ideal = carrier(len(bits), secondary) * np.repeat(1.0 - 2.0 * bits, 96)
        got = modulate(LPDU, secondary=secondary)
        assert float(np.sqrt(np.mean((got - ideal) ** 2) / np.mean(ideal**2))) < 1e-6, "error vector magnitude"


def test_the_alternate_path_bit_chooses_the_carrier() -> None:
    assert not is_secondary(b"\x01\x02")
    assert is_secondary(b"\x41\x02")
    assert not is_secondary(b"")
    spectrum = np.abs(np.fft.rfft(modulate(b"\x41" + LPDU[1:])))
    peak = float(np.argmax(spectrum)) * OSGP.sample_rate_hz / (2 * (len(spectrum) - 1))
    assert abs(peak - OSGP.carrier_hz(True)) < OSGP.bit_rate


def test_edges_keep_the_middle_of_every_bit_and_narrow_the_spectrum() -> None:
    soft = PhyProfile(pulse="edge")
    bits = line_bits(LPDU)
    shape = envelope(bits, soft)
    assert np.array_equal(shape.reshape(-1, 96)[:, 8:-8], envelope(bits).reshape(-1, 96)[:, 8:-8])
    assert np.abs(np.diff(shape)).max() < 0.5

    def far(profile: PhyProfile) -> float:
        power = np.abs(np.fft.rfft(modulate_bits(bits, False, profile))) ** 2
        return float(power[: len(power) // 8].sum() / power.sum())

    assert far(soft) < far(OSGP) / 2


def test_start_up_is_carrier_alone() -> None:
    early = PhyProfile(start_up_bits=11)
    samples = modulate_bits(line_bits(LPDU), False, early)
    assert np.allclose(samples[: 11 * 96], carrier(11, False))
    assert len(samples) == 96 * early.line_bits(len(LPDU))


@given(st.binary(min_size=1, max_size=64), st.sampled_from([OSGP, X1182]))
def test_words_come_back(data: bytes, profile: PhyProfile) -> None:
    bits = fec.encode(data, profile).reshape(-1, 11)
    hard, good = fec.decode_hard(bits, profile)
    assert hard.tobytes() == data
    assert good.all()
    soft = fec.decode_soft(1.0 - 2.0 * bits, profile)
    assert soft.best.tobytes() == data
    assert (soft.gap >= 1.9).all()


@given(st.integers(0, 255), st.integers(0, 8))
def test_the_weakest_bit_is_the_one_that_is_turned(byte: int, weak: int) -> None:
    """A single error in the least sure of the bits under the parity is corrected, as the receivers of this family do."""
    word = 1.0 - 2.0 * fec.encode(bytes((byte,)))
    word[weak] *= -0.2
    decided = fec.decode_soft(word[None, :])
    assert decided.best[0] == byte


def test_hard_decisions_see_a_single_error() -> None:
    bits = fec.encode(b"\xa5")[None, :].copy()
    for place in range(9):
        damaged = bits.copy()
        damaged[0, place] ^= 1
        assert not fec.decode_hard(damaged)[1][0]


def test_values_that_are_no_numbers_do_no_harm() -> None:
    values = np.full((2, 11), np.nan, dtype=np.float32)
    values[1] = np.inf
    decided = fec.decode_soft(values)
    assert np.isfinite(decided.gap).all()


@pytest.mark.parametrize("size", [0, 5, 253])
def test_lengths_that_no_packet_has(size: int) -> None:
    with pytest.raises(BadValue, match="6 to 252"):
        line_bits(bytes(size))


def test_samples_of_16_bits_are_clipped() -> None:
    assert to_int16(np.array([0.0, 1.0, -1.0, 2.0, -2.0])).tolist() == [0, 32767, -32767, 32767, -32768]


@pytest.mark.parametrize("amplitude", [0.0, -1.0, float("nan"), float("inf")])
def test_amplitudes_that_are_none(amplitude: float) -> None:
    with pytest.raises(ConfigError, match="amplitude"):
        modulate(LPDU, amplitude=amplitude)


# ---- profiles ------------------------------------------------------------------------------------------------------
def test_every_constant_says_how_sure_it_is() -> None:
    assert set(PROVENANCE) == set(PhyProfile.__slots__)
    assert {mark for mark, _ in PROVENANCE.values()} == {"verified", "unverified", "project choice"}


def test_a_profile_comes_back_from_its_file(tmp_path: Path) -> None:
    made = PhyProfile(name='a "test"', word_sync="10101010111", bins_hz=(0.0,), coding_bits="10", odd_parity=False)
    path = tmp_path / "profile.toml"
    path.write_text(made.to_toml(), "utf-8")
    assert PhyProfile.from_file(path) == made
    assert "project choice" in made.to_toml()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('word_sink = "1"', "did you mean word_sync"),
        ('word_sync = "12"', "word_sync is '12'"),
        ('word_sync = "1010"', "word_sync cannot be '1010'"),
        ("threshold = 2", "threshold cannot be 2.0"),
        ("threshold = true", "threshold is True"),
        ("clocks_per_bit = 1.5", "clocks_per_bit is 1.5"),
        ("bins_hz = 3", "bins_hz is 3"),
        ("list_size = 17", "list_size cannot be 17"),
        ("bins_hz = [0.0, nan]", "bins_hz cannot be (0.0, nan)"),
        ("master_clock_hz = inf", "master_clock_hz cannot be inf"),
        ("pilot_weight = nan", "pilot_weight cannot be nan"),
        ("samples_per_bit = 100_000_000", "at most 1024"),
        ("noise_bins = 100_000_000_000", "1 to 1024"),
        ("start_up_bits = 1_000_000_000", "start_up_bits cannot be 1000000000"),
        ("max_lpdu = 253", "max_lpdu cannot be 253"),
        ("name = ", "Invalid value"),
    ],
)
def test_mistakes_in_a_profile_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        PhyProfile.from_file(path)
    assert "wrong.toml" in caught.value.message
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        PhyProfile.from_file(tmp_path / "none.toml")


def test_bits_as_text() -> None:
    assert text_of(bits_of("0110")) == "0110"
