"""Hours of what is no packet: nothing is received, nothing grows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from osgp.plc.events import Dropped, PacketReceived
from osgp.plc.modem import Modem
from osgp.plc.params import OSGP

Samples = NDArray[np.float32]
Make = Callable[[np.random.Generator], Samples]

PIECE = 3593 * OSGP.samples_per_bit
"""A second, in whole line bits: a carrier goes on from piece to piece."""
PIECES = 3600


def noise(rng: np.random.Generator) -> Samples:
    return rng.standard_normal(PIECE, dtype=np.float32)


def tone(hz: float) -> Make:
    cycles = round(hz * PIECE / OSGP.sample_rate_hz)
    samples = np.cos(2 * np.pi * cycles * np.arange(PIECE) / PIECE).astype(np.float32)
    return lambda rng: samples


def same(value: float) -> Make:
    samples = np.full(PIECE, value, np.float32)
    return lambda rng: samples


def beginnings_and_growth(make: Make, pieces: int) -> tuple[int, int]:
    """How many packets seemed to begin in so many seconds, and by how many bytes memory grew after the first tenth of them."""
    rng = np.random.default_rng(41)
    modem = Modem()
    began, early = 0, 0
    tracemalloc.start()
    try:
        for number in range(pieces):
            if number == pieces // 10:
                early = tracemalloc.get_traced_memory()[0]
            modem.receive(make(rng))
            for event in modem.events():
                assert not isinstance(event, PacketReceived), f"{event} in second {number}"
                began += isinstance(event, Dropped)
        growth = tracemalloc.get_traced_memory()[0] - early
    finally:
        tracemalloc.stop()
    assert modem.samples == pieces * PIECE
    return began, growth


@pytest.mark.long
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(same(0.0), id="silence"),
        pytest.param(same(0.9), id="a constant"),
        pytest.param(tone(OSGP.carrier_hz(False)), id="the primary carrier"),
        pytest.param(tone(OSGP.carrier_hz(True) + 20.0), id="a tone beside the secondary"),
        pytest.param(noise, id="noise"),
        pytest.param(lambda rng: np.clip(8 * noise(rng), -1, 1), id="clipped noise"),
    ],
)
def test_an_hour_without_packets_gives_none_and_memory_does_not_grow(make: Make) -> None:
    """Digest 4.3: below one beginning in an hour of noise on each carrier; two carriers an hour, so seldom more than four."""
    began, growth = beginnings_and_growth(make, PIECES)
    assert began <= 4
    assert growth < 100_000
