"""A device on the power line: commissioning, secured tables, critical orders, broadcasts, keys, alerts, outages."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from osgp.app.aes import device_keys
from osgp.app.legacy import LegacyDevice, LegacyPeer
from osgp.app.memory import RamMemory, StorageError
from osgp.app.messages import (
    Alert,
    KeyUpdate,
    KeyUpdateKind,
    Probe,
    ProbeFlags,
    ReverseHop,
    ReverseRoute,
    ReverseStep,
)
from osgp.app.peer import Terms
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address
from osgp.app.token import write_with_token
from osgp.app.verdict import Accepted, How, OutOfStep
from osgp.crypto.keys import Key
from osgp.lon.address import Broadcast, SubnetNode
from osgp.lon.configuration import Configuration
from osgp.lon.entries import NodeState
from osgp.lon.ltep import Service
from osgp.lon.proxy import Hop
from osgp.node.disconnect import Contactor, Lock
from osgp.node.osgp import OsgpNode
from osgp.node.osgp_alerts import CLASSES
from osgp.node.osgp_orders import BROADCAST_WINDOW_S
from osgp.node.osgp_parts import find
from osgp.node.osgp_tables import HeardAnswers, LinkRegister
from osgp.node.rights import may_read, may_run, may_write
from osgp.node.stack import ChainOptions, Stack
from osgp.sim.medium import line_levels
from osgp.sim.pl_device import PowerLineDevice
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt74 import BT74
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et54 import ET54
from osgp.tables.events import EVENTS, event_of
from osgp.tables.services import FullRead, PartialRead, PartialWrite, encode_request
from osgp.tables.table import USER, Table, number_of
from osgp.wire.errors import ConfigError, LocalProtocolError
from tests.sim.pl_line import NC, START, Asker, Line

OPEN = b"\0\0"


def ready(*kinds: str, **options: Any) -> tuple[Line, Asker]:
    line = Line(*(kinds or ("1ph",)), **options)
    for asker in line.askers:
        asker.commission()
    return line, line.askers[0]


def events(device: PowerLineDevice) -> list[str]:
    log: Any = device.meter.image.decode(BT74)
    order = [(log.last_entry_element - n) % len(log.entries) for n in range(log.nbr_valid_entries)]
    return [event_of(log.entries[n].history_code.event_id).key for n in order]


def field(asker: Asker, name: str, path: str) -> Any:
    """A value of ET04 or ET54 as it stands after a read over the line."""
    asker.read(name)
    table: type[Table] = ET04 if name == "ET04" else ET54
    return asker.device.meter.image.get(table, path)


# ---- commissioning --------------------------------------------------------------------------------------------------
def test_a_new_device_is_commissioned_by_its_unique_node_id_and_then_has_an_address() -> None:
    line = Line("1ph")
    (device,) = line.devices
    assert device.stack.configuration.state == NodeState.UNCONFIGURED
    line.askers[0].commission()
    (place,) = device.stack.configuration.memberships()
    assert (place.domain, place.subnet, place.node) == (b"OSG", 1, 2)
    assert device.stack.configuration.configured
    assert "device_commissioned" in events(device)
    assert line.askers[0].read("BT03")[0] == 1


def test_before_a_set_is_committed_the_device_has_no_address_and_answers_nothing_else() -> None:
    line = Line("1ph")
    asker = line.askers[0]
    line.ask(asker.by_id, bytes.fromhex("300003") + bytes(12))
    assert line.ask(asker.place, b"\x10" + bytes(20)) is None
    assert line.devices[0].node.security.address is None
    assert not line.devices[0].stack.configuration.configured


def test_a_second_handshake_leaves_the_old_set_at_work_until_the_new_one_is_used() -> None:
    line, asker = ready()
    device = line.devices[0]
    other = Asker(line, device, 9)
    other.peer.accept_generation(1)
    old_place = device.stack.configuration.memberships()
    terms = Terms(Address(b"OSG", 1, 9), line.sender.kb, line.sender.generation, 1, 100)
    first = line.ask(other.by_id, other.peer.challenge(terms, line.wire.now))
    assert first is not None
    verdict: Any = other.peer.handshake(first, line.wire.now)
    second = line.ask(other.by_id, verdict.apdu)
    assert second is not None
    other.peer.handshake(second, line.wire.now)
    assert device.stack.configuration.memberships() == old_place
    assert asker.read("BT03")[0] == 1, "the old key and the old address"
    assert other.send(encode_request(FullRead(3), checksum=False))[0] == 0
    assert device.stack.configuration.memberships()[0].node == 9
    assert asker.verdict(encode_request(FullRead(3), checksum=False)) is None, "the old key is gone"


def test_a_node_needs_a_stack_that_can_be_commissioned_and_is_guarded() -> None:
    device = Line("load").devices[0]
    with pytest.raises(LocalProtocolError, match="GuardedManagement"):
        OsgpNode(
            Stack(Configuration(bytes(6))),
            lambda: device.node.security,
            device.meter,
            memory=device.memory,
            utc_of=lambda now: now,
        )


# ---- tables ---------------------------------------------------------------------------------------------------------
def test_a_read_of_84_bytes_fits_and_what_does_not_is_told_to_come_in_parts() -> None:
    _, asker = ready()
    code, data = asker.service(PartialRead(23, 0, 84))
    assert (code, len(data)) == (0, 84)
    assert asker.service(FullRead(23)) == (4, b"")
    assert asker.service(PartialRead(23, 0, 85)) == (4, b"")
    assert len(asker.read("BT23")) == asker.device.meter.image.size(23)
    assert asker.service(PartialRead(number_of("ET55"), 5000, 4)) == (0, bytes(4))


def test_writes_change_tables_and_the_log_says_that_the_power_line_did() -> None:
    _, asker = ready()
    assert asker.write("ET55", b"\x05", 102) == 0
    assert asker.device.meter.image.read_part(number_of("ET55"), 102, 1) == b"\x05"
    log: Any = asker.device.meter.image.decode(BT74)
    assert log.entries[log.last_entry_element].user_id == 0xFFFE
    assert asker.write("ET54", b"\0") == 3, "nobody writes that table"
    assert asker.service(FullRead(2000)) == (5, b"")


def test_the_same_bytes_again_are_answered_again_and_carried_out_once() -> None:
    line, asker = ready()
    asker.send(asker.order("EP02", b"\1\0"))
    frame = asker.frame(asker.order("EP02", b"\1\1"))
    first = line.ask(asker.place, frame)
    count = len(events(asker.device))
    line.wire.run(line.wire.now + 60)
    assert line.ask(asker.place, frame) == first
    assert len(events(asker.device)) == count
    assert first is not None
    asker.peer.open(first, line.wire.now)


def test_rights_of_the_power_line_are_those_of_a_concentrator() -> None:
    assert all(may_read(number, "PL") for number in (3, 23, number_of("ET51"), number_of("UT17")))
    assert all(may_write(number_of(name), "PL") for name in ("BT07", "ET04", "ET13", "ET55", "ET61", "UT19", "BT54"))
    assert not any(may_write(number_of(name), "PL") for name in ("BT00", "BT23", "BT74", "UT16", "UT18", "UT22"))
    assert may_run(number_of("EP02"), "PL")
    assert not may_write(USER + 19, "MK")


def test_what_the_security_counts_stands_in_the_tables_of_the_power_line() -> None:
    _, asker = ready()
    device = asker.device
    assert field(asker, "ET04", "security_mode") == 2
    assert field(asker, "ET04", "max_key_usage") == 1_000_000
    assert field(asker, "ET04", "fcm_msg_count") == 2
    assert field(asker, "ET04", "xcvr_id") == device.unique_node_id
    assert (field(asker, "ET04", "subnet_id"), field(asker, "ET04", "node_id")) == (1, 2)
    assert field(asker, "ET54", "unicast_key_usage") == device.node.security.unicast_uses > 5
    assert field(asker, "ET54", "broadcast_key_usage") == 0
    assert int(field(asker, "ET54", "security_modes")) == 4
    assert (
        field(asker, "ET04", "broadcast_base"),
        field(asker, "ET04", "broadcast_delta"),
    ) == device.node.security.window


def test_base_and_delta_of_broadcasts_are_set_by_a_write_and_by_nothing_else() -> None:
    _, asker = ready()
    device = asker.device
    before = device.node.security.window
    assert asker.write("ET04", (5000).to_bytes(4, "little") + (7).to_bytes(2, "little"), 82) == 0
    assert device.node.security.window == (5000, 7)
    image = device.meter.image
    image.set(ET04, "broadcast_base", 1)
    assert field(asker, "ET04", "broadcast_base") == 5000
    assert before != (5000, 7)


def test_the_mode_of_security_stays_where_it_is_without_the_other_suite() -> None:
    line, asker = ready()
    plaintext = encode_request(PartialWrite(number_of("ET04"), 127, b"\0"), checksum=False)
    assert asker.send(plaintext) == b"\x03", "without a token"
    kcrit = device_keys(asker.device.umk, asker.device.unique_node_id, asker.device.profile).kcrit
    asker.token += 1
    with_token = write_with_token(kcrit, asker.device.unique_node_id, plaintext, asker.token, asker.device.profile)
    assert asker.send(with_token) == b"\0"
    assert field(asker, "ET04", "security_mode") == 2
    assert line.ask(asker.place, b"\0" + bytes.fromhex("300003") + bytes(12)) is None
    assert asker.device.node.refused["off"] >= 1


# ---- critical orders ------------------------------------------------------------------------------------------------
def test_the_load_disconnect_opens_with_a_token_only() -> None:
    _, asker = ready()
    meter = asker.device.meter
    assert asker.run("EP02", OPEN) == 5
    assert meter.relays.closed
    assert asker.run("EP02", OPEN, token=True) == 0
    assert not meter.relays.closed
    contactor = find(meter, Contactor)
    assert contactor is not None
    assert contactor.lock == Lock.REMOTE
    assert asker.run("EP23", b"\0") == 0, "closing needs none"
    assert meter.relays.closed


def test_a_token_counts_once() -> None:
    _, asker = ready()
    assert asker.run("EP02", OPEN, token=True) == 0
    asker.run("EP23", b"\0")
    asker.token -= 1
    assert asker.run("EP02", OPEN, token=True) == 5
    assert asker.device.meter.relays.closed
    assert asker.device.node.refused["token-counter"] == 1


def test_no_transaction_brings_an_order_past_the_token() -> None:
    _, asker = ready()
    order = asker.order("EP02", OPEN)
    harmless = encode_request(FullRead(3), checksum=False)
    records = b"".join(len(each).to_bytes(2, "little") + each for each in (order, harmless))
    number = (77).to_bytes(2, "little")
    content = (7 + len(records)).to_bytes(2, "little") + b"\0" + number + records + number
    assert asker.write("ET52", content) == 0
    assert asker.device.meter.relays.closed
    assert asker.read("BT08")[3] == 5
    response = asker.service(PartialRead(number_of("ET53"), 0, 40))[1]
    assert response[5:8] == b"\1\0\0", "the order was answered, not obeyed"


def test_credit_limits_and_locks_need_a_token() -> None:
    _, asker = ready()
    for name, parameters in (
        ("EP21", b"\0" + bytes.fromhex("0100000064000000")),
        ("EP22", b"\1" + bytes.fromhex("E8030000")),
        ("EP36", b"\1"),
    ):
        assert asker.run(name, parameters) == 5, name
        assert asker.run(name, parameters, token=True) == 0, name
    assert not asker.device.meter.relays.closed


# ---- broadcasts -----------------------------------------------------------------------------------------------------
def order(name: str, parameters: bytes, psn: int = 9) -> bytes:
    data = number_of(name).to_bytes(2, "little") + bytes((psn,)) + parameters
    return bytes.fromhex("400007") + len(data).to_bytes(2, "big") + data


def test_a_relay_switches_by_broadcast_after_a_delay_of_chance() -> None:
    line, _ = ready("load", "load", "1ph")
    frame = line.broadcast(order("EP02", b"\1\0"))
    for device in line.devices:
        device.advance(line.wire.now)
    assert any(device.meter.relays.control[0] for device in line.devices)
    line.wire.run(line.wire.now + BROADCAST_WINDOW_S + 5)
    for device in line.devices:
        device.advance(line.wire.now)
        assert device.meter.relays.control[0] is False
        assert device.node.security.broadcast_time is not None
    assert len([port for _, port, lpdu in line.log if frame in lpdu]) == 2, "sent and repeated; nobody answered"


def test_what_is_not_on_the_list_does_not_come_by_broadcast() -> None:
    line, asker = ready()
    meter = asker.device.meter
    for psn, (name, parameters) in enumerate(
        (("EP02", OPEN), ("EP36", b"\1"), ("EP27", b"\0\1\1"), ("EP20", bytes(21)), ("EP16", b"\xff\0\0\0")), 9
    ):
        line.broadcast(order(name, parameters, psn))
    assert meter.relays.closed
    assert asker.device.node.groups == ()
    assert asker.device.node.refused["not-allowed"] == 5


def test_a_clock_step_by_broadcast_counts_once_a_day() -> None:
    line, asker = ready()
    meter = asker.device.meter
    line.broadcast(order("EP16", (30).to_bytes(4, "little"), 9))
    line.broadcast(order("EP16", (30).to_bytes(4, "little"), 10))
    asker.device.advance(line.wire.now)
    assert round(meter.clock.shows(START + line.wire.now) - (START + line.wire.now)) in (30, 0)
    assert asker.device.node.refused["not-allowed"] == 1


def test_groups_are_joined_by_procedure_and_hear_their_broadcasts() -> None:
    line, asker = ready("load", "load")
    assert asker.run("EP27", b"\0" + (0x0105).to_bytes(2, "little")) == 0
    assert asker.run("EP27", b"\0" + (0x01FF).to_bytes(2, "little")) == 2
    line.broadcast(order("EP02", b"\1\0"), (0x0105,))
    line.wire.run(line.wire.now + 90)
    states = []
    for device in line.devices:
        device.advance(line.wire.now)
        states.append(device.meter.relays.control[0])
    assert states == [False, True]
    assert asker.run("EP27", b"\1" + (0x0105).to_bytes(2, "little")) == 0
    assert asker.device.node.groups == ()
    for number in range(1, 11):
        assert asker.run("EP27", b"\0" + number.to_bytes(2, "little")) == 0
    assert asker.run("EP27", b"\0" + (11).to_bytes(2, "little")) == 7
    assert asker.run("EP27", b"\2") == 0


# ---- keys -----------------------------------------------------------------------------------------------------------
def test_a_new_broadcast_key_is_installed_by_unicast_and_used_from_its_first_broadcast_on() -> None:
    line, asker = ready("load")
    key, generation = line.sender.prepare_key()
    slot = (generation - 1) & 1
    update = KeyUpdate(kind=KeyUpdateKind.BROADCAST_KEY, slot=slot, generation=generation, wrap=0, key=key.for_aes())
    assert asker.run("EP20", update.encode()) == 0
    assert asker.device.node.security.kb_generation == generation - 1
    line.sender.switch()
    line.broadcast(order("EP02", b"\1\0"))
    assert asker.device.node.security.kb_generation == generation
    assert "key_changed" in events(asker.device)
    status: Any = asker.device.meter.image.decode(BT03)
    assert status.mfg_status_4.password_table_written == 1
    assert asker.run("EP20", update.encode()) == 2, "that generation does not follow"


def test_forced_configuration_forgets_the_place_after_it_was_answered() -> None:
    _, asker = ready()
    epoch = asker.device.node.security.epoch
    flags = asker.device.meter.image.read_part(number_of("ET04"), 12, 1)[0] | 2
    assert asker.write("ET04", bytes((flags,)), 12) == 0
    assert asker.device.node.security.address is None
    assert not asker.device.stack.configuration.configured
    assert asker.device.node.security.epoch == epoch == 1
    assert asker.verdict(encode_request(FullRead(3), checksum=False)) is None


def test_a_key_that_was_used_for_most_of_its_time_is_told() -> None:
    limits = replace(OsgpProfile().limits, key_usage_max=20)
    _, asker = ready(profile=replace(OsgpProfile(), limits=limits))
    for _ in range(20):
        asker.send(encode_request(FullRead(3), checksum=False))
    assert events(asker.device).count("key_usage_80") == 1
    status: Any = asker.device.meter.image.decode(BT03)
    assert status.mfg_status_4.key_expiration_pending == 1


def test_a_device_locks_out_for_the_minutes_that_et55_says_and_only_where_it_says_so() -> None:
    line, asker = ready()
    bare = encode_request(FullRead(3), checksum=False)
    forged = b"\x10" + bytes(range(15))

    def forge() -> None:
        for number in range(3):
            line.ask(SubnetNode(1, 2), forged[:-1] + bytes((number,)), wait=4.0)

    forge()
    assert asker.send(bare)[0] == 0, "off by default: anyone can send bad tags"
    assert asker.write("ET55", bytes((3, 2)), 20) == 0
    forge()
    begun = line.wire.now
    assert asker.verdict(bare) is None
    assert asker.device.node.refused["locked-out"] >= 1
    line.wire.run(begun + 120.0)
    assert asker.send(bare)[0] == 0


def test_long_silence_of_the_concentrator_is_an_alarm_where_it_is_wanted() -> None:
    line, asker = ready()
    meter = asker.device.meter

    def alarmed() -> int:
        status: Any = meter.image.decode(BT03)
        return int(status.mfg_status_1.remote_comm_inactive)

    offset = 74
    assert asker.write("ET04", (30).to_bytes(2, "little"), offset) == 0
    assert meter.image.get(ET04, "plc_inactive_threshold") == 30
    line.wire.run(line.wire.now + 1700)
    asker.device.advance(line.wire.now)
    assert not alarmed()
    line.wire.run(line.wire.now + 200)
    asker.device.advance(line.wire.now)
    assert alarmed()


def test_many_bad_tags_lock_out_only_where_that_is_switched_on() -> None:
    line, asker = ready()
    for _ in range(3):
        line.ask(asker.place, b"\x10" + bytes(30))
    assert asker.read("BT03")[0] == 1
    assert asker.write("ET55", b"\3\1", 20) == 0
    for _ in range(3):
        line.ask(asker.place, b"\x10" + bytes(31))
    assert asker.verdict(encode_request(FullRead(3), checksum=False)) is None
    line.wire.run(line.wire.now + 61)
    assert asker.read("BT03")[0] == 1


# ---- alerts ---------------------------------------------------------------------------------------------------------
def route(*legs: tuple[int, int], lifetime: int = 60) -> bytes:
    steps = [ReverseStep(hop=ReverseHop(node=node), subnet=subnet) for subnet, node in legs]
    return ReverseRoute(lifetime=lifetime, count=len(steps), hops=steps).encode()


def alerts(line: Line, asker: Asker) -> list[Alert]:
    found = []
    for message in line.messages():
        verdict = asker.peer.open_alert(message.apdu)
        if isinstance(verdict, Accepted):
            found.append(Alert.decode(verdict.plaintext))
    return found


def test_an_alert_goes_out_by_the_stored_way_and_the_log_keeps_its_entry() -> None:
    line, asker = ready()
    assert asker.write("UT19", route((1, 1))) == 0
    asker.run("EP02", OPEN, token=True)
    line.events()
    line.wire.run(line.wire.now + 10)
    (alert,) = alerts(line, asker)
    assert EVENTS[alert.event_id].key == "disconnect_opened"
    assert alert.alert_class == CLASSES["disconnect_opened"]
    moment = alert.time.datetime()
    assert moment is not None
    assert abs(moment - dt.datetime.fromtimestamp(START + line.wire.now, dt.UTC)) < dt.timedelta(seconds=60)


def test_a_class_of_alerts_says_one_a_minute_and_none_without_a_way() -> None:
    line, asker = ready()
    device = asker.device
    asker.write("UT19", route((1, 1)))
    for _ in range(5):
        device.meter.log("disconnect_opened")
        line.wire.touch(line.ports[0])
        line.wire.run(line.wire.now + 5)
    assert (device.node.alerts.sent, device.node.alerts.dropped) == (1, 4)
    line.wire.run(line.wire.now + 60)
    device.meter.log("disconnect_opened")
    line.wire.touch(line.ports[0])
    line.wire.run(line.wire.now + 5)
    assert device.node.alerts.sent == 2
    asker.write("UT19", route(lifetime=0))
    line.wire.run(line.wire.now + 70)
    device.meter.log("disconnect_opened")
    line.wire.touch(line.ports[0])
    line.wire.run(line.wire.now + 5)
    assert device.node.alerts.sent == 2


def test_a_way_has_an_end_in_time_and_survives_an_outage() -> None:
    line, asker = ready()
    device = asker.device
    asker.write("UT19", route((1, 1), lifetime=10))
    device.power_off(line.wire.now)
    device.power_on(line.wire.now + 1)
    assert device.node.alerts.legs == (Hop(1, 1),)
    line.wire.run(line.wire.now + 700)
    device.advance(line.wire.now)
    sent = device.node.alerts.sent
    device.meter.log("disconnect_opened")
    line.wire.touch(line.ports[0])
    line.wire.run(line.wire.now + 5)
    assert device.node.alerts.sent == sent


def test_an_alert_passes_a_repeater_that_cannot_read_it() -> None:
    levels = line_levels(3, first_db=25.0, step_db=40.0)
    line = Line("1ph", "1ph", levels=levels)
    near, far = line.askers
    near.commission()
    far.hops = [Hop(1, near.place.node)]
    far.commission()
    assert far.write("UT19", route((1, 2), (1, 1))) == 0
    assert far.run("EP02", OPEN, token=True) == 0
    line.events()
    line.wire.run(line.wire.now + 30)
    assert [EVENTS[each.event_id].key for each in alerts(line, far)] == ["disconnect_opened"]
    assert not alerts(line, near)


def test_behind_eight_repeaters_a_device_is_commissioned_read_in_whole_pieces_and_heard() -> None:
    line = Line(*(["load"] * 9), levels=line_levels(10, first_db=25.0, step_db=40.0))
    for number, asker in enumerate(line.askers):
        asker.hops = [Hop(1, each.place.node) for each in line.askers[:number]]
        asker.commission()
    far = line.askers[-1]
    assert len(far.hops) == 8
    code, data = far.service(PartialRead(23, 0, 84))
    assert (code, len(data)) == (0, 84)
    assert far.write("ET13", bytes(40), 0) == 0
    assert far.write("UT19", route(*((1, hop.node) for hop in reversed(far.hops)), (1, 1))) == 0
    far.device.meter.log("voltage_sag")
    line.wire.touch(line.ports[-1])
    line.events()
    line.wire.run(line.wire.now + 40)
    assert [EVENTS[each.event_id].key for each in alerts(line, far)] == ["voltage_sag"]


def test_a_street_that_comes_back_does_not_talk_all_at_once() -> None:
    line, _ = ready("load", "load", "load", "load")
    for asker in line.askers:
        asker.write("UT19", route((1, 1)))
    now = line.wire.now
    for device in line.devices:
        device.power_off(now)
        device.power_on(now + 20)
    due = sorted(device.node.alerts.deadline() or 0.0 for device in line.devices)
    assert due[0] >= now + 20
    assert due[-1] - due[0] > 20


# ---- supply ---------------------------------------------------------------------------------------------------------
def test_without_supply_a_device_hears_nothing_and_after_it_goes_on_behind_its_reserved_numbers() -> None:
    line, asker = ready()
    device = asker.device
    captured = [lpdu for _, port, lpdu in line.log if port is line.port]
    device.power_off(line.wire.now)
    assert asker.verdict(encode_request(FullRead(3), checksum=False)) is None
    line.wire.run(line.wire.now + 100)
    device.power_on(line.wire.now)
    line.wire.run(line.wire.now + 3)
    verdict = asker.verdict(encode_request(FullRead(3), checksum=False))
    assert isinstance(verdict, OutOfStep), "the block that was reserved is burnt"
    assert asker.read("BT03")[0] == 1
    assert events(device)[:2] == ["power_up", "power_down"]
    before = device.node.validated
    for lpdu in captured:
        device.node.receive_frame(lpdu, line.wire.now)
    assert device.node.validated == before


def test_a_last_gasp_is_one_frame_to_a_concentrator_in_earshot() -> None:
    line, asker = ready(last_gasp=True)
    asker.write("UT19", route((1, 1)))
    line.events()
    asker.device.power_off(line.wire.now)
    line.wire.run(line.wire.now + 5)
    (alert,) = alerts(line, asker)
    assert EVENTS[alert.event_id].key == "power_down"
    assert asker.device.node.deadline() is None


def test_a_memory_that_fails_is_told_and_nothing_is_carried_out() -> None:
    _, asker = ready()
    memory = asker.device.memory
    for _ in range(40):
        asker.read("BT03")

    def fail(values: Any) -> None:
        raise StorageError("no space left")

    memory.save = fail  # type: ignore[method-assign]  # a full disk
    silent = 0
    for _ in range(40):
        silent += asker.verdict(asker.order("EP02", b"\1\0")) is None
        if silent:
            break
    assert silent
    assert asker.device.node.refused["storage"] >= 1
    assert "storage_failed" in events(asker.device)


# ---- topology -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("service", [Service.UNACKD, Service.UNACKD_RPT])
def test_a_concentrator_finds_a_far_device_through_a_commissioned_agent(service: Service) -> None:
    levels = line_levels(3, first_db=25.0, step_db=40.0)
    line = Line("1ph", "3ph", levels=levels)
    near, far = line.askers
    for port, phase in zip((line.port, *line.ports), (1, 1, 2)):
        port.phase = phase
    near.commission()
    probe = Probe(round=5, lo=0, hi=0xFFFF, flags=ProbeFlags(only_uncommissioned=1), slots=8, slot_time=40, sender=NC)
    options = ChainOptions(service=service, target_retry=1, all_agents=True)
    line.stack.request_via([Hop(1, 2)], Broadcast(), probe.encode(), line.wire.now, options)
    line.wire.touch(line.port)
    line.wire.run(line.wire.now + 15)
    table = HeardAnswers.decode(near.read("UT17"))
    assert (table.round, table.count) == (5, 1)
    (found,) = table.answers
    assert found.unique_node_id == far.device.unique_node_id
    assert (found.margin_there, found.margin_here) == (25, 25)
    assert found.phase == 5, "the agent's phase as the far device sees it"
    far.hops = [Hop(1, 2)]
    far.commission()
    assert far.read("BT03")[0] == 1
    assert far.device.node.links.margin_db(SubnetNode(1, 2)) == 25.0


def test_a_link_probe_through_an_agent_fills_its_register_in_both_directions() -> None:
    levels = line_levels(3, first_db=25.0, step_db=40.0)
    line = Line("1ph", "1ph", levels=levels)
    near, far = line.askers
    near.commission()
    far.hops = [Hop(1, 2)]
    far.commission()
    answer = line.ask(SubnetNode(1, 3), b"\x57", [Hop(1, 2)])
    assert answer is not None
    assert answer[0] == 0x37
    register = LinkRegister.decode(near.read("UT18"))
    links = {(link.subnet, link.node): link for link in register.links}
    assert (links[1, 3].margin_in, links[1, 3].margin_out) == (25, 24)
    assert links[1, 1].margin_out == -128


# ---- the broken suite -----------------------------------------------------------------------------------------------
OMAK = Key(bytes.fromhex("0123456789ABCDEF01234567"))
PLACE = Address(b"OSG", 1, 2)


def old_fashioned(*, writes: bool = False) -> tuple[Line, LegacyPeer]:
    def make(memory: RamMemory) -> LegacyDevice:
        return LegacyDevice(OMAK, memory, PLACE, enabled=True, writes=writes)

    line = Line("1ph", legacy=make)
    peer = LegacyPeer(OMAK, RamMemory(), PLACE, concentrator_allows=True, device_allows=True, writes=writes)
    return line, peer


def test_a_device_of_mode_0_is_read_by_the_broken_suite_and_not_written() -> None:
    line, peer = old_fashioned()
    (device,) = line.devices
    assert "legacy_enabled" in events(device)
    answer = line.ask(SubnetNode(1, 2), peer.seal(encode_request(FullRead(3), checksum=False), line.wire.now))
    assert answer is not None
    verdict = peer.open(answer, line.wire.now)
    assert isinstance(verdict, Accepted)
    assert verdict.plaintext[:3] == bytes.fromhex("00000D")
    device.meter.refresh(number_of("ET04"), device.meter.at)
    assert device.meter.image.get(ET04, "security_mode") == 0
    assert device.meter.image.get(ET04, "seq_nbr") == 1
    assert device.meter.image.get(ET04, "node_id") == 2


def test_commissioning_ends_mode_0_for_good() -> None:
    line, peer = old_fashioned()
    (device,) = line.devices
    line.askers[0].commission()
    assert device.node.mode == 2
    assert line.ask(SubnetNode(1, 2), peer.seal(encode_request(FullRead(3), checksum=False), line.wire.now)) is None
    assert device.node.refused["off"] >= 1
    device.power_off(line.wire.now)
    device.power_on(line.wire.now + 1)
    assert device.node.mode == 2


def test_many_bad_digests_shut_the_broken_suite_off_and_are_logged() -> None:
    line, _ = old_fashioned()
    (device,) = line.devices
    for number in range(25):
        line.ask(SubnetNode(1, 2), b"\0\x30\0\3" + number.to_bytes(4, "big") + bytes(8), wait=2.0)
        line.wire.run(line.wire.now + 11)
    assert "legacy_quarantined" in events(device)
    assert device.node.refused["quarantine"] >= 1


# ---- state ----------------------------------------------------------------------------------------------------------
def test_a_saved_device_goes_on_under_its_keys() -> None:
    line, asker = ready()
    asker.run("EP27", b"\0\1\1")
    asker.write("UT19", route((1, 1)))
    text = json.dumps(asker.device.to_json())
    again = PowerLineDevice("1ph", seed=1, index=0, start=START, now=line.wire.now)
    again.restore(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again.node.groups == (0x0101,)
    assert again.stack.configuration.memberships() == asker.device.stack.configuration.memberships()
    frame = asker.frame(encode_request(FullRead(3), checksum=False))
    verdict = again.node.security.receive(frame, How.REQUEST, 1e4)
    assert not isinstance(verdict, Accepted), "a restored copy goes on behind its block"
    with pytest.raises(ConfigError, match="saved state"):
        PowerLineDevice("3ph", seed=1, index=0, start=START).restore(json.loads(text))


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="no kind of device"):
        PowerLineDevice("toaster", start=START)


def test_events_of_the_stack_do_not_pile_up() -> None:
    line, asker = ready()
    for _ in range(300):
        asker.device.node.receive_frame(b"\0", line.wire.now)
    assert len(asker.device.node.events()) == 64
