"""Columns of a capture: the compiled reader gives what the declared structures give, whatever the bytes; and both give the vectors."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.analyse import lonbatch
from osgp.analyse.lonbatch import LonBatch, read_columns
from osgp.analyse.loncolumns import ABSENT, COLUMNS, Carrier, CrcState
from osgp.bench.lon_capture import mixed_lpdu
from osgp.lon.cnip import data_packet
from osgp.lon.crc import with_crc
from osgp.ports.capture import CaptureWriter, Endpoint, Fault, LinkType
from osgp.ports.datagram import ethernet
from osgp.wire.errors import ConfigError, Truncated, UnknownCode
from tests.lon.talk import of_kind
from tests.ports.captures import QUERY_STATUS, A, B, block, interface, link_frames, pcap_file, section
from tests.ports.test_capture import enhanced


def same(raw: bytes, crc: bool | None = None) -> LonBatch:
    """Read with both readers, which must agree; the batch of the compiled one."""
    compiled, plain = read_columns(raw, crc=crc, compiled=True), read_columns(raw, crc=crc, compiled=False)
    for column in COLUMNS:
        assert compiled[column.name].dtype == plain[column.name].dtype == column.dtype
        assert compiled[column.name].tolist() == plain[column.name].tolist(), column.name
    assert (type(compiled.problem), str(compiled.problem)) == (type(plain.problem), str(plain.problem))
    return compiled


def row(batch: LonBatch, number: int = 0) -> dict[str, int]:
    return {name: int(batch[name][number]) for name in batch}


TYPES = {"TPDU": 0, "SPDU": 1, "AuthPDU": 2, "APDU": 3}


def test_the_columns_say_what_the_vectors_say() -> None:
    frames = of_kind("lpdu")
    batch = same(pcap_file([with_crc(bytes.fromhex(each["hex"])) for each in frames], LinkType.LPDU_WITH_CRC))
    assert batch.faults() == {Fault.OK: len(frames)}
    assert set(batch["crc_state"]) == {CrcState.OK}
    names = {
        "priority": "priority",
        "alt_path": "alternate_path",
        "delta_backlog": "delta_backlog",
        "version": "version",
        "src_subnet": "source_subnet",
        "src_node": "source_node",
        "dst_subnet": "destination_subnet",
        "dst_node": "destination_node",
        "group": "group",
        "member": "member",
        "auth": "authenticated",
        "tn": "transaction",
    }
    compared = 0
    for number, each in enumerate(frames):
        fields, found = each["fields"], row(batch, number)
        for theirs, ours in names.items():
            if isinstance(fields.get(theirs), int):
                assert found[ours] == fields[theirs], (each["name"], ours)
                compared += 1
        assert found["pdu_type"] == TYPES[fields["pdu_type"]]
        assert found["address_format"] == int(fields["address_format"][0])
        assert found["domain_length"] == len(fields["domain"]) // 2
        assert found["domain"] == int(fields["domain"] or "0", 16)
        if "apdu" in fields:
            assert batch.apdu(number) == bytes.fromhex(fields["apdu"])
    assert compared > 9 * len(frames)


def test_the_columns_say_what_lonip_datagrams_say() -> None:
    found = of_kind("lon_udp")
    datagrams, frames = [], []
    for each in found:
        ends = (each["fields"][side] for side in ("source_ip", "destination_ip"))
        source, destination = (Endpoint(host, 2541) for host in ends)
        datagrams.append(ethernet(source, destination, bytes.fromhex(each["hex"])))
        frames.append(bytes.fromhex(each["fields"]["lpdu"]))
    ours, theirs = same(pcap_file(datagrams, LinkType.ETHERNET)), same(pcap_file(frames, LinkType.LPDU))
    assert set(ours["carrier"]) == {Carrier.LONIP}
    assert set(ours["alternate_path"]) == {ABSENT}, "LON/IP has no place for it"
    silent = {"carrier", "alternate_path", "delta_backlog", "apdu_offset"}
    for name in set(ours) - silent:
        assert ours[name].tolist() == theirs[name].tolist(), name
    said = ours["delta_backlog"] != ABSENT
    assert said.any()
    assert (ours["delta_backlog"][said] == theirs["delta_backlog"][said]).all()
    assert ours.apdus() == theirs.apdus()


# Frames that are nearly right say most: sound ones, changed in a few bytes, cut, or behind something else.


@st.composite
def lpdus(draw: st.DrawFn) -> bytes:
    lpdu = mixed_lpdu(random.Random(draw(st.integers(0, 2**32))))
    if draw(st.booleans()):
        return lpdu
    changed = bytearray(lpdu)
    for place, octet in draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=3)):
        changed[place % len(changed)] = octet
    return bytes(changed[: draw(st.integers(0, len(changed)))])


PREFIXES = st.builds(
    lambda first, second: bytes((first, second)), st.sampled_from([0, 1, 16, 17, 32]), st.integers(0, 255)
)
LONIP = st.builds(
    lambda prefix, rest, pdu: prefix + rest + pdu, PREFIXES, st.binary(max_size=14), st.binary(max_size=4)
)
HOSTS = st.sampled_from(
    ["10.73.1.10", "10.73.2.20", "192.168.7.8", "192.0.2.1", "10.73.1.200", "239.192.0.1", "2001:db8::1"]
)


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    """An Ethernet frame, or something like it."""
    source, destination = draw(HOSTS), draw(HOSTS)
    if (":" in source) != (":" in destination):
        destination = source
    port = draw(st.sampled_from([1628, 1629, 2541, 2541, 53]))
    if port == 2541:
        payload = draw(LONIP)
    else:
        packets = draw(st.lists(st.builds(data_packet, lpdus(), crc=st.booleans()), min_size=1, max_size=3))
        payload = b"".join(packets)
    frame = bytearray(
        ethernet(Endpoint(source, port), Endpoint(destination, draw(st.sampled_from([port, 40000]))), payload)
    )
    for place, octet in draw(st.lists(st.tuples(st.integers(12, 80), st.integers(0, 255)), max_size=2)):
        frame[place % len(frame)] = octet
    return bytes(frame[: draw(st.one_of(st.just(len(frame)), st.integers(0, len(frame))))])


@given(st.lists(lpdus(), max_size=6), st.sampled_from([LinkType.LPDU, LinkType.LPDU_WITH_CRC]), st.booleans())
def test_both_readers_agree_on_bare_frames(frames: list[bytes], link_type: int, damaged: bool) -> None:
    checked = [with_crc(frame) if link_type == LinkType.LPDU_WITH_CRC and not damaged else frame for frame in frames]
    assert len(same(pcap_file(checked, link_type))) == len(frames)


@given(st.lists(datagrams(), max_size=4), st.sampled_from([None, True, False]), st.integers(0, 3))
def test_both_readers_agree_on_datagrams(frames: list[bytes], crc: bool | None, missing: int) -> None:
    originals = [len(frame) + (missing if number == 0 else 0) for number, frame in enumerate(frames)]
    same(pcap_file(frames, LinkType.ETHERNET, originals=originals), crc)


@pytest.mark.parametrize("name", list(link_frames()))
@given(data=st.data())
def test_both_readers_agree_on_every_link(name: str, data: st.DataObject) -> None:
    link_type, frame = link_frames()[name]
    changed = bytearray(frame)
    for place, octet in data.draw(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), max_size=3)):
        changed[place % len(changed)] = octet
    cut = changed[: data.draw(st.integers(0, len(changed)))]
    batch = same(pcap_file([frame, bytes(changed), bytes(cut)], link_type))
    assert batch["error"][0] == Fault.OK


VALUES = (0, 1, 2, 3, 6, 7, 8, 9, 16, 17, 0x44, 0x46, 0x60, 127, 128, 255)


def _neighbours(frame: bytes) -> list[bytes]:
    """All beginnings of a frame, and all that differ from it in one byte, which is then small, great or of a bound."""
    beginnings = [frame[:size] for size in range(len(frame))]
    return beginnings + [
        frame[:place] + bytes((value,)) + frame[place + 1 :] for place in range(len(frame)) for value in VALUES
    ]


@pytest.mark.parametrize("name", list(link_frames()))
def test_both_readers_agree_on_all_neighbours_of_a_datagram(name: str) -> None:
    link_type, frame = link_frames()[name]
    frames = _neighbours(frame)
    same(pcap_file(frames, link_type))
    same(pcap_file(frames, link_type, originals=[len(frame)] * len(frames)))


def test_both_readers_agree_on_all_neighbours_of_other_traffic() -> None:
    frames = [
        each
        for host in ("192.0.2.1", "2001:db8::1")
        for each in _neighbours(ethernet(Endpoint(host, 53), Endpoint(host, 50000), b"question"))
    ]
    batch = same(pcap_file(frames, LinkType.ETHERNET))
    assert {Fault.NOT_LON, Fault.FRAGMENT, Fault.TRUNCATED, Fault.BAD_VALUE} <= set(batch.faults())


def test_both_readers_agree_on_all_neighbours_of_the_vectors() -> None:
    bare = [each for vector in of_kind("lpdu")[::3] for each in _neighbours(bytes.fromhex(vector["hex"]))]
    reminder = bytes.fromhex("0105018a0549500108") + bytes(12)  # a member list whose length may become 9
    same(pcap_file([*bare, *_neighbours(reminder)], LinkType.LPDU))
    lonip = []
    for vector in of_kind("lon_udp"):
        fields = vector["fields"]
        source, destination = Endpoint(fields["source_ip"], 2541), Endpoint(fields["destination_ip"], 2541)
        payloads = _neighbours(bytes.fromhex(vector["hex"]))
        lonip += [ethernet(source, destination, payload) for payload in payloads]
    same(pcap_file(lonip, LinkType.ETHERNET))


def test_both_readers_agree_on_places_that_ip_addresses_say() -> None:
    hosts = [
        "10.73.1.0",
        "10.73.1.1",
        "10.73.1.127",
        "10.73.1.128",
        "10.73.1.255",
        "192.168.1.5",
        "192.169.1.5",
        "11.0.1.5",
    ]
    payloads = ["00130a51", "0113018a 000a51", "0113018a 0149 0a51", "0113018a 02000049 0a51", "0113018a 02c0a900 0a51"]
    frames = [
        ethernet(Endpoint(source, 2541), Endpoint(destination, 2541), bytes.fromhex(payload))
        for source in hosts
        for destination in hosts
        for payload in payloads
    ]
    batch = same(pcap_file(frames, LinkType.ETHERNET))
    assert {0, 1, 3} <= set(batch["domain_length"])
    assert set(batch["destination_subnet"]) == {ABSENT, 1}
    assert set(batch["error"]) == {Fault.OK, Fault.BAD_VALUE}


@pytest.mark.parametrize("crc", [None, True, False])
def test_both_readers_agree_on_frames_that_a_crc_fills(crc: bool | None) -> None:
    data = [b"", b"\0", b"\0\0", with_crc(b"\0"), with_crc(QUERY_STATUS)[:-1], with_crc(QUERY_STATUS), QUERY_STATUS]
    frames = [ethernet(A, B, data_packet(each)) for each in data]
    assert len(set(same(pcap_file(frames, LinkType.ETHERNET), crc)["error"])) > 1
    same(pcap_file(data, LinkType.LPDU_WITH_CRC))


def _captures() -> list[bytes]:
    frame = link_frames()["Ethernet"][1]
    pcapng = section("big") + interface(1, "big", resolution=9) + enhanced(frame, 0, 77, "big")
    pcapng += section() + interface(148) + interface(147, resolution=0x8A, offset_s=-3, snap=9)
    pcapng += enhanced(QUERY_STATUS, 0, 2**63) + enhanced(with_crc(QUERY_STATUS), 1, 12345) + block(5, b"statistics")
    pcapng += (
        block(3, (9).to_bytes(4, "little") + QUERY_STATUS) + interface(1, resolution=12) + enhanced(frame, 2, 2**64 - 1)
    )
    return [
        pcap_file([frame, frame[:40], frame], 1, order="big", originals=[len(frame)] * 3),
        pcap_file([with_crc(QUERY_STATUS)] * 3, 147, magic=0xA1B2C3D4),
        pcapng,
    ]


@pytest.mark.parametrize("place", range(3))
@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4), cut=st.integers(0, 2000))
def test_both_readers_agree_on_damaged_files(place: int, changes: list[tuple[int, int]], cut: int) -> None:
    whole = _captures()[place]
    raw = bytearray(whole)
    for where, octet in changes:
        raw[12 + where % (len(raw) - 12)] = octet
    same(bytes(raw))
    if cut >= 24 and cut < len(whole):
        same(whole[:cut])


@pytest.mark.parametrize("place", range(3))
def test_both_readers_agree_on_all_beginnings_and_changed_lengths_of_a_file(place: int) -> None:
    whole = _captures()[place]
    for size in range(24, len(whole)):
        same(whole[:size])
    for where in range(24, len(whole)):
        for step in (1, 2, 4, 255):
            same(whole[:where] + bytes(((whole[where] + step) % 256,)) + whole[where + 1 :])


def test_every_kind_of_block_and_unit_is_read() -> None:
    batch = same(_captures()[2])
    assert batch.problem is None
    assert batch.faults() == {Fault.OK: 5}
    assert batch["time_ns"].tolist() == [77, 2**63 - 1, 12345 * 10**9 // 1024 - 3 * 10**9, 0, 2**64 // 1000]
    assert batch["frame"].tolist() == [1, 2, 3, 4, 5]


@pytest.fixture
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of three frames, and tables that are full after a few rows."""
    monkeypatch.setattr(lonbatch, "CHUNK", 3)
    monkeypatch.setattr(lonbatch, "_SPARE", 0)
    table = lonbatch._Table.__init__

    def small(self: Any, rows: int) -> None:
        table(self, rows)
        self.capacity = 5
        self.by_type = [np.ascontiguousarray(each[:, :5]) for each in self.by_type]

    monkeypatch.setattr(lonbatch._Table, "__init__", small)


