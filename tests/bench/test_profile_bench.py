"""The profile bench compares like with like: both sides see the same month."""

from __future__ import annotations

from typing import Any

import numpy as np

from osgp.bench import profile as bench
from osgp.bench.frame import PeerMissing
from osgp.tables.profile import decode_blocks


def test_by_hand_gives_the_same_times_and_values() -> None:
    shape = bench._shape()
    raw = bench._table(shape)
    ours = decode_blocks(raw, shape)
    by_hand: Any = bench._by_hand(raw, shape)()
    time, columns = by_hand
    order = np.argsort(time)
    assert (time[order] == ours.time).all()
    assert (np.stack(columns, axis=1)[order] == ours.values).all()
    assert len(ours) == bench.ROWS
    assert ours.epochs()[0] == int(bench.START.timestamp()) + 900


def test_the_peer_reads_the_same_rows() -> None:
    peer = bench._built(bench._dlms_decode)
    if isinstance(peer, PeerMissing):
        assert "dlms-cosem" in str(peer)
        return
    rows: Any = peer()
    ours = decode_blocks(bench._table(bench._shape()), bench._shape())
    assert [[column.value for column in row[2:]] for row in rows] == ours.values.tolist()
