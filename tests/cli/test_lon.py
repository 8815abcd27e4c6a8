"""``osgp lon`` and ``osgp decode --door lon``: real commands against real nodes on loopback UDP."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from osgp.cli.app import run
from osgp.cli.lon.node_state import load_node
from osgp.lon.cnip import data_packet
from osgp.lon.crc import with_crc
from osgp.lon.entries import ConfigurationBlock
from osgp.ports.capture import CaptureWriter
from osgp.wire.errors import StoreError

OSGP = [sys.executable, "-c", "from osgp.cli.main import main; main()"]
KEY = "a5c30f1e2d78"
LIMIT_S = 60.0
REQUEST = "0119018a0194490151"
RESPONSE = "00190194018a4921310000000000000000000001040400a8"
FAST = ("--timeout", "0.2", "--retries", "2")


def free_ports(count: int) -> list[int]:
    """UDP ports that nobody has at the moment."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Node:
    """A process ``osgp lon node --json``: its events as they come, its document at the end."""

    def __init__(self, street: Street, *options: str) -> None:
        self.process = subprocess.Popen(
            [*OSGP, "lon", "node", "--json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=street.environment,
        )
        self.events: list[dict[str, Any]] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.started = self.event("Listening")

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.events.append(json.loads(line) if line.startswith("{") else {"event": "", "text": line})
                self._more.notify_all()
        with self._more:
            self.events.append({"event": "ended"})
            self._more.notify_all()

    def event(self, kind: str) -> dict[str, Any]:
        """The first event of a kind; waits for it."""
        with self._more:
            found = self._more.wait_for(
                lambda: next((each for each in self.events if each["event"] in (kind, "ended")), None), LIMIT_S
            )
        assert found is not None, f"no {kind}"
        assert found["event"] == kind, self.events
        return found

    def end(self, how: int = signal.SIGINT) -> dict[str, Any]:
        """End it; its last document (none if it was killed)."""
        self.process.send_signal(how)
        assert self.process.stdout is not None
        told = self.process.stdout.read()
        self.process.stdout.close()
        code = self.process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        if how == signal.SIGKILL:
            return {}
        assert code == 0, self.events
        document: dict[str, Any] = json.loads(told)
        return document


class Street:
    """Nodes and commands that know each other."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.environment = {**os.environ, "XDG_STATE_HOME": str(place / "state"), "DOMAIN_KEY": KEY, "COLUMNS": "200"}
        self.nodes: list[Node] = []
        self.peers: list[str] = []

    def node(self, *options: str) -> Node:
        made = Node(self, *options)
        self.nodes.append(made)
        return made

    def command(self, *arguments: str, code: int = 0, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [*OSGP, *arguments], input=data, capture_output=True, env=self.environment, timeout=LIMIT_S
        )
        assert done.returncode == code, (done.stdout + done.stderr).decode()
        return done

    def lon(self, *arguments: str, code: int = 0) -> Any:
        """A command with ``--json`` in domain 49; its document."""
        peers = [word for peer in self.peers for word in ("--peer", peer)]
        done = self.command(
            "lon", *arguments, "--bind", "127.0.0.1:0", "--domain", "49", *FAST, *peers, "--json", code=code
        )
        return json.loads(done.stdout) if done.stdout else done.stderr.decode()

    def close(self) -> None:
        for node in self.nodes:
            if node.process.poll() is None:
                node.process.kill()
                node.process.wait(LIMIT_S)
            node._reader.join(LIMIT_S)
            for stream in (node.process.stdout, node.process.stderr):
                if stream is not None and not stream.closed:
                    stream.close()


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    made = Street(tmp_path)
    try:
        yield made
    finally:
        made.close()


def port_of(node: Node) -> str:
    return str(node.started["endpoint"])


# ---- nodes and queries -------------------------------------------------------------------------------------------------
def test_a_node_answers_and_ends_cleanly_with_one_document(street: Street) -> None:
    node = street.node(
        "--bind", "127.0.0.1:0", "--domain", "49", "--address", "1/20", "--unique-node-id", "0700000000A1", "--echo"
    )  # fmt: skip
    assert node.started["state"] == "configured"
    street.peers = [f"1/20={port_of(node)}"]
    status = street.lon("query-status", "1/20")["answers"]
    assert [(each["source"], each["state"], each["reset_cause"]) for each in status] == [
        ("1/20", "configured", "power-up")
    ]
    identity = street.lon("query-id", "1/20")["answers"]
    assert identity == [{"source": "1/20", "unique_node_id": "0700000000A1", "program_id": b"OSGPNODE".hex().upper()}]
    assert street.lon("wink", "1/20") == {"target": "1/20", "acknowledged": True}
    node.event("Winked")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:  # an application's request, echoed
        line.settimeout(LIMIT_S)
        host, _, port = port_of(node).rpartition(":")
        line.sendto(bytes.fromhex("017101fc01490114053a0102"), (host, int(port)))
        assert line.recv(100).endswith(bytes.fromhex("253a0102"))
    assert node.event("MessageReceived")["apdu"] == "3A0102"
    told = node.end()
    assert told["unique_node_id"] == "0700000000A1"
    assert told["places"] == [{"domain": "49", "address": "1/20"}]
    assert told["events"]["Winked"] == 1
    assert told["statistics"]["LAYER_3_RECEIVED"] >= 6


def test_one_command_after_the_other_is_no_repetition_of_it(street: Street) -> None:
    node = street.node("--bind", "127.0.0.1:0", "--domain", "49", "--address", "1/20")
    street.peers = [f"1/20={port_of(node)}"]
    for _ in range(3):
        street.lon("wink", "1/20")
    assert node.end()["events"]["Winked"] == 3


def test_silence_is_exit_status_three_and_says_what_to_look_at(street: Street) -> None:
    (port,) = free_ports(1)
    street.peers = [f"1/20=127.0.0.1:{port}"]
    told = street.lon("query-status", "1/20", code=3)
    assert "no answer from 1/20" in told
    assert "hint" in told
    street.peers = []
    assert "--peer" in street.lon("query-status", "1/20", code=3)
    assert street.lon("discover", code=3) == {"domain": "49", "nodes": []}


@pytest.mark.parametrize(("bind", "peer"), [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:0", "[::1]:2541")])
def test_what_cannot_be_sent_is_not_taken_for_a_silent_machine(bind: str, peer: str, street: Street) -> None:
    options = ("--domain", "49", "--timeout", "0.1", "--retries", "0")
    done = street.command("lon", "query-status", "1/21", "--bind", bind, "--peer", f"1/21={peer}", *options, code=3)
    assert b"cannot be sent from here" in done.stderr


def test_cnip_carries_the_same(street: Street) -> None:
    node = street.node(
        "--carrier", "cnip", "--bind", "127.0.0.1:0", "--domain", "49", "--address", "1/20", "--unique-node-id", "0700000000A1"
    )  # fmt: skip
    street.peers = [port_of(node)]
    told = street.lon("query-status", "0700000000A1", "--carrier", "cnip")
    assert told["answers"][0]["source"] == "1/20"
    assert node.end()["carrier"] == "cnip"


# ---- finding and commissioning -----------------------------------------------------------------------------------------
def test_discover_finds_commissioned_and_fresh_nodes_and_service_pins(street: Street) -> None:
    for number in (1, 2):
        street.node(
            "--bind",
            "127.0.0.1:0",
            "--domain",
            "49",
            "--address",
            f"1/2{number}",
            "--unique-node-id",
            f"07000000000{number}",
        )
    for number in (3, 4):
        street.node("--bind", "127.0.0.1:0", "--unique-node-id", f"07000000000{number}")
    street.peers = [port_of(node) for node in street.nodes]
    found = {node["unique_node_id"]: node for node in street.lon("discover")["nodes"]}
    assert sorted(found) == [f"07000000000{number}" for number in (1, 2, 3, 4)]
    assert [found[name]["place"] for name in sorted(found)] == ["[49] 1/21", "[49] 1/22", "", ""]
    assert [found[name]["state"] for name in sorted(found)] == ["configured"] * 2 + ["unconfigured"] * 2
    fresh = street.lon("discover", "--what", "unconfigured")["nodes"]
    assert sorted(node["unique_node_id"] for node in fresh) == ["070000000003", "070000000004"]
    assert all(not node.end()["events"].get("Dropped") for node in street.nodes)


def test_a_service_pin_is_heard_while_discover_listens(street: Street) -> None:
    (port,) = free_ports(1)
    node = street.node(
        "--bind", "127.0.0.1:0", "--domain", "77", "--address", "3/9",
        "--unique-node-id", "0700000000C1", "--peer", f"127.0.0.1:{port}",
    )  # fmt: skip
    finding = subprocess.Popen(
        [*OSGP, "lon", "discover", "--listen", "3", "--bind", f"127.0.0.1:{port}", "--timeout", "0.1", "--retries", "0",
         "--peer", port_of(node), "--json"],
        stdout=subprocess.PIPE,
        env=street.environment,
    )  # fmt: skip
    with finding:
        for _ in range(100):
            node.process.send_signal(signal.SIGUSR1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                finding.wait(0.1)
                break
        assert finding.stdout is not None
        nodes = json.loads(finding.stdout.read())["nodes"]
    assert [(each["unique_node_id"], each["found_by"], each["place"]) for each in nodes] == [
        ("0700000000C1", "service pin", "[77] 3/9")
    ]


def test_a_fresh_node_is_commissioned_and_stays_so_over_a_crash(street: Street) -> None:
    state = street.place / "node.json"
    options = ("--bind", "127.0.0.1:0", "--unique-node-id", "0700000000B2", "--state", str(state))
    node = street.node(*options)
    street.peers = [port_of(node)]
    capture = street.place / "commission.pcapng"
    told = street.lon("commission", "0700000000B2", "1/40", "--new-key", "env:DOMAIN_KEY", "--capture", str(capture))
    assert (told["state_before"], told["state"], told["address"], told["key_set"]) == (
        "unconfigured",
        "configured",
        "1/40",
        True,
    )
    assert node.event("ModeChanged")["state"] == 4
    node.end(signal.SIGKILL)
    assert state.stat().st_mode & 0o077 == 0
    again = street.node("--bind", "127.0.0.1:0", "--state", str(state))
    assert again.started["places"] == [{"domain": "49", "address": "1/40"}]
    assert again.started["unique_node_id"] == "0700000000B2"
    street.peers = [f"1/40={port_of(again)}"]
    assert street.lon("query-status", "1/40")["answers"][0]["state"] == "configured"

    refused = street.lon("commission", "0700000000B2", "1/41", code=1)
    assert "refused" in refused
    assert "--key" in refused
    moved = street.lon("commission", "0700000000B2", "1/41", "--key", "env:DOMAIN_KEY", "--new-key", "env:DOMAIN_KEY")
    assert moved["address"] == "1/41"
    assert again.end()["places"] == [{"domain": "49", "address": "1/41"}]

    shown = capture.read_bytes()
    assert bytes.fromhex(KEY) not in shown
    assert b"\x2a" * 6 in shown
    rows = json.loads(street.command("decode", "--door", "lon", str(capture), "--explain", "--json").stdout)
    texts = [row["fields"]["text"] for row in rows]
    assert any("update domain 0 [49] 1/40" in text for text in texts)
    assert any(text.endswith("query domain: [49] 1/40") for text in texts)
    assert KEY not in json.dumps(rows)
    assert all(KEY.upper() not in json.dumps(each.events).upper() for each in street.nodes)


def test_a_node_that_cannot_keep_its_tables_does_not_say_that_they_are_changed(street: Street) -> None:
    place = street.place / "gone"
    place.mkdir()
    options = ("--unique-node-id", "0700000000B2", "--state", str(place / "node.json"))
    node = street.node("--bind", "127.0.0.1:0", *options)
    street.peers = [port_of(node)]
    shutil.rmtree(place)
    assert "no answer" in street.lon("commission", "0700000000B2", "1/40", code=3)
    assert node.process.wait(LIMIT_S) == 1
    node._reader.join(LIMIT_S)
    assert any("cannot be written" in each.get("text", "") for each in node.events)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device without room")
def test_a_capture_without_room_ends_and_the_node_goes_on(street: Street) -> None:
    full = street.place / "full.pcap"
    full.symlink_to("/dev/full")
    node = street.node("--bind", "127.0.0.1:0", "--domain", "49", "--address", "1/21", "--capture", str(full))
    street.peers = [f"1/21={port_of(node)}"]
    for _ in range(2):
        assert street.lon("query-status", "1/21")["answers"][0]["state"] == "configured"
    assert street.lon("query-status", "1/21", "--capture", str(full))["answers"]
    node.end()
    notes = [each["text"] for each in node.events if "capture ends here" in each.get("text", "")]
    assert len(notes) == 1


def state_file(**changes: Any) -> dict[str, Any]:
    """What a node of place 1/22 keeps, and what is changed in it."""
    flags = {"LENGTH": 1, "AUTH_TYPE": 0, "DHCP": 0, "LS_MODE": 0, "INVALID": 0}
    entry = {"ID": "490000000000", "SUBNET": 1, "NODE": {"NODE": 22, "NOT_CLONE": 1}, "FLAGS": flags, "KEY": "00" * 6}
    content: dict[str, Any] = {
        "format": "osgp-lon-node",
        "version": 1,
        "unique_node_id": "0700000000b2",
        "program_id": "4f5347504e4f4445",
        "state": 4,
        "soft_offline": False,
        "domains": [entry, {**entry, "FLAGS": {**flags, "INVALID": 1}}],
        "addresses": [None] * 15,
        "block": ConfigurationBlock().to_json(),
    }
    for name, value in changes.items():
        (entry if name in entry else flags if name in flags else content)[name] = value
    return content


def test_a_state_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(state_file()))
    loaded = load_node(kept)
    assert loaded is not None
    assert str(loaded) == "Configuration(0700000000B2, Membership(0, domain=49, 1/22))"


@pytest.mark.parametrize(
    "changes",
    [
        {"domains": []},
        {"addresses": [None] * 3},
        {"state": 99},
        {"LENGTH": 5},
        {"SUBNET": 999},
        {"KEY": "01"},
        {"unique_node_id": "07"},
    ],
)
def test_a_state_file_that_no_node_could_have_written_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(state_file(**changes)))
    with pytest.raises(StoreError, match="no state of a node"):
        load_node(broken)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "[" * 100_000, '{"format": "other", "version": 1}', '{"format": "osgp-lon-node", "version": 1}'],
    ids=range(5),
)
def test_a_state_file_that_is_none_is_refused(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(content)
    with pytest.raises(SystemExit) as ended:
        run(["lon", "node", "--state", str(broken), "--bind", "127.0.0.1:0"])
    assert ended.value.code == 1
    assert "no state of a node" in " ".join(capsys.readouterr().err.split())
    assert broken.read_text() == content


# ---- chains ------------------------------------------------------------------------------------------------------------
def test_a_dead_hop_of_a_chain_is_named(street: Street) -> None:
    ports = free_ports(4)
    peers = [f"1/2{number}=127.0.0.1:{port}" for number, port in enumerate(ports, 1)]
    words = [word for peer in peers for word in ("--peer", peer)]
    for number, port in enumerate(ports, 1):
        place = ("--bind", f"127.0.0.1:{port}", "--domain", "49", "--address", f"1/2{number}")
        street.node(*place, "--quiet-time", "0", *words)
    street.peers = peers
    timers = ("--hop-timer", "9", "--hop-retries", "1", "--target-timer", "7", "--target-retries", "1")
    ping = ("ping-path", "1/24", "--via", "1/21,1/22,1/23", *timers)
    told = street.lon(*ping, "--count", "3")
    assert told["reached"] is True
    assert [(test["to"], test["answered"]) for test in told["tests"]] == [
        (f"1/2{number}", 3) for number in (1, 2, 3, 4)
    ]
    assert all(test["round_trip_ms"] > 0 for test in told["tests"])

    street.nodes[2].end()  # 1/23, the agent
    told = street.lon(*ping, code=3)
    assert (told["reached"], told["failed_hop"], told["failed_at"]) == (False, 3, "1/23")
    assert [test["answered"] for test in told["tests"]] == [1, 1, 0]
    assert told["tests"][-1]["reason"] == "1/22 could not reach 1/23"
    whole = street.lon(*ping, "--whole", code=3)
    assert (whole["failed_hop"], whole["failed_at"], len(whole["tests"])) == (3, "1/23", 1)

    street.nodes[0].end()
    told = street.lon(*ping, code=3)
    assert (told["failed_hop"], told["failed_at"]) == (1, "1/21")


# ---- watching ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("carrier", ["lonip", "cnip"])
def test_monitor_shows_what_arrives_and_writes_it(carrier: str, street: Street) -> None:
    capture = street.place / "heard.pcap"
    (port,) = free_ports(1)
    watching = subprocess.Popen(
        [*OSGP, "lon", "monitor", "--carrier", carrier, "--bind", f"127.0.0.1:{port}", "--count", "2", "--json",
         "--capture", str(capture)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=street.environment,
    )  # fmt: skip
    with watching:
        assert watching.stderr is not None
        assert watching.stderr.readline().startswith(b"listening at")
        datagrams = [data_packet(bytes.fromhex(REQUEST)), data_packet(bytes.fromhex(RESPONSE))]
        if carrier == "lonip":
            datagrams = [bytes.fromhex("0171018a014901140151"), bytes.fromhex("017101940149010a21" + RESPONSE[-32:])]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            for datagram in datagrams:
                line.sendto(datagram, ("127.0.0.1", port))
        assert watching.stdout is not None
        rows = json.loads(watching.stdout.read())
        assert watching.wait(LIMIT_S) == 0
    expected = ["1/10 → 1/20 [49] REQUEST tn 1 query status", "1/20 → 1/10 [49] RESPONSE tn 1 query status: configured"]
    assert [row["fields"]["text"] for row in rows] == expected
    assert rows[1]["fields"]["after_ms"] >= 0
    lines = street.command("lon", "monitor", str(capture)).stdout.decode().splitlines()
    assert [line.split("  ")[-1] for line in lines] == expected
    assert len(json.loads(street.command("lon", "monitor", str(capture), "--count", "1", "--json").stdout)) == 1


def test_monitor_ends_after_its_time_and_says_that_it_saw_nothing(street: Street) -> None:
    begun = time.monotonic()
    done = street.command("lon", "monitor", "--bind", "127.0.0.1:0", "--seconds", "0.3", "--json", code=3)
    assert json.loads(done.stdout) == []
    assert time.monotonic() - begun < LIMIT_S
    assert b"no frame was seen" in done.stderr


# ---- decode --------------------------------------------------------------------------------------------------------------
def decoded(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    try:
        run(["decode", "--door", "lon", *arguments, "--json"])
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    told = capsys.readouterr()
    assert status == code, told.err
    return json.loads(told.out) if told.out else " ".join(told.err.split())


def test_decode_gives_rows_of_the_known_contract(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = decoded(capsys, REQUEST + "deb6", "--explain")
    assert {"door", "direction", "fields", "ok", "error", "explain"} <= set(row)
    assert (row["door"], row["direction"], row["ok"], row["error"]) == ("lon", "request", True, "")
    assert row["fields"]["crc_ok"] is True
    assert row["explain"]["children"][0]["children"][1]["bit_offset"] == 6
    assert "explain" not in decoded(capsys, REQUEST)[0]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((REQUEST + "deb7", "--crc", "yes"), 1, "DEB7 where DEB6 belongs"),
        ((REQUEST + "deb7",), 1, "likely a CRC that does not fit"),
        ((REQUEST[:12],), 1, "Npdu.domain at byte 6"),
        ((REQUEST[:-1],), 2, "no whole bytes"),
        (("nosuchfile",), 2, "nor a file"),
        (("0011018d51", "--carrier", "lonip", "--from-ip", "node"), 2, "no IP address"),
    ],
)
def test_decode_says_damage_and_wrong_use(
    arguments: tuple[str, ...], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = decoded(capsys, *arguments, code=code)
    assert says in (told if isinstance(told, str) else told[0]["error"])


def test_decode_reads_datagrams_text_files_traces_and_captures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    frames = [bytes.fromhex(REQUEST), bytes.fromhex(RESPONSE)]
    joined = (data_packet(frames[0]) + data_packet(frames[1], crc=True)).hex()
    expected = ["query status", "query status: configured"]

    def ends(rows: Any) -> list[str]:
        return [row["fields"]["text"].split(" tn 1 ")[1] for row in rows]

    assert ends(decoded(capsys, joined, "--carrier", "cnip")) == expected
    text = tmp_path / "frames.txt"
    text.write_text(f"# asked\n{REQUEST}  # query\n\n{with_crc(frames[1]).hex(' ')}\n")
    assert ends(decoded(capsys, str(text))) == expected
    trace = tmp_path / "frames.jsonl"
    trace.write_text("".join(json.dumps({"bytes": frame.hex()}) + "\n" for frame in frames))
    assert ends(decoded(capsys, f"@{trace}")) == expected
    raw = tmp_path / "frame.bin"
    raw.write_bytes(frames[1])
    assert decoded(capsys, str(raw))[0]["raw"] == RESPONSE
    for name, form in (("a.pcap", "cnip"), ("a.pcapng", "lpdu"), ("b.pcap", "lpdu")):
        place = tmp_path / name
        with CaptureWriter(place, carrier=form) as writer:  # type: ignore[arg-type]  # one of the two
            for number, frame in enumerate(frames):
                writer.write_lpdu(frame, 10.0 + number / 4)
        rows = decoded(capsys, str(place))
        assert ends(rows) == expected
        assert rows[1]["fields"]["after_ms"] == 250.0
        cut = tmp_path / f"cut-{name}"
        cut.write_bytes(place.read_bytes()[:-3])
        assert ends(decoded(capsys, str(cut))) == expected[:1]
    (row,) = decoded(capsys, "00110151", "--carrier", "lonip", "--from-ip", "10.73.1.10", "--to-ip", "10.73.1.20")
    assert row["fields"]["source"] == "1/10"
    (row,) = decoded(capsys, "00110151", "--carrier", "lonip")
    assert row["ok"]
    assert "source" not in row["fields"]


def test_a_capture_without_a_control_network_says_where_it_was_looked_for(street: Street) -> None:
    place = street.place / "empty.pcap"
    with CaptureWriter(place):
        pass
    done = street.command("decode", "--door", "lon", str(place), "--json", code=1)
    assert json.loads(done.stdout) == []
    assert b"1628" in done.stderr
    done = street.command("decode", "--door", "lon", "-", data=f"{REQUEST}\n".encode())
    assert done.stdout.decode().strip() == "✓ 1/10 → 1/20 [49] REQUEST tn 1 query status"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("query-status", "20"), "no address"),
        (("query-status", "1/20", "--domain", "4"), "no domain"),
        (("query-status", "1/20", "--address", "0/5"), "no subnet/node"),
        (("query-status", "1/20", "--timeout", "0"), "--timeout"),
        (("query-status", "1/20", "--timeout", "nan"), "--timeout"),
        (("query-status", "1/20", "--timeout", "inf"), "--timeout"),
        (("query-status", "1/20", "--bind", "127.0.0.1:x"), "no UDP port"),
        (("query-status", "1/20", "--bind", "127.0.0.1:²"), "no UDP port"),
        (("discover", "--listen", "nan"), "--listen"),
        (("monitor", "--seconds", "inf"), "--seconds"),
        (("node", "--quiet-time", "-1"), "--quiet-time"),
        (("query-status", "1/20", "--peer", "group 5=127.0.0.1:1"), "no subnet/node"),
        (("query-status", "1/20", "--key", "env:NO_SUCH_KEY_HERE"), "NO_SUCH_KEY_HERE"),
        (("commission", "1/20", "1/30"), "no unique node ID"),
        (("commission", "0700000000B2", "1/126"), "our own address"),
        (("commission", "0700000000B2", "1/30", "--index", "2"), "no domain entry"),
        (("ping-path", "1/20", "--via", ""), "no repeater"),
        (("ping-path", "1/20", "--via", ",".join(["1/21"] * 17)), "17 repeaters"),
        (("ping-path", "1/20", "--via", "1/21", "--hop-timer", "16"), "timer code"),
        (("ping-path", "1/20", "--via", "1/21", "--count", "0"), "--count"),
        (("monitor", "nosuchfile.pcap"), "nosuchfile"),
        (("monitor", "--count", "-1"), "--count"),
        (("node", "--unique-node-id", "07"), "no unique node ID"),
        (("node", "--program-id", "x"), "no program ID"),
        (("node", "--key", "env:NO_SUCH_KEY_HERE"), "--address"),
    ],
)
def test_wrong_use_is_told_before_anything_is_sent(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["lon", *arguments])
    told = capsys.readouterr()
    assert ended.value.code == 2, told.err
    assert says in " ".join(told.err.split())
    assert told.out == ""


def test_a_port_in_use_says_how_to_take_another(street: Street) -> None:
    node = street.node("--bind", "127.0.0.1:0")
    done = street.command("lon", "query-status", "1/20", "--bind", port_of(node), code=2)
    assert b"127.0.0.1:0" in done.stderr
