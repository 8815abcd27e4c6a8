"""Firmware for a street: broadcast over repeaters with loss, gaps, repair, hashes, tokens, the trial, pause, restart, airtime."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from osgp.app.aes import device_keys
from osgp.app.image import build, count_blocks
from osgp.concentrator.broadcasts import Broadcasts
from osgp.concentrator.firmware import Firmware, switch_order
from osgp.node.firmware_banks import FirmwareBanks, version_of
from osgp.node.osgp_parts import find
from osgp.sim.medium import FrameMedium, Levels
from osgp.sim.pl_device import LAB_IMAGE_KEY_ID, lab_image_key
from osgp.wire import LTime
from osgp.wire.errors import ConfigError
from tests.concentrator.network import PROFILE, Network, chain, levels_of

NEW = version_of(4, 61)
TREE = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (1, 4), (1, 5), (1, 6), (4, 5), (4, 6), (5, 6)]
TREE += [(2, 7), (2, 8), (7, 8), (4, 9), (4, 10), (9, 10)]
"""Three devices in earshot, five behind one repeater, two behind two."""
GOOD, LOSSY = 30.0, 5.0
"""dB; at the lower one in ten long frames is lost."""


def tree(level_db: float) -> Levels:
    return levels_of(11, dict.fromkeys(TREE, level_db))


class Street(Network):
    """A network whose concentrator distributes firmware."""

    def _make(self, now: float) -> None:
        super()._make(now)
        self.broadcasts = Broadcasts(self.concentrator, self.topology, self.sender)
        self.firmware = Firmware(self.concentrator, self.topology, self.broadcasts, self.care.keys)

    def banks(self, index: int) -> FirmwareBanks:
        found = find(self.devices[index].meter, FirmwareBanks)
        assert found is not None
        return found

    def numbers(self) -> list[int]:
        return [self.node(index).device for index in range(len(self.devices))]

    def image(self, size: int = 3000, *, hardware: int | None = None) -> bytes:
        code = hashlib.shake_256(b"code").digest(size)
        return build(code, hardware or self.devices[0].kind.hardware_id, NEW, LAB_IMAGE_KEY_ID, lab_image_key())

    def order(self, index: int, image: bytes, *, counter: int = 1) -> bytes:
        device = self.devices[index]
        keys = device_keys(device.umk, device.unique_node_id, PROFILE)
        return switch_order(keys.kfw, keys.kcrit, device.unique_node_id, image, LTime(), counter)

    def orders(self, image: bytes, indices: Iterable[int] | None = None) -> dict[int, bytes]:
        wanted = range(len(self.devices)) if indices is None else indices
        return {self.node(index).device: self.order(index, image) for index in wanted}

    def add(self, image: bytes, orders: dict[int, bytes] | None = None, **options: Any) -> int:
        number = self.firmware.add(
            image, self.numbers(), self.orders(image) if orders is None else orders, now=self.wire.now, **options
        )
        self.touch()
        return number

    def results(self, number: int) -> dict[int, tuple[str, dict[str, Any]]]:
        return {device: (state, detail) for device, state, _, _, detail in self.journal.results(number)}

    def is_over(self, number: int) -> bool:
        return number not in self.concentrator.jobs.active

    def becomes(self, levels: Levels) -> None:
        assert isinstance(self.wire.medium, FrameMedium)
        self.wire.medium.levels = levels

    def airtime(self) -> float:
        assert self.port is not None
        return self.port.airtime_s + sum(port.airtime_s for port in self.ports)

    def advance(self) -> None:
        """Meters whose moment has come live on, as they do by themselves."""
        for device in self.devices:
            due = device.due()
            if due is not None and due <= self.wire.now:
                device.advance(self.wire.now)

    def until_over(self, number: int, limit_s: float = 4 * 3600.0) -> None:
        def done() -> bool:
            self.advance()
            return self.is_over(number)

        self.until(done, limit_s)


@pytest.fixture(scope="module")
def upgraded() -> tuple[Street, int, float]:
    """A street of ten devices, seven behind repeaters, a tenth of all frames lost: after a firmware job."""
    street = Street(tree(GOOD))
    street.until(street.all_up, 4 * 3600.0)
    street.run(1800.0)
    street.becomes(tree(LOSSY))
    before = street.airtime()
    image = street.image()
    number = street.add(image)
    street.until_over(number)
    return street, number, street.airtime() - before


def test_an_image_reaches_all_devices_behind_repeaters_with_loss_and_its_trial_is_confirmed(
    upgraded: tuple[Street, int, float],
) -> None:
    street, number, _ = upgraded
    assert {state for state, _ in street.results(number).values()} == {"done"}
    for index in range(10):
        banks = street.banks(index)
        assert (banks.version, banks.floor, banks.state) == (NEW, NEW, 0)
        assert banks.images[banks.active] == street.image()
    assert max(street.legs(index) for index in range(10)) == 3


def test_the_airtime_is_told_against_the_cost_of_unicast(upgraded: tuple[Street, int, float]) -> None:
    street, number, measured = upgraded
    summary = street.firmware.status()[str(number)]
    estimate = summary["broadcast_s"] + summary["unicast_s"]
    assert measured == pytest.approx(estimate, rel=0.2), "repeaters' own repeats are not seen"
    assert measured < 0.65 * summary["unicast_cost_s"], (
        "57 blocks to ten devices, a tenth lost; unicast without any loss"
    )
    assert summary["broadcasts"] > summary["blocks"] == 57
    (note,) = street.journal.notices(kind="firmware")
    assert "57 blocks took" in note.text


def test_the_windows_were_wide_enough_and_are_as_before_afterwards(upgraded: tuple[Street, int, float]) -> None:
    street, _, _ = upgraded
    assert street.care.keys.more_window == 0
    for device in street.devices:
        first, width = device.node.security.window
        assert first <= street.sender.counter <= first + width


def test_devices_that_run_the_image_already_are_done_at_once() -> None:
    street = Street(chain(2))
    street.until(street.all_up)
    image = street.image(500)
    street.until_over(street.add(image))
    before = street.sender.counter
    number = street.add(image)
    street.until_over(number)
    assert {detail["already"] for _, detail in street.results(number).values()} == {True}
    assert street.sender.counter == before


def test_without_an_order_an_image_is_loaded_and_not_switched() -> None:
    street = Street(chain(2))
    street.until(street.all_up)
    number = street.add(street.image(500), {})
    street.until_over(number)
    assert [(state, detail["switched"]) for state, detail in street.results(number).values()] == [("done", False)] * 2
    assert [(street.banks(index).missing, street.banks(index).state) for index in range(2)] == [(0, 1)] * 2


def test_a_token_that_was_used_switches_nothing() -> None:
    street = Street(chain(1))
    street.until(street.all_up)
    street.until_over(street.add(street.image(400)))
    image = street.image(450)
    number = street.add(image, {street.numbers()[0]: street.order(0, image, counter=1)})
    street.until_over(number)
    ((state, detail),) = street.results(number).values()
    assert (state, detail["phase"]) == ("refused", "loaded")
    assert "token" in detail["error"]
    assert len(street.banks(0).images[street.banks(0).active]) == len(street.image(400))


def test_an_image_for_other_hardware_is_refused_with_the_reason() -> None:
    street = Street(chain(1))
    street.until(street.all_up)
    number = street.add(street.image(400, hardware=99))
    street.until_over(number)
    ((state, detail),) = street.results(number).values()
    assert (state, detail["code"]) == ("refused", 64)
    assert "wrong hardware" in detail["error"]


def test_blocks_that_a_forger_spoiled_are_found_by_their_hashes_and_mended() -> None:
    street = Street(chain(2))
    street.until(street.all_up)
    image = street.image(1500)
    number = street.add(image)
    street.until(lambda: street.banks(1).missing == 2)
    street.banks(1)._bank[54:60] = b"forged"
    street.until_over(number)
    assert {state for state, _ in street.results(number).values()} == {"done"}
    assert street.banks(1).images[street.banks(1).active] == image


def test_a_device_that_is_gone_fails_alone() -> None:
    street = Street(chain(2))
    street.until(street.all_up)
    number = street.add(street.image(400))
    street.devices[1].power_off(street.wire.now)
    street.until_over(number, 86400.0)
    first, second = street.results(number).values()
    assert (first[0], second[0]) == ("done", "failed")


def test_a_device_that_comes_late_gets_all_its_blocks_alone() -> None:
    street = Street(chain(2))
    street.until(street.all_up)
    street.devices[1].power_off(street.wire.now)
    number = street.add(street.image(800))
    street.until(lambda: street.firmware.status()[str(number)].get("sent") == count_blocks(len(street.image(800))))
    street.devices[1].power_on(street.wire.now)
    street.until_over(number, 86400.0)
    assert {state for state, _ in street.results(number).values()} == {"done"}


def test_a_paused_job_sends_nothing_and_goes_on_where_it_was() -> None:
    street = Street(chain(2))
    street.until(street.all_up)
    street.run(1800.0)
    number = street.add(street.image(1500))
    street.until(lambda: street.banks(1).missing == 15)
    street.concentrator.jobs.pause(number)
    street.run(30.0)
    sent, missing = street.sender.counter, street.banks(1).missing
    street.run(600.0)
    assert (street.sender.counter, street.banks(1).missing) == (sent, missing)
    street.concentrator.jobs.resume(number)
    street.touch()
    street.until_over(number)
    assert {state for state, _ in street.results(number).values()} == {"done"}
    assert street.sender.counter - sent <= missing + 1


@pytest.mark.parametrize("missing", [29, 12, 0])
def test_a_restart_goes_on_and_sends_little_again(tmp_path: Path, missing: int) -> None:
    street = Street(chain(2), place=tmp_path / "journal.sqlite")
    street.until(street.all_up)
    image = street.image(1500)
    number = street.add(image)
    street.until(lambda: street.banks(1).announced is not None and street.banks(1).missing == missing)
    street.restart()
    street.until_over(number)
    assert {state for state, _ in street.results(number).values()} == {"done"}
    assert all(street.banks(index).version == NEW for index in range(2))
    assert street.firmware.status()[str(number)]["broadcasts"] <= count_blocks(len(image)) + 16


def test_a_job_is_checked_before_it_is_taken() -> None:
    street = Street(chain(1))
    street.until(street.all_up)
    with pytest.raises(ConfigError):
        street.firmware.add(b"short", street.numbers(), now=street.wire.now)
    image = street.image(300)
    with pytest.raises(ConfigError):
        street.firmware.add(image, street.numbers(), {1: b"no order"}, now=street.wire.now)
    with pytest.raises(ConfigError):
        street.firmware.add(image, street.numbers(), {1: street.order(0, street.image(301))}, now=street.wire.now)
    number = street.concentrator.add_job("firmware", street.numbers(), {"image": "abc"}, now=street.wire.now)
    street.touch()
    street.until_over(number)
    ((state, detail),) = street.results(number).values()
    assert state == "failed"
    assert "journal" in detail["error"]


def images(street: Street) -> list[str]:
    return list(street.journal.get_all("firmware image "))


def test_an_image_leaves_the_journal_when_no_job_needs_it_and_its_facts_stay(
    upgraded: tuple[Street, int, float],
) -> None:
    street, number, _ = upgraded
    assert images(street) == []
    ((_, kind, _, _, _, _, parameters, _),) = [row for row in street.journal.jobs() if row[0] == number]
    assert kind == "firmware"
    image = street.image()
    assert parameters["image"] == hashlib.sha256(image).hexdigest()
    assert (parameters["length"], parameters["version"]) == (len(image), NEW)


def test_the_image_of_a_cancelled_job_goes_and_that_of_a_job_under_way_stays() -> None:
    street = Street(chain(2))
    street.until(street.all_up)
    first, second = street.add(street.image(1500)), street.add(street.image(1600))
    street.until(lambda: street.banks(1).missing == 20)
    assert len(images(street)) == 2
    street.concentrator.jobs.cancel(first)
    assert images(street) == [f"firmware image {hashlib.sha256(street.image(1600)).hexdigest()}"]
    street.until_over(second)
    assert images(street) == []


def test_steps_at_several_devices_overlap_as_far_as_jobs_may() -> None:
    street = Street(tree(GOOD))
    street.until(street.all_up, 4 * 3600.0)
    number = street.add(street.image(400))
    most = 0

    def done() -> bool:
        nonlocal most
        street.advance()
        most = max(most, street.concentrator.exchanges.waiting()["housekeeping"])
        return street.is_over(number)

    street.until(done, 4 * 3600.0)
    assert {state for state, _ in street.results(number).values()} == {"done"}
    assert most >= street.config.jobs_at_once - 1, "the others wait while one is on the line"
