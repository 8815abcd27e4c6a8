"""Firmware in two banks: an image arrives block by block, is checked, runs on trial, and stays or gives way to the old one.

``spec/osgp-application.md`` 3.9 (project choice but for the 56 bytes of a packet and the results in ET89, MEP guide p. 190). A block
that is held is overwritten by unicast alone, and while an image waits for its moment by nobody. The switch begins a trial of a
day: a secured request ends it, and with it no older image is taken any more; without one the old bank comes back, unless ET04 has
locked it. The numbers of UT24 are a project choice. Whether the announcement of the very image that is being loaded begins anew
is not said: it does not, so that an order whose answer was lost may be repeated.
"""

from __future__ import annotations

import base64
import hashlib
import math
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from osgp.app.image import CODE_BYTES, ImageResult, check, count_blocks, run_hashes
from osgp.app.messages import Announcement, CodePacket, ReceivedBlocks, SwitchBank
from osgp.crypto.keys import Key
from osgp.node.clockwork import utc_datetime
from osgp.node.osgp_parts import Part, moment_of
from osgp.node.osgp_tables import BLOCK_HASHES, FIRMWARE, RECEIVED_BLOCKS, FirmwareState
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et54 import ET54
from osgp.tables.et.et89 import ET89
from osgp.tables.table import extended
from osgp.wire import LTime

if TYPE_CHECKING:
    from osgp.node.meter import Meter
    from osgp.node.server import Handler, Port

__all__ = ["FirmwareBanks", "MAX_IMAGE", "version_of"]

EP08, EP09, EP10 = extended(8), extended(9), extended(10)
MAX_IMAGE = 512 * 1024
"""Bytes of a bank (project choice)."""
TRIAL_S = 86_400
_SETTLE_S = 5
"""Between the order to switch at once and the switch, so that its answer gets out."""
_DONE, _INVALID, _CONFLICT, _NOT_AUTHORISED = 0, 2, 3, 5
_IDLE, _LOADING, _WAITING, _TRIAL = range(4)
_SHOWN_SIGNATURE = 8
_ET89_ERRORS = frozenset((0, 1, 2, 3, 16, 17, 18, 32, 33))
_UNKNOWN_ERROR = 240


def version_of(major: int, minor: int) -> int:
    """The version of an image from that of its firmware (project choice)."""
    return major << 16 | minor << 8


