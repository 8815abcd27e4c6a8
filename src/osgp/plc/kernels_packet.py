"""A packet from its preamble to its end, compiled: place, frequency and phase, symbols, words, CRC.

Project choice after ``spec/phy-ts103908.md`` 3.3 and 3.4, 3 to 6. Importing this module imports Numba.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from osgp.plc.fec import WORD_BITS
from osgp.plc.kernels_search import (
    AMPLITUDE,
    COHERENT,
    CRC_WRONG,
    DROPPED,
    ENDLESS,
    FADED,
    FIXED,
    IM,
    IS_BUSY,
    IS_IN,
    IS_PENDING,
    LOST,
    NEXT,
    OMEGA,
    PACKET,
    PLACE,
    QUIET,
    RE,
    RESIDUE,
    SCALE,
    START,
    SYMBOL,
    TOO_SHORT,
    TUNE,
    TURNED,
    WORDS,
    bit_at,
    float32,
    njit,
)
from osgp.plc.sync import PARTS

__all__ = [
    "acquire",
    "binned",
    "energy_at",
    "finish",
    "likeness",
    "list_decode",
    "noticed",
    "received",
    "report",
    "start_packet",
    "synchronised",
    "tuned",
    "word",
]

_LOOKS = 24
"""Visits that an average of noise remembers."""
_FADED = 0.25
"""Mean of cos 2 psi over the last bits below which there is no signal: noise alone gives 0 +- 0.15, Ec/N0 of 2 dB 0.5."""

_WORD_SHARE = 0.5
"""Least amplitude of word synchronisation, of that of bit synchronisation; noise at Ec/N0 of 4 dB makes it 1 +- 0.14."""


# ---- finding a packet --------------------------------------------------------------------------------------------------
@njit(**FIXED)
def _segment(row: Any, place: Any, signs: Any) -> Any:
    """The bits of a segment that ends at a place, each with its sign; in the order in which the search adds them."""
    s = row[place - 7 * PARTS : place + 1 : PARTS]
    return ((signs[0] * s[0] + signs[1] * s[1]) + (signs[2] * s[2] + signs[3] * s[3])) + (
        (signs[4] * s[4] + signs[5] * s[5]) + (signs[6] * s[6] + signs[7] * s[7])
    )


@njit(**FIXED)
def _gathered(setup: Any, z: Any, place: Any, parts: Any) -> None:
    """The segments of a preamble that ends at a place, signs taken off: ``parts`` (re and im, segment)."""
    for part in range(len(setup.parts)):
        segment, at = setup.segments[setup.parts[part]], place - PARTS * setup.lags[part]
        parts[0, part] = setup.signs[part] * _segment(z[0], at, segment)
        parts[1, part] = setup.signs[part] * _segment(z[1], at, segment)


@njit(**FIXED)
def energy_at(setup: Any, z: Any, place: Any) -> Any:
    """The energy of a preamble that ends at a place."""
    energy = 0.0
    for part in range(len(setup.parts)):
        energy += _segment(z[2], place - PARTS * setup.lags[part], setup.masks[setup.parts[part]])
    return energy


@njit(**FIXED)
def _joined(setup: Any, parts: Any, omega: Any) -> Any:
    """Correlation with the preamble, turned by ``omega`` radians per bit."""
    centre = (len(setup.symbols) - 1) / 2
    re = im = 0.0
    for part in range(len(setup.parts)):
        turn = omega * (setup.middles[part] - centre)
        c, s = math.cos(turn), math.sin(turn)
        re += parts[0, part] * c + parts[1, part] * s
        im += parts[1, part] * c - parts[0, part] * s
    return re, im


@njit(**FIXED)
def binned(setup: Any, parts: Any) -> Any:
    """The strongest frequency bin: (correlation squared, radians per bit)."""
    best, chosen = 0.0, 0.0
    for omega in setup.bins:
        re, im = _joined(setup, parts, omega)
        if re * re + im * im > best:
            best, chosen = re * re + im * im, omega
    return best, chosen


@njit(**FIXED)
def likeness(setup: Any, memory: Any, carrier: Any, place: Any) -> Any:
    """Normalised correlation at a place, or half a step before it: (rho squared, correlation squared, radians per bit)."""
    z, parts, size = memory.z[carrier], memory.work, len(setup.symbols)
    energy = energy_at(setup, z, place)
    if energy <= 0.0:
        return 0.0, 0.0, 0.0
    _gathered(setup, z, place, parts)
    power, omega = binned(setup, parts)
    rho = power / (size * energy)
    if setup.candidate <= rho < setup.threshold:
        for part in range(len(setup.parts)):
            segment, at = setup.segments[setup.parts[part]], place - 1 - PARTS * setup.lags[part]
            parts[0, part] = 0.5 * (parts[0, part] + setup.signs[part] * _segment(z[0], at, segment))
            parts[1, part] = 0.5 * (parts[1, part] + setup.signs[part] * _segment(z[1], at, segment))
        energy = 0.0
        for bit in range(size):
            at = place - PARTS * bit
            energy += 0.25 * ((z[0, at] + z[0, at - 1]) ** 2 + (z[1, at] + z[1, at - 1]) ** 2)
        between, turned = binned(setup, parts)
        if between > rho * size * energy:
            rho, power, omega = between / (size * energy), between, turned
    return rho, power, omega


@njit(**FIXED)
def synchronised(setup: Any, memory: Any, carrier: Any, place: Any, omega: Any) -> Any:
    """Whether word synchronisation is there too, and fits better than bit synchronisation that goes on.

    Else bit synchronisation alone could pass for a preamble: rho squared 0.69 with silence behind it.
    """
    z, parts, size = memory.z[carrier], memory.work, len(setup.symbols)
    _gathered(setup, z, place, parts)
    total_re, total_im = _joined(setup, parts, omega)
    share = better = 0.0
    for bit in range(size - WORD_BITS, size):
        at = place - PARTS * (size - 1 - bit)
        turn = omega * (bit - (size - 1) / 2)
        c, s = math.cos(turn), math.sin(turn)
        re, im = z[0, at] * c + z[1, at] * s, z[1, at] * c - z[0, at] * s
        along = re * total_re + im * total_im
        share += setup.symbols[bit] * along
        better += (setup.symbols[bit] - setup.going_on[bit + WORD_BITS - size]) * along
    rest = total_re * total_re + total_im * total_im - share
    return better > 0.0 and share * (size - WORD_BITS) >= _WORD_SHARE * WORD_BITS * rest


@njit(**FIXED)
def _weighed(setup: Any, memory: Any, carrier: Any) -> None:
    """Noise by mains phase as weights of mean 1, drawn towards evenness as far as chance explains the differences."""
    noise, visits, weight = memory.noise[carrier], memory.visits[carrier], memory.weight[carrier]
    weight[:] = 1.0
    few = visits[0]
    for count in visits:
        few = min(few, count)
    mean = noise.mean()
    if few < 4 or mean <= 0.0 or not setup.weighting:
        return
    looks = min(2.0 * few, 2.0 * _LOOKS - 1.0)
    spread = 0.0
    for value in noise:
        spread += (value / mean - 1.0) ** 2
    spread /= len(noise)
    trust = max(0.0, 1.0 - 1.5 / (looks * max(spread, 1e-9)))
    for index in range(len(noise)):
        weight[index] = 1.0 / max(0.01, 1.0 + trust * (noise[index] / mean - 1.0))


@njit(**FIXED)
def tuned(setup: Any, parts: Any, omega: Any) -> Any:
    """Frequency from the segments' phases: a straight line through them, weighted by their lengths, fitted twice."""
    centre = (len(setup.symbols) - 1) / 2
    for _ in range(2):
        total_re, total_im = _joined(setup, parts, omega)
        w = wt = wtt = wp = wtp = 0.0
        for part in range(len(setup.parts)):
            t = setup.middles[part] - centre
            # The segment, turned back by what is known, against the whole.
            c, s = math.cos(omega * t), math.sin(omega * t)
            re = parts[0, part] * c + parts[1, part] * s
            im = parts[1, part] * c - parts[0, part] * s
            phase = math.atan2(im * total_re - re * total_im, re * total_re + im * total_im)
            weight = math.sqrt(re * re + im * im)
            w += weight
            wt += weight * t
            wtt += weight * t * t
            wp += weight * phase
            wtp += weight * t * phase
        spread = w * wtt - wt * wt
        if spread > 0.0:
            omega += max(-0.1, min(0.1, (w * wtp - wt * wp) / spread))
    return max(-0.2, min(0.2, omega))


