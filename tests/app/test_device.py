"""The device's side: what is refused and why, what is answered, what is kept, and that nothing happens twice."""

from __future__ import annotations

import datetime as dt

import pytest

from osgp.app.aes import device_keys, wrap_key
from osgp.app.critical import procedure_of
from osgp.app.device import DevicePolicy, DeviceSecurity
from osgp.app.events import KeyChanged, KeyUsage, SetCommitted, StorageFailed
from osgp.app.messages import Alert, CommissionContents, KeyUpdate, KeyUpdateKind
from osgp.app.profile import Limits, OsgpProfile
from osgp.app.suite import BroadcastCipher, UnicastCipher
from osgp.app.token import procedure_with_token, write_with_token
from osgp.app.verdict import Accepted, Answered, Denied, How, Refused
from osgp.crypto.keys import Key
from osgp.tables.table import PENDING, extended
from osgp.wire import LTime
from osgp.wire.errors import ConfigError, LocalProtocolError
from tests.app.making import (
    ADDRESS,
    BT03,
    DONE,
    KB,
    MOVED,
    NC,
    ND,
    PROFILE,
    UMK,
    WRITE,
    BrittleMemory,
    a_device,
    a_peer,
    a_set,
    commissioned,
    exchange,
    shake,
    terms,
    unhex,
)

KCRIT = device_keys(UMK, ND, PROFILE).kcrit
CLOCK = unhex("400007000410083312")  # EP16, PSN 33, +18 s
KU = a_set().ku


def cipher() -> UnicastCipher:
    return UnicastCipher(KU, 1, ND, ADDRESS, PROFILE)


def sender(kb: Key = KB, generation: int = 1) -> BroadcastCipher:
    return BroadcastCipher(kb, generation, NC, ADDRESS.domain, PROFILE)


def installed(**more: object) -> DeviceSecurity:
    device = a_device(**more)  # type: ignore[arg-type]  # keyword arguments of a_device
    device.install(a_set())
    device.events()
    return device


def call(number: int, parameters: bytes = b"", psn: int = 1) -> bytes:
    data = number.to_bytes(2, "little") + bytes([psn]) + parameters
    return b"\x40\x00\x07" + len(data).to_bytes(2, "big") + data


# ---- requests
def test_a_request_by_a_service_without_answer_is_refused() -> None:
    assert installed().receive(cipher().seal_request(BT03, 1), How.UNANSWERED, 0.0) == Refused("how")


@pytest.mark.parametrize("size", [0, 1, 12, 97])
def test_sizes_that_no_request_has(size: int) -> None:
    assert installed().receive(bytes([0x10]) * size, How.REQUEST, 0.0) == Refused("length")


@pytest.mark.parametrize("code", [0x00, 0x0F, 0x14, 0x16, 0x19, 0x1A, 0x4D, 0xFF])
def test_other_codes_are_others_affair(code: int) -> None:
    assert installed().receive(bytes([code]) * 20, How.REQUEST, 0.0) == Refused("code")


def test_a_repeat_gets_the_same_answer_and_is_not_carried_out_again() -> None:
    device = installed()
    frame = cipher().seal_request(WRITE, 5)
    first = device.receive(frame, How.REQUEST, 0.0)
    assert isinstance(first, Accepted)
    assert device.receive(frame, How.REQUEST, 0.0) == Refused("in-progress")
    response = device.seal_response(first.ticket, DONE)
    assert device.receive(frame, How.REQUEST_BY_ID, 1.0) == Answered(response, "repeat")
    assert device.receive(frame, How.REQUEST, 2.0) == Answered(response, "repeat")


def test_one_response_for_a_number() -> None:
    device = installed()
    first = device.receive(cipher().seal_request(BT03, 1), How.REQUEST, 0.0)
    assert isinstance(first, Accepted)
    device.seal_response(first.ticket, DONE)
    with pytest.raises(LocalProtocolError):
        device.seal_response(first.ticket, b"\x06")
    second = device.receive(cipher().seal_request(BT03, 2), How.REQUEST, 0.0)
    assert isinstance(second, Accepted)
    with pytest.raises(LocalProtocolError):
        device.seal_response(first.ticket, DONE)
    with pytest.raises(LocalProtocolError, match="does not fit"):
        device.seal_response(second.ticket, bytes(88))
    assert len(device.seal_response(second.ticket, bytes(87))) == 96


def test_there_is_no_upper_window() -> None:
    device = installed()
    assert isinstance(device.receive(cipher().seal_request(BT03, 0xFFFF0000), How.REQUEST, 0.0), Accepted)
    assert isinstance(device.receive(cipher().seal_request(BT03, 0xFFFF0001), How.REQUEST, 0.0), Answered)


