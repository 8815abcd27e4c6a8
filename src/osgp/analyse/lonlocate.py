"""Captured frames down to the UDP payload in compiled code: the first half of ``lonkernels``, under the same rules.

What it must give is said by ``osgp.ports.datagram.datagram_in``, which names the sources of Ethernet, IP and UDP. A project choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

from osgp.analyse.loncolumns import ABSENT, Carrier
from osgp.analyse.lontables import field, offset_of
from osgp.lon import cnip, lonip
from osgp.ports import datagram as ip
from osgp.ports.datagram import Fault, LinkType, size_of

__all__ = ["locate"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
# Numba's types are only partly declared: taken through Any, so that strict checks do not depend on its version.
_numba: Any = numba
njit: Callable[..., Callable[[_Function], _Function]] = _numba.njit
int64: Any = np.int64


@njit(cache=True)
def _number(data: Any, place: Any, size: Any) -> Any:
    """An unsigned number, most significant byte first."""
    value = int64(0)
    for index in range(place, place + size):
        value = value << 8 | int64(data[index])
    return value


def _locate() -> Callable[..., Any]:
    ok, not_lon, fragment, cut = int(Fault.OK), int(Fault.NOT_LON), int(Fault.FRAGMENT), int(Fault.CUT)
    truncated, bad_value = int(Fault.TRUNCATED), int(Fault.BAD_VALUE)
    none, by_cnip, by_lonip, bare = (int(Carrier[name]) for name in ("NONE", "CNIP", "LONIP", "LPDU"))
    bare_links = (int(LinkType.LPDU_WITH_CRC), int(LinkType.LPDU))
    ethernet, raw_ip = int(LinkType.ETHERNET), int(LinkType.RAW_IP)
    cooked, cooked_2 = int(LinkType.LINUX_COOKED), int(LinkType.LINUX_COOKED_2)
    loopbacks = (int(LinkType.NULL), int(LinkType.LOOPBACK))
    link_ipv4, link_ipv6 = int(LinkType.IPV4), int(LinkType.IPV6)
    ethernet_size, ethernet_type = size_of(ip.Ethernet), offset_of(ip.Ethernet, "type")
    cooked_size, cooked_type = size_of(ip.LinuxCooked), offset_of(ip.LinuxCooked, "type")
    cooked_2_size, cooked_2_type = size_of(ip.LinuxCooked2), offset_of(ip.LinuxCooked2, "type")
    loopback_size = size_of(ip.Loopback)
    vlan_size, vlan_type = size_of(ip.VlanTag), offset_of(ip.VlanTag, "type")
    vlans, extensions = ip.ETHERNET_VLAN, ip.IPV6_EXTENSIONS
    type_ipv4, type_ipv6 = ip.TYPE_IPV4, ip.TYPE_IPV6
    families_ipv4, families_ipv6 = ip.FAMILY_IPV4, ip.FAMILY_IPV6
    version_shift, words_mask = field(ip.Ipv4First, "version").lsb, field(ip.Ipv4First, "words").mask
    v4_size, v4_length, v4_fragment = size_of(ip.Ipv4), offset_of(ip.Ipv4, "length"), offset_of(ip.Ipv4, "fragment")
    v4_protocol, v4_source = offset_of(ip.Ipv4, "protocol"), offset_of(ip.Ipv4, "source")
    v4_destination = offset_of(ip.Ipv4, "destination")
    fragment_mask = field(ip.Ipv4Fragment, "more").mask | field(ip.Ipv4Fragment, "place").mask
    v6_size, v6_length, v6_next = size_of(ip.Ipv6), offset_of(ip.Ipv6, "length"), offset_of(ip.Ipv6, "next")
    extension_size = size_of(ip.Ipv6Extension)
    extension_next, extension_length = offset_of(ip.Ipv6Extension, "next"), offset_of(ip.Ipv6Extension, "length")
    v6_fragment, udp = ip.IPV6_FRAGMENT, ip.UDP
    udp_size, udp_source = size_of(ip.Udp), offset_of(ip.Udp, "source")
    udp_destination, udp_length = offset_of(ip.Udp, "destination"), offset_of(ip.Udp, "length")
    cnip_ports, lonip_port = (cnip.PORT, cnip.URGENT_PORT), lonip.PORT
    absent = ABSENT

    @njit(cache=True, nogil=True)
    def locate(
        data: Any,
        count: Any,
        offsets: Any,
        captured: Any,
        original: Any,
        links: Any,
        carriers: Any,
        faults: Any,
        starts: Any,
        ends: Any,
        sources: Any,
        destinations: Any,
    ) -> None:
        """Carrier, fault, bounds of the payload and IPv4 addresses (ABSENT for IPv6) of ``count`` frames."""
        for row in range(count):
            place = offsets[row]
            end = place + captured[row]
            short = cut if captured[row] < original[row] else truncated
            carriers[row], starts[row], ends[row] = none, place, end
            link = links[row]
            if link in bare_links:
                carriers[row] = bare
                faults[row] = cut if captured[row] < original[row] else ok
                continue
            version = 0
            kind = absent
            size = 0
            if link == ethernet:
                size = ethernet_size
            elif link == cooked:
                size = cooked_size
            elif link == cooked_2:
                size = cooked_2_size
            elif link in loopbacks:
                size = loopback_size
            elif link == link_ipv4:
                version = 4
            elif link == link_ipv6:
                version = 6
            elif link != raw_ip:
                faults[row] = not_lon
                continue
            if end - place < size:
                faults[row] = short
                continue
            if link == ethernet:
                kind = _number(data, place + ethernet_type, 2)
            elif link == cooked:
                kind = _number(data, place + cooked_type, 2)
            elif link == cooked_2:
                kind = _number(data, place + cooked_2_type, 2)
            elif size:
                version = -1
                there = _number(data, place, 4)
                back = (
                    int64(data[place])
                    | int64(data[place + 1]) << 8
                    | int64(data[place + 2]) << 16
                    | int64(data[place + 3]) << 24
                )
                for number in (there, back):
                    if number in families_ipv6:
                        version = 6
                if there in families_ipv4 or back in families_ipv4:
                    version = 4
            place += size
            while kind in vlans:
                if end - place < vlan_size:
                    break
                kind = _number(data, place + vlan_type, 2)
                place += vlan_size
            if kind in vlans:
                faults[row] = short
                continue
            if kind >= 0:
                version = 4 if kind == type_ipv4 else 6 if kind == type_ipv6 else -1
            if version < 0:
                faults[row] = not_lon
                continue
            if place >= end:
                faults[row] = short
                continue
            said = int64(data[place]) >> version_shift
            if (said != 4 and said != 6) or (version != 0 and version != said):
                faults[row] = not_lon
                continue
            if said == 4:
                if end - place < v4_size:
                    faults[row] = short
                    continue
                if data[place + v4_protocol] != udp:
                    faults[row] = not_lon
                    continue
                if _number(data, place + v4_fragment, 2) & fragment_mask:
                    faults[row] = fragment
                    continue
                header = 4 * (int64(data[place]) & words_mask)
                length = _number(data, place + v4_length, 2)
                if header < v4_size or length < header:
                    faults[row] = bad_value
                    continue
                sources[row] = _number(data, place + v4_source, 4)
                destinations[row] = _number(data, place + v4_destination, 4)
                limit = place + length
                place += header
            else:
                if end - place < v6_size:
                    faults[row] = short
                    continue
                following = int64(data[place + v6_next])
                limit = place + v6_size + _number(data, place + v6_length, 2)
                place += v6_size
                sources[row] = destinations[row] = absent
                while following in extensions:
                    if end - place < extension_size:
                        break
                    following = int64(data[place + extension_next])
                    place += 8 + 8 * int64(data[place + extension_length])
                if following in extensions:
                    faults[row] = short
                    continue
                if following != udp:
                    faults[row] = fragment if following == v6_fragment else not_lon
                    continue
            if end - place < udp_size:
                faults[row] = short
                continue
            source = _number(data, place + udp_source, 2)
            destination = _number(data, place + udp_destination, 2)
            if source in cnip_ports or destination in cnip_ports:
                carrier = by_cnip
            elif source == lonip_port or destination == lonip_port:
                carrier = by_lonip
            else:
                faults[row] = not_lon
                continue
            length = _number(data, place + udp_length, 2)
            if length < udp_size or place + length > limit:
                faults[row] = bad_value
                continue
            if place + length > end:
                faults[row] = short
                continue
            carriers[row], faults[row] = carrier, ok
            starts[row], ends[row] = place + udp_size, place + length

    return locate


locate = _locate()
