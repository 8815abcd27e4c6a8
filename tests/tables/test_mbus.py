"""M-Bus readings: whole telegrams, cut ones, damaged ones, both structures."""

from __future__ import annotations

import datetime as dt
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.tables.et.et16 import ET16
from osgp.tables.image import Image
from osgp.tables.mbus import decode_device, decode_records, manufacturer_code, pick, unit_of_header
from osgp.tables.measurements import find_measurement
from osgp.wire import layout_of

RECORDS = bytes.fromhex("0413fce0f5050a5a88124413 1027000004063a000000".replace(" ", ""))
"""Volume 99999.996 m³, flow temperature 128.8 °C, volume of storage 1, energy 58 kWh."""
SLOT = 120


def telegram(records: bytes = RECORDS) -> bytes:
    header = bytes.fromhex("78563412") + struct.pack("<HBBBBH", 0x2C2D, 1, 7, 9, 0x04, 0)
    return bytes((12 + len(records) + 1,)) + header + records + b"\0"


def slot(body: bytes, info: int = 0, size: int = SLOT) -> bytes:
    return (bytes((26, 5, 1, 12, 30, 0)) + bytes((info,)) + body).ljust(size, b"\0")[:size]


def entry(raw: bytes, index: int = 0) -> ET16.DeviceData:
    et11 = bytearray(39)
    et11[0] = 5
    image = Image({2059: bytes(et11)})
    layout = layout_of(table_et11(), image.context)
    span = layout.span("data_entry_size")
    et11[span.offset : span.offset + span.size] = SLOT.to_bytes(span.size, "little")
    image = Image({2059: bytes(et11), 2064: bytes(SLOT * index) + raw + bytes(SLOT * (4 - index))})
    found: ET16.DeviceData = image.get(ET16, f"device_data[{index}]")
    return found


def table_et11() -> type:
    from osgp.tables.et.et11 import ET11

    return ET11


def test_a_telegram_becomes_values() -> None:
    reading = decode_device(entry(slot(telegram())))
    assert reading.time == dt.datetime(2026, 5, 1, 12, 30)
    assert (reading.serial_number, reading.manufacturer, reading.medium) == ("12345678", "KAM", "water")
    assert reading.status == ["power low"]
    assert pick(reading, "volume") == pytest.approx(99999.996)
    assert pick(reading, "flow_temperature") == pytest.approx(128.8)
    assert pick(reading, "energy") == 58000
    assert pick(reading, "pressure") is None
    assert [each.storage for each in reading.records] == [0, 0, 1, 0]
    assert (reading.unread, reading.error) == (b"", "")
    assert reading.to_json()["records"][0]["unit"] == "m³"


def test_several_telegrams_of_one_slot() -> None:
    reading = decode_device(entry(slot(telegram(RECORDS[:6]) + telegram(RECORDS[6:10]))))
    assert [each.quantity for each in reading.records] == ["volume", "flow_temperature"]


def test_a_cut_telegram_keeps_what_was_whole() -> None:
    long = telegram(RECORDS * 8)
    reading = decode_device(entry(slot(long)))
    assert pick(reading, "volume") == pytest.approx(99999.996)
    assert reading.serial_number == "12345678"
    assert reading.error
    assert reading.unread


def test_damaged_records_keep_those_before() -> None:
    records, unread, error = decode_records(RECORDS[:6] + bytes.fromhex("0413fc"))
    assert [each.quantity for each in records] == ["volume"]
    assert unread == bytes.fromhex("0413fc")
    assert "Insufficient" in error


@given(st.binary(max_size=110), st.integers(0, 255), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise(body: bytes, info: int, index: int) -> None:
    reading = decode_device(entry(slot(body, info), index))
    reading.to_json()


def test_fixed_structure() -> None:
    # Counter 1: 123456 × 10 l in BCD, counter 2 the same unit, stored.
    body = (
        bytes((16,)) + bytes.fromhex("78563412") + bytes((1, 0)) + struct.pack("<HII", 0x3E2A, 0x00123456, 0x00120000)
    )
    reading = decode_device(entry(slot(body, 2)))
    assert pick(reading, "volume") == pytest.approx(1234.56)
    assert [each.storage for each in reading.records] == [0, 1]
    binary = bytes((16,)) + bytes.fromhex("78563412") + bytes((1, 1)) + struct.pack("<HII", 0x0505, 99, 0xFFFFFFFF)
    reading = decode_device(entry(slot(binary, 2)))
    assert [(each.quantity, each.value) for each in reading.records] == [("energy", 99000), ("energy", -1000)]
    broken = bytes((16,)) + bytes.fromhex("78563412") + bytes((1, 0)) + struct.pack("<HII", 0x0505, 0xABCDEF, 1)
    assert decode_device(entry(slot(broken, 2))).error == "a counter is not in BCD"


def test_what_a_mep_client_posted_stays_bytes() -> None:
    assert decode_device(entry(slot(struct.pack("<HH", 7, 3) + b"abc"), 4)).data == b"abc"


def test_mode_2_is_kept_as_bytes() -> None:
    reading = decode_device(entry(slot(telegram(), 1)))
    assert reading.unread == RECORDS
    assert "mode 2" in reading.error


def test_measurements_of_a_slot() -> None:
    found = entry(slot(telegram()))
    image = Image({2059: bytes((4,)) + bytes(38)})
    for name, value in (("volume", 99999.996), ("medium", "water"), ("serial_number", "12345678"), ("pressure", None)):
        place = find_measurement(f"mbus[2].{name}").place(image.context)
        assert place.path == "device_data[1]"
        assert place.convert is not None
        assert place.convert(found) == value


def test_headers_tell_quantity_unit_and_scale() -> None:
    volume = unit_of_header(bytes.fromhex("0413"))
    assert volume is not None
    assert (volume.quantity, volume.unit, volume.scale, volume.bcd) == ("volume", "m³", 0.001, False)
    energy = unit_of_header(bytes.fromhex("8c100600"))
    assert energy is not None
    assert (energy.quantity, energy.unit, energy.scale, energy.bcd) == ("energy", "Wh", 1000, True)
    for none in ("", "04", "0d78", "8484", "0513", "0f"):
        assert unit_of_header(bytes.fromhex(none)) is None


def test_manufacturer_letters() -> None:
    assert manufacturer_code((ord("K") - 64) * 1024 + (ord("A") - 64) * 32 + ord("M") - 64) == "KAM"
