"""EP26 Decrements unread entries of ET36 logs (name not given) (mentioned only)."""

from __future__ import annotations

from osgp.tables.table import Procedure

__all__ = ["EP26"]


class EP26(Procedure):
    """Decrements unread entries of ET36 logs (name not given)."""

    number = 2074
    title = "Decrements unread entries of ET36 logs (name not given)"
    source = "mentioned only"
    status = "unverified"
    defined = False
    notes = ("Clears the log alarm when no unread entries remain.",)
