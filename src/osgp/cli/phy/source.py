"""The samples that a command reads: a file or stdin, at the modem's rate, and the packets that its annotations tell of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from osgp.cli.phy.options import extra
from osgp.plc.params import PhyProfile
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from osgp.ports.samples import SampleReader

__all__ = ["AS_IT_SAYS", "Samples", "Source", "opened"]


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """How a file of samples is read."""

    rate: Annotated[
        float | None, Parameter(help="samples per second; raw files need it, elsewhere it overrules the file")
    ] = None
    encoding: Annotated[
        str | None, Parameter(help="of raw files: int16, float32, uint8 and others; default: by the name, else float32")
    ] = None
    channel: Annotated[int, Parameter(help="which one of a file with several, from 0")] = 0


AS_IT_SAYS = Source()


@dataclass(frozen=True)
class Samples:
    """An open file of samples. ``reader``: at its own rate; ``blocks`` gives the profile's."""

    reader: SampleReader
    profile: PhyProfile

    @property
    def scale(self) -> float:
        """Samples of the profile for each of the file."""
        from osgp.ports.resample import SAME_HZ

        rate = self.profile.sample_rate_hz
        return 1.0 if abs(self.reader.rate_hz - rate) <= SAME_HZ else rate / self.reader.rate_hz

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All samples at the profile's rate. Raises DecodeError behind the last good one."""
        from osgp.ports.resample import resampled

        return resampled(self.reader.blocks(), self.reader.rate_hz, self.profile.sample_rate_hz)


@contextmanager
def opened(file: str, source: Source, profile: PhyProfile) -> Iterator[Samples]:
    """Open a file, or stdin for -. Raises ConfigError for what cannot be read or cannot hold the carriers, DecodeError."""
    with extra("plc"):
        from osgp.ports.samples import open_samples
    target: Any = sys.stdin.buffer if file == "-" else file
    with open_samples(target, rate_hz=source.rate, encoding=source.encoding, channel=source.channel) as reader:
        highest = max(profile.carrier_hz(False), profile.carrier_hz(True)) + profile.bit_rate
        if reader.rate_hz / 2 < highest:
            raise ConfigError(
                f"samples at {reader.rate_hz:g} Hz hold nothing above {reader.rate_hz / 2e3:.1f} kHz, and carriers need "
                f"{highest / 1e3:.1f} kHz",
                hint=f"record at {2 * highest / 0.94:.0f} Hz or more; if the file says a wrong rate, --rate says the right one",
            )
        yield Samples(reader, profile)
