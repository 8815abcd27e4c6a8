"""``Device`` over an image: one client for fields, measurements, tables, profiles, logs, writing and procedures."""

from __future__ import annotations

import datetime as dt
import struct

import pytest

from osgp.node.device import Device, SyncDevice
from osgp.tables.access import DoorCosts, ProcedureResult
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.bt.bt28 import BT28
from osgp.tables.bt.bt52 import BT52
from osgp.tables.image import Image, ImageTables
from osgp.tables.services import NotInConfiguration, NotPermitted
from osgp.tables.table import PENDING
from osgp.wire import layout_of
from osgp.wire.errors import BadValue, ConfigError, ResponseError, Truncated
from tests.tables.profiles import BT01, START, Counted, profile_image
from tests.tables.test_logs import event_log

ET23, ET55, ET03 = 2071, 2103, 2051


def meter(*, firmware: bytes = BT01) -> Image:
    """11 summations, 4 tiers, 26 present values, no demand."""
    image = Image({1: firmware, 20: bytes(7) + bytes((4, 0, 0)), 21: bytes((3, 2, 2, 11, 0, 0, 0, 4, 0, 26))})
    image.put(22, bytes((0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28)))
    image.put(23, struct.pack("<55i", *range(1000, 1055)))
    image.put(28, struct.pack("<26i", *range(230000, 230026)))
    image.put(52, bytes((26, 5, 1, 12, 30, 15, 0)))
    image.put(ET23, bytes(94) + bytes((2,)) + bytes(91 + 32))
    image.put(ET03, b"utility 7".ljust(143, b"\0"))
    return image


def with_energy_unit(image: Image, unit: int) -> Image:
    from osgp.tables.et.et55 import ET55 as Declared

    layout = layout_of(Declared, image.context)
    raw = bytearray(layout.size or 0)
    raw[layout.span("energy_reg_unit").offset] = unit
    image.put(ET55, bytes(raw))
    return image


def device(access: object) -> SyncDevice:
    return SyncDevice(Device(access))  # type: ignore[arg-type]  # doors of several kinds


def test_paths_and_measurements_in_one_plan() -> None:
    meter_ = device(ImageTables(meter()))
    assert meter_.get("voltage_l1") == 230.007
    assert meter_.get("BT23.tot_data_block.summations[3]", "export_reactive_energy", "frequency") == [
        1003,
        1003,
        230.011,
    ]
    reading = meter_.readings("fwd_active_energy_t2")[0]
    assert (reading.value, reading.unit, reading.table, reading.raw) == (1022, "Wh", "BT23", struct.pack("<i", 1022))
    assert meter_.get("serial_number", "firmware_version", "disconnect_state", "utility_serial_number") == [
        "12345678",
        "4.10.3",
        "opened",
        "utility 7",
    ]
    assert meter_.get("clock") == dt.datetime(2026, 5, 1, 12, 30, 15, tzinfo=dt.UTC)


def test_dimensions_are_read_once_and_only_what_is_needed() -> None:
    access = Counted(meter())
    meter_ = device(access)
    meter_.get("voltage_l1")
    assert {table for table, _, _ in access.reads} == {1, 21, 28}
    access.reads.clear()
    meter_.get("voltage_l2", "voltage_l3")
    assert access.reads == [(28, 32, 8)] or access.reads == [(28, 0, 104)]
    access.reads.clear()
    assert meter_.get("BT01.manufacturer") == "NES"
    assert meter_.table(BT21).nbr_tiers == 4
    assert [table for table, _, _ in access.reads] == [1]
    plan = meter_.plan("fwd_active_energy", "BT23.tot_data_block.summations[1]")
    assert [read.name for read in plan.plan.reads] == ["BT23"]
    assert plan.wire_bytes >= 8


