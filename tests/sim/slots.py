"""The rule of the access once more, in slots: a yardstick that shares no code with ``lon.link`` or the wire.

``spec/iso14908-1.md`` 1.4, for nodes that always have something to send and all hear each other at once: each draws a slot from a
window of 16 slots for each packet it expects and its own; the first sends; those who drew the same collide, and break off behind
the preamble. Nothing is lost, no transaction ends, no retry is sent: the access alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

LINE_BITS_PER_S = 6.5536e6 / 1824
SLOT_S = 10 / LINE_BITS_PER_S
BETA1_S = 6.112e-3
PREAMBLE_BITS, END_BITS, BITS_PER_BYTE = 46, 11, 11
MESSAGE_BYTES, ANSWER_BYTES = 13, 10


def airtime_s(size: int) -> float:
    """Time of a frame on the line, CRC included in ``size``."""
    return (PREAMBLE_BITS + BITS_PER_BYTE * size + END_BITS) / LINE_BITS_PER_S


@dataclass(frozen=True)
class Saturated:
    """What nodes with always something to send achieve: airtime of whole frames by time, share of transmissions that collide."""

    throughput: float
    collision_ratio: float


def saturated(nodes: int, *, acknowledged: bool, collisions_heard: bool = False, seconds: float = 600.0) -> Saturated:
    """``acknowledged``: messages announce an answer, which its receiver sends before messages of its own. ``collisions_heard``: all
    count a collision, as an analysis has it in which all hold one estimate; else those who collide, as the standard has it."""
    chance = Random(nodes)
    expected = [0] * nodes
    answers = [0] * nodes
    time_s = whole_s = 0.0
    begun = met = 0
    while time_s < seconds:
        slots = [chance.randrange(16 * (1 + each)) for each in expected]
        first = min(slots)
        senders = [node for node, slot in enumerate(slots) if slot == first]
        time_s += BETA1_S + first * SLOT_S
        expected = [max(0, each - first // 16) for each in expected]
        begun += len(senders)
        if len(senders) > 1:
            met += len(senders)
            time_s += PREAMBLE_BITS / LINE_BITS_PER_S
            for node in range(nodes) if collisions_heard else senders:
                expected[node] = min(63, expected[node] + 1)
            continue
        (sender,) = senders
        announced = acknowledged and not answers[sender]
        if announced:
            answers[(sender + 1 + chance.randrange(nodes - 1)) % nodes] += 1
        elif acknowledged:
            answers[sender] -= 1
        on_air_s = airtime_s(MESSAGE_BYTES if announced else ANSWER_BYTES if acknowledged else MESSAGE_BYTES - 1)
        time_s += on_air_s
        whole_s += on_air_s
        expected = [min(63, each + 1) if announced else max(0, each - 1) for each in expected]
    return Saturated(whole_s / time_s, met / begun)
