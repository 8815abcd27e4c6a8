"""Coroutines that a machine drives."""

from __future__ import annotations

import pytest

from osgp.concentrator.tasks import Cancelled, Task, Tasks, Wait
from osgp.wire.errors import LocalProtocolError, NoAnswer


def test_a_task_parks_on_a_wait_and_goes_on_with_its_answer() -> None:
    tasks = Tasks()
    wait: Wait[int] = Wait()

    async def ask() -> int:
        return await wait + 1

    async def visit() -> int:
        return await ask() * 2

    task = tasks.start(visit(), 0.0)
    assert tasks.run(0.0) == 1
    assert not task.is_done
    wait.succeed(20)
    wait.succeed(99)
    tasks.run(1.0)
    assert task.result() == 42
    assert len(tasks) == 0


def test_an_error_is_thrown_into_the_task_that_waits_and_can_be_handled_there() -> None:
    tasks = Tasks()
    wait: Wait[int] = Wait()

    async def visit() -> str:
        try:
            await wait
        except NoAnswer as error:
            return error.message
        return ""

    task = tasks.start(visit(), 0.0)
    tasks.run(0.0)
    wait.fail(NoAnswer("silence"))
    tasks.run(0.0)
    assert task.result() == "silence"


def test_sleepers_wake_in_the_order_of_their_times_and_then_of_their_falling_asleep() -> None:
    tasks = Tasks()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await tasks.sleep(seconds)
        woken.append((name, tasks.now))

    for name, seconds in (("c", 3.0), ("a", 1.0), ("b", 3.0)):
        tasks.start(sleeper(name, seconds), 10.0)
    tasks.run(10.0)
    assert tasks.deadline() == 11.0
    tasks.run(11.0)
    tasks.run(13.0)
    assert woken == [("a", 11.0), ("c", 13.0), ("b", 13.0)]
    assert tasks.deadline() is None


def test_the_first_of_several_ends_and_a_sleep_that_lost_wakes_nobody() -> None:
    tasks = Tasks()
    answer: Wait[int] = Wait()

    async def visit() -> bool:
        pause = tasks.sleep(5.0)
        return await tasks.first_of(answer, pause) is answer

    early = tasks.start(visit(), 0.0)
    tasks.run(0.0)
    answer.succeed(1)
    tasks.run(0.0)
    assert early.result()
    assert tasks.deadline() is None
    late = tasks.start(visit(), 0.0)
    tasks.run(0.0)
    assert late.result(), "what had ended already comes first"


def test_a_sleep_may_end_before_the_answer() -> None:
    tasks = Tasks()
    answer: Wait[int] = Wait()
    dropped: list[str] = []

    class Question(Wait[int]):
        __slots__ = ()

        def drop(self) -> None:
            dropped.append("question")

    question = Question()

    async def visit() -> bool:
        return await tasks.first_of(question, tasks.sleep(5.0)) is question

    task = tasks.start(visit(), 0.0)
    tasks.run(0.0)
    tasks.run(5.0)
    assert not task.result()
    assert dropped == ["question"]
    assert not answer.is_done


def test_cancelling_ends_the_task_where_it_is_parked_and_drops_what_it_waited_for() -> None:
    tasks = Tasks()
    cleaned: list[str] = []

    class Question(Wait[int]):
        __slots__ = ()

        def drop(self) -> None:
            cleaned.append("dropped")

    async def visit() -> None:
        try:
            await Question()
        finally:
            cleaned.append("finally")

    task = tasks.start(visit(), 0.0)
    tasks.run(0.0)
    assert task.cancel()
    assert cleaned == ["dropped", "finally"]
    assert isinstance(task.error, Cancelled)
    assert not task.cancel()
    with pytest.raises(Cancelled):
        task.result()


def test_cancelling_passes_handlers_of_errors() -> None:
    tasks = Tasks()

    async def stubborn() -> str:
        try:
            await tasks.sleep(9)
        except Exception:
            return "survived"
        return ""

    task = tasks.start(stubborn(), 0.0)
    tasks.run(0.0)
    task.cancel()
    assert isinstance(task.error, Cancelled)


def test_a_task_that_has_not_begun_can_be_cancelled_and_one_cannot_cancel_itself() -> None:
    tasks = Tasks()
    begun: list[int] = []

    async def visit() -> None:
        begun.append(1)

    task = tasks.start(visit(), 0.0)
    assert task.cancel()
    tasks.run(0.0)
    assert not begun
    own: list[Task[None]] = []

    async def suicidal() -> None:
        own[0].cancel()

    own.append(tasks.start(suicidal(), 0.0))
    tasks.run(0.0)
    assert isinstance(own[0].error, LocalProtocolError)


def test_tasks_wait_for_tasks() -> None:
    tasks = Tasks()
    order: list[str] = []

    async def child(name: str, seconds: float) -> str:
        await tasks.sleep(seconds)
        order.append(name)
        return name

    async def parent() -> list[str]:
        children = [tasks.start(child(name, seconds), tasks.now) for name, seconds in (("a", 2), ("b", 1))]
        return [await each for each in children]

    task = tasks.start(parent(), 0.0)
    tasks.run(0.0)
    tasks.run(1.0)
    tasks.run(2.0)
    assert task.result() == ["a", "b"]
    assert order == ["b", "a"]


def test_an_error_that_nobody_waits_for_is_told() -> None:
    told: list[tuple[str, str]] = []
    tasks = Tasks(lambda task, error: told.append((task.name, str(error))))

    async def bad() -> None:
        raise NoAnswer("nobody there")

    async def careful() -> None:
        with pytest.raises(NoAnswer):
            await tasks.start(bad(), tasks.now, name="awaited")

    tasks.start(bad(), 0.0, name="alone")
    tasks.start(careful(), 0.0)
    tasks.run(0.0)
    assert told == [("alone", "nobody there")]


def test_waiting_for_something_of_another_machine_is_told_where_it_happens() -> None:
    class Foreign:
        def __await__(self):  # type: ignore[no-untyped-def]  # a future of some event loop
            yield "a future"

    tasks = Tasks()

    async def visit() -> None:
        await Foreign()

    task = tasks.start(visit(), 0.0, name="visit 7")
    tasks.run(0.0)
    assert isinstance(task.error, LocalProtocolError)
    assert "visit 7" in str(task.error)


def test_all_can_be_cancelled_at_once_the_newest_first() -> None:
    tasks = Tasks()
    ended: list[int] = []

    async def visit(number: int) -> None:
        try:
            await tasks.sleep(100)
        finally:
            ended.append(number)

    for number in range(5):
        tasks.start(visit(number), 0.0)
    tasks.run(0.0)
    assert tasks.cancel_all() == 5
    assert ended == [4, 3, 2, 1, 0]
    assert tasks.deadline() is None


def test_asking_for_a_result_that_is_not_there_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        Wait().result()
