"""``Part``: what a kind of device has beyond a plain meter: a contactor with locks, prepayment, an inverter's limit. Project choice.

A part is made by ``Meter`` over its image, asked when it wants to be woken on the meter's clock, told of supply, clock and switches,
and saved with the meter. Its procedures stand beside those of the meter, or in their place.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from osgp.wire import LTime
from osgp.wire.errors import BadValue

if TYPE_CHECKING:
    from osgp.node.meter import Meter
    from osgp.node.osgp_tables import ContactorState
    from osgp.node.server import Handler

__all__ = ["Part", "find", "moment_of"]

P = TypeVar("P", bound="Part")


class Part:
    """Does nothing. ``due``: when to call ``work``, seconds of the meter's clock (UTC), whole ones; infinity for never."""

    name: ClassVar[str] = ""
    procedures: ClassVar[tuple[int, ...]] = ()
    """Numbers of what ``handlers`` brings."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.due = math.inf

    def handlers(self) -> dict[int, Handler]:
        """Procedures by number."""
        return {}

    def plan(self, shown: float) -> None:
        """Find ``due`` anew: the clock was set, or the supply is back."""

    def work(self, due: int) -> None:
        """``due`` has come."""

    def supplied(self, shown: float) -> None:
        """The supply is back."""
        self.plan(shown)

    def switched(self, closed: bool) -> None:
        """The load disconnect has opened or closed, whoever did it."""

    @property
    def holds_open(self) -> bool:
        """Whether the load disconnect must not be closed."""
        return False

    def button_pressed(self) -> None:
        """The customer wants the load disconnect closed."""

    def tell_contactor(self, state: ContactorState) -> None:
        """What this part has to say in UT21."""

    def refresh(self, number: int) -> None:
        """A table is about to be read."""

    def to_json(self) -> Any:
        """For a saved meter."""
        return None

    def restore(self, saved: Any) -> None:
        """The inverse of ``to_json``."""


def moment_of(stamp: LTime | None) -> float:
    """A moment in a procedure's parameters, UTC seconds; infinity for none and for zeros. Raises BadValue for no date."""
    if stamp is None or not any(bytes(stamp)):
        return math.inf
    moment = stamp.datetime()
    if moment is None:
        raise BadValue("a moment that is no date", floor="node", field="LTIME_DATE")
    return moment.timestamp()


def find(meter: Meter, kind: type[P]) -> P | None:
    """A meter's part of that class, None if it has none."""
    return next((each for each in meter.parts if isinstance(each, kind)), None)
