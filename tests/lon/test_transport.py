"""Transactions on a line: what is said, in the golden frames' own bytes, and how it ends."""

from __future__ import annotations

import pytest

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.configuration import domain_entry
from osgp.lon.entries import LastByte, NodeState
from osgp.lon.events import (
    Dropped,
    MessageReceived,
    NodeReset,
    ResponseReceived,
    TransactionCompleted,
    TransactionFailed,
)
from osgp.lon.headers import MESSAGE, REPEATED, write_pdu
from osgp.lon.ltep import Service
from osgp.lon.network import send_packet
from osgp.lon.npdu import PduType
from osgp.lon.numbers import TransactionNumbers
from osgp.lon.packet import Packet, packet_of
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from osgp.wire.errors import LocalProtocolError
from tests.lon.talk import BY_NAME, DOMAIN, KEY, OTHER_KEY, Talk, configuration, fresh, group_entry, node

B = SubnetNode(1, 20)


def golden(name: str) -> str:
    return str(BY_NAME[name]["hex"])


def at_number(number: int, stack: Stack) -> Stack:
    """The stack's next transaction takes this number."""
    stack.transport.numbers = TransactionNumbers(first=number)
    return stack


def test_request_and_response() -> None:
    a, b = at_number(1, node(1, 10)), node(1, 20)
    talk = Talk(a, b)
    handle = a.request(B, b"\x51", 0.0)
    talk.until(1.0)
    assert talk.spoken == [golden("nd-query-status"), golden("nd-query-status-response")]
    (response,) = talk.tell(a, ResponseReceived)
    assert (response.handle, response.source) == (handle, B)
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle)]


def test_an_application_answers_in_its_own_time() -> None:
    a, b = at_number(1, node(1, 10)), node(1, 20)
    talk = Talk(a, b)
    a.request(B, b"\x3a\x01\x02", 0.0, Options(priority=True))
    talk.until(0.1)
    (message,) = talk.tell(b, MessageReceived)
    assert message.priority
    assert message.apdu == b"\x3a\x01\x02"
    assert b.respond(message.reply, b"\x3a\xaa\xbb", 0.2)
    assert not b.respond(message.reply, b"\x3a\xaa\xbb", 0.2), "a request is answered once"
    talk.until(1.0)
    assert [frame[:2] for frame in talk.spoken] == ["81", "80"]
    assert talk.spoken[1] == golden("priority-response").replace("4920", "4921")


def test_acknowledged_with_every_retry_and_the_alternate_path_at_the_end() -> None:
    a = at_number(8, node(1, 10))
    talk = Talk(a)
    handle = a.send(SubnetNode(1, 99), b"\x3a\x01", 0.0, Options(retry=3, timer_s=0.096))
    talk.until(2.0)
    assert [frame[:2] for frame in talk.spoken] == ["01", "01", "41", "41"]
    assert talk.spoken[2] == golden("ackd-retry-altpath")
    assert [moment for moment, _, _ in talk.frames] == pytest.approx([0.0, 0.096, 0.192, 0.288])
    assert talk.tell(a, TransactionFailed) == [TransactionFailed(handle, "no answer", 4)]
    assert a.configuration.statistics.transaction_timeouts == 1
    assert a.configuration.statistics.retries == 3
    assert a.deadline() is None


@pytest.mark.parametrize(
    ("retry", "forced", "first_bytes"),
    [
        (0, None, ["41"]),
        (1, None, ["41", "41"]),
        (2, None, ["01", "41", "41"]),
        (2, False, ["01", "01", "01"]),
        (2, True, ["41", "41", "41"]),
    ],
)
def test_paths(retry: int, forced: bool | None, first_bytes: list[str]) -> None:
    a = node(1, 10)
    talk = Talk(a)
    a.send(B, b"\x3a\x01", 0.0, Options(retry=retry, alternate_path=forced))
    talk.until(9.0)
    assert [frame[:2] for frame in talk.spoken] == first_bytes


