"""Paths: the names by which data are asked for.

``tot_data_block.summations[0]``, ``[2:4]``, ``blocks[-1].intervals[0:8]``. Names in any case, ours or the standard's
(``TOT_DATA_BLOCK``). The grammar is a project choice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from osgp.wire.errors import ConfigError

__all__ = ["Part", "format_path", "parse_path"]

Part = str | int | slice

_TOKEN = re.compile(r"\s*(?:(\.)?([A-Za-z_][A-Za-z0-9_]*)|\[\s*(-?\d{1,9}|)\s*(?:(:)\s*(-?\d{1,9}|)\s*)?\])")


def parse_path(text: str) -> tuple[Part, ...]:
    """The parts of a path: lower-case names, indexes, slices. Raises ConfigError with the place that is wrong."""
    parts: list[Part] = []
    place = 0
    text = text.strip().removeprefix(".")
    while place < len(text):
        found = _TOKEN.match(text, place)
        named = found is not None and found[2] is not None
        if found is None or (named and bool(parts) != bool(found[1])) or not (named or found[3] or found[4]):
            raise ConfigError(
                f"cannot read the path {text!r} from position {place} on",
                hint="a path looks like BT23.tot_data_block.summations[0], BT28[2:4] or BT64[-96:]",
            )
        if named:
            parts.append(found[2].lower())
        elif found[4]:
            parts.append(slice(int(found[3]) if found[3] else None, int(found[5]) if found[5] else None))
        else:
            parts.append(int(found[3]))
        place = found.end()
    return tuple(parts)


def format_path(parts: Sequence[Part]) -> str:
    """The text of parts; the inverse of ``parse_path``."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += f".{part}" if text else part
        elif isinstance(part, slice):
            start = "" if part.start is None else part.start
            stop = "" if part.stop is None else part.stop
            text += f"[{start}:{stop}]"
        else:
            text += f"[{part}]"
    return text
