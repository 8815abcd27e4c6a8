"""The group ``crypto`` runs, with and without its peer, and leaves the digest as it found it."""

from __future__ import annotations

import shutil

import pytest

from osgp.bench import crypto
from osgp.bench.frame import Bench
from osgp.crypto import legacy


def tiny() -> Bench:
    bench = Bench("crypto", quick=True)
    bench.sample_s = 0.0
    return bench


def test_rows_with_the_peer() -> None:
    if not shutil.which("gcc") and not shutil.which("cc"):
        peers = {row.peer for row in crypto.crypto(tiny())}
        assert peers == {None}
        return
    rows = {row.name: row for row in crypto.crypto(tiny())}
    assert all(row.ratio and row.peer_version for row in rows.values())
    assert rows["OMA digest, per call"].floor == pytest.approx(1 / 1.2)
    assert not legacy.fast_ready()


def test_rows_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto.shutil, "which", lambda name: None)
    rows = list(crypto.crypto(tiny()))
    assert rows
    assert {(row.peer, row.ratio, row.peer_name) for row in rows} == {(None, None, "not installed: C compiler")}
    assert not legacy.fast_ready()


def test_a_compiler_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto.shutil, "which", lambda name: "/bin/false")
    assert {row.peer for row in crypto.crypto(tiny())} == {None}