def test_a_lost_acknowledgement_is_given_again_and_the_message_is_delivered_once() -> None:
    a, b = node(1, 10), node(1, 20)
    lost = iter([True, False])
    talk = Talk(a, b, hears=lambda sender, _, __: sender is not b or not next(lost))
    handle = a.send(B, b"\x3a\x01", 0.0)
    talk.until(2.0)
    assert len(talk.tell(b, MessageReceived)) == 1
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle, 2)]
    assert talk.spoken[1] == talk.spoken[3]


def test_the_record_of_a_message_ends_with_its_timer_and_is_not_prolonged() -> None:
    """A third copy 2.1 s after the first is delivered again with a receive timer of 2.048 s, as in the open stacks."""
    a, b = node(1, 10), node(1, 20)
    b.configuration.block.last = LastByte(non_group_timer=8)
    a.send(B, b"\x3a\x01", 0.0, Options(retry=0))
    (packet,) = a.outgoing(0.0)
    for moment in (0.0, 1.9, 2.1):
        b.receive(packet, moment)
    assert sum(isinstance(event, MessageReceived) for event in b.events()) == 2
    assert len(b.outgoing(2.1)) == 3, "every copy is acknowledged"


def test_a_request_is_silent_while_pending_and_answers_again_afterwards() -> None:
    a, b = node(1, 10), node(1, 20)
    a.request(B, b"\x3a\x01", 0.0)
    (packet,) = a.outgoing(0.0)
    b.receive(packet, 0.0)
    b.receive(packet, 0.1)
    (message,) = b.events()
    assert isinstance(message, MessageReceived)
    assert b.outgoing(0.1) == []
    b.respond(message.reply or 0, b"\x3a\x02", 0.2)
    b.receive(packet, 0.3)
    first, second = b.outgoing(0.3)
    assert first == second
    assert b.events() == ()


def test_a_null_response_closes_in_silence() -> None:
    a, b = node(1, 10), node(1, 20)
    talk = Talk(a, b)
    talk.answers[b] = lambda _: None
    a.request(B, b"\x3a\x01", 0.0, Options(retry=2))
    talk.until(3.0)
    assert len(talk.tell(b, MessageReceived)) == 1
    assert {place for _, place, _ in talk.frames} == {0}


def test_a_response_that_comes_too_late_is_told_to_the_application() -> None:
    a, b = node(1, 10), node(1, 20)
    a.request(B, b"\x3a\x01", 0.0)
    b.receive(a.outgoing(0.0)[0], 0.0)
    (message,) = b.events()
    assert isinstance(message, MessageReceived)
    assert not b.respond(message.reply or 0, b"\x3a", 8.2)
    assert b.outgoing(8.2) == []


def test_repeated() -> None:
    a, b = at_number(6, node(1, 10)), node(1, 20)
    talk = Talk(a, b)
    handle = a.send(Broadcast(), b"\x3a\x77", 0.0, Options(retry=3, timer_s=0.024), service=Service.UNACKD_RPT)
    talk.until(1.0)
    assert talk.spoken == [golden("unackd-rpt-first"), *[golden("unackd-rpt-repeat")] * 3]
    assert len(talk.tell(b, MessageReceived)) == 1
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle, 4)]


def test_unacknowledged() -> None:
    a, b = node(1, 10), node(1, 20)
    talk = Talk(a, b)
    handle = a.send(B, bytes.fromhex("810d00ca"), 0.0, service=Service.UNACKD)
    talk.until(1.0)
    assert talk.spoken == [golden("nv-update-unackd")]
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle)]


def test_subnet_broadcast_request() -> None:
    a = at_number(7, node(1, 10))
    talk = Talk(a, fresh())
    a.request(Broadcast(1), b"\x61\x00", 0.0, Options(retry=2))
    talk.settle()
    assert talk.spoken[0] == golden("subnet-broadcast-request")
    assert talk.spoken[1].startswith("001900800a".replace("0a", "01")), "the unconfigured node answers from 0/0"
    assert len(talk.tell(a, ResponseReceived)) == 1


