"""EP62 (cited by ET54 for the transaction lock; EP61 is the documented one) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP62"]


class EP62(Procedure):
    """(cited by ET54 for the transaction lock; EP61 is the documented one)."""

    number = 2110
    title = "(cited by ET54 for the transaction lock; EP61 is the documented one)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Probably a misprint of EP61 (unverified).",)
