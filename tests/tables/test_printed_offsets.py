"""The compiled layouts put every field where the guides print it.

The vectors are the printed offsets (element 0 of arrays), evaluated once for two sets of dimensions. Not among them: fields
whose place depends on bytes of their own table (BT00 after the masks, ET36, ET42 after its fixed part, ET52's list), and the
insides of tables that are embedded in others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osgp.tables.registry import table
from osgp.wire import Context, Firmware, Unresolved, layout_of
from osgp.wire.errors import ConfigError

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "tables" / "printed_offsets.json").read_text(encoding="utf-8")
)

SIZED_BY_THEIR_OWN_BYTES = {"BT00", "BT07", "BT08", "ET36", "ET42", "ET45", "ET52", "ET53", "ET59", "ET85"}


@pytest.mark.parametrize("given", VECTORS["sets"], ids=lambda each: each["name"])
def test_fields_stand_where_the_guides_print_them(given: dict[str, Any]) -> None:
    context = Context(overrides=given["overrides"], firmware=Firmware.parse(given["firmware"]), env=given["env"])
    wrong: list[str] = []
    compared = 0
    for name, fields in given["offsets"].items():
        layout = layout_of(table(name), context)
        for path, printed in fields.items():
            try:
                offset = layout.span(path).offset
            except Unresolved:
                assert name in SIZED_BY_THEIR_OWN_BYTES
                continue
            except ConfigError as error:
                # Not with these dimensions or this firmware; a wrong name would be another message.
                if "is absent with these dimensions" not in str(error) and "has 0 entries" not in str(error):
                    wrong.append(str(error))
                continue
            compared += 1
            if offset != printed:
                wrong.append(f"{name}.{path}: printed {printed}, compiled {offset}")
    assert not wrong
    assert compared > 700
