"""A capture into columns without a kernel, packet by packet through the declared structures.

What ``lonkernels`` must give as well: it is tested against this module. Used in its place where Numba is not installed.
Layouts from ``osgp.lon`` (ISO/IEC 14908-1 and 14908-4); the columns are a project choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from osgp.analyse.loncolumns import ABSENT, COLUMNS, Carrier, CrcState
from osgp.lon.apdu import Family, NvMessage, family
from osgp.lon.authpdu import AuthPdu
from osgp.lon.lonip import DatagramFormat, LonIpHeader
from osgp.lon.lonip_map import domain_of, place_of
from osgp.lon.lpdu import LinkHeader
from osgp.lon.npdu import AddressFormat, Npdu, PduType
from osgp.lon.tpdu import VERSIONS, Spdu, Tpdu
from osgp.ports.capture import LONIP_VERSIONS, CaptureFrame, LonFrame, packets_of
from osgp.ports.datagram import Endpoint, Fault
from osgp.wire.errors import BadValue, Truncated

__all__ = ["LONIP_FORMATS", "plain_columns"]

Row = dict[str, int]

LONIP_FORMATS = {
    DatagramFormat.SUBNET_NODE: AddressFormat.SUBNET_NODE,
    DatagramFormat.BROADCAST: AddressFormat.BROADCAST,
    DatagramFormat.SUBNET_BROADCAST: AddressFormat.BROADCAST,
    DatagramFormat.GROUP: AddressFormat.MULTICAST,
    DatagramFormat.GROUP_ANSWER: AddressFormat.SUBNET_NODE,
    DatagramFormat.UNIQUE_NODE_ID: AddressFormat.UNIQUE_NODE_ID,
    DatagramFormat.EXPLICIT: AddressFormat.SUBNET_NODE,
}
"""Address formats of LON/IP as those of the NPDU; others cannot be read from a datagram."""

_CARRIERS = {"": Carrier.NONE, "cnip": Carrier.CNIP, "lonip": Carrier.LONIP, "lpdu": Carrier.LPDU}
_CRC = {None: CrcState.NONE, True: CrcState.OK, False: CrcState.BAD}
_DEFAULTS = {column.name: 0 if column.always else ABSENT for column in COLUMNS}


def plain_columns(frames: Iterable[CaptureFrame], crc: bool | None = None) -> dict[str, Any]:
    """Columns of these frames (see ``loncolumns``); ``crc`` as in ``osgp.ports.capture.lon_frames``."""
    rows = [_row(packet) for frame in frames for packet in packets_of(frame, crc=crc)]
    return {column.name: np.array([row[column.name] for row in rows], column.dtype) for column in COLUMNS}


def _row(packet: LonFrame) -> Row:
    row = dict(_DEFAULTS)
    row.update(
        frame=packet.number,
        time_ns=packet.time_ns,
        carrier=_CARRIERS[packet.carrier],
        crc_state=_CRC[packet.crc],
    )
    if packet.cnip is not None:
        row["cnip_session"] = packet.cnip.session
        row["cnip_sequence"] = packet.cnip.sequence
        row["cnip_timestamp_ms"] = packet.cnip.timestamp_ms
    fault = packet.fault
    if fault == Fault.OK:
        try:
            fault = _lonip(row, packet) if packet.carrier == "lonip" else _lpdu(row, packet)
        except Truncated:
            fault = Fault.TRUNCATED
        except BadValue:
            fault = Fault.BAD_VALUE
    row["error"] = fault
    return row


def _lpdu(row: Row, packet: LonFrame) -> Fault:
    lpdu = packet.lpdu
    header = LinkHeader(lpdu[0])
    row.update(priority=header.priority, alternate_path=header.alternate_path, delta_backlog=header.delta_backlog)
    npdu = Npdu.decode(lpdu[1:])
    row.update(
        version=npdu.control.version,
        pdu_type=npdu.control.pdu_type,
        address_format=npdu.control.address_format,
        domain_length=len(npdu.domain),
        domain=int.from_bytes(npdu.domain, "big"),
        source_subnet=npdu.source_subnet,
        source_node=npdu.source_node.node,
    )
    _destination(row, npdu)
    if npdu.destination_node is not None:
        row["destination_node"] = npdu.destination_node.node
    return _pdu(row, npdu.control.version, npdu.control.pdu_type, npdu.pdu, packet.offset + len(lpdu) - len(npdu.pdu))


def _lonip(row: Row, packet: LonFrame) -> Fault:
    """What the datagram says, and what follows from its IP addresses by the plain rule (``osgp.lon.lonip_map``)."""
    raw = LonIpHeader.decode(packet.payload)
    version = LONIP_VERSIONS.get(raw.version.version)
    how = DatagramFormat(raw.control.address_format)
    source = _host(packet.source)
    place, domain = place_of(source), raw.domain
    if domain is None:
        domain = domain_of(source)
    if version is None or how not in LONIP_FORMATS or domain is None or (raw.source_node is None and place is None):
        return Fault.BAD_VALUE
    row.update(
        priority=raw.control.priority,
        version=version,
        pdu_type=raw.control.pdu_type,
        address_format=LONIP_FORMATS[how],
        domain_length=len(domain),
        domain=int.from_bytes(domain, "big"),
    )
    if raw.backlog is not None:
        row["delta_backlog"] = raw.backlog.delta_backlog
    if raw.source_node is not None and raw.source_subnet is not None:
        row.update(source_subnet=raw.source_subnet, source_node=raw.source_node.node)
    elif place is not None:
        row.update(source_subnet=place[1], source_node=place[2])
    _destination(row, raw)
    there = place_of(_host(packet.destination))
    if raw.destination_node is not None:
        row["destination_node"] = raw.destination_node.node
    elif how == DatagramFormat.BROADCAST:
        row["destination_subnet"] = 0
    elif how in (DatagramFormat.SUBNET_NODE, DatagramFormat.GROUP_ANSWER) and there is not None and there[0] == domain:
        row.update(destination_subnet=there[1], destination_node=there[2])
    return _pdu(row, version, raw.control.pdu_type, raw.pdu, packet.offset + len(packet.payload) - len(raw.pdu))


def _host(endpoint: Endpoint | None) -> str:
    """The IPv4 address, or "" (from which no place follows): IPv6 addresses do not say places."""
    return "" if endpoint is None or ":" in endpoint.host else endpoint.host


def _destination(row: Row, header: Npdu | LonIpHeader) -> None:
    for name in ("destination_subnet", "group", "member"):
        value = getattr(header, name)
        if value is not None:
            row[name] = value
    if header.unique_node_id is not None:
        row["unique_node_id"] = int.from_bytes(header.unique_node_id, "big")


def _pdu(row: Row, version: int, kind: int, pdu: bytes, offset: int) -> Fault:
    if not pdu:
        return Fault.EMPTY_PDU
    if kind == PduType.APDU:
        _apdu(row, pdu, offset)
        return Fault.OK
    if kind == PduType.AUTHPDU:
        auth = AuthPdu.decode(pdu, VERSIONS[version])
        row.update(type=auth.header.type, authentication_format=auth.header.address_format)
        row["transaction"] = _number(auth.header.transaction, auth.transaction_low)
        return Fault.OK
    decoded: Tpdu | Spdu = (Tpdu if kind == PduType.TPDU else Spdu).decode(pdu, VERSIONS[version])
    row.update(type=decoded.header.type, authenticated=decoded.header.authenticated)
    row["transaction"] = _number(decoded.header.transaction, decoded.transaction_low)
    if decoded.member_list is not None:
        row["member_list_length"] = len(decoded.member_list)
    _apdu(row, decoded.apdu, offset + len(pdu) - len(decoded.apdu))
    return Fault.OK


def _number(high: int, low: int | None) -> int:
    return high if low is None else high << 8 | low


def _apdu(row: Row, apdu: bytes, offset: int) -> None:
    row["apdu_length"] = len(apdu)
    if not apdu:
        return
    row["apdu_offset"] = offset
    row["apdu_code"] = apdu[0]
    if family(apdu[0]) == Family.VARIABLE and len(apdu) > 1:
        header = NvMessage.decode(apdu).header
        row.update(nv_direction=header.direction, nv_selector=header.selector)
