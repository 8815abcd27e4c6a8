"""Firmware for a street's devices: an image for their hardware, the head-end's orders, and how it goes, minute by minute.

The image is made of the seed and signed with the laboratory's key; head-end and concentrator are two here as everywhere: the orders
to switch are made where the device's keys are, and the concentrator only carries them. What it costs of the line is frames counted
where they are sent; what is measured against is the same image to each device alone, nothing lost. Project choice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from osgp.app.aes import device_keys
from osgp.app.image import build, count_blocks
from osgp.concentrator.firmware import switch_order
from osgp.concentrator.jobs import OVER
from osgp.node.firmware_banks import FirmwareBanks, version_of
from osgp.node.osgp_parts import find
from osgp.sim.device_kinds import KINDS
from osgp.sim.pl_device import LAB_IMAGE_KEY_ID, PowerLineDevice, lab_image_key
from osgp.street.plan import Upgrade
from osgp.wire import LTime

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["Course", "Moment", "Upgrades", "image_of"]

_LATER_S = 60.0
_TOKEN = 1000
"""Counters of these tokens begin here, by upgrade: above any that a street has given."""


@dataclass(frozen=True, slots=True)
class Moment:
    """How far an upgrade was, seconds after the beginning. ``sent``: blocks of the first pass; ``missing``: blocks that devices lacked
    when they were last asked; ``phases``: devices by phase, those with an end by how it ended; ``airtime_s``: see ``Course``."""

    at_s: float
    sent: int
    missing: int
    phases: dict[str, int]
    airtime_s: float


@dataclass(slots=True)
class Course:
    """An upgrade and what came of it. ``job``: its number at the concentrator; ``blocks``: of the image; ``airtime_s``: what its
    frames took of the line since it began, whoever sent them; ``results``: devices by how it ended."""

    upgrade: Upgrade
    blocks: int
    image_bytes: int
    houses: dict[int, str] = field(default_factory=dict)
    job: int | None = None
    begun_s: float | None = None
    over_s: float | None = None
    before_s: float = 0.0
    airtime_s: float = 0.0
    moments: list[Moment] = field(default_factory=list)
    results: dict[str, int] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    switched: int = 0

    def to_json(self) -> dict[str, Any]:
        """A plain object. Airtimes in seconds; those by purpose are the concentrator's estimate."""
        alone = self.summary.get("unicast_cost_s", 0.0)
        names = ("broadcast_s", "repair_broadcast_s", "unicast_s", "repair_unicast_s", "broadcasts", "unicast_blocks")
        return {
            "devices": self.upgrade.devices,
            "version": self.upgrade.version,
            "image_bytes": self.image_bytes,
            "blocks": self.blocks,
            "count": len(self.houses),
            "begun_s": self.begun_s,
            "over_s": self.over_s,
            "results": self.results,
            "switched": self.switched,
            "airtime_s": round(self.airtime_s, 3),
            "alone_s": alone,
            "by_unicast": round(self.airtime_s / alone, 4) if alone else None,
            **{name: self.summary.get(name, 0) for name in names},
            "moments": [
                {"at_s": each.at_s, "sent": each.sent, "missing": each.missing, "phases": each.phases,
                 "airtime_s": round(each.airtime_s, 3)}
                for each in self.moments
            ],
        }  # fmt: skip


def image_of(upgrade: Upgrade, seed: int) -> bytes:
    """The image of an upgrade: the same seed gives the same bytes."""
    code = hashlib.shake_256(f"osgp firmware {seed} {upgrade.devices} {upgrade.version}".encode())
    version = version_of(*upgrade.numbers())
    size = round(upgrade.kib * 1024)
    return build(code.digest(size), KINDS[upgrade.devices].hardware_id, version, LAB_IMAGE_KEY_ID, lab_image_key())


class Upgrades:
    """Plans the upgrades of a run's plan on its wire, and writes down how they go."""

    def __init__(self, run: StreetRun) -> None:
        self._run = run
        self.all: list[Course] = []
        for place, upgrade in enumerate(run.plan.upgrades):
            image = image_of(upgrade, run.plan.seed)
            course = Course(upgrade, count_blocks(len(image)), len(image))
            self.all.append(course)
            self._at(upgrade.at_h * 3600.0, course, place)

    def _at(self, when: float, course: Course, place: int) -> None:
        self._run.wire.at(when, lambda _, now: self._begin(course, place, now), None)

    def _begin(self, course: Course, place: int, now: float) -> None:
        """Order it of all devices of the kind that are known by now. While the concentrator is down it waits."""
        run = self._run
        numbers = run.numbers() if run.concentrator_runs else {}
        kinds = {house.node: house.kind for house in run.plan.houses}
        course.houses = {
            number: house
            for house, number in sorted(numbers.items())
            if kinds[house] == course.upgrade.devices and number in run.concentrator.peers
        }
        if not course.houses:
            self._at(now + _LATER_S, course, place)
            return
        image = image_of(course.upgrade, run.plan.seed)
        orders = {
            number: self._order(run.by_name[house], image, course, place) for number, house in course.houses.items()
        }
        course.before_s = run.airtime.by_purpose["firmware"]
        course.job = run.firmware.add(image, list(orders), orders, now=now, label=f"firmware {course.upgrade.version}")
        course.begun_s = now
        run.touch()

    def _order(self, device: PowerLineDevice, image: bytes, course: Course, place: int) -> bytes:
        keys = device_keys(device.umk, device.unique_node_id, self._run.profile)
        after_h = course.upgrade.activate_h
        moment = LTime()
        if after_h:
            moment = LTime.of(dt.datetime.fromtimestamp(self._run.start + after_h * 3600.0, dt.UTC))
        return switch_order(
            keys.kfw, keys.kcrit, device.unique_node_id, image, moment, _TOKEN + place, self._run.profile
        )

    def look(self, now: float) -> None:
        """Once a minute: how far they are. A job takes the line alone when two are under way: airtime is that of both."""
        for course in self.all:
            if course.job is not None and course.over_s is None:
                self._look(course, course.job, now)

    def _look(self, course: Course, job: int, now: float) -> None:
        run, missing = self._run, 0
        phases: Counter[str] = Counter()
        for _, state, _, _, detail in run.journal.results(job):
            phases[state if state not in ("waiting", "running") else detail.get("phase", "new")] += 1
            missing += detail.get("missing", 0) if state == "running" else 0
        course.summary = run.journal.get(f"job {job} summary", {})
        course.airtime_s = run.airtime.by_purpose["firmware"] - course.before_s
        moment = Moment(
            now, int(course.summary.get("sent", 0)), missing, dict(sorted(phases.items())), course.airtime_s
        )
        course.moments.append(moment)
        if any(row[0] == job and row[3] in OVER for row in run.journal.jobs()):
            course.over_s, course.results = now, moment.phases
            course.switched = sum(self._runs(course, house) for house in course.houses.values())

    def _runs(self, course: Course, house: str) -> bool:
        """Whether a device runs the image, and will keep it."""
        banks = find(self._run.by_name[house].meter, FirmwareBanks)
        return banks is not None and banks.version == version_of(*course.upgrade.numbers()) and not banks.state
