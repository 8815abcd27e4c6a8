"""A network with other numbers: message codes and key labels of a file instead of ours, in every node of a street."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from osgp.app.profile import OsgpProfile
from osgp.lon.events import MessageReceived
from osgp.ports.network_profile import VARIABLE, read_profile
from osgp.street.plan import default_text, load_plan
from osgp.street.run import StreetRun
from osgp.wire.errors import ConfigError, StoreError
from tests.street.small import small_plan

OTHER = """
name = "elsewhere"
[codes]
request = 0x20
broadcast = 0x22
alert = 0x24
sequence_error = 0x26
fcm = 0x28
atm = 0x2A
[labels]
psk = "ANOTHER/DC"
session = "ANOTHER/SES"
[limits]
max_apdu = 88
max_read = 76
max_write = 67
"""


def codes_on_the_line(run: StreetRun, monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """First bytes of messages that the devices' own stacks were given."""
    found: Counter[int] = Counter()
    for device in run.devices:
        receive = device.node._message

        def told(event: MessageReceived, now: float, receive: Callable[..., None] = receive) -> None:
            found[event.apdu[0]] += 1
            receive(event, now)

        monkeypatch.setattr(device.node, "_message", told)
    return found


def test_a_street_with_other_numbers_runs_as_ours_does(monkeypatch: pytest.MonkeyPatch) -> None:
    run = StreetRun(dataclasses.replace(small_plan(3, hours=0.6), profile=OsgpProfile.from_toml(OTHER)))
    found = codes_on_the_line(run, monkeypatch)
    run.run()
    assert run.truth().exact
    assert run.up() == 3
    assert found[0x20] > found[0x28] > 0
    assert found[0x2A] > 0
    assert not any(found[code] for code in range(0x10, 0x20))


def test_the_file_of_a_street_or_the_environment_names_a_profile(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(OTHER)
    (tmp_path / "street.toml").write_text(default_text(4).replace("[street]", '[street]\nprofile = "other.toml"'))
    assert load_plan(tmp_path / "street.toml").profile == OsgpProfile.from_toml(OTHER)
    named = {VARIABLE: str(tmp_path / "other.toml")}
    assert read_profile(environ=named).name == "elsewhere"
    assert read_profile(environ={}) == OsgpProfile()


def test_a_profile_that_cannot_be_used_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.toml"):
        read_profile(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[codes]\nrequest = 0x18\n")
    with pytest.raises(ConfigError, match=r"bad\.toml.*same code"):
        read_profile(tmp_path / "bad.toml")
    (tmp_path / "street.toml").write_text(default_text(4).replace("[street]", '[street]\nprofile = "bad.toml"'))
    with pytest.raises(ConfigError, match=r"street\.toml:.*same code"):
        load_plan(tmp_path / "street.toml")
