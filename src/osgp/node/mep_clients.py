"""MEP clients as the meter sees them: registration by ET50, handles in ET14, alerts in ET13 (MEP guide p. 16–26, 80–92, 124).

EP39's parameters are not in the guides; field software sends a type, a byte, a length and data: see its declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osgp.tables.et.et13 import ET13
from osgp.tables.et.et14 import ET14
from osgp.tables.et.et16 import ET16
from osgp.tables.et.et50 import ET50
from osgp.tables.et.et51 import ET51
from osgp.tables.et.et71 import ET71
from osgp.tables.table import extended
from osgp.wire import LTime, layout_of

if TYPE_CHECKING:
    from osgp.node.meter import Meter
    from osgp.node.server import Port

__all__ = ["MepClients", "client_of"]

_FIRST_SLOT = 4
_UP, _DOWN = 3, 4
_LIMITS = {0: (1000, 1999), 1: (2000, 2999)}


def client_of(port: Port) -> int:
    """0 for the first MEP port (and all doors that are none), 1 for the second."""
    return int(port.name == "mep2")


class MepClients:
    """The MEP clients of one meter."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.next_handle = [1000, 2000]
        self.heard: list[float | None] = [None, None]
        self._watched = 0.0

    def _there(self) -> bool:
        return all(each.number in self.meter.image for each in (ET13, ET14, ET50))

    def inbound_written(self, port: Port) -> None:
        """ET50 was written: has a client registered or gone?"""
        if not self._there():
            return
        table: Any = self.meter.image.decode(ET50)
        status: Any = self.meter.image.decode(ET14)
        for client, one in enumerate(table.inbound):
            slot = _FIRST_SLOT + client
            if slot >= len(status.device_status):
                continue
            record = status.device_status[slot]
            bit = 1 << slot
            occupied = int(status.device_occupancy) & bit
            if one.mep_flags.registered and not occupied:
                record.device_handle, record.status, record.baud_rate = self.next_handle[client], _UP, 0
                low, high = _LIMITS[client]
                self.next_handle[client] = record.device_handle + 1 if record.device_handle < high else low
                status.device_occupancy = type(status.device_occupancy)(int(status.device_occupancy) | bit)
                self.meter.image.encode(status)
                self.meter.alarm("mfg_status_2", "mep_installed_removed")
        del port

    def response_table(self, port: Port) -> int:
        """Where the answers of procedures go: BT08, or ET59 or ET85 for MEP clients (MEP guide p. 22)."""
        if port.name == "mep2" and extended(85) in self.meter.image:
            return extended(85)
        there = port.mep and ET50.number in self.meter.image
        return extended(59) if there and self.meter.image.get(ET50, "inbound[0].mep_flags.et59_response") else 8

    def remove(self, handle: int) -> int:
        """EP17 for one handle: answers its result code."""
        status: Any = self.meter.image.decode(ET14)
        found = [
            n
            for n, each in enumerate(status.device_status)
            if each.device_handle and handle in (each.device_handle, 0xFFFF)
        ]
        if not found:
            return 3
        for slot in found:
            blank = type(status.device_status[slot]).decode(bytes(64), self.meter.image.context)
            blank._rest = b""
            status.device_status[slot] = blank
            status.device_occupancy = type(status.device_occupancy)(int(status.device_occupancy) & ~(1 << slot))
            if slot < _FIRST_SLOT:
                if slot < len(self.meter.mbus.children):
                    self.meter.mbus.children[slot] = None
            elif ET50.number in self.meter.image:
                path = f"inbound[{slot - _FIRST_SLOT}]"
                self.meter.image.set(ET50, f"{path}.mep_flags.registered", 0)
                table: Any = self.meter.image.decode(ET50)
                one = table.inbound[slot - _FIRST_SLOT]
                one.icon_control = [type(each)(0) for each in one.icon_control]
                self.meter.image.encode(table)
            self.meter.log("mep_device_removed", slot << 13 & 0xFFFF)
        self.meter.image.encode(status)
        return 0

    # --- alerts

    def set_flag(self, client: int, name: str, value: int = 1) -> None:
        """Set or clear an alert flag of ET13."""
        table: Any = self.meter.image.decode(ET13)
        slot = _FIRST_SLOT + client
        if slot < len(table.device_config):
            config = table.device_config[slot].config
            config.alert_flags = config.alert_flags.with_(**{name: value})
            self.meter.image.encode(table)

    def alert(self, client: int) -> bool:
        """Whether the port should send the alert: registered, and a reason stands (MEP guide p. 17)."""
        if not self._there():
            return False
        table: Any = self.meter.image.decode(ET50)
        if client >= len(table.inbound) or not table.inbound[client].mep_flags.registered:
            return False
        config = self.meter.image.decode(ET13).device_config
        slot = _FIRST_SLOT + client
        return slot < len(config) and bool(int(config[slot].config.alert_flags) & 0x1F)  # type: ignore[union-attr]  # slots from 4 on

    def mbus_changed(self) -> None:
        """New M-Bus data: rings for the clients that asked for it (ET50 MBUS_ALERTS)."""
        if self._there():
            for client, one in enumerate(self.meter.image.decode(ET50).inbound):
                if one.mep_flags.registered and one.mep_flags.mbus_alerts:
                    self.set_flag(client, "mbus_change")

    def _watch_deltas(self) -> None:
        """ET71: rings when a monitored source has moved by its delta or more (MEP guide p. 174)."""
        inbound = self.meter.image.decode(ET50).inbound
        wanted = [n for n, one in enumerate(inbound) if one.mep_flags.registered and one.mep_flags.delta_data_alerts]
        if not wanted or ET71.number not in self.meter.image:
            return
        table: Any = self.meter.image.decode(ET71)
        counts, present, moved = self.meter.registers.counts(), None, False
        for one in table.sources:
            if one.source_id >= 255:
                continue
            value = self.meter.register_value(one.source_id, counts)
            if value is None:
                present = present or self.meter.present()
                value = present.value(one.source_id)
            one.sampled = value & 0x7FFFFFFF
            if one.delta and abs(one.sampled - one.comparison) >= one.delta:
                one.comparison, moved = one.sampled, True
        self.meter.image.encode(table)
        if moved:
            for client in wanted:
                self.set_flag(client, "delta_data_alert")

    def scheduled(self, client: int) -> None:
        """Its scheduled read is due."""
        self.set_flag(client, "sched_read_request")

    def post(self, client: int, data: bytes) -> None:
        """EP39 with read data: into ET16, and the schedule's alert is answered."""
        meter = self.meter
        slot = _FIRST_SLOT + client
        span = layout_of(ET16, meter.image.context).span(f"device_data[{slot}]")
        old = meter.image.read_part(ET16.number, span.offset, span.size)
        count = (int.from_bytes(old[7:9], "little") + 1) & 0xFFFF
        room = span.size - 11
        body = bytes(LTime.of(meter.local)) + b"\0" + count.to_bytes(2, "little")
        body += min(len(data), room).to_bytes(2, "little") + data[:room]
        meter.image.write_part(ET16.number, span.offset, body.ljust(span.size, b"\0"))
        status: Any = meter.image.decode(ET14)
        record = status.device_status[slot]
        record.billing_read_len = len(body)
        record.mep_alarms = record.mep_alarms.with_(billing_data_collected=1)
        meter.image.encode(status)
        self.set_flag(client, "sched_read_request", 0)

    # --- health

    def spoke(self, client: int) -> None:
        """A valid request came."""
        self.heard[client] = self.meter.shown

    def work(self, shown: float) -> None:
        """Watch over clients whose health is monitored (ET51)."""
        if not any(each is not None for each in self.heard) or ET51.number not in self.meter.image:
            return
        if shown - self._watched >= 1.0 or shown < self._watched:
            self._watched = shown
            self._watch_deltas()
        for client, one in enumerate(self.meter.image.decode(ET51).config):
            heard = self.heard[client]
            slot = _FIRST_SLOT + client
            if heard is None or not one.mep_flags.monitor_mep_health:
                continue
            state = _DOWN if shown - heard > one.health_timeout else _UP
            status: Any = self.meter.image.decode(ET14)
            record = status.device_status[slot]
            if record.device_handle and record.status != state:
                record.status = state
                if state == _DOWN:
                    record.mep_alarms = record.mep_alarms.with_(failed_comms_on_read=1)
                self.meter.image.encode(status)

    def to_json(self) -> dict[str, Any]:
        """For a saved meter."""
        return {"next_handle": self.next_handle, "heard": self.heard}

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``."""
        self.next_handle, self.heard = list(saved["next_handle"]), list(saved["heard"])
