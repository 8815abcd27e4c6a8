"""``Device``: what a user holds. Fields, slices, tables, profiles, logs and procedures of one device, by whatever door.

It knows names and layouts; the door behind it (a ``TableAccess``) knows bytes on the line. Dimension tables are read once
and kept; ``forget`` drops them, ``check_configuration`` drops them if the device says that they changed (ET04.IDT_VERSION
and PROGRAM_ID, MEP guide p. 55). Everything is ``async``; ``SyncDevice`` is the blocking face over the same code.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from osgp.tables.access import ProcedureResult, TableAccess, run_sync
from osgp.tables.bt.bt01 import BT01
from osgp.tables.energyunit import read_energy_unit
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et11 import ET11
from osgp.tables.image import context_of
from osgp.tables.logs import LogEntry, log_reader
from osgp.tables.measurements import Place, find_measurement
from osgp.tables.planner import Plan, PlannedRead, Wanted, plan, table_size
from osgp.tables.profile import Profile, read_profile, read_profile_pieces
from osgp.tables.query import Query, is_query, locate, parse_query
from osgp.tables.registry import find_procedure, find_table, procedure, table
from osgp.tables.services import NotInConfiguration, ResponseCode
from osgp.tables.table import (
    COMMON_RESULTS,
    PED_SIZE,
    PENDING,
    PendingCopy,
    Procedure,
    Table,
    extended,
    procedure_name,
    table_name,
)
from osgp.wire import MANY, Context, Struct, dependencies, layout_of
from osgp.wire.errors import BadValue, ConfigError, ResponseError, Truncated

__all__ = ["Device", "QueryPlan", "Reading", "SyncDevice"]

T = TypeVar("T", bound=Table)

_STAND_INS = {21: 20, 71: 70}
"""Firmware 2.0x/2.10 has no BT21 and BT71: BT20 and BT70 say the same there (optical guide p. 24)."""

_TOO_LONG = (ResponseCode.ERR, ResponseCode.ONP, ResponseCode.RNO)
"""What devices answer when a table is longer than an answer may be (unverified which)."""

_SIZE_IN_ET11 = {extended(52): "trans_request_len", extended(53): "trans_response_len"}
"""Tables whose size another one states, though their layout does not depend on it (MEP guide p. 130–132)."""

_LONGEST = 0x10000

_CONSTANT = ("dimension", "actual")
"""Tables of these roles hold still between reconfigurations, so a copy that was read before will do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer: ``value`` as a person expects it (scaled, with ``unit``), ``raw`` the table bytes it came from."""

    name: str
    value: Any
    unit: str = ""
    raw: bytes = b""
    table: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """What a query will send: ``dimensions`` first (only those not known yet), then ``plan``."""

    dimensions: tuple[PlannedRead, ...]
    plan: Plan

    @property
    def wire_bytes(self) -> int:
        return self.plan.wire_bytes + sum(read.wire_bytes for read in self.dimensions)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A name as the user gave it, the query it became, and how its value is shown."""

    name: str
    query: Query
    place: Place | None = None


