"""The client's side of the MEP as a machine: one request at a time, TLS by default, RC4 mode on demand.

``receive(data, now)`` · ``events()`` · ``outgoing(now)`` · ``deadline()`` · ``wake(now)``, and the commands
``request``, ``cancel``, ``close``. Drain ``events()`` before ``outgoing()``: a request in RC4 mode leaves only
after its ``SequenceAdvanced`` was seen, so that a shell can save the number before it is used.

What is done about silence and doubt (guide p. 11, 21; ``spec/mep.md`` 5.3):

- No answer within 500 ms, or none that fits: the same bytes go out again, with the same sequence number. The meter
  can tell by the number, so that nothing is carried out twice on the way.
- 0C then gives the next number. If that is the sent one plus one, the meter had taken the request and only its
  answer was lost. A read is asked again with the new number; for a write the machine stops with ``PossiblyExecuted``.
- In TLS mode the same record is sent again. A meter that had taken it refuses the copy, and the session is opened
  anew; a read is then asked again, a write ends with ``PossiblyExecuted``. Also after 0A: that answer is not
  authenticated.
- 0B is not authenticated: the request is repeated a few times before it is believed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from osgp.mep.events import (
    AlertReceived,
    Dropped,
    Event,
    RequestFailed,
    RequestRetried,
    ResponseReceived,
    SequenceAdvanced,
    SequenceCorrected,
    TlsEnded,
    TlsEstablished,
)
from osgp.mep.frame import MAX_MESSAGE_RC4, MAX_MESSAGE_TLS, Alert, Body, Code, FrameReader, Item, Noise, framed
from osgp.mep.rc4 import Exchange, key16, seal_request
from osgp.mep.tls import TlsClient
from osgp.tables.services import response_error
from osgp.wire.errors import (
    ConfigError,
    Error,
    LocalProtocolError,
    NoAnswer,
    NoKey,
    RemoteProtocolError,
)

__all__ = ["MepClient", "PossiblyExecuted", "identity_of"]

WINDOW = 8
"""Numbers beyond the last accepted one that a meter takes (guide p. 11)."""
_HALF = 1 << 31
_TLS_CODES = frozenset((Code.TLS_END, Code.TLS_HANDSHAKE, Code.TLS_HANDSHAKE_CONTINUED, Code.TLS_TABLE))
_SKIPS = 3
"""Sequence numbers passed over at most, well inside the server's window of 8 (project choice)."""
_MASK = (1 << 32) - 1
_KEY_IDS = {"MBK": 0, "MAK": 1}
_MAX_CORRECTIONS = 4
_SESSION_CODES = (b"\x01", b"\x0a")
_MAX_HANDSHAKES = 3
_MAX_DATA_IN_EVENT = 64
_MAX_EVENTS = 1000
_JUMP = 25
_PIECE = 117


class PossiblyExecuted(NoAnswer):
    """A write (or procedure) got no usable answer, and the meter may have carried it out.

    ``certain``: its sequence number says that it took the request; only the result is unknown.
    """

    def __init__(self, message: str = "", *, attempts: int = 0, certain: bool = False, hint: str = "") -> None:
        super().__init__(message, attempts=attempts, hint=hint)
        self.certain = certain


def identity_of(client_id: int, access: str) -> bytes:
    """The PSK identity: client ID (2 bytes, least significant first) and key ID (0 MBK, 1 MAK); guide p. 14."""
    return client_id.to_bytes(2, "little") + bytes([_KEY_IDS[access]])


@dataclass(slots=True)
class _Pending:
    """The current request and how far it has come."""

    message: bytes
    read: bool
    access: str
    encrypt: bool
    attempts: int = 0
    copies: int = 0
    silent: int = 0
    refused: int = 0
    corrections: int = 0
    handshakes: int = 0
    doubt: bool = False


