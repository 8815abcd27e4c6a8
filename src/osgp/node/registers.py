"""Energy registers: one exact counter for each flow, and everything that is shown is derived from it.

A tier register grows by the whole watt-hours that the total grew by while its tier was active, so that the tiers' sum is
always the total's growth, as with a pulse counter that is switched between two dials (project choice). Demand is the mean
power of a demand interval (block), its maximum kept for the total and for each tier (MEP guide p. 207).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from osgp.node.energy import FLOWS, PER_WH

__all__ = ["COUNTED", "Demand", "Registers"]

COUNTED = (0, 1, 2, 3, 6, 7, 108, 109, 110, 111, 245, 246, 247, 248)
"""Source IDs with energy; 245–248 stand for apparent energy of Q1–Q4, whose IDs the guides do not list (project choice)."""


@dataclass(slots=True)
class Demand:
    """One demand register of one block: the maximum, its local moment, and the sums over past resets."""

    value: int = 0
    at: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    cumulative: int = 0
    coincident: list[int] = field(default_factory=list)


class Registers:
    """``tiers`` registers beside the total. ``start``: what the ten flows showed when the meter was made, in Wh."""

    def __init__(self, tiers: int, start: tuple[int, ...] = (), demands: int = 0) -> None:
        base = tuple(start) + (0,) * (len(FLOWS) - len(start))
        self.flow = [each * PER_WH for each in base]
        self.tier = 0
        self.since = self.counts()
        self.tier_counts: list[dict[int, int]] = [dict.fromkeys(COUNTED, 0) for _ in range(tiers)]
        self.tier_counts[0].update(self.since)
        self.demands = [[Demand() for _ in range(demands)] for _ in range(tiers + 1)]
        self.demand_flow = list(self.flow)
        self.present = [0] * demands
        self.previous = [0] * demands
        self.resets = 0

    def add(self, amounts: tuple[int, ...]) -> None:
        """Energy has flowed."""
        self.flow = [a + b for a, b in zip(self.flow, amounts)]

    def counts(self) -> dict[int, int]:
        """Whole Wh (varh, VAh) by source ID."""
        imported, exported, q1, q2, q3, q4, s1, s2, s3, s4 = self.flow
        return {
            0: imported // PER_WH,
            1: exported // PER_WH,
            2: (q1 + q2) // PER_WH,
            3: (q3 + q4) // PER_WH,
            6: (imported + exported) // PER_WH,
            7: max(0, imported - exported) // PER_WH,
            108: q1 // PER_WH,
            109: q2 // PER_WH,
            110: q3 // PER_WH,
            111: q4 // PER_WH,
            245: s1 // PER_WH,
            246: s2 // PER_WH,
            247: s3 // PER_WH,
            248: s4 // PER_WH,
        }

    def tier_count(self, tier: int) -> dict[int, int]:
        """Whole Wh by source ID of one tier, up to now."""
        kept = self.tier_counts[tier]
        if tier != self.tier:
            return kept
        now = self.counts()
        return {source: kept[source] + now[source] - self.since[source] for source in COUNTED}

    def switch(self, tier: int) -> None:
        """Another tier is active from now on."""
        self.tier_counts[self.tier] = self.tier_count(self.tier)
        self.since = self.counts()
        self.tier = min(tier, len(self.tier_counts) - 1)

    # --- demand

    def _power(self, source: int, seconds: float) -> int:
        index = {8: (0,), 9: (1,), 10: (2, 3), 11: (4, 5), 20: (6, 7, 8, 9)}.get(source, ())
        moved = sum(self.flow[each] - self.demand_flow[each] for each in index)
        return int(moved / (1_000_000 * seconds)) if seconds > 0 else 0

    def present_demand(self, sources: list[int], seconds: float) -> list[int]:
        """Mean power since the demand interval began, as if it ended now after ``seconds`` of its length."""
        return [self._power(source, seconds) for source in sources]

    def end_demand(
        self, sources: list[int], coincident: list[tuple[int, int]], seconds: float, at: tuple[int, int, int, int, int]
    ) -> None:
        """A demand interval of ``seconds`` ends at the local moment ``at``; ``coincident``: (source, demand index)."""
        self.previous = values = self.present_demand(sources, seconds)
        for block in (self.demands[0], self.demands[1 + self.tier]):
            for index, value in enumerate(values):
                one = block[index]
                if value > one.value:
                    one.value, one.at = value, at
                    one.coincident = [self._power(source, seconds) for source, of in coincident if of == index]

    def reset_demand(self) -> None:
        """Maxima go to the cumulative demands and begin anew."""
        for block in self.demands:
            for one in block:
                one.cumulative += one.value
                one.value, one.at, one.coincident = 0, (0, 0, 0, 0, 0), []
        self.resets = (self.resets + 1) & 0xFF

    def to_json(self) -> dict[str, Any]:
        """For a saved meter."""
        return {
            "flow": self.flow,
            "tier": self.tier,
            "since": list(self.since.values()),
            "tier_counts": [list(each.values()) for each in self.tier_counts],
            "demands": [[[d.value, list(d.at), d.cumulative, d.coincident] for d in block] for block in self.demands],
            "demand_flow": self.demand_flow,
            "previous": self.previous,
            "resets": self.resets,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``."""
        self.flow = list(saved["flow"])
        self.tier = saved["tier"]
        self.since = dict(zip(COUNTED, saved["since"]))
        self.tier_counts = [dict(zip(COUNTED, each)) for each in saved["tier_counts"]]
        self.demands = [
            [Demand(value, (at[0], at[1], at[2], at[3], at[4]), total, list(coin)) for value, at, total, coin in block]
            for block in saved["demands"]
        ]
        self.demand_flow = list(saved["demand_flow"])
        self.previous = list(saved["previous"])
        self.resets = saved["resets"]
