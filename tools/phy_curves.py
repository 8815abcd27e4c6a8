"""Count what the power-line receiver loses and draw it: ``docs/_data/phy-curves.json`` and ``docs/_static/phy-*.svg``.

``make bench-phy`` or ``python tools/phy_curves.py``; some ten minutes. Every point has a seed of its own and is written when it is
done: a run that was stopped goes on where it was. ``--fresh`` counts all again, ``--draw-only`` draws the data that are there.
Needs the extra ``plot``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

import osgp
from osgp.lon.crc import with_crc
from osgp.plc.demodulate import matched_filter, receive_rows
from osgp.plc.events import CarrierDetected, Dropped, PacketReceived
from osgp.plc.frame import is_secondary
from osgp.plc.modem import Modem
from osgp.plc.modulate import modulate, modulate_bits
from osgp.plc.params import OSGP
from osgp.sim.channel import Channel, scenario
from osgp.sim.per import wilson
from osgp.sim.recording import waveform

ROOT = Path(__file__).resolve().parent.parent
PER_BIT, RATE_HZ = OSGP.samples_per_bit, OSGP.sample_rate_hz
LEAD = (OSGP.blanker_bits + 8) * PER_BIT
PPM = 200.0
"""Clock tolerance on each side: a packet's error is the difference of two even draws."""
ENOUGH = 120
"""Packets lost after which a point is done; what is published has at least 100."""
COLOURS = ("#2a6f97", "#e07a1f", "#3a8f4d", "#8c3b7a")

Point = dict[str, Any]
Samples = NDArray[np.float32]


def sigma(ec_n0_db: float) -> float:
    """White noise in a sample, against a carrier of amplitude 1."""
    return math.sqrt(PER_BIT / 4) * 10 ** (-ec_n0_db / 20)


def share(lost: int, count: int) -> Point:
    """Counts as they are published."""
    low, high = wilson(lost, count)
    return {"count": count, "lost": lost, "share": lost / count, "low": low, "high": high}


# ---- what is counted ---------------------------------------------------------------------------------------------------
def ber(ec_n0_db: float, rng: np.random.Generator) -> Point:
    """Bits behind the matched filter, beginning and phase known: 3,000 errors."""
    bits = rng.integers(0, 2, 20_000, dtype=np.uint8)
    sent = modulate_bits(bits, False).astype(np.float32)
    wrong = count = 0
    while wrong < 3000:
        heard = sent + np.float32(sigma(ec_n0_db)) * rng.standard_normal(len(sent), dtype=np.float32)
        found = matched_filter(heard, len(bits)).real < 0
        wrong += int(np.count_nonzero(found != bits))
        count += len(bits)
    return {
        **share(wrong, count),
        "theory": NormalDist().cdf(-math.sqrt(2 * 10 ** (ec_n0_db / 10))),
        "loss_db": ec_n0_db - 10 * math.log10(NormalDist().inv_cdf(wrong / count) ** 2 / 2),
    }


class Packets:
    """Rows with a packet each: content, carrier, clock error and beginning are drawn."""

    def __init__(self, size: int, rng: np.random.Generator, different: int = 64) -> None:
        self.rng = rng
        self.sent = []
        for number in range(different):
            lpdu = bytes((0x41 if number & 1 else 0x01, *rng.integers(0, 256, size - 1).tolist()))
            ppm = float(rng.uniform(-PPM, PPM) - rng.uniform(-PPM, PPM))
            self.sent.append((lpdu, waveform(lpdu, OSGP, ppm).astype(np.float32)))
        self.length = LEAD + 2 * PER_BIT + max(len(wave) for _, wave in self.sent) + 8 * PER_BIT

    def rows(self, noise: float, amplitude: float = 1.0) -> tuple[Samples, list[int]]:
        """One row for each packet, and where it begins."""
        rows = self.rng.standard_normal((len(self.sent), self.length), dtype=np.float32)
        rows *= np.float32(noise)
        begins = []
        for row, (_, wave) in zip(rows, self.sent):
            begin = LEAD + int(self.rng.integers(2 * PER_BIT))
            row[begin : begin + len(wave)] += np.float32(amplitude) * wave
            begins.append(begin)
        return rows, begins


