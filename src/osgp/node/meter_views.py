"""Tables that are made at the moment they are read: registers, present values, clocks, profile status, counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osgp.node.clockwork import utc_datetime
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.bt.bt27 import BT27
from osgp.tables.bt.bt28 import BT28
from osgp.tables.bt.bt52 import BT52
from osgp.tables.bt.bt55 import BT55
from osgp.tables.bt.bt63 import BT63
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et21 import ET21
from osgp.tables.et.et23 import ET23
from osgp.tables.et.et54 import ET54
from osgp.tables.table import extended
from osgp.wire import LTime, STime, layout_of

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["MeterViews"]

_ET70_CHANNEL = 142
"""ET70: index of the communication channel that asks (1 MEP 1, 2 MEP 2; MEP guide p. 22)."""


class MeterViews:
    """Writes living tables of a meter into its image."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._views = {
            3: self._bt03,
            23: self._bt23,
            28: self._bt28,
            52: self._bt52,
            55: self._bt55,
            63: self.internals,
            extended(4): self._et04,
            extended(21): self.internals,
            extended(23): self._et23,
            extended(54): self._et54,
            extended(70): self._et70,
        }

    def refresh(self, number: int) -> None:
        """Bring one table up to the meter's present moment."""
        view = self._views.get(number)
        if view is not None and number in self.meter.image:
            view()

    # --- registers

    def _block(self, record: Any, tier: int | None, counts: dict[int, int]) -> Any:
        meter = self.meter
        shown = counts if tier is None else meter.registers.tier_count(tier)
        sums = []
        for source in meter.summations:
            value = shown[source] // meter.unit if source in shown else None
            if value is None:
                value = (meter.register_value(source, counts) or 0) if tier is None else 0
            sums.append(value)
        record.summations = sums
        demands = meter.registers.demands[0 if tier is None else 1 + tier]
        flags = meter.image.context.table(BT21).flags0
        for one, kept in zip(record.demands, demands):
            if one.event_time is not None:
                one.event_time = [STime(*kept.at)] * len(one.event_time)
            if flags.cum_demand:
                one.cum_demand = kept.cumulative
            if flags.cont_cum_demand:
                one.cont_cum_demand = kept.cumulative + kept.value
            one.demand = [kept.value] * len(one.demand)
        for index, (_, of) in enumerate(meter.coincident):
            own = demands[of].coincident if of < len(demands) else []
            earlier = sum(1 for _, each in meter.coincident[:index] if each == of)
            value = own[earlier] if earlier < len(own) else 0
            record.coincidents[index].coin_values = [value] * len(record.coincidents[index].coin_values)
        return record

    def registers(self) -> bytes:
        """The bytes of BT23 at this moment."""
        meter = self.meter
        layout = layout_of(BT23, meter.image.context)
        table: Any = layout.zero()
        if table.nbr_demand_resets is not None:
            table.nbr_demand_resets = meter.registers.resets
        counts = meter.registers.counts()
        self._block(table.tot_data_block, None, counts)
        for tier, record in enumerate(table.tier_data_block):
            self._block(record, tier, counts)
        return layout.encode(table)

    def _bt23(self) -> None:
        self.meter.image.put(23, self.registers())

    def _bt28(self) -> None:
        meter = self.meter
        present = meter.present()
        table: Any = layout_of(BT28, meter.image.context).zero()
        for record, value in zip(table.present_demands, meter.demand.present()):
            record.demand_value = value
        table.present_values = [present.value(source) for source in meter.image.decode(BT27).present_value_select]
        meter.image.encode(table)

    # --- clocks

    def _bt52(self) -> None:
        moment = utc_datetime(self.meter.shown)
        qual = BT52.TimeQual(day_of_week=moment.isoweekday() % 7, dst_flag=int(self.meter.tariff.dst), gmt_flag=1)
        self.meter.image.put(52, bytes(LTime.of(moment)) + bytes([qual]))

    def _bt55(self) -> None:
        meter = self.meter
        local = meter.local
        table: Any = meter.image.decode(BT55)
        table.clock_calendar = LTime.of(local)
        table.time_qual = type(table.time_qual)(
            day_of_week=local.isoweekday() % 7, dst_flag=int(meter.tariff.dst), tz_applied=1, dst_applied=1
        )
        tariff = meter.tariff
        table.status = table.status.with_(
            curr_tier=meter.registers.tier,
            tier_drive=meter.override.drive,
            season=tariff.season,
            special_schedule=0 if tariff.special is None else tariff.special + 1,
        )
        meter.image.encode(table)

    # --- load profile

    def internals(self) -> None:
        """BT63 and ET21 as the data sets are now."""
        meter = self.meter
        status: Any = meter.image.decode(BT63)
        inner: Any = meter.image.decode(ET21)
        for one in meter.profiles:
            one.status(status.sets[one.index])
            one.internals(inner.sets[one.index], meter.extended_sources(one), meter.tariff.offset_s, meter.shown)
        meter.image.encode(status)
        meter.image.encode(inner)

    # --- states

    def _bt03(self) -> None:
        """What waits for a reader: the event log, and blocks of load profiles."""
        meter, status = self.meter, self.meter.image.decode(BT03)
        unread = {one.index: int(one.unread > 0) for one in meter.profiles}
        log = int(meter.events.primary.get("nbr_unread_entries") > 0)
        status.mfg_status_3 = status.mfg_status_3.with_(event_log_unread=log, lp1_unread=unread.get(0, 0))
        sets = {f"lp{index + 1}_unread": unread.get(index, 0) for index in (1, 2, 3)}
        status.ed_std_status2 = status.ed_std_status2.with_(**sets)
        meter.image.encode(status)

    def _et04(self) -> None:
        image, numbers = self.meter.image, self.meter.mep_sequences()
        table: Any = image.decode(ET04)
        if table.mep_seq_nbrs is not None:
            table.mep_seq_nbrs = [*numbers, 0, 0][: len(table.mep_seq_nbrs)]
        else:
            table.mep_seq_nbr = numbers[0] if numbers else 0
        table.phase_rotation = 0 if self.meter.model.phases == 3 else 2
        image.encode(table)

    def _et23(self) -> None:
        self.meter.image.set(ET23, "disconnect_state", 0 if self.meter.relays.disconnect_closed else 2)
        self.meter.image.set(ET23, "active_calendar_id", int.from_bytes(self.meter.image.read(54)[-4:], "little"))

    def _et54(self) -> None:
        transactions = self.meter.server.transactions
        table: Any = self.meter.image.decode(ET54)
        if table.mep_tx_locked is not None:
            held = bool(transactions.holder) and self.meter.at < transactions.locked_until
            table.mep_tx_locked = int(held)
            table.mep_tx_lock_channel = (2 if transactions.holder == "mep2" else 1) if held else 0
        if table.status_71 is not None:
            ongoing = int(bool(self.meter.clock_steps.left))
            table.status_71 = table.status_71.with_(time_sync_status=ongoing)
        self.meter.image.encode(table)

    def _et70(self) -> None:
        port = self.meter.server.current
        index = {"mep1": 1, "mep2": 2}.get(port.name if port is not None else "", 0)
        self.meter.image.write_part(extended(70), _ET70_CHANNEL, bytes([index]))
