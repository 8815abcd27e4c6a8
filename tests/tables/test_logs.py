"""Circular logs: newest first, only the bytes needed, and consistent while the device keeps writing."""

from __future__ import annotations

import datetime as dt
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.tables.access import run_sync
from osgp.tables.events import EVENTS, describe, event_number, event_of
from osgp.tables.image import Image
from osgp.tables.logs import LOGS, Header, LogEntry, entry_ranges, log_reader, log_since
from osgp.tables.registry import table
from osgp.wire import LTime, layout_of
from osgp.wire.errors import ConfigError

from .profiles import BT01, Counted, Tables

NOON = dt.datetime(2026, 5, 1, 12, 0, 0)
CAPACITY = 7


def stamp(minute: int) -> bytes:
    return bytes(LTime.of(NOON + dt.timedelta(minutes=minute)))


def event(number: int, code: int = 2, argument: int = 0, user: int = 0xFFFF) -> bytes:
    return stamp(number % 1000) + struct.pack("<HHHH", number & 0xFFFF, user, code, argument)


def event_log(numbers: list[int], *, capacity: int = CAPACITY) -> Image:
    """BT74 after events with these sequence numbers were written one after the other."""
    entries = [bytes(14)] * capacity
    for place, number in enumerate(numbers):
        entries[place % capacity] = event(number)
    valid = min(len(numbers), capacity)
    last = (len(numbers) - 1) % capacity if numbers else 0
    header = struct.pack("<BHHIH", 4, valid, last, numbers[-1] if numbers else 0, 0)
    bt71 = struct.pack("<BBBBBHH", 6, 8, 19, 2, 2, capacity, 0)
    return Image({1: BT01, 71: bt71, 74: header + b"".join(entries)})


def read(access: Counted, name: str = "BT74", last: int | None = None) -> list[LogEntry]:
    return run_sync(log_reader(Tables(access), table(name), last))


@given(count=st.integers(0, 25), last=st.none() | st.integers(0, 10), start=st.integers(0, 2**32 - 100))
@settings(max_examples=80, deadline=None)
def test_newest_first_whatever_the_position(count: int, last: int | None, start: int) -> None:
    numbers = list(range(start, start + count))
    entries = read(Counted(event_log(numbers)), last=last)
    kept = numbers[-min(CAPACITY, count if last is None else min(last, count)) or len(numbers) :]
    assert [each.number for each in entries] == kept[::-1]
    assert all(each.fields.history_seq_nbr == each.number & 0xFFFF for each in entries)


def test_numbers_have_holes_where_two_logs_share_them() -> None:
    numbers = [65530, 65534, 65540, 65541, 131000]
    assert [each.number for each in read(Counted(event_log(numbers)))] == numbers[::-1]


def test_only_the_entries_needed_are_read() -> None:
    access = Counted(event_log(list(range(30))))
    read(access, last=2)
    header = 11
    assert access.bytes_of(74) == header + 2 * 14 + header
    access = Counted(event_log(list(range(CAPACITY + 1))))
    read(access, last=3)
    assert access.reads[1:3] == [(74, header, 14), (74, header + 5 * 14, 2 * 14)]


def test_ranges_walk_back_modulo_the_capacity() -> None:
    assert entry_ranges(Header(5, 1, 0, 65536), 5, None) == [(0, 2), (2, 3)]
    assert entry_ranges(Header(5, 4, 0, 65536), 5, 3) == [(2, 3)]
    assert entry_ranges(Header(0, 0, 0, 65536), 5, None) == []
    assert entry_ranges(Header(255, 200, 0, 65536), 5, 99) == [(0, 1), (1, 4)]


def test_an_event_that_comes_while_reading_is_not_mixed_in() -> None:
    image = event_log(list(range(9)))
    newer = event_log(list(range(10)))
    access = Counted(image)

    def later(number: int, offset: int, count: int) -> None:
        if number == 74 and offset >= 11 and image.read(74) != newer.read(74):
            image.put(74, newer.read(74))

    access.before_read = later
    assert [each.number for each in read(access)] == [9, 8, 7, 6, 5, 4, 3]


def test_a_log_that_never_holds_still_is_still_read() -> None:
    access = Counted(event_log(list(range(9))))
    count = [9]

    def always(number: int, offset: int, size: int) -> None:
        if number == 74 and offset >= 11:
            count[0] += 1
            access.image.put(74, event_log(list(range(count[0]))).read(74))

    access.before_read = always
    assert len(read(access)) == CAPACITY


def since(access: Counted, newest: bytes | None) -> tuple[list[int], int]:
    """Numbers of the entries behind a known one, and how many are unread."""
    entries, unread = run_sync(log_since(Tables(access), table("BT74"), newest))
    return [each.number for each in entries], unread


@given(count=st.integers(1, 25), new=st.integers(0, 12), step=st.integers(1, 3), start=st.integers(0, 2**32 - 200))
@settings(max_examples=80, deadline=None)
def test_behind_a_known_entry_comes_what_is_newer(count: int, new: int, step: int, start: int) -> None:
    numbers = list(range(start, start + step * (count + new), step))
    found, _ = since(Counted(event_log(numbers)), event(numbers[count - 1]))
    assert found == numbers[-min(new, CAPACITY) :][::-1] if new else found == []


