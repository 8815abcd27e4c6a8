"""What the group ``lon-frames`` measures is the same on both sides."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

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


@pytest.mark.parametrize("there", [True, False])
def test_scapy_builds_and_dissects_the_same_bytes(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if (
        not there or find_spec("scapy") is None
    ):  # it is not among what tests install: the bench then says what is missing
        monkeypatch.setitem(sys.modules, "scapy.fields", None)
        with pytest.raises(PeerMissing, match="scapy"):
            bench._scapy()
        return
    dissect, build = bench._scapy()
    rng = random.Random(1)
    for number in range(20):
        order = (rng.getrandbits(32), number, 1 + number, 3, 1 + number % 15, rng.randbytes(1 + number))
        datagram = bench._built(*order)
        assert build(*order) == datagram
        found = dissect(datagram)
        assert found.transaction == order[4]
        assert bytes(found.payload) == order[5]


def test_the_work_of_the_peer_s_process_counts() -> None:
    def spend() -> None:
        subprocess.run([sys.executable, "-S", "-c", "sum(range(2_000_000))"], check=True)

    here = time.process_time()
    before = bench.processor_s()
    spend()
    assert bench.processor_s() - before > time.process_time() - here
