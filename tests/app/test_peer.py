"""The concentrator's side: one open request, numbers that never go back, both sets until the answer, and broadcasts."""

from __future__ import annotations

import pytest

from osgp.app.broadcast import BroadcastSender
from osgp.app.critical import procedure_of
from osgp.app.device import DeviceSecurity
from osgp.app.events import GenerationWentBack, KeyChanged, KeyUsage, SetCommitted, StorageFailed
from osgp.app.memory import Memory, RamMemory, StorageError
from osgp.app.peer import PeerSecurity
from osgp.app.profile import Limits, OsgpProfile
from osgp.app.verdict import Accepted, Answered, How, OutOfStep, Refused
from osgp.crypto.keys import Key
from osgp.wire.errors import ConfigError, LocalProtocolError, NoKey
from tests.app.making import (
    ADDRESS,
    BT03,
    DONE,
    MOVED,
    NC,
    ND,
    WRITE,
    BrittleMemory,
    a_device,
    a_peer,
    a_set,
    commissioned,
    dice,
    exchange,
    shake,
    terms,
    unhex,
)

CLOCK = unhex("400007000410083312")


def a_sender(memory: Memory | None = None, **more: object) -> BroadcastSender:
    return BroadcastSender(NC, b"OSG", memory or RamMemory(), randomness=dice(9), **more)  # type: ignore[arg-type]  # its keywords


# ---- requests
def test_one_request_is_open_at_a_time_and_a_retry_says_the_same() -> None:
    device, peer = commissioned()
    frame = peer.seal(BT03, 0.0)
    assert peer.open_request == frame
    with pytest.raises(LocalProtocolError, match="open"):
        peer.seal(BT03, 0.0)
    verdict = device.receive(frame, How.REQUEST, 0.0)
    assert isinstance(verdict, Accepted)
    response = device.seal_response(verdict.ticket, DONE)
    assert peer.open(response, 7.0) == Accepted(DONE)
    assert peer.heard_at == 7.0
    assert peer.open(response, 8.0) == Refused("unexpected")


def test_answers_that_are_none_leave_the_request_open() -> None:
    device, peer = commissioned()
    frame = peer.seal(BT03, 0.0)
    verdict = device.receive(frame, How.REQUEST, 0.0)
    assert isinstance(verdict, Accepted)
    response = device.seal_response(verdict.ticket, DONE)
    for bad in (b"", response[:9], response[:-1], response + b"\0", bytes([0x11]) + response[1:], bytes([0x16]) * 18):
        assert isinstance(peer.open(bad, 0.0), Refused)
    assert peer.open(bytes([0x16]) * 17, 0.0) == Refused("length")
    assert peer.open(response, 0.0) == Accepted(DONE)


def test_a_sequence_error_raises_the_number_and_never_lowers_it() -> None:
    device, peer = commissioned()
    device._last.last = 500
    frame = peer.seal(BT03, 0.0)
    told = device.receive(frame, How.REQUEST, 0.0)
    assert isinstance(told, Answered)
    assert peer.open(told.apdu, 0.0) == OutOfStep(501)
    assert peer.next_seq == 501
    assert exchange(device, peer).plaintext == DONE
    device._last.last = 600
    peer._seq[0].skip_to(700)
    device._max_counter = 650
    told = device.receive(peer.seal(BT03, 5.0), How.REQUEST, 5.0)
    assert isinstance(told, Answered)
    assert peer.open(told.apdu, 5.0) == OutOfStep(601)
    assert peer.next_seq == 701


def test_after_giving_up_on_a_write_a_read_comes_first() -> None:
    device, peer = commissioned()
    held = peer.seal(WRITE, 0.0)
    peer.give_up()
    assert peer.probe_first
    with pytest.raises(LocalProtocolError, match="read"):
        peer.seal(WRITE, 0.0)
    exchange(device, peer)
    assert isinstance(device.receive(held, How.REQUEST, 9.0), Answered), "the held-back write is dead"
    exchange(device, peer, WRITE)
    peer.seal(BT03, 0.0)
    peer.give_up()
    assert not peer.probe_first