def test_behind_a_known_entry_the_header_is_read_once_and_no_other_entry() -> None:
    access = Counted(event_log(list(range(30))))
    assert since(access, event(27)) == ([29, 28], 0)
    assert access.bytes_of(74) == 11 + 2 * 14
    access = Counted(event_log(list(range(30))))
    assert since(access, event(29)) == ([], 0)
    assert access.bytes_of(74) == 11


def test_the_header_tells_how_many_are_unread() -> None:
    image = event_log([1, 2, 3])
    image.write_part(74, 9, bytes((2, 0)))
    assert since(Counted(image), event(3)) == ([], 2)
    assert since(Counted(image), None) == ([3, 2, 1], 2)


def test_without_the_known_entry_all_are_new() -> None:
    assert since(Counted(event_log(list(range(30)))), event(11))[0] == list(range(29, 22, -1))
    assert since(Counted(event_log([1, 2])), event(40000))[0] == [2, 1], "the log began anew"


def test_an_entry_that_was_written_over_meanwhile_does_not_stand_for_an_older_one() -> None:
    image, newer = event_log(list(range(9))), event_log(list(range(15)))
    access = Counted(image)

    def later(number: int, offset: int, count: int) -> None:
        if number == 74 and offset >= 11:
            image.put(74, newer.read(74))

    access.before_read = later
    assert since(access, event(3))[0] == list(range(14, 7, -1))


def test_event_in_words() -> None:
    entry = read(Counted(event_log([1, 2])), last=1)[0]
    assert entry.time == dt.datetime(2026, 5, 1, 12, 2, tzinfo=dt.UTC)
    assert entry.text == "primary power up"
    assert entry.raw == event(2)
    assert entry.to_json()["table"] == "BT74"
    assert describe(event_number("mbus_command_matched"), 2 << 13) == "M-Bus or MEP command matched, device 3"
    assert describe(1000, 5, 0xFFFD) == "event 1000 (argument 5), by MEP client"
    assert describe(10, 23, 4, {10: "my own"}) == "my own (argument 23), by user 4"
    assert event_of(999).status == "unverified"
    assert all(each.status in ("unverified", "project choice") for each in EVENTS.values())
    assert len({each.key for each in EVENTS.values()}) == len(EVENTS)
    with pytest.raises(KeyError):
        event_number("nothing like it")


def adjustable(index: int, size: int, entries: int) -> bytes:
    """ET36 in which one log has a size and a count."""
    records = b""
    for place in range(7):
        mine = place == index
        records += struct.pack("<HHHHB8x", 0, size if mine else 0, 255, entries if mine else 0, 0)
    return bytes((7,)) + records + bytes(1)


SHORT = struct.Struct("<BBBHB")


def test_outages() -> None:
    entries = [stamp(0) + stamp(5), stamp(30) + stamp(31), bytes(12)]
    image = Image({1: BT01, 2084: adjustable(6, 12, 3), 2129: SHORT.pack(4, 2, 1, 8, 0) + b"".join(entries)})
    found = read(Counted(image), "ET81")
    assert [each.number for each in found] == [8, 7]
    assert [each.text for each in found] == ["power outage of 0:01:00", "power outage of 0:05:00"]
    assert found[0].time == NOON + dt.timedelta(minutes=30)
    assert found[0].time is not None
    assert found[0].time.tzinfo is None


@pytest.mark.parametrize("name", ["BT26", "ET31", "ET41", "ET45", "ET75", "ET79", "ET81", "BT74"])
def test_every_log_of_the_guides_can_be_read(name: str) -> None:
    """With three entries of zeros each: the reader finds its way through all their headers, strides and time fields."""
    declared = table(name)
    assert declared.number in LOGS
    et36 = bytes((7,)) + b"".join(struct.pack("<HHHHB8x", 0, 300, 255, 3, 0) for _ in range(7)) + bytes(1)
    bt21 = bytes((3, 2, 3, 11, 0, 0, 1, 4, 0, 26))
    bt71 = struct.pack("<BBBBBHH", 6, 8, 19, 2, 2, 3, 0)
    image = Image({1: BT01, 20: bytes(10), 21: bt21, 71: bt71, 2084: et36, 60: bytes(31), 2059: bytes(39)})
    et54 = bytearray(layout_of(table("ET54"), image.context).size or 0)
    span = layout_of(table("ET54"), image.context).span("et79_entry_count")
    et54[span.offset] = 3
    image.put(2102, bytes(et54))
    layout = layout_of(declared, image.context)
    raw = bytearray(layout.size or 0)
    raw[layout.span("nbr_valid_entries").offset] = 3
    raw[layout.span("last_entry_element").offset] = 1
    raw[layout.span("last_entry_seq_nbr").offset] = 40
    image.put(declared.number, bytes(raw))
    entries = read(Counted(image), name)
    assert len(entries) == 3
    assert entries[0].time is None
    assert all(each.text for each in entries)
    assert entries[0].number == (40 if name not in ("BT74", "ET79") else 0)


def test_what_is_no_log_is_refused() -> None:
    with pytest.raises(ConfigError, match="BT23 is no log"):
        read(Counted(event_log([])), "BT23")


def test_a_log_of_which_nothing_is_known_takes_its_header_before_and_after_its_entries() -> None:
    access = Counted(event_log(list(range(3))))
    assert since(access, None) == ([2, 1, 0], 0)
    assert access.bytes_of(74) == 2 * 11 + 3 * 14
