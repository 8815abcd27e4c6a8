"""Moving the clock little by little (EP16): so many seconds a minute as ET55.DELTA_TIME_INCREMENT says (MEP guide p. 140).

Project choices: 0, and what one step can bring, is done at once; above 16, the end of the range, 16 is taken; the first step is
made when the procedure is called; another call adds to what is left; setting the clock by BP10 ends it. The log shows one pair
of entries, the old time at the first step and the new one at the last.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from osgp.tables.et.et55 import ET55
from osgp.tables.events import NO_USER

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["ClockSteps"]

_MOST_S = 16
_EVERY_S = 60


class ClockSteps:
    """``left``: seconds that the clock has still to be moved by. ``due``: when the next step comes, on the meter's clock."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.left = 0
        self.due = math.inf
        self.user = NO_USER

    def begin(self, delta: int, user: int) -> None:
        """Move the clock by ``delta`` seconds from now on."""
        if not self.left and delta:
            self.meter.log("time_changed_old", user=user)
        self.left += delta
        self.user = user
        self._step()

    def stop(self) -> None:
        """Leave it where it is now."""
        self.left, self.due = 0, math.inf

    def work(self, due: int) -> None:
        """A minute has passed since the last step."""
        del due
        self._step()

    def _step(self) -> None:
        meter, left = self.meter, self.left
        most = min(int(meter.image.get(ET55, "delta_time_increment")) if ET55.number in meter.image else 0, _MOST_S)
        step = left if not most or abs(left) <= most else int(math.copysign(most, left))
        self.left -= step
        if step:
            meter.move_clock(meter.shown + step)
        self.due = math.floor(meter.shown) + _EVERY_S if self.left else math.inf
        if step and not self.left:
            meter.log("time_changed_new", user=self.user)

    def to_json(self) -> list[Any]:
        """For a saved meter."""
        return [self.left, None if self.due == math.inf else self.due, self.user]

    def restore(self, saved: list[Any]) -> None:
        """The inverse of ``to_json``."""
        self.left, due, self.user = saved
        self.due = math.inf if due is None else due
