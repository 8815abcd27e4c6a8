"""The configuration of ``osgp collect``: what holds for whom, and that every mistake is told with file, place and hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from osgp.headend.config import DEFAULT_MEASUREMENTS, EXAMPLE, CollectConfig, load_config, seconds
from osgp.headend.plausibility import Rules
from osgp.wire.errors import ConfigError

DEVICE = '[[device]]\nname = "a"\naddress = "optical:///dev/ttyUSB0"\n'
SECRET = "6f9619ff8b86d011b42d00c04fc964ff01020304"


def load(tmp_path: Path, text: str) -> CollectConfig:
    path = tmp_path / "meters.toml"
    path.write_text(text, "utf-8")
    return load_config(path)


def test_the_example_is_correct_and_says_what_it_means(tmp_path: Path) -> None:
    config = load(tmp_path, EXAMPLE)
    assert config.store == tmp_path / "osgp.sqlite"
    kitchen, flat = config.device
    assert config.wish(kitchen).every == 900
    assert config.wish(flat).every == 3600
    assert config.wish(flat).jitter == 30
    assert config.wish(flat).logs == ("BT74",)
    assert config.wish(flat).measurements == DEFAULT_MEASUREMENTS


def test_defaults_are_those_of_the_rules(tmp_path: Path) -> None:
    config = load(tmp_path, DEVICE)
    assert config.rules.rules() == Rules()
    assert (config.wish(config.device[0]).every, config.wish(config.device[0]).profiles) == (900, (1,))


def test_the_device_wins_over_the_collection_also_with_its_schedule(tmp_path: Path) -> None:
    config = load(
        tmp_path, '[collection]\nat = ["00:10"]\nprofiles = [1, 2]\n' + DEVICE + 'every = "5min"\nprofiles = []\n'
    )
    wish = config.wish(config.device[0])
    assert (wish.at, wish.every, wish.profiles) == (None, 300, ())


def test_an_absolute_store_stays_where_it_is(tmp_path: Path) -> None:
    assert load(tmp_path, f'store = "{tmp_path}/x/y.sqlite"\n' + DEVICE).store == tmp_path / "x" / "y.sqlite"


@pytest.mark.parametrize(
    ("text", "value"), [("30s", 30), ("15min", 900), ("6h", 21600), ("1d", 86400), ("1.5h", 5400), (7, 7)]
)
def test_durations(text: object, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "device: Field required"),
        ("device = []\n", "device: "),
        ("store = \n", "(at line 1"),
        (DEVICE + 'every = "soon"\n', "device.1.every: a duration looks like 30s"),
        (DEVICE + "every = 0\n", "device.1.every: "),
        (DEVICE + 'at = ["24:00"]\n', "device.1.at: '24:00' is no time of day"),
        (DEVICE + 'at = ["00:10"]\nevery = 60\n', "device.1: every and at exclude each other"),
        (DEVICE + "profiles = [5]\n", "device.1.profiles.1: "),
        (DEVICE + 'logs = ["BT999"]\n', "device.1.logs: "),
        (DEVICE + 'measurements = ["voltage_l9"]\n', "device.1.measurements: "),
        (DEVICE + 'where = "x"\n', "device.1.where: "),
        (DEVICE.replace("optical", "telnet"), "device.1.address: "),
        (DEVICE + DEVICE, "two devices are named a"),
        ("at_once = 0\n" + DEVICE, "at_once: "),
        ('[rules]\nfrozen = "never"\n' + DEVICE, "rules.frozen: "),
        ("[collections]\n" + DEVICE, "collections: "),
    ],
)
def test_every_mistake_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert str(tmp_path / "meters.toml") in caught.value.message
    assert told in caught.value.message
    assert "--example" in caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml") as caught:
        load_config(tmp_path / "none.toml")
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        DEVICE + f'key = "{SECRET}"\n',
        DEVICE + f'key = "hex:{SECRET}"\n',
        DEVICE + f'password = "{SECRET}"\n',
        DEVICE + f'key = ["{SECRET}"]\n',
        DEVICE + f'key = "{SECRET}\n',
        DEVICE.replace("optical:///", f"optical://{SECRET}@/"),
        DEVICE.replace("ttyUSB0", f"ttyUSB0?key={SECRET}"),
    ],
)
def test_a_key_in_the_file_is_refused_and_never_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    told = f"{caught.value} {caught.value.hint} {caught.value!r} {caught.value.__cause__}"
    assert SECRET not in told
    assert "device.1." in told or "line" in told


@pytest.mark.parametrize("key", ["vault:kitchen/RK", "file:/run/key", "env:KITCHEN"])
def test_a_key_is_named_by_its_place(tmp_path: Path, key: str) -> None:
    assert load(tmp_path, DEVICE + f'key = "{key}"\n').device[0].key == key
