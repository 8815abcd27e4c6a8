"""The capture bench compares like with like: both sides say the same of the same frames, and an absent peer is said so."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from osgp.analyse.lonbatch import LonBatch, read_columns
from osgp.analyse.loncolumns import ABSENT
from osgp.bench import lon_capture as bench
from osgp.bench.frame import Bench, PeerMissing
from osgp.lon.npdu import ENHANCED, AddressFormat, PduType

FRAMES = 1500
SAME = {
    "frame.number": "frame",
    "cnip.sessid": "cnip_session",
    "cnip.seqno": "cnip_sequence",
    "cnip.tstamp": "cnip_timestamp_ms",
    "lon.prio": "priority",
    "lon.alt_path": "alternate_path",
    "lon.delta_bl": "delta_backlog",
    "lon.vers": "version",
    "lon.pdufmt": "pdu_type",
    "lon.addrfmt": "address_format",
    "lon.srcnet": "source_subnet",
    "lon.srcnode": "source_node",
    "lon.dstnode": "destination_node",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[LonBatch, list[dict[str, str]]]:
    """Our columns and tshark's lines of one file."""
    path = tmp_path_factory.mktemp("capture") / "mixed.pcap"
    bench.write_mixed(path, FRAMES)
    try:
        command = bench.tshark_command(path)
    except PeerMissing:
        pytest.fail("no tshark on PATH: run `make system`, or install the package `tshark`")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [dict(zip(bench.TSHARK_FIELDS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]
    return read_columns(path, compiled=True), lines


def theirs(line: dict[str, str], name: str) -> int:
    return int(line[name], 0) if line[name] else ABSENT


def test_both_sides_see_the_same_headers(both: tuple[LonBatch, list[dict[str, str]]]) -> None:
    ours, lines = both
    assert len(ours) == len(lines) == FRAMES
    for name, column in SAME.items():
        assert [theirs(line, name) for line in lines] == ours[column].tolist(), name
    for number, line in enumerate(lines):
        domain = line["lon.domain"]
        length = int(ours["domain_length"][number])
        if length:
            assert (len(domain) // 2, int(domain, 16)) == (length, ours["domain"][number])
        if (
            ours["address_format"][number] == AddressFormat.UNIQUE_NODE_ID
        ):  # elsewhere it is what a service pin message says
            assert int(line["lon.uid"].split(",")[0], 16) == ours["unique_node_id"][number]
        stamp = line["frame.time_epoch"].replace(".", "")
        assert int(stamp) == ours["time_ns"][number]


def test_both_sides_see_the_same_messages(both: tuple[LonBatch, list[dict[str, str]]]) -> None:
    # tshark knows no enhanced mode, and its masks for AuthPDUs are wrong (spec/iso14908-1.md 9): left to our own vectors.
    ours, lines = both
    seen = {"type": 0, "list": 0, "code": 0, "nv": 0}
    for number, line in enumerate(lines):
        row: dict[str, Any] = {name: int(ours[name][number]) for name in ours}
        if row["version"] == ENHANCED or row["pdu_type"] == PduType.AUTHPDU:
            continue
        if row["pdu_type"] != PduType.APDU:
            name = "lon.tpdu_type" if row["pdu_type"] == PduType.TPDU else "lon.spdu_type"
            assert (theirs(line, name), theirs(line, "lon.trans_no")) == (row["type"], row["transaction"])
            assert theirs(line, "lon.auth") == row["authenticated"]
            seen["type"] += 1
        if line["lon.spdu.mlen"]:
            assert theirs(line, "lon.spdu.mlen") == row["member_list_length"]
            seen["list"] += 1
        codes = [theirs(line, name) for name in ("lon.application", "lon.nm", "lon.nd", "lon.ff") if line[name]]
        if codes:
            assert row["apdu_code"] in (codes[0], codes[0] | 0x40, codes[0] | 0x50, codes[0] | 0x60)
            seen["code"] += 1
        if line["lon.nv.selector"] and row["apdu_length"] > 1:
            assert theirs(line, "lon.nv.selector") & 0x3FFF == row["nv_selector"]
            seen["nv"] += 1
    assert min(seen.values()) > 20, seen


def test_the_row_names_its_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK_FRAMES", 500)
    quick = Bench("lon-capture", quick=True)
    quick.sample_s, quick.rounds = 0.0, 1
    (row,) = bench.lon_capture(quick)
    assert (row.floor, row.stretch) == (50.0, 100.0)
    assert row.ratio is not None
    assert row.peer_version.count(".") == 2


def test_an_absent_peer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK_FRAMES", 100)
    monkeypatch.setattr(bench.shutil, "which", lambda name: None)
    quick = Bench("lon-capture", quick=True)
    quick.sample_s = 0.0
    (row,) = bench.lon_capture(quick)
    assert (row.peer, row.ratio, row.peer_name) == (None, None, "not installed: tshark")


def test_the_file_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        bench.write_mixed(tmp_path / name, 50)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    bench.write_mixed(tmp_path / "other", 50, seed=1)
    assert (tmp_path / "other").read_bytes() != (tmp_path / "one").read_bytes()
