"""``osgp meter``: simulated meters on TCP ports or ptys, with a house behind each."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from osgp.cli.output import console, print_json, print_table, stderr
from osgp.wire.errors import ConfigError

app = App(name="meter", help="Serve simulated meters until Ctrl-C.")

_SAVE_S = 30.0


@app.default
def meter(
    *,
    model: Annotated[Literal["1ph", "3ph", "mbus"], Parameter(help="kind of meter")] = "3ph",
    count: Annotated[int, Parameter(help="how many; ports count up from the first one")] = 1,
    optical: Annotated[
        str | None, Parameter(help="tcp://HOST:PORT (0: any), or pty; '' for none")
    ] = "tcp://127.0.0.1:7701",
    mep: Annotated[str | None, Parameter(help="the same for the MEP; '' for none")] = "tcp://127.0.0.1:7801",
    tls: Annotated[bool | None, Parameter(help="the MEP demands TLS, or refuses it; default: takes both")] = None,
    seed: Annotated[int, Parameter(help="decides house, serial number, keys and faults")] = 1,
    speed: Annotated[str, Parameter(help="how much faster than real time the meters live, for example 60")] = "1",
    state: Annotated[Path | None, Parameter(help="file that keeps the meters over restarts")] = None,
    faults: Annotated[
        str, Parameter(help="comma list: echo, noise, drop, damage, frozen, drift, stale, busy, absent=TABLE")
    ] = "",
    history: Annotated[float, Parameter(help="days that the meters have already run")] = 7.0,
    firmware: Annotated[str, Parameter(help="4.10, 3.50 or 2.10")] = "4.10",
    start: Annotated[str | None, Parameter(help="UTC instant to begin at, for example 2026-01-31T12:00:00Z")] = None,
    uart: Annotated[bool, Parameter(help="keep the pace of 9600 baud on TCP, too")] = False,
    keys_dir: Annotated[
        Path | None, Parameter(help="write each key to a file SERIAL.MK … here, readable by you alone")
    ] = None,
    json: Annotated[bool, Parameter(name="--json", help="print addresses as one JSON document")] = False,
) -> None:
    """Serve simulated meters: complete tables, living registers, a household behind each."""
    if count < 1:
        raise ConfigError("--count starts at 1")
    begin = None
    if start is not None:
        try:
            begin = datetime.fromisoformat(start)
        except ValueError as error:
            raise ConfigError(f"{start} is no instant", hint="for example 2026-01-31T12:00:00Z") from error
        if begin.tzinfo is None:
            begin = begin.replace(tzinfo=UTC)
    from osgp.sim.faults import parse_faults

    chosen = parse_faults(faults)
    asyncio.run(
        _serve(
            model, count, optical, mep, tls, seed, speed, state, chosen, history, firmware, begin, uart, keys_dir, json
        )
    )


async def _serve(
    model: str,
    count: int,
    optical: str | None,
    mep: str | None,
    tls: bool | None,
    seed: int,
    speed: str,
    state: Path | None,
    faults: Any,
    history: float,
    firmware: str,
    begin: datetime | None,
    uart: bool,
    keys_dir: Path | None,
    json: bool,
) -> None:
    from osgp.sim.device import write_keys
    from osgp.sim.fleet import Fleet, FleetOptions

    options = FleetOptions(
        model=model,
        count=count,
        seed=seed,
        optical=optical or None,
        mep=mep or None,
        tls=tls,
        speed=speed,
        state=state,
        faults=faults,
        history=history,
        firmware=firmware,
        start=begin,
        uart=uart,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with Fleet(options) as fleet:
        rows = fleet.addresses()
        if keys_dir is not None:
            write_keys(keys_dir, fleet.devices)
        if json:
            print_json({"devices": rows})
            sys.stdout.flush()
        else:
            print_table(
                "",
                ("serial", "model", "optical", "MEP"),
                [[r["serial"], r["model"], r["optical"], r["mep"]] for r in rows],
            )
            _say_keys(rows, keys_dir, tls)
        await fleet.live(stop, save_every_s=_SAVE_S)
    stderr.print("stopped", style="dim")


def _say_keys(rows: list[dict[str, Any]], keys_dir: Path | None, tls: bool | None) -> None:
    first = rows[0]
    console.print("Keys are made from --seed and serial number: for the laboratory only.")
    if keys_dir is None:
        console.print("  osgp meter --keys-dir DIR … writes them to files; then for example:")
    place = keys_dir or Path("DIR")
    if first["optical"]:
        console.print(f"  osgp read {first['optical']} --key file:{place}/{first['serial']}.RK", soft_wrap=True)
    if first["mep"]:
        legacy = " --legacy" if tls is False else ""
        console.print(f"  osgp read {first['mep']} --key file:{place}/{first['serial']}.MAK{legacy}", soft_wrap=True)
    console.print("Ctrl-C ends.")
