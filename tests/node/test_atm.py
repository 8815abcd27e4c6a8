"""The topology agent and the link register: who answers a probe and when, what is kept, what cannot be brought about from outside."""

from __future__ import annotations

import random

from osgp.app.messages import Here, Probe, ProbeFlags
from osgp.lon.address import SubnetNode
from osgp.lon.nd import BothWaysResponse
from osgp.node.atm import Agent, hash_of
from osgp.node.link_register import UNHEARD, Heard, Links, heard_in, registers_of
from osgp.node.osgp_tables import (
    BlockHashes,
    ContactorState,
    GenerationState,
    HeardAnswers,
    HereState,
    LinkRegister,
    PrepayState,
)
from osgp.wire.errors import DecodeError

ND = bytes.fromhex("050102030405")
NC = bytes.fromhex("0A0B0C0D0E0F")
ASKER = SubnetNode(1, 1)
EVERYBODY = ProbeFlags(all_devices=1)


def agent(state: HereState = HereState.UP, *, silent: bool = False, damaged: int = 0) -> Agent:
    return Agent(ND, b"OS0460S ", state=lambda: state, silent=lambda now: silent, damaged=lambda: damaged)


def probe(round_: int = 7, *, lowest: int = 0, highest: int = 0xFFFF, flags: int = EVERYBODY, slots: int = 16) -> bytes:
    return Probe(
        round=round_, lo=lowest, hi=highest, flags=ProbeFlags(flags), slots=slots, slot_time=10, sender=NC
    ).encode()


def ask(one: Agent, apdu: bytes, now: float = 0.0, source: SubnetNode = ASKER) -> None:
    one.receive(apdu, source, b"OSG", Heard(-40.0, 15.0, 1), now)


def answer(round_: int, number: int, margin: int = 12) -> bytes:
    return Here(
        round=round_,
        unique_node_id=number.to_bytes(6, "big"),
        strength=-50,
        margin=margin,
        phase=3,
        state=HereState.NEW,
        program_id=b"OS0460S ",
    ).encode()


def test_the_hash_is_the_crc_of_the_digest_s_check_value() -> None:
    assert hash_of(b"1234567", 0x3839) == 0x29B1


def test_frames_lost_while_nobody_was_understood_are_told() -> None:
    """Two hidden devices whose answers met: the agent has heard nobody, and somebody is there."""
    damaged = [5]
    one = Agent(ND, b"OS0460S ", state=lambda: HereState.UP, silent=lambda now: False, damaged=lambda: damaged[0])
    assert HeardAnswers.decode(one.table()).lost == 0, "it has not asked"
    one.asked(probe(3))
    damaged[0] += 2
    found = HeardAnswers.decode(one.table())
    assert (found.round, found.lost, found.count) == (3, 2, 0)


def test_a_probe_is_answered_in_the_slot_that_the_hash_draws() -> None:
    one = agent()
    ask(one, probe(), now=100.0)
    slot = hash_of(ND, 7) % 16
    due = one.deadline()
    assert due is not None
    assert abs(due - (100.0 + slot * 0.160)) < 1e-9
    assert not one.due(due - 0.001) or slot == 0
    (found,) = one.due(due)
    here = Here.decode(found.apdu)
    assert (here.unique_node_id, here.round, here.strength, here.margin, here.phase) == (ND, 7, -40, 15, 1)
    assert (found.to, found.domain) == (ASKER, b"OSG")
    assert one.deadline() is None


def test_another_round_draws_another_slot_for_most_devices() -> None:
    slots = [(hash_of(n.to_bytes(6, "big"), 1) % 16, hash_of(n.to_bytes(6, "big"), 2) % 16) for n in range(100)]
    assert sum(a != b for a, b in slots) > 80


def test_who_is_out_of_the_range_stays_silent() -> None:
    place = hash_of(ND, 7)
    one = agent()
    ask(one, probe(lowest=place + 1))
    ask(one, probe(highest=place - 1))
    assert one.deadline() is None
    ask(one, probe(lowest=place, highest=place))
    assert one.deadline() is not None


def test_flags_say_who_is_meant() -> None:
    def answers(state: HereState, silent: bool, flags: int) -> bool:
        one = agent(state, silent=silent)
        ask(one, probe(flags=flags))
        return one.deadline() is not None

    only_new, only_silent = ProbeFlags(only_uncommissioned=1), ProbeFlags(only_out_of_communication=1)
    assert answers(HereState.NEW, True, only_new)
    assert not answers(HereState.COMMISSIONED, True, only_new)
    assert answers(HereState.COMMISSIONED, True, only_silent)
    assert not answers(HereState.UP, False, only_silent)
    assert not answers(HereState.UP, False, 0)
    assert answers(HereState.UP, False, EVERYBODY)


def test_the_same_probe_by_two_agents_is_answered_to_both_once() -> None:
    one = agent()
    other = SubnetNode(1, 2)
    for source in (ASKER, other, ASKER, other):
        ask(one, probe(), source=source)
    assert sorted(str(each.to) for each in one.due(60.0)) == ["1/1", "1/2"]


def test_nobody_can_make_a_device_answer_without_end() -> None:
    one = agent()
    for number in range(2000):
        ask(one, probe(number, slots=1), now=10.0)
        one.due(10.0)
    assert one.answers == 30
    ask(one, probe(5000, slots=1), now=70.0)
    assert len(one.due(70.0)) == 1


