"""The tables of the store as SQLAlchemy models. The schema files make them; a test keeps both the same. Project choice.

Times are seconds since 1970 UTC: ``wall`` by the collector's clock, ``time`` by the meter's own.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

__all__ = ["Base", "Device", "Event", "ProfileChannel", "ProfileInterval", "Raw", "Reading", "Visit"]


class Base(DeclarativeBase):
    """The root of all models."""


class Scalar(UserDefinedType[Any]):
    """A column without a type: integers, reals and texts come back as they went in."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Nothing: that is how SQLite spells it."""
        return ""


class Device(Base):
    """A device as the collector knows it. ``dimensions``: JSON of table number to hex; ``configuration``: the marks of ET04."""

    __tablename__ = "device"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    address: Mapped[str]
    door: Mapped[str]
    serial: Mapped[str | None]
    model: Mapped[str | None]
    firmware: Mapped[str | None]
    dimensions: Mapped[str]
    configuration: Mapped[str]
    configuration_version: Mapped[int]
    added: Mapped[float]


class Visit(Base):
    """One visit of the collector: when, how it ended (running, ok, partial, failed, interrupted), what it stored."""

    __tablename__ = "visit"
    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    start: Mapped[float]
    end: Mapped[float | None]
    outcome: Mapped[str]
    error: Mapped[str]
    hint: Mapped[str]
    raws: Mapped[int]
    readings: Mapped[int]
    intervals: Mapped[int]
    events: Mapped[int]
    flagged: Mapped[int]
    clock_deviation: Mapped[float | None]
    conflicts: Mapped[int]
    collector: Mapped[str]


class Raw(Base):
    """Bytes of a table as they came. ``whole``: a full read, so that they are the table from its start to its end."""

    __tablename__ = "raw"
    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    table_number: Mapped[int]
    offset: Mapped[int]
    time: Mapped[int]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    wall: Mapped[float]
    door: Mapped[str]
    whole: Mapped[bool]
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Reading(Base):
    """One value of one measurement. ``value`` is an integer, a real or a text; ``flags``: bits of ``plausibility.Flag``."""

    __tablename__ = "reading"
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    time: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(Scalar(), primary_key=True)
    unit: Mapped[str]
    wall: Mapped[float]
    flags: Mapped[int]


class ProfileChannel(Base):
    """What a channel of a load profile means, from ``since`` (meter time) on."""

    __tablename__ = "profile_channel"
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), primary_key=True)
    data_set: Mapped[int] = mapped_column(primary_key=True)
    since: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    interval_s: Mapped[int]
    source: Mapped[int]
    extended: Mapped[int | None]
    key: Mapped[str]
    name: Mapped[str]
    unit: Mapped[str]
    scale: Mapped[float]
    cumulative: Mapped[bool]


class ProfileInterval(Base):
    """One interval with all its channels as raw values: 16 value columns ``v0`` … ``v15``, four status bits per channel."""

    __tablename__ = "profile_interval"
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), primary_key=True)
    data_set: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[int] = mapped_column(primary_key=True)
    common: Mapped[int]
    status: Mapped[int]
    pending: Mapped[bool]
    v0: Mapped[int | None]
    v1: Mapped[int | None]
    v2: Mapped[int | None]
    v3: Mapped[int | None]
    v4: Mapped[int | None]
    v5: Mapped[int | None]
    v6: Mapped[int | None]
    v7: Mapped[int | None]
    v8: Mapped[int | None]
    v9: Mapped[int | None]
    v10: Mapped[int | None]
    v11: Mapped[int | None]
    v12: Mapped[int | None]
    v13: Mapped[int | None]
    v14: Mapped[int | None]
    v15: Mapped[int | None]


class Event(Base):
    """One entry of a log. ``time`` 0: the entry carries no date."""

    __tablename__ = "event"
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), primary_key=True)
    log: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    code: Mapped[int | None]
    argument: Mapped[int | None]
    text: Mapped[str]
    fields: Mapped[str]
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    wall: Mapped[float]
