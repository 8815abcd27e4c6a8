"""What a concentrator is told: what to read and when, how stubborn to be, how much of the line to take. Project choice.

One frozen value; a TOML text gives it (``from_toml``), names as below. How the line and the security are reached is not in here: that
is for whoever runs the concentrator.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

from osgp.concentrator.clockwork import ClockPolicy
from osgp.concentrator.exchange import Policy
from osgp.tables.measurements import find_measurement
from osgp.tables.query import is_query, parse_query
from osgp.tables.registry import table
from osgp.wire.errors import ConfigError

__all__ = ["Collection", "ConcentratorConfig", "Plan", "Quota"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Collection:
    """What is read from every device. ``measurements``: names or paths, daily; ``profiles``: load profile data sets; ``logs``: as
    tables are named. What a device does not have is left out."""

    measurements: tuple[str, ...] = (
        "serial_number",
        "firmware_version",
        "fwd_active_energy",
        "rev_active_energy",
        "import_reactive_energy",
        "export_reactive_energy",
    )
    profiles: tuple[int, ...] = (1,)
    logs: tuple[str, ...] = ("BT74",)

    def __post_init__(self) -> None:
        for each in self.measurements:
            if is_query(each):
                parse_query(each)
            else:
                find_measurement(each)
        for each in self.logs:
            table(each)
        if not all(1 <= each <= 4 for each in self.profiles):
            raise ConfigError(f"data sets of load profiles are 1 to 4, not {list(self.profiles)}")


@dataclass(frozen=True, slots=True)
class Plan:
    """When, in seconds. ``scan_s``: alarms (BT03); ``alerting_scan_s``: the same of devices that send alerts, where a scan only finds
    what got lost; ``billing_s``: registers and log; ``profile_s``: load profiles and clock, sooner if much is unread. ``retry_s``
    after a failure, doubled with each to at most ``retry_most_s``. ``visits_at_once``: devices whose registers or profiles are being
    read; ``spread``: first visits over this share of their interval, so that not all begin at once. ``profile_bytes``: read between
    two transactions of the journal."""

    scan_s: float = 900.0
    alerting_scan_s: float = 21600.0
    billing_s: float = 86400.0
    profile_s: float = 86400.0
    retry_s: float = 60.0
    retry_most_s: float = 7200.0
    visits_at_once: int = 4
    spread: float = 0.0
    profile_bytes: int = 4096

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self) if each.name != "spread"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} of the plan must be above zero, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``count`` in ``window_s`` for the whole concentrator, ``per_device`` of them at one device (0: no limit)."""

    count: int
    window_s: float = 3600.0
    per_device: int = 0


@dataclass(frozen=True, slots=True)
class ConcentratorConfig:
    """Everything. ``airtime_share``: of the line that patient classes may take (TS 104 001 names none; 60 % is a project choice),
    saved up over at most ``airtime_window_s``. ``quotas``: by command class, ``contactor-open`` and ``command`` (all procedures and
    writes)."""

    name: str = "concentrator"
    collection: Collection = field(default_factory=Collection)
    plan: Plan = field(default_factory=Plan)
    exchange: Policy = field(default_factory=Policy)
    clock: ClockPolicy = field(default_factory=ClockPolicy)
    airtime_share: float = 0.6
    airtime_window_s: float = 60.0
    jobs_at_once: int = 4
    job_attempts: int = 5
    quotas: Mapping[str, Quota] = field(
        default_factory=lambda: {"contactor-open": Quota(50, 3600.0), "command": Quota(0, 3600.0, 60)}
    )

    def __post_init__(self) -> None:
        if not 0 < self.airtime_share <= 1:
            raise ConfigError(f"airtime_share is above 0 and at most 1, not {self.airtime_share}")

    @classmethod
    def from_toml(cls, text: str) -> ConcentratorConfig:
        """The configuration of a TOML text. Raises ConfigError for bad TOML, unknown names, values of another kind."""
        try:
            given = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"the configuration is no TOML: {error}") from error
        return cls.from_mapping(given)

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> ConcentratorConfig:
        """The same from a table of a larger text."""
        given = dict(given)
        quotas = given.pop("quotas", None)
        found = _changed(cls(), given, "")
        if quotas is None:
            return found
        if not isinstance(quotas, Mapping):
            raise ConfigError("quotas is a table", hint="[quotas.contactor-open] and count = 50 below")
        made = dict(found.quotas)
        for name, value in quotas.items():
            if not isinstance(value, Mapping):
                raise ConfigError(f"quotas.{name} is a table", hint=f"[quotas.{name}] and count = 50 below")
            made[name] = _changed(made.get(name, Quota(0)), value, f"quotas.{name}.")
        return _changed(found, {}, "", quotas=made)


def _changed(base: T, given: Mapping[str, Any], where: str, **more: Any) -> T:
    """``base`` with what ``given`` says; tables go into nested dataclasses."""
    names = [one.name for one in fields(base)]  # type: ignore[arg-type]  # only dataclasses come here
    values = {name: getattr(base, name) for name in names}
    for name, value in given.items():
        if name not in values:
            raise ConfigError(f"the configuration has no {where}{name}", hint=f"known: {', '.join(names)}")
        old = values[name]
        if is_dataclass(old):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}{name} is a table", hint=f"write [{name}] and lines below")
            values[name] = _changed(old, value, f"{where}{name}.")
        else:
            values[name] = _value(old, value, where + name)
    return type(base)(**{**values, **more})


def _value(old: Any, value: Any, name: str) -> Any:
    if isinstance(old, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(old, bool) == isinstance(value, bool):
        if isinstance(old, float) and isinstance(value, int | float):
            return float(value)
        if old is None or isinstance(value, type(old)):
            return value
    raise ConfigError(f"{name} is of another kind: {value!r:.60}", hint=f"it looks like {old!r:.60}")
