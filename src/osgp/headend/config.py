"""What to collect, from where, when and how: the TOML file of ``osgp collect``. Project choice.

Keys never stand in the file: a device names where its key is (``vault:NAME/KIND``, ``file:PATH``, ``env:VAR``).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from osgp.headend.plausibility import Rules
from osgp.ports.address import parse_address
from osgp.tables.measurements import find_measurement
from osgp.tables.query import is_query, parse_query
from osgp.tables.registry import table
from osgp.wire.errors import ConfigError

__all__ = ["EXAMPLE", "CollectConfig", "Collection", "DeviceConfig", "RuleConfig", "load_config", "seconds"]

EXAMPLE = """\
# osgp collect: which devices to read, when, and what. Times are UTC.
store = "osgp.sqlite"        # readings, profiles, events and raw bytes
at_once = 8                  # devices read at the same time (never two on one line)
retries = 3                  # repetitions of a visit that nobody answered
visit_timeout = "10min"

[collection]                 # for every device that does not say otherwise
every = "15min"              # or: at = ["00:10", "12:10"]
jitter = "30s"               # spread, so that not all begin at once
profiles = [1]               # load profile data sets
logs = ["BT74"]              # BT74 events, BT26 self reads, ET81 outages ...
tables = ["BT03", "BT52"]    # whole tables to keep as raw bytes
# measurements = ["fwd_active_energy", "voltage_l1"]   # default: a useful set

[rules]                      # doubts are flagged, values are never dropped
max_power_w = 100000
frozen = "6h"

[[device]]
name = "kitchen"
address = "optical:///dev/ttyUSB0"
key = "vault:kitchen/RK"     # or file:PATH or env:VAR; never the key itself

