"""ET42, the copy of all changeable dimensions, kept true (MEP guide p. 111), and what hangs on its change.

A change raises the alarm in BT03, counts ET04.IDT_VERSION, and moves the MEP sequence by 25 (MEP guide p. 55).
"""

from __future__ import annotations

from typing import Any

from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt22 import BT22
from osgp.tables.bt.bt23 import BT23
from osgp.tables.bt.bt61 import BT61
from osgp.tables.bt.bt71 import BT71
from osgp.tables.et.et21 import ET21
from osgp.tables.et.et36 import ET36
from osgp.tables.et.et42 import ET42
from osgp.tables.et.et54 import ET54
from osgp.tables.et.et55 import ET55
from osgp.tables.et.et57 import ET57
from osgp.tables.image import Image
from osgp.tables.table import Table
from osgp.wire import layout_of

__all__ = ["DEMAND_MINUTES", "copy_dimensions"]

DEMAND_MINUTES = 15
"""Demand sub-interval and interval as delivered (project choice; BT13 has no layout in the guides)."""


def _known(image: Image, declared: type[Table]) -> Any:
    """A table of the image, or the one that only sizes others."""
    if declared.number in image:
        return image.decode(declared)
    raw = image.context.raw.get(declared)
    return (
        layout_of(declared, image.context).decode(raw) if raw is not None else layout_of(declared, image.context).zero()
    )


def _ext_sources(image: Image, number: int, count: int) -> list[int]:
    from osgp.tables.bt.bt62 import BT62
    from osgp.tables.et.et66 import ET66

    mapping = [each for one in _known(image, ET66).sets for each in one.ext_source_ids]
    sources = [each.lp_source_sel for each in _known(image, BT62).sets[number].channels]
    found = [mapping[each - 112] if 112 <= each < 112 + len(mapping) else each for each in sources]
    return (found + [0] * count)[:count]


def copy_dimensions(image: Image, demand_minutes: int = DEMAND_MINUTES, demand_multiplier: int = 1) -> None:
    """Write ET42 anew from the tables it copies, and the demand interval that no other table shows."""
    registers, selection, profile, status = (_known(image, each) for each in (BT21, BT22, BT61, ET21))
    logs, history, state, config = (_known(image, each) for each in (ET36, BT71, ET54, ET55))
    layout = layout_of(ET42, image.context)
    t: Any = layout.zero()
    flags = registers.flags0
    t.fixed_len, t.log_list_size = 41, logs.count
    t.interface_compat = type(t.interface_compat)(0)
    t.bidn = 1
    t.billing_flags = t.billing_flags.with_(
        demand_reset_ctr=flags.demand_reset_ctr,
        cum_demand=flags.cum_demand,
        cont_cum_demand=flags.cont_cum_demand,
        demand_configured=int(registers.nbr_demands > 0),
        unread_bitmap_enabled=1,
    )
    for name in (
        "self_reads",
        "summations",
        "demands",
        "coincident",
        "occur",
        "tiers",
        "present_demands",
        "present_values",
    ):
        setattr(t, f"nbr_{name}", getattr(registers, f"nbr_{name}"))
    t.demand_subinterval, t.demand_multiplier = demand_minutes, demand_multiplier
    layout_23 = layout_of(BT23, image.context)
    t.tier_size = layout_23.span("tier_data_block[0]").size
    first, inner = profile.sets[0], status.sets[0]
    t.lp_block_size, t.lp_nbr_blocks, t.lp_nbr_chns = inner.block_size, first.nbr_blks, first.nbr_chns
    t.lp_interval_duration, t.lp_interval_size = first.max_int_time, inner.interval_size
    t.lp_options = int(inner.lp_options or 0)
    t.lp_intervals_per_block = first.nbr_blk_ints
    t.lp_block_start_hour, t.lp_block_start_minute = inner.block_start_hour or 0, inner.block_start_minute or 0
    t.hist_flags = type(t.hist_flags)(int(history.flags))
    t.hist_count, t.hist_arg_size = history.nbr_history_entries, history.hist_data_length
    t.unlisted_fixed = b""
    t.log_list = []
    for log in logs.logs:
        record = layout_of(ET42.LogList).zero()
        record.log_count, record.log_entry_size = min(log.current_entries, 255), log.entry_size
        t.log_list.append(record)
    t.demand_sources, t.coincident_sources = list(selection.demand_select), list(selection.coincident_select)
    t.lp_ext_sources = _ext_sources(image, 0, first.nbr_chns)
    t.mdt_entries = []
    if ET57.number in image:
        for entry in _known(image, ET57).entries:
            if entry.type.entry_type:
                t.mdt_entries.append(entry)
    t.mdt_count = len(t.mdt_entries)
    if t.lp_bit_mask is not None or state.interface_compat.multi_lp:
        active = [n for n in range(1, len(profile.sets)) if profile.sets[n].nbr_chns]
        if t.lp_bit_mask is not None:
            t.lp_bit_mask = type(t.lp_bit_mask)(sum(1 << n - 1 for n in active))
            t.lp_data_sets = [_data_set(image, profile.sets[n], status.sets[n], n) for n in active]
    if t.req_section_len is not None:
        t.req_section_len = 3 if t.et77_count is None else 8
        t.et74_count = state.et74_entry_count or 0
    if t.et77_count is not None:
        t.et77_count, t.et79_count = state.et77_entry_count or 0, state.et79_entry_count or 0
        t.energy_reg_unit, t.rollover_digit = config.energy_reg_unit or 1, 9
    t.table_len = len(layout.encode(t))
    image.encode(t)


def _data_set(image: Image, actual: Any, inner: Any, number: int) -> Any:
    record: Any = layout_of(ET42.LpDataSets).zero()
    record.block_size, record.nbr_blocks, record.nbr_chns = inner.block_size, actual.nbr_blks, actual.nbr_chns
    record.interval_duration, record.interval_size = actual.max_int_time, inner.interval_size
    record.options, record.intervals_per_block = int(inner.lp_options or 0), actual.nbr_blk_ints
    record.block_start_hour, record.block_start_minute = inner.block_start_hour or 0, inner.block_start_minute or 0
    record.ext_sources = _ext_sources(image, number, actual.nbr_chns)
    return record
