"""Commands on one device: read, query, write, run, profile, events, clone."""

from __future__ import annotations

import datetime as dt
import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.progress import Progress

from osgp.cli.output import console, plain, print_json, print_table, stderr
from osgp.cli.target import ANYWHERE, Target, with_device
from osgp.node.device import Device, QueryPlan, Reading
from osgp.tables.alarms import active_alarms
from osgp.tables.bt.bt03 import BT03
from osgp.tables.image import Image
from osgp.tables.registry import all_tables
from osgp.tables.table import table_name
from osgp.wire.errors import ConfigError, DecodeError, ResponseError

__all__ = ["clone", "events", "profile", "query", "read", "run", "write"]

Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]
Address = Annotated[
    str, Parameter(help="the device, for example optical:///dev/ttyUSB0 or mep+tls+tcp://host:port or image:FILE")
]
Raw = Annotated[bool, Parameter(help="show the raw bytes beside the values")]

_SUMMARY = (
    "serial_number",
    "firmware_version",
    "clock",
    "fwd_active_energy",
    "rev_active_energy",
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
)
"""What `osgp read URL` shows without paths; what a device does not have is left out."""


def _document(address: str, answers: list[Reading], raw: bool, failed: dict[str, str] | None = None) -> dict[str, Any]:
    values = []
    for answer in answers:
        entry: dict[str, Any] = {"name": answer.name, "value": plain(answer.value), "unit": answer.unit}
        if raw:
            entry |= {"raw": answer.raw.hex(), "table": answer.table, "offset": answer.offset}
        values.append(entry)
    document: dict[str, Any] = {"device": address.partition("?")[0], "values": values}
    if failed:
        document["absent"] = failed
    return document


def _show(answers: list[Reading], raw: bool) -> None:
    rows = []
    for answer in answers:
        value = plain(answer.value)
        text = jsonlib.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
        row: tuple[Any, ...] = (answer.name, text, answer.unit)
        if raw:
            row += (f"{answer.table}+{answer.offset}", answer.raw.hex(" ").upper())
        rows.append(row)
    print_table("", ["name", "value>", "unit"] + (["from", "bytes"] if raw else []), rows)


async def _summary(device: Device) -> tuple[list[Reading], dict[str, str]]:
    """As much of the summary as the device has, in one plan if possible, else one by one."""
    try:
        return await device.readings(*_SUMMARY), {}
    except (ConfigError, DecodeError, ResponseError):
        answers, failed = [], {}
        for name in _SUMMARY:
            try:
                answers.extend(await device.readings(name))
            except (ConfigError, DecodeError, ResponseError) as error:
                failed[name] = error.message
        return answers, failed


def read(address: str, /, *names: str, raw: Raw = False, json: Json = False, target: Target = ANYWHERE) -> None:
    """Read values: measurement names, paths, or without any a useful summary.

    Parameters
    ----------
    address
        the device, for example optical:///dev/ttyUSB0 or mep+tls+tcp://host:port
    names
        what to read: fwd_active_energy, BT28.present_values[0:4], BT64[-96:], BT21 …
    """

    async def work(device: Device) -> tuple[list[Reading], dict[str, str], list[str]]:
        if names:
            return await device.readings(*names), {}, []
        answers, failed = await _summary(device)
        alarms: list[str] = []
        try:
            alarms = [alarm.text for alarm in active_alarms(await device.table(BT03))]
        except ResponseError:
            failed["alarms"] = "BT03 cannot be read with this key"
        return answers, failed, alarms

    answers, failed, alarms = with_device(address, target, work)
    if json:
        document = _document(address, answers, raw, failed)
        if not names:
            document["alarms"] = alarms
        print_json(document)
        return
    _show(answers, raw)
    for name, why in failed.items():
        stderr.print(f"{name}: {why}", style="dim", markup=False)
    if not names:
        console.print("alarms: " + (", ".join(alarms) or "none"), markup=False)


