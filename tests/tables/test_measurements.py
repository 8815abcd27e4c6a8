"""Names find their place on any device, in units that people use."""

from __future__ import annotations

import struct

import pytest

from osgp.tables.bt.bt22 import BT22
from osgp.tables.bt.bt23 import BT23
from osgp.tables.bt.bt28 import BT28
from osgp.tables.image import Image
from osgp.tables.measurements import Measurement, all_measurements, find_measurement
from osgp.tables.naming import short_name
from osgp.wire import Context, layout_of
from osgp.wire.errors import ConfigError

from .profiles import BT01

ALL = {each.name: each for each in all_measurements()}
BT21 = bytes((3, 2, 1, 19, 8, 0, 1, 8, 8, 84))


def test_every_register_and_every_present_value_has_a_name() -> None:
    """Names are unique, so 19 + 84 elements give 103 of them, and 8 tiers of those that tiers keep."""
    for element in BT23.TotDataBlock.specs["summations"].elements.values():
        assert short_name(element.name) in ALL
        if "not populated" not in element.doc:
            assert f"{short_name(element.name)}_t8" in ALL
    for element in BT28.specs["present_values"].elements.values():
        assert short_name(element.name) in ALL
    assert len(ALL) == len(all_measurements())
    assert len([each for each in ALL if each.endswith("_t3")]) == 14


def test_every_name_finds_a_field_that_exists() -> None:
    bt22 = bytes(range(8)) + bytes((26, 27, 28, 108, 109, 110, 111)) + bytes(4)
    image = Image({1: BT01, 20: bytes(10), 21: BT21, 2059: bytes((6,)) + bytes(38), 0: bytes(300)})
    everything = bytes(range(164, 172)) + b"\xff"
    image.put(22, bt22 + everything)
    context = image.context.with_table(BT22, bt22 + everything)
    missing = []
    for each in ALL.values():
        try:
            place = each.place(context)
        except ConfigError:
            missing.append(each.name)
            continue
        if place.path:
            try:
                layout_of(place.table, context).span(place.path)
            except ConfigError as error:
                assert "relay2" in place.path, error  # noqa: PT017  # BT00 of zeros has no such byte
    # With BT22 at hand the apparent energies, whose source the guides do not number, keep their printed place.
    assert all(name.startswith(("maximum", "minimum")) for name in missing), missing
    assert "maximum_fwd_active_power" not in missing


@pytest.mark.parametrize(
    ("name", "unit", "direction", "device", "state"),
    [
        ("fwd_active_energy", "Wh", "import", "energy", "total_increasing"),
        ("rev_active_energy_t2", "Wh", "export", "energy", "total_increasing"),
        ("fwd_minus_rev_active_energy", "Wh", "", "energy", "total"),
        ("import_reactive_energy", "varh", "import", "reactive_energy", "total_increasing"),
        ("fwd_active_power", "W", "import", "power", "measurement"),
        ("voltage_l1", "V", "", "voltage", "measurement"),
        ("current_l2", "A", "", "current", "measurement"),
        ("power_factor_l3", "", "", "power_factor", "measurement"),
        ("frequency", "Hz", "", "frequency", "measurement"),
        ("apparent_power", "VA", "", "apparent_power", "measurement"),
        ("power_outage_quantity", "", "", "", "total_increasing"),
        ("mbus[1].volume", "m³", "", "water", "total_increasing"),
        ("minimum_voltage_l1", "V", "", "voltage", "measurement"),
    ],
)
def test_units_directions_and_classes(name: str, unit: str, direction: str, device: str, state: str) -> None:
    found = find_measurement(name)
    assert (found.unit, found.direction, found.device_class, found.state_class) == (unit, direction, device, state)


def place(name: str, context: Context) -> tuple[str, float]:
    found = find_measurement(name).place(context)
    return f"{found.table.__name__}.{found.path}", found.scale


def test_the_place_follows_the_selection_and_else_the_printed_order() -> None:
    image = Image({1: BT01, 21: bytes((3, 2, 1, 11, 0, 0, 1, 4, 0, 26))})
    assert place("rev_active_energy", image.context) == ("BT23.tot_data_block.summations[1]", 1)
    context = image.context.with_table(BT22, bytes((6, 0, 1)) + bytes(8))
    assert place("rev_active_energy", context) == ("BT23.tot_data_block.summations[2]", 1)
    with pytest.raises(ConfigError, match="does not record"):
        place("import_reactive_energy", context)
    assert place("import_reactive_energy", image.context.with_table(BT22, bytes(11))) == (
        "BT23.tot_data_block.summations[2]",
        1,
    )
    assert place("fwd_active_energy_t4", image.context) == ("BT23.tier_data_block[3].summations[0]", 1)
    with pytest.raises(ConfigError, match="4 tariffs"):
        place("fwd_active_energy_t5", image.context)
    with pytest.raises(ConfigError, match="Neutral current") as caught:
        place("neutral_current", image.context)
    assert "26 such values" in caught.value.hint


def test_energy_counts_in_the_unit_of_the_device() -> None:
    context = Image({1: BT01, 21: BT21}).context
    assert place("fwd_active_energy", context)[1] == 1
    assert place("fwd_active_energy", context.with_values(energy_reg_unit=100))[1] == 100
    assert place("fwd_active_energy", context.with_values(energy_reg_unit=7))[1] == 1
    assert place("power_outage_quantity", context.with_values(energy_reg_unit=100))[1] == 1
    assert place("voltage_l1", context.with_values(energy_reg_unit=100))[1] == 0.001


def test_near_misses_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        find_measurement("voltag_l1")
    assert "voltage_l1" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        find_measurement("angle")
    assert "voltage_angle" in caught.value.hint
    assert find_measurement(" Fwd-Active Energy ").name == "fwd_active_energy"
    with pytest.raises(ConfigError):
        Measurement("x", "x").place(Context())


def test_maxima_stand_in_demand_registers() -> None:
    image = Image({1: BT01, 21: bytes((3, 2, 1, 2, 2, 0, 1, 4, 0, 0))})
    context = image.context.with_table(BT22, bytes((0, 1, 8, 170, 3)))
    assert place("maximum_fwd_active_power", context) == ("BT23.tot_data_block.demands[1].demand[0]", 1)
    span = layout_of(BT23, image.context).span("tot_data_block.demands[1].demand[0]")
    raw = bytearray(layout_of(BT23, image.context).size or 0)
    raw[span.offset : span.offset + 4] = struct.pack("<i", 4711)
    image.put(23, bytes(raw))
    assert image.get(BT23, "tot_data_block.demands[1].demand[0]") == 4711
