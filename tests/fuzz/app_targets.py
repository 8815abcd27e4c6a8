"""What is fuzzed of OSGP's own layer: layouts, both suites on both sides, tokens, images and the profile."""

from __future__ import annotations

import functools
import json
from contextlib import suppress
from typing import Any

from osgp.app import messages, state
from osgp.app.allowed import command_of
from osgp.app.critical import critical
from osgp.app.image import trailer_of
from osgp.app.legacy import LegacyDevice, LegacyPeer
from osgp.app.memory import RamMemory
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address
from osgp.app.verdict import REASONS, Accepted, Answered, How, Refused
from osgp.crypto.keys import Key
from osgp.node import osgp_tables
from osgp.wire import Struct, layout_of
from osgp.wire.errors import ConfigError, DecodeError
from osgp.wire.jsonform import from_json, to_json
from tests.app.making import a_device, a_peer, commissioned
from tests.fuzz.machines import MEMORY, held
from tests.fuzz.registry import hexes, target

_STRUCTS: list[type[Struct]] = [
    one
    for module in (messages, state, osgp_tables)
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, Struct) and one.__module__ == module.__name__
]


@functools.cache
def _frames() -> list[bytes]:
    """Every frame of the vectors that a device or a concentrator may hear."""
    return [raw for raw in hexes("osgp_aes/osgp_aes.json") if 9 < len(raw) < 110 and raw[0] in range(0x10, 0x1B)]


@target("app layouts", lambda: [bytes((place,)) + raw for place in range(len(_STRUCTS)) for raw in _frames()[::7]])
def app_layouts(data: bytes) -> None:
    """The first byte chooses one layout; nothing is lost in any direction."""
    struct = _STRUCTS[(data[0] if data else 0) % len(_STRUCTS)]
    layout, raw = layout_of(struct), data[1:]
    json.dumps(layout.explain(raw).to_json())
    try:
        value: Any = layout.decode(raw)
    except DecodeError:
        return
    rest = getattr(value, "_rest", b"")
    assert layout.encode(value) in (raw, raw[: len(raw) - len(rest)])
    again: Any = from_json(struct, json.loads(json.dumps(to_json(value))))
    assert layout.encode(again) == layout.encode(value)


@target("app security", _frames)
def app_security(data: bytes) -> None:
    """A commissioned device, a new one and a concentrator hear any bytes: refused for a reason, and a good request is served next."""
    device, peer = commissioned(groups=lambda: [0x0101])
    fresh, asking = a_device(), a_peer()
    frame = peer.seal(b"\x30\x00\x03", 0.0)
    for how in How:
        for one in (device, fresh):
            verdict = one.receive(data, how, 1.0)
            if isinstance(verdict, Answered):  # a challenge is answered by everybody
                assert data[:2] == b"\x18\x01"
                assert how is How.REQUEST_BY_ID
            else:
                assert isinstance(verdict, Refused)
                assert verdict.reason in REASONS
    for other in (peer, asking):
        for verdict in (other.open(data, 1.0), other.open_alert(data), other.handshake(data, 1.0)):
            assert isinstance(verdict, Refused)
            assert verdict.reason in REASONS
    found = device.receive(frame, How.REQUEST, 2.0)
    assert isinstance(found, Accepted)
    assert isinstance(peer.open(device.seal_response(found.ticket, b"\0"), 2.0), Accepted)
    assert held(device) + held(fresh) + held(peer) < MEMORY


@target(
    "app orders", lambda: [raw for raw in hexes("osgp_aes/osgp_aes.json") if raw[:1] in (b"\x40", b"\x4f", b"\x30")]
)
def app_orders(data: bytes) -> None:
    """Plaintexts, as whoever has the key could make them: what needs a token has none, and nothing raises."""
    device, _ = commissioned()
    bare, denied = device.authorise(data, 0.0)
    found = critical(data)
    assert bare == data
    assert (denied is not None) >= (found is not None)
    command_of(data, device._utc(0.0), 60)
    device.update_key(data, 0.0)
    trailer_of(data)


_OMAK = Key(bytes.fromhex("a1b2c3d4e5f60718293a4b5c"))
_PLACE = Address(b"", 2, 2)


@target("app legacy", lambda: [b"\0" + raw for raw in hexes("legacy_crypto/power_line.json") if 4 < len(raw) < 100])
def app_legacy(data: bytes) -> None:
    device = LegacyDevice(_OMAK, RamMemory(), _PLACE, enabled=True, writes=True)
    peer = LegacyPeer(_OMAK, RamMemory(), _PLACE, concentrator_allows=True, device_allows=True, encrypt=True)
    peer.seal(b"\x30\x00\x03", 0.0)
    for how in How:
        assert isinstance(device.receive(data, how, 0.0), Refused)
    assert isinstance(peer.open(data, 0.0), Refused)
    assert device.last_seq == 0


@target(
    "app profile",
    lambda: [b"[codes]\nrequest = 0x20\n", b'name = "x"\n[limits]\nmax_apdu = 80\n', b"[legacy]\nwindow = 9\n"],
)
def app_profile(data: bytes) -> None:
    with suppress(ConfigError):
        assert OsgpProfile.from_toml(data.decode("utf-8", "replace")).codes.request % 2 == 0
