"""The power line as one more door: pieces, procedures, what is done about doubt, costs by legs."""

from __future__ import annotations

import pytest

from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.door import Order, power_line_costs
from osgp.concentrator.exchange import OutcomeUnknown, Route
from osgp.lon.proxy import Hop
from osgp.node.device import Device
from osgp.tables.access import TableAccess
from osgp.tables.planner import plan_ranges
from osgp.tables.services import Busy, NotInConfiguration
from osgp.tables.table import extended, number_of
from tests.concentrator.world import World

CALENDAR = number_of("BT54")
ET04, EP16 = extended(4), extended(16)


def test_it_is_a_door_like_the_others() -> None:
    assert isinstance(World().access(), TableAccess)


def test_a_long_read_comes_in_pieces_that_fit() -> None:
    world = World()
    access = world.access()
    image = world.devices[0].meter.image.read(CALENDAR)
    assert world.do(access.read_part(CALENDAR, 10, 200)) == image[10:210]
    counts = [int.from_bytes(message[6:8], "big") for message in world.devices[0].executed]
    assert counts == [84, 84, 32]


def test_a_device_reads_whole_tables_whose_size_only_their_bytes_tell() -> None:
    world = World()
    access = world.access()
    device = Device(access)
    access.size_of = device.size_of
    assert world.do(device.raw(CALENDAR)) == world.devices[0].meter.image.read(CALENDAR)
    value = world.do(device.get("fwd_active_energy"))
    assert isinstance(value, int | float)


def test_writes_longer_than_an_exchange_are_cut() -> None:
    world = World()
    access = world.access()
    world.do(access.write_part(CALENDAR, 0, bytes(200)))
    assert [len(message) - 8 for message in world.devices[0].executed] == [75, 75, 50]
    assert world.devices[0].meter.image.read_part(CALENDAR, 0, 200) == bytes(200)


def test_a_refusal_is_the_error_of_its_code() -> None:
    world = World()
    with pytest.raises(NotInConfiguration):
        world.do(world.access().read(number_of("BT99")))


def test_a_busy_device_is_asked_again_later_and_not_for_ever() -> None:
    world = World()
    world.devices[0].busy = [6, 7]
    assert world.do(world.access().read_part(0, 0, 4)) == world.devices[0].meter.image.read(0)[:4]
    assert world.wire.now > 4.0
    world.devices[0].busy = [6] * 9
    with pytest.raises(Busy):
        world.do(world.access().read_part(0, 0, 4))


def test_a_procedure_is_ordered_once_and_its_response_found() -> None:
    world = World()
    access = world.access()
    result = world.do(access.run(EP16, (7).to_bytes(4, "little")))
    assert (result.procedure, result.result) == (EP16, 0)
    first = access.peer.psn
    world.do(access.run(EP16, (-7).to_bytes(4, "little", signed=True)))
    assert access.peer.psn == (first or 0) + 1
    assert orders(world) == 2


def test_procedures_of_one_device_wait_for_each_other() -> None:
    world = World()

    async def both() -> list[int]:
        tasks, found = world.asker.tasks, []
        for task in [tasks.start(world.access().run(EP16, bytes(4)), 0.0) for _ in range(3)]:
            found.append((await task).sequence)
        return found

    numbers = world.do(both())
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    messages = [message[:3] for message in world.devices[0].executed]
    assert messages == [b"\x30\x00\x08"] + [b"\x40\x00\x07", b"\x30\x00\x08"] * 3


def orders(world: World) -> int:
    return sum(message[:3] == b"\x40\x00\x07" for message in world.devices[0].executed)


def test_an_order_whose_answer_was_lost_is_not_repeated_but_looked_for() -> None:
    world = World()
    access = world.access()
    world.do(access.run(EP16, bytes(4)))
    lose_answers_to_orders(world)
    result = world.do(access.run(EP16, bytes(4)))
    assert result.result == 0
    assert orders(world) == 2


def test_an_order_that_was_never_heard_is_not_said_to_have_been_run() -> None:
    world = World()
    access = world.access()
    world.do(access.run(EP16, bytes(4)))
    device = world.devices[0]
    answer = device.answer

    def deaf(apdu: bytes, now: float) -> bytes:
        if apdu[1:4] == b"\x40\x00\x07":
            return b"\xff" * 12
        return answer(apdu, now)

    device.answer = deaf  # type: ignore[method-assign]  # orders are damaged on the way
    with pytest.raises(OutcomeUnknown):
        world.do(access.run(EP16, bytes(4)))


def lose_answers_to_orders(world: World) -> None:
    """Answers to BT07 never arrive; the stored response is lost as well."""
    device = world.devices[0]
    answer = device.answer

    def lossy(apdu: bytes, now: float) -> bytes:
        found = answer(apdu, now)
        return b"\xff" * 12 if apdu[1:4] == b"\x40\x00\x07" else found

    device.answer = lossy  # type: ignore[method-assign]  # as said


def test_a_write_whose_answer_was_lost_is_read_back_before_it_is_repeated() -> None:
    world = World()
    device = world.devices[0]
    answer = device.answer
    table = number_of("ET47")

    def lossy(apdu: bytes, now: float) -> bytes:
        found = answer(apdu, now)
        return b"\xff" * 12 if apdu[1:2] == b"\x4f" else found

    device.answer = lossy  # type: ignore[method-assign]  # answers to partial writes are spoiled
    world.do(world.access().write_part(table, 0, b"\x01\x02"))
    assert sum(message[0] == 0x4F for message in device.executed) == 1
    assert device.meter.image.read_part(table, 0, 2) == b"\x01\x02"


def test_an_order_knows_its_response() -> None:
    order = Order(2064, b"", 9)
    response = bytes.fromhex("1008 09 00".replace(" ", "")) + b"\x01"
    found = order.result_in(response)
    assert found is not None
    assert (found.result, found.data) == (0, b"\x01")
    assert order.result_in(bytes.fromhex("10080800")) is None
    assert order.result_in(b"\x10\x08") is None


def test_costs_are_the_airtime_of_the_way() -> None:
    line = LineCosts()
    for legs in (1, 3, 8):
        costs = power_line_costs(line, legs)
        assert (costs.max_read, costs.max_write) == (84, 75)
        for size in (1, 24, 84):
            wanted = line.exchange_s(21, 12 + size, legs)
            assert costs.airtime_s(costs.read_bytes(size, full=False), 1) == pytest.approx(
                wanted, abs=line.byte_s * legs
            )
            full = line.exchange_s(16, 12 + size, legs)
            assert costs.airtime_s(costs.read_bytes(size, full=True), 1) == pytest.approx(full, abs=line.byte_s * legs)


def test_costs_follow_the_way_that_is_known_now() -> None:
    world = World()
    access = world.access()
    near = access.costs
    world.routes.by_device[0] = Route((Hop(1, 101), Hop(1, 102)))
    far = access.costs
    assert far.airtime_s(100, 1) == pytest.approx(3 * near.airtime_s(100, 1))
    assert far.name == "pl over 3 legs"


def test_a_planner_joins_fields_that_are_nearer_than_another_exchange_costs() -> None:
    costs = power_line_costs(LineCosts(), 1)
    assert plan_ranges([(0, 4), (40, 4)], costs) == [(0, 44)]
    assert plan_ranges([(0, 4), (300, 4)], costs) == [(0, 4), (300, 4)]
