"""The group ``hostile`` runs on a whole device and a whole concentrator, and what it calls good is good."""

from __future__ import annotations

from osgp.bench import hostile
from osgp.bench.frame import Bench
from osgp.bench.hostile import CONCENTRATOR_KINDS, DEVICE_KINDS, HostileLine


def test_rows_are_whole() -> None:
    bench = Bench("hostile", quick=True)
    bench.sample_s = 0.0
    rows = list(hostile.hostile(bench))
    assert len(rows) == len(DEVICE_KINDS) + len(CONCENTRATOR_KINDS) == 18
    assert all(row.ratio and row.ours and row.floor == 1 / 3 for row in rows)


def test_what_is_good_is_carried_out_and_what_is_bad_is_not() -> None:
    line = HostileLine()
    node = line.device.node
    before = node.validated
    assert len(line.device_hears(line.request())) == 1
    assert node.validated == before + 1
    refused = node.refused.total()
    assert not line.device_hears(DEVICE_KINDS["wrong CRC"](line, line.request()))
    line.device_hears(DEVICE_KINDS["wrong tag"](line, line.request()))
    assert (node.validated, node.refused.total()) == (before + 1, refused + 1)
    good = line.answer()
    asked_again = line.concentrator_hears(CONCENTRATOR_KINDS["wrong tag"](line, good))
    assert len(asked_again) == 1
    assert line.concentrator.exchanges.in_flight == 1, "a forged answer ends nothing"
    line.end(asked_again, good)
    assert line.concentrator.exchanges.in_flight == 0
