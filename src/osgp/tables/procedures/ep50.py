"""EP50 External measurement update (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP50"]


class EP50(Procedure):
    """External measurement update (name not given)."""

    number = 2098
    title = "External measurement update (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Host meters pass power, energy, current and feedback data to modules.",)
