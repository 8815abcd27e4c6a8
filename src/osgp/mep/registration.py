"""Life as a registered MEP device: which port, registration (ET50), alerts (ET13), health watch (ET51), parameters.

Pure reading needs none of this (guide p. 22). Steps and offsets: guide p. 22–28, 81, 124–128, 243–244;
``spec/mep.md`` 8, 9, 11, 13. Entries of ET13, ET14, ET50 and ET51 are found by ET11, their content is that of the
table declarations.
"""

from __future__ import annotations

from dataclasses import dataclass

from osgp.mep.access import EP17, MepTables
from osgp.tables.et.et11 import ET11
from osgp.tables.et.et13 import ET13
from osgp.tables.et.et50 import ET50
from osgp.tables.et.et51 import ET51
from osgp.tables.table import extended
from osgp.wire.errors import ConfigError, RemoteProtocolError, ResponseError

__all__ = [
    "CLEAR_DELTA_ALERT",
    "AlertFlags",
    "Port",
    "Registration",
    "alert_flags",
    "ep17_parameters",
    "ep19_parameters",
    "ep39_parameters",
    "find_port",
    "identification",
    "register",
    "watch_health",
]

BT08, ET59, ET85 = 8, extended(59), extended(85)
_ET11, _ET13, _ET14, _ET50, _ET51, _ET54, _ET70 = (extended(n) for n in (11, 13, 14, 50, 51, 54, 70))
_ET11_SIZE = 35
_ET14_HEAD = 6
_ET14_MEP_UP = 3
_ID_SIZE = 30
_ET51_SIZE = 10
_CHANNEL_INDEX = 142
_NEVER = 4
_POLL_S = 0.5

AlertFlags = ET13.DeviceConfig.Config1.AlertFlags
"""Why the meter rings: bits as declared in ET13."""
MepFlags = ET50.Inbound.MepFlags
CLEAR_DELTA_ALERT = 12
"""Type of EP39 that clears the delta data alert (guide p. 174)."""


@dataclass(frozen=True, slots=True)
class Port:
    """Where we are plugged in. ``number`` 1 or 2; ``two``: both ports are in use; ``index``: our entry in ET13 and
    ET14;
    ``element``: ours in ET50 and ET51; sizes of the entries from ET11."""

    number: int
    two: bool
    response_table: int
    config_size: int
    status_size: int
    inbound_size: int

    @property
    def index(self) -> int:
        """Entry of this port in ET13, ET14 and ET34."""
        return 3 + self.number

    @property
    def element(self) -> int:
        """Element of this port in ET50 and ET51."""
        return self.number - 1


@dataclass(frozen=True, slots=True)
class Registration:
    """The outcome: ``handle`` by which the head end knows us; ``new``: whether we had to register at all."""

    port: Port
    handle: int
    new: bool


async def find_port(tables: MepTables) -> Port:
    """Find the port we are plugged in, and set ``tables`` to it: response table, locking, sizes of ET52 and ET53.

    Meters before firmware 4.0 lack the fields asked for, which means one port.
    """
    number, two = 1, False
    try:
        channel = (await tables.read_part(_ET70, _CHANNEL_INDEX, 1))[0]
    except ResponseError:
        channel = 0
    if channel == 2:
        number, two = 2, True
    elif channel == 1:
        two = bool((await tables.read_part(_ET54, 1, 1))[0] & 1)
    et11 = ET11.decode((await tables.read_part(_ET11, 0, _ET11_SIZE)).ljust(64, b"\0"))
    inbound = _ID_SIZE + 5 + 6 * et11.nbr_mep_data_sources
    response_table = ET85
    if number == 1:
        flags = MepFlags((await tables.read_part(_ET50, _ID_SIZE, 1))[0])
        response_table = ET59 if flags.et59_response else BT08
    tables.response_table = response_table
    tables.two_ports = two
    tables.request_size = et11.trans_request_len or tables.request_size
    tables.response_size = et11.trans_response_len or tables.response_size
    return Port(number, two, response_table, et11.config_entry_size, et11.status_entry_size, inbound)


async def alert_flags(tables: MepTables, port: Port) -> AlertFlags:
    """Why the meter rings (ET13). The alert itself is not authenticated; this is."""
    return AlertFlags((await tables.read_part(_ET13, port.index * port.config_size + 8, 1))[0])


def identification(manufacturer: bytes, device_class: int, program_id: bytes, unique_id: bytes) -> bytes:
    """The 30 bytes by which a device presents itself (guide p. 125).

    ``manufacturer``: 3 bytes, whose top bit is set here; ``device_class``: 0 LonTalk, 1 ZigBee, 4 C-band, 5 OSGP;
    ``program_id``: none, or 4 bytes (type, subtype, interface, revision) or 6 (… firmware major, minor, revision);
    ``unique_id``: what remains, 24 − 4 or 6 at most. Raises ConfigError.
    """
    if len(manufacturer) != 3 or len(program_id) not in (0, 4, 6) or not 0 <= device_class <= 255:
        raise ConfigError("a manufacturer has 3 bytes, a class 1, a program ID 0, 4 or 6")
    head = bytes([manufacturer[0] | 0x80]) + manufacturer[1:] + bytes([device_class])
    whole = head + bytes([len(program_id)]) + program_id + bytes([len(unique_id)]) + unique_id
    if len(whole) > _ID_SIZE:
        raise ConfigError(f"an identification has {_ID_SIZE} bytes, this one would have {len(whole)}")
    return whole.ljust(_ID_SIZE, b"\0")


