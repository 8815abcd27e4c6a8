"""``osgp lon``: what a command does before it sends, where a peer says no and means yes, and what a node writes when."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from osgp.cli.app import run
from osgp.cli.lon.attached import Reach, open_port
from osgp.cli.lon.monitor import monitor
from osgp.cli.lon.node import _Node
from osgp.cli.lon.node_state import content_of, load_node, save_node
from osgp.lon.apdu import failure_code, success_code
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import ConfigurationBlock, DomainEntry, NodeState
from osgp.lon.indication import Indication, Outcome
from osgp.lon.management import Management
from osgp.lon.nm import WriteMemory
from osgp.lon.packet import packet_of
from osgp.node.stack import Stack
from osgp.ports.lonip_port import LonIpPort

KEY = "a5c30f1e2d78"
FAST = ("--bind", "127.0.0.1:0", "--domain", "49", "--timeout", "0.2", "--retries", "1")


def configuration(*, configured: bool, place: int = 20) -> Configuration:
    return Configuration(
        bytes.fromhex("0700000000b2"),
        domains=[domain_entry(b"\x49", 1, place, bytes.fromhex(KEY)) if configured else DomainEntry(), DomainEntry()],
        state=NodeState.CONFIGURED if configured else NodeState.UNCONFIGURED,
    )


# ---- a peer that says no and means yes -------------------------------------------------------------------------------------
class Swapping(Management):
    """Swaps success and failure in its generic answer, as lon-stack-dx does."""

    def serve(self, indication: Indication, now: float) -> Outcome:
        outcome = super().serve(indication, now)
        code = indication.apdu[0]
        if outcome.response is None or len(outcome.response) != 1:
            return outcome
        other = {success_code(code): failure_code(code), failure_code(code): success_code(code)}
        return outcome._replace(response=bytes((other[outcome.response[0]],)))


class Deaf(Swapping):
    """Refuses everything but queries, and means it."""

    def serve(self, indication: Indication, now: float) -> Outcome:
        if indication.apdu[0] in (0x61, 0x62, 0x63, 0x6C):
            return Outcome(bytes((failure_code(indication.apdu[0]),)))
        return super().serve(indication, now)


Served = Callable[..., tuple[Stack, str]]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Runs nodes in an event loop beside; each is told with its endpoint."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOMAIN_KEY", KEY)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    ports: list[LonIpPort] = []

    def serve(kind: type[Management], *, configured: bool) -> tuple[Stack, str]:
        found = configuration(configured=configured)
        stack = Stack(found, management=kind(found), quiet_s=0)

        async def begin() -> LonIpPort:
            return await LonIpPort.open(stack, "127.0.0.1", 0)

        port = asyncio.run_coroutine_threadsafe(begin(), loop).result(20)
        ports.append(port)
        return stack, f"127.0.0.1:{port.endpoint[1]}"

    async def end() -> None:
        for port in ports:
            port.close()
            await port.wait_closed()

    yield serve
    asyncio.run_coroutine_threadsafe(end(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


def lon(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """A command's document, or what it says where it has none."""
    status = 0
    try:
        run(["lon", *arguments, *FAST, "--json"])
    except SystemExit as ended:
        status = int(ended.code or 0)
    told = capsys.readouterr()
    assert status == code, told.err
    return json.loads(told.out) if told.out else " ".join(told.err.split())


