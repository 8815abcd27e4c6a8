"""The meter's side of the MEP as a machine: serves C12.18 messages in RC4 mode and in TLS, one port.

``receive(data, now)`` · ``events()`` · ``outgoing(now)`` · ``deadline()`` · ``wake(now)``, and the commands that a
device needs: ``interface_changed``, ``change_baud``, ``set_muted``, ``set_alert``. What the tables say is the
affair of ``handle``.

Rules of its own (guide p. 11–21; ``spec/mep.md`` 5, 6, 9, 10, 18): a sequence number up to 8 beyond the last
accepted one, else 0C with the next number; one request per 100 ms, earlier ones wait; 25 ms of pause after each 117
bytes of a response; 0B is never encrypted; RC4 mode is refused while a TLS session is up or TLS is demanded.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from osgp.mep.events import (
    BaudChanged,
    Dropped,
    Event,
    LeakedAsLight,
    RequestRefused,
    RequestServed,
    SequenceAccepted,
    TlsEnded,
    TlsEstablished,
)
from osgp.mep.frame import (
    ALERT,
    MAX_BODY,
    MAX_RESPONSE_RC4,
    MAX_RESPONSE_TLS,
    Body,
    Code,
    FrameReader,
    Item,
    Noise,
    framed,
)
from osgp.mep.rc4 import key16, open_request
from osgp.mep.tls import TlsServer
from osgp.wire.errors import DecodeError, Error, NoKey

__all__ = ["Handle", "MepServer"]

Handle = Callable[[bytes, str, float], bytes]
"""(message, "MAK" or "MBK", now) → response message, both C12.18 without checksum."""

WINDOW = 8
"""Numbers beyond the last accepted one that are taken (guide p. 11; exact edges unverified)."""
JUMP = 25
"""How far the counter moves when the interface definition changes (guide p. 55)."""
_MASK = (1 << 32) - 1
_ACCESS_BY_KEY_ID = {0: "MBK", 1: "MAK"}
_PAUSE_AFTER = 117
_PAUSE_S = 0.025
_ALERT_S = 1.0
_MAX_WAITING = 8
_MAX_EVENTS = 1000
_MAX_DATA_IN_EVENT = 64


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Bytes that leave from ``at`` on; ``last``: of a response."""

    at: float
    data: bytes
    last: bool


