"""Firmware of one device as a distribution sees it: announce, gaps, repair by unicast, hashes, the order to switch, the trial.

Each step is one or a few exchanges (``spec/osgp-application.md`` 3.9, project choice). All of them may be done again after a restart
or a lost answer: the device's own state (UT24) tells what was done.
"""

from __future__ import annotations

from collections.abc import Iterable

from osgp.app.image import BLOCKS_PER_RUN, CODE_BYTES, block, count_blocks, run_hashes
from osgp.app.messages import Announcement, CodePacket, ReceivedBlocks
from osgp.concentrator.door import PowerLineAccess
from osgp.concentrator.tasks import Wait
from osgp.node.osgp_tables import BLOCK_HASHES, FIRMWARE, RECEIVED_BLOCKS, FirmwareState
from osgp.tables.access import ProcedureResult
from osgp.tables.services import FullRead, FullWrite
from osgp.tables.table import extended
from osgp.wire import layout_of
from osgp.wire.errors import DecodeError, NoAnswer, ResponseError

__all__ = ["EP08", "EP09", "EP10", "IDLE", "LOADING", "ON_TRIAL", "WAITING", "DeviceFirmware", "code_order"]

EP08, EP09, EP10 = extended(8), extended(9), extended(10)
IDLE, LOADING, WAITING, ON_TRIAL = range(4)
"""States of UT24."""
_BT07 = 7
_STATE_SIZE = layout_of(FirmwareState).size or 30
_GAPS_HEAD = 6
_HASH_SIZE = 8


def code_order(image: bytes, number: int, psn: int) -> bytes:
    """The content of BT07 that brings a block: EP09, its sequence number, the packet."""
    packet = CodePacket(block=number, code=block(image, number)).encode()
    return EP09.to_bytes(2, "little") + bytes((psn,)) + packet


class DeviceFirmware:
    """One device behind ``access``. Everything raises LinkError, SecurityError and ResponseError as the door does."""

    def __init__(self, access: PowerLineAccess, image: bytes, announced: Announcement) -> None:
        self.access = access
        self.image = image
        self.announced = announced

    async def state(self) -> FirmwareState:
        """What runs there, and how far the next image has come."""
        raw = await self.access.ask(FullRead(FIRMWARE), "read UT24", answer_bytes=_STATE_SIZE)
        try:
            return FirmwareState.decode(raw)
        except DecodeError as error:
            raise NoAnswer(
                f"UT24 cannot be read: {error.message}", hint="is it a device of another profile?"
            ) from error

    def runs(self, state: FirmwareState) -> bool:
        """Whether it is this image that runs."""
        return state.sha256 == self.announced.sha256[: len(state.sha256)]

    async def announce(self) -> int:
        """EP08; its result, 0 for done. The idle bank is erased unless it is this image that is being loaded."""
        return (await self.access.run(EP08, self.announced.encode())).result

    async def gaps(self) -> set[int] | None:
        """Blocks that have not come; None if the device loads another image or none."""
        blocks = self.announced.blocks
        raw = await self.access.read_part(RECEIVED_BLOCKS, 0, _GAPS_HEAD + (blocks + 7) // 8)
        try:
            held = ReceivedBlocks.decode(raw)
        except DecodeError:
            return None
        if held.image_id != self.announced.image_id or held.blocks != blocks:
            return None
        return {number for number in range(blocks) if not held.bitmap[number // 8] >> number % 8 & 1}

    async def send_blocks(self, numbers: Iterable[int]) -> int:
        """Blocks by unicast, one exchange each; how many were sent. Whether they came to rest is seen in ``gaps``."""
        peer, sent = self.access.peer, 0
        for number in numbers:
            while peer.ordering is not None:
                await peer.ordering
            turn: Wait[None] = Wait()
            peer.ordering = turn
            try:
                order = await self.access.next_order(EP09, b"")
                await self.access.ask(FullWrite(_BT07, code_order(self.image, number, order.psn)), "send a block")
            except ResponseError:
                peer.psn = None
            finally:
                peer.ordering = None
                turn.succeed(None)
            sent += 1
        return sent

    async def spoiled(self) -> list[int]:
        """Blocks of runs whose hash differs from ours (UT20): somebody has forged some of them."""
        ours = run_hashes(self.image)
        theirs = await self.access.read_part(BLOCK_HASHES, 0, _HASH_SIZE * len(ours))
        blocks = count_blocks(len(self.image))
        return [
            number
            for run, digest in enumerate(ours)
            if theirs[run * _HASH_SIZE : (run + 1) * _HASH_SIZE] != digest
            for number in range(run * BLOCKS_PER_RUN, min(blocks, (run + 1) * BLOCKS_PER_RUN))
        ]

    async def switch(self, order: bytes) -> ProcedureResult:
        """EP10 with what the head-end signed. Raises OutcomeUnknown if no answer tells: ``state`` will."""
        return await self.access.run(EP10, order)

    def unicast_cost_s(self) -> float:
        """Airtime of the whole image to this device alone, over the way that is known now, nothing lost."""
        exchanges = self.access.exchanges
        route = exchanges.routes.route(self.access.peer.device, 0, self.access.tasks.now)
        legs = 1 if route is None else route.legs
        return self.announced.blocks * exchanges.costs.exchange_s(_ORDER, _WRITTEN, legs)


_ORDER = 1 + 5 + 3 + 2 + CODE_BYTES + 4 + 8
"""APDU of a secured unicast write that brings a block (3.3), and of its answer."""
_WRITTEN = 1 + 1 + 8