async def register(
    tables: MepTables,
    identity: bytes,
    *,
    et59: bool = True,
    mbus_alerts: bool = False,
    delta_alerts: bool = False,
    control_point: bool = False,
    polls: int = 10,
) -> Registration:
    """Register as the MEP device of this port. Does nothing if that has been done with the same data: handles run out.

    ``identity``: see ``identification``. ``et59``: procedures answer in ET59 (MEP1). ``control_point``: modules
    0600/6010,
    whose scheduled reads must be off first. ``polls``: how often to look for the handle, half a second apart.
    Raises RemoteProtocolError if another device cannot be removed, or no handle appears.
    """
    if len(identity) != _ID_SIZE:
        raise ConfigError(f"an identification has {_ID_SIZE} bytes, not {len(identity)}")
    port = await find_port(tables)
    place = port.element * port.inbound_size
    wanted = MepFlags(
        registered=1,
        et59_response=int(et59 and port.number == 1),
        mbus_alerts=int(mbus_alerts),
        delta_data_alerts=int(delta_alerts),
    )
    there = await tables.read_part(_ET50, place, _ID_SIZE + 1)
    handle, status = await _status(tables, port)
    if there == identity + bytes([wanted]) and handle and status == _ET14_MEP_UP:
        return Registration(port, handle, new=False)
    if MepFlags(there[_ID_SIZE]).registered and there[:_ID_SIZE] != identity and handle:
        removed = await tables.run(EP17, ep17_parameters(handle))
        if removed.result:
            raise RemoteProtocolError(f"the device registered before cannot be removed (EP17: result {removed.result})")
    if control_point:
        await tables.write_part(_ET13, port.index * port.config_size + 3, bytes([_NEVER]))
    await tables.write_part(_ET50, place, identity)
    await tables.write_part(_ET50, place + _ID_SIZE, bytes([wanted]))
    if port.number == 1:
        tables.response_table = ET59 if wanted.et59_response else BT08
    for _ in range(polls):
        handle, status = await _status(tables, port)
        if handle and status == _ET14_MEP_UP:
            return Registration(port, handle, new=True)
        await tables.sleep(_POLL_S)
    hint = "look at ET14 and ET97, and try later"
    raise RemoteProtocolError("the meter has not taken the registration up", hint=hint)


async def _status(tables: MepTables, port: Port) -> tuple[int, int]:
    """Handle and status of this port's entry in ET14; handle 0 if it is not occupied."""
    head = await tables.read_part(_ET14, 0, _ET14_HEAD)
    entry = await tables.read_part(_ET14, _ET14_HEAD + port.index * port.status_size, 3)
    occupied = head[5] >> port.index & 1
    return (int.from_bytes(entry[:2], "little") if occupied else 0), entry[2]


async def watch_health(tables: MepTables, port: Port, timeout_s: int, *, reset: bool = False) -> None:
    """Have the meter mark us down, and reset us if ``reset``, when no valid request came for ``timeout_s`` (0: stop).

    ET51, guide p. 127. The table lies in non-volatile memory: not for frequent use.
    """
    if not 0 <= timeout_s <= 0xFFFF:
        raise ConfigError("the health time-out lies between 0 and 65535 s")
    place = port.element * _ET51_SIZE
    flags = ET51.Config.MepFlags((await tables.read_part(_ET51, place, 1))[0])
    flags = flags.with_(monitor_mep_health=int(timeout_s > 0), reset_device_down=int(reset and timeout_s > 0))
    seconds = (timeout_s or 60).to_bytes(2, "little")
    await tables.write_part(_ET51, place, bytes([flags]) + seconds)


def ep17_parameters(handle: int, action: int = 0) -> bytes:
    """EP17, remove a device: action 0 (address becomes 0) or 1 (250); handle, 0xFFFF for all (guide p. 243)."""
    return bytes([action]) + handle.to_bytes(2, "little")


def ep19_parameters(transaction: int, target: int, kind: int, data: bytes = b"") -> bytes:
    """EP19, post an on-demand request: number (MEP: 0x0400–0x04FF), handle or mask, type; data by type (guide p. 244).

    Types 4, 6 and 10 carry a length before their data. Raises ConfigError for a number that is not the MEP's.
    """
    if not 0x0400 <= transaction <= 0x04FF:
        raise ConfigError(
            "transaction numbers of MEP devices lie between 0x0400 and 0x04FF", hint="others use the rest"
        )
    head = transaction.to_bytes(2, "little") + target.to_bytes(2, "little") + bytes([kind])
    return head + bytes([len(data)]) + data if kind in (4, 6, 10) else head + data


def ep39_parameters(kind: int, data: bytes = b"", second: int = 1) -> bytes:
    """EP39, post data: type, a byte that field software sets to 1, length (2), data.

    Known from field software only, with type 4 (unverified); the guide names the procedure but does not describe it.
    """
    return bytes([kind, second]) + len(data).to_bytes(2, "little") + data
