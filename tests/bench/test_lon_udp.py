"""The bench of nodes over UDP: what it sends, what its rows say, and that it ends in good order."""

from __future__ import annotations

import importlib.metadata
import multiprocessing

import pytest

from osgp.bench import lon_udp as bench
from osgp.bench.frame import Bench, Row
from osgp.lon.lonip import LonIp
from osgp.wire.errors import LinkError


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few exchanges, few peers, few idle ones."""
    monkeypatch.setattr(bench, "EXCHANGES", 60)
    monkeypatch.setattr(bench, "PEERS", 10)
    monkeypatch.setattr(bench, "IDLE", 300)


def rows() -> list[Row]:
    """The rows of a run as short as can be."""
    quick = Bench("lon-udp", quick=True)
    quick.sample_s, quick.rounds = 0.0, 1
    return list(bench.lon_udp(quick))


def test_the_rows_name_goals_and_peers() -> None:
    ends, asker, alone, _ = found = rows()
    assert [(row.floor, row.stretch) for row in found] == [(None, None), (0.5, 0.7), (0.5, 0.7), (0.95, None)]
    assert all(row.ratio is not None and row.ratio > 0 for row in found)
    assert ends.peer_version == asker.peer_version == alone.peer_version == importlib.metadata.version("uvloop")
    assert not multiprocessing.active_children()


def test_an_absent_peer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    ends, asker, alone, idle = rows()
    assert (ends.ratio, asker.ratio, alone.ratio) == (None, None, None)
    assert ends.peer_name == "not installed: uvloop"
    assert idle.ratio is not None


def test_requests_fill_sixty_four_bytes_and_differ_from_the_one_before() -> None:
    made = bench._requests(2, 7)
    assert {len(each) for each in made} == {bench.PAYLOAD}
    assert len(set(made)) == 15
    packet = LonIp().read(made[0], (bench.HERE, 1), 0.0)
    assert packet is not None
    assert (packet.npdu.source_subnet, packet.npdu.source_node.node) == (2, 7)


def test_a_failed_exchange_ends_the_bench() -> None:
    load = bench._Load(bench.new_event_loop())

    def fails() -> None:
        load.failed += 1
        load.loop.call_soon(load.done)

    with pytest.raises(LinkError, match="1 exchanges failed"):
        load.run([fails], 1)
    load.loop.close()
