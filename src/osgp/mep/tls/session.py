"""What client and server have in common: records in and out, the handshake's order, alerts, and the end.

A side does no I/O and knows no time. Bytes may come in cut at any place (a stream) or flight by flight (MEP frames).

The order is a table: each side lists, in ``_steps``, which handshake message it takes in which state. Anything else is
refused, and after a refusal the side is dead: it answers every call with LocalProtocolError and has forgotten its keys.

::

    client  START → SERVER_HELLO → SERVER_KEY_EXCHANGE (→ SERVER_HELLO_DONE) → CHANGE_CIPHER → FINISHED → ESTABLISHED
    server  CLIENT_HELLO → CLIENT_KEY_EXCHANGE → CHANGE_CIPHER → FINISHED → ESTABLISHED
    both    ESTABLISHED → CLOSED in peace; anything → DEAD by a refusal or a fatal alert
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import ClassVar

from osgp.mep.tls.alerts import Alert, AlertLevel, Refusal, alert_name, decode_alert, encode_alert
from osgp.mep.tls.keyschedule import CLIENT_FINISHED, SERVER_FINISHED, master_secret, verify_data, write_keys
from osgp.mep.tls.messages import (
    MESSAGE_HEADER_LENGTH,
    HandshakeHeader,
    HandshakeType,
    decode_finished,
    encode_message,
)
from osgp.mep.tls.records import (
    MAX_PLAINTEXT,
    TLS_1_2,
    ChangeCipherSpec,
    ContentType,
    Record,
    RecordBuffer,
    RecordCipher,
    encode_record,
)
from osgp.wire.errors import (
    BadDigest,
    BadValue,
    ConfigError,
    DecodeError,
    LocalProtocolError,
    NoKey,
    RemoteProtocolError,
)

__all__ = ["RandomBytes", "State", "TlsSide", "check_psk"]

RandomBytes = Callable[[int], bytes]
"""Gives as many bytes as asked for: ``secrets.token_bytes``, or ``Random(seed).randbytes`` in a simulation.

