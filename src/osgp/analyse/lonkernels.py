"""Captured frames to columns in compiled code: from the carrier to the APDU.

Import this module only at need: it imports Numba and compiles, or loads what an earlier process compiled and left in Numba's cache.
What it must give is said by ``lonplain``. Offsets, masks and codes come from the declarations, partly through ``lontables``. They are
bound in a function around each kernel, because Numba's cache then knows them: a changed declaration never meets old code. Layouts are
those of ``osgp.lon`` (ISO/IEC 14908-1 and 14908-4); which columns there are and how a kernel finds them is a project choice.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any, TypeVar

import numba
import numpy as np

from osgp.analyse.loncolumns import ABSENT, Carrier, CrcState, columns_of
from osgp.analyse.lonplain import LONIP_FORMATS
from osgp.analyse.lontables import (
    LONIP_FIELDS,
    NIBBLE,
    NPDU_FIELDS,
    PDU_FIELDS,
    field,
    lonip_index,
    npdu_index,
    offset_of,
    pdu_index,
)
from osgp.lon import cnip
from osgp.lon.apdu import Family, NvHeader, family
from osgp.lon.authpdu import AuthHeader
from osgp.lon.crc import CRC_SIZE, RESIDUE
from osgp.lon.lonip import (
    Backlog,
    DatagramFormat,
    DomainLength,
    ExplicitNode,
    LonIpControl,
    LonIpHeader,
    LonIpVersion,
    SourceNode,
)
from osgp.lon.lonip_map import derived_address
from osgp.lon.lpdu import LinkHeader
from osgp.lon.npdu import DOMAIN_LENGTHS, NetworkControl, NodeByte, Npdu, PduType
from osgp.lon.tpdu import MAX_MEMBER_LIST, SpduHeader, TpduHeader
from osgp.ports.capture import LONIP_VERSIONS
from osgp.ports.datagram import Fault, LinkType
from osgp.wire.bits import Bits
from osgp.wire.kernels import crc_register

__all__ = ["CRC_AUTO", "CRC_MUST", "CRC_NONE", "crc_fits", "decode"]

CRC_NONE, CRC_MUST, CRC_AUTO = 0, 1, 2
"""How a CN/IP packet's data end: never with a CRC, always, or with one if it is right."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
# Numba's types are only partly declared: taken through Any, so that strict checks do not depend on its version.
_numba: Any = numba
njit: Callable[..., Callable[[_Function], _Function]] = _numba.njit
int64: Any = np.int64


def _bits(word: type[Bits], name: str) -> tuple[int, int]:
    """(shift, mask after the shift) of a bit field."""
    declared = field(word, name)
    return declared.lsb, (1 << declared.width) - 1


assert all(_bits(TpduHeader, name) == _bits(SpduHeader, name) for name in TpduHeader.fields), (
    "both kinds have one shape"
)


@njit(cache=True)
def _number(data: Any, place: Any, size: Any) -> Any:
    """An unsigned number, most significant byte first."""
    value = int64(0)
    for index in range(place, place + size):
        value = value << 8 | int64(data[index])
    return value


@njit(cache=True)
def crc_fits(data: Any, start: Any, end: Any, tables: Any, residue: Any) -> Any:
    """Whether the last two bytes are the CRC of those before."""
    return crc_register(data, start, end, tables) == residue


@njit(cache=True)
def _said_domain(address: Any, of_none: Any, of_one: Any) -> Any:
    """(length, domain) that an IPv4 address says, as ``osgp.lon.lonip_map.domain_of`` has it.

    ``of_none``, ``of_one``: the networks of the domains of no byte and of one.
    """
    if address & 0xFFFF0000 == of_none:
        return int64(0), int64(0)
    if address & 0xFF000000 == of_one:
        return int64(1), int64(address >> 16 & 0xFF)
    return int64(3), int64(address >> 16) << 8


