"""The receiver: from samples to packets, in any pieces, through noise, clock errors and whatever else a line brings."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from osgp.lon.crc import with_crc
from osgp.plc import fec, kernels
from osgp.plc.demodulate import matched_filter, receive_rows
from osgp.plc.events import CarrierDetected, CarrierLost, Dropped, ModemEvent, PacketReceived
from osgp.plc.frame import bits_of, line_bits
from osgp.plc.modem import Modem
from osgp.plc.modulate import modulate, modulate_bits, to_int16
from osgp.plc.params import C_BAND, OSGP, PhyProfile
from osgp.plc.sync import setup_for
from osgp.wire.errors import BadValue

PER_BIT = OSGP.samples_per_bit
LPDU = bytes.fromhex("01" + "0123456789abcdef" * 2)
SECONDARY = b"\x41" + LPDU[1:]
Samples = NDArray[Any]


def noise(rng: np.random.Generator, samples: Samples, ec_n0_db: float, amplitude: float = 1.0) -> Samples:
    """White noise on samples, so strong that a carrier of that amplitude has that Ec/N0."""
    sigma = amplitude * math.sqrt(PER_BIT / 4) * 10 ** (-ec_n0_db / 20)
    found: Samples = (samples + rng.normal(0, sigma, samples.shape)).astype(np.float32)
    return found


def skewed(samples: Samples, ppm: float) -> Samples:
    """The same from a sender whose clock is fast: sinc interpolation over 32 samples."""
    places = np.arange(int(len(samples) / (1 + ppm * 1e-6))) * (1 + ppm * 1e-6)
    whole = np.floor(places).astype(int)
    taps = np.arange(-15, 17)
    away = (places - whole)[:, None] - taps
    weights = np.sinc(away) * np.cos(np.pi * away / 34) ** 2
    padded = np.concatenate((np.zeros(16), samples, np.zeros(32)))
    found: Samples = (padded[whole[:, None] + taps + 16] * weights).sum(axis=1)
    return found


@cache
def scene() -> Samples:
    """Packets on both carriers, of three lengths, some damaged beyond repair, with noise around them."""
    rng = np.random.default_rng(5)
    pieces: list[Samples] = [np.zeros(4321)]
    for number in range(6):
        size = (6, 18, 40)[number % 3]
        lpdu = bytes((0x41 if number & 1 else 1, *rng.integers(0, 256, size - 1).tolist()))
        sent = modulate(lpdu).astype(float)
        if number == 4:
            sent[len(sent) // 2 :] = 0
        pieces += [sent, np.zeros(int(rng.integers(2200, 3000)))]
    return noise(rng, np.concatenate(pieces), 12.0)


def heard(samples: Samples, cuts: list[int] | None = None, **options: Any) -> list[ModemEvent]:
    """All events, with the modem's first sample at time 0."""
    modem = Modem(**options)
    found: list[ModemEvent] = []
    rate = modem.profile.sample_rate_hz
    for piece in np.split(samples, cuts or []):
        modem.receive(piece, (modem.samples + len(piece)) / rate)
        found += modem.events()
    return found


def timeless(events: list[ModemEvent]) -> list[ModemEvent]:
    """Events without the scale of ``now``, also that of a packet within."""
    found: list[ModemEvent] = []
    for event in events:
        if isinstance(event, Dropped) and event.packet is not None:
            event = event._replace(packet=event.packet._replace(at_s=0))
        found.append(event._replace(at_s=0))
    return found


def packets(events: list[ModemEvent]) -> list[PacketReceived]:
    return [event for event in events if isinstance(event, PacketReceived)]


def around(sent: Samples, before: int = 5000, after: int = 4000) -> Samples:
    return np.concatenate((np.zeros(before), sent, np.zeros(after)))


