"""Replays recordings made with Mbed TLS, the library of the meters: the identity holds a zero byte, as MEP's do."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.mep.tls.tls_peer import cut

from osgp.mep.tls import TlsClient, TlsServer
from osgp.mep.tls.messages import ClientHello
from osgp.mep.tls.session import TlsSide

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "mep" / "tls-mbedtls.json").read_text())
IDENTITY = bytes.fromhex(RECORDED["identity"])
PSK = bytes.fromhex(RECORDED["psk"])


def talk(name: str) -> list[tuple[str, bytes]]:
    return [(speaker, bytes.fromhex(data)) for speaker, data in RECORDED[name]]


@pytest.mark.parametrize("name", ["mbedtls_as_client", "mbedtls_as_server"])
def test_a_recorded_session_comes_out_the_same(name: str) -> None:
    source = random.Random(RECORDED["seed"])
    said = talk(name)
    side: TlsSide
    if name == "mbedtls_as_client":
        side, pending = TlsServer({IDENTITY: PSK}.get, source.randbytes), b""
    else:
        side = TlsClient(IDENTITY, PSK, source.randbytes)
        pending = side.start()
    for speaker, data in said[:-2]:
        if speaker == "osgp":
            assert data == pending
            pending = b""
        else:
            assert pending == b""
            pending = side.receive(data)
    assert side.established
    assert side.open(said[-2][1]) == b"from Mbed TLS"
    assert side.seal(b"from osgp") == said[-1][1]


def test_the_recorded_hello_has_extensions_that_the_server_ignores() -> None:
    hello = ClientHello.decode(cut(talk("mbedtls_as_client")[0][1])[0].fragment[4:])
    assert {0x0016, 0x0017, 0x0023} < hello.extensions.keys()
