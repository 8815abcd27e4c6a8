"""``SimulatedDevice``: meter, house and doors joined. A complete OSGP server; where its bytes travel is for ``ports.serve``.

Machines are made once for each door and keep their state between connections, as a meter does. On generations 2 and 3 the
optical port and the MEP share one UART: while an optical session is open, the MEP is deaf. The keys of a simulated device
follow from its seed; they are for the laboratory only. Project choice throughout.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osgp.c1218.events import AccessRefused, LoggedOn, SessionClosed, SessionOpened
from osgp.c1218.server import OpticalServer, ServerOptions
from osgp.crypto.keys import Key
from osgp.mep.server import MepServer
from osgp.node.mbus_devices import MbusChild
from osgp.node.meter import Meter
from osgp.node.server import Port
from osgp.sim.faults import DeviceFaults, FrozenSource, SaggingSource, chance
from osgp.sim.household import HouseholdSource
from osgp.sim.load import Household
from osgp.sim.load_weather import Weather
from osgp.tables.et.et55 import ET55
from osgp.tables.services import Request, ResponseCode, encode_response
from osgp.wire.errors import ConfigError

__all__ = ["KEY_NAMES", "SimulatedDevice", "lab_keys", "load_state", "save_state", "write_keys"]

KEY_NAMES = ("MK", "PK", "RK", "MAK", "MBK")
_STATE_FORM = 1


def lab_keys(seed: int, serial: str) -> dict[str, Key]:
    """The keys of a simulated device: 20 bytes each, from seed and serial number. Anybody can compute them: laboratory only."""
    found = {}
    for name in KEY_NAMES:
        digest = hashlib.sha256(f"osgp simulated meter {seed} {serial} {name}".encode()).digest()
        found[name] = Key(digest[:20])
    return found


def _children(seed: int, weather: Weather, since: float) -> tuple[MbusChild, ...]:
    """Three children whose counters began at ``since``: so they need not be summed over years."""
    from osgp.sim.load_children import ChildOptions, GasMeter, HeatMeter, WaterMeter

    options = ChildOptions(weather=weather, since=datetime.fromtimestamp(since, UTC))
    return (WaterMeter(seed, **options), GasMeter(seed, **options), HeatMeter(seed, **options))


class SimulatedDevice:
    """One simulated meter. ``now`` of its machines is the loop's monotonic second; ``utc_of`` turns it into true UTC seconds
    (``Clock.utc_at(now).timestamp()``, or the default: ``start`` at ``now`` 0).

    ``model``: "1ph", "3ph", "mbus". ``tls``: the MEP demands TLS (True), refuses it (False) or takes both (None). ``history``:
    days that it has already run. ``source`` and ``children`` replace the simulated house, ``meter`` all of it: one that
    lives already, at another door. ``rng``: for TLS (default: the
    system's). Raises ConfigError.
    """

    def __init__(
        self,
        model: str = "3ph",
        *,
        seed: int = 1,
        index: int = 0,
        serial: str | None = None,
        firmware: str = "4.10",
        start: datetime | None = None,
        utc_of: Callable[[float], float] | None = None,
        history: float = 0.0,
        tls: bool | None = None,
        faults: DeviceFaults | None = None,
        source: Any = None,
        children: Sequence[MbusChild] | None = None,
        meter: Meter | None = None,
        keys: dict[str, Key] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.seed = seed
        self.index = index
        self.serial = serial or f"{10_000_000 + (seed * 7919 + index * 101) % 89_999_999:08d}"
        self.tls = tls
        self.faults = faults or DeviceFaults()
        begin = (start or datetime(2026, 1, 1, tzinfo=UTC)).timestamp()
        self.utc_of: Callable[[float], float] = utc_of or (lambda now: begin + now)
        self.keys = keys or lab_keys(seed, self.serial)
        self._rng = random.Random(f"device {seed} {self.serial}")
        self._tls_rng = rng or random.SystemRandom()
        weather = Weather(seed)
        house_seed = seed * 1000 + index
        if meter is not None:
            source, children = meter.source, meter.children
        if source is None:
            kwh = 2200.0 + 450.0 * (house_seed * 37 % 13)
            pv = (0.0, 0.0, 6.0, 9.8)[house_seed * 11 % 4]
            source = HouseholdSource(
                Household(
                    house_seed, "1ph" if model == "1ph" else "3ph", kwh, pv if model != "1ph" else 0.0, weather=weather
                )
            )
        if self.faults.sag:
            source = SaggingSource(source, house_seed, self.faults.sag)
        self.source = source
        self._since = begin - (history + 40.0) * 86400  # before the last due date of the earliest telegram
        self._make_children: Callable[[], Sequence[MbusChild]]
        if children is None:
            self._make_children = lambda: _children(house_seed, weather, self._since) if model == "mbus" else ()
            children = self._make_children()
        else:
            given = tuple(children)
            self._make_children = lambda: given
        self.meter = meter or Meter(
            model, self.serial, source, start=begin, seed=house_seed, firmware=firmware, children=tuple(children)
        )
        if history:
            self.meter.backfill(history)
            # Its billing reads are monthly: a meter that has run for a while has answers of its children to show.
            for slot in range(len(self.meter.mbus.children)):
                self.meter.mbus.billing_read(slot)
        if meter is None:
            self.meter.clock.drift_ppm = self.faults.drift_ppm
        if self.faults.frozen:
            self.meter.source = FrozenSource(source, begin)
        for number in self.faults.absent:
            self.meter.image.remove(number)
        self.ports = {name: Port(name) for name in ("optical", "mep1", "mep2")}
        self._optical: OpticalServer | None = None
        self._mep: dict[int, MepServer] = {}
        self._sequences = [0, 0]
        self._optical_open = False
        self.meter.mep_sequences = self._mep_sequences
        self.meter.on_interface_change = self._interface_changed

    def __repr__(self) -> str:
        return f"<SimulatedDevice {self.meter.model.name} {self.serial}>"

    @property
    def shared_uart(self) -> bool:
        """Generations 2 and 3: optical port and MEP share a UART."""
        return not self.meter.firmware.generation_4

    # --- doors

    def optical_server(self, options: ServerOptions | None = None) -> OpticalServer:
        """The optical port's machine; the same one each time."""
        if self._optical is None:
            options = options or ServerOptions(first_packet_lost=False)
            self._optical = OpticalServer(self._optical_request, self._check_key, options=options)
            self._settle()
        return self._optical

    def mep_server(self, client: int = 0) -> MepServer:
        """The machine of a MEP port (0, and 1 on firmware 4.0+); the same one each time."""
        if client not in (0, 1) or (client == 1 and self.shared_uart):
            raise ConfigError(f"this meter has no MEP port {client + 1}")
        found = self._mep.get(client)
        if found is None:
            found = self._mep[client] = MepServer(
                lambda message, access, now: self._mep_request(client, message, access, now),
                self.keys.get,
                rng=self._tls_rng,
                sequence=self._sequences[client],
                tls=self.tls is not False,
                demand_tls=self.tls is True,
                alert=lambda: self.meter.mep.alert(client),
            )
            self._mute()
        return found

    def on_event(self, machine: Any, event: Any) -> None:
        """To be called with every event of every machine (``ports.serve.Server``'s ``on_event``)."""
        if machine is self._optical:
            self.optical_event(event)

    def optical_event(self, event: Any) -> None:
        """What the optical port's events mean to the rest of the device."""
        port = self.ports["optical"]
        match event:
            case SessionOpened():
                self._optical_open = True
            case LoggedOn(user_id, _):
                port.user_id, port.fresh = user_id, True
            case AccessRefused(attempts):
                self.meter.log("invalid_password", attempts, user=port.user_id)
                self.meter.alarm("mfg_status_1", "invalid_password")
            case SessionClosed():
                self._optical_open = False
        self._mute()

    def _mute(self) -> None:
        """The MEP is deaf without supply, and while the optical port has the UART that both share."""
        for server in self._mep.values():
            server.set_muted(not self.meter.powered or (self.shared_uart and self._optical_open))

    def _check_key(self, password: bytes) -> str | None:
        found = None
        for name in ("MK", "PK", "RK"):
            if hmac.compare_digest(self.keys[name].for_optical(), password):
                found = name
        return found

    def _busy(self) -> bool:
        return chance(self._rng, self.faults.busy)

    def _optical_request(self, request: Request, access: str, now: float) -> tuple[int, bytes | None]:
        if self._busy():
            return ResponseCode.BSY, None
        return self.meter.server.handle(request, access, self.utc_of(now), self.ports["optical"])

    def _mep_request(self, client: int, message: bytes, access: str, now: float) -> bytes:
        true = self.utc_of(now)
        self.meter.mep.spoke(client)
        if self._busy():
            return encode_response(ResponseCode.BSY, checksum=False)
        answer = self.meter.server.handle_message(message, access, true, self.ports[f"mep{client + 1}"])
        if chance(self._rng, self.faults.stale):
            self.mep_server(client).interface_changed()
        return answer

    def _mep_sequences(self) -> tuple[int, ...]:
        return tuple(self._mep[n].sequence if n in self._mep else self._sequences[n] for n in (0, 1))

    def _interface_changed(self) -> None:
        for server in self._mep.values():
            server.interface_changed()

    # --- life

    def advance(self, now: float) -> None:
        """Let the meter live up to ``now`` (monotonic), asked or not."""
        self.meter.advance(self.utc_of(now))
        self._settle()

    def _settle(self) -> None:
        """Doors follow supply and configuration."""
        self._mute()
        if self._optical is not None:
            options, image = self._optical.options, self.meter.image
            disabled = False
            if ET55.number in image:
                config = image.decode(ET55)
                flags = config.optical_flags
                if flags is not None and config.optical_session_timeout is not None:
                    disabled = bool(flags.disable_optical)
                    options.session_limit_s = config.optical_session_timeout if flags.enable_optical_dos else 0.0
                    options.deaf_s = config.optical_hold_off
            options.port_on = self.meter.powered and not disabled

    def power_off(self, now: float) -> None:
        """The supply fails."""
        self.meter.power_off(self.utc_of(now))
        self._settle()

    def power_on(self, now: float) -> None:
        """The supply is back."""
        self.meter.power_on(self.utc_of(now))
        self._settle()

    # --- state

    def to_json(self) -> dict[str, Any]:
        """The whole device but its keys and the house, which follow from the seed."""
        return {
            "form": _STATE_FORM,
            "serial": self.serial,
            "seed": self.seed,
            "index": self.index,
            "since": self._since,
            "sequences": list(self._mep_sequences()),
            "psn": {name: port.last_psn for name, port in self.ports.items()},
            "meter": self.meter.to_json(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``. Raises ConfigError for the state of another device."""
        own = {"form": _STATE_FORM, "serial": self.serial, "seed": self.seed, "index": self.index}
        theirs = {key: saved.get(key) for key in own}
        meter = saved.get("meter", {})
        if (
            own != theirs
            or meter.get("model") != self.meter.model.name
            or meter.get("firmware") != str(self.meter.firmware)
        ):
            raise ConfigError(
                f"the saved state is that of meter {saved.get('serial')}, model {meter.get('model')}, seed {saved.get('seed')}",
                hint="start with the same --model, --seed, --count and firmware, or with another state file",
            )
        self._since = saved["since"]
        self.meter.children = tuple(self._make_children())
        self.meter.restore(saved["meter"])
        for number in self.faults.absent:
            self.meter.image.remove(number)
        self._sequences = list(saved["sequences"])
        for name, psn in saved["psn"].items():
            self.ports[name].last_psn = psn


def write_keys(directory: Path, devices: Sequence[SimulatedDevice]) -> None:
    """Each key in a file of its own, ``SERIAL.MK`` …, readable by the user alone. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    for device in devices:
        for name, key in device.keys.items():
            place = directory / f"{device.serial}.{name}"
            place.touch(mode=0o600)
            place.write_text(key.secret().hex() + "\n")


def save_state(path: Path, devices: Sequence[SimulatedDevice]) -> None:
    """Write the state of devices so that a power failure leaves the old file or the new one, never half of it."""
    text = json.dumps({"devices": [device.to_json() for device in devices]}, separators=(",", ":"))
    handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load_state(path: Path, devices: Sequence[SimulatedDevice]) -> bool:
    """Restore devices from a file; False if there is none. Raises ConfigError for a file that is not theirs."""
    try:
        saved = json.loads(path.read_text())["devices"]
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no saved state: {error}") from error
    if len(saved) != len(devices):
        raise ConfigError(f"{path} holds {len(saved)} devices, not {len(devices)}", hint="use the same --count")
    for device, state in zip(devices, saved):
        device.restore(state)
    return True
