"""How likely a packet is lost: curves over Ec/N0 by scenario, carrier and length, as data with their provenance.

The curves are counted by ``sim.calibrate`` from real samples (``osgp phy calibrate``) and kept in ``sim/data``; the frame level of
the medium draws from them. All of it is a project choice.

Between the points the *hazard* is used: minus the logarithm of the chance to come through. Hazards of the parts of a packet add up:
over the length the hazard is a straight line between two curves and in proportion beyond the last, and a packet that is
disturbed for a part of its time has a share of each. Over Ec/N0 the logarithm of the hazard runs straight from point to point;
beyond the last point with a loss, and before the last where all were lost, it goes on as steeply as there.

A file is JSON: ``format`` 1, ``provenance`` (free texts and numbers: what counted, by which version, with which seed), and ``curves``,
each with ``scenario``, ``carrier`` (``primary`` or ``secondary``), ``lpdu_bytes`` (without CRC) and ``points``:
``[Ec/N0 in dB, packets, lost]``.
"""

from __future__ import annotations

import itertools
import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from osgp.wire.errors import ConfigError

__all__ = ["CARRIERS", "Curve", "Curves", "Point", "default_curves", "wilson"]

CARRIERS = ("primary", "secondary")
CRC_BYTES = 2
NEVER = 60.0
"""Hazard of what is as good as lost."""
_STEEPEST = 4.0
"""Most by which the logarithm of the hazard is taken to fall in a decibel beyond what was counted."""
_DATA = "per-curves.json"


def wilson(lost: int, packets: int, z: float = 1.96) -> tuple[float, float]:
    """The interval in which the true rate of loss lies, by Wilson; ``z`` 1.96 is 95 %."""
    if packets <= 0:
        return 0.0, 1.0
    share = lost / packets
    scale = 1 + z * z / packets
    centre = (share + z * z / (2 * packets)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / packets + z * z / (4 * packets * packets))
    return (0.0 if lost == 0 else max(0.0, centre - half)), (1.0 if lost == packets else min(1.0, centre + half))


class Point(NamedTuple):
    """What was counted at one Ec/N0."""

    ec_n0_db: float
    packets: int
    lost: int

    @property
    def per(self) -> float:
        """Rate of loss."""
        return self.lost / self.packets

    @property
    def hazard(self) -> float:
        """Minus the logarithm of the chance to come through; half a packet stands for none."""
        return -math.log(max(self.packets - self.lost, 0.5) / self.packets)


@dataclass(frozen=True, slots=True)
class Curve:
    """Loss over Ec/N0 of packets of one length on one carrier in one scenario. Raises ConfigError for points in no order."""

    scenario: str
    carrier: str
    lpdu_bytes: int
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        where = f"curve {self.scenario}/{self.carrier}/{self.lpdu_bytes}"
        if self.carrier not in CARRIERS:
            raise ConfigError(f"{where}: no such carrier", hint="primary or secondary")
        if self.lpdu_bytes < 1 or not self.points:
            raise ConfigError(f"{where}: no length, or no points")
        places = [point.ec_n0_db for point in self.points]
        if any(b <= a for a, b in itertools.pairwise(places)):
            raise ConfigError(f"{where}: the points are not in the order of Ec/N0")
        if not all(
            math.isfinite(point.ec_n0_db) and point.packets > 0 and 0 <= point.lost <= point.packets
            for point in self.points
        ):
            raise ConfigError(f"{where}: a point is [Ec/N0 in dB, packets, lost of them]")

    def hazard(self, ec_n0_db: float) -> float:
        """Hazard of a packet of this length."""
        places, logs = _counted(self.points)
        if not places:
            return 0.0
        if ec_n0_db >= places[-1]:
            # Nothing was lost at the points above; or the last one counted says what remains for ever.
            above = next((point for point in self.points if point.ec_n0_db > places[-1]), None)
            if above is None:
                return math.exp(logs[-1])
            slope = (logs[-2] - logs[-1]) / (places[-1] - places[-2]) if len(places) > 1 else 0.0
            least = (logs[-1] - math.log(0.5 / above.packets)) / (above.ec_n0_db - places[-1])
            slope = min(_STEEPEST, max(slope, least))
            return math.exp(logs[-1] - slope * (ec_n0_db - places[-1]))
        if ec_n0_db <= places[0]:
            slope = (logs[0] - logs[1]) / (places[1] - places[0]) if len(places) > 1 else 0.0
            return min(NEVER, math.exp(min(5.0, logs[0] + max(0.0, slope) * (places[0] - ec_n0_db))))
        right = bisect_right(places, ec_n0_db)
        share = (ec_n0_db - places[right - 1]) / (places[right] - places[right - 1])
        return math.exp(logs[right - 1] + share * (logs[right] - logs[right - 1]))


