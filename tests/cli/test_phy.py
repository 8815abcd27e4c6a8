"""``osgp phy``: packets to samples and back at the terminal, in words and in JSON."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osgp.lon.nm import UpdateKey
from osgp.plc.frame import line_bits
from osgp.plc.modulate import modulate
from osgp.plc.params import C_BAND, OSGP, PROVENANCE, PhyProfile
from osgp.ports.resample import Resampler
from osgp.ports.samples import open_samples
from tests.analyse.test_lon import session
from tests.cli.test_contract import status

LPDU = session(b"\x51").hex()
OTHER = f"{int(LPDU[:2], 16) | 0x40:02x}{LPDU[2:]}"


def told(capsys: pytest.CaptureFixture[str], *arguments: str, expected: int = 0) -> Any:
    assert status("phy", *arguments, "--json") == expected
    return json.loads(capsys.readouterr().out)


def read(path: Path, **options: Any) -> np.ndarray:
    with open_samples(path, **options) as found:
        return np.concatenate(list(found.blocks()))


# ---- mod ---------------------------------------------------------------------------------------------------------------
def test_a_packet_becomes_samples_between_silences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "a.wav"
    document = told(capsys, "mod", LPDU, OTHER, "-o", str(place), "--gap-s", "0.01")
    assert [each["carrier"] for each in document["packets"]] == ["primary", "secondary"]
    found = read(place)
    assert len(found) == document["samples"]
    for each, text in zip(document["packets"], (LPDU, OTHER), strict=True):
        stretch = slice(each["start_sample"], each["start_sample"] + each["samples"])
        np.testing.assert_allclose(found[stretch], modulate(bytes.fromhex(text)), atol=1e-4)
        assert each["lpdu"] == text
        found[stretch] = 0
    assert not found.any()


def test_people_see_when_and_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("phy", "mod", LPDU, "-o", str(tmp_path / "a.wav"), "--scenario", "Q", "--ec-n0", "11.5") == 0
    shown = capsys.readouterr().out
    for words in ("344926.3 Hz", "int16", "full scale is", "0.0500", "primary", "11.5", "→"):
        assert words in shown, words


def test_packets_come_from_stdin_one_in_each_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{LPDU}  # the first\n\n# nothing\n0x{OTHER[:2]} {OTHER[2:]}\n"))
    document = told(capsys, "mod", "-", "-o", str(tmp_path / "a.f32"))
    assert [each["lpdu"] for each in document["packets"]] == [LPDU, OTHER]


def test_secondary_sets_the_alternate_path_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = told(capsys, "mod", LPDU, "-o", str(tmp_path / "a.f32"), "--secondary")
    (packet,) = document["packets"]
    assert (packet["lpdu"], packet["carrier"]) == (OTHER, "secondary")


def test_a_line_uses_full_scale_and_a_seed_gives_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ("--scenario", "D", "--ec-n0", "12", "--seed", "7", "--ppm", "150")
    for name in ("a.sigmf-meta", "b.sigmf-meta"):
        document = told(capsys, "mod", LPDU, "-o", str(tmp_path / name), *line, "--samples", "int16")
        assert document["packets"][0]["ec_n0_db"] == pytest.approx(12.0)
    assert (tmp_path / "a.sigmf-data").read_bytes() == (tmp_path / "b.sigmf-data").read_bytes()
    assert np.abs(read(tmp_path / "a.sigmf-meta")).max() == pytest.approx(0.9, abs=1e-3)
    assert document["full_scale_v"] > 0
    meta = json.loads((tmp_path / "a.sigmf-meta").read_text("utf-8"))
    assert "full scale" in meta["global"]["core:description"]
    (note,) = meta["annotations"]
    assert (note["osgp:lpdu"], note["core:sample_start"]) == (LPDU, document["packets"][0]["start_sample"])
    assert note["core:freq_lower_edge"] < OSGP.carrier_hz(False) < note["core:freq_upper_edge"]


def test_a_profile_changes_the_packet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\ncoding_bits = "10"\nstart_up_bits = 11\n')
    place = tmp_path / "a.f32"
    document = told(capsys, "mod", LPDU, "-o", str(place), "--profile", str(tmp_path / "mine.toml"), "--gap-s", "0")
    mine = PhyProfile(name="mine", coding_bits="10", start_up_bits=11)
    assert document["profile"] == "mine"
    np.testing.assert_allclose(read(place, rate_hz=1.0), modulate(bytes.fromhex(LPDU), mine), atol=1e-5)
    assert document["samples"] == 96 * (11 + len(line_bits(bytes.fromhex(LPDU))))
    document = told(capsys, "mod", LPDU, "-o", str(place), "--profile", "c-band")
    assert document["rate_hz"] == pytest.approx(C_BAND.sample_rate_hz)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("01", "-o", "a.wav"), "6 to 252 bytes"),
        (("hello", "-o", "a.wav"), "no LPDU"),
        (("012", "-o", "a.wav"), "no LPDU"),
        (("",  "-o", "a.wav"), "6 to 252 bytes"),
        ((LPDU, "-o", "none/such/a.wav"), "none/such/a.wav"),
        ((LPDU, "-o", "a.sigmf"), "archive"),
        ((LPDU, "-o", "a.wav", "--scenario", "X"), "'X'"),
        ((LPDU, "-o", "a.wav", "--scenario", "Q"), "how far"),
        ((LPDU, "-o", "a.wav", "--ec-n0", "5"), "needs a line"),
        ((LPDU, "-o", "a.wav", "--gap-s", "-1"), "gap"),
        ((LPDU, "-o", "a.wav", "--ppm", "1e9"), "ppm"),
        ((LPDU, "-o", "a.wav", "--profile", "none.toml"), "none.toml"),
        ((LPDU,), "output"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_told_in_words(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert status("phy", "mod", *arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_a_key_in_a_packet_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = bytes.fromhex("a5c30f1e2d78")
    frame = session(UpdateKey(key=key).encode())
    place = tmp_path / "a.sigmf-meta"
    document = told(capsys, "mod", frame.hex(), "-o", str(place))
    assert status("phy", "mod", frame.hex(), "-o", str(place)) == 0
    shown = json.dumps(document) + place.read_text("utf-8") + capsys.readouterr().out
    assert key.hex() not in shown.lower().replace(" ", "")
    assert "2a2a2a2a2a2a" in shown
    sent = document["packets"][0]
    carried = read(place)[sent["start_sample"] : sent["start_sample"] + sent["samples"]]
    np.testing.assert_allclose(carried, modulate(frame), atol=1e-5)  # the line carries what was given


# ---- plot --------------------------------------------------------------------------------------------------------------
def recording(place: Path, *options: str) -> Path:
    assert (
        status("phy", "mod", LPDU, OTHER, "-o", str(place), "--scenario", "Q", "--ec-n0", "14", *options, "--json") == 0
    )
    return place


def test_a_packet_is_drawn_with_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = recording(tmp_path / "a.sigmf-meta", "--ppm", "-90")
    capsys.readouterr()
    document = told(capsys, "plot", str(place), "-o", str(tmp_path / "a.svg"), "--packet", "2")
    assert document["panels"] == ["waveform", "spectrum", "constellation", "eye"]
    packet = document["packet"]
    assert (packet["number"], packet["carrier"], packet["line_bit_errors"]) == (2, "secondary", 0)
    assert packet["ec_n0_db"] == pytest.approx(14, abs=1.0)
    assert packet["offset_ppm"] == pytest.approx(-90, abs=4)
    assert packet["line_bits"] == OSGP.line_bits(len(LPDU) // 2)
    picture = (tmp_path / "a.svg").read_text("utf-8")
    for words in ("Constellation", ", packet 2", "a.sigmf-meta"):
        assert words in picture


def test_samples_at_another_rate_are_drawn_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = recording(tmp_path / "a.sigmf-meta")
    samples = Resampler(OSGP.sample_rate_hz, 500e3)
    meta = json.loads(place.read_text("utf-8"))
    with open_samples(place) as found:
        resampled = np.concatenate([*(samples.push(block) for block in found.blocks()), samples.flush()])
    place.with_suffix(".sigmf-data").write_bytes(resampled.astype("<f4").tobytes())
    meta["global"]["core:sample_rate"] = 500e3
    for note in meta["annotations"]:
        note["core:sample_start"] = round(note["core:sample_start"] * 500e3 / OSGP.sample_rate_hz)
    place.write_text(json.dumps(meta), "utf-8")
    capsys.readouterr()
    packet = told(capsys, "plot", str(place), "-o", str(tmp_path / "a.png"))["packet"]
    assert packet["line_bit_errors"] == 0
    assert packet["ec_n0_db"] == pytest.approx(14, abs=1.0)
    assert packet["start_s"] == pytest.approx(0.05, abs=1e-4)


def test_a_stretch_is_drawn_as_long_as_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = recording(tmp_path / "a.sigmf-meta")
    capsys.readouterr()
    options = ("--what", "waveform", "--from-s", "0.01", "--for-s", "0.03")
    document = told(capsys, "plot", str(place), "-o", str(tmp_path / "a.png"), *options)
    assert (document["from_s"], document["for_s"]) == (pytest.approx(0.01, abs=1e-5), pytest.approx(0.03, abs=1e-5))
    assert document["panels"] == ["waveform"]
    assert document["packet"] is None


def test_without_a_packet_the_line_alone_is_drawn_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.random.default_rng(1).standard_normal(50_000).astype("<f4").tofile(tmp_path / "a.f32")
    arguments = ("phy", "plot", str(tmp_path / "a.f32"), "--rate", "345000", "-o", str(tmp_path / "a.svg"))
    assert status(*arguments) == 0
    assert "no packet" in capsys.readouterr().err
    assert (tmp_path / "a.svg").exists()
    assert status(*arguments, "--what", "eye") == 1
    assert status(*arguments, "--packet", "2") == 1


def test_a_recording_that_ends_too_early_is_drawn_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.s16").write_bytes(bytes(20_001))
    arguments = ("phy", "plot", str(tmp_path / "a.s16"), "-o", str(tmp_path / "a.png"), "--rate", "345000")
    assert status(*arguments) == 0
    assert "within sample 10000" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "a.s16").write_bytes(b"")
    assert status(*arguments) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "a.gif"), "no picture"),
        (("-o", "a.svg", "--what", "waveform,ear"), "ear"),
        (("-o", "a.svg", "--packet", "0"), "packet 0"),
        (("-o", "a.svg", "--from-s", "-1"), "--from-s"),
        (("-o", "a.svg", "--from-s", "nan"), "--from-s"),
        (("-o", "a.svg", "--from-s", "99"), "ends after"),
        (("-o", "a.svg", "--for-s", "61"), "--for-s"),
        (("-o", "a.svg", "--rate", "48000"), "record at"),
        (("-o", "a.svg", "--rate", "-5"), "above zero"),
        (("-o", "a.svg", "--channel", "1"), "no channel 1"),
        (("-o", "none/a.svg"), "none/a.svg"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_words(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    recording(tmp_path / "a.sigmf-meta")
    capsys.readouterr()
    assert status("phy", "plot", "a.sigmf-meta", *arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())


# ---- profile -----------------------------------------------------------------------------------------------------------
def test_the_profile_is_printed_as_a_file_that_can_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("phy", "profile") == 0
    text = capsys.readouterr().out
    assert PhyProfile.from_values(tomllib.loads(text)) == OSGP
    for mark in ("verified", "unverified", "project choice"):
        assert mark in text
    (tmp_path / "mine.toml").write_text('word_sync = "11100010011"\n')
    document = told(capsys, "profile", "--profile", str(tmp_path / "mine.toml"))
    assert document["word_sync"] == {"value": "11100010011", "status": "project choice", "source": "2.3, 3.2"}
    assert set(document) == set(PROVENANCE)


def test_help_and_profile_need_no_arrays() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from osgp.cli.app import run\n"
        "try:\n    run(sys.argv[1:])\nexcept SystemExit as end:\n    sys.exit(end.code)"
    )
    for arguments, expected, words in (
        (("phy", "--help"), 0, "mod"),
        (("phy", "profile"), 0, "word_sync"),
        (("phy", "mod", LPDU, "-o", "a.wav"), 2, "osgp[plc]"),
    ):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == expected, done.stderr
        assert words in done.stdout + done.stderr