@pytest.mark.parametrize("kind", [Management, Swapping])
def test_a_device_that_swaps_success_and_failure_is_commissioned_and_asked_like_others(
    kind: type[Management], served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    stack, endpoint = served(kind, configured=False)
    told = lon(capsys, "commission", "0700000000B2", "1/40", "--new-key", "env:DOMAIN_KEY", "--peer", endpoint)
    assert (told["address"], told["state"], told["codes_swapped"]) == ("1/40", "configured", kind is Swapping)
    assert stack.configuration.domains[0].key.hex() == KEY
    (identity,) = lon(capsys, "query-id", "0700000000B2", "--peer", endpoint)["answers"]
    assert identity["unique_node_id"] == "0700000000B2"
    assert not stack.management.selected


@pytest.mark.parametrize("kind", [Management, Swapping])
@pytest.mark.parametrize("place", ["1/20", "1/40"])
def test_a_refusal_is_one_in_either_form_even_where_the_device_has_that_place_already(
    kind: type[Management], place: str, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    _, endpoint = served(kind, configured=True)
    told = lon(capsys, "commission", "0700000000B2", place, "--new-key", "env:DOMAIN_KEY", "--peer", endpoint, code=1)
    assert "refused to be commissioned" in told


@pytest.mark.parametrize("new", [None, KEY, "0123456789ab"], ids=["none named", "the same", "another"])
@pytest.mark.parametrize("state", [NodeState.CONFIGURED, NodeState.HARD_OFFLINE], ids=["configured", "hard offline"])
@pytest.mark.parametrize("strict", [False, True], ids=["", "management authenticated"])
def test_a_commissioned_device_is_moved_with_its_domains_key_and_has_a_key_afterwards(
    strict: bool,
    state: NodeState,
    new: str | None,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stack, endpoint = served(Management, configured=True)
    stack.configuration.state = state
    stack.configuration.block.last = stack.configuration.block.last.with_(management_authentication=int(strict))
    monkeypatch.setenv("NEW_KEY", new or "")
    more = ("--new-key", "env:NEW_KEY") if new else ()
    told = lon(capsys, "commission", "0700000000B2", "1/40", "--key", "env:DOMAIN_KEY", *more, "--peer", endpoint)
    assert (told["address"], told["state"], told["key_set"]) == ("1/40", "configured", True)
    assert stack.configuration.domains[0].key.hex() == (new or KEY)
    monkeypatch.setenv("DOMAIN_KEY", "665544332211")
    assert "refused" in lon(
        capsys, "commission", "0700000000B2", "1/41", "--key", "env:DOMAIN_KEY", "--peer", endpoint, code=1
    )
    assert stack.configuration.domains[0].key.hex() == (new or KEY)
    assert stack.configuration.domains[0].node.node == 40


class Stubborn(Management):
    """Takes its place, and does not become configured."""

    def serve(self, indication: Indication, now: float) -> Outcome:
        if indication.apdu[0] == 0x6C:
            return Outcome(bytes((failure_code(0x6C),)))
        return super().serve(indication, now)


def test_a_device_that_takes_its_place_and_refuses_to_be_configured_is_said_to_have_done_so(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    _, endpoint = served(Stubborn, configured=False)
    told = lon(capsys, "commission", "0700000000B2", "1/40", "--peer", endpoint, code=1)
    assert "has its domain entry, but stays unconfigured" in told


@pytest.mark.parametrize("via", ["1/30,,1/40", "1/30,", ",1/30", " , "])
def test_a_path_with_a_hop_left_out_is_none(via: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = lon(capsys, "ping-path", "1/50", "--via", via, "--peer", "1/30=127.0.0.1:9", code=2)
    assert "a place without a repeater" in told


def test_who_asks_many_for_their_name_and_gets_no_answer_is_told_that_only_the_unconfigured_give_one(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    _, endpoint = served(Management, configured=True)
    told = lon(capsys, "query-id", "broadcast", "--peer", endpoint, code=3)
    assert "of many only the unconfigured answer, osgp lon discover finds the others" in told
    told = lon(capsys, "query-id", "broadcast", code=3)
    assert "of many" not in told, "nothing was sent at all"


def test_who_refuses_to_tell_its_name_and_means_it_has_refused(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    _, endpoint = served(Deaf, configured=True)
    assert "refused" in lon(capsys, "query-id", "1/20", "--peer", f"1/20={endpoint}", code=1)
    told = lon(capsys, "commission", "0700000000B2", "1/40", "--peer", endpoint, code=1)
    assert "said yes, but has 1/20" in told


# ---- what a node writes when ------------------------------------------------------------------------------------------------
def mode_frame(number: int, mode: int, *, state: int | None = None) -> bytes:
    """An acknowledged message from 1/10 that nobody authenticated: application offline (0), online (1), change state (3)."""
    apdu = bytes((0x6C, mode)) + (b"" if state is None else bytes((state,)))
    return bytes.fromhex("0109018a019449") + bytes((number & 0x0F,)) + apdu


def test_an_application_stopped_and_started_by_everybody_is_written_once_in_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bool] = []

    def counted(path: Path, found: Configuration) -> None:
        written.append(found.soft_offline)
        save_node(path, found)

    monkeypatch.setattr(importlib.import_module("osgp.cli.lon.node"), "save_node", counted)
    place = tmp_path / "node.json"
    found = configuration(configured=True)
    save_node(place, found)
    stack = _Node(found, place, 0.0, 0.0, lambda: None)
    now = 0.0
    for number in range(101):
        now += 0.05
        stack.receive(packet_of(mode_frame(number, number % 2)), now)
    assert found.soft_offline
    assert written == []
    due = stack.deadline()
    assert due is not None
    assert 10.0 <= due <= 10.1
    stack.wake(due)
    assert written == [True]
    assert stack.deadline() is None
    kept = load_node(place)
    assert kept is not None
    assert kept.soft_offline
    stack.receive(packet_of(mode_frame(5, 1)), due + 1)
    stack.receive(packet_of(mode_frame(6, 0)), due + 2)
    stack.wake(due + 11)
    assert written == [True], "it is as it was written"
    found.allow_management_writes = True
    stack.receive(packet_of(mode_frame(7, 3, state=6)), due + 12)
    assert len(written) == 2, "a state is written before it is told"
    stack.keep()
    assert len(written) == 3


def test_tables_are_looked_through_only_after_something_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "node.json"
    found = configuration(configured=True)
    found.allow_management_writes = True
    stack = _Node(found, place, 0.0, 0.0, lambda: None)
    looked: list[Configuration] = []

    def content(configuration: Configuration) -> dict[str, Any]:
        looked.append(configuration)
        return content_of(configuration)

    def no_encoding(block: ConfigurationBlock) -> bytes:
        raise AssertionError("nothing has changed")

    def write(number: int, mode: int, offset: int) -> bytes:
        apdu = WriteMemory(mode=mode, offset=offset, count=1, form=0, data=b"\x15").encode()
        return bytes.fromhex("0109018a019449") + bytes((number,)) + apdu

    monkeypatch.setattr(importlib.import_module("osgp.cli.lon.node"), "content_of", content)
    with monkeypatch.context() as patch:
        patch.setattr(ConfigurationBlock, "encode", no_encoding)
        for number in range(1, 8):
            stack.receive(packet_of(bytes.fromhex("0119018a019449") + bytes((number, 0x51))), 0.1)
            stack.receive(packet_of(bytes.fromhex("0109018a019449") + bytes((number, 0x3A))), 0.1)
    assert len(stack.outgoing(0.1)) == 14
    assert looked == []
    assert not place.exists()
    for number, offset in enumerate((3, 24), 8):
        before = found.block.encode()
        stack.receive(packet_of(write(number, 2, offset)), 0.2)
        assert found.block.encode() == before[:offset] + b"\x15" + before[offset + 1 :]
        kept = load_node(place)
        assert kept is not None
        assert kept.block == found.block, "a byte of the configuration block is written before it is told"
    assert len(looked) == 4, "once to see that it has changed, once to note what was kept"


def test_an_application_that_cannot_be_written_as_stopped_stops_the_node(tmp_path: Path) -> None:
    stopped: list[bool] = []
    found = configuration(configured=True)
    stack = _Node(found, tmp_path / "gone" / "node.json", 0.0, 0.0, lambda: stopped.append(True))
    stack.receive(packet_of(mode_frame(1, 0)), 1.0)
    stack.wake(11.0)
    assert stopped == [True]
    assert stack.failure is not None


# ---- what comes before the port is there -------------------------------------------------------------------------------------
def test_what_a_port_hears_while_it_is_opened_is_told_when_it_is_there_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = LonIpPort.open
    place = ("127.0.0.1", 9)

    async def eager(*arguments: Any, **options: Any) -> LonIpPort:
        port = await real(*arguments, **options)
        options["tap"](1.0, "in", b"first", place)  # as between the two sockets of multicast
        await asyncio.sleep(0)
        options["on_event"]("event")
        return port

    async def main() -> None:
        port: Any = None
        told: list[Any] = []

        def tap(now: float, direction: str, datagram: bytes, peer: Any) -> None:
            told.append((datagram, port.endpoint[0]))

        def on_event(event: Any) -> None:
            told.append((event, port.endpoint[0]))

        machine = Stack(configuration(configured=True), quiet_s=0)
        port = await open_port(machine, Reach(bind="127.0.0.1:0", multicast=True), on_event=on_event, tap=tap)
        assert told == []
        port._tap(2.0, "in", b"second", place)
        await asyncio.sleep(0)
        port._tap(3.0, "in", b"third", place)
        assert told == [(each, "127.0.0.1") for each in (b"first", "event", b"second", b"third")]
        port.close()
        await port.wait_closed()

    monkeypatch.setattr(LonIpPort, "open", eager)
    asyncio.run(main())


def test_the_monitor_shows_a_frame_that_comes_while_it_opens_its_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = LonIpPort.open

    async def eager(*arguments: Any, **options: Any) -> LonIpPort:
        port = await real(*arguments, **options)
        options["tap"](1.0, "in", bytes.fromhex("0171018a014901140151"), ("127.0.0.1", 9))
        return port

    monkeypatch.setattr(LonIpPort, "open", eager)
    monitor(count=1, seconds=20.0, line=Reach(bind="127.0.0.1:0", multicast=True), json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert row["fields"]["text"] == "1/10 → 1/20 [49] REQUEST tn 1 query status"


# ---- wrong use ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("query-id", "group 5"), "group 5 has no size"),
        (("query-status", "group 5"), '"group 5 size 5"'),
        (("ping-path", "group 5", "--via", "1/21"), "has no size"),
        (("query-status", "1/126"), "1/126 is our own address while we ask"),
        (("query-id", "1/7", "--address", "1/7"), "our own address"),
        (("wink", "1/126"), "our own address"),
        (("ping-path", "1/126", "--via", "1/21"), "our own address"),
        (("ping-path", "1/20", "--via", "1/21,1/126"), "our own address"),
    ],
)
def test_whom_nothing_can_be_asked_of_is_wrong_use(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in lon(capsys, *arguments, code=2)


def test_a_group_may_be_told_to_wink_without_its_size(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    _, endpoint = served(Management, configured=True)
    assert lon(capsys, "wink", "group 5", "--peer", endpoint, code=0)["acknowledged"] is False
