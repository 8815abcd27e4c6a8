"""How many forged alerts a concentrator looks at: so many from one address, so many more in all. Project choice.

An alert names its sender only by the address that it comes from, and everybody can send from any address. To know a forged one, the
key of each device behind that address is tried. So each address has a few failures of its own, which come back with time, and all
share some more. Whoever forges in the name of one address can use up its own and the shared ones, but not those of other addresses,
and an alert that is good takes nothing. What is not looked at is not lost: the entry in the device's log waits for the next scan.
"""

from __future__ import annotations

from dataclasses import dataclass

from osgp.lon.address import SubnetNode

__all__ = ["AlertGate"]

_OWN, _OWN_S = 4.0, 30.0
"""Failures of one address at once, and seconds until one of them is forgotten."""
_SHARED, _SHARED_S = 40.0, 2.0
_MOST_ADDRESSES = 1024


@dataclass(slots=True)
class _Pot:
    """Tokens up to ``most``, one more every ``every_s`` seconds."""

    most: float
    every_s: float
    left: float
    at: float

    def filled(self, now: float) -> float:
        """What is in it now."""
        self.left = min(self.most, self.left + max(0.0, now - self.at) / self.every_s)
        self.at = max(self.at, now)
        return self.left


class AlertGate:
    """See the module. ``unseen``: alerts that were not looked at, as whoever asks counts them."""

    def __init__(self, now: float = 0.0) -> None:
        self.unseen = 0
        self._shared = _Pot(_SHARED, _SHARED_S, _SHARED, now)
        self._own: dict[SubnetNode, _Pot] = {}

    def __len__(self) -> int:
        return len(self._own)

    def is_open(self, source: SubnetNode, now: float) -> bool:
        """Whether an alert from there is looked at now."""
        own = self._own.get(source)
        return own is None or own.filled(now) >= 1.0 or self._shared.filled(now) >= 1.0

    def failed(self, source: SubnetNode, now: float) -> None:
        """An alert from there was forged, recorded or damaged: taken from its own failures first, then from those of all."""
        own = self._own.get(source)
        if own is None:
            self._make_room(now)
            own = self._own[source] = _Pot(_OWN, _OWN_S, _OWN, now)
        pot = own if own.filled(now) >= 1.0 else self._shared
        pot.left = max(0.0, pot.filled(now) - 1.0)

    def _make_room(self, now: float) -> None:
        """Forget addresses that have failed nothing lately; if there are none, the one that failed first."""
        if len(self._own) < _MOST_ADDRESSES:
            return
        for source in [source for source, pot in self._own.items() if pot.filled(now) >= pot.most]:
            del self._own[source]
        if len(self._own) >= _MOST_ADDRESSES:
            del self._own[next(iter(self._own))]
