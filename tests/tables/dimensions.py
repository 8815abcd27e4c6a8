"""Random but possible dimensions for every table: a context in which all layouts compile."""

from __future__ import annotations

import random

from osgp.tables.registry import all_tables
from osgp.wire import Context, Firmware, dependencies, layout_of
from osgp.wire.struct import Struct

LIMIT = 6
"""No count above this, so that tables stay small."""


def random_context(rng: random.Random) -> Context:
    """Dimension tables filled with small random numbers, in the order in which they depend on each other."""
    firmware = rng.choice([None, Firmware(2, 13), Firmware(3, 50), Firmware(3, 82), Firmware(4, 0), Firmware(4, 30)])
    context = Context(firmware=firmware, env={"lp_sets": rng.choice([1, 4]), "ln_log_mask_len": rng.randrange(3)})
    needed: dict[type[Struct], None] = {}

    def add(struct: type[Struct]) -> None:
        for one in sorted(dependencies(struct), key=lambda each: each.__name__):
            add(one)
            needed[one] = None

    for table in all_tables():
        add(table)
    for struct in needed:
        layout = layout_of(struct, context)
        size = layout.size
        if size is None:
            raw = bytes(rng.randrange(LIMIT) for _ in range(400))
            value = layout.decode(raw)
            value._rest = b""
            raw = layout.encode(value)
        else:
            mixed = bytearray(rng.randrange(LIMIT) for _ in range(size))
            for _, node in layout.explain(bytes(mixed)).walk():
                if node.raw and node.type.startswith(("uint", "int")):
                    mixed[node.offset + 1 : node.offset + node.size] = bytes(node.size - 1)
            raw = bytes(mixed)
        context = context.with_table(struct, raw)
    return context
