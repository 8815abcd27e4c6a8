"""Who inside a node gets a message, and what is answered in the application's place (digest 3.1, 4.1, 5.1)."""

from __future__ import annotations

import pytest

from osgp.lon.address import Broadcast, SubnetNode
from osgp.lon.events import Dropped, MessageReceived, ResponseReceived
from osgp.lon.tpdu import MAX_MEMBER_LIST, Spdu, Tpdu, member_list, members_in
from osgp.wire.errors import DecodeError
from tests.lon.talk import Talk, fresh, node


def asked(apdu: bytes, *, offline: bool = False) -> tuple[list[bytes], list[bytes]]:
    """(what the asked node's application got, what the asking node got)."""
    a, b = node(1, 10), node(1, 20)
    b.configuration.soft_offline = offline
    talk = Talk(a, b)
    talk.answers[b] = lambda message: b"\x15"
    a.request(SubnetNode(1, 20), apdu, 0.0)
    talk.until(2.0)
    got = [event.apdu for event in talk.tell(b, MessageReceived)]
    return got, [event.apdu for event in talk.tell(a, ResponseReceived)]


@pytest.mark.parametrize("apdu", [b"\x00", b"\x3a\x01", b"\x41", b"\x4e\x01\x02"])
def test_application_messages_and_unknown_foreign_frames_reach_the_application(apdu: bytes) -> None:
    assert asked(apdu) == ([apdu], [b"\x15"])


@pytest.mark.parametrize(("apdu", "answer"), [(b"\x00", 0x3F), (b"\x3a\x01", 0x3F), (b"\x41", 0x4F), (b"\x4e", 0x4F)])
def test_an_offline_application_is_excused(apdu: bytes, answer: int) -> None:
    assert asked(apdu, offline=True) == ([], [bytes((answer,))])


def test_an_offline_node_still_tells_its_status() -> None:
    got, answers = asked(b"\x51", offline=True)
    assert got == []
    assert [answer[0] for answer in answers] == [0x31]


def test_an_unconfigured_node_does_not_challenge() -> None:
    a, b = node(1, 10), fresh()
    talk = Talk(a, b)
    a.request(Broadcast(), b"\x51", 0.0)
    request = a.outgoing(0.0)[0]
    request.npdu.pdu = bytes((request.npdu.pdu[0] | 0x80,)) + request.npdu.pdu[1:]
    b.receive(request, 0.0)
    talk.settle()
    assert talk.spoken, "it answers at once"
    assert all(int(frame[2:4], 16) >> 4 & 3 == 1 for frame in talk.spoken), "in SPDUs, without a challenge"


def test_a_broadcast_cannot_be_authenticated() -> None:
    a, b = node(1, 10), node(1, 20)
    a.request(Broadcast(), b"\x51", 0.0)
    request = a.outgoing(0.0)[0]
    request.npdu.pdu = bytes((request.npdu.pdu[0] | 0x80,)) + request.npdu.pdu[1:]
    b.receive(request, 0.0)
    assert b.outgoing(0.0) == []
    assert [type(event) for event in b.events()] == [Dropped]


@pytest.mark.parametrize("struct", [Tpdu, Spdu])
def test_a_member_list_has_at_most_eight_bytes(struct: type[Tpdu] | type[Spdu]) -> None:
    full = bytes((0x50, MAX_MEMBER_LIST)) + bytes(range(8)) + b"\x3a"
    assert struct.decode(full).encode() == full
    with pytest.raises(DecodeError):
        struct.decode(bytes((0x50, MAX_MEMBER_LIST + 1)) + bytes(9) + b"\x3a")


@pytest.mark.parametrize("members", [set(), {0}, {1, 3}, {7, 8}, {1, 2, 3, 17, 18, 20}, {63}])
def test_a_member_list_is_as_short_as_can_be(members: set[int]) -> None:
    raw = member_list(members)
    assert members_in(raw) == members
    assert len(raw) == (max(members) // 8 + 1 if members else 0)
