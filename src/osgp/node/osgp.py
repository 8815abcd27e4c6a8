"""``OsgpNode``: a device on the power line, joined of a stack, its security, its tables, its topology agent; without I/O.

``spec/osgp-application.md`` 1.2 and section 3; what ETSI TS 104 001 clause 9 and its annexes F and G say could not be read, so the
suite, the agent and the rights of the power line are a project choice (``osgp.app.profile``). It has the five verbs of ``Stack``,
so that a line does not know the difference. Messages of OSGP go to the security; what that accepts is carried out by the device's
table server as at every other door, and the answer goes back sealed. All else (repeating, diagnostics) stays with the stack.

``now`` is monotonic seconds; ``utc_of`` turns it into the true UTC seconds of the meter.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from osgp.app.critical import FULL_WRITE
from osgp.app.device import DeviceSecurity
from osgp.app.events import SecurityEvent
from osgp.app.memory import Memory, StorageError
from osgp.app.messages import Alert
from osgp.app.suite import Address, KeySet
from osgp.app.verdict import Accepted, Answered, Denied, How, Verdict
from osgp.lon.address import SubnetNode, UniqueNodeId, subnet_node
from osgp.lon.configuration import domain_entry
from osgp.lon.entries import DomainEntry, NodeState
from osgp.lon.events import Event, MessageReceived
from osgp.lon.interests import Interests
from osgp.lon.ltep import Service
from osgp.lon.npdu import PduType
from osgp.lon.packet import Packet
from osgp.lon.transport import Options
from osgp.node import osgp_effects as effects
from osgp.node.atm import Agent
from osgp.node.firmware_banks import FirmwareBanks
from osgp.node.link_register import UNHEARD, Heard, Links, heard_in
from osgp.node.meter import Meter
from osgp.node.osgp_alerts import CLASSES, MAX_LEGS, Alerts
from osgp.node.osgp_effects import GROUPS, MODE_AES, MODE_RC4, ROUTE
from osgp.node.osgp_guard import GuardedManagement
from osgp.node.osgp_parts import find
from osgp.node.osgp_status import refresh
from osgp.node.osgp_tables import ALERT_ROUTE, HEARD_ANSWERS, LINK_REGISTER, HereState
from osgp.node.rights import POWER_LINE
from osgp.node.server import Port
from osgp.node.stack import Stack
from osgp.tables.bt.bt00 import BT00
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et55 import ET55
from osgp.tables.events import event_number
from osgp.tables.services import ResponseCode, encode_response
from osgp.tables.table import EXTENDED
from osgp.wire import LTime
from osgp.wire.errors import LocalProtocolError

__all__ = ["OsgpNode", "Suite"]

_SPDU = int(PduType.SPDU)
_APDU = int(PduType.APDU)
_TPDU = int(PduType.TPDU)
_MODE = "mode"
_EVENTS_KEPT = 64
_NEVER = float("-inf")


class Suite(Protocol):
    """What the legacy suite shares with the other one (``osgp.app.legacy.LegacyDevice``)."""

    @property
    def address(self) -> Address:
        """Where the device is while it speaks this suite."""

    @property
    def last_seq(self) -> int:
        """The number of the last request."""

    def events(self) -> list[SecurityEvent]:
        """What happened since the last call."""

    def release(self) -> None:
        """No quarantine any more. Raises StorageError."""

    def receive(self, apdu: bytes, how: How, now: float) -> Verdict:
        """What to do with a message of code 00."""

    def seal_response(self, ticket: Any, plaintext: bytes) -> bytes:
        """The answer to a request."""


class OsgpNode:
    """One device.

    ``security`` makes its security machine out of its memory, now and after every outage. ``memory`` keeps what is the node's own:
    groups, the way of alerts. ``heard`` tells how the frame at work was received; without it everything is heard well. ``legacy``
    makes the broken suite, if this device is to speak it. ``last_gasp``: it can still send one frame when its supply fails.
    ``image_keys``, ``hardware_id``: what firmware images are checked with; None instead of a key: it was invalidated.

    ``stack`` must be ``commissionable`` and managed by a ``GuardedManagement``. Raises ConfigError as ``DeviceSecurity``.
    """

    def __init__(
        self,
        stack: Stack,
        security: Callable[[], DeviceSecurity],
        meter: Meter,
        *,
        memory: Memory,
        utc_of: Callable[[float], float],
        heard: Callable[[], Heard] = lambda: UNHEARD,
        damaged: Callable[[], int] = lambda: 0,
        legacy: Callable[[], Suite] | None = None,
        image_keys: Mapping[int, Ed25519PublicKey | None] | None = None,
        hardware_id: int = 0,
        last_gasp: bool = False,
        now: float = 0.0,
    ) -> None:
        if not isinstance(stack.management, GuardedManagement) or not stack.commissionable:
            raise LocalProtocolError(
                "a device of OSGP needs a commissionable stack with GuardedManagement",
                hint="Stack(configuration, management=GuardedManagement(configuration), commissionable=True)",
            )
        self.stack = stack
        stack.reception.evict = True  # repeats are known by their security
        self.management = stack.management
        self.meter = meter
        self.memory = memory
        self.utc_of = utc_of
        self.heard = heard
        self._make_legacy = legacy
        self.legacy = legacy() if legacy is not None else None
        self.can_gasp = last_gasp
        self.image_keys = dict(image_keys or {})
        self.hardware_id = hardware_id
        self.port = Port("pl")
        self._broadcast = Port("pl", broadcast=True)
        self._insecure = Port("pl")
        """Of the legacy suite: what needs good keys is not done for it."""
        self.links = Links()
        configuration = stack.configuration
        self.agent = Agent(
            configuration.unique_node_id,
            configuration.program_id,
            state=self._here,
            silent=self._silent,
            damaged=damaged,
        )
        self.alerts = Alerts(stack, self._seal_alert, seed=meter.seed)
        self.groups: tuple[int, ...] = ()
        self.mode = MODE_AES if legacy is None else MODE_RC4
        self.sequence = 0
        """ET04.0: number of the last good secured request."""
        self.powered = True
        self.received = self.validated = 0
        self.refused: Counter[str] = Counter()
        self.last_secured = _NEVER
        """When the last good request of the concentrator came, monotonic."""
        self.on_secured: Callable[[], None] = lambda: None
        """A good secured request was answered: a trial of new firmware has passed."""
        self._make_security = security
        self._events: deque[Event] = deque(maxlen=_EVENTS_KEPT)
        self._alternate = False
        self.now = now
        """Of the thing that is happening, monotonic."""
        self._off_revision = 0
        self._active_s = self._inactive_s = 0.0
        self._up_at = now
        self.after_answer: list[Callable[[], None]] = []
        """What is to be done when the request at work has been answered."""
        self.security = security()
        self.agent.code = self.security.profile.codes.atm
        self._probe = bytes((self.agent.code, 1))
        self._load()
        self.attach()
        self.settle_place()
        effects.told(self)

    def _load(self) -> None:
        """What the memory keeps of the node's own."""
        groups = self.memory.load(GROUPS) or b""
        self.groups = tuple(int.from_bytes(groups[n : n + 2], "little") for n in range(0, len(groups) - 1, 2))
        mode = self.memory.load(_MODE)
        if mode:
            self.mode = mode[0] if self.legacy is not None else MODE_AES
        route = self.memory.load(ROUTE) or b""
        if len(route) > 8:
            self.alerts.route(route[8:], 0.0)
            self.alerts.expires = int.from_bytes(route[:8], "little") / 1000

    def attach(self) -> None:
        """Join the tables: also after the meter was restored, which makes them anew."""
        meter, server = self.meter, self.meter.server
        meter.handlers.update(effects.handlers(self))
        server.vet = self._vet
        meter.on_written = lambda number, port: effects.written(self, number, port)
        meter.on_refresh, meter.on_log = self._refresh, self._logged
        image = meter.image
        for number in (HEARD_ANSWERS, LINK_REGISTER):
            image.put(number, b"")
        if ALERT_ROUTE not in image:
            image.put(ALERT_ROUTE, bytes(3 + 2 * MAX_LEGS))
        table: Any = image.decode(BT00)
        bits = bytearray(table.mfg_proc_used)
        for number in meter.handlers:
            place = number - EXTENDED
            if 0 <= place < 8 * len(bits):
                bits[place // 8] |= 1 << place % 8
        table.mfg_proc_used = bytes(bits)
        image.encode(table)
        banks = find(meter, FirmwareBanks)
        if banks is not None:
            banks.install(lambda: self.security.kfw(), self.image_keys, self.hardware_id)
            self.on_secured = banks.confirmed
        self.read_settings()

    def __repr__(self) -> str:
        return f"OsgpNode({self.meter.serial}, {self.security.address or 'not commissioned'})"

    # ---- the five verbs --------------------------------------------------------------------------------------------
    def receive(self, packet: Packet, now: float) -> None:
        """Take a packet, for us or not."""
        if not self.powered:
            return
        self._note(packet, now)
        self.stack.receive(packet, now)
        self._work(now)

    def receive_frame(self, lpdu: bytes, now: float) -> None:
        """Take a frame without CRC that need not be a packet."""
        if not self.powered:
            return
        self._alternate = False
        self.management.heard = UNHEARD
        self.stack.receive_frame(lpdu, now)
        self._work(now)

    def outgoing(self, now: float) -> list[Packet]:
        """Packets for the line, in order."""
        packets = self.stack.outgoing(now)
        for packet in packets:
            pdu, kind = packet.npdu.pdu, packet.npdu.control >> 4 & 3
            if kind == _APDU and pdu[:2] == self._probe:
                self.agent.asked(pdu)
            elif kind == _TPDU and pdu[1:3] == self._probe:  # repeated, behind its header
                self.agent.asked(pdu[1:])
        return packets

    def events(self) -> Sequence[Event]:
        """What the stack told that is nobody's affair here; the last 64."""
        found = tuple(self._events)
        self._events.clear()
        return found

    def deadline(self) -> float | None:
        """When ``wake`` has something to do."""
        if not self.powered:
            return None
        due = [
            each for each in (self.stack.deadline(), self.agent.deadline(), self.alerts.deadline()) if each is not None
        ]
        return min(due) if due else None

    def wake(self, now: float) -> None:
        """Retransmit, answer probes, send alerts."""
        if not self.powered:
            return
        self.now = now
        self.stack.wake(now)
        for answer in self.agent.due(now):
            places = self.stack.configuration.places()
            own = places.get(answer.domain)
            options = Options(
                domain_index=own.domain_index if own is not None else 0,
                flex_domain=None if own is not None else answer.domain,
                alternate_path=answer.alternate_path,
            )
            self.stack.send(answer.to, answer.apdu, now, options, service=Service.UNACKD)
        self.alerts.wake(now, self.utc_of(now))
        self._work(now)

    def interests(self) -> Interests:
        """Whom this node listens to: without supply nobody."""
        if self.powered:
            return self.stack.interests()
        return Interests(revision=self._off_revision)

    def advance(self, now: float) -> None:
        """Let the meter live up to ``now``, asked or not: clocks, profiles, orders that wait."""
        self.now = now
        self.meter.advance(self.utc_of(now))
        if self.powered and self._inactive_s and now - max(self.last_secured, self._up_at) > self._inactive_s:
            self.meter.alarm("mfg_status_1", "remote_comm_inactive")

    # ---- what comes ------------------------------------------------------------------------------------------------
    def _note(self, packet: Packet, now: float) -> None:
        """How a packet was received, and what an answer in it tells of our own."""
        self.now = now
        npdu = packet.npdu
        self._alternate = alternate = bool(packet.header & 0x40)
        self.management.heard = heard = self.heard()
        if heard is UNHEARD or npdu.domain not in self.stack.configuration.places():
            return
        source = subnet_node(npdu.source_subnet, npdu.source_node & 0x7F)
        self.links.heard(source, heard, now, alternate_path=alternate)
        if npdu.control >> 4 & 3 == _SPDU and npdu.control >> 6 == 0:
            there = heard_in(npdu.pdu[1:])
            if there is not None:
                self.links.told(source, there, alternate_path=alternate)

    def _work(self, now: float) -> None:
        for event in self.stack.events():
            if type(event) is MessageReceived:
                self._message(event, now)
            else:
                self._events.append(event)

    def _message(self, event: MessageReceived, now: float) -> None:
        apdu, reply = event.apdu, event.reply
        codes = self.security.profile.codes
        code = apdu[0]
        self.received += 1
        if code == codes.atm:
            self.agent.receive(
                apdu, event.source, event.domain, self.management.heard, now, alternate_path=self._alternate
            )
            if reply is not None:
                self.stack.respond(reply, None, now)
            return
        suite: Suite | DeviceSecurity | None = self.security
        if code == codes.legacy:
            suite = self.legacy if self.mode == MODE_RC4 else None
        if suite is None:
            self._close("off", reply, now)
            return
        if reply is None:
            how = How.UNANSWERED
        elif isinstance(event.destination, UniqueNodeId):
            how = How.REQUEST_BY_ID
        elif isinstance(event.destination, SubnetNode):
            how = How.REQUEST
        else:
            how = How.UNANSWERED
        verdict = suite.receive(apdu, how, now)
        if isinstance(verdict, Accepted):
            self._accepted(suite, verdict, reply, now)
            if suite is self.security and verdict.ticket is not None:
                self.sequence = int.from_bytes(apdu[-12:-8], "big")
        elif isinstance(verdict, Answered):
            if reply is not None:
                self.stack.respond(reply, verdict.apdu, now)
        else:
            self._close(getattr(verdict, "reason", "unknown"), reply, now)
        effects.told(self)
        for action in self.after_answer:
            action()
        self.after_answer.clear()

    def _close(self, reason: str, reply: int | None, now: float) -> None:
        """Silence, and a number for whoever looks."""
        self.refused[reason] += 1
        if reply is not None:
            self.stack.respond(reply, None, now)

    def _accepted(self, suite: Suite | DeviceSecurity, verdict: Accepted, reply: int | None, now: float) -> None:
        self.validated += 1
        if verdict.committed:
            self.set_mode(MODE_AES)
            self.settle_place()
        true = self.utc_of(now)
        if verdict.ticket is None:
            self.meter.server.handle_message(verdict.plaintext, POWER_LINE, true, self._broadcast)
            if reply is not None:
                self.stack.respond(reply, None, now)
            return
        self.last_secured = now
        plaintext, denied, port = verdict.plaintext, verdict.denied, self.port
        if suite is not self.security:
            port = self._insecure
            if plaintext[0] >= FULL_WRITE:  # a token is of the head-end, whatever suite brings it
                plaintext, denied = self.security.authorise(plaintext, now)
        answer = self._denied(denied, port) if denied is not None else None
        if answer is None:
            answer = self.meter.server.handle_message(plaintext, POWER_LINE, true, port)
        if len(answer) > self.security.profile.limits.max_apdu - 9:
            answer = encode_response(ResponseCode.ONP, checksum=False)
        try:
            sealed = suite.seal_response(verdict.ticket, answer)
        except LocalProtocolError:
            sealed = None
        if reply is not None:
            self.stack.respond(reply, sealed, now)
        if suite is self.security:
            self.on_secured()

    def _denied(self, denied: Denied, port: Port) -> bytes:
        """What is answered instead of doing it. A procedure's refusal stands where its response would."""
        self.refused[denied.reason] += 1
        if denied.procedure is None or denied.psn is None:
            return bytes((denied.code,))
        number = denied.procedure & 0x0FFF
        if denied.psn == port.last_psn:
            return bytes((ResponseCode.ONP,))
        port.last_psn = denied.psn
        self.meter.server.post(number, denied.psn, denied.result, b"", port)
        return bytes((ResponseCode.OK,))

    def _vet(self, message: bytes, port: Port, now: float) -> tuple[bytes, bytes | None]:
        """A record of a transaction that came by the power line needs its own token."""
        if port is not self.port and port is not self._insecure:
            return message, None
        message, denied = self.security.authorise(message, self.now)
        return message, None if denied is None else self._denied(denied, port)

    # ---- the place in the network ----------------------------------------------------------------------------------
    def provision(self, key_set: KeySet) -> None:
        """Put a key set into force as if committed: at the device itself, or in a simulation that begins with a commissioned street.

        Raises as ``DeviceSecurity.install``.
        """
        self.security.install(key_set)
        self.set_mode(MODE_AES)
        self.settle_place()
        effects.told(self)

    def settle_place(self) -> None:
        """The node's address is that of the key set in force, and no other; in mode 0 that of the other suite."""
        configuration, address = self.stack.configuration, self.security.address
        if address is None and self.legacy is not None and self.mode == MODE_RC4:
            address = self.legacy.address
        if address is None:
            configuration.domains[0] = DomainEntry()
            configuration.state = NodeState.UNCONFIGURED
        else:
            configuration.domains[0] = domain_entry(address.domain, address.subnet, address.node)
            configuration.state = NodeState.CONFIGURED
        configuration.changed()

    def _here(self) -> HereState:
        if self.security.address is None and not (self.legacy is not None and self.mode == MODE_RC4):
            return HereState.NEW
        return HereState.COMMISSIONED if self._silent(self.now) else HereState.UP

    def _silent(self, now: float) -> bool:
        return now - self.last_secured > self._active_s

    def _seal_alert(self, alert: Alert, now: float) -> bytes | None:
        return self.security.seal_alert(alert, now)

    # ---- tables ----------------------------------------------------------------------------------------------------
    def read_settings(self) -> None:
        """ET04 and ET55 as they are now."""
        image = self.meter.image
        settings: Any = image.decode(ET55)
        self._active_s = 60.0 * settings.plc_active_timeout
        self._inactive_s = 60.0 * image.get(ET04, "plc_inactive_threshold")
        self._up_at = self.now
        if settings.plc_auth_lockout_count is not None:
            self.security.policy = replace(
                self.security.policy,
                lockout_failures=settings.plc_auth_lockout_count,
                lockout_minutes=settings.plc_auth_lockout_time,
            )

    def _refresh(self, number: int) -> None:
        refresh(self, number, self.now)

    def set_mode(self, mode: int) -> None:
        """Which suite is spoken (ET04.127)."""
        if mode != self.mode and self.keep({_MODE: bytes((mode,))}):
            self.mode = mode

    def unheard(self) -> None:
        """No concentrator talks to this device (any more)."""
        self.last_secured = _NEVER

    def keep(self, values: dict[str, bytes]) -> bool:
        """Save the node's own; False, and a line in the log, if that fails."""
        try:
            self.memory.save(values)
        except StorageError:
            self.failed("node")
            return False
        return True

    def failed(self, doing: str) -> None:
        """The memory has failed: the log and an alarm say so."""
        self.refused[f"storage: {doing}"] += 1
        self.meter.log("storage_failed")
        self.meter.alarm("ed_std_status1", "nvm_failure")

    def own_groups(self) -> Collection[int]:
        """For the security: the groups of this device."""
        return self.groups

    def _logged(self, event: str, argument: int) -> None:
        if event in CLASSES and self.powered and event != "power_down":  # that is logged when the supply is back
            sequence = max(self.meter.events.primary.next_sequence, self.meter.events.alternate.next_sequence) - 1
            self.alerts.raised(event, argument, LTime.of(self.meter.utc(self.meter.at)), sequence, self.now)

    # ---- supply ----------------------------------------------------------------------------------------------------
    def power_off(self, now: float) -> list[Packet]:
        """The supply fails. What a device with a last gasp still hands to its transmitter is returned."""
        if not self.powered:
            return []
        self.now = now
        gasp: list[Packet] = []
        if self.can_gasp:
            self.stack.outgoing(now)
            moment = LTime.of(self.meter.utc(self.utc_of(now)))
            sequence = self.meter.events.primary.next_sequence
            alert = Alert(
                alert_class=2, event_id=event_number("power_down"), time=moment, log_sequence=sequence & 0xFFFFFFFF
            )
            self.alerts.last_gasp(alert, now, self.utc_of(now))
            gasp = self.stack.outgoing(now)
        self.powered = False
        self._off_revision -= 1
        self.meter.power_off(self.utc_of(now))
        self.agent.clear()
        self.alerts.clear()
        self.links.clear()
        return gasp

    def power_on(self, now: float) -> None:
        """The supply is back: the stack begins anew, counters go on behind the blocks they had reserved."""
        if self.powered:
            return
        self.now = now
        self.security = self._make_security()
        self.legacy = self._make_legacy() if self._make_legacy is not None else None
        self._load()
        self.port.last_psn = self._insecure.last_psn = None
        self.last_secured = _NEVER
        self.stack.outgoing(now)
        self.stack.events()
        self.stack.reset(now)
        self.settle_place()
        self.powered = True
        self.read_settings()
        self.meter.power_on(self.utc_of(now))

    # ---- state -----------------------------------------------------------------------------------------------------
    def to_json(self) -> dict[str, Any]:
        """What is the node's own; meter and memory are saved by whoever made them."""
        return {
            "sequence": self.sequence,
            "psn": self.port.last_psn,
            "last_secured": None if self.last_secured == _NEVER else self.last_secured,
            "counts": [self.received, self.validated, self.alerts.sent, self.alerts.dropped],
            "refused": dict(self.refused),
            "powered": self.powered,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``, after meter and memory were restored."""
        self.attach()
        self.security = self._make_security()
        self.legacy = self._make_legacy() if self._make_legacy is not None else None
        self._load()
        self.sequence, self.port.last_psn = saved["sequence"], saved["psn"]
        self.last_secured = _NEVER if saved["last_secured"] is None else saved["last_secured"]
        self.received, self.validated, self.alerts.sent, self.alerts.dropped = saved["counts"]
        self.refused = Counter(saved["refused"])
        self.powered = saved["powered"]
        self.settle_place()
        self.read_settings()