def test_a_broadcast_with_several_answers_ends_with_the_last_or_the_timer() -> None:
    a, b, c = node(1, 10), node(1, 20), node(1, 30)
    talk = Talk(a, b, c)
    handle = a.request(Broadcast(), b"\x51", 0.0, Options(retry=1, max_responses=9, timer_s=0.1))
    talk.until(5.0)
    assert {event.source for event in talk.tell(a, ResponseReceived)} == {B, SubnetNode(1, 30)}
    assert len(talk.tell(a, ResponseReceived)) == 2, "an answer to the retry is the same answer"
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle, 2)]
    handle = a.request(Broadcast(), b"\x51", 5.0, Options(max_responses=2))
    talk.until(5.01)
    assert talk.tell(a, TransactionCompleted)[-1] == TransactionCompleted(handle, 1)


def test_unique_node_id_in_any_domain() -> None:
    b = fresh("0700000000b2")
    b.receive(packet_of(bytes.fromhex(golden("uid-request-foreign-domain"))), 0.0)
    assert [packet.lpdu().hex()[:20] for packet in b.outgoing(0.0)] == [golden("uid-response-foreign-domain")[:20]]
    configured = node(1, 20)
    configured.configuration.unique_node_id = bytes.fromhex("0700000000b2")
    configured.receive(packet_of(bytes.fromhex(golden("uid-request-foreign-domain"))), 0.0)
    assert configured.outgoing(0.0)[0].lpdu().hex() == golden("uid-response-foreign-domain")


@pytest.mark.parametrize(
    ("domain", "name"), [("", "request-domain0"), ("495453", "request-domain3"), ("112233445566", "request-domain6")]
)
def test_domains_of_all_lengths(domain: str, name: str) -> None:
    a, b = (Stack(configuration(1, number, domain=bytes.fromhex(domain)), quiet_s=0) for number in (10, 20))
    talk = Talk(a, b)
    a.request(B, b"\x51", 0.0)
    talk.until(1.0)
    assert talk.spoken[0] == golden(name)
    assert len(talk.tell(a, ResponseReceived)) == 1


# ---- groups --------------------------------------------------------------------------------------------------------
def group_of(*members: int, size: int) -> list[Stack]:
    return [node(1, 20 + member, group_entry(5, member, size)) for member in members]


def test_a_group_acknowledges_member_by_member() -> None:
    a = node(1, 10, group_entry(5, 0, 4))
    others = group_of(1, 2, 3, size=4)
    talk = Talk(a, *others)
    handle = a.send(Group(5, 4), b"\x3a\x01", 0.0)
    talk.until(1.0)
    assert talk.spoken[0] == golden("group-ackd")
    assert talk.spoken[3] == golden("group-ack-2b")
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle)]


def test_missing_members_are_reminded_and_only_they_answer_again() -> None:
    a = node(1, 10, group_entry(5, 0, 4))
    one, two, three = group_of(1, 2, 3, size=4)
    deaf = {two: 1}

    def hears(_sender: Stack, receiver: Stack, _frame: bytes) -> bool:
        if receiver is two and deaf[two]:
            deaf[two] -= 1
            return False
        return True

    talk = Talk(a, one, two, three, hears=hears)
    handle = a.send(Group(5, 4), b"\x3a\x01", 0.0)
    talk.until(2.0)
    assert golden("group-rem-msg") in talk.spoken
    assert [len(talk.tell(each, MessageReceived)) for each in (one, two, three)] == [1, 1, 1]
    assert sum(frame.startswith("000901") for frame in talk.spoken) == 3, "who had answered stays silent"
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle, 2)]


def test_the_first_reminder_may_have_an_empty_list() -> None:
    a = node(1, 10, group_entry(5, 0, 4))
    talk = Talk(a)
    handle = a.send(Group(5, 4), b"\x3a\x01", 0.0)
    talk.until(9.0)
    assert talk.spoken[1] == golden("group-rem-msg-empty")
    assert talk.tell(a, TransactionFailed) == [TransactionFailed(handle, "no answer", 4, (1, 2, 3))]


def test_a_long_list_goes_in_a_reminder_of_its_own() -> None:
    a = node(1, 10, group_entry(5, 0, 30))
    present = group_of(1, 2, 3, 17, 18, 20, size=30)
    talk = Talk(a, *present)
    a.send(Group(5, 30), b"\x3a\x01", 0.0)
    talk.until(0.5)
    place = talk.spoken.index(golden("group-reminder"))
    assert talk.spoken[place + 1] == golden("group-reminder-message")
    assert len(talk.spoken) == 1 + 6 + 2, "the members that are marked do not answer the message behind the reminder"


