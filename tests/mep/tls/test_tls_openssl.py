"""Interworking with OpenSSL's own s_server and s_client, each a private process on 127.0.0.1.

OpenSSL takes identities as C strings, so these have no zero bytes; zeros are shown against ourselves and Mbed TLS.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from osgp.mep.tls import Alert, TlsClient, TlsServer
from osgp.mep.tls.session import TlsSide
from osgp.wire.errors import BadDigest, NoKey, RemoteProtocolError

IDENTITY = b"d1"
KEY = bytes(range(0x10, 0x20))
TIMEOUT_S = 20
PSK_OPTIONS = ["-psk", KEY.hex(), "-psk_identity", IDENTITY.decode()]
SUITE_OPTIONS = ["-tls1_2", "-cipher", "PSK-AES256-GCM-SHA384"]

# What s_client offers: our suite alone, the same with fewer extensions, all it has, and TLS 1.3 besides.
OFFERS = [SUITE_OPTIONS, [*SUITE_OPTIONS, "-no_ticket"], ["-tls1_2", "-cipher", "ALL"], ["-cipher", "ALL"]]

Process = subprocess.Popen[bytes]


@contextmanager
def openssl(*arguments: str) -> Iterator[Process]:
    """A running OpenSSL; ended and reaped whatever happens."""
    with subprocess.Popen(
        ["openssl", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def type_in(process: Process, text: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def read_until(process: Process, pattern: bytes) -> re.Match[bytes]:
    """Reads what the process prints up to a line with ``pattern``."""
    assert process.stdout is not None
    seen = b""
    for line in process.stdout:
        seen += line
        if match := re.search(pattern, line):
            return match
    raise AssertionError(f"{pattern!r} is not in {seen!r}")


class Stream:
    """A TLS side on a socket, which is read in pieces of ``step`` bytes."""

    def __init__(self, side: TlsSide, sock: socket.socket, step: int) -> None:
        self.side = side
        self.sock = sock
        self.step = step
        sock.settimeout(TIMEOUT_S)

    def shake(self) -> None:
        if isinstance(self.side, TlsClient):
            self.sock.sendall(self.side.start())
        while not self.side.established:
            self._forward()

    def send(self, plain: bytes) -> None:
        self.sock.sendall(self.side.seal(plain))

    def read(self, size: int) -> bytes:
        plain = b""
        while len(plain) < size:
            plain += self.side.open(b"") or self._open()
        return plain

    def read_to_end(self) -> bytes:
        plain = b""
        while not self.side.closed:
            plain += self._open()
        return plain

    def _open(self) -> bytes:
        data = self.sock.recv(self.step)
        assert data, "the peer went away without a word"
        try:
            return self.side.open(data)
        finally:
            self.sock.sendall(self.side.outgoing())

    def _forward(self) -> None:
        data = self.sock.recv(self.step)
        assert data, "the peer went away without a word"
        try:
            self.sock.sendall(self.side.receive(data))
        finally:
            self.sock.sendall(self.side.outgoing())


@contextmanager
def to_s_server(*options: str, key: bytes = KEY, step: int = 4096) -> Iterator[tuple[Stream, Process]]:
    """Our client, connected to a fresh s_server on a port that the system chose; no handshake yet."""
    command = ["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-nocert", *PSK_OPTIONS, *SUITE_OPTIONS]
    with openssl(*command, *options) as process:
        port = int(read_until(process, rb"ACCEPT 127\.0\.0\.1:(\d+)")[1])
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as sock:
            yield Stream(TlsClient(IDENTITY, key), sock, step), process


@contextmanager
def from_s_client(*options: str, key: bytes = KEY, step: int = 4096) -> Iterator[tuple[Stream, Process]]:
    """Our server, with a fresh s_client connected; no handshake yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT_S)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with openssl("s_client", "-connect", address, *PSK_OPTIONS, *options) as process:
            sock, _ = listener.accept()
            with sock:
                yield Stream(TlsServer({IDENTITY: key}.get), sock, step), process


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_client_and_s_server_talk_both_ways(step: int) -> None:
    with to_s_server(step=step) as (stream, process):
        stream.shake()
        stream.send(b"from our client\n")
        read_until(process, b"^from our client$")
        for count in range(20):
            line = b"line %d from s_server\n" % count
            type_in(process, line)
            assert stream.read(len(line)) == line
        stream.sock.sendall(stream.side.close())
        read_until(process, b"DONE|CONNECTION CLOSED|shutting down")