[[device]]
name = "flat-12"
address = "mep+tls+tcp://192.168.1.20:7701"
key = "env:FLAT12_MAK"
every = "1h"
"""

DEFAULT_MEASUREMENTS = (
    "serial_number",
    "firmware_version",
    "fwd_active_energy",
    "rev_active_energy",
    "import_reactive_energy",
    "export_reactive_energy",
    "fwd_active_power",
    "rev_active_power",
    "voltage_l1",
    "voltage_l2",
    "voltage_l3",
    "current_l1",
    "current_l2",
    "current_l3",
    "power_factor_l1",
    "frequency",
    "disconnect_state",
    "mbus[1].volume",
    "mbus[2].volume",
)
"""What is read unless a device says otherwise; what it does not have is left out."""

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def seconds(value: Any) -> Any:
    """A duration: 30, "30s", "15min", "6h", "1d" → seconds."""
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*", value)
        if not found:
            raise ValueError("a duration looks like 30s, 15min, 6h or 1d")
        return float(found[1]) * _UNITS[found[2]]
    return value


Duration = Annotated[float, BeforeValidator(seconds), Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Collection(_Model):
    """When to read and what. ``at``: times of day (UTC) instead of ``every``; ``jitter``: up to so many seconds later."""

    every: Annotated[Duration, Field(gt=0)] | None = None
    at: tuple[str, ...] | None = None
    jitter: Duration | None = None
    measurements: tuple[str, ...] | None = None
    profiles: tuple[Annotated[int, Field(ge=1, le=4)], ...] | None = None
    logs: tuple[str, ...] | None = None
    tables: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        if self.every is not None and self.at:
            raise ValueError("every and at exclude each other")
        return self

    @field_validator("at")
    @classmethod
    def _times(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for each in given or ():
            if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", each):
                raise ValueError(f"{each!r} is no time of day such as 00:10")
        return given

    @field_validator("measurements")
    @classmethod
    def _measurements(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for each in given or ():
            try:
                if is_query(each):
                    parse_query(each)
                else:
                    find_measurement(each)
            except ConfigError as error:
                raise ValueError(f"{error} ({error.hint})") from error
        return given

    @field_validator("logs", "tables")
    @classmethod
    def _tables(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for each in given or ():
            try:
                table(each)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return given


_RULES = Rules()


class RuleConfig(_Model):
    """Limits of ``plausibility.Rules``; 0 switches one off."""

    max_power_w: float = _RULES.max_power_w
    spike_wh: float = _RULES.spike_wh
    frozen: Duration = _RULES.frozen_s
    voltage: tuple[float, float] = _RULES.voltage
    current: tuple[float, float] = _RULES.current
    frequency: tuple[float, float] = _RULES.frequency
    clock: Duration = _RULES.clock_s
    backwards: bool = _RULES.backwards
    zero: bool = _RULES.zero

    def rules(self) -> Rules:
        return Rules(
            max_power_w=self.max_power_w,
            spike_wh=self.spike_wh,
            frozen_s=self.frozen,
            voltage=self.voltage,
            current=self.current,
            frequency=self.frequency,
            clock_s=self.clock,
            backwards=self.backwards,
            zero=self.zero,
        )


class DeviceConfig(Collection):
    """One device. ``key``: where its key is; ``key_kind``: MAK or MBK at the MEP; ``legacy``: the old RC4 mode is allowed."""

    name: str = Field(min_length=1, max_length=80)
    address: str
    key: str = ""
    key_kind: str = ""
    legacy: bool = False
    insecure_lab: bool = False

    @field_validator("address")
    @classmethod
    def _address(cls, given: str) -> str:
        try:
            parse_address(given)
        except ConfigError as error:
            raise ValueError(f"{error} ({error.hint})") from error
        return given

    @field_validator("key")
    @classmethod
    def _key(cls, given: str) -> str:
        if given and given.partition(":")[0] not in ("vault", "file", "env"):
            # The text is not repeated: it may be the key itself.
            raise ValueError("name where the key is, as vault:NAME/KIND, file:PATH or env:VAR; never the key itself")
        return given


class CollectConfig(_Model):
    """The whole file."""

    store: Path = Path("osgp.sqlite")
    at_once: int = Field(default=8, ge=1, le=256)
    retries: int = Field(default=3, ge=0, le=20)
    backoff: Duration = 2.0
    visit_timeout: Duration = 600.0
    longest_pause: Duration = 6 * 3600.0
    collection: Collection = Collection()
    rules: RuleConfig = RuleConfig()
    device: tuple[DeviceConfig, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> CollectConfig:
        names = [each.name for each in self.device]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two devices are named {', '.join(twice)}")
        return self

    def wish(self, device: DeviceConfig) -> Collection:
        """What holds for a device: its own settings, then those for all, then the defaults."""
        merged: dict[str, Any] = {
            "every": 900.0,
            "jitter": 0.0,
            "measurements": DEFAULT_MEASUREMENTS,
            "profiles": (1,),
            "logs": ("BT74",),
            "tables": ("BT03", "BT52"),
        }
        for part in (self.collection, device):
            for name in Collection.model_fields:
                value = getattr(part, name)
                if value is not None:
                    merged[name] = value
                    if name == "every" and part.at is None:
                        merged["at"] = None
        return Collection.model_construct(**merged)


def load_config(path: Path) -> CollectConfig:
    """Read and check a configuration; its relative paths begin in its folder. Raises ConfigError with file, place and hint."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", hint="`osgp collect --example` prints one"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", hint="`osgp collect --example` prints a correct file") from error
    try:
        config = CollectConfig.model_validate(content)
    except ValidationError as error:
        found = []
        for problem in error.errors(include_input=False, include_url=False):
            place = ".".join(str(part + 1) if isinstance(part, int) else part for part in problem["loc"])
            found.append(f"{place or 'file'}: {problem['msg'].removeprefix('Value error, ')}")
        raise ConfigError(f"{path}: " + "; ".join(found), hint="`osgp collect --example` shows every setting") from None
    # Relative paths begin where the file is, not where the collector happens to be started.
    devices = tuple(
        one.model_copy(update={"key": f"file:{path.parent / Path(one.key[5:]).expanduser()}"})
        if one.key.startswith("file:")
        else one
        for one in config.device
    )
    return config.model_copy(update={"store": path.parent / config.store.expanduser(), "device": devices})