Outside a simulation never a seeded one: when both sides repeat their randoms with the same key, keys and nonces repeat,
and AES-GCM protects nothing any more.
"""

MAX_HANDSHAKE_MESSAGE = 1 << 14
"""Longest handshake message that is waited for, in bytes (project choice; a big hello has a few hundred)."""

MAX_IGNORED = 4
"""Warnings and early HelloRequests borne in one session (project choice): no honest peer sends more."""

_CHANGE_CIPHER_SPEC = ChangeCipherSpec()
_KEY_ALERTS = (Alert.BAD_RECORD_MAC, Alert.DECRYPT_ERROR, Alert.UNKNOWN_PSK_IDENTITY, Alert.ACCESS_DENIED)


class State(Enum):
    """What a side waits for next."""

    START = auto()
    CLIENT_HELLO = auto()
    SERVER_HELLO = auto()
    SERVER_KEY_EXCHANGE = auto()
    SERVER_HELLO_DONE = auto()
    CLIENT_KEY_EXCHANGE = auto()
    CHANGE_CIPHER = auto()
    FINISHED = auto()
    ESTABLISHED = auto()
    CLOSED = auto()
    DEAD = auto()


def check_psk(psk: bytes) -> bytes:
    """The key as bytes. Raises ConfigError for a length that TLS cannot carry; 16 bytes are usual in MEP."""
    if not 1 <= len(psk) <= 0xFFFF:
        raise ConfigError("a pre-shared key has 1 to 65535 bytes")
    return bytes(psk)


class TlsSide:
    """Common base of ``TlsClient`` and ``TlsServer``."""

    _is_client: ClassVar[bool]

    def __init__(self, state: State, random_bytes: RandomBytes) -> None:
        self._state = state
        self._random_bytes = random_bytes
        self._records = RecordBuffer()
        self._message = bytearray()
        self._transcript = hashlib.sha384()
        self._out = bytearray()
        self._plain = bytearray()
        self._read: RecordCipher | None = None
        self._write: RecordCipher | None = None
        self._next_read: RecordCipher | None = None
        self._next_write: RecordCipher | None = None
        self._client_random = b""
        self._server_random = b""
        self._psk = b""
        self._master = b""
        self._ignored = 0
        self._alert: Alert | None = None
        self._steps: dict[tuple[State, HandshakeType], Callable[[bytes, bytes], None]] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.name.lower()}>"

    @property
    def established(self) -> bool:
        """Whether both Finished messages are verified and data may flow."""
        return self._state is State.ESTABLISHED

    @property
    def closed(self) -> bool:
        """Whether the session has ended, in peace or by a refusal."""
        return self._state in (State.CLOSED, State.DEAD)

    @property
    def alert(self) -> Alert | None:
        """The alert by which this side ended the session; None while it lives, or when the peer's fatal alert did."""
        return self._alert

    @property
    def unfinished(self) -> int:
        """Bytes held back: of a record or message that is not complete, or what followed the handshake in one call.

        A MEP frame carries whole flights, so a caller that gets frames may take anything but 0 as a damaged frame.
        """
        return len(self._records) + len(self._message)

    def receive(self, records: bytes) -> bytes:
        """Takes handshake bytes from the peer, gives the next flight, or nothing while the peer's is not complete.

        Stops at the end of the handshake: what follows in the same bytes waits for ``open``.

        Raises, and is dead afterwards with an alert in ``outgoing``: RemoteProtocolError for what does not belong here,
        DecodeError for unreadable messages, BadDigest for a tag or Finished value that does not verify, NoKey for an
        identity or key that one of the sides does not accept. LocalProtocolError when no handshake is going on.
        """
        if self._state is State.START:
            raise LocalProtocolError("the handshake has not been started", hint="Call start() and send what it gives.")
        if self.established:
            raise LocalProtocolError("the handshake is over", hint="Use open() and seal().")
        self._check_alive()
        with self._refusing():
            self._records.feed(records)
            while not self.established and not self.closed and (record := self._records.next()) is not None:
                self._take(record)
        return self.outgoing()

    def open(self, records: bytes) -> bytes:
        """The content of all whole ApplicationData records so far; empty when none is complete.

        Raises as ``receive`` does. A close-notify ends the session: see ``closed``, and send what ``outgoing`` gives.
        """
        self._check_established()
        with self._refusing():
            self._records.feed(records)
            while self.established and (record := self._records.next()) is not None:
                self._take(record)
        plain = bytes(self._plain)
        self._plain.clear()
        return plain

    def seal(self, plain: bytes) -> bytes:
        """One ApplicationData record, ``records.OVERHEAD`` (29) bytes longer than ``plain``.

        Raises LocalProtocolError before the handshake is done, after the end, and for more than 16384 bytes.
        """
        self._check_established()
        if len(plain) > MAX_PLAINTEXT:
            raise LocalProtocolError(f"a record holds {MAX_PLAINTEXT} bytes at most, not {len(plain)}")
        return self._protect(ContentType.APPLICATION_DATA, plain)

    def close(self) -> bytes:
        """Ends the session: gives the close-notify record to send, or nothing when it has ended already."""
        if self.closed:
            return b""
        self._end(State.CLOSED, Alert.CLOSE_NOTIFY, AlertLevel.WARNING)
        return self.outgoing()

    def outgoing(self) -> bytes:
        """What waits to be sent beside the results of other calls: the alert after an error, our close-notify."""
        out = bytes(self._out)
        self._out.clear()
        return out

    # The order of things

    def _take(self, record: Record) -> None:
        kind, plain = record.content_type, record.fragment
        self._check_record_version(record)
        if self._read is None:
            if len(plain) > MAX_PLAINTEXT:
                raise Refusal(Alert.RECORD_OVERFLOW, "a record with more content than TLS allows")
        elif kind is ContentType.CHANGE_CIPHER_SPEC:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "a second change of cipher")
        else:
            plain = self._read.open(kind, plain)
        if self._message and kind not in (ContentType.HANDSHAKE, ContentType.ALERT):
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "another record in the midst of a handshake message")
        if kind is ContentType.HANDSHAKE:
            self._take_handshake(plain)
        elif kind is ContentType.ALERT:
            self._take_alert(plain)
        elif kind is ContentType.CHANGE_CIPHER_SPEC:
            self._take_change_cipher_spec(plain)
        elif self.established:
            self._plain += plain
        else:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "application data before the handshake is done")

    def _check_record_version(self, record: Record) -> None:
        """Exactly TLS 1.2, unless the peer cannot know our version yet (RFC 5246, E.1)."""
        early = self._state is State.CLIENT_HELLO or (
            self._state is State.SERVER_HELLO and record.content_type is ContentType.ALERT
        )
        if record.version != TLS_1_2 and not early:
            raise Refusal(Alert.PROTOCOL_VERSION, "a record of another TLS version")

    def _take_handshake(self, plain: bytes) -> None:
        if not plain:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "an empty handshake record")
        if self.established:
            raise self._renegotiation(plain[0])
        buffer = self._message
        buffer += plain
        while len(buffer) >= MESSAGE_HEADER_LENGTH:
            # The type is judged before the body is awaited: nobody makes us wait for what we refuse anyway.
            header = HandshakeHeader.decode(bytes(buffer[:MESSAGE_HEADER_LENGTH]))
            step = self._step(header.kind)
            end = MESSAGE_HEADER_LENGTH + header.length
            if end > MAX_HANDSHAKE_MESSAGE:
                raise BadValue(
                    "longer than any handshake message here", floor="mep.tls", struct="Handshake", field="length"
                )
            if len(buffer) < end:
                return
            raw = bytes(buffer[:end])
            del buffer[:end]
            step(raw, raw[MESSAGE_HEADER_LENGTH:])

    def _step(self, kind: HandshakeType) -> Callable[[bytes, bytes], None]:
        step = self._steps.get((self._state, kind))
        if step is None:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, f"handshake message {kind:d} does not belong here")
        return step

    def _renegotiation(self, code: int) -> Refusal:
        if code in (HandshakeType.HELLO_REQUEST, HandshakeType.CLIENT_HELLO):
            return Refusal(Alert.HANDSHAKE_FAILURE, "the peer asks for renegotiation, which is refused")
        return Refusal(Alert.UNEXPECTED_MESSAGE, "a handshake message after the handshake")

    def _end_of_flight(self) -> None:
        """Nothing may follow the last message of a flight: what does was written without knowing our answer."""
        if self._message:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "bytes after the last handshake message of a flight")

    def _take_change_cipher_spec(self, plain: bytes) -> None:
        if self._state is not State.CHANGE_CIPHER:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "a change of cipher at the wrong time")
        if ChangeCipherSpec.decode(plain) != _CHANGE_CIPHER_SPEC:
            raise BadValue(
                "a change of cipher is the one byte 01", floor="mep.tls", struct="ChangeCipherSpec", data=plain
            )
        self._read, self._next_read = self._next_read, None
        self._state = State.FINISHED

    def _take_alert(self, plain: bytes) -> None:
        level, code = decode_alert(plain)
        if code == Alert.CLOSE_NOTIFY:
            if self.established:
                self._end(State.CLOSED, Alert.CLOSE_NOTIFY, AlertLevel.WARNING)
                return
            self._end(State.DEAD)
            raise RemoteProtocolError("the peer ended the session during the handshake")
        if level is AlertLevel.FATAL:
            keyed = not self.established and code in _KEY_ALERTS
            self._end(State.DEAD)
            if keyed:
                raise NoKey(
                    f"the peer does not accept our key: {alert_name(code)}", hint="Check the key and its key ID."
                )
            raise RemoteProtocolError(f"the peer ended the session: {alert_name(code)}")
        self._ignore()

    def _ignore(self) -> None:
        """Lets something pass that asks for nothing, a few times."""
        self._ignored += 1
        if self._ignored > MAX_IGNORED:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "too many messages that say nothing")

    def _take_finished(self, raw: bytes, body: bytes) -> None:
        """Verifies the peer's Finished; it is not in the transcript that it proves, but in the one that ours proves."""
        self._end_of_flight()
        wanted = self._verify_data(of_client=not self._is_client)
        if not hmac.compare_digest(decode_finished(body), wanted):
            raise Refusal(Alert.DECRYPT_ERROR, BadDigest("the peer's Finished does not verify"))
        self._transcript.update(raw)

    # Help for the two sides

    def _random(self, size: int) -> bytes:
        data = self._random_bytes(size)
        if len(data) != size:
            raise ConfigError(f"the random source gave {len(data)} bytes instead of {size}")
        return data

    def _derive_keys(self, psk: bytes) -> None:
        """From both randoms and the key: the master secret, and the ciphers that wait for the change of cipher."""
        randoms = self._client_random, self._server_random
        self._master = master_secret(psk, *randoms)
        client, server = (RecordCipher(keys) for keys in write_keys(self._master, *randoms))
        self._next_write, self._next_read = (client, server) if self._is_client else (server, client)

    def _send_message(self, kind: HandshakeType, body: bytes = b"") -> None:
        message = encode_message(kind, body)
        self._transcript.update(message)
        self._out += self._protect(ContentType.HANDSHAKE, message)

    def _verify_data(self, *, of_client: bool) -> bytes:
        label = CLIENT_FINISHED if of_client else SERVER_FINISHED
        return verify_data(self._master, label, self._transcript.digest())

    def _send_finished(self) -> None:
        """Switches our direction to the new keys and proves all that was said so far."""
        self._out += self._protect(ContentType.CHANGE_CIPHER_SPEC, _CHANGE_CIPHER_SPEC.encode())
        self._write, self._next_write = self._next_write, None
        self._send_message(HandshakeType.FINISHED, self._verify_data(of_client=self._is_client))

    def _establish(self) -> None:
        self._psk = self._master = b""
        self._state = State.ESTABLISHED

    def _protect(self, kind: ContentType, plain: bytes) -> bytes:
        return encode_record(kind, plain) if self._write is None else self._write.seal(kind, plain)

    # The end

    def _check_alive(self) -> None:
        if self.closed:
            raise LocalProtocolError("the TLS session has ended", hint="Open a new session.")

    def _check_established(self) -> None:
        self._check_alive()
        if not self.established:
            raise LocalProtocolError("the TLS handshake is not done")

    def _end(self, state: State, alert: Alert | None = None, level: AlertLevel = AlertLevel.FATAL) -> None:
        """Queues the alert, forgets all secrets and what was not read. The last state; nothing leads out of it."""
        if alert is not None:
            try:
                self._out += self._protect(ContentType.ALERT, encode_alert(level, alert))
                self._alert = alert
            except LocalProtocolError:
                pass  # No record number is left for it: the peer will notice by our silence.
        self._state = state
        self._read = self._write = self._next_read = self._next_write = None
        self._psk = self._master = b""
        self._records.clear()
        self._message.clear()

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turns a refusal into our error, its alert, and a dead side; no exception at all leaves a living one."""
        alert: Alert | None = Alert.INTERNAL_ERROR
        try:
            yield
            alert = None
        except Refusal as refusal:
            alert = refusal.alert
            raise refusal.error from None
        except DecodeError:
            alert = Alert.DECODE_ERROR
            raise
        finally:
            if alert is not None:
                self._plain.clear()
                if not self.closed:
                    self._end(State.DEAD, alert)
