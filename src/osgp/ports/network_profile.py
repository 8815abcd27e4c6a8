"""The numbers of a network that differs from ours: an ``OsgpProfile`` out of a file (``osgp.app.profile``). Project choice."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from osgp.app.profile import OsgpProfile
from osgp.wire.errors import ConfigError, StoreError

__all__ = ["VARIABLE", "read_profile"]

VARIABLE = "OSGP_PROFILE"
"""Environment variable that names the file where nothing else does."""


def read_profile(path: str | Path | None = None, *, environ: Mapping[str, str] = os.environ) -> OsgpProfile:
    """The profile of a TOML file; of the one that the environment names without a path; else ours.

    Raises StoreError if the file cannot be read, ConfigError for what it says, with its name.
    """
    place = path or environ.get(VARIABLE, "")
    if not place:
        return OsgpProfile()
    try:
        text = Path(place).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StoreError(
            f"the profile {place} cannot be read: {reason}", hint="a TOML text with the numbers that differ"
        ) from error
    try:
        return OsgpProfile.from_toml(text)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error.message}", hint=error.hint) from error
