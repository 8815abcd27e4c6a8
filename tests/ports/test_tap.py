"""A tap that fails does not keep a port from its machine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from osgp.ports import udp
from osgp.ports.lonip_port import LonIpPort

HERE = "127.0.0.1"


def node(number: int) -> Stack:
    stack = Stack(Configuration(bytes((7, 0, 0, 0, 0, number))), quiet_s=0)
    stack.configuration.join(0, domain_entry(b"\x49", 1, number))
    return stack


@pytest.mark.parametrize("make", [asyncio.new_event_loop, udp.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_tap_that_fails_is_reported_and_both_nodes_talk_on(make: Any) -> None:
    reported: list[str] = []

    def broken(*_: Any) -> None:
        raise OSError("no room")

    async def main() -> None:
        async with (
            await LonIpPort.open(node(20), HERE, 0, tap=broken) as far,
            await LonIpPort.open(node(10), HERE, 0, peers={(b"\x49", 1, 20): far.endpoint}, tap=broken) as near,
        ):
            for _ in range(2):
                answer = await near.request(SubnetNode(1, 20), b"\x51", Options(retry=0, timer_s=2.0))
                assert answer.apdu[0] == 0x31

    loop = make()
    loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
    try:
        loop.run_until_complete(asyncio.wait_for(main(), 10))
    finally:
        loop.close()
    assert reported == ["no room"] * 8  # each way at both ends, twice
