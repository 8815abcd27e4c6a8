"""Jobs: what comes of each device, quotas, pauses, restarts without loss or a second order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osgp.concentrator.config import Quota
from osgp.concentrator.jobs import Job, JobKind, JobRun
from osgp.concentrator.journal import Journal
from osgp.lon.events import MessageReceived
from osgp.tables.table import extended, number_of
from osgp.wire.errors import ConfigError
from tests.concentrator.town import SMALL, Town
from tests.node.meters import START

OPEN = {"procedure": "EP02", "parameters": {"target": 0, "action": 0}}
DELTA = {"procedure": "EP16", "parameters": {"delta": 7}}


def add(town: Town, kind: str, devices: list[int], parameters: dict[str, Any], **options: Any) -> int:
    number = town.concentrator.add_job(kind, devices, parameters, now=town.wire.now, **options)
    town.touch()
    return number


def state(town: Town, number: int) -> str:
    return str(town.concentrator.jobs.status(number)[0]["state"])


def results(town: Town, number: int) -> dict[int, Any]:
    return {each["device"]: each for each in town.concentrator.jobs.status(number)[0]["results"]}


def finish(town: Town, number: int, limit_s: float = 3600.0) -> dict[int, Any]:
    town.until(lambda: state(town, number) in ("done", "cancelled"), limit_s)
    assert not town.concentrator.jobs.unresolved
    return results(town, number)


def orders(town: Town, number: int = 1) -> list[int]:
    """Procedures that a device was ordered to run, in order."""
    return [
        int.from_bytes(message[5:7], "little") & 0xFFF
        for message in town.devices[number - 1].executed
        if message[:3] == b"\x40\x00\x07"
    ]


def test_a_read_gives_values_of_each_device_and_keeps_them() -> None:
    town = Town(2)
    number = add(town, "read", [1, 2], {"names": ["fwd_active_energy"], "tables": ["BT00"]}, label="on demand")
    found = finish(town, number)
    assert {each["state"] for each in found.values()} == {"done"}
    value = found[2]["detail"]["readings"]["fwd_active_energy"]
    assert isinstance(value, int | float)
    assert bytes.fromhex(found[1]["detail"]["tables"]["BT00"]) == town.devices[0].meter.image.read(0)
    assert town.journal.raws(1, 0)
    [job] = town.concentrator.jobs.status()
    assert (job["label"], job["progress"]) == ("on demand", {"done": 2})


def test_a_write_is_carried_out_and_proven() -> None:
    town = Town(1)
    table = number_of("BT54")
    number = add(town, "write", [1], {"table": "BT54", "offset": 12, "data": "0102"})
    assert finish(town, number)[1]["state"] == "done"
    assert town.devices[0].meter.image.read_part(table, 12, 2) == b"\1\2"


def test_a_procedure_gives_its_result_and_a_refusal_its_code() -> None:
    town = Town(1)
    good = finish(town, add(town, "procedure", [1], OPEN))[1]
    assert (good["state"], good["detail"]["result"]) == ("done", 0)
    bad = finish(town, add(town, "procedure", [1], {"procedure": extended(952), "parameters": ""}))[1]
    assert bad["state"] == "refused"
    assert bad["detail"]["code"] == 6


def test_what_cannot_be_meant_is_told_at_once() -> None:
    town = Town(1)
    jobs = town.concentrator.jobs
    with pytest.raises(ConfigError):
        jobs.add("dance", [1])
    with pytest.raises(ConfigError):
        jobs.add("read", [99])
    with pytest.raises(ConfigError):
        jobs.add("read", [])
    found = finish(town, add(town, "read", [1], {"names": ["no_such_thing"]}))[1]
    assert found["state"] == "failed"
    assert found["detail"]["hint"]


def test_a_device_that_does_not_answer_is_tried_again_and_then_given_up() -> None:
    town = Town(2, config=replace(SMALL, job_attempts=3))
    town.devices[0].silent = True
    number = add(town, "read", [1, 2], {"names": ["fwd_active_energy"]})
    town.run(20.0)
    assert results(town, number)[2]["state"] == "done"
    assert results(town, number)[1]["state"] == "waiting"
    found = finish(town, number)
    assert (found[1]["state"], found[1]["attempts"]) == ("failed", 3)


def test_an_expired_job_ends() -> None:
    town = Town(1)
    town.devices[0].silent = True
    number = add(town, "read", [1], {"names": ["fwd_active_energy"]}, expires_in_s=60.0)
    assert finish(town, number)[1]["state"] == "expired"


def test_a_paused_job_begins_nothing_and_a_resumed_one_goes_on() -> None:
    town = Town(2)
    jobs = town.concentrator.jobs
    number = jobs.add("read", [1, 2], {"names": ["fwd_active_energy"]})
    jobs.pause(number)
    town.touch()
    town.run(300.0)
    assert state(town, number) == "paused"
    jobs.resume(number)
    town.touch()
    assert {each["state"] for each in finish(town, number).values()} == {"done"}
    with pytest.raises(ConfigError):
        jobs.pause(number)


def test_a_cancelled_job_leaves_the_rest_alone() -> None:
    town = Town(3, config=replace(SMALL, jobs_at_once=1))
    number = add(town, "procedure", [1, 2, 3], DELTA)
    town.concentrator.jobs.cancel(number)
    found = finish(town, number)
    assert state(town, number) == "cancelled"
    town.run(60.0)
    found = results(town, number)
    assert [found[each]["state"] for each in (1, 2, 3)] == ["done", "cancelled", "cancelled"]
    assert 2064 not in orders(town, 2)


def test_contactors_open_no_faster_than_the_quota_unless_the_head_end_signs() -> None:
    quotas = {"contactor-open": Quota(2, 600.0)}
    signed: list[int] = []

    def override(job: Job) -> bool:
        signed.append(job.number)
        return bool(job.parameters["override"] == "signed")

    town = Town(5, config=replace(SMALL, quotas=quotas), override=override)
    number = add(town, "procedure", [1, 2, 3, 4], OPEN)
    town.run(300.0)
    assert sum(2050 in orders(town, each) for each in (1, 2, 3, 4)) == 2
    waiting = [each for each in results(town, number).values() if each["state"] == "waiting"]
    assert "quota" in waiting[0]["detail"]["error"]
    forged = add(town, "procedure", [5], {**OPEN, "override": "forged"})
    town.run(60.0)
    assert 2050 not in orders(town, 5)
    passed = add(town, "procedure", [5], {**OPEN, "override": "signed"})
    town.concentrator.jobs.cancel(forged)
    assert finish(town, passed)[5]["state"] == "done"
    assert [each.kind for each in town.journal.notices(kind="quota")] == ["quota"]
    found = finish(town, number)
    assert {each["state"] for each in found.values()} == {"done"}
    assert signed


def test_a_restart_does_not_begin_the_hour_anew(tmp_path: Path) -> None:
    config = replace(SMALL, quotas={"contactor-open": Quota(1, 3000.0)})
    town = Town(2, place=tmp_path / "j.sqlite", config=config)
    finish(town, add(town, "procedure", [1], OPEN))
    restart(town, tmp_path)
    add(town, "procedure", [2], OPEN)
    town.run(600.0)
    assert 2050 not in orders(town, 2)
    town.run(3000.0)
    assert 2050 in orders(town, 2)


def restart(town: Town, folder: Path) -> None:
    """The concentrator dies and another begins on its journal."""
    town.concentrator.stop(town.wire.now)
    town.journal.close()
    town.start(Journal(folder / "j.sqlite", wall=START + town.wire.now))


@pytest.mark.parametrize("answered", [False, True])
def test_a_procedure_is_never_ordered_twice_whenever_the_concentrator_dies(tmp_path: Path, answered: bool) -> None:
    town = Town(1, place=tmp_path / "j.sqlite")
    town.run(120.0)
    number = add(town, "procedure", [1], DELTA)
    device = town.devices[0]
    before = len(device.executed)
    town.until(lambda: 2064 in orders(town))
    if answered:
        town.until(lambda: len(device.executed) > before + 1)
    restart(town, tmp_path)
    found = finish(town, number)
    assert found[1]["state"] == "done"
    assert orders(town).count(2064) == 1
    assert town.journal.notices(kind="task") == []


def test_an_order_that_was_kept_but_never_sent_is_told_as_unknown_or_given_again_if_that_is_harmless(
    tmp_path: Path,
) -> None:
    for harmless, expected, times in ((False, "unknown", 0), (True, "done", 1)):
        folder = tmp_path / str(harmless)
        folder.mkdir()
        town = Town(1, place=folder / "j.sqlite")
        town.run(120.0)
        device = town.devices[0]
        device.silent = True
        number = add(town, "procedure", [1], {**DELTA, "idempotent": harmless})
        town.run(1.0)
        town.concentrator.peers[1].psn = 7
        town.journal.set_result(number, 1, "running", 0.0, detail={"procedure": 2064, "psn": 99})
        restart(town, folder)
        device.silent = False
        found = finish(town, number)
        assert found[1]["state"] == expected
        assert orders(town).count(2064) == times


def test_an_order_to_a_device_that_falls_silent_is_asked_after_and_not_repeated() -> None:
    town = Town(1)
    town.run(120.0)
    device = town.devices[0]
    number = add(town, "procedure", [1], DELTA)
    town.until(lambda: 2064 in orders(town))
    device.silent = True
    town.run(40.0)
    assert results(town, number)[1]["state"] == "running"
    device.silent = False
    assert finish(town, number)[1]["state"] == "done"
    assert orders(town).count(2064) == 1


def test_jobs_that_were_waiting_go_on_after_a_restart(tmp_path: Path) -> None:
    town = Town(3, place=tmp_path / "j.sqlite")
    number = town.concentrator.jobs.add("read", [1, 2, 3], {"names": ["fwd_active_energy"]})
    paused = town.concentrator.jobs.add("read", [1], {"names": ["fwd_active_energy"]})
    town.concentrator.jobs.pause(paused)
    restart(town, tmp_path)
    assert {each["state"] for each in finish(town, number).values()} == {"done"}
    town.run(300.0)
    assert state(town, paused) == "paused"


RELAY = "40000700050208050101"
"""EP02: control relay 1 closes."""


class Broadcasts:
    """Seals broadcasts in plain."""

    def __init__(self) -> None:
        self.sealed: list[tuple[bytes, tuple[int, ...]]] = []

    def seal(self, plaintext: bytes, groups: Any = ()) -> bytes:
        self.sealed.append((plaintext, tuple(groups)))
        return b"\x12" + plaintext


def test_a_group_command_is_broadcast_once_and_verified_at_each_device() -> None:
    sender = Broadcasts()
    town = Town(3, broadcaster=sender)
    heard: list[int] = []
    for port, device in zip(town.ports, town.devices):
        answers = device.on_events

        def both(port: Any, events: Any, now: float, device: Any = device, answers: Any = answers) -> None:
            heard.extend(device.node for each in events if isinstance(each, MessageReceived) and each.apdu[0] == 0x12)
            answers(port, events, now)

        port.on_events = both
    number = add(town, "group", [1, 2, 3], {"message": RELAY, "groups": [257], "verify": ["fwd_active_energy"]})
    found = finish(town, number)
    assert sender.sealed == [(bytes.fromhex(RELAY), (257,))]
    assert set(heard) == {1, 2, 3}
    assert all("fwd_active_energy" in each["detail"]["readings"] for each in found.values())


def test_without_a_broadcast_key_a_group_command_fails_and_says_why() -> None:
    town = Town(1)
    found = finish(town, add(town, "group", [1], {"message": RELAY}))
    assert found[1]["state"] == "failed"
    assert "broadcast key" in found[1]["detail"]["error"]


def test_a_group_command_is_sent_at_most_once_whatever_happens(tmp_path: Path) -> None:
    sender = Broadcasts()
    town = Town(1, place=tmp_path / "j.sqlite", broadcaster=sender)
    number = add(town, "group", [1], {"message": RELAY})
    restart(town, tmp_path)
    finish(town, number)
    assert len(sender.sealed) == 1


def test_other_modules_bring_kinds_of_jobs() -> None:
    town = Town(2)
    seen: list[int] = []

    async def prepare(run: JobRun) -> None:
        run.remember("image", "ab12")
        seen.extend(run.devices)
        run.report(1, "refused", why="the image does not fit")

    async def device(run: JobRun, number: int) -> Mapping[str, Any]:
        return {"image": run.recall("image"), "bank": (await run.access(number).read_part(0, 0, 1)).hex()}

    town.concentrator.jobs.register("firmware", JobKind(prepare, device))
    found = finish(town, add(town, "firmware", [1, 2], {}))
    assert seen == [1, 2]
    assert found[1]["state"] == "refused"
    assert found[2]["detail"]["image"] == "ab12"


def test_a_visit_can_be_ordered() -> None:
    town = Town(1)
    town.run(300.0)
    before = len(town.journal.readings(1, "fwd_active_energy"))
    found = finish(town, add(town, "visit", [1], {}))[1]
    assert found["detail"]["intervals"] >= 0
    assert len(town.journal.readings(1, "fwd_active_energy")) == before + 1
