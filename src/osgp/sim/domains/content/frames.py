"""What ordinary nodes send on each leg of a way, and where in it stands what differs from frame to frame.

Nothing here knows a layout: chains of ``node.stack.Stack`` are joined by hand, a request goes there and back, a report comes in, and
what they sent are the patterns. Places of addresses, repeaters and messages are asked from the declarations of ``osgp.lon`` and held
against what must stand there, so that a layout that moves is found when a pattern is made.

Project choices, as in ``node.osgp_alerts`` where they are said there: the concentrator is node 1 of subnet 1 and meter n node n of
subnet 2; a report goes unacknowledged over its chain (``Service.UNACKD``), because the engines hand it on so; it announces nothing.
Enhanced proxy: ``spec/iso14908-1.md`` 6; annex G of ETSI TS 104 001 was not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from osgp.lon.address import SubnetNode
from osgp.lon.apdu import PROXY
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.crc import with_crc
from osgp.lon.events import MessageReceived
from osgp.lon.lpdu import LinkHeader, Lpdu
from osgp.lon.ltep import Ltep, Service, ShortHop, TargetControl
from osgp.lon.npdu import NodeByte, Npdu, PduType
from osgp.lon.proxy import Hop, chain_message
from osgp.lon.tpdu import Spdu, SpduHeader
from osgp.lon.transport import Options
from osgp.node.stack import ChainOptions, Stack
from osgp.sim.domains.content.messages import Contents, places
from osgp.sim.domains.model import DELTA_BACKLOG, MAX_LEGS, SHAPES, Kind, shape
from osgp.wire.errors import ConfigError

__all__ = ["DOMAIN_SIZE", "Patterns", "Place", "address_of", "pattern_index", "patterns_of"]

DOMAIN_SIZE = 3
"""Bytes of a domain's identifier."""
CONCENTRATOR = SubnetNode(1, 1)
_METERS = 2
_DOMAIN = bytes(DOMAIN_SIZE)


def address_of(node: int) -> SubnetNode:
    """Where a node of a simulated domain sits."""
    return SubnetNode(_METERS, node) if node else CONCENTRATOR


def pattern_index(kind: int, legs: int, behind: int) -> int:
    """Which pattern a frame follows: by its kind, the legs of its way, and those behind the one that it is on."""
    return (kind * MAX_LEGS + legs - 1) * MAX_LEGS + behind


class Place(NamedTuple):
    """Bytes of a frame that differ within a pattern; -1: this pattern has none."""

    source_subnet: int
    source_node: int
    destination_subnet: int
    destination_node: int
    domain: int
    transaction: int
    """First byte of the SPDU."""
    hops: int
    """First of the repeaters that are still ahead, one byte each."""
    hop_count: int
    target_control: int
    target_node: int
    apdu: int
    """The secured message."""
    size: int
    """Of the whole frame, CRC included."""


class Patterns(NamedTuple):
    """``frames`` (patterns, longest frame) with zeros where something differs; ``places`` (patterns, ``Place``); ``bits``: masks of
    bits that are put in: alternate path of link header, hop, target control (its first byte); of node and transaction numbers."""

    frames: Any
    places: Any
    path_in_link: int
    path_in_hop: int
    path_in_target: int
    sizes: list[int]
    """LPDUs without CRC by ``model.shape``."""


