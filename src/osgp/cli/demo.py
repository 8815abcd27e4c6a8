"""``osgp demo``: a street with a data concentrator, or with ``--meters`` a collector and meters; no hardware, nothing to configure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Group, Parameter

from osgp.cli.demo_meters import MetersDemo, demo_meters
from osgp.cli.demo_street import StreetDemo, demo_street
from osgp.wire.errors import ConfigError

__all__ = ["demo"]

T = TypeVar("T")
STREET = Group("The street", sort_key=1)
METERS = Group("Meters and a collector instead", sort_key=2)


def demo(
    *,
    once: Annotated[
        bool, Parameter(help="end when everything was read, with a summary; exit status 1 if a reading is lost")
    ] = False,
    json: Annotated[bool, Parameter(name="--json", help="with --once: print one JSON document")] = False,
    port: Annotated[int, Parameter(help="of the pages; the next free one if it is taken")] = 8080,
    data: Annotated[
        Path | None, Parameter(help="directory for the database, kept afterwards; without it, a new one that goes")
    ] = None,
    seed: Annotated[int, Parameter(help="decides houses, serial numbers and keys")] = 7,
    speed: Annotated[
        float | None, Parameter(help="how many times faster than real time; 60 for the street, 1 for meters")
    ] = None,
    houses: Annotated[int | None, Parameter(help="how many; each has one device (60)", group=STREET)] = None,
    hours: Annotated[
        float | None,
        Parameter(help="that pass as fast as they can before the street goes at its speed, or ends (2)", group=STREET),
    ] = None,
    meters: Annotated[int | None, Parameter(help="how many meters, each with its own doors", group=METERS)] = None,
    every: Annotated[float | None, Parameter(help="seconds between visits to a meter (15)", group=METERS)] = None,
    history: Annotated[float | None, Parameter(help="days that the meters have already run (7)", group=METERS)] = None,
    real_pace: Annotated[bool, Parameter(help="9600 baud on every line, as on a real meter", group=METERS)] = False,
) -> None:
    """Watch a data concentrator find, commission and read a simulated street over the power line, in the browser."""
    if json and not once:
        raise ConfigError("--json needs --once", hint="while the pages are up, http://127.0.0.1:8080/api gives JSON")
    if meters is None:
        _refuse("--meters", every=every, history=history, real_pace=real_pace or None)
        told = StreetDemo(_or(houses, 60), _or(hours, 2.0), _or(speed, 60.0), seed)
        demo_street(told, once=once, json=json, port=port, data=data)
        return
    if houses is not None or hours is not None:
        raise ConfigError("--houses and --hours are for the street", hint="leave --meters out")
    shown = MetersDemo(meters, _or(speed, 1.0), _or(every, 15.0), _or(history, 7.0), seed, real_pace)
    demo_meters(shown, once=once, json=json, port=port, data=data)


def _or(given: T | None, default: T) -> T:
    return default if given is None else given


def _refuse(needed: str, **given: float | None) -> None:
    """Options that mean nothing without another one."""
    for name, value in given.items():
        if value is not None:
            raise ConfigError(f"--{name.replace('_', '-')} needs {needed}")
