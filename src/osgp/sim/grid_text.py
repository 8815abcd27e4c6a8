"""Grid files: TOML to description and back, with file, line and hint in each refusal. Project choice.

::

    [grid]
    name = "Elm Street"

    [[branch]]
    name = "F1-1"
    start = "transformer"
    end = "J1"
    length_m = 45

    [[node]]
    name = "12"
    at = "J1"
    phase = "L2"
    loads = ["dimmer"]

    [[noise]]
    name = "sign"
    at = "J1"
    kind = "tone"
    frequency_hz = 86500
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from osgp.sim.channel_text import Text, toml_value
from osgp.sim.grid_description import (
    CABLES,
    TRANSFORMER,
    Branch,
    Cable,
    GridDescription,
    GridSettings,
    Node,
    NoiseSource,
)
from osgp.wire.errors import ConfigError

__all__ = ["MOST_PLACES", "load_description", "parse_grid", "write_grid"]

MOST_PLACES = 2500
"""Points and nodes that a grid may have: its matrices grow with the square."""
_TABLES: dict[str, Any] = {"cable": Cable, "branch": Branch, "node": Node, "noise": NoiseSource}


def load_description(path: str | Path) -> GridDescription:
    """Read a grid file. Raises ConfigError with file, line and hint."""
    try:
        content = Path(path).read_text("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: byte {error.object[error.start]:02X} is no text in UTF-8", hint="save the file as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(
            f"{path} cannot be read: {reason}", hint="`osgp grid new suburban -o FILE` makes one"
        ) from error
    return parse_grid(content, str(path))


def parse_grid(content: str, where: str = "grid") -> GridDescription:
    """A description from the text of a grid file; ``where`` names it in messages. Raises ConfigError with file, line and hint."""
    text = Text(content, where)
    text.only({"grid", *_TABLES})
    settings: GridSettings = text.read(GridSettings, text.table("grid"), table="grid")
    parts: dict[str, tuple[Any, ...]] = {}
    for name, cls in _TABLES.items():
        tables = text.tables(name)
        parts[name] = tuple(text.read(cls, values, table=name, index=place) for place, values in enumerate(tables))
    found = GridDescription(settings, parts["cable"], parts["branch"], parts["node"], parts["noise"])
    _check(found, text)
    return found


def _check(found: GridDescription, text: Text) -> None:
    """What single tables cannot know: names that are taken, missing or unknown. Raises ConfigError."""
    if not found.nodes:
        raise text.error("a grid without nodes", hint="add a table [[node]] with name and at")
    if len(found.points) + len(found.nodes) > MOST_PLACES:
        raise text.error(f"more than {MOST_PLACES} points and nodes", hint="one transformer area per file")
    points = set(found.points)
    cables = {each.name for each in found.cables} | set(CABLES)
    taken: dict[str, str] = {}
    runs: tuple[tuple[str, tuple[Any, ...]], ...] = (("branch", found.branches), ("node", found.nodes))
    for table, rows in runs:
        for place, row in enumerate(rows):
            if row.name in taken:
                raise text.error(
                    f"{row.name!r} names a {taken[row.name]} already", table=table, index=place, key="name",
                    hint="branches and nodes need different names: each can be cut by its name",
                )  # fmt: skip
            taken[row.name] = table
            if row.cable not in cables:
                raise text.error(
                    f"{table} {row.name}: no cable is called {row.cable!r}", table=table, index=place, key="cable",
                    hint=f"known: {', '.join(sorted(cables))}; another needs a table [[cable]]",
                )  # fmt: skip
    more: tuple[tuple[str, tuple[Any, ...]], ...] = (("cable", found.cables), ("noise", found.noises))
    for table, rows in more:
        seen: set[str] = set()
        for place, row in enumerate(rows):
            if row.name in seen:
                raise text.error(f"there are two {table}s {row.name!r}", table=table, index=place, key="name",
                                 hint="each needs a name of its own")  # fmt: skip
            seen.add(row.name)
    identities: dict[str, str] = {}
    for place, node in enumerate(found.nodes):
        if node.at not in points:
            raise text.error(
                f"node {node.name} is at {node.at!r}, which no branch touches", table="node", index=place, key="at",
                hint=f"a point where a branch starts or ends, or {TRANSFORMER!r}",
            )  # fmt: skip
        identity = node.unique_node_id.upper()
        if identity and identity in identities:
            raise text.error(
                f"nodes {identities[identity]} and {node.name} have the same unique node ID", table="node",
                index=place, key="unique_node_id", hint="no two devices share one",
            )  # fmt: skip
        identities[identity] = node.name
        if node.name in points:
            raise text.error(
                f"{node.name!r} is a node and a point", table="node", index=place, key="name",
                hint="call one of them otherwise",
            )  # fmt: skip
    places = points | {node.name for node in found.nodes}
    for place, noise in enumerate(found.noises):
        if noise.at not in places:
            raise text.error(
                f"noise {noise.name} is at {noise.at!r}, which is no node and no point", table="noise", index=place,
                key="at", hint="the name of a node, or a point where a branch starts or ends",
            )  # fmt: skip


def write_grid(description: GridDescription, comment: str = "") -> str:
    """The text of a grid file; what has its default is left out. ``parse_grid`` gives the description again."""
    lines = [f"# {row}".rstrip() for row in comment.splitlines()]
    lines += ["[grid]", *_changed(description.settings)]
    for table, rows in (
        ("cable", description.cables),
        ("branch", description.branches),
        ("node", description.nodes),
        ("noise", description.noises),
    ):
        for row in rows:
            lines += ["", f"[[{table}]]", *_changed(row)]
    return "\n".join(lines) + "\n"


def _changed(row: Any) -> list[str]:
    return [
        f"{each.name} = {toml_value(getattr(row, each.name))}"
        for each in dataclasses.fields(row)
        if each.default is dataclasses.MISSING or getattr(row, each.name) != each.default
    ]
