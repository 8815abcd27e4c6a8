"""What a declaration needs from outside its own bytes: other tables, firmware, named values, byte order.

A ``Context`` is immutable; ``with_table`` and ``with_values`` give a new one. Tables are held as raw bytes and decoded when
first asked for, so a context is cheap to carry and to compare. Overrides (``BT21.NBR_TIERS=4``) win over tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from osgp.wire.errors import DecodeError
from osgp.wire.expr import Declared
from osgp.wire.firmware import Firmware

__all__ = ["EMPTY", "Context", "MissingTable"]


class MissingTable(DecodeError):
    """A layout depends on a table that is not at hand; ``struct`` names it, ``field`` what is needed from it."""


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", text).lower()


class Context:
    """Outside values for layouts. ``env``: gen4, lp_sets, ln_log_mask_len … (see ``spec/tables.md``); defaults follow firmware."""

    __slots__ = ("_decoded", "_key", "_layouts", "env", "firmware", "order", "overrides", "raw")

    def __init__(
        self,
        tables: Mapping[Declared, bytes] | None = None,
        *,
        overrides: Mapping[str, int] | None = None,
        firmware: Firmware | None = None,
        env: Mapping[str, int] | None = None,
        order: str = "little",
    ) -> None:
        self.raw: dict[Declared, bytes] = dict(tables or {})
        self.overrides = {_plain(key): value for key, value in (overrides or {}).items()}
        self.firmware = firmware
        self.env = dict(env or {})
        self.order = order
        self._decoded: dict[Declared, Any] = {}
        self._layouts: dict[Declared, Any] = {}
        self._key = (tuple(sorted(self.overrides.items())), firmware, tuple(sorted(self.env.items())), order)

    @property
    def key(self) -> tuple[Any, ...]:
        """Everything but the tables, hashable."""
        return self._key

    def with_table(self, table: Declared, raw: bytes) -> Context:
        """The same context, knowing one more (or a newer) table."""
        return Context(
            {**self.raw, table: raw}, overrides=self.overrides, firmware=self.firmware, env=self.env, order=self.order
        )

    def with_values(self, *, firmware: Firmware | None = None, **env: int) -> Context:
        """The same context with another firmware or other named values."""
        return Context(
            self.raw,
            overrides=self.overrides,
            firmware=firmware or self.firmware,
            env={**self.env, **env},
            order=self.order,
        )

    def named(self, name: str) -> int:
        """A named outside value; gen4 and lp_sets have defaults that follow the firmware (project choice for lp_sets)."""
        if name in self.env:
            return self.env[name]
        override = self.overrides.get(f"env.{name}")
        if override is not None:
            return override
        if name == "gen4":
            return int(self.firmware is None or self.firmware.generation_4)
        if name == "lp_sets":
            return 1
        return 0

    def lookup(self, table: Declared, path: tuple[Any, ...]) -> int:
        """The integer at a path of another table. Raises MissingTable if neither table nor override is at hand.

        Where a table is known by overrides alone, its other fields count as 0 (project choice).
        """
        if self.overrides:
            text = table.__name__.lower()
            for part in path:
                text += f".{part}" if isinstance(part, str) else f"[{part}]"
            found = self.overrides.get(text.lower())
            if found is None:
                found = self.overrides.get(text.replace("[0]", "").lower())
            if found is not None:
                return found
            if table not in self.raw and any(key.startswith(f"{table.__name__.lower()}.") for key in self.overrides):
                return 0
        value = self.table(table)
        for part in path:
            if value is None:
                return 0
            if isinstance(part, str):
                value = getattr(value, part, None)
            else:
                value = value[part] if 0 <= part < len(value) else None
        if value is None:
            return 0
        return int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)

    def table(self, table: Declared) -> Any:
        """The decoded table. Raises MissingTable."""
        found = self._decoded.get(table)
        if found is None:
            raw = self.raw.get(table)
            if raw is None:
                raise MissingTable(
                    f"the layout depends on {table.__name__}, which is not at hand",
                    floor="tables",
                    struct=table.__name__,
                    hint=f"read {table.__name__} first, or give it as --image {table.__name__}=HEX or --dim {table.__name__}.FIELD=N",
                )
            found = self._decoded[table] = table.decode(raw, self)
        return found


EMPTY = Context()
"""No tables, newest firmware, least significant byte first."""