@pytest.mark.usefixtures("_small_steps")
def test_long_captures_are_read_in_chunks_and_tables_grow() -> None:
    rng = random.Random(3)
    frames = [
        ethernet(A, B, b"".join(data_packet(mixed_lpdu(rng)[:16], crc=True) for _ in range(rng.randrange(1, 3))))
        for _ in range(40)
    ]
    assert all(len(frame) < 150 for frame in frames)
    batch = same(pcap_file(frames, LinkType.ETHERNET))
    assert len(batch) > 40
    pcapng = section() + interface(1) + b"".join(enhanced(frame, 0, number) for number, frame in enumerate(frames))
    again = same(pcapng)
    assert again["source_node"].tolist() == batch["source_node"].tolist()
    assert again["frame"].tolist() == batch["frame"].tolist()


def test_a_capture_of_the_bench_is_read_alike(tmp_path: Path) -> None:
    from osgp.bench.lon_capture import write_mixed

    path = tmp_path / "mixed.pcap"
    write_mixed(path, 3000)
    batch = same(path.read_bytes())
    assert batch.faults() == {Fault.OK: 3000}
    for name in ("pdu_type", "address_format", "domain_length"):
        assert len(set(batch[name])) == 4
    assert len(set(batch["apdu_code"].tolist())) > 200
    by_path = read_columns(path)
    assert all((by_path[name] == batch[name]).all() for name in batch)