class MepServer:
    """One MEP port of a device.

    ``handle`` carries out a message. ``keys`` gives the key (16 or 20 bytes, or ``Key``) of "MAK" or "MBK" as it is
    now, or
    None. ``rng`` is the source of TLS randoms (hand in a seeded one in simulations, ``random.SystemRandom()``
    elsewhere)
    and of the shared port's whims. ``sequence``: the counter, last accepted number. ``tls``: whether the device
    knows TLS
    at all; ``demand_tls``: RC4 mode is refused. ``pauses``: the 25 ms in long responses. ``alert`` is asked once a
    second
    whether a reason for the alert stands; without it, ``set_alert`` says so. ``interval_s``, ``gap_s``: see the module.
    """

    def __init__(
        self,
        handle: Handle,
        keys: Callable[[str], object | None],
        *,
        rng: random.Random,
        sequence: int = 0,
        tls: bool = True,
        demand_tls: bool = False,
        pauses: bool = True,
        baud: int = 9600,
        alert: Callable[[], bool] | None = None,
        interval_s: float = 0.1,
        gap_s: float = 0.05,
    ) -> None:
        self._handle = handle
        self._keys = keys
        self._rng = rng
        self._last = sequence & _MASK
        self.tls = tls
        self.demand_tls = demand_tls
        self.pauses = pauses
        self.baud = baud
        self.interval_s = interval_s
        self._reader = FrameReader(gap_s)
        self._waiting: deque[Body] = deque()
        self._ready_at = 0.0
        self._chunks: deque[_Chunk] = deque()
        self._line_free = 0.0
        self._new_baud = 0
        self._baud_at: float | None = None
        self._session: TlsServer | None = None
        self._session_access = ""
        self._alert = alert
        self._alert_on = False
        self._quiet_until = 0.0
        self._alert_at: float | None = 0.0 if alert is not None else None
        self._muted = False
        self._events: list[Event] = []
        self.served = 0
        self.refused = 0
        self.dropped = 0
        self.alerts = 0

    def __repr__(self) -> str:
        return f"<MepServer served={self.served} refused={self.refused}>"

    # ---- commands of the device ----
    @property
    def sequence(self) -> int:
        """The port's counter: the number accepted last (ET04)."""
        return self._last

    @property
    def tls_up(self) -> bool:
        """Whether a TLS session is established."""
        return self._session is not None and self._session.established

    def interface_changed(self) -> None:
        """Move the counter on by 25, so that the client gets 0C and looks at the interface version (guide p. 55)."""
        self._accept((self._last + JUMP) & _MASK)

    def change_baud(self, baud: int) -> None:
        """Run at ``baud`` once the response under way has left completely (at once if there is none)."""
        self._new_baud = baud
        if not self._chunks and self._baud_at is None:
            self._baud_at = self._line_free

    def set_muted(self, muted: bool) -> None:
        """Generations 2 and 3: an optical session takes the UART that both ports share (guide p. 20).

        While muted nothing is heard, and what is due leaves as light, late or garbled, as ``rng`` decides.
        """
        self._muted = muted
        self._reader.clear()

    def set_alert(self, on: bool, now: float) -> None:
        """Whether a reason for the alert stands (without a predicate)."""
        self._alert_on = on
        if on and self._alert_at is None:
            self._alert_at = max(now, self._quiet_until)

    # ---- the five verbs ----
    def receive(self, data: bytes, now: float) -> None:
        """Bytes from the line. Damage is an event ``Dropped``, never an exception."""
        if self._muted:
            self._drop("the optical port has the UART", data)
            return
        self._settle_baud(now)
        self._take(self._reader.receive(data, now), now)
        self._serve(now)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def outgoing(self, now: float) -> bytes:
        """Bytes to put on the line now."""
        out = b""
        while self._chunks and self._chunks[0].at <= now:
            chunk = self._chunks[0]
            if self._muted:
                fate = self._rng.choice(("light", "late", "garbled"))
                if fate == "late":
                    self._postpone(now + self._rng.uniform(0.2, 2.0))
                    break
                self._events.append(LeakedAsLight(chunk.data))
                data = self._garbled(chunk.data) if fate == "garbled" else b""
            else:
                data = chunk.data
            self._chunks.popleft()
            out += data
            if chunk.last and not self._chunks and self._new_baud:
                self._baud_at = chunk.at + self._air(len(chunk.data))
        return out

    def deadline(self) -> float | None:
        """When ``wake`` or ``outgoing`` wants to be called next."""
        times = [self._reader.deadline(), self._baud_at, self._alert_at]
        if self._chunks:
            times.append(self._chunks[0].at)
        if self._waiting:
            times.append(self._ready_at)
        return min((time for time in times if time is not None), default=None)

    def wake(self, now: float) -> None:
        """Time has passed."""
        self._settle_baud(now)
        self._take(self._reader.wake(now), now)
        self._serve(now)
        self._settle_baud(now)
        if self._alert_at is not None and now >= self._alert_at:
            self._ring(now)

    def _settle_baud(self, now: float) -> None:
        if self._baud_at is not None and now >= self._baud_at:
            self.baud, self._new_baud, self._baud_at = self._new_baud, 0, None
            self._events.append(BaudChanged(self.baud))

    # ---- receiving ----
    def _take(self, items: list[Item], now: float) -> None:
        for item in items:
            match item:
                case Noise(reason, data):
                    self._drop(reason, data)
                case Body() if len(self._waiting) < _MAX_WAITING:
                    self._waiting.append(item)
                    self._quiet_until = now + _ALERT_S
                    if self._alert_at is not None:
                        self._alert_at = max(self._alert_at, self._quiet_until)
                case Body(data):
                    self._drop("too many requests at once", data)
                case _:
                    pass  # two zero bytes between frames: clients in the field send them

    def _serve(self, now: float) -> None:
        while self._waiting and now >= self._ready_at:
            body = self._waiting.popleft()
            if self._serve_one(body.data, body.guessed, now):
                self._ready_at = now + self.interval_s

    def _serve_one(self, body: bytes, guessed: bool, now: float) -> bool:
        """Answers a frame; False if it deserved no answer."""
        may_be_tls = self.tls and _looks_like_tls(body)
        if may_be_tls:
            self._serve_tls(body, now)
            return True
        opened = open_request(body, self._current_keys())
        if opened is None:
            if guessed:
                self._drop("the inside of a damaged frame", body)
                return False
            if self.tls and body[0] in (Code.TLS_HANDSHAKE, Code.TLS_HANDSHAKE_CONTINUED, Code.TLS_TABLE):
                self._end_session("a frame that holds no TLS records")
                self._refuse(Code.ERROR, "a frame that holds no TLS records", bytes([Code.ERROR]), now)
            else:
                # Which key, if any, signs a 0B is not known (unverified): this one is not signed, only as long as
                # others.
                self._refuse(
                    Code.AUTHENTICATION_FAILED, "no key fits", bytes([Code.AUTHENTICATION_FAILED]) + bytes(8), now
                )
            return True
        exchange = opened.exchange
        if self.demand_tls or self.tls_up:
            reason = "TLS is demanded" if self.demand_tls else "a TLS session is up"
            self._refuse(Code.TLS_NO_SESSION, reason, bytes([Code.TLS_NO_SESSION]), now)
            return True
        wanted = (self._last + 1) & _MASK
        if (exchange.sequence - wanted) & _MASK >= WINDOW:
            message = bytes([Code.INVALID_SEQUENCE]) + wanted.to_bytes(4, "big")
            self._refuse(
                Code.INVALID_SEQUENCE, "sequence number outside the window", exchange.response_body(message), now
            )
            return True
        self._accept(exchange.sequence)
        response = self._call(exchange.message, opened.access, now, MAX_RESPONSE_RC4)
        mode = "rc4-encrypted" if exchange.encrypted else "rc4"
        self._served(RequestServed(exchange.message, response, opened.access, mode))
        self._send(exchange.response_body(response), now)
        return True

    def _serve_tls(self, body: bytes, now: float) -> None:
        code, records = body[0], body[1:]
        if code == Code.TLS_END:
            self._end_session("the client ended it")
            self._send(bytes([Code.OK]), now)
            return
        if code == Code.TLS_HANDSHAKE:
            self._end_session("a new handshake")
            self._session = TlsServer(self._psk, self._rng.randbytes)
        session = self._session
        if session is None or session.established != (code == Code.TLS_TABLE):
            self._end_session("a frame out of order")
            self._refuse(Code.TLS_NO_SESSION, "no TLS session", bytes([Code.TLS_NO_SESSION]), now)
            return
        try:
            answer = session.open(records) if session.established else session.receive(records)
            if session.unfinished or not answer:
                raise DecodeError("not a whole flight in one frame", floor="mep", struct="TlsFrame")
        except Error as error:
            self._end_session(error.message)
            # 03 also for a Finished that does not verify: that is how a wrong key shows (guide p. 13).
            wrong_key = isinstance(error, NoKey) or code == Code.TLS_HANDSHAKE_CONTINUED
            refusal = Code.NOT_PERMITTED if wrong_key else Code.ERROR
            self._refuse(refusal, error.message, bytes([refusal]), now)
            return
        if code == Code.TLS_TABLE:
            response = self._call(answer, self._session_access, now, MAX_RESPONSE_TLS)
            self._served(RequestServed(answer, response, self._session_access, "tls"))
            answer = session.seal(response)
        elif session.established:
            self._events.append(TlsEstablished(session.identity or b""))
        self._send(bytes([Code.OK]) + answer, now)

    def _psk(self, identity: bytes) -> bytes | None:
        access = _ACCESS_BY_KEY_ID.get(identity[2]) if len(identity) == 3 else None
        key = self._keys(access) if access else None
        if access is None or key is None:
            return None
        self._session_access = access
        return key16(key)

    def _current_keys(self) -> dict[str, bytes]:
        found = {access: self._keys(access) for access in ("MAK", "MBK")}
        return {access: key16(key) for access, key in found.items() if key is not None}

    def _call(self, message: bytes, access: str, now: float, longest: int) -> bytes:
        response = self._handle(message, access, now)
        # More than a frame holds cannot be answered; what a meter does then is not said anywhere (project choice: 04).
        return response if 0 < len(response) <= longest else bytes([Code.NOT_POSSIBLE])

    def _end_session(self, reason: str) -> None:
        if self._session is not None:
            if self._session.established or self._session.closed:
                self._events.append(TlsEnded(reason))
            self._session = None

    # ---- sending ----
    def _accept(self, number: int) -> None:
        self._last = number
        self._events.append(SequenceAccepted(number))

    def _served(self, event: RequestServed) -> None:
        self.served += 1
        self._events.append(event)

    def _refuse(self, code: int, reason: str, body: bytes, now: float) -> None:
        self.refused += 1
        self._events.append(RequestRefused(code, reason))
        self._send(body, now)

    def _drop(self, reason: str, data: bytes) -> None:
        self.dropped += 1
        if len(self._events) < _MAX_EVENTS:
            self._events.append(Dropped(reason, data[:_MAX_DATA_IN_EVENT]))

    def _air(self, size: int) -> float:
        return size * 10 / self.baud

    def _send(self, body: bytes, now: float) -> None:
        frame = framed(body)
        assert len(body) <= MAX_BODY
        self._baud_at = None  # a new rate waits for this response, see ``outgoing``
        at = max(now, self._line_free if self._chunks else now)
        size = _PAUSE_AFTER if self.pauses else len(frame)
        for start in range(0, len(frame), size):
            part = frame[start : start + size]
            self._chunks.append(_Chunk(at, part, start + size >= len(frame)))
            self._line_free = at + self._air(len(part))
            at = self._line_free + _PAUSE_S

    def _postpone(self, at: float) -> None:
        delay = at - self._chunks[0].at
        self._chunks = deque(_Chunk(chunk.at + delay, chunk.data, chunk.last) for chunk in self._chunks)

    def _garbled(self, data: bytes) -> bytes:
        return bytes(octet ^ (1 << self._rng.randrange(8)) if self._rng.random() < 0.3 else octet for octet in data)

    def _ring(self, now: float) -> None:
        wanted = self._alert() if self._alert is not None else self._alert_on
        if wanted and not self._chunks and not self._muted:
            self.alerts += 1
            self._chunks.append(_Chunk(now, ALERT, True))
        self._alert_at = now + _ALERT_S if wanted or self._alert is not None else None


def _looks_like_tls(body: bytes) -> bool:
    """Whether a frame is one of TLS mode. An encrypted request of RC4 mode may begin with any byte."""
    code = body[0]
    if code == Code.TLS_END:
        return len(body) == 2
    if code not in (Code.TLS_HANDSHAKE, Code.TLS_HANDSHAKE_CONTINUED, Code.TLS_TABLE):
        return False
    at = 1
    while at + 5 <= len(body) and body[at] in (20, 21, 22, 23) and body[at + 1] == 3:
        at += 5 + int.from_bytes(body[at + 3 : at + 5], "big")
    return len(body) > 1 and at == len(body)
