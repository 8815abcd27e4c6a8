"""A cold start: while devices wait to be found and read for the first time, the line is theirs.

In the long run patient exchanges take 60 % of the line at most and discovery 5 % (``spec/osgp-application.md`` 3.10), because devices
must find room for alerts, and because what is late today comes tomorrow. At the beginning there is nobody to make room for: until each
device that is up has been read once and has asked around once, patient exchanges may take ``LINE_SHARE`` of the line and probes
``PROBE_SHARE``, in the first ``MOST_S`` after a start and ``EACH_S`` more for each device that is known.

The same share of the line is for reading whenever that is late: registers or load profiles of a device that answers have been due for
``LATE_S``. Otherwise a line that could carry all readings of a large street would fall behind more with each day. An alert waits for
the end of one frame in either case: whoever wants to send draws a slot as we do. Project choice.
"""

from __future__ import annotations

from osgp.concentrator.core import Concentrator
from osgp.concentrator.discovery import Discovery
from osgp.concentrator.topology import NodeState

__all__ = ["EACH_S", "LATE_S", "LINE_SHARE", "MOST_S", "PROBE_SHARE", "ColdStart"]

LINE_SHARE = 0.97
PROBE_SHARE = 0.2
MOST_S = 6 * 3600.0
"""A device that never lets itself be read does not keep the line for ever ..."""
EACH_S = 60.0
"""... but one device takes up to a minute over many legs, so that hundreds of them need longer."""
LATE_S = 3600.0
_LOOK_S = 10.0
_DAY_S = 86400.0


class ColdStart:
    """Sets the shares of a concentrator's airtime accounts. ``look``: whenever something may have changed. Whoever was read before a
    restart does not wait: then the start is none. ``is_on``: it is a cold start; ``is_late``: readings are late."""

    def __init__(self, concentrator: Concentrator, discovery: Discovery) -> None:
        self.concentrator = concentrator
        self.discovery = discovery
        self.is_on = self.is_late = False
        self._begun = concentrator.now
        self._next = concentrator.now
        self._read: set[int] = set()
        self._day = self._looked = concentrator.now
        self._hurries, self._hurried_s = False, 0.0

    def look(self, now: float) -> None:
        """Whether anybody waits. Raises StoreError."""
        if now < self._next:
            return
        self._next = now + _LOOK_S
        until = self._begun + MOST_S + EACH_S * len(self.discovery.topology.nodes)
        self.is_late = self.concentrator.schedule.is_late(now, LATE_S)
        self._set(now < until and self._waits())

    def hurry_probes(self, is_busy: bool, now: float) -> None:
        """Whether the map has gaps that are being closed: then probes may take ``PROBE_SHARE`` as well, each day for as long as a cold
        start may last. A street whose links are all poor has gaps for ever."""
        if now >= self._day + _DAY_S:
            self._day, self._hurried_s = now, 0.0
        elif self._hurries:
            self._hurried_s += now - self._looked
        self._looked = now
        self._hurries = is_busy and not self.is_on and self._hurried_s < self._most_s()
        share = self.discovery.policy.share
        self.discovery.budget.share = max(share, PROBE_SHARE) if self.is_on or self._hurries else share

    def _most_s(self) -> float:
        return MOST_S + EACH_S * len(self.discovery.topology.placed())

    def _waits(self) -> bool:
        """Whether a device in care has never been read, or somebody has not asked around."""
        topology = self.discovery.topology
        up = [node for node in topology.placed() if node.state is NodeState.UP]
        if not topology.is_static:
            asked = [topology.root_asked_at, *(node.asked_at for node in up)]
            if not all(False in times for times in asked):
                return True
        return any(not self._was_read(node.device) for node in up)

    def _was_read(self, device: int) -> bool:
        if device not in self._read and self.concentrator.journal.mark(device, "billing") is not None:
            self._read.add(device)
        return device in self._read

    def _set(self, is_on: bool) -> None:
        self.is_on = is_on
        config = self.concentrator.config
        whole = is_on or self.is_late
        self.concentrator.account.share = max(config.airtime_share, LINE_SHARE) if whole else config.airtime_share