def test_a_batch_selects_and_finds_its_apdus() -> None:
    nv_update = bytes.fromhex("0039018a019449810d00ca")
    stream = io.BytesIO()
    with CaptureWriter(stream, "pcapng") as writer:
        writer.write_lpdu(QUERY_STATUS, 1.0)
        writer.write_datagram(Endpoint("192.0.2.1", 53), Endpoint("192.0.2.2", 53), b"x", 2.0)
        writer.write_lpdu(nv_update, 3.0)
    batch = same(stream.getvalue())
    assert batch.lon.tolist() == [True, False, True]
    found = batch.select(batch.lon)
    assert (len(found), found["frame"].tolist()) == (2, [1, 3])
    assert found.apdus() == [b"\x51", bytes.fromhex("810d00ca")]
    assert batch.apdu(1) == b""
    assert found.apdus([1]) == [bytes.fromhex("810d00ca")]
    assert (row(found, 1)["nv_selector"], row(found, 1)["nv_direction"], row(found, 1)["apdu_code"]) == (0x10D, 0, 0x81)


def test_arrow_has_nulls_where_nothing_was_said() -> None:
    table = same(pcap_file([QUERY_STATUS, QUERY_STATUS[:4]], LinkType.LPDU)).to_arrow()
    whole, short = table.to_pylist()
    assert (whole["destination_node"], whole["group"], whole["apdu_code"]) == (20, None, 0x51)
    assert (short["error"], short["priority"], short["version"]) == (Fault.TRUNCATED, 0, None)
    assert table.column_names == [column.name for column in COLUMNS]
    assert str(table.schema.field("time_ns").type) == "timestamp[ns]"


def test_without_numba_the_plain_reader_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lonbatch, "can_compile", lambda: False)
    monkeypatch.setattr(lonbatch, "_compiled", None)
    assert read_columns(pcap_file([QUERY_STATUS], LinkType.LPDU))["apdu_code"].tolist() == [0x51]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    for compiled in (True, False):
        with pytest.raises(UnknownCode, match="no capture"):
            read_columns(b"not a capture", compiled=compiled)
        with pytest.raises(Truncated):
            read_columns(b"\xd4\xc3\xb2\xa1", compiled=compiled)
        empty = tmp_path / "empty.pcap"
        empty.write_bytes(b"")
        with pytest.raises(Truncated):
            read_columns(empty, compiled=compiled)
        with pytest.raises(ConfigError, match="cannot read"):
            read_columns(tmp_path / "missing.pcap", compiled=compiled)
    growing = same(pcap_file([QUERY_STATUS], LinkType.LPDU) + bytes(7))
    assert len(growing) == 1
    assert isinstance(growing.problem, Truncated)
    assert len(same(pcap_file([], 1))) == 0
