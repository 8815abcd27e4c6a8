"""``osgp concentrator``: run a data concentrator; ask and command one that runs, over its local socket."""

from __future__ import annotations

import asyncio
import base64
import json as jsonlib
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from osgp.cli.output import EXIT_NO, console, print_json, print_table, stderr
from osgp.wire.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from osgp.concentrator.run import Running
    from osgp.concentrator.run_config import RunConfig

__all__ = ["app"]

app = App(name="concentrator", help="Run a data concentrator of a street; ask and command one that runs.")
jobs_app = App(name="job", help="Order something of devices; look at, pause, resume or cancel what was ordered.")
device_app = App(
    name="device", help="Orders about one device that a concentrator waits for: accept, remove, revoke, release."
)
app.command(jobs_app)
app.command(device_app)

Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]
Place = Annotated[
    Path,
    Parameter(name="--socket", env_var="OSGP_CONCENTRATOR_SOCKET", help="socket of the concentrator that runs"),
]
Devices = Annotated[
    tuple[int, ...], Parameter(name="--devices", help="numbers, several times or in a row; all in care without it")
]
Number = Annotated[int, Parameter(help="of the job")]
Device = Annotated[str, Parameter(help="its unique_node_id, or its number")]
SOCKET = Path("concentrator.sock")


@app.command
def run(
    config: Path | None = None,
    /,
    *,
    example: Annotated[bool, Parameter(help="print a commented configuration")] = False,
) -> None:
    """Run a concentrator until Ctrl-C: it finds, commissions and reads its devices and keeps everything in its journal.

    Parameters
    ----------
    config
        the configuration (TOML); --example prints one
    """
    from osgp.concentrator.run_config import EXAMPLE, load_run_config

    if example:
        sys.stdout.write(EXAMPLE)
        return
    if config is None:
        raise ConfigError("which configuration?", hint="osgp concentrator run FILE.toml; --example prints one")
    asyncio.run(_run(load_run_config(config)))


async def _run(config: RunConfig) -> None:
    from osgp.concentrator.run import run

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)

    def ready(running: Running) -> None:
        stderr.print(f"{config.concentrator.name} on {running.name}, journal {config.journal}", markup=False)
        stderr.print(f"socket {config.socket}, Ctrl-C ends", markup=False)
        for row in running.doors:
            stderr.print(f"{row['kind']} {row['serial']}: {row['optical']} {row['mep']}", markup=False, soft_wrap=True)

    await run(config, stop, ready)
    stderr.print("ended; what is known is in the journal", markup=False)


def _ask(socket: Path, do: str, **what: Any) -> Any:
    from osgp.concentrator.status_socket import ask

    return ask(socket, do, **what)


def _when(wall: float | None) -> str:
    return "" if wall is None else datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S")


# ---- looking ----------------------------------------------------------------------------------------------------------
@app.command
def status(*, socket: Place = SOCKET, json: Json = False) -> None:
    """Show what a concentrator does: devices up, line, airtime by class, what waits, what it has kept."""
    found = _ask(socket, "status")
    if json:
        print_json(found)
        return
    nodes = found["topology"]["nodes"]
    up = sum(node["state"] == "up" for node in nodes)
    airtime = found["airtime"]
    rows = [
        ("line", found["line"]),
        ("time", _when(found["wall"]) + " UTC"),
        ("state", "paused" if found["paused"] else "at work"),
        ("devices", f"{up} up of {len(nodes)} known, {len(found['topology']['strangers'])} without a key here"),
        ("phases", _phases(nodes)),
        *([("legacy suite", _legacy(found["legacy"]))] if _legacy(found["legacy"]) else []),
        ("visits", str(len(found["visits"]))),
        ("waiting", ", ".join(f"{count} {name}" for name, count in found["exchanges"]["waiting"].items() if count)),
        ("jobs", ", ".join(f"{job['number']} {job['kind']} {job['state']}" for job in found["jobs"][:5])),
        ("airtime", f"{airtime['total']['airtime_s']:.1f} s, {airtime['total']['exchanges']:.0f} exchanges"),
        *([("own clock", _own_clock(found["own_clock"]))] if not found["own_clock"]["trusted"] else []),
        *([("notices", _severe(found["notices"]))] if _severe(found["notices"]) else []),
        *([("keys", found["keys"]["trouble"])] if found.get("keys", {}).get("trouble") else []),
        *((f"  {name}", f"{used['airtime_s']:.1f} s") for name, used in airtime["by_class"].items()),
        ("journal", ", ".join(f"{count} {name}" for name, count in found["journal"].items())),
    ]
    print_table(found["name"], ["", ""], rows)


