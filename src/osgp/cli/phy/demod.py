"""``osgp phy demod``: the packets in samples, each with what the receiver measured, and what it says."""

from __future__ import annotations

import datetime as dt
import json as jsonlib
import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from osgp.cli.output import EXIT_NO, console, plain
from osgp.cli.phy.options import Json, ProfileOption, chosen_profile, extra
from osgp.cli.phy.source import AS_IT_SAYS, Samples, Source, opened
from osgp.lon.redact import redacted
from osgp.ports.capture import CaptureWriter
from osgp.wire.errors import DecodeError

if TYPE_CHECKING:
    from osgp.analyse.phy_packets import Heard, Listening

__all__ = ["demod"]


def demod(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    capture: Annotated[
        Path | None, Parameter(help="write the frames to this .pcap or .pcapng file, keys masked")
    ] = None,
    source: Source = AS_IT_SAYS,
    profile: ProfileOption = None,
    json: Json = False,
) -> None:
    """Receive the packets in samples of a line, on both carriers, and tell what each says. Exit status 1 if there is none.

    Parameters
    ----------
    file
        samples: .wav, .sigmf-meta, or raw numbers with --rate; - reads stdin, a WAV file or raw numbers
    """
    chosen = chosen_profile(profile)
    with extra("plc"):
        from osgp.analyse.phy_packets import Listening
    listening = Listening(chosen)
    damage: list[DecodeError] = []
    with ExitStack() as stack:
        samples = stack.enter_context(opened(file, source, chosen))
        writer = None if capture is None else stack.enter_context(CaptureWriter(capture, carrier="lpdu"))
        promised = Counter(redacted(each.lpdu) for each in samples.reader.annotations if each.lpdu)
        annotated = promised.total()
        epoch_ns = _nanoseconds(samples.reader.datetime)

        def packets() -> Iterator[Heard]:
            try:
                for each in listening.packets(samples.blocks()):
                    promised.subtract((each.lpdu,) if promised[each.lpdu] > 0 else ())
                    if writer is not None:
                        writer.write_lpdu(each.packet.lpdu, time_ns=epoch_ns + round(each.start_s * 1e9))
                    yield each
            except DecodeError as error:  # told behind what was good
                damage.append(error)

        tell = _print_json if json else _print
        tell(file, samples, packets(), listening)
        summary = _summary(listening, annotated, promised)
        if json:
            sys.stdout.write(f'  "statistics": {jsonlib.dumps(summary, ensure_ascii=False)}\n}}\n')
        else:
            _print_summary(summary)
    if damage:
        raise damage[0]
    if not listening.statistics.packets.total():
        raise SystemExit(EXIT_NO)


def _nanoseconds(moment: str) -> int:
    """Of the recording's first sample, since 1970; 0 where the file does not say."""
    try:
        found = dt.datetime.fromisoformat(moment)
    except ValueError:
        return 0
    since = (found if found.tzinfo else found.replace(tzinfo=dt.UTC)) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return max(0, (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000)


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(max(amplitude, 1e-10))


# ---- for people --------------------------------------------------------------------------------------------------------
def _print(file: str, samples: Samples, packets: Iterator[Heard], listening: Listening) -> None:
    """Each packet as soon as it is complete, in two lines."""
    for each in packets:
        packet = each.packet
        line = Text(f"{each.start_s:>11.4f} s  ", style="dim")
        line.append(f"{packet.carrier:<9}", style="bold")
        line.append(
            f"  Ec/N0 {packet.snr_db:5.1f} dB  {_decibels(packet.strength):6.1f} dBFS  {round(packet.offset_ppm):+5d} ppm  "
            f"list {packet.list_depth:<2}  "
        )
        line.append(each.text, style="green")
        console.print(line, soft_wrap=True)
        console.print(Text(f"{'':15}{each.lpdu.hex().upper()}", style="dim"), soft_wrap=True)


def _print_summary(summary: dict[str, Any]) -> None:
    counted = summary["packets"]
    total = sum(counted.values())
    on = ", ".join(f"{number} {carrier}" for carrier, number in counted.items() if number)
    taken = f" ({on}), {summary['airtime_share']:.1%} of the time" if total else ""
    console.print(f"{total} packet{'s' * (total != 1)} in {summary['duration_s']:.3f} s{taken}", markup=False)
    if summary["guessed"]:
        console.print(
            f"{summary['guessed']} of them needed more than the likeliest reading of their words", markup=False
        )
    for reason, number in sorted(summary["dropped"].items()):
        console.print(f"dropped {number}: {reason}", markup=False)
    if summary["annotated"]:
        found = summary["annotated"] - summary["annotated_missing"]
        console.print(f"{found} of {summary['annotated']} packets that the file tells of", markup=False)


# ---- for programs ------------------------------------------------------------------------------------------------------
def _print_json(file: str, samples: Samples, packets: Iterator[Heard], listening: Listening) -> None:
    """The document up to its statistics, written as it grows: recordings are long."""
    head = {"file": file, "rate_hz": samples.reader.rate_hz, "profile": listening.profile.name}
    sys.stdout.write(
        "{\n" + "".join(f"  {jsonlib.dumps(key)}: {jsonlib.dumps(value)},\n" for key, value in head.items())
    )
    sys.stdout.write('  "packets": [')
    joint = "\n"
    for each in packets:
        packet = each.packet
        row = {
            "start_s": each.start_s,
            "duration_s": each.duration_s,
            "start_sample": packet.start_sample,
            "end_sample": packet.end_sample,
            "carrier": packet.carrier,
            "lpdu": each.lpdu,
            "text": each.text,
            "ec_n0_db": packet.snr_db,
            "strength_dbfs": _decibels(packet.strength),
            "offset_ppm": packet.offset_ppm,
            "list_depth": packet.list_depth,
        }
        sys.stdout.write(f"{joint}    {jsonlib.dumps(plain(row), ensure_ascii=False)}")
        joint = ",\n"
    sys.stdout.write("\n  ],\n" if joint != "\n" else "],\n")


def _summary(listening: Listening, annotated: int, missing: Counter[bytes]) -> dict[str, Any]:
    found = listening.statistics
    duration_s = found.samples / listening.profile.sample_rate_hz
    return {
        "duration_s": duration_s,
        "packets": dict(found.packets),
        "airtime_share": sum(found.airtime_s.values()) / duration_s if duration_s else 0.0,
        "guessed": found.guessed,
        "dropped": dict(found.dropped),
        "carrier_detections": found.detected,
        "annotated": annotated,
        "annotated_missing": missing.total(),
    }
