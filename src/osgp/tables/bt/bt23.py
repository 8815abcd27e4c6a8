"""BT23 Current Register Data (MEP guide p. 207; optical guide p. 24)."""

from __future__ import annotations

from osgp.tables.bt.bt21 import BT21
from osgp.tables.table import Access, Table
from osgp.wire import Element, Since, STime, Struct, at
from osgp.wire import fields as f

__all__ = ["BT23"]


class BT23(
    Table,
    number=23,
    title="Current Register Data",
    role="data",
    source="MEP guide p. 207; optical guide p. 24",
    status="verified",
    access=Access(
        read=("MBK", "MAK"), write=("MAK",), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False
    ),
    notes=(
        (
            "Values include the CT/VT ratios of BT15; Wh/varh in units of ET55.ENERGY_REG_UNIT "
            "(1, 10, 100) where supported."
        ),
        (
            "Guide offset symbols: A = 1 with a demand reset count else 0; B = A+4*summations; C "
            "= B+demands*DmdRcd; D = C+coincidents*CoinRcd."
        ),
        (
            "Guide offsets inside DmdRcd assume both cumulative demands are present. Power "
            "outage, pulse inputs and error counter are not populated in tier blocks."
        ),
    ),
):
    """Current Register Data."""

    nbr_demand_resets: int = f.u8(when=at(BT21).flags0.demand_reset_ctr == 1, vci="M", doc="demand resets executed")

    class TotDataBlock(Struct, floor="tables"):
        """Totals, never reset in the field."""

        summations: list[int] = f.ni_fmat1(
            count=at(BT21).nbr_summations,
            vci="M",
            elements={
                0: Element("Fwd active energy L1L2L3", source_id=0, unit="Wh"),
                1: Element("Rev active energy L1L2L3", source_id=1, unit="Wh"),
                2: Element("Import reactive energy L1L2L3", source_id=2, unit="varh"),
                3: Element("Export reactive energy L1L2L3", source_id=3, unit="varh"),
                4: Element(
                    "Power off duration", source_id=4, unit="s", doc="not populated in tier blocks; minutes on fw 2.0"
                ),
                5: Element("Power outage quantity", source_id=5, doc="not populated in tier blocks"),
                6: Element("Fwd+Rev active energy L1L2L3", source_id=6, unit="Wh"),
                7: Element("Fwd-Rev active energy L1L2L3", source_id=7, unit="Wh", doc="clamped at 0"),
                8: Element("Pulse input channel 0", source_id=26, doc="not populated in tier blocks"),
                9: Element("Pulse input channel 1", source_id=27, doc="not populated in tier blocks"),
                10: Element(
                    "Error counter",
                    source_id=28,
                    doc="not populated in tier blocks; counts RAM, NVM, clock (up to fw 3.4x), measurement errors and save-all aborts",
                ),
                11: Element("Q1 reactive energy L1L2L3", source_id=108, unit="varh"),
                12: Element("Q2 reactive energy L1L2L3", source_id=109, unit="varh"),
                13: Element("Q3 reactive energy L1L2L3", source_id=110, unit="varh"),
                14: Element("Q4 reactive energy L1L2L3", source_id=111, unit="varh"),
                15: Element(
                    "Apparent energy Q1",
                    unit="VAh",
                    since=Since("4.0"),
                    doc="standard source ID not listed in the guides",
                ),
                16: Element(
                    "Apparent energy Q2",
                    unit="VAh",
                    since=Since("4.0"),
                    doc="standard source ID not listed in the guides",
                ),
                17: Element(
                    "Apparent energy Q3",
                    unit="VAh",
                    since=Since("4.0"),
                    doc="standard source ID not listed in the guides",
                ),
                18: Element(
                    "Apparent energy Q4",
                    unit="VAh",
                    since=Since("4.0"),
                    doc="standard source ID not listed in the guides",
                ),
            },
            doc="accumulators in the order of BT22.SUMMATION_SELECT",
        )

        class Demands(Struct, floor="tables"):
            """DmdRcd."""

            event_time: list[STime] = f.stime(
                count=at(BT21).nbr_occur, when=at(BT21).flags0.date_time == 1, vci="M", doc="time of the demand"
            )
            cum_demand: int = f.ni_fmat1(when=at(BT21).flags0.cum_demand == 1, vci="M", doc="cumulative demand")
            cont_cum_demand: int = f.ni_fmat1(
                when=at(BT21).flags0.cont_cum_demand == 1, vci="M", doc="continuous cumulative demand"
            )
            demand: list[int] = f.ni_fmat2(count=at(BT21).nbr_occur, vci="M", doc="demand values")

        demands: list[Demands] = f.record(Demands, count=at(BT21).nbr_demands, vci="M", doc="DmdRcd")

        class Coincidents(Struct, floor="tables"):
            """CoinRcd."""

            coin_values: list[int] = f.ni_fmat2(
                count=at(BT21).nbr_occur, vci="M", doc="values of the coincident source"
            )

        coincidents: list[Coincidents] = f.record(Coincidents, count=at(BT21).nbr_coincident, vci="M", doc="CoinRcd")

    tot_data_block: TotDataBlock = f.record(TotDataBlock, doc="totals, never reset in the field")
    tier_data_block: list[TotDataBlock] = f.record(
        TotDataBlock, count=at(BT21).nbr_tiers, vci="M", doc="one block per tier, tier 0 first"
    )