def per(ec_n0_db: float, rng: np.random.Generator, *, size: int = 18, most: int = 60_000) -> Point:
    """Packets of 18 bytes, both carriers, searched for: lost with the list, lost without it, beginnings missed."""
    lost = plain = missed = false = count = 0
    while count < most and lost < ENOUGH:
        packets = Packets(size, rng)
        rows, begins = packets.rows(sigma(ec_n0_db))
        found = receive_rows(rows)
        for row, ((lpdu, _), begin) in enumerate(zip(packets.sent, begins)):
            right = bool(found.ok[row]) and found.lpdu(row) == lpdu
            lost += not right
            plain += not (right and found.depth[row] == 0)
            false += bool(found.ok[row]) and not right
            missed += abs(int(found.start[row]) - begin) > PER_BIT // 4
        count += len(packets.sent)
    return {
        "list": share(lost, count),
        "soft": share(plain, count),
        "missed": share(missed, count),
        "undetected": false,
    }


def known(ec_n0_db: float, rng: np.random.Generator) -> Point:
    """The same, told where the packet begins, without clock error: what search and clock error cost."""
    lost = count = 0
    while count < 40_000 and lost < ENOUGH:
        lpdu = bytes((0x01, *rng.integers(0, 256, 17).tolist()))
        wave = modulate(lpdu)
        rows = rng.standard_normal((64, len(wave)), dtype=np.float32)
        rows *= np.float32(sigma(ec_n0_db))
        rows += wave
        found = receive_rows(rows, starts=np.zeros(64, np.int64))
        wanted = np.frombuffer(with_crc(lpdu), np.uint8)
        lost += int(np.count_nonzero(~(found.ok & (found.data[:, : len(wanted)] == wanted).all(axis=1))))
        count += 64
    return share(lost, count)


def level(above_db: float, rng: np.random.Generator) -> Point:
    """Short packets in noise of one strength; at 0 dB Ec/N0 is 10 dB. Most levels lose none."""
    lost = count = 0
    while count < 6000 and lost < ENOUGH:
        packets = Packets(6, rng)
        rows, _ = packets.rows(sigma(10.0) * 1e-4, 1e-4 * 10 ** (above_db / 20))
        found = receive_rows(rows)
        lost += sum(not found.ok[row] or found.lpdu(row) != lpdu for row, (lpdu, _) in enumerate(packets.sent))
        count += len(packets.sent)
    return share(lost, count)


def dimmer(ec_n0_db: float, rng: np.random.Generator) -> Point:
    """Scenario D: the whole receiver, the same without blanker and weighting, on the same samples.

    Every 32 packets are on another line, where receivers have heard a third of a second of noise before.
    """
    names = {
        "whole": (True, True),
        "without_blanker": (False, True),
        "without_weighting": (True, False),
        "bare": (False, False),
    }
    lost, sent, gap = dict.fromkeys(names, 0), 0, 60 * PER_BIT
    while sent < 960 or (sent < 4000 and min(lost.values()) < ENOUGH):
        channel = Channel(scenario("D"), rng, mains_turns=float(rng.random()))
        packets = Packets(18, rng, 32)
        begins, place = [], int(RATE_HZ / 3)
        for _, wave in packets.sent:
            begins.append(place + int(rng.integers(PER_BIT)))
            place += len(wave) + gap
        ways = {carrier: channel.link_at(ec_n0_db, carrier) for carrier in (False, True)}
        arriving = [
            (wave, begin, ways[is_secondary(lpdu)]) for (lpdu, wave), begin in zip(packets.sent, begins, strict=True)
        ]
        heard = channel.mix(arriving, 0, place + gap)
        wanted = [lpdu for lpdu, _ in packets.sent]
        for name, (blanker, weighting) in names.items():
            modem = Modem(blanker=blanker, weighting=weighting)
            modem.receive(heard)
            found = {event.lpdu for event in modem.events() if isinstance(event, PacketReceived)}
            lost[name] += sum(lpdu not in found for lpdu in wanted)
        sent += len(wanted)
    return {name: share(number, sent) for name, number in lost.items()}


def noise_hours(number: float, rng: np.random.Generator) -> Point:
    """An hour of white noise: packets that began (and ended in a wrong CRC), packets, carriers detected."""
    modem = Modem()
    began = detected = right = 0
    samples = int(3600 * RATE_HZ)
    while modem.samples < samples:
        modem.receive(rng.standard_normal(1 << 20, dtype=np.float32))
        for event in modem.events():
            began += isinstance(event, (Dropped, PacketReceived))
            right += isinstance(event, PacketReceived)
            detected += isinstance(event, CarrierDetected)
    return {"hours": modem.samples / RATE_HZ / 3600, "began": began, "packets": right, "detected": detected}


