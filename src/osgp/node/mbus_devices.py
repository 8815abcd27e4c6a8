"""M-Bus devices on the meter's bus: ET13, ET14, ET15, ET16, ET34, ET57, ET58 (MEP guide p. 80–106, 163, 244).

A child is anything that answers with a telegram; the meter polls it for the load profile at the ends of intervals, reads it
on its billing schedule, and on demand by EP19. Wireless and link details are not simulated. On-demand requests are done two
seconds after they were posted (project choice).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from osgp.node.clockwork import utc_datetime
from osgp.node.recurring_log import RecurringLog
from osgp.tables.et.et11 import ET11
from osgp.tables.et.et13 import ET13
from osgp.tables.et.et14 import ET14
from osgp.tables.et.et15 import ET15
from osgp.tables.et.et16 import ET16
from osgp.tables.et.et34 import ET34
from osgp.tables.et.et57 import ET57
from osgp.wire import LTime, layout_of

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["MbusChild", "MbusDevices", "first_record"]

_CI_VARIABLE = 0x72
_HEADER = 12
_DELAY_S = 2.0
_SUCCESS, _NO_RESPONSE = 1, 2
_BILLING, _STATUS, _WRITE, _TIME_SYNC, _MULTICAST, _RESET = 2, 3, 4, 5, 6, 1
_SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 6, 7: 8, 8: 0, 9: 1, 10: 2, 11: 3, 12: 4, 14: 6}
"""Bytes of a record's value by the low nibble of its DIF (EN 13757-3)."""
_MISSING, _NOT_CURRENT = 10, 11
_OSGP_IDENTIFIER = b"\0\x10"
"""ET45 IDENTIFIER: name space 2, OSGP (project choice)."""
_HOURLY, _DAILY, _WEEKLY, _MONTHLY = 0, 1, 2, 3


class MbusChild(Protocol):
    """A device on the bus."""

    def user_data(self, t: float) -> bytes:
        """CI field, header and data records of its answer at true UTC second ``t``; empty if it does not answer."""
        ...


def first_record(records: bytes, header: bytes) -> bytes | None:
    """The value of the first data record whose header begins with ``header`` (zeros behind it are padding)."""
    wanted = header.rstrip(b"\0") or header
    at = 0
    while at < len(records):
        start = at
        dif = records[at]
        if dif in (0x0F, 0x1F):
            return None
        if dif == 0x2F:
            at += 1
            continue
        at += 1
        more = dif & 0x80
        while more and at < len(records):
            more = records[at] & 0x80
            at += 1
        more = 0x80
        while more and at < len(records):
            more = records[at] & 0x80
            at += 1
        if dif & 15 == 13:
            size = records[at] + 1 if at < len(records) else 0
        else:
            size = _SIZES.get(dif & 15, 0)
        if records[start:at] == wanted:
            return records[at : at + size]
        at += size
    return None