def test_requests_to_a_group_bring_a_response_from_each() -> None:
    a = node(1, 10, group_entry(5, 0, 3))
    talk = Talk(a, *group_of(1, 2, size=3))
    a.request(Group(5, 3), b"\x51", 0.0)
    talk.until(1.0)
    assert [event.source.node for event in talk.tell(a, ResponseReceived)] == [21, 22]


def test_who_is_no_member_counts_one_more() -> None:
    a = node(1, 10)
    talk = Talk(a, *group_of(1, 2, size=3))
    handle = a.send(Group(5, 3), b"\x3a\x01", 0.0)
    talk.until(1.0)
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle)]


# ---- numbers -------------------------------------------------------------------------------------------------------
def test_numbers_begin_with_0_and_never_use_it_again() -> None:
    a, b = node(1, 10), node(1, 20)
    talk = Talk(a, b)
    for turn in range(32):
        a.send(B, bytes((0x3A, turn)), talk.now)
        talk.until(talk.now + 0.01)
    numbers = [int(frame[14:16], 16) for frame in talk.spoken if frame.startswith("01")]
    assert numbers == [0, *range(1, 16), *range(1, 16), 1]


def test_priority_has_numbers_of_its_own() -> None:
    a, b = node(1, 10), node(1, 20)
    talk = Talk(a, b)
    a.send(B, b"\x3a", 0.0)
    talk.until(0.1)
    a.send(B, b"\x3a", 0.1, Options(priority=True))
    talk.until(0.2)
    assert [frame[14:16] for frame in talk.spoken] == ["00", "20", "00", "20"]


def test_a_destination_never_gets_the_same_number_twice_in_a_row() -> None:
    numbers = TransactionNumbers()

    def take(peer: str, now: float) -> int:
        found = numbers.allocate(False, peer, None, now)
        assert found is not None
        return found.number

    assert take("peer", 0.0) == 0
    for other in range(15):
        take(f"other {other % 9}", 1.0)
    assert take("peer", 2.0) == 1
    for other in range(14):
        take(f"other {other % 9}", 2.0)
    assert take("peer", 3.0) == 2, "1 would be the next, and was the last towards this peer"


def test_a_full_destination_table_waits_for_24_seconds() -> None:
    numbers = TransactionNumbers()
    for peer in range(10):
        assert numbers.allocate(False, peer, None, float(peer)) is not None
    assert numbers.allocate(False, "eleventh", None, 10.0) is None
    assert numbers.free_at() == 24.0
    assert numbers.allocate(False, "eleventh", None, 24.0) is not None
    a = node(1, 10)
    talk = Talk(a)
    for peer in range(11):
        a.send(SubnetNode(2, 1 + peer), b"\x3a", 0.0, Options(retry=0, timer_s=0.016))
    talk.until(20.0)
    assert len(talk.spoken) == 10
    talk.until(30.0)
    assert len(talk.spoken) == 11
    assert a.deadline() is None


def test_one_transaction_of_a_class_at_a_time() -> None:
    a = node(1, 10)
    a.send(B, b"\x3a\x01", 0.0)
    a.send(SubnetNode(1, 30), b"\x3a\x02", 0.0)
    a.send(B, b"\x3a\x03", 0.0, Options(priority=True))
    assert [packet.lpdu().hex()[-4:] for packet in a.outgoing(0.0)] == ["3a01", "3a03"]


def test_several_transactions_where_that_is_allowed_never_two_to_one_node() -> None:
    a = node(1, 10, concurrent=4)
    for number in (20, 20, 30, 40):
        a.send(SubnetNode(1, number), bytes((0x3A, number)), 0.0)
    broadcast = a.request(Broadcast(), b"\x3b", 0.0)
    out = a.outgoing(0.0)
    assert [packet.npdu.destination_node and packet.npdu.destination_node.node for packet in out] == [20, 30, 40, None]
    used = {packet.npdu.pdu[0] & 15 for packet in out[:3]}
    assert out[3].npdu.pdu[0] & 15 not in used, "an answer to the broadcast must not be taken for another's"
    assert a.cancel(broadcast, 0.1)
    assert not a.cancel(broadcast, 0.1)


