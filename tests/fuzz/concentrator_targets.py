"""A whole concentrator under any frames, and all that it reads beside them: configuration, questions at its socket, a damaged journal,
firmware images. Nothing is taken without a good tag; readings, keys and addresses stay what they were."""

from __future__ import annotations

import functools
import json
import random
import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osgp.app.image import ImageResult, announce, build, check, image_mac
from osgp.concentrator.config import ConcentratorConfig
from osgp.concentrator.journal import Journal, Step, StepReading
from osgp.concentrator.run import Running
from osgp.concentrator.run_config import EXAMPLE, RunConfig, SimulatedLine, _config
from osgp.concentrator.topology import NodeState
from osgp.crypto.keys import Key
from osgp.lon.address import Broadcast, SubnetNode, UniqueNodeId
from osgp.lon.ltep import Service
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from osgp.street.plan import parse_plan
from osgp.wire.errors import ConfigError, Error, StoreError
from tests.concentrator.network import DOMAIN, NC, START, Network, chain
from tests.fuzz.machines import held
from tests.fuzz.registry import hexes, target
from tests.lon.talk import configuration

_LOOK = 256
_MEMORY = 2_000_000


class Office:
    """A concentrator with two devices in care, one behind the other. Everything that is said to it comes beside the line."""

    def __init__(self) -> None:
        self.network = Network(chain(2))
        self.recorded: list[bytes] = []
        self.network.wire.tap(lambda now, port, lpdu: self.recorded.append(lpdu))
        self.network.until(self.network.all_up)
        self.network.run(1200.0)
        self.network.wire._taps.clear()
        self.chance = random.Random(2)
        self.stranger = Stack(configuration(1, 2, domain=DOMAIN), quiet_s=0.0)
        self.now = self.network.wire.now
        self.said = self.calls = 0
        self.before = self.state()

    def state(self) -> Any:
        """All that a frame without a good tag must not change."""
        network = self.network
        concentrator, own = network.concentrator, network.concentrator.stack.configuration
        counts = network.journal.counts()
        return (
            {name: counts[name] for name in ("reading", "profile_interval", "event", "raw") if name in counts},
            [(node.unique_node_id, node.address, node.device, node.standing) for node in network.topology.placed()],
            [
                (security.ku_generation, security.kb_generation, security.address)
                for node in network.topology.placed()
                if (security := network.care.commissioner.security(node)) is not None
            ],
            (network.sender.generation, sorted(concentrator.peers)),
            (own.memberships(), own.state, own.addresses, own.soft_offline),
        )

    def frames(self, apdu: bytes) -> list[bytes]:
        """A message in the name of a device, by every service and form of address."""
        chance, stack = self.chance, self.stranger
        destination = chance.choice((SubnetNode(1, 1), UniqueNodeId(NC), Broadcast(), Broadcast(1)))
        service = chance.choice((Service.ACKD, Service.UNACKD, Service.UNACKD_RPT, Service.REQUEST))
        stack.reset(0.0)
        stack.outgoing(0.0)
        options = Options(retry=0, timer_s=0.016)
        if service == Service.REQUEST:
            stack.request(destination, apdu, 0.0, options)
        else:
            stack.send(destination, apdu, 0.0, options, service=service)
        return [packet.lpdu() for packet in stack.outgoing(0.0)]

    def hear(self, lpdu: bytes, apart_s: float = 0.001) -> None:
        """One frame; what it would answer goes nowhere, and is counted."""
        self.now += apart_s
        concentrator = self.network.concentrator
        concentrator.receive_frame(lpdu, self.now)
        due = concentrator.deadline()
        if due is not None and due <= self.now:
            concentrator.wake(self.now)
        self.said += len(concentrator.outgoing(self.now))
        concentrator.events()
        self.calls += 1

    def look(self) -> None:
        """It is what it was, it is not much larger, and it goes on with its devices."""
        network = self.network
        assert self.state() == self.before
        concentrator = network.concentrator
        kept = [
            concentrator.exchanges,
            concentrator.alert_gate,
            concentrator.stack.reception,
            concentrator.stack.transport,
        ]
        assert held([*kept, network.topology.strangers, network.care._answers]) < _MEMORY
        assert len(network.topology.nodes) < 1100
        assert len(concentrator.exchanges._open) <= concentrator.config.exchange.in_flight
        network.run(self.now - network.wire.now)
        network.touch()
        network.run(900.0)
        network.until(lambda: all(network.state(index) is NodeState.UP for index in range(2)), 4 * 3600.0)
        self.now = network.wire.now
        self.before = self.state()


@functools.cache
def _office() -> Office:
    return Office()


