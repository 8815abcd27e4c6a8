"""The wire's bench compares like with like: the same talk, whoever else is there."""

from __future__ import annotations

import pytest

from osgp.bench.lon_wire import BOUND_KIB, EXCHANGES, TALKERS, Town, memory_kib
from osgp.lon.csma import A_BAND, ChannelTiming


@pytest.mark.parametrize("access", [None, A_BAND], ids=["direct", "shared"])
def test_ten_say_the_same_alone_and_among_a_crowd(access: ChannelTiming | None) -> None:
    alone, crowd = Town(TALKERS, TALKERS, access), Town(200, TALKERS, access)
    said: dict[Town, list[tuple[float, int, bytes]]] = {alone: [], crowd: []}
    for town, seen in said.items():
        town.wire.tap(lambda now, sender, lpdu, seen=seen: seen.append((now, sender.number, lpdu)))
        town.talk()
    assert said[alone] == said[crowd]
    assert len(said[alone]) == alone.delivered == crowd.delivered == 2 * EXCHANGES


def test_an_idle_node_stays_within_its_bound() -> None:
    assert 1 < memory_kib(50) < BOUND_KIB
