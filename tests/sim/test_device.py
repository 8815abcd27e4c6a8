"""Simulated devices through their doors, over restarts, by seed, and with faults."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from osgp.crypto.keys import Key
from osgp.mep.frame import Code
from osgp.node.device import Device
from osgp.sim.device import SimulatedDevice, lab_keys, load_state, save_state
from osgp.sim.faults import FAULTS, parse_faults
from osgp.sim.line import Faults, StepClock
from osgp.tables.access import run_sync
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt23 import BT23
from osgp.tables.et.et55 import ET55
from osgp.tables.registry import all_tables
from osgp.tables.services import Busy, FullRead, NotPermitted, PartialRead, decode_response, encode_request
from osgp.tables.table import number_of
from osgp.wire import STime
from osgp.wire.errors import ConfigError, NoKey, ResponseError

from .doors import mep, optical

BEGIN = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)


def make(model: str = "3ph", **options: object) -> SimulatedDevice:
    options.setdefault("rng", random.Random(5))
    return SimulatedDevice(model, start=BEGIN, **options)  # type: ignore[arg-type]  # named options


def test_every_table_can_be_read_at_the_optical_port() -> None:
    device = make("mbus", history=1)
    with optical(device, "MK", StepClock()) as tables:
        for declared in all_tables():
            if 64 <= declared.number <= 67:
                assert len(run_sync(tables.read_part(declared.number, 0, 500))) == 500
            else:
                assert run_sync(tables.read(declared.number)) or declared.number == 7


@pytest.mark.parametrize("tls", [True, False])
def test_a_typed_device_over_the_mep(tls: bool) -> None:
    device = make(history=1)
    with mep(device, "MAK", StepClock(), tls=tls) as tables:
        user = Device(tables)
        energy, clock = run_sync(user.get("fwd_active_energy", "BT52.clock_calendar"))
        assert energy == device.meter.registers.counts()[0]
        assert str(clock).startswith("2026-02-02T12:0")
        profile = run_sync(user.profile(data_set=1, last=8))
        assert len(list(profile.rows())) == 8


def test_pending_tables_from_the_client_side() -> None:
    device = make()
    clock = StepClock()
    with optical(device, "MK", clock) as tables:
        calendar = run_sync(tables.read(54))
        fresh = calendar[:-4] + b"\x63\0\0\0"
        moment = bytes(STime(26, 2, 2, 12, 10))
        run_sync(tables.write(4096 + 54, b"\0" + moment + fresh))
        assert run_sync(tables.read(4096 + 54))[:6] == b"\0" + moment
        assert run_sync(tables.read(54)) == calendar
    clock.advance_to(700)
    with optical(device, "RK", clock) as tables:
        assert run_sync(tables.read(54)) == fresh
    with optical(device, "PK", clock) as tables:
        for name, result in (("BP13", 0), ("BP15", 0), ("BP12", 0), ("BP14", 0)):
            run_sync(tables.write(4096 + 54, b"\2hello" + calendar))
            parameters = b"\2hello" if name in ("BP13", "BP15") else b""
            assert run_sync(tables.run(number_of(name), parameters)).result == result
            assert run_sync(tables.read(4096 + 54))[:6] == bytes(6)


def test_rk_may_read_and_set_the_clock_but_not_write() -> None:
    device = make()
    with optical(device, "RK", StepClock()) as tables:
        with pytest.raises(NotPermitted):
            run_sync(tables.write(15, bytes(17)))
        assert run_sync(tables.run(number_of("EP16"), (60).to_bytes(4, "little"))).result == 0
        assert run_sync(tables.run(number_of("EP02"), b"\0\0")).result == 5


def transaction(number: int, *messages: bytes) -> bytes:
    body = b"".join(len(each).to_bytes(2, "little") + each for each in messages)
    mark = number.to_bytes(2, "little")
    return (7 + len(body)).to_bytes(2, "little") + b"\0" + mark + body + mark


def test_transactions_and_their_lock() -> None:
    device = make()
    first, second = StepClock(), StepClock()
    ask = transaction(
        2,
        encode_request(PartialRead(52, 0, 7), checksum=False),
        encode_request(FullRead(3000), checksum=False),
    )
    with (
        mep(device, "MAK", first, client=0) as one,
        mep(device, "MBK", second, client=1, response_table=2048 + 85) as two,
    ):
        assert run_sync(one.run(number_of("EP61"), b"\1")).result == 0
        second.advance_to(first.now)
        assert run_sync(two.run(number_of("EP61"), b"\1")).result == 3
        with pytest.raises(ResponseError):
            run_sync(two.write(number_of("ET52"), ask))
        assert run_sync(two.read(number_of("ET54")))  # other tables are free
        run_sync(one.write(number_of("ET52"), ask))
        answer = run_sync(one.read_part(number_of("ET53"), 0, 22))
        assert answer[2:5] == b"\1\2\0"
        assert int.from_bytes(answer[:2], "little") == 7 + 2 + 10 + 2 + 1
        code, data = decode_response(answer[7:17], checksum=False, read=True)
        assert (code, data[:3]) == (0, b"\x1a\2\2")
        assert answer[17:20] == b"\1\0\5"
        second.advance_to(first.now + 11)
        assert run_sync(two.run(number_of("EP61"), b"\1")).result == 0


def test_transactions_through_the_client() -> None:
    device = make()
    with mep(device, "MAK", StepClock()) as tables:
        answers = run_sync(tables.transaction([encode_request(FullRead(n), checksum=False) for n in (23, 52, 15)]))
        assert [code for code, _ in answers] == [0, 0, 0]
        assert BT23.decode(answers[0][1], device.meter.image.context)
        assert answers[2][1] == device.meter.image.read(15)


def test_a_change_of_dimensions_moves_the_mep_sequence() -> None:
    device = make(keys=None)
    clock = StepClock()
    with mep(device, "MAK", clock, tls=False) as tables:
        run_sync(tables.read(0))
        before = device.mep_server().sequence
        assert run_sync(tables.run(number_of("EP11"), bytes([1, 30]) + b"\x30\0\x0a\0\1" + b"\0\0")).result == 0
        assert run_sync(tables.read_part(number_of("ET04"), 116, 1)) == b"\2"
        assert device.mep_server().sequence >= before + 25


def test_the_mep_is_deaf_while_an_optical_session_holds_the_shared_uart() -> None:
    device = make(firmware="3.50")
    clock = StepClock()
    server = device.mep_server()
    with optical(device, "RK", clock) as tables:
        run_sync(tables.read(1))
        server.receive(b"\0\5hello", clock.now)
        server.wake(clock.now + 1)
        assert server.served == server.refused == 0
        assert any(event.reason.startswith("the optical") for event in server.events() if hasattr(event, "reason"))
    with mep(device, "MAK", clock, tls=False) as tables_2:
        assert run_sync(tables_2.read(1))
    with pytest.raises(ConfigError):
        device.mep_server(1)


def test_a_wrong_password_raises_an_alarm() -> None:
    device = make()
    device.keys["wrong"] = Key(bytes(range(20)))
    with pytest.raises(NoKey), optical(device, "wrong", StepClock()):
        pass
    assert device.meter.image.decode(BT03).mfg_status_1.invalid_password == 1


def test_the_optical_port_follows_its_configuration() -> None:
    device = make()
    options = device.optical_server().options
    assert options.session_limit_s == 0
    device.meter.image.set(ET55, "optical_flags.enable_optical_dos", 1)
    device.advance(1.0)
    assert (options.session_limit_s, options.deaf_s) == (600, 300)
    device.meter.image.set(ET55, "optical_flags.disable_optical", 1)
    device.advance(2.0)
    assert not options.port_on


def test_without_supply_nobody_answers() -> None:
    device = make()
    device.mep_server()
    device.power_off(10.0)
    assert not device.optical_server().options.port_on
    server = device.mep_server()
    server.receive(b"\0\1\x30", 11.0)
    server.wake(20.0)
    assert server.outgoing(20.0) == b""
    device.power_on(100.0)
    assert device.optical_server().options.port_on
    server.receive(b"\0\1\x30", 101.0)
    server.wake(110.0)
    assert server.outgoing(110.0)[2] == Code.AUTHENTICATION_FAILED


# --- restart, seed, faults


@pytest.mark.parametrize("model", ["1ph", "3ph", "mbus"])
def test_a_restart_changes_nothing(model: str, tmp_path: Path) -> None:
    place = tmp_path / "state.json"
    one = make(model, history=1.3)
    one.advance(1000.0)
    one.meter.server.handle(FullRead(23), "MK", one.utc_of(1001.0), one.ports["optical"])
    save_state(place, [one])
    other = SimulatedDevice(model, start=datetime(2026, 2, 3, tzinfo=UTC), utc_of=one.utc_of)
    assert load_state(place, [other])
    assert other.to_json() == one.to_json()
    for now in (2000.0, 90_000.0, 200_000.0):
        one.advance(now)
        other.advance(now)
    assert json.dumps(other.to_json()) == json.dumps(one.to_json())
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_a_restart_in_the_middle_of_an_outage_and_with_something_pending(tmp_path: Path) -> None:
    one = make()
    with optical(one, "MK", StepClock()) as tables:
        run_sync(tables.write(4096 + 54, b"\1\0\0\1\0\0" + run_sync(tables.read(54))))
    one.power_off(500.0)
    other = make()
    other.restore(json.loads(json.dumps(one.to_json())))
    for device in (one, other):
        device.power_on(5000.0)
        device.advance(9000.0)
    assert one.to_json() == other.to_json()
    assert not one.meter.pending.matching()


def test_a_state_of_another_device_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "state.json"
    save_state(place, [make()])
    with pytest.raises(ConfigError):
        load_state(place, [make("1ph")])
    with pytest.raises(ConfigError):
        load_state(place, [make(seed=2)])
    with pytest.raises(ConfigError):
        load_state(place, [])
    assert not load_state(tmp_path / "none.json", [make()])
    place.write_text("{")
    with pytest.raises(ConfigError):
        load_state(place, [make()])


def test_a_failed_save_keeps_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "state.json"
    save_state(place, [make()])
    before = place.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        save_state(place, [make(seed=2)])
    assert place.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_the_seed_decides_everything() -> None:
    one, same, other = make(history=1), make(history=1), make(history=1, seed=2)
    assert one.to_json() == same.to_json()
    assert one.serial != other.serial
    assert one.meter.registers.flow != other.meter.registers.flow
    assert one.keys == same.keys == lab_keys(1, one.serial)
    assert one.keys != other.keys


def test_faults_are_read_from_a_list() -> None:
    found = parse_faults("echo, noise=0.5,drop,frozen,drift=-50,stale,busy=1,absent=BT28,absent=ET09")
    assert found.line == Faults(echo=True, noise=0.5, drop=0.002)
    assert (found.frozen, found.drift_ppm, found.stale, found.busy) == (True, -50, 0.1, 1)
    assert found.absent == (28, 2048 + 9)
    assert not parse_faults("").on_line
    for wrong in ("gremlins", "noise=much", "busy=2", "absent=XX1"):
        with pytest.raises(ConfigError):
            parse_faults(wrong)
    assert set(FAULTS) >= {"echo", "noise", "drop", "frozen", "drift", "stale", "busy", "absent"}


def test_a_frozen_meter_shows_power_but_counts_nothing() -> None:
    device = make(history=1, faults=parse_faults("frozen"))
    flow = list(device.meter.registers.flow)
    device.advance(86400.0)
    assert device.meter.registers.flow == flow
    assert device.meter.present().value(15) > 200_000


def test_a_drifting_clock_drifts() -> None:
    device = make(faults=parse_faults("drift=1000"))
    device.advance(100_000.0)
    assert device.meter.shown - device.utc_of(100_000.0) == pytest.approx(100.0, abs=0.01)


def test_busy_and_absent_answers() -> None:
    device = make(faults=parse_faults("busy=1"))
    with optical(device, "RK", StepClock()) as tables, pytest.raises(Busy):
        run_sync(tables.read(1))
    device = make(faults=parse_faults("absent=BT28"))
    with optical(device, "RK", StepClock()) as tables, pytest.raises(ResponseError):
        run_sync(tables.read(28))


def test_clients_bear_the_faults_of_a_line_and_of_the_sequence() -> None:
    device = make()
    with optical(device, "RK", StepClock(), faults=Faults(echo=True, noise=0.001, drop=0.0005)) as tables:
        raw = run_sync(tables.read(23))
        assert BT23.decode(raw, device.meter.image.context)
    device = make(faults=parse_faults("stale=0.5"))
    with mep(device, "MAK", StepClock(), tls=False) as tables_2:
        for _ in range(12):
            assert run_sync(tables_2.read(1)) == device.meter.image.read(1)


def test_twelve_meters_with_a_week_of_history_differ() -> None:
    devices = [make("1ph", index=index, history=0.5) for index in range(12)]
    assert len({device.serial for device in devices}) == 12
    assert len({tuple(device.meter.registers.flow) for device in devices}) == 12
