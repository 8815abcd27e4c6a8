"""What `osgp demo` collects from its street, and what the pages may know of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from osgp.headend.collect import Collector, StepStored, Summary, VisitEnded, VisitRetried, VisitStarted
from osgp.headend.config import DEFAULT_MEASUREMENTS, CollectConfig, Collection, DeviceConfig
from osgp.headend.demo import DemoStreet, ServedMeter
from osgp.headend.store import Store
from osgp.node.device import Device
from osgp.ports import opening
from osgp.ports.address import parse_address

__all__ = ["DemoCollection"]

_MEASUREMENTS = (
    *DEFAULT_MEASUREMENTS,
    "model",
    "power_factor_l2",
    "power_factor_l3",
    "active_tariff",
    *(f"fwd_active_energy_t{tariff}" for tariff in range(1, 5)),
    "relay_state",
    "mbus[3].energy",
    *(f"mbus[{slot}].{fact}" for slot in (1, 2, 3) for fact in ("serial_number", "manufacturer", "medium")),
)
_SHORT = ("BT01", "BT03", "BT21", "BT22", "BT52", "BT61")
_LONG = ("BT23", "BT28")
"""Whole tables for the pages to explain. The long ones through the optical port only: they do not fit an MEP message."""


class DemoCollection:
    """The collector over a street. It is also the pages' ``Live``. ``every_s``: seconds between visits to a meter."""

    def __init__(self, store: Store, street: DemoStreet, every_s: float) -> None:
        self.street = street
        self.visits = 0
        self._meters = {meter.name: meter for meter in street.meters}
        self._doing: dict[str, str] = {}
        self._ended: Callable[[int], None] = lambda visits: None
        config = CollectConfig(
            at_once=min(256, len(street.meters)),
            retries=2,
            collection=Collection(
                every=every_s, jitter=every_s / 2, measurements=_MEASUREMENTS, profiles=(1, 2), logs=("BT74",)
            ),
            device=tuple(map(_configured, street.meters)),
        )
        self._collector = Collector(
            config, store, open_device=self._open, wall=street.utc, progress=self._seen, name="osgp demo"
        )

    # --- what the pages ask

    def activity(self) -> Mapping[str, str]:
        """The meters that are being read."""
        return dict(self._doing)

    def now(self) -> float:
        """The time in the street."""
        return self.street.utc()

    def note(self) -> str:
        """What this is."""
        pace = "" if self.street.speed == 1 else f" at {self.street.speed:g}× speed"
        return f"Demo: {len(self._meters)} simulated meters{pace}, {self.visits} visits so far"

    # --- the work

    async def collect(self, ended: Callable[[int], None]) -> Summary:
        """One visit to each meter. ``ended`` is called with how many are over. Raises StoreError."""
        self._ended = ended
        for meter in self.street.meters:  # in their order, which the collector's tasks would not keep
            address = parse_address(meter.address)
            await asyncio.to_thread(
                self._collector.store.add_device, meter.name, address.name, door=address.door, wall=self.now()
            )
        return await self._collector.run_once()

    async def go_on(self, stop: asyncio.Event) -> None:
        """Visit the meters again and again until ``stop`` is set."""
        await self._collector.run_forever(stop)

    @asynccontextmanager
    async def _open(self, device: DeviceConfig, dimensions: dict[int, bytes]) -> AsyncIterator[Device]:
        meter = self._meters[device.name]
        kind = "" if meter.address.startswith("optical") else meter.key_kind
        async with opening.open(
            meter.address, meter.key, key_kind=kind, legacy=meter.legacy, dimensions=dimensions
        ) as opened:
            yield opened

    def _seen(self, event: VisitStarted | VisitRetried | StepStored | VisitEnded) -> None:
        match event:
            case VisitStarted(device):
                self._doing[device] = "being read"
            case VisitRetried(device, attempt):
                self._doing[device] = f"attempt {attempt}"
            case StepStored(device, what):
                self._doing[device] = f"{what} stored"
            case VisitEnded(device):
                self._doing.pop(device, None)
                self.visits += 1
                self._ended(self.visits)


def _configured(meter: ServedMeter) -> DeviceConfig:
    tables = _SHORT + _LONG if meter.address.startswith("optical") else _SHORT
    return DeviceConfig(name=meter.name, address=meter.address, legacy=meter.legacy, tables=tables)