def test_nothing_with_a_number_is_sent_right_after_power_up() -> None:
    a = Stack(configuration(1, 10), now=100.0)
    a.send(B, b"\x3a", 100.0)
    a.send(B, b"\x3b", 100.0, service=Service.UNACKD)
    assert [packet.npdu.pdu for packet in a.outgoing(100.0)] == [b"\x3b"]
    assert a.deadline() == 102.0
    a.wake(102.0)
    assert len(a.outgoing(102.0)) == 1


def test_a_reset_ends_what_was_going_on() -> None:
    a = node(1, 10)
    first, second = a.send(B, b"\x3a", 0.0), a.send(B, b"\x3b", 0.0)
    a.reset(0.1)
    assert {(event.handle, event.reason) for event in a.events() if isinstance(event, TransactionFailed)} == {
        (first, "reset"),
        (second, "reset"),
    }
    assert a.deadline() is None


def test_an_order_to_reset_resets_once_however_often_it_is_repeated() -> None:
    a, b = node(1, 10), node(1, 20)
    talk = Talk(a, b)
    a.request(B, b"\x6c\x02", 0.0, Options(retry=3, timer_s=0.1))
    talk.until(2.0)
    assert len(talk.tell(b, NodeReset)) == 1


def test_status_in_the_flex_way_is_answered_from_nobody() -> None:
    a, b = at_number(4, node(1, 10)), node(1, 20)
    talk = Talk(a, b)
    a.request(B, b"\x56", 0.0)
    talk.until(1.0)
    assert talk.spoken[1][:18] == golden("nd-status-flex-response")[:18]
    assert len(talk.tell(a, TransactionCompleted)) == 0, "an answer from 0/0 is nobody's that was asked"


# ---- enhanced mode -------------------------------------------------------------------------------------------------
def test_enhanced_mode_is_answered_in_kind() -> None:
    b = node(1, 20)
    b.receive(packet_of(bytes.fromhex(golden("enhanced-mode-request"))), 0.0)
    (packet,) = b.outgoing(0.0)
    assert packet.lpdu().hex()[:18] == golden("enhanced-mode-response")[:18]


def test_enhanced_mode_from_end_to_end() -> None:
    a, b = node(1, 10), node(1, 20)
    a.transport.numbers = TransactionNumbers(first=0x123)
    talk = Talk(a, b)
    handle = a.request(B, b"\x51", 0.0, Options(enhanced=True))
    talk.until(1.0)
    assert talk.spoken[0] == golden("enhanced-mode-request")
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle)]


@pytest.mark.parametrize("version", [1, 3])
def test_versions_that_nobody_speaks_are_dropped(version: int) -> None:
    frame = bytearray.fromhex(golden("nd-query-status"))
    frame[1] |= version << 6
    b = node(1, 20)
    b.receive_frame(bytes(frame), 0.0)
    assert b.events() == [Dropped(f"version {version}", b"\x01\x51")]
    assert b.outgoing(0.0) == []


# ---- authentication ------------------------------------------------------------------------------------------------
def challenged(name: str) -> bytes:
    return bytes.fromhex(BY_NAME[name]["fields"]["challenge"])


def test_challenge_and_reply() -> None:
    a, b = node(1, 10), node(1, 20, token=lambda _: challenged("auth-reply"))
    talk = Talk(a, b)
    talk.answers[b] = lambda message: b"\x3a\x00" if message.authenticated else b"\x00"
    a.request(B, b"\x3a\x01\x02", 0.0, Options(authenticated=True))
    talk.until(1.0)
    assert talk.spoken[:3] == [golden("auth-request"), golden("auth-challenge"), golden("auth-reply")]
    assert [event.apdu for event in talk.tell(a, ResponseReceived)] == [b"\x3a\x00"]


