"""Broadcasts over the tree of ways: who speaks, who hears, what it takes; group commands beyond earshot; two phases of a key."""

from __future__ import annotations

from typing import Any

import pytest

from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.broadcasts import Broadcasts, Chain, airtime_of, choose
from osgp.concentrator.exchange import Priority
from osgp.concentrator.routes import ROOT, Step
from osgp.sim.pl_device import PowerLineDevice
from osgp.tables.bt.bt74 import BT74
from osgp.tables.events import event_of
from osgp.tables.procedures.ep02 import EP02
from tests.concentrator.network import Network, chain, levels_of

A, B, C, D = (bytes([n]) * 6 for n in range(1, 5))
NEAR = Chain()
OVER_A, OVER_A_B, ALL_A_B = Chain((Step(A),)), Chain((Step(A), Step(B))), Chain((Step(A), Step(B)), all_agents=True)


def hearing(**by_speaker: set[bytes]) -> dict[tuple[bytes, bool], set[bytes]]:
    names = {"root": ROOT, "a": A, "b": B, "c": C}
    return {(names[name], False): found for name, found in by_speaker.items()}


def entries(device: PowerLineDevice, event: str) -> list[int]:
    """Arguments of an event in a device's log."""
    log: Any = device.meter.image.decode(BT74)
    valid = [log.entries[(log.last_entry_element - n) % len(log.entries)] for n in range(log.nbr_valid_entries)]
    found = [each for each in valid if event_of(each.history_code.event_id).key == event]
    return [int.from_bytes(bytes(each.history_argument), "little") for each in found]


class Street(Network):
    def _make(self, now: float) -> None:
        super()._make(now)
        self.broadcasts = Broadcasts(self.concentrator, self.topology, self.sender)

    def accepted(self) -> list[int]:
        return [device.node.security.last_broadcast for device in self.devices]

    def relay(self) -> bytes:
        """A control relay closes: allowed by broadcast."""
        content = (EP02.number | 0x0800).to_bytes(2, "little") + b"\x07" + bytes([1, 1]) + bytes(20)
        return b"\x40\x00\x07" + len(content).to_bytes(2, "big") + content


# ---- choosing -------------------------------------------------------------------------------------------------------
COST = {NEAR: 1.0, OVER_A: 2.5, OVER_A_B: 4.0, ALL_A_B: 5.0}


def test_who_is_in_earshot_needs_no_repeater() -> None:
    assert choose(COST, hearing(root={A, B}, a={B}), {A, B}, COST) == [NEAR]


def test_one_chain_on_which_all_speak_is_taken_before_two_chains() -> None:
    assert choose(COST, hearing(root={A}, a={B, C}, b={D}), {A, B, C, D}, COST) == [NEAR, ALL_A_B]


def test_the_last_agent_alone_speaks_where_nobody_needs_the_others() -> None:
    assert choose(COST, hearing(root={A}, a={B}, b={D}), {D}, COST) == [OVER_A_B]


def test_whom_no_chain_reaches_is_left_out() -> None:
    assert choose(COST, hearing(root={A}), {A, D}, COST) == [NEAR]
    assert choose(COST, hearing(root={A}), {D}, COST) == []


def test_another_carrier_is_another_earshot() -> None:
    other = Chain((), True)
    cost = {NEAR: 1.0, other: 1.0}
    assert choose(cost, {(ROOT, False): {A}, (ROOT, True): {B}}, {A, B}, cost) == [NEAR, other]


def test_airtime_counts_hops_answers_and_copies() -> None:
    costs = LineCosts()
    frame = costs.frame_s(80) + costs.wait_s
    answer = costs.frame_s(1) + costs.wait_s
    assert airtime_of(NEAR, 80, costs, repeats=3) == pytest.approx(4 * frame)
    head = costs.chain_bytes(2) * costs.byte_s
    assert airtime_of(OVER_A, 80, costs, repeats=0) == pytest.approx(2 * frame + head + answer)
    head = costs.chain_bytes(3) * costs.byte_s
    assert airtime_of(ALL_A_B, 80, costs, repeats=0) == pytest.approx(4 * frame + head + 2 * answer)