@lru_cache(maxsize=8)
def patterns_of(contents: Contents) -> Patterns:
    """All patterns of these contents. Raises ConfigError if stacks send something else than is expected of them."""
    found: dict[int, tuple[bytes, Place]] = {}
    sizes: dict[int, int] = {}
    for legs in range(1, MAX_LEGS + 1):
        way = [0, *range(11, 11 + legs)]
        exchange = _exchange(way, contents)
        for kind, path, frames in (
            (Kind.REQUEST, way, exchange[:legs]),
            (Kind.RESPONSE, way[::-1], exchange[legs:]),
            (Kind.REPORT, way[::-1], _report(way[::-1], contents)),
        ):
            if len(frames) != legs:
                raise ConfigError(f"{len(frames)} frames went over {legs} legs")
            for leg, lpdu in enumerate(frames):
                behind = legs - 1 - leg
                found[pattern_index(kind, legs, behind)] = _pattern(lpdu, kind, path, leg, contents)
                if sizes.setdefault(shape(kind, behind), len(lpdu)) != len(lpdu):
                    raise ConfigError("frames with as many legs behind them differ in length")
    longest = max(len(frame) for frame, _ in found.values())
    patterns = np.zeros((len(Kind) * MAX_LEGS * MAX_LEGS, longest), np.uint8)
    table = np.full((len(patterns), len(Place._fields)), -1, np.int64)
    for index, (frame, place) in found.items():
        patterns[index, : len(frame)] = np.frombuffer(frame, np.uint8)
        table[index] = place
    control = TargetControl.fields["alternate_path"].mask.to_bytes(TargetControl.size, "big")
    if any(control[1:]):
        raise ConfigError("the path of the last leg is not in the first byte of the target control")
    return Patterns(
        patterns,
        table,
        LinkHeader.fields["alternate_path"].mask,
        ShortHop.fields["alternate_path"].mask,
        control[0],
        [sizes[at] for at in range(SHAPES)],
    )


# ---- chains of ordinary nodes ----------------------------------------------------------------------------------------
def _stack(node: int) -> Stack:
    configuration = Configuration(bytes((2, 0, 0, 0, 0, node)))
    address = address_of(node)
    configuration.join(0, domain_entry(_DOMAIN, address.subnet, address.node))
    return Stack(configuration, quiet_s=0.0)


def _exchange(way: Sequence[int], contents: Contents) -> list[bytes]:
    """LPDUs of a request over a way and of its response, in order."""
    request, response, _ = (bytes([contents.profile.codes.request]).ljust(size, b"\0") for size in contents.apdu_sizes)
    stacks = {node: _stack(node) for node in way}
    *hops, target = way[1:]
    retry = contents.retries
    options = Options(retry=max(1, retry))
    if hops:
        chain = ChainOptions(source=options, retry=retry, target_retry=retry)
        stacks[0].request_via([_hop(node) for node in hops], address_of(target), request, 0.0, chain)
    else:
        stacks[0].request(address_of(target), request, 0.0, options)
    return _carried(stacks, target, response)


def _report(way: Sequence[int], contents: Contents) -> list[bytes]:
    """LPDUs of a report over a way that ends at the concentrator."""
    report = bytes([contents.profile.codes.alert]).ljust(contents.apdu_sizes[Kind.REPORT], b"\0")
    stacks = {node: _stack(node) for node in way}
    hops, options = way[1:-1], Options(alternate_path=False, backlog=DELTA_BACKLOG[Kind.REPORT])
    target: SubnetNode = CONCENTRATOR
    if hops:
        report = chain_message(
            [_hop(node) for node in hops],
            CONCENTRATOR,
            report,
            service=Service.UNACKD,
            retry=contents.retries,
            target_retry=contents.retries,
            source_subnet=_METERS,
        )
        target = address_of(hops[0])
    stacks[way[0]].send(target, report, 0.0, options, service=Service.UNACKD)
    return _carried(stacks, 0, b"")


def _hop(node: int) -> Hop:
    address = address_of(node)
    return Hop(address.subnet, address.node)


def _carried(stacks: dict[int, Stack], target: int, response: bytes) -> list[bytes]:
    """What is sent until nobody has anything to say; ``target`` answers a request. One sends at a time, and nothing is lost."""
    frames: list[bytes] = []
    while True:
        packets = [packet for stack in stacks.values() for packet in stack.outgoing(0.0)]
        if not packets:
            return frames
        for packet in packets:
            lpdu = packet.lpdu()
            frames.append(lpdu)
            for stack in stacks.values():
                stack.receive_frame(lpdu, 0.0)
        for event in stacks[target].events():
            if isinstance(event, MessageReceived) and event.reply is not None:
                stacks[target].respond(event.reply, response, 0.0)


