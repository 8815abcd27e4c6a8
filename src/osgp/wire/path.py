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

_TOKEN = re.compile(r"\s*(?:\.?([A-Za-z_][A-Za-z0-9_]*)|\[\s*(-?\d*)\s*(?:(:)\s*(-?\d*)\s*)?\])")


def parse_path(text: str) -> tuple[Part, ...]:
    """The parts of a path: lower-case names, indexes, slices. Raises ConfigError with the place that is wrong."""
    parts: list[Part] = []
    place = 0
    text = text.strip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if not found or (found[1] is None and not found[3] and not found[2]):
            raise ConfigError(
                f"cannot read the path {text!r} from position {place} on",
                hint="a path looks like BT23.tot_data_block.summations[0], BT28[2:4] or BT64[-96:]",
            )
        if found[1] is not None:
            parts.append(found[1].lower())
        elif found[3]:
            parts.append(slice(int(found[2]) if found[2] else None, int(found[4]) if found[4] else None))
        else:
            parts.append(int(found[2]))
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
