"""Network variables: selectors, updates, polls, aliases, turnaround, and what generic tools read of them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.address import Broadcast, Group, SubnetNode, UniqueNodeId, destination_of_entry
from osgp.lon.apdu import NvHeader, NvMessage
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import AddressEntry, AliasEntry, DomainEntry, NvEntry, NvEntryFlags, NvEntrySelector
from osgp.lon.events import VariableUpdated
from osgp.lon.ltep import Service
from osgp.lon.self_identification import SelfIdentificationHeader
from osgp.lon.variables import (
    LAST_SELECTOR,
    MAX_SIZE,
    MAX_VARIABLES,
    NetworkVariable,
    VariableTable,
)
from osgp.wire.errors import ConfigError, DecodeError

PEER = SubnetNode(1, 42)


def table(aliases: int = 3) -> VariableTable:
    return VariableTable(
        (
            NetworkVariable("nviSetpoint", size=2, snvt=105),
            NetworkVariable("nvoPower", size=2, snvt=27, output=True, initial=b"\x00\xca"),
            NetworkVariable("nviOther", size=2),
            NetworkVariable("nvoFlag", output=True),
        ),
        aliases=aliases,
    )


def configuration(*entries: AddressEntry | None) -> Configuration:
    node = Configuration(bytes.fromhex("0700000000B2"))
    node.join(0, domain_entry(b"\x49", 1, 20))
    node.addresses[: len(entries)] = entries
    return node


def bound(selector: int, address_index: int = 15, *, output: int = 0, priority: int = 0, **flags: int) -> NvEntry:
    return NvEntry(
        selector=NvEntrySelector(selector=selector, output=output, priority=priority),
        flags=NvEntryFlags(address_index=address_index, **flags),
    )


def alias_of(primary: int, entry: NvEntry, primary_wide: int | None = None) -> AliasEntry:
    return AliasEntry(selector=entry.selector, flags=entry.flags, primary=primary, primary_wide=primary_wide)


NODE_1_42 = AddressEntry.decode(bytes.fromhex("012A3B0501"))
GROUP_5_OF_4 = AddressEntry.decode(bytes.fromhex("8402348905"))
BROADCAST_3 = AddressEntry.decode(bytes.fromhex("0306210403"))


def test_a_new_variable_has_an_unbound_selector_of_its_own() -> None:
    variables = table()
    entries = [variables.config(index) for index in range(variables.count)]
    assert [entry.selector.selector for entry in entries if entry] == [0x3FFF, 0x3FFE, 0x3FFD, 0x3FFC]
    assert [entry.selector.output for entry in entries if entry] == [0, 1, 0, 1]
    assert all(entry is not None and entry.flags.address_index == 15 for entry in entries)
    assert variables.value(1) == b"\x00\xca"
    assert variables.value(0) == bytes(2)
    assert variables.index_of("nvoFlag") == 3
    assert variables.index_of("nothing") is None


def test_an_update_reaches_every_input_that_shares_its_selector() -> None:
    variables = table()
    for index in (0, 2):
        assert variables.set_config(index, bound(0x10D))
    events = variables.updated(bytes.fromhex("810d00ca"), PEER, False)
    assert events == [VariableUpdated(0, b"\x00\xca", PEER), VariableUpdated(2, b"\x00\xca", PEER)]
    assert variables.value(0) == variables.value(2) == b"\x00\xca"


def test_the_public_capture_of_an_acknowledged_update_is_taken_in() -> None:
    variables = table()
    variables.set_config(0, bound(0x10D))
    apdu = bytes.fromhex("010901aa01a90103810d00ca")[8:]
    assert [event.value for event in variables.updated(apdu, SubnetNode(1, 42), False)] == [b"\x00\xca"]


def test_an_alias_takes_updates_for_its_variable() -> None:
    variables = table()
    assert variables.set_alias(0, alias_of(2, bound(0x222)))
    assert [event.variable for event in variables.updated(bytes.fromhex("82220001"), PEER, False)] == [2]
    assert variables.set_alias(1, alias_of(0xFF, bound(0x223), primary_wide=0))
    assert [event.variable for event in variables.updated(bytes.fromhex("82230001"), PEER, False)] == [0]


def test_an_update_by_variable_and_alias_at_once_is_one_event() -> None:
    variables = table()
    variables.set_config(0, bound(0x10D))
    variables.set_alias(0, alias_of(0, bound(0x10D)))
    assert len(variables.updated(bytes.fromhex("810d00ca"), PEER, False)) == 1


@pytest.mark.parametrize(
    ("apdu", "counter"),
    [
        ("c10d00ca", "for_outputs"),
        ("810d00", "wrong_sizes"),
        ("810d00ca00", "wrong_sizes"),
        ("810e00ca", "unknown_selectors"),
        ("810d", "malformed"),
        ("81", "malformed"),
        ("", "malformed"),
        ("010d00ca", "malformed"),
    ],
)
def test_an_update_that_fits_nothing_changes_nothing_and_is_counted(apdu: str, counter: str) -> None:
    variables = table()
    variables.set_config(0, bound(0x10D))
    assert variables.updated(bytes.fromhex(apdu), PEER, True) == []
    assert variables.value(0) == bytes(2)
    counts = dataclasses.asdict(variables.counters)
    assert counts.pop(counter) == 1
    assert not any(counts.values())


def test_an_update_does_not_write_an_output() -> None:
    variables = table()
    variables.set_config(1, bound(0x10D, output=1))
    assert variables.updated(bytes.fromhex("810d1234"), PEER, True) == []
    assert variables.value(1) == b"\x00\xca"


@pytest.mark.parametrize("through_alias", [False, True])
def test_what_wants_authentication_is_not_written_without(through_alias: bool) -> None:
    variables = table()
    if through_alias:  # an alias that does not want it opens no way around the variable that does
        variables.set_config(0, bound(0x300, authenticated=1))
        variables.set_alias(0, alias_of(0, bound(0x10D)))
    else:
        variables.set_config(0, bound(0x10D, authenticated=1))
    variables.set_config(2, bound(0x10D))
    assert [event.variable for event in variables.updated(bytes.fromhex("810d00ca"), PEER, False)] == [2]
    assert variables.value(0) == bytes(2)
    assert variables.counters.not_authenticated == 1
    assert sorted(event.variable for event in variables.updated(bytes.fromhex("810d00ca"), PEER, True)) == [0, 2]


def test_a_poll_is_answered_with_the_direction_flipped() -> None:
    variables = table()
    variables.set_config(1, bound(0x10D, output=1))
    assert variables.poll_response(bytes.fromhex("c10d"), False, True) == bytes.fromhex("810d00ca")
    variables.set_config(0, bound(0x10D))
    assert variables.poll_response(bytes.fromhex("810d"), False, True) == bytes.fromhex("c10d0000")


def test_a_poll_of_an_unknown_selector_is_answered_without_a_value() -> None:
    assert table().poll_response(bytes.fromhex("c10d"), False, True) == bytes.fromhex("810d")


def test_a_poll_of_an_offline_node_is_answered_without_a_value() -> None:
    variables = table()
    variables.set_config(1, bound(0x10D, output=1))
    assert variables.poll_response(bytes.fromhex("c10d"), True, False) == bytes.fromhex("810d")


def test_a_poll_without_authentication_gets_no_value_where_it_is_wanted() -> None:
    variables = table()
    variables.set_config(1, bound(0x10D, output=1, authenticated=1))
    assert variables.poll_response(bytes.fromhex("c10d"), False, True) == bytes.fromhex("810d")
    assert variables.counters.not_authenticated == 1
    assert variables.poll_response(bytes.fromhex("c10d"), True, True) == bytes.fromhex("810d00ca")


def test_a_poll_with_anything_behind_the_selector_is_not_answered() -> None:
    variables = table()
    for raw in ("c10d00", "c1", "", "410d"):
        assert variables.poll_response(bytes.fromhex(raw), True, True) is None
    assert variables.counters.malformed == 4


def test_an_output_is_sent_to_the_address_it_is_bound_to() -> None:
    variables = table()
    variables.set_config(1, bound(0x10D, 0, output=1, priority=1, authenticated=1, service=1))
    (message,) = variables.messages_for(1, configuration(NODE_1_42))
    assert message.apdu == bytes.fromhex("810d00ca")
    assert message.destination == SubnetNode(1, 42)
    assert message.domain_index == 0
    assert message.service == Service.UNACKD_RPT
    assert message.priority
    assert message.authenticated
    assert message.retry == 11
    assert message.repeat_timer_s == 0.048
    assert message.transmit_timer_s == 0.096


def test_aliases_are_sent_with_their_own_selector_and_address() -> None:
    variables = table()
    variables.set_config(1, bound(0x10D, 0, output=1))
    variables.set_alias(2, alias_of(1, bound(0x222, 1, output=1, service=2)))
    first, second = variables.messages_for(1, configuration(NODE_1_42, GROUP_5_OF_4))
    assert first.destination == SubnetNode(1, 42)
    assert second.destination == Group(5, 4)
    assert second.apdu == bytes.fromhex("822200ca")
    assert second.service == Service.UNACKD


def test_a_poll_asks_with_the_direction_of_an_output_and_no_value() -> None:
    variables = table()
    variables.set_config(0, bound(0x10D, 0, service=2))
    (message,) = variables.poll_messages(0, configuration(BROADCAST_3))
    assert message.apdu == bytes.fromhex("c10d")
    assert message.service == Service.REQUEST
    assert message.destination == Broadcast(3, 6)


def test_the_response_to_a_poll_is_taken_though_it_is_not_authenticated() -> None:
    variables = table()
    variables.set_config(0, bound(0x10D, 0, authenticated=1))
    assert variables.polled(bytes.fromhex("810d1234"), PEER) == [VariableUpdated(0, b"\x12\x34", PEER)]


def test_a_response_without_a_value_changes_nothing_and_is_no_mistake() -> None:
    variables = table()
    variables.set_config(0, bound(0x10D, 0))
    assert variables.polled(bytes.fromhex("810d"), PEER) == []
    assert not any(dataclasses.asdict(variables.counters).values())
    assert variables.polled(b"\x81", PEER) == []
    assert variables.counters.malformed == 1


def test_what_one_table_polls_another_answers() -> None:
    asking, asked = table(), table()
    asking.set_config(0, bound(0x10D, 0))
    asked.set_config(1, bound(0x10D, output=1))
    (message,) = asking.poll_messages(0, configuration(NODE_1_42))
    response = asked.poll_response(message.apdu, False, True)
    assert response is not None
    assert [event.value for event in asking.polled(response, PEER)] == [asked.value(1)]


@pytest.mark.parametrize(
    "case", ["input", "no address", "empty address", "no such address", "foreign domain", "unconfigured", "no variable"]
)
def test_nothing_is_sent_where_there_is_nobody_to_send_to(case: str) -> None:
    variables = table()
    index, place = (0 if case == "input" else 1), (15 if case == "no address" else 0)
    node = configuration(NODE_1_42)
    if case == "empty address":
        node.addresses[0] = AddressEntry()
    if case == "no such address":
        node.addresses.clear()
    if case == "foreign domain":
        node.addresses[0] = AddressEntry.decode(bytes.fromhex("01AA3B0501"))
    if case == "unconfigured":
        node = Configuration(bytes(6))
        node.addresses[0] = NODE_1_42
    if case == "no variable":
        index = 4
    variables.set_config(index, bound(0x10D, place, output=1))
    assert variables.messages_for(index, node) == []
    if case != "input":
        assert variables.poll_messages(index, node) == []


def test_the_second_domain_is_used_when_the_address_says_so() -> None:
    variables = table()
    node = configuration(AddressEntry.decode(bytes.fromhex("01AA3B0501")))
    node.join(1, domain_entry(b"\x50", 2, 21))
    variables.set_config(1, bound(0x10D, 0, output=1))
    assert [message.domain_index for message in variables.messages_for(1, node)] == [1]
    node.domains[1] = DomainEntry()
    node.changed()
    assert variables.messages_for(1, node) == []


def test_an_entry_with_the_service_of_requests_is_sent_acknowledged() -> None:
    variables = table()
    variables.set_config(1, bound(0x10D, 0, output=1, service=3))
    assert [message.service for message in variables.messages_for(1, configuration(NODE_1_42))] == [Service.ACKD]


def test_turnaround_carries_an_output_to_the_inputs_of_the_same_node() -> None:
    variables = table()
    variables.set_config(1, bound(0x10D, output=1, turnaround=1))
    variables.set_config(0, bound(0x10D, authenticated=1))
    variables.set_alias(0, alias_of(2, bound(0x10D)))
    assert variables.turnaround(1) == [VariableUpdated(0, b"\x00\xca"), VariableUpdated(2, b"\x00\xca")]
    assert variables.value(0) == variables.value(2) == b"\x00\xca"


def test_turnaround_brings_an_input_the_value_of_an_output_of_the_same_node() -> None:
    variables = table()
    variables.set_config(1, bound(0x10D, output=1))
    variables.set_config(0, bound(0x10D, turnaround=1))
    assert variables.turnaround(0) == [VariableUpdated(0, b"\x00\xca")]


def test_of_two_outputs_the_first_gives_an_input_its_value() -> None:
    variables = VariableTable(
        (
            NetworkVariable("nviPower"),
            NetworkVariable("nvoFirst", output=True, initial=b"\x01"),
            NetworkVariable("nvoSecond", output=True, initial=b"\x02"),
        )
    )
    for index in range(3):
        variables.set_config(index, bound(0x10D, turnaround=int(index == 0)))
    assert variables.turnaround(0) == [VariableUpdated(0, b"\x01")]


def test_without_turnaround_or_with_another_size_nothing_is_carried() -> None:
    variables = table()
    variables.set_config(0, bound(0x10D))
    variables.set_config(1, bound(0x10D, output=1))
    assert variables.turnaround(1) == []
    variables.set_config(3, bound(0x10D, output=1, turnaround=1))
    assert variables.turnaround(3) == []
    assert variables.turnaround(9) == []
    assert variables.value(0) == bytes(2)


def test_the_direction_is_the_declarations_whatever_management_writes() -> None:
    variables = table()
    variables.set_config(0, bound(0x10D, output=1))
    entry = variables.config(0)
    assert entry is not None
    assert entry.selector.output == 0
    assert entry.selector.selector == 0x10D
    variables.set_alias(0, alias_of(1, bound(0x10E, output=0)))
    alias = variables.alias(0)
    assert alias is not None
    assert alias.selector.output == 1
    assert alias.primary == 1


def test_entries_read_are_copies() -> None:
    variables = table()
    entry, alias = variables.config(0), variables.alias(0)
    assert entry is not None
    assert alias is not None
    entry.flags = NvEntryFlags(address_index=3)
    alias.primary = 0
    assert variables.config(0) != entry
    assert variables.alias(0) != alias


def test_entries_written_are_copies() -> None:
    variables = table()
    entry = bound(0x10D)
    variables.set_config(0, entry)
    entry.selector = NvEntrySelector(selector=0x10E)
    assert variables.updated(bytes.fromhex("810d00ca"), PEER, False)


@pytest.mark.parametrize("index", [-1, 4, 65535])
def test_an_index_that_is_none_is_refused_everywhere(index: int) -> None:
    variables = table()
    assert variables.config(index) is variables.value(index) is variables.info(index) is None
    assert not variables.set_config(index, bound(1))
    assert not variables.set_value(index, b"\0\0")
    assert variables.alias(index) is None
    assert not variables.set_alias(index, AliasEntry())


def test_an_alias_of_a_variable_that_does_not_exist_is_refused() -> None:
    variables = table()
    assert not variables.set_alias(0, alias_of(4, bound(1)))
    assert not variables.set_alias(0, alias_of(0xFF, bound(1), primary_wide=4))
    assert variables.set_alias(0, alias_of(0xFF, bound(1), primary_wide=0xFFFF))
    assert variables.updated(bytes.fromhex("80010000"), PEER, False) == []


def test_a_value_of_another_size_is_not_written() -> None:
    variables = table()
    assert not variables.set_value(0, b"\1")
    assert variables.value(0) == bytes(2)
    assert variables.set_value(0, b"\1\2")
    assert variables.value(0) == b"\1\2"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: NetworkVariable("x" * 17),
        lambda: NetworkVariable(""),
        lambda: NetworkVariable("größe"),
        lambda: NetworkVariable("a\0b"),
        lambda: NetworkVariable("x", size=0),
        lambda: NetworkVariable("x", size=MAX_SIZE + 1),
        lambda: NetworkVariable("x", size=2, initial=b"\0"),
        lambda: NetworkVariable("x", service=3),
        lambda: NetworkVariable("x", snvt=256),
        lambda: NetworkVariable("x", rate=-1),
        lambda: NetworkVariable("x", documentation="a" * 1024),
        lambda: VariableTable((NetworkVariable("x"), NetworkVariable("x"))),
        lambda: VariableTable(self_documentation="größe"),
        lambda: VariableTable(message_tags=256),
    ],
)
def test_a_declaration_that_cannot_be_told_is_refused(wrong) -> None:  # type: ignore[no-untyped-def]  # any of the above
    with pytest.raises(ConfigError):
        wrong()


def test_a_node_has_at_most_as_many_variables_as_unbound_selectors() -> None:
    variables = VariableTable(NetworkVariable(f"v{number}") for number in range(MAX_VARIABLES))
    last = variables.config(MAX_VARIABLES - 1)
    assert last is not None
    assert last.selector.selector == 0x3000
    with pytest.raises(ConfigError, match="4096"):
        variables.declare(NetworkVariable("one too many"))


def test_texts_that_the_self_identification_has_no_room_for_are_refused() -> None:
    def long(number: int) -> NetworkVariable:
        return NetworkVariable(f"v{number:02}", documentation="x" * 1023)

    variables = VariableTable(long(number) for number in range(63))
    with pytest.raises(ConfigError, match="no room"):
        variables.declare(long(63))
    assert len(variables.self_identification()) <= 0xFFFF
    assert SelfIdentificationHeader.decode(variables.self_identification()[:6]).count_low == variables.count


def test_the_self_identification_of_a_small_node_byte_by_byte() -> None:
    variables = VariableTable(
        (
            NetworkVariable("nvoPower", size=2, output=True, snvt=27, documentation="@0|1", rate=40, maximum_rate=50),
            NetworkVariable("nviMode", configuration_class=True, polled=True, synchronised=True, offline=True),
        ),
        aliases=5,
        self_documentation="&3.0@0",
        message_tags=2,
    )
    expected = (
        b"\x00\x2e\x02\x01\x00\x02"  # length 46, two variables, version 1, two message tags
        + b"\x8e\x1b"  # extension, service, priority and authentication may be changed; type 27
        + b"\xff\x00"
        + b"&3.0@0\0"
        + b"\xf0\x32\x28nvoPower\0@0|1\0"  # both rates, name, text
        + b"\x20nviMode\0"
        + b"\xff\x00\x05"  # binding II, statistics, 63: the number of aliases follows
    )
    assert variables.self_identification() == expected


def test_more_than_255_variables_are_told_with_the_high_byte_of_their_number() -> None:
    variables = VariableTable(NetworkVariable(f"v{number}") for number in range(515))
    header = SelfIdentificationHeader.decode(variables.self_identification()[:6])
    assert (header.count_low, header.count_high) == (3, 2)


name = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=16)
text = st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=40)
described = st.builds(
    NetworkVariable, name, snvt=st.integers(0, 255), documentation=text, rate=st.integers(0, 255), polled=st.booleans()
)


@given(st.lists(described, unique_by=lambda variable: variable.name, max_size=20), text, st.integers(0, 500))
def test_a_tool_that_walks_the_self_identification_finds_every_variable(
    declared: list[NetworkVariable], documentation: str, aliases: int
) -> None:
    raw = VariableTable(declared, aliases=aliases, self_documentation=documentation).self_identification()
    assert int.from_bytes(raw[:2], "big") == len(raw)
    count = raw[4] << 8 | raw[2]
    types = raw[7 : 6 + 2 * count : 2]
    node, *rest = raw[6 + 2 * count : -3].split(b"\0", 1)
    body = rest[0]
    found = []
    for _ in range(count):
        flags, body = body[0], body[1:]
        rates = bytes(body[: (flags >> 7) + (flags >> 6 & 1)])
        word, body = body[len(rates) :].split(b"\0", 1)
        said, body = body.split(b"\0", 1) if flags & 0x10 else (b"", body)
        found.append((word.decode(), said.decode(), rates[-1] if flags & 0x40 else 0))
    assert body == b""
    assert node.decode() == documentation
    assert found == [(each.name, each.documentation, each.rate) for each in declared]
    assert list(types) == [each.snvt for each in declared]
    assert int.from_bytes(raw[-2:], "big") == aliases


@given(st.binary(max_size=12), st.booleans(), st.booleans())
def test_any_bytes_are_taken_or_counted(apdu: bytes, authenticated: bool, online: bool) -> None:
    variables = table()
    variables.set_config(0, bound(0x10D))
    response = variables.poll_response(apdu, authenticated, online)
    assert (response is None) == (len(apdu) != 2 or apdu[0] < 0x80)
    events = variables.updated(apdu, None, authenticated)
    assert not events or apdu[:2] in (b"\x81\x0d", b"\xbf\xfd")
    variables.polled(apdu, None)
    assert variables.value(1) == b"\x00\xca"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=12), st.integers(0, 5))
def test_bindings_agree_with_a_naive_search(writes: list[tuple[int, int, bool]], selector: int) -> None:
    """Rows 0 to 3 are variables, 4 and 5 aliases of variable 0 or 2; the model looks at every row for every update."""
    variables = table(aliases=2)
    rows = {index: (LAST_SELECTOR - index, index, index % 2 == 1) for index in range(4)}
    for row, bind, which in writes:
        if row < 4:
            variables.set_config(row, bound(bind))
            rows[row] = (bind, row, row % 2 == 1)
        else:
            primary = 2 if which else 0
            variables.set_alias(row - 4, alias_of(primary, bound(bind)))
            rows[row] = (bind, primary, False)
    expected = {index for number, index, output in rows.values() if number == selector and not output}
    apdu = NvMessage(header=NvHeader(selector=selector, variable=1), value=b"\x77\x88").encode()
    assert {event.variable for event in variables.updated(apdu, PEER, False)} == expected
    assert all(variables.value(index) == (b"\x77\x88" if index in expected else bytes(2)) for index in (0, 2))


def test_an_address_entry_says_whom_it_names() -> None:
    assert destination_of_entry(NODE_1_42) == SubnetNode(1, 42)
    assert destination_of_entry(GROUP_5_OF_4) == Group(5, 4)
    assert destination_of_entry(BROADCAST_3) == Broadcast(3, 6)
    assert destination_of_entry(AddressEntry.decode(bytes.fromhex("02002103010700000000B2"))) == UniqueNodeId(
        bytes.fromhex("0700000000B2"), 1
    )
    assert destination_of_entry(AddressEntry()) is None
    assert destination_of_entry(AddressEntry.decode(bytes.fromhex("0500000000"))) is None


@given(st.binary(min_size=5, max_size=5) | st.binary(min_size=11, max_size=11))
def test_every_address_entry_names_somebody_or_nobody(raw: bytes) -> None:
    try:
        entry = AddressEntry.decode(raw)
    except DecodeError:
        return
    destination_of_entry(entry)
