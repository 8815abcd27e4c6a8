"""A meter's whole state as JSON, and back."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from osgp.node.clockwork import Clockwork
from osgp.node.tariff import TariffState
from osgp.tables.image import Image

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["restore", "save"]

_FORM = 2


def save(meter: Meter) -> dict[str, Any]:
    """Everything, so that ``restore`` goes on as if nothing had been."""
    return {
        "form": _FORM,
        "model": meter.model.name,
        "serial": meter.serial,
        "seed": meter.seed,
        "firmware": str(meter.firmware),
        "at": meter.at,
        "powered": meter.powered,
        "off_since": meter.off_since,
        "outages": [meter.outages, meter.outage_s, meter.errors],
        "clock": meter.clock.to_json(),
        "image": meter.image.to_json(),
        "registers": meter.registers.to_json(),
        "profiles": [one.to_json() for one in meter.profiles],
        "pending": meter.pending.to_json(),
        "transactions": meter.server.transactions.to_json(),
        "relays": meter.relays.to_json(),
        "override": meter.override.to_json(),
        "mbus": meter.mbus.to_json(),
        "mep": meter.mep.to_json(),
        "demand": meter.demand.to_json(),
        "averages": meter.averages.to_json(),
        "clock_steps": meter.clock_steps.to_json(),
        "quality": meter.quality.to_json(),
        "parts": {each.name: each.to_json() for each in meter.parts},
        "next": [meter.next_interval, meter.next_change],
        "tariff": list(astuple(meter.tariff)),
    }


def restore(meter: Meter, saved: dict[str, Any]) -> None:
    """The inverse of ``save``, into a meter made with the same arguments. State of form 1 (before demand intervals could be
    set) is taken, too."""
    image = Image.from_json(saved["image"])
    for number in image:
        meter.image.put(number, image.read(number))
    meter.at, meter.powered, meter.off_since = saved["at"], saved["powered"], saved["off_since"]
    meter.outages, meter.outage_s, meter.errors = saved["outages"]
    meter.clock = Clockwork.from_json(saved["clock"])
    meter.wire()
    meter.registers.restore(saved["registers"])
    for one, state in zip(meter.profiles, saved["profiles"]):
        one.restore(state)
    meter.pending.restore(saved["pending"])
    meter.server.transactions.restore(saved["transactions"])
    meter.relays.restore(saved["relays"])
    meter.override.restore(saved["override"])
    meter.mbus.restore(saved["mbus"])
    meter.mep.restore(saved["mep"])
    following = saved["next"]
    meter.next_interval, meter.next_change = list(following[0]), following[-1]
    if saved["form"] >= _FORM:
        meter.demand.restore(saved["demand"])
        meter.averages.restore(saved["averages"])
        meter.clock_steps.restore(saved["clock_steps"])
        meter.quality.restore(saved["quality"])
    else:
        meter.demand.due, meter.demand.began = following[1], following[2]
        meter.averages.flow_changed()
    for part in meter.parts:
        if part.name in saved.get("parts", {}):
            part.restore(saved["parts"][part.name])
    meter.tariff = TariffState(*saved["tariff"])
    meter.relay_calendar.plan(meter.shown)
    meter.plan_pending()
