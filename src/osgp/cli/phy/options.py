"""Options that several commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from osgp.plc.params import C_BAND, OSGP, PhyProfile
from osgp.wire.errors import ConfigError

__all__ = ["CARRIERS", "Json", "ProfileOption", "chosen_profile", "extra", "lpdu_from_hex", "lpdus_from_lines"]

CARRIERS = ("primary", "secondary")
C_BAND_NAME = "c-band"

Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]
ProfileOption = Annotated[
    str | None,
    Parameter(
        name="--profile", help="a profile file (osgp phy profile prints one), or c-band; default: the A band of OSGP"
    ),
]


def chosen_profile(profile: str | None) -> PhyProfile:
    """The profile that an option names. Raises ConfigError."""
    if profile is None:
        return OSGP
    if profile == C_BAND_NAME and not Path(profile).exists():
        return C_BAND
    return PhyProfile.from_file(profile)


@contextmanager
def extra(name: str) -> Iterator[None]:
    """What is imported within comes with an extra. Raises ConfigError when it is missing."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").startswith("osgp"):
            raise
        raise ConfigError(f"this needs the package {error.name}", hint=f"pip install 'osgp[{name}]'") from error


def lpdu_from_hex(text: str, where: str = "") -> bytes:
    """An LPDU out of hexadecimal digits, with or without spaces and colons. Raises ConfigError."""
    compact = "".join(text.replace("0x", "").replace(":", "").split())
    try:
        return bytes.fromhex(compact)
    except ValueError as error:
        raise ConfigError(
            f"{where}{text.strip()[:60]!r} is no LPDU",
            hint="hexadecimal digits, two for each byte: link header and network layer, without CRC; - reads stdin",
        ) from error


def lpdus_from_lines(lines: Iterator[str]) -> Iterator[bytes]:
    """One LPDU in each line; empty lines and what follows # are passed over. Raises ConfigError."""
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0]
        if text.strip():
            yield lpdu_from_hex(text, f"line {number}: ")