def test_a_restart_goes_on_behind_the_reserved_numbers_and_reads_first() -> None:
    memory = RamMemory()
    device, peer = a_device(), a_peer(memory)
    shake(device, peer)
    exchange(device, peer)
    used = peer.next_seq
    peer = a_peer(memory)
    assert (peer.ready, peer.address, peer.ku_generation, peer.kb_generation) == (True, ADDRESS, 1, 1)
    assert peer.next_seq >= used
    with pytest.raises(LocalProtocolError, match="read"):
        peer.seal(WRITE, 0.0)
    assert exchange(device, peer).plaintext == DONE


def test_wrong_use_and_a_failing_memory_send_nothing() -> None:
    memory = BrittleMemory()
    peer = a_peer(memory)
    with pytest.raises(NoKey):
        peer.seal(BT03, 0.0)
    shake(a_device(), peer)
    for message in (b"", bytes(84)):
        with pytest.raises(LocalProtocolError, match="fit"):
            peer.seal(message, 0.0)
    memory.fail_at = memory.saves
    with pytest.raises(StorageError):
        peer.seal(BT03, 0.0)
    assert peer.open_request is None
    peer.seal(BT03, 0.0)
    peer.give_up()
    peer._seq[0].skip_to(0xFFFF0001)
    with pytest.raises(LocalProtocolError, match="counters"):
        peer.seal(BT03, 0.0)
    with pytest.raises(ConfigError):
        peer.renew(Key(bytes(12)), 1)
    with pytest.raises(ConfigError):
        peer.renew(Key(bytes(16)), 0x10000)


def test_when_a_key_should_be_renewed() -> None:
    profile = OsgpProfile(limits=Limits(key_usage_max=10))
    device, peer = a_device(), a_peer(profile=profile)
    assert peer.renewal_due() == ""
    shake(device, peer)
    exchange(device, peer)
    peer.events()
    assert (peer.renewal_due(), peer.renewal_due(90 * 86400.0)) == ("", "age")
    for _ in range(8):
        exchange(device, peer)
    assert peer.renewal_due() == "uses"
    assert peer.events() == [KeyUsage("unicast", 8)]
    device, peer = commissioned()
    peer._seq[0].skip_to(0xFFFF0000)
    assert peer.renewal_due() == "counter"


# ---- handshakes
def test_both_sets_stay_until_the_device_answers_under_the_new_one() -> None:
    memory = RamMemory()
    device, peer = a_device(), a_peer(memory)
    shake(device, peer)
    exchange(device, peer)
    shake(device, peer, address=MOVED)
    assert (peer.address, peer.pending, peer.ku_generation) == (ADDRESS, True, 1)
    peer = a_peer(memory)
    assert peer.pending, "also over a restart"
    peer.abandon_pending()
    assert (peer.pending, peer.by_id) == (False, False)
    assert exchange(device, peer).plaintext == DONE
    shake(device, peer, address=MOVED)
    peer.events()
    assert exchange(device, peer).committed
    assert peer.events() == [SetCommitted(2, MOVED)]
    assert a_peer(memory).address == MOVED
    with pytest.raises(LocalProtocolError):
        a_peer().abandon_pending()


def test_a_device_that_committed_unheard_is_found_again() -> None:
    device, peer = commissioned()
    shake(device, peer)
    assert isinstance(device.receive(peer.seal(BT03, 0.0), How.REQUEST_BY_ID, 0.0), Accepted)  # and the answer is lost
    peer.abandon_pending()
    assert device.receive(peer.seal(BT03, 0.0), How.REQUEST, 0.0) == Refused("unknown-slot")
    peer.give_up()
    shake(device, peer)
    assert exchange(device, peer).committed
    assert (peer.ku_generation, device.ku_generation) == (3, 3)


