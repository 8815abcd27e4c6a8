"""The concentrator with real security, devices and tables: handshake over exchanges, counters in the journal, restarts, forgers."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from osgp.app.aes import device_keys, psk_of
from osgp.app.broadcast import BroadcastSender
from osgp.app.memory import Prefixed
from osgp.app.peer import PeerSecurity, Terms
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address
from osgp.app.token import procedure_with_token
from osgp.app.verdict import Accepted, Answered
from osgp.concentrator.config import Collection, ConcentratorConfig, Plan
from osgp.concentrator.core import AlertHeard, Concentrator, DeviceSilent
from osgp.concentrator.exchange import Peer, Priority, Route
from osgp.concentrator.journal import Journal
from osgp.lon.address import SubnetNode, UniqueNodeId
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.csma import A_BAND
from osgp.lon.events import MessageReceived
from osgp.lon.proxy import Hop
from osgp.node.stack import Stack
from osgp.sim.pl_device import PowerLineDevice
from osgp.sim.wire import Port, Wire
from osgp.tables.events import EVENTS
from osgp.tables.table import extended

START = 1_800_000_000.0
NC = bytes.fromhex("0A0B0C0D0E0F")
DOMAIN = b"OSG"
PROFILE = OsgpProfile()
CONFIG = ConcentratorConfig(
    collection=Collection(measurements=("fwd_active_energy",)), plan=Plan(scan_s=300.0, profile_s=1800.0)
)


class Street:
    """A line with real devices and a concentrator whose counters are in its journal."""

    def __init__(self, *kinds: str, place: str | Path = ":memory:", seed: int = 1) -> None:
        self.wire = Wire(random=Random(seed), access=A_BAND)
        self.place = place
        self.devices = [PowerLineDevice(kind, seed=seed, index=index, start=START) for index, kind in enumerate(kinds)]
        self.ports = [device.join(self.wire) for device in self.devices]
        self.port: Port | None = None
        self.routes: dict[int, Route] = {}
        self.alerts: list[Any] = []
        self.begin()

    def begin(self) -> None:
        """A concentrator on what is in the journal."""
        configuration = Configuration(NC)
        configuration.join(0, domain_entry(DOMAIN, 1, 1))
        configuration.block.last = configuration.block.last.with_(non_group_timer=15)
        now = self.wire.now
        self.journal = Journal(self.place, wall=START + now)
        self.sender = BroadcastSender(
            NC, DOMAIN, Prefixed(self.journal, "broadcast."), randomness=Random(7).randbytes, profile=PROFILE
        )
        self.concentrator = Concentrator(
            Stack(configuration, token=Random(1).randbytes, quiet_s=0.0, destinations=300, now=now),
            self.journal,
            CONFIG,
            random=Random(1),
            wall=lambda at: START + at,
            now=now,
            broadcaster=self.sender,
            message=self.note,
        )
        self.concentrator.exchanges.routes.by_device.update(self.routes)  # type: ignore[attr-defined]  # fixed ones
        if self.port is None:
            self.port = self.wire.join(self.concentrator)
        else:
            self.port.machine = self.concentrator
        self.securities = [
            PeerSecurity(
                device.unique_node_id,
                psk_of(device.umk, device.unique_node_id, NC, 1, PROFILE),
                1,
                NC,
                Prefixed(self.journal, f"device {device.unique_node_id.hex()}."),
                randomness=Random(30 + index).randbytes,
                profile=PROFILE,
            )
            for index, device in enumerate(self.devices)
        ]
        for index, security in enumerate(self.securities):
            if security.ready:
                self.take_care(index)

    def note(self, event: Any, now: float) -> bool:
        if isinstance(event, MessageReceived):
            self.alerts.append(event)
        return isinstance(event, MessageReceived)

    def take_care(self, index: int) -> int:
        device = self.devices[index]
        number = self.concentrator.add_device(
            device.unique_node_id, SubnetNode(1, 2 + index), self.securities[index], self.wire.now, key="vault:lab/UMK"
        )
        self.touch()
        return number

    async def commission(self, index: int) -> None:
        """The handshake: four messages, each pair an exchange by unique node ID."""
        concentrator, device, security = self.concentrator, self.devices[index], self.securities[index]
        by_id = Peer(-2 - index, UniqueNodeId(device.unique_node_id), None)
        terms = Terms(Address(DOMAIN, 1, 2 + index), self.sender.kb, self.sender.generation, self.sender.counter, 1000)
        apdu = security.challenge(terms, concentrator.now)
        for _ in range(2):
            answer = await concentrator.exchanges.ask_plain(by_id, apdu, Priority.HOUSEKEEPING, concentrator.now)
            verdict = security.handshake(answer, concentrator.now)
            if isinstance(verdict, Answered):
                apdu = verdict.apdu
        assert isinstance(verdict, Accepted)

    def do(self, coroutine: Any, limit_s: float = 600.0) -> Any:
        task = self.concentrator.tasks.start(coroutine, self.wire.now)
        self.touch()
        end = self.wire.now + limit_s
        while not task.is_done and self.wire.now < end and self.wire.step():
            pass
        assert task.is_done, "still waiting"
        return task.result()

    def commission_all(self) -> None:
        for index in range(len(self.devices)):
            self.do(self.commission(index))
            self.take_care(index)

    def restart(self) -> None:
        """Killed: the journal's file is all that is left."""
        self.concentrator.stop(self.wire.now)
        self.journal.close()
        self.begin()
        self.touch()

    def touch(self) -> None:
        assert self.port is not None
        self.concentrator.begin(self.wire.now)
        self.wire.touch(self.port)

    def run(self, seconds: float) -> None:
        self.wire.run(self.wire.now + seconds)

    def results(self, number: int) -> dict[int, Any]:
        return {each["device"]: each for each in self.concentrator.jobs.status(number)[0]["results"]}

    def job(self, kind: str, devices: list[int], parameters: dict[str, Any]) -> dict[int, Any]:
        number = self.concentrator.add_job(kind, devices, parameters, now=self.wire.now)
        self.touch()
        for _ in range(600):
            if self.concentrator.jobs.status(number)[0]["state"] == "done":
                break
            self.run(1.0)
        return self.results(number)