def query(
    address: Address,
    /,
    *names: str,
    plan: Annotated[bool, Parameter(help="show the requests, bytes and airtime instead of reading")] = False,
    raw: Raw = False,
    json: Json = False,
    target: Target = ANYWHERE,
) -> None:
    """Read a set of paths with the fewest bytes on the line; ``--plan`` shows what would be sent and why.

    Parameters
    ----------
    names
        what to read: fwd_active_energy, BT28.present_values[0:4], BT64[-96:], BT21 …
    """
    if not names:
        raise ConfigError("nothing was asked for", hint="give paths, for example BT23.tot_data_block.summations[0]")
    if not plan:
        read(address, *names, raw=raw, json=json, target=target)
        return

    async def work(device: Device) -> tuple[QueryPlan, float]:
        made = await device.plan(*names)
        costs = device.access.costs
        return made, costs.airtime_s(made.wire_bytes, made.plan.exchanges + len(made.dimensions))

    made, airtime_s = with_device(address, target, work)
    reads = [*made.dimensions, *made.plan.reads]
    if json:
        print_json(
            {
                "device": address.partition("?")[0],
                "reads": [
                    {
                        "table": one.name,
                        "offset": one.offset,
                        "count": one.count,
                        "wire_bytes": one.wire_bytes,
                        "exchanges": one.exchanges,
                        "serves": list(one.serves),
                        "why": one.why,
                        "dimension": one in made.dimensions,
                    }
                    for one in reads
                ],
                "wire_bytes": made.wire_bytes,
                "airtime_s": round(airtime_s, 3),
            }
        )
        return
    rows = [
        (
            one.name,
            "all" if one.count is None else f"{one.offset}..{one.offset + one.count - 1}",
            one.wire_bytes,
            one.exchanges,
            ", ".join(one.serves),
            one.why,
        )
        for one in reads
    ]
    print_table("", ["table", "bytes", "on the wire>", "exchanges>", "for", "why"], rows)
    console.print(f"{made.wire_bytes} bytes on the wire, about {airtime_s:.2f} s")


def write(
    address: Address,
    path: str,
    value: str,
    /,
    *,
    verify: Annotated[bool, Parameter(help="read back what was written")] = True,
    json: Json = False,
    target: Target = ANYWHERE,
) -> None:
    """Write one path and read it back.

    Parameters
    ----------
    path
        where, for example ET55.lcd_msg_text or PBT54 (pending)
    value
        a number, a text, or JSON as ``osgp read --json`` shows it
    """
    try:
        given = jsonlib.loads(value)
    except ValueError:
        given = value
    if address.startswith("image:"):
        raise ConfigError("a saved image is not written to", hint="open the device itself, or clone it again")

    async def work(device: Device) -> None:
        await device.write(path, given, verify=verify)

    with_device(address, target, work)
    if json:
        print_json({"device": address.partition("?")[0], "path": path, "written": given, "verified": verify})
    else:
        console.print(f"{path} written" + (" and read back" if verify else ""), markup=False)


def run(
    address: Address,
    procedure: str,
    /,
    *parameters: str,
    json: Json = False,
    target: Target = ANYWHERE,
) -> None:
    """Run a procedure.

    Parameters
    ----------
    procedure
        for example EP17 or BP10; ``osgp tables EP17`` shows its parameters
    parameters
        FIELD=VALUE for each parameter, or one hexadecimal text
    """
    raw = parameters_of(procedure, parameters)

    async def work(device: Device) -> dict[str, Any]:
        return await device.run(procedure, raw)

    answer = with_device(address, target, work)
    if json:
        print_json({"device": address.partition("?")[0], **answer})
    else:
        console.print(f"{answer['procedure']}: {answer['text']} (result {answer['result']})", markup=False)
        if "data" in answer or "raw" in answer:
            print_json(answer.get("data", answer.get("raw")))


def parameters_of(procedure: str, words: tuple[str, ...]) -> bytes | dict[str, Any] | None:
    """Parameters of a procedure as typed: FIELD=VALUE for each, or one hexadecimal text; None without any. Raises ConfigError."""
    if len(words) == 1 and "=" not in words[0]:
        from osgp.cli.tables import read_hex

        return read_hex(words[0])
    raw: dict[str, Any] = {}
    for entry in words:
        name, mark, text = entry.partition("=")
        if not mark:
            raise ConfigError(f"{entry!r} is not FIELD=VALUE", hint=f"osgp tables {procedure} lists the fields")
        try:
            raw[name] = jsonlib.loads(text)
        except ValueError:
            raw[name] = text
    return raw or None


def moment(text: str | None) -> dt.datetime | None:
    """A moment: 2026-11-01, 2026-11-01T12:00, or an age such as 7d, 12h, 90min. UTC unless it says otherwise."""
    if text is None:
        return None
    units = {"min": 60, "h": 3600, "d": 86400, "w": 604800}
    for unit, seconds in units.items():
        number = text.removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdigit():
            return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=float(number) * seconds)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no moment", hint="for example 7d, 12h, 2026-11-01 or 2026-11-01T12:00"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _positive(last: int | None) -> None:
    if last is not None and last < 1:
        raise ConfigError(f"--last {last} asks for nothing", hint="give 1 or more, or leave it out for all")


def _has_place(file: Path) -> None:
    """Before minutes of reading. Raises ConfigError if the folder of ``file`` is not there, or ``file`` is itself one."""
    if file.is_dir():
        raise ConfigError(f"cannot write {file}: it is a folder", hint="give the name of a file")
    if not file.parent.is_dir():
        raise ConfigError(f"cannot write {file}: there is no folder {file.parent}", hint="make it first")