@cache
def _counted(points: tuple[Point, ...]) -> tuple[list[float], list[float]]:
    """Places and logarithms of the hazards where some were lost, and of the last place below at which all were."""
    some = [point for point in points if 0 < point.lost < point.packets]
    every = [point for point in points if point.lost == point.packets]
    below = [point for point in every if not some or point.ec_n0_db < some[0].ec_n0_db][-1:]
    # A point above the first partial one at which all were lost stays, too: it is no rounding, only a small count.
    above = [point for point in every if some and point.ec_n0_db > some[0].ec_n0_db]
    kept = sorted(below + some + above)
    return [point.ec_n0_db for point in kept], [math.log(point.hazard) for point in kept]


class Curves:
    """All curves of one calibration. Raises ConfigError when there are none."""

    def __init__(self, curves: Sequence[Curve], provenance: Mapping[str, Any] | None = None) -> None:
        if not curves:
            raise ConfigError("there are no curves of packet loss")
        self.curves = tuple(curves)
        self.provenance = dict(provenance or {})
        self._by_place: dict[tuple[str, bool], list[Curve]] = {}
        for curve in sorted(curves, key=lambda each: each.lpdu_bytes):
            place = curve.scenario, curve.carrier == CARRIERS[1]
            self._by_place.setdefault(place, []).append(curve)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenarios there are curves for."""
        return tuple(dict.fromkeys(curve.scenario for curve in self.curves))

    def hazard(self, scenario: str, secondary: bool, ec_n0_db: float, lpdu_bytes: int) -> float:
        """Hazard of a packet with an LPDU of that many bytes. Raises ConfigError for a scenario that was not calibrated."""
        found = self._by_place.get((scenario, secondary))
        if found is None:
            carrier = CARRIERS[secondary]
            raise ConfigError(
                f"there is no curve of packet loss for scenario {scenario} on the {carrier} carrier",
                hint=f"there is one for {', '.join(self.scenarios)}; osgp phy calibrate makes others",
            )
        if not math.isfinite(ec_n0_db):
            return 0.0 if ec_n0_db > 0 else NEVER
        sizes = [curve.lpdu_bytes + CRC_BYTES for curve in found]
        size = lpdu_bytes + CRC_BYTES
        right = bisect_right(sizes, size)
        if right in (0, len(sizes)):
            end = max(0, right - 1)
            return min(NEVER, found[end].hazard(ec_n0_db) * size / sizes[end])
        low, high = found[right - 1].hazard(ec_n0_db), found[right].hazard(ec_n0_db)
        return min(NEVER, low + (high - low) * (size - sizes[right - 1]) / (sizes[right] - sizes[right - 1]))

    def per(self, scenario: str, secondary: bool, ec_n0_db: float, lpdu_bytes: int) -> float:
        """Chance that a packet is lost. Raises as ``hazard``."""
        return -math.expm1(-self.hazard(scenario, secondary, ec_n0_db, lpdu_bytes))

    # ---- files ------------------------------------------------------------------------------------------------------
    def to_json(self) -> dict[str, Any]:
        """The content of a file; the confidence intervals are told along, for people."""
        return {
            "format": 1,
            "provenance": self.provenance,
            "curves": [
                {
                    "scenario": curve.scenario,
                    "carrier": curve.carrier,
                    "lpdu_bytes": curve.lpdu_bytes,
                    "points": [list(point) for point in curve.points],
                    "wilson_95": [[round(end, 6) for end in wilson(p.lost, p.packets)] for p in curve.points],
                }
                for curve in self.curves
            ],
        }

    def to_text(self) -> str:
        """As a file: one curve on a line."""
        content = self.to_json()
        head = {key: content[key] for key in ("format", "provenance")}
        rows = ",\n".join("  " + json.dumps(curve) for curve in content["curves"])
        return json.dumps(head, indent=1)[:-2] + ',\n "curves": [\n' + rows + "\n ]\n}\n"

    @classmethod
    def from_json(cls, content: Any, where: str = "curves") -> Curves:
        """From the content of a file. Raises ConfigError that says where."""
        if not isinstance(content, dict) or content.get("format") != 1:
            raise ConfigError(f"{where}: this is no file of packet loss", hint='a JSON object with "format": 1')
        provenance = content.get("provenance", {})
        if not isinstance(provenance, dict):
            raise ConfigError(f"{where}: the provenance is no JSON object")
        found = []
        for number, row in enumerate(content.get("curves") or []):
            try:
                points = tuple(Point(float(at), int(packets), int(lost)) for at, packets, lost in row["points"])
                found.append(Curve(str(row["scenario"]), str(row["carrier"]), int(row["lpdu_bytes"]), points))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise ConfigError(f"{where}: curve {number} cannot be read: {error!r}") from error
            except ConfigError as error:
                raise ConfigError(f"{where}: {error.message}", hint=error.hint) from error
        try:
            return cls(found, provenance)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.message}") from error

    @classmethod
    def from_file(cls, path: str | Path) -> Curves:
        """Read a file. Raises ConfigError."""
        try:
            content = json.loads(Path(path).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is no JSON: {error}") from error
        return cls.from_json(content, str(path))


@cache
def default_curves() -> Curves:
    """The curves that come with the package, for the profile OSGP-PHY-P1."""
    text = resources.files("osgp.sim").joinpath("data", _DATA).read_text("utf-8")
    return Curves.from_json(json.loads(text), _DATA)