def test_devices_are_commissioned_over_exchanges_and_read() -> None:
    street = Street("1ph", "3ph", "load")
    street.commission_all()
    assert street.securities[-1].pending, "committed by the first request, which has not gone out yet"
    street.run(2400.0)
    assert [security.ku_generation for security in street.securities] == [1, 1, 1]
    assert len(street.journal.readings(1, "fwd_active_energy")) == 1
    assert len(street.journal.intervals(1)) >= 1
    assert street.concentrator.exchanges.account.by_class["plain"].answered == 6


def test_a_device_behind_a_repeater_is_read_through_it() -> None:
    street = Street("1ph", "1ph")
    assert street.port is not None
    street.do(street.commission(0))
    street.take_care(0)
    street.run(30.0)
    street.do(street.commission(1))
    street.wire.cut(street.port, street.ports[1])
    street.concentrator.exchanges.routes.by_device[2] = Route((Hop(1, 2),))  # type: ignore[attr-defined]  # fixed ones
    street.take_care(1)
    street.run(900.0)
    assert len(street.journal.readings(2, "fwd_active_energy")) == 1
    usage = street.concentrator.account.by_device
    assert usage[2].airtime_s / usage[2].answered > 1.6 * usage[1].airtime_s / usage[1].answered


def test_after_a_restart_counters_go_on_and_no_handshake_is_needed(tmp_path: Path) -> None:
    street = Street("1ph", "1ph", place=tmp_path / "j.sqlite")
    street.commission_all()
    street.run(900.0)
    for _ in range(5):
        before = [security.next_seq for security in street.securities]
        street.restart()
        assert all(after >= earlier for after, earlier in zip([each.next_seq for each in street.securities], before)), (
            "no number twice"
        )
        street.run(400.0)
    assert [device.node.security.fcm_count(street.wire.now) for device in street.devices] == [2, 2]
    assert street.concentrator.account.total.answered > 2
    assert not street.journal.counters_in_doubt
    for number in (1, 2):
        ends = [row[0] for row in street.journal.intervals(number)]
        assert len(set(ends)) == len(ends)


def test_the_first_write_after_a_restart_waits_for_an_answered_read(tmp_path: Path) -> None:
    street = Street("1ph", place=tmp_path / "j.sqlite")
    street.commission_all()
    street.run(900.0)
    street.restart()
    assert street.securities[0].probe_first
    found = street.job("write", [1], {"table": extended(55), "offset": 102, "data": "05"})
    assert found[1]["state"] == "done"
    assert street.devices[0].meter.image.read_part(extended(55), 102, 1) == b"\x05"


def test_a_critical_order_passes_with_the_head_ends_token_only() -> None:
    street = Street("1ph")
    street.commission_all()
    street.run(60.0)
    device = street.devices[0]
    bare = street.job("procedure", [1], {"procedure": "EP02", "parameters": "0000"})
    assert (bare[1]["state"], bare[1]["detail"]["code"]) == ("refused", 5)
    kcrit = device_keys(device.umk, device.unique_node_id, PROFILE).kcrit
    order = procedure_with_token(kcrit, device.unique_node_id, extended(2), 9, b"\0\0", 1, PROFILE)
    signed = street.job("procedure", [1], {"procedure": "EP02", "parameters": order[8:].hex()})
    assert signed[1]["state"] == "done"


def test_a_group_command_goes_out_sealed_and_is_read_back() -> None:
    street = Street("1ph", "1ph")
    street.commission_all()
    street.run(60.0)
    relay = bytes.fromhex("40 0007 0005 0208 21 01 00".replace(" ", ""))
    found = street.job("group", [1, 2], {"message": relay.hex()})
    assert {each["state"] for each in found.values()} == {"done"}
    assert [device.node.security.last_broadcast for device in street.devices] == [street.sender.counter - 1] * 2