def test_a_sequence_error_is_told_once_a_second_with_a_number_of_its_own() -> None:
    device = installed()
    assert isinstance(device.receive(cipher().seal_request(BT03, 9), How.REQUEST, 0.0), Accepted)
    old = cipher().seal_request(BT03, 8)
    told = [device.receive(old, How.REQUEST, now) for now in (0.0, 0.5, 0.99, 1.0, 2.0)]
    assert [isinstance(one, Answered) for one in told] == [True, False, False, True, True]
    assert told[1] == Refused("counter")
    frames = [one.apdu for one in told if isinstance(one, Answered)]
    assert [int.from_bytes(one[-12:-8], "big") for one in frames] == [1, 2, 3]
    assert {cipher().open_error(one, old) for one in frames} == {unhex("0c0000000a")}


def test_forged_messages_change_nothing_but_the_count() -> None:
    device = installed()
    before = device._memory.values()  # type: ignore[attr-defined]  # a RamMemory
    good = cipher().seal_request(BT03, 1)
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 0x80
        assert isinstance(device.receive(bytes(bad), How.REQUEST, 0.0), Refused)
    after = device._memory.values()  # type: ignore[attr-defined]
    after.pop("uses.unicast")
    before.pop("uses.unicast")
    assert after == before
    assert device.unicast_uses == len(good) - 1  # the changed code went elsewhere
    assert isinstance(device.receive(good, How.REQUEST, 0.0), Accepted)


def test_use_is_counted_and_told_at_eighty_percent() -> None:
    profile = OsgpProfile(limits=Limits(key_usage_max=10, usage_block=4))
    memory = BrittleMemory()
    device = a_device(memory, profile=profile)
    device.install(a_set())
    device.events()
    for seq in range(1, 8):
        device.receive(cipher().seal_request(BT03, seq), How.REQUEST, 0.0)
    assert device.events() == []
    device.receive(bytes([0x11]) * 20, How.REQUEST, 0.0)
    assert device.events() == [KeyUsage("unicast", 8)]
    for seq in range(9, 20):
        assert isinstance(device.receive(cipher().seal_request(BT03, seq), How.REQUEST, 0.0), Accepted)
    assert device.events() == [], "it is told once, and refuses nothing"
    again = a_device(memory, profile=profile)
    assert again.unicast_uses >= 19
    again.install(a_set(ku_generation=2))
    assert again.unicast_uses == 0


def test_a_lock_out_is_off_unless_asked_for() -> None:
    device = installed()
    locked = installed(policy=DevicePolicy(lockout_failures=3, lockout_minutes=2))
    for number in range(3):
        for one in (device, locked):
            assert one.receive(bytes([0x10, number]) * 10, How.REQUEST, 0.0) == Refused("bad-tag")
    good = cipher().seal_request(BT03, 1)
    assert isinstance(device.receive(good, How.REQUEST, 0.0), Accepted)
    assert locked.receive(good, How.REQUEST, 119.0) == Refused("locked-out")
    assert isinstance(locked.receive(good, How.REQUEST, 120.0), Accepted)


def test_published_keys_and_bad_ids_are_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="no secret"):
        a_device(umk=Key(bytes(range(16))))
    with pytest.raises(ConfigError, match="6 bytes"):
        a_device(nd=b"\x01")
    with pytest.raises(ConfigError, match="16 bytes"):
        a_device(umk=Key(bytes(range(3, 23))))


def test_a_damaged_memory_is_told_without_its_contents() -> None:
    for name in ("set", "pending", "broadcast", "umk", "last", "bctr", "epoch"):
        memory = BrittleMemory()
        memory.save({name: b"\xab\xcd\xef"})
        with pytest.raises(ConfigError, match=name) as caught:
            a_device(memory)
        assert "abcdef" not in str(caught.value) + repr(caught.value.__cause__)


# ---- commissioning
def test_a_device_is_commissioned_by_the_first_request_and_not_before() -> None:
    device, peer = a_device(), a_peer()
    shake(device, peer)
    assert (device.address, device.ku_generation, device.epoch) == (None, 0, 0)
    assert (peer.ready, peer.pending, peer.ku_generation) == (True, True, 0)
    found = exchange(device, peer)
    assert found.committed
    assert (device.address, device.ku_generation, device.epoch, device.concentrator_id) == (ADDRESS, 1, 1, NC)
    assert device.window == (0x10000, 1024)
    assert device.events() == [SetCommitted(1, ADDRESS)]
    assert (peer.pending, peer.ku_generation) == (False, 1)


