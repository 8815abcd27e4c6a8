"""Named line conditions: which noises and which path models act together.

Project choice; ``spec/phy-ts103908.md`` 3.6. Q, R, D, T and F mirror what EN 14908-3 asks of a receiver: a quiet line, interference, a
distorted channel, impulsive noise. A TOML file starts from one of them and changes what it names; ``false`` takes a part away::

    base = "D"
    [impulses]
    peak_db = [20, 40]
    [lptv]
    kind = "step"
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.channel_attenuation import Attenuation
from osgp.sim.channel_background import NORMAL_DBUV, QUIET_DBUV, Background
from osgp.sim.channel_cyclic import SET_1, SET_2, Cyclic
from osgp.sim.channel_impulses import Aperiodic, Impulses
from osgp.sim.channel_lptv import Lptv
from osgp.sim.channel_multipath import Multipath
from osgp.sim.channel_regions import Regions
from osgp.sim.channel_text import P, Text, check_numbers, number
from osgp.sim.channel_tones import Converter, Tones
from osgp.wire.errors import ConfigError

__all__ = ["PARTS", "SCENARIOS", "Scenario", "load_scenario", "scenario", "scenario_from_text"]

PARTS: dict[str, Any] = {
    "background": Background,
    "cyclic": Cyclic,
    "regions": Regions,
    "impulses": Impulses,
    "aperiodic": Aperiodic,
    "tones": Tones,
    "converter": Converter,
    "attenuation": Attenuation,
    "multipath": Multipath,
    "lptv": Lptv,
}
"""Every model by the name of its table in a file."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What acts at a receiver and on the way to it; None is absent.

    ``signal_dbuv``: the level that tones and converter are relative to, unless a channel is made for another.
    """

    name: str = ""
    background: Background | None = None
    cyclic: Cyclic | None = None
    regions: Regions | None = None
    impulses: Impulses | None = None
    aperiodic: Aperiodic | None = None
    tones: Tones | None = None
    converter: Converter | None = None
    attenuation: Attenuation | None = None
    multipath: Multipath | None = None
    lptv: Lptv | None = None
    mains_hz: float = number(50.0, P, "3.6", low=10.0, high=100.0)
    signal_dbuv: float = number(80.0, P, "a level 40 dB below the transmitter's", low=-60.0, high=160.0)

    def __post_init__(self) -> None:
        check_numbers(self)

    @property
    def continuous(self) -> list[Background | Cyclic | Regions]:
        """The noises that never pause; Ec/N0 counts these."""
        return [part for part in (self.background, self.cyclic, self.regions) if part is not None]

    def noise_dbuv(self, frequency_hz: float, profile: PhyProfile = OSGP) -> float:
        """Mean power of the continuous noises in one line bit rate of bandwidth. Minus infinity when there are none.

        Impulses and tones are left out: what they do to packets does not follow from their mean power.
        """
        total = sum(10 ** (part.noise_dbuv(frequency_hz, profile) / 10) for part in self.continuous)
        return 10 * math.log10(total) if total else -math.inf

    def rms_v(self, profile: PhyProfile = OSGP) -> float:
        """Volts rms of the continuous noises over the whole band: what impulses are relative to."""
        return math.sqrt(sum(part.rms_v(profile) ** 2 for part in self.continuous))

    def at_noise(self, level_dbuv: float, profile: PhyProfile = OSGP) -> Scenario:
        """The same with all continuous noises shifted so that their mean power at the primary carrier is ``level_dbuv``.

        Raises ConfigError when there are none.
        """
        now = self.noise_dbuv(profile.carrier_hz(False), profile)
        if not math.isfinite(now):
            raise ConfigError(
                f"scenario {self.name or 'without name'} has no continuous noise", hint="give it a background"
            )
        shift = level_dbuv - now

        def shifted(part: Any) -> Any:
            return part and dataclasses.replace(part, level_dbuv=part.level_dbuv + shift)

        return dataclasses.replace(
            self, background=shifted(self.background), cyclic=shifted(self.cyclic), regions=shifted(self.regions)
        )


SCENARIOS: dict[str, Scenario] = {
    "Q": Scenario("Q", background=Background(QUIET_DBUV, colour="white")),
    "R": Scenario("R", background=Background(NORMAL_DBUV), cyclic=SET_1, tones=Tones(level_db=-10.0),
                  converter=Converter(level_db=-10.0)),
    "D": Scenario("D", cyclic=SET_2, impulses=Impulses(peak_db=(35.0, 35.0))),
    "T": Scenario("T", background=Background(NORMAL_DBUV), tones=Tones(count=1, level_db=0.0, on_primary=True)),
    "F": Scenario("F", background=Background(NORMAL_DBUV),
                  attenuation=Attenuation(distance_m=600.0, branches=8, cross_phase=True)),
}  # fmt: skip
"""Quiet; residential; dimmer; tone; far (project choice, 3.6). R: background and periodic noise of equal mean power."""


def scenario(name: str) -> Scenario:
    """A scenario by its letter, or from a file (a name that ends in ``.toml``). Raises ConfigError."""
    if name in SCENARIOS:
        return SCENARIOS[name]
    if name.endswith(".toml"):
        return load_scenario(name)
    raise ConfigError(f"there is no scenario {name!r}", hint=f"{', '.join(SCENARIOS)}, or the name of a .toml file")


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario file. Raises ConfigError with file, line and hint."""
    try:
        content = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="a text file in UTF-8") from error
    return scenario_from_text(content, str(path))


def scenario_from_text(content: str, where: str = "scenario") -> Scenario:
    """A scenario from the text of a file. Raises ConfigError with file, line and hint."""
    text = Text(content, where)
    text.only({"base", "name", "mains_hz", "signal_dbuv", *PARTS})
    base = text.values.get("base", "Q")
    if not isinstance(base, str) or base not in SCENARIOS:
        raise text.error(f"there is no scenario {base!r}", key="base", hint=f"one of {', '.join(SCENARIOS)}")
    found = SCENARIOS[base]
    changes: dict[str, Any] = {}
    for name, cls in PARTS.items():
        if name not in text.values:
            continue
        if text.values[name] is False:
            changes[name] = None
            continue
        begin = getattr(found, name)
        values = {} if begin is None else {each.name: getattr(begin, each.name) for each in dataclasses.fields(begin)}
        given = text.table(name)
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        changes[name] = text.read(cls, plain | given, table=name)
    top = {key: text.values[key] for key in ("name", "mains_hz", "signal_dbuv") if key in text.values}
    plain_top = text.read(Scenario, {"name": base, "mains_hz": found.mains_hz, "signal_dbuv": found.signal_dbuv} | top)
    return dataclasses.replace(
        found, name=plain_top.name, mains_hz=plain_top.mains_hz, signal_dbuv=plain_top.signal_dbuv, **changes
    )
