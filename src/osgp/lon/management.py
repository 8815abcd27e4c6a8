"""The server of diagnostics and management: who may do what, and the answers.

ISO/IEC 14908-1, network diagnostics and management; ``spec/iso14908-1.md`` 5.3 to 5.7. What the commands do stands in
``management_node`` and ``management_tables``; the classic proxy (52 with an address) is ``proxy``'s, routing tables are the
router's.

**Who may do what.** An unconfigured node obeys everybody: it must, to be commissioned. A configured node

- with the flag *network management authentication* in its configuration block refuses all but a few queries unless the message
  was authenticated (5.4 of the digest);
- refuses every command that writes its configuration, unless ``Configuration.allow_management_writes`` is set, or the message passed
  authentication with a key that is not all zeros (project choice). Written are: domains, keys, addresses, variables and
  aliases (63 to 66, 69, 6B, 60 02, 07, 0A, 0F, 11, 13), memory (6E), checksums (6F), the state (6C 03) and the buffers (6C 04),
  router tables and modes (74 to 7A), what is known of IP addresses (60 16, 17). Not held for writing: wink, respond to
  query, clear status, memory refresh, offline, online and reset (6C 00, 01, 02, 06). They stop no longer than until the next
  message, and tools for finding nodes need them; who cannot bear them sets the flag above;
- tells keys only to those who may write: to others the key in *query domain* (6A) is zeros, and *report key* (60 09) is refused
  (project choice: what opens the door must not lie before it).

Refused and unreadable requests get the failure code, and are counted; other services than requests are never answered.
"""

from __future__ import annotations

from collections.abc import Callable

from osgp.lon.apdu import CLASSIC_PROXY, ROUTER_ESCAPE, failure_code, success_code
from osgp.lon.commands import EXPANDED, Command, command, is_command
from osgp.lon.configuration import Configuration
from osgp.lon.events import Dropped, Event
from osgp.lon.indication import NULL, SILENT, Indication, Outcome
from osgp.lon.lpdu import MAX_APDU
from osgp.lon.managed import (
    DONE,
    Announcements,
    Handler,
    Managed,
    ManagementCounters,
    Refused,
    Result,
    RouterCommands,
    perfect_answer,
)
from osgp.lon.management_node import NODE
from osgp.lon.management_tables import TABLES
from osgp.lon.memory import Memory
from osgp.lon.nd import FullVersionResponse, PhaseResponse
from osgp.lon.nm import ProductResponse
from osgp.lon.redact import redacted_apdu
from osgp.lon.variables import VariableTable
from osgp.wire import Struct
from osgp.wire.errors import BadValue, DecodeError

__all__ = ["Management"]

_FLEX = 0x56
_UPDATE_ADDRESS = 0x66
_SET_MODE = 0x6C
_DEVICE_ESCAPE = 0x7D
_ROUTER = range(0x74, 0x7D)
_WRITING_MODES = (3, 4)
_HANDLERS: dict[tuple[int, int | None], Handler] = {**NODE, **TABLES}


