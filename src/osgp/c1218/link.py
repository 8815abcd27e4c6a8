"""The link of the optical port: packets, ACK and NAK, toggle, duplicates, repetitions and time-outs. One machine, both sides.

Rules: ``spec/optical.md`` sections 2–5, 12, 14. The two sides differ in three points only: a client waits for an answer
after its message, takes 00 for an ACK, and drops a packet that comes where an ACK was due; a server repeats its last
response when the request comes again, and takes a new request for the ACK it still waits for.

Why a duplicate is answered again: our ACK and the response may both be lost; a client then repeats the very same packet and
expects ACK *and* response. The request itself is never handed up twice, so a write happens at most once. A duplicate that
began before our response had left is not answered again: nobody can have missed that response yet (project choice). Every
response more than needed is one that may come late and be taken for the next one's (see ``stale``).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from osgp.c1218.events import (
    ChannelTimedOut,
    Dropped,
    EchoSeen,
    Event,
    MessageReceived,
    MessageSent,
    MessageSpoiled,
    TransactionFailed,
)
from osgp.c1218.packet import ACK, NAK, OVERHEAD, Packet, PacketReader, Token, TokenKind, capacity, split
from osgp.wire.errors import LocalProtocolError

__all__ = ["Link", "LinkTimers", "Phase"]

_EVENTS_KEPT = 256
_PATIENCE_S = 1.0  # for a line that is never silent: then we speak into it


@dataclass(frozen=True, slots=True)
class LinkTimers:
    """Times in seconds (spec/optical.md 4).

    ``response_s`` to an ACK or to an answer; ``intercharacter_s`` between bytes of a packet; ``traffic_s`` without a valid
    packet ends the session; ``retries`` after the first try; ``turn_round_s`` of silence before we speak; ``gap_s`` between
    two things that we say in a row (an ACK, then a packet).
    """

    response_s: float = 2.0
    intercharacter_s: float = 0.5
    traffic_s: float = 6.0
    retries: int = 3
    turn_round_s: float = 0.020
    gap_s: float = 0.020


class Phase(Enum):
    """What the link waits for."""

    IDLE = "idle"
    AWAIT_ACK = "await ack"
    AWAIT_ANSWER = "await answer"


class _Kind(Enum):
    PACKET = 1
    SINGLE = 2
    RAW = 3


@dataclass(slots=True)
class _Item:
    due: float
    data: bytes
    kind: _Kind


class Link:
    """One end of an optical line. The five verbs, and ``send``, ``reset``, ``await_answer``, ``extend``.

    ``packet_size`` (bytes, header and CRC included), ``packets`` (of one message) and ``baud`` are set by the session after
    negotiation. ``counters`` counts what happened by name. ``lose_next``: treat the next good packet as damaged (a shared
    UART that was with MEP). ``several``: the last message came in several packets; ``unexpected``: so many packets came that
    were neither the next one nor the last one again (see ``stale`` for what they tell). Memory: at most one packet, one
    message in each direction and some hundred events.
    """

    def __init__(self, *, client: bool, timers: LinkTimers | None = None, baud: int = 9600) -> None:
        self.client = client
        self.timers = timers or LinkTimers()
        self.baud = baud
        self.packets = 1
        self.lose_next = False
        self.bytes_in = 0
        self.several = False
        self.unexpected = 0
        self.counters: dict[str, int] = {}
        self.echo = False
        self.traffic_s = self.timers.traffic_s
        self.last_traffic = 0.0
        self.active = False
        self._reader = PacketReader()
        self._packet_size = 64
        self._events: deque[Event] = deque()
        self._out: deque[_Item] = deque()
        self._free_at = float("-inf")
        self._last_rx = float("-inf")
        self._echo_queue = bytearray()
        self._last_packet = b""
        self._characters_until: float | None = None
        self._nak_due: float | None = None
        self._forget(0)

    def _forget(self, toggle: int) -> None:
        self.phase = Phase.IDLE
        self._toggle = self._first_toggle = toggle
        self._accepted: tuple[int, int] | None = None
        self._complete = False
        self._parts = bytearray()
        self._next_part: int | None = None
        self._spoiled = ""
        self._current: list[bytes] = []
        self._index = 0
        self._attempts = 0
        self._naks = 0
        self._sent = False
        self._wants_answer = False
        self._timer: float | None = None

    # ---- settings -------------------------------------------------------------------------------------------------
    @property
    def packet_size(self) -> int:
        """Largest packet in bytes, both directions."""
        return self._packet_size

    @packet_size.setter
    def packet_size(self, size: int) -> None:
        self._packet_size = size
        self._reader.limit = size

    @property
    def capacity(self) -> int:
        """Bytes of the longest message."""
        return capacity(self._packet_size, self.packets)

    @property
    def attempts(self) -> int:
        """How often the last packet of our message was sent: above 1, the peer may have acted on it unheard."""
        return self._attempts

    @property
    def heard_at(self) -> float:
        """When the last byte came, in seconds; minus infinity if none ever did."""
        return self._last_rx

    @property
    def quiet(self) -> bool:
        """Everything that was to be said has been handed out."""
        return not self._out

    def reset(self, *, toggle: int = 0) -> None:
        """A new session: forget messages, toggles and what lies in the buffers; sizes go back to 64 bytes, one packet."""
        self._forget(toggle)
        self._reader.reset()
        self._out.clear()
        self._echo_queue.clear()
        self._characters_until = None
        self._nak_due = None
        self.packet_size = 64
        self.packets = 1
        self.traffic_s = self.timers.traffic_s
        self.active = False

    def forget_duplicates(self) -> None:
        """The session is over: the same packet is a new one from now on."""
        self._accepted = None
        self._complete = False

    def extend(self, seconds: float) -> None:
        """Allow ``seconds`` without traffic (wait service), until the next message."""
        self.traffic_s = max(self.timers.traffic_s, seconds)

    # ---- commands -------------------------------------------------------------------------------------------------
    def send(self, message: bytes, now: float, *, not_before: float = 0.0) -> None:
        """Send a message; a client then waits for the answer. LocalProtocolError if it does not fit or one is under way."""
        if self.phase is not Phase.IDLE:
            if self.client:
                raise LocalProtocolError("one message at a time", hint="wait for the answer before the next request")
            self._abandon()
        self._current = split(message, packet_size=self._packet_size, packets=self.packets, toggle=self._toggle)
        self._first_toggle = self._toggle
        self._toggle = (self._toggle + len(self._current)) & 1
        self._wants_answer = self.client
        self._begin(now, not_before)

    def send_raw(self, data: bytes, now: float, *, not_before: float = 0.0) -> None:
        """Bytes that are no packet (wake-up bytes)."""
        self._enqueue(data, _Kind.RAW, max(now, not_before))

    def await_answer(self, now: float) -> None:
        """The message that came was not the answer: wait for another one (client)."""
        if not self.client or self.phase is not Phase.IDLE or not self._current:
            raise LocalProtocolError("no request is open")
        self.phase = Phase.AWAIT_ANSWER
        self._timer = now + self.timers.response_s

    def _begin(self, now: float, not_before: float = 0.0) -> None:
        self._index = 0
        self._attempts = 0
        self._naks = 0
        self._transmit(now, not_before)

    def _transmit(self, now: float, not_before: float = 0.0) -> None:
        self.phase = Phase.AWAIT_ACK
        self._timer = None
        if self._attempts == 0:
            self._sent = False
        self._attempts += 1
        self._enqueue(self._current[self._index], _Kind.PACKET, max(now, not_before))

    def _repeat(self, now: float, why: str) -> None:
        if self._attempts > self.timers.retries:
            self._fail(why)
        else:
            self._count("repeated")
            self._transmit(now)

    def _fail(self, why: str) -> None:
        self._withdraw()
        self.phase = Phase.IDLE
        self._timer = None
        self._spoil()
        self._emit(TransactionFailed(why, self._attempts))

    # ---- the five verbs -------------------------------------------------------------------------------------------
    def receive(self, data: bytes, now: float) -> None:
        """Bytes from the line."""
        self._lapse(now)
        if not data:
            return
        self.bytes_in += len(data)
        self._last_rx = now
        data = self._without_echo(data)
        if self._nak_due is not None:
            self._nak_due = now + self._quiet_s
        for token in self._reader.feed(data):
            self._take(token, now)
        self._characters_until = now + self.timers.intercharacter_s if self._reader.pending else None

    def events(self) -> list[Event]:
        """What happened since the last call."""
        found = list(self._events)
        self._events.clear()
        return found

    def outgoing(self, now: float) -> bytes:
        """Bytes to put on the line now."""
        out = bytearray()
        while self._out and self._due(self._out[0]) <= now:
            item = self._out.popleft()
            out += item.data
            airtime = self._airtime(item.data)
            self._free_at = max(self._free_at, now) + airtime
            if item.kind is _Kind.PACKET:
                self._sent = True
                self._last_packet = item.data
                self._timer = self._free_at + self.timers.response_s
            elif item.data == NAK and self._timer is not None:
                self._timer = self._free_at + self.timers.response_s
        if self.echo:
            if len(self._echo_queue) > 4 * self._packet_size:  # nothing comes back any more
                self._echo_queue.clear()
                self.echo = False
            self._echo_queue += out
        return bytes(out)

    def deadline(self) -> float | None:
        """When ``wake`` is wanted."""
        moments = [self._characters_until, self._nak_due, self._timer]
        if self._out:
            moments.append(self._due(self._out[0]))
        if self.active and self.phase is Phase.IDLE:
            moments.append(self.last_traffic + self.traffic_s)
        return min((moment for moment in moments if moment is not None), default=None)

    def wake(self, now: float) -> None:
        """Time has passed."""
        self._lapse(now)
        if self._nak_due is not None and now >= self._nak_due:
            self._nak_due = None
            self._reader.quiet()
            self._ask_again(now)
        if self._timer is not None and now >= self._timer:
            if self._reader.pending:
                self._timer = now + self.timers.response_s
            else:
                self._on_silence(now)

    # ---- time -----------------------------------------------------------------------------------------------------
    @property
    def _quiet_s(self) -> float:
        return max(self.timers.turn_round_s, 30 / self.baud)

    def _airtime(self, data: bytes) -> float:
        return 10 * len(data) / self.baud if self.timers.turn_round_s or self.timers.gap_s else 0.0

    def _due(self, item: _Item) -> float:
        """Not into the peer's words: some silence first, for a while."""
        return max(item.due, min(self._last_rx + self.timers.turn_round_s, item.due + _PATIENCE_S))

    def _enqueue(self, data: bytes, kind: _Kind, now: float) -> None:
        before = self._out[-1] if self._out else None
        free = before.due + self._airtime(before.data) if before else self._free_at
        due = max(now, free + self.timers.gap_s, self._last_rx + self.timers.turn_round_s)
        self._out.append(_Item(due, data, kind))

    def _lapse(self, now: float) -> None:
        if self._characters_until is not None and now >= self._characters_until:
            self._characters_until = None
            for token in self._reader.flush():
                self._take(token, now)
        if self.active and self.phase is Phase.IDLE and now >= self.last_traffic + self.traffic_s:
            self.active = False
            self.traffic_s = self.timers.traffic_s
            self._spoil()
            self.forget_duplicates()
            self._emit(ChannelTimedOut())

    def _on_silence(self, now: float) -> None:
        self._timer = None
        if self.phase is Phase.AWAIT_ACK:
            self._repeat(now, "no acknowledgement")
        elif self.phase is Phase.AWAIT_ANSWER:
            if self._next_part is not None:
                self._fail("the answer broke off")  # the peer repeats its parts by itself, and has not
            else:
                self._repeat(now, "no answer")

    # ---- what comes in --------------------------------------------------------------------------------------------
    def _take(self, token: Token, now: float) -> None:
        kind = token.kind
        if kind is TokenKind.PACKET and token.packet is not None:
            self._on_packet(token.packet, token.data, now)
        elif kind is TokenKind.ACK or (kind is TokenKind.ZERO and self.client):
            if self.phase is Phase.AWAIT_ACK and self._sent:
                self._count("zero as ack" if kind is TokenKind.ZERO else "ack")
                self.last_traffic = now
                self._acknowledged(now)
            else:
                self._drop("stray acknowledgement", token.data)
        elif kind is TokenKind.NAK:
            self._on_nak(now)
        elif kind is TokenKind.DAMAGED:
            self._drop("damaged packet", token.data)
            self._nak_due = now + self._quiet_s
        else:
            self._drop("noise", token.data)

    def _on_nak(self, now: float) -> None:
        waiting = self.phase is Phase.AWAIT_ACK or (self.phase is Phase.AWAIT_ANSWER and self._next_part is None)
        if waiting and self._sent and not self._unsent():
            self._count("nak")
            self._repeat(now, "refused by NAK")
        else:
            self._drop("stray NAK", NAK)

    def _acknowledged(self, now: float) -> None:
        self._withdraw()
        self._timer = None
        if self._index + 1 < len(self._current):
            self._index += 1
            self._attempts = 0
            self._transmit(now)
            return
        self._emit(MessageSent())
        if self._wants_answer:
            self.phase = Phase.AWAIT_ANSWER
            self._timer = now + self.timers.response_s
        else:
            self.phase = Phase.IDLE

    def _on_packet(self, packet: Packet, raw: bytes, now: float) -> None:
        if raw == self._last_packet:  # requests and answers differ in their first byte: this one is our own
            if not self.echo:
                self.echo = True
                self._emit(EchoSeen())
            self._count("echo")
            return
        if self.lose_next:
            self.lose_next = False
            self._drop("lost while the shared UART was switched over", raw)
            self._nak_due = now + self._quiet_s
            return
        self._nak_due = None
        key = (packet.control.toggle, packet.crc)
        if key == self._accepted:
            self._on_duplicate(raw, now)
            return
        if self.client and self.phase is not Phase.AWAIT_ANSWER:
            self._traffic(now)
            self._acknowledge(now)
            self.unexpected += 1
            self._drop("answer where none was due", raw)
            return
        if self.client and self._accepted is not None and self._accepted[0] == key[0]:
            self._traffic(now)
            self._acknowledge(now)
            self._accepted = None
            self.unexpected += 1
            self.phase = Phase.IDLE
            self._timer = None
            self._spoil()
            self._drop("out of step: same toggle, other CRC", raw)
            self._emit(MessageSpoiled("out of step"))
            return
        if not self.client and self.phase is Phase.AWAIT_ACK:
            if self._sent:
                self._emit(MessageSent())
            self._abandon()
        self._traffic(now)
        self._accepted = key
        self._complete = False
        self._naks = 0
        self._acknowledge(now)
        self._assemble(packet, now)

    def _on_duplicate(self, raw: bytes, now: float) -> None:
        self._traffic(now)
        leaving = not self.client and self.phase is Phase.AWAIT_ACK and now - self._airtime(raw) < self._free_at
        if self._unsent() or leaving:
            self._drop("duplicate, its answer is on the way", raw)
            return
        self._drop("duplicate", raw)
        self._acknowledge(now)
        if self.client:
            if self._timer is not None:
                self._timer = now + self.timers.response_s
        elif self._complete and self._current:
            self._count("answered again")
            self._begin(now)

    def _assemble(self, packet: Packet, now: float) -> None:
        control = packet.control
        if control.first or not control.multi:
            self._spoil()
            self._next_part = packet.sequence if control.multi else 0
            if (packet.sequence >= self.packets and not self.client) or (not control.multi and packet.sequence):
                self._spoiled = f"{packet.sequence + 1} packets where {self.packets} were agreed"
        elif self._next_part is None or packet.sequence != self._next_part:
            self._spoiled = "parts of a message out of order"
        if not self._spoiled:
            self._parts += packet.data
        if packet.sequence:
            self._next_part = packet.sequence - 1
            if self.client:
                self._timer = now + self.timers.traffic_s
            return
        message, spoiled = bytes(self._parts), self._spoiled
        self._spoil()
        self.phase = Phase.IDLE
        self._timer = None
        self._current = [] if not self.client else self._current
        if spoiled:
            self._drop(spoiled, packet.data)
            self._emit(MessageSpoiled(spoiled))
        else:
            self._complete = True
            self.several = bool(control.multi)
            self.traffic_s = self.timers.traffic_s
            self._emit(MessageReceived(message))

    # ---- small things ---------------------------------------------------------------------------------------------
    def _ask_again(self, now: float) -> None:
        if self.client and self.phase is Phase.IDLE:
            return
        self._naks += 1
        if self.client and self._naks > self.timers.retries + 1:
            self._fail("the answer is damaged again and again")
            return
        if any(item.kind is _Kind.SINGLE for item in self._out):
            return
        self._count("nak sent")
        self._enqueue(NAK, _Kind.SINGLE, now)

    def _acknowledge(self, now: float) -> None:
        if any(item.data == ACK for item in self._out):
            return  # whoever does not wait for an ACK needs no second one
        if self._unsent():  # before the packet that waits: the peer expects the ACK first
            self._out.appendleft(_Item(max(now, self._free_at + self.timers.gap_s), ACK, _Kind.SINGLE))
        else:
            self._enqueue(ACK, _Kind.SINGLE, now)

    def _traffic(self, now: float) -> None:
        self.active = True
        self.last_traffic = now

    def _unsent(self) -> bool:
        return any(item.kind is _Kind.PACKET for item in self._out)

    def _withdraw(self) -> None:
        """A packet that waits to be sent is no longer wanted."""
        self._out = deque(item for item in self._out if item.kind is not _Kind.PACKET)

    def _abandon(self) -> None:
        """The peer goes on without our message being acknowledged: it has what we sent, the rest never existed."""
        self._withdraw()
        self._toggle = (self._first_toggle + self._index + self._sent) & 1
        self._current = []
        self.phase = Phase.IDLE
        self._timer = None

    def _spoil(self) -> None:
        self._parts.clear()
        self._next_part = None
        self._spoiled = ""

    def _without_echo(self, data: bytes) -> bytes:
        queue = self._echo_queue
        if not queue:
            return data
        same = 0
        while same < len(data) and same < len(queue) and data[same] == queue[same]:
            same += 1
        if same < len(data) and same < len(queue):
            # No echo any more, or a damaged one. The likeness so far may be chance, all packets begin alike: keep the bytes.
            queue.clear()
            self.echo = False
            return data
        del queue[:same]
        return data[same:]

    def _count(self, what: str) -> None:
        self.counters[what] = self.counters.get(what, 0) + 1

    def _drop(self, reason: str, data: bytes) -> None:
        self._count(reason)
        if len(self._events) < _EVENTS_KEPT:
            self._events.append(Dropped(reason, data[: max(OVERHEAD, self._packet_size)]))

    def _emit(self, event: Event) -> None:
        self._events.append(event)