@njit(**FIXED)
def _timed(setup: Any, memory: Any, carrier: Any, begin: Any, length: Any, omega: Any, re: Any, im: Any) -> Any:
    """The best place to a sample: what windows gain and lose at the bits' borders when they are moved.

    ``re``, ``im``: the correlation when the first bit begins at ``begin`` (a place in ``raw``). (samples to add, correlation.)
    """
    raw, waves, symbols = memory.raw, setup.waves[carrier], setup.symbols
    size, step = len(symbols), setup.step
    per_bit = setup.samples_per_bit
    change = memory.change
    change[:] = 0.0
    centre = (size - 1) / 2
    for border in range(size + 1):
        gain = 0.0
        if border > 0:
            gain += symbols[border - 1]
        if border < size:
            gain -= symbols[border]
        if gain == 0.0:
            continue
        at = math.floor(0.5 + begin + border * length) - step
        if at < 0 or at + 2 * step > len(raw):
            continue
        # Impulses count no more than three times what even noise gives in a sample.
        level = memory.level[carrier, min(len(memory.level[0]) - 1, (at + step) // per_bit)]
        most = math.sqrt(level) / 3.0
        turn = omega * (border - 0.5 - centre)
        c, s = gain * math.cos(turn), gain * math.sin(turn)
        phase = at % per_bit
        samples, cosine, sine = raw[at : at + 2 * step], waves[0, phase:], waves[1, phase:]
        for i in range(len(samples)):
            x = max(-most, min(most, samples[i]))
            a, b = x * cosine[i], x * sine[i]
            change[0, i] += a * c + b * s
            change[1, i] += b * c - a * s
    best, moved, best_re, best_im = re * re + im * im, 0, re, im
    for way in (1, -1):
        at_re, at_im = re, im
        for i in range(step):
            index = step + i if way > 0 else step - 1 - i
            at_re += way * change[0, index]
            at_im += way * change[1, index]
            if at_re * at_re + at_im * at_im > best:
                best, moved, best_re, best_im = at_re * at_re + at_im * at_im, way * (i + 1), at_re, at_im
    return moved, best_re, best_im


@njit(**FIXED)
def acquire(setup: Any, memory: Any, carrier: Any, base_bit: Any) -> None:
    """Begin to receive the packet whose preamble was found."""
    place = memory.ints[carrier, PLACE] - PARTS * base_bit
    _gathered(setup, memory.z[carrier], place, memory.work)
    omega = tuned(setup, memory.work, memory.floats[carrier, TUNE])
    # The search took bits for as long as ours; what fits best lies in the preamble's middle.
    middle = (place + 1) * setup.step - 0.5 * len(setup.symbols) * setup.samples_per_bit
    start_packet(setup, memory, carrier, base_bit, middle, omega)


@njit(**FIXED)
def start_packet(setup: Any, memory: Any, carrier: Any, base_bit: Any, middle: Any, omega: Any) -> None:
    """Sample, phase and amplitude of a packet; ``middle`` of its preamble, a place in ``raw``, is known to an eighth of a bit."""
    ints, floats = memory.ints[carrier], memory.floats[carrier]
    per_bit, size = setup.samples_per_bit, len(setup.symbols)
    length = per_bit / (1.0 + omega / (2 * math.pi * setup.cycles[carrier]))
    begin = middle - 0.5 * size * length
    centre = (size - 1) / 2
    re = im = energy = 0.0
    for bit in range(size):
        at = max(0, math.floor(0.5 + begin + bit * length))
        a, b = bit_at(memory.raw, at, setup.waves[carrier], per_bit, memory.level[carrier], memory.loud[carrier])
        turn = omega * (bit - centre)
        c, s = setup.symbols[bit] * math.cos(turn), setup.symbols[bit] * math.sin(turn)
        re += a * c + b * s
        im += b * c - a * s
        energy += a * a + b * b
    moved, re, im = _timed(setup, memory, carrier, begin, length, omega, re, im)
    height = max(1e-30, math.sqrt(re * re + im * im))
    amplitude = height / size
    # The phase of the first symbol after the preamble; what is multiplied with is its conjugate.
    turn = omega * (size - centre)
    c, s = math.cos(turn), math.sin(turn)
    floats[RE] = (re * c - im * s) / height
    floats[IM] = -(im * c + re * s) / height
    floats[OMEGA] = omega
    floats[NEXT] = base_bit * per_bit + begin + moved + size * length
    floats[AMPLITUDE] = amplitude
    floats[RESIDUE] = floats[COHERENT] = floats[TURNED] = 0.0
    # Never below what a float's precision leaves of the signal: then everything stays finite.
    noise = max(energy / size - amplitude * amplitude, 1e-6 * amplitude * amplitude)
    floats[SCALE] = 4.0 * amplitude / noise
    ints[IS_IN], ints[IS_PENDING] = 1, 0
    ints[SYMBOL] = ints[WORDS] = 0
    ints[START] = base_bit * per_bit + math.floor(0.5 + begin + moved)
    memory.coherent[carrier, :] = 0.0
    _weighed(setup, memory, carrier)


# ---- a packet ----------------------------------------------------------------------------------------------------------
@njit(**FIXED)
def _four(llr: Any, first: Any, out: Any) -> None:
    """How likely the sixteen combinations of four bits are, the first bit as the highest."""
    a, b, c, d = llr[first], llr[first + 1], llr[first + 2], llr[first + 3]
    for n in range(4):
        high = (a if n < 2 else -a) + (b if n & 1 == 0 else -b)
        out[4 * n], out[4 * n + 1], out[4 * n + 2], out[4 * n + 3] = (
            high + (c + d),
            high + (c - d),
            high + (d - c),
            high + (-c - d),
        )


@njit(**FIXED)
def _two_best(values: Any, nibbles: Any, ranked: Any, chosen: Any) -> None:
    """Of each class the two most likely halves of a byte, the smaller where both are alike."""
    for row in range(nibbles.shape[0]):
        top = next_ = float32(-np.inf)
        best = second = np.int64(0)
        for index in range(nibbles.shape[1]):
            nibble = nibbles[row, index]
            value = values[nibble]
            if value > next_:
                if value > top:
                    second, next_ = best, top
                    best, top = nibble, value
                else:
                    second, next_ = nibble, value
        ranked[row, 0], ranked[row, 1], chosen[row, 0], chosen[row, 1] = top, next_, best, second


@njit(**FIXED)
def word(setup: Any, memory: Any, llr: Any, first: Any) -> Any:
    """The most likely byte, the next, how much worse that is, and how likely the first.

    A byte's halves meet in the last three bits only: of halves that do the same to these, the two most likely are enough.
    """
    metric, ranked, chosen = memory.metric, memory.ranked, memory.chosen
    for half in range(2):
        _four(llr, first + 4 * half, metric[half])
        _two_best(metric[half], setup.nibbles[half], ranked[half], chosen[half])
    i, j, k = llr[first + 8], llr[first + 9], llr[first + 10]
    for n in range(8):
        metric[2, n] = ((i if n < 4 else -i) + (j if n & 2 == 0 else -j)) + (k if n & 1 == 0 else -k)
    best, second = np.int64(256), np.int64(256)
    top = next_ = float32(-np.inf)
    classes = setup.checks.shape[1]
    for high in range(classes):
        for low in range(classes):
            checked = metric[2, setup.checks[0, high] ^ setup.checks[1, low]]
            for ways in range(3):
                one, other = ways >> 1, ways & 1
                value = (ranked[0, high, one] + ranked[1, low, other]) + checked
                if value < next_:
                    continue
                byte = chosen[0, high, one] << 4 | chosen[1, low, other]
                if value > top or (value == top and byte < best):
                    second, next_ = best, top
                    best, top = byte, value
                elif value > next_ or byte < second:
                    second, next_ = byte, value
    return best, second, float32(0.5) * (top - next_), top


@njit(**FIXED)
def list_decode(best: Any, second: Any, gap: Any, count: Any, crc: Any, trials: Any, work: Any, out: Any) -> Any:
    """Bytes whose CRC is right: the most likely, or with some of the least sure words replaced by their second choice.

    ``trials``: the doubtful words, and how many trials there may be, in the order of likelihood. ``work``: 3 x 256 numbers. Writes
    ``out``; gives the number of the trial, from 0, or -1 when none is right (``out`` is then the most likely). CRC: ``osgp.lon.crc``.
    """
    register = 0xFFFF
    for index in range(count):
        out[index] = best[index]
        register = (crc[(register >> 8) ^ best[index]] ^ (register << 8)) & 0xFFFF
    if register == 0x1D0F:
        return 0
    doubtful = min(trials[0], count)
    cost = work[2]
    cost[0] = 0.0
    for rank in range(doubtful):
        chosen = -1
        for index in range(count):
            taken = False
            for before in range(rank):
                taken = taken or int(work[0, before]) == index
            if not taken and (chosen < 0 or gap[index] < gap[chosen]):
                chosen = index
        # The CRC is linear: what a changed byte does to the register does not depend on the others.
        changed = crc[best[chosen] ^ second[chosen]]
        for _ in range(chosen + 1, count):
            changed = (crc[changed >> 8] ^ (changed << 8)) & 0xFFFF
        work[0, rank], work[1, rank] = chosen, changed
        for choice in range(1 << rank):
            cost[choice + (1 << rank)] = cost[choice] + gap[chosen]
    choice = 0
    for trial in range(1, min(trials[1], 1 << doubtful)):
        cost[choice] = math.inf
        choice = 0
        for other in range(1 << doubtful):
            if cost[other] < cost[choice]:
                choice = other
        after = register
        for rank in range(doubtful):
            if choice >> rank & 1:
                after ^= int(work[1, rank])
        if after == 0x1D0F:
            for rank in range(doubtful):
                if choice >> rank & 1:
                    out[int(work[0, rank])] = second[int(work[0, rank])]
            return trial
    return -1


@njit(**FIXED)
def report(memory: Any, kind: Any, carrier: Any, sample: Any, reason: Any) -> Any:
    """Note that something happened; gives its row. There is always room: ``feed`` goes no further when half is used."""
    row = memory.counts[3]
    memory.counts[3] += 1
    event = memory.events[row]
    event[:] = 0
    event[0], event[1], event[2], event[9] = kind, carrier, sample, reason
    event[8] = -1
    memory.facts[row, :] = 0.0
    return row


@njit(**FIXED)
def finish(setup: Any, memory: Any, carrier: Any, sample: Any, words: Any, reason: Any) -> None:
    """A packet has ended, well (reason 0, so far) or not, at a sample."""
    ints, floats = memory.ints[carrier], memory.floats[carrier]
    row = report(memory, DROPPED, carrier, sample, reason)
    event, facts = memory.events[row], memory.facts[row]
    event[3], event[4], event[6] = ints[START], sample, -1
    symbols = ints[SYMBOL]
    noise = floats[RESIDUE] / max(1, symbols)
    amplitude = floats[AMPLITUDE]
    facts[0] = amplitude * amplitude / max(noise, 1e-9 * amplitude * amplitude)
    facts[1] = amplitude / (0.5 * setup.samples_per_bit)
    # Over the whole packet: the loop's own frequency knows the last bits only.
    facts[2] = floats[TURNED] / symbols if symbols > setup.drop_bits else floats[OMEGA]
    slot = memory.counts[4]
    if words > 0 and slot < len(memory.data):
        memory.counts[4] += 1
        event[5], event[8], event[10] = words, slot, symbols
        depth = list_decode(
            memory.best[carrier],
            memory.second[carrier],
            memory.gap[carrier],
            words,
            setup.crc,
            (setup.list_words, setup.list_size),
            memory.work,
            memory.data[slot],
        )
        event[6] = depth
        if reason == 0:
            if depth >= 0:
                event[0], event[7] = PACKET, 1
            else:
                event[9] = CRC_WRONG
        for axis in range(2):
            for index in range(symbols):
                memory.symbols[slot, axis, index] = memory.soft[carrier, axis, index]
    ints[IS_IN] = 0
    ints[QUIET] = sample - setup.samples_per_bit


@njit(**FIXED, forceinline=True)
def received(setup: Any, memory: Any, carrier: Any, base_bit: Any, end: Any) -> None:
    """Take the packet's symbols as far as samples reach: phase, noise, log-likelihood ratios, words, its end."""
    ints, floats = memory.ints[carrier], memory.floats[carrier]
    per_bit, drop_bits, last = setup.samples_per_bit, setup.drop_bits, len(setup.alpha) - 1
    base, half_bit = base_bit * per_bit, 0.5 * setup.samples_per_bit
    llr, soft, coherent = memory.llr[carrier], memory.soft[carrier], memory.coherent[carrier]
    waves, level, loud = setup.waves[carrier], memory.level[carrier], memory.loud[carrier]
    weight, noise, visits = memory.weight[carrier], memory.noise[carrier], memory.visits[carrier]
    per_turn = 1.0 / (2 * math.pi * setup.cycles[carrier])
    bins, per_cycle = setup.noise_bins, 1.0 / setup.half_cycle
    next_, omega, u, v = floats[NEXT], floats[OMEGA], floats[RE], floats[IM]
    amplitude, residue, clarity = floats[AMPLITUDE], floats[RESIDUE], floats[COHERENT]
    turned_by = floats[TURNED]
    symbol, scale = ints[SYMBOL], floats[SCALE]
    bit, slot = symbol % 11, symbol % drop_bits
    reason = -1
    # Guessed from the last one's, so that the processor needs not wait for the loop before it reads the samples.
    at = math.floor(next_ + 0.5)
    while next_ + per_bit + 1.0 <= end:
        a, b = bit_at(memory.raw, at - base, waves, per_bit, level, loud)
        exactly = math.floor(next_ + 0.5)
        if exactly != at:
            at = exactly
            continue
        # Carrier and bits come from one clock: to the second order what is left of a division.
        early = omega * per_turn
        next_ += per_bit * (1.0 - early * (1.0 - early))
        re, im = a * u - b * v, a * v + b * u
        cycle = (at + half_bit) * per_cycle
        theta = min(bins - 1, int(bins * (cycle - math.floor(cycle))))
        index = 11 * (ints[WORDS] & 1)
        llr[index + bit] = float32(re * scale * weight[theta])
        unit = 1.0 / amplitude
        across = im * unit
        soft[0, symbol], soft[1, symbol] = float32(re * unit), float32(across)
        # The loop: towards the sign that is known, or as far as the symbol says which it is.
        side = max(-1.0, min(1.0, 2.0 * re * unit))
        amplitude = max(1e-30, amplitude + (side * re - amplitude) * (1.0 / 128.0))
        gain = 1.0
        if setup.pilots[bit] != 0.0:
            side, gain = float(setup.pilots[bit]), setup.pilot_weight
        error = gain * max(-1.0, min(1.0, side * across))
        known = min(symbol, last)
        omega = max(-0.25, min(0.25, omega + setup.beta[known] * error))
        turn = omega + setup.alpha[known] * error
        c, s = 1.0 - turn * turn * (0.5 - turn * turn * (1.0 / 24.0)), turn * (1.0 - turn * turn * (1.0 / 6.0))
        norm = 1.5 - 0.5 * (u * u + v * v)
        u, v = u * norm, v * norm
        u, v = u * c + v * s, v * c - u * s
        turned_by += turn
        residue += setup.residual[known] * im * im
        power = re * re + im * im
        clear = (re * re - im * im) / power if power > 0.0 else 0.0
        clarity += clear - coherent[slot]
        coherent[slot] = float32(clear)
        # Where impulses were taken out, little noise is left.
        place = (at - base) // per_bit
        if not (loud[place] or loud[min(place + 1, len(loud) - 1)]):
            noticed(noise, visits, theta, 2.0 * im * im)
        at += per_bit
        symbol += 1
        bit += 1
        slot = slot + 1 if slot + 1 < drop_bits else 0
        words = ints[WORDS]
        if symbol >= drop_bits and clarity < _FADED * drop_bits:
            reason = FADED
        elif bit == 11:
            bit = 0
            best, second, gap, top = word(setup, memory, llr, index)
            memory.best[carrier, words], memory.second[carrier, words] = best, second
            memory.gap[carrier, words], memory.top[carrier, words] = gap, top
            ints[WORDS] = words + 1
            if words > 0:
                ending = 0.0
                for i in range(11):
                    ending += llr[11 - index + i] * setup.end[i] + llr[index + i] * setup.end[11 + i]
                words -= 1
                if ending > top + memory.top[carrier, words]:
                    reason = TOO_SHORT if words < setup.min_words else 0
                elif words >= setup.max_words:
                    reason = ENDLESS
        if reason >= 0:
            break
    floats[NEXT], floats[OMEGA], floats[RE], floats[IM] = next_, omega, u, v
    floats[AMPLITUDE], floats[RESIDUE], floats[COHERENT] = amplitude, residue, clarity
    floats[TURNED] = turned_by
    ints[SYMBOL] = symbol
    if reason >= 0:
        done = math.floor(next_ + 0.5)
        finish(setup, memory, carrier, done, words, reason)
        if ints[IS_BUSY]:
            ints[IS_BUSY] = 0
            report(memory, LOST, carrier, done, 0)


@njit(**FIXED, forceinline=True)
def noticed(noise: Any, visits: Any, theta: Any, power: Any) -> None:
    """One more look at the noise of a mains phase; a single one counts at most thirty times the average."""
    known = noise[theta]
    if visits[theta] < _LOOKS:
        visits[theta] += 1
        noise[theta] = known + (power - known) / visits[theta]
    else:
        noise[theta] = known + (min(power, 30.0 * known + 1e-30) - known) * (1.0 / _LOOKS)
