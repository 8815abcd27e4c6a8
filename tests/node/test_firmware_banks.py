"""Two banks: blocks and gaps, hashes of runs, what is refused and why, the switch, the trial, the way back."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osgp.app.image import CODE_BYTES, ImageResult, announce, block, build, count_blocks, image_mac, run_hashes
from osgp.app.messages import Announcement, CodePacket, ReceivedBlocks, SwitchBank
from osgp.crypto.keys import Key
from osgp.node.firmware_banks import EP10, MAX_IMAGE, TRIAL_S, FirmwareBanks, version_of
from osgp.node.meter import Meter
from osgp.node.osgp_parts import find
from osgp.node.osgp_tables import FirmwareState
from osgp.sim.device_kinds import KINDS, make_meter
from osgp.sim.pl_device import LAB_IMAGE_KEY_ID, lab_image_key
from osgp.tables.bt.bt03 import BT03
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et54 import ET54
from osgp.tables.et.et89 import ET89
from osgp.wire import LTime
from tests.sim.pl_line import START, Line

from .meters import Client
from .test_parts import events, stamp

KFW = Key(bytes(range(16)))
HARDWARE = KINDS["load"].hardware_id
NEW = version_of(4, 61)
CODE = hashlib.shake_256(b"code").digest(9000)


def image(version: int = NEW, *, hardware: int = HARDWARE, key_id: int = LAB_IMAGE_KEY_ID, key: Any = None) -> bytes:
    return build(CODE, hardware, version, key_id, key or lab_image_key())


def device() -> tuple[Meter, Client, FirmwareBanks]:
    meter = make_meter("load", "00004711", seed=5, start=START)
    banks = find(meter, FirmwareBanks)
    assert banks is not None
    banks.install(lambda: KFW, {LAB_IMAGE_KEY_ID: lab_image_key().public_key(), 9: None}, HARDWARE)
    return meter, Client(meter), banks


def load(client: Client, content: bytes, *, image_id: int = 77, skip: frozenset[int] = frozenset()) -> None:
    assert client.run("EP08", announce(content, image_id).encode())[0] == 0
    for number in range(count_blocks(len(content))):
        if number not in skip:
            send(client, content, number)


def send(client: Client, content: bytes, number: int) -> int:
    return client.run("EP09", CodePacket(block=number, code=block(content, number)).encode())[0]


def switch(client: Client, content: bytes, at: bytes = bytes(6), *, mac: bytes | None = None) -> tuple[int, bytes]:
    activation = LTime(*at)
    order = SwitchBank(length=len(content), mac=image_mac(KFW, content) if mac is None else mac, activation=activation)
    result, data = client.run("EP10", order.encode())
    return result, data[:1]


def told(client: Client) -> FirmwareState:
    return FirmwareState.decode(client.read("UT24"))


def later(client: Client, seconds: float) -> None:
    client.now += seconds
    client.meter.advance(client.now)


# ---- loading --------------------------------------------------------------------------------------------------------
def test_gaps_stand_in_the_bitmap_and_are_filled_in_any_order() -> None:
    _, client, banks = device()
    content = image()
    load(client, content, skip=frozenset((3, 8, 100)))
    table = ReceivedBlocks.decode(client.read("UT16"))
    assert (table.image_id, table.blocks) == (77, count_blocks(len(content)))
    gaps = [n for n in range(table.blocks) if not table.bitmap[n // 8] >> n % 8 & 1]
    assert gaps == [3, 8, 100]
    assert told(client).missing == 3
    assert switch(client, content)[0] == 3, "not complete"
    for number in (100, 3, 8):
        assert send(client, content, number) == 0
    assert banks.missing == 0


def test_hashes_of_runs_show_where_a_block_was_spoilt() -> None:
    _, client, banks = device()
    content = image()
    load(client, content)
    spoilt = bytearray(content)
    spoilt[70 * CODE_BYTES] ^= 1
    assert send(client, bytes(spoilt), 70) == 0, "unicast overwrites"
    hashes = client.read("UT20")
    wanted = b"".join(run_hashes(content))
    assert len(hashes) == len(wanted)
    differ = [run for run in range(len(wanted) // 8) if hashes[8 * run : 8 * run + 8] != wanted[8 * run : 8 * run + 8]]
    assert differ == [1]
    assert switch(client, content) == (2, bytes((ImageResult.BAD_HASH,)))
    send(client, content, 70)
    assert switch(client, content) == (0, b"\0")
    assert banks.state == 2


def test_a_broadcast_fills_gaps_and_overwrites_nothing() -> None:
    _, client, banks = device()
    content, other = image(), image(version_of(9, 9))
    load(client, content, skip=frozenset((5,)))
    client.port.broadcast = True
    for number in (4, 5):
        packet = CodePacket(block=number, code=block(other, number)[::-1]).encode()
        banks.handlers()[2057](packet, client.port, "PL", client.now)
    client.port.broadcast = False
    assert banks._bank[4 * CODE_BYTES : 5 * CODE_BYTES] == block(content, 4)
    assert banks._bank[5 * CODE_BYTES : 6 * CODE_BYTES] == block(other, 5)[::-1]
    assert banks.handlers()[2056](announce(content, 5).encode(), client.port, "PL", client.now)[0] == 0
    client.port.broadcast = True
    assert banks.handlers()[2056](announce(content, 6).encode(), client.port, "PL", client.now)[0] == 5


def test_blocks_without_an_announcement_or_beyond_it_are_refused() -> None:
    _, client, _ = device()
    content = image()
    assert send(client, content, 0) == 3
    load(client, content)
    beyond = CodePacket(block=count_blocks(len(content)), code=bytes(54)).encode()
    assert client.run("EP09", beyond)[0] == 2
    assert client.run("EP09", beyond[:-1])[0] == 2


def test_an_announcement_that_contradicts_itself_is_refused_and_a_repeated_one_keeps_what_came() -> None:
    _, client, banks = device()
    content = image()
    good = announce(content, 77)
    for image_id, length, blocks in (
        (77, good.length, good.blocks + 1),
        (77, 0, 0),
        (0, good.length, good.blocks),
        (77, MAX_IMAGE + 1, count_blocks(MAX_IMAGE + 1)),
    ):
        bad = Announcement(image_id=image_id, length=length, blocks=blocks, sha256=good.sha256)
        assert client.run("EP08", bad.encode())[0] == 2
    load(client, content)
    assert client.run("EP08", good.encode())[0] == 0
    assert banks.missing == 0
    assert client.run("EP08", announce(content, 78).encode())[0] == 0
    assert banks.missing == good.blocks


# ---- what is refused ------------------------------------------------------------------------------------------------
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.mark.parametrize(
    ("content", "result", "shown"),
    [
        (image(hardware=1), ImageResult.WRONG_HARDWARE, 240),
        (image(version_of(4, 59)), ImageResult.VERSION_BELOW_FLOOR, 240),
        (image(key=OTHER_KEY), ImageResult.BAD_SIGNATURE, 16),
        (image(key_id=2), ImageResult.UNKNOWN_KEY, 2),
        (image(key_id=9), ImageResult.INVALIDATED_KEY, 3),
        (image()[:-64] + bytes(64), ImageResult.UNSIGNED, 1),
    ],
    ids=["hardware", "version", "signature", "unknown key", "invalidated key", "unsigned"],
)
def test_an_image_that_is_not_for_this_device_is_refused_with_its_reason(
    content: bytes, result: ImageResult, shown: int
) -> None:
    meter, client, banks = device()
    load(client, content)
    assert switch(client, content) == (2, bytes((result,)))
    table: Any = meter.image.decode(ET89)
    assert table.last_validation_error == shown
    assert (table.last_image_len, table.signature_len) == (len(content), 64)
    assert table.signature == content[-64:-56]
    assert meter.image.get(ET54, "proc_ext_failure") == EP10 << 16 | result
    assert events(meter)[0] == "firmware_refused"
    later(client, 100)
    assert banks.version == version_of(4, 60)


def test_a_mac_under_another_key_or_for_another_length_is_refused() -> None:
    _, client, _ = device()
    content = image()
    load(client, content)
    assert switch(client, content, mac=image_mac(Key(bytes(16)), content)) == (2, bytes((ImageResult.BAD_MAC,)))
    assert switch(client, content + b"\0", mac=image_mac(KFW, content)) == (2, bytes((ImageResult.BAD_HASH,)))
    assert switch(client, content)[0] == 0


# ---- switch and trial -----------------------------------------------------------------------------------------------
def test_the_switch_comes_at_its_moment_and_a_secured_request_ends_the_trial() -> None:
    meter, client, banks = device()
    versions: list[int] = []
    banks.switched_to = versions.append
    content = image()
    load(client, content)
    version = meter.image.get(ET04, "idt_version")
    assert switch(client, content, stamp(client.now + 3600))[0] == 0
    assert (told(client).state, told(client).version) == (2, version_of(4, 60))
    assert send(client, content, 1) == 3, "it waits: nothing may be changed"
    later(client, 3590)
    assert versions == []
    later(client, 20)
    assert versions == [NEW]
    state = told(client)
    assert (state.state, state.version, state.floor) == (3, NEW, version_of(4, 60))
    assert state.sha256 == hashlib.sha256(content).digest()[:8]
    assert meter.image.get(ET04, "idt_version") == version + 1
    status: Any = meter.image.decode(BT03)
    assert status.mfg_status_1.code_bank_changed == 1
    assert client.run("EP08", announce(content, 80).encode())[0] == 3, "not while a trial runs"
    banks.confirmed()
    assert (told(client).state, told(client).floor) == (0, NEW)
    assert events(meter)[:2] == ["code_bank_kept", "code_bank_switched"]
    later(client, 2 * TRIAL_S)
    assert banks.version == NEW


def test_without_a_secured_request_the_old_bank_comes_back_after_a_day() -> None:
    meter, client, banks = device()
    content = image()
    load(client, content)
    switch(client, content)
    later(client, 60)
    assert banks.version == NEW
    later(client, TRIAL_S - 120)
    assert banks.version == NEW
    later(client, 120)
    assert (banks.version, banks.floor) == (version_of(4, 60), version_of(4, 60))
    assert events(meter)[0] == "code_bank_fallback"
    assert client.run("EP08", announce(content, 81).encode())[0] == 0


def test_a_locked_safe_image_stays_in_its_bank() -> None:
    meter, client, banks = device()
    content = image()
    load(client, content)
    meter.image.set(ET04, "safe_image_locked", 1)
    switch(client, content)
    later(client, 2 * TRIAL_S)
    assert banks.version == NEW


def test_a_trial_runs_on_over_an_outage() -> None:
    meter, client, banks = device()
    content = image()
    load(client, content)
    switch(client, content)
    later(client, 60)
    meter.power_off(client.now)
    client.now += 2 * TRIAL_S
    meter.power_on(client.now)
    later(client, 1)
    assert banks.version == version_of(4, 60)


def test_a_new_announcement_forgets_a_switch_that_waits() -> None:
    _, client, banks = device()
    content = image()
    load(client, content)
    switch(client, content, stamp(client.now + 3600))
    assert client.run("EP08", announce(image(version_of(4, 62)), 90).encode())[0] == 0
    later(client, 7200)
    assert banks.version == version_of(4, 60)


def test_what_is_loaded_survives_a_save() -> None:
    meter, client, _ = device()
    content = image()
    load(client, content, skip=frozenset((7,)))
    text = json.dumps(meter.to_json())
    again = make_meter("load", "00004711", seed=5, start=START)
    again.restore(json.loads(text))
    assert json.dumps(again.to_json()) == text
    banks = find(again, FirmwareBanks)
    assert banks is not None
    banks.install(lambda: KFW, {LAB_IMAGE_KEY_ID: lab_image_key().public_key()}, HARDWARE)
    other = Client(again)
    other.now = client.now
    assert send(other, content, 7) == 0
    assert switch(other, content)[0] == 0


def test_ids_of_image_keys_stand_in_et89() -> None:
    meter, _, _ = device()
    table: Any = meter.image.decode(ET89)
    assert table.image_key_ids == [LAB_IMAGE_KEY_ID, 9]
    assert (table.key_status.key0_invalidated, table.key_status.key1_invalidated) == (0, 1)


# ---- over the line --------------------------------------------------------------------------------------------------
def test_a_whole_image_over_the_line_by_broadcast_with_repair_and_token() -> None:
    line = Line("load", "1ph")
    for asker in line.askers:
        asker.commission()
    load_module, meter = line.askers
    small = build(b"a small program" * 20, HARDWARE, NEW, LAB_IMAGE_KEY_ID, lab_image_key())
    blocks = count_blocks(len(small))
    assert load_module.run("EP08", announce(small, 5).encode()) == 0
    for number in range(blocks):
        if number != 2:
            packet = CodePacket(block=number, code=block(small, number)).encode()
            data = (2057).to_bytes(2, "little") + bytes((number + 10,)) + packet
            line.broadcast(bytes.fromhex("400007") + len(data).to_bytes(2, "big") + data)
    assert ReceivedBlocks.decode(load_module.read("UT16")).bitmap[0] == (1 << min(8, blocks)) - 1 & ~4
    assert load_module.run("EP09", CodePacket(block=2, code=block(small, 2)).encode()) == 0
    kfw = load_module.device.node.security.kfw()
    order = SwitchBank(length=len(small), mac=image_mac(kfw, small), activation=LTime()).encode()
    assert load_module.run("EP10", order) == 5, "without a token"
    assert load_module.run("EP10", order, token=True) == 0
    banks = find(load_module.device.meter, FirmwareBanks)
    assert banks is not None
    line.wire.run(line.wire.now + 10)
    load_module.device.advance(line.wire.now)
    assert (banks.version, banks.state) == (NEW, 3)
    assert FirmwareState.decode(load_module.read("UT24")).version == NEW
    assert (banks.floor, banks.state) == (NEW, 0), "that very request ended the trial"
    other = find(meter.device.meter, FirmwareBanks)
    assert other is not None
    assert other.announced is None
