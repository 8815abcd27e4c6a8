"""The server of diagnostics and management: each command's answer, its effect, and who may ask."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode
from osgp.lon.apdu import failure_code
from osgp.lon.commands import COMMANDS, decode_request, decode_response
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import AddressEntry, AddressKind, AddressPlace, DomainEntry, LastByte, NodeState, Retry, Timers
from osgp.lon.events import (
    Dropped,
    ModeChanged,
    NodeReset,
    ServicePinReceived,
    VariableUpdated,
    Winked,
)
from osgp.lon.indication import Indication, Outcome
from osgp.lon.ltep import Service
from osgp.lon.management import Management
from osgp.lon.memory import Memory
from osgp.lon.nd import FullVersionResponse, PhaseResponse
from osgp.lon.nm import ProductResponse, Refusal
from osgp.lon.nm_variables import VariableDescriptor
from osgp.lon.variables import NetworkVariable, VariableTable
from osgp.wire.errors import BadValue, ConfigError, Truncated

FRAMES = {
    frame["name"]: frame["fields"]
    for frame in json.loads(
        (Path(__file__).parent.parent / "vectors" / "iso14908_1" / "frames.json").read_text("utf-8")
    )
}
UNIQUE_NODE_ID = bytes.fromhex("0700000000b2")
KEY = bytes.fromhex("0123456789ab")
OTHER_KEY = bytes.fromhex("a0a1a2a3a4a5")
SOURCE, HERE = SubnetNode(1, 10), SubnetNode(1, 20)
REQUEST, ACKD = int(Service.REQUEST), int(Service.ACKD)


def group_entry(group: int, member: int, size: int = 4, domain: int = 0) -> AddressEntry:
    """An entry that joins a group."""
    return AddressEntry(
        kind=AddressKind(group=1, kind=size),
        place=AddressPlace(number=member, domain_index=domain),
        retry=Retry(retry=3, repeat_timer=1),
        timers=Timers(transmit_timer=9, receive_timer=7),
        number=group,
    )


def configuration(*, state: int = NodeState.CONFIGURED, allow: bool = True, key: bytes = KEY) -> Configuration:
    """A node 1/20 in domain 49, member 1 of group 5; ``allow``: management may write."""
    made = Configuration(UNIQUE_NODE_ID, b"OSGPDEV1", state=state, allow_management_writes=allow)
    made.domains = [domain_entry(b"I", 1, 20, key), DomainEntry()]
    made.addresses[3] = group_entry(5, 1)
    made.changed()
    return made


def variables() -> VariableTable:
    """An input of two bytes, an output of one, two aliases."""
    return VariableTable(
        [
            NetworkVariable("nviLevel", snvt=81, size=2, initial=b"\x00\xca"),
            NetworkVariable("nvoState", snvt=95, size=1, output=True, documentation="@0|1", rate=0x81),
        ],
        aliases=2,
        self_documentation="&3.4@0",
    )


class Carrier:
    """Takes the place of a map of IP addresses."""

    def __init__(self) -> None:
        self.age_s = 3600.0
        self.subnets: dict[int, bool] = {}

    def announce_subnets(self, domain: bytes, subnets: Iterable[int], derived: bool) -> None:
        if len(domain) == 6:
            raise BadValue("no IP address can be derived from this domain")
        self.subnets.update(dict.fromkeys(subnets, derived))


class RouterDouble:
    """Takes the place of a router: remembers what it was asked."""

    def __init__(self, response: bytes | None = b"\x3c\x00\x01") -> None:
        self.asked: list[bytes] = []
        self.response = response

    def serve(self, apdu: bytes) -> bytes | None:
        self.asked.append(apdu)
        return self.response


def server(configuration_: Configuration | None = None, **options: Any) -> Management:
    """A server over a fresh node with variables and sixteen bytes of memory at 4000."""
    made = configuration_ or configuration()
    table = options.pop("variables", variables())
    memory = options.pop("memory", Memory(made, table, size=16, protected=[(0x4008, 0x400C)]))
    return Management(made, variables=table, memory=memory, **options)


def ask(
    management: Management,
    apdu: bytes | str,
    *,
    service: int = REQUEST,
    authenticated: bool = False,
    destination: Destination = HERE,
    domain_index: int | None = 0,
    domain: bytes = b"I",
    alternate_path: bool = False,
) -> Outcome:
    """Serve a message of 1/10."""
    raw = bytes.fromhex(apdu) if isinstance(apdu, str) else apdu
    reply = 7 if service == REQUEST else None
    return management.serve(
        Indication(
            SOURCE, domain, domain_index, destination, service, False, alternate_path, authenticated, raw, reply, 1
        ),
        0.0,
    )


def answer(management: Management, apdu: bytes | str, **how: Any) -> str:
    """The response as hex digits; ``null`` for a null response."""
    outcome = ask(management, apdu, **how)
    assert not outcome.forward
    if outcome.response is None:
        assert outcome.null
        return "null"
    return outcome.response.hex()


def snapshot(management: Management) -> tuple[Any, ...]:
    """All that management could have changed."""
    node = management.configuration
    table = management.node.variables
    assert table is not None
    return (
        [entry.encode() for entry in node.domains],
        [None if entry is None else entry.encode() for entry in node.addresses],
        node.block.encode(),
        node.state,
        [management.node.memory.read(0, address, 1) for address in range(0x4000, 0x4010)],
        [(table.config(index), table.value(index)) for index in range(table.count)],
        [table.alias(index) for index in range(table.alias_count)],
    )


def is_cut(row: str, end: int) -> bool:
    """Whether the first bytes of a request are too few to be one."""
    raw = bytes.fromhex(row)[:end]
    if raw[0] == 0x66 and end == 6 and not raw[2]:
        return False  # an unused entry may come without its last byte
    try:
        decode_request(raw)
    except Truncated:
        return True
    return False


PLAIN: list[tuple[str, str]] = [
    ("51", "310000000000000000000001040400a8"),
    ("5200", "null"),
    ("5201", "320000000000000000000001040400a8"),
    ("5202", "32040004ffff0000"),
    ("53", "33"),
    ("54", "34040004ffff0000"),
    ("56", "360000000000000000000001040400a8"),
    ("57", "37040004ffff0000"),
    ("5701", "37040004ffff0000"),
    ("58", "18"),
    ("59", "39040000000000"),
    ("6100", "null"),
    ("6101", "null"),
    ("6102", "null"),
    ("6103", "01"),
    ("6200", "22"),
    ("6202", "02"),
    ("63014a000000000001a1010000000000aa", "23"),
    ("63024a000000000001a1010000000000aa", "03"),
    ("63014a000000000001a1020000000000aa", "03"),
    ("6401", "24"),
    ("6400", "null"),
    ("6402", "04"),
    ("6500010101010101", "25"),
    ("6502010101010101", "05"),
    ("66030114340907", "26"),
    ("660e0114340907", "26"),
    ("660f0114340907", "06"),
    ("66030214340907", "06"),
    ("660302143409070a0b0c0d0e0f", "06"),
    ("660300000000", "26"),
    ("6703", "278401137905"),
    ("6700", "270000000000"),
    ("670f", "07"),
    ("6800", "283fff0f"),
    ("6801", "287ffe0f"),
    ("6802", "283fff0fffffff"),
    ("68ff0001", "287ffe0f"),
    ("6804", "08"),
    ("6a00", "2a4900000000000194010123456789ab"),
    ("6a01", "2a000000000000008080000000000000"),
    ("6a02", "0a"),
    ("6b00810d07", "2b"),
    ("6b02810d0701ffff", "2b"),
    ("6b02810d07", "0b"),
    ("6bff0001810d07", "2b"),
    ("6b04810d07", "0b"),
    ("6c00", "null"),
    ("6c01", "null"),
    ("6c02", "null"),
    ("6c0304", "2c"),
    ("6c0307", "0c"),
    ("6c04", "null"),
    ("6c05", "0c"),
    ("6c06", "null"),
    ("6cff", "0c"),
    ("6d01000006", "2d0700000000b2"),
    ("6d01000d08", "2d4f53475044455631"),
    ("6d01002701", "2d00"),
    ("6d01002f01", "0d"),
    ("6d02000001", "2d00"),
    ("6d02001801", "2dc0"),
    ("6d02001802", "0d"),
    ("6d03000002", "2d0000"),
    ("6d03001702", "0d"),
    ("6d00000001", "2d04"),
    ("6d00000002", "0d"),
    ("6d00400004", "2d00000000"),
    ("6d00400602", "2d0000"),
    ("6d00400701", "2d00"),
    ("6d00400702", "0d"),
    ("6d00400c04", "2d00000000"),
    ("6d00400f02", "0d"),
    ("6d04000001", "0d"),
    ("6d010000ff", "0d"),
    ("6e0040000200aabb", "2e"),
    ("6e0040000205aabb", "0e"),
    ("6e0040000208aabb", "2e"),
    ("6e0040080100aa", "0e"),
    ("6e0000000100aa", "0e"),
    ("6e0200020404aabbccdd", "2e"),
    ("6e0200180200aabb", "0e"),
    ("6e0100000100aa", "0e"),
    ("6e0300000200aabb", "2e"),
    ("6e0400000100aa", "0e"),
    ("6f01", "2f"),
    ("6f02", "0f"),
    ("70", "30"),
    ("7000", "30"),
    ("7001", "30000700000000b24f53475044455631"),
    ("700100", "30000700000000b24f53475044455631"),
    ("700101", "10"),
    ("7003", "10"),
    ("7004000001", "3009100e5f7000010000"),
    ("7004010001", "308100"),
    ("7004010000", "10"),
    ("7004020000", "306e76694c6576656c" + "00" * 8),
    ("70040300010001ff", "10"),
    ("7004030001000110", "3003307c31"),
    ("7004040000", "3051"),
    ("7004050000", "10"),
    ("7004000002", "10"),
    ("7005030000ff", "10"),
    ("70050300000a", "300626332e344030"),
    ("70050000000a", "10"),
    ("7007000003", "30ff0002"),
    ("7007000305", "30000700 0200".replace(" ", "")),
    ("70070027ff", "10"),
    ("7100100100", "31"),
    ("7104010100", "11"),
    ("7100100101", "11"),
    ("72000006", "32" + variables().self_identification()[:6].hex()),
    ("72ff0001", "12"),
    ("720000ff", "12"),
    ("7300", "330000ca"),
    ("73ff0000", "33ff000000ca"),
    ("7302", "13"),
    ("7400", "14"),
    ("7c", "1c"),
    ("7d0101", "1d"),
    ("7d0201", "1d"),
    ("7e7c", "1e"),
    ("7f0700000000a14f53475044455631", "null"),
    ("6001", "2001020253"),
    ("6002000000cb", "2002"),
    ("600200000bcb0c", "0002"),
    ("6002000101", "0002"),
    ("600200020001", "0002"),
    ("600200090001", "0002"),
    ("6007014a000000000001a101", "2007"),
    ("6007024a000000000001a101", "0007"),
    ("600800", "2008490000000000019401"),
    ("600802", "0008"),
    ("6009", "20090123456789ab000000000000"),
    ("600a01" + "01" * 12, "200a"),
    ("600a02" + "01" * 12, "000a"),
    ("600b", "000b"),
    ("600c", "000c"),
    ("600d", "000d"),
    ("600e", "000e"),
    ("600f0101", "200f"),
    ("60110000810d0700", "2011"),
    ("60110000810d0710", "0011"),
    ("60110000810d0708", "0011"),
    ("60110002810d0700", "0011"),
    ("60120001", "20127ffe0f00"),
    ("60120002", "0012"),
    ("60130001810d070000", "2013"),
    ("60130002810d070000", "0013"),
    ("60130001810d071000", "0013"),
    ("60140001", "20143fff0f00ff"),
    ("60140002", "0014"),
    ("6015", "0015"),
    ("601601" + "00" * 32, "0016"),
    ("60170000003c000000000e10", "0017"),
    ("6018", "0018"),
    ("6019", "0019"),
    ("6077", "0077"),
    ("55", "15"),
    ("5f", "1f"),
]
"""Request and answer, each to a fresh node that allows management to write."""


@pytest.mark.parametrize(("request_", "response"), PLAIN, ids=[row[0][:16] for row in PLAIN])
def test_a_command_is_answered(request_: str, response: str) -> None:
    assert answer(server(), request_) == response


def test_every_command_is_answered_in_these_tests() -> None:
    asked = {(raw[0], raw[1] if raw[0] == 0x60 else None) for raw in (bytes.fromhex(row[0]) for row in PLAIN)}
    router = {(code, None) for code in range(0x75, 0x7C)}
    assert set(COMMANDS) - asked == router | {(0x69, None)}, "these have tests of their own"


CUT = [
    (row, end)
    for row, response in PLAIN
    for end in range(2 if row.startswith("60") else 1, len(row) // 2)
    if response not in ("null", "0077") and not row.startswith(("57", "58", "74", "7d", "7e")) and is_cut(row, end)
]
"""Every request of the table, cut short wherever its layout says that something is missing."""


@pytest.mark.parametrize(("row", "end"), CUT)
def test_a_request_cut_short_is_refused_and_changes_nothing(row: str, end: int) -> None:
    management = server()
    before = snapshot(management)
    raw = bytes.fromhex(row)[:end]
    assert answer(management, raw) == (bytes((failure_code(raw[0]),)) + (raw[1:2] if raw[0] == 0x60 else b"")).hex()
    assert snapshot(management) == before
    assert (management.counters.served, management.counters.malformed) == (0, 1)


@pytest.mark.parametrize("row", ["5100", "640100", "6a0000", "6c0100", "7200000600", "730000"])
def test_bytes_behind_a_request_are_refused(row: str) -> None:
    management = server()
    assert answer(management, row) == f"{failure_code(int(row[:2], 16)):02x}"
    assert management.counters.malformed == 1


@pytest.mark.parametrize(
    ("request_", "vector", "options"),
    [
        ("nd-query-status", "nd-query-status-response", {}),
        ("nm-query-domain", "nm-query-domain-response", {}),
        ("nm-query-id-by-uid", "nm-query-id-response", {}),
        ("nm-query-version", "nm-query-version-response", {"address_map": Carrier()}),
        ("59", "nd-full-version-response", {"version": FullVersionResponse(minor_version=1, build=1)}),
        ("57", "nd-bidir-xcvr-response", {"measure": lambda indication: bytes(7)}),
        ("56", "nd-status-flex-response", {}),
        ("uid-request-foreign-domain", "uid-response-foreign-domain", {}),
        ("7001", "wink-send-id-response", {}),
    ],
)
def test_answers_are_those_of_real_frames(request_: str, vector: str, options: dict[str, Any]) -> None:
    made = configuration()
    if vector == "wink-send-id-response":
        made.unique_node_id = bytes.fromhex("070000000114")
    if vector == "nd-status-flex-response":
        made.reset_cause = 0
    management = server(made, **options)
    if request_ == "nm-query-id-by-uid":
        ask(management, "6201")
    apdu = FRAMES[request_]["apdu"] if request_ in FRAMES else request_
    want = FRAMES[vector]["apdu"]
    assert answer(management, apdu) == want


def test_domains_are_written_as_in_a_real_frame() -> None:
    management = server()
    assert answer(management, FRAMES["nm-update-domain"]["apdu"]) == "23"
    entry = management.configuration.domains[1]
    assert (entry.domain, entry.subnet, entry.node.node, entry.key) == (b"\x4a", 1, 33, bytes(6))
    assert [each.domain_index for each in management.configuration.memberships()] == [0, 1]


# ---- who may do what -------------------------------------------------------------------------------------------------
WRITES = [
    "63014a000000000001a1010000000000aa",
    "6401",
    "6500010101010101",
    "66030114340907",
    "6b00810d07",
    "6c0302",
    "6c04",
    "6e0040000200aabb",
    "6f01",
    "7400",
    "7580",
    "76800102030405060708",
    "770005",
    "780005",
    "790005",
    "7a0005",
    "7d0201",
    "7e7400",
    "7e7e7c",
    "6002000000cb",
    "6007014a000000000001a101",
    "600a01" + "01" * 12,
    "600f00",
    "60110000810d0700",
    "60130001810d070000",
    "601601" + "00" * 32,
    "60170000003c000000000e10",
]
HARMLESS = [
    "51",
    "53",
    "6200",
    "6c00",
    "6c01",
    "6c02",
    "6c06",
    "70",
    "7100100100",
    "7001",
    "6700",
    "7c",
    "7e7c",
    "6015",
]


@pytest.mark.parametrize("request_", WRITES)
def test_a_commissioned_node_refuses_what_writes(request_: str) -> None:
    router = RouterDouble()
    management = server(configuration(allow=False), router=router, address_map=Carrier())
    before = snapshot(management)
    raw = bytes.fromhex(request_)
    assert answer(management, raw) == (bytes((failure_code(raw[0]),)) + (raw[1:2] if raw[0] == 0x60 else b"")).hex()
    assert snapshot(management) == before
    assert management.counters.forbidden == 1
    assert router.asked == []
    dropped = management.events()
    assert len(dropped) == 1
    assert isinstance(dropped[0], Dropped)
    assert "not allowed" in dropped[0].reason


@pytest.mark.parametrize("request_", WRITES)
@pytest.mark.parametrize("how", ["unconfigured", "allowed", "authenticated"])
def test_who_may_write_writes(request_: str, how: str) -> None:
    made = configuration(
        state=NodeState.UNCONFIGURED if how == "unconfigured" else NodeState.CONFIGURED, allow=how == "allowed"
    )
    management = server(made, router=RouterDouble(), address_map=Carrier(), product=ProductResponse())
    ask(management, request_, authenticated=how == "authenticated")
    assert management.counters.forbidden == 0


@pytest.mark.parametrize("request_", HARMLESS)
def test_what_writes_nothing_is_not_held_back(request_: str) -> None:
    management = server(configuration(allow=False), router=RouterDouble(), address_map=Carrier())
    before = snapshot(management)
    ask(management, request_)
    assert (management.counters.forbidden, management.counters.served) == (0, 1)
    assert snapshot(management) == before


def test_a_group_address_is_not_updated_by_strangers() -> None:
    management = server(configuration(allow=False))
    assert answer(management, "698806550005", destination=Group(5)) == "09"
    assert management.configuration.addresses[3] == group_entry(5, 1)


def test_authentication_with_a_key_of_zeros_allows_nothing() -> None:
    made = configuration(allow=False, key=bytes(6))
    assert answer(server(made), "6500010101010101", authenticated=True) == "05"
    assert made.domains[0].key == bytes(6)
    open_media = configuration(allow=False, key=bytes(6))
    open_media.domains[0] = domain_entry(b"I", 1, 20, bytes(6), authentication=1)
    assert answer(server(open_media), "6500010101010101", authenticated=True) == "05"
    open_media.domains[1] = DomainEntry(key=OTHER_KEY)
    assert answer(server(open_media), "6500010101010101", authenticated=True) == "25"


def test_authentication_on_the_flex_domain_allows_nothing() -> None:
    made = configuration(allow=False)
    assert answer(server(made), "6401", authenticated=True, domain_index=None) == "04"


def test_keys_are_told_only_to_whom_may_write() -> None:
    made = configuration(allow=False)
    management = server(made)
    assert answer(management, "6a00") == "2a490000000000019401000000000000"
    assert answer(management, "6009") == "0009"
    assert answer(management, "600800") == "2008490000000000019401"
    assert answer(management, "6a00", authenticated=True) == "2a490000000000019401" + KEY.hex()
    assert answer(management, "6009", authenticated=True) == "2009" + KEY.hex() + "00" * 6
    made.state = NodeState.UNCONFIGURED
    assert answer(management, "6a00") == "2a490000000000019401" + KEY.hex()


@pytest.mark.parametrize("place", sorted(COMMANDS, key=str), ids=str)
def test_the_flag_for_authentication_leaves_a_few_queries_open(place: tuple[int, int | None]) -> None:
    open_ = {0x51, 0x52, 0x56, 0x57, 0x59, 0x61, 0x62, 0x7F, (0x60, 0x01), (0x60, 0x19)}
    made = configuration(allow=True)
    made.block.last = LastByte(0xC0, management_authentication=1)
    management = server(made, router=RouterDouble())
    code, subcommand = place
    ask(management, bytes((code,)) if subcommand is None else bytes((code, subcommand)))
    is_open = code in open_ or (code, subcommand) in open_
    assert (management.counters.forbidden == 0) == is_open
    ask(management, bytes((code,)) if subcommand is None else bytes((code, subcommand)), authenticated=True)
    assert (management.counters.forbidden == 0) == is_open
    made.state = NodeState.UNCONFIGURED
    ask(management, bytes((code,)) if subcommand is None else bytes((code, subcommand)))
    assert (management.counters.forbidden == 0) == is_open


def test_a_router_escape_is_judged_by_what_it_holds() -> None:
    made = configuration(allow=True)
    made.block.last = LastByte(0xC0, management_authentication=1)
    management = server(made, router=RouterDouble())
    assert answer(management, "7e6a00") == "1e"
    assert answer(management, "7e51") == "3c0001"


# ---- effects ---------------------------------------------------------------------------------------------------------
def test_leaving_the_domain_of_the_request_is_not_answered_and_leaving_the_last_one_ends_the_configuration() -> None:
    made = configuration()
    made.domains[1] = domain_entry(b"\x77", 2, 3, OTHER_KEY)
    made.changed()
    management = server(made)
    assert answer(management, "6400") == "null"
    assert [each.domain_index for each in made.memberships()] == [1]
    assert made.state == NodeState.CONFIGURED
    assert made.domains[0].key == bytes(6), "the key leaves with the domain"
    assert management.events() == []
    assert answer(management, "6401", domain_index=None) == "24"
    assert (made.state, made.reset_cause) == (NodeState.UNCONFIGURED, 0x14)
    assert management.events() == [ModeChanged(NodeState.UNCONFIGURED, False), NodeReset(0x14)]


def test_a_key_is_changed_by_increments() -> None:
    management = server()
    assert answer(management, "6500ff0001000000") == "25"
    assert management.configuration.domains[0].key == bytes.fromhex("0023466789ab")
    assert management.configuration.memberships()[0].key == bytes.fromhex("0023466789ab"), "whoever compares sees it"


def test_the_key_of_open_media_lies_in_both_domains() -> None:
    management = server()
    whole = (KEY + OTHER_KEY).hex()
    assert answer(management, f"600a00{whole}") == "200a"
    assert [entry.key for entry in management.configuration.domains] == [KEY, OTHER_KEY]
    assert answer(management, "600a01" + "ff" * 12) == "200a"
    assert answer(management, "6009") == "2009" + bytes((octet - 1) & 0xFF for octet in KEY + OTHER_KEY).hex()


def test_a_domain_without_key_keeps_the_old_one() -> None:
    management = server()
    assert answer(management, "600700770000000000028301") == "2007"
    entry = management.configuration.domains[0]
    assert (entry.domain, entry.subnet, entry.node.node, entry.key) == (b"\x77", 2, 3, KEY)


def test_addresses_are_written_and_joined_groups_follow() -> None:
    management = server()
    assert answer(management, "6604840234a907") == "26"
    assert (0, 7) in management.configuration.groups()
    assert answer(management, "6704") == "27840234a907"
    assert answer(management, "66040000000000") == "26"
    assert management.configuration.addresses[4] is None
    assert (0, 7) not in management.configuration.groups()


def test_a_group_update_takes_over_size_retry_and_timers_and_nothing_else() -> None:
    management = server()
    management.configuration.addresses[4] = group_entry(6, 2)
    assert answer(management, "698863557b2a", destination=Group(5)) == "29"
    entry = management.configuration.addresses[3]
    assert entry is not None
    assert (entry.kind.kind, entry.place.number, entry.place.domain_index, entry.number) == (8, 1, 0, 5)
    assert (entry.retry, entry.timers) == (0x55, 0x7B)
    assert management.configuration.addresses[4] == group_entry(6, 2)


@pytest.mark.parametrize(
    ("apdu", "destination", "domain_index"),
    [
        ("698863557b05", SubnetNode(1, 20), 0),
        ("698863557b05", Broadcast(), 0),
        ("698863557b05", Group(5), None),
        ("698863557b05", Group(6), 0),
        ("698863557b05", Group(5), 1),
        ("690163557b05", Group(5), 0),
    ],
)
def test_a_group_update_for_others_is_refused(apdu: str, destination: Destination, domain_index: int | None) -> None:
    management = server()
    assert answer(management, apdu, destination=destination, domain_index=domain_index) == "09"
    assert management.configuration.addresses[3] == group_entry(5, 1)


def test_modes_change_what_they_say() -> None:
    management = server()
    node = management.configuration
    assert answer(management, "6c00") == "null"
    assert (node.soft_offline, node.online) == (True, False)
    assert answer(management, "51") == "3100000000000000000000010c0400a8"
    assert answer(management, "6c00") == "null"
    assert answer(management, "6c01") == "null"
    assert node.online
    assert management.events() == [ModeChanged(4, True), ModeChanged(4, False)]
    assert answer(management, "6c0306") == "2c"
    assert (node.state, node.configured, node.online) == (NodeState.HARD_OFFLINE, True, False)
    assert answer(management, "6c0302") == "2c"
    assert node.state == NodeState.UNCONFIGURED
    assert management.events() == [ModeChanged(6, False), ModeChanged(2, False)]


@pytest.mark.parametrize(("apdu", "cause"), [("6c02", 0x14), ("6c04", 0x14), ("6c06", 0x02), ("6e0040000108aa", 0x14)])
def test_a_reset_brings_the_node_online_and_deselects_it(apdu: str, cause: int) -> None:
    management = server()
    ask(management, "6201")
    ask(management, "6c00")
    management.events()
    ask(management, apdu)
    assert management.events() == [NodeReset(cause)]
    assert (management.configuration.soft_offline, management.selected) == (False, False)
    assert management.configuration.reset_cause == cause
    assert management.configuration.state == NodeState.CONFIGURED


@pytest.mark.parametrize(
    ("state", "selected", "answering"),
    [
        (NodeState.UNCONFIGURED, False, {0}),
        (NodeState.UNCONFIGURED, True, {0, 1, 2}),
        (NodeState.CONFIGURED, False, set()),
        (NodeState.CONFIGURED, True, {1}),
        (NodeState.NO_APPLICATION, True, {1}),
    ],
)
def test_query_id_is_answered_by_those_who_fit(state: int, selected: bool, answering: set[int]) -> None:
    management = server(configuration(state=state))
    if selected:
        assert answer(management, "6201") == "22"
    identity = "210700000000b24f53475044455631"
    for selector in range(3):
        want = identity if selector in answering else "null"
        assert answer(management, bytes((0x61, selector)), destination=Broadcast()) == want


def test_query_id_compares_memory_that_may_be_read() -> None:
    management = server()
    ask(management, "6201")
    identity = "210700000000b24f53475044455631"
    assert answer(management, "610101000d044f534750") == identity
    assert answer(management, "610101000d044f534751") == "null"
    assert answer(management, "6101024000010000") == "01", "no such block"
    assert answer(management, "61010200180 1c0".replace(" ", "")) == identity
    assert answer(management, "6101004008010 0".replace(" ", "")) == "01", "protected"
    assert answer(management, "6101010000") == "01", "cut short"


def test_the_classic_proxy_is_answered_by_its_target_and_forwarded_by_an_agent() -> None:
    management = server(configuration(state=NodeState.UNCONFIGURED))
    assert answer(management, "5200") == "320700000000b24f53475044455631"
    assert answer(management, "5203") == "12"
    assert answer(management, "52") == "12"
    assert ask(management, FRAMES["nd-proxy"]["apdu"]) == Outcome(forward=True)


@pytest.mark.parametrize("apdu", [b"", b"\x00\x01", b"\x3f", b"\x4d\x00", b"\x81\x0d\x00"])
def test_other_messages_are_not_served_here(apdu: bytes) -> None:
    management = server()
    assert ask(management, apdu) == Outcome(forward=True)
    assert management.events() == []


def test_only_the_flex_status_is_answered_from_nowhere() -> None:
    management = server()
    assert ask(management, "56").flex
    assert not ask(management, "51").flex
    assert not ask(management, "5600").flex, "a refusal goes the ordinary way"


def test_clear_status_clears_counters_cause_and_log() -> None:
    management = server()
    node = management.configuration
    node.statistics.count("transmission_errors", 258)
    node.statistics.count("missed_messages", 70000)
    node.statistics.count("retries")
    node.error_log = 0x81
    assert answer(management, "51") == "310102000000000000ffff01040481a8"
    assert answer(management, "6d03001002") == "2d0001"
    assert answer(management, "53") == "33"
    assert answer(management, "51") == "3100000000000000000000000404 00a8".replace(" ", "")
    assert not any(node.statistics.encode())


def test_transceiver_and_phase_come_from_whom_measures() -> None:
    seen: list[Indication] = []

    def measure(indication: Indication) -> bytes:
        seen.append(indication)
        return bytes.fromhex("04200479f00000")

    management = server(measure=measure, phase=lambda indication: PhaseResponse(phase=3, certainty=-1))
    assert answer(management, "54") == "3404200479f00000"
    assert answer(management, "57") == "3704200479f00000"
    assert answer(management, "5202") == "3204200479f00000"
    assert answer(management, "5803") == "38033200ff"
    assert len(seen) == 3
    assert answer(management, "6001") == "200102025f"
    assert answer(server(phase=lambda indication: None), "58") == "18"
    assert answer(server(), "57", alternate_path=True) == "3704000cffff0000"


def test_the_configuration_block_is_written_where_it_is_said() -> None:
    management = server()
    assert answer(management, "6e0200020404aabbccdd") == "2e"
    assert management.configuration.block.location == bytes.fromhex("aabbccdd0000")
    assert answer(management, "6e0200180100b8") == "2e"
    assert management.configuration.non_group_timer_s == 6.144
    assert management.configuration.block.last.management_authentication == 1
    assert answer(management, "6d02000001") == "0d", "from now on only with authentication"


def test_statistics_are_written_as_a_whole_or_in_part() -> None:
    management = server()
    assert answer(management, "6e03000203000102 03".replace(" ", "")) == "2e"
    assert management.configuration.statistics.transaction_timeouts == 0x0102
    assert management.configuration.statistics.receive_transactions_full == 0x0300


def test_application_memory_is_written_and_read_but_for_its_protected_part() -> None:
    management = server()
    assert answer(management, "6e0040000400deadbeef") == "2e"
    assert answer(management, "6d00400004") == "2ddeadbeef"
    for first in range(0x4000, 0x4010):
        for count in range(1, 17):
            crosses = first < 0x400C and first + count > 0x4008
            inside = first + count <= 0x4010
            apdu = bytes((0x6E, 0)) + first.to_bytes(2, "big") + bytes((count, 0)) + bytes(count)
            assert answer(management, apdu) == ("2e" if inside and not crosses else "0e")


@given(st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 255))
def test_no_key_is_read_through_memory(mode: int, offset: int, count: int) -> None:
    made = configuration()
    made.domains[1] = domain_entry(b"\x77", 2, 3, OTHER_KEY)
    management = server(made)
    response = ask(management, bytes((0x6D, mode)) + offset.to_bytes(2, "big") + bytes((count,))).response
    assert response is not None
    for key in (KEY, OTHER_KEY):
        assert all(key[place : place + 3] not in response for place in range(4))


def test_no_key_lies_in_any_block_that_memory_shows() -> None:
    made = configuration()
    memory = Memory(made, variables(), size=16)
    for mode, size in ((1, 47), (2, 25), (3, 24), (0, 16)):
        whole = memory.read(mode, 0x4000 if mode == 0 else 0, size)
        assert whole is not None
        assert KEY[:3] not in whole
        assert memory.read(mode, (0x4000 if mode == 0 else 0) + size, 1) is None


@pytest.mark.parametrize(("base", "size"), [(0xFFF0, 17), (0, 4), (0x4000, -1)])
def test_memory_has_its_place(base: int, size: int) -> None:
    with pytest.raises(ConfigError, match="memory"):
        Memory(configuration(), size=size, base=base)


def test_the_read_only_block_tells_of_tables_and_state() -> None:
    management = server(configuration(state=NodeState.UNCONFIGURED))
    block = management.node.memory.read_only_block()
    assert (block.counts.nv_count, block.wide_nv_count, block.wide_alias_count, block.aliases.aliases) == (2, 2, 2, 2)
    assert (block.state.state, block.state.two_domains, block.addresses.addresses) == (2, 1, 15)
    assert block.receive.receive_transactions == 15
    bare = Management(configuration()).node.memory.read_only_block()
    assert (bare.counts.nv_count, bare.wide_nv_count) == (0, 0)


def test_variables_are_bound_and_told() -> None:
    management = server()
    table = management.node.variables
    assert table is not None
    assert answer(management, "6b00810d27") == "2b"
    assert answer(management, "6800") == "28810d27"
    assert answer(management, "60120000") == "2012810d2700"
    assert answer(management, "6b02910e1700ffff") == "2b"
    assert answer(management, "6802") == "28910e1700ffff"
    assert answer(management, "60140000") == "2014910e170000"
    assert answer(management, "60130001810f070001".replace("0001", "0001", 1)) == "2013"
    assert answer(management, "6803") == "28c10f0701ffff", "an alias has the direction of its variable"
    assert answer(management, "6bff0003810f07ff0000") == "2b"
    assert answer(management, "6803") == "28810f07ff0000"
    assert answer(management, "60140001") == "2014810f070000"
    assert answer(management, "6b03810f07 09ffff".replace(" ", "")) == "0b", "an alias of nothing"


def test_an_initialised_configuration_binds_nothing() -> None:
    management = server()
    node, table = management.configuration, management.node.variables
    assert table is not None
    for apdu in ("6b00810d27", "6b01c10ea7", "6b02910e1700ffff"):
        answer(management, apdu)
    assert answer(management, "600f0102") == "200f"
    assert node.addresses == [None] * 15
    assert node.groups() == {}
    assert answer(management, "6800") == "28bfff2f"
    assert answer(management, "6801") == "28fffe3f", "the second bit: authenticated"
    assert answer(management, "6802") == "283fff0fffffff"
    assert answer(management, "600f00") == "200f"
    assert answer(management, "6801") == "28fffe2f"
    assert answer(management, "600f01") == "000f", "the bits are missing"


def test_the_last_bit_of_initialise_counts_for_all_beyond() -> None:
    table = VariableTable([NetworkVariable(f"nv{number}") for number in range(20)])
    management = server(variables=table)
    assert answer(management, "600f0180") == "200f"
    marks = [bool(entry.flags.authenticated) for entry in map(table.config, range(20)) if entry is not None]
    assert marks == [False] * 7 + [True] * 13


def test_an_input_is_written_by_index() -> None:
    management = server()
    table = management.node.variables
    assert table is not None
    assert answer(management, "600200001234") == "2002"
    assert table.value(0) == b"\x12\x34"
    assert management.events() == [VariableUpdated(0, b"\x12\x34", SOURCE)]
    answer(management, "6b02810e0700ffff")
    assert answer(management, "600200025678") == "2002", "an alias stands for its variable"
    assert table.value(0) == b"\x56\x78"
    answer(management, "6b00810d17")
    assert answer(management, "600200000001") == "0002", "the variable wants authentication"
    assert answer(management, "600200000001", authenticated=True) == "2002"
    management.events()
    ask(management, "6c00")
    assert answer(management, "600200000002", authenticated=True) == "2002"
    assert management.events() == [ModeChanged(4, True)], "the application is offline"
    assert table.value(0) == b"\x00\x02"


def test_self_identification_is_read_in_pieces() -> None:
    management = server()
    whole = variables().self_identification()
    pieces = b""
    while len(pieces) < len(whole):
        count = min(7, len(whole) - len(pieces))
        response = ask(management, b"\x72" + len(pieces).to_bytes(2, "big") + bytes((count,))).response
        assert response is not None
        pieces += response[1:]
    assert pieces == whole


def test_descriptors_tell_what_variables_are() -> None:
    management = server()
    response = ask(management, "7004000001").response
    assert response is not None
    value = decode_response(bytes.fromhex("7004000001"), response)
    assert isinstance(value, VariableDescriptor)
    assert (value.length.length, value.length.origin, value.defaults.output, value.type_index) == (1, 1, 1, 95)
    assert (value.extended.rate_available, value.extended.documentation_available) == (1, 1)
    wide = server(variables=VariableTable([NetworkVariable("nvoWide", size=40, output=True)]))
    response = ask(wide, "7004000000").response
    assert response is not None
    assert isinstance(read := decode_response(bytes.fromhex("7004000000"), response), VariableDescriptor)
    assert read.length.length == 0, "five bits cannot say 40"


def test_a_value_too_long_for_an_answer_is_refused() -> None:
    management = server(variables=VariableTable([NetworkVariable("nvoLong", size=226, output=True)]))
    assert len(answer(management, "7300")) == 2 * 228
    assert answer(management, "73ff0000") == "13"


def test_a_node_without_variables_refuses_what_is_about_them() -> None:
    management = Management(configuration())
    for apdu in ("6800", "6b00810d07", "72000001", "7300", "7004000000", "7004020000"):
        assert answer(management, apdu) == f"{failure_code(int(apdu[:2], 16)):02x}"
    for apdu in ("600200000001", "60110000810d0700", "60120000", "60130000810d070000", "60140000"):
        assert answer(management, apdu) == f"00{apdu[2:4]}"
    assert answer(management, "600f00") == "200f"
    assert answer(management, "70050300000a") == "3000"
    assert answer(management, "7007000003") == "30ff0000"


def test_wink_works_by_any_service() -> None:
    for service in (Service.ACKD, Service.UNACKD, Service.UNACKD_RPT, Service.REQUEST):
        management = server()
        outcome = ask(management, "70", service=int(service))
        assert outcome == (Outcome(b"\x30") if service == Service.REQUEST else Outcome())
        assert management.events() == [Winked()]


@pytest.mark.parametrize("row", [row[0] for row in PLAIN])
def test_only_requests_are_answered(row: str) -> None:
    outcome = ask(server(), row, service=ACKD)
    assert outcome == Outcome()


def test_a_service_pin_is_an_event() -> None:
    management = server()
    assert ask(management, FRAMES["service-pin"]["apdu"], service=int(Service.UNACKD)) == Outcome()
    assert management.events() == [ServicePinReceived(bytes.fromhex("0700000000a1"), b"OSGPDEV1")]


def test_the_product_is_told_if_there_is_one() -> None:
    product = ProductResponse(product=9, model=2, version=1)
    management = server(configuration(allow=False), product=product)
    assert answer(management, "7d0101") == "3d0902010000"
    assert answer(management, "7d0102") == "1d"


ROUTER = ["7401", "7580", "76010102030405060708", "770005", "780005", "790005", "7a0005", "7b00", "7c", "7e7c"]


@pytest.mark.parametrize("apdu", ROUTER)
def test_the_router_answers_for_itself(apdu: str) -> None:
    router = RouterDouble(b"\x3b\x01")
    assert answer(server(router=router), apdu) == "3b01"
    assert ask(server(router=router), apdu, service=ACKD) == Outcome()
    assert router.asked == [bytes.fromhex(apdu)] * 2
    assert answer(server(router=RouterDouble(None)), apdu) == "null"
    assert answer(server(), apdu) == f"{failure_code(int(apdu[:2], 16)):02x}"


def test_what_is_announced_reaches_the_carrier() -> None:
    carrier = Carrier()
    management = server(address_map=carrier, ip_address=bytes((10, 73, 1, 20)))
    assert answer(management, "6015") == "2015"
    assert answer(management, "601601" + "60" + "00" * 31) == "2016"
    assert carrier.subnets == {1: True, 2: True}
    assert answer(management, "601600" + "20" + "00" * 31) == "2016"
    assert carrier.subnets == {1: True, 2: False}
    assert answer(management, "601602" + "00" * 32) == "0016"
    assert answer(management, "601601" + "00" * 32, domain=b"abcdef") == "0016"
    assert answer(management, "60170000003c000500000e10") == "2017"
    assert carrier.age_s == 3600
    assert answer(management, "6018") == "20180000003c00000e10"
    assert answer(management, "6019") == "20190a490114"


def test_refusals_are_events_without_keys_and_counted() -> None:
    management = server(configuration(allow=False))
    ask(management, "6500" + KEY.hex())
    ask(management, "63")
    ask(management, "6a09")
    ask(management, "51")
    events = management.events()
    assert [type(event) for event in events] == [Dropped] * 3
    assert not any(KEY[:3] in event.data for event in events if isinstance(event, Dropped))
    counters = management.counters
    assert (counters.forbidden, counters.malformed, counters.refused, counters.served) == (2, 0, 1, 1)
    assert management.events() == []


@settings(max_examples=300)
@given(st.lists(st.binary(min_size=1, max_size=24), max_size=6), st.booleans(), st.sampled_from(list(NodeState)))
def test_no_bytes_break_the_server(tails: list[bytes], allow: bool, state: int) -> None:
    management = server(configuration(state=state, allow=allow), router=RouterDouble(), address_map=Carrier())
    for raw in tails:
        for apdu in (raw, bytes((0x50 | raw[0] & 0x2F,)) + raw[1:], b"\x60" + raw):
            outcome = ask(management, apdu)
            assert outcome.forward or outcome.null or (outcome.response and len(outcome.response) <= 228)
    management.configuration.memberships()
    management.configuration.groups()


def test_refusals_read_as_refusals() -> None:
    response = ask(server(), "6a09").response
    assert response is not None
    assert isinstance(decode_response(0x6A, response), Refusal)