def test_the_pending_set_is_committed_by_unique_node_id_only() -> None:
    device, peer = a_device(), a_peer()
    shake(device, peer)
    frame = peer.seal(BT03, 0.0)
    assert device.receive(frame, How.REQUEST, 0.0) == Refused("how")
    assert device.address is None
    verdict = device.receive(frame, How.REQUEST_BY_ID, 0.0)
    assert isinstance(verdict, Accepted)
    assert verdict.committed


def test_a_number_below_the_first_commits_nothing_and_is_not_answered() -> None:
    device, peer = a_device(), a_peer()
    shake(device, peer, first_seq=100)
    peer._seq[0].next = 99
    assert device.receive(peer.seal(BT03, 0.0), How.REQUEST_BY_ID, 0.0) == Refused("counter")
    assert device.address is None


def test_the_old_set_works_in_full_until_the_new_one_is_committed() -> None:
    device, peer = commissioned()
    old = peer.seal(BT03, 1.0)
    peer.give_up()
    shake(device, peer, address=MOVED, kb_generation=2, kb=UMK, b=5, d=6)
    assert isinstance(device.receive(old, How.REQUEST, 2.0), Accepted)
    assert (device.address, device.kb_generation) == (ADDRESS, 1)
    broadcast = sender().seal(CLOCK, [], 0x10001)
    assert isinstance(device.receive(broadcast, How.UNANSWERED, 2.0), Accepted)
    exchange(device, peer, now=3.0)
    assert (device.address, device.ku_generation, device.kb_generation, device.window) == (MOVED, 2, 2, (5, 6))
    assert device.last_broadcast == 4
    assert device.receive(old, How.REQUEST, 4.0) == Refused("unknown-slot")
    assert device.receive(sender().seal(CLOCK, [], 0x10002), How.UNANSWERED, 4.0) == Refused("unknown-slot")


def test_the_last_broadcast_stays_if_the_key_does() -> None:
    device, peer = commissioned()
    assert isinstance(device.receive(sender().seal(CLOCK, [], 0x10005), How.UNANSWERED, 0.0), Accepted)
    shake(device, peer)
    exchange(device, peer)
    assert device.last_broadcast == 0x10005
    assert device.receive(sender().seal(CLOCK, [], 0x10005), How.UNANSWERED, 9e4) == Refused("counter")


def test_a_reset_does_not_make_recorded_broadcasts_good_again() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    device.install(a_set())
    frame = sender().seal(CLOCK, [], 0x10005)
    assert isinstance(device.receive(frame, How.UNANSWERED, 0.0), Accepted)
    device.forget_sets()
    device = a_device(memory)
    device.install(a_set())
    assert device.receive(frame, How.UNANSWERED, 1e5) == Refused("counter")
    device.install(a_set(ku_generation=2, kb=NEXT, kb_generation=2))
    assert device.last_broadcast == 0xFFFF


