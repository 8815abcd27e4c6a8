"""The configuration of a concentrator that runs: the example, what is refused and why, keys that stand elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from osgp.app.aes import psk_of
from osgp.app.profile import OsgpProfile
from osgp.concentrator.commission import Grant, NotGranted
from osgp.concentrator.routes import Step
from osgp.concentrator.run_config import EXAMPLE, LaboratoryKeys, LonIpLine, SimulatedLine, load_run_config
from osgp.lon.address import SubnetNode
from osgp.sim.pl_device import lab_umk, node_id_of
from osgp.wire.errors import ConfigError, Error

NC = bytes.fromhex("0A0B0C0D0E0F")
LONIP = """
[place]
unique_node_id = "0A0B0C0D0E0F"
[line]
kind = "lonip"
listen = "127.0.0.1:0"
listeners = ["127.0.0.1:4000"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "c.toml"
    path.write_text(text)
    return path


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    found = load_run_config(written(tmp_path, EXAMPLE))
    assert found.line == SimulatedLine(("3ph", "1ph", "load"), 1)
    assert (found.journal, found.socket) == (tmp_path / "street.sqlite", tmp_path / "concentrator.sock")
    assert found.concentrator.collection.profiles == (1,)
    assert found.concentrator.quotas["contactor-open"].count == 50


def test_a_psk_is_named_and_read_where_it_is(tmp_path: Path) -> None:
    psk = bytes(range(16))
    (tmp_path / "meter.psk").write_text(psk.hex())
    text = (
        LONIP
        + """
[keys]
foreign = ["050102030406"]
[[keys.devices]]
unique_node_id = "050102030405"
psk = "file:meter.psk"
epoch = 3
name = "kitchen"
"""
    )
    found = load_run_config(written(tmp_path, text))
    assert found.line == LonIpLine("127.0.0.1", 0, listeners=(("127.0.0.1", 4000),))
    grant = found.keys.grant(bytes.fromhex("050102030405"), NC)
    assert isinstance(grant, Grant)
    assert (grant.psk.secret(), grant.epoch, grant.name) == (psk, 3, "kitchen")
    assert found.keys.grant(bytes.fromhex("050102030406"), NC) is NotGranted.FOREIGN
    assert psk.hex() not in repr(found)


def test_a_network_with_other_numbers_names_its_profile(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('name = "elsewhere"\n[labels]\npsk = "ANOTHER/DC"\n')
    found = load_run_config(written(tmp_path, EXAMPLE.replace("# profile =", "profile =").replace("network", "other")))
    assert found.profile.name == "elsewhere"
    device = node_id_of(1, 0)
    grant = found.keys.grant(device, NC)
    assert isinstance(grant, Grant)
    assert grant.psk == psk_of(lab_umk(1, device), device, NC, 1, found.profile)
    assert grant.psk != psk_of(lab_umk(1, device), device, NC, 1, OsgpProfile())


OLD = """
[legacy]
allowed = true
[[legacy.devices]]
unique_node_id = "050102030407"
omak = "file:old.omak"
subnet = 3
node = 9
"""


def test_old_meters_are_written_down_with_address_and_omak_and_only_read(tmp_path: Path) -> None:
    (tmp_path / "old.omak").write_text("0123456789ABCDEF01234567")
    found = load_run_config(written(tmp_path, LONIP + OLD))
    ((device, grant),) = found.legacy.items()
    assert device.hex() == "050102030407"
    assert (grant.place, grant.writes, grant.encrypt, grant.name) == (SubnetNode(3, 9), False, False, device.hex())
    assert grant.omak.for_omak().hex() == "0123456789abcdef01234567"
    assert "0123456789" not in repr(found)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("allowed = true", "", "not allowed here"),
        ("allowed = true", "allowed = false", "not allowed here"),
        ("node = 9", "node = 128", "node 1 to 127"),
        ("subnet = 3", "", "subnet 1 to 255"),
        ("file:old.omak", "0123456789ABCDEF01234567", "stands in the configuration"),
        ("node = 9", "node = 9\nspeed = 1", "no legacy.devices.speed"),
        ("node = 9", 'node = 9\n[[legacy.devices]]\nunique_node_id = "050102030407"', "subnet 1 to 255|twice"),
        ("file:old.omak", "file:short.omak", "no key"),
    ],
)
def test_what_is_wrong_about_old_meters_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "old.omak").write_text("0123456789ABCDEF01234567")
    (tmp_path / "short.omak").write_text("0123456789ABCDEF")
    with pytest.raises(Error, match=said) as found:
        load_run_config(written(tmp_path, LONIP + OLD.replace(old, new, 1)))
    assert "0123456789" not in str(found.value)


