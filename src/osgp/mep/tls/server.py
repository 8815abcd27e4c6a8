"""The server's side of TLS_PSK_WITH_AES_256_GCM_SHA384, as the recorded meter does it (MEP guide, pages 14–15)."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from osgp.mep.tls.alerts import Alert, Refusal
from osgp.mep.tls.messages import (
    FALLBACK_SCSV,
    NULL_COMPRESSION,
    RANDOM_LENGTH,
    RENEGOTIATION_INFO,
    RENEGOTIATION_SCSV,
    SESSION_ID_LENGTH,
    SUITE,
    ClientHello,
    ClientKeyExchange,
    HandshakeType,
    ServerHello,
)
from osgp.mep.tls.records import TLS_1_2
from osgp.mep.tls.session import RandomBytes, State, TlsSide, check_psk
from osgp.wire.errors import NoKey

__all__ = ["TlsServer"]


class TlsServer(TlsSide):
    """A TLS server for one session.

    ``lookup`` gives the key for an identity as the client sent it (any bytes), or None when there is none; what it
    raises reaches the caller of ``receive``, and the session is dead. Extensions other than renegotiation_info are
    ignored. No session is ever resumed: the session ID, which the recorded meter sends as well, is only random bytes.
    """

    _is_client = False

    def __init__(
        self, lookup: Callable[[bytes], bytes | None], random_bytes: RandomBytes = secrets.token_bytes
    ) -> None:
        super().__init__(State.CLIENT_HELLO, random_bytes)
        self._lookup = lookup
        self._identity: bytes | None = None
        self._claimed = b""
        self._steps = {
            (State.CLIENT_HELLO, HandshakeType.CLIENT_HELLO): self._take_client_hello,
            (State.CLIENT_KEY_EXCHANGE, HandshakeType.CLIENT_KEY_EXCHANGE): self._take_client_key_exchange,
            (State.FINISHED, HandshakeType.FINISHED): self._take_client_finished,
        }

    @property
    def identity(self) -> bytes | None:
        """The client's identity once it has proved its key, None before."""
        return self._identity

    def _take_client_hello(self, raw: bytes, body: bytes) -> None:
        hello = ClientHello.decode(body)
        self._end_of_flight()
        if hello.version < TLS_1_2:
            if FALLBACK_SCSV in hello.suites:
                raise Refusal(Alert.INAPPROPRIATE_FALLBACK, "the client was made to fall back to an older TLS version")
            raise Refusal(Alert.PROTOCOL_VERSION, "the client wants an older TLS version")
        if SUITE not in hello.suites:
            raise Refusal(
                Alert.HANDSHAKE_FAILURE, "the client does not offer the suite TLS_PSK_WITH_AES_256_GCM_SHA384"
            )
        if NULL_COMPRESSION not in hello.compressions:
            raise Refusal(Alert.ILLEGAL_PARAMETER, "the client demands compression")
        renegotiation = hello.extensions.get(RENEGOTIATION_INFO)
        if renegotiation is None and RENEGOTIATION_SCSV not in hello.suites:
            raise Refusal(Alert.HANDSHAKE_FAILURE, "the client does not know secure renegotiation")
        if renegotiation not in (None, b"\x00"):
            raise Refusal(Alert.HANDSHAKE_FAILURE, "the client's first hello claims to be a renegotiation")
        self._transcript.update(raw)
        self._client_random = hello.random
        self._server_random = self._random(RANDOM_LENGTH)
        answer = ServerHello(
            version=TLS_1_2,
            random=self._server_random,
            session_id=self._random(SESSION_ID_LENGTH),
            suite=SUITE,
            compression=NULL_COMPRESSION,
            extensions={RENEGOTIATION_INFO: b"\x00"},
        )
        self._send_message(HandshakeType.SERVER_HELLO, answer.encode())
        self._send_message(HandshakeType.SERVER_HELLO_DONE)
        self._state = State.CLIENT_KEY_EXCHANGE

    def _take_client_key_exchange(self, raw: bytes, body: bytes) -> None:
        identity = ClientKeyExchange.decode(body).identity
        self._end_of_flight()
        psk = self._lookup(identity)
        if psk is None:
            raise Refusal(
                Alert.UNKNOWN_PSK_IDENTITY,
                NoKey("no key for the identity that the client gave", hint="Check client ID and key ID."),
            )
        self._transcript.update(raw)
        self._derive_keys(check_psk(psk))
        self._claimed = identity
        self._state = State.CHANGE_CIPHER

    def _take_client_finished(self, raw: bytes, body: bytes) -> None:
        self._take_finished(raw, body)
        self._send_finished()
        self._identity = self._claimed
        self._establish()