def _packed(data: bytes | bytearray) -> str:
    return base64.b64encode(zlib.compress(bytes(data), 1)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


class FirmwareBanks(Part):
    """The banks of one device. ``kfw``, ``public_keys``, ``hardware_id``: what images are checked with (``install``).

    ``switched_to`` is called with the version that runs from now on.
    """

    name = "firmware"
    procedures = (EP08, EP09, EP10)

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.kfw: Callable[[], Key] | None = None
        self.public_keys: Mapping[int, Ed25519PublicKey | None] = {}
        self.hardware_id = 0
        self.switched_to: Callable[[int], None] = lambda version: None
        firmware = meter.firmware
        self.images = [b"", b""]
        self.versions = [version_of(firmware.major, firmware.minor)] * 2
        self.active = 0
        self.floor = self.versions[0]
        self.announced: Announcement | None = None
        self._bank = bytearray()
        self._held = bytearray()
        self.missing = 0
        self.activation = math.inf
        self.trial_ends = math.inf
        self.result = 0
        self._hashes: bytes | None = None
        for number in (RECEIVED_BLOCKS, BLOCK_HASHES, FIRMWARE):
            self.refresh(number)

    def install(
        self,
        kfw: Callable[[], Key],
        public_keys: Mapping[int, Ed25519PublicKey | None],
        hardware_id: int,
    ) -> None:
        """What images are checked with, and the ids of the keys in ET89."""
        self.kfw, self.public_keys, self.hardware_id = kfw, public_keys, hardware_id
        image = self.meter.image
        if ET89.number not in image:
            return
        table: Any = image.decode(ET89)
        if table.image_key_ids:
            ids = list(public_keys)[: len(table.image_key_ids)]
            table.image_key_ids = [*ids, *[0] * (len(table.image_key_ids) - len(ids))]
            gone = [public_keys[each] is None for each in ids] + [False, False]
            table.key_status = table.key_status.with_(key0_invalidated=int(gone[0]), key1_invalidated=int(gone[1]))
            image.encode(table)

    @property
    def version(self) -> int:
        """Of what runs now."""
        return self.versions[self.active]

    @property
    def state(self) -> int:
        """0 idle, 1 loading, 2 waiting for its moment, 3 on trial."""
        if self.trial_ends < math.inf:
            return _TRIAL
        if self.activation < math.inf:
            return _WAITING
        return _LOADING if self.announced is not None else _IDLE

    def handlers(self) -> dict[int, Handler]:
        """EP08, EP09 and EP10."""
        return {EP08: self._ep08, EP09: self._ep09, EP10: self._ep10}

    # ---- loading ---------------------------------------------------------------------------------------------------
    def _ep08(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        """An image is announced: the idle bank is erased."""
        asked = Announcement.decode(raw)
        self.meter.advance(now)
        if port.broadcast:
            return _NOT_AUTHORISED, b""
        if self.state == _TRIAL:
            return _CONFLICT, b""
        if not 0 < asked.length <= MAX_IMAGE or asked.blocks != count_blocks(asked.length) or not asked.image_id:
            return _INVALID, b""
        self.activation = math.inf
        if self.announced is None or self.announced.encode() != raw:
            self.announced = asked
            self._bank = bytearray(asked.blocks * CODE_BYTES)
            self._held = bytearray((asked.blocks + 7) // 8)
            self.missing = asked.blocks
            self._hashes = None
            self.meter.log("firmware_announced", user=port.event_user)
        self.plan(self.meter.shown)
        return _DONE, b""

    def _ep09(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        """A block of code, once by broadcast, or as often as need be by unicast."""
        asked = CodePacket.decode(raw)
        announced = self.announced
        if announced is None or self.state != _LOADING:
            return _CONFLICT, b""
        if asked.block >= announced.blocks:
            return _INVALID, b""
        place, bit = asked.block // 8, 1 << asked.block % 8
        if self._held[place] & bit:
            if port.broadcast:
                return _DONE, b""
        else:
            self._held[place] |= bit
            self.missing -= 1
        self._bank[asked.block * CODE_BYTES : (asked.block + 1) * CODE_BYTES] = asked.code
        self._hashes = None
        return _DONE, b""

    # ---- switching -------------------------------------------------------------------------------------------------
    def _ep10(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        """Switch at a moment, if the image is what it must be. The response tells the result of the check."""
        asked = SwitchBank.decode(raw)
        meter = self.meter
        meter.advance(now)
        if port.broadcast:
            return _NOT_AUTHORISED, b""
        announced = self.announced
        if announced is None or self.state == _TRIAL or self.missing or self.kfw is None:
            return _CONFLICT, b""
        at = moment_of(asked.activation)
        image = bytes(self._bank[: announced.length])
        found = check(image, announced, self.kfw(), asked.mac, self.public_keys, self.hardware_id, self.floor)
        result = found.result if asked.length == announced.length else ImageResult.BAD_HASH
        trailer = found.trailer
        self.result = int(result)
        self._tell(
            result,
            0 if trailer is None else trailer.key_id,
            announced.length,
            b"" if trailer is None else trailer.signature,
        )
        if result != ImageResult.OK or trailer is None:
            meter.log("firmware_refused", int(result), user=port.event_user)
            return _INVALID, bytes((int(result),))
        idle = 1 - self.active
        self.images[idle], self.versions[idle] = image, trailer.version
        soon = math.ceil(meter.shown) + _SETTLE_S
        self.activation = max(soon, math.ceil(at)) if at < math.inf else soon
        self.plan(meter.shown)
        return _DONE, bytes((int(result),))

    def _tell(self, result: ImageResult, key_id: int, length: int, signature: bytes) -> None:
        """The result in ET89, and a failure in ET54."""
        image = self.meter.image
        if ET89.number in image:
            table: Any = image.decode(ET89)
            if table.last_validation_error is not None:
                table.last_validation_error = int(result) if int(result) in _ET89_ERRORS else _UNKNOWN_ERROR
                table.last_validation_key_id, table.last_image_len = key_id, length
                table.signature_len = len(signature)
                table.signature = signature[:_SHOWN_SIGNATURE].ljust(_SHOWN_SIGNATURE, b"\0")
                image.encode(table)
        if result != ImageResult.OK and image.get(ET54, "proc_ext_failure") is not None:
            image.set(ET54, "proc_ext_failure", EP10 << 16 | int(result))

    def plan(self, shown: float) -> None:
        """Activation and the end of the trial are moments of the meter's clock."""
        first = min(self.activation, self.trial_ends)
        self.due = math.ceil(first) if first < math.inf else math.inf

    def work(self, due: int) -> None:
        """The moment has come, or the trial has failed."""
        meter = self.meter
        if self.activation <= due:
            self.activation = math.inf
            self._run(1 - self.active)
            self.trial_ends = due + TRIAL_S
            meter.log("code_bank_switched")
            meter.alarm("mfg_status_1", "code_bank_changed")
        elif self.trial_ends <= due:
            self.trial_ends = math.inf
            if not meter.image.get(ET04, "safe_image_locked"):
                self._run(1 - self.active)
                meter.log("code_bank_fallback")
        self.plan(due)

    def _run(self, bank: int) -> None:
        self.active = bank
        self.announced, self.missing = None, 0
        self._bank, self._held, self._hashes = bytearray(), bytearray(), None
        self.meter.interface_changed()
        self.switched_to(self.version)

    def confirmed(self) -> None:
        """A secured request has come: the trial is over, and nothing older is taken from now on."""
        if self.trial_ends < math.inf:
            self.trial_ends = math.inf
            self.floor = max(self.floor, self.version)
            self.meter.log("code_bank_kept")
            self.plan(self.meter.shown)

    # ---- tables and state ------------------------------------------------------------------------------------------
    def refresh(self, number: int) -> None:
        """UT16, UT20 and UT24."""
        image, announced = self.meter.image, self.announced
        if number == RECEIVED_BLOCKS:
            table = ReceivedBlocks(
                image_id=announced.image_id if announced is not None else 0,
                blocks=announced.blocks if announced is not None else 0,
                bitmap=bytes(self._held),
            )
            image.put(number, table.encode())
        elif number == BLOCK_HASHES:
            if self._hashes is None:
                length = announced.length if announced is not None else 0
                self._hashes = b"".join(run_hashes(bytes(self._bank[:length])))
            image.put(number, self._hashes)
        elif number == FIRMWARE:
            moment = min(self.activation, self.trial_ends)
            state = FirmwareState(
                version=self.version,
                floor=self.floor,
                state=self.state,
                missing=self.missing,
                moment=LTime.of(utc_datetime(moment)) if moment < math.inf else LTime(),
                result=self.result,
                sha256=hashlib.sha256(self.images[self.active]).digest()[:8] if self.images[self.active] else bytes(8),
            )
            image.put(number, state.encode())

    def to_json(self) -> Any:
        """For a saved meter."""
        return {
            "images": [_packed(each) for each in self.images],
            "versions": self.versions,
            "active": self.active,
            "floor": self.floor,
            "announced": self.announced.encode().hex() if self.announced is not None else "",
            "bank": _packed(self._bank),
            "held": self._held.hex(),
            "activation": None if self.activation == math.inf else self.activation,
            "trial_ends": None if self.trial_ends == math.inf else self.trial_ends,
            "result": self.result,
        }

    def restore(self, saved: Any) -> None:
        """The inverse of ``to_json``."""
        self.images = [_unpacked(each) for each in saved["images"]]
        self.versions, self.active, self.floor = list(saved["versions"]), saved["active"], saved["floor"]
        raw = bytes.fromhex(saved["announced"])
        self.announced = Announcement.decode(raw) if raw else None
        self._bank, self._held = bytearray(_unpacked(saved["bank"])), bytearray.fromhex(saved["held"])
        blocks = self.announced.blocks if self.announced is not None else 0
        self.missing = blocks - sum(each.bit_count() for each in self._held)
        self.activation = math.inf if saved["activation"] is None else saved["activation"]
        self.trial_ends = math.inf if saved["trial_ends"] is None else saved["trial_ends"]
        self.result, self._hashes = saved["result"], None
        self.plan(self.meter.shown)
