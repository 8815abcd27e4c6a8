"""What the group ``lon-frames`` measures is the same on both sides."""

from __future__ import annotations

import random

from osgp.bench import lon_frames as bench
from osgp.bench.frame import PeerMissing
from osgp.lon.packet import packet_of


def test_what_is_built_is_read_back_and_is_a_frame() -> None:
    for datagram in bench._datagrams()[:50]:
        packet, lpdu, npdu, spdu, apdu = bench._read(datagram)
        assert packet.header.length == len(datagram)
        assert packet_of(packet.data).npdu == npdu
        assert (int(lpdu.header), npdu.domain, npdu.destination_subnet) == (1, bench.DOMAIN, 1)
        assert spdu.apdu == apdu.encode()


def test_scapy_builds_and_dissects_the_same_bytes() -> None:
    try:
        dissect, build = bench._scapy()
    except PeerMissing as missing:
        assert "scapy" in str(missing)  # not among what tests install: the bench then says that it is missing
        return
    rng = random.Random(1)
    for number in range(20):
        order = (rng.getrandbits(32), number, 1 + number, 3, 1 + number % 15, rng.randbytes(1 + number))
        datagram = bench._built(*order)
        assert build(*order) == datagram
        found = dissect(datagram)
        assert found.transaction == order[4]
        assert bytes(found.payload) == order[5]
