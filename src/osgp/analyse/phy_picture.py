"""Pictures of the power line: waveform, spectrum, constellation and eye, as SVG or PNG.

Project choice; needs matplotlib (extra ``plot``). The same samples give the same SVG, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osgp.analyse.phy_symbols import PARTS, Place, Symbols, power_spectrum
from osgp.plc.params import OSGP, PhyProfile
from osgp.wire.errors import ConfigError

__all__ = ["PANELS", "Stretch", "draw_stretch"]

PANELS = ("waveform", "spectrum", "constellation", "eye")
"""What can be drawn; the last two need a packet."""
_WIDE = ("waveform", "spectrum")
_CARRIER_COLOURS = ("#0072B2", "#C65100")
"""Primary and secondary; told apart also by those who do not see red or green."""
_PART_COLOURS = ("#8A8F98", "#0072B2", "#C65100")
_INK, _NOISE, _GRID = "#222222", "#8A8F98", "#DDDDDD"
_COLUMNS = 3000
"""Columns into which a long waveform is gathered, each from its smallest to its largest sample."""
_TINY_DB = -160.0
_PART_MARKS = ("s", "o", "^")


@dataclass(frozen=True)
class Stretch:
    """Samples to draw: from which one on, the packets known among them, and the one whose bits are shown."""

    samples: NDArray[np.float32]
    first: int = 0
    packets: Sequence[Place] = ()
    symbols: Symbols | None = None
    title: str = ""
    profile: PhyProfile = field(default=OSGP)

    @property
    def times_ms(self) -> tuple[float, float]:
        """Begin and end in milliseconds since the first sample of the file."""
        rate = self.profile.sample_rate_hz / 1e3
        return self.first / rate, (self.first + len(self.samples)) / rate


def draw_stretch(stretch: Stretch, path: str | Path, panels: Sequence[str] = PANELS) -> None:
    """Draw a stretch into a file, as its name ends: ``.svg`` or ``.png``. ``panels``: of ``PANELS``, without repetition.

    Raises ConfigError for other names and panels, for constellation and eye without a packet, and when matplotlib is missing.
    """
    place = Path(path)
    kind = place.suffix.lower()
    if kind not in (".svg", ".png"):
        raise ConfigError(f"{path} is no picture", hint="a name that ends in .svg or .png")
    chosen = list(dict.fromkeys(panels))
    unknown = [each for each in chosen if each not in PANELS]
    if unknown or not chosen:
        raise ConfigError(
            f"there is nothing to draw called {', '.join(unknown)!r}", hint=f"some of {', '.join(PANELS)}"
        )
    needy = [each for each in chosen if each not in _WIDE]
    if needy and stretch.symbols is None:
        raise ConfigError(f"{' and '.join(needy)} need a packet", hint=f"--what {','.join(_WIDE)} does without")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("pictures need matplotlib", hint="pip install 'osgp[plot]'") from error
    wide = [each for each in chosen if each in _WIDE]
    rows = [[each] * max(1, len(needy)) for each in wide] + ([needy] if needy else [])
    heights = [2.4] * len(wide) + ([4.2] if needy else [])
    with rc_context({"svg.hashsalt": "osgp", "font.size": 9.0, "axes.titlesize": 10.0}):
        figure: Any = Figure(figsize=(9.0, sum(heights) + 0.5), layout="constrained", facecolor="white")
        axes = figure.subplot_mosaic(rows, height_ratios=heights)
        for name in chosen:
            _DRAWN[name](axes[name], stretch)
            axes[name].set_axisbelow(True)
        if stretch.title:
            figure.suptitle(stretch.title, fontsize=11)
        try:
            figure.savefig(place, format=kind[1:], dpi=130, metadata={"Date": None} if kind == ".svg" else None)
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be written: {error.strerror or error}", hint="is there such a folder?"
            ) from error


def _waveform(axes: Any, stretch: Stretch) -> None:
    begin, end = stretch.times_ms
    samples = stretch.samples
    per_column = -(-len(samples) // _COLUMNS)
    if per_column > 2:
        columns = -(-len(samples) // per_column)
        whole = np.pad(samples, (0, columns * per_column - len(samples)), mode="edge").reshape(columns, per_column)
        times = begin + (end - begin) * (np.arange(columns) + 0.5) * per_column / len(samples)
        axes.fill_between(times, whole.min(axis=1), whole.max(axis=1), color=_NOISE, lw=0.4, step="mid")
    else:
        axes.plot(np.linspace(begin, end, len(samples), endpoint=False), samples, color=_NOISE, lw=0.8)
    rate = stretch.profile.sample_rate_hz / 1e3
    seen: set[bool] = set()
    for packet in stretch.packets:
        label = None if packet.secondary in seen else f"packet on the {_carrier(packet.secondary)} carrier"
        seen.add(packet.secondary)
        low, high = max(begin, packet.start / rate), min(end, packet.end(stretch.profile) / rate)
        if low < high:
            axes.axvspan(low, high, color=_CARRIER_COLOURS[packet.secondary], alpha=0.22, lw=0, label=label)
    _frame(axes, "Waveform", "time, ms", "amplitude (full scale 1)")
    axes.set_xlim(begin, end)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right", framealpha=0.9)


def _carrier(secondary: bool) -> str:
    return "secondary" if secondary else "primary"


def _spectrum(axes: Any, stretch: Stretch) -> None:
    profile = stretch.profile
    inside = np.zeros(len(stretch.samples), bool)
    for packet in stretch.packets:
        low, high = packet.start - stretch.first, packet.end(profile) - stretch.first
        inside[max(0, int(low)) : max(0, int(high))] = True
    least = profile.samples_per_bit
    curves = [("during packets", inside, _INK, 1.1), ("between packets", ~inside, _NOISE, 0.9)]
    lowest, highest = 0.0, _TINY_DB
    for label, chosen, colour, width in curves:
        if np.count_nonzero(chosen) < least:
            continue
        found = power_spectrum(stretch.samples[chosen], profile)
        axes.plot(found.hz / 1e3, np.maximum(found.db, _TINY_DB), color=colour, lw=width, label=label)
        lowest, highest = min(lowest, float(np.percentile(found.db, 2))), max(highest, float(found.db.max()))
    for secondary in (False, True):
        centre = profile.carrier_hz(secondary) / 1e3
        axes.axvline(centre, color=_CARRIER_COLOURS[secondary], lw=0.9, ls=(0, (4, 3)),
                     label=f"{_carrier(secondary)} carrier, {centre:.1f} kHz")  # fmt: skip
    _frame(axes, "Spectrum", "frequency, kHz", f"dB in {profile.bit_rate / 1e3:.1f} kHz\n(full-scale sine 0)")
    axes.set_xlim(0, profile.sample_rate_hz / 2e3)
    axes.set_ylim(max(lowest, highest - 110, _TINY_DB) - 5, highest + 8)
    axes.legend(loc="upper right", framealpha=0.9)


def _constellation(axes: Any, stretch: Stretch) -> None:
    symbols = stretch.symbols
    assert symbols is not None, "asked for before"
    for number, part in enumerate(PARTS):
        chosen = symbols.part == number
        axes.plot(symbols.values[chosen].real, symbols.values[chosen].imag, ls="", marker=_PART_MARKS[number], ms=3.0,
                  mew=0, alpha=0.65, color=_PART_COLOURS[number], label=part)  # fmt: skip
    axes.axvline(0, color=_INK, lw=0.8)
    reach = max(1.6, float(np.percentile(np.abs(symbols.values), 99.5)) * 1.15)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    wrong = f"{symbols.errors} of {len(symbols.bits)} line bits on the wrong side"
    _frame(axes, f"Constellation: Ec/N0 {symbols.ec_n0_db:.1f} dB\n{wrong}", "in phase (bit 0 at +1)", "quadrature")
    axes.legend(loc="upper right", framealpha=0.9, markerscale=1.6)


def _eye(axes: Any, stretch: Stretch) -> None:
    symbols = stretch.symbols
    assert symbols is not None, "asked for before"
    for trace, bit in zip(
        symbols.eye, symbols.bits[np.linspace(0, len(symbols.bits) - 1, len(symbols.eye)).astype(int)]
    ):
        axes.plot(symbols.eye_bits, trace, color=_CARRIER_COLOURS[bit], lw=0.6, alpha=0.3)
    axes.axvline(0, color=_INK, lw=0.8)
    reach = max(1.6, float(np.percentile(np.abs(symbols.eye), 99.5)) * 1.15)
    axes.set_xlim(-1, 1)
    axes.set_ylim(-reach, reach)
    _frame(
        axes, "Eye behind the matched filter\n(blue: bit 0, orange: bit 1)", "line bits from the decision", "in phase"
    )


def _frame(axes: Any, title: str, across: str, up: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(True, color=_GRID, lw=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


_DRAWN = {"waveform": _waveform, "spectrum": _spectrum, "constellation": _constellation, "eye": _eye}
