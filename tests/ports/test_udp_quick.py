"""What ports on UDP leave out to be quick, nobody misses: nodes with deadlines of their own, slow callbacks, interrupts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from osgp.lon.address import SubnetNode
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from osgp.ports import udp
from osgp.ports.lonip_port import LonIpPort
from osgp.wire.errors import NoAnswer
from tests.ports.test_udp import DOMAIN, HERE, QUICK, Echo, Toy, client, node, until

Make = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("make", [asyncio.new_event_loop, udp.new_event_loop], ids=["asyncio", "uvloop"])
THERE = SubnetNode(1, 20)


class Keeper(Stack):
    """A node that has something to do of its own, a moment after each packet."""

    due: float | None = None

    def receive(self, packet: Any, now: float) -> None:
        super().receive(packet, now)
        self.due = now + 0.01

    def deadline(self) -> float | None:
        return self.due if self.due is not None else super().deadline()

    def wake(self, now: float) -> None:
        super().wake(now)
        self.due = None
        self.kept = True


@LOOPS
def test_a_kind_of_node_with_deadlines_of_its_own_is_woken_for_them(make: Make) -> None:
    async def main() -> None:
        keeper = Keeper(node(20).configuration, quiet_s=0)
        async with await LonIpPort.open(keeper, HERE, 0) as port, await client({(DOMAIN, 1, 20): port.endpoint}) as one:
            await asyncio.sleep(0)
            one.ask(THERE, b"\x01", QUICK)
            await until(lambda: hasattr(keeper, "kept"))

    loop = make()
    loop.run_until_complete(asyncio.wait_for(main(), 10))
    loop.close()


@LOOPS
def test_what_is_asked_in_a_callback_that_took_long_has_all_its_time_from_then(make: Make) -> None:
    class Asked(Toy):
        def request(self, destination: Any, apdu: bytes, now: float, *args: Any) -> int:
            asked.append(now)
            return 7

    async def main() -> None:
        def slow(event: Any) -> None:
            clock[0] += 5.0
            port.ask(THERE, b"\x51")

        toy = Asked()
        async with await LonIpPort.open(toy, HERE, 0, on_event=slow) as port:
            port._clock = lambda: clock[0]
            toy.to_tell = ["something", "something else"]
            port.flush()

    asked: list[float] = []
    clock = [100.0]
    loop = make()
    loop.run_until_complete(asyncio.wait_for(main(), 10))
    loop.close()
    assert asked == [105.0, 110.0]


@LOOPS
def test_after_an_interrupt_in_a_callback_ports_hear_and_speak_on(make: Make) -> None:
    interrupts = [True]

    def interrupted(event: Any) -> None:
        if interrupts:
            interrupts.pop()
            raise KeyboardInterrupt
        echo(event)

    async def ask(options: Options) -> bytes:
        return (await asyncio.wait_for(one.request(THERE, b"\x01x", options), 10)).apdu

    async def end() -> None:
        for port in (one, two):
            port.close()
            await port.wait_closed()

    loop, echo = make(), Echo()
    two = loop.run_until_complete(LonIpPort.open(node(20), HERE, 0, on_event=interrupted))
    echo.port = two
    one = loop.run_until_complete(client({(DOMAIN, 1, 20): two.endpoint}))
    first = loop.create_task(ask(QUICK))
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(first)
    with pytest.raises(NoAnswer):  # what it was told of is lost
        loop.run_until_complete(first)
    assert loop.run_until_complete(ask(Options(timer_s=1.0))) == b"\x01x"
    loop.run_until_complete(end())
    loop.close()
