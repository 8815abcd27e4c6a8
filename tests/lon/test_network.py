"""Which packets a node takes, and in which of its domains (digest 2.3)."""

from __future__ import annotations

import pytest

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.configuration import Configuration, Membership, domain_entry
from osgp.lon.network import FLEX, NOWHERE, accept, answer_packet, destination_of, send_packet
from osgp.lon.npdu import NodeByte, PduType
from osgp.lon.packet import Packet, packet_of
from tests.lon.talk import BY_NAME, DOMAIN, configuration, group_entry

OTHER = b"\x4a\x4b\x4c"
FOREIGN = b"\x77"
OWN_ID = bytes((7, 0, 0, 0, 1, 20))


def member_of_two() -> Configuration:
    """1/20 in one domain, 3/33 in another, member 2 of group 5 in the first."""
    found = configuration(1, 20, group_entry(5, 2))
    found.domains[1] = domain_entry(OTHER, 3, 33)
    found.changed()
    return found


def packet(
    destination: Destination, domain: bytes = DOMAIN, source: tuple[int, int] = (1, 10), pdu: bytes = b"\x01\x51"
) -> Packet:
    """A request from somebody."""
    sender = Membership(0, domain, *source, key=bytes(6), authentication=0, enhanced=False, clone=False)
    return send_packet(sender, domain, destination, PduType.SPDU, pdu, 1)


def is_taken(found: Configuration, given: Packet) -> int | None:
    """The domain entry in which it is taken; None if it is not."""
    place = accept(found, given)
    return None if isinstance(place, str) else place.domain_index


@pytest.mark.parametrize(
    ("destination", "domain", "index"),
    [
        (SubnetNode(1, 20), DOMAIN, 0),
        (SubnetNode(1, 21), DOMAIN, None),
        (SubnetNode(2, 20), DOMAIN, None),
        (SubnetNode(3, 33), OTHER, 1),
        (SubnetNode(1, 20), OTHER, None),
        (SubnetNode(1, 20), FOREIGN, None),
        (SubnetNode(1, 20), b"", None),
        (Broadcast(), DOMAIN, 0),
        (Broadcast(), OTHER, 1),
        (Broadcast(1), DOMAIN, 0),
        (Broadcast(1), OTHER, None),
        (Broadcast(3), OTHER, 1),
        (Broadcast(), FOREIGN, None),
        (Group(5), DOMAIN, 0),
        (Group(5), OTHER, None),
        (Group(6), DOMAIN, None),
        (UniqueNodeId(OWN_ID), DOMAIN, 0),
        (UniqueNodeId(OWN_ID, 99), OTHER, 1),
        (UniqueNodeId(OWN_ID), FOREIGN, FLEX),
        (UniqueNodeId(bytes(6)), DOMAIN, None),
        (UniqueNodeId(bytes(6)), FOREIGN, None),
    ],
)
def test_a_configured_node_takes_what_is_for_it_in_its_domains(
    destination: Destination, domain: bytes, index: int | None
) -> None:
    assert is_taken(member_of_two(), packet(destination, domain)) == index


@pytest.mark.parametrize("domain", [b"", DOMAIN, OTHER, b"\1\2\3\4\5\6"])
def test_an_unconfigured_node_takes_broadcasts_and_its_unique_node_id_in_any_domain(domain: bytes) -> None:
    found = Configuration(OWN_ID)
    assert is_taken(found, packet(Broadcast(), domain)) == FLEX
    assert is_taken(found, packet(Broadcast(9), domain)) == FLEX
    assert is_taken(found, packet(UniqueNodeId(OWN_ID), domain)) == FLEX
    assert is_taken(found, packet(SubnetNode(1, 20), domain)) is None
    assert is_taken(found, packet(Group(5), domain)) is None


@pytest.mark.parametrize("domain", [b"\1\2\3\4\5\6", b"", OTHER])
def test_a_domain_of_any_length_is_one_to_live_in(domain: bytes) -> None:
    found = configuration(1, 20, domain=domain)
    assert is_taken(found, packet(SubnetNode(1, 20), domain)) == 0


def test_a_nodes_own_packets_are_known_in_both_domains() -> None:
    found = member_of_two()
    assert accept(found, packet(Broadcast(), DOMAIN, source=(1, 20))) == "our own"
    assert accept(found, packet(Broadcast(), OTHER, source=(3, 33))) == "our own"
    assert is_taken(found, packet(Broadcast(), OTHER, source=(1, 20))) == 1, "another node's place in that domain"


def test_a_clone_hears_its_twin() -> None:
    found = configuration(1, 20, clone=True)
    assert is_taken(found, packet(Broadcast(), DOMAIN, source=(1, 20))) == 0


def test_bit_7_of_a_destination_is_not_compared() -> None:
    given = packet(SubnetNode(1, 20))
    given.npdu.destination_node = NodeByte(20)
    assert is_taken(member_of_two(), given) == 0


def test_nothing_enclosed_is_nothing_for_us() -> None:
    assert accept(member_of_two(), packet(SubnetNode(1, 20), pdu=b"")) == "nothing enclosed"


def test_an_answer_of_a_group_is_taken_by_whom_it_names_member_or_not() -> None:
    answer = packet_of(bytes.fromhex(BY_NAME["group-ack-2b"]["hex"]))
    assert answer.npdu.member == 3
    asker = configuration(1, 10)
    assert is_taken(asker, answer) == 0
    assert is_taken(configuration(1, 11), answer) is None


def test_an_answer_goes_back_the_way_its_message_came() -> None:
    found = member_of_two()
    message = packet(Group(5))
    place = accept(found, message)
    assert not isinstance(place, str)
    answer = answer_packet(message, place, 2, PduType.SPDU, b"\x21").npdu
    assert (answer.group, answer.member) == (5, 2)
    assert (answer.source_subnet, int(answer.source_node)) == (1, 20), "bit 7 is clear in format 2b"
    message = packet(UniqueNodeId(OWN_ID), FOREIGN, source=(9, 9))
    place = accept(found, message)
    assert place is NOWHERE
    answer = answer_packet(message, NOWHERE, None, PduType.SPDU, b"\x21").npdu
    assert (answer.source_subnet, int(answer.source_node)) == (0, 0x80), "of no domain of ours: from nowhere"
    assert (answer.domain, answer.destination_subnet, int(answer.destination_node or 0)) == (FOREIGN, 9, 0x89)


@pytest.mark.parametrize("destination", [SubnetNode(2, 3), Group(7), Broadcast(4), UniqueNodeId(OWN_ID, 6)])
def test_a_destination_is_read_as_it_was_written(destination: Destination) -> None:
    assert destination_of(packet(destination).npdu) == destination
