"""ET09 Power Quality (MEP guide p. 67)."""

from __future__ import annotations

from osgp.tables.et.et04 import ET04
from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, Since, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET09"]


class ET09(
    Table,
    number=2057,
    title="Power Quality",
    role="data",
    source="MEP guide p. 67",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), nvm_write=False, nvm_read=False),
    notes=(
        "Symbol M = ET04.MAX_PWR_OUTAGES*18; the guide's symbol A is M+357.",
        (
            "THD_EVENTS record is declared as 22 bytes but only 18 bytes of fields are listed; 4 "
            "trailing bytes are unlisted (unverified)."
        ),
        (
            "The note on the over-current fields cites ET09.3 as current rating; the threshold "
            "field is at offset 5 (OVER_CURRENT_THRESHOLD)."
        ),
    ),
):
    """Power Quality."""

    long_outage_threshold: int = f.u16(
        unit="s", vci="H", doc=("outages at least this long are 'long'; 0 = every outage over about 250 ms is long")
    )
    sag1_surge_time: int = f.u8(unit="min", vci="H", doc="minimum duration of sag1/surge; 0 = instantaneous")
    sag1_threshold: int = f.u8(unit="%", vci="H", default=10, doc="percent under rated voltage")
    surge_threshold: int = f.u8(
        unit="%", vci="H", default=10, doc="percent over rated voltage (default stated for fw 4.10+)"
    )
    over_current_threshold: int = f.u8(unit="%", vci="H", doc="percent over reference current")

    class Outages(Struct, floor="tables"):
        """Most recent power cycles, newest first."""

        power_on_time: LTime = f.ltime(vci="M", doc="UTC of power-on")
        reset_cause: int = f.u8(vci="M", values={3: "power failure", 8: "brown-out"}, doc="reset reason")
        reserved_13: int = f.u8(vci="M", doc="internal use")
        power_off_time: LTime = f.ltime(vci="M", doc="UTC of power-off")
        power_off_duration: int = f.u32(unit="s", vci="M", doc="rounded down, 0 if under 1 s")

    outages: list[Outages] = f.record(
        Outages, count=at(ET04).max_pwr_outages, doc="most recent power cycles, newest first"
    )
    l1_sag1_time: LTime = f.ltime(vci="M", doc="UTC of latest sag1 on L1")
    l1_sag1_count: int = f.u16(vci="M", doc="sag1 events on L1")
    l2_sag1_time: LTime = f.ltime(vci="M", doc="latest sag1 on L2")
    l2_sag1_count: int = f.u16(vci="M", doc="sag1 events on L2")
    l3_sag1_time: LTime = f.ltime(vci="M", doc="latest sag1 on L3")
    l3_sag1_count: int = f.u16(vci="M", doc="sag1 events on L3")
    l1_surge_time: LTime = f.ltime(vci="M", doc="latest surge on L1")
    l1_surge_count: int = f.u16(vci="M", doc="surge events on L1")
    l2_surge_time: LTime = f.ltime(vci="M", doc="latest surge on L2")
    l2_surge_count: int = f.u16(vci="M", doc="surge events on L2")
    l3_surge_time: LTime = f.ltime(vci="M", doc="latest surge on L3")
    l3_surge_count: int = f.u16(vci="M", doc="surge events on L3")
    min_freq: int = f.i32(unit="Hz", scale=0.001, vci="M", doc="minimum frequency since statistics reset")
    min_freq_time: LTime = f.ltime(vci="M", doc="UTC of minimum")
    max_freq: int = f.i32(unit="Hz", scale=0.001, vci="M", doc="maximum frequency")
    max_freq_time: LTime = f.ltime(vci="M", doc="UTC of maximum")
    l1_over_current_count: int = f.u32(vci="M", doc="over-current events (at least 10 s) on L1")
    l2_over_current_count: int = f.u32(vci="M", doc="over-current events on L2")
    l3_over_current_count: int = f.u32(vci="M", doc="over-current events on L3")

    class PhaseLoss(Bits, size=1):
        """Current phase loss state, do not write."""

        l1_loss: int = bit(0, 1, doc="1 = L1 lost")
        l2_loss: int = bit(1, 1, doc="1 = L2 lost (not for modules)")
        l3_loss: int = bit(2, 1, doc="1 = L3 lost (not for modules)")
        unlisted_3: int = bit(3, 5, doc="not listed")

    phase_loss: PhaseLoss = f.bits(PhaseLoss, vci="M", doc="current phase loss state, do not write")
    l1_phase_loss_time: LTime = f.ltime(vci="M", doc="UTC of latest phase loss on L1, updated every 10 s")
    l1_phase_loss_count: int = f.u16(vci="M", doc="phase losses on L1")
    l2_phase_loss_time: LTime = f.ltime(vci="M", doc="latest phase loss on L2")
    l2_phase_loss_count: int = f.u16(vci="M", doc="phase losses on L2")
    l3_phase_loss_time: LTime = f.ltime(vci="M", doc="latest phase loss on L3")
    l3_phase_loss_count: int = f.u16(vci="M", doc="phase losses on L3")
    l1_sag1_voltage: int = f.ni_fmat1(unit="mV", vci="M", doc="lowest voltage of latest sag1 on L1")
    l2_sag1_voltage: int = f.ni_fmat1(unit="mV", vci="M", doc="same, L2")
    l3_sag1_voltage: int = f.ni_fmat1(unit="mV", vci="M", doc="same, L3")
    l1_surge_voltage: int = f.ni_fmat1(unit="mV", vci="M", doc="highest voltage of latest surge on L1")
    l2_surge_voltage: int = f.ni_fmat1(unit="mV", vci="M", doc="same, L2")
    l3_surge_voltage: int = f.ni_fmat1(unit="mV", vci="M", doc="same, L3")
    short_outage_count: int = f.u32(vci="M", doc="outages shorter than the outage time threshold")
    pq_config_id: int = f.u32(
        vci="H", since=Since("2.12"), doc="identifier of the PQ threshold configuration, not meter-maintained"
    )
    sag1_surge_seconds: int = f.u8(unit="s", vci="H", since=Since("2.12"), doc="seconds added to SAG1_SURGE_TIME")
    pwr_up_hold_time: int = f.u8(
        unit="s", vci="H", default=2, since=Since("3.10"), doc="settle time after power-up before PQ recording"
    )
    over_current_time: int = f.u16(
        unit="s", vci="H", since=Since("3.10"), doc="over-current duration threshold 0..65000; 0 = record every one"
    )

    class ThdRecords(Struct, floor="tables"):
        """V-THD, I-THD, VA-THD in that order (order per text, unverified); modules update V-THD only."""

        thd_time_threshold: int = f.u16(unit="s", vci="H", doc="10 s resolution, 0..65000; do not set below 10")
        thd_threshold: int = f.u16(
            unit="%",
            scale=0.1,
            vci="H",
            doc=("0..10000; 0 = no THD events (text: units of 0.1 %, yet 10000 = 100 %; scale unverified)"),
            status="unverified",
        )

        class ThdEvents(Struct, floor="tables"):
            """One per phase."""

            event_count: int = f.u16(vci="M", doc="number of THD events")
            event_time: LTime = f.ltime(vci="M", doc="UTC of last THD event")
            max_thd: int = f.u16(vci="M", doc="maximum THD of last event")
            max_thd_time: LTime = f.ltime(vci="M", doc="UTC of the maximum")
            avg_thd: int = f.u16(vci="M", doc="average THD of last event")
            unlisted: bytes = f.binary(
                4, doc="bytes 18..21 of the declared 22-byte record are not described (unverified)", status="unverified"
            )

        thd_events: list[ThdEvents] = f.record(ThdEvents, count=3, doc="one per phase")

    thd_records: list[ThdRecords] = f.record(
        ThdRecords,
        count=3,
        since=Since("3.10"),
        doc=("V-THD, I-THD, VA-THD in that order (order per text, unverified); modules update V-THD only"),
        status="unverified",
    )

    class DrpDrc(Struct, floor="tables"):
        """Last 12 DRP/DRC threshold violations (meters only)."""

        drp: int = f.u16(unit="%", scale=0.1, vci="M", doc="DRP value")
        drc: int = f.u16(unit="%", scale=0.1, vci="M", doc="DRC value")
        timestamp: LTime = f.ltime(vci="M", doc="when recorded (may lag a few seconds)")

    drp_drc: list[DrpDrc] = f.record(
        DrpDrc, count=12, since=Since("3.70"), doc="last 12 DRP/DRC threshold violations (meters only)"
    )
    sag2_time: int = f.u16(unit="s", vci="H", since=Since("4.10"), doc="sag2 duration threshold; 0 = instantaneous")
    sag2_threshold: int = f.u8(unit="%", vci="H", default=255, since=Since("4.10"), doc="percent under rated voltage")
    l1_sag2_time: LTime = f.ltime(vci="M", since=Since("4.10"), doc="UTC of latest sag2 on L1")
    l1_sag2_count: int = f.u16(vci="M", since=Since("4.10"), doc="sag2 events on L1")
    l2_sag2_time: LTime = f.ltime(vci="M", since=Since("4.10"), doc="latest sag2 on L2")
    l2_sag2_count: int = f.u16(vci="M", since=Since("4.10"), doc="sag2 events on L2")
    l3_sag2_time: LTime = f.ltime(vci="M", since=Since("4.10"), doc="latest sag2 on L3")
    l3_sag2_count: int = f.u16(vci="M", since=Since("4.10"), doc="sag2 events on L3")
    l1_sag2_voltage: int = f.ni_fmat1(
        unit="mV", vci="M", since=Since("4.10"), doc="lowest voltage of latest sag2 on L1"
    )
    l2_sag2_voltage: int = f.ni_fmat1(unit="mV", vci="M", since=Since("4.10"), doc="same, L2")
    l3_sag2_voltage: int = f.ni_fmat1(unit="mV", vci="M", since=Since("4.10"), doc="same, L3")
    avg_current_interval: int = f.u16(
        unit="s",
        vci="F",
        default=600,
        since=Since("4.10"),
        doc=(
            "averaging interval, synced to the hour; divisor of 60 s, of 60 min or of 24 h (guide"
            " range printed 0-43,1999)"
        ),
    )

    class Options(Bits, size=1):
        """PQ options."""

        early_sag_surge_event: int = bit(0, 1, default=0, doc="1 = also log the start of a qualified sag/surge")
        unlisted_1: int = bit(1, 7, doc="not listed")

    options: Options = f.bits(Options, vci="H", since=Since("4.21"), doc="PQ options")
