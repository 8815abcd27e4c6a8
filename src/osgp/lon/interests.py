"""Whom a node listens to, as a carrier that serves many nodes wants to know it: an index instead of a question per packet.

ISO/IEC 14908-1, network layer; ``spec/iso14908-1.md`` 2.3 are the rules that the index anticipates. The form is a project choice. The
index may hand a node more than it takes, never less: the network layer still decides.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Interests"]


class Interests(NamedTuple):
    """What can be for one node.

    ``memberships``: (domain, subnet, node) of each domain entry in use; domain of 0, 1, 3 or 6 bytes. A node without any (an
    unconfigured one) hears broadcasts of every domain. ``groups``: (domain, group) of each group joined. ``unique_node_id``: six
    bytes, heard in any domain; empty for a listener that has none. ``promiscuous``: everything, as a monitor or router wants it.
    ``revision``: another number whenever one of the others changes.
    """

    memberships: tuple[tuple[bytes, int, int], ...] = ()
    groups: tuple[tuple[bytes, int], ...] = ()
    unique_node_id: bytes = b""
    promiscuous: bool = False
    revision: int = 0
