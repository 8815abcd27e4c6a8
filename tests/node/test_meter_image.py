"""The image is complete, decodes, and has the sizes that its own dimensions say."""

from __future__ import annotations

import pytest

from osgp.node.meter_image import MODELS, _Builder, build_image
from osgp.node.rights import may_read
from osgp.node.server import Port
from osgp.tables.bt.bt00 import BT00
from osgp.tables.bt.bt23 import BT23
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et21 import ET21
from osgp.tables.et.et42 import ET42
from osgp.tables.profile_geometry import geometry
from osgp.tables.registry import all_procedures, all_tables
from osgp.tables.services import FullRead
from osgp.tables.table import EXTENDED
from osgp.wire import Firmware, layout_of
from osgp.wire.errors import ConfigError

from .meters import Client, make

FIRMWARES = ("4.10", "3.50", "2.10")


@pytest.mark.parametrize("firmware", FIRMWARES)
@pytest.mark.parametrize("model", MODELS)
def test_every_table_can_be_read_and_decodes(model: str, firmware: str) -> None:
    meter = make(model, days=1, firmware=firmware)
    port = Port("mep1")
    for declared in all_tables():
        code, data = meter.server.handle(FullRead(declared.number), "MAK", meter.at + 1, port)
        if declared.number not in meter.image and declared.number != 7:
            assert code == 5, declared.__name__
            assert firmware != "4.10"
            continue
        assert code == 0, declared.__name__
        assert data is not None
        layout = layout_of(declared, meter.image.context)
        if declared.number not in (EXTENDED + 52, EXTENDED + 53):  # these hold a transaction as long as it is
            layout.decode(data)
        if layout.size is not None:
            assert len(data) == layout.size, declared.__name__


@pytest.mark.parametrize("key", ["MK", "PK", "RK", "MAK", "MBK", "open"])
def test_a_key_reads_what_it_may(key: str) -> None:
    meter = make("mbus")
    port = Port("mep1" if key.startswith("M") and key != "MK" else "optical")
    for declared in all_tables():
        code, _ = meter.server.handle(FullRead(declared.number), key, meter.at + 1, port)
        assert (code == 0) is may_read(declared.number, key), declared.__name__


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_bitmaps_tell_the_truth(firmware: str) -> None:
    meter = make(firmware=firmware)
    config = meter.image.decode(BT00)

    def numbers(bits: bytes, base: int) -> set[int]:
        return {base + n for n in range(8 * len(bits)) if bits[n // 8] >> n % 8 & 1}

    tables = numbers(config.std_tbls_used, 0) | numbers(config.mfg_tbls_used, EXTENDED)
    assert tables == {each.number for each in all_tables() if each.number in meter.image or each.number == 7}
    procedures = numbers(config.std_proc_used, 0) | numbers(config.mfg_proc_used, EXTENDED)
    assert procedures == set(meter.handlers)
    assert set(meter.handlers) <= {each.number for each in all_procedures()}


def test_the_interface_definition_is_a_true_copy() -> None:
    meter = make("mbus", days=0.2)
    t = meter.image.decode(ET42)
    assert t.table_len == meter.image.size(ET42.number)
    inner = meter.image.decode(ET21).sets
    shapes = [geometry(meter.image.context, n + 1) for n in range(4)]
    assert (t.lp_block_size, t.lp_interval_size) == (shapes[0].block_size, shapes[0].interval_size)
    assert (inner[0].block_size, inner[0].block_header_size) == (shapes[0].block_size, shapes[0].header_size)
    assert t.lp_bit_mask is not None
    assert t.lp_bit_mask.set2 == 1
    assert t.lp_data_sets is not None
    assert t.lp_data_sets[0].ext_sources[0] == 0x4001
    assert t.nbr_tiers == 4
    assert t.tier_size == layout_of(BT23, meter.image.context).span("tier_data_block[0]").size


def test_a_change_of_dimensions_is_told() -> None:
    meter = make()
    told: list[int] = []
    meter.on_interface_change = lambda: told.append(1)
    before = meter.image.get(ET04, "idt_version")
    client = Client(meter)
    # EP11: data set 1 anew, 30 minutes, 48 intervals, 10 blocks, two channels
    assert client.run("EP11", bytes([0, 30]) + b"\x30\0\x0a\0\2" + b"\0\0\1\0") == (0, bytes(12))
    assert meter.image.get(ET04, "idt_version") == before + 1
    assert told == [1]
    t = meter.image.decode(ET42)
    assert (t.lp_interval_duration, t.lp_nbr_chns, t.lp_nbr_blocks) == (30, 2, 10)
    assert meter.image.size(64) == geometry(meter.image.context, 1).size
    meter.advance(meter.at + 7200)
    assert meter.profiles[0].last_place >= 2
    assert client.run("EP11", bytes([0, 7]) + b"\x30\0\x0a\0\2" + b"\0\0\1\0")[0] == 2
    assert client.run("EP11", bytes([0, 15]) + b"\xa0\5\xff\xff\2" + b"\0\0\1\0")[0] == 3
    assert client.run("EP11", b"\0")[0] == 2


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ConfigError):
        make("2ph")


@pytest.mark.parametrize("firmware", ["2.10", "3.50", "4.10", "4.60"])
@pytest.mark.parametrize("model", MODELS)
def test_devices_of_one_pattern_are_made_as_each_would_be_alone(model: str, firmware: str) -> None:
    build_image(MODELS[model], "11112222", Firmware.parse(firmware), (10, 2050))
    image = build_image(MODELS[model], "33334444", Firmware.parse(firmware), (10, 2050))
    alone = _Builder(MODELS[model], "33334444", Firmware.parse(firmware), (10, 2050)).build()
    assert image.to_json() == alone.to_json()
    assert image.context.firmware == alone.context.firmware