# ---- one packet ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lpdu", [LPDU, SECONDARY, b"\x01" + bytes(5), b"\x01" + bytes(range(251))])
@pytest.mark.parametrize("profile", [OSGP, PhyProfile(code="x1182"), PhyProfile(pulse="edge"), C_BAND])
def test_what_was_sent_is_received(lpdu: bytes, profile: PhyProfile) -> None:
    sent = around(modulate(lpdu, profile), 5001)
    (packet,) = packets(heard(noise(np.random.default_rng(1), sent, 15.0), profile=profile))
    assert packet.lpdu == lpdu
    assert packet.carrier == ("secondary" if lpdu[0] & 0x40 else "primary")
    assert packet.crc_ok
    assert packet.list_depth == 0
    assert abs(packet.start_sample - 5001) <= 2
    assert abs(packet.end_sample - packet.start_sample - PER_BIT * profile.line_bits(len(lpdu))) <= 3
    assert packet.snr_db == pytest.approx(15.0, abs=1.5)
    assert packet.strength == pytest.approx(1.0, rel=0.06)
    assert abs(packet.offset_ppm) < 25


def test_a_start_up_of_carrier_does_no_harm() -> None:
    profile = PhyProfile(start_up_bits=11)
    (packet,) = packets(heard(noise(np.random.default_rng(1), around(modulate(LPDU, profile)), 12.0)))
    assert packet.start_sample == pytest.approx(5000 + 11 * PER_BIT, abs=2)


def test_other_constants_of_the_packet_need_no_other_receiver() -> None:
    profile = PhyProfile(
        bit_sync="11001100110011001100",
        word_sync="10110111000",
        coding_bits="10",
        odd_parity=False,
        end_of_packet="0010110110111001010101",
        primary_cycles=20,
        secondary_cycles=17,
        samples_per_bit=80,
        bins_hz=(-35.0, -12.0, 12.0, 35.0),
    )
    for lpdu in (LPDU, SECONDARY):
        sent = noise(np.random.default_rng(2), around(modulate(lpdu, profile)), 14.0)
        assert [packet.lpdu for packet in packets(heard(sent, profile=profile))] == [lpdu]


@pytest.mark.parametrize("samples_per_bit", [64, 80, 88, 128])
@pytest.mark.parametrize("detect_bits", [4, 10, 40])
def test_a_bit_may_have_any_multiple_of_eight_samples_and_be_detected_early_or_late(
    samples_per_bit: int, detect_bits: int
) -> None:
    profile = PhyProfile(samples_per_bit=samples_per_bit, detect_bits=detect_bits)
    for lpdu in (LPDU, SECONDARY):
        sent = noise(np.random.default_rng(2), around(modulate(lpdu, profile)), 14.0)
        events = heard(sent, profile=profile)
        assert [packet.lpdu for packet in packets(events)] == [lpdu]
        assert isinstance(events[0], CarrierDetected)


@pytest.mark.parametrize("code", ["parity01", "x1182"])
def test_a_word_is_decided_as_if_every_byte_had_been_weighed(code: Any) -> None:
    profile = PhyProfile(code=code)
    setup = setup_for(profile)
    memory = kernels.memory_for(setup)
    values = np.random.default_rng(31).normal(0, 1, (500, fec.WORD_BITS)).astype(np.float32)
    wanted = fec.decode_soft(values, profile)
    for row, llr in enumerate(values):
        best, second, gap, _ = kernels.word(setup, memory, llr, 0)
        assert (best, second) == (wanted.best[row], wanted.second[row])
        assert gap == pytest.approx(wanted.gap[row], abs=1e-5)


@pytest.mark.parametrize("ppm", [-400.0, -150.0, 150.0, 400.0])
def test_clocks_may_differ_by_200_ppm_on_each_side(ppm: float) -> None:
    lpdu = b"\x01" + bytes(np.random.default_rng(3).integers(0, 256, 120).tolist())
    sent = around(skewed(modulate(lpdu).astype(float), ppm))
    (packet,) = packets(heard(noise(np.random.default_rng(4), sent, 8.0)))
    assert packet.lpdu == lpdu
    assert packet.offset_ppm == pytest.approx(ppm, abs=30)


@pytest.mark.parametrize("place", [0, 1, 5, 6, 11, 17, 47, 95])
@pytest.mark.parametrize("turn", [0, 24, 48, 60])
def test_packets_may_begin_at_any_sample_and_phase(place: int, turn: int) -> None:
    carried = modulate_bits(np.concatenate(([0] * 2, line_bits(LPDU))), False)
    sent = carried[2 * PER_BIT - turn :]  # a part of a carrier cycle earlier, so that the phase differs
    found = packets(heard(noise(np.random.default_rng(6), around(sent, 4000 + place), 9.0)))
    assert [packet.lpdu for packet in found] == [LPDU]