class Management:
    """The server of one node.

    ``variables``, ``memory``: its own, if it has any (memory: none of the application's). ``address_map``, ``ip_address``: of a LON/IP
    carrier. ``router``: takes the router commands. ``measure``: the seven transceiver registers for a message that arrived (see
    ``nd.TransceiverRegisters``); without one those of a node that was never on a line. ``phase``: the mains phase of such a message.
    ``version``, ``product``: what the node tells of itself. ``proxy``: whether enhanced proxy is told among what it can do.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        variables: VariableTable | None = None,
        memory: Memory | None = None,
        address_map: Announcements | None = None,
        ip_address: bytes | None = None,
        router: RouterCommands | None = None,
        measure: Callable[[Indication], bytes] | None = None,
        phase: Callable[[Indication], PhaseResponse | None] | None = None,
        version: FullVersionResponse | None = None,
        product: ProductResponse | None = None,
        proxy: bool = True,
    ) -> None:
        self.node = Managed(
            configuration=configuration,
            memory=memory or Memory(configuration, variables),
            variables=variables,
            address_map=address_map,
            router=router,
            ip_address=ip_address,
            proxy=proxy,
            measure=measure or perfect_answer,
            measures=measure is not None,
            phase=phase,
            version=version,
            product=product,
        )
        self.counters = ManagementCounters()

    @property
    def configuration(self) -> Configuration:
        """What is managed."""
        return self.node.configuration

    @property
    def selected(self) -> bool:
        """Whether *respond to query* is on."""
        return self.node.selected

    def on_carrier(self, addresses: Announcements, ip_address: bytes | None, announce_period_s: int) -> None:
        """The node hangs on a LON/IP carrier: its map of addresses, our IP address if it is known, and how often we announce it."""
        self.node.address_map, self.node.ip_address = addresses, ip_address
        self.node.announce_period_s = announce_period_s

    def events(self) -> list[Event]:
        """What has happened since the last call."""
        pending, self.node.pending = self.node.pending, None
        return pending or []

    def serve(self, indication: Indication, now: float) -> Outcome:
        """Carry out a command. Its effects are done on return; the transport remembers how the answer is addressed.

        What is no diagnostics or management, and the classic proxy with an address, is not served: ``forward``. ``now``: seconds;
        nothing here depends on time.
        """
        apdu = indication.apdu
        if not apdu or not is_command(apdu[0]) or (apdu[0] == CLASSIC_PROXY and len(apdu) > 2):
            return Outcome(forward=True)
        known = command(apdu[0], apdu[1:])
        forbidden = self._forbidden(known, indication)
        if forbidden is not None:
            self.counters.forbidden += 1
            return self._say_no(indication, forbidden)
        if known.code in _ROUTER or known.code == ROUTER_ESCAPE:
            return self._route(indication)
        handler = _HANDLERS.get((known.code, known.subcommand))
        if handler is None:
            return self._refuse(indication, Refused(f"{known.name} is not served here"))
        try:
            request = _read(known, apdu)
        except DecodeError as error:
            self.counters.malformed += 1
            return self._say_no(indication, Refused(error.message))
        return self._answer(indication, handler(self.node, indication, request))

    def _answer(self, indication: Indication, result: Result) -> Outcome:
        if isinstance(result, Refused):
            return self._refuse(indication, result)
        if indication.reply is None or result is None:
            self.counters.served += 1
            return SILENT if indication.reply is None else NULL
        code = indication.apdu[0]
        response = _coded(success_code(code), indication.apdu) if result is DONE else result.encode()
        if len(response) > MAX_APDU:
            return self._refuse(indication, Refused(f"the answer has {len(response)} bytes, more than an APDU holds"))
        self.counters.served += 1
        return Outcome(response, flex=code == _FLEX)

    def _refuse(self, indication: Indication, refused: Refused) -> Outcome:
        self.counters.refused += 1
        return self._say_no(indication, refused)

    def _say_no(self, indication: Indication, refused: Refused) -> Outcome:
        apdu = indication.apdu
        self.node.happened(Dropped(f"management: {refused.reason}", redacted_apdu(apdu, False)[:64]))
        if indication.reply is None:
            return SILENT
        return Outcome(_coded(failure_code(apdu[0]), apdu))

    def _forbidden(self, known: Command, indication: Indication) -> Refused | None:
        """Why this command is not allowed from there, or None."""
        configuration = self.configuration
        if not configuration.configured:
            return None
        apdu = indication.apdu
        if known.code == ROUTER_ESCAPE and len(apdu) > 1 and is_command(apdu[1]):
            known, apdu = command(apdu[1], apdu[2:]), apdu[1:]
        if configuration.block.last.management_authentication and not indication.authenticated and not known.open:
            return Refused(f"{known.name} needs authentication")
        if _writes(known, apdu) and not self.node.trusts(indication):
            return Refused(f"{known.name} writes the configuration, which is not allowed once it is commissioned")
        return None

    def _route(self, indication: Indication) -> Outcome:
        if self.node.router is None:
            return self._refuse(indication, Refused("this is no router"))
        response = self.node.router.serve(indication.apdu)
        self.counters.served += 1
        if indication.reply is None:
            return SILENT
        return NULL if response is None else Outcome(response)


def _writes(known: Command, apdu: bytes) -> bool:
    """Whether a command writes the configuration; of node modes some do, of device commands all but the product query."""
    if known.code == _SET_MODE:
        return len(apdu) > 1 and apdu[1] in _WRITING_MODES
    if known.code == _DEVICE_ESCAPE:
        return apdu[1:3] != b"\x01\x01"
    return known.writes


def _read(known: Command, apdu: bytes) -> Struct:
    """The request; bytes behind it are tolerated where an open stack tolerates them."""
    if known.code == _UPDATE_ADDRESS and len(apdu) == 6 and not apdu[2]:
        apdu += b"\0"  # an open stack takes an unused entry without its last byte, as old tools send it
    request = known.request.decode(apdu)
    if request._rest and not known.padded:
        raise BadValue(f"{len(request._rest)} bytes behind the request", floor="lon", struct=type(request).__name__)
    return request


def _coded(code: int, apdu: bytes) -> bytes:
    """A response without data; one to an expanded command repeats the subcommand."""
    return bytes((code,)) + (apdu[1:2] if apdu[0] == EXPANDED else b"")