class Device:
    """A device behind a door. Cheap to make; nothing is read until asked for.

    ``dimensions``: tables known from an earlier visit (raw, by number), for instance from a store; ``energy_unit``: Wh of a count, if
    known from there.
    """

    def __init__(
        self,
        access: TableAccess,
        *,
        name: str = "",
        dimensions: dict[int, bytes] | None = None,
        base: Context | None = None,
        energy_unit: int | None = None,
        close: Callable[[], Any] | None = None,
    ) -> None:
        self.access = access
        self.name = name
        self._base = base
        self._known: dict[int, bytes] = dict(dimensions or {})
        self._context: Context | None = None
        self._energy_unit = energy_unit
        self._refused: set[int] = set()
        self._close = close

    async def close(self) -> None:
        """End the session and give the line back."""
        if self._close is not None:
            await self._close()

    # --- dimensions

    @property
    def dimensions(self) -> dict[int, bytes]:
        """The dimension tables read so far, raw, by number."""
        return dict(self._known)

    @property
    def energy_unit(self) -> int | None:
        """Wh of a count, if that has been asked for."""
        return self._energy_unit

    @property
    def context(self) -> Context:
        """What is known of the device's dimensions and firmware."""
        if self._context is None:
            context = context_of(self._known, self._base)
            if self._energy_unit is not None:
                context = context.with_values(energy_reg_unit=self._energy_unit)
            self._context = context
        return self._context

    def size_of(self, number: int) -> int | None:
        """Bytes of a table as far as is known: read before, or declared and all its dimensions at hand; else None.

        The door asks this to read a table in parts that is longer than one answer. Pending tables: with their PED.
        """
        plain = number & ~PENDING
        known = self._known.get(plain)
        declared = find_table(plain)
        size = len(known) if known is not None else table_size(declared, self.context) if declared is not None else None
        if plain in _SIZE_IN_ET11 and ET11.number in self._known:
            size = int(getattr(ET11.decode(self._known[ET11.number], self.context), _SIZE_IN_ET11[plain])) or None
        return size + PED_SIZE if size is not None and number & PENDING else size

    def forget(self) -> None:
        """Drop all dimensions; they are read again when needed."""
        self._known.clear()
        self._refused.clear()
        self._energy_unit = None
        self._context = None

    async def check_configuration(self, *, version_only: bool = False) -> bool:
        """Whether the dimensions still hold; drops them if ET04 says otherwise. Two partial reads; with ``version_only`` one as long
        as IDT_VERSION is what it was, which a firmware update changes, too."""
        layout = layout_of(ET04)
        program, version = layout.span("program_id"), layout.span("idt_version")
        known = self._known.get(-1)
        counted = await self.access.read_part(ET04.number, version.offset, version.size)
        if version_only and known is not None and known[program.size :] == counted:
            return True
        marks = await self.access.read_part(ET04.number, program.offset, program.size) + counted
        if known == marks:
            return True
        fresh = known is None and not self._known
        if not fresh:
            self.forget()
        self._known[-1] = marks
        return fresh

    async def _learn(self, number: int) -> None:
        if number in self._known:
            return
        try:
            raw = await self._whole(number)
        except NotInConfiguration:
            stand_in = _STAND_INS.get(number)
            if number == BT01.number:
                self._known[number] = b""  # no identification: the newest firmware is assumed
                return
            if stand_in is None:
                raise
            raw = await self.access.read(stand_in)
        self._known[number] = raw
        self._context = None

    def _needed(self, declared: Sequence[type[Table]]) -> list[int]:
        """Numbers of the tables whose contents the layouts depend on, in the order they must be read."""
        found: dict[int, None] = {}

        def add(one: type[Struct]) -> None:
            for needed in sorted(dependencies(one), key=lambda each: getattr(each, "number", -1)):
                add(needed)
                found[needed.number] = None  # type: ignore[attr-defined]  # dependencies of tables are tables

        for one in declared:
            if one is not BT01:
                found[BT01.number] = None
            add(one)
        return [number for number in found if number not in self._known]

    async def _prepare(self, declared: Sequence[type[Table]]) -> Context:
        for number in self._needed(declared):
            await self._learn(number)
        return self.context

    async def _whole(self, number: int) -> bytes:
        """All bytes of a table. One that is longer than an answer is read in parts, as soon as its size is known: from the
        dimensions, which are read for that, or from its own bytes, which come in parts until they are all there."""
        try:
            return await self.access.read(number)
        except ResponseError as error:
            declared = find_table(number & ~PENDING)
            if error.code not in _TOO_LONG or declared is None or self.size_of(number) is not None:
                raise
            await self._prepare([declared])
            if number in _SIZE_IN_ET11:
                await self._learn(ET11.number)
            size = self.size_of(number)
            if size is None and not number & PENDING and not _open_ended(declared):
                return await self._grown(declared)
            if size is None or size <= self.access.costs.max_read:
                raise
            return await self.access.read(number)

    async def _grown(self, declared: type[Table]) -> bytes:
        """A table whose counts stand in its own bytes. Raises Truncated if it never ends."""
        layout = layout_of(declared, self.context)
        raw = b""
        while True:
            raw += await self.access.read_part(declared.number, len(raw), self.access.costs.max_read)
            try:
                value = layout.decode(raw)
            except Truncated:
                if len(raw) > _LONGEST:
                    raise
                continue
            return raw[: len(raw) - len(value._rest)]

    # --- reading

    async def _ask(self, name: str) -> _Asked:
        """The query behind a name. A measurement's place may depend on tables, which are read first."""
        if is_query(name):
            return _Asked(name, parse_query(name))
        measurement = find_measurement(name)
        for needed in measurement.requires:
            if needed.number not in self._known:
                await self.knows(needed)
        for needed in measurement.helpful:
            await self._try_to_learn(needed)
        if measurement.energy and self._energy_unit is None:
            self._energy_unit = await read_energy_unit(self)
            self._context = None
        place = measurement.place(self.context)
        path = f"{place.table.__name__}.{place.path}" if place.path else place.table.__name__
        query = parse_query(path)
        return _Asked(name, Query(name, query.table, query.path), place)

    async def _try_to_learn(self, declared: type[Table]) -> None:
        """Read a table that helps, once; devices without it and keys that may not read it do without."""
        if declared.number in self._known or declared.number in self._refused:
            return
        try:
            await self.knows(declared)
        except ResponseError:
            self._refused.add(declared.number)

    async def _resolve(self, names: Sequence[str]) -> list[_Asked]:
        return [await self._ask(name) for name in names]

    async def plan(self, *names: str) -> QueryPlan:
        """The reads that these names will cost, without sending them (dimensions not yet known are read)."""
        before = set(self._known)
        asked = await self._resolve(names)
        context = await self._prepare([each.query.table for each in asked])
        costs = self.access.costs
        learned = tuple(
            PlannedRead(n, 0, None, costs.read_bytes(len(raw), full=True), 1, (), "dimensions, read once and kept")
            for n, raw in self._known.items()
            if n not in before and n >= 0
        )
        return QueryPlan(learned, plan(_wanted(asked, context), costs, context))

    async def readings(self, *names: str) -> list[Reading]:
        """Paths and measurement names with their values, units and raw bytes, in the order asked."""
        asked = await self._resolve(names)
        ordinary = [each for each in asked if each.query.newest is None]
        context = await self._prepare([each.query.table for each in ordinary])
        wanted = _wanted(ordinary, context)
        fetched: dict[int, list[tuple[int, bytes]]] = {}
        for read in plan(wanted, self.access.costs, context).reads:
            if read.count is None:
                fetched.setdefault(read.table, []).append((0, await self._whole(read.table)))
            else:
                data = await self.access.read_part(read.table, read.offset, read.count)
                fetched.setdefault(read.table, []).append((read.offset, data))
        answers: dict[int, Reading] = {}
        for each, item in zip(ordinary, wanted):
            answers[id(each)] = _reading(each, item, fetched, context)
        for each in asked:
            newest = each.query.newest
            if newest is not None:
                answers[id(each)] = await self._newest(each, newest)
        return [answers[id(each)] for each in asked]

    async def _newest(self, asked: _Asked, count: int) -> Reading:
        number = asked.query.table.number
        if 64 <= number <= 67:
            profile = await self.profile(data_set=number - 63, last=count)
            return Reading(asked.name, profile, table=asked.query.table.__name__)
        entries = await self.log(asked.query.table, count)
        return Reading(asked.name, entries, table=asked.query.table.__name__)

    @overload
    async def get(self, name: str, /) -> Any: ...

    @overload
    async def get(self, name: str, second: str, /, *more: str) -> list[Any]: ...

    async def get(self, *names: str) -> Any:
        """The value of one name, or the values of several in one plan. Names are paths or measurements."""
        values = [reading.value for reading in await self.readings(*names)]
        return values[0] if len(names) == 1 else values

    async def table(self, which: type[T]) -> T:
        """A whole table as its typed object."""
        context = await self._prepare([which])
        raw = self._known.get(which.number)
        if raw is None or which.role not in _CONSTANT:
            raw = await self._whole(which.number)
        return layout_of(which, context).decode(raw)

    async def raw(self, which: int | str) -> bytes:
        """The bytes of a whole table by number or name, declared or not."""
        from osgp.tables.table import number_of

        return await self._whole(which if isinstance(which, int) else number_of(which))

    # --- writing

    async def write(self, path: str, value: Any, *, verify: bool = True) -> None:
        """Write one path; ``value`` as a Python value or as JSON shows it. A pending table (PBT54) as a whole, with its PED.

        A bit field is read, changed and written with the other bits of its word. ``verify`` reads the bytes back and
        raises BadValue if they differ (MEP's write answer proves nothing in legacy mode).
        """
        query = parse_query(path)
        context = await self._prepare([query.table])
        layout = layout_of(query.table, context)
        if not query.path:
            if isinstance(value, bytes):
                raw = value
            elif query.pending:
                copy = value if isinstance(value, PendingCopy) else PendingCopy.from_json(query.table, value)
                raw = copy.ped + layout.encode(copy.table)
            else:
                raw = layout.encode(_as_table(query.table, value))
            await self.access.write(query.number, raw)
            offset = 0
        else:
            span = locate(query, context)
            if span is None:
                raise ConfigError(f"{path}: the place depends on the table's own bytes; write the whole table")
            if query.pending:
                raise ConfigError(f"{path}: a pending table is written as a whole, with its event description")
            offset = span.offset
            if span.bit is not None and span.width is not None:
                old = await self.access.read_part(query.table.number, offset, span.size)
                word = int.from_bytes(old, "little")
                if not 0 <= int(value) < 1 << span.width:
                    raise BadValue(f"{value} does not fit {span.width} bits", struct=query.table.__name__, field=path)
                mask = ((1 << span.width) - 1) << span.bit
                raw = (word & ~mask | int(value) << span.bit).to_bytes(span.size, "little")
            else:
                raw = layout.encode_span(span, _as_value(span, value))
            await self.access.write_part(query.table.number, offset, raw)
        if query.number in self._known:
            self.forget()
        if verify and await self.access.read_part(query.number, offset, len(raw)) != raw:
            raise BadValue(
                "the device kept other bytes than were written",
                floor="tables",
                field=path,
                hint="the field may be read-only or limited by the device; the write itself was accepted",
            )

    # --- procedures

    async def run(
        self, which: int | str, parameters: bytes | dict[str, Any] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Run a procedure: ``run("EP17", action=0, device_handle=1016)``. Answers result, its text and decoded data.

        Raises ResponseError for result codes from 2 on.
        """
        from osgp.tables.table import number_of

        number = which if isinstance(which, int) else number_of(which)
        declared = find_procedure(number)
        if isinstance(parameters, bytes):
            raw = parameters
        else:
            declared = procedure(number)
            given = {**(parameters or {}), **fields}
            await self._prepare_struct(declared.Parameters)
            raw = _parameters(declared, given, self.context)
        result: ProcedureResult = await self.access.run(number, raw)
        text = COMMON_RESULTS.get(result.result, "")
        if declared is not None:
            text = declared.results.get(result.result, text)
        if result.result >= 2:
            raise ResponseError(
                f"{procedure_name(number)} was refused: {text or 'result'} (result {result.result})", code=result.result
            )
        answer: dict[str, Any] = {"procedure": procedure_name(number), "result": result.result, "text": text}
        if declared is not None and declared.Response.specs and result.data:
            answer["data"] = declared.Response.decode(result.data, self.context).to_json()
        elif any(result.data):  # doors read the response table in one size, and zeros fill it
            answer["raw"] = result.data.hex()
        return answer

    async def _prepare_struct(self, struct: type[Struct]) -> None:
        for needed in dependencies(struct):
            await self._prepare([needed])  # type: ignore[list-item]  # dependencies are tables
            await self._learn(needed.number)  # type: ignore[attr-defined]  # as above

    # --- what time left behind

    async def profile(self, *, since: dt.datetime | None = None, last: int | None = None, data_set: int = 1) -> Profile:
        """The load profile of a data set (1–4), oldest interval first: all the device holds, those after ``since`` (UTC), or
        the ``last`` n. Only the blocks needed are read."""
        return await read_profile(self, data_set=data_set, since=since, last=last)

    def profile_pieces(
        self, *, since: dt.datetime | None = None, now: dt.datetime | None = None, data_set: int = 1
    ) -> AsyncGenerator[Profile, None]:
        """As ``profile``, in pieces, oldest first, so that one who stores them can be interrupted. ``now``: the device's clock,
        if known."""
        return read_profile_pieces(self, data_set=data_set, since=since, now=now)

    async def log(self, which: type[Table] | str, last: int | None = None) -> list[LogEntry]:
        """Entries of a circular log (BT26, BT74, ET31, ET41, ET79 …), newest first."""
        declared = table(which) if isinstance(which, str) else which
        return await log_reader(self, declared, last)

    async def events(self, last: int | None = None) -> list[LogEntry]:
        """The event log (BT74), newest first."""
        return await self.log("BT74", last)

    async def knows(self, *declared: type[Table]) -> Context:
        """Read what the layouts of these tables depend on, and the tables themselves if they size others."""
        await self._prepare(declared)
        for one in declared:
            await self._learn(one.number)
        return self.context


def _open_ended(declared: type[Table]) -> bool:
    """Whether a table ends where its bytes end, so that a part of it looks like all of it."""
    return any(
        spec.optional
        or spec.at_most
        or spec.count is MANY
        or (spec.kind is not None and spec.kind.size is None and spec.size is None and spec.count is None)
        for spec in declared.specs.values()
    )


def _wanted(asked: Sequence[_Asked], context: Context) -> list[Wanted]:
    return [Wanted(each.query, locate(each.query, context)) for each in asked if each.query.newest is None]


def _reading(asked: _Asked, wanted: Wanted, fetched: dict[int, list[tuple[int, bytes]]], context: Context) -> Reading:
    declared = asked.query.table
    layout = layout_of(declared, context)
    place = asked.place
    span = wanted.span
    name = asked.name
    if asked.query.pending:
        raw = fetched[asked.query.number][0][1]
        if not asked.query.path:
            copy = PendingCopy(raw[:PED_SIZE], layout.decode(raw[PED_SIZE:]))
            return Reading(name, copy, "", raw, table_name(asked.query.number))
        fetched = {declared.number: [(0, raw[PED_SIZE:])]}
    if span is None:
        offset, raw = fetched[declared.number][0]
        value: Any = layout.decode(raw)
        for part in asked.query.path:
            try:
                value = getattr(value, part) if isinstance(part, str) else value[part]
            except (AttributeError, IndexError, TypeError) as error:
                raise ConfigError(f"{name}: nothing there in this table") from error
        unit = ""
    else:
        offset = span.offset
        raw = b""
        for start, data in fetched.get(declared.number, ()):
            if start <= offset and offset + span.size <= start + len(data):
                raw = data[offset - start : offset - start + span.size]
        if len(raw) < span.size:
            # Zeros in place of what the device did not send would pass for a measured value.
            raise Truncated(
                f"the table ends before this field (bytes {offset} to {offset + span.size - 1})",
                floor="tables",
                field=name,
                hint="the device's dimension tables promise more than the table holds",
            )
        value = layout.decode_span(span, raw)
        unit = getattr(span.spec, "unit", "")
    if place is not None:
        unit = place.unit
        if place.scale != 1 and isinstance(value, int):
            value = round(value * place.scale, 9)
        if place.convert is not None:
            value = place.convert(value)
    return Reading(name, value, unit, raw, table_name(asked.query.number), offset)


def _parameters(declared: type[Procedure], given: dict[str, Any], context: Context) -> bytes:
    """The bytes of a procedure's parameters. What is missing or does not fit is the caller's mistake: ConfigError."""
    struct = declared.Parameters
    try:
        return (struct.from_json(given) if given else struct()).encode(context)
    except BadValue as error:
        names = ", ".join(spec.orig for spec in struct.specs.values()) or "none"
        raise ConfigError(f"{procedure_name(declared.number)}: {error}", hint=f"its parameters: {names}") from error


def _as_table(declared: type[Table], value: Any) -> Table:
    return value if isinstance(value, declared) else declared.from_json(value)


def _as_value(span: Any, value: Any) -> Any:
    from osgp.wire.jsonform import value_from_json

    return value_from_json(span.spec, value, many=hasattr(span.node, "item"))


class SyncDevice:
    """The blocking face of a device: the same methods, without ``await``. Also ``meter.bt23`` for a whole table."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def __enter__(self) -> SyncDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session and give the line back."""
        run_sync(self.device.close())

    def get(self, *names: str) -> Any:
        """See ``Device.get``."""
        return run_sync(self.device.get(*names))

    def readings(self, *names: str) -> list[Reading]:
        """See ``Device.readings``."""
        return run_sync(self.device.readings(*names))

    def plan(self, *names: str) -> QueryPlan:
        """See ``Device.plan``."""
        return run_sync(self.device.plan(*names))

    def table(self, which: type[T]) -> T:
        """See ``Device.table``."""
        return run_sync(self.device.table(which))

    def raw(self, which: int | str) -> bytes:
        """See ``Device.raw``."""
        return run_sync(self.device.raw(which))

    def write(self, path: str, value: Any, *, verify: bool = True) -> None:
        """See ``Device.write``."""
        run_sync(self.device.write(path, value, verify=verify))

    def run(self, which: int | str, parameters: bytes | dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """See ``Device.run``."""
        return run_sync(self.device.run(which, parameters, **fields))

    def profile(self, *, since: dt.datetime | None = None, last: int | None = None, data_set: int = 1) -> Profile:
        """See ``Device.profile``."""
        return run_sync(self.device.profile(since=since, last=last, data_set=data_set))

    def log(self, which: type[Table] | str, last: int | None = None) -> list[LogEntry]:
        """See ``Device.log``."""
        return run_sync(self.device.log(which, last))

    def events(self, last: int | None = None) -> list[LogEntry]:
        """See ``Device.events``."""
        return run_sync(self.device.events(last))

    def check_configuration(self) -> bool:
        """See ``Device.check_configuration``."""
        return run_sync(self.device.check_configuration())

    def __getattr__(self, name: str) -> Any:
        if name[:2] in ("bt", "et") and name[2:].isdigit():
            return self.table(table(name.upper()))
        raise AttributeError(name)
