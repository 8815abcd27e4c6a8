"""The group ``phy`` gives both sides the same file, and counts what each of them loses."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from statistics import NormalDist

import pytest

from osgp.bench import phy as bench
from osgp.bench.frame import PeerMissing


def test_a_loss_is_what_theory_would_need_less() -> None:
    for worse_db in (0.0, 0.3):
        share = NormalDist().cdf(-math.sqrt(2 * 10 ** ((bench.EC_N0_DB - worse_db) / 10)))
        assert bench.loss_db(round(share * 10**8), 10**8) == pytest.approx(worse_db, abs=0.001)
    assert bench.loss_db(0, 100) == 0.0
    assert bench.loss_db(50, 100) == math.inf


def test_ours_receives_the_file_near_theory(tmp_path: Path) -> None:
    recording = bench.Recording(str(tmp_path), packets=8)
    assert recording.path.stat().st_size == 4 * recording.samples
    assert bench.receive(recording) >= 1
    assert -0.4 < bench.our_loss_db(recording) < 0.6


@pytest.mark.parametrize("chain", bench.CHAINS)
def test_gnu_radio_receives_the_file_near_theory(chain: tuple[str, int, str, float], tmp_path: Path) -> None:
    recording = bench.Recording(str(tmp_path), packets=20)
    peer = bench.GnuRadio(recording, str(tmp_path), chain)
    assert peer.run() > 0.0
    assert peer.version.startswith("3.")
    assert -0.3 < peer.loss_db < 1.0


def test_without_gnu_radio_the_row_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = bench.Recording(str(tmp_path), packets=1)
    for python in (sys.executable, str(tmp_path / "none")):
        monkeypatch.setattr(bench, "SYSTEM_PYTHON", python)
        with pytest.raises(PeerMissing, match="apt install gnuradio"):
            bench.GnuRadio(recording, str(tmp_path), bench.CHAINS[0])


def test_time_spent_elsewhere_counts() -> None:
    clock = bench.ProcessorClock()
    before = clock()
    clock.elsewhere_s += 5.0
    assert 5.0 <= clock() - before < 6.0