def test_laboratory_keys_are_for_the_devices_of_their_seed_alone() -> None:
    keys, device = LaboratoryKeys(7), node_id_of(7, 300)
    grant = keys.grant(device, NC)
    assert isinstance(grant, Grant)
    assert grant.psk == psk_of(lab_umk(7, device), device, NC, 1, OsgpProfile())
    assert keys.grant(node_id_of(8, 0), NC) is NotGranted.NO_KEY


@pytest.mark.parametrize(
    "text",
    [
        "line = 5",
        "[line",
        LONIP + "\n[speed]\nx = 1",
        LONIP.replace("lonip", "pigeon"),
        LONIP.replace("127.0.0.1:4000", "here"),
        LONIP.replace("127.0.0.1:4000", "h:99999"),
        LONIP.replace("0A0B0C0D0E0F", "0A0B"),
        LONIP.replace("0A0B0C0D0E0F", "hello"),
        LONIP.replace("[place]", "[place]\nnode = 200"),
        LONIP.replace("[place]", "[place]\nnode = true"),
        LONIP + '\n[concentrator.plan]\nscan_s = "often"',
        LONIP + '\n[[keys.devices]]\nunique_node_id = "050102030405"\npsk = "00112233445566778899aabbccddeeff"',
        LONIP + '\n[[keys.devices]]\nunique_node_id = "050102030405"\npsk = "file:none.psk"',
        LONIP + "\n[keys]\ndevices = [5]",
        '[place]\nunique_node_id = "0A0B0C0D0E0F"\n[line]\nkind = "simulated"\ndevices = ["boat"]',
    ],
)
def test_what_is_wrong_is_told_and_no_key_is_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(Error) as found:
        load_run_config(written(tmp_path, text))
    assert "00112233445566778899" not in str(found.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Error):
        load_run_config(tmp_path / "none.toml")


def test_a_key_of_another_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meter.psk").write_text("00" * 12)
    text = LONIP + '\n[[keys.devices]]\nunique_node_id = "050102030405"\npsk = "file:meter.psk"'
    with pytest.raises(ConfigError):
        load_run_config(written(tmp_path, text))


# ---- ways -----------------------------------------------------------------------------------------------------------
A, B, C = "050000010000", "050000010001", "050000010002"
WAYS = f"""
[[topology.ways]]
device = "{A}"

[[topology.ways]]
device = "{B}"
via = ["{A}"]

[[topology.ways]]
device = "{C}"
via = ["{A}", "{B}/alternate"]
backup = []
alternate = true
"""


def test_ways_are_written_down(tmp_path: Path) -> None:
    found = load_run_config(written(tmp_path, LONIP + WAYS)).ways
    assert found is not None
    a, b, c = (bytes.fromhex(each) for each in (A, B, C))
    assert found.ways == {
        a: (Step(a),),
        b: (Step(a), Step(b)),
        c: (Step(a), Step(b, True), Step(c, True)),
    }
    assert found.backups == {c: (Step(c),)}
    assert load_run_config(written(tmp_path, LONIP)).ways is None


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        (f'"{C}"', f'"{B}"', "device", "has a way already"),
        (f'["{A}"]', '["050000010009"]', "via", "no way itself"),
        (f'["{A}"]', f'["{B}"]', "via", "circle"),
        (f'["{A}"]', f'["{C}"]', "via", "waits for a repeater"),
        (f'["{A}"]', f'"{A}"', "via", "list of unique_node_ids"),
        (f'["{A}"]', '["0500"]', "via", "no unique_node_id"),
        ("/alternate", "/other", "via", "no carrier"),
        ("backup = []", "backup = 5", "backup", "list"),
        ("alternate = true", "alternate = 1", "alternate", "true or false"),
        ("alternate = true", "speed = 1", "speed", "no topology.ways.speed"),
        ("backup = []", "backup = [" + ", ".join(f'"0600000000{n:02}"' for n in range(8)) + "]", "backup", "too many"),
    ],
)
def test_a_wrong_way_is_told_with_its_line(tmp_path: Path, old: str, new: str, key: str, said: str) -> None:
    text = LONIP + WAYS.replace(old, new, 1)
    with pytest.raises(ConfigError) as found:
        load_run_config(written(tmp_path, text))
    assert said in found.value.message
    assert found.value.hint
    line = int(found.value.message.split(":")[0].removeprefix("line "))
    assert text.splitlines()[line - 1].startswith(f"{key} =")