def test_client_gets_everything_back_reversed() -> None:
    """Many records in both directions: the numbers on both sides keep step."""
    with to_s_server("-rev") as (stream, _):
        stream.shake()
        for count in range(200):
            stream.send(b"%d olleh\n" % count)
            answer = b"hello %s\n" % str(count)[::-1].encode()
            assert stream.read(len(answer)) == answer


def test_client_hears_the_servers_hint() -> None:
    with to_s_server("-psk_hint", "which key") as (stream, _):
        stream.shake()
        assert isinstance(stream.side, TlsClient)
        assert stream.side.identity_hint == b"which key"


def test_client_is_told_that_its_key_is_wrong() -> None:
    with to_s_server(key=bytes(16)) as (stream, _):
        with pytest.raises(NoKey):
            stream.shake()
        assert stream.side.closed


def test_client_refuses_the_servers_renegotiation() -> None:
    with to_s_server() as (stream, process):
        stream.shake()
        type_in(process, b"r\n")
        with pytest.raises(RemoteProtocolError, match="renegotiation"):
            stream.read_to_end()
        assert stream.side.alert is Alert.HANDSHAKE_FAILURE


def test_client_hears_close_notify() -> None:
    with to_s_server("-rev") as (stream, _):
        stream.shake()
        stream.send(b"CLOSE\n")
        assert stream.read_to_end() == b""
        assert stream.side.alert is Alert.CLOSE_NOTIFY


@pytest.mark.parametrize("step", [1, 7, 4096])
@pytest.mark.parametrize("options", OFFERS, ids=" ".join)
def test_server_and_s_client_talk_both_ways(step: int, options: list[str]) -> None:
    with from_s_client(*options, "-quiet", step=step) as (stream, process):
        stream.shake()
        assert isinstance(stream.side, TlsServer)
        assert stream.side.identity == IDENTITY
        for count in range(20):
            line = b"line %d from s_client\n" % count
            type_in(process, line)
            assert stream.read(len(line)) == line
            stream.send(b"answer %d\n" % count)
            read_until(process, b"^answer %d$" % count)


def test_server_and_s_client_agree_on_what_was_negotiated() -> None:
    with from_s_client(*SUITE_OPTIONS) as (stream, process):
        stream.shake()
        read_until(process, b"Secure Renegotiation IS supported")
        read_until(process, rb"Protocol +: TLSv1\.2")
        read_until(process, b"Cipher +: PSK-AES256-GCM-SHA384")
        type_in(process, b"Q\n")
        assert stream.read_to_end() == b""
        assert stream.side.alert is Alert.CLOSE_NOTIFY


def test_server_refuses_renegotiation() -> None:
    with from_s_client(*SUITE_OPTIONS) as (stream, process):
        stream.shake()
        type_in(process, b"R\n")
        with pytest.raises(RemoteProtocolError, match="renegotiation"):
            stream.read_to_end()
        read_until(process, b"alert handshake failure")


def test_server_notices_a_wrong_key() -> None:
    with from_s_client(*SUITE_OPTIONS, key=bytes(16)) as (stream, process):
        with pytest.raises(BadDigest):
            stream.shake()
        read_until(process, b"alert bad record mac")


@pytest.mark.parametrize(
    ("options", "alert"),
    [
        (["-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256"], Alert.HANDSHAKE_FAILURE),
        (["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"], Alert.HANDSHAKE_FAILURE),
        (["-psk_identity", "nobody", *SUITE_OPTIONS], Alert.UNKNOWN_PSK_IDENTITY),
        (["-tls1_1", "-cipher", "PSK-AES256-CBC-SHA:@SECLEVEL=0"], Alert.PROTOCOL_VERSION),
        (["-tls1_3"], Alert.HANDSHAKE_FAILURE),
    ],
    ids=str,
)
def test_server_refuses_what_openssl_should_not_offer(options: list[str], alert: Alert) -> None:
    with from_s_client(*options) as (stream, process):
        with pytest.raises((RemoteProtocolError, NoKey)):
            stream.shake()
        assert stream.side.alert is alert
        read_until(process, b"alert")
