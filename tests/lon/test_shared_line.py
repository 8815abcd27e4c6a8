"""Transactions of a node on a shared line: what has not had its turn yet is neither repeated nor given up."""

from __future__ import annotations

from osgp.lon.address import SubnetNode
from osgp.lon.csma import A_BAND
from osgp.lon.events import TransactionCompleted, TransactionFailed
from osgp.lon.link import Link
from osgp.lon.ltep import Service
from osgp.lon.transport import ANSWER_WAITS, PATIENCE, Options
from osgp.node.stack import Stack
from tests.lon.talk import Talk, node

B = SubnetNode(1, 20)
T = 1.0
ONCE = Options(retry=1, timer_s=T)


class Queue:
    """A line on which frames wait until they are let go."""

    def __init__(self) -> None:
        self.frames: set[bytes] = set()

    def waits(self, lpdu: bytes) -> bool:
        return lpdu in self.frames


def sent(stack: Stack, until_s: float, step_s: float = T / 8) -> list[bytes]:
    """What a stack hands out up to a moment, woken often."""
    found = []
    for step in range(1, round(until_s / step_s) + 1):
        stack.wake(step * step_s)
        found += [packet.lpdu() for packet in stack.outgoing(step * step_s)]
    return found


def test_without_a_shared_line_a_message_is_repeated_at_its_timer() -> None:
    a = node(1, 10)
    a.send(B, b"\x05", 0.0, ONCE)
    assert len(sent(a, 3 * T)) == 2
    assert [type(event) for event in a.events()] == [TransactionFailed]


def test_a_message_that_waits_for_its_turn_is_not_repeated() -> None:
    a, queue = node(1, 10), Queue()
    a.share_line(queue.waits)
    a.send(B, b"\x05", 0.0, ONCE)
    (packet,) = a.outgoing(0.0)
    queue.frames.add(packet.lpdu())
    assert sent(a, (PATIENCE + 0.5) * T) == []
    assert not a.events(), "nor is it given up"
    assert a.configuration.statistics.retries == 0


def test_patience_ends_when_a_line_never_falls_silent() -> None:
    a, queue = node(1, 10), Queue()
    a.share_line(queue.waits)
    a.send(B, b"\x05", 0.0, ONCE)
    queue.frames.update(packet.lpdu() for packet in a.outgoing(0.0))
    end_s = 2 * (PATIENCE + 1) * T
    for step in range(1, round(end_s / T) + 1):
        a.wake(step * T)
        queue.frames.update(packet.lpdu() for packet in a.outgoing(step * T))
    assert [type(event) for event in a.events()] == [TransactionFailed]
    assert a.deadline() is None


def test_the_answer_is_given_time_in_proportion_to_what_the_message_waited() -> None:
    a, queue = node(1, 10), Queue()
    a.share_line(queue.waits)
    a.send(B, b"\x05", 0.0, ONCE)
    (packet,) = a.outgoing(0.0)
    queue.frames.add(packet.lpdu())
    a.wake(T)
    a.wake(2 * T)
    queue.frames.clear()  # after two timers it has had its turn
    times = []
    for step in range(3, 12):
        a.wake(step * T)
        times += [step for _ in a.outgoing(step * T)]
    assert times == [2 + 2 * ANSWER_WAITS + 1]


def test_an_answer_that_waits_is_not_queued_again_for_a_repetition() -> None:
    a, b = node(1, 10), node(1, 20)
    a.send(B, b"\x05", 0.0, ONCE)
    (message,) = a.outgoing(0.0)
    queue = Queue()
    b.share_line(queue.waits)
    b.receive(message, 0.1)
    (answer,) = b.outgoing(0.1)
    queue.frames.add(answer.lpdu())
    b.receive(message, 0.2)
    assert b.outgoing(0.2) == []
    queue.frames.clear()
    b.receive(message, 0.3)
    assert [packet.lpdu() for packet in b.outgoing(0.3)] == [answer.lpdu()]


def test_a_link_knows_what_it_holds_until_it_is_sent() -> None:
    class First:
        def randrange(self, stop: int, /) -> int:
            return 0

    link = Link(A_BAND, First())
    frame = bytes(8)
    assert not link.holds(frame)
    link.submit(frame, 0.0)
    assert link.holds(frame)
    assert link.outgoing(0.0) is not None
    assert link.holds(frame), "on its way"
    link.sent(0.1)
    assert not link.holds(frame)


def test_on_a_line_of_its_own_a_conversation_is_what_it_was() -> None:
    a, b = node(1, 10), node(1, 20)
    for each in (a, b):
        each.share_line(lambda lpdu: False)
    talk = Talk(a, b)
    handle = a.send(B, b"\x05", 0.0, ONCE, service=Service.ACKD)
    talk.until(3 * T)
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle)]
    assert len(talk.spoken) == 2
