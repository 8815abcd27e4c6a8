"""``osgp phy demod``: what was sent is received, from every kind of file; what is no packet, and no sample, is told."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osgp.analyse.phy_packets import Listening
from osgp.analyse.phy_symbols import symbols_of
from osgp.lon.crc import without_crc
from osgp.lon.nm import UpdateKey
from osgp.plc.params import OSGP, PhyProfile
from osgp.ports.capture import lon_frames
from osgp.ports.resample import Resampler
from osgp.ports.samples import create_samples, open_samples
from osgp.sim.channel import scenario
from osgp.sim.recording import Recording
from tests.analyse.test_lon import session
from tests.cli.test_contract import status
from tests.cli.test_phy import LPDU, OTHER, told

LINE = ("--scenario", "Q", "--ec-n0", "12", "--ppm", "140")


def recorded(place: Path, *options: str) -> Path:
    assert status("phy", "mod", LPDU, OTHER, "-o", str(place), *(options or LINE)) == 0
    return place


def lpdus(document: Any) -> list[str]:
    return [each["lpdu"] for each in document["packets"]]


# ---- what was sent is received -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["a.wav", "a.sigmf-meta", "a.s16", "a.f32"])
def test_packets_come_back_from_every_kind_of_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = recorded(tmp_path / name)
    raw = ("--rate", f"{OSGP.sample_rate_hz}") if name in ("a.s16", "a.f32") else ()
    capsys.readouterr()
    document = told(capsys, "demod", str(place), *raw)
    assert lpdus(document) == [LPDU, OTHER]
    first, second = document["packets"]
    assert (first["carrier"], second["carrier"]) == ("primary", "secondary")
    assert "REQUEST" in first["text"]
    assert first["start_s"] == pytest.approx(0.05, abs=1e-4)
    assert first["duration_s"] == pytest.approx(OSGP.airtime_s(len(LPDU) // 2), rel=1e-3)
    for each in (first, second):
        assert each["ec_n0_db"] == pytest.approx(12, abs=2)
        assert each["offset_ppm"] == pytest.approx(140, abs=40)
    found = document["statistics"]
    assert found["packets"] == {"primary": 1, "secondary": 1}
    assert found["airtime_share"] == pytest.approx(2 * first["duration_s"] / found["duration_s"], rel=1e-3)
    assert found["annotated"] == (2 if name == "a.sigmf-meta" else 0)
    assert found["annotated_missing"] == 0


@pytest.mark.parametrize("rate_hz", [192000, 250000, 500000])
def test_any_sample_rate_will_do(rate_hz: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = Recording([bytes.fromhex(LPDU)], scenario=scenario("Q"), ec_n0_db=12.0)
    recorder = Resampler(recording.rate_hz, rate_hz)
    with create_samples(tmp_path / "a.wav", rate_hz) as out:
        for block in recording.blocks():
            out.write(recorder.push(block) / recording.peak() * 0.5)
        out.write(recorder.flush() / recording.peak() * 0.5)
    document = told(capsys, "demod", str(tmp_path / "a.wav"))
    assert lpdus(document) == [LPDU]
    assert document["rate_hz"] == rate_hz
    assert document["packets"][0]["start_s"] == pytest.approx(0.05, abs=1e-4)
    assert document["packets"][0]["offset_ppm"] == pytest.approx(0, abs=40)


def test_people_see_a_packet_in_two_lines_and_a_sum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = recorded(tmp_path / "a.sigmf-meta")
    capsys.readouterr()
    assert status("phy", "demod", str(place)) == 0
    lines = capsys.readouterr().out.splitlines()
    for words in (
        "0.0500 s",
        "primary",
        "Ec/N0",
        "dBFS",
        "ppm",
        "list 0",
        "1/10 → 1/20 [49] REQUEST tn 1 query status",
    ):
        assert words in lines[0], words
    assert lines[1].strip() == LPDU.upper()
    assert lines[4].startswith("2 packets in 0.2")
    assert "(1 primary, 1 secondary)" in lines[4]
    assert lines[5] == "2 of 2 packets that the file tells of"


def test_a_wav_file_may_come_through_stdin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = recorded(tmp_path / "a.wav").read_bytes()

    class Pipe:
        buffer = io.BytesIO(raw)

    monkeypatch.setattr("sys.stdin", Pipe())
    capsys.readouterr()
    assert lpdus(told(capsys, "demod", "-")) == [LPDU, OTHER]


def test_a_profile_that_the_sender_does_not_have_finds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text('word_sync = "00011101101"\nend_of_packet = "0011010101011001010010"\n')
    mine = ("--profile", str(tmp_path / "mine.toml"))
    place = recorded(tmp_path / "a.wav", *LINE, *mine)
    capsys.readouterr()
    assert lpdus(told(capsys, "demod", str(place), *mine)) == [LPDU, OTHER]
    assert lpdus(told(capsys, "demod", str(place), expected=1)) == []


def test_a_capture_holds_the_frames_at_their_times_without_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = bytes.fromhex("a5c30f1e2d78")
    frame = session(UpdateKey(key=key).encode())
    place = tmp_path / "a.sigmf-meta"
    assert status("phy", "mod", LPDU, frame.hex(), "-o", str(place), *LINE) == 0
    meta = json.loads(place.read_text("utf-8"))
    meta["captures"][0]["core:datetime"] = "2024-02-03T04:05:06.5Z"
    place.write_text(json.dumps(meta), "utf-8")
    capsys.readouterr()
    document = told(capsys, "demod", str(place), "--capture", str(tmp_path / "a.pcapng"))
    assert document["statistics"]["annotated_missing"] == 0
    assert status("phy", "demod", str(place)) == 0
    shown = (json.dumps(document) + capsys.readouterr().out).lower()
    assert key.hex() not in shown
    assert key not in (tmp_path / "a.pcapng").read_bytes()
    frames = list(lon_frames(tmp_path / "a.pcapng"))
    assert [each.lpdu.hex() for each in frames] == lpdus(document)
    assert all(without_crc(each.payload) == each.lpdu for each in frames)
    for each, packet in zip(frames, document["packets"], strict=True):
        assert each.time_ns == pytest.approx(1706933106.5e9 + packet["start_s"] * 1e9, abs=1e4)


def test_packets_that_the_file_tells_of_and_nobody_hears_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = recorded(tmp_path / "a.sigmf-meta", "--scenario", "Q", "--ec-n0", "-6")
    capsys.readouterr()
    document = told(capsys, "demod", str(place), expected=1)
    assert (document["statistics"]["annotated"], document["statistics"]["annotated_missing"]) == (2, 2)


def test_a_damaged_packet_is_dropped_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = Recording([bytes(range(1, 60))])
    samples = np.concatenate(list(recording.blocks()))
    sent = recording.sent[0]
    samples[sent.start + sent.count // 3 : sent.start + sent.count // 2] *= -1
    with create_samples(tmp_path / "a.wav", recording.rate_hz) as out:
        out.write(samples * 0.5)
    assert status("phy", "demod", str(tmp_path / "a.wav")) == 1
    shown = capsys.readouterr().out
    assert "0 packets in" in shown
    assert "dropped 1: " in shown


# ---- no packets, no samples --------------------------------------------------------------------------------------------
def _signals() -> dict[str, np.ndarray]:
    times = np.arange(400_000)
    noise = np.random.default_rng(5).standard_normal(len(times))
    return {
        "silence": np.zeros(len(times)),
        "constant": np.ones(len(times)),
        "noise": 0.2 * noise,
        "clipped noise": np.clip(20 * noise, -1, 1),
        "a carrier": 0.7 * np.cos(2 * np.pi * 24 / 96 * times),
        "a tone beside it": 0.7 * np.cos(2 * np.pi * 24.1 / 96 * times) + 0.01 * noise,
        "enormous": 1e30 * noise,
        "tiny": 1e-30 * noise,
    }


@pytest.mark.parametrize("name", _signals())
def test_of_what_is_no_packet_none_is_made(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with create_samples(tmp_path / "a.f32", OSGP.sample_rate_hz) as out:
        out.write(_signals()[name].astype(np.float32))
    document = told(capsys, "demod", str(tmp_path / "a.f32"), "--rate", "344926.3", expected=1)
    assert document["packets"] == []
    assert document["statistics"]["duration_s"] == pytest.approx(400_000 / OSGP.sample_rate_hz)


@pytest.mark.parametrize("damage", ["cut", "nan"])
def test_what_was_good_before_the_damage_is_received(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = recorded(tmp_path / "a.f32", *LINE)
    raw = bytearray(place.read_bytes())
    if damage == "cut":
        del raw[len(raw) // 2 + 1 :]
    else:
        at = len(raw) // 2 // 4 * 4
        raw[at : at + 4] = np.float32(math.nan).tobytes()
    place.write_bytes(raw)
    capsys.readouterr()
    assert status("phy", "demod", str(place), "--rate", f"{OSGP.sample_rate_hz}", "--json") == 1
    shown = capsys.readouterr()
    assert lpdus(json.loads(shown.out)) == [LPDU]
    assert ("no finite number" if damage == "nan" else "within sample") in " ".join(shown.err.split())


@pytest.mark.parametrize(
    ("arguments", "expected", "words"),
    [
        (("none.wav",), 2, "none.wav"),
        (("a.raw",), 2, "--rate"),
        (("a.raw", "--rate", "48000"), 2, "record at"),
        (("a.raw", "--rate", "345000", "--encoding", "int15"), 2, "int15"),
        (("empty.raw", "--rate", "345000"), 1, "no samples"),
        (("a.raw", "--rate", "345000", "--capture", "x.txt"), 2, "suffix"),
        (("a.raw", "--rate", "345000", "--profile", "none.toml"), 2, "none.toml"),
    ],
)
def test_what_cannot_be_received_is_told_in_words(
    arguments: tuple[str, ...], expected: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("a.raw").write_bytes(bytes(4000))
    Path("empty.raw").write_bytes(b"")
    assert status("phy", "demod", *arguments) == expected
    assert words in " ".join(capsys.readouterr().err.split())


# ---- plot, with the receiver's help ------------------------------------------------------------------------------------
def test_without_annotations_the_receiver_finds_what_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = recorded(tmp_path / "a.wav")
    capsys.readouterr()
    document = told(capsys, "plot", str(place), "-o", str(tmp_path / "a.svg"), "--packet", "2")
    assert document["packet"]["carrier"] == "secondary"
    assert document["packet"]["line_bit_errors"] == 0
    assert document["packet"]["offset_ppm"] == pytest.approx(140, abs=5)


@pytest.mark.parametrize("start_up", [0, 11])
def test_a_packet_heard_lies_where_it_was_sent(start_up: int) -> None:
    profile = PhyProfile(start_up_bits=start_up)
    recording = Recording([bytes(range(1, 40))], profile, scenario=scenario("Q"), ec_n0_db=14.0, ppm=-180.0)
    (heard,) = Listening(profile).packets(recording.blocks())
    place = heard.place(profile)
    assert place.start == pytest.approx(recording.sent[0].start, abs=8)
    samples = np.concatenate(list(recording.blocks()))
    assert symbols_of(samples, 0, place, profile).errors == 0


def test_a_program_receives_without_the_terminal(tmp_path: Path) -> None:
    place = recorded(tmp_path / "a.wav")
    with open_samples(place) as samples:
        heard = list(Listening().packets(samples.blocks()))
    assert [each.lpdu.hex() for each in heard] == [LPDU, OTHER]