@pytest.mark.parametrize("level_db", [0, -20, -40, -60, -80, 20])
def test_the_level_may_vary_by_far(level_db: float) -> None:
    amplitude = 10 ** (level_db / 20)
    sent = amplitude * around(modulate(LPDU).astype(float))
    (packet,) = packets(heard(noise(np.random.default_rng(7), sent, 10.0, amplitude)))
    assert packet.strength == pytest.approx(amplitude, rel=0.1)


def test_the_noise_of_a_quiet_line_does_not_hide_a_packet_80_db_above_it() -> None:
    sent = around(modulate(LPDU).astype(float), 60000)
    (packet,) = packets(heard(noise(np.random.default_rng(8), sent, 85.0)))
    assert packet.start_sample == pytest.approx(60000, abs=2)


def test_samples_of_16_bits_and_doubles_give_the_same_packets() -> None:
    samples = 0.2 * scene()
    wanted = [packet.lpdu for packet in packets(heard(samples))]
    assert len(wanted) == 5
    assert [packet.lpdu for packet in packets(heard(to_int16(samples)))] == wanted
    assert [packet.lpdu for packet in packets(heard(samples.astype(np.float64)))] == wanted
    assert [packet.lpdu for packet in packets(heard(np.repeat(samples, 2)[::2]))] == wanted, "not contiguous"


def test_the_soft_symbols_can_be_kept() -> None:
    event = packets(heard(noise(np.random.default_rng(9), around(modulate(LPDU)), 12.0), symbols=True))[0]
    assert event.symbols is not None
    wanted = 1.0 - 2.0 * line_bits(LPDU)[len(OSGP.preamble) :]
    assert np.array_equal(np.sign(event.symbols.real), wanted)
    assert abs(np.mean(event.symbols.real * wanted) - 1) < 0.05
    assert packets(heard(noise(np.random.default_rng(9), around(modulate(LPDU)), 12.0)))[0].symbols is None


@pytest.mark.parametrize(("ec_n0_db", "lost"), [(6.0, 6), (12.0, 0)])
def test_noise_before_a_preamble_is_not_taken_for_its_beginning(ec_n0_db: float, lost: int) -> None:
    # A preamble laid some bits too early over noise and its own beginning resembles it: there no packet may begin.
    samples = around(modulate(b"\x01" + bytes(5)), 3000, 2000)
    rng = np.random.default_rng(25)
    for _ in range(3):
        rows = receive_rows(noise(rng, np.tile(samples, (200, 1)), ec_n0_db))
        assert np.abs(rows.start - 3000).max() < PER_BIT / 4
        assert np.count_nonzero(~rows.ok) <= lost


@pytest.mark.parametrize("ec_n0_db", [5.0, 9.0, 20.0])
def test_what_is_measured_is_right_on_the_average(ec_n0_db: float) -> None:
    sent = modulate(LPDU).astype(float)
    rng = np.random.default_rng(26)
    for ppm in (-200.0, 0.0):
        rows = receive_rows(noise(rng, np.tile(around(skewed(sent, ppm), 3000, 1000), (200, 1)), ec_n0_db))
        rows_ok = rows.ok
        assert np.count_nonzero(rows_ok) > 180
        assert 10 * math.log10(rows.snr[rows_ok].mean()) == pytest.approx(ec_n0_db, abs=0.25)
        assert rows.amplitude[rows_ok].mean() == pytest.approx(1.0, abs=0.015)
        assert rows.offset_ppm[rows_ok].mean() == pytest.approx(ppm, abs=1.5)
        assert rows.offset_ppm[rows_ok].std() < 30 * 10 ** (-ec_n0_db / 20)


def test_two_packets_at_once_on_both_carriers() -> None:
    other = b"\x41" + bytes(range(30))
    sent = around(modulate(LPDU).astype(float), 5000, 30000)
    second = modulate(other)
    sent[9000 : 9000 + len(second)] += second
    found = packets(heard(noise(np.random.default_rng(10), sent, 16.0)))
    assert {packet.lpdu for packet in found} == {LPDU, other}


