"""Answers that are older than the request they seem to answer, and how a client finds the step again.

C12.18 gives an answer no number: a packet has a toggle bit and a CRC, nothing else. On a line that keeps the order of bytes
this is enough as long as every request was sent once, and as long as answers are single packets: all that can still come of
the exchange before is its last packet, which is known. It is not enough

* after an answer of several packets whose request was sent more than once: the meter answers each copy, and the first part of
  the copy has just the toggle that the next answer is to have;
* after an exchange or a session that failed: nobody knows which of its answers are still on the way.

Then, and only then, the client asks something whose answer nothing older can be: some bytes of BT00, another number of them
each time. Bytes keep their order, so once that answer is there, everything older has passed. BT00 can be read in every session,
even without a key. After a failure two such questions are asked in a row: the answer to a full read, whose length the client
cannot foresee, may look like one of the two, but not like both.

All of this is project choice; nothing in the standard's digest speaks of it.
"""

from __future__ import annotations

from typing import Final

from osgp.c1218.packet import OVERHEAD
from osgp.tables.services import PartialRead, ResponseCode, decode_response, encode_request
from osgp.wire.errors import Error

__all__ = ["KNOWN", "QUIET_S", "UNKNOWN", "Step", "like_table_answer"]

KNOWN: Final = 1
"""Questions that settle a doubt when the answers that may still come are known to be of several packets."""

UNKNOWN: Final = 2
"""Questions that settle a doubt when nobody knows what may still come."""

QUIET_S: Final = 12.0
"""Seconds without a byte after which a meter that refuses the question is believed nevertheless."""

_BT00: Final = 0
_LONGEST: Final = 40
_HEAD: Final = 4  # code, count, checksum around the table bytes of an answer


def like_table_answer(message: bytes) -> bool:
    """Whether a message can be the answer to a read: ok, a count that fits, a checksum that fits."""
    try:
        code, _ = decode_response(message, checksum=True, read=True)
    except Error:
        return False
    return code == ResponseCode.OK and len(message) == int.from_bytes(message[1:3], "big") + _HEAD


class Step:
    """Whether a client can believe that an answer belongs to its request, and the questions that find it out.

    ``wanted``: so many questions are still to be answered before anything else is believed. ``helpless``: the meter refused
    the question, so only a quiet line settles the doubt.
    """

    def __init__(self) -> None:
        self.wanted = 0
        self.helpless = False
        self._count = 0

    def doubt(self, questions: int) -> None:
        """Something went wrong: ``KNOWN`` or ``UNKNOWN``."""
        self.wanted = max(self.wanted, questions)

    def settle(self) -> None:
        """Nothing old can be on the line."""
        self.wanted = 0
        self.helpless = False

    def question(self, packet_size: int) -> bytes:
        """The next question: BT00 from its start, as many bytes as were not asked for in a long time, in one packet."""
        room = min(_LONGEST, packet_size - OVERHEAD - _HEAD)
        self._count = self._count % max(1, room) + 1
        return encode_request(PartialRead(_BT00, 0, self._count), checksum=True)

    def answered(self, message: bytes) -> bool:
        """Whether this is the answer to the last question; one doubt less then."""
        if not (like_table_answer(message) and len(message) == self._count + _HEAD):
            return False
        self.wanted -= 1
        self.helpless = False
        return True
