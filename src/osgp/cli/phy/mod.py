"""``osgp phy mod``: packets as samples in a file, alone or as a line would deliver them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from osgp.analyse.lon_observer import LonObserver
from osgp.cli.output import print_json, print_table
from osgp.cli.phy.options import CARRIERS, Json, ProfileOption, chosen_profile, extra, lpdu_from_hex, lpdus_from_lines
from osgp.lon.lpdu import LinkHeader
from osgp.lon.redact import redacted
from osgp.wire.errors import BadValue, ConfigError

if TYPE_CHECKING:
    from osgp.sim.recording import Recording, Sent

__all__ = ["mod"]

_HEADROOM = 0.9
"""Of full scale, for the largest sample of a line."""
_ALTERNATE = LinkHeader.fields["alternate_path"].mask


def mod(
    lpdu: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *more: str,
    output: Annotated[
        Path, Parameter(name=["--output", "-o"], help="file to write: .wav, .sigmf-meta, or raw (.f32, .s16)")
    ],
    secondary: Annotated[
        bool, Parameter(help="set the alternate-path bit, which puts packets on the secondary carrier")
    ] = False,
    scenario: Annotated[
        str | None, Parameter(help="what the line does: Q, R, D, T, F or a scenario file; without it nothing")
    ] = None,
    ec_n0: Annotated[
        float | None, Parameter(name="--ec-n0", help="energy of a line bit over noise density there, in dB")
    ] = None,
    seed: Annotated[int, Parameter(help="decides the noise")] = 1,
    ppm: Annotated[float, Parameter(help="by how much the sender's clock is too fast")] = 0.0,
    gap_s: Annotated[float, Parameter(help="seconds before, between and behind packets")] = 0.05,
    samples: Annotated[
        Literal["int16", "float32"] | None, Parameter(help="how samples are kept; default: int16 in .wav and .s16")
    ] = None,
    profile: ProfileOption = None,
    json: Json = False,
) -> None:
    """Write packets as samples into a file.

    Parameters
    ----------
    lpdu
        a link frame (LPDU) in hexadecimal, without CRC; - reads one from each line of stdin
    more
        further ones
    """
    with extra("plc"):
        from osgp.ports.samples import Annotation, create_samples
        from osgp.sim.channel import scenario as named_scenario
        from osgp.sim.recording import Recording
    chosen = chosen_profile(profile)
    given = [
        each
        for text in (lpdu, *more)
        for each in (lpdus_from_lines(iter(sys.stdin)) if text == "-" else [lpdu_from_hex(text)])
    ]
    if secondary:
        given = [bytes((each[0] | _ALTERNATE,)) + each[1:] for each in given if each]
    try:
        recording = Recording(
            given,
            chosen,
            gap_s=gap_s,
            ppm=ppm,
            scenario=None if scenario is None else named_scenario(scenario),
            ec_n0_db=ec_n0,
            seed=seed,
        )
    except BadValue as error:  # a length that no packet has; here it came from the command line
        raise ConfigError(error.message, hint="the LPDU is link header and network layer, without CRC") from error
    scale = 1.0 if scenario is None else _HEADROOM / recording.peak()
    full_scale = "" if scenario is None else f"; full scale is {1 / scale:.4g} V"
    description = f"{len(given)} packets, profile {chosen.name}" + (
        f", scenario {scenario}, seed {seed}{full_scale}" if scenario else ""
    )
    with create_samples(output, recording.rate_hz, encoding=samples, description=description) as out:
        for block in recording.blocks():
            out.write(block * scale)
        observer = LonObserver()
        rows = []
        for each in recording.sent:
            shown = redacted(each.lpdu)
            start_s = each.start / recording.rate_hz
            text = observer.frame(each.lpdu, start_s, crc=False).text
            half = chosen.bit_rate
            centre = chosen.carrier_hz(each.secondary)
            out.annotate(Annotation(each.start, each.count, "OSGP packet", text, centre - half, centre + half, shown))
            rows.append(_row(each, recording, start_s, shown, text))
    document = {
        "file": str(output),
        "rate_hz": recording.rate_hz,
        "samples": recording.count,
        "duration_s": recording.count / recording.rate_hz,
        "encoding": out.encoding,
        "profile": chosen.name,
        "scenario": scenario,
        "seed": seed,
        "ppm": ppm,
        "full_scale_v": None if scenario is None else 1 / scale,
        "packets": rows,
    }
    if json:
        print_json(document)
        return
    print_table(
        f"{output}: {recording.count / recording.rate_hz:.3f} s at {recording.rate_hz:.1f} Hz, {out.encoding}{full_scale}",
        ["at s>", "for s>", "carrier", "Ec/N0 dB>", "packet"],
        [
            (
                f"{row['start_s']:.4f}",
                f"{row['duration_s']:.4f}",
                row["carrier"],
                "" if row["ec_n0_db"] is None else f"{row['ec_n0_db']:.1f}",
                row["text"],
            )
            for row in rows
        ],
    )


def _row(sent: Sent, recording: Recording, start_s: float, lpdu: bytes, text: str) -> dict[str, object]:
    return {
        "start_s": start_s,
        "duration_s": sent.count / recording.rate_hz,
        "start_sample": sent.start,
        "samples": sent.count,
        "carrier": CARRIERS[sent.secondary],
        "ec_n0_db": recording.ec_n0_db(sent.secondary),
        "lpdu": lpdu.hex(),
        "text": text,
    }
