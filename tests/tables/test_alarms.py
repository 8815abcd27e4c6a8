"""Alarms: the bits of BT03 in words."""

from __future__ import annotations

from osgp.tables.alarms import SEVERITY, active_alarms
from osgp.tables.bt.bt03 import BT03
from osgp.wire import Bits, Context, layout_of

CONTEXT = Context(overrides={"BT00.DIM_MFG_STATUS_USED": 9})
NAMES = {
    key
    for name, spec in BT03.specs.items()
    if name != "ed_mode" and isinstance(getattr(layout_of(BT03, CONTEXT).zero(), name), Bits)
    for key in type(getattr(layout_of(BT03, CONTEXT).zero(), name)).fields
}


def test_all_bits_give_all_alarms_most_severe_first() -> None:
    layout = layout_of(BT03, CONTEXT)
    alarms = active_alarms(layout.decode(b"\xff" * (layout.size or 0)))
    assert {each.key for each in alarms} == {
        name for name in NAMES if not name.startswith(("filler", "reserved", "unlisted"))
    }
    order = [each.severity for each in alarms]
    assert order == sorted(order, key=("critical", "warning", "info").index)
    assert all(each.text for each in alarms)


def test_one_bit() -> None:
    layout = layout_of(BT03, CONTEXT)
    raw = bytearray(layout.size or 0)
    raw[0], raw[2] = 1, 0x10
    found = active_alarms(layout.decode(bytes(raw)))
    assert [(each.key, each.severity, each.field, each.bit) for each in found] == [
        ("cover_removed", "critical", "ed_std_status1", 12)
    ]


def test_severities_name_bits_that_exist() -> None:
    assert set(SEVERITY) <= NAMES
