"""A stored table, explained."""

from __future__ import annotations

from osgp.headend.store import DeviceRecord, RawRecord, Store
from osgp.tables.table import PENDING, table_name
from osgp.web.device.service import DeviceService
from osgp.web.errors import Problem
from osgp.web.raw.explaining import Explainer
from osgp.web.raw.models import Explained, Read

__all__ = ["RawService"]


class RawService:
    """Explains what was read. Raises Problem (404) for what was not."""

    def __init__(self, store: Store, devices: DeviceService) -> None:
        self.store = store
        self.devices = devices
        self._explainer = Explainer()

    def reads(self, device: DeviceRecord, table: int) -> list[RawRecord]:
        """Whole reads of a table, newest first."""
        return [each for each in self.store.raw(device.name, table, last=30) if each.whole]

    def explain(self, number: int, table: int, start: int | None = None, read: int | None = None) -> Explained:
        """A window of a table of device ``number`` from byte ``start``. ``read``: which one (default: the newest)."""
        device = self.devices.device(number)
        reads = self.reads(device, table)
        chosen = next((each for each in reads if read is None or each.id == read), None)
        if chosen is None:
            which = table_name(table) if 0 <= table < 2 * PENDING else f"table {table}"
            raise Problem(
                404,
                "no_such_read",
                f"{device.name} has no whole read of {which}"
                + (f" with the number {read}" if read is not None else ""),
                hint="the device page lists the tables that were read",
            )
        found = Read(chosen.id, table, chosen.time, chosen.wall, chosen.door, True, ((0, chosen.content),))
        return self._explainer.explain(found, device.dimensions, start)