def test_a_stronger_packet_takes_over() -> None:
    strong = b"\x01" + bytes(range(40))
    sent = around(modulate(b"\x01" + bytes(60)).astype(float), 5000, 20000)
    late = 10 * modulate(strong).astype(float)
    sent[20000 : 20000 + len(late)] += late
    events = heard(noise(np.random.default_rng(11), sent, 15.0))
    assert [packet.lpdu for packet in packets(events)] == [strong]
    assert any(isinstance(event, Dropped) and "stronger" in event.reason for event in events)


def test_packets_without_any_gap() -> None:
    sent = [bytes((1, number, *range(20))) for number in range(6)]
    samples = around(np.concatenate([modulate(lpdu) for lpdu in sent]))
    assert [packet.lpdu for packet in packets(heard(noise(np.random.default_rng(12), samples, 12.0)))] == sent


# ---- carrier detect ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lpdu", [LPDU, SECONDARY])
def test_a_carrier_is_detected_within_ten_bits_and_lost_within_three(lpdu: bytes) -> None:
    modem = Modem()
    # Noise alone is taken for a carrier about once in two seconds: not in these.
    rng = np.random.default_rng(113)
    carrier = "secondary" if lpdu[0] & 0x40 else "primary"
    ends = 5000 + len(modulate(lpdu))
    samples = noise(rng, around(modulate(lpdu)), 10.0)
    busy = []
    for begin in range(0, len(samples), PER_BIT // 4):
        modem.receive(samples[begin : begin + PER_BIT // 4])
        if modem.busy(carrier):
            busy.append(min(len(samples), begin + PER_BIT // 4))
    assert 5000 < busy[0] <= 5000 + 10 * PER_BIT
    assert ends - PER_BIT <= busy[-1] <= ends + 3 * PER_BIT
    events = [event for event in modem.events() if event.carrier == carrier]
    assert [type(event) for event in events] == [CarrierDetected, PacketReceived, CarrierLost]
    lost = events[-1]
    assert isinstance(lost, CarrierLost)
    assert abs(lost.sample - ends) <= 3


def test_a_carrier_that_only_synchronises_is_let_go() -> None:
    sent = around(modulate_bits(bits_of("10" * 16), False), 5000, 6000)
    events = heard(noise(np.random.default_rng(14), sent, 12.0))
    assert [type(event) for event in events] == [CarrierDetected, CarrierLost]
    assert event_sample(events[1]) < 5000 + (32 + 2 + OSGP.drop_bits + 1) * PER_BIT


def test_detection_far_down_at_4_db() -> None:
    late = []
    for seed in range(40):
        events = heard(noise(np.random.default_rng(seed), around(modulate(LPDU)), 4.0))
        first = next(event for event in events if isinstance(event, CarrierDetected) and event.sample > 5000)
        late.append((first.sample - 5000) / PER_BIT)
    assert np.quantile(late, 0.5) <= 12
    assert max(late) <= 35 + 7


def test_a_strong_packet_is_not_taken_for_one_on_the_other_carrier() -> None:
    for lpdu in (LPDU, SECONDARY):
        for part in range(0, PER_BIT, 7):
            events = heard(noise(np.random.default_rng(part), around(modulate(lpdu), 9000 + part), 40.0))
            assert len(packets(events)) == 1
            assert not [event for event in events if isinstance(event, Dropped)]
            assert {event.carrier for event in events if event_sample(event) > 9000} == {packets(events)[0].carrier}


@pytest.mark.parametrize("lpdu", [LPDU, SECONDARY])
def test_a_tone_on_one_carrier_does_not_close_the_other(lpdu: bytes) -> None:
    rng = np.random.default_rng(27)
    sent = around(modulate(lpdu).astype(float))
    for _ in range(20):
        turns = 2 * np.pi * (OSGP.carrier_hz(lpdu == LPDU) + rng.uniform(-1000, 1000)) / OSGP.sample_rate_hz
        tone = 10**0.5 * np.cos(turns * np.arange(len(sent)) + rng.uniform(0, 7))
        assert [packet.lpdu for packet in packets(heard(noise(rng, sent + tone, 12.0)))] == [lpdu]


# ---- how the stream is cut -----------------------------------------------------------------------------------------
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_how_samples_are_cut_changes_nothing(data: st.DataObject) -> None:
    samples = scene()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=40)))
    whole = heard(samples)
    assert timeless(heard(samples, cuts)) == timeless(whole)
    for event, other in zip(heard(samples, cuts), whole):
        assert event.at_s == pytest.approx(other.at_s, abs=1e-9)


@pytest.mark.parametrize("size", [1, 95, 96, 97, 1000])
def test_pieces_of_one_size_change_nothing(size: int) -> None:
    samples = scene()[: 20000 if size == 1 else None]
    cuts = list(range(size, len(samples), size))
    one, other = heard(samples, cuts), heard(samples)
    assert timeless(one) == timeless(other)


def test_times_are_on_the_scale_of_now() -> None:
    modem = Modem()
    samples = scene()
    modem.receive(samples, now=1000.0)
    for event in modem.events():
        assert event.at_s == pytest.approx(1000.0 - (len(samples) - event_sample(event)) / OSGP.sample_rate_hz)


def event_sample(event: ModemEvent) -> int:
    return event.end_sample if isinstance(event, PacketReceived) else event.sample


# ---- no packets ----------------------------------------------------------------------------------------------------
SECOND = int(OSGP.sample_rate_hz)
TIME = np.arange(2 * SECOND) / OSGP.sample_rate_hz


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        ("silence", np.zeros(2 * SECOND)),
        ("a constant", np.full(2 * SECOND, 0.7)),
        ("the primary carrier", np.cos(2 * np.pi * OSGP.carrier_hz(False) * TIME)),
        ("the secondary carrier", np.cos(2 * np.pi * OSGP.carrier_hz(True) * TIME)),
        ("a tone beside", np.cos(2 * np.pi * 86_700.0 * TIME)),
        ("a sweep", np.cos(2 * np.pi * (70_000.0 + 10_000.0 * TIME) * TIME)),
        ("clipped noise", np.sign(np.random.default_rng(15).normal(size=2 * SECOND))),
        ("impulses", (np.arange(2 * SECOND) % 3449 < 30) * np.random.default_rng(16).normal(size=2 * SECOND)),
        ("the largest numbers", np.full(2 * SECOND, 9e8)),
        ("the smallest numbers", np.full(2 * SECOND, 1e-42)),
    ],
)
def test_what_is_no_packet_gives_none(name: str, samples: Samples) -> None:
    events = heard(samples.astype(np.float32))
    assert not packets(events), name
    assert all(math.isfinite(value) for event in events for value in event if isinstance(value, float))