def test_a_device_with_another_key_is_silent_and_others_are_read() -> None:
    street = Street("1ph", "1ph")
    street.commission_all()
    street.run(60.0)
    device = street.devices[0]
    device.node.security.forget_sets()
    street.run(1200.0)
    events = street.concentrator.events()
    assert {each.device for each in events if isinstance(each, DeviceSilent)} == {1}
    assert street.concentrator.peers[2].sealer is street.securities[1]
    assert len(street.journal.readings(2, "fwd_active_energy")) == 1


def test_forged_answers_are_not_believed() -> None:
    street = Street("1ph")
    street.commission_all()
    street.run(900.0)
    assert street.port is not None
    before = street.journal.counts()
    random = Random(5)

    def forge(now: float, port: Port, lpdu: bytes) -> None:
        if port is street.port:
            # The header of an answer from the device, and any bytes.
            answer = bytes([lpdu[0], lpdu[1], lpdu[2], lpdu[5], lpdu[4], lpdu[3]]) + lpdu[6:]
            street.wire.send(street.ports[0], answer[:9] + bytes([lpdu[9] & 0x0F | 0x20, 0x10]) + random.randbytes(40))

    street.wire.tap(forge)
    street.run(1200.0)
    after = street.journal.counts()
    assert after["raw"] >= before["raw"]
    for offset, _, content in street.journal.raws(1, 3):
        assert (offset, len(content)) == (0, len(street.devices[0].meter.image.read(3)))


def test_an_alert_brings_its_log_entry_out_of_turn_and_its_copy_is_refused() -> None:
    street = Street("1ph", "1ph")
    street.commission_all()
    street.run(1000.0)
    device, concentrator = street.devices[0], street.concentrator
    device.node.alerts.legs, device.node.alerts.expires = (Hop(1, 1),), 2 * START
    street.run(30.0)
    concentrator.events()
    recorded: list[bytes] = []
    street.wire.tap(lambda now, port, lpdu: recorded.append(lpdu) if port is street.ports[0] else None)
    events = street.journal.counts()["event"]
    device.meter.log("disconnect_opened")
    street.wire.touch(street.ports[0])
    street.run(15.0)
    [heard] = [each for each in concentrator.events() if isinstance(each, AlertHeard)]
    assert (heard.device, EVENTS[heard.alert.event_id].key) == (1, "disconnect_opened")
    assert street.journal.counts()["event"] == events + 1
    [notice] = street.journal.notices(kind="alert")
    assert (notice.device, notice.detail["event"]) == (1, heard.alert.event_id)
    street.run(60.0)  # as long as a receiver remembers transactions
    for lpdu in recorded:
        street.wire.send(street.ports[1], lpdu)
    street.run(15.0)
    assert not [each for each in concentrator.events() if isinstance(each, AlertHeard)]
    assert len(street.journal.notices(kind="alert")) == 1
    assert concentrator.alerts_refused == 1
    assert street.journal.counts()["event"] == events + 1


def test_a_rebuilt_journal_means_new_keys_for_everybody(tmp_path: Path) -> None:
    place = tmp_path / "j.sqlite"
    street = Street("1ph", place=place)
    street.commission_all()
    street.run(900.0)
    street.concentrator.stop(street.wire.now)
    street.journal.save({"zzz": b"1"})
    street.journal._execute("PRAGMA wal_checkpoint(TRUNCATE)")
    street.journal._execute("UPDATE counter SET value = x'00' WHERE name = 'zzz'")
    street.journal.close()
    street.begin()
    assert street.journal.counters_in_doubt
    assert [each.kind for each in street.journal.notices(kind="journal")] == ["journal"]
    for security in street.securities:
        security.distrust()
    street.do(street.commission(0))
    street.take_care(0)
    street.journal.trust_counters()
    street.run(400.0)
    assert street.securities[0].ku_generation == 2
    assert street.concentrator.account.by_class["alarm"].answered > 0


def test_no_key_is_in_what_the_concentrator_shows() -> None:
    street = Street("1ph")
    street.commission_all()
    street.run(300.0)
    device = street.devices[0]
    kept = device.node.security
    shown = repr(street.concentrator.status()) + repr(street.securities) + repr(street.concentrator.peers)
    for secret in (device.umk, street.sender.kb):
        assert secret.for_aes() not in shown.encode()
        assert secret.for_aes().hex() not in shown
    assert kept.ku_generation == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_piles_up_in_the_machine(seed: int) -> None:
    street = Street("1ph", seed=seed)
    street.commission_all()
    street.run(4 * 3600.0 + 100.0)
    concentrator = street.concentrator
    assert concentrator.account.total.answered > 100
    assert len(concentrator.exchanges) == 0
    assert len(concentrator.tasks) == 0
    assert len(concentrator.stack.transport.timers) < 70
    assert all(len(heap) < 5 for heap in concentrator.schedule._heaps.values())