# ---- on the line ----------------------------------------------------------------------------------------------------
def test_a_group_command_reaches_every_device_behind_repeaters_and_the_fan_out_is_counted() -> None:
    street = Street(chain(4))
    street.until(street.all_up)
    street.run(1800.0)
    counter = street.sender.counter
    assert street.port is not None
    before = street.port.airtime_s + sum(port.airtime_s for port in street.ports)
    number = street.concentrator.add_job(
        "group", [street.node(0).device], {"message": street.relay().hex()}, now=street.wire.now
    )
    street.touch()
    street.until(lambda: number not in street.concentrator.jobs.active)
    street.run(20.0)
    measured = street.port.airtime_s + sum(port.airtime_s for port in street.ports) - before
    assert street.accepted() == [counter] * 4
    usage = street.broadcasts.usage["broadcast"]
    assert (usage.broadcasts, usage.broken) == (1, 0)
    assert usage.airtime_s == pytest.approx(measured, rel=0.25), "silences are counted, too"
    account = street.concentrator.account.by_class
    booked = account["broadcast"].airtime_s + account["broadcast fan-out"].airtime_s
    assert booked == pytest.approx(usage.airtime_s, rel=0.05)


def ordered(street: Street, indexes: list[int], parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Results of a group command."""
    devices = [street.node(index).device for index in indexes]
    number = street.concentrator.add_job("group", devices, parameters, now=street.wire.now)
    street.touch()
    street.until(lambda: number not in street.concentrator.jobs.active)
    return list(street.concentrator.jobs.status(number)[0]["results"])


def test_relays_of_a_group_are_switched_by_name_at_moments_of_chance_and_again_by_the_same_order() -> None:
    street = Street(levels_of(5, {(0, n): 30.0 for n in range(1, 5)}))
    street.until(street.all_up)
    for device in street.devices[:3]:
        device.node.groups = (0x0101,)
    order = {"procedure": "EP02", "parameters": {"target": 1, "action": 0, "random": 300}, "groups": [0x0101]}
    assert [each["state"] for each in ordered(street, [0, 1, 2], order)] == ["done"] * 3
    delays = [entries(device, "order_delayed") for device in street.devices]
    assert [len(each) for each in delays] == [1, 1, 1, 0], "whoever is not of the group does nothing"
    assert len({each[0] for each in delays[:3]}) > 1, "not all at once"
    ordered(street, [0, 1, 2], order)
    assert [len(entries(device, "order_delayed")) for device in street.devices] == [2, 2, 2, 0]


@pytest.mark.parametrize(
    "parameters",
    [
        {"procedure": "EP02", "parameters": {"target": 0, "action": 0}},
        {"procedure": "EP21", "parameters": "00"},
        {"procedure": "EP16", "parameters": "78000000"},
        {"message": "300003"},
        {},
    ],
)
def test_what_no_device_takes_by_broadcast_is_not_sent(parameters: dict[str, Any]) -> None:
    street = Street(chain(1))
    street.until(street.all_up)
    before = street.sender.counter
    (result,) = ordered(street, [0], parameters)
    assert result["state"] == "failed"
    assert street.sender.counter == before


def test_a_chain_that_breaks_keeps_no_other_from_its_turn() -> None:
    links = {(0, 1): 30.0, (0, 2): 30.0, (1, 2): 30.0, (1, 3): 30.0, (2, 4): 30.0}
    street = Street(levels_of(5, links))
    street.until(street.all_up, 6 * 3600.0)
    street.devices[0].power_off(street.wire.now)
    counter = street.sender.counter
    done: list[Any] = []

    async def send() -> None:
        apdu = street.sender.seal(street.relay())
        done.append(await street.broadcasts.send(apdu, Priority.ON_DEMAND, repeated=True, kind="broadcast"))

    street.concentrator.tasks.start(send(), street.wire.now, name="test")
    street.touch()
    street.until(lambda: bool(done))
    street.run(5.0)
    assert done[0].broken == 1
    assert street.accepted()[1] == counter
    assert street.accepted()[3] == counter


def test_a_key_is_handed_out_before_it_is_used_and_nobody_loses_a_broadcast() -> None:
    street = Street(chain(3))
    street.until(street.all_up)
    generation = street.sender.generation
    street.sender.prepare_key()
    street.until(lambda: street.sender.prepared is None, 7200.0)
    assert street.sender.generation == generation + 1
    # Two phases: the devices hold it in the idle slot until the first broadcast under it.
    assert [device.node.security.kb_generation for device in street.devices] == [generation] * 3
    counter = street.sender.counter
    street.concentrator.add_job(
        "group", [street.node(0).device], {"message": street.relay().hex()}, now=street.wire.now
    )
    street.touch()
    street.until(lambda: street.accepted() == [counter] * 3)
    assert [device.node.security.kb_generation for device in street.devices] == [generation + 1] * 3


def test_the_window_rises_with_the_day_and_earlier_broadcasts_are_dead() -> None:
    street = Street(chain(2))
    street.until(street.all_up)
    for _ in range(5):
        street.sender.seal(street.relay())
    street.run(1.1 * 86400.0)
    assert [device.node.security.window[0] for device in street.devices] == [street.sender.counter] * 2
