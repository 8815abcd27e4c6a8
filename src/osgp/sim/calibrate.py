"""Curves of packet loss from the waveform level: packets modulated, sent through each line condition, received, and counted.

Project choice; the curves are what ``sim.per`` draws from. Anyone can run it again: the same seed, profile and version count the
same packets. A point is counted until ``errors`` packets are lost or ``packets`` are sent.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import osgp
from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.channel import scenario
from osgp.sim.medium_waveform import heard_alone
from osgp.sim.per import CARRIERS, Curve, Curves, Point
from osgp.sim.reception import ModemReceiver, Receiver
from osgp.wire.errors import ConfigError

__all__ = ["DEFAULT", "Plan", "calibrate"]

_SPOTLESS = 2
"""A curve is continued upwards until so many points in a row lose nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is counted. ``ec_n0_db``: first point, last point, step. ``lpdu_bytes``: lengths without CRC."""

    scenarios: tuple[str, ...] = ("Q", "R", "D", "T", "F")
    lpdu_bytes: tuple[int, ...] = (8, 30, 80)
    ec_n0_db: tuple[float, float, float] = (0.0, 40.0, 1.0)
    packets: int = 1000
    errors: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        first, last, step = self.ec_n0_db
        if not (first < last and step > 0 and self.packets > 0 and self.errors > 0 and self.lpdu_bytes):
            raise ConfigError("a calibration counts packets over a range of Ec/N0", hint="first, last, step in dB")

    @property
    def places(self) -> Iterator[float]:
        """The points of a curve, from the lowest Ec/N0."""
        first, last, step = self.ec_n0_db
        for number in range(round((last - first) / step) + 1):
            yield first + number * step


DEFAULT = Plan()


def calibrate(
    plan: Plan = DEFAULT,
    *,
    receiver: Receiver | None = None,
    profile: PhyProfile = OSGP,
    progress: Callable[[str, Point], None] | None = None,
) -> Curves:
    """Count. ``receiver``: of the packets; the modem by default. ``progress`` is told each point. Raises ConfigError."""
    reader = receiver or ModemReceiver(profile)
    curves = []
    for name in plan.scenarios:
        for carrier in CARRIERS:
            for size in plan.lpdu_bytes:
                points = _curve(plan, name, carrier == CARRIERS[1], size, reader, profile, progress)
                curves.append(Curve(name, carrier, size, tuple(points)))
    return Curves(curves, _provenance(plan, reader, profile))


def _curve(
    plan: Plan,
    name: str,
    secondary: bool,
    size: int,
    receiver: Receiver,
    profile: PhyProfile,
    progress: Callable[[str, Point], None] | None,
) -> list[Point]:
    points: list[Point] = []
    for place in plan.places:
        point = count(plan, name, secondary, size, place, receiver, profile)
        points.append(point)
        if progress is not None:
            progress(f"{name} {CARRIERS[secondary]} {size} bytes", point)
        if len(points) >= _SPOTLESS and all(each.lost == 0 for each in points[-_SPOTLESS:]):
            break
    return points


def count(
    plan: Plan, name: str, secondary: bool, size: int, ec_n0_db: float, receiver: Receiver, profile: PhyProfile
) -> Point:
    """One point: packets of random content, each with its own draw of the line condition."""
    condition = scenario(name)
    key = (plan.seed, *name.encode(), secondary, size, round(ec_n0_db * 1000) + 1_000_000)
    rng = np.random.default_rng(key)
    sent = lost = 0
    while sent < plan.packets and lost < plan.errors:
        lpdu = rng.bytes(size)
        heard = heard_alone(
            lpdu, condition, ec_n0_db, rng, secondary=secondary, lead_bits=receiver.lead_bits, profile=profile
        )
        lost += receiver.receive(heard, size, secondary) != lpdu
        sent += 1
    return Point(ec_n0_db, sent, lost)


def _provenance(plan: Plan, receiver: Receiver, profile: PhyProfile) -> dict[str, Any]:
    return {
        "made_by": "osgp.sim.calibrate",
        "version": osgp.__version__,
        "profile": profile.name,
        "receiver": receiver.name,
        "seed": plan.seed,
        "packets_per_point": plan.packets,
        "errors_per_point": plan.errors,
        "numpy": np.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "intervals": "Wilson, 95 %",
    }