def _seeds() -> list[bytes]:
    messages = [raw for raw in hexes("osgp_aes/osgp_aes.json") if 9 < len(raw) < 110 and raw[0] in range(0x10, 0x1B)]
    heard = [b"\1" + lpdu for lpdu in _office().recorded[:: len(_office().recorded) // 100 + 1]]
    return [*heard, *(b"\0" + raw[:114] for raw in messages), b"\0\x57", b"\0\x4d\0", b"\0\x6c\0", b"\0\x1a\x81"]


@target("osgp concentrator", _seeds)
def osgp_concentrator(data: bytes) -> None:
    """The first byte says whether the rest is a frame, or a message in one of its addresses and services."""
    if len(data) > 115:
        return
    office = _office()
    for lpdu in [data[1:]] if not data or data[0] & 1 else office.frames(data[1:] or b"\x10"):
        office.hear(lpdu)
    if office.calls % _LOOK == 0:
        office.look()


# ---- what it reads ----------------------------------------------------------------------------------------------------
def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@target("concentrator config", lambda: [EXAMPLE.split("[concentrator]")[1].encode(), b"airtime_share = 0.5\n"])
def concentrator_config(data: bytes) -> None:
    with suppress(ConfigError):
        ConcentratorConfig.from_toml(_text(data))


@target(
    "concentrator run config", lambda: [EXAMPLE.encode(), b'[line]\nkind = "lonip"\nlisten = "127.0.0.1:1"\n[place]\n']
)
def concentrator_run_config(data: bytes) -> None:
    """But for what would ask a person, or open what is not of the text."""
    text = _text(data)
    if any(word in text for word in ("hsm", "vault", "prompt")):
        return
    try:
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    with suppress(ConfigError):
        _config(given, Path("nowhere"), text)


@target(
    "street plan",
    lambda: [
        b'[grid]\nkind = "rural"\nhouses = 5\n[[fault]]\nkind = "noise"\nat_h = 2\n',
        b'[street]\nseed = 3\nhours = 2.5\n[grid]\nhouses = 4\n[devices]\nload = ["1"]\n[concentrator.plan]\nscan_s = 60\n',
    ],
)
def street_plan(data: bytes) -> None:
    with suppress(ConfigError):
        parse_plan(_text(data))


class _Still:
    """A line on which nothing happens."""

    def now(self) -> float:
        return 10.0

    def flush(self) -> None:
        """Nothing goes out."""

    async def close(self) -> None:
        """Nothing is open."""


@functools.cache
def _running() -> Running:
    config = RunConfig(SimulatedLine(), Path("nowhere"), Path("nowhere"), Network(chain(1)).keys, NC, DOMAIN)
    running = Running(config, Journal(":memory:", wall=START), 10.0, lambda: None)  # type: ignore[arg-type, return-value]
    running.line = _Still()
    return running


_QUESTIONS: list[dict[str, Any]] = [
    {"do": "status"},
    {"do": "devices"},
    {"do": "device", "device": 1},
    {"do": "jobs"},
    {"do": "job", "number": 1},
    {"do": "submit", "kind": "read", "devices": [1, "x"], "parameters": {"table": 3}, "priority": "billing"},
    {"do": "firmware", "image": "AAAA", "orders": {}, "devices": [1]},
    {"do": "pause"},
    {"do": "resume", "job": 1},
    {"do": "cancel", "number": 1},
]


@target("concentrator questions", lambda: [json.dumps(each).encode() for each in _QUESTIONS])
def concentrator_questions(data: bytes) -> None:
    """Whatever stands in a line: an answer that can be written as JSON, or words. What is caught here is what the socket catches."""
    try:
        asked = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(asked, dict) or not isinstance(asked.get("do"), str):
        return
    with suppress(Error, TypeError, ValueError, KeyError, AttributeError, OverflowError):
        json.dumps(_running().handle(asked))


@functools.cache
def _journal_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "j"
        journal = Journal(place, wall=START)
        for index in range(20):
            number = journal.add_device(bytes((5, 0, 0, 0, 0, index)), START)
            for hour in range(3):
                readings = [StepReading("fwd_active_energy", 1000 * hour + index, "Wh")]
                journal.keep(Step(number, int(START) + 3600 * hour, START + 3600.0 * hour, readings=readings))
        journal.save({"device 050000000001.seq.0": bytes(8)})
        journal.close()
        return place.read_bytes()


@target("journal salvage", lambda: [bytes((0, 0, place, 0)) + b"\xff" * 400 for place in range(0, 120, 8)])
def journal_salvage(data: bytes) -> None:
    """The first four bytes say where the others are written into a journal; it is opened, repaired, or refused with a reason."""
    good = bytearray(_journal_bytes())
    at = int.from_bytes(data[:4], "big") % len(good)
    good[at : at + len(data[4:])] = data[4:][: len(good) - at]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "j"
        place.write_bytes(good)
        try:
            journal = Journal(place, wall=START)
        except StoreError:
            return
        try:
            rows = journal.devices()
            assert len(rows) <= 20
            journal.add_device(b"\5\0\0\0\0\x63", START)
            with suppress(StoreError):
                journal.load("device 050000000001.seq.0")
        finally:
            journal.close()


_SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_KFW = Key(bytes(range(16)))


@functools.cache
def _image() -> bytes:
    return build(bytes(range(200)), 7, 0x0405, 1, _SIGNER)


@target("firmware image", lambda: [_image(), _image()[:100], _image()[-90:]])
def firmware_image(data: bytes) -> None:
    """Announced and under a good MAC, as whoever has a device's key could: without the maker's signature it is refused."""
    found = check(data, announce(data, 1), _KFW, image_mac(_KFW, data), {1: _SIGNER.public_key(), 2: None}, 7, 0)
    assert (found.result is ImageResult.OK) == (data == _image())