def test_energy_in_the_unit_of_the_device() -> None:
    assert device(ImageTables(with_energy_unit(meter(), 10))).get("fwd_active_energy") == 10000
    assert device(ImageTables(with_energy_unit(meter(), 0))).get("fwd_active_energy") == 1000
    refusing = Counted(with_energy_unit(meter(), 10), {ET55})
    meter_ = device(refusing)
    assert meter_.get("fwd_active_energy") == 1000
    refusing.reads.clear()
    assert meter_.get("rev_active_energy") == 1001
    assert all(table == 23 for table, _, _ in refusing.reads)


def test_old_firmware_has_bt20_instead_of_bt21_and_no_et55() -> None:
    old = BT01[:14] + struct.pack(">H", 2 << 12 | 10 << 5) + BT01[16:]
    image = meter(firmware=old)
    image.put(20, image.read(21))
    image.remove(21)
    image.remove(22)
    access = Counted(image)
    assert device(access).get("fwd_active_energy") == 1000
    assert ET55 not in {table for table, _, _ in access.reads}


def test_a_key_that_may_not_read_bt22_still_gets_the_printed_order() -> None:
    assert device(Counted(meter(), {22})).get("rev_active_energy") == 1001
    with pytest.raises(NotPermitted):
        device(Counted(meter(), {28})).get("voltage_l1")


def test_what_is_not_there_is_said() -> None:
    meter_ = device(ImageTables(meter()))
    with pytest.raises(ConfigError, match="no measurement named"):
        meter_.get("voltage_l4")
    with pytest.raises(ConfigError, match="does not record"):
        meter_.get("neutral_current")
    with pytest.raises(NotInConfiguration):
        meter_.get("mbus[1].volume")
    with pytest.raises(AttributeError):
        meter_.nothing  # noqa: B018  # the attribute access is the test
    assert meter_.bt28.present_values[7] == 230007
    assert meter_.raw("BT52")[:3] == bytes((26, 5, 1))
    assert isinstance(meter_.table(BT28), BT28)
    assert isinstance(meter_.bt23, BT23)


def test_profile_and_log() -> None:
    image, values = profile_image(40)
    events = event_log(list(range(5)))
    for number in (71, 74):
        image.put(number, events.read(number))
    meter_ = device(ImageTables(image))
    assert meter_.profile(last=3).to_json()["values"] == values[-3:]
    assert len(meter_.profile(since=START + dt.timedelta(hours=9))) == 4
    assert meter_.get("BT64[-2:]").to_json()["values"] == values[-2:]
    assert [each.number for each in meter_.events(2)] == [4, 3]
    assert [each.number for each in meter_.log("BT74")] == [4, 3, 2, 1, 0]
    assert [each.number for each in meter_.get("BT74[-1:]")] == [4]


def test_writing_a_field_a_bit_and_a_table() -> None:
    image = meter()
    meter_ = device(ImageTables(image))
    meter_.write("ET03.util_serial_nbr", "another")
    assert meter_.get("utility_serial_number") == "another"
    meter_.write("BT52.time_qual.dst_flag", 1)
    assert image.read(52)[6] == 8
    with pytest.raises(BadValue, match="does not fit 1 bits"):
        meter_.write("BT52.time_qual.dst_flag", 2)
    meter_.write("BT52", bytes(7))
    assert image.read(52) == bytes(7)

    class Deaf(ImageTables):
        async def write_part(self, table: int, offset: int, data: bytes) -> None:
            return None

    with pytest.raises(BadValue, match="kept other bytes"):
        device(Deaf(image)).write("ET03.util_serial_nbr", "third")


def test_procedures() -> None:
    asked: list[tuple[int, bytes]] = []

    async def runner(procedure: int, parameters: bytes) -> ProcedureResult:
        asked.append((procedure, parameters))
        return ProcedureResult(procedure, 1, 0 if parameters[:1] != b"\xff" else 2)

    meter_ = device(ImageTables(meter(), runner))
    answer = meter_.run("EP17", b"\x01")
    assert (answer["procedure"], answer["result"], asked) == ("EP17", 0, [(2065, b"\x01")])
    with pytest.raises(ResponseError, match="EP17 was refused"):
        meter_.run("EP17", b"\xff")


