"""A message as the transport hands it up, and what the layer above makes of it.

ISO/IEC 14908-1, application layer; the two tuples are a project choice: they keep diagnostics, management and the proxy free of
transactions, timers and address formats.
"""

from __future__ import annotations

from typing import NamedTuple

from osgp.lon.address import Destination, SubnetNode

__all__ = ["NULL", "SILENT", "Indication", "Outcome"]


class Indication(NamedTuple):
    """A message for this node, without the headers that brought it.

    ``source``: the sender's subnet/node in ``domain``. ``domain``: the identifier, 0, 1, 3 or 6 bytes. ``domain_index``: our entry
    of the domain table for it; None on the flex domain, where we have none. ``destination``: as the sender wrote it.
    ``service``: see ``ltep.Service``. ``authenticated``: it passed authentication. ``reply``: the transport's handle for the answer
    when the service is REQUEST, else None. ``transaction``: its transaction number (0 without one).
    """

    source: SubnetNode
    domain: bytes
    domain_index: int | None
    destination: Destination
    service: int
    priority: bool
    alternate_path: bool
    authenticated: bool
    apdu: bytes
    reply: int | None = None
    transaction: int = 0


class Outcome(NamedTuple):
    """What became of an indication.

    ``response``: the APDU to answer with, None without one. ``null``: the request is to be closed without sending anything (a
    null response). ``forward``: not served here; it belongs to the classic proxy, the application or whoever else knows it.
    ``flex``: answer as if the node were no member of the domain, from source 0/0 (query status, flex domain).
    """

    response: bytes | None = None
    null: bool = False
    forward: bool = False
    flex: bool = False


SILENT = Outcome()
"""Served; nothing to answer, because nothing was asked."""
NULL = Outcome(null=True)
"""Served; a request is to be closed without an answer."""