def test_a_generation_that_went_back_is_reported_and_waits_for_an_order() -> None:
    device, peer = commissioned()
    device.forget_sets()
    peer.events()
    second = device.receive(peer.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    assert peer.handshake(second.apdu, 0.0) == Refused("generation")
    assert peer.events() == [GenerationWentBack(ND, 1, 0)]
    peer.accept_generation(0)
    shake(device, peer)
    assert exchange(device, peer).committed


def test_replies_of_others_and_of_another_time_are_refused() -> None:
    device, peer = a_device(), a_peer()
    second = device.receive(peer.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    reply = second.apdu
    assert peer.handshake(reply[:-1], 0.0) == Refused("length")
    assert peer.handshake(b"", 0.0) == Refused("length")
    assert peer.handshake(b"\x18\x01" + reply[2:], 0.0) == Refused("code")
    assert peer.handshake(reply[:35] + b"\xff" + reply[36:], 0.0) == Refused("identity")
    assert peer.handshake(reply[:41] + b"\xff\xff" + reply[43:], 0.0) == Refused("epoch")
    assert peer.handshake(reply[:2] + b"\0" + reply[3:], 0.0) == Refused("suite")
    assert peer.handshake(b"\x18\x82" + bytes(17), 0.0) == Refused("handshake")
    assert peer.handshake(reply, 30.0) == Refused("handshake")
    assert peer.handshake(reply, 0.0) == Refused("handshake"), "what timed out is forgotten"


def test_there_is_one_encryption_for_a_reply_and_the_last_message_proves_itself() -> None:
    device, peer = a_device(), a_peer()
    second = device.receive(peer.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    third = peer.handshake(second.apdu, 0.0)
    assert isinstance(third, Answered)
    assert peer.handshake(second.apdu, 0.0) == Answered(third.apdu, "repeat")
    assert peer.handshake(second.apdu[:-1] + b"\0", 0.0) == Refused("handshake")
    fourth = device.receive(third.apdu, How.REQUEST_BY_ID, 0.0)
    assert isinstance(fourth, Answered)
    assert peer.handshake(fourth.apdu + b"\0", 0.0) == Refused("length")
    assert peer.handshake(fourth.apdu[:2] + b"\x01" + fourth.apdu[3:], 0.0) == Refused("bad-mac")
    assert peer.handshake(fourth.apdu, 0.0) == Accepted(b"")
    assert peer.handshake(fourth.apdu, 0.0) == Refused("handshake")


def test_a_set_that_cannot_be_kept_is_not_used() -> None:
    memory = BrittleMemory()
    device, peer = a_device(), a_peer(memory)
    second = device.receive(peer.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    third = peer.handshake(second.apdu, 0.0)
    assert isinstance(third, Answered)
    fourth = device.receive(third.apdu, How.REQUEST_BY_ID, 0.0)
    assert isinstance(fourth, Answered)
    memory.fail_at = memory.saves
    assert peer.handshake(fourth.apdu, 0.0) == Refused("storage")
    assert (peer.ready, peer.events()) == (False, [StorageFailed("handshake")])


def test_whoever_lost_the_counters_must_shake_hands_anew() -> None:
    device, peer = commissioned()
    peer.distrust()
    assert not peer.ready
    with pytest.raises(NoKey):
        peer.seal(BT03, 0.0)
    shake(device, peer)
    assert exchange(device, peer).committed


def test_terms_that_no_device_takes_are_wrong_use() -> None:
    for first in (0, 0xFFFF0001):
        with pytest.raises(LocalProtocolError):
            a_peer().challenge(terms(first_seq=first), 0.0)


# ---- broadcast
def test_broadcast_keys_are_handed_out_and_switched() -> None:
    memory = RamMemory()
    sender = a_sender(memory)
    device, peer = a_device(), a_peer()
    shake(device, peer, kb=sender.kb, kb_generation=sender.generation, b=sender.counter)
    exchange(device, peer)
    assert isinstance(device.receive(sender.seal(CLOCK), How.UNANSWERED, 0.0), Accepted)
    key, generation = sender.prepare_key()
    assert sender.prepare_key() == (key, generation)
    order = procedure_of(peer.broadcast_key_update(key, generation, 5, 99.0))
    assert order is not None
    assert device.update_key(order.parameters, 0.0) == ""
    sender = a_sender(memory)
    assert sender.prepared == (key, generation)
    sender.switch()
    assert sender.events() == [KeyChanged("broadcast", 2)]
    assert isinstance(device.receive(sender.seal(CLOCK), How.UNANSWERED, 1e5), Accepted)
    assert device.kb_generation == 2
    with pytest.raises(LocalProtocolError, match="prepared"):
        sender.switch()
    key, generation = sender.new_key()
    order = procedure_of(peer.broadcast_key_update(key, generation, 6, 99.0, at_once=True))
    assert order is not None
    assert device.update_key(order.parameters, 0.0) == ""
    assert isinstance(device.receive(a_sender(memory).seal(CLOCK), How.UNANSWERED, 2e5), Accepted)


def test_no_key_update_while_a_handshake_is_open() -> None:
    device, peer = commissioned()
    peer.challenge(terms(), 0.0)
    with pytest.raises(LocalProtocolError, match="handshake"):
        peer.broadcast_key_update(a_sender().kb, 2, 1, 29.0)
    assert peer.broadcast_key_update(a_sender().kb, 2, 1, 30.0)
    shake(device, peer)
    with pytest.raises(LocalProtocolError, match="handshake"):
        peer.broadcast_key_update(a_sender().kb, 2, 1, 1e6)


def test_broadcast_counters_run_on_over_restarts_and_keys() -> None:
    memory = RamMemory()
    seen: list[int] = []
    for turn in range(6):
        sender = a_sender(memory)
        if turn % 2:
            sender.new_key()
        seen += [int.from_bytes(sender.seal(CLOCK)[-12:-8], "big") for _ in range(40)]
    assert seen == sorted(set(seen))
    sender.go_above(10**6)
    assert int.from_bytes(sender.seal(CLOCK)[-12:-8], "big") == 10**6 + 1
    assert a_sender(memory).counter > 10**6 + 1


def test_broadcasts_that_cannot_be_sent() -> None:
    memory = BrittleMemory()
    sender = a_sender(memory)
    for groups in ([0], [0x10000], [1] * 11):
        with pytest.raises(LocalProtocolError, match="groups"):
            sender.seal(CLOCK, groups)
    for plaintext in (b"", bytes(83), bytes(81)):
        with pytest.raises(LocalProtocolError, match="fit"):
            sender.seal(plaintext, [1] if len(plaintext) == 81 else [])
    assert len(sender.seal(bytes(82))) == 96
    memory.fail_at = memory.saves
    sender._bctr.skip_to(1000)
    with pytest.raises(StorageError):
        sender.seal(CLOCK)
    with pytest.raises(ConfigError):
        BroadcastSender(NC, b"OS", RamMemory(), randomness=dice(1))


def test_when_a_broadcast_key_should_be_renewed() -> None:
    sender = a_sender(profile=OsgpProfile(limits=Limits(key_usage_max=5)))
    assert (sender.renewal_due(), sender.renewal_due(1e7)) == ("", "age")
    for _ in range(4):
        sender.seal(CLOCK)
    assert sender.renewal_due() == "uses"
    assert sender.events() == [KeyUsage("broadcast", 4)]
    sender.new_key()
    assert sender.renewal_due() == ""
    sender._bctr.skip_to(0xFFFF0001)
    assert sender.renewal_due() == "counter"


def test_the_other_side_of_the_profile() -> None:
    profile = OsgpProfile.from_toml("[codes]\nrequest = 0x30\n[nonces]\nrequest = 9\n[labels]\nsession = 'X'\n")
    device, peer = a_device(profile=profile), a_peer(profile=profile)
    shake(device, peer)
    frame = peer.seal(BT03, 0.0)
    assert frame[0] == 0x30
    assert isinstance(device.receive(frame, How.REQUEST_BY_ID, 0.0), Accepted)
    other: DeviceSecurity = a_device()
    other.install(a_set())
    assert other.receive(frame, How.REQUEST_BY_ID, 0.0) == Refused("code")
    assert isinstance(peer, PeerSecurity)
