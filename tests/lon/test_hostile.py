"""What only an enemy says, or bad luck: lists that loop and lie, nested messages, forged senders, changes at the wrong moment.

The line is without loss here: so every frame is one that somebody asked for, and they can be counted.
"""

from __future__ import annotations

import random
from typing import Any

from osgp.lon.address import Group, SubnetNode, UniqueNodeId
from osgp.lon.events import MessageReceived, TransactionCompleted
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from tests.lon.line import Line
from tests.lon.talk import group_entry, node


def street(count: int, **more: Any) -> list[Stack]:
    """Nodes 1/10, 1/20 … which are members 0, 1 … of group 5."""
    found = []
    for place in range(count):
        token = random.Random(place).randbytes
        found.append(node(1, 10 + 10 * place, group_entry(5, place, count), token=token, **more))
    return found


# ---- changes at the wrong moment -----------------------------------------------------------------------------------
def test_a_group_left_between_challenge_and_reply() -> None:
    """The message is delivered, and answered as from the group: it came to a member."""
    sender, receiver = street(2)
    line = Line(sender, receiver)
    events: list[Any] = []
    line.hear = lambda place, event: events.append((place, event))
    sender.send(Group(5, 2), b"\x3a\x01", 0.0, Options(authenticated=True))
    line.until(0.003)
    assert not events, "challenged, and not yet answered"
    receiver.configuration.addresses = [None] * 15
    receiver.configuration.changed()
    line.settle(5.0)
    assert [place for place, event in events if isinstance(event, MessageReceived) and event.authenticated] == [1]
    assert [place for place, event in events if isinstance(event, TransactionCompleted)] == [0]


def test_one_node_by_its_unique_node_id_is_one_peer_whatever_the_subnet_says() -> None:
    """Two messages in progress would push each other out of its one record, and be delivered again and again."""
    sender, receiver = street(2, concurrent=4)
    line = Line(sender, receiver)
    delivered: list[bytes] = []
    line.hear = lambda place, event: delivered.append(event.apdu) if isinstance(event, MessageReceived) else None
    identity = receiver.configuration.unique_node_id
    line.cut.add((1, 0))
    for subnet in (0, 1):
        sender.send(UniqueNodeId(identity, subnet), bytes((0x3A, subnet)), 0.0, Options(retry=3, timer_s=0.1))
    line.settle(5.0)
    assert delivered == [b"\x3a\x00", b"\x3a\x01"]


def test_a_chain_of_enhanced_mode_with_a_number_beyond_15() -> None:
    """The hops below speak the old mode and take a number of their own."""
    sender, agent, target = street(3)
    line = Line(sender, agent, target)
    sender.transport.numbers._next[False, 4095] = 300
    responses: list[bytes] = []

    def hear(place: int, event: Any) -> None:
        if isinstance(event, MessageReceived) and event.reply is not None:
            line.nodes[place].respond(event.reply, b"\x3b" + event.apdu[1:], line.now)
        elif place == 0 and hasattr(event, "handle") and hasattr(event, "apdu"):
            responses.append(event.apdu)

    line.hear = hear
    chain = bytes.fromhex("4d00ec391e3a07")
    sender.request(SubnetNode(1, 20), chain, 0.0, Options(enhanced=True))
    line.settle(5.0)
    assert responses == [b"\x3b\x07"]
