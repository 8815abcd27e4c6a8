"""``osgp phy plot``: pictures of samples: waveform, spectrum, and the constellation and eye of a packet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from osgp.cli.output import print_json, stderr
from osgp.cli.phy.options import CARRIERS, Json, ProfileOption, chosen_profile, extra
from osgp.cli.phy.source import AS_IT_SAYS, Source, opened
from osgp.plc.params import PhyProfile
from osgp.wire.errors import ConfigError, DecodeError, Error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from osgp.analyse.phy_symbols import Place

__all__ = ["plot"]

_MARGIN_S = 0.02
"""What is shown before and behind a packet."""
_DEFAULT_S, _MOST_S = 1.0, 60.0
"""What is shown where no packet is known, and the most that is shown at once."""
_NEEDY = ("constellation", "eye")


def plot(
    file: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="picture to write, .svg or .png")],
    what: Annotated[
        str | None,
        Parameter(help="of waveform, spectrum, constellation, eye, joined by commas; default: all that can be"),
    ] = None,
    packet: Annotated[int, Parameter(help="which packet's bits to show, from 1")] = 1,
    from_s: Annotated[
        float | None, Parameter(help="where the picture begins; default: shortly before the packet")
    ] = None,
    for_s: Annotated[float | None, Parameter(help="how many seconds it shows, at most 60")] = None,
    source: Source = AS_IT_SAYS,
    profile: ProfileOption = None,
    json: Json = False,
) -> None:
    """Draw samples of a line: waveform and spectrum, and a packet's bits as the receiver sees them.

    Parameters
    ----------
    file
        samples: .wav, .sigmf-meta, or raw numbers with --rate
    """
    chosen = chosen_profile(profile)
    with extra("plc"):
        from osgp.analyse.phy_picture import PANELS, Stretch, draw_stretch
        from osgp.analyse.phy_symbols import symbols_of
    panels = list(PANELS) if what is None else [each.strip() for each in what.split(",")]
    for name, value in (("--from-s", from_s), ("--for-s", for_s)):
        if value is not None and not 0 <= value < 1e9:
            raise ConfigError(f"{name} cannot be {value!r}", hint="seconds since the first sample")
    if for_s is not None and not 0 < for_s <= _MOST_S:
        raise ConfigError(f"--for-s cannot be {for_s:g}", hint=f"above 0, at most {_MOST_S:g} seconds")
    if packet < 1:
        raise ConfigError(f"there is no packet {packet}", hint="the first is 1")
    places = _packets(file, source, chosen, packet)
    place = places[packet - 1] if packet <= len(places) else None
    if place is None:
        if packet > 1 or (what is not None and set(panels) & set(_NEEDY)):
            raise Error(
                f"there is no packet {packet} in {file}: {len(places)} are known",
                hint="--what waveform,spectrum does without",
            )
        panels = [each for each in panels if each not in _NEEDY]
        stderr.print(f"note: no packet is known in {file}: waveform and spectrum only", markup=False, soft_wrap=True)
    first, count = _window(place, from_s, for_s, chosen)
    samples = _stretch(file, source, chosen, first, count)
    symbols = None
    if place is not None and set(panels) & set(_NEEDY):
        symbols = symbols_of(samples, first, place, chosen)
    title = f"{Path(file).name}, from {first / chosen.sample_rate_hz:.3f} s"
    if symbols is not None:
        title += f", packet {packet}"
    draw_stretch(Stretch(samples, first, places, symbols, title, chosen), output, panels)
    if json:
        print_json(
            {
                "file": str(output),
                "panels": panels,
                "from_s": first / chosen.sample_rate_hz,
                "for_s": len(samples) / chosen.sample_rate_hz,
                "packets": len(places),
                "packet": None
                if symbols is None
                else {
                    "number": packet,
                    "carrier": CARRIERS[symbols.place.secondary],
                    "start_s": symbols.place.start / chosen.sample_rate_hz,
                    "offset_ppm": symbols.place.offset_ppm,
                    "ec_n0_db": symbols.ec_n0_db,
                    "amplitude": symbols.amplitude,
                    "line_bits": len(symbols.bits),
                    "line_bit_errors": symbols.errors,
                },
            }
        )


def _packets(file: str, source: Source, profile: PhyProfile, number: int) -> list[Place]:
    """The packets that a file's annotations tell of; without any, those that the receiver finds up to the ``number``-th."""
    from osgp.analyse.phy_packets import Listening
    from osgp.analyse.phy_symbols import Place

    with opened(file, source, profile) as samples:
        scale = samples.scale
        told = [
            Place(each.lpdu, each.start * scale)
            for each in samples.reader.annotations
            if profile.min_lpdu <= len(each.lpdu) <= profile.max_lpdu
        ]
        found: list[Place] = []
        if not told:
            try:
                for heard in Listening(profile).packets(samples.blocks()):
                    found.append(heard.place(profile))
                    if len(found) == number:
                        break
            except DecodeError as error:
                stderr.print(f"note: {error}", markup=False, soft_wrap=True)
    return told or found


def _window(place: Place | None, from_s: float | None, for_s: float | None, profile: PhyProfile) -> tuple[int, int]:
    """(first sample, how many) of the picture, at the profile's rate."""
    rate = profile.sample_rate_hz
    if place is None:
        begin = 0.0 if from_s is None else from_s
        return round(begin * rate), round((for_s or _DEFAULT_S) * rate)
    begin = max(0.0, place.start / rate - _MARGIN_S) if from_s is None else from_s
    end = begin + for_s if for_s is not None else min(place.end(profile) / rate + _MARGIN_S, begin + _MOST_S)
    return round(begin * rate), max(1, round((end - begin) * rate))


def _stretch(file: str, source: Source, profile: PhyProfile, first: int, count: int) -> NDArray[np.float32]:
    """Samples at the profile's rate. Raises ConfigError where there are none; what is damaged behind them does not matter."""
    import numpy as np

    parts: list[NDArray[np.float32]] = []
    at = 0
    with opened(file, source, profile) as samples:
        try:
            for block in samples.blocks():
                part = block[max(0, first - at) : max(0, first + count - at)]
                if len(part):
                    parts.append(part)
                at += len(block)
                if at >= first + count:
                    break
        except DecodeError as error:
            if not parts:
                raise
            stderr.print(f"note: {error}", markup=False, soft_wrap=True)
    if not parts:
        raise ConfigError(f"{file} ends after {at / profile.sample_rate_hz:.3f} s", hint="--from-s says where to begin")
    return np.concatenate(parts)
