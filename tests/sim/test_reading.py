"""What a node is told of the frame it took last."""

from __future__ import annotations

from random import Random

from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.ltep import Service
from osgp.node.link_register import UNHEARD
from osgp.node.stack import Stack
from osgp.sim.medium import FrameMedium, Levels, line_levels
from osgp.sim.reading import NOISE_DB, phase_between, reading
from osgp.sim.wire import Port, Wire


def stack(node: int) -> Stack:
    configuration = Configuration(bytes([7, 0, 0, 0, 0, node]))
    configuration.join(0, domain_entry(b"I", 1, node))
    return Stack(configuration, quiet_s=0, token=lambda n: bytes(n))


def line(levels: Levels) -> tuple[Wire, list[Stack], list[Port]]:
    wire = Wire(random=Random(1), medium=FrameMedium(levels, seed=1))
    stacks = [stack(number + 1) for number in range(levels.size)]
    return wire, stacks, [wire.join(each) for each in stacks]


def say(wire: Wire, stacks: list[Stack], ports: list[Port], to: int, *, secondary: bool = False) -> None:
    from osgp.lon.transport import Options

    options = Options(alternate_path=secondary)
    stacks[0].send(SubnetNode(1, to + 1), b"\x05hello", wire.now, options, service=Service.UNACKD)
    wire.touch(ports[0])
    wire.run(wire.now + 5)


def test_strength_and_margin_follow_the_level_and_fall_with_the_distance() -> None:
    wire, stacks, ports = line(line_levels(3, first_db=30.0, step_db=12.0, secondary_db=3.0))
    assert reading(wire, ports[1]) is UNHEARD
    say(wire, stacks, ports, 1)
    say(wire, stacks, ports, 2)
    near, far = reading(wire, ports[1]), reading(wire, ports[2])
    assert (near.strength_db, near.margin_db) == (NOISE_DB + 30.0, 30.0)
    assert (far.strength_db, far.margin_db) == (NOISE_DB + 18.0, 18.0)
    say(wire, stacks, ports, 2, secondary=True)
    assert reading(wire, ports[2]).margin_db == 21.0


def test_on_a_loud_line_the_same_level_has_less_margin() -> None:
    wire, stacks, ports = line(line_levels(2, first_db=30.0, scenario="D"))
    say(wire, stacks, ports, 1)
    quiet, others, at = line(line_levels(2, first_db=30.0))
    say(quiet, others, at, 1)
    assert 0.0 < reading(wire, ports[1]).margin_db < reading(quiet, at[1]).margin_db - 3.0


def test_the_phase_is_the_sender_s_as_seen_from_the_receiver() -> None:
    wire, stacks, ports = line(line_levels(2))
    ports[0].phase, ports[1].phase = 2, 1
    say(wire, stacks, ports, 1)
    assert reading(wire, ports[1]).phase == 3
    assert [phase_between(a, 1) for a in (0, 1, 2, 3)] == [0, 1, 3, 5]


def test_a_wire_without_levels_has_no_reading() -> None:
    wire = Wire(random=Random(1))
    stacks = [stack(1), stack(2)]
    ports = [wire.join(each) for each in stacks]
    say(wire, stacks, ports, 1)
    assert ports[1].received == 1
    assert reading(wire, ports[1]) is UNHEARD