def test_a_later_handshake_replaces_what_is_pending_only_when_it_proves_itself() -> None:
    device, first, second = a_device(), a_peer(seed=5), a_peer(seed=6)
    shake(device, first)
    frame = first.seal(BT03, 0.0)
    device.receive(a_peer(seed=7).challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(device.receive(frame, How.REQUEST_BY_ID, 0.0), Accepted)

    device, first = a_device(), a_peer(seed=5)
    shake(device, first)
    frame = first.seal(BT03, 0.0)
    shake(device, second)
    assert device.receive(frame, How.REQUEST_BY_ID, 0.0) == Refused("bad-tag")
    exchange(device, second)


def test_handshake_messages_come_as_requests_to_the_unique_node_id() -> None:
    device, challenge = a_device(), a_peer().challenge(terms(), 0.0)
    for how in (How.REQUEST, How.UNANSWERED):
        assert device.receive(challenge, how, 0.0) == Refused("how")
    for frame in (challenge[:-1], challenge + b"\0", b"\x18", b"\x18\x03" + challenge[2:], b"\x18\x81" + challenge[2:]):
        assert device.receive(frame, How.REQUEST_BY_ID, 0.0) == Refused("length")
    assert device.fcm_count(0.0) == 0


def test_an_identical_challenge_gets_the_same_answer_and_another_replaces_it() -> None:
    device, peer = a_device(), a_peer()
    challenge = peer.challenge(terms(), 0.0)
    first = device.receive(challenge, How.REQUEST_BY_ID, 0.0)
    assert device.receive(challenge, How.REQUEST_BY_ID, 29.0) == first
    assert device.receive(challenge, How.REQUEST_BY_ID, 30.0) != first, "after the time-out the random is a fresh one"
    assert isinstance(first, Answered)
    third = peer.handshake(first.apdu, 0.0)
    assert isinstance(third, Answered)
    assert device.receive(third.apdu, How.REQUEST_BY_ID, 30.0) == Refused("bad-mac")


def test_a_commission_message_is_taken_once_and_its_repeat_gets_the_same_answer() -> None:
    device, peer = a_device(), a_peer()
    second = device.receive(peer.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    third = peer.handshake(second.apdu, 0.0)
    assert isinstance(third, Answered)
    assert peer.handshake(second.apdu, 1.0) == Answered(third.apdu, "repeat")
    forged = bytearray(third.apdu)
    forged[9] ^= 1
    assert device.receive(bytes(forged), How.REQUEST_BY_ID, 0.0) == Refused("bad-mac"), "and leaves the challenge open"
    fourth = device.receive(third.apdu, How.REQUEST_BY_ID, 0.0)
    assert isinstance(fourth, Answered)
    assert device.receive(third.apdu, How.REQUEST_BY_ID, 29.9) == Answered(fourth.apdu, "repeat")
    assert device.receive(bytes(forged), How.REQUEST_BY_ID, 1.0) == Refused("handshake")
    assert device.receive(third.apdu, How.REQUEST_BY_ID, 30.0) == Refused("handshake")


@pytest.mark.parametrize(
    "change",
    [
        {"subnet": 0},
        {"node": 0},
        {"node": 128},
        {"domain_length": 2},
        {"domain_length": 7},
        {"domain": b"OSG\0\0\1"},
        {"first_seq": 0},
        {"first_seq": 0xFFFF0001},
        {"kb_generation": 0},
    ],
)
def test_contents_that_no_device_can_take_are_refused_with_a_proof(
    change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, peer = a_device(), a_peer()
    encode = CommissionContents.encode

    def changed(self: CommissionContents) -> bytes:
        for name, value in change.items():
            setattr(self, name, value)
        return encode(self)

    monkeypatch.setattr(CommissionContents, "encode", changed)
    second = device.receive(peer.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    third = peer.handshake(second.apdu, 0.0)
    assert isinstance(third, Answered)
    fourth = device.receive(third.apdu, How.REQUEST_BY_ID, 0.0)
    assert isinstance(fourth, Answered)
    assert fourth.apdu[2] == 1
    assert peer.handshake(fourth.apdu, 0.0) == Refused("contents")
    assert not peer.ready
    assert device._pending is None


def test_an_epoch_below_the_stored_one_is_refused_also_after_a_reset_of_everything() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    shake(device, peer := a_peer(epoch=3))
    low = a_peer(epoch=2)
    assert isinstance(device.receive(low.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0), Answered), (
        "not committed yet"
    )
    exchange(device, peer)
    for one in (device, a_device(memory)):
        assert one.receive(low.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0) == Refused("epoch")
    device.forget_sets()
    assert (device.address, device.ku_generation, device.kb_generation) == (None, 0, 0)
    device = a_device(memory)
    assert (device.epoch, device.address) == (3, None)
    assert device.receive(low.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0) == Refused("epoch")


def test_a_hundred_handshake_messages_a_day_and_the_old_set_works_on() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    device.install(a_set())
    for number in range(100):
        frame = a_peer(seed=number).challenge(terms(), 0.0)
        assert isinstance(device.receive(frame, How.REQUEST_BY_ID, float(number)), Answered)
    assert device.fcm_count(100.0) == 100
    assert device.receive(frame, How.REQUEST_BY_ID, 100.0) == Refused("limit")
    assert a_device(memory).receive(frame, How.REQUEST_BY_ID, 100.0) == Refused("limit"), "a reset does not help"
    assert isinstance(device.receive(cipher().seal_request(BT03, 1), How.REQUEST, 100.0), Accepted)
    assert isinstance(device.receive(frame, How.REQUEST_BY_ID, 86400.0), Answered)
    assert device.fcm_count(86400.0) == 1


def test_generations_do_not_wrap() -> None:
    device = a_device()
    device.install(a_set(ku_generation=0xFFFF))
    assert device.receive(a_peer().challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0) == Refused("generation")


def test_the_wrong_psk_is_nobody() -> None:
    device, peer = a_device(), a_peer(umk=KB)
    second = device.receive(peer.challenge(terms(), 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    assert peer.handshake(second.apdu, 0.0) == Refused("bad-mac")


# ---- critical orders
@pytest.mark.parametrize(
    ("order", "critical"),
    [
        (call(2050, b"\x00\x00"), True),
        (call(2050, b"\x00"), True),
        (call(2050, b""), True),
        (call(2050, b"\x09\x01"), True),
        (call(2050, b"\x00\x01"), False),
        (call(2050, b"\x01\x00"), False),
        (call(2050, b"\x02"), False),
        (call(0xF000 | 2050, b"\x00\x00"), True),
        (call(2058, bytes(26)), True),
        (call(2068, b"\x02" + bytes(28)), True),
        (call(2068, b"\x01" + bytes(20)), False),
        (call(2069, bytes(8)), True),
        (call(2070), True),
        (call(2084), True),
        (call(2071), False),
        (call(10, bytes(8)), False),
        (unhex("4f080400007f000100"), True),
        (unhex("4f080400007e00020000"), True),
        (unhex("4f080400007e000100"), False),
        (unhex("4f0804000080000100"), False),
        (unhex("4008040001") + b"\0", False),
        (unhex("4008040080") + bytes(128), True),
        (unhex("400804ffff00"), True),
        (unhex("4f18040000000080") + bytes(128), True),
        (unhex("4f0805000000000100"), True),
        (unhex("401805000100"), True),
        (unhex("4f081d000009000100"), True),
        (unhex("4f081e000009000100"), True),
        (unhex("4f082e000009000100"), True),
        (unhex("4f0850000009000100"), True),
        (unhex("4f0859000009000100"), True),
        (unhex("4f0837000081000100"), True),
        (unhex("4f0837000010000100"), False),
        (unhex("4f083400000000" + "0100"), False),
        (unhex("300804"), False),
        (unhex("40"), False),
        (b"", False),
    ],
)
def test_what_needs_a_token(order: bytes, critical: bool) -> None:
    device = installed()
    bare, denied = device.authorise(order, 0.0)
    assert (denied is not None) is critical
    assert bare == order
    assert denied is None or denied.reason == "token"
    assert (denied is not None and denied.procedure is not None) is (critical and order[:3] == b"\x40\0\x07")
    assert installed(policy=DevicePolicy(tokens=False)).authorise(order, 0.0) == (order, None)


def test_pending_and_active_tables_are_alike() -> None:
    assert installed().authorise(unhex("4f") + (PENDING | extended(5)).to_bytes(2, "big") + unhex("000000000100"), 0.0)[
        1
    ]


def test_a_token_opens_once_and_in_rising_order() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    orders = [procedure_with_token(KCRIT, ND, 2050, psn, b"\0\0", psn, PROFILE) for psn in range(1, 6)]
    bare, denied = device.authorise(orders[2], 0.0)
    assert (bare, denied) == (call(2050, b"\0\0", 3), None)
    for number, one in enumerate(orders[:3]):
        assert device.authorise(one, 0.0)[1] == Denied("token-counter", 2050, number + 1)
    assert device.authorise(orders[3], 0.0)[1] is None
    device = a_device(memory)
    assert device.token_counter == 4
    assert device.authorise(orders[3], 0.0)[1] == Denied("token-counter", 2050, 4)
    device.install(a_set())
    device.forget_sets()
    assert a_device(memory).token_counter == 4


def test_a_token_covers_its_order_and_its_device() -> None:
    good = procedure_with_token(KCRIT, ND, 2050, 7, b"\0\0\x05", 1, PROFILE)
    for place in (5, 6, 8, 9, 10, *range(len(good) - 12, len(good))):
        bad = bytearray(good)
        bad[place] ^= 0x10
        found = installed().authorise(bytes(bad), 0.0)[1]
        assert (found is not None) is (procedure_of(bytes(bad)).number == 2050)  # type: ignore[union-attr]  # it calls one
        assert found is None or found.reason == "token"
    assert installed().authorise(good, 0.0)[1] is None
    psn = bytearray(good)
    psn[7] = 8
    assert installed().authorise(bytes(psn), 0.0)[1] is None, "the PSN is not covered"
    assert a_device(nd=bytes(range(6))).authorise(good, 0.0)[1] == Denied("token", 2050, 7)


def test_a_token_of_a_table_write_stands_outside_the_count() -> None:
    bare = unhex("4f080400007f000100")
    made = write_with_token(KCRIT, ND, bare, 1, PROFILE)
    device = installed()
    assert device.authorise(made, 0.0) == (bare, None)
    assert device.authorise(made, 0.0)[1] == Denied("token-counter")
    assert installed().authorise(made + b"\0", 0.0)[1] == Denied("token")
    assert installed().authorise(made[:-1], 0.0)[1] == Denied("token")
    with pytest.raises(LocalProtocolError):
        write_with_token(KCRIT, ND, unhex("4f40130000000001aa"), 1, PROFILE)
    with pytest.raises(LocalProtocolError):
        procedure_with_token(KCRIT, ND, 2050, 7, b"", 0, PROFILE)


@pytest.mark.parametrize(
    "order",
    [unhex("4f0007000000000302080100"), unhex("4f00070000020001"), unhex("4f100700000000"), unhex("4010070003020801")],
)
def test_procedures_are_called_by_full_writes_only(order: bytes) -> None:
    assert installed(policy=DevicePolicy(tokens=False)).authorise(order, 0.0) == (order, Denied("not-allowed"))


def test_a_critical_order_without_a_token_is_answered_but_denied() -> None:
    device = installed()
    verdict = device.receive(cipher().seal_request(call(2050, b"\0\0", 9), 1), How.REQUEST, 0.0)
    assert isinstance(verdict, Accepted)
    assert verdict.denied == Denied("token", procedure=2050, psn=9, result=5)
    assert len(device.seal_response(verdict.ticket, DONE)) == 10


def test_a_token_that_cannot_be_kept_opens_nothing() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    memory.fail_at = memory.saves
    order = procedure_with_token(KCRIT, ND, 2050, 1, b"\0\0", 1, PROFILE)
    assert device.authorise(order, 0.0)[1] == Denied("storage", 2050, 1)
    assert device.events() == [StorageFailed("token")]
    assert device.authorise(order, 0.0)[1] is None


# ---- keys
def update(kind: int, generation: int, key: bytes, *, slot: int | None = None, wrap: int = 0) -> bytes:
    where = (generation - 1) & 1 if slot is None else slot
    return KeyUpdate(kind=KeyUpdateKind(kind), slot=where, generation=generation, wrap=wrap, key=key).encode()


NEXT = Key(unhex("9d2e4f60718293a4b5c6d7e8f90a1b2c"))
OTHER = Key(unhex("0d2e4f60718293a4b5c6d7e8f90a1b2c"))


def test_the_broadcast_key_is_switched_by_the_first_broadcast_under_the_new_one() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    device.install(a_set())
    assert device.update_key(update(1, 2, OTHER.secret()), 0.0) == ""
    assert device.update_key(update(1, 2, NEXT.secret()), 0.0) == "", "a repeat before first use replaces it"
    assert device.kb_generation == 1
    assert isinstance(device.receive(sender().seal(CLOCK, [], 0x10001), How.UNANSWERED, 0.0), Accepted)
    assert device.receive(sender(OTHER, 2).seal(CLOCK, [], 0x10002), How.UNANSWERED, 1e5) == Refused("bad-tag")
    device = a_device(memory)
    device.events()
    assert isinstance(device.receive(sender(NEXT, 2).seal(CLOCK, [], 0x10002), How.UNANSWERED, 1e5), Accepted)
    assert device.kb_generation == 2
    assert device.events() == [KeyChanged("broadcast", 2)]
    assert device.receive(sender().seal(CLOCK, [], 0x10003), How.UNANSWERED, 2e5) == Refused("unknown-slot")
    assert NEXT.secret() in memory.values()["broadcast"]
    assert KB.secret() not in memory.values()["broadcast"]


def test_a_broadcast_key_can_be_replaced_at_once() -> None:
    device = installed()
    assert device.update_key(update(1, 2, OTHER.secret()), 0.0) == ""
    assert device.update_key(update(0x81, 3, NEXT.secret()), 0.0) == ""
    assert device.kb_generation == 3
    for old in (sender(), sender(OTHER, 2)):
        assert isinstance(device.receive(old.seal(CLOCK, [], 0x10001), How.UNANSWERED, 0.0), Refused)
    assert isinstance(device.receive(sender(NEXT, 3).seal(CLOCK, [], 0x10001), How.UNANSWERED, 0.0), Accepted)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        (update(1, 1, NEXT.secret()), "generation"),
        (update(1, 3, NEXT.secret()), "generation"),
        (update(1, 0, NEXT.secret(), slot=1), "generation"),
        (update(1, 2, NEXT.secret(), slot=0), "unknown-slot"),
        (update(0x81, 1, NEXT.secret()), "generation"),
        (update(1, 2, NEXT.secret()[:15]), "contents"),
        (update(1, 2, bytes(24), wrap=1), "bad-tag"),
        (update(1, 2, NEXT.secret(), wrap=2), "contents"),
        (update(3, 2, NEXT.secret()), "contents"),
        (update(2, 2, NEXT.secret(), slot=0), "contents"),
        (update(2, 2, bytes(24), slot=0, wrap=1), "bad-tag"),
        (update(2, 2, bytes(24), slot=1, wrap=1), "unknown-slot"),
        (update(2, 1, bytes(24), slot=0, wrap=1), "epoch"),
        (b"", "contents"),
        (b"\x01\x01", "contents"),
    ],
)
def test_key_updates_that_are_refused(parameters: bytes, reason: str) -> None:
    device = installed()
    assert device.update_key(parameters, 0.0) == reason
    assert (device.kb_generation, device._next_umk) == (1, None)


def test_a_device_without_a_set_takes_no_broadcast_key() -> None:
    assert a_device().update_key(update(1, 1, NEXT.secret()), 0.0) == "generation"


def test_a_new_umk_comes_into_force_with_its_epoch() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    device.install(a_set())
    kek = device_keys(UMK, ND, PROFILE).kek
    assert device.update_key(update(2, 3, wrap_key(kek, NEXT), slot=0, wrap=1), 0.0) == ""
    device = a_device(memory)
    shake(device, old := a_peer(epoch=2, known_generation=1))
    exchange(device, old)
    assert device._keys().kcrit == KCRIT, "KCRIT follows the UMK in force"
    shake(device, new := a_peer(epoch=3, umk=NEXT, known_generation=2))
    exchange(device, new)
    device = a_device(memory)
    assert device._keys().kcrit == device_keys(NEXT, ND, PROFILE).kcrit
    assert (device.epoch, device._next_umk) == (3, None)
    assert UMK.secret() not in b"".join(memory.values().values())


# ---- broadcast
def heard(
    device: DeviceSecurity, plaintext: bytes, bctr: int = 0x10001, now: float = 0.0, groups: list[int] | None = None
) -> object:
    return device.receive(sender().seal(plaintext, groups or [], bctr), How.UNANSWERED, now)


MOMENT = dt.datetime(2026, 11, 28, 12, 0, 0, tzinfo=dt.UTC)
AT = MOMENT.timestamp()


def clock_set(seconds: float, mask: int = 3) -> bytes:
    moment = MOMENT + dt.timedelta(seconds=seconds)
    return call(10, bytes([mask]) + bytes([moment.year - 2000, *moment.timetuple()[1:6]]) + b"\0")


@pytest.mark.parametrize(
    ("plaintext", "allowed"),
    [
        (call(2057, bytes(56)), True),
        (CLOCK, True),
        (call(2064, (60).to_bytes(4, "little")), True),
        (call(2064, (-60).to_bytes(4, "little", signed=True)), True),
        (call(2064, (61).to_bytes(4, "little")), False),
        (call(2064, (-61).to_bytes(4, "little", signed=True)), False),
        (call(2064, b""), False),
        (call(2064, bytes(5)), False),
        (clock_set(60), True),
        (clock_set(-60), True),
        (clock_set(61), False),
        (clock_set(5, mask=1), False),
        (call(10, b"\x03"), False),
        (call(10, bytes([3, 26, 13, 40, 0, 0, 0, 0])), False),
        (call(13, bytes(6)), True),
        (call(12), False),
        (call(2050, b"\x01\x01"), False),
        (call(2050, b"\x00\x01"), False),
        (call(2058, bytes(26)), False),
        (call(2068, bytes(21)), False),
        (unhex("4f081300000000" + "0100"), True),
        (unhex("400813000100"), True),
        (unhex("400804000100"), False),
        (unhex("4f0852" + "00000000" + "0100"), False),
        (unhex("4f0834000000000a") + bytes(10), False),
        (unhex("4f00070000000004") + unhex("10083312"), False),
        (BT03, False),
        (unhex("3f0017000000000c"), False),
        (CLOCK + b"\0", False),
        (b"\x40\0\x07\0\x02\x10\x08", False),
        (b"", False),
    ],
)
def test_what_a_broadcast_may_order(plaintext: bytes, allowed: bool) -> None:
    found = heard(installed(), plaintext, now=AT)
    assert found == (Accepted(plaintext) if allowed else Refused("not-allowed"))


def test_relays_are_switched_by_broadcast_where_the_device_allows_it() -> None:
    device = installed(policy=DevicePolicy(relay_by_broadcast=True))
    assert heard(device, call(2050, b"\x01\x01")) == Accepted(call(2050, b"\x01\x01"))
    assert heard(device, call(2050, b"\x00\x01"), 0x10002) == Refused("not-allowed")
    assert heard(device, call(2050, b"\x01"), 0x10003) == Refused("not-allowed")


def test_the_clock_is_stepped_once_a_day() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    device.install(a_set())
    assert heard(device, CLOCK, 0x10001, AT) == Accepted(CLOCK)
    assert heard(device, CLOCK, 0x10002, AT + 3600) == Refused("not-allowed")
    assert device.broadcast_time == MOMENT
    device = a_device(memory)
    assert heard(device, CLOCK, 0x10003, AT + 7200) == Refused("not-allowed"), "a reset does not help"
    assert heard(device, CLOCK, 0x10004, AT + 86400) == Accepted(CLOCK)


@pytest.mark.parametrize(
    ("groups", "own", "belongs"),
    [
        ([], [], True),
        ([0x0101], [0x0101], True),
        ([0x0101], [0x0102], False),
        ([0x0201, 0x0101], [0x0101], True),
        ([0x01FF], [0x0103], True),
        ([0x01FF], [0x0203], False),
        ([0xFFFF], [], True),
        ([0xFF07], [], True),
        ([0x0000], [0x0000], False),
    ],
)
def test_groups_match_as_in_transactions(groups: list[int], own: list[int], belongs: bool) -> None:
    device = installed(groups=lambda: own)
    found = heard(device, CLOCK, groups=groups)
    assert found == (Accepted(CLOCK) if belongs else Refused("group"))


def test_a_broadcast_is_never_taken_as_a_request() -> None:
    device = installed()
    for how in (How.REQUEST, How.REQUEST_BY_ID):
        assert device.receive(sender().seal(CLOCK, [], 0x10001), how, 0.0) == Refused("how")


@pytest.mark.parametrize(
    "frame", [b"\x12\0" + bytes(11), b"\x12\x01" + bytes(12), b"\x12\xff" + bytes(90), b"\x12\0" + bytes(95)]
)
def test_sizes_that_no_broadcast_has(frame: bytes) -> None:
    assert installed().receive(frame, How.UNANSWERED, 0.0) == Refused("length")


def test_a_broadcast_for_others_ends_those_held_back() -> None:
    device = installed(groups=lambda: [1])
    held = sender().seal(CLOCK, [], 0x10001)
    assert heard(device, CLOCK, 0x10002, groups=[2]) == Refused("group")
    assert device.receive(held, How.UNANSWERED, 0.0) == Refused("counter")


def test_raising_b_ends_a_broadcast_that_was_held_back() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    device.install(a_set())
    held = sender().seal(CLOCK, [], 0x10001)
    device.set_window(0x10002, 0xFFFF)
    for one in (device, a_device(memory)):
        assert one.window == (0x10002, 0xFFFF)
        assert one.receive(held, How.UNANSWERED, 0.0) == Refused("broadcast-window")
    with pytest.raises(ConfigError):
        device.set_window(-1, 0)


def test_the_window_does_not_wrap() -> None:
    device = installed()
    device.set_window(0xFFFFFF00, 0xFFFF)
    assert heard(device, CLOCK, 0x00000001) == Refused("broadcast-window")
    assert heard(device, CLOCK, 0xFFFFFFFF) == Accepted(CLOCK)


def test_code_packets_are_kept_in_blocks_and_others_one_by_one() -> None:
    memory = BrittleMemory()
    device = a_device(memory)
    device.install(a_set())
    device.broadcast_uses  # noqa: B018  # the first use saves its own block
    assert heard(device, call(2057, bytes(56)), 0x10001) == Accepted(call(2057, bytes(56)))
    saves = memory.saves
    for number in range(2, 33):
        assert isinstance(heard(device, call(2057, bytes(56)), 0x10000 + number), Accepted)
    assert memory.saves == saves
    assert isinstance(heard(device, call(2057, bytes(56)), 0x10000 + 33), Accepted)
    assert memory.saves == saves + 1
    device = a_device(memory)
    assert device.last_broadcast == 0x10000 + 33 + 31
    assert isinstance(heard(device, call(13, bytes(6)), 0x10100), Accepted)
    assert a_device(memory).last_broadcast == 0x10100


# ---- alerts
ALERT = Alert(alert_class=3, event_id=5, time=LTime(26, 11, 28, 1, 2, 3), log_sequence=9)


def test_alerts_are_limited_by_class() -> None:
    device = installed()
    other = Alert.decode(b"\x04" + ALERT.encode()[1:])
    assert device.seal_alert(ALERT, 0.0) is not None
    assert device.seal_alert(ALERT, 59.0) is None
    assert device.seal_alert(other, 59.0) is not None
    sent = sum(device.seal_alert(ALERT, 60.0 * number) is not None for number in range(1, 100))
    assert sent == 23
    assert device.seal_alert(ALERT, 86400.0) is not None
    assert a_device().seal_alert(ALERT, 0.0) is None


def test_an_alert_is_taken_once() -> None:
    device, peer = commissioned()
    frame = device.seal_alert(ALERT, 0.0)
    assert frame is not None
    found = peer.open_alert(frame)
    assert isinstance(found, Accepted)
    assert Alert.decode(found.plaintext) == ALERT
    assert peer.open_alert(frame) == Refused("counter")
    for bad in (b"", frame[:12], frame[:-1], bytes([0x15]) + frame[1:], bytes([0x10]) + frame[1:]):
        assert isinstance(peer.open_alert(bad), Refused)


def test_keys_do_not_show() -> None:
    device, peer = commissioned()
    shown = repr([device, peer, device._set, device._kb, device._unicast, device._broadcasts, device.events()])
    assert device._set is not None
    for key in (UMK, KB, device._set.ku):
        assert key.secret().hex() not in shown
        assert repr(key.secret())[2:-1] not in shown
