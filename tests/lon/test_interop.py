"""Conversations that were held with lon-stack-dx over UDP, held again in virtual time: our node says the same, byte for byte.

``tests/vectors/iso14908_1/talked/interop.json``: datagrams as our node saw them, what it was told to do, and how that ended.
``in`` and ``out`` are datagrams with the other side's IP address, ``lost`` one that never reached us; ``t`` is in seconds. ``dx``
is what lon-stack-dx told its own application.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.apdu import failure_code, success_code
from osgp.lon.commands import decode_response, is_command
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import AddressEntry, NvEntry
from osgp.lon.events import MessageReceived, ResponseReceived, TransactionCompleted, TransactionFailed
from osgp.lon.lonip import LonIp
from osgp.lon.lonip_map import PORT, ipv4_octets
from osgp.lon.ltep import Service
from osgp.lon.proxy import Hop
from osgp.lon.transport import Options
from osgp.lon.variables import NetworkVariable, VariableTable
from osgp.node.stack import ChainOptions, Stack
from osgp.wire.errors import Truncated

_RECORDED = json.loads(
    (Path(__file__).parent.parent / "vectors" / "iso14908_1" / "talked" / "interop.json").read_text("utf-8")
)["conversations"]
CONVERSATIONS: dict[str, dict[str, Any]] = {each["name"]: each for each in _RECORDED}
LATE_S = 0.02
"""How much later than in virtual time a live event loop came to its timers."""
ENDS = (TransactionCompleted, TransactionFailed)


def stack_of(conversation: dict[str, Any]) -> Stack:
    """Our node as it was."""
    spec = conversation["node"]
    made = Configuration(bytes.fromhex(spec["unique_node_id"]), program_id=b"OSGPDEV1")
    for index, (domain, subnet, number, key, authentication) in enumerate(spec["domains"]):
        entry = domain_entry(bytes.fromhex(domain), subnet, number, bytes.fromhex(key), authentication=authentication)
        made.join(index, entry)
    for index, entry in enumerate(spec.get("addresses", ())):
        made.addresses[index] = AddressEntry.decode(bytes.fromhex(entry))
    made.changed()
    made.allow_management_writes = spec.get("allow_management_writes", False)
    table = None
    if declared := spec.get("variables"):
        table = VariableTable(
            NetworkVariable(
                each["name"],
                size=2,
                output=each["output"],
                initial=bytes.fromhex(each["initial"]),
                authenticated=each.get("authenticated", False),
            )
            for each in declared
        )
        for index, each in enumerate(declared):
            table.set_config(index, NvEntry.decode(bytes.fromhex(each["entry"])))
    return Stack(made, variables=table, token=random.Random(conversation["name"]).randbytes, quiet_s=0.0)


def destination(text: str) -> Destination:
    word, *numbers = text.split()
    if word == "group":
        return Group(int(numbers[0]), int(numbers[1]))
    if word == "broadcast":
        return Broadcast(int(numbers[0]), int(numbers[1]))
    if "/" in word:
        return SubnetNode(*map(int, word.split("/")))
    return UniqueNodeId(bytes.fromhex(word), int(numbers[0]))


def answer(apdu: bytes) -> bytes:
    """What the application answers, on both sides."""
    return bytes((apdu[0] ^ 1,)) + apdu[1:] + b"\xee"


@dataclass
class Replay:
    """One conversation in virtual time."""

    stack: Stack
    carrier: LonIp
    said: list[tuple[float, str, str]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)

    def speak(self, now: float) -> None:
        while events := self.stack.events():
            for event in events:
                self.events.append(event)
                if isinstance(event, MessageReceived) and event.reply is not None:
                    self.stack.respond(event.reply, answer(event.apdu), now)
        for packet in self.stack.outgoing(now):
            datagram, endpoints = self.carrier.write(packet, now)
            self.said += [(now, datagram.hex(), endpoint[0]) for endpoint in endpoints]

    def until(self, now: float) -> None:
        while (due := self.stack.deadline()) is not None and due <= now:
            self.stack.wake(due)
            self.speak(due)

    def hear(self, step: dict[str, Any]) -> None:
        packet = self.carrier.read(bytes.fromhex(step["in"]), (step["ip"], PORT), step["t"])
        if packet is not None:
            self.stack.receive(packet, step["t"])

    def command(self, step: dict[str, Any]) -> int:
        """Do what our node was told; the handle."""
        now, options = step["t"], step.get("options", {})
        if "do" in step:
            index, *value = step["args"]
            (handle,) = getattr(self.stack, step["do"])(index, *map(bytes.fromhex, value), now)
            return int(handle)
        to, apdu = destination(step["to"]), bytes.fromhex(step.get("request") or step["send"])
        if "via" in step:
            hops = [Hop(int(subnet), int(number)) for subnet, number in (each.split("/") for each in step["via"])]
            options = {**options, "service": Service(options.get("service", Service.REQUEST))}
            chain = ChainOptions(source=Options(**step["source"]), **options)
            return self.stack.request_via(hops, to, apdu, now, chain)
        if "send" in step:
            return self.stack.send(to, apdu, now, Options(**options), service=Service(step["service"]))
        return self.stack.request(to, apdu, now, Options(**options))


def replay(conversation: dict[str, Any]) -> tuple[Replay, dict[int, dict[str, Any]]]:
    """Hold a conversation again; what was said and told, and the step of each handle."""
    stack = stack_of(conversation)
    own = conversation["own"]
    carrier = LonIp(own=own, home=lambda: stack.interests().memberships)
    stack.management.on_carrier(carrier.addresses, ipv4_octets(own), 0)
    held, begun = Replay(stack, carrier), {}
    for step in conversation["steps"]:
        held.until(step["t"])
        if "in" in step:
            held.hear(step)
        elif {"request", "send", "do"} & step.keys():
            begun[held.command(step)] = step
        held.speak(step["t"])
    held.until(conversation["steps"][-1]["t"] + 60)
    return held, begun


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_our_node_says_what_it_said_to_lon_stack_dx(name: str) -> None:
    conversation = CONVERSATIONS[name]
    held, _ = replay(conversation)
    recorded = [(each["t"], each["out"], each["ip"]) for each in conversation["steps"] if "out" in each]
    assert [(datagram, ip) for _, datagram, ip in held.said] == [(datagram, ip) for _, datagram, ip in recorded]
    assert all(0 <= live - virtual < LATE_S for (virtual, *_), (live, *_) in zip(held.said, recorded))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_each_request_ends_as_it_did_with_lon_stack_dx(name: str) -> None:
    held, begun = replay(CONVERSATIONS[name])
    ends = {event.handle: event for event in held.events if isinstance(event, ENDS)}
    assert set(ends) >= set(begun)
    for handle, step in begun.items():
        end = ends[handle]
        if isinstance(end, TransactionFailed):
            assert end.attempts == step["failed"], step
            assert end.hop == step.get("hop", 0), step
        elif "do" not in step:
            assert end.attempts == step["attempts"], step
        if step.get("responses"):
            responses = [
                event.apdu.hex()
                for event in held.events
                if isinstance(event, ResponseReceived) and event.handle == handle
            ]
            assert responses == step["responses"], step


def managed() -> list[tuple[bytes, bytes]]:
    """What we asked of the management of lon-stack-dx, with what it answered."""
    return [
        (bytes.fromhex(step["request"]), bytes.fromhex(response))
        for each in CONVERSATIONS.values()
        for step in each["steps"]
        if "request" in step and "via" not in step and is_command(int(step["request"][:2], 16))
        for response in step.get("responses", ())
    ]


# lon-stack-dx swaps success and failure in its generic answer: what it says when it has nothing to tell.
DONE = {"53", "6201", "6300", "6500", "6600", "6601", "6b00", "6c03", "6e02", "6f01"}
REFUSED = {"6008", "670e", "670f", "6a05", "7309", "7d01"}
ODD = {"6002": b"\x02", "6018": bytes(3), "7005": bytes.fromhex("020000000014") + b"DXDEVICE"}
"""Bytes too many: one in front of the echoed subcommand; numbers as they lie in its memory; an identity where a text was asked for."""


def test_what_lon_stack_dx_answers_is_what_our_layouts_say() -> None:
    done, refused, odd = set(), set(), {}
    for request, response in managed():
        name = request[:2].hex()
        if response[0] == failure_code(request[0]):
            done.add(name)
            assert len(response) == 1
            continue
        assert response[0] == success_code(request[0])
        try:
            read = decode_response(request, response)
        except Truncated:
            refused.add(name)
            assert len(response) == 1 + (request[0] == 0x60)
            continue
        assert read.encode() == response
        if read._rest:
            odd[name] = read._rest
    assert (done, refused, odd) == (DONE, REFUSED, ODD)