def _legacy(told: dict[str, Any]) -> str:
    """How many devices speak the broken suite; empty if none does."""
    shut = len(told["quarantined"])
    if not told["devices"] and not shut:
        return ""
    return f"{told['devices']} devices, which anybody on the line can forge" + (
        f"; {shut} in quarantine" if shut else ""
    )


def _own_clock(told: dict[str, Any]) -> str:
    if not told["jumped_s"]:
        return "not confirmed by devices yet: theirs are left alone"
    return f"jumped by {told['jumped_s']:.0f} s: osgp concentrator confirm-clock if it is right"


def _severe(notices: list[dict[str, Any]]) -> str:
    """How many of the newest notices are more than news; empty if none is."""
    counts = {each: sum(notice["severity"] == each for notice in notices) for each in ("critical", "warning")}
    found = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{found} of the newest {len(notices)}: osgp concentrator notices" if found else ""


def _phases(nodes: list[dict[str, Any]]) -> str:
    """How many devices were found on each phase; empty where none was."""
    known = [node["phase"] for node in nodes if node["phase"] is not None]
    return ", ".join(f"{known.count(phase)} on {phase}" for phase in sorted(set(known)))


@app.command
def devices(*, socket: Place = SOCKET, json: Json = False) -> None:
    """Show the devices: state, address, way and backup, phase of the mains counted from the concentrator's, airtime."""
    found = _ask(socket, "devices")
    if json:
        print_json(found)
        return
    cared = {each["unique_node_id"]: each for each in found["devices"]}
    places = {node["unique_node_id"]: node["address"] or "?" for node in found["topology"]["nodes"]}
    rows = []
    for node in found["topology"]["nodes"]:
        known = cared.get(node["unique_node_id"], {})
        state = node["state"] if node["standing"] == "ours" else f"{node['state']}, {node['standing']}"
        state += ", legacy" if node["suite"] == "legacy" else ""
        usage, route = known.get("airtime"), known.get("route")
        rows.append(
            (
                "" if node["device"] is None else str(node["device"]),
                node["name"] or node["unique_node_id"],
                node["unique_node_id"],
                state,
                known.get("place") or "",
                "" if route is None else (" → ".join(route) or "direct"),
                ""
                if node["backup"] is None
                else (" → ".join(places[each] for each in node["backup"][:-1]) or "direct"),
                "" if node["phase"] is None else f"{node['phase']}{' turned' if node['inverted'] else ''}",
                "" if usage is None else f"{usage['airtime_s']:.1f}",
            )
        )
    title = "ways as written down" if found["topology"]["mode"] == "static" else ""
    print_table(
        title, ["number>", "name", "unique_node_id", "state", "address", "way", "backup", "phase", "airtime s>"], rows
    )


@app.command
def jobs(*, socket: Place = SOCKET, json: Json = False) -> None:
    """Show what was ordered, the newest first."""
    found = _ask(socket, "jobs")
    if json:
        print_json(found)
        return
    rows = [
        (
            str(job["number"]),
            job["kind"],
            job["state"],
            job["priority"],
            _when(job["created"]),
            ", ".join(f"{count} {state}" for state, count in job["progress"].items()),
            job["label"],
        )
        for job in found
    ]
    print_table("", ["number>", "kind", "state", "priority", "ordered (UTC)", "devices", "label"], rows)


