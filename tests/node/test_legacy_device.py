"""A device of mode 0: what the broken suite may not bring about, quarantine over an outage, and how it is found by probes."""

from __future__ import annotations

from osgp.app.legacy import LegacyDevice, LegacyPeer
from osgp.app.memory import RamMemory
from osgp.app.suite import Address
from osgp.app.verdict import Accepted, How
from osgp.crypto.keys import Key
from osgp.lon.address import SubnetNode
from osgp.node import osgp_effects as effects
from osgp.node.osgp_tables import HereState
from osgp.node.server import Port
from osgp.tables.et.et04 import ET04
from osgp.tables.services import FullRead, FullWrite, PartialRead, PartialWrite, Request, encode_request
from osgp.tables.table import extended, number_of
from tests.sim.pl_line import Line

OMAK = Key(bytes.fromhex("0123456789ABCDEF01234567"))
PLACE = Address(b"OSG", 1, 2)
OPEN = b"\0\0"


class OldMeter:
    """One device with the broken suite, its second flag set, and who asks it."""

    def __init__(self) -> None:
        self.line = Line("1ph", legacy=lambda memory: LegacyDevice(OMAK, memory, PLACE, enabled=True, writes=True))
        (self.device,) = self.line.devices
        self.peer = LegacyPeer(OMAK, RamMemory(), PLACE, concentrator_allows=True, device_allows=True, writes=True)

    def sealed(self, request: Request) -> bytes:
        return self.peer.seal(encode_request(request, checksum=False), self.line.wire.now)

    def ask(self, request: Request) -> bytes:
        answer = self.line.ask(SubnetNode(1, 2), self.sealed(request))
        assert answer is not None
        verdict = self.peer.open(answer, self.line.wire.now)
        assert isinstance(verdict, Accepted)
        return verdict.plaintext


def order(psn: int) -> bytes:
    return extended(2).to_bytes(2, "little") + bytes((psn,)) + OPEN


def test_the_broken_suite_brings_no_critical_order_without_a_token() -> None:
    meter = OldMeter()
    assert meter.ask(FullWrite(7, order(9))) == b"\0"
    assert meter.ask(FullRead(8))[3:7] == order(9)[:3] + b"\5"
    assert meter.ask(PartialWrite(extended(4), 127, b"\2")) == b"\3", "the security mode"
    assert meter.device.node.refused["token"] == 2
    assert meter.device.meter.relays.closed
    assert meter.device.node.mode == 0


def test_nor_inside_a_transaction() -> None:
    meter = OldMeter()
    record = encode_request(FullWrite(7, order(9)), checksum=False)
    records = len(record).to_bytes(2, "little") + record
    number = (77).to_bytes(2, "little")
    content = (7 + len(records)).to_bytes(2, "little") + b"\0" + number + records + number
    assert meter.ask(FullWrite(extended(52), content)) == b"\0"
    assert meter.device.node.refused["token"] == 1
    assert meter.device.meter.relays.closed


def test_the_broken_suite_brings_neither_keys_nor_a_window() -> None:
    meter = OldMeter()
    before = meter.device.node.security.window
    meter.ask(PartialWrite(extended(4), 82, bytes(range(1, 7))))
    assert meter.device.node.security.window == before
    update = extended(20).to_bytes(2, "little") + b"\x0a" + bytes.fromhex("01 00 0200 00") + bytes(range(50, 66))
    meter.ask(FullWrite(7, update))
    assert meter.ask(FullRead(8))[6] == 5
    assert meter.device.node.security.kb_generation == 0


def test_a_quarantine_outlasts_an_outage_and_is_ended_at_the_device_itself() -> None:
    meter = OldMeter()
    device, now = meter.device, meter.line.wire.now
    legacy = device.node.legacy
    assert isinstance(legacy, LegacyDevice)
    for number in range(20):
        forged = b"\0\x30\0\3" + number.to_bytes(4, "big") + bytes(8)
        legacy.receive(forged, How.REQUEST, 11.0 * number)
    device.power_off(now)
    device.power_on(now + 1.0)
    assert device.node.legacy is not legacy, "it is made anew out of its memory"
    read = PartialRead(0, 0, 1)
    assert meter.line.ask(SubnetNode(1, 2), meter.sealed(read)) is None
    assert device.node.refused["quarantine"] >= 1
    meter.peer.give_up()
    device.meter.image.set(ET04, "plc_flags.force_neuron_cnfg", 1)
    effects.written(device.node, number_of("ET04"), Port("optical"))
    assert meter.ask(read)[0] == 0


def test_a_device_with_an_address_of_the_broken_suite_is_not_new() -> None:
    meter = OldMeter()
    node = meter.device.node
    assert node._here() == HereState.COMMISSIONED
    meter.ask(FullRead(3))
    assert node._here() == HereState.UP
