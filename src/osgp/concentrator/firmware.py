"""Firmware for many devices: announced to each, sent once to all by broadcast, gaps mended, switched by the head-end's order.

``spec/osgp-application.md`` 3.9 (project choice). A job of kind ``firmware``. The image is in the journal while a job needs it, so
that a restart needs no file and does not begin anew; what a device has is in the device. Steps at single devices overlap, as many as
the configuration lets jobs work at once. Blocks that more than 5 % of the devices lack are broadcast again to
those, unless unicast is cheaper; others go by unicast. Hashes of runs are compared before a device is told to switch, so that no token
is spent on an image that a forger has spoiled. The job is over when each device has been heard under the new image, which confirms its
trial, or has failed::

    firmware = Firmware(concentrator, topology, broadcasts, care.keys)
    orders = {device: switch_order(kfw, kcrit, unique_node_id, image, activation, counter) for ...}  # at the head-end
    number = firmware.add(image, devices, orders, now=now)
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from osgp.app.image import ImageResult, announce, count_blocks, image_mac, trailer_of
from osgp.app.messages import SwitchBank
from osgp.app.profile import OsgpProfile
from osgp.app.token import TOKEN_SIZE, token
from osgp.concentrator.broadcasts import Broadcasts, Chain
from osgp.concentrator.commission_keys import KeyCare
from osgp.concentrator.core import Concentrator
from osgp.concentrator.exchange import OutcomeUnknown, Priority
from osgp.concentrator.firmware_device import (
    EP10,
    LOADING,
    ON_TRIAL,
    WAITING,
    DeviceFirmware,
    code_order,
)
from osgp.concentrator.jobs import OVER, JobKind, JobRun
from osgp.concentrator.tasks import Cancelled
from osgp.concentrator.topology import Topology
from osgp.crypto.keys import Key
from osgp.tables.services import FullWrite, encode_request
from osgp.wire import LTime
from osgp.wire.errors import ConfigError, DecodeError, LinkError, ResponseError, SecurityError

__all__ = ["Firmware", "Progress", "switch_order"]

KIND = "firmware"
_BT07 = 7
_MOST_LACKING = 0.05
_BLOCKS_KEPT = 16
"""The place of the first pass is in the journal this often."""
_PLAN_AGAIN = 64
_RETRY_S, _RETRY_MOST_S = 30.0, 1800.0
_PAUSED_S = 5.0
_SETTLE_S = 8.0
"""After a switch at once the device restarts behind its answer."""
_TRIAL_S = 86400.0
_STALLED = 6
"""Rounds in which a device gains no block before it is given up."""
_FRAME = 1 + 1 + 5 + 3 + 56 + 12
_CONFLICT, _NOT_AUTHORISED = 3, 5
_Step = Callable[[int, "Progress"], Awaitable[None]]


def switch_order(
    kfw: Key,
    kcrit: Key,
    unique_node_id: bytes,
    image: bytes,
    activation: LTime,
    counter: int,
    profile: OsgpProfile | None = None,
) -> bytes:
    """The parameters of EP10 for one device, with the image's MAC and the token: made where KFW and KCRIT are, at the head-end.

    ``activation``: UTC of the switch, zeros for at once. ``counter``: of the token, above all earlier ones of that device. Raises
    LocalProtocolError.
    """
    parameters = SwitchBank(length=len(image), mac=image_mac(kfw, image), activation=activation).encode()
    covered = EP10.to_bytes(2, "little") + parameters
    return parameters + token(kcrit, unique_node_id, covered, counter, profile or OsgpProfile())


@dataclass(slots=True)
class Progress:
    """One device of a job. ``phase``: new, announced, loaded, ordered; ``gaps``: blocks that it lacked when it was last asked (-1: not
    known); ``tries``: failures in a row; ``again``: not before, UTC seconds; ``asked``: the order to switch may have reached it;
    ``at``: when it switches; ``window``: broadcasts up to this counter reach it; ``unicast``: blocks sent to it alone."""

    phase: str = "new"
    gaps: int = -1
    tries: int = 0
    stalled: int = 0
    again: float = 0.0
    asked: bool = False
    at: float = 0.0
    window: int = 0
    unicast: int = 0


class Firmware:
    """Firmware jobs of one concentrator. ``keys``: raises the devices' windows before an image goes out."""

    def __init__(
        self, concentrator: Concentrator, topology: Topology, broadcasts: Broadcasts, keys: KeyCare | None = None
    ) -> None:
        self.concentrator = concentrator
        self.topology = topology
        self.broadcasts = broadcasts
        self.keys = keys
        concentrator.jobs.register(KIND, JobKind(prepare=self._run))
        concentrator.more_status[KIND] = self.status

    def add(
        self,
        image: bytes,
        devices: Sequence[int],
        orders: Mapping[int, bytes] | None = None,
        *,
        now: float,
        priority: Priority = Priority.HOUSEKEEPING,
        expires_in_s: float | None = None,
        label: str = "",
    ) -> int:
        """A job that brings an image to devices; its number. ``orders``: what EP10 is given, by device (``switch_order``); a device
        without one is loaded and not switched. Raises ConfigError for what is no image or order, StoreError."""
        trailer = trailer_of(image)
        if trailer is None:
            raise ConfigError(
                f"{len(image)} bytes are no firmware image", hint="an image ends with a trailer of 74 bytes"
            )
        for device, order in (orders or {}).items():
            asked = _order(order)
            if asked.length != len(image):
                raise ConfigError(
                    f"the order for device {device} is for an image of {asked.length} bytes, not {len(image)}"
                )
        name = hashlib.sha256(image).hexdigest()
        self.concentrator.journal.put(_kept(name), base64.b64encode(image).decode())
        parameters = {
            "image": name,
            "length": len(image),
            "version": trailer.version,
            "orders": {str(device): order.hex() for device, order in (orders or {}).items()},
        }
        return self.concentrator.add_job(
            KIND, devices, parameters, now=now, priority=priority, expires_in_s=expires_in_s, label=label
        )

    async def _run(self, run: JobRun) -> None:
        kept = self.concentrator.journal.get(_kept(str(run.parameters.get("image"))))
        if not isinstance(kept, str):
            raise ConfigError(
                f"the image {str(run.parameters.get('image'))[:16]} is not in the journal",
                hint="give firmware jobs with their image (Firmware.add, osgp concentrator job firmware)",
            )
        try:
            await _Distribution(self, run, base64.b64decode(kept)).run()
        except Cancelled:
            self._forget_images()
            raise
        self._forget_images()

    def _forget_images(self) -> None:
        """Images that no job needs any more leave the journal; their hashes, lengths and versions stay with the jobs."""
        journal, jobs = self.concentrator.journal, self.concentrator.jobs
        needed = {
            _kept(str(job.parameters.get("image")))
            for job in jobs.active.values()
            if job.kind == KIND and job.state not in OVER and JobRun(jobs, job).devices
        }
        journal.put_all({name: None for name in journal.get_all(_kept("")) if name not in needed})

    def status(self) -> dict[str, Any]:
        """Summaries of the firmware jobs that are under way or were the last, by number."""
        journal = self.concentrator.journal
        jobs = [row[0] for row in journal.jobs() if row[1] == KIND][-4:]
        return {str(number): journal.get(f"job {number} summary", {}) for number in jobs}


