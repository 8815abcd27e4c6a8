"""Network management that writes, through real frames: refused once a node is commissioned, unless allowed or authenticated."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.address import Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.apdu import failure_code, success_code
from osgp.lon.commands import COMMANDS, Command
from osgp.lon.configuration import Configuration
from osgp.lon.events import ResponseReceived
from osgp.lon.transport import Options
from osgp.lon.variables import NetworkVariable, VariableTable
from osgp.node.stack import Stack
from osgp.wire.jsonform import to_json
from tests.lon.line import Line
from tests.lon.talk import KEY, configuration, group_entry, node

ENTRY = bytes.fromhex("4a0000000000 02 a1 01 a1a2a3a4a5a6")
GROUP = bytes.fromhex("850333e905")
REQUESTS: dict[tuple[int, int | None], bytes] = {
    (0x63, None): b"\x01" + ENTRY,
    (0x64, None): b"\x00",
    (0x65, None): b"\x00" + bytes(range(1, 7)),
    (0x66, None): b"\x02" + GROUP,
    (0x69, None): bytes.fromhex("8a0033c505"),
    (0x6B, None): b"\x00\x01\x23\x0f",
    (0x6C, None): b"\x03\x02",
    (0x6E, None): bytes.fromhex("02 0002 06 04") + b"CELLAR",
    (0x60, 0x02): bytes.fromhex("0000 1234"),
    (0x60, 0x07): b"\x01" + ENTRY[:9],
    (0x60, 0x0A): b"\x00" + bytes(range(12)),
    (0x60, 0x0F): b"\x00",
    (0x60, 0x11): bytes.fromhex("0000 012f 0f 00"),
    (0x60, 0x13): bytes.fromhex("0000 012f 0f 0000"),
}
"""A good request for each writing command of the tables; others are sent with bytes of no meaning."""
WRITING = [row for row in COMMANDS.values() if row.writes]


def image(found: Configuration, variables: VariableTable) -> Any:
    """Everything that network management could have changed."""
    return copy.deepcopy(
        (
            [to_json(entry) for entry in found.domains],
            [entry and to_json(entry) for entry in found.addresses],
            to_json(found.block),
            found.state,
            found.soft_offline,
            [entry and to_json(entry) for entry in map(variables.config, range(2))],
            [variables.value(index) for index in range(2)],
            repr(variables.alias(0)),
        )
    )


class Commissioned:
    """A tool and a node that is commissioned, on a line."""

    def __init__(self, *, key: bytes = KEY, tool_key: bytes = KEY, allowed: bool = False) -> None:
        found = configuration(1, 20, group_entry(5, 2), key=key)
        found.allow_management_writes = allowed
        self.variables = VariableTable(
            [NetworkVariable("nviX", size=2), NetworkVariable("nvoX", size=2, output=True)], aliases=1
        )
        self.node = Stack(found, variables=self.variables, quiet_s=0, token=random.Random(1).randbytes)
        self.tool = node(1, 10, key=tool_key)
        self.responses: list[bytes] = []
        self.line = Line(self.tool, self.node, hear=self.hear)

    def hear(self, place: int, event: Any) -> None:
        if isinstance(event, ResponseReceived):
            self.responses.append(event.apdu)

    def image(self) -> Any:
        return image(self.node.configuration, self.variables)

    def ask(self, apdu: bytes, *, authenticated: bool = False, by_id: bool = False) -> bytes:
        """The response, no bytes without one."""
        self.responses.clear()
        destination: Destination = SubnetNode(1, 20)
        if by_id:
            destination = UniqueNodeId(self.node.configuration.unique_node_id)
        elif apdu[0] == 0x69:
            destination = Group(5, 2)  # the group's own entry is what it updates
        self.tool.request(destination, apdu, self.line.now, Options(authenticated=authenticated, retry=1))
        self.line.settle(40.0)
        return self.responses[0] if self.responses else b""


def request_of(row: Command) -> bytes:
    head = bytes((row.code,)) if row.subcommand is None else bytes((row.code, row.subcommand))
    return head + REQUESTS.get((row.code, row.subcommand), b"\x01" * 8)


def named(row: Command) -> str:
    return row.name


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize("row", WRITING, ids=named)
def test_what_writes_is_refused_after_commissioning(row: Command, by_id: bool) -> None:
    there = Commissioned()
    before = there.image()
    assert there.ask(request_of(row), by_id=by_id)[:1] == bytes((failure_code(row.code),))
    assert there.image() == before


@pytest.mark.parametrize("row", [row for row in WRITING if (row.code, row.subcommand) in REQUESTS], ids=named)
@pytest.mark.parametrize("how", ["allowed", "authenticated"])
def test_the_same_is_done_for_those_who_may(row: Command, how: str) -> None:
    there = Commissioned(allowed=how == "allowed")
    before = there.image()
    response = there.ask(request_of(row), authenticated=how == "authenticated")
    # Who leaves the domain in which it was told so answers nobody there.
    assert response[:1] == (b"" if row.code == 0x64 else bytes((success_code(row.code),)))
    assert there.image() != before


@pytest.mark.parametrize("row", WRITING, ids=named)
def test_a_wrong_key_and_the_key_of_zeros_open_nothing(row: Command) -> None:
    for key, tool_key in ((KEY, bytes(6)), (bytes(6), bytes(6))):
        there = Commissioned(key=key, tool_key=tool_key)
        before = there.image()
        assert there.ask(request_of(row), authenticated=True)[:1] == bytes((failure_code(row.code),))
        assert there.image() == before


@given(data=st.binary(max_size=24), row=st.sampled_from(WRITING), service=st.sampled_from((0, 1, 3)))
def test_no_bytes_and_no_service_write(data: bytes, row: Command, service: int) -> None:
    """As acknowledged, request or plain message, from forged senders too."""
    there = Commissioned()
    before = there.image()
    head = bytes((row.code,)) if row.subcommand is None else bytes((row.code, row.subcommand))
    header = b"" if service == 3 else b"\x05"
    if row.code != 0x6C or data[:1] in (b"\x03", b"\x04"):
        there.line.say(bytes((0x01, service << 4 | 0x09, 9, 0x89, 1, 0x94)) + b"\x49" + header + head + data)
        there.line.settle(40.0)
    assert there.image() == before


def test_before_commissioning_everybody_may() -> None:
    there = Commissioned()
    there.node.configuration.state = 2
    there.node.configuration.changed()
    assert there.ask(request_of(COMMANDS[0x63, None]), by_id=True) == bytes((success_code(0x63),))
    assert there.node.configuration.domains[1].encode() == ENTRY