def test_a_changed_configuration_is_noticed() -> None:
    from osgp.tables.et.et04 import ET04

    image = meter()
    image.put(ET04.number, bytes(layout_of(ET04).size or 0))
    meter_ = device(ImageTables(image))
    assert meter_.check_configuration()
    meter_.get("voltage_l1")
    assert meter_.check_configuration()
    image.set(ET04, "idt_version", 3)
    assert not meter_.check_configuration()
    assert 21 not in meter_.device.dimensions
    assert meter_.check_configuration()


def test_a_pending_table_is_not_the_active_one() -> None:
    """Optical guide p. 8: number + 4096, with its event description before the data."""
    image = meter()
    layout = layout_of(BT52, image.context)
    image.put(PENDING + 52, bytes((2, 1, 2, 3, 4, 5)) + bytes((27, 1, 2, 3, 4, 5, 6)))
    meter_ = device(ImageTables(image))
    whole, part, active = meter_.readings("PBT52", "PBT52.clock_calendar", "BT52.clock_calendar")
    assert (whole.value.ped, whole.value.table) == (
        bytes((2, 1, 2, 3, 4, 5)),
        layout.decode(bytes((27, 1, 2, 3, 4, 5, 6))),
    )
    assert (whole.table, len(whole.raw)) == ("PBT52", 13)
    assert (str(part.value), part.table) == ("2027-01-02T03:04:05", "PBT52")
    assert str(active.value) == "2026-05-01T12:30:15"
    assert [(read.name, read.count) for read in meter_.plan("PBT52.time_qual", "BT52.time_qual").plan.reads] == [
        ("PBT52", None),
        ("BT52", 1),
    ]


def test_a_pending_table_is_written_with_its_event_description() -> None:
    image = meter()
    before = image.read(52)
    image.put(PENDING + 52, bytes(6) + before)
    meter_ = device(ImageTables(image))
    document = meter_.get("PBT52").to_json()
    assert document["PED"] == "000000000000"
    meter_.write("PBT52", {**document, "PED": "01 00 00 01 00 00"})
    assert image.read(PENDING + 52) == bytes((1, 0, 0, 1, 0, 0)) + before
    assert image.read(52) == before
    for value in ({}, {**document, "PED": "01"}, {**document, "PED": 5}, "00"):
        with pytest.raises(ConfigError, match="event description"):
            meter_.write("PBT52", value)
    with pytest.raises(ConfigError, match="as a whole"):
        meter_.write("PBT52.time_qual", 0)
    assert image.read(52) == before


def test_what_the_device_did_not_send_is_no_zero() -> None:
    """BT21 promises 26 present values; this BT28 holds 8, and a full read would leave the rest open."""
    image = meter()
    image.put(28, image.read(28)[:32])

    class Full(ImageTables):
        costs = DoorCosts("full", 0, 1000, 0, 0, 1 << 16, 1 << 16)

    meter_ = device(Full(image))
    assert meter_.get("voltage_l1") == 230.007
    with pytest.raises(Truncated, match="ends before this field"):
        meter_.get("BT28.present_values[20]")


def test_wrong_values_are_refused_before_anything_is_sent() -> None:
    image = meter()
    before = image.read(28)
    meter_ = device(ImageTables(image))
    for path, value in (("BT28[0:2]", 5), ("BT28[0]", 1.5), ("BT28[0:2]", [1, 2.5]), ("BT28[0]", "x")):
        with pytest.raises(BadValue):
            meter_.write(path, value)
    assert image.read(28) == before
    meter_.write("BT28[0]", 7.0)
    assert image.get(BT28, "present_values[0]") == 7


def test_parameters_that_are_missing_or_unknown_are_wrong_use() -> None:
    meter_ = device(ImageTables(meter()))
    for given in (None, {"lock": 300}, {"nosuch": 1}):
        with pytest.raises(ConfigError, match="EP61") as caught:
            meter_.run("EP61", given)
        assert "LOCK" in caught.value.hint