def test_open_media_authentication() -> None:
    def made(number: int) -> Stack:
        found = configuration(1, number)
        found.domains[0] = domain_entry(DOMAIN, 1, number, KEY, authentication=1)
        found.domains[1].key = OTHER_KEY
        found.changed()
        return Stack(found, quiet_s=0, token=lambda _: challenged("auth-oma-reply"))

    a, b = made(10), made(20)
    talk = Talk(a, b)
    a.request(B, b"\x3a\x01\x02", 0.0, Options(authenticated=True))
    talk.until(0.1)
    assert talk.spoken[1:3] == [golden("auth-oma-challenge"), golden("auth-oma-reply")]
    (message,) = talk.tell(b, MessageReceived)
    assert message.authenticated


def test_authentication_in_a_group() -> None:
    a = node(1, 10, group_entry(5, 0, 2))
    b = node(1, 21, group_entry(5, 1, 2), token=lambda _: challenged("auth-group-reply"))
    talk = Talk(a, b)
    handle = a.send(Group(5, 2), b"\x3a\x01", 0.0, Options(authenticated=True))
    talk.until(1.0)
    assert talk.spoken[1] == golden("auth-group-challenge")
    assert talk.spoken[2] == golden("auth-group-reply")
    assert talk.tell(b, MessageReceived)[0].authenticated
    assert talk.tell(a, TransactionCompleted) == [TransactionCompleted(handle)]


def test_authentication_by_unique_node_id() -> None:
    a = node(1, 10)
    b = node(1, 20, token=lambda _: challenged("auth-uid-reply"))
    talk = Talk(a, b)
    a.request(UniqueNodeId(b.configuration.unique_node_id), b"\x3a\x01\x02", 0.0, Options(authenticated=True))
    talk.until(0.1)
    assert talk.spoken[1:3] == [golden("auth-uid-challenge"), golden("auth-uid-reply")]


def test_a_wrong_key_is_delivered_as_not_authenticated() -> None:
    a, b = node(1, 10, key=bytes(6)), node(1, 20)
    talk = Talk(a, b)
    a.send(B, b"\x3a\x01", 0.0, Options(authenticated=True))
    talk.until(1.0)
    assert [event.authenticated for event in talk.tell(b, MessageReceived)] == [False]
    assert len(talk.tell(a, TransactionCompleted)) == 1


def test_a_duplicate_is_challenged_again_with_the_same_challenge() -> None:
    tokens = iter([b"12345678", b"abcdefgh"])
    a, b = node(1, 10), node(1, 20, token=lambda _: next(tokens))
    a.send(B, b"\x3a\x01", 0.0, Options(authenticated=True))
    (packet,) = a.outgoing(0.0)
    b.receive(packet, 0.0)
    b.receive(packet, 0.1)
    first, second = b.outgoing(0.1)
    assert first == second


def test_challenges_do_not_keep_a_transaction_alive() -> None:
    a, b = node(1, 10), node(1, 20)
    handle = a.send(B, b"\x3a\x01", 0.0, Options(authenticated=True, retry=1, timer_s=1.0))
    b.receive(a.outgoing(0.0)[0], 0.0)
    (challenge,) = b.outgoing(0.0)
    moment = 0.0
    while not any(isinstance(event, TransactionFailed) and event.handle == handle for event in a.events()):
        moment += 0.5
        assert moment < 20
        a.receive(challenge, moment)
        if (due := a.deadline()) is not None and due <= moment:
            a.wake(moment)


def test_nobody_answers_a_challenge_to_what_was_not_sent() -> None:
    a = node(1, 10)
    a.receive(packet_of(bytes.fromhex(golden("auth-challenge"))), 0.0)
    assert a.outgoing(0.0) == []
    assert [event.reason for event in a.events() if isinstance(event, Dropped)] == ["a challenge to no message of ours"]
    a.send(B, b"\x3a\x01", 0.0)
    a.outgoing(0.0)
    a.receive(packet_of(bytes.fromhex(golden("auth-challenge"))), 0.0)
    assert a.outgoing(0.0) == [], "a message that did not ask for authentication has no key to give away"


# ---- refusals ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("destination", "apdu", "options", "words"),
    [
        (B, b"", Options(), "1 to 228"),
        (B, bytes(229), Options(), "1 to 228"),
        (B, b"\x3a", Options(domain_index=1), "no domain 1"),
        (Broadcast(), b"\x3a", Options(authenticated=True), "cannot be authenticated"),
        (Group(5), b"\x3a", Options(), "no size"),
    ],
)
def test_what_cannot_be_sent(destination: SubnetNode, apdu: bytes, options: Options, words: str) -> None:
    a = node(1, 10)
    with pytest.raises(LocalProtocolError, match=words):
        a.request(destination, apdu, 0.0, options)
    assert a.outgoing(0.0) == []


