"""Where the frames of a capture lie, in compiled code: walks the records of pcap and the blocks of pcapng.

The third part of ``lonkernels``, under the same rules. What it does not understand at once (a section, an interface, damage) it leaves
to the readers of ``osgp.ports.pcap``, which say the same, raise the errors and name the sources of both forms (drafts of the IETF).
The walk is a project choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

from osgp.ports import pcap
from osgp.ports.pcap import ORDERS
from osgp.wire import Struct, layout_of

__all__ = ["END", "FULL", "STOPPED", "walk_blocks", "walk_records"]

END, FULL, STOPPED = 0, 1, 2
"""Why a walk came back: the bytes are used up, the arrays are full, or a reader must look at what comes next."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
# Numba's types are only partly declared: taken through Any, so that strict checks do not depend on its version.
_numba: Any = numba
njit: Callable[..., Callable[[_Function], _Function]] = _numba.njit
int64: Any = np.int64
uint64: Any = np.uint64


def _offset(struct: type[Struct], name: str) -> int:
    return layout_of(struct, ORDERS["little"]).span(name).offset


def _size(struct: type[Struct]) -> int:
    return layout_of(struct, ORDERS["little"]).size or 0


@njit(cache=True)
def _word(data: Any, place: Any, little: Any) -> Any:
    """An unsigned number of four bytes."""
    if little:
        return (
            int64(data[place])
            | int64(data[place + 1]) << 8
            | int64(data[place + 2]) << 16
            | int64(data[place + 3]) << 24
        )
    return (
        int64(data[place]) << 24 | int64(data[place + 1]) << 16 | int64(data[place + 2]) << 8 | int64(data[place + 3])
    )


def _walk_records() -> Callable[..., Any]:
    head = _size(pcap.PcapRecord)
    at_seconds, at_fraction = _offset(pcap.PcapRecord, "seconds"), _offset(pcap.PcapRecord, "fraction")
    at_captured, at_original = _offset(pcap.PcapRecord, "captured"), _offset(pcap.PcapRecord, "original")
    longest = pcap.MAX_RECORD
    at_end, full, stopped = END, FULL, STOPPED

    @njit(cache=True, nogil=True)
    def walk_records(
        data: Any, place: Any, little: Any, unit_ns: Any, offsets: Any, captured: Any, original: Any, times: Any
    ) -> Any:
        """Records of pcap from ``place`` on, as many as the arrays take: (count, where it stopped, why)."""
        count = 0
        size = data.shape[0]
        while count < offsets.shape[0]:
            if place == size:
                return count, place, at_end
            if size - place < head:
                return count, place, stopped
            length = _word(data, place + at_captured, little)
            if length > longest or size - place - head < length:
                return count, place, stopped
            offsets[count] = place + head
            captured[count] = length
            original[count] = _word(data, place + at_original, little)
            seconds, fraction = _word(data, place + at_seconds, little), _word(data, place + at_fraction, little)
            times[count] = seconds * 1000000000 + fraction * unit_ns
            place += head + length
            count += 1
        return count, place, full

    return walk_records


walk_records = _walk_records()


def _walk_blocks() -> Callable[..., Any]:
    head, tail = _size(pcap.Block), pcap.BLOCK_TAIL
    at_type, at_length = _offset(pcap.Block, "type"), _offset(pcap.Block, "length")
    longest = pcap.MAX_BLOCK
    obsolete, simple, framed = pcap.OBSOLETE, pcap.SIMPLE, (pcap.ENHANCED, pcap.OBSOLETE)
    described = (pcap.SECTION, pcap.INTERFACE)
    e_interface, e_high = _offset(pcap.EnhancedBlock, "interface"), _offset(pcap.EnhancedBlock, "time_high")
    e_low, e_captured = _offset(pcap.EnhancedBlock, "time_low"), _offset(pcap.EnhancedBlock, "captured")
    e_original = _offset(pcap.EnhancedBlock, "original")
    fixed = e_original + 4
    o_interface = _offset(pcap.ObsoleteBlock, "interface")
    assert [_offset(pcap.ObsoleteBlock, name) for name in ("time_high", "time_low", "captured", "original")] == [
        e_high,
        e_low,
        e_captured,
        e_original,
    ], "the old block differs in its first word only"
    s_original = _offset(pcap.SimpleBlock, "original")
    s_fixed = s_original + 4
    at_end, full, stopped = END, FULL, STOPPED

    @njit(cache=True, nogil=True)
    def walk_blocks(
        data: Any,
        place: Any,
        little: Any,
        base: Any,
        known: Any,
        snap_lengths: Any,
        count: Any,
        offsets: Any,
        captured: Any,
        original: Any,
        stamps: Any,
        timed: Any,
        interfaces: Any,
    ) -> Any:
        """Blocks of pcapng from ``place`` on, written behind ``count``: (new count, where it stopped, why).

        ``base``: interfaces of the sections before; ``known``: of this one. ``stamps``: times in units of the interface,
        where ``timed``.
        """
        size = data.shape[0]
        while count < offsets.shape[0]:
            if place == size:
                return count, place, at_end
            if size - place < head + tail:
                return count, place, stopped
            kind = _word(data, place + at_type, little)
            length = _word(data, place + at_length, little)
            if kind in described or length < head + tail or length % 4 or length > longest or length > size - place:
                return count, place, stopped
            if _word(data, place + length - tail, little) != length:
                return count, place, stopped
            body = place + head
            room = length - head - tail
            if kind in framed:
                if room < fixed:
                    return count, place, stopped
                number = _word(data, body + e_interface, little)
                if kind == obsolete:
                    first, second = int64(data[body + o_interface]), int64(data[body + o_interface + 1])
                    number = first | second << 8 if little else first << 8 | second
                taken = _word(data, body + e_captured, little)
                if number >= known or taken > room - fixed:
                    return count, place, stopped
                offsets[count] = body + fixed
                captured[count] = taken
                original[count] = _word(data, body + e_original, little)
                high, low = _word(data, body + e_high, little), _word(data, body + e_low, little)
                timed[count] = True
                stamps[count] = uint64(high) << uint64(32) | uint64(low)
                interfaces[count] = base + number
                count += 1
            elif kind == simple:
                if room < s_fixed or known == 0:
                    return count, place, stopped
                taken = _word(data, body + s_original, little)
                original[count] = taken
                if snap_lengths[base] and taken > snap_lengths[base]:
                    taken = snap_lengths[base]
                offsets[count] = body + s_fixed
                captured[count] = min(taken, room - s_fixed)
                stamps[count] = 0
                timed[count] = False
                interfaces[count] = base
                count += 1
            place += length
        return count, place, full

    return walk_blocks


walk_blocks = _walk_blocks()
