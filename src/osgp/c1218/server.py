"""The meter's side of the optical port: states of C12.18, negotiation, logon, security, and the tables behind it.

States: ``spec/optical.md`` section 7, as the table ``TRANSITIONS``; limits of the meter: section 4; what readers in the field
do and a server must bear: section 14. Choices of ours are marked as such.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from osgp.c1218.events import (
    AccessGranted,
    AccessRefused,
    BaudChanged,
    ChannelTimedOut,
    Dropped,
    Event,
    LockedOut,
    LoggedOn,
    MessageReceived,
    MessageSent,
    MessageSpoiled,
    SessionClosed,
    SessionOpened,
)
from osgp.c1218.link import Link, LinkTimers
from osgp.c1218.services import (
    BAUD_RATES,
    KEY_SIZE,
    Baud,
    IdentAnswer,
    Logon,
    Negotiate,
    NegotiateAnswer,
    Security,
    Timing,
    TimingAnswer,
    Wait,
)
from osgp.tables.services import FullRead, PartialRead, Request, ResponseCode, decode_request, encode_response
from osgp.wire.errors import Error, ResponseError

__all__ = ["SERVER_TIMERS", "TRANSITIONS", "Handle", "OpticalServer", "ServerOptions", "ServerState"]

Handle = Callable[[Request, str, float], tuple[int, bytes | None]]
"""``handle(request, access, now)`` → (response code, table data for a read that went well, else None)."""

CheckKey = Callable[[bytes], str | None]
"""``check_key(password of 20 bytes)`` → "MK", "PK", "RK" or None. Compare in constant time."""

SERVER_TIMERS: Final = LinkTimers(gap_s=0.005)
"""20 ms of turn-round suits all readers seen; the response follows its ACK 5 ms later (project choice)."""

_BASE_BAUD: Final = 9600
_OPEN: Final = "open"


class ServerState(Enum):
    """States of section 7."""

    BASE = "base"
    IDENTIFIED = "identified"
    SESSION = "session"


class _Do(Enum):
    """Services as the state table sees them."""

    IDENT = "ident"
    NEGOTIATE = "negotiate"
    TIMING = "timing"
    LOGON = "logon"
    SECURITY = "security"
    TABLE = "read, write"
    WAIT = "wait"
    LOGOFF = "logoff"
    TERMINATE = "terminate"


_S, _D = ServerState, _Do

TRANSITIONS: Final[Mapping[tuple[ServerState, _Do], ServerState]] = {
    (_S.BASE, _D.IDENT): _S.IDENTIFIED,
    (_S.BASE, _D.TERMINATE): _S.BASE,
    (_S.IDENTIFIED, _D.IDENT): _S.IDENTIFIED,
    (_S.IDENTIFIED, _D.NEGOTIATE): _S.IDENTIFIED,
    (_S.IDENTIFIED, _D.TIMING): _S.IDENTIFIED,
    (_S.IDENTIFIED, _D.LOGON): _S.SESSION,
    (_S.IDENTIFIED, _D.TERMINATE): _S.BASE,
    (_S.SESSION, _D.IDENT): _S.IDENTIFIED,  # starts anew: project choice, the standard's answer is unverified
    (_S.SESSION, _D.SECURITY): _S.SESSION,
    (_S.SESSION, _D.TABLE): _S.SESSION,
    (_S.SESSION, _D.WAIT): _S.SESSION,
    (_S.SESSION, _D.LOGOFF): _S.IDENTIFIED,
    (_S.SESSION, _D.TERMINATE): _S.BASE,
}
"""(state, service) → state after a service that went well; a pair that is not here is answered with 0A (isss)."""


@dataclass(slots=True)
class ServerOptions:
    """What the meter's configuration decides; may be changed while it runs.

    ``max_packet_size`` (bytes), ``max_packets``, ``bauds``: the most that negotiate grants. ``session_limit_s``: cut a session
    after so long (0: never) and stay deaf for ``deaf_s`` (600 and 300 where it is enabled). ``wrong_keys_allowed`` in a row,
    then locked for ``lock_s`` (0: never). ``port_on``: ET55 A+41 bit 1. ``first_packet_lost``: generation 2 and 3, the UART
    belongs to MEP until an EE comes. ``timing``: whether service 71 is offered.
    """

    max_packet_size: int = 1024
    max_packets: int = 128
    bauds: tuple[int, ...] = tuple(BAUD_RATES.values())
    session_limit_s: float = 0.0
    deaf_s: float = 300.0
    wrong_keys_allowed: int = 0
    lock_s: float = 0.0
    port_on: bool = True
    first_packet_lost: bool = False
    timing: bool = False
    version: int = 2
    revision: int = 0


class OpticalServer:
    """A meter's optical port as a machine: the five verbs, and ``mute``. Requests go to ``handle``, answers come out.

    Events: ``SessionOpened`` when a client identifies itself (a shared UART is optical from here on), ``SessionClosed``,
    ``LoggedOn``, ``AccessGranted``, ``AccessRefused``, ``LockedOut``, ``BaudChanged``, ``Dropped``, ``EchoSeen``.
    """

    def __init__(
        self,
        handle: Handle,
        check_key: CheckKey,
        *,
        options: ServerOptions | None = None,
        timers: LinkTimers | None = None,
    ) -> None:
        self.options = options or ServerOptions()
        self.link = Link(client=False, timers=timers or SERVER_TIMERS)
        self.link.lose_next = self.options.first_packet_lost
        self.state = ServerState.BASE
        self.access = _OPEN
        self.user_id = 0
        self._handle = handle
        self._check_key = check_key
        self._events: deque[Event] = deque()
        self._began: float | None = None
        self._deaf_until = float("-inf")
        self._locked_until = float("-inf")
        self._wrong = 0
        self._after: Callable[[], None] | None = None

    # ---- commands -------------------------------------------------------------------------------------------------
    def mute(self, seconds: float, now: float, reason: str = "port locked") -> None:
        """Cut the session and hear nothing for ``seconds`` (tier switch: 8 s; session timer)."""
        self._deaf_until = max(self._deaf_until, now + seconds)
        self._to_base(reason)

    # ---- the five verbs -------------------------------------------------------------------------------------------
    def receive(self, data: bytes, now: float) -> None:
        """Bytes from the line."""
        self._expire(now)
        if not self.options.port_on or now < self._deaf_until:
            return
        self.link.receive(data, now)
        self._follow(now)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        found = list(self._events)
        self._events.clear()
        return found

    def outgoing(self, now: float) -> bytes:
        """Bytes to put on the line now."""
        return self.link.outgoing(now)

    def deadline(self) -> float | None:
        """When ``wake`` is wanted."""
        moments = [self.link.deadline()]
        if self._began is not None and self.options.session_limit_s:
            moments.append(self._began + self.options.session_limit_s)
        return min((moment for moment in moments if moment is not None), default=None)

    def wake(self, now: float) -> None:
        """Time has passed."""
        self._expire(now)
        self.link.wake(now)
        self._follow(now)

    # ---- time -----------------------------------------------------------------------------------------------------
    def _expire(self, now: float) -> None:
        limit = self.options.session_limit_s
        if self._began is not None and limit and now >= self._began + limit:
            self.mute(self.options.deaf_s, now, "session timer")
        if not self.options.port_on and self._began is not None:
            self._to_base("port switched off")

    def _to_base(self, reason: str) -> None:
        self._after = None
        self.link.reset()
        self.link.lose_next = self.options.first_packet_lost
        self._rest(reason)

    def _terminated(self) -> None:
        """The answer to terminate has arrived; perhaps the next ident came in place of its ACK, and that must live on."""
        self.link.packet_size, self.link.packets = 64, 1
        self.link.forget_duplicates()
        self.link.lose_next = self.options.first_packet_lost and self.link.quiet
        self._rest("terminated")

    def _rest(self, reason: str) -> None:
        if self.link.baud != _BASE_BAUD:
            self.link.baud = _BASE_BAUD
            self._events.append(BaudChanged(_BASE_BAUD))
        self.state = ServerState.BASE
        self.access = _OPEN
        if self._began is not None:
            self._began = None
            self._events.append(SessionClosed(reason))

    # ---- what the link says ---------------------------------------------------------------------------------------
    def _follow(self, now: float) -> None:
        for event in self.link.events():
            match event:
                case MessageReceived(data):
                    self._after = None
                    self.link.send(self._answer(data, now), now)
                case MessageSpoiled():
                    self._after = None
                    self.link.send(bytes([ResponseCode.ERR]), now)
                case MessageSent():
                    after, self._after = self._after, None
                    if after is not None:
                        after()
                case ChannelTimedOut():
                    self._to_base("channel traffic time-out")
                case Dropped() if len(self._events) >= 256:
                    pass
                case _:
                    self._events.append(event)

    def _answer(self, message: bytes, now: float) -> bytes:
        code = message[0] if message else -1
        do = _service(code)
        if do is None:
            return bytes([ResponseCode.SNS])
        if do is _Do.TIMING and not self.options.timing:
            return bytes([ResponseCode.SNS])
        following = TRANSITIONS.get((self.state, do))
        if following is None:
            return bytes([ResponseCode.ISSS])
        try:
            answer = self._serve(do, message, now)
        except ResponseError as error:
            answer = bytes([error.code if 0 < error.code <= 0xFF else ResponseCode.ERR])
        except Error:
            answer = bytes([ResponseCode.ERR])
        if answer[0] == ResponseCode.OK or do is _Do.SECURITY:
            self.state = following
        return answer

    def _serve(self, do: _Do, message: bytes, now: float) -> bytes:
        match do:
            case _Do.TABLE:
                return self._table(message, now)
            case _Do.IDENT:
                return self._ident(now)
            case _Do.NEGOTIATE:
                return self._negotiate(Negotiate.decode(message))
            case _Do.TIMING:
                return self._timing(Timing.decode(message))
            case _Do.LOGON:
                logon = Logon.decode(message)
                self.user_id = logon.user_id
                self.access = _OPEN
                self._events.append(LoggedOn(logon.user_id, str(logon.user)))
            case _Do.SECURITY:
                return self._security(Security.decode(message).password, now)
            case _Do.WAIT:
                self.link.extend(Wait.decode(message).seconds)
            case _Do.LOGOFF:
                self.access = _OPEN
            case _Do.TERMINATE:
                self._after = self._terminated
        return bytes([ResponseCode.OK])

    def _ident(self, now: float) -> bytes:
        if self._began is not None:
            self._events.append(SessionClosed("identified anew"))
        self._began = now
        self.access = _OPEN
        self.link.packet_size, self.link.packets = 64, 1
        self._events.append(SessionOpened(version=self.options.version, revision=self.options.revision))
        return IdentAnswer(version=self.options.version, revision=self.options.revision).encode()

    def _negotiate(self, asked: Negotiate) -> bytes:
        options = self.options
        if asked.packet_size < 16 or asked.packets < 1:
            return bytes([ResponseCode.ERR])
        size = min(asked.packet_size, options.max_packet_size)
        packets = min(asked.packets, options.max_packets)
        answer = NegotiateAnswer(packet_size=size, packets=packets, baud=None)
        baud: int | None = None
        if asked.service != 0x60:
            rates = [BAUD_RATES[code] for code in map(int, asked.bauds) if BAUD_RATES.get(code) in options.bauds]
            baud = max(rates, default=self.link.baud)
            answer.baud = next(Baud(code) for code, rate in BAUD_RATES.items() if rate == baud)

        def agreed() -> None:
            self.link.packet_size, self.link.packets = size, packets
            if baud is not None and baud != self.link.baud:
                self.link.baud = baud
                self._events.append(BaudChanged(baud))

        self._after = agreed
        return answer.encode()

    def _timing(self, asked: Timing) -> bytes:
        """The values asked for come back, but only the traffic limit is kept, until the next message (unverified)."""
        return TimingAnswer(
            traffic_s=asked.traffic_s,
            intercharacter_s=asked.intercharacter_s,
            response_s=asked.response_s,
            retries=asked.retries,
        ).encode()

    def _security(self, password: bytes, now: float) -> bytes:
        options = self.options
        self.access = _OPEN
        if now < self._locked_until:
            self._events.append(AccessRefused(self._wrong))
            return bytes([ResponseCode.ISC])
        access = self._check_key(password[:KEY_SIZE])
        if access is not None:
            self._wrong = 0
            self.access = access
            self._events.append(AccessGranted(access))
            return bytes([ResponseCode.OK])
        self._wrong += 1
        self._events.append(AccessRefused(self._wrong))
        if options.wrong_keys_allowed and options.lock_s and self._wrong >= options.wrong_keys_allowed:
            self._wrong = 0
            self._locked_until = now + options.lock_s
            self._events.append(LockedOut(options.lock_s))
        return bytes([ResponseCode.ISC])

    def _table(self, message: bytes, now: float) -> bytes:
        request = decode_request(message, checksum=True)
        if isinstance(request, FullRead):
            request = FullRead(request.table)
        code, data = self._handle(request, self.access, now)
        if code != ResponseCode.OK or not isinstance(request, FullRead | PartialRead):
            return bytes([code])
        answer = encode_response(code, data or b"", checksum=True)
        if len(answer) > self.link.capacity:
            return bytes([ResponseCode.ONP])  # the client must negotiate more, or read in parts (code unverified)
        return answer


def _service(code: int) -> _Do | None:
    if 0x60 <= code <= 0x6B:
        return _Do.NEGOTIATE
    return {
        0x20: _Do.IDENT,
        0x21: _Do.TERMINATE,
        0x30: _Do.TABLE,
        0x3F: _Do.TABLE,
        0x40: _Do.TABLE,
        0x4F: _Do.TABLE,
        0x50: _Do.LOGON,
        0x51: _Do.SECURITY,
        0x52: _Do.LOGOFF,
        0x70: _Do.WAIT,
        0x71: _Do.TIMING,
    }.get(code)