def test_each_message_goes_from_the_place_that_the_node_has_then() -> None:
    a = node(1, 10)
    for number, (subnet, here) in enumerate([(1, 10), (2, 11), (2, 12)]):
        a.configuration.join(0, domain_entry(DOMAIN, subnet, here))
        handle = a.request(B, b"\x51", number)
        (packet,) = a.outgoing(number)
        assert (packet.npdu.source_subnet, packet.npdu.source_node.node) == (subnet, here)
        a.cancel(handle, number)
    a.configuration.state = NodeState.UNCONFIGURED
    with pytest.raises(LocalProtocolError, match="no domain 0"):
        a.request(B, b"\x51", 3.0)
    a.configuration.state = NodeState.CONFIGURED
    a.request(B, b"\x51", 4.0)
    assert len(a.outgoing(4.0)) == 1


def test_each_message_goes_into_the_domain_that_its_options_name() -> None:
    a = node(1, 10)
    a.configuration.join(1, domain_entry(b"XYZ", 7, 8))
    for domain, options in [
        (DOMAIN, Options()),
        (b"XYZ", Options(domain_index=1)),
        (b"", Options(flex_domain=b"")),
    ] * 2:
        handle = a.request(B, b"\x51", 0.0, options)
        (packet,) = a.outgoing(0.0)
        assert packet.npdu.domain == domain
        a.cancel(handle, 0.0)


def test_an_unconfigured_node_only_answers() -> None:
    a = fresh()
    with pytest.raises(LocalProtocolError, match="no domain 0"):
        a.request(B, b"\x51", 0.0)
    a.configuration.program_id = b"OSGPDEV1"
    a.configuration.unique_node_id = bytes.fromhex("0700000000a1")
    a.send_service_pin(0.0)
    assert [packet.lpdu().hex() for packet in a.outgoing(0.0)] == [golden("service-pin")]


def test_a_full_queue_says_so() -> None:
    a = node(1, 10, queue=2)
    for turn in range(3):
        a.send(B, bytes((0x3A, turn)), 0.0)
    with pytest.raises(LocalProtocolError, match="wait already"):
        a.send(B, b"\x3a", 0.0)


def test_one_sender_has_at_most_half_of_the_records_and_others_get_theirs() -> None:
    groups = [group_entry(number, 2) for number in range(1, 13)]
    b = node(1, 120, *groups)
    greedy = node(1, 9, *groups, destinations=32)

    def say(sender: Stack, destination: Destination, apdu: bytes, now: float) -> None:
        sender.send(destination, apdu, now, Options(retry=0, timer_s=0.01), service=Service.UNACKD_RPT)
        for packet in sender.outgoing(now):
            b.receive(packet, now)
        sender.wake(now + 0.02)

    for number in range(1, 13):
        say(greedy, Group(number), bytes((0x3A, number)), 0.0)
    assert len(b.reception) == 8
    assert b.configuration.statistics.receive_transactions_full == 4
    received = [event for event in b.events() if isinstance(event, MessageReceived)]
    assert [event.apdu[1] for event in received] == list(range(1, 9))
    for number in range(10, 18):
        say(node(1, number), SubnetNode(1, 120), b"\x3a", 0.0)
    assert len(b.reception) == 16, "the other half is for others"
    say(greedy, Group(1), b"\x3a\x63", 0.1)  # in place of its own
    assert sum(isinstance(event, MessageReceived) for event in b.events()) == 9
    assert b.configuration.statistics.receive_transactions_full == 4
    say(greedy, Group(12), b"\x3a\x63", 30.0)
    assert sum(isinstance(event, MessageReceived) for event in b.events()) == 1, "its records have expired"


