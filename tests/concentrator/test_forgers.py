"""Somebody else speaks with the street's broadcast key: heard, told, and left behind."""

from __future__ import annotations

import pytest

from osgp.app.suite import BroadcastCipher
from osgp.crypto.keys import Key
from osgp.lon.address import Broadcast
from osgp.lon.events import MessageReceived
from osgp.lon.ltep import Service
from osgp.lon.transport import Options
from tests.concentrator.network import DOMAIN, NC, PROFILE, Network, chain

RELAY = bytes.fromhex("40000700050208210100")
"""Close control relay 1: what a broadcast may order."""


@pytest.fixture
def network() -> Network:
    """Two devices that are up, the second behind the first, and each has said all that it has to say."""
    found = Network(chain(2))
    found.until(found.all_up)
    found.run(600.0)
    return found


def forge(network: Network, ahead: int, *, key: Key | None = None) -> None:
    """The first device has been taken: it sends a broadcast of its own, so many numbers above the concentrator's."""
    sender = network.sender
    cipher = BroadcastCipher(key or sender.kb, sender.generation, NC, DOMAIN, PROFILE)
    frame = cipher.seal(RELAY, (), sender.counter + ahead)
    network.devices[0].stack.send(Broadcast(), frame, network.wire.now, Options(), service=Service.UNACKD)
    network.wire.touch(network.ports[0])
    network.run(5.0)


def told(network: Network) -> list[str]:
    return [each.text for each in network.journal.notices(kind="forged broadcast")]


def test_a_broadcast_above_our_own_number_raises_the_alarm_and_we_go_on_above_it(network: Network) -> None:
    ours = network.sender.counter
    forge(network, 50)
    (text,) = told(network)
    assert str(ours + 50) in text
    assert network.devices[1].node.security.last_broadcast == ours + 50, "the second device believed it"
    assert network.sender.counter == ours + 51
    forge(network, 0)
    assert network.care.watch.forged == 2
    assert len(told(network)) == 1, "once an hour is enough"
    network.run(900.0)
    assert network.devices[0].node.security.window[0] >= ours + 51
    assert network.devices[1].node.security.window[0] >= ours + 51


def test_a_number_that_no_device_would_take_does_not_use_up_ours(network: Network) -> None:
    ours = network.sender.counter
    forge(network, 3_000_000_000)
    assert len(told(network)) == 1
    assert network.sender.counter == ours


def test_what_is_not_under_our_key_or_is_our_own_is_no_alarm(network: Network) -> None:
    forge(network, 50, key=Key(bytes(range(16))))
    forge(network, -1)
    assert told(network) == []
    assert network.care.watch.forged == 0


def test_no_bytes_of_a_stranger_break_it(network: Network) -> None:
    watch = network.care.watch
    seen: list[MessageReceived] = []
    inner = network.concentrator.message

    def message(event: object, now: float) -> bool:
        if isinstance(event, MessageReceived):
            seen.append(event)
        return inner(event, now)  # type: ignore[arg-type]  # whatever comes is handed on

    network.concentrator.message = message
    forge(network, 1)
    whole = seen[-1]
    for cut in range(len(whole.apdu)):
        assert not watch.receive(whole._replace(apdu=whole.apdu[:cut]), network.wire.now)
