"""The power-line channel: what a receiver hears of what senders send, sample by sample.

y(t) = sum over senders of g(t) sum a x(t - tau) + noises; ``spec/phy-ts103908.md`` 3.6; the models are in ``channel_*``, one per file.
A ``Channel`` is one receiver's ears, a ``Link`` the way from one sender to it. The noise is made once, however many send::

    channel = Channel(scenario("D"), rng)
    link = channel.link_at(ec_n0_db=9.0)
    heard = channel.apply(modulate(lpdu), start_sample=0, link=link)

Ec/N0 is the energy of a line bit against the density of the continuous noises at the carrier; so is ``S - N`` with S the received
level in dBuV and N the noise in one line bit rate of bandwidth. Samples sent have amplitude 1 for a transmitter at 120 dBuV;
received samples are volts, where 120 dBuV is 1 V rms. Nothing depends on the sizes in which samples are asked for.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.channel_attenuation import TRANSMIT_DBUV
from osgp.sim.channel_lptv import Lptv
from osgp.sim.channel_multipath import Multipath, causal_taps
from osgp.sim.channel_noise import Block, Clock, Floats, Source, volts
from osgp.sim.channel_scenario import SCENARIOS, Scenario, load_scenario, scenario, scenario_from_text
from osgp.wire.errors import ConfigError

__all__ = ["SCENARIOS", "Channel", "Link", "Scenario", "load_scenario", "scenario", "scenario_from_text"]

_KEPT_BLOCKS = 4
_BAND_HZ = np.linspace(0.5, 1.4, 46)
"""Where the filter of a link must be right: in units of the primary carrier, 43 to 121 kHz."""


class Link:
    """The way from one sender to one receiver: gain, echoes, periodic variation.

    ``gain_db``: received against transmitted level, coupling included (negative). ``lptv_turns``: where in its half cycle the
    variation begins (0 … 1). A link keeps the last samples that it was given, so each sender has its own.
    """

    def __init__(
        self,
        gain_db: float = 0.0,
        *,
        multipath: Multipath | None = None,
        lptv: Lptv | None = None,
        lptv_turns: float = 0.0,
        mains_hz: float = 50.0,
        profile: PhyProfile = OSGP,
    ) -> None:
        self.gain_db = gain_db
        self.multipath = multipath
        self.profile = profile
        band = _BAND_HZ * profile.carrier_hz(False)
        response = np.ones(len(band), np.complex128) if multipath is None else multipath.response(band)
        rate = profile.sample_rate_hz
        # Without periodic variation and echoes a link is a number, and costs no more than that.
        self._taps: Floats = np.ones(1, np.float32) if multipath is None else causal_taps(response, band, rate)
        self._gain: NDArray[np.complex64] | None = None
        if lptv is not None:
            self._gain = lptv.gain(lptv_turns, mains_hz).astype(np.complex64)
            self._quadrature = causal_taps(-1j * response, band, rate)
            self._taps = causal_taps(response, band, rate)
        self._next = 0
        self._tail = np.zeros(len(self._taps) - 1, np.float32)

    def level_dbuv(self, secondary: bool = False) -> float:
        """Mean level received on a carrier from a sender of amplitude 1."""
        # Of the filters as they are, not of the response that they approach.
        return TRANSMIT_DBUV + self.gain_db + 10 * math.log10(self._power(self.profile.carrier_hz(secondary)))

    def _power(self, frequency_hz: float) -> float:
        """Mean power gain of echoes and variation at a frequency."""
        turns = np.exp(-2j * np.pi * frequency_hz / self.profile.sample_rate_hz * np.arange(len(self._taps)))
        direct = complex(np.dot(self._taps, turns))
        if self._gain is None:
            return abs(direct) ** 2
        turned = complex(np.dot(self._quadrature, turns))
        return float(np.mean(np.abs(self._gain.real * direct - self._gain.imag * turned) ** 2))

    def apply(self, samples: NDArray[Any], start_sample: int, clock: Clock) -> Floats:
        """What arrives, without noise, in volts; same length. A gap before ``start_sample`` was silence.

        Raises ConfigError for samples that are not finite, not one-dimensional, or before the start of time.
        """
        sent = np.asarray(samples, dtype=np.float32)
        if sent.ndim != 1 or not np.isfinite(sent).all():
            raise ConfigError("these are no samples of a sender", hint="one axis, finite numbers")
        if start_sample < 0:
            raise ConfigError(f"sample {start_sample} is before the start", hint="time begins at sample 0")
        history = len(self._tail)
        scale = np.float32(math.sqrt(2.0) * volts(TRANSMIT_DBUV + self.gain_db))
        if history == 0:
            return np.asarray(sent * (self._taps[0] * scale), dtype=np.float32)
        before = self._tail if start_sample == self._next else np.zeros(history, np.float32)
        whole = np.concatenate((before, sent))
        self._next, self._tail = start_sample + len(sent), whole[len(whole) - history :].copy()
        out = _filtered(whole, self._taps, len(sent))
        if self._gain is not None:
            gain = self._gain[clock.bins(start_sample, len(sent))]
            out = gain.real * out - gain.imag * _filtered(whole, self._quadrature, len(sent))
        return out * scale


def _filtered(whole: Floats, taps: Floats, count: int) -> Floats:
    """Tap by tap, so that rounding is the same however the samples were cut into blocks."""
    out = np.zeros(count, np.float32)
    last = len(taps) - 1
    for delay, tap in enumerate(taps):
        out += tap * whole[last - delay : last - delay + count]
    return out


class Channel:
    """What one receiver hears.

    ``scenario``: its noises and the models of ways to it. ``rng``: all chance; seeds, phases and frequencies are
    drawn from it when the channel is made. ``signal_dbuv``: level of the wanted signal, which tones are relative to (default: the
    scenario's). ``mains_turns``: where in the mains cycle sample 0 lies, in cycles; a receiver on phase L2 lags by a third.
    """

    def __init__(
        self,
        scenario: Scenario,
        rng: np.random.Generator,
        *,
        profile: PhyProfile = OSGP,
        signal_dbuv: float | None = None,
        mains_turns: float = 0.0,
    ) -> None:
        self.scenario = scenario
        self.profile = profile
        self.clock = Clock(profile, scenario.mains_hz, mains_turns)
        self._rng = rng
        self._kept: OrderedDict[int, Floats] = OrderedDict()
        signal = scenario.signal_dbuv if signal_dbuv is None else signal_dbuv
        rms = scenario.rms_v(profile)
        # A seed for each model, present or not: taking one away leaves the others as they were.
        seeds = [int(each) for each in rng.integers(0, 2**63, 7)]
        self.sources: list[Source] = []
        for seed, part in zip(seeds, (scenario.background, scenario.cyclic, scenario.regions)):
            if part is not None:
                self.sources.append(part.source(seed, profile))
        if scenario.impulses is not None:
            self.sources.append(scenario.impulses.source(seeds[3], rms, self.clock))
        if scenario.aperiodic is not None:
            self.sources.append(scenario.aperiodic.source(seeds[4], rms, profile))
        for seed, narrow in zip(seeds[5:], (scenario.tones, scenario.converter)):
            if narrow is not None:
                self.sources.extend(narrow.sources(np.random.default_rng(seed), signal, self.clock))

    def noise_dbuv(self, secondary: bool = False) -> float:
        """Mean power of the continuous noises in one line bit rate of bandwidth at a carrier."""
        return self.scenario.noise_dbuv(self.profile.carrier_hz(secondary), self.profile)

    def link(self, gain_db: float | None = None) -> Link:
        """A way to this receiver with the scenario's models; without ``gain_db`` its attenuation, drawn."""
        if gain_db is None:
            way = self.scenario.attenuation
            gain_db = 0.0 if way is None else way.transmit_dbuv - TRANSMIT_DBUV - way.draw_db(self._rng)
        return Link(
            gain_db,
            multipath=self.scenario.multipath,
            lptv=self.scenario.lptv,
            lptv_turns=float(self._rng.random()) if self.scenario.lptv is not None else 0.0,
            mains_hz=self.scenario.mains_hz,
            profile=self.profile,
        )

    def link_at(self, ec_n0_db: float, secondary: bool = False) -> Link:
        """A way whose mean Ec/N0 on a carrier is ``ec_n0_db``. Raises ConfigError when there is no continuous noise."""
        noise = self.noise_dbuv(secondary)
        if not math.isfinite(noise):
            raise ConfigError("without continuous noise there is no Ec/N0", hint="give the scenario a background")
        link = self.link(0.0)
        link.gain_db = ec_n0_db + noise - link.level_dbuv(secondary)
        return link

    def noise(self, start_sample: int, count: int) -> Floats:
        """All noises from ``start_sample``, in volts; shape (count,). The same samples give the same noise, in any order.

        Raises ConfigError for samples before the start of time.
        """
        if start_sample < 0 or count < 0:
            raise ConfigError(f"{count} samples from {start_sample} are not there", hint="time begins at sample 0")
        out = np.empty(count, np.float32)
        at = 0
        while at < count:
            index, skip = divmod(start_sample + at, self.clock.block_size)
            part = self._block(index)[skip : skip + count - at]
            out[at : at + len(part)] = part
            at += len(part)
        return out

    def _block(self, index: int) -> Floats:
        found = self._kept.get(index)
        if found is None:
            block = Block(self.clock, index)
            found = np.zeros(block.size, np.float32)
            for source in self.sources:
                found += source.render(block)
            self._kept[index] = found
            if len(self._kept) > _KEPT_BLOCKS:
                self._kept.popitem(last=False)
        return found

    def apply(self, samples: NDArray[Any], start_sample: int, link: Link) -> Floats:
        """What is heard of one sender: its way, and the noise. In volts, same length.

        ``samples``: amplitude 1 is full transmit level; the first is sample ``start_sample``.
        Raises ConfigError.
        """
        return link.apply(samples, start_sample, self.clock) + self.noise(start_sample, len(samples))

    def mix(
        self, sent: Iterable[tuple[NDArray[Any], int, Link]], start_sample: int, count: int, *, noise: bool = True
    ) -> Floats:
        """What is heard of several senders at once, noise included once. In volts; shape (count,).

        ``sent``: (samples, their first sample, way) of each, within the window or reaching out of it; what lies outside is cut
        off. Raises ConfigError.
        """
        out = self.noise(start_sample, count) if noise else np.zeros(count, np.float32)
        for samples, begin, link in sent:
            arrived = link.apply(samples, begin, self.clock)
            low, high = max(begin, start_sample), min(begin + len(arrived), start_sample + count)
            if low < high:
                out[low - start_sample : high - start_sample] += arrived[low - begin : high - begin]
        return out