def _kept(name: str) -> str:
    return f"firmware image {name}"


def _order(raw: bytes) -> SwitchBank:
    try:
        return SwitchBank.decode(raw[:-TOKEN_SIZE])
    except DecodeError as error:
        raise ConfigError(
            f"an order of {len(raw)} bytes is no EP10 with its token", hint="switch_order makes it at the head-end"
        ) from error


class _Distribution:
    """One job under way."""

    def __init__(self, firmware: Firmware, run: JobRun, image: bytes) -> None:
        self.firmware = firmware
        self.concentrator = firmware.concentrator
        self.broadcasts = firmware.broadcasts
        self.job = run
        self.image = image
        self.blocks = count_blocks(len(image))
        image_id = int.from_bytes(hashlib.sha256(image).digest()[:4], "little") or 1
        self.announced = announce(image, image_id)
        self.orders = {int(device): bytes.fromhex(raw) for device, raw in run.parameters.get("orders", {}).items()}
        kept = run.recall("progress", {})
        self.next_block = int(kept.get("next", 0))
        self.summary: dict[str, float] = {
            "broadcast_s": 0.0,
            "unicast_s": 0.0,
            "unicast_cost_s": 0.0,
            "repair_broadcast_s": 0.0,
            "repair_unicast_s": 0.0,
            "broadcasts": 0,
            "unicast_blocks": 0,
            **kept.get("summary", {}),
        }
        self.devices = {
            device: Progress(**kept.get("devices", {}).get(str(device), {"gaps": -1})) for device in run.devices
        }
        self.population = max(1, len(run.place.journal.results(run.job.number)))

    # ---- the course of it -------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Until each device has an end."""
        try:
            while self.devices:
                await self._may_go_on()
                if self._is_expired():
                    return
                await self._each(self._at("new"), self._announce)
                if self.next_block < self.blocks and self._at("announced"):
                    await self._first_pass()
                await self._mend()
                await self._each(self._at("loaded"), self._switch)
                await self._each(self._at("ordered"), self._confirm)
                self._keep()
                wait_s = self._wait_s()
                if wait_s > 0:
                    await self.concentrator.tasks.sleep(wait_s)
        finally:
            self._widen(0)
        self.concentrator.journal.note(KIND, f"job {self.job.job.number}: {self._told()}", self._wall())

    def _wall(self) -> float:
        return self.concentrator.wall()

    def _at(self, phase: str) -> list[int]:
        return [device for device, progress in self.devices.items() if progress.phase == phase]

    def _wait_s(self) -> float:
        """Until a device may be asked again."""
        wall = self._wall()
        return max(0.0, min((each.again - wall for each in self.devices.values()), default=0.0))

    async def _may_go_on(self) -> None:
        while self.job.job.state == "paused":
            await self.concentrator.tasks.sleep(_PAUSED_S)

    def _is_expired(self) -> bool:
        expires = self.job.job.expires
        if expires is None or self._wall() < expires:
            return False
        for device, progress in list(self.devices.items()):
            if progress.phase != "ordered":  # what was told to switch will
                self._over(device, "expired")
        return not self.devices

    def _keep(self) -> None:
        """In the journal: where we are."""
        devices = {str(device): asdict(progress) for device, progress in self.devices.items()}
        summary = {name: round(value, 3) for name, value in self.summary.items()}
        self.job.remember("progress", {"next": self.next_block, "devices": devices, "summary": summary})
        self.job.remember("summary", {**summary, "blocks": self.blocks, "sent": self.next_block, **self._phases()})

    def _phases(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for progress in self.devices.values():
            found[progress.phase] = found.get(progress.phase, 0) + 1
        return found

    def _told(self) -> str:
        taken, alone = self.summary["broadcast_s"] + self.summary["unicast_s"], self.summary["unicast_cost_s"]
        return (
            f"{self.blocks} blocks took {taken:.1f} s of the line ({self.summary['broadcast_s']:.1f} s broadcasts); "
            f"by unicast alone {alone:.1f} s"
        )

    def _over(self, device: int, state: str, **detail: Any) -> None:
        progress = self.devices.pop(device)
        self._keep()
        self.job.report(device, state, phase=progress.phase, unicast_blocks=progress.unicast, **detail)

    def _report(self, device: int) -> None:
        progress = self.devices[device]
        detail: dict[str, Any] = {"phase": progress.phase, "blocks": self.blocks}
        if progress.gaps >= 0:
            detail["missing"] = progress.gaps
        self.job.report(device, "running", **detail)

    # ---- one device -------------------------------------------------------------------------------------------------
    def _firmware(self, device: int) -> DeviceFirmware:
        return DeviceFirmware(self.job.access(device), self.image, self.announced)

    async def _each(self, devices: Sequence[int], step: _Step) -> None:
        """A step at each of these devices whose time has come, some at once; silence and refusals are theirs alone."""
        waiting = iter(devices)

        async def work() -> None:
            for device in waiting:
                await self._may_go_on()
                await self._try(device, step)

        tasks, job = self.concentrator.tasks, self.job.job
        count = min(len(devices), self.concentrator.config.jobs_at_once)
        workers = [tasks.start(work(), self.concentrator.now, name=f"job {job.number}") for _ in range(count)]
        try:
            for worker in workers:
                await worker
        finally:
            for worker in workers:
                worker.cancel()

    async def _try(self, device: int, step: _Step) -> bool:
        progress = self.devices.get(device)
        if progress is None or progress.again > self._wall():
            return False
        before_s = self._airtime_s(device)
        try:
            await step(device, progress)
        except ResponseError as error:
            self._over(device, "refused", error=error.message, hint=error.hint, code=error.code)
            return False
        except (LinkError, SecurityError, ConfigError) as error:
            self._silent(device, progress, error.message, error.hint)
            return False
        finally:
            self.summary["unicast_s"] += self._airtime_s(device) - before_s
        progress.tries = 0
        return True

    def _airtime_s(self, device: int) -> float:
        usage = self.concentrator.account.by_device.get(device)
        return 0.0 if usage is None else usage.airtime_s

    def _silent(self, device: int, progress: Progress, error: str, hint: str) -> None:
        wall = self._wall()
        progress.tries += 1
        progress.again = wall + min(_RETRY_MOST_S, _RETRY_S * 2.0 ** min(progress.tries - 1, 20))
        is_ordered = progress.phase == "ordered"
        gone = wall > progress.at + _TRIAL_S if is_ordered else progress.tries >= self.concentrator.config.job_attempts
        if gone:
            self._over(device, "unknown" if is_ordered or progress.asked else "failed", error=error, hint=hint)

    async def _announce(self, device: int, progress: Progress) -> None:
        """Announce the image, and open the window wide enough for all its blocks."""
        firmware = self._firmware(device)
        state = await firmware.state()
        if firmware.runs(state):
            if state.state == ON_TRIAL:
                state = await firmware.state()
            self._over(device, "done", version=state.version, already=True)
            return
        result = await firmware.announce()
        if result:
            text = "another image is on trial there" if result == _CONFLICT else f"EP08 was refused (result {result})"
            self._over(device, "refused", error=text, hint="look at UT24 of the device", code=result)
            return
        self.summary["unicast_cost_s"] += firmware.unicast_cost_s()
        await self._raise_window(device, progress, self.blocks - self.next_block)
        progress.phase = "announced"
        self._report(device)
        self._keep()

    async def _raise_window(self, device: int, progress: Progress, blocks: int) -> None:
        """So many broadcasts of ours are to reach the device."""
        node, keys = self.firmware.topology.by_device(device), self.firmware.keys
        if node is None or keys is None:
            return
        first = self.broadcasts.sender.counter
        if progress.window >= first + blocks:
            return
        self._widen(blocks)
        if await keys.raise_window(node):
            progress.window = first + max(keys.more_window, keys.commissioner.policy.window)

    def _widen(self, blocks: int) -> None:
        """Windows that are raised meanwhile are wide enough, too."""
        keys = self.firmware.keys
        if keys is not None:
            keys.more_window = min(0xFFFF, 2 * blocks + keys.commissioner.policy.window) if blocks else 0

    # ---- blocks -----------------------------------------------------------------------------------------------------
    def _names(self, devices: Iterable[int]) -> list[bytes]:
        nodes = [self.firmware.topology.by_device(device) for device in devices]
        return [node.unique_node_id for node in nodes if node is not None]

    async def _first_pass(self) -> None:
        """Every block once, from where we were."""
        self._widen(self.blocks)
        chains: list[Chain] = []
        place = 0
        while self.next_block < self.blocks and not self._is_expired():
            await self._may_go_on()
            if place % _PLAN_AGAIN == 0:
                chains = self.broadcasts.plan(_FRAME, self._names(self._at("announced")))
            await self._broadcast(self.next_block, chains)
            place += 1
            self.next_block += 1
            if self.next_block % _BLOCKS_KEPT == 0:
                self._keep()
        self._keep()

    async def _broadcast(self, number: int, chains: Collection[Chain]) -> None:
        sender = self.broadcasts.sender
        content = code_order(self.image, number, 1 + sender.counter % 253)
        apdu = sender.seal(encode_request(FullWrite(_BT07, content), checksum=False))
        sent = await self.broadcasts.send(apdu, self.job.job.priority, chains=chains, repeated=False, kind=KIND)
        self.summary["broadcasts"] += 1
        self.summary["broadcast_s"] += sent.airtime_s

    async def _mend(self) -> None:
        """Find the gaps of all who were announced to, and fill them."""
        lacking: dict[int, set[int]] = {}

        async def look(device: int, progress: Progress) -> None:
            gaps = await self._gaps(device, progress)
            if gaps:
                lacking[device] = gaps

        await self._each(self._at("announced"), look)
        if not lacking:
            return
        again = self._worth_a_broadcast(lacking)
        if again:
            await self._broadcast_again(again, lacking)

        async def fill(device: int, progress: Progress) -> None:
            await self._send(device, progress, sorted(lacking[device] - again))

        await self._each([device for device, gaps in lacking.items() if gaps - again], fill)

    async def _send(self, device: int, progress: Progress, blocks: Sequence[int]) -> None:
        """Blocks to one device alone."""
        before_s = self._airtime_s(device)
        try:
            sent = await self._firmware(device).send_blocks(blocks)
            progress.unicast += sent
            self.summary["unicast_blocks"] += sent
        finally:
            self.summary["repair_unicast_s"] += self._airtime_s(device) - before_s

    async def _gaps(self, device: int, progress: Progress) -> set[int]:
        firmware = self._firmware(device)
        state = await firmware.state()
        if state.state != LOADING:
            progress.phase = "loaded" if firmware.runs(state) or state.state in (WAITING, ON_TRIAL) else "new"
            return set()
        gaps = await firmware.gaps() if state.missing else set()
        if gaps is None:
            progress.phase = "new"  # somebody announced another image
            return set()
        if gaps:
            progress.stalled = progress.stalled + 1 if len(gaps) == progress.gaps else 0
        progress.gaps = len(gaps)
        if progress.stalled >= _STALLED:
            self._over(device, "failed", error="nothing comes of it", hint="look at its broadcast key and UT24")
            return set()
        if not gaps:
            spoiled = await firmware.spoiled()
            await self._send(device, progress, spoiled)
            if not spoiled:
                progress.phase = "loaded"
        self._report(device)
        return gaps

    def _worth_a_broadcast(self, lacking: Mapping[int, set[int]]) -> set[int]:
        """Blocks that more than 5 % of the devices lack, where a broadcast to those is not dearer than unicast."""
        count: dict[int, list[int]] = {}
        for device, gaps in lacking.items():
            for number in gaps:
                count.setdefault(number, []).append(device)
        alone = {device: self._firmware(device).unicast_cost_s() / self.blocks for device in lacking}
        airtime: dict[tuple[int, ...], float] = {}
        found = set()
        for number, devices in count.items():
            if len(devices) <= _MOST_LACKING * self.population:
                continue
            key = tuple(devices)
            if key not in airtime:
                chains = self.broadcasts.plan(_FRAME, self._names(devices))
                airtime[key] = self.broadcasts.airtime_s(chains, _FRAME) if chains else math.inf
            if airtime[key] <= sum(alone[device] for device in devices):
                found.add(number)
        return found

    async def _broadcast_again(self, again: set[int], lacking: Mapping[int, set[int]]) -> None:
        async def widen(device: int, progress: Progress) -> None:
            await self._raise_window(device, progress, len(again))

        await self._each(list(lacking), widen)
        before_s = self.summary["broadcast_s"]
        for number in sorted(again):
            await self._may_go_on()
            needing = [device for device, gaps in lacking.items() if number in gaps and device in self.devices]
            await self._broadcast(number, self.broadcasts.plan(_FRAME, self._names(needing)))
        self.summary["repair_broadcast_s"] += self.summary["broadcast_s"] - before_s

    # ---- the switch -------------------------------------------------------------------------------------------------
    async def _switch(self, device: int, progress: Progress) -> None:
        """The head-end's order, once; what became of an order without an answer is seen in UT24."""
        order = self.orders.get(device)
        if order is None:
            self._over(device, "done", missing=0, switched=False)
            return
        firmware = self._firmware(device)
        if progress.asked:
            state = await firmware.state()
            if state.state != LOADING or state.missing:
                progress.phase = "ordered"
                return
            if state.result:
                self._refused(device, state.result)
                return
        progress.asked = True
        asked = _order(order).activation
        moment = asked.datetime() if any(bytes(asked)) else None
        progress.at = max(self._wall(), moment.timestamp() if moment is not None else 0.0)
        self._keep()
        try:
            answer = await firmware.switch(order)
        except OutcomeUnknown:
            return  # the next round looks
        if answer.result == _CONFLICT:
            progress.phase, progress.asked = "announced", False
            progress.stalled += 1
        elif answer.result == _NOT_AUTHORISED:
            self._over(device, "refused", error="the token was refused", hint="it needs a token with a higher counter")
        elif answer.result:
            self._refused(device, answer.data[0] if answer.data else answer.result)
        else:
            progress.phase = "ordered"
            progress.again = progress.at + _SETTLE_S
            self._report(device)
            self._keep()

    def _refused(self, device: int, result: int) -> None:
        known = {each.value: each.name.lower().replace("_", " ") for each in ImageResult}
        self._over(
            device,
            "refused",
            error=f"the device does not take the image: {known.get(result, 'unknown reason')}",
            hint="look at the image, its signature, and the hardware it is for",
            code=result,
        )

    async def _confirm(self, device: int, progress: Progress) -> None:
        """Any secured request under the new image ends its trial; UT24 tells whether it has."""
        firmware = self._firmware(device)
        state = await firmware.state()
        if state.state == ON_TRIAL:
            state = await firmware.state()
        wall = self._wall()
        if state.state == WAITING:
            moment = state.moment.datetime()
            progress.at = moment.timestamp() if moment is not None else wall
            progress.again = max(wall, progress.at) + _SETTLE_S
        elif not firmware.runs(state):
            self._over(
                device, "failed", error="the device runs its old image", hint="the trial failed, or the order did"
            )
        elif state.state == ON_TRIAL:
            progress.again = wall + _SETTLE_S
        else:
            self._over(device, "done", version=state.version, floor=state.floor, confirmed=True)