@app.command
def events(
    *,
    follow: Annotated[bool, Parameter(help="go on with what happens from now on, until Ctrl-C")] = False,
    after: Annotated[int, Parameter(help="only those with a higher number")] = 0,
    socket: Place = SOCKET,
    json: Annotated[bool, Parameter(help="print JSON, one document, or a line for each event with --follow")] = False,
) -> None:
    """Show what has happened: devices that come and go, alarms, visits, what was kept."""
    from osgp.concentrator.status_socket import follow as following

    if follow:
        try:
            for event in following(socket, after=after):
                if json:
                    sys.stdout.write(jsonlib.dumps(event) + "\n")
                    sys.stdout.flush()
                else:
                    console.print(_event(event), markup=False)
        except KeyboardInterrupt:
            return
        return
    found = _ask(socket, "events", after=after)
    if json:
        print_json(found)
        return
    for event in found:
        console.print(_event(event), markup=False)


def _event(event: dict[str, Any]) -> str:
    known = ("number", "wall", "kind")
    more = event.get("text") or ", ".join(f"{name} {value}" for name, value in event.items() if name not in known)
    return f"{_when(event['wall'])} {event['kind']}: {more}"


@app.command
def notices(
    *,
    after: Annotated[int, Parameter(help="only those with a higher number")] = 0,
    kind: Annotated[str | None, Parameter(help="only of this kind: key usage, generation, identity, order …")] = None,
    socket: Place = SOCKET,
    json: Json = False,
) -> None:
    """Show what the journal keeps of what somebody should know, the oldest first: alarms, alerts, keys, clocks, forgers."""
    found = _ask(socket, "notices", after=after, kind=kind)
    if json:
        print_json(found)
        return
    rows = [
        (
            str(each["number"]),
            _when(each["wall"]),
            each["severity"],
            each["kind"],
            "" if each["device"] is None else str(each["device"]),
            each["text"],
        )
        for each in found
    ]
    print_table("", ["number>", "when (UTC)", "severity", "kind", "device>", "what"], rows)


# ---- commanding -------------------------------------------------------------------------------------------------------
@app.command
def pause(*, socket: Place = SOCKET) -> None:
    """Have a concentrator send nothing of its own until it is resumed; exchanges under way end."""
    _ask(socket, "pause")
    console.print("paused", markup=False)


@app.command
def resume(*, socket: Place = SOCKET) -> None:
    """Have a concentrator go on where everything was."""
    _ask(socket, "resume")
    console.print("at work", markup=False)


@app.command(name="confirm-clock")
def confirm_clock(*, socket: Place = SOCKET) -> None:
    """Say that the concentrator's own clock is right although it jumped: it may correct those of devices again."""
    _ask(socket, "confirm_clock")
    console.print("the clock is trusted", markup=False)


@device_app.command
def accept(device: Device, /, *, socket: Place = SOCKET, json: Json = False) -> None:
    """Go on with a device that was reset (its generation went back), or that was revoked."""
    _order(socket, "accept", device, json)


@device_app.command
def remove(device: Device, /, *, socket: Place = SOCKET, json: Json = False) -> None:
    """Forget a device that is gone; its address is free. Take its key away too, or it is found again where it is."""
    _order(socket, "remove", device, json)


@device_app.command
def revoke(device: Device, /, *, socket: Place = SOCKET, json: Json = False) -> None:
    """Shut out a device that somebody may have opened: no keys any more, and another broadcast key for all others at once."""
    _order(socket, "revoke", device, json)


@device_app.command
def release(device: Device, /, *, socket: Place = SOCKET, json: Json = False) -> None:
    """Ask a device again that is in quarantine: too many bad digests of the legacy suite in a day."""
    _order(socket, "release", device, json)


def _order(socket: Path, what: str, device: str, json: bool) -> None:
    found = _ask(socket, what, device=device)
    if json:
        print_json(found)
    else:
        console.print(found["text"], markup=False)


@jobs_app.command
def show(number: Number, /, *, socket: Place = SOCKET, json: Json = False) -> None:
    """Show a job with the result of each device; ends with 1 if one of them failed."""
    found = _ask(socket, "job", number=number)
    if json:
        print_json(found)
    else:
        rows = [
            (
                str(each["device"]),
                each["state"],
                str(each["attempts"]),
                _when(each["wall"]),
                ", ".join(f"{name} {value}" for name, value in each["detail"].items() if value not in ("", None)),
            )
            for each in found["results"]
        ]
        title = f"job {number}, {found['kind']}, {found['state']}"
        print_table(title, ["device>", "state", "attempts>", "when (UTC)", "what"], rows)
        for name, value in found.get("summary", {}).items():
            console.print(f"{name}: {value}", markup=False)
    if any(each["state"] in ("failed", "refused", "unknown", "expired") for each in found["results"]):
        raise SystemExit(EXIT_NO)


