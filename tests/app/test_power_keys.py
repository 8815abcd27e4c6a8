"""Key updates under power failures: every save of handing out, switching and rotating is cut in turn; nobody is left without a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from osgp.app.aes import device_keys, psk_of, wrap_key
from osgp.app.memory import StorageError
from osgp.app.messages import KeyUpdate, KeyUpdateKind
from osgp.app.suite import slot_of
from osgp.crypto.keys import Key
from osgp.wire.errors import LocalProtocolError, NoKey
from tests.app.making import BT03, NC, ND, PROFILE, UMK, BrittleMemory, Crashed
from tests.app.test_power import Street

NEW_UMK = Key(bytes.fromhex("61d3a2907c5e4bf81290cc43de57ab08"))
NEW_EPOCH = 2
CUTS = [(side, cut) for side in ("device", "peer") for cut in ("crash_before", "crash_after", "fail_at")]


class KeyStreet(Street):
    """A concentrator that hands out keys and remembers, as ``commission_keys`` does, what was acknowledged."""

    acknowledged = 0
    rotated = False

    def give(self) -> None:
        """Kind 1 while the key is prepared, kind 81 when it is in force; an order again where its answer was lost."""
        prepared = self.sender.prepared
        key, generation = prepared or (self.sender.kb, self.sender.generation)
        kind = KeyUpdateKind.BROADCAST_KEY if prepared else KeyUpdateKind.BROADCAST_KEY_AT_ONCE
        update = KeyUpdate(kind=kind, slot=slot_of(generation), generation=generation, wrap=0, key=key.for_aes())
        if self.device.update_key(update.encode(), self.now) == "":
            self.acknowledged = generation

    def hand_out(self) -> None:
        self.sender.prepare_key()
        self.give()

    def switch(self) -> None:
        prepared = self.sender.prepared
        if prepared is not None and self.acknowledged == prepared[1]:
            self.sender.switch()

    def at_once(self) -> None:
        self.sender.new_key()
        self.give()

    def rotate(self) -> None:
        kek = device_keys(UMK, ND, PROFILE).kek
        update = KeyUpdate(kind=KeyUpdateKind.UMK, slot=0, generation=NEW_EPOCH, wrap=1, key=wrap_key(kek, NEW_UMK))
        if self.device.update_key(update.encode(), self.now) == "":
            self.rotated = True

    def commission_anew(self) -> None:
        """With the PSK of the new UMK's epoch, as the head-end grants it once the device is said to have it."""
        if self.rotated:
            self.peer.renew(psk_of(NEW_UMK, ND, NC, NEW_EPOCH, PROFILE), NEW_EPOCH)
        self.commission()

    def steps(self) -> list[Callable[[], Any]]:
        twice = [self.tell_all, self.tell_all]
        keys = [*[self.hand_out] * 2, *twice, *[self.switch] * 2, *twice]
        return [self.commission, *twice, *keys, *keys, self.at_once, *twice]


class RotatingStreet(KeyStreet):
    def steps(self) -> list[Callable[[], Any]]:
        ask = [lambda: self.ask(BT03)]
        return [self.commission, *ask * 2, self.rotate, *ask * 2, *[self.commission_anew, *ask] * 2]


def mended(street: Street) -> None:
    """No more is cut; both sides start again."""
    for memory in (street.device_memory, street.peer_memory):
        memory.crash_after = memory.crash_before = memory.fail_at = None
    street.start()
    street.now += 60.0


def is_heard(street: Street) -> bool:
    """Whether a broadcast comes through: after a reset a device stands up to 31 above the last one."""
    before = len(street.heard)
    for _ in range(32):
        street.tell_all()
        if len(street.heard) > before:
            return True
    return False


def cut_in_turn(kind: type[KeyStreet], side: str, cut: str) -> list[KeyStreet]:
    """A story for each save of one side, cut there."""
    whole = kind()
    whole.story()
    count = getattr(whole, f"{side}_memory").saves
    found = []
    for place in range(count):
        memories = {"device": BrittleMemory(), "peer": BrittleMemory()}
        setattr(memories[side], cut, place)
        street = kind(memories["device"], memories["peer"])
        street.story()
        street.holds()
        found.append(street)
    assert len(found) > 8
    return found


@pytest.mark.parametrize(("side", "cut"), CUTS)
def test_wherever_a_key_update_is_cut_the_device_hears_again_once_it_was_given_the_key(side: str, cut: str) -> None:
    for street in cut_in_turn(KeyStreet, side, cut):
        mended(street)
        if not street.device.kb_generation:
            street.peer.accept_generation(0)
            street.commission()
        held = street.acknowledged
        if street.sender.prepared is None and street.sender.generation > held:
            street.give()
        assert is_heard(street)
        street.hand_out()
        street.switch()
        assert is_heard(street)
        assert street.device.kb_generation == street.sender.generation
        street.holds()


@pytest.mark.parametrize(("side", "cut"), CUTS)
def test_wherever_a_rotation_is_cut_one_of_both_umks_commissions_the_device(side: str, cut: str) -> None:
    for street in cut_in_turn(RotatingStreet, side, cut):
        mended(street)
        street.peer.accept_generation(0)
        if not street.rotated and street.device.epoch < NEW_EPOCH:
            street.rotate()
        assert street.rotated
        for _ in range(3):
            street.now += 60.0
            try:
                street.commission_anew()
            except (LocalProtocolError, NoKey, StorageError, Crashed):
                continue
        before = len(street.executed)
        street.ask(BT03)
        assert len(street.executed) == before + 1
        assert street.device.epoch == NEW_EPOCH
        street.holds()
