"""Firmware versions of OSGP meters and which of them have a field.

Versions are major.two-digit minor (4.0 is 4.00, 4.1 is 4.10). ``Since("3.50")``: from there on. ``Since("2.12", "3.01")``:
from 3.01 on, and from 2.12 within its own branch (same major number and tens of the minor). Source: ``spec/tables.md``,
from the notes of both guides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from osgp.wire.errors import ConfigError

__all__ = ["Firmware", "Since"]


@dataclass(frozen=True, slots=True, order=True)
class Firmware:
    """A firmware version; ``modules`` says that it counts control-point or OSGP modules, not meters."""

    major: int
    minor: int
    modules: bool = False

    @classmethod
    def parse(cls, text: str, *, modules: bool = False) -> Firmware:
        """From "4.10" or "4.1". ConfigError for anything else."""
        found = re.fullmatch(r"v?(\d{1,2})\.(\d{1,2})(?:\..*)?", text.strip())
        if not found:
            raise ConfigError(f"{text!r} is not a firmware version", hint="give it as major.minor, for example 4.10")
        minor = int(found[2]) * (10 if len(found[2]) == 1 else 1)
        return cls(int(found[1]), minor, modules)

    @classmethod
    def of_bt01(cls, word: int) -> Firmware:
        """From the version word of BT01 (most significant byte first): bits 15–12 major, 11–5 minor, 4–0 build."""
        return cls(word >> 12 & 0xF, word >> 5 & 0x7F)

    @property
    def generation_4(self) -> bool:
        """Firmware 4.0 and higher: the guides' second offset column."""
        return self.major >= 4 and not self.modules

    def __str__(self) -> str:
        return f"{self.major}.{self.minor:02d}"


class Since:
    """The firmware versions from which a field exists."""

    __slots__ = ("modules", "versions")

    def __init__(self, *versions: str, modules: str = "") -> None:
        self.versions = tuple(Firmware.parse(version) for version in versions)
        self.modules = Firmware.parse(modules, modules=True) if modules else None

    def covers(self, firmware: Firmware | None) -> bool:
        """Whether that firmware has the field; an unknown firmware is taken as the newest."""
        if firmware is None:
            return True
        if firmware.modules:
            return self.modules is not None and (firmware.major, firmware.minor) >= (
                self.modules.major,
                self.modules.minor,
            )
        for early in self.versions[:-1]:
            same_branch = firmware.major == early.major and firmware.minor // 10 == early.minor // 10
            if same_branch and firmware.minor >= early.minor:
                return True
        last = self.versions[-1] if self.versions else Firmware(0, 0)
        return (firmware.major, firmware.minor) >= (last.major, last.minor)

    def __str__(self) -> str:
        text = "fw " + ", ".join(map(str, self.versions))
        return f"{text}, modules {self.modules}" if self.modules else text

    def __repr__(self) -> str:
        return f"Since({str(self)!r})"
