"""One piece of a capture in words: what every door's ``explain`` gives for a frame, a packet or a run of noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from osgp.wire.explain import ExplainNode

__all__ = ["CapturedPiece"]


@dataclass(slots=True)
class CapturedPiece:
    """``offset``: where in the capture it began; ``ok``: nothing is wrong with it; ``raw``: its bytes, secrets replaced.

    ``fields``: what it says; ``tree``: every field with bit offsets from its own start. ``door`` is set by each door.
    """

    door: ClassVar[str] = ""
    offset: int
    raw: bytes
    direction: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    tree: ExplainNode | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.error

    def to_json(self, *, tree: bool = False) -> dict[str, Any]:
        """``{door, direction, fields, ok, error, offset, raw}``, with ``explain`` if ``tree``."""
        answer: dict[str, Any] = {
            "door": self.door,
            "direction": self.direction,
            "fields": self.fields,
            "ok": self.ok,
            "error": self.error,
            "offset": self.offset,
            "raw": self.raw.hex(),
        }
        if tree and self.tree is not None:
            answer["explain"] = self.tree.to_json()
        return answer