def profile(
    address: Address,
    /,
    *,
    since: Annotated[str | None, Parameter(help="from when on: 7d, 12h, 2026-11-01 or 2026-11-01T12:00 (UTC)")] = None,
    last: Annotated[int | None, Parameter(help="the newest so many intervals")] = None,
    data_set: Annotated[int, Parameter(help="load profile data set 1 to 4")] = 1,
    output: Annotated[Path | None, Parameter(help="write a file instead: .csv, .parquet or .json")] = None,
    plot: Annotated[bool, Parameter(help="draw it in the terminal")] = False,
    csv: Annotated[bool, Parameter(help="print CSV")] = False,
    json: Json = False,
    target: Target = ANYWHERE,
) -> None:
    """Read the load profile: as a table, CSV, Parquet, JSON or a plot."""
    start = moment(since)
    _positive(last)
    # Before the device is read, which may take minutes.
    if output is not None and output.suffix not in (".csv", ".parquet", ".json"):
        raise ConfigError(f"cannot write {output.suffix or 'that'}", hint="use .csv, .parquet or .json")
    if output is not None:
        _has_place(output)

    async def work(device: Device) -> Any:
        with Progress(console=stderr, transient=True) as progress:
            task = progress.add_task("load profile", total=None)
            result = await device.profile(since=start, last=last, data_set=data_set)
            progress.update(task, total=1, completed=1)
            return result

    found = with_device(address, target, work)
    from osgp.cli.profile_out import as_csv, as_parquet, draw, status_text

    if output is not None:
        try:
            if output.suffix == ".parquet":
                as_parquet(found, output)
            elif output.suffix == ".csv":
                output.write_text(as_csv(found))
            else:
                output.write_text(jsonlib.dumps(plain(found), indent=1))
        except OSError as error:
            raise ConfigError(f"cannot write {output}: {error.strerror or error}") from error
        stderr.print(f"{len(found)} intervals in {output}", markup=False)
        if json:
            print_json({"file": str(output), "intervals": len(found)})
    elif json:
        print_json(found)
    elif csv:
        sys.stdout.write(as_csv(found))
    elif plot:
        draw(found)
    else:
        rows = list(found.rows())
        keys = [key for key in (rows[0] if rows else {}) if key not in ("time", "flags", "status")]
        units = [
            f"{key} [{channel.unit}]>" if channel.unit else f"{key}>" for key, channel in zip(keys, found.channels)
        ]
        print_table(
            f"{len(rows)} intervals",
            ["end (UTC)", *units, "status"],
            [(f"{row['time']:%Y-%m-%d %H:%M}", *(row[key] for key in keys), status_text(row)) for row in rows],
        )


def events(
    address: Address,
    /,
    *,
    last: Annotated[int | None, Parameter(help="the newest so many")] = 50,
    log: Annotated[
        str, Parameter(help="which log: BT74 events, ET79 alternate events, BT26 self reads, ET81 outages …")
    ] = "BT74",
    json: Json = False,
    target: Target = ANYWHERE,
) -> None:
    """Read the event log, newest first."""
    _positive(last)

    async def work(device: Device) -> Any:
        return await device.log(log, last)

    entries = with_device(address, target, work)
    if json:
        print_json({"device": address.partition("?")[0], "log": log, "entries": entries})
        return
    print_table(
        f"{len(entries)} entries of {log}",
        ["time", "number>", "what"],
        [(entry.time, entry.number, entry.text) for entry in entries],
    )


def clone(
    address: Address,
    file: Path,
    /,
    *,
    anonymous: Annotated[bool, Parameter(help="replace serial numbers, names and keys")] = True,
    json: Json = False,
    target: Target = ANYWHERE,
) -> None:
    """Save every readable table of a device as an image, to be opened later as image:FILE or attached to a bug report.

    Parameters
    ----------
    file
        the file to write (JSON)
    """

    _has_place(file)

    async def work(device: Device) -> tuple[Image, dict[str, str]]:
        image, refused = Image(), {}
        declared = list(all_tables())
        with Progress(console=stderr, transient=True) as progress:
            for one in progress.track(declared, description="tables"):
                try:
                    image.put(one.number, await device.raw(one.number))
                except ResponseError as error:
                    refused[one.__name__] = error.message
        return image, refused

    image, refused = with_device(address, target, work)
    replaced: list[str] = []
    if anonymous:
        from osgp.analyse.anonymous import anonymise

        replaced = anonymise(image)
    try:
        file.write_text(
            jsonlib.dumps(
                {"format": "osgp-image", "version": 1, "tables": image.to_json(), "refused": refused}, indent=1
            )
        )
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}") from error
    names = [table_name(number) for number in image]
    if json:
        print_json({"file": str(file), "tables": names, "refused": refused, "replaced": replaced})
    else:
        console.print(
            f"{len(names)} tables in {file}; {len(refused)} refused; {len(replaced)} fields replaced", markup=False
        )