def _ordered(found: Any, json: bool) -> None:
    if json:
        print_json(found)
    else:
        console.print(
            f"job {found['number']}; osgp concentrator job show {found['number']} tells how it goes", markup=False
        )


@jobs_app.command
def read(
    names: tuple[str, ...],
    /,
    *,
    devices: Devices = (),
    priority: str = "on_demand",
    socket: Place = SOCKET,
    json: Json = False,
) -> None:
    """Order a reading of measurements or fields.

    Parameters
    ----------
    names
        as for osgp read: fwd_active_energy, BT52.clock_calendar …
    priority
        alarm, on_demand, billing, profile or housekeeping
    """
    if not names:
        raise ConfigError("what is to be read?", hint="osgp concentrator job read fwd_active_energy")
    parameters = {"names": list(names)}
    _ordered(
        _ask(socket, "submit", kind="read", devices=list(devices) or None, parameters=parameters, priority=priority),
        json,
    )


TokenFile = Annotated[
    Path | None, Parameter(name="--token", help="order with the head-end's tokens: the file of osgp keys token")
]


def _order_file(place: Path, kind: str, given: object) -> dict[str, Any]:
    """What ``osgp keys token`` made. Raises ConfigError, StoreError."""
    if given:
        raise ConfigError("--token FILE says what is ordered; nothing else does", hint="leave the other words out")
    try:
        found = jsonlib.loads(place.read_text("utf-8"))
    except OSError as error:
        raise StoreError(f"{place} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{place} is no JSON: {error}") from error
    if not isinstance(found, dict) or found.pop("kind", None) != kind:
        raise ConfigError(f"{place} is no order of a {kind}", hint=f"osgp keys token {kind} makes one")
    return found


def _order_of(given: dict[str, Any], kind: str, devices: tuple[int, ...], socket: Path, label: str) -> Any:
    """Order it of the devices that are named, else of those that the head-end's order is for, else of all."""
    names = given.get("orders") or given.get("tokens") or {}
    wanted = list(devices) or sorted(names) or None
    return _ask(socket, "submit", kind=kind, devices=wanted, parameters=given, label=label)


@jobs_app.command
def procedure(
    name: str = "",
    /,
    *parameters: str,
    token: TokenFile = None,
    devices: Devices = (),
    label: str = "",
    socket: Place = SOCKET,
    json: Json = False,
) -> None:
    """Order a procedure; a critical one with --token.

    Parameters
    ----------
    name
        for example EP16 or BP04; not with --token
    parameters
        FIELD=VALUE for each parameter, or one hexadecimal text
    label
        for people
    """
    if token is not None:
        given = _order_file(token, "procedure", name or parameters)
    elif name:
        from osgp.cli.device import parameters_of

        found = parameters_of(name, parameters)
        given = {"procedure": name, "parameters": found if isinstance(found, dict) else (found or b"").hex()}
    else:
        raise ConfigError("which procedure?", hint="osgp concentrator job procedure EP16 …, or --token FILE")
    _ordered(_order_of(given, "procedure", devices, socket, label), json)


@jobs_app.command
def group(
    name: str,
    /,
    *parameters: str,
    groups: Annotated[
        tuple[str, ...],
        Parameter(name="--groups", help="ids such as 0x0101 (EP27 puts a device into one); all without it"),
    ] = (),
    verify: Annotated[
        tuple[str, ...], Parameter(name="--verify", help="measurements or fields to be read back from each device")
    ] = (),
    devices: Devices = (),
    label: str = "",
    socket: Place = SOCKET,
    json: Json = False,
) -> None:
    """Order a procedure of many at once by secured broadcast: control relays, clocks, activation. Nobody answers one.

    Parameters
    ----------
    name
        for example EP02
    parameters
        FIELD=VALUE for each parameter, or one hexadecimal text: target=1 action=0 random=600
    label
        for people
    """
    from osgp.cli.device import parameters_of

    try:
        ids = [int(each, 0) for each in groups]
    except ValueError as error:
        raise ConfigError(
            "a group id is a number such as 0x0101 or 257", hint="0x01FF: all sub-groups of 01"
        ) from error
    found = parameters_of(name, parameters)
    given = {
        "procedure": name,
        "parameters": found if isinstance(found, dict) else (found or b"").hex(),
        "groups": ids,
        "verify": list(verify),
    }
    _ordered(_ask(socket, "submit", kind="group", devices=list(devices) or None, parameters=given, label=label), json)


