"""A run in figures, as plain data: what ``report.json`` and ``--json`` hold. Project choice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from osgp.street.cold_start import cold_start

if TYPE_CHECKING:
    from osgp.street.observed import Legs
    from osgp.street.run import StreetRun

__all__ = ["quantile", "summary"]

FORM = 1


def quantile(values: list[float], share: float) -> float | None:
    """The value below which a share of them lies; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(run: StreetRun) -> dict[str, Any]:
    """The figures of a run that is over. Raises StoreError."""
    seen, plan = run.observed, run.plan
    last = seen.samples[-1]
    ways = run.ways()
    return {
        "form": FORM,
        "name": plan.name,
        "seed": plan.seed,
        "hours": plan.hours,
        "start": plan.start.isoformat(),
        "devices": len(run.devices),
        "kinds": dict(sorted(Counter(house.kind for house in plan.houses).items())),
        "up": run.up(),
        "out_of_reach": run.out_of_reach(),
        "legacy": list(run.plan.legacy),
        "all_up_s": seen.all_up_s,
        "first_billing_s": seen.first_billing_s,
        "cold_start": _cold_start(run),
        "share_at_end": run.share_at_end,
        "settled_s": run.settled_s,
        "truth": run.truth().to_json(),
        "line": {
            "airtime": last.busy_s / last.at_s if last.at_s else 0.0,
            "busy_s": last.busy_s,
            "sent": last.sent,
            "collisions": last.collisions,
            "lost": last.lost,
            "exchanges": last.exchanges,
            "retries": sum(row.retries for row in seen.legs.values()),
            "by_class_s": {name: round(value, 3) for name, value in sorted(last.by_class.items())},
        },
        "reading": None if run.airtime.day is None else run.airtime.day.to_json(),
        "by_legs": [{"legs": legs, **_legs(seen.legs[legs])} for legs in sorted(seen.legs)],
        "delay_s": {f"{share:g}": quantile([delay for _, delay in seen.delays], share) for share in (0.5, 0.95, 1.0)},
        "ways": {house: list(way) for house, way in sorted(ways.items())},
        "phases": {house: {"grid": grid, "found": found} for house, (grid, found) in sorted(run.phases().items())},
        "visits": {"ended": seen.visits, "broken_off": seen.broken_visits, "silent": seen.silent},
        "alarms": dict(sorted(seen.alarms.items())),
        "starts_of_the_concentrator": run.lives,
        "faults": [each.to_json() for each in run.troubles.all],
        "jobs": run.orders.told(),
        "firmware": [each.to_json() for each in run.upgrades.all],
        "refused_by_devices": dict(sorted(sum((device.node.refused for device in run.devices), Counter()).items())),
        "journal": run.journal.counts(),
        "samples": [
            {"at_s": each.at_s, "up": each.up, "busy_s": round(each.busy_s, 3), "collisions": each.collisions}
            for each in seen.samples
        ],
    }


def _cold_start(run: StreetRun) -> dict[str, float | None]:
    """Seconds until everybody had been read once, the least that it takes, and how many times that it was."""
    found = cold_start(run)
    return {
        "took_s": found.took_s,
        "bound_s": round(found.bound_s, 3),
        "ratio": None if found.ratio is None else round(found.ratio, 3),
    }


def _legs(row: Legs) -> dict[str, Any]:
    return {
        "exchanges": row.exchanges,
        "answered": row.answered,
        "retries": row.retries,
        "median_s": quantile(row.seconds, 0.5),
        "p95_s": quantile(row.seconds, 0.95),
    }
