"""LON/IP: frames of the control network in UDP datagrams, their addresses said by IP addresses as far as these can.

As one open stack speaks it (DX ``lon_udp``, conversions run); ``spec/iso14908-1.md`` 7.1. The alternate path and the CRC have no place
in it. The delta backlog has one only where many answers are expected; read elsewhere, it is what the sender would have written on a
line (1.3). Format 0 puts a unique node ID into an IPv6 address, which no datagram socket shows: it is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from osgp.lon.lonip_map import (
    PORT,
    AddressMap,
    Endpoint,
    Peer,
    Place,
    derived_address,
    domain_of,
    group_address,
    place_of,
    subnet_address,
)
from osgp.lon.lpdu import LinkHeader
from osgp.lon.nm_expanded import AnnounceDevice
from osgp.lon.npdu import ENHANCED, LEGACY, AddressFormat, NetworkControl, NodeByte, Npdu, PduType, domain_code
from osgp.lon.packet import Envelope, Letter, Packet
from osgp.lon.tpdu import TpduHeader
from osgp.wire import Bits, OpenEnum, Struct, any_of, bit
from osgp.wire import fields as f
from osgp.wire.errors import BadValue, Truncated, UnknownCode

__all__ = ["PORT", "DatagramFormat", "LonIp", "LonIpHeader", "announcement"]


class DatagramFormat(OpenEnum):
    """How the destination is said."""

    UNIQUE_NODE_ID_IPV6 = 0
    SUBNET_NODE = 1
    BROADCAST = 2
    SUBNET_BROADCAST = 3
    GROUP = 4
    GROUP_ANSWER = 5
    UNIQUE_NODE_ID = 6
    EXPLICIT = 7


class LonIpVersion(Bits, size=1):
    """First byte."""

    source_carried: int = bit(
        0, orig="SF", doc="subnet and node of the source follow: its IP address does not say them"
    )
    flags: int = bit(1, 3, orig="FLAGS", doc="0")
    version: int = bit(4, 4, orig="UDP_VERSION", values={0: "legacy", 1: "enhanced mode"})


class LonIpControl(Bits, size=1):
    """Second byte."""

    pdu_type: int = bit(0, 2, orig="PDU_FORMAT", values={0: "TPDU", 1: "SPDU", 2: "AuthPDU", 3: "APDU"})
    priority: int = bit(2, orig="PRIORITY")
    backlog_follows: int = bit(3, orig="MCR", doc="several answers are expected: their number follows")
    address_format: int = bit(
        4,
        4,
        orig="ADDRESS_FORMAT",
        values={
            0: "unique node ID, IPv6",
            1: "subnet/node, by the IP address",
            2: "domain broadcast",
            3: "subnet broadcast",
            4: "group",
            5: "group answer",
            6: "unique node ID",
            7: "subnet/node",
        },
    )


class Backlog(Bits, size=1):
    """Delta backlog."""

    delta_backlog: int = bit(0, 6, orig="DELTA_BACKLOG", doc="packets that this one is expected to cause")


class SourceNode(Bits, size=1):
    """Node of a source that the datagram carries."""

    node: int = bit(0, 7, orig="NODE", doc="1..127; 0 none")
    domain_follows: int = bit(7, orig="D", doc="the source's IP address does not say the domain: it follows")


class DomainLength(Bits, size=1):
    """Length of a domain that the datagram carries."""

    code: int = bit(0, 2, orig="DOMAIN_LENGTH", values={0: "0 bytes", 1: "1 byte", 2: "3 bytes", 3: "6 bytes"})


class ExplicitNode(Bits, size=1):
    """Node of a destination that the datagram carries."""

    node: int = bit(0, 7, orig="NODE")
    group_answer: int = bit(7, orig="GROUP_ANSWER", doc="group and member follow")


class LonIpHeader(
    Struct, byte_order="big", floor="lon", source="LON/IP (open stack); spec/iso14908-1.md 7.1", status="verified"
):
    """A whole datagram: header, addresses, enclosed PDU."""

    version: LonIpVersion = f.bits(LonIpVersion, default=0)
    control: LonIpControl = f.bits(LonIpControl, default=0)
    backlog: Backlog | None = f.bits(Backlog, when=control.backlog_follows == 1, default=None)
    source_subnet: int | None = f.u8(
        when=version.source_carried == 1, default=None, doc="1..255; 0 the sender has none"
    )
    source_node: SourceNode | None = f.bits(SourceNode, when=version.source_carried == 1, default=None)
    # In conditions below, a field that is absent counts as 0; type checkers cannot know.
    domain_length: DomainLength | None = f.bits(
        DomainLength,
        when=source_node.domain_follows == 1,  # type: ignore[union-attr]  # see above
        default=None,
    )
    domain: bytes | None = f.binary(
        domain_length.code * (domain_length.code + 1) // 2,  # type: ignore[union-attr]  # see above
        when=source_node.domain_follows == 1,  # type: ignore[union-attr]  # see above
        default=None,
    )
    destination_subnet: int | None = f.u8(
        when=any_of(control.address_format == 3, control.address_format == 6, control.address_format == 7),
        default=None,
        doc="0: the whole domain (unique node ID)",
    )
    destination_node: ExplicitNode | None = f.bits(ExplicitNode, when=control.address_format == 7, default=None)
    group: int | None = f.u8(
        when=any_of(
            control.address_format == 4,
            control.address_format == 5,
            destination_node.group_answer == 1,  # type: ignore[union-attr]  # see above
        ),
        default=None,
        doc="destination group, or the group whose message is answered",
    )
    member: int | None = f.u8(
        when=any_of(
            control.address_format == 5,
            destination_node.group_answer == 1,  # type: ignore[union-attr]  # see above
        ),
        default=None,
        doc="the answering member, 0..63",
    )
    unique_node_id: bytes | None = f.binary(6, when=control.address_format == 6, default=None)
    pdu: bytes = f.binary(default=b"", doc="TPDU, SPDU, AuthPDU or APDU")


_VERSIONS = {0: LEGACY, 1: ENHANCED}
_VERSIONS_BACK = {LEGACY: 0, ENHANCED: 1}
_FORMATS = {
    DatagramFormat.SUBNET_NODE: AddressFormat.SUBNET_NODE,
    DatagramFormat.BROADCAST: AddressFormat.BROADCAST,
    DatagramFormat.SUBNET_BROADCAST: AddressFormat.BROADCAST,
    DatagramFormat.GROUP: AddressFormat.MULTICAST,
    DatagramFormat.GROUP_ANSWER: AddressFormat.SUBNET_NODE,
    DatagramFormat.UNIQUE_NODE_ID: AddressFormat.UNIQUE_NODE_ID,
    DatagramFormat.EXPLICIT: AddressFormat.SUBNET_NODE,
}
_NUMBERED = (PduType.TPDU, PduType.SPDU)
_TYPE_MASK = TpduHeader.fields["type"].mask
_DEVICE = AnnounceDevice().encode()
_FIXED = LonIpVersion.size + LonIpControl.size
_HEADERS = 16384
"""Headers that are remembered in each direction."""
_NOWHERE = 16
"""Senders without a place whose endpoints are remembered, as a rule one for each domain (project choice)."""
# One object for each value: a map of many thousand nodes stays small, and comparing is asking whether it is the same.
_NODE_BYTES = tuple(map(NodeByte, range(256)))
_LINK_HEADERS = tuple(map(LinkHeader, range(256)))
_CONTROLS = tuple(map(NetworkControl, range(256)))
_new = object.__new__


def announcement(place: Place) -> Packet:
    """The broadcast by which a node tells its domain that its packets come from the IP address that this one comes from."""
    domain, subnet, node = place
    control = NetworkControl(
        domain_length=domain_code(domain), address_format=AddressFormat.BROADCAST, pdu_type=PduType.APDU
    )
    return Packet(
        LinkHeader(0),
        Npdu(
            control=control,
            source_subnet=subnet,
            source_node=NodeByte(node=node, selector=1),
            destination_subnet=0,
            domain=domain,
            pdu=_DEVICE,
        ),
    )


class _Opened(Envelope):
    """What a known header (``prefix``) says, so that it is not read again. ``peer``: who sends it, if that was learnt."""

    __slots__ = ("announces", "peer", "prefix", "size")

    def __init__(
        self,
        header: LinkHeader,
        npdu: Npdu,
        asking: LinkHeader,
        *,
        prefix: bytes,
        peer: Peer | None,
        announces: bool,
    ) -> None:
        super().__init__(header, npdu, asking)
        self.prefix = prefix
        self.size = len(prefix)
        self.peer = peer
        self.announces = announces


@dataclass(slots=True, eq=False)
class _Prepared:
    """A header written once, and where it goes. ``asking``: the header in front of a PDU that wants answers (type 0).

    ``peer``: whose address was learnt, and may be in doubt some time.
    ``carrier``: who keeps it; None if it is to be made anew for the next packet.
    """

    prefix: bytes
    asking: bytes
    endpoints: tuple[Endpoint, ...]
    peer: Peer | None
    carrier: LonIp | None


class LonIp:
    """Turns packets into datagrams and back; remembers who is where (``addresses``) and headers it has seen.

    ``own``: this node's IP address as peers see it ("" unknown: then the source is always carried). ``home``: gives the node's
    places, asked when a datagram's destination is the IP address alone and ``own`` says no place. ``multicast``: packets for
    many go to multicast addresses, and every node is reached at the port of ``addresses``, whatever port it sends from (DX opens
    a socket for each datagram); otherwise they go to each fixed endpoint of ``addresses`` in that domain or subnet, and an answer to
    0/0 goes where the last datagram of such a sender came from (project choice). ``listeners``: endpoints that get packets for many
    in any case.
    """

    def __init__(
        self,
        addresses: AddressMap | None = None,
        *,
        own: str = "",
        home: Callable[[], Iterable[Place]] | None = None,
        multicast: bool = True,
        listeners: Sequence[Endpoint] = (),
    ) -> None:
        self.addresses = AddressMap() if addresses is None else addresses
        self.own = own
        self._home = home
        self._multicast = multicast
        self._listeners = tuple(listeners)
        self._opened: OrderedDict[tuple[Endpoint, bytes], _Opened] = OrderedDict()
        self._latest: dict[Endpoint, _Opened] = {}
        self._sizes: dict[bytes, tuple[int, ...]] = {}
        self._sized: dict[tuple[bytes, int], int] = {}
        self._nowhere: dict[Place, Endpoint] = {}
        self._prepared: OrderedDict[tuple[Any, ...], _Prepared] = OrderedDict()

    def read(self, datagram: bytes, source: Endpoint, now: float) -> Packet | None:
        """The packet in a datagram that came from ``source``; None where a node announces its own address, which the map has taken.

        Raises Truncated (also when nothing is enclosed), UnknownCode (version, address format), BadValue (addresses that the IP
        addresses were to say, and do not).
        """
        letter = self.take(datagram, source, now)
        return None if letter is None else letter.packet()

    def take(self, datagram: bytes, source: Endpoint, now: float) -> Letter | None:
        """As ``read``; the envelope of the letter is one object for all datagrams with this header from there."""
        if self._multicast:
            source = (source[0], self.addresses.port)
        known = self._latest.get(source)
        if known is None or not datagram.startswith(known.prefix):
            known = self._known(datagram, source, now)
        peer = known.peer
        if peer is not None:
            if peer.gone:
                known = self._open(datagram, source, now)
            else:
                peer.heard = now
        pdu = datagram[known.size :]
        if not pdu:
            raise Truncated("nothing enclosed", floor="lon", struct="LonIpHeader", field="pdu", data=datagram)
        if known.announces and pdu.startswith(_DEVICE):
            return None  # learnt from the header already; whole subnets are for network management, which asks who may say so
        letter = _new(Letter)  # as packet.letter_of
        letter.envelope = known
        letter.pdu = pdu
        return letter

    def _known(self, datagram: bytes, source: Endpoint, now: float) -> _Opened:
        """What is known of a header that is not the last from there; if nothing is, it is read."""
        for size in self._sizes.get(datagram[:_FIXED], ()):
            # A header ends where its own bytes say: one that begins as a known one does is that one.
            known = self._opened.get((source, datagram[:size]))
            if known is not None:
                self._latest[source] = known
                return known
        return self._open(datagram, source, now)

    def write(self, packet: Packet | Letter, now: float) -> tuple[bytes, tuple[Endpoint, ...]]:
        """The datagram for a packet and where to send it (nowhere, if nobody is known to listen).

        Raises BadValue for what LON/IP cannot say: a version other than legacy and enhanced mode, fields that do not fit.
        """
        if type(packet) is Letter:
            pdu = packet.pdu
            prepared = packet.envelope.way
            if type(prepared) is not _Prepared or prepared.carrier is not self:
                prepared = packet.envelope.way = self._prepared_for(packet.packet(), now)
            peer = prepared.peer
            if peer is not None and (peer.gone or now - peer.heard > self.addresses.oldest_s):
                prepared = packet.envelope.way = self._prepared_for(packet.packet(), now)
        else:
            pdu = packet.npdu.pdu
            prepared = self._prepared_for(packet, now)
        return (prepared.prefix if not pdu or pdu[0] & _TYPE_MASK else prepared.asking) + pdu, prepared.endpoints

    def _prepared_for(self, packet: Packet, now: float) -> _Prepared:
        header, npdu, _ = packet
        key = (
            header,
            npdu.control,
            npdu.source_subnet,
            npdu.source_node,
            npdu.destination_subnet,
            npdu.destination_node,
            npdu.domain,
            npdu.group,
            npdu.member,
            npdu.unique_node_id,
        )
        prepared = self._prepared.get(key)
        if prepared is None:
            return self._prepare(packet, key, now)
        peer = prepared.peer
        if peer is not None and (peer.gone or now - peer.heard > self.addresses.oldest_s):
            del self._prepared[key]
            return self._prepare(packet, key, now)
        return prepared

    def _open(self, datagram: bytes, source: Endpoint, now: float) -> _Opened:
        """Read a header in full, learn its sender's address, and keep it for the next datagram."""
        raw = LonIpHeader.decode(datagram)
        version = _VERSIONS.get(raw.version.version)
        if version is None:
            raise _unknown(f"version {raw.version.version} is not known", "version", datagram)
        form = DatagramFormat(raw.control.address_format)
        if form not in _FORMATS:
            raise _unknown(f"address format {form} is not known over IPv4", "control.address_format", datagram)
        domain, subnet, node, derived = self._source(raw, source[0], datagram)
        destination_subnet, destination_node = raw.destination_subnet, raw.destination_node
        answer = form == DatagramFormat.GROUP_ANSWER or bool(destination_node and destination_node.group_answer)
        stable = True
        to_node = None
        if form in (DatagramFormat.SUBNET_NODE, DatagramFormat.GROUP_ANSWER):
            (destination_subnet, number), stable = self._here(domain, datagram)
            to_node = _NODE_BYTES[NodeByte(node=number, selector=1)]
        elif destination_node is not None:
            to_node = _NODE_BYTES[NodeByte(node=destination_node.node, selector=1)]
        elif form == DatagramFormat.BROADCAST:
            destination_subnet = 0
        place = (domain, subnet, node)
        peer = None
        if subnet and node:
            peer = self.addresses.learn(place, source, derived, now)
        elif not self._multicast:
            self._remember_nowhere(place, source)
            stable = False  # the last one counts: it is looked at each time
        pdu_type = raw.control.pdu_type
        single = _FORMATS[form] in (AddressFormat.SUBNET_NODE, AddressFormat.UNIQUE_NODE_ID)
        asks = pdu_type in _NUMBERED and raw.backlog is None and single
        backlog = 0 if raw.backlog is None else raw.backlog.delta_backlog
        header = _LINK_HEADERS[LinkHeader(priority=raw.control.priority, delta_backlog=backlog)]
        found = _Opened(
            header,
            Npdu(
                control=_CONTROLS[
                    NetworkControl(
                        version=version,
                        pdu_type=pdu_type,
                        address_format=_FORMATS[form],
                        domain_length=domain_code(domain),
                    )
                ],
                source_subnet=subnet,
                source_node=_NODE_BYTES[NodeByte(node=node, selector=0 if answer else 1)],
                destination_subnet=destination_subnet,
                destination_node=to_node,
                group=raw.group,
                member=raw.member,
                unique_node_id=raw.unique_node_id,
                domain=domain,
            ),
            _LINK_HEADERS[header.with_(delta_backlog=1)] if asks else header,
            prefix=datagram[: len(datagram) - len(raw.pdu)],
            peer=None if peer is not None and peer.fixed else peer,
            announces=pdu_type == PduType.APDU,
        )
        if stable:
            self._keep_opened(source, found)
        return found

    def _source(self, raw: LonIpHeader, ip: str, datagram: bytes) -> tuple[bytes, int, int, bool]:
        """Domain, subnet and node of the sender, and whether its IP address says them."""
        if raw.source_node is None or raw.source_subnet is None:
            place = place_of(ip)
            if place is None:
                raise BadValue(
                    f"no place follows from the IP address {ip}", floor="lon", struct="LonIpHeader", data=datagram
                )
            return *place, True
        domain = raw.domain if raw.domain is not None else domain_of(ip)
        if domain is None:
            raise BadValue(
                f"no domain follows from the IP address {ip}", floor="lon", struct="LonIpHeader", data=datagram
            )
        return domain, raw.source_subnet, raw.source_node.node, False

    def _here(self, domain: bytes, datagram: bytes) -> tuple[tuple[int, int], bool]:
        """Our subnet and node, to whom a datagram is addressed by IP address alone; whether that can be kept."""
        place = place_of(self.own)
        if place is not None and place[0] == domain:
            return (place[1], place[2]), True
        for each, subnet, node in self._home() if self._home is not None else ():
            if each == domain:
                return (subnet, node), False
        raise BadValue(
            "addressed by IP address alone, which says no place here", floor="lon", struct="LonIpHeader", data=datagram
        )

    def _remember_nowhere(self, place: Place, source: Endpoint) -> None:
        """Where the last datagram came from whose sender has no place: its answer finds back by that alone."""
        if self._nowhere.pop(place, None) is None and len(self._nowhere) >= _NOWHERE:
            del self._nowhere[next(iter(self._nowhere))]
        self._nowhere[place] = source

    def _keep_opened(self, source: Endpoint, found: _Opened) -> None:
        """Keep a header under its bytes, and its size under its first two as long as there is one of it."""
        prefix = found.prefix
        if (source, prefix) not in self._opened:
            if len(self._opened) >= _HEADERS:
                self._drop_size(self._opened.popitem(last=False)[0][1])
            begin = prefix[:_FIXED]
            held = self._sized[begin, found.size] = self._sized.get((begin, found.size), 0) + 1
            if held == 1:
                self._sizes[begin] = (*self._sizes.get(begin, ()), found.size)
        self._opened[source, prefix] = found
        if len(self._latest) >= _HEADERS and source not in self._latest:
            del self._latest[next(iter(self._latest))]
        self._latest[source] = found

    def _drop_size(self, prefix: bytes) -> None:
        """A header is no longer kept: nor is its size, where it was the last of it."""
        begin, size = prefix[:_FIXED], len(prefix)
        self._sized[begin, size] -= 1
        if self._sized[begin, size]:
            return
        del self._sized[begin, size]
        left = tuple(each for each in self._sizes[begin] if each != size)
        if left:
            self._sizes[begin] = left
        else:
            del self._sizes[begin]

    def _prepare(self, packet: Packet, key: tuple[Any, ...], now: float) -> _Prepared:
        """Write a header in full and keep it; not while the destination's address is unknown, which may change any time."""
        header, npdu, _ = packet
        version = _VERSIONS_BACK.get(npdu.control.version)
        if version is None:
            raise BadValue(
                f"version {npdu.control.version} cannot be said in LON/IP", floor="lon", struct="Npdu", field="control"
            )
        raw = LonIpHeader(group=npdu.group, member=npdu.member, unique_node_id=npdu.unique_node_id)
        form, endpoints, peer = self._destination(npdu, now)
        if form in (DatagramFormat.SUBNET_BROADCAST, DatagramFormat.UNIQUE_NODE_ID, DatagramFormat.EXPLICIT):
            raw.destination_subnet = npdu.destination_subnet
        if form == DatagramFormat.EXPLICIT and npdu.destination_node is not None:
            raw.destination_node = ExplicitNode(node=npdu.destination_node.node, group_answer=int(_is_answer(npdu)))
        carried = self._carry_source(raw, npdu)
        raw.version = LonIpVersion(version=version, source_carried=int(carried))
        pdu_type = npdu.control.pdu_type
        raw.control = LonIpControl(pdu_type=pdu_type, priority=header.priority, address_format=form)
        prefix = asking = raw.encode()
        many = npdu.control.address_format in (AddressFormat.BROADCAST, AddressFormat.MULTICAST)
        if many and pdu_type in _NUMBERED:
            raw.control = raw.control.with_(backlog_follows=1)
            raw.backlog = Backlog(delta_backlog=header.delta_backlog)
            asking = raw.encode()
        lasts = peer is not None or form not in (
            DatagramFormat.SUBNET_NODE,
            DatagramFormat.GROUP_ANSWER,
            DatagramFormat.EXPLICIT,
        )
        prepared = _Prepared(
            prefix, asking, endpoints, None if peer is not None and peer.fixed else peer, self if lasts else None
        )
        if lasts:
            if len(self._prepared) >= _HEADERS:
                self._prepared.popitem(last=False)
            self._prepared[key] = prepared
        return prepared

    def _destination(self, npdu: Npdu, now: float) -> tuple[DatagramFormat, tuple[Endpoint, ...], Peer | None]:
        """Address format, endpoints, and the peer if it is one that is known."""
        domain, subnet = npdu.domain, npdu.destination_subnet or 0
        how = npdu.control.address_format
        if how == AddressFormat.MULTICAST:
            return DatagramFormat.GROUP, self._many(group_address(npdu.group or 0), domain, 0), None
        if how == AddressFormat.BROADCAST:
            form = DatagramFormat.SUBNET_BROADCAST if subnet else DatagramFormat.BROADCAST
            return form, self._many(subnet_address(subnet), domain, subnet), None
        if how == AddressFormat.UNIQUE_NODE_ID:
            return DatagramFormat.UNIQUE_NODE_ID, self._many(subnet_address(0), domain, 0), None
        node = npdu.destination_node.node if npdu.destination_node is not None else 0
        peer = self.addresses.find((domain, subnet, node), now)
        if peer is None:
            asked_from = self._nowhere.get((domain, subnet, node))
            if asked_from is not None:
                return DatagramFormat.EXPLICIT, (asked_from,), None
            return DatagramFormat.EXPLICIT, self._many(subnet_address(subnet), domain, subnet), None
        form = DatagramFormat.EXPLICIT
        if peer.derived:
            form = DatagramFormat.GROUP_ANSWER if _is_answer(npdu) else DatagramFormat.SUBNET_NODE
        return form, (peer.endpoint,), peer

    def _many(self, address: str, domain: bytes, subnet: int) -> tuple[Endpoint, ...]:
        if self._multicast:
            return ((address, self.addresses.port), *self._listeners)
        return tuple(dict.fromkeys((*self.addresses.fixed_endpoints(domain, subnet), *self._listeners)))

    def _carry_source(self, raw: LonIpHeader, npdu: Npdu) -> bool:
        """Write the source into the header where our IP address does not say it; the domain where it says that neither."""
        domain, subnet, node = npdu.domain, npdu.source_subnet, npdu.source_node.node
        if self.own and subnet and node and derived_address(domain, subnet, node) == self.own:
            return False
        said = bool(self.own) and domain_of(self.own) == domain
        raw.source_subnet = subnet
        raw.source_node = SourceNode(node=node, domain_follows=0 if said else 1)
        if not said:
            raw.domain_length = DomainLength(code=domain_code(domain))
            raw.domain = domain
        return True


def _is_answer(npdu: Npdu) -> bool:
    """Whether a subnet/node packet answers a group's message (format 2b)."""
    return not npdu.source_node.selector


def _unknown(message: str, field: str, datagram: bytes) -> UnknownCode:
    return UnknownCode(message, floor="lon", struct="LonIpHeader", field=field, data=datagram)