# ---- what differs ----------------------------------------------------------------------------------------------------
def _pattern(lpdu: bytes, kind: Kind, path: Sequence[int], leg: int, contents: Contents) -> tuple[bytes, Place]:
    """The frame with zeros where others differ, and where that is. ``path``: the nodes that it goes over."""
    sender, receiver, ahead = address_of(path[leg]), address_of(path[leg + 1]), path[leg + 2 :]
    npdu_at = places(Lpdu, lpdu)["npdu"][0]
    npdu = Npdu.decode(lpdu[npdu_at:])
    at = {name: npdu_at + offset for name, (offset, _) in places(Npdu, lpdu[npdu_at:]).items()}
    header = LinkHeader(lpdu[0])
    _expect(header.delta_backlog == DELTA_BACKLOG[kind] and not header.alternate_path, "link header")
    _expect((npdu.source_subnet, npdu.source_node & 0x7F) == (sender.subnet, sender.node), "source")
    to = npdu.destination_subnet, (npdu.destination_node or 0) & 0x7F
    _expect(to == (receiver.subnet, receiver.node) and npdu.domain == _DOMAIN, "destination")
    apdu_at, transaction = at["pdu"], -1
    if kind is Kind.REPORT:
        _expect(npdu.control.pdu_type == PduType.APDU, "PDU")
    else:
        _expect(npdu.control.pdu_type == PduType.SPDU, "PDU")
        found = places(Spdu, lpdu[at["pdu"] :])
        transaction = at["pdu"] + found["header"][0]
        apdu_at += found["apdu"][0]
    frame = bytearray(lpdu)
    hops = hop_count = control = target = -1
    if ahead and kind is not Kind.RESPONSE:
        _expect(lpdu[apdu_at] == PROXY, "proxy message")
        chain = Ltep.decode(lpdu[apdu_at:])
        inside = {name: apdu_at + offset for name, (offset, _) in places(Ltep, lpdu[apdu_at:]).items()}
        # The list names those behind the receiver; the last of the path is the target.
        named = [hop.node for hop in chain.short_hops or []]
        _expect(named == [address_of(node).node for node in ahead[:-1]] and not chain.long_hops, "repeaters")
        _expect(chain.target_node == address_of(ahead[-1]).node, "target")
        hop_count, control = len(named), inside["control"]
        if hop_count:
            first = inside.get("short_hops", inside.get("short_hops[0]", -1))
            _expect(first >= 0, "place of repeaters")
            hops = first
            frame[hops : hops + hop_count] = bytes(hop_count)
        if kind is Kind.REQUEST:
            target = inside["target_node"]
            frame[target] = 0
        apdu_at = inside["apdu"]
    elif ahead:
        _expect(lpdu[apdu_at] != PROXY, "response")
    _expect(len(lpdu) - apdu_at == contents.apdu_sizes[kind], "secured message")
    _expect(max(frame[apdu_at + 1 :], default=0) == 0, "secured message")
    node_bits = ~NodeByte.fields["node"].mask & 0xFF
    for name in ("source_node", "destination_node"):
        frame[at[name]] &= node_bits
    for name in ("source_subnet", "destination_subnet"):
        frame[at[name]] = 0
    if transaction >= 0:
        frame[transaction] &= ~SpduHeader.fields["transaction"].mask & 0xFF
    whole = with_crc(bytes(frame))
    return whole, Place(
        at["source_subnet"],
        at["source_node"],
        at["destination_subnet"],
        at["destination_node"],
        at["domain"],
        transaction,
        hops,
        max(0, hop_count),
        control,
        target,
        apdu_at,
        len(whole),
    )


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise ConfigError(
            f"the {what} of an ordinary node's frame is not where it is looked for",
            hint="a layout or a rule of the stack has changed: content.frames must follow",
        )