def tone(above_db: float, rng: np.random.Generator) -> Point:
    """A tone within 1 kHz of the primary carrier, so much above the signal: packets on the secondary at Ec/N0 of 12 dB."""
    lost = count = 0
    while count < 3000 and lost < ENOUGH:
        packets = Packets(18, rng)
        packets.sent = [each for each in packets.sent if is_secondary(each[0])]
        rows, _ = packets.rows(sigma(12.0))
        turns = 2 * np.pi / RATE_HZ * (OSGP.carrier_hz(False) + rng.uniform(-1000, 1000, (len(rows), 1)))
        phases = turns * np.arange(packets.length) + rng.uniform(0, 2 * np.pi, (len(rows), 1))
        rows += (10 ** (above_db / 20) * np.cos(phases)).astype(np.float32)
        found = receive_rows(rows)
        lost += sum(not found.ok[row] or found.lpdu(row) != lpdu for row, (lpdu, _) in enumerate(packets.sent))
        count += len(packets.sent)
    return share(lost, count)


def short(ec_n0_db: float, rng: np.random.Generator) -> Point:
    """Beginnings of the shortest packets, many: missed or misplaced by more than a quarter of a bit."""
    missed = count = 0
    while count < 60_000 and missed < ENOUGH:
        packets = Packets(6, rng)
        rows, begins = packets.rows(sigma(ec_n0_db))
        missed += int(np.count_nonzero(np.abs(receive_rows(rows).start - np.array(begins)) > PER_BIT // 4))
        count += len(packets.sent)
    return share(missed, count)


PLAN: tuple[tuple[str, Callable[[float, np.random.Generator], Point], tuple[float, ...]], ...] = (
    ("ber", ber, (0.0, 2.0, 4.0, 5.0, 6.0, 6.5, 7.0)),
    ("per", per, (2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.25, 5.5, 5.75, 6.0, 6.5)),
    ("known", known, (2.0, 3.0, 3.5, 4.0, 4.5, 5.0, 5.25, 5.5)),
    ("missed", short, (1.0, 2.0, 3.0, 4.0)),
    ("level", level, (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)),
    ("dimmer", dimmer, (4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 20.0, 24.0, 28.0, 32.0)),
    ("noise", noise_hours, (1.0, 2.0, 3.0, 4.0)),
    ("tone", tone, (10.0,)),
)


# ---- what follows ------------------------------------------------------------------------------------------------------
def crossing(points: Iterator[tuple[float, float]], wanted: float) -> float | None:
    """Where a falling curve reaches a share, between points on a logarithmic scale."""
    before: tuple[float, float] | None = None
    for place, value in points:
        if value <= wanted and before is not None and before[1] > wanted > 0:
            low = max(value, 1e-9)
            part = (math.log(before[1]) - math.log(wanted)) / (math.log(before[1]) - math.log(low))
            return before[0] + part * (place - before[0])
        before = place, value
    return None


def summary(points: dict[str, dict[str, Point]]) -> Point:
    """The figures that the goals are about."""

    def curve(name: str, *keys: str) -> Iterator[tuple[float, float]]:
        for place, point in sorted(points[name].items(), key=lambda each: float(each[0])):
            value: Any = point
            for key in keys:
                value = value[key]
            yield float(place), value

    bits = crossing(curve("ber", "share"), 1e-3)
    theory = 10 * math.log10(NormalDist().inv_cdf(1e-3) ** 2 / 2)
    whole, bare = crossing(curve("dimmer", "whole", "share"), 0.1), crossing(curve("dimmer", "bare", "share"), 0.1)
    hours = points["noise"].values()
    found = {
        "ber_1e3_loss_db": None if bits is None else bits - theory,
        "per_1e2_list_db": crossing(curve("per", "list", "share"), 1e-2),
        "per_1e2_soft_db": crossing(curve("per", "soft", "share"), 1e-2),
        "per_1e2_known_db": crossing(curve("known", "share"), 1e-2),
        "missed_4db_high": points["missed"]["4.0"]["high"],
        "level_worst_high": max(point["high"] for point in points["level"].values()),
        "dimmer_gain_db": None if whole is None or bare is None else bare - whole,
        "false_starts_per_hour_and_carrier": sum(each["began"] for each in hours) / sum(each["hours"] for each in hours) / 2,
        "tone_delivered": 1 - points["tone"]["10.0"]["share"],
    }  # fmt: skip
    return {key: None if value is None else round(value, 5) for key, value in found.items()}


def draw(content: Point, folder: Path) -> None:
    """Two pictures: white noise, scenario D."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "osgp", "svg.fonttype": "path", "font.size": 9})
    from matplotlib import pyplot

    def line(axis: Any, name: str, keys: tuple[str, ...], label: str, colour: str) -> None:
        places, middle, down, up = [], [], [], []
        for place, point in sorted(content["points"][name].items(), key=lambda each: float(each[0])):
            value: Any = point
            for key in keys:
                value = value[key]
            if value["lost"]:
                places.append(float(place))
                middle.append(value["share"])
                down.append(value["share"] - value["low"])
                up.append(value["high"] - value["share"])
        axis.errorbar(
            places, middle, (down, up), marker="o", markersize=3, linewidth=1.2, capsize=2, color=colour, label=label
        )

    figure, (bits, packets) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    line(bits, "ber", (), "matched filter, beginning and phase known", COLOURS[0])
    rows = sorted((float(place), point["theory"]) for place, point in content["points"]["ber"].items())
    bits.plot(*zip(*rows), color="black", linewidth=0.8, linestyle="--", label="theory, Q(√(2 Ec/N0))")
    line(packets, "known", (), "list, beginning known, no clock error", COLOURS[2])
    line(packets, "per", ("list",), "list, searched, ±200 ppm each side", COLOURS[0])
    line(packets, "per", ("soft",), "likeliest words only", COLOURS[1])
    line(packets, "missed", (), "beginning not found (6 bytes)", COLOURS[3])
    for axis, title in ((bits, "line bits wrong"), (packets, "packets of 18 bytes lost, white noise")):
        axis.set_title(title, fontsize=9)
    _finished(figure, (bits, packets), folder / "phy-white.svg")

    figure, axis = pyplot.subplots(figsize=(5.5, 4), layout="constrained")
    for (key, label), colour in zip(
        (
            ("bare", "neither blanker nor weighting"),
            ("without_blanker", "no blanker"),
            ("without_weighting", "no weighting by mains phase"),
            ("whole", "the receiver"),
        ),
        reversed(COLOURS),
    ):
        line(axis, "dimmer", (key,), label, colour)
    axis.set_title("packets of 18 bytes lost beside a dimmer (scenario D)", fontsize=9)
    _finished(figure, (axis,), folder / "phy-dimmer.svg")


def _finished(figure: Any, axes: tuple[Any, ...], path: Path) -> None:
    for axis in axes:
        axis.set_yscale("log")
        axis.set_xlabel("Ec/N0, dB")
        axis.grid(alpha=0.3)
        axis.legend(frameon=False, fontsize=7)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--fresh", action="store_true", help="count all points again")
    parser.add_argument("--draw-only", action="store_true", help="from the data that are there")
    arguments = parser.parse_args()
    path = ROOT / "docs" / "_data" / "phy-curves.json"
    content: Point = {}
    if path.exists() and not arguments.fresh:
        content = json.loads(path.read_text())
    points: dict[str, dict[str, Point]] = content.get("points", {})
    if not arguments.draw_only:
        for name, counted, places in PLAN:
            for place in places:
                if str(place) in points.setdefault(name, {}):
                    continue
                seed = zlib.crc32(f"{name} {place}".encode())
                points[name][str(place)] = counted(place, np.random.default_rng(seed))
                sys.stderr.write(f"{name} {place}: {json.dumps(points[name][str(place)])[:160]}\n")
                head = {"made_by": "tools/phy_curves.py", "version": osgp.__version__, "profile": OSGP.name}
                content = {**head, "intervals": "Wilson, 95 %", "points": points}
                path.write_text(json.dumps(content, indent=1) + "\n")
        content["summary"] = summary(points)
        path.write_text(json.dumps(content, indent=1) + "\n")
    draw(content, ROOT / "docs" / "_static")
    sys.stdout.write(json.dumps(content["summary"], indent=1) + "\n")


if __name__ == "__main__":
    main()
