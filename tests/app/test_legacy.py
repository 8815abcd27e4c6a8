"""The legacy suite: the known answer, both sides with and without RC4, sequence numbers, and the fences around it."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.app.events import KeyUsage, LegacyEnabled, Quarantined
from osgp.app.legacy import (
    Encryption,
    LegacyDevice,
    LegacyPeer,
    fits_command,
    request_digest,
    response_digest,
)
from osgp.app.memory import RamMemory
from osgp.app.messages import LegacyRequest, LegacyResponse
from osgp.app.profile import LegacyRules, OsgpProfile
from osgp.app.suite import Address
from osgp.app.verdict import Accepted, Answered, How, OutOfStep, Refused, Verdict
from osgp.crypto.keys import Key
from osgp.crypto.legacy import oma_encrypt
from osgp.wire.errors import ConfigError, LocalProtocolError
from tests.app.making import BT03, BrittleMemory, Crashed, unhex

OMAK = Key(unhex("a1b2c3d4e5f60718293a4b5c"))
PLACE = Address(b"", 2, 2)
WRITE = unhex("4f401300000000015a")
ANSWER = unhex("00000d0020980031c300080000000000")
POWER_LINE = json.loads((Path(__file__).parent.parent / "vectors" / "legacy_crypto" / "power_line.json").read_text())[
    "vectors"
]
VECTORS = {one["name"]: one for one in POWER_LINE}


def a_device(memory: Any = None, **more: Any) -> LegacyDevice:
    given: dict[str, Any] = {"enabled": True, **more}
    return LegacyDevice(given.pop("omak", OMAK), memory or RamMemory(), PLACE, **given)


def a_peer(memory: Any = None, **more: Any) -> LegacyPeer:
    given: dict[str, Any] = {"concentrator_allows": True, "device_allows": True, **more}
    return LegacyPeer(given.pop("omak", OMAK), memory or RamMemory(), PLACE, **given)


def say(device: LegacyDevice, peer: LegacyPeer, message: bytes = BT03, answer: bytes = ANSWER) -> Verdict:
    verdict = device.receive(peer.seal(message, 0.0), How.REQUEST, 0.0)
    if isinstance(verdict, Answered):
        return peer.open(verdict.apdu, 0.0)
    assert isinstance(verdict, Accepted)
    assert verdict.plaintext == message
    return peer.open(device.seal_response(verdict.ticket, answer), 0.0)


def test_the_known_answer_is_a_response_from_our_device() -> None:
    vector = VECTORS["oma-known-answer"]
    omak = Key(unhex(vector["inputs"]["key"]))
    request = unhex("003000037f30ea6d")
    mark = request_digest(omak.for_omak(), PLACE, request)
    device = a_device(omak=omak, allow_known_keys=True)
    device._last.last = 0x7F30EA6C
    verdict = device.receive(request + mark, How.REQUEST, 0.0)
    assert isinstance(verdict, Accepted)
    response = device.seal_response(verdict.ticket, ANSWER)
    assert response == b"\0" + ANSWER + unhex(vector["outputs"]["digest"])
    assert response_digest(omak.for_omak(), PLACE, request, response[:-8]) == response[-8:]


@pytest.mark.parametrize("name", ["encrypt-df", "encrypt-00-0b", "encrypt-a1b2"])
def test_streams_are_those_of_the_vectors(name: str) -> None:
    inputs, outputs = VECTORS[name]["inputs"], VECTORS[name]["outputs"]
    omak = Key(unhex(inputs["omak"]))
    peer = a_peer(omak=omak, allow_known_keys=True)
    stream = peer._cipher.stream(unhex(outputs["digest"]))
    assert stream.update(unhex(inputs["message"])).hex() == outputs["ciphertext"]
    assert oma_encrypt(omak.for_omak(), unhex(inputs["message"]))[0].hex() == outputs["ciphertext"]


@pytest.mark.parametrize(
    ("message", "size"),
    [(unhex("300003"), 16), (unhex("3f0017000000000c"), 21), (unhex("40400000021234"), 20), (WRITE, 22)],
)
def test_layouts_of_requests(message: bytes, size: int) -> None:
    frame = a_peer(writes=True).seal(message, 0.0)
    assert len(frame) == size
    read = LegacyRequest.decode(frame)
    assert (read.code, read.message, read.seq, read.encode()) == (0, message, 1, frame)


@pytest.mark.parametrize(("encrypt", "continues"), list(product([False, True], repeat=2)))
def test_both_sides_understand_each_other(encrypt: bool, continues: bool) -> None:
    profile = OsgpProfile(legacy=LegacyRules(response_continues_stream=continues))
    device, peer = a_device(writes=True, profile=profile), a_peer(writes=True, encrypt=encrypt, profile=profile)
    assert say(device, peer) == Accepted(ANSWER)
    assert say(device, peer, WRITE, b"\0") == Accepted(b"\0")
    assert say(device, peer, BT03, b"\x03") == Accepted(b"\x03")
    frame = peer.seal(BT03, 0.0)
    assert (BT03 in frame) is not encrypt
    verdict = device.receive(frame, How.REQUEST, 0.0)
    assert isinstance(verdict, Accepted)
    assert (ANSWER in device.seal_response(verdict.ticket, ANSWER)) is not encrypt


@pytest.mark.parametrize(
    ("encryption", "encrypt", "good"), [("off", True, False), ("required", False, False), ("required", True, True)]
)
def test_a_device_may_take_one_form_only(encryption: Encryption, encrypt: bool, good: bool) -> None:
    verdict = a_device(encryption=encryption).receive(a_peer(encrypt=encrypt).seal(BT03, 0.0), How.REQUEST, 0.0)
    assert isinstance(verdict, Accepted) is good


def test_a_repeat_is_answered_and_not_carried_out_again() -> None:
    device, peer = a_device(), a_peer()
    frame = peer.seal(BT03, 0.0)
    verdict = device.receive(frame, How.REQUEST, 0.0)
    assert isinstance(verdict, Accepted)
    assert device.receive(frame, How.REQUEST, 0.0) == Refused("in-progress")
    response = device.seal_response(verdict.ticket, ANSWER)
    assert device.receive(frame, How.REQUEST, 0.0) == Answered(response, "repeat")
    with pytest.raises(LocalProtocolError):
        device.seal_response(verdict.ticket, b"\0")


@pytest.mark.parametrize("ahead", [1, 8, 9, 0, -1])
def test_a_number_may_be_one_to_eight_above_the_last(ahead: int) -> None:
    device, peer = a_device(), a_peer()
    device._last.last = 100
    peer._next = 100 + ahead
    peer._kept = 1000
    found = say(device, peer)
    if 1 <= ahead <= 8:
        assert found == Accepted(ANSWER)
    else:
        assert found == OutOfStep(101)
        assert say(device, peer) == Accepted(ANSWER)


@pytest.mark.parametrize("encrypt", [False, True])
def test_resets_on_either_side_are_settled_by_the_sequence_error(encrypt: bool) -> None:
    here, there = RamMemory(), RamMemory()
    device, peer = a_device(here), a_peer(there, encrypt=encrypt)
    assert say(device, peer) == Accepted(ANSWER)
    device = a_device(here)
    assert isinstance(say(device, peer), OutOfStep)
    assert say(device, peer) == Accepted(ANSWER)
    peer = a_peer(there, encrypt=encrypt)
    while isinstance(found := say(device, peer), OutOfStep):
        pass
    assert found == Accepted(ANSWER)


def test_no_request_is_carried_out_twice_wherever_the_power_fails() -> None:
    for crash in range(4):
        memory = BrittleMemory()
        device, peer = a_device(memory), a_peer()
        memory.crash_after = crash
        frame = peer.seal(BT03, 0.0)
        done = 0
        for _ in range(4):
            try:
                done += isinstance(device.receive(frame, How.REQUEST, 0.0), Accepted)
                break
            except Crashed:
                device = a_device(memory)
        memory.crash_after = None
        device = a_device(memory)
        assert not isinstance(device.receive(frame, How.REQUEST, 0.0), Accepted) or done == 0


def test_both_flags_are_needed_and_it_is_told() -> None:
    for concentrator, device in ((False, True), (True, False), (False, False)):
        with pytest.raises(ConfigError, match="off"):
            a_peer(concentrator_allows=concentrator, device_allows=device)
    assert a_peer().events() == [LegacyEnabled(False)]
    assert a_device(writes=True).events() == [LegacyEnabled(True)]
    off = a_device(enabled=False)
    assert off.events() == []
    assert off.receive(a_peer().seal(BT03, 0.0), How.REQUEST, 0.0) == Refused("off")


def test_writes_need_a_second_flag_on_each_side() -> None:
    with pytest.raises(LocalProtocolError, match="writes"):
        a_peer().seal(WRITE, 0.0)
    assert a_device().receive(a_peer(writes=True).seal(WRITE, 0.0), How.REQUEST, 0.0) == Refused("not-allowed")
    assert say(a_device(writes=True), a_peer(writes=True), WRITE, b"\0") == Accepted(b"\0")


def test_a_published_key_is_refused() -> None:
    for make in (a_device, a_peer):
        with pytest.raises(ConfigError, match="no secret"):
            make(omak=Key(b"\xdf" * 12))


def test_zeros_at_the_end_do_not_pass_though_the_digest_does_not_see_them() -> None:
    frame = a_peer(writes=True).seal(unhex("40400000021234"), 0.0)
    longer = frame[:8] + b"\0" + frame[8:]
    assert a_device(writes=True).receive(longer, How.REQUEST, 0.0) == Refused("length")
    assert not fits_command(unhex("4040000002123400"))


def test_bad_digests_are_met_with_silence_then_deafness_then_quarantine() -> None:
    memory = RamMemory()
    device, peer = a_device(memory, encryption="off"), a_peer()
    good = peer.seal(BT03, 0.0)
    bad = good[:-1] + bytes([good[-1] ^ 1])
    assert device.receive(bad, How.REQUEST, 0.0) == Refused("bad-digest")
    assert device.receive(good, How.REQUEST, 9.9) == Refused("limit")
    assert isinstance(device.receive(good, How.REQUEST, 10.0), Accepted)
    device.events()
    for number in range(19):
        assert device.receive(bad, How.REQUEST, 20.0 + 10 * number) == Refused("bad-digest")
    assert device.events() == [Quarantined(20)]
    assert device.quarantined
    device = a_device(memory)
    fresh = a_peer(RamMemory({"legacy.seq": (200).to_bytes(8, "big")})).seal(BT03, 0.0)
    assert device.receive(fresh, How.REQUEST, 1e6) == Refused("quarantine")
    device.release()
    assert isinstance(device.receive(fresh, How.REQUEST, 1e6), Answered)


def test_a_quiet_day_forgets_bad_digests() -> None:
    device, peer = a_device(encryption="off"), a_peer()
    good = peer.seal(BT03, 0.0)
    bad = good[:-1] + bytes([good[-1] ^ 1])
    for day in range(3):
        for number in range(10):
            assert device.receive(bad, How.REQUEST, day * 90000.0 + 10 * number) == Refused("bad-digest")
    assert not device.quarantined


def test_forged_answers_put_a_device_in_quarantine_at_the_concentrator_too() -> None:
    peer = a_peer()
    peer.seal(BT03, 0.0)
    for number in range(20):
        assert peer.open(b"\0\0\0\0" + bytes(8), 10.0 * number) == Refused("bad-digest")
        assert peer.open(b"\0\0\0\0" + bytes(8), 10.0 * number + 1) in (Refused("limit"), Refused("quarantine"))
    assert peer.quarantined
    peer.give_up()
    with pytest.raises(LocalProtocolError, match="quarantine"):
        peer.seal(BT03, 300.0)
    peer.release()
    peer.seal(BT03, 300.0)


def test_the_answer_to_a_bad_digest_is_off_unless_asked_for() -> None:
    profile = OsgpProfile(legacy=LegacyRules(answer_failures=True))
    device, peer = a_device(encryption="off", profile=profile), a_peer()
    frame = peer.seal(BT03, 0.0)
    answered = device.receive(frame[:-1] + bytes([frame[-1] ^ 1]), How.REQUEST, 0.0)
    assert isinstance(answered, Answered)
    assert LegacyResponse.decode(answered.apdu).message == b"\x0b"
    assert peer.open(answered.apdu, 0.0) == Refused("error")
    assert peer.open_request is not None


def test_use_of_a_key_is_counted() -> None:
    profile = OsgpProfile(legacy=LegacyRules(messages_per_key=3))
    peer = a_peer(profile=profile)
    peer.events()
    for _ in range(3):
        peer.seal(BT03, 0.0)
        peer.give_up()
    assert peer.events() == [KeyUsage("legacy", 3)]


def test_wrong_use_is_told() -> None:
    peer = a_peer(writes=True)
    for message in (b"", b"\x30", BT03 + b"\0", b"\x50\x00\x00", unhex("4013000060") + bytes(96)):
        with pytest.raises(LocalProtocolError):
            peer.seal(message, 0.0)
    peer.seal(BT03, 0.0)
    with pytest.raises(LocalProtocolError, match="open"):
        peer.seal(BT03, 0.0)
    peer.give_up()
    assert peer.open(b"\0" * 20, 0.0) == Refused("unexpected")


def test_keys_do_not_show() -> None:
    shown = repr(a_device()) + repr(a_peer()) + repr(vars(a_peer()).keys())
    assert "a1b2" not in shown
    assert "\\xa1" not in shown


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), st.sampled_from(How), st.booleans())
def test_any_bytes_are_refused_on_both_sides(data: bytes, how: How, front: bool) -> None:
    device, peer = a_device(writes=True), a_peer(encrypt=True)
    peer.seal(BT03, 0.0)
    apdu = b"\0" + data if front else data
    assert isinstance(device.receive(apdu, how, 0.0), Refused)
    assert isinstance(peer.open(apdu, 0.0), Refused)
    assert device.last_seq == 0
