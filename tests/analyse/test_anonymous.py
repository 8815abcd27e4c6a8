"""A saved device for a bug report: nothing left that names a device or a customer, everything else as it was."""

from __future__ import annotations

from osgp.analyse.anonymous import anonymise
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et11 import ET11
from osgp.tables.et.et16 import ET16
from osgp.tables.image import Image
from osgp.tables.registry import all_tables
from osgp.wire import layout_of
from osgp.wire.errors import DecodeError
from tests.tables.test_mbus import SLOT, slot, telegram

SERIAL = "10007919"
UNIQUE = int(SERIAL).to_bytes(6, "big")


def saved() -> Image:
    image = Image({1: b"ELONMETER" + bytes(5) + bytes((0x40, 0x40)) + bytes.fromhex(SERIAL.rjust(16, "0"))})
    image.put(5, SERIAL.encode())
    image.put(2051, SERIAL.encode().ljust(143, b"\0"))
    raw = bytearray(layout_of(ET04).size or 0)
    span = layout_of(ET04).span("xcvr_id")
    raw[span.offset : span.offset + span.size] = UNIQUE
    raw[0] = 7
    image.put(ET04.number, bytes(raw))
    return image


def test_no_identity_is_left() -> None:
    image = saved()
    replaced = anonymise(image)
    assert {"BT01.MFG_SERIAL_NBR", "BT05", "ET03.UTIL_SERIAL_NBR", "ET04.XCVR_ID"} <= set(replaced)
    left = b"".join(image.read(number) for number in image)
    for form in (SERIAL.encode(), bytes.fromhex(SERIAL), UNIQUE):
        assert form not in left
    assert (image.read(ET04.number)[0], image.read(1)[:9]) == (7, b"ELONMETER")


def test_serial_numbers_inside_telegrams() -> None:
    image = _with_telegram()
    assert bytes.fromhex("78563412") in image.read(ET16.number)
    before = image.read(ET16.number)
    assert any("SERIAL_NBR" in path for path in anonymise(image))
    assert image.read(ET16.number) == before.replace(bytes.fromhex("78563412"), bytes(4))


def _with_telegram() -> Image:
    et11 = bytearray(39)
    et11[0] = 5
    span = layout_of(ET11).span("data_entry_size")
    et11[span.offset : span.offset + span.size] = SLOT.to_bytes(span.size, "little")
    return Image({2059: bytes(et11), ET16.number: slot(telegram()) + bytes(4 * SLOT)})


def test_tables_that_size_others_are_left_alone() -> None:
    """A zeroed length would make the rest of the image unreadable."""
    image = Image()
    for declared in all_tables():
        try:
            size = layout_of(declared, image.context).size
        except DecodeError:
            continue
        image.put(declared.number, b"\x01" * (size or 1))
    before = {number: image.read(number) for number in image}
    anonymise(image)
    changed = {number for number in image if image.read(number) != before[number]}
    roles = {declared.number: declared.role for declared in all_tables()}
    assert not [number for number in changed if roles[number] in ("dimension", "actual")]
