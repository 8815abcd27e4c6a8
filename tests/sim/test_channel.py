"""The power-line channel: published statistics, levels that are what was asked for, nothing that depends on how one asks."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from osgp.plc.modulate import carrier, modulate_bits
from osgp.plc.params import C_BAND, OSGP
from osgp.sim.channel import SCENARIOS, Channel, Link, Scenario, load_scenario, scenario, scenario_from_text
from osgp.sim.channel_attenuation import Attenuation
from osgp.sim.channel_background import Background
from osgp.sim.channel_cyclic import SET_1, SET_2, Cyclic
from osgp.sim.channel_impulses import Aperiodic, AperiodicNoise, ImpulseNoise, Impulses
from osgp.sim.channel_lptv import Lptv
from osgp.sim.channel_multipath import Multipath
from osgp.sim.channel_noise import Block, Clock, volts
from osgp.sim.channel_regions import Regions
from osgp.sim.channel_scenario import PARTS
from osgp.sim.channel_text import provenance_of
from osgp.sim.channel_tones import Converter, Tones, interference_share
from osgp.wire.errors import ConfigError

FS = OSGP.sample_rate_hz
BLOCK = 256 * OSGP.samples_per_bit
PRIMARY, SECONDARY = OSGP.carrier_hz(False), OSGP.carrier_hz(True)


def channel(parts: Scenario | str, seed: int = 1, **options: Any) -> Channel:
    return Channel(scenario(parts) if isinstance(parts, str) else parts, np.random.default_rng(seed), **options)


def matched(samples: NDArray[Any], secondary: bool = False) -> NDArray[np.complex128]:
    """What a receiver that knows phase and timing sums up in each line bit."""
    cycles = OSGP.secondary_cycles if secondary else OSGP.primary_cycles
    turn = np.exp(-2j * np.pi * cycles * np.arange(96) / 96)
    return np.asarray(samples.reshape(-1, 96).astype(np.float64) @ turn)


def ec_n0_db(heard: NDArray[Any], signs: NDArray[Any], secondary: bool = False) -> float:
    """Ec/N0 as measured behind the matched filter: both its axes carry N0/2."""
    sums = matched(heard, secondary) * signs
    mean = sums.mean()
    return float(10 * np.log10(abs(mean) ** 2 / np.mean(np.abs(sums - mean) ** 2)))


def density_db(samples: NDArray[Any], frequencies_hz: list[float], length: int = 2048) -> list[float]:
    """Welch estimate at frequencies, in dB against an arbitrary zero, averaged over 3.4 kHz."""
    pieces = samples[: len(samples) // length * length].reshape(-1, length).astype(np.float64)
    power = np.mean(np.abs(np.fft.rfft(pieces * np.hanning(length), axis=1)) ** 2, axis=0)
    grid = np.fft.rfftfreq(length, 1 / FS)
    return [float(10 * np.log10(power[np.abs(grid - f) < 1700].mean())) for f in frequencies_hz]


# ---- levels -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("asked", [0.0, 9.0])
def test_a_quiet_line_has_the_ec_n0_that_was_asked_for(asked: float) -> None:
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2, 60_000)
    quiet = channel("Q")
    heard = quiet.apply(modulate_bits(bits, False).astype(np.float32), 0, quiet.link_at(asked))
    assert ec_n0_db(heard, 1 - 2 * bits) == pytest.approx(asked, abs=0.05)


@pytest.mark.parametrize("secondary", [False, True])
@pytest.mark.parametrize("name", ["R", "T", "F", "echoes", "varying"])
def test_every_scenario_is_calibrated_on_both_carriers(name: str, secondary: bool) -> None:
    parts = {
        "echoes": Scenario(background=Background(), multipath=Multipath()),
        "varying": Scenario(background=Background(), multipath=Multipath(), lptv=Lptv()),
    }.get(name) or dataclasses.replace(scenario(name), tones=None, converter=None, impulses=None)
    one = channel(parts)
    tone = carrier(20_000, secondary).astype(np.float32)
    link = one.link_at(12.0, secondary)
    # The link turns the carrier, and its variation moves it: its power is measured, not its mean.
    signal = float(np.mean(np.abs(matched(link.apply(tone, 0, one.clock), secondary)) ** 2))
    noise = float(np.mean(np.abs(matched(one.noise(0, len(tone)), secondary)) ** 2))
    assert 10 * math.log10(signal / noise) == pytest.approx(12.0, abs=0.2)


def test_received_samples_are_volts() -> None:
    link = Link(-40.0)
    heard = link.apply(carrier(100, False), 0, Clock(OSGP))
    assert 20 * math.log10(heard.std() / 1e-6) == pytest.approx(80.0, abs=0.01)
    assert link.level_dbuv() == pytest.approx(80.0)
    quiet = channel("Q")
    in_bit_rate = quiet.noise(0, 40 * BLOCK).std() * math.sqrt(2 / 96)
    assert 20 * math.log10(in_bit_rate / 1e-6) == pytest.approx(35.0, abs=0.03)


def test_attenuation_adds_up_as_published() -> None:
    far = SCENARIOS["F"].attenuation
    assert far is not None
    assert far.mean_db == 3 + 5 * 0.6 + 3 * 8 + 15
    assert Attenuation(distance_m=1000, cable_db_per_km=50).mean_db == 53
    rng = np.random.default_rng(3)
    drawn = np.array([far.draw_db(rng) for _ in range(4000)])
    assert drawn.mean() == pytest.approx(45.0, abs=0.4)
    assert drawn.std() == pytest.approx(6.0, abs=0.25)
    assert channel("F", seed=5).link().level_dbuv() != channel("F", seed=6).link().level_dbuv()


def test_multipath_has_the_published_response() -> None:
    paths = Multipath()
    assert 20 * np.log10(np.abs(paths.response([PRIMARY, SECONDARY]))) == pytest.approx([-0.85, -0.83], abs=0.005)
    assert paths.delay_spread_s == pytest.approx(0.45e-6, rel=0.01)
    per_km = 20 * math.log10(math.e) * paths.a1_s_per_m * PRIMARY * 1000
    assert per_km == pytest.approx(0.58, abs=0.01)


@pytest.mark.parametrize("secondary", [False, True])
def test_echoes_in_samples_are_the_response(secondary: bool) -> None:
    link = Link(0.0, multipath=Multipath())
    tone = carrier(20, secondary)
    ratio = matched(link.apply(tone, 0, Clock(OSGP)), secondary)[5] / matched(tone, secondary)[5] / math.sqrt(2)
    wanted = complex(Multipath().response(OSGP.carrier_hz(secondary)))
    assert abs(ratio - wanted) < 0.02


@pytest.mark.parametrize(("kind", "least", "most", "swing"), [("sinusoid", 0.8, 1.2, 20.0), ("step", 0.6, 1.0, 20.0)])
def test_the_gain_varies_twice_per_cycle(kind: str, least: float, most: float, swing: float) -> None:
    link = Link(0.0, lptv=Lptv(kind=kind), lptv_turns=0.3)
    bits = 359
    gains = matched(link.apply(carrier(bits, False), 0, Clock(OSGP)))[1:] / 48
    magnitude = np.abs(gains)
    assert magnitude.max() / magnitude.min() == pytest.approx(most / least, rel=0.03)
    assert np.ptp(np.rad2deg(np.angle(gains))) == pytest.approx(swing, abs=1.5)
    spectrum = np.abs(np.fft.rfft(magnitude - magnitude.mean()))
    assert np.argmax(spectrum) == pytest.approx(bits / OSGP.bit_rate * 100, abs=0.6)


# ---- noises -------------------------------------------------------------------------------------------------------
def test_background_falls_as_katayama_says() -> None:
    noise = channel(Scenario(background=Background())).noise(0, 60 * BLOCK)
    lows, highs = [40e3, SECONDARY], [PRIMARY, 120e3]
    for low, high in zip(lows, highs):
        a, b = density_db(noise, [low, high])
        assert a - b == pytest.approx(10 * math.log10(math.e) * 1.2e-5 * (high - low), abs=0.25)
    assert Background().noise_dbuv(SECONDARY, OSGP) - Background().noise_dbuv(PRIMARY, OSGP) == pytest.approx(
        0.56, abs=0.1
    )
    hooijen = Background(colour="hooijen")
    assert hooijen.noise_dbuv(50e3, OSGP) - hooijen.noise_dbuv(100e3, OSGP) == pytest.approx(19.75, abs=0.1)


@pytest.mark.parametrize(
    ("terms", "mean", "peak_to_min_db", "width_us", "place_ms"),
    [(SET_1, 0.947, 15.7, 21.0, 6.944), (SET_2, 1.02, 21.0, 106.0, None)],
)
def test_cyclostationary_numbers_are_the_published_ones(
    terms: Cyclic, mean: float, peak_to_min_db: float, width_us: float, place_ms: float | None
) -> None:
    t = np.arange(200_000) / 200_000
    variance = terms.variance(t)
    assert variance.mean() == pytest.approx(mean, rel=0.01)
    assert 10 * math.log10(variance.max() / variance.min()) == pytest.approx(peak_to_min_db, abs=0.15)
    assert (variance > variance.max() / 2).sum() / 2 * 20e3 / len(t) == pytest.approx(width_us, rel=0.02)
    if place_ms is not None:
        assert np.argmax(variance) % 100_000 * 20 / len(t) == pytest.approx(place_ms, abs=0.002)


@pytest.mark.parametrize("terms", [SET_1, SET_2])
def test_samples_have_the_variance_of_their_place_in_the_cycle(terms: Cyclic) -> None:
    one = channel(Scenario(cyclic=terms))
    blocks = 150
    power = np.zeros(64)
    count = np.zeros(64)
    for index in range(blocks):
        places = (one.clock.bins(index * BLOCK, BLOCK) // 64).astype(np.intp)
        samples = one.noise(index * BLOCK, BLOCK).astype(np.float64)
        power += np.bincount(places, samples**2, 64)
        count += np.bincount(places, minlength=64)
    measured = power / count
    wanted = terms.profile_table().reshape(64, 64).mean(axis=1) * terms.rms_v(OSGP) ** 2
    assert measured / wanted == pytest.approx(np.ones(64), abs=0.08)


def test_regions_have_their_shares_levels_and_colours() -> None:
    parts = Regions()
    one = channel(Scenario(regions=parts))
    samples = np.concatenate([one.noise(index * BLOCK, BLOCK) for index in range(60)])
    places = one.clock.bins(0, len(samples)) / 4096
    power = [float(np.mean(samples[(places > a) & (places < b)] ** 2)) for a, b in ((0, 0.69), (0.71, 0.94), (0.96, 1))]
    assert 10 * np.log10(np.array(power) / power[0]) == pytest.approx([0.0, 8.0, 22.0], abs=0.35)
    starts = np.flatnonzero(np.diff(places) < 0)[:-1] + 1
    first = np.concatenate([samples[start : start + 2048] for start in starts])
    at = density_db(first, [45e3, 60e3, 86e3])
    assert at[1] > at[0] + 3
    assert at[1] > at[2] + 3
    in_bit_rate = 10 * math.log10(np.mean(np.abs(matched(samples)) ** 2) / (48 * 96) / 1e-12)
    assert in_bit_rate == pytest.approx(one.noise_dbuv(), abs=0.6)


def test_impulses_come_twice_per_half_cycle_at_their_places() -> None:
    parts = Impulses(peak_db=(35.0, 35.0))
    clock = Clock(OSGP)
    noise = ImpulseNoise(11, parts, 1e-3, clock)
    count = round(FS * 2)
    begins, peaks, place = noise.times(0, count)
    assert len(begins) == pytest.approx(2 * 200, abs=3)
    assert np.abs(peaks) == pytest.approx(np.full(len(peaks), 1e-3 * 10 ** (35 / 20)))
    turns = (begins * clock.half_cycles_per_sample) % 1.0
    for which in (0, 1):
        off = (turns[place == which] - noise.places[which] + 0.5) % 1.0 - 0.5
        assert np.abs(off).max() * 10e-3 < 3.1 * parts.jitter_s
        assert off.std() * 10e-3 == pytest.approx(parts.jitter_s, rel=0.25)


def test_an_impulse_rings_decays_and_reaches_its_peak() -> None:
    parts = Impulses(per_half_cycle=1, peak_db=(40.0, 40.0), jitter_s=0.0, ring_hz=(60e3, 60e3))
    clock = Clock(OSGP)
    noise = ImpulseNoise(3, parts, 1e-3, clock)
    samples = noise.render(Block(clock, 0))
    begins, _, _ = noise.times(0, BLOCK)
    one = samples[math.ceil(begins[0]) : math.ceil(begins[0]) + 35]
    assert np.abs(one).max() == pytest.approx(0.1, rel=0.1)
    assert np.abs(one[20:]).max() < 0.35 * np.abs(one[:8]).max()
    silent = samples.copy()
    for begin in begins:
        silent[max(0, math.floor(begin)) : math.ceil(begin) + 36] = 0
    assert not silent.any()


def test_aperiodic_bursts_come_as_often_as_their_chance() -> None:
    parts = Aperiodic(chance=0.01)
    noise = AperiodicNoise(5, parts, 1e-3, OSGP)
    clock = Clock(OSGP)
    struck = np.concatenate([noise.hit(index) for index in range(800)])
    # a bit stays clean when none of the last three bits began a burst that reaches it: lengths 1, 2, 3 are as likely
    clean = (1 - 0.01) * (1 - 0.01 * 2 / 3) * (1 - 0.01 / 3)
    assert struck.mean() == pytest.approx(1 - clean, rel=0.08)
    lengths = np.diff(np.flatnonzero(np.diff(np.concatenate(([0], struck.astype(int), [0])))))[::2]
    assert set(lengths.tolist()) >= {1, 2, 3}
    samples = np.concatenate([noise.render(Block(clock, index)) for index in range(100)]).reshape(-1, 96)
    assert (samples.any(axis=1) == struck[: len(samples)]).all()
    loud = samples[struck[: len(samples)]]
    assert 20 * math.log10(loud.std() / 1e-3) == pytest.approx(30.0, abs=0.2)


def test_the_tone_of_scenario_t_is_as_loud_as_the_signal_and_near_the_primary() -> None:
    one = channel("T", signal_dbuv=72.0)
    (tone,) = [each for each in one.sources if hasattr(each, "frequency_hz")]
    assert abs(tone.frequency_hz - PRIMARY) <= 1000  # type: ignore[attr-defined]
    samples = np.concatenate([tone.render(Block(one.clock, index)) for index in range(4)])
    assert samples.std() == pytest.approx(volts(72.0), rel=1e-3)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    peak = np.fft.rfftfreq(len(samples), 1 / FS)[np.argmax(spectrum)]
    assert peak == pytest.approx(tone.frequency_hz, abs=5)  # type: ignore[attr-defined]
    assert interference_share(0.0, OSGP) == 1.0
    assert interference_share(PRIMARY - SECONDARY, OSGP) < 1e-9


def test_a_converter_line_is_two_kilohertz_wide() -> None:
    (line,) = Converter().sources(np.random.default_rng(1), 60.0, Clock(OSGP))
    clock = Clock(OSGP)
    samples = np.concatenate([line.render(Block(clock, index)) for index in range(4)])
    assert samples.std() == pytest.approx(volts(70.0), rel=1e-2)
    power = np.abs(np.fft.rfft(samples)) ** 2
    grid = np.fft.rfftfreq(len(samples), 1 / FS)
    inside = power[np.abs(grid - 68e3) < 1200].sum() / power.sum()
    near = power[np.abs(grid - 68e3) < 500].sum() / power.sum()
    assert inside > 0.98
    assert near < 0.5


# ---- independence from how one asks ---------------------------------------------------------------------------------
EVERYTHING = Scenario(
    background=Background(),
    cyclic=SET_1,
    regions=Regions(),
    impulses=Impulses(),
    aperiodic=Aperiodic(chance=0.05),
    tones=Tones(),
    converter=Converter(),
    multipath=Multipath(),
    lptv=Lptv(),
)
SENT = modulate_bits(np.random.default_rng(2).integers(0, 2, 600), False).astype(np.float32)
BEGIN = 30_001


def heard(cuts: list[int]) -> NDArray[np.float32]:
    one = channel(EVERYTHING, mains_turns=1 / 3)
    link = one.link_at(6.0)
    edges = [0, *sorted(set(cuts)), len(SENT)]
    return np.concatenate([one.apply(SENT[a:b], BEGIN + a, link) for a, b in pairwise(edges)])


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(1, len(SENT) - 1), max_size=8))
def test_the_size_of_blocks_changes_nothing(cuts: list[int]) -> None:
    assert (heard(cuts) == heard([])).all()


@settings(max_examples=20)
@given(starts=st.lists(st.integers(0, 6 * BLOCK), min_size=1, max_size=6))
def test_noise_may_be_asked_for_in_any_order(starts: list[int]) -> None:
    one, other = channel(EVERYTHING), channel(EVERYTHING)
    whole = other.noise(0, 7 * BLOCK)
    for start in starts:
        assert (one.noise(start, 500) == whole[start : start + 500]).all()


def test_one_seed_gives_one_channel_and_another_seed_another() -> None:
    a, b, c = channel("D", 1), channel("D", 1), channel("D", 2)
    assert (a.noise(5, 4000) == b.noise(5, 4000)).all()
    assert (a.noise(5, 4000) != c.noise(5, 4000)).any()


def test_taking_one_noise_away_leaves_the_others_as_they_were() -> None:
    full = channel(EVERYTHING)
    less = channel(dataclasses.replace(EVERYTHING, aperiodic=None))
    burst = full.noise(0, BLOCK) - less.noise(0, BLOCK)
    bits = np.abs(burst.reshape(-1, 96)).max(axis=1)
    assert ((bits > 1e-4) | (bits < 1e-6)).all()
    assert 0 < (bits > 1e-4).mean() < 0.3


def test_many_senders_share_one_noise() -> None:
    one = channel("R")
    near, far = Link(-40.0), Link(-60.0)
    both = one.mix([(SENT, 1000, near), (SENT, 2000, far)], 0, 80_000)
    wanted = channel("R").noise(0, 80_000)
    wanted[1000 : 1000 + len(SENT)] += Link(-40.0).apply(SENT, 1000, one.clock)
    wanted[2000 : 2000 + len(SENT)] += Link(-60.0).apply(SENT, 2000, one.clock)
    assert both == pytest.approx(wanted, abs=1e-9)
    late = one.mix([(SENT, 1000, Link(-40.0))], 1500, 100, noise=False)
    assert (late == Link(-40.0).apply(SENT, 1000, one.clock)[500:600]).all()


def test_a_phase_lags_by_a_third_of_a_cycle() -> None:
    first, second = Clock(OSGP), Clock(OSGP, mains_turns=1 / 3)
    lag = (int(second.bins(0, 1)[0]) - int(first.bins(0, 1)[0])) % 4096
    assert lag == pytest.approx(4096 * 2 / 3, abs=1)
    later = 3 * 10**10  # a day of samples: still the right place to a bin
    exact = later * 19 * 100 % 6553600 / 6553600
    assert int(first.bins(later, 1)[0]) == pytest.approx(exact * 4096, abs=1.1)


# ---- scenarios, files, refusals --------------------------------------------------------------------------------------
def test_the_five_scenarios_are_what_their_names_say() -> None:
    assert list(SCENARIOS) == ["Q", "R", "D", "T", "F"]
    assert SCENARIOS["Q"].noise_dbuv(PRIMARY) == pytest.approx(35.0)
    assert SCENARIOS["R"].tones == Tones(level_db=-10.0)
    assert SCENARIOS["D"].cyclic == SET_2
    assert SCENARIOS["D"].impulses is not None
    for each in SCENARIOS.values():
        assert np.isfinite(channel(each).noise(0, 2000)).all()


def test_every_number_of_the_models_says_how_sure_it_is() -> None:
    for name, cls in PARTS.items():
        fields = [each for each in dataclasses.fields(cls) if "float" in str(each.type) or "int" in str(each.type)]
        marked = {field for field, _, status, source in provenance_of(cls) if status and source}
        assert marked == {each.name for each in fields}, name
        assert all(status in ("verified", "unverified", "project choice") for _, _, status, _ in provenance_of(cls))


def test_a_file_changes_what_it_names() -> None:
    found = scenario_from_text(
        'base = "D"\nmains_hz = 60\ncyclic = false\n[background]\n[impulses]\npeak_db = [20, 40]\n'
    )
    assert (found.name, found.mains_hz, found.cyclic) == ("D", 60.0, None)
    assert found.background == Background()
    assert found.impulses == Impulses(peak_db=(20.0, 40.0))
    assert found.at_noise(42.0).noise_dbuv(PRIMARY) == pytest.approx(42.0)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ('base = "X"', 1, "no scenario"),
        ('base = "D"\n[impulses]\npeak_db = [40, 20]\n', 3, "peak_db"),
        ('base = "D"\n[impulses]\npeek_db = [20, 40]\n', 3, "peek_db"),
        ("\n[regions]\n\nshares = [0.5, 0.1, 0.1]\n", 4, "shares"),
        ("[cyclic]\namplitudes = [1]\n", 2, "a term"),
        ("[lptv]\nkind = 3\n", 2, "kind"),
        ("background = 7\n", 1, "no table"),
        ("[background]\nlevel_dbuv = nan\n", 2, "level_dbuv"),
        ("[tones]\ncount = 2.5\n", 2, "count"),
        ("mains_hz = 0\n", 1, "mains_hz"),
        ("noise = true\n", 1, "'noise'"),
        ("base = \n", 1, ""),
        ("[aperiodic]\nburst_bits = [1.5, 2]\n", 2, "burst_bits"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_hint(content: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        scenario_from_text(content, "line.toml")
    assert str(caught.value).startswith(f"line.toml:{line}: ")
    assert words in str(caught.value)
    assert caught.value.hint


def test_scenarios_come_by_name_or_from_a_file(tmp_path: Path) -> None:
    place = tmp_path / "mine.toml"
    place.write_text('base = "T"\nname = "mine"\n[tones]\nfrequencies_hz = [86000, 75000]\n')
    assert scenario(str(place)).name == "mine"
    assert len(channel(load_scenario(place)).sources) == 3
    for wrong in ("S", str(tmp_path / "none.toml")):
        with pytest.raises(ConfigError):
            scenario(wrong)


@pytest.mark.parametrize("bad", [np.array([0.0, np.nan]), np.array([np.inf]), np.zeros((2, 2))])
def test_what_is_no_signal_is_refused(bad: NDArray[Any]) -> None:
    with pytest.raises(ConfigError, match="no samples"):
        Link(0.0).apply(bad, 0, Clock(OSGP))


def test_nothing_is_heard_before_time_begins() -> None:
    with pytest.raises(ConfigError):
        channel("Q").noise(-1, 10)
    with pytest.raises(ConfigError):
        channel("Q").apply(SENT, -5, Link())
    with pytest.raises(ConfigError, match="continuous"):
        channel(Scenario()).link_at(3.0)
    with pytest.raises(ConfigError, match="continuous"):
        Scenario().at_noise(3.0)


def test_the_c_band_has_its_own_rates() -> None:
    one = channel("R", profile=C_BAND)
    assert one.clock.sample_rate_hz == pytest.approx(526_315.8, abs=0.1)
    assert np.isfinite(one.noise(0, 3000)).all()
