"""``osgp phy profile``: every constant of the power line, each with how sure it is."""

from __future__ import annotations

import dataclasses
import sys

from osgp.cli.output import print_json
from osgp.cli.phy.options import Json, ProfileOption, chosen_profile
from osgp.plc.params import PROVENANCE

__all__ = ["profile"]


def profile(*, profile: ProfileOption = None, json: Json = False) -> None:
    """Print a profile of the power line as a file: every constant, how sure it is, and where it comes from."""
    chosen = chosen_profile(profile)
    if not json:
        sys.stdout.write(chosen.to_toml())
        return
    print_json(
        {
            each.name: {
                "value": getattr(chosen, each.name),
                "status": PROVENANCE[each.name][0],
                "source": PROVENANCE[each.name][1],
            }
            for each in dataclasses.fields(chosen)
        }
    )