def test_noise_gives_no_packet_and_seldom_a_carrier() -> None:
    rng = np.random.default_rng(17)
    modem = Modem()
    detected = 0
    for _ in range(60):
        modem.receive(rng.standard_normal(SECOND, dtype=np.float32))
        events = modem.events()
        assert not packets(events)
        detected += sum(isinstance(event, CarrierDetected) for event in events)
    assert detected < 2 * 60 * 1.5
    assert modem.samples == 60 * SECOND


def test_numbers_that_are_none_count_as_silence() -> None:
    clean = noise(np.random.default_rng(18), around(modulate(LPDU)), 14.0)
    for bad in (np.nan, np.inf, -np.inf, 1e30):
        samples = clean.copy()
        samples[[100, 12000, 12001]] = bad
        events = heard(samples)
        assert [packet.lpdu for packet in packets(events)] == [LPDU]
        (report,) = [event for event in events if isinstance(event, Dropped)]
        assert report.reason.startswith("3 samples")
    modem = Modem()
    modem.receive(np.full(50_000, np.nan))
    modem.receive(np.full(50_000, 1e300))
    modem.receive(clean)
    assert [packet.lpdu for packet in packets(modem.events())] == [LPDU]
    assert modem.dropped == 2


@pytest.mark.parametrize("now", [float("nan"), float("inf")])
def test_a_moment_that_is_none_is_refused_and_nothing_is_taken(now: float) -> None:
    modem = Modem()
    with pytest.raises(BadValue, match="no moment"):
        modem.receive(np.zeros(10, np.float32), now)
    assert modem.samples == 0


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.zeros(3, complex), ["a"], np.zeros(3, np.int32), 1.0])
def test_arrays_of_another_kind_are_refused_and_change_nothing(wrong: Any) -> None:
    samples = scene()
    modem = Modem()
    modem.receive(samples[:30_000])
    with pytest.raises(BadValue, match="samples of shape"):
        modem.receive(wrong)
    modem.receive(samples[30_000:])
    assert timeless(modem.events()) == timeless(heard(samples))


