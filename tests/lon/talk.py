"""Nodes on a line without loss, in virtual time, with everything that they said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import AddressEntry, AddressKind, AddressPlace, DomainEntry, NodeState, Timers
from osgp.lon.events import Event, MessageReceived
from osgp.node.stack import Stack

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "iso14908_1" / "frames.json").read_text("utf-8")
)
BY_NAME = {vector["name"]: vector for vector in VECTORS}
DOMAIN = b"\x49"
KEY = bytes.fromhex("0123456789ab")
OTHER_KEY = bytes.fromhex("a0a1a2a3a4a5")


def of_kind(kind: str) -> list[dict[str, Any]]:
    """The vectors of one kind."""
    return [vector for vector in VECTORS if vector["fields"]["kind"] == kind]


def group_entry(group: int, member: int, size: int = 10, *, receive_timer: int = 12, domain: int = 0) -> AddressEntry:
    """An address-table entry that joins a group."""
    return AddressEntry(
        kind=AddressKind(group=1, kind=size),
        place=AddressPlace(number=member, domain_index=domain),
        timers=Timers(transmit_timer=9, receive_timer=receive_timer),
        number=group,
    )


def configuration(
    subnet: int, node: int, *groups: AddressEntry, key: bytes = KEY, domain: bytes = DOMAIN, **more: Any
) -> Configuration:
    """A configured node 1/2 … with the unique node ID 07000000 and its address."""
    found = Configuration(
        bytes((7, 0, 0, 0, subnet, node)),
        domains=[domain_entry(domain, subnet, node, key, **more), DomainEntry(key=OTHER_KEY)],
        state=NodeState.CONFIGURED,
    )
    for place, entry in enumerate(groups):
        found.addresses[place] = entry
    found.changed()
    return found


def fresh(unique_node_id: str = "0700000000b2", **more: Any) -> Stack:
    """A node that nobody has configured."""
    return Stack(Configuration(bytes.fromhex(unique_node_id)), quiet_s=0, **more)


def node(subnet: int, number: int, *groups: AddressEntry, key: bytes = KEY, **more: Any) -> Stack:
    """A configured stack that may speak at once."""
    return Stack(configuration(subnet, number, *groups, key=key), quiet_s=0, **more)


class Talk:
    """``frames``: (seconds, sender's place, LPDU in hex). ``answers``: what a node's application responds with."""

    def __init__(self, *nodes: Stack, hears: Callable[[Stack, Stack, bytes], bool] | None = None) -> None:
        self.nodes = list(nodes)
        self.now = 0.0
        self.frames: list[tuple[float, int, str]] = []
        self.happened: dict[Stack, list[Event]] = {each: [] for each in nodes}
        self.answers: dict[Stack, Callable[[MessageReceived], bytes | None]] = {}
        self._hears = hears

    @property
    def spoken(self) -> list[str]:
        """All frames so far."""
        return [frame for _, _, frame in self.frames]

    def settle(self) -> None:
        """Let everything that is to be said now be said."""
        moved = True
        while moved:
            moved = False
            for place, sender in enumerate(self.nodes):
                for packet in sender.outgoing(self.now):
                    moved = True
                    frame = packet.lpdu()
                    self.frames.append((self.now, place, frame.hex()))
                    for other in self.nodes:
                        if other is not sender and (self._hears is None or self._hears(sender, other, frame)):
                            other.receive_frame(frame, self.now)
            for each in self.nodes:
                moved |= self._listen(each)

    def _listen(self, each: Stack) -> bool:
        events = each.events()
        self.happened[each].extend(events)
        for event in events:
            answer = self.answers.get(each)
            if isinstance(event, MessageReceived) and event.reply is not None and answer is not None:
                each.respond(event.reply, answer(event), self.now)
        return bool(events)

    def until(self, end: float) -> None:
        """Go on to ``end``, timers included."""
        while True:
            self.settle()
            due = [moment for each in self.nodes if (moment := each.deadline()) is not None]
            if not due or min(due) > end:
                self.now = end
                return
            self.now = max(self.now, min(due))
            for each in self.nodes:
                moment = each.deadline()
                if moment is not None and moment <= self.now:
                    each.wake(self.now)

    def tell(self, each: Stack, kinds: type | tuple[type, ...]) -> list[Any]:
        """What happened to a node, of some kinds."""
        return [event for event in self.happened[each] if isinstance(event, kinds)]


def hexes(frames: Iterable[bytes]) -> list[str]:
    """Frames as the vectors write them."""
    return [frame.hex() for frame in frames]
