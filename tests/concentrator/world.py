"""A line in virtual time with simulated meters and what asks them (``osgp.street.few``), the meters with a simple load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from osgp.node.meter import Meter
from osgp.street.few import Few, PlainDevice, PlainSealer, stack_at
from tests.node.meters import START, make

__all__ = ["PlainSealer", "TestDevice", "World", "stack_at"]


class TestDevice(PlainDevice):
    """A meter's tables behind a stack."""

    __test__ = False

    def __init__(self, node: int, meter: Meter) -> None:
        super().__init__(node, meter, START)


class World(Few):
    """One asker, some meters, a wire."""

    def __init__(self, count: int = 1, *, meter: Callable[[], Meter] = lambda: make("1ph"), **options: Any) -> None:
        super().__init__(count, meter=meter, start=START, **options)