def test_nothing_at_all() -> None:
    modem = Modem()
    modem.receive(np.zeros(0, np.float32))
    assert modem.events() == []


def test_a_packet_cut_off_is_dropped_and_frees_the_carrier() -> None:
    sent = modulate(b"\x01" + bytes(range(60)))
    events = heard(noise(np.random.default_rng(19), around(sent[: len(sent) // 2], 5000, 9000), 12.0))
    dropped = [event for event in events if isinstance(event, Dropped)]
    assert [event.reason for event in dropped] == ["the signal ended within the packet"]
    assert isinstance(events[-1], CarrierLost)
    assert events[-1].sample <= 5000 + len(sent) // 2 + 2 * OSGP.drop_bits * PER_BIT


def test_a_damaged_packet_is_dropped_with_what_it_seemed_to_say() -> None:
    bits = line_bits(LPDU)
    first = len(OSGP.preamble)
    for word in range(5):
        bits[first + 11 * word : first + 11 * word + 11] = fec.encode(bytes((255 - LPDU[word],)))
    events = heard(noise(np.random.default_rng(20), around(modulate_bits(bits, False)), 14.0))
    (event,) = [event for event in events if isinstance(event, Dropped)]
    assert event.reason == "the CRC is wrong"
    assert event.packet is not None
    assert not event.packet.crc_ok
    assert event.packet.lpdu[5:] == LPDU[5:]


@pytest.mark.parametrize("size", [0, 3, 260])
def test_ends_where_no_packet_can_end(size: int) -> None:
    body = np.concatenate((bits_of(OSGP.preamble), fec.encode(with_crc(bytes(size))), bits_of(OSGP.end_of_packet)))
    events = heard(noise(np.random.default_rng(21), around(modulate_bits(body, False)), 14.0))
    assert not packets(events)
    reason = "too short" if size < 6 else "too long"
    assert any(isinstance(event, Dropped) and reason in event.reason for event in events)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.integers(0, 3))
def test_garbage_after_a_preamble_does_no_harm(seed: int, gain: float, kind: int) -> None:
    rng = np.random.default_rng(seed)
    bits = np.concatenate((bits_of(OSGP.preamble), rng.integers(0, 2, int(rng.integers(0, 900)))))
    samples = gain * around(modulate_bits(bits, bool(seed & 1)), 4000, 6000)
    if kind:
        samples *= rng.choice([0.0, 1.0, -1.0, 30.0][: kind + 1], size=len(samples))
    events = heard(samples.astype(np.float32))
    for packet in packets(events):
        assert packet.crc_ok


def test_events_that_nobody_fetches_are_bounded() -> None:
    modem = Modem()
    assert modem._events.maxlen is not None


# ---- CRC-aided list --------------------------------------------------------------------------------------------------
def listed(
    frame: bytes, wrong: dict[int, int], gaps: dict[int, float], words: int = 4, size: int = 16
) -> tuple[int, bytes]:
    """List decoding of a frame in which some words were misread; the right byte is their second choice."""
    best, second = np.frombuffer(frame, np.uint8).copy(), np.frombuffer(frame, np.uint8).copy() ^ 1
    for place, byte in wrong.items():
        second[place], best[place] = best[place], byte
    gap = np.full(len(frame), 9.0, np.float32)
    for place, value in gaps.items():
        gap[place] = value
    out = np.zeros(len(frame), np.uint8)
    setup = setup_for(OSGP)
    depth = kernels.list_decode(best, second, gap, len(frame), setup.crc, (words, size), np.zeros((3, 256)), out)
    return int(depth), out.tobytes()


def test_the_list_tries_likelier_readings_first() -> None:
    frame = with_crc(LPDU)
    assert listed(frame, {}, {}) == (0, frame)
    assert listed(frame, {3: 7}, {3: 0.1}) == (1, frame)
    assert listed(frame, {3: 7}, {3: 0.2, 5: 0.1}) == (2, frame)
    assert listed(frame, {3: 7, 5: 8}, {3: 0.2, 5: 0.1}) == (3, frame)
    depth, found = listed(frame, {3: 7, 5: 8, 10: 1, 18: 2}, {3: 0.2, 5: 0.1, 10: 0.3, 18: 0.4})
    assert (depth, found) == (15, frame)


def test_the_list_ends_where_the_profile_says() -> None:
    frame = with_crc(LPDU)
    assert listed(frame, {3: 7}, {3: 0.1}, size=1)[0] == -1
    assert listed(frame, {3: 7}, {3: 0.1}, words=0)[0] == -1
    assert listed(frame, {3: 7, 5: 8}, {3: 0.2, 5: 0.1}, size=3)[0] == -1
    most_likely = bytearray(frame)
    most_likely[3] = 7
    assert listed(frame, {3: 7}, {3: 0.1}, size=1)[1] == bytes(most_likely)


# ---- many packets at once --------------------------------------------------------------------------------------------
def test_rows_give_what_the_modem_gives() -> None:
    rng = np.random.default_rng(22)
    rows = np.stack([noise(rng, around(modulate(lpdu), 3000), 9.0) for lpdu in (LPDU, SECONDARY, LPDU)])
    found = receive_rows(rows, keep_symbols=50)
    for row, samples in enumerate(rows):
        (packet,) = packets(heard(samples))
        assert found.lpdu(row) == packet.lpdu
        assert found.start[row] == packet.start_sample
        assert found.depth[row] == packet.list_depth
        assert 10 * np.log10(found.snr[row]) == pytest.approx(packet.snr_db)
    assert found.ok.all()
    assert np.array_equal(found.symbols[0, 0] < 0, line_bits(LPDU)[35:85] == 1)


def test_rows_without_a_packet_say_so() -> None:
    found = receive_rows(np.random.default_rng(23).normal(size=(3, 20_000)))
    assert not found.ok.any()
    assert (found.start == -1).all()
    assert found.lpdu(0) == b""


@pytest.mark.parametrize("secondary", [False, True])
def test_rows_with_a_known_beginning(secondary: bool) -> None:
    lpdu = SECONDARY if secondary else LPDU
    parts = [around(skewed(modulate(lpdu).astype(float), ppm), 2000 + ppm) for ppm in (0, 100, 200)]
    sent = np.stack([part[:30_500] for part in parts])
    rows = noise(np.random.default_rng(24), sent, 9.0)
    found = receive_rows(rows, starts=[2000, 2100, 2200], secondary=secondary)
    assert [found.lpdu(row) for row in range(3)] == [lpdu] * 3
    assert found.offset_ppm == pytest.approx([0, 100, 200], abs=60)
    assert np.abs(found.start - [2000, 2100, 2200]).max() <= 4
    bare = noise(np.random.default_rng(24), np.tile(modulate(lpdu), (50, 1)), 9.0)
    assert receive_rows(bare, starts=np.zeros(50, int), secondary=secondary).ok.all(), "nothing before and behind"


@pytest.mark.parametrize(
    ("samples", "starts"),
    [
        (np.zeros(5000), None),
        (np.full((1, 5000), np.nan), None),
        (np.zeros((2, 5000)), [0]),
        (np.zeros((1, 5000)), [-1]),
        (np.zeros((1, 5000)), [4000]),
    ],
)
def test_rows_that_do_not_fit(samples: Samples, starts: list[int] | None) -> None:
    with pytest.raises(BadValue):
        receive_rows(samples, starts=starts)


def test_the_matched_filter_alone() -> None:
    bits = line_bits(LPDU)
    for secondary in (False, True):
        samples = np.concatenate((np.zeros(77), modulate_bits(bits, secondary)))
        found = matched_filter(samples, len(bits), start=77, secondary=secondary)
        assert np.allclose(found, 1.0 - 2.0 * bits, atol=1e-5)
    with pytest.raises(BadValue, match="hold no"):
        matched_filter(np.zeros(95), 1)
