"""The client's side of TLS_PSK_WITH_AES_256_GCM_SHA384, as the MEP guide's example client does it (pages 14–15)."""

from __future__ import annotations

import secrets

from osgp.mep.tls.alerts import Alert, Refusal
from osgp.mep.tls.messages import (
    NULL_COMPRESSION,
    RANDOM_LENGTH,
    RENEGOTIATION_INFO,
    RENEGOTIATION_SCSV,
    SUITE,
    ClientHello,
    ClientKeyExchange,
    HandshakeType,
    HelloRequest,
    ServerHello,
    ServerHelloDone,
    ServerKeyExchange,
)
from osgp.mep.tls.records import TLS_1_2
from osgp.mep.tls.session import RandomBytes, State, TlsSide, check_psk
from osgp.wire.errors import ConfigError, LocalProtocolError

__all__ = ["TlsClient"]


class TlsClient(TlsSide):
    """A TLS client for one session with one key.

    ``identity`` tells the server which key is meant (up to 65535 bytes, zeros too), ``psk`` is the key (1 to 65535
    bytes; 16 in MEP), ``random_bytes`` gives the client's random.

    Raises ConfigError for an identity or key that TLS cannot carry.
    """

    _is_client = True

    def __init__(self, identity: bytes, psk: bytes, random_bytes: RandomBytes = secrets.token_bytes) -> None:
        super().__init__(State.START, random_bytes)
        if len(identity) > 0xFFFF:
            raise ConfigError("a PSK identity has at most 65535 bytes")
        self._identity = bytes(identity)
        self._psk = check_psk(psk)
        self._hint: bytes | None = None
        self._steps = {
            (State.SERVER_HELLO, HandshakeType.HELLO_REQUEST): self._take_hello_request,
            (State.SERVER_HELLO, HandshakeType.SERVER_HELLO): self._take_server_hello,
            (State.SERVER_KEY_EXCHANGE, HandshakeType.HELLO_REQUEST): self._take_hello_request,
            (State.SERVER_KEY_EXCHANGE, HandshakeType.SERVER_KEY_EXCHANGE): self._take_server_key_exchange,
            (State.SERVER_KEY_EXCHANGE, HandshakeType.SERVER_HELLO_DONE): self._take_server_hello_done,
            (State.SERVER_HELLO_DONE, HandshakeType.HELLO_REQUEST): self._take_hello_request,
            (State.SERVER_HELLO_DONE, HandshakeType.SERVER_HELLO_DONE): self._take_server_hello_done,
            (State.FINISHED, HandshakeType.FINISHED): self._take_server_finished,
        }

    @property
    def identity_hint(self) -> bytes | None:
        """The server's hint for the choice of identity, None without one. Not used: in MEP the caller knows the key."""
        return self._hint

    def start(self) -> bytes:
        """The ClientHello record; once per object. Raises LocalProtocolError when called again."""
        if self._state is not State.START:
            raise LocalProtocolError("the handshake was started before", hint="Make a new TlsClient for each session.")
        self._client_random = self._random(RANDOM_LENGTH)
        hello = ClientHello(
            version=TLS_1_2,
            random=self._client_random,
            session_id=b"",
            suites=(SUITE, RENEGOTIATION_SCSV),
            compressions=bytes((NULL_COMPRESSION,)),
            extensions={},
        )
        self._state = State.SERVER_HELLO
        self._send_message(HandshakeType.CLIENT_HELLO, hello.encode())
        return self.outgoing()

    def _take_hello_request(self, raw: bytes, body: bytes) -> None:
        # During a handshake it asks for what goes on already, and is no part of the transcript (RFC 5246, 7.4.1.1).
        HelloRequest.decode(body)
        self._ignore()

    def _take_server_hello(self, raw: bytes, body: bytes) -> None:
        hello = ServerHello.decode(body)
        if hello.version != TLS_1_2:
            raise Refusal(Alert.PROTOCOL_VERSION, "the server wants another TLS version")
        if hello.suite != SUITE:
            raise Refusal(Alert.ILLEGAL_PARAMETER, "the server chose a cipher suite that was not offered")
        if hello.compression != NULL_COMPRESSION:
            raise Refusal(Alert.ILLEGAL_PARAMETER, "the server chose compression, which was not offered")
        if hello.extensions.keys() - {RENEGOTIATION_INFO}:
            raise Refusal(Alert.UNSUPPORTED_EXTENSION, "the server answered an extension that was not offered")
        # Without it our first handshake could be a renegotiation in somebody else's session (RFC 5746, 4.1).
        if hello.extensions.get(RENEGOTIATION_INFO) != b"\x00":
            raise Refusal(Alert.HANDSHAKE_FAILURE, "the server does not confirm secure renegotiation")
        self._transcript.update(raw)
        self._server_random = hello.random
        self._state = State.SERVER_KEY_EXCHANGE

    def _take_server_key_exchange(self, raw: bytes, body: bytes) -> None:
        self._hint = ServerKeyExchange.decode(body).hint
        self._transcript.update(raw)
        self._state = State.SERVER_HELLO_DONE

    def _take_server_hello_done(self, raw: bytes, body: bytes) -> None:
        ServerHelloDone.decode(body)
        self._end_of_flight()
        self._transcript.update(raw)
        self._send_message(HandshakeType.CLIENT_KEY_EXCHANGE, ClientKeyExchange(self._identity).encode())
        self._derive_keys(self._psk)
        self._send_finished()
        self._state = State.CHANGE_CIPHER

    def _take_server_finished(self, raw: bytes, body: bytes) -> None:
        self._take_finished(raw, body)
        self._establish()
