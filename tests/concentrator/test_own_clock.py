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
    assert clock(journal, WALL + 3700.0)[0].jumped_s == 3600.0
    own.confirm(WALL + 3700.0)
    assert clock(journal, WALL + 3800.0)[0].jumped_s == 0.0
    assert clock(journal, WALL - 9000.0)[0].jumped_s < -9000.0


def restarted(devices: int, wall: float) -> tuple[OwnClock, Journal]:
    """A clock after a start on the journal of a street that was under way before."""
    own, journal = clock()
    own.look(WALL + 1.0, 1.0)
    for number in range(devices):
        journal.add_device(number.to_bytes(6, "big"), WALL)
    return OwnClock(journal, wall, 0.0), journal


def test_the_first_clock_that_a_journal_sees_may_correct_others_at_once() -> None:
    assert clock()[0].is_trusted


def test_after_a_start_nobody_is_corrected_until_devices_agree() -> None:
    own, journal = restarted(9, WALL + 7 * 86400.0)
    for device, drift in enumerate((400.0, 1.0)):
        own.vote(device, drift, WALL)
        assert not own.is_trusted
    own.vote(2, -2.0, WALL)
    assert own.is_trusted
    assert not texts(journal)


def test_a_clock_that_jumped_ahead_while_nobody_was_there_is_noticed_by_what_devices_show() -> None:
    own, journal = restarted(9, WALL + 86400.0)
    for device, drift in enumerate((2.0, -86390.0, -86401.0)):
        assert not own.is_trusted
        own.vote(device, drift, WALL)
    assert not own.is_trusted
    assert own.jumped_s == 86390.0
    assert texts(journal)[-1].startswith("our own clock jumped by 86390 s")
    own.look(WALL + 10.0 + 10.0, 10.0)
    assert own.is_trusted


def test_where_there_are_two_devices_both_are_asked_and_a_draw_decides_nothing() -> None:
    own, journal = restarted(2, WALL + 100.0)
    own.vote(0, -1000.0, WALL)
    own.vote(1, 0.0, WALL)
    assert not own.is_trusted
    own.confirm(WALL)
    assert own.is_trusted
    assert texts(journal) == ["our own clock was confirmed"]


def test_a_single_device_that_agrees_is_enough_where_it_is_the_only_one() -> None:
    own, _ = restarted(1, WALL + 100.0)
    own.vote(0, 3.0, WALL)
    assert own.is_trusted
