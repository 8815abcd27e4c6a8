"""What the meter's procedures do. Their parameters are declared in ``osgp.tables.procedures``, with what is known of them.

A handler takes (parameters, port, key, now) and answers (result code, response data); parameters that cannot be read answer 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osgp.node.profile_setup import configure_profile, configure_sources
from osgp.node.register_setup import configure_demands, configure_entries, configure_interval, configure_log
from osgp.node.server import Handler, Port
from osgp.tables.bt.bt03 import BT03
from osgp.tables.et.et14 import ET14
from osgp.tables.registry import procedure
from osgp.tables.table import PED_SIZE, extended
from osgp.wire import LTime, layout_of

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["handlers"]

_DONE: tuple[int, bytes] = (0, b"")
_ACCEPTED, _INVALID, _CONFLICT, _NOT_AUTHORIZED, _QUEUE_FULL = 1, 2, 3, 5, 7
_ALL = 0xFF
_FIRST, _LAST = 949_363_200, 4_102_444_800
"""The clock can be set from February 2000 to the end of 2099: local times must fit a year byte, too (project choice)."""


class _Procedures:
    """The handlers of one meter, one method for each procedure."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def read(self, number: int, raw: bytes) -> Any:
        """The parameters of a procedure. Raises DecodeError."""
        return procedure(number).Parameters.decode(raw, self.meter.image.context)

    # --- lists

    def _lists(self, code: int) -> list[Any]:
        meter = self.meter
        by_code: dict[int, list[Any]] = {
            1: [meter.events.alternate],
            2: [meter.self_reads.daily],
            7: [meter.events.primary],
            _ALL: [meter.events.primary, meter.events.alternate, meter.self_reads.daily, *meter.profiles],
        }
        for one in meter.profiles:
            by_code[3 + one.index] = [one]
        return by_code.get(code, [])

    def bp04(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        code = self.read(4, raw).list_type
        found = self._lists(code)
        for one in found:
            if hasattr(one, "reset"):
                one.reset()
            else:
                one.clear()
        if found:
            self.meter.log("reset_list_pointers", code, user=port.event_user)
        return _DONE if found else (_INVALID, b"")

    def bp05(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(5, raw)
        found = self._lists(asked.list_type)
        for one in found:
            one.mark_read(asked.entries_read)
        return _DONE if found else (_INVALID, b"")

    def ep26(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(26), raw)
        meter = self.meter
        logs: dict[int, Any] = {
            0: meter.self_reads.one_time,
            3: meter.self_reads.resets,
            4: meter.mbus.log,
            5: meter.channel_changes.log,
            6: meter.quality.log,
        }
        if asked.log_index not in logs:
            return _INVALID, b""
        logs[asked.log_index].mark_read(asked.entries_read)
        return _DONE

    # --- clock

    def bp10(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(10, raw)
        meter = self.meter
        before = meter.utc(now)
        wanted = asked.date_time.datetime()
        if wanted is None or not int(asked.set_mask) & 3:
            return _INVALID, b""
        if not asked.set_mask.set_date:
            wanted = before.replace(hour=wanted.hour, minute=wanted.minute, second=wanted.second)
        elif not asked.set_mask.set_time:
            wanted = wanted.replace(hour=before.hour, minute=before.minute, second=before.second)
        if not _FIRST <= wanted.timestamp() < _LAST:
            return _INVALID, b""
        meter.set_clock(now, wanted.timestamp(), user=port.event_user)
        return 0, bytes(LTime.of(before)) + bytes(LTime.of(meter.utc(now)))

    def ep16(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        delta = self.read(extended(16), raw).delta
        meter = self.meter
        meter.advance(now)
        wanted = meter.shown + meter.clock_steps.left + delta
        if not _FIRST <= wanted < _LAST:
            return _INVALID, b""
        meter.clock_steps.begin(delta, port.event_user)
        return _DONE

    # --- pending tables

    def _pending(self, ped: bytes | None, now: float, *, activate: bool, nothing: int) -> tuple[int, bytes]:
        meter = self.meter
        found = meter.pending.matching(ped)
        for one in found:
            if activate:
                meter.server.activate(one, now)
            else:
                meter.pending.clear(one)
                meter.log("pending_table_cleared", one.number)
        meter.plan_pending()
        return (0 if found else nothing), b""

    def bp12(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        return self._pending(None, now, activate=True, nothing=0)

    def bp13(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        self.read(13, raw)
        return self._pending(raw[:PED_SIZE], now, activate=True, nothing=1)

    def bp14(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        return self._pending(None, now, activate=False, nothing=0)

    def bp15(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        self.read(15, raw)
        return self._pending(raw[:PED_SIZE], now, activate=False, nothing=1)

    # --- switches and alarms

    def ep02(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(2), raw)
        if asked.target > 2 or asked.action > 1:
            return _INVALID, b""
        self.meter.advance(now)
        if asked.target == 0:
            self.meter.relays.set_disconnect(bool(asked.action), port.event_user)
        else:
            self.meter.relays.set_control(asked.target, bool(asked.action), port.event_user)
        return _DONE

    def ep03(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        status: Any = layout_of(BT03, self.meter.image.context).zero()
        status.ed_mode = status.ed_mode.with_(metering=1)
        self.meter.image.encode(status)
        return _DONE

    def ep18(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        handle = self.read(extended(18), raw).device_handle
        table: Any = self.meter.image.decode(ET14)
        found = [each for each in table.device_status if each.device_handle and handle in (each.device_handle, 0xFFFF)]
        for record in found:
            record.mep_alarms, record.device_alarms = type(record.mep_alarms)(0), 0
        self.meter.image.encode(table)
        return _DONE if found else (_CONFLICT, b"")

    def ep34(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        if not self.meter.demand_sources:
            return _CONFLICT, b""
        self.meter.advance(now)
        self.meter.demand_reset(reason=0, user=port.event_user)
        return _DONE

    def ep64(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        self.meter.image.put(24, bytes(self.meter.image.size(24)))
        return _DONE

    def ep11(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(11), raw)
        self.meter.advance(now)
        result = configure_profile(self.meter, asked)
        if result == 0:
            self.meter.log("load_profile_configured", asked.data_set, user=port.event_user)
        return result, b""

    def ep06(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(6), raw)
        self.meter.advance(now)
        return configure_log(self.meter, asked.log_index, asked.entries), b""

    def ep32(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(32), raw)
        self.meter.advance(now)
        return configure_demands(self.meter, list(asked.sources)), b""

    def ep33(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(33), raw)
        self.meter.advance(now)
        return configure_interval(self.meter, asked.subinterval, asked.multiplier, port.event_user), b""

    def ep37(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(37), raw)
        self.meter.advance(now)
        return configure_entries(self.meter, asked.log_index, asked.entry_size, asked.entries), b""

    def ep52(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(52), raw)
        self.meter.advance(now)
        result = configure_sources(self.meter, asked)
        if result == 0:
            self.meter.log("load_profile_configured", asked.data_set, user=port.event_user)
        return result, b""

    # --- M-Bus and MEP devices

    def ep17(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(17), raw)
        if asked.action > 1:
            return _INVALID, b""
        if key == "MBK" and not 1000 <= asked.device_handle <= 2999:
            return _NOT_AUTHORIZED, b""
        return self.meter.mep.remove(asked.device_handle), b""

    def ep19(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(19), raw)
        meter = self.meter
        if asked.request_type not in (1, 2, 3, 4, 5, 6, 9, 10):
            return _INVALID, b""
        meter.advance(now)
        slot: int | None
        if asked.request_type == 6:
            slot = 0 if any(meter.mbus.children) else None
        elif asked.request_type == 10:
            slot = (asked.target & -asked.target).bit_length() - 1 if asked.target else None
        else:
            slot = meter.mbus.slot_of(asked.target)
        if slot is None:
            return _CONFLICT, b""
        message = getattr(asked.payload, "write_data", b"") or b""
        place = meter.mbus.post(asked.trans_nbr, asked.target, asked.request_type, message, slot)
        if place is None:
            return _QUEUE_FULL, b""
        if slot >= 4:
            meter.mep.set_flag(slot - 4, "ondemand_request")
        return 0, bytes([place])

    def ep39(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = self.read(extended(39), raw)
        if not port.mep:
            return _NOT_AUTHORIZED, b""
        client = int(port.name == "mep2")
        self.meter.advance(now)
        if asked.kind in (4, 5):
            self.meter.mep.post(client, asked.data)
        elif asked.kind == 12:
            self.meter.mep.set_flag(client, "delta_data_alert", 0)
        elif asked.kind == 11:
            self.meter.mep.set_flag(client, "mbus_change", 0)
        else:
            return _INVALID, b""
        return _DONE

    def ep61(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        lock = self.read(extended(61), raw).lock
        if not port.mep:
            return _NOT_AUTHORIZED, b""
        transactions = self.meter.server.transactions
        done = transactions.lock(port.name, now) if lock else transactions.unlock(port.name)
        return _DONE if done else (_CONFLICT, b"")


_BASIC = (4, 5, 10, 12, 13, 14, 15)
_EXTENDED = (2, 3, 6, 11, 16, 17, 18, 19, 26, 32, 33, 34, 37, 39, 52, 61, 64)


def handlers(meter: Meter) -> dict[int, Handler]:
    """The procedures of a meter by number."""
    made = _Procedures(meter)
    found: dict[int, Handler] = {number: getattr(made, f"bp{number:02d}") for number in _BASIC}
    found.update({extended(number): getattr(made, f"ep{number:02d}") for number in _EXTENDED})
    return found
