"""The unit in which a device counts energy: 1, 10 or 100 Wh (ET55.ENERGY_REG_UNIT, MEP guide p. 148, BT23 p. 207)."""

from __future__ import annotations

from typing import Protocol

from osgp.tables.access import TableAccess
from osgp.tables.bt.bt01 import BT01
from osgp.tables.bt.bt20 import BT20
from osgp.tables.et.et55 import ET55
from osgp.tables.table import Table
from osgp.wire import Context, layout_of
from osgp.wire.errors import ConfigError, DecodeError, ResponseError

__all__ = ["ENERGY_UNIT", "KnowsTables", "energy_unit_in", "read_energy_unit"]

ENERGY_UNIT = "energy_reg_unit"
"""The named value of a context (``Context.env``) that holds the unit once it is known."""


class KnowsTables(Protocol):
    """What readers of this package need of a device: its tables, and what its dimensions are."""

    @property
    def access(self) -> TableAccess: ...

    async def knows(self, *declared: type[Table]) -> Context:
        """A context in which these tables are known."""
        ...


def energy_unit_in(context: Context) -> int:
    """Wh (varh, VAh) per count as far as the context tells: 1 where it does not."""
    unit = context.env.get(ENERGY_UNIT, 0)
    if not unit and ET55 in context.raw:
        try:
            unit = context.table(ET55).energy_reg_unit
        except DecodeError:
            unit = 0
    return unit if unit in (1, 10, 100) else 1


async def read_energy_unit(device: KnowsTables) -> int:
    """Read the one byte. 1 where the firmware has no such field (before 3.70) or the key may not read it."""
    try:
        context = await device.knows(BT01)
        if ENERGY_UNIT in context.env or ET55 in context.raw:
            return energy_unit_in(context)
        since = ET55.specs["energy_reg_unit"].since
        if since is not None and not since.covers(context.firmware):
            return 1
        context = await device.knows(BT20)
        span = layout_of(ET55, context).span("energy_reg_unit")
        unit = (await device.access.read_part(ET55.number, span.offset, 1))[0]
    except (ResponseError, ConfigError, DecodeError):
        return 1
    return unit if unit in (1, 10, 100) else 1
