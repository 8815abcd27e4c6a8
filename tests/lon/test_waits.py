"""Who is due first, in a row and a heap, is who is due first in a plain list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.address import SubnetNode
from osgp.lon.transport import Options
from osgp.lon.waits import FEW, Waits
from osgp.node.stack import Stack
from tests.lon import talk


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


def test_whoever_asks_only_when_there_is_news_keeps_little_of_what_is_over_however_long_its_timer() -> None:
    """Two are under way, and the later one is answered first every other time: with news only of what is earlier, nobody would ask."""
    asking = Stack(talk.configuration(1, 10), quiet_s=0, concurrent=2)
    peers = {each: talk.node(1, each) for each in (20, 30)}
    options = Options(timer_s=600.0)
    timers, news, most = asking.transport.timers, -1, 0
    for count in range(3000):
        now = count * 0.001
        for each in (20, 30):
            asking.send(SubnetNode(1, each), b"\x01", now, options)
        if timers.news != news:
            news = timers.news
            asking.deadline()
        order = (20, 30) if count % 2 else (30, 20)
        letters = dict(zip((20, 30), asking.letters(now), strict=True))
        for each in order:
            peers[each].receive(letters[each], now)
            peers[each].events()
            for answer in peers[each].letters(now):
                asking.receive(answer, now)
        assert len(asking.events()) == 2
        most = max(most, len(timers))
    assert most <= 8 * FEW
