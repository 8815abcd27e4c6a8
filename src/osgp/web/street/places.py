"""Where devices stand on a map without a drawing: rings around the concentrator, one for each leg, everybody behind his repeater."""

from __future__ import annotations

import math
from collections.abc import Mapping

from osgp.web.street.models import CENTRE

__all__ = ["rings"]

_RING = 130.0
_ROOM = 34.0


def rings(ways: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[float, float]]:
    """A place for each device and the concentrator, in units of a pixel. Those without a way stand on the outermost ring.

    Each subtree gets a sector as wide as it has leaves. The rings are as far apart as the fullest of them needs.
    """
    below: dict[str, list[str]] = {CENTRE: []}
    for name, way in sorted(ways.items()):
        before = way[-2] if len(way) > 1 else CENTRE
        below.setdefault(before if way and before in ways else CENTRE, []).append(name)
    leaves = _leaves(below)
    deepest = max((len(way) for way in ways.values()), default=1)
    count = [0] * (deepest + 2)
    for way in ways.values():
        count[len(way) or deepest + 1] += 1
    step = max([_RING, *(_ROOM * n / (2 * math.pi * ring) for ring, n in enumerate(count) if ring)])
    places = {CENTRE: (0.0, 0.0)}
    pending = [(CENTRE, 0.0, 2 * math.pi)]
    while pending:
        name, begin, end = pending.pop()
        share = (end - begin) / max(1, leaves[name])
        for child in below.get(name, []):
            if child in places:
                continue
            width = share * leaves[child]
            ring = len(ways[child]) or deepest + 1
            angle = begin + width / 2
            places[child] = (round(ring * step * math.cos(angle), 1), round(ring * step * math.sin(angle), 1))
            pending.append((child, begin, begin + width))
            begin += width
    for name in ways:  # in a circle of ways that do not begin at the concentrator
        places.setdefault(name, (0.0, (deepest + 1) * step))
    return places


def _leaves(below: Mapping[str, list[str]]) -> dict[str, int]:
    """How many ends hang below each node, itself if there are none."""
    order, seen = [CENTRE], {CENTRE}
    for name in order:
        for child in below.get(name, []):
            if child not in seen:
                seen.add(child)
                order.append(child)
    found: dict[str, int] = {}
    for name in reversed(order):
        found[name] = max(1, sum(found.get(child, 0) for child in below.get(name, [])))
    return found
