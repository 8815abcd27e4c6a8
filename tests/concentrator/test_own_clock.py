"""Our own clock against monotonic time: what counts as a jump, and who may say that it is right again."""

from __future__ import annotations

from osgp.concentrator.journal import Journal
from osgp.concentrator.own_clock import OwnClock

WALL = 1_800_000_000.0


def clock(journal: Journal | None = None, wall: float = WALL) -> tuple[OwnClock, Journal]:
    journal = journal or Journal(":memory:", wall=WALL)
    return OwnClock(journal, wall, 0.0), journal


def texts(journal: Journal) -> list[str]:
    return [notice.text for notice in journal.notices(kind="own clock")]


def test_a_clock_that_is_adjusted_little_by_little_has_not_jumped() -> None:
    own, journal = clock()
    for minute in range(1, 600):
        own.look(WALL + 60.0 * minute * 1.0005, 60.0 * minute)
    assert own.is_trusted
    assert not texts(journal)


def test_a_jump_is_told_and_its_end_too() -> None:
    own, journal = clock()
    own.look(WALL + 10.0 + 400.0, 10.0)
    assert not own.is_trusted
    own.look(WALL + 20.0, 20.0)
    assert own.is_trusted
    assert [text.split(":")[0] for text in texts(journal)] == [
        "our own clock jumped by 400 s",
        "our own clock is back where it was",
    ]


def test_a_jump_that_most_devices_agree_with_was_a_correction() -> None:
    own, _ = clock()
    own.look(WALL + 10.0 + 86400.0, 10.0)
    for device, drift in enumerate((-86400.0, 1.0, 2.0)):
        own.vote(device, drift, WALL)
        assert not own.is_trusted
    own.vote(3, -3.0, WALL)
    assert own.is_trusted


def test_devices_that_do_not_agree_leave_it_distrusted_until_somebody_confirms_it() -> None:
    own, journal = clock()
    own.look(WALL + 10.0 - 3600.0, 10.0)
    for device in range(50):
        own.vote(device, 3600.0, WALL)
    assert not own.is_trusted
    own.confirm(WALL)
    assert own.is_trusted
    assert texts(journal)[-1] == "our own clock was confirmed"


def test_a_restart_hides_no_jump_and_a_clock_that_went_back_meanwhile_is_seen() -> None:
    own, journal = clock()
    own.look(WALL + 10.0 + 3600.0, 10.0)
    assert not clock(journal, WALL + 3700.0)[0].is_trusted
    own.confirm(WALL + 3700.0)
    assert clock(journal, WALL + 3800.0)[0].is_trusted
    assert not clock(journal, WALL - 9000.0)[0].is_trusted
