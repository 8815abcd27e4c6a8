"""The group ``domains`` offers the same load to all sides, and says what is missing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from osgp.bench import domains as bench
from osgp.bench.frame import PeerMissing
from osgp.sim.domains.engine import simulate
from osgp.sim.domains.model import Counter, What


def test_ours_carries_ten_frames_a_second_over_several_legs() -> None:
    found = simulate(bench.streets(8), 300.0, 1, trace=True)
    assert 9.5 < found.frames / 8 / 300.0 < 12.0
    assert found.total(Counter.COLLIDED) > 0.02 * found.frames
    assert found.total(Counter.CAPTURED) > 0.02 * found.frames
    assert found.trace is not None
    sent = [row for trace in found.trace for row in trace.tolist() if row[1] == What.SENT]
    assert sum(1 for row in sent if 0 not in (row[2], row[3])) > 0.2 * len(sent), "frames between meters"


def test_simpy_carries_nearly_ten() -> None:
    assert 8.5 < bench.simpy_frames(10, 60.0) / 10 / 60.0 < 10.5


def test_without_simpy_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simpy", None)
    with pytest.raises(PeerMissing, match="simpy"):
        bench.simpy_frames(1, 1.0)


def test_ns3_carries_nearly_ten(tmp_path: Path) -> None:
    frames, took_s = bench.Ns3(str(tmp_path)).run(10, 60.0)
    assert 8.5 < frames / 10 / 60.0 < 10.5
    assert took_s > 0.0


def test_without_compiler_ns3_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PeerMissing, match="compiler"):
        bench.Ns3(str(tmp_path))


def test_without_libraries_ns3_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: sys.executable)
    with pytest.raises(PeerMissing, match="libns3-dev"):
        bench.Ns3(str(tmp_path))


def test_time_spent_elsewhere_counts() -> None:
    clock = bench.ProcessorClock()
    before = clock()
    clock.elsewhere_s += 5.0
    assert 5.0 <= clock() - before < 6.0
