"""The M-Bus encoder, judged by a decoder that is not ours."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pymbusparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.sim.mbus import (
    Coding,
    Function,
    Header,
    Medium,
    Quantity,
    Record,
    long_frame,
    manufacturer_code,
    record,
    rsp_ud,
    short_frame,
    user_data,
)
from osgp.wire.errors import BadValue

HEADER = Header(12345678, "NES", 3, Medium.HEAT_OUTLET, 7, 4)
NAMES = {
    Quantity.ENERGY_WH: ("Energy", "W.h"),
    Quantity.VOLUME_M3: ("Volume", "m3"),
    Quantity.POWER_W: ("Power", "W"),
    Quantity.FLOW_M3_H: ("Volume flow", "m3.h-1"),
    Quantity.FLOW_TEMPERATURE_C: ("Flow temperature", "Cel"),
    Quantity.RETURN_TEMPERATURE_C: ("Return temperature", "Cel"),
    Quantity.TEMPERATURE_DIFFERENCE_K: ("Temperature difference", "K"),
    Quantity.EXTERNAL_TEMPERATURE_C: ("External temperature", "Cel"),
    Quantity.ON_TIME_DAYS: ("On time", "d"),
    Quantity.VOLTAGE_V: ("Voltage", "V"),
    Quantity.CURRENT_A: ("Current", "A"),
}
DIGITS = {Coding.BCD2: 2, Coding.BCD4: 4, Coding.BCD6: 6, Coding.BCD8: 8, Coding.BCD12: 12}
BYTES = {Coding.INT8: 1, Coding.INT16: 2, Coding.INT24: 3, Coding.INT32: 4, Coding.INT48: 6, Coding.INT64: 8}


def decoded(*records: Record) -> list[dict[str, Any]]:
    frame = pymbusparser.parse(rsp_ud(1, HEADER, records))
    assert frame["decode_state"] == "complete"
    return list(frame["records"])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), quantity=st.sampled_from(sorted(NAMES, key=lambda each: each.name)))
def test_a_decoder_reads_exactly_what_was_encoded(data: st.DataObject, quantity: Quantity) -> None:
    _, _, lowest, count = quantity.value
    exponent = data.draw(st.integers(lowest, lowest + count - 1))
    coding = data.draw(st.sampled_from([*DIGITS, *BYTES]))
    if coding in DIGITS:
        steps = data.draw(st.integers(-(10 ** (DIGITS[coding] - 1)) + 1, 10 ** DIGITS[coding] - 1))
    else:
        half = 2 ** (8 * BYTES[coding] - 1)
        # The decoder takes the lowest 64-bit number through a float; counters do not get there.
        steps = data.draw(st.integers(max(-half, -(2**53)), min(half - 1, 2**53)))
    value = Decimal(steps).scaleb(exponent)
    place = {
        "storage": data.draw(st.integers(0, 600)),
        "tariff": data.draw(st.integers(0, 15)),
        "subunit": data.draw(st.integers(0, 3)),
    }
    function = data.draw(st.sampled_from(list(Function)))
    (got,) = decoded(record(quantity, value, coding=coding, exponent=exponent, function=function, **place))
    assert (got["quantities"][0], got["unit"]) == NAMES[quantity]
    assert Decimal(got["value"]["value"]) == value
    assert (got["storage_number"], got["tariff"], got["subunit"]) == tuple(place.values())
    assert got["function"].split()[0] == ["Instantaneous", "Maximum", "Minimum", "Value"][function]


def test_header_and_link() -> None:
    frame = pymbusparser.parse(rsp_ud(5, HEADER, []))
    assert frame["frame"]["address"] == "Primary (5)"
    identity = frame["meter"]["identity"]
    assert (identity["id"], identity["manufacturer_code"], identity["version"]) == ("12345678", "NES", 3)
    assert identity["device_type_code"] == 4
    assert frame["transport"]["access_numbers"][0]["value"] == 7
    assert frame["transport"]["statuses"][0]["raw"] == "04"
    assert manufacturer_code("NES") == 0x38B3
    assert short_frame(0x40, 5).hex() == "1040054516"
    assert rsp_ud(5, HEADER, [])[6:-2] == user_data(HEADER, [])


def test_dates_times_texts_and_flags() -> None:
    zone = ZoneInfo("Europe/Berlin")
    summer, winter = datetime(2026, 7, 30, 23, 59, 58, tzinfo=zone), datetime(2026, 1, 30, 0, 1, tzinfo=zone)
    got = decoded(
        record(Quantity.DATE, date(2079, 12, 31), storage=1),
        record(Quantity.DATE_TIME, summer),
        record(Quantity.DATE_TIME, winter),
        record(Quantity.MODEL_VERSION, "AB12"),
        record(Quantity.ERROR_FLAGS, 3, coding=Coding.INT8),
        record(Quantity.FABRICATION_NUMBER, 12345678),
    )
    assert [each["value"]["value"] for each in got] == [
        "2079-12-31", "2026-07-30T23:59:00", "2026-01-30T00:01:00", "AB12", "3", "12345678",
    ]  # fmt: skip
    assert record(Quantity.DATE_TIME, summer).data[1] & 0x80
    assert not record(Quantity.DATE_TIME, winter).data[1] & 0x80


@pytest.mark.parametrize(
    ("value", "coding", "wire"),
    [
        (1234, Coding.BCD4, "0a133412"),
        (-123, Coding.BCD4, "0a1323f1"),
        (-1, Coding.INT16, "0213ffff"),
        (70000, Coding.INT24, "0313701101"),
    ],
)
def test_known_bytes(value: int, coding: Coding, wire: str) -> None:
    assert record(Quantity.VOLUME_M3, Decimal(value).scaleb(-3), exponent=-3, coding=coding).encode().hex() == wire


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(BadValue):
        record(Quantity.VOLUME_M3, Decimal("0.1234"), exponent=-3)
    with pytest.raises(BadValue):
        record(Quantity.VOLUME_M3, 1, exponent=5)
    with pytest.raises(BadValue):
        record(Quantity.VOLUME_M3, 100, coding=Coding.BCD2)
    with pytest.raises(BadValue):
        record(Quantity.VOLUME_M3, -10, coding=Coding.BCD2)
    with pytest.raises(BadValue):
        record(Quantity.VOLUME_M3, 128, coding=Coding.INT8)
    with pytest.raises(BadValue):
        record(Quantity.VOLUME_M3, 1, coding=Coding.TEXT)
    with pytest.raises(BadValue):
        record(Quantity.MODEL_VERSION, "x" * 192)
    with pytest.raises(BadValue):
        record(Quantity.DATE, date(1999, 12, 31))
    with pytest.raises(BadValue):
        record(Quantity.VOLUME_M3, 1, storage=2**42).encode()
    with pytest.raises(BadValue):
        record(Quantity.VOLUME_M3, 1, storage=-1).encode()
    with pytest.raises(BadValue):
        manufacturer_code("nes")
    with pytest.raises(BadValue):
        Header(100_000_000, "NES", 1, Medium.GAS).encode()
    with pytest.raises(BadValue):
        Header(-1, "NES", 1, Medium.GAS).encode()
    with pytest.raises(BadValue):
        Header(1, "NES", 256, Medium.GAS).encode()
    with pytest.raises(BadValue):
        user_data(HEADER, [record(Quantity.VOLUME_M3, 1)] * 50)
    with pytest.raises(BadValue):
        long_frame(8, 1, bytes(254))
