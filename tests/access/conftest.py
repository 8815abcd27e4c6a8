"""``room``: one test, every maker of ``TableAccess``. ``rooms(name, key)``: one maker, opened with a key of choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from .doors import ALL, MEP, WITH_KEYS, Room, full_key
from .world import World


@pytest.fixture
def rooms() -> Iterator[Callable[..., Room]]:
    with ExitStack() as stack:

        def enter(name: str, key: str, world: World | None = None) -> Room:
            return stack.enter_context(ALL[name](world or World(), key))

        yield enter


@pytest.fixture(params=ALL)
def room(request: pytest.FixtureRequest, rooms: Callable[..., Room]) -> Room:
    return rooms(request.param, full_key(request.param))


@pytest.fixture(params=WITH_KEYS)
def door(request: pytest.FixtureRequest, rooms: Callable[..., Room]) -> Room:
    """Every maker with a device's server behind it."""
    return rooms(request.param, full_key(request.param))


@pytest.fixture(params=["direct", *MEP])
def mep(request: pytest.FixtureRequest, rooms: Callable[..., Room]) -> Room:
    return rooms(request.param, "MAK")
