"""Configuring a load profile data set anew (EP11, EP52): BT61, BT62, ET66 and the size of BT64–BT67 (MEP guide p. 233–238)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osgp.node.profile_log import ProfileLog
from osgp.tables.bt.bt60 import BT60
from osgp.tables.bt.bt61 import BT61
from osgp.tables.bt.bt62 import BT62
from osgp.tables.et.et66 import ET66
from osgp.tables.profile_geometry import geometry
from osgp.wire import layout_of

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["configure_profile", "configure_sources"]

_INVALID, _CONFLICT = 2, 3


def configure_profile(meter: Meter, asked: Any) -> int:
    """Carry out EP11's parameters; answers its result code. The other data sets keep their data."""
    image = meter.image
    actual: Any = image.decode(BT61)
    number = asked.data_set
    if number >= len(actual.sets) or 64 + number not in image:
        return _INVALID
    code, channels = asked.interval_time, asked.nbr_chns
    off = not (code and channels and asked.nbr_blks and asked.nbr_blk_ints)
    if not off and (
        not ((code <= 60 and 1440 % code == 0) or code == 84) or channels > 16 or asked.nbr_blk_ints > 1440
    ):
        return _INVALID
    selected = _selected(meter, number, asked.sources)
    if selected is None:
        return _INVALID
    sources, mapping = selected
    interval = channels // 2 + 1 + 4 * channels
    size = 0 if off else asked.nbr_blks * (5 + (asked.nbr_blk_ints + 7) // 8 + asked.nbr_blk_ints * interval)
    others = sum(image.size(64 + n) for n in range(len(actual.sets)) if n != number and 64 + n in image)
    if size + others > image.decode(BT60).memory_len:
        return _CONFLICT
    if number == meter.channel_changes.primary and not meter.channel_changes.allow():
        return _CONFLICT
    settings: Any = image.decode(BT62)
    record = actual.sets[number]
    record.nbr_blks, record.nbr_blk_ints, record.nbr_chns, record.max_int_time = (
        (0, 0, 0, 0) if off else (asked.nbr_blks, asked.nbr_blk_ints, channels, code)
    )
    actual.memory_len = size + others
    old_sources = [[each.lp_source_sel for each in one.channels] for one in settings.sets]
    old_sources[number] = [] if off else sources
    image.encode(actual)
    fresh: Any = layout_of(BT62, image.context).zero()
    for one, chosen in zip(fresh.sets, old_sources):
        one.int_fmt_cde = 32
        for channel, source in zip(one.channels, chosen):
            channel.lp_source_sel = source
    image.encode(fresh)
    _map(meter, mapping)
    image.put(64 + number, bytes(size))
    kept = {one.index: one for one in meter.profiles if one.index != number}
    if not off:
        kept[number] = ProfileLog(image, geometry(image.context, number + 1), tuple(sources))
    meter.replace_profiles([kept[index] for index in sorted(kept)])
    return 0


def configure_sources(meter: Meter, asked: Any) -> int:
    """Carry out EP52's parameters: other sources for the channels that a data set has; answers the result code. Its intervals
    stay; the one under way is marked as partial (project choices)."""
    image = meter.image
    profile = next((one for one in meter.profiles if one.index == asked.data_set), None)
    if profile is None or asked.nbr_chns != len(profile.sources):
        return _INVALID
    selected = _selected(meter, asked.data_set, asked.sources)
    if selected is None:
        return _INVALID
    if asked.data_set == meter.channel_changes.primary and not meter.channel_changes.allow():
        return _CONFLICT
    sources, mapping = selected
    settings: Any = image.decode(BT62)
    for channel, source in zip(settings.sets[asked.data_set].channels, sources):
        channel.lp_source_sel = source
    image.encode(settings)
    _map(meter, mapping)
    profile.sources = tuple(sources)
    profile.mark(partial=True)
    meter.sources_changed()
    return 0


def _selected(meter: Meter, number: int, asked: list[int]) -> tuple[list[int], dict[int, int]] | None:
    """The 8-bit sources of a data set and the entries of ET66 (index → extended ID) they need; None if that has no room."""
    sources, mapping = [], {}
    for channel, source in enumerate(asked):
        if source > 255:
            index = 16 * number + channel
            if index > 51 or ET66.number not in meter.image:
                return None
            mapping[index] = source
            source = 112 + index
        sources.append(source)
    return sources, mapping


def _map(meter: Meter, mapping: dict[int, int]) -> None:
    if mapping:
        table: Any = meter.image.decode(ET66)
        for index, source in mapping.items():
            table.sets[index // 16].ext_source_ids[index % 16] = source
        meter.image.encode(table)
