"""What the tests of the security machines are made of: ids, keys, a device and its concentrator, a memory that fails on order."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from osgp.app.aes import psk_of
from osgp.app.device import DevicePolicy, DeviceSecurity
from osgp.app.memory import Memory, RamMemory, StorageError
from osgp.app.peer import PeerSecurity, Terms
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address, KeySet
from osgp.app.verdict import Accepted, Answered, How
from osgp.crypto.keys import Key

PROFILE = OsgpProfile()
ND = bytes.fromhex("050102030405")
NC = bytes.fromhex("0a0b0c0d0e0f")
UMK = Key(bytes.fromhex("8f1c3a5e7790b2d4e6f80a1b2c3d4e5f"))
KB = Key(bytes.fromhex("5b0c9e3d71a64482bf10d6e7c8a95f23"))
ADDRESS = Address(b"OSG", 2, 2)
MOVED = Address(b"OSG", 3, 17)
BT03 = bytes.fromhex("300003")
WRITE = bytes.fromhex("4f401300000000015a")
DONE = b"\x00"

_FILE = Path(__file__).parent.parent / "vectors" / "osgp_aes" / "osgp_aes.json"


def aes_vectors() -> list[dict[str, Any]]:
    """All vectors of the AES-128 suite."""
    found: list[dict[str, Any]] = json.loads(_FILE.read_text())["vectors"]
    return found


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


class Crashed(Exception):
    """The power went away in the middle of a save."""


class BrittleMemory(RamMemory):
    """A memory that fails, or loses power, at a save of one's choice; ``saves`` counts them all."""

    def __init__(self) -> None:
        super().__init__()
        self.saves = 0
        self.fail_at: int | None = None
        self.crash_before: int | None = None
        self.crash_after: int | None = None

    def save(self, values: Mapping[str, bytes]) -> None:
        number = self.saves
        self.saves += 1
        if number == self.fail_at:
            raise StorageError("the flash is worn out")
        if number == self.crash_before:
            raise Crashed
        super().save(values)
        if number == self.crash_after:
            raise Crashed


def dice(seed: int) -> Callable[[int], bytes]:
    """Random bytes of a seed."""
    return random.Random(seed).randbytes


def a_set(**changes: Any) -> KeySet:
    values: dict[str, Any] = {
        "epoch": 1,
        "concentrator_id": NC,
        "address": ADDRESS,
        "ku": Key(unhex("4fd48fdd104847ec8b08926c3cf7a5ac")),
        "ku_generation": 1,
        "first_seq": 1,
        "kb": KB,
        "kb_generation": 1,
        "b": 0x10000,
        "d": 1024,
    }
    return KeySet(**{**values, **changes})


def a_device(
    memory: Memory | None = None,
    *,
    seed: int = 1,
    umk: Key = UMK,
    nd: bytes = ND,
    policy: DevicePolicy | None = None,
    **more: Any,
) -> DeviceSecurity:
    return DeviceSecurity(
        nd, umk, RamMemory() if memory is None else memory, randomness=dice(seed), policy=policy, **more
    )


def a_peer(memory: Memory | None = None, *, seed: int = 2, epoch: int = 1, umk: Key = UMK, **more: Any) -> PeerSecurity:
    psk = psk_of(umk, ND, NC, epoch, PROFILE)
    return PeerSecurity(ND, psk, epoch, NC, RamMemory() if memory is None else memory, randomness=dice(seed), **more)


def terms(**changes: Any) -> Terms:
    values: dict[str, Any] = {"address": ADDRESS, "kb": KB, "kb_generation": 1, "b": 0x10000, "d": 1024}
    return Terms(**{**values, **changes})


def shake(device: DeviceSecurity, peer: PeerSecurity, now: float = 0.0, **changes: Any) -> None:
    """The four messages, without loss."""
    second = device.receive(peer.challenge(terms(**changes), now), How.REQUEST_BY_ID, now)
    assert isinstance(second, Answered)
    third = peer.handshake(second.apdu, now)
    assert isinstance(third, Answered)
    fourth = device.receive(third.apdu, How.REQUEST_BY_ID, now)
    assert isinstance(fourth, Answered)
    assert isinstance(peer.handshake(fourth.apdu, now), Accepted)


def exchange(
    device: DeviceSecurity, peer: PeerSecurity, plaintext: bytes = BT03, answer: bytes = DONE, now: float = 0.0
) -> Accepted:
    """A request carried out and answered; gives what the concentrator got."""
    frame = peer.seal(plaintext, now)
    verdict = device.receive(frame, How.REQUEST_BY_ID if peer.by_id else How.REQUEST, now)
    assert isinstance(verdict, Accepted)
    found = peer.open(device.seal_response(verdict.ticket, answer), now)
    assert isinstance(found, Accepted)
    return found


def commissioned(now: float = 0.0, **more: Any) -> tuple[DeviceSecurity, PeerSecurity]:
    """Both sides after the handshake and the request that commits it."""
    device, peer = a_device(**more), a_peer()
    shake(device, peer, now)
    exchange(device, peer, now=now)
    return device, peer
