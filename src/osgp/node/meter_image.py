"""The tables of a simulated meter as it leaves the factory: every table of the catalogue, sized by its own dimensions.

Values the guides print as defaults come from the declarations; the rest of this module is what makes one model differ from
another, and a calendar with two seasons, weekends and holidays. Figures without a source are project choices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from osgp.node.rights import may_write
from osgp.tables.bt.bt01 import BT01
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.et.et03 import ET03
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et36 import ET36
from osgp.tables.image import Image
from osgp.tables.registry import all_tables
from osgp.tables.table import EXTENDED, Table, extended
from osgp.wire import Bits, Context, Firmware, Layout, Struct, Text, dependencies, layout_of
from osgp.wire.errors import ConfigError
from osgp.wire.fields import RDate, Spec

__all__ = [
    "MODELS",
    "PENDING_TABLES",
    "Channels",
    "Model",
    "build_image",
    "check_model",
    "mapped_sources",
    "program_id",
]

PENDING_TABLES = (33, 54, extended(47), extended(61))
"""Tables that can wait (project choice; four as BT00.NBR_PENDING on firmware 4.0+)."""


@dataclass(frozen=True, slots=True)
class Channels:
    """One load profile data set. ``sources``: standard IDs, or extended ones (from 0x4000 on: M-Bus values, by ET66)."""

    blocks: int = 0
    intervals: int = 0
    code: int = 0
    sources: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """What distinguishes a kind of meter. ``demands``: sources of its demand registers."""

    name: str
    type: str
    phases: int
    mbus: int = 0
    demands: tuple[int, ...] = ()
    profiles: tuple[Channels, ...] = ()
    max_current_a: int = 100


def _mbus(device: int, mdt: int) -> int:
    return 4 << 12 | device << 8 | mdt


MODELS = {
    "1ph": Model(
        "1ph",
        "83331-1",
        1,
        profiles=(Channels(35, 96, 15, (0, 1, 2, 3)), Channels(35, 24, 60, (15, 12, 18, 19))),
    ),
    "3ph": Model(
        "3ph",
        "83332-3",
        3,
        demands=(8, 9),
        profiles=(Channels(35, 96, 15, (0, 1, 2, 3)), Channels(35, 24, 60, (15, 16, 17, 12, 13, 14, 19))),
    ),
    "mbus": Model(
        "mbus",
        "83332-M",
        3,
        mbus=3,
        demands=(8, 9),
        profiles=(
            Channels(35, 96, 15, (0, 1, 2, 3)),
            Channels(35, 24, 60, (_mbus(0, 1), _mbus(1, 1), _mbus(2, 2), 15, 16, 17)),
        ),
    ),
    "load": Model("load", "83334-L", 1, profiles=(Channels(4, 96, 15, (0,)),), max_current_a=16),
    "inverter": Model(
        "inverter",
        "83332-I",
        3,
        profiles=(Channels(35, 96, 15, (1, 109, 110, 0)), Channels(35, 24, 60, (15, 16, 17))),
    ),
}
"""The models that can be simulated."""


_PRESENT = (
    *range(8, 26), *range(81, 85), *range(104, 108), *range(185, 200), *range(202, 245)
)  # fmt: skip
"""BT27: the source IDs in the order in which BT28 lists its values (MEP guide p. 215)."""
_PRESENT_COUNTS = (("4.30", 84), ("4.10", 75), ("4.0", 72), ("3.70", 55), ("3.50", 41), ("3.10", 26), ("2.12", 22))
_SUMMATIONS = (0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28, 108, 109, 110, 111, 245, 246, 247, 248)


def program_id(firmware: Firmware) -> bytes:
    """ET04 PROGRAM_ID of the simulated firmware: eight characters (project choice)."""
    return f"OS{firmware.major:02d}{firmware.minor:02d}S ".encode()


def mapped_sources(profiles: tuple[Channels, ...]) -> tuple[tuple[tuple[int, ...], ...], dict[int, int]]:
    """The 8-bit source IDs of each set, and the entries of ET66 (index → extended ID) that they need."""
    entries: dict[int, int] = {}
    sets = []
    for number, one in enumerate(profiles):
        sources = []
        for channel, source in enumerate(one.sources):
            if source > 255:
                entries[16 * number + channel] = source
                source = 112 + 16 * number + channel
            sources.append(source)
        sets.append(tuple(sources))
    return tuple(sets), entries


class _Builder:
    """Builds tables in the order of their dependencies; ``context`` knows those that are ready."""

    def __init__(self, model: Model, serial: str, firmware: Firmware, procedures: tuple[int, ...]) -> None:
        self.model = model
        self.serial = serial
        self.firmware = firmware
        self.procedures = procedures
        self.gen4 = firmware.generation_4
        self.many_profiles = firmware >= Firmware.parse("3.50")
        self.context = Context(firmware=firmware, env={"lp_sets": 4 if self.many_profiles else 1})
        self.raw: dict[int, bytes] = {}
        self.absent = _absent(firmware)
        profiles = model.profiles if self.many_profiles else model.profiles[:1]
        self.profiles = profiles + (Channels(),) * ((4 if self.many_profiles else 1) - len(profiles))
        self.sources, self.mapped = mapped_sources(self.profiles)

    def at(self, *versions: str) -> bool:
        return any(self.firmware >= Firmware.parse(each) for each in versions)

    def build(self) -> Image:
        order: list[type[Table]] = []

        def add(one: Any) -> None:
            for needed in sorted(dependencies(one), key=lambda each: getattr(each, "number", 0)):
                if needed not in order:
                    add(needed)
            if one not in order:
                order.append(one)

        for declared in all_tables():
            add(declared)
        for declared in order:
            raw = self.table(declared)
            self.context = self.context.with_table(declared, raw)
            self.raw[declared.number] = raw
        self.raw[extended(52)] = bytes(896 if self.many_profiles else 768)
        self.raw[extended(53)] = bytes(1785)
        kept = {number: raw for number, raw in self.raw.items() if number not in self.absent}
        hidden: dict[type[Struct], bytes] = {
            declared: self.raw[declared.number] for declared in order if declared.number in self.absent
        }
        return Image(kept, base=Context(hidden, firmware=self.firmware, env=self.context.env))

    def table(self, declared: type[Table]) -> bytes:
        """One table, of the tables that are ready."""
        layout: Layout[Any] = layout_of(declared, self.context)
        table: Any = layout.zero()
        _defaults(table)
        make: Callable[[Any], None] | None = getattr(self, f"_{declared.__name__.lower()}", None)
        if make is not None:
            make(table)
        return layout.encode(table)

    # --- basic tables

    def _bt00(self, t: Any) -> None:
        t.manufacturer = "NES"
        t.dim_mfg_tbls_used = 20 if self.gen4 else 13
        t.dim_mfg_status_used = 9 if self.gen4 else 6
        t.nbr_pending = 4
        a, b, c, d = t.dim_std_tbls_used, t.dim_mfg_tbls_used, t.dim_std_proc_used, t.dim_mfg_proc_used
        present = [each.number for each in all_tables() if each.number not in self.absent]
        writable = [number for number in present if may_write(number, "MAK") or may_write(number, "MK")]
        t.std_tbls_used, t.mfg_tbls_used = _bits(present, 0, a), _bits(present, EXTENDED, b)
        t.std_proc_used, t.mfg_proc_used = _bits(self.procedures, 0, c), _bits(self.procedures, EXTENDED, d)
        t.std_tbls_write, t.mfg_tbls_write = _bits(writable, 0, a), _bits(writable, EXTENDED, b)

    def _bt01(self, t: Any) -> None:
        t.manufacturer, t.ed_model = "NES", self.model.type
        word = self.firmware.major << 12 | self.firmware.minor << 5
        t.hw_version_nbr, t.hw_revision_nbr = divmod(word, 256)
        t.fw_version_nbr, t.fw_revision_nbr = divmod(word, 256)
        digits = "".join(each for each in self.serial if each.isdigit())
        t.mfg_serial_nbr = digits[-16:].zfill(16)

    def _bt03(self, t: Any) -> None:
        t.ed_mode = t.ed_mode.with_(metering=1)

    def _bt15(self, t: Any) -> None:
        t.multiplier, t.ct_ratio = 1, 1
        t.vt_ratio = 1

    def _bt20(self, t: Any) -> None:
        t.nbr_self_reads, t.nbr_summations = 31, 19 if self.gen4 else 15
        t.nbr_tiers = 4
        t.nbr_present_values = self._present_count()

    def _present_count(self) -> int:
        return next((count for version, count in _PRESENT_COUNTS if self.at(version)), 18)

    def _bt21(self, t: Any) -> None:
        demands = self.model.demands
        flag = int(bool(demands))
        t.flags0 = t.flags0.with_(demand_reset_ctr=flag, demand_reset_lock=flag, cum_demand=flag, cont_cum_demand=flag)
        t.flags1 = t.flags1.with_(self_read_seq_nbr=flag)
        t.nbr_self_reads = 14
        t.nbr_summations = 19 if self.gen4 else 15 if demands else 11
        t.nbr_demands, t.nbr_coincident = len(demands), 2 * len(demands)
        t.nbr_occur = flag
        t.nbr_tiers = 4
        t.nbr_present_demands = len(demands)
        t.nbr_present_values = self._present_count()

    def _bt22(self, t: Any) -> None:
        demands = self.model.demands
        t.summation_select = list(_SUMMATIONS[: len(t.summation_select)])
        t.demand_select = list(demands)
        t.min_max_flags = ((1 << len(demands)) - 1).to_bytes((len(demands) + 7) // 8, "little")
        t.coincident_select = [10, 11] * len(demands)
        t.coin_demand_assoc = [n // 2 for n in range(2 * len(demands))]

    def _bt27(self, t: Any) -> None:
        t.present_demand_select = [88 + n for n in range(len(t.present_demand_select))]
        t.present_value_select = list(_PRESENT[: len(t.present_value_select)])

    def _bt33(self, t: Any) -> None:
        t.display_sources = [0x2000, 0x2001] + [0] * (len(t.display_sources) - 2)

    def _bt50(self, t: Any) -> None:
        t.seasons = t.seasons.with_(nbr_seasons=12 if self.many_profiles else 4)
        if not self.many_profiles:
            t.nbr_non_recurr_dates = 0
            t.nbr_recurr_dates = 48
            t.calendar_tbl_size = 48 * 3 + 200 * 3 + 4 * 5 + 4

    def _bt53(self, t: Any) -> None:
        t.dst_time_eff = type(t.dst_time_eff)(2, 0, 0)
        t.dst_time_amt, t.time_zone_offset = 60, 60

    def _bt54(self, t: Any) -> None:
        dates = t.recurr_dates
        rules = [
            (RDate(month=3, offset=6, weekday=0, day=1), 1, 0),
            (RDate(month=10, offset=6, weekday=0, day=1), 2, 0),
            (RDate(month=4, weekday=7, day=1), 4, 0),
            (RDate(month=10, weekday=7, day=1), 3, 0),
            *((RDate(month=month, weekday=7, day=day), 19, 0) for month, day in _HOLIDAYS),
            (RDate(15 | 1 << 4), 0, 1),
        ]
        action = type(dates[0].action)
        for record, (date, code, self_read) in zip(dates, rules):
            record.date, record.action = date, action(action=code, self_read=self_read)
        if self.many_profiles:
            dates[0].action = dates[0].action.with_(tou_format=1)
        days = (
            ((0, 6, 1), (0, 22, 0)),  # winter weekday: high tariff from 6 to 22 h
            ((0, 7, 1), (0, 20, 0)),  # summer weekday
            ((0, 8, 2), (0, 14, 0)),  # Saturday
            ((0, 0, 0),),  # Sunday and holidays
        )
        for schedule, switches in enumerate(days):
            whole = ((0, 0, 0), *((0, hour, tier) for _, hour, tier in switches)) if len(switches) > 1 else ((0, 0, 0),)
            for place, (minute, hour, tier) in enumerate(whole):
                record = t.tier_switches[10 * schedule + place]
                record.switch = type(record.switch)(tier=tier, hour=hour, minute=minute)
        for number, record in enumerate(t.tier_switches):
            record.schedule = number // 10
        for season, record in enumerate(t.season_schedules):
            plan = record.sched
            plan.saturday, plan.sunday, plan.weekday, plan.special_0, plan.special_1 = 2, 3, season % 2, 3, 3
        t.calendar_id = 1

    def _bt60(self, t: Any) -> None:
        t.memory_len = 233856
        for one in t.sets:
            one.nbr_blks = 21259

    def _bt61(self, t: Any) -> None:
        for record, one in zip(t.sets, self.profiles):
            record.nbr_blks, record.nbr_blk_ints = one.blocks, one.intervals
            record.nbr_chns, record.max_int_time = len(one.sources), one.code
            interval = len(one.sources) // 2 + 1 + 4 * len(one.sources)
            t.memory_len += one.blocks * (5 + (one.intervals + 7) // 8 + one.intervals * interval)

    def _bt62(self, t: Any) -> None:
        for record, sources in zip(t.sets, self.sources):
            for channel, source in zip(record.channels, sources):
                channel.lp_source_sel = source

    def _bt70(self, t: Any) -> None:
        t.nbr_std_events, t.nbr_mfg_events, t.nbr_history_entries = 64, 152, 200

    def _bt71(self, t: Any) -> None:
        t.nbr_history_entries = 100

    # --- extended tables

    def _et03(self, t: Any) -> None:
        t.util_serial_nbr = self.serial
        t.image_crc = sum(self.serial.encode()) * 257 & 0xFFFF

    def _et04(self, t: Any) -> None:
        digits = int("".join(each for each in self.serial if each.isdigit()) or "0")
        t.xcvr_id = (0x04 << 40 | digits & 0xFFFFFFFFFF).to_bytes(6, "big")
        t.subnet_id, t.node_id = 1, 1
        t.rated_freq = 50
        t.program_id = program_id(self.firmware)
        t.reg_current, t.max_current, t.rated_voltage = 10, self.model.max_current_a, 230
        if self.model.phases == 1:
            t.inactive_phases = t.inactive_phases.with_(volt_l2_inactive=1, volt_l3_inactive=1)
        t.dst_off_delta = 60
        t.neuron_state = 4
        t.nvm_size = 256
        t.event_outage_threshold = 0
        t.min_reg_current = 10
        t.idt_version = 1
        if t.security_mode is not None:
            t.security_mode = 2

    def _et09(self, t: Any) -> None:
        t.long_outage_threshold = 180
        t.sag1_surge_time = 1
        t.min_freq = t.max_freq = 50000

    def _et11(self, t: Any) -> None:
        t.nbr_devices = 6 if self.gen4 else 5
        t.trans_request_len = 896 if self.many_profiles else 768
        t.nbr_mep_data_sources = 6

    def _et13(self, t: Any) -> None:
        for index, record in enumerate(t.device_config):
            record.sched_freq, record.sched_hour = (3, 0) if index < self.model.mbus else (4, 0)
            record.baud_rate = 4 if index < 4 else 0
            record.status_read_freq = 1440 if index < self.model.mbus else 0

    def _et29(self, t: Any) -> None:
        model = self.model
        t.hw_options = t.hw_options.with_(
            disconnect_buzzer=1,
            control_relay_1=1,
            mbus_module=int(bool(model.mbus)),
            cover_tamper=1,
            mep1_enabled=1,
            magnetic_tamper=1,
            mep2_enabled=int(self.gen4),
        )
        single = int(model.phases == 1)
        t.internal_config = t.internal_config.with_(single_phase=single, polyphase=1 - single)

    def _et36(self, t: Any) -> None:
        register = layout_of(BT23, self.context).size or 0
        demands = self.context.table(BT21).nbr_demands
        entry = register + 6 + (2 if demands else 0)
        change = 159 if self.gen4 else 143
        sizes = (
            (31, entry, 14), (32, 525, 8), (38, 35, 10), (41, register + 11, 5), (45, 525, 4), (75, change, 4), (81, 12, 20)
        )  # fmt: skip
        t.count = len(sizes)
        t.logs = []
        for number, size, count in sizes:
            one: Any = layout_of(ET36.Logs).zero()
            one.table_id = type(one.table_id)(tbl_nbr=number, extended=1)
            one.entry_size, one.max_entries, one.current_entries = size, 253, count
            one.flags = type(one.flags)(length_included=int(number in (41, 45)))
            t.logs.append(one)
        t.unread_bitmap = b"\0"

    def _et42(self, t: Any) -> None:
        """Filled by ``osgp.node.dimensions`` once all is there."""

    def _et54(self, t: Any) -> None:
        t.interface_compat = t.interface_compat.with_(multi_lp=int(self.many_profiles), multi_mep=int(self.gen4))
        if self.at("3.70"):
            t.et79_entry_count = 50
        if t.et74_entry_count is not None:
            t.et74_entry_count = 2

    def _et55(self, t: Any) -> None:
        t.optical_session_timeout = 600 if t.optical_session_timeout is not None else None

    def _et57(self, t: Any) -> None:
        headers = (b"\x0c\x13\0", b"\x0c\x06\0") if self.model.mbus else ()  # volume in l, energy in kWh, eight digits
        for number, (record, drh) in enumerate(zip(t.entries, headers)):
            record.type, record.drh = type(record.type)(entry_type=1, mdt=number + 1), drh

    def _et66(self, t: Any) -> None:
        for index, source in self.mapped.items():
            t.sets[index // 16].ext_source_ids[index % 16] = source

    def _et71(self, t: Any) -> None:
        for record in t.sources:
            record.source_id = 255


_HOLIDAYS = ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26))


def _absent(firmware: Firmware) -> set[int]:
    """Tables that the firmware does not have (tables.md; where the guides name a version)."""
    gone: set[int] = set()
    if firmware < Firmware.parse("3.0"):
        gone |= {21, 71}
    if firmware < Firmware.parse("3.50"):
        gone |= {65, 66, 67}
    if firmware < Firmware.parse("3.60"):
        gone |= {extended(74)}
    if firmware < Firmware.parse("3.70"):
        gone |= {extended(number) for number in (79, 80, 81)}
    if not firmware.generation_4:
        gone |= {extended(number) for number in (85, 89, 90, 97)}
    return gone


def _bits(numbers: Any, base: int, size: int) -> bytes:
    word = 0
    for number in numbers:
        if base <= number < base + 8 * size:
            word |= 1 << number - base
    return word.to_bytes(size, "little")


def _defaults(record: Any) -> None:
    """Put the printed factory values into a record of zeros, where they are plain numbers or words."""
    for spec in type(record).specs.values():
        value = getattr(record, spec.name)
        if value is None:
            continue
        setattr(
            record,
            spec.name,
            [_default(spec, each) for each in value] if isinstance(value, list) else _default(spec, value),
        )


def _default(spec: Spec, value: Any) -> Any:
    if isinstance(value, Struct):
        _defaults(value)
        return value
    if isinstance(value, Bits):
        parts = {name: part.default for name, part in value.fields.items() if isinstance(part.default, int)}
        word = type(value)(spec.default) if isinstance(spec.default, int) and spec.default >= 0 else value
        return word.with_(**parts)
    if isinstance(value, Text) and isinstance(spec.default, str):
        return spec.default if len(spec.default) <= len(value.raw) else value
    if isinstance(value, int) and isinstance(spec.default, int):
        return spec.default & 0xFF if spec.type_name == "uint8" else spec.default
    return value


def build_image(model: Model, serial: str, firmware: Firmware, procedures: tuple[int, ...]) -> Image:
    """All tables of the catalogue that the firmware has, and hidden ones that still size others (BT21 on 2.10).

    They are made once for devices that differ in nothing but their serial number.
    """
    made, base = _pattern(model, firmware, procedures)
    image = Image(made, base=base)
    builder = _Builder(model, serial, firmware, procedures)
    builder.context = image.context
    for declared in (BT01, ET03, ET04):
        image.put(declared.number, builder.table(declared))
    return image


@lru_cache(maxsize=32)
def _pattern(model: Model, firmware: Firmware, procedures: tuple[int, ...]) -> tuple[dict[int, bytes], Context | None]:
    image = _Builder(model, "", firmware, procedures).build()
    return {number: image.read(number) for number in image}, image.base


def check_model(name: str) -> Model:
    """A model by name. Raises ConfigError."""
    found = MODELS.get(name)
    if found is None:
        raise ConfigError(f"there is no model {name!r}", hint=f"models: {', '.join(MODELS)}")
    return found
