"""Ways that somebody wrote down: ``[[topology.ways]]`` of a concentrator's configuration. With them nothing is looked for.

``device`` and what is in ``via`` and ``backup`` are unique_node_ids; ``via`` names the repeaters from the concentrator on, none for
a device that is heard directly. ``NODE/alternate`` is a leg to that node on the alternate carrier; ``alternate`` and
``backup_alternate`` say so of the last legs. Project choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from osgp.concentrator.routes import MAX_LEGS, Path, Step
from osgp.wire.errors import ConfigError

__all__ = ["StaticWays", "static_ways"]

_KEYS = ("device", "via", "backup", "alternate", "backup_alternate")
_HEAD = re.compile(r"\s*\[\[\s*topology\s*\.\s*ways\s*\]\]")
_TABLE = re.compile(r"\s*\[")


@dataclass(frozen=True, slots=True)
class StaticWays:
    """The way to each device, and a backup for some."""

    ways: Mapping[bytes, Path]
    backups: Mapping[bytes, Path] = field(default_factory=dict)


def static_ways(given: Mapping[str, Any], text: str) -> StaticWays | None:
    """Ways of a configuration's ``[topology]``, None without any. ``text``: the whole of it, for the numbers of lines in errors.

    Raises ConfigError, with the line and what to do.
    """
    for name in given:
        if name != "ways":
            raise ConfigError(f"the configuration has no topology.{name}", hint="known: ways, as [[topology.ways]]")
    entries = given.get("ways")
    if not entries:
        return None
    if not isinstance(entries, list) or not all(isinstance(each, Mapping) for each in entries):
        raise ConfigError("topology.ways are tables", hint="[[topology.ways]] and lines below, once for each device")
    read = [_Entry(each, number, text) for number, each in enumerate(entries)]
    ways: dict[bytes, Path] = {}
    backups: dict[bytes, Path] = {}
    for entry in read:
        device = entry.device()
        if device in ways:
            entry.wrong("device", f"{device.hex()} has a way already", "one [[topology.ways]] for each device")
        ways[device] = entry.path(device, "via", "alternate")
        if "backup" in entry.given:
            backups[device] = entry.path(device, "backup", "backup_alternate")
    _check_repeaters(read, ways, backups)
    return StaticWays(ways, backups)


def _check_repeaters(read: list[_Entry], ways: Mapping[bytes, Path], backups: Mapping[bytes, Path]) -> None:
    """A repeater must have been commissioned before it passes anything on: by a way of its own that does not wait for itself."""
    for entry, device in zip(read, ways):
        for name, path in (("via", ways[device]), ("backup", backups.get(device, ()))):
            for step in path[:-1]:
                if step.node not in ways:
                    entry.wrong(
                        name, f"{step.node.hex()} repeats, and has no way itself", "add [[topology.ways]] for it"
                    )
    open_: set[bytes] = set()
    while found := {
        device for device, path in ways.items() if device not in open_ and all(s.node in open_ for s in path[:-1])
    }:
        open_ |= found
    for entry, device in zip(read, ways):
        if device not in open_:
            entry.wrong(
                "via",
                f"{device.hex()} waits for a repeater that waits for it",
                "begin with a device that is heard directly: via = []",
            )


class _Entry:
    """One ``[[topology.ways]]``."""

    def __init__(self, given: Mapping[str, Any], number: int, text: str) -> None:
        self.given = given
        self.number = number
        self.text = text
        for name in given:
            if name not in _KEYS:
                self.wrong(name, f"the configuration has no topology.ways.{name}", f"known: {', '.join(_KEYS)}")

    def wrong(self, name: str, what: str, hint: str) -> NoReturn:
        """Raise ConfigError, with the line where ``name`` stands."""
        line = self._line(name)
        place = f"line {line}: " if line else f"topology.ways, entry {self.number + 1}: "
        raise ConfigError(place + what, hint=hint)

    def _line(self, name: str) -> int:
        """Of a key of this entry, else of its head; 0 if it is written in another form."""
        lines = self.text.splitlines()
        heads = [number for number, line in enumerate(lines, 1) if _HEAD.match(line)]
        if self.number >= len(heads):
            return 0
        head = heads[self.number]
        for number, line in enumerate(lines[head:], head + 1):
            if _TABLE.match(line):
                break
            if line.partition("=")[0].strip() == name:
                return number
        return head

    def device(self) -> bytes:
        return self._node("device", self.given.get("device"))

    def path(self, device: bytes, name: str, last: str) -> Path:
        """The legs of a way."""
        given = self.given.get(name, [])
        if not isinstance(given, list):
            self.wrong(
                name, f"{name} is a list of unique_node_ids, not {given!r:.40}", f'{name} = ["050102030405"], or []'
            )
        alternate = self.given.get(last, False)
        if type(alternate) is not bool:
            self.wrong(
                last,
                f"{last} is true or false, not {alternate!r:.40}",
                "whether the last leg is on the alternate carrier",
            )
        steps = []
        for each in given:
            place, slash, carrier = str(each).partition("/")
            if slash and carrier != "alternate":
                self.wrong(name, f"{each!r:.40} names no carrier", "NODE, or NODE/alternate")
            steps.append(Step(self._node(name, place), bool(slash)))
        nodes = [step.node for step in steps]
        if len(steps) >= MAX_LEGS:
            self.wrong(name, f"{len(steps)} repeaters are too many", f"at most {MAX_LEGS - 1}")
        if device in nodes or len(set(nodes)) < len(nodes):
            self.wrong(
                name,
                f"the way to {device.hex()} goes in a circle",
                "each node once, the device itself last and unnamed",
            )
        return (*steps, Step(device, alternate))

    def _node(self, name: str, value: Any) -> bytes:
        try:
            found = bytes.fromhex(value)
        except (TypeError, ValueError):
            found = b""
        if len(found) != 6:
            self.wrong(
                name, f"{value!r:.40} is no unique_node_id", "12 hex digits, as printed on the device: 050102030405"
            )
        return found
