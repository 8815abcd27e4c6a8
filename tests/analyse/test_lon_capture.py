"""Whole captures of a control network explained and said in lines: the quick ways give what the slow ones give."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.analyse import lon_capture
from osgp.analyse.lon import dissect_cnip, dissect_frame
from osgp.analyse.lon_capture import cnip_json, explain_capture
from osgp.analyse.lon_text import batch_lines, frame_text
from osgp.analyse.lonbatch import read_columns
from osgp.bench.lon_capture import mixed_lpdu, write_mixed
from osgp.lon.cnip import data_packet
from osgp.lon.commands import COMMANDS
from osgp.lon.crc import with_crc
from osgp.lon.tpdu import Spdu, SpduType, Tpdu
from osgp.ports.capture import CaptureWriter, Endpoint, lon_frames
from osgp.ports.datagram import FAULTS, LinkType
from osgp.wire.errors import ConfigError, Truncated, UnknownCode
from tests.analyse.test_lon import KEY, SECRET, session, vectors
from tests.ports.captures import pcap_file

FRAMES = 1500
ENDS = (Endpoint("10.73.1.10", 2541), Endpoint("10.73.1.20", 2541))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("captures") / "mixed.pcap"
    write_mixed(place, FRAMES)
    return place


def test_a_capture_is_explained_as_its_frames_are(mixed: Path) -> None:
    texts = list(explain_capture(mixed))
    slow = [found.tree().to_json() for packet in lon_frames(mixed) for found in dissect_cnip(packet.payload)]
    assert len(slow) == FRAMES
    assert [json.loads(text) for text in texts] == slow


@pytest.mark.parametrize("crc", [None, True, False])
@pytest.mark.parametrize("vector", vectors("lpdu", "malformed"))
def test_a_datagram_is_explained_as_its_packets_are(vector: object, crc: bool | None) -> None:
    raw = bytes.fromhex(vector["hex"])  # type: ignore[index]  # a dictionary out of JSON
    for datagram in (
        data_packet(raw),
        data_packet(raw, crc=True, session=9),
        data_packet(raw) + data_packet(raw, crc=True),
    ):
        slow = [found.tree().to_json() for found in dissect_cnip(datagram, crc=crc)]
        assert [json.loads(text) for text in cnip_json(datagram, crc)] == slow


@given(st.integers(0, 2**32), st.integers(0, 4), st.sampled_from([None, True, False]))
def test_damaged_datagrams_are_explained_as_their_packets_are(seed: int, flips: int, crc: bool | None) -> None:
    chance = random.Random(seed)
    raw = bytearray(data_packet(mixed_lpdu(chance), crc=chance.random() < 0.7, session=chance.getrandbits(32)))
    for _ in range(flips):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    datagram = bytes(raw[: chance.randrange(len(raw)) if chance.random() < 0.2 else None])
    slow = [found.tree().to_json() for found in dissect_cnip(datagram, crc=crc)]
    assert [json.loads(text) for text in cnip_json(datagram, crc)] == slow


@given(st.binary(max_size=60))
def test_any_datagram_gives_text(raw: bytes) -> None:
    assert [json.loads(text) for text in cnip_json(raw)] == [found.tree().to_json() for found in dissect_cnip(raw)]


@pytest.mark.parametrize("name", SECRET)
def test_keys_stay_hidden_on_the_quick_way(name: str) -> None:
    (text,) = cnip_json(data_packet(SECRET[name][0], crc=True))
    assert KEY.hex() not in text.lower()
    assert "2a2a2a2a2a2a" in text


def test_other_carriers_and_forms_of_captures_are_explained_too(tmp_path: Path) -> None:
    request = bytes.fromhex("0119018a0194490151")
    for name, form in (("bare.pcap", "lpdu"), ("mixed.pcapng", "cnip")):
        place = tmp_path / name
        with CaptureWriter(place, carrier=form) as writer:  # type: ignore[arg-type]  # one of the two
            writer.write_lpdu(request, 1.0)
            if form == "cnip":
                writer.write_datagram(*ENDS, bytes.fromhex("00110151"), 2.0)
                writer.write_datagram(Endpoint("192.0.2.1", 53), Endpoint("192.0.2.2", 53), b"other", 3.0)
        trees = [json.loads(text) for text in explain_capture(place)]
        assert [tree["name"] for tree in trees] == (
            ["LpduWithCrc"] if form == "lpdu" else ["CnIpPacket", "LonIpHeader"]
        )
    place = tmp_path / "all.pcap"
    with CaptureWriter(place) as writer:
        writer.write_lpdu(request, 1.0)
        writer.write_datagram(*ENDS, bytes.fromhex("00110151"), 2.0)
        writer.write_datagram(Endpoint("192.0.2.1", 53), Endpoint("192.0.2.2", 53), b"other", 3.0)
    assert [json.loads(text)["name"] for text in explain_capture(place)] == ["CnIpPacket", "LonIpHeader"]
    place.write_bytes(place.read_bytes()[:-4])
    with pytest.raises(Truncated):
        list(explain_capture(place))
    place.write_bytes(b"no capture at all")
    with pytest.raises(UnknownCode):
        list(explain_capture(place))
    with pytest.raises(ConfigError):
        list(explain_capture(tmp_path / "nothing"))


def test_a_capture_of_any_form_is_explained_as_each_of_its_datagrams_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(8)
    datagrams = [b"".join(data_packet(mixed_lpdu(chance), crc=True) for _ in range(1 + each % 3)) for each in range(30)]
    for number in range(0, 30, 7):
        datagrams[number] = datagrams[number][: chance.randrange(len(datagrams[number]))]
    ends = (Endpoint("192.0.2.1", 1628),) * 2
    for crc in (None, True, False):
        told = [found.tree().to_json() for datagram in datagrams for found in dissect_cnip(datagram, crc=crc)]
        for numba in (True, False):
            for name in ("some.pcap", "some.pcapng"):
                with CaptureWriter(tmp_path / name, hide_keys=False) as writer:
                    for number, datagram in enumerate(datagrams):
                        writer.write_datagram(*ends, datagram, float(number))
                with monkeypatch.context() as patch:
                    if not numba:
                        patch.setattr(lon_capture, "find_spec", lambda _: None)
                    texts = [json.loads(text) for text in explain_capture(tmp_path / name, crc=crc)]
                assert texts == told


def test_lines_of_a_capture_are_those_of_its_frames(mixed: Path) -> None:
    lines = list(batch_lines(read_columns(mixed), numbered=False))
    assert len(lines) == FRAMES
    for line, packet in zip(lines, lon_frames(mixed)):
        found = dissect_frame(packet.lpdu, crc=False)
        if isinstance(found.pdu, (Tpdu, Spdu)) and found.pdu.header.type == SpduType.REMINDER:
            assert frame_text(found).startswith(line)  # columns do not keep whom a reminder names
        elif found.ok:
            assert line == frame_text(found)
        else:  # the columns stop at headers: what is wrong inside a message is not told
            assert frame_text(found).startswith(line)


def hostile(chance: random.Random) -> bytes:
    """A frame of any kind with any code in it, as it is or changed, cut, with bytes behind it or lost."""
    raw = bytearray(mixed_lpdu(chance))
    if chance.random() < 0.5:
        code, second = chance.choice(list(COMMANDS))
        apdu = bytes((code, second or 0)) + chance.randbytes(chance.randrange(24))
        raw = bytearray(session(apdu, response=chance.random() < 0.5))
    for _ in range(chance.choice((0, 0, 1, 3))):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    place = chance.randrange(len(raw))
    how = chance.randrange(8)
    if how == 0:
        del raw[place:]
    elif how == 1:
        raw += chance.randbytes(chance.choice((1, 2, 16)))
    elif how == 2:
        del raw[place : place + 2]
    return bytes(raw)


@pytest.mark.parametrize("seed", range(4))
def test_lines_of_hostile_frames_are_those_of_each_by_itself(seed: int) -> None:
    chance = random.Random(seed)
    frames = [hostile(chance) for _ in range(150)]
    lines = list(batch_lines(read_columns(pcap_file(frames, LinkType.LPDU)), numbered=False))
    assert len(lines) == len(frames)
    same = 0
    for line, raw in zip(lines, frames):
        found = dissect_frame(raw, crc=False)
        for words in FAULTS.values():  # which columns tell in their own words
            line = line.removesuffix(f": {words}") if words else line
        if found.ok and not (isinstance(found.pdu, (Tpdu, Spdu)) and found.pdu.header.type == SpduType.REMINDER):
            assert line == frame_text(found)
            same += 1
        elif found.pdu is not None or found.apdu:  # the headers are sound
            assert frame_text(found).startswith(line)
    assert same > 70


def test_lines_are_numbered_hide_keys_and_tell_what_is_no_frame(tmp_path: Path) -> None:
    place = tmp_path / "some.pcap"
    with CaptureWriter(place, hide_keys=False) as writer:
        writer.write_lpdu(SECRET["update domain"][0], 1.0)
        writer.write_datagram(Endpoint("192.0.2.1", 53), Endpoint("192.0.2.2", 53), b"other", 1.5)
        writer.write_datagram(*(Endpoint("192.0.2.1", 1628),) * 2, data_packet(b"\x01\x19"), 2.0)
    lines = list(batch_lines(read_columns(place)))
    assert lines[0] == "     1    0.000000  1/10 → 1/20 [49] REQUEST tn 1 update domain 0 [49] 1/20"
    assert lines[1] == "     2    0.500000  not of a control network"
    assert lines[2].startswith("     3    1.000000  ")
    assert lines[2].endswith("ends within a field")
    assert KEY.hex() not in "".join(lines).lower()
    raw = with_crc(SECRET["update key"][0])
    assert KEY.hex() not in frame_text(dissect_frame(raw)).lower()


def test_what_is_before_the_damage_of_a_capture_is_told_first(mixed: Path, tmp_path: Path) -> None:
    whole = list(explain_capture(mixed))
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(mixed.read_bytes()[:-4])
    told: list[str] = []
    with pytest.raises(Truncated):
        told.extend(explain_capture(cut))
    assert told == whole[:-1]


def test_two_captures_are_told_at_the_same_time(mixed: Path) -> None:
    whole = list(explain_capture(mixed))
    for expected, one, other in zip(whole, explain_capture(mixed), explain_capture(mixed), strict=True):
        assert one == other == expected