def test_a_sender_without_address_is_not_answered() -> None:
    one = agent()
    ask(one, probe(), source=SubnetNode(0, 0))
    assert one.deadline() is None


def test_an_agent_keeps_the_sixteen_best_answers_of_the_round_it_asked_for() -> None:
    one = agent()
    one.asked(probe(9))
    for number in range(30):
        one.receive(answer(9, number, margin=number), SubnetNode(0, 0), b"OSG", Heard(-30.0, 20.0), 0.0)
    table = HeardAnswers.decode(one.table())
    assert (table.round, table.count, len(table.answers)) == (9, 16, 16)
    margins = [min(each.margin_there, each.margin_here) for each in table.answers]
    assert margins == sorted(margins, reverse=True)
    assert min(each.margin_there for each in table.answers) >= 14
    one.receive(answer(10, 99), SubnetNode(0, 0), b"OSG", UNHEARD, 0.0)
    assert one.table() == table.encode(), "nobody asked for round 10"
    one.asked(probe(10))
    assert HeardAnswers.decode(one.table()).count == 0


def test_an_agent_tells_how_many_frames_came_damaged_meanwhile() -> None:
    counts = [5]
    one = Agent(ND, bytes(8), state=lambda: HereState.UP, silent=lambda now: False, damaged=lambda: counts[0])
    one.asked(probe(3))
    counts[0] = 9
    one.receive(answer(3, 1), SubnetNode(0, 0), b"", Heard(0, 0), 0.0)
    assert HeardAnswers.decode(one.table()).lost == 4


def test_any_bytes_of_code_1a_are_taken_or_counted() -> None:
    chance = random.Random(5)
    one = agent()
    one.asked(probe(1))
    good = [probe(1), answer(1, 5)]
    for _ in range(3000):
        raw = bytearray(chance.choice(good))
        for _ in range(chance.randrange(1, 4)):
            raw[chance.randrange(2, len(raw))] = chance.randrange(256)
        cut = chance.choice((len(raw), chance.randrange(1, len(raw))))
        one.receive(bytes(raw[:cut]), ASKER, b"", Heard(chance.uniform(-300, 300), chance.uniform(-300, 300)), 0.0)
        one.receive(b"\x1a" + chance.randbytes(chance.randrange(0, 30)), ASKER, b"", UNHEARD, 0.0)
        one.due(1e9)
    assert HeardAnswers.decode(one.table()).count <= 16
    assert one.answers <= 30


# ---- links ----------------------------------------------------------------------------------------------------------
def test_registers_tell_strength_and_margin_in_the_steps_of_a_transceiver() -> None:
    registers = registers_of(Heard(-40.0, 13.0), alternate_path=False)
    assert (registers.primary.strength_db, registers.primary.margin_db) == (-42, 12)
    assert not registers.secondary.known
    assert registers.trusted
    other = registers_of(Heard(90.0, -40.0), alternate_path=True)
    assert (other.secondary.strength_db, other.secondary.margin_db) == (6, -6)
    assert heard_in(BothWaysResponse(there=registers).encode()) == Heard(-42, 12)
    assert heard_in(BothWaysResponse(there=other).encode()) == Heard(6, -6)
    assert heard_in(BothWaysResponse(there=registers_of(UNHEARD, alternate_path=False)).encode()) is None
    assert heard_in(b"\x37\x00") is None
    assert heard_in(bytes(20)) is None


def test_the_register_keeps_both_directions_of_sixteen_links_by_carrier() -> None:
    links = Links()
    for node in range(1, 21):
        links.heard(SubnetNode(1, node), Heard(-30.0 - node, 10.0 + node), float(node), alternate_path=False)
    links.heard(SubnetNode(1, 20), Heard(-20.0, 30.0, 3), 30.0, alternate_path=True)
    links.told(SubnetNode(1, 20), Heard(-60.0, 9.0), alternate_path=True)
    links.told(SubnetNode(9, 9), Heard(-60.0, 9.0), alternate_path=True)
    table = LinkRegister.decode(links.table(630.0))
    assert table.count == 16
    newest = table.links[0]
    assert (newest.subnet, newest.node, newest.path.alternate_path, newest.path.phase) == (1, 20, 1, 3)
    assert (newest.strength, newest.margin_in, newest.margin_out, newest.age) == (-20, 30, 9, 10)
    assert table.links[1].margin_out == -128
    assert links.best_margin_db == 30.0
    assert links.margin_db(SubnetNode(1, 20)) == 30.0
    assert links.margin_db(SubnetNode(1, 1)) is None, "the oldest link went"


def test_what_has_no_address_or_no_reading_is_no_link() -> None:
    links = Links()
    links.heard(SubnetNode(0, 0), Heard(-30.0, 10.0), 0.0, alternate_path=False)
    links.heard(SubnetNode(1, 5), UNHEARD, 0.0, alternate_path=False)
    assert len(links) == 0


def test_layouts_lose_nothing() -> None:
    chance = random.Random(3)
    for layout, size in ((BlockHashes, 16), (ContactorState, 18)):
        for _ in range(200):
            raw = chance.randbytes(size)
            assert layout.decode(raw).encode() == raw
    for other, size in ((PrepayState, 34), (GenerationState, 16)):
        raw = chance.randbytes(size)
        assert other.decode(raw).encode() == raw
    for raw in (agent().table(), Links().table(0.0)):
        assert len(raw) >= 1
    try:
        HeardAnswers.decode(b"\0\0\0\5abc")
    except DecodeError:
        return
    raise AssertionError("five answers do not fit three bytes")
