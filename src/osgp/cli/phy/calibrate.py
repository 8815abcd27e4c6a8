"""``osgp phy calibrate``: curves of packet loss, counted from real samples; what simulations in frames draw from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from osgp.cli.output import print_json, print_table, stderr
from osgp.cli.phy.options import Json, ProfileOption, chosen_profile, extra
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.sim.per import Point

__all__ = ["calibrate"]

Names = Annotated[
    tuple[str, ...], Parameter(consume_multiple=True, help="line conditions, of Q, R, D, T, F; default: all of them")
]


def calibrate(
    *,
    scenario: Names = (),
    bytes: Annotated[
        tuple[int, ...],
        Parameter(consume_multiple=True, help="lengths of LPDUs to count, without CRC; default: 8, 30 and 80"),
    ] = (),
    packets: Annotated[int, Parameter(help="most packets of a point")] = 1000,
    errors: Annotated[int, Parameter(help="lost packets after which a point is enough")] = 100,
    from_db: Annotated[float, Parameter(help="lowest Ec/N0")] = 0.0,
    to_db: Annotated[float, Parameter(help="highest Ec/N0; a curve ends before once nothing is lost any more")] = 40.0,
    step_db: Annotated[float, Parameter(help="from point to point")] = 1.0,
    seed: Annotated[int, Parameter(help="the same seed counts the same packets")] = 1,
    receiver: Annotated[
        str, Parameter(help="modem (searches, as a node does) or reference (told where packets begin)")
    ] = "modem",
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="write the curves to this .json file")
    ] = None,
    profile: ProfileOption = None,
    json: Json = False,
) -> None:
    """Count how many packets are lost at which level of each line condition, by sending real samples. Takes its time."""
    chosen = chosen_profile(profile)
    with extra("plc"):
        from osgp.sim.calibrate import Plan
        from osgp.sim.calibrate import calibrate as count
        from osgp.sim.per import wilson
        from osgp.sim.reception import receiver_named
    if not (step_db > 0 and (to_db - from_db) / step_db <= 1000):
        raise ConfigError("--from-db, --to-db and --step-db make no curve", hint="for example 0, 20 and 0.5")
    if seed < 0 or any(not chosen.min_lpdu <= size <= chosen.max_lpdu for size in bytes):
        raise ConfigError(
            "--seed is 0 or more, and --bytes what a packet carries",
            hint=f"{chosen.min_lpdu} to {chosen.max_lpdu} bytes",
        )
    with extra("plc"):
        reader = receiver_named(receiver, chosen)
    given = {"scenarios": scenario, "lpdu_bytes": bytes}
    plan = Plan(
        **{key: value for key, value in given.items() if value},  # type: ignore[arg-type]
        ec_n0_db=(from_db, to_db, step_db),
        packets=packets,
        errors=errors,
        seed=seed,
    )
    rows: list[tuple[str, ...]] = []

    def progress(curve: str, point: Point) -> None:
        low, high = wilson(point.lost, point.packets)
        numbers = (point.ec_n0_db, point.packets, point.lost, point.per)
        rows.append((curve, *(f"{number:g}" for number in numbers), f"{low:.4f} … {high:.4f}"))
        if sys.stderr.isatty():
            stderr.print(f"{curve}: {point.ec_n0_db:.1f} dB, {point.lost} of {point.packets} lost", markup=False)

    curves = count(plan, receiver=reader, profile=chosen, progress=progress)
    if output is not None:
        try:
            output.write_text(curves.to_text(), "utf-8")
        except OSError as error:
            raise ConfigError(f"{output} cannot be written: {error.strerror or error}") from error
    if json:
        print_json(curves.to_json())
        return
    print_table("packets lost", ["line, carrier, length", "Ec/N0 dB>", "sent>", "lost>", "share>", "95 %>"], rows)