class MepClient:
    """One device at one MEP port.

    ``keys``: "MAK" and/or "MBK" to 16 or 20 bytes (or ``Key``); ``access``: which one is used unless a request says
    otherwise (default: the first of ``keys``). ``legacy``: RC4 mode, published as broken, must be asked for.
    ``encrypt``: encrypt requests of RC4 mode by default. ``sequence``: last number used in an earlier run, if known.
    ``client_id``: 0…65535, only logged by the meter. ``random_bytes``: for TLS and the first sequence number.
    ``baud``: of the line, for the time that a frame takes on it (0: none). Times in seconds: ``timeout_s`` until
    the first
    bytes of an answer (guide p. 21: 0.5), ``gap_s`` of silence that ends a broken answer (0.1: what field software
    waits;
    the meter itself pauses 25 ms in long answers), ``interval_s`` between requests (a meter serves one per 100 ms).
    ``retries``: repetitions after silence.

    Raises ConfigError for keys that cannot be used.
    """

    def __init__(
        self,
        keys: Mapping[str, object],
        *,
        access: str = "",
        legacy: bool = False,
        encrypt: bool = False,
        sequence: int | None = None,
        client_id: int = 100,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        baud: int = 9600,
        timeout_s: float = 0.5,
        gap_s: float = 0.1,
        interval_s: float = 0.1,
        retries: int = 3,
    ) -> None:
        unknown = [name for name in keys if name not in _KEY_IDS]
        if unknown or not keys:
            raise ConfigError("a MEP client needs a MAK or an MBK", hint=f"got {', '.join(unknown) or 'none'}")
        self._keys = {name: key16(key) for name, key in keys.items()}
        self._access = access or next(iter(keys))
        self._check_access(self._access)
        if not 0 <= client_id <= 0xFFFF:
            raise ConfigError("a MEP client ID lies between 0 and 65535")
        self.legacy = legacy
        self.encrypt = encrypt
        self._client_id = client_id
        self._random_bytes = random_bytes
        self.baud = baud
        self.timeout_s = timeout_s
        self.gap_s = gap_s
        self.interval_s = interval_s
        self.retries = retries
        self._known = sequence is not None
        start = sequence + 1 if sequence is not None else int.from_bytes(random_bytes(4), "big")
        self._next = start & _MASK
        self._announced: int | None = None
        self._reader = FrameReader(gap_s)
        self._events: list[Event] = []
        self._out = b""
        self._out_at = 0.0
        self._next_free = 0.0
        self._wait_until: float | None = None
        self._pending: _Pending | None = None
        self._exchange: Exchange | None = None
        self._sent = b""
        self._tls: TlsClient | None = None
        self._tls_access = ""
        self._closing = False
        self.dropped = 0
        self.corrections = 0
        self.alerts = 0
        self.bytes_sent = 0
        self.bytes_received = 0

    def __repr__(self) -> str:
        return f"<MepClient {'rc4' if self.legacy else 'tls'} {'busy' if self.busy else 'idle'}>"

    # ---- commands ----
    @property
    def busy(self) -> bool:
        """Whether a request waits for its answer."""
        return self._pending is not None or self._closing

    @property
    def max_message(self) -> int:
        """Longest request message, bytes."""
        return MAX_MESSAGE_RC4 if self.legacy else MAX_MESSAGE_TLS

    @property
    def sequence(self) -> int | None:
        """The last number used, or None before the first of RC4 mode."""
        return self._announced

    @property
    def established(self) -> bool:
        """Whether a TLS session is up."""
        return self._tls is not None and self._tls.established

    def request(self, message: bytes, now: float, *, read: bool, access: str = "", encrypt: bool | None = None) -> None:
        """Ask: a C12.18 message without checksum. The answer is a ``ResponseReceived`` or ``RequestFailed``.

        ``read``: the request changes nothing, and may be repeated at will. ``access``: "MAK" or "MBK". Raises
        LocalProtocolError while another request is under way, or if the message is empty or too long.
        """
        if self.busy:
            raise LocalProtocolError("a request is under way", hint="one at a time: wait for its answer")
        if not 0 < len(message) <= self.max_message:
            raise LocalProtocolError(f"a message has 1 to {self.max_message} bytes, not {len(message)}")
        access = access or self._access
        self._check_access(access)
        self._pending = _Pending(message, read, access, self.encrypt if encrypt is None else encrypt)
        if self.legacy:
            self._send_rc4(now)
        elif self._tls is not None and self._tls.established and self._tls_access == access:
            self._send_record(now)
        else:
            self._handshake(now, "")

    def cancel(self) -> None:
        """Forget the current request; a late answer to it will be dropped. Whether it was carried out stays unknown."""
        self._pending = self._exchange = self._wait_until = None
        self._out = b""
        if self._tls is not None and not self.legacy:
            self._end_tls("cancelled")

    def close(self, now: float) -> None:
        """End the TLS session (57), if one is up; one attempt. LocalProtocolError while a request is under way."""
        if self.busy:
            raise LocalProtocolError("a request is under way")
        if self._tls is not None and self._tls.established:
            self._closing = True
            self._put(b"\x57\x00", now)

    def _check_access(self, access: str) -> None:
        if access not in self._keys:
            raise ConfigError(f"no {access} is given", hint="give the key, or use the level whose key is there")

    # ---- the five verbs ----
    def receive(self, data: bytes, now: float) -> None:
        """Bytes from the line. Damage is an event ``Dropped``, never an exception."""
        self.bytes_received += len(data)
        self._take(self._reader.receive(data, now), now)
        if data and self._wait_until is not None and self._reader.partial:
            self._wait_until = max(self._wait_until, now + self._reader.gap_s)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def outgoing(self, now: float) -> bytes:
        """Bytes to put on the line now."""
        if not self._out or now < self._out_at or any(isinstance(event, SequenceAdvanced) for event in self._events):
            return b""
        out, self._out = self._out, b""
        self._reader.clear()
        # Lines that deliver in pieces (TCP, USB) show a paced answer as gaps of a whole piece and its pause.
        self._reader.gap_s = self.gap_s + self._air(_PIECE)
        self._next_free = now + self.interval_s
        self._wait_until = now + self._air(len(out)) + self.timeout_s
        self.bytes_sent += len(out)
        return out

    def deadline(self) -> float | None:
        """When ``wake`` or ``outgoing`` wants to be called next; None: nothing is waited for."""
        times = [self._out_at] if self._out else []
        times += [time for time in (self._wait_until, self._reader.deadline()) if time is not None]
        return min(times, default=None)

    def wake(self, now: float) -> None:
        """Time has passed."""
        self._take(self._reader.wake(now), now)
        if self._wait_until is None or now < self._wait_until or self._out:
            return
        self._wait_until = None
        if self._closing:
            self._closing = False
            self._end_tls("closed, not confirmed")
        elif self._pending is not None:
            self._after_silence(now)

    # ---- sending ----
    def _air(self, size: int) -> float:
        return size * 10 / self.baud if self.baud else 0.0

    def _put(self, body: bytes, now: float) -> None:
        self._out = framed(body)
        self._out_at = max(now, self._next_free)
        self._wait_until = None

    def _send_rc4(self, now: float) -> None:
        pending = self._pending
        assert pending is not None
        number = self._next
        key = self._keys[pending.access]
        self._exchange = seal_request(key, pending.message, number, encrypt=pending.encrypt)
        self._sent = self._exchange.request_body()
        for _ in range(_SKIPS):
            # Encrypted, a request may begin like a TLS frame, and a server could take it for one: the next number will not.
            if not pending.encrypt or self._sent[0] not in _TLS_CODES:
                break
            number = (number + 1) & _MASK
            self._exchange = seal_request(key, pending.message, number, encrypt=True)
            self._sent = self._exchange.request_body()
        self._next = (number + 1) & _MASK
        self._announced = number
        self._events.append(SequenceAdvanced(number))
        pending.attempts += 1
        pending.copies = 1
        pending.silent = 0
        self._put(self._sent, now)

    def _repeat(self, now: float, reason: str) -> None:
        pending = self._pending
        assert pending is not None
        pending.attempts += 1
        pending.copies += 1
        self._events.append(RequestRetried(pending.attempts, reason))
        self._put(self._sent, now)

    def _handshake(self, now: float, reason: str) -> None:
        pending = self._pending
        assert pending is not None
        pending.handshakes += 1
        if pending.handshakes > 1:
            self._events.append(RequestRetried(pending.attempts + 1, reason))
        self._tls_access = pending.access
        self._tls = TlsClient(
            identity_of(self._client_id, pending.access), self._keys[pending.access], self._random_bytes
        )
        self._put(b"\x58" + self._tls.start(), now)

    def _send_record(self, now: float) -> None:
        assert self._pending is not None
        assert self._tls is not None
        self._pending.attempts += 1
        self._pending.copies = 1
        self._pending.silent = 0
        self._sent = b"\x80" + self._tls.seal(self._pending.message)
        self._put(self._sent, now)

    # ---- receiving ----
    def _take(self, items: list[Item], now: float) -> None:
        for item in items:
            match item:
                case Alert():
                    self.alerts += 1
                    if len(self._events) < _MAX_EVENTS:
                        self._events.append(AlertReceived())
                case Noise(reason, data):
                    self._drop(reason, data)
                case Body(data, guessed):
                    self._take_body(data, guessed, now)

    def _drop(self, reason: str, data: bytes) -> None:
        self.dropped += 1
        if len(self._events) < _MAX_EVENTS:
            self._events.append(Dropped(reason, data[:_MAX_DATA_IN_EVENT]))

    def _take_body(self, body: bytes, guessed: bool, now: float) -> None:
        if self._closing and self._wait_until is not None:
            self._closing = False
            self._wait_until = None
            self._end_tls("closed")
        elif self._pending is None:
            self._drop("an answer that nobody waits for", body)
            if body in _SESSION_CODES:
                # Most likely the refusal of a copy that we sent without need: the session is gone on the other side.
                self._end_tls("the meter ended the session")
        elif self._out and self._pending.copies < 2:
            self._drop("an answer from before the request", body)
        elif self.legacy:
            self._take_rc4(body, now)
        elif guessed and not _looks_like_tls(body):
            self._drop("no TLS answer", body)
        else:
            self._take_tls(body, now)

    def _take_rc4(self, body: bytes, now: float) -> None:
        pending, exchange = self._pending, self._exchange
        assert pending is not None
        assert exchange is not None
        message = exchange.open_response(body)
        if message is None:
            if body[0] == Code.AUTHENTICATION_FAILED and len(body) in (1, 9):
                self._refused(now)
            elif body == bytes([Code.TLS_NO_SESSION]):
                self._fail(
                    RemoteProtocolError(
                        "the meter refuses RC4 mode", hint="it demands TLS, or a TLS session is up: use mep+tls"
                    )
                )
            else:
                self._drop("an answer whose digest does not fit the request", body)
            return
        known, self._known = self._known, True
        code = message[0]
        if code == Code.INVALID_SEQUENCE and len(message) >= 5:
            self._corrected(int.from_bytes(message[1:5], "big"), known, now)
        elif code == Code.AUTHENTICATION_FAILED:
            self._refused(now)
        else:
            self._done(message, proven=message.rstrip(b"\0") != b"")

    def _refused(self, now: float) -> None:
        """0B, or what looks like it: nobody has signed that, so it is asked for again before it is believed."""
        pending = self._pending
        assert pending is not None
        pending.refused += 1
        if pending.refused <= min(2, self.retries):
            self._repeat(now, "0B, not authenticated")
        else:
            self._fail(response_error(Code.AUTHENTICATION_FAILED))

    def _corrected(self, number: int, known: bool, now: float) -> None:
        """0C: go on with the number given, unless that would carry out a write twice.

        ``known``: the number sent was no mere guess. One step ahead of it: the meter took it (a copy of) before. A
        multiple
        of 25 more: it took it and then moved on by itself (``spec/mep.md`` 5.3). Any step ahead after several
        copies of a
        good number: perhaps. Behind it or equal: never.
        """
        pending, exchange = self._pending, self._exchange
        assert pending is not None
        assert exchange is not None
        sent = exchange.sequence
        self.corrections += 1
        pending.corrections += 1
        self._events.append(SequenceCorrected(number, sent))
        # A meter that gives the number last accepted instead of the next one repeats itself: then take the one after.
        self._next = number if number != sent else (number + 1) & _MASK
        ahead = (number - sent) & _MASK
        copied = pending.copies > 1
        taken = ahead == 1 or (0 < ahead < _HALF and ((known and copied) or (ahead % _JUMP == 1 and (known or copied))))
        if taken and not pending.read:
            self._fail(
                PossiblyExecuted(
                    "the answer to a write was lost",
                    attempts=pending.attempts,
                    certain=ahead == 1,
                    hint="read back what was written before writing again",
                )
            )
        elif pending.corrections > _MAX_CORRECTIONS:
            self._fail(response_error(Code.INVALID_SEQUENCE))
        else:
            self._send_rc4(now)

    def _take_tls(self, body: bytes, now: float) -> None:
        pending, tls = self._pending, self._tls
        assert pending is not None
        assert tls is not None
        code, records = body[0], body[1:]
        handshake = not tls.established
        if code != Code.OK or not records:
            if len(body) == 1 or (len(body) == 9 and code == Code.AUTHENTICATION_FAILED):
                self._outer_refusal(code, now)
            else:
                self._drop("no TLS answer", body)
            return
        try:
            if handshake:
                flight = tls.receive(records)
            else:
                message = tls.open(records)
        except Error as error:
            self._broken(error, now)
            return
        if handshake and tls.established:
            self._wait_until = None
            self._events.append(TlsEstablished(identity_of(self._client_id, self._tls_access)))
            self._send_record(now)
        elif handshake:
            if flight:
                self._put(b"\x59" + flight, now)
            else:
                self._drop("an incomplete handshake flight", body)
        elif message:
            self._done(message, proven=True)
        else:
            self._broken(RemoteProtocolError("an answer without content"), now)

    def _outer_refusal(self, code: int, now: float) -> None:
        """A code of the TLS layer. Nobody has signed it, so it may end the session but proves nothing about a request."""
        self._end_tls(f"the meter answered {code:02X}")
        if code == Code.NOT_PERMITTED:
            error: Error = NoKey(
                "the meter does not accept the key (TLS code 03)",
                hint="it must belong to this meter, in the form it was issued, and be told as what it is: "
                'an MBK needs --key-kind MBK (key_kind="MBK")',
            )
        elif code in (Code.ERROR, Code.TLS_NO_SESSION):
            error = RemoteProtocolError(f"the meter ended the TLS session (code {code:02X})")
        else:
            error = RemoteProtocolError(
                f"the meter does not know TLS frames (code {code:02X})", hint="older meters: --legacy (RC4 mode)"
            )
            self._fail(error)
            return
        self._broken(error, now)

    def _broken(self, error: Error, now: float) -> None:
        """The session is lost. Open it anew, unless the request may have been carried out."""
        pending = self._pending
        assert pending is not None
        self._end_tls(error.message)
        if pending.attempts and not pending.read:
            self._fail(
                PossiblyExecuted(
                    "the TLS session broke before the answer to a write",
                    attempts=pending.attempts,
                    hint="read back what was written before writing again",
                )
            )
        elif pending.handshakes >= (2 if isinstance(error, NoKey) else _MAX_HANDSHAKES + self.retries):
            self._fail(error)
        else:
            self._handshake(now, error.message)

    # ---- the end of a request ----
    def _after_silence(self, now: float) -> None:
        pending = self._pending
        assert pending is not None
        pending.silent += 1
        if pending.silent > self.retries:
            if pending.read or not pending.attempts:
                hint = "check line, baud rate and key; utilities may have switched the port off"
                self._end_tls("no answer")
                self._fail(NoAnswer("no answer from the meter", attempts=pending.silent, hint=hint))
            else:
                self._end_tls("no answer")
                self._fail(PossiblyExecuted("no answer to a write", attempts=pending.attempts))
        elif self.legacy or self.established:
            pending.doubt = True
            self._repeat(now, "no answer")
        else:
            # A handshake that lost a flight begins anew: 58 resets the meter's side.
            self._handshake(now, "no answer")

    def _done(self, message: bytes, *, proven: bool) -> None:
        pending = self._pending
        assert pending is not None
        self._finish()
        if pending.copies > 1 and not self.legacy:
            # Whichever copy was answered, the meter may refuse the other one and drop the session.
            self._end_tls("a request was sent twice")
        self._events.append(ResponseReceived(pending.message, message, proven, pending.attempts))

    def _fail(self, error: Error) -> None:
        pending = self._pending
        assert pending is not None
        self._finish()
        doubt = isinstance(error, PossiblyExecuted) or (pending.doubt and not pending.read)
        self._events.append(RequestFailed(pending.message, error, doubt))

    def _finish(self) -> None:
        self._pending = self._exchange = self._wait_until = None
        self._out = b""

    def _end_tls(self, reason: str) -> None:
        if self._tls is not None:
            self._tls = None
            self._events.append(TlsEnded(reason))


def _looks_like_tls(body: bytes) -> bool:
    """Whether a guessed frame is a bare code or holds whole TLS records: noise must not end a session."""
    at = 1
    while at + 5 <= len(body) and body[at] in (20, 21, 22, 23) and body[at + 1] == 3:
        at += 5 + int.from_bytes(body[at + 3 : at + 5], "big")
    return len(body) > 1 and body[0] == Code.OK and at == len(body)