@jobs_app.command
def write(
    table: str = "",
    data: str = "",
    /,
    *,
    offset: int = 0,
    token: TokenFile = None,
    devices: Devices = (),
    label: str = "",
    socket: Place = SOCKET,
    json: Json = False,
) -> None:
    """Order a write of a table; a critical one with --token.

    Parameters
    ----------
    table
        for example ET05; not with --token
    data
        hexadecimal
    offset
        where in the table; 0: a full write
    label
        for people
    """
    if token is not None:
        given = _order_file(token, "write", table or data or offset)
    elif table and data:
        given = {"table": table, "data": data, "offset": offset}
    else:
        raise ConfigError("what is to be written?", hint="osgp concentrator job write TABLE DATA, or --token FILE")
    _ordered(_order_of(given, "write", devices, socket, label), json)


@jobs_app.command
def submit(
    kind: str,
    parameters: str = "{}",
    /,
    *,
    devices: Devices = (),
    priority: str = "on_demand",
    label: str = "",
    expires: Annotated[float | None, Parameter(help="seconds from now after which it is not begun any more")] = None,
    socket: Place = SOCKET,
    json: Json = False,
) -> None:
    """Order any kind of job.

    Parameters
    ----------
    kind
        read, write, procedure, group, visit
    parameters
        a JSON object, for example '{"procedure": "BP04", "parameters": "00"}'
    priority
        alarm, on_demand, billing, profile or housekeeping
    label
        for people
    """
    try:
        given = jsonlib.loads(parameters)
    except ValueError as error:
        raise ConfigError(f"the parameters are no JSON: {error}") from error
    found = _ask(
        socket,
        "submit",
        kind=kind,
        devices=list(devices) or None,
        parameters=given,
        priority=priority,
        label=label,
        expires_in_s=expires,
    )
    _ordered(found, json)


@jobs_app.command
def firmware(
    image: Path,
    /,
    *,
    orders: Annotated[
        Path | None,
        Parameter(help="what osgp keys token switch made: EP10 parameters with token by device, hexadecimal"),
    ] = None,
    devices: Devices = (),
    label: str = "",
    socket: Place = SOCKET,
    json: Json = False,
) -> None:
    """Order new firmware; without --orders it is loaded and not switched.

    Parameters
    ----------
    image
        the signed image, trailer included
    label
        for people
    """
    try:
        content = image.read_bytes()
        given = jsonlib.loads(orders.read_text("utf-8")) if orders is not None else {}
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{orders} is no JSON: {error}") from error
    found = _ask(
        socket,
        "firmware",
        image=base64.b64encode(content).decode(),
        orders=given,
        devices=list(devices) or None,
        label=label,
    )
    _ordered(found, json)


@jobs_app.command(name="pause")
def pause_job(number: Number, /, *, socket: Place = SOCKET) -> None:
    """Begin nothing more of a job; what is under way ends."""
    _ask(socket, "pause", job=number)
    console.print(f"job {number} is paused", markup=False)


@jobs_app.command(name="resume")
def resume_job(number: Number, /, *, socket: Place = SOCKET) -> None:
    """Go on with a job."""
    _ask(socket, "resume", job=number)
    console.print(f"job {number} goes on", markup=False)


@jobs_app.command
def cancel(number: Number, /, *, socket: Place = SOCKET) -> None:
    """Give a job up: devices that had no turn yet get none."""
    _ask(socket, "cancel", job=number)
    console.print(f"job {number} is given up", markup=False)
