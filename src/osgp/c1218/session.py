"""The client of the optical port: identifies itself, negotiates, logs on, asks, keeps the session, leaves in time.

States and transitions are the table in ``states``; the documentation draws it. Sequence: ``spec/optical.md`` sections 6–8
and the usual sequence of readers. What is done about answers that are older than their request: ``stale``. Everything marked
project choice below is ours.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from osgp.c1218.events import (
    AnswerReceived,
    BaudChanged,
    ChannelTimedOut,
    Dropped,
    Event,
    MessageReceived,
    MessageSent,
    MessageSpoiled,
    OpenFailed,
    RequestFailed,
    SessionClosed,
    SessionOpened,
    TransactionFailed,
)
from osgp.c1218.link import Link, LinkTimers
from osgp.c1218.packet import capacity
from osgp.c1218.services import (
    BAUD_RATES,
    USER_SIZE,
    IdentAnswer,
    Logoff,
    Logon,
    Negotiate,
    NegotiateAnswer,
    Security,
    Terminate,
    Wait,
    baud_code,
    pad_key,
)
from osgp.c1218.services import Ident as IdentRequest
from osgp.c1218.stale import KNOWN, QUIET_S, UNKNOWN, Step, like_table_answer
from osgp.c1218.states import TRANSITIONS, ClientState, Outcome
from osgp.c1218.trouble import (
    PossiblyExecuted,
    cannot_match,
    nothing_heard,
    only_older_answers,
    strange_answer,
    write_in_doubt,
    wrong_key,
)
from osgp.tables.services import ResponseCode, response_error
from osgp.wire.errors import (
    ConfigError,
    DecodeError,
    Error,
    LocalProtocolError,
    NoAnswer,
    PortClosed,
    RemoteProtocolError,
)

__all__ = ["TRANSITIONS", "ClientState", "OpticalClient", "Outcome", "PossiblyExecuted"]

_BASE_BAUD: Final = 9600
_WAKE_PAUSE_S: Final = 0.05  # after wake-up bytes (field practice)
_RESYNC_S: Final = 0.5  # silence after a failure before the next ident (project choice: one inter-character time)
_EVENTS_KEPT: Final = 256
_SMALLEST: Final = 21  # the security request must fit
_SMALLEST_PACKET: Final = 16
_BORNE: Final = 32  # answers to something else that one question bears (project choice)
_SESSION_OVER: Final = (ResponseCode.ISSS, ResponseCode.RNO)
_MARGIN_S: Final = 0.5  # we take the channel for lost so long before the meter does (project choice)


@dataclass(slots=True)
class _Wish:
    """What open() was given; the key is kept out of sight."""

    user_id: int
    user: str
    key: bytes = field(repr=False)
    packet_size: int
    packets: int
    baud: int


@dataclass(slots=True)
class _Request:
    message: bytes
    read: bool
    repeats: int = 1


class OpticalClient:
    """A reader's side of the optical port, as a machine: the five verbs, and ``open``, ``request``, ``close``, ``abort``.

    Events for the shell: ``SessionOpened`` or ``OpenFailed(error)`` after ``open``; ``AnswerReceived(data)`` or
    ``RequestFailed(error)`` after ``request``; ``SessionClosed(reason, reopen)``; ``BaudChanged``; ``EchoSeen``; ``Dropped``.
    Answers are handed over when our ACK of them has left: a blocking shell may stop listening there.

    A request in a session that has ended meanwhile (channel time-out, session limit, the meter says 0A or 09) opens a new
    session by itself. A read without an answer is tried once more in a new session; a write never is, because nobody knows
    whether it was done (project choices).

    No answer is taken for the answer to a later request: where the line went wrong so that this could happen, the client first
    finds the step again (state ``MATCHING``, see ``stale``), which costs nothing on a line that does not (project choice).

    ``wake_bytes``: so many 55 before ident. ``session_limit_s``: log off before the meter's session timer (600 s) cuts us.
    ``keep_alive_s``: if not 0, hold an idle session by the wait service, in steps of so many seconds (at most 255).
    """

    def __init__(
        self,
        *,
        timers: LinkTimers | None = None,
        wake_bytes: int = 0,
        session_limit_s: float = 540.0,
        keep_alive_s: int = 0,
    ) -> None:
        if not 0 <= keep_alive_s <= 255:
            raise ConfigError("the wait service takes 1 to 255 seconds", hint="0 turns keep-alive off")
        self.link = Link(client=True, timers=timers)
        self.state = ClientState.CLOSED
        self.wake_bytes = wake_bytes
        self.session_limit_s = session_limit_s
        self.keep_alive_s = keep_alive_s
        self.packet_size = 64
        self.packets = 1
        self.sessions = 0
        self.identity: IdentAnswer | None = None
        self._wish: _Wish | None = None
        self._request: _Request | None = None
        self._events: deque[Event] = deque()
        self._held: list[Event] = []  # news that wait until our ACK has left: then the shell may stop listening
        self._failure: Error | None = None
        self._closing = ""
        self._reopen = False
        self._opened_at = 0.0
        self._new_baud: int | None = None
        self._said_goodbye = False
        self._not_before = 0.0
        self._heard = 0
        self._waits = True
        self._step_held = Step()
        self._opening = False
        self._starts = 0
        self._last = b""
        self._unexpected = 0
        self._borne = 0
        self._said: int | None = None

    # ---- commands -------------------------------------------------------------------------------------------------
    def open(
        self,
        user_id: int = 1,
        user: str = "",
        key: bytes | None = None,
        packet_size: int = 64,
        packets: int = 2,
        baud: int = _BASE_BAUD,
        *,
        now: float,
    ) -> None:
        """Begin a session. ``key``: password of up to 20 bytes, None for none (then only BT00, BT01 and ET03 can be read).

        ``packet_size`` in bytes (header and CRC included) and ``packets`` per message are asked for; the meter may give
        less. Raises ConfigError (values that no packet can carry), LocalProtocolError (a session is under way).
        """
        if not 0 <= user_id <= 0xFFFF or not user.isascii() or len(user) > USER_SIZE:
            raise ConfigError(f"user ID 0–65535 and at most {USER_SIZE} plain characters of user name")
        if not _SMALLEST_PACKET <= packet_size <= 0xFFFF or not 1 <= packets <= 255:
            raise ConfigError(
                f"cannot negotiate {packets} packets of {packet_size} bytes", hint="16–65535 bytes and 1–255 packets"
            )
        baud_code(baud)
        if self.state is not ClientState.CLOSED:
            raise LocalProtocolError(f"open() while {self.state.value}", hint="close() the session first")
        self._wish = _Wish(user_id, user, pad_key(key) if key else b"", packet_size, packets, baud)
        self._start(now)

    def request(self, message: bytes, read: bool, *, now: float) -> None:
        """Send a table request (with table checksum). ``read``: it only reads, so it may be repeated in a new session.

        Raises LocalProtocolError: never opened, a request is under way, or too long for what was negotiated.
        """
        if self._wish is None:
            raise LocalProtocolError("no session was ever opened", hint="call open() first")
        if self._request is not None:
            raise LocalProtocolError("one request at a time")
        if self.state is ClientState.OPEN and len(message) > self.link.capacity:
            raise LocalProtocolError(
                f"{len(message)} bytes do not fit {self.packets} packets of {self.packet_size} bytes",
                hint="write in parts, or negotiate more packets",
            )
        self._request = _Request(message, read)
        if self.state is ClientState.OPEN and now >= self._lapses_at():  # a shell that listens only when it asks
            self._lapsed()
        if self.state is ClientState.OPEN and now >= self._opened_at + self.session_limit_s:
            self._leave("session limit", True, now)
        elif self.state is ClientState.OPEN:
            self._ask(now)
        elif self.state is ClientState.CLOSED:
            self._start(now)

    def close(self, *, now: float) -> None:
        """Log off and terminate; ``SessionClosed`` follows. In a closed session nothing happens."""
        if self.state is ClientState.CLOSED:
            return
        if self.state is not ClientState.OPEN:
            raise LocalProtocolError(f"close() while {self.state.value}", hint="wait for the answer, or abort()")
        self._leave("closed", False, now)

    def abort(self, *, now: float) -> None:
        """Forget the session at once, without a word to the meter (a cancelled task, a lost line)."""
        if self.state is not ClientState.CLOSED:
            self._request = None
            self._closing, self._reopen = "aborted", False
            self.state = ClientState.TERMINATING
            self._failure = None
            self._fail(PortClosed("aborted"), "aborted", now, reopen=False)

    def distrust(self) -> None:
        """Somebody else has talked on this line: what comes may be older than this client."""
        self._step_held.doubt(UNKNOWN)

    # ---- the five verbs -------------------------------------------------------------------------------------------
    def receive(self, data: bytes, now: float) -> None:
        """Bytes from the line."""
        self.link.receive(data, now)
        self._follow(now)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        found = list(self._events)
        self._events.clear()
        return found

    def outgoing(self, now: float) -> bytes:
        """Bytes to put on the line now."""
        data = self.link.outgoing(now)
        if self._held and self.link.quiet:
            self._release()
        if self._new_baud is not None and self.link.quiet:
            self._set_baud(self._new_baud)
            self._new_baud = None
            self._enter(self.state, now)
        elif self._said_goodbye and self.link.quiet:
            self._said_goodbye = False
            self._step(Outcome.OK, now)
        return data

    def deadline(self) -> float | None:
        """When ``wake`` is wanted."""
        moments = [self.link.deadline()]
        if self.state is ClientState.OPEN:
            moments.append(self._opened_at + self.session_limit_s)
            moments.append(self._idle_until())
        return min((moment for moment in moments if moment is not None), default=None)

    def wake(self, now: float) -> None:
        """Time has passed."""
        self.link.wake(now)
        self._follow(now)
        if self.state is not ClientState.OPEN:
            return
        if now >= self._opened_at + self.session_limit_s:
            self._leave("session limit", True, now)
        elif now >= self._idle_until():
            if self.keep_alive_s and self._waits:
                self._go(Outcome.KEPT_ALIVE)
                self.link.traffic_s = self.link.timers.traffic_s
                self.link.send(Wait(seconds=self.keep_alive_s).encode(), now)
            else:
                self._lapsed()

    # ---- opening --------------------------------------------------------------------------------------------------
    def _start(self, now: float) -> None:
        self._go(Outcome.OPENED)
        self._failure = None
        self._opening = True
        self._starts += 1
        self.link.reset()
        self._heard = self.link.bytes_in
        self._listen()
        not_before = max(now, self._not_before)
        if self._step_held.helpless:
            not_before = max(not_before, self.link.heard_at + QUIET_S)
            self._step_held.settle()
        elif len(self._last) > 1 and _ident_answer(self._last) is not None:
            self._step_held.doubt(UNKNOWN)  # if the meter says it once more, it passes for the answer to ident
        if self.wake_bytes:
            self.link.send_raw(b"\x55" * self.wake_bytes, now, not_before=not_before)
            not_before += self.wake_bytes * 10 / _BASE_BAUD + _WAKE_PAUSE_S
        self.link.send(IdentRequest().encode(), now, not_before=not_before)

    def _enter(self, state: ClientState, now: float) -> None:
        """Say what is to be said in a state."""
        wish = self._wish
        assert wish is not None
        match state:
            case ClientState.NEGOTIATING:
                negotiate = Negotiate(
                    service=0x61, packet_size=wish.packet_size, packets=wish.packets, bauds=[baud_code(wish.baud)]
                )
                self.link.send(negotiate.encode(), now)
            case ClientState.LOGGING_ON:
                self.link.send(Logon(user_id=wish.user_id, user=wish.user).encode(), now)
            case ClientState.MATCHING:
                self._match(now)
            case ClientState.SECURING:
                self.link.send(Security(password=wish.key).encode(), now)
            case ClientState.OPEN:
                if self._request is not None:
                    self._ask(now)
            case ClientState.LOGGING_OFF:
                self.link.send(Logoff().encode(), now)
            case ClientState.TERMINATING:
                self.link.send(Terminate().encode(), now)
            case ClientState.CLOSED:
                if self._request is not None and self._failure is None:
                    self._start(now)
            case _:
                pass

    def _ask(self, now: float) -> None:
        assert self._request is not None
        if len(self._request.message) > self.link.capacity:
            self._request = None
            text = f"the request does not fit {self.packets} packets of {self.packet_size} bytes"
            self._events.append(RequestFailed(LocalProtocolError(text, hint="write in parts")))
            return
        if self.link.several and self.link.unexpected != self._unexpected:
            self._step_held.doubt(KNOWN)
        if self._step_held.wanted:
            self._go(Outcome.DOUBTED)
            self._match(now)
        else:
            self._send_request(now)

    def _send_request(self, now: float) -> None:
        assert self._request is not None
        self._go(Outcome.REQUESTED)
        self._unexpected = self.link.unexpected
        self.link.traffic_s = self.link.timers.traffic_s
        self.link.send(self._request.message, now)

    # ---- finding the step -----------------------------------------------------------------------------------------
    def _match(self, now: float) -> None:
        self._listen()
        self.link.traffic_s = self.link.timers.traffic_s
        self.link.send(self._step_held.question(self.link.packet_size), now)

    def _on_match(self, data: bytes, now: float) -> None:
        if not self._step_held.answered(data):
            if not self._opening and len(data) == 1 and data[0] in _SESSION_OVER:
                reason = "the meter has ended the session"
                self._fail(self._no_answer(reason, self.link.attempts), reason, now, reopen=True)
            else:
                self._bear(data, now)
        elif self._step_held.wanted:
            self._match(now)
        else:
            self._last = b""
            if self._opening:
                assert self._wish is not None
                self._step(Outcome.OK if self._wish.key else Outcome.OK_NO_KEY, now)
            else:
                self._send_request(now)

    def _listen(self) -> None:
        self._borne = 0
        self._said = None

    def _bear(self, data: bytes, now: float) -> None:
        """This may be the answer to something older: drop it, and wait for ours. A refusal is remembered: it may be ours."""
        self._borne += 1
        if len(data) == 1 and data[0] != ResponseCode.OK:
            self._said = data[0]
        if self._borne > _BORNE:
            self._fail(only_older_answers(self.state.value), "only answers to something else", now, reopen=True)
            return
        if len(self._events) < _EVENTS_KEPT:
            self._events.append(Dropped("answer to something older", data[: self.link.packet_size]))
        self.link.forget_duplicates()
        self.link.await_answer(now)

    @property
    def _wary(self) -> bool:
        """Whether anything older than this session can still come."""
        return self._starts > 1 or self._step_held.wanted > 0

    # ---- what the link says ---------------------------------------------------------------------------------------
    def _follow(self, now: float) -> None:
        for event in self.link.events():
            match event:
                case MessageReceived(data):
                    self._on_message(data, now)
                case MessageSpoiled(reason):
                    self._on_spoiled(reason, now)
                case TransactionFailed(reason, attempts):
                    self._fail(self._no_answer(reason, attempts), reason, now, reopen=True)
                case ChannelTimedOut():
                    if self.state is ClientState.OPEN:
                        self._lapsed()
                case MessageSent():
                    pass
                case Dropped() if len(self._events) >= _EVENTS_KEPT:
                    pass
                case _:
                    self._events.append(event)

    def _on_message(self, data: bytes, now: float) -> None:
        code = data[0] if data else -1
        ok = code == ResponseCode.OK
        match self.state:
            case ClientState.IDENTIFYING:
                self._on_ident(data, now)
            case ClientState.NEGOTIATING:
                self._on_negotiated(data, now)
            case ClientState.LOGGING_ON if self._step_held.wanted:
                if data == bytes([ResponseCode.OK]):
                    self._step(Outcome.DOUBTED, now)
                else:
                    self._bear(data, now)
            case ClientState.LOGGING_ON:
                if not ok:
                    self._refused(response_error(code, "log on"), now)
                    return
                assert self._wish is not None
                self._step(Outcome.OK if self._wish.key else Outcome.OK_NO_KEY, now)
            case ClientState.MATCHING:
                self._on_match(data, now)
            case ClientState.SECURING:
                if not ok:
                    self._refused(wrong_key(code), now)
                    return
                self._step(Outcome.OK, now)
            case ClientState.REQUESTING:
                self._on_answer(data, code, now)
            case ClientState.WAITING:
                if ok:
                    self.link.extend(self.keep_alive_s)
                else:
                    self._waits = False
                self._step(Outcome.OK if ok else Outcome.REFUSED, now)
            case ClientState.LOGGING_OFF:
                self._step(Outcome.OK, now)
            case ClientState.TERMINATING:
                self._said_goodbye = True  # closed as soon as our ACK has left
            case _:
                pass

    def _on_ident(self, data: bytes, now: float) -> None:
        answer = _ident_answer(data)
        if answer is not None:
            self.identity = answer
            self._step(Outcome.OK, now)
        elif data and data[0] in set(ResponseCode) and data[0] != ResponseCode.OK and not self._wary:
            self._refused(response_error(data[0], "ident"), now)
        else:
            self._bear(data, now)  # a late answer out of an older session: ours is still to come

    def _on_negotiated(self, data: bytes, now: float) -> None:
        if not data or data[0] != ResponseCode.OK:
            self._step(Outcome.REFUSED, now)  # 64 bytes, one packet and 9600 baud stay
            return
        try:
            answer = NegotiateAnswer.decode(data)
        except DecodeError as error:
            if self._wary:
                self._bear(data, now)
            else:
                self._fail(strange_answer("negotiate", error), "strange answer", now, reopen=True)
            return
        if self._wary and (like_table_answer(data) or answer.packet_size < _SMALLEST_PACKET):
            self._bear(data, now)
            return
        assert self._wish is not None
        self.packet_size = self.link.packet_size = min(
            max(answer.packet_size, _SMALLEST_PACKET), self._wish.packet_size
        )
        self.packets = self.link.packets = min(max(answer.packets, 1), self._wish.packets)
        if self.link.capacity < _SMALLEST:
            text = f"{self.packets} packets of {self.packet_size} bytes are all the meter grants: too little to log on"
            self._fail(RemoteProtocolError(text), "negotiated to nothing", now, reopen=False)
            return
        baud = BAUD_RATES.get(int(answer.baud), self.link.baud) if answer.baud is not None else self.link.baud
        if baud != self.link.baud:
            self._go(Outcome.OK)
            self._new_baud = baud  # after our ACK has left
        else:
            self._step(Outcome.OK, now)

    def _on_answer(self, data: bytes, code: int, now: float) -> None:
        assert self._request is not None
        if code in _SESSION_OVER:
            # Said to the first sending it means "not done". Said to a repetition it may be that the first one was
            # carried out, its answer lost, and the session ended since: then only a read may be repeated.
            harmless = self._request.read or self.link.attempts == 1
            if self.link.attempts > 1:
                self._step_held.doubt(UNKNOWN)
            if not harmless or self._request.repeats:
                self._go(Outcome.FAILED)
                self._ended("the meter has ended the session", True)
                if harmless:
                    self._request.repeats -= 1
                    self._start(now)
                else:
                    self._failure = write_in_doubt("the session ended before the answer came", self.link.attempts)
                    self._report()
                return
        unexpected = self.link.unexpected != self._unexpected
        if self.link.several and (self.link.attempts > 1 or unexpected):
            self._step_held.doubt(KNOWN)  # the meter may have answered more than once
        if self.link.several and unexpected and data == self._last:
            self._on_spoiled("it may be the answer to the request before", now)
            return
        self._last = data
        self._unexpected = self.link.unexpected
        self._request = None
        self._go(Outcome.OK if code == ResponseCode.OK else Outcome.REFUSED)
        self._held.append(AnswerReceived(data))

    def _on_spoiled(self, reason: str, now: float) -> None:
        request = self._request
        if self.state is ClientState.REQUESTING and request is not None and request.read and request.repeats:
            request.repeats -= 1
            self._step_held.doubt(UNKNOWN)
            self._go(Outcome.DOUBTED)
            self._match(now)
            return
        if self.state is ClientState.MATCHING or (
            self._wary and self.state in (ClientState.IDENTIFYING, ClientState.NEGOTIATING, ClientState.LOGGING_ON)
        ):
            self._bear(b"", now)  # parts of something older
            return
        error: Error = RemoteProtocolError(f"the meter's answer: {reason}")
        if self.state is ClientState.REQUESTING and request is not None and not request.read:
            error = write_in_doubt(reason, self.link.attempts)
        self._fail(error, reason, now, reopen=True)

    # ---- going from state to state --------------------------------------------------------------------------------
    def _go(self, outcome: Outcome) -> None:
        following = TRANSITIONS.get((self.state, outcome))
        if following is None:
            raise LocalProtocolError(f"{outcome.value} while {self.state.value}")
        self.state = following

    def _step(self, outcome: Outcome, now: float) -> None:
        self._go(outcome)
        if self.state is ClientState.OPEN and self._opening:
            self._opening = False
            self._opened_at = now
            self.sessions += 1
            self._waits = True
            self._held.append(
                SessionOpened(
                    self.link.packet_size,
                    self.link.packets,
                    self.link.baud,
                    self.identity.version if self.identity else 0,
                    self.identity.revision if self.identity else 0,
                )
            )
            self.packet_size, self.packets = self.link.packet_size, self.link.packets
        if self.state is ClientState.CLOSED:
            self._ended(self._closing or "refused", self._reopen)
            self._report()
            self._set_baud(_BASE_BAUD)
        self._enter(self.state, now)

    def _leave(self, reason: str, reopen: bool, now: float) -> None:
        self._closing, self._reopen = reason, reopen
        self._step(Outcome.LEFT, now)

    def _refused(self, error: Error, now: float) -> None:
        """The meter said no on the way to a session: leave politely, then tell."""
        self._failure = error
        self._closing, self._reopen = "refused", False
        self._step(Outcome.REFUSED, now)

    def _lapsed(self) -> None:
        self._go(Outcome.LAPSED)
        self._ended("channel traffic time-out", True)
        self._set_baud(_BASE_BAUD)

    def _ended(self, reason: str, reopen: bool) -> None:
        self.link.active = False
        self._closing, self._reopen = "", False
        self._release()
        self._events.append(SessionClosed(reason, reopen))

    def _release(self) -> None:
        self._events += self._held
        self._held.clear()

    def _fail(self, error: Error, reason: str, now: float, *, reopen: bool) -> None:
        """The conversation broke: closed, at the base rate, and silence before the next try."""
        leaving = self.state in (ClientState.LOGGING_OFF, ClientState.TERMINATING)
        request = self._request
        again = request is not None and request.repeats > 0 and reopen
        if self.state is ClientState.MATCHING:
            again = again and not self._opening  # the request has not been sent
        else:
            again = again and self.state is ClientState.REQUESTING and request is not None and request.read
        self.state = ClientState.CLOSED
        self._step_held.doubt(UNKNOWN)
        self.link.reset()
        self._new_baud = None
        self._said_goodbye = False
        self._set_baud(_BASE_BAUD)
        self._not_before = now + _RESYNC_S
        if leaving:
            self._ended(self._closing or reason, self._reopen)
            self._report()
            self._enter(self.state, now)
            return
        self._ended(reason, reopen)
        if again and request is not None:
            request.repeats -= 1
            self._start(now)
            return
        self._failure = error
        self._report()

    def _report(self) -> None:
        """Tell the caller who waits: of a request if there is one, else of open()."""
        error = self._failure
        if error is None:
            return
        if self._request is not None:
            self._request = None
            self._events.append(RequestFailed(error))
        else:
            self._events.append(OpenFailed(error))

    def _set_baud(self, baud: int) -> None:
        if self.link.baud != baud:
            self.link.baud = baud
            self._events.append(BaudChanged(baud))

    def _lapses_at(self) -> float:
        limit = self.link.traffic_s
        return self.link.last_traffic + max(limit - _MARGIN_S, limit / 2)

    def _idle_until(self) -> float:
        """When an idle session wants something done: keep-alive, or to be given up."""
        if not (self.keep_alive_s and self._waits):
            return self._lapses_at()
        limit = self.link.traffic_s
        return self.link.last_traffic + limit - min(2.0, limit / 3)

    def _no_answer(self, reason: str, attempts: int) -> Error:
        if self._said is not None and self._said not in _SESSION_OVER and self.state is ClientState.MATCHING:
            self._step_held.helpless = True
            return cannot_match(self._said)
        if self._said is not None and self.state in (ClientState.IDENTIFYING, ClientState.LOGGING_ON):
            return response_error(self._said, "ident" if self.state is ClientState.IDENTIFYING else "log on")
        if self.state is ClientState.IDENTIFYING:
            return nothing_heard(self.link.bytes_in - self._heard, self.link.echo, attempts)
        if self.state is ClientState.REQUESTING and self._request is not None and not self._request.read:
            return write_in_doubt(reason, attempts)
        return NoAnswer(
            f"{self.state.value}: {reason}",
            attempts=attempts,
            hint="the optical head may have moved; the next call tries anew",
        )

    @property
    def capacity(self) -> int:
        """Message bytes of the longest request or answer as negotiated."""
        return capacity(self.packet_size, self.packets)


def _ident_answer(data: bytes) -> IdentAnswer | None:
    """The answer to ident, or None if it cannot be one. 00 00 01 00 00 is one, though it may be a table's single byte, too."""
    try:
        answer = IdentAnswer.decode(data)
    except DecodeError:
        return None
    strange = answer.code or answer.standard or not answer.features.endswith(b"\0")
    if strange or (len(data) > 5 and like_table_answer(data)):
        return None
    return answer