def _decode() -> Callable[..., Any]:
    ok, not_lon, truncated = int(Fault.OK), int(Fault.NOT_LON), int(Fault.TRUNCATED)
    bad_value, bad_crc, empty = int(Fault.BAD_VALUE), int(Fault.BAD_CRC), int(Fault.EMPTY_PDU)
    other_packet, secured = int(Fault.OTHER_PACKET), int(Fault.SECURED)
    none, by_cnip, by_lonip = int(Carrier.NONE), int(Carrier.CNIP), int(Carrier.LONIP)
    crc_ok, crc_bad = int(CrcState.OK), int(CrcState.BAD)
    lpdu_with_crc = int(LinkType.LPDU_WITH_CRC)
    absent, crc_size, residue = ABSENT, CRC_SIZE, RESIDUE
    crc_none, crc_must, crc_auto = CRC_NONE, CRC_MUST, CRC_AUTO

    header = cnip.CnIpHeader
    cnip_size, digest_size = cnip.HEADER_SIZE, cnip.DIGEST_SIZE
    at_length, at_version, at_type = (offset_of(header, name) for name in ("length", "version", "type"))
    at_words, at_flags = offset_of(header, "extension_words"), offset_of(header, "flags")
    at_session, at_sequence, at_stamp = (offset_of(header, name) for name in ("session", "sequence", "timestamp_ms"))
    secured_mask, protocol_mask = field(cnip.CnIpFlags, "security").mask, field(cnip.CnIpFlags, "protocol").mask
    cnip_version_mask = field(cnip.CnIpVersion, "version").mask
    vendor_mask = field(cnip.CnIpVersion, "vendor_specific").mask
    data_packet = int(cnip.PacketType.DATA)

    priority_shift, path_shift = field(LinkHeader, "priority").lsb, field(LinkHeader, "alternate_path").lsb
    backlog_mask = field(LinkHeader, "delta_backlog").mask
    at_control, at_source_subnet = offset_of(Npdu, "control"), offset_of(Npdu, "source_subnet")
    at_source_node = offset_of(Npdu, "source_node")
    npdu_fixed = at_source_node + NodeByte.size
    domain_shift, domain_mask = _bits(NetworkControl, "domain_length")
    form_shift, form_mask = _bits(NetworkControl, "address_format")
    type_shift, type_mask = _bits(NetworkControl, "pdu_type")
    version_shift, version_mask = _bits(NetworkControl, "version")
    row_of_domain, row_of_form, row_of_selector = npdu_index(1, 0, 0), npdu_index(0, 1, 0), npdu_index(0, 0, 1)
    row_of_version, row_of_type, row_of_nibble = pdu_index(1, 0, 0), pdu_index(0, 1, 0), pdu_index(0, 0, 1 << NIBBLE)
    nibble = NIBBLE
    node_mask, selector_shift = field(NodeByte, "node").mask, field(NodeByte, "selector").lsb
    n_subnet, n_node, n_group, n_member, n_unique, n_domain, n_pdu = range(len(NPDU_FIELDS))
    p_low, p_list, p_apdu, p_end = range(len(PDU_FIELDS))
    lengths = DOMAIN_LENGTHS
    number_mask = field(TpduHeader, "transaction").mask
    kind_shift, kind_mask = _bits(TpduHeader, "type")
    auth_shift = field(TpduHeader, "authenticated").lsb
    auth_type_shift, auth_type_mask = _bits(AuthHeader, "type")
    auth_form_shift, auth_form_mask = _bits(AuthHeader, "address_format")
    pdu_auth, pdu_apdu, max_list = int(PduType.AUTHPDU), int(PduType.APDU), MAX_MEMBER_LIST
    variable = min(code for code in range(256) if family(code) == Family.VARIABLE)
    nv_size = NvHeader.size
    selector_mask, direction_shift = field(NvHeader, "selector").mask, field(NvHeader, "direction").lsb

    of_none, of_one = (int(IPv4Address(derived_address(domain, 0, 0) or "")) for domain in (b"", b"\0"))
    lon_version_shift, lon_version_mask = _bits(LonIpVersion, "version")
    carried_shift, carried_mask = _bits(LonIpVersion, "source_carried")
    counted_shift, counted_mask = _bits(LonIpControl, "backlog_follows")
    lon_priority_shift, lon_priority_mask = _bits(LonIpControl, "priority")
    lon_type_shift, lon_type_mask = _bits(LonIpControl, "pdu_type")
    lon_form_shift, lon_form_mask = _bits(LonIpControl, "address_format")
    at_lon_version, at_lon_control = offset_of(LonIpHeader, "version"), offset_of(LonIpHeader, "control")
    lon_fixed = at_lon_control + LonIpControl.size
    follows_shift, follows_mask = _bits(SourceNode, "domain_follows")
    from_mask = field(SourceNode, "node").mask
    code_shift, code_mask = _bits(DomainLength, "code")
    answer_shift, answer_mask = _bits(ExplicitNode, "group_answer")
    to_mask = field(ExplicitNode, "node").mask
    lon_backlog_mask = field(Backlog, "delta_backlog").mask
    row_carried, row_counted = lonip_index(1, 0, 0, 0, 0, 0), lonip_index(0, 1, 0, 0, 0, 0)
    row_form, row_follows = lonip_index(0, 0, 1, 0, 0, 0), lonip_index(0, 0, 0, 1, 0, 0)
    row_code, row_answer = lonip_index(0, 0, 0, 0, 1, 0), lonip_index(0, 0, 0, 0, 0, 1)
    (l_backlog, l_from_subnet, l_from_node, l_code, l_domain, l_subnet, l_node, l_group, l_member, l_unique, l_pdu) = (
        range(len(LONIP_FIELDS))
    )
    forms = tuple(int(LONIP_FORMATS.get(DatagramFormat(code), ABSENT)) for code in range(lon_form_mask + 1))
    versions = tuple(int(LONIP_VERSIONS.get(code, ABSENT)) for code in range(lon_version_mask + 1))
    whole_domain = int(DatagramFormat.BROADCAST)
    by_address = (int(DatagramFormat.SUBNET_NODE), int(DatagramFormat.GROUP_ANSWER))

    ones, twos, fours, eights = (columns_of(dtype) for dtype in ("i1", "i2", "i4", "i8"))
    c_carrier, c_error, c_crc = (ones.index(name) for name in ("carrier", "error", "crc_state"))
    c_priority, c_path, c_backlog = (ones.index(name) for name in ("priority", "alternate_path", "delta_backlog"))
    c_version, c_pdu_type, c_form = (ones.index(name) for name in ("version", "pdu_type", "address_format"))
    c_domain_length, c_auth, c_type = (ones.index(name) for name in ("domain_length", "authenticated", "type"))
    c_list, c_auth_form = ones.index("member_list_length"), ones.index("authentication_format")
    c_direction = ones.index("nv_direction")
    c_from_subnet, c_from_node = twos.index("source_subnet"), twos.index("source_node")
    c_subnet, c_node = twos.index("destination_subnet"), twos.index("destination_node")
    c_group, c_member, c_transaction = (twos.index(name) for name in ("group", "member", "transaction"))
    c_code, c_selector = twos.index("apdu_code"), twos.index("nv_selector")
    c_frame, c_length = fours.index("frame"), fours.index("apdu_length")
    c_time, c_domain, c_unique = (eights.index(name) for name in ("time_ns", "domain", "unique_node_id"))
    c_session, c_sequence = eights.index("cnip_session"), eights.index("cnip_sequence")
    c_stamp, c_offset = eights.index("cnip_timestamp_ms"), eights.index("apdu_offset")

    @njit(cache=True, nogil=True)
    def decode(
        data: Any,
        first: Any,
        count: Any,
        number: Any,
        times: Any,
        links: Any,
        carriers: Any,
        faults: Any,
        starts: Any,
        ends: Any,
        sources: Any,
        destinations: Any,
        mode: Any,
        npdu_table: Any,
        pdu_table: Any,
        lonip_table: Any,
        crc_tables: Any,
        rows: Any,
        ones: Any,
        twos: Any,
        fours: Any,
        eights: Any,
    ) -> Any:
        """Rows of located frames ``first`` to ``count`` (frame numbers from ``number`` on), written behind ``rows``.

        Gives (frames done, rows): fewer frames than asked for when the columns are full. ``mode``: how the data of CN/IP packets end.
        """
        capacity = ones.shape[1]
        for frame in range(first, count):
            carrier, place, limit = carriers[frame], starts[frame], ends[frame]
            most = 1 + (limit - place) // cnip_size if carrier == by_cnip else 1
            if rows + most > capacity:
                return frame, rows
            more = True
            while more:
                more = False
                fault = int64(faults[frame])
                crc_state = 0
                session = sequence = stamp = int64(absent)
                priority = path = backlog = int64(absent)
                version = pdu_type = form = domain_length = int64(absent)
                domain = unique = int64(absent)
                from_subnet = from_node = subnet = node = group = member = int64(absent)
                auth = kind = transaction = members = auth_form = int64(absent)
                offset = code = direction = selector = int64(absent)
                length = int64(0)
                begin = pdu = int64(0)
                end = int64(limit)
                wants_crc = crc_none
                if carrier == none:
                    if fault == ok:
                        fault = int64(not_lon)
                elif carrier == by_cnip and fault == ok:
                    wants_crc = mode
                    left = limit - place
                    if left < cnip_size:
                        fault = int64(truncated)
                    else:
                        said = _number(data, place + at_length, 2)
                        flags = int64(data[place + at_flags])
                        head = cnip_size + 4 * int64(data[place + at_words])
                        body = max(said - head, 0)
                        digest = digest_size if flags & secured_mask else 0
                        if head + body + digest > left:
                            fault = int64(truncated)
                        else:
                            session = _number(data, place + at_session, 4)
                            sequence = _number(data, place + at_sequence, 4)
                            stamp = _number(data, place + at_stamp, 4)
                            dialect = int64(data[place + at_version])
                            begin = int64(place + head)
                            end = int64(begin + body)
                            if said != head + body:
                                fault = int64(bad_value)
                            elif digest:
                                fault = int64(secured)
                            else:
                                place = end
                                more = end < limit
                                if (
                                    data[begin - head + at_type] != data_packet
                                    or flags & protocol_mask
                                    or dialect & cnip_version_mask > 1
                                    or dialect & vendor_mask
                                ):
                                    fault = int64(other_packet)
                elif carrier != by_lonip:
                    begin = int64(place)
                    if links[frame] == lpdu_with_crc:
                        wants_crc = crc_must

                if carrier == by_lonip:
                    reach = limit - place
                    row = 0
                    if reach < lon_fixed:
                        fault = int64(truncated)
                    else:
                        control = int64(data[place + at_lon_control])
                        how = control >> lon_form_shift & lon_form_mask
                        row = how * row_form + (control >> counted_shift & counted_mask) * row_counted
                        row += (int64(data[place + at_lon_version]) >> carried_shift & carried_mask) * row_carried
                        spot = lonip_table[row, l_from_node]
                        if 0 <= spot < reach:
                            row += (int64(data[place + spot]) >> follows_shift & follows_mask) * row_follows
                        spot = lonip_table[row, l_code]
                        if 0 <= spot < reach:
                            row += (int64(data[place + spot]) >> code_shift & code_mask) * row_code
                        spot = lonip_table[row, l_node]
                        if 0 <= spot < reach:
                            row += (int64(data[place + spot]) >> answer_shift & answer_mask) * row_answer
                        if lonip_table[row, l_pdu] > reach:
                            fault = int64(truncated)
                    if fault == ok:
                        version = int64(
                            versions[int64(data[place + at_lon_version]) >> lon_version_shift & lon_version_mask]
                        )
                        form = int64(forms[how])
                        source, target = sources[frame], destinations[frame]
                        from_place = source >= 0 and 0 < source & 0xFF < 128
                        spot = lonip_table[row, l_from_node]
                        if lonip_table[row, l_domain] >= 0:
                            size = lengths[int64(data[place + lonip_table[row, l_code]]) >> code_shift & code_mask]
                            domain_length = int64(size)
                            domain = _number(data, place + lonip_table[row, l_domain], size)
                        elif source >= 0:
                            domain_length, domain = _said_domain(source, of_none, of_one)
                        if version < 0 or form < 0 or domain_length < 0 or (spot < 0 and not from_place):
                            fault = int64(bad_value)
                            version = form = domain_length = domain = int64(absent)
                        else:
                            priority = control >> lon_priority_shift & lon_priority_mask
                            pdu_type = control >> lon_type_shift & lon_type_mask
                            if lonip_table[row, l_backlog] >= 0:
                                backlog = int64(data[place + lonip_table[row, l_backlog]]) & lon_backlog_mask
                            if spot >= 0:
                                from_subnet = int64(data[place + lonip_table[row, l_from_subnet]])
                                from_node = int64(data[place + spot]) & from_mask
                            else:
                                from_subnet, from_node = source >> 8 & 0xFF, source & 0xFF
                            if lonip_table[row, l_subnet] >= 0:
                                subnet = int64(data[place + lonip_table[row, l_subnet]])
                            if lonip_table[row, l_node] >= 0:
                                node = int64(data[place + lonip_table[row, l_node]]) & to_mask
                            elif how == whole_domain:
                                subnet = int64(0)
                            elif how in by_address and target >= 0 and 0 < target & 0xFF < 128:
                                its_length, its_domain = _said_domain(target, of_none, of_one)
                                if its_length == domain_length and its_domain == domain:
                                    subnet, node = target >> 8 & 0xFF, target & 0xFF
                            if lonip_table[row, l_group] >= 0:
                                group = int64(data[place + lonip_table[row, l_group]])
                            if lonip_table[row, l_member] >= 0:
                                member = int64(data[place + lonip_table[row, l_member]])
                            if lonip_table[row, l_unique] >= 0:
                                unique = _number(data, place + lonip_table[row, l_unique], 6)
                            pdu = int64(place + lonip_table[row, l_pdu])
                elif carrier != none and fault == ok:
                    size = end - begin
                    if wants_crc == crc_must:
                        if size <= crc_size:
                            fault = int64(truncated)
                        elif crc_fits(data, begin, end, crc_tables, residue):
                            crc_state = crc_ok
                            end -= crc_size
                        else:
                            crc_state = crc_bad
                            fault = int64(bad_crc)
                    elif size == 0:
                        fault = int64(truncated)
                    elif wants_crc == crc_auto and size > crc_size and crc_fits(data, begin, end, crc_tables, residue):
                        crc_state = crc_ok
                        end -= crc_size
                    if fault == ok:
                        first_byte = int64(data[begin])
                        priority = first_byte >> priority_shift & 1
                        path = first_byte >> path_shift & 1
                        backlog = first_byte & backlog_mask
                        begin += 1
                        row = 0
                        if end - begin < npdu_fixed:
                            fault = int64(truncated)
                        else:
                            control = int64(data[begin + at_control])
                            sender = int64(data[begin + at_source_node])
                            size = control >> domain_shift & domain_mask
                            how = control >> form_shift & form_mask
                            row = (
                                size * row_of_domain
                                + how * row_of_form
                                + (sender >> selector_shift & 1) * row_of_selector
                            )
                            pdu = begin + npdu_table[row, n_pdu]
                            if pdu > end:
                                fault = int64(truncated)
                            else:
                                version = control >> version_shift & version_mask
                                pdu_type = control >> type_shift & type_mask
                                form = how
                                domain_length = int64(lengths[size])
                                domain = _number(data, begin + npdu_table[row, n_domain], domain_length)
                                from_subnet = int64(data[begin + at_source_subnet])
                                from_node = sender & node_mask
                                if npdu_table[row, n_subnet] >= 0:
                                    subnet = int64(data[begin + npdu_table[row, n_subnet]])
                                if npdu_table[row, n_node] >= 0:
                                    node = int64(data[begin + npdu_table[row, n_node]]) & node_mask
                                if npdu_table[row, n_group] >= 0:
                                    group = int64(data[begin + npdu_table[row, n_group]])
                                if npdu_table[row, n_member] >= 0:
                                    member = int64(data[begin + npdu_table[row, n_member]])
                                if npdu_table[row, n_unique] >= 0:
                                    unique = _number(data, begin + npdu_table[row, n_unique], 6)

                if carrier != none and fault == ok:
                    if pdu >= end:
                        fault = int64(empty)
                    else:
                        first_byte = int64(data[pdu])
                        row = version * row_of_version + pdu_type * row_of_type + (first_byte >> nibble) * row_of_nibble
                        size = int64(pdu_table[row, p_end])
                        spot = pdu_table[row, p_list]
                        count_of_members = int64(absent)
                        if spot >= 0:
                            if pdu + spot >= end:
                                fault = int64(truncated)
                            else:
                                count_of_members = int64(data[pdu + spot])
                                if count_of_members > max_list:
                                    fault = int64(bad_value)
                                size += count_of_members
                        if fault == ok and pdu + size > end:
                            fault = int64(truncated)
                        if fault == ok:
                            if pdu_type != pdu_apdu:
                                transaction = first_byte & number_mask
                                if pdu_table[row, p_low] >= 0:
                                    transaction = transaction << 8 | int64(data[pdu + pdu_table[row, p_low]])
                                if pdu_type == pdu_auth:
                                    kind = first_byte >> auth_type_shift & auth_type_mask
                                    auth_form = first_byte >> auth_form_shift & auth_form_mask
                                else:
                                    kind = first_byte >> kind_shift & kind_mask
                                    auth = first_byte >> auth_shift & 1
                                    members = count_of_members
                            if pdu_table[row, p_apdu] >= 0 and pdu + size < end:
                                offset = pdu + size
                                length = end - offset
                                code = int64(data[offset])
                                if code >= variable and length >= nv_size:
                                    word = _number(data, offset, nv_size)
                                    direction = word >> direction_shift & 1
                                    selector = word & selector_mask

                fours[c_frame, rows] = number + frame
                fours[c_length, rows] = length
                eights[c_time, rows] = times[frame]
                eights[c_domain, rows] = domain
                eights[c_unique, rows] = unique
                eights[c_session, rows] = session
                eights[c_sequence, rows] = sequence
                eights[c_stamp, rows] = stamp
                eights[c_offset, rows] = offset
                ones[c_carrier, rows] = carrier
                ones[c_error, rows] = fault
                ones[c_crc, rows] = crc_state
                ones[c_priority, rows] = priority
                ones[c_path, rows] = path
                ones[c_backlog, rows] = backlog
                ones[c_version, rows] = version
                ones[c_pdu_type, rows] = pdu_type
                ones[c_form, rows] = form
                ones[c_domain_length, rows] = domain_length
                ones[c_auth, rows] = auth
                ones[c_type, rows] = kind
                ones[c_list, rows] = members
                ones[c_auth_form, rows] = auth_form
                ones[c_direction, rows] = direction
                twos[c_from_subnet, rows] = from_subnet
                twos[c_from_node, rows] = from_node
                twos[c_subnet, rows] = subnet
                twos[c_node, rows] = node
                twos[c_group, rows] = group
                twos[c_member, rows] = member
                twos[c_transaction, rows] = transaction
                twos[c_code, rows] = code
                twos[c_selector, rows] = selector
                rows += 1
        return count, rows

    return decode


decode = _decode()
