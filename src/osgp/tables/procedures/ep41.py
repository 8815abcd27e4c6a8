"""EP41 MEP download start (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP41"]


class EP41(Procedure):
    """MEP download start (name not given)."""

    number = 2089
    title = "MEP download start (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Creates ET15 request type 7.",)