class MbusDevices:
    """The bus of one meter. Slot n holds the n-th child; slots without one are empty."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.children: list[MbusChild | None] = list(meter.children) if meter.model.mbus else []
        self.last: list[bytes] = [b""] * len(self.children)
        self.polled: list[int | None] = [None] * len(self.children)
        self.up = [True] * len(self.children)
        self.queue: list[tuple[float, int, int, int]] = []
        self.seconds_of_day: tuple[int, ...] = ()
        self.make_log()
        if self.children and ET14.number in meter.image:
            self._occupy()
        self.read_settings()

    def make_log(self) -> None:
        """The log of recurring reads, sized as ET36 says now."""
        self.log = RecurringLog(self.meter.image)

    def _occupy(self) -> None:
        table: Any = self.meter.image.decode(ET14)
        if int(table.device_occupancy) & 0x0F:
            return
        for slot in range(len(self.children)):
            table.device_occupancy = type(table.device_occupancy)(int(table.device_occupancy) | 1 << slot)
            record = table.device_status[slot]
            record.device_handle, record.status, record.baud_rate = slot + 1, 1, 4
            if record.mbus_primary_addr is not None:
                record.mbus_primary_addr = slot + 1
        self.meter.image.encode(table)

    def read_settings(self) -> None:
        """The schedules and data types as they are configured now."""
        image = self.meter.image
        self._schedules: list[tuple[int, int, int]] = []
        self._poll_s: list[int] = []
        if ET13.number in image:
            for record in image.decode(ET13).device_config:
                second = (record.sched_hour % 24) * 3600 + (record.sched_minute % 60) * 60
                self._schedules.append((record.sched_freq, record.sched_day, second))
        if ET34.number in image:
            self._poll_s = [record.lp_poll_rate * 60 for record in image.decode(ET34).device_config]
        active = [second for freq, _, second in self._schedules if freq in (_DAILY, _WEEKLY, _MONTHLY)]
        self.seconds_of_day = tuple(sorted(set(active)))
        self._headers: dict[int, bytes] = {}
        if ET57.number in image:
            for entry in image.decode(ET57).entries:
                if entry.type.entry_type == 1:
                    self._headers[entry.type.mdt] = entry.drh

    # --- reading a child

    def ask(self, slot: int) -> bytes:
        """The header and records of a child's answer at this moment; empty without one."""
        child = self.children[slot] if slot < len(self.children) else None
        data = child.user_data(self.meter.at) if child is not None else b""
        return data[1:] if data[:1] == bytes([_CI_VARIABLE]) and len(data) > _HEADER else b""

    def poll_for_profile(self, due: int) -> None:
        """Ask every child whose poll period (ET34) ends with this interval."""
        asked = False
        for slot in range(len(self.children)):
            period = self._poll_s[slot] if slot < len(self._poll_s) else 0
            if period == 0 or due % period == 0 or self.polled[slot] is None:
                data = self.ask(slot)
                if data:
                    self.last[slot], self.polled[slot] = data, due
                    asked = True
                self.up[slot] = bool(data)
        if asked:
            self.meter.mep.mbus_changed()

    def channel_value(self, extended_id: int) -> tuple[int, int]:
        """A load-profile value by extended source ID (type 4: device index and data type), and its status."""
        slot, header = extended_id >> 8 & 15, self._headers.get(extended_id & 0x1F)
        if slot >= len(self.children) or self.children[slot] is None:
            return 0, _MISSING
        data = self.last[slot] if self.up[slot] else b""
        value = first_record(data[_HEADER:], header) if data and header is not None else None
        if value is None:
            return 0, _MISSING if not self.up[slot] else _NOT_CURRENT
        return int.from_bytes(value[:4].ljust(4, b"\0"), "little", signed=True), 0

    def billing_read(self, slot: int, *, recurring: bool = False) -> bool:
        """Read a child into ET16, and ET45 (by way of ET74) if it is ``recurring``; answers whether it answered."""
        meter = self.meter
        table: Any = meter.image.decode(ET14)
        record = table.device_status[slot]
        data = self.ask(slot)
        local = LTime.of(meter.local)
        record.read_attempts += 1
        record.last_read_attempt = local
        if data:
            body = bytes(local) + b"\0" + bytes([len(data) + 1]) + data + b"\0"
            span = layout_of(ET16, meter.image.context).span(f"device_data[{slot}]")
            meter.image.write_part(ET16.number, span.offset, body[: span.size].ljust(span.size, b"\0"))
            record.billing_read_len = len(body) + 1
            if recurring and record.read_answers:  # the first read goes to ET16 alone (MEP guide p. 119)
                head = _OSGP_IDENTIFIER + record.device_handle.to_bytes(2, "little") + b"\0\4"
                self.log.append((len(body) + 2).to_bytes(2, "little") + head + body)
            record.read_answers += 1
            record.status = 1
            record.status_read_time = local
            record.mep_alarms = record.mep_alarms.with_(billing_data_collected=1)
        else:
            record.status = 2
            record.mep_alarms = record.mep_alarms.with_(failed_comms_on_read=1)
        meter.image.encode(table)
        meter.alarm("mfg_status_2", "mbus_alarm")
        return bool(data)

    def scheduled(self, day: int, second: int) -> None:
        """A second of a local day has come that some schedule names."""
        date = utc_datetime(day * 86400)
        for slot, (freq, on, at) in enumerate(self._schedules):
            if at != second:
                continue
            weekly = freq == _WEEKLY and on - 32 == date.isoweekday() % 7
            monthly = freq == _MONTHLY and date.day == (on or 1)
            if not (freq == _DAILY or weekly or monthly):
                continue
            if slot < len(self.children):
                self.billing_read(slot, recurring=True)
            elif slot >= 4:
                self.meter.mep.scheduled(slot - 4)

    # --- on-demand requests

    def slot_of(self, handle: int) -> int | None:
        """The slot of a device by its handle."""
        for slot, record in enumerate(self.meter.image.decode(ET14).device_status):
            if handle and record.device_handle == handle:
                return slot
        return None

    def post(self, number: int, target: int, kind: int, message: bytes, slot: int) -> int | None:
        """Put a request into ET15; answers its place in the queue, None if that is full."""
        table: Any = self.meter.image.decode(ET15)
        place = table.pointers.write_ptr
        if place >= len(table.requests):
            place = 0
        record = table.requests[place]
        if record.request_type and not record.result:
            return None
        record.trans_nbr, record.handle_or_group = number, target
        record.request_type, record.result = kind, 0
        room = self.meter.image.get(ET11, "ondemand_write_entry_size") - 1
        table.write_messages[place].write_len = min(len(message), room)
        table.write_messages[place].write_data = message[:room].ljust(room, b"\0")
        table.pointers = table.pointers.with_(write_ptr=(place + 1) % len(table.requests))
        self.meter.image.encode(table)
        if slot < 4:
            self.queue.append((self.meter.at + _DELAY_S, place, slot, kind))
        return int(place)

    def finish(self, place: int, result: int) -> None:
        """A request of ET15 is done."""
        table: Any = self.meter.image.decode(ET15)
        table.requests[place].result = result
        table.pointers = table.pointers.with_(read_ptr=(place + 1) % len(table.requests))
        self.meter.image.encode(table)

    def work(self, now: float) -> None:
        """Carry out the requests that are due."""
        while self.queue and self.queue[0][0] <= now:
            _, place, slot, kind = self.queue.pop(0)
            if kind == _BILLING:
                done = self.billing_read(slot)
            else:
                done = bool(self.ask(slot)) or kind == _MULTICAST
            self.finish(place, _SUCCESS if done else _NO_RESPONSE)

    def to_json(self) -> dict[str, Any]:
        """For a saved meter."""
        return {
            "last": [each.hex() for each in self.last],
            "polled": self.polled,
            "up": self.up,
            "queue": [list(each) for each in self.queue],
            "gone": [slot for slot, child in enumerate(self.children) if child is None],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``."""
        self.last = [bytes.fromhex(each) for each in saved["last"]]
        self.polled, self.up = list(saved["polled"]), list(saved["up"])
        for slot in saved["gone"]:
            self.children[slot] = None
        self.queue = [(due, place, slot, kind) for due, place, slot, kind in saved["queue"]]
