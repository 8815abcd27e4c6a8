"""Who is due first, in a row and a heap, is who is due first in a plain list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.waits import FEW, Waits


@dataclass(eq=False)
class One:
    """What waits."""

    handle: int
    deadline: float | None = None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 5), st.integers(0, 20)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("ask")),
        st.tuples(st.just("clear")),
    ),
    max_size=60,
)


@given(STEPS)
def test_the_first_is_the_earliest_and_of_those_due_together_the_one_with_the_lowest_handle(
    steps: list[tuple[Any, ...]],
) -> None:
    waits: Waits[One] = Waits()
    all_of_them = [One(handle) for handle in range(6)]
    for step in [*steps, ("ask",)]:
        if step[0] == "wait":
            waits.add(all_of_them[step[1]], float(step[2]))
        elif step[0] == "end":
            all_of_them[step[1]].deadline = None
        elif step[0] == "clear":
            waits.clear()
            for each in all_of_them:
                each.deadline = None
        first = waits.first()
        due = [(each.deadline, each.handle) for each in all_of_them if each.deadline is not None]
        assert (None if first is None else (first[0], first[1].handle)) == (min(due) if due else None)


def test_what_is_over_is_not_kept() -> None:
    waits: Waits[One] = Waits()
    oldest = One(0)
    waits.add(oldest, 1.0)
    for handle in range(1, 100 * FEW):
        one = One(handle)
        waits.add(one, 1.0 + handle % 7)  # in the row, and in the heap
        one.deadline = None
        assert waits.first() == (1.0, oldest)
        assert len(waits) <= 2 * FEW