def from_stranger(number: int, apdu: bytes, *, domain: bytes, session: bool = False, priority: int = 0) -> Packet:
    """A message from 0/0 to the unique node ID of the node 120, or in its own domain to the group of that number."""
    unique = bytes.fromhex("0700000000") + bytes((120,))
    return send_packet(
        None,
        domain,
        Group(number) if domain == DOMAIN else UniqueNodeId(unique),
        PduType.SPDU if session else PduType.TPDU,
        write_pdu(session, MESSAGE if session else REPEATED, 1 + number % 15, apdu),
        priority << 7,
    )


@pytest.mark.parametrize("own", [False, True], ids=["in many domains", "in our domain"])
def test_strangers_have_half_of_the_records_in_all_and_shut_nobody_out(own: bool) -> None:
    groups = [group_entry(number, 2) for number in range(1, 13)]
    b = node(1, 120, *groups)
    b.configuration.unique_node_id = bytes.fromhex("070000000078")

    def heard() -> list[MessageReceived]:
        return [event for event in b.events() if isinstance(event, MessageReceived)]

    domain = DOMAIN if own else b"ask"
    b.receive(from_stranger(1, b"\x3a", domain=domain, session=True), 0.0)
    (asked,) = heard()
    for number in range(2, 13):
        for priority in (0, 1):
            place = DOMAIN if own else bytes((number,)) * 3
            b.receive(from_stranger(number, b"\x3a", domain=place, priority=priority), 0.1)
    assert len(heard()) == 22, "whoever comes last takes the oldest record"
    assert len(b.reception) == 8
    for number in range(10, 18):
        member = node(1, number)
        member.send(SubnetNode(1, 120), b"\x3a", 0.2)
        b.receive(member.outgoing(0.2)[0], 0.2)
    assert len(heard()) == 8
    assert len(b.reception) == 16, "the other half is for those who have a place in our domain"
    assert b.configuration.statistics.receive_transactions_full == 0
    b.outgoing(0.2)
    for number in (11, 12):
        repeat = from_stranger(number, b"\x3a", domain=DOMAIN if own else bytes((number,)) * 3, priority=1)
        b.receive(repeat, 0.3)
    assert heard() == [], "the latest are remembered"
    assert asked.reply is not None
    assert b.respond(asked.reply, b"\x3a", 0.3), "who waits for an answer is forgotten last"
    assert len(b.outgoing(0.3)) == 1


def test_a_node_with_one_record_gives_it_to_the_latest_stranger() -> None:
    b = node(1, 120)
    b.configuration.unique_node_id = bytes.fromhex("070000000078")
    b.configuration.receive_transactions = 1
    for number in range(3):
        b.receive(from_stranger(number, b"\x3a", domain=bytes((number, 1, 1))), 0.0)
    assert sum(isinstance(event, MessageReceived) for event in b.events()) == 3
    assert len(b.reception) == 1


def test_a_duplicate_of_a_sender_who_has_its_half_is_still_one() -> None:
    b = node(1, 120)
    b.configuration.receive_transactions = 2
    a = node(1, 9)
    a.send(SubnetNode(1, 120), b"\x3a", 0.0)
    (packet,) = a.outgoing(0.0)
    for _ in range(3):
        b.receive(packet, 0.0)
    assert sum(isinstance(event, MessageReceived) for event in b.events()) == 1
    assert len(b.outgoing(0.0)) == 3, "acknowledged each time"


def test_records_are_limited_and_expire() -> None:
    b = node(1, 120)
    for number in range(1, 18):
        a = node(1, number)
        a.send(SubnetNode(1, 120), b"\x3a", 0.0)
        b.receive(a.outgoing(0.0)[0], 0.0)
    assert len(b.reception) == 16
    assert b.configuration.statistics.receive_transactions_full == 1
    assert len(b.outgoing(0.0)) == 16
    a = node(1, 50)
    a.send(SubnetNode(1, 120), b"\x3a", 0.0)
    b.receive(a.outgoing(0.0)[0], 9.0)
    assert len(b.reception) == 15, "each new one takes two of the expired with it"
    for number in range(60, 75):
        a = node(1, number)
        a.send(SubnetNode(1, 120), b"\x3a", 0.0)
        b.receive(a.outgoing(0.0)[0], 9.0)
    assert len(b.reception) == 16, "all of these are new, and all found room"
