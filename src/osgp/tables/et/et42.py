"""ET42 Interface Definition (MEP guide p. 111)."""

from __future__ import annotations

from osgp.tables.et.et54 import ET54
from osgp.tables.et.et57 import ET57
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, Struct, at, bit, popcount
from osgp.wire import fields as f

__all__ = ["ET42"]


class ET42(
    Table,
    number=2090,
    title="Interface Definition",
    role="actual",
    source="MEP guide p. 111",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True),
    notes=(
        (
            "Concatenated copy of all changeable dimensions; root = field it is copied from. Any "
            "change raises the Interface Change (Dimension Change) alarm in BT03 and increments "
            "ET04.IDT_VERSION."
        ),
        (
            "FIXED_LEN doubles as the offset of LOG_LIST. LP_DATA_SETS holds the active sets 2..4"
            " flagged in LP_BIT_MASK (count by set bits is unverified)."
        ),
        (
            "Root offsets printed for the ET75/ET81 log fields (ET36.90, ET36.107, ET36.103) do "
            "not match 17-byte records; 'ET55.A+3' for the energy unit should be A+39."
        ),
    ),
):
    """Interface Definition."""

    table_len: int = f.u16(unit="byte", doc="bytes in this table incl. this field")
    fixed_len: int = f.u8(
        unit="byte", doc="bytes of the fixed part (FSL), offset of LOG_LIST (41 by the listed fields)"
    )
    log_list_size: int = f.u8(root="ET36.COUNT", doc="logs in LOG_LIST (LLS)")

    class InterfaceCompat(Bits, size=2):
        """Interface compatibility setting."""

        ica_nak: int = bit(0, 1, doc="1 = ICA NAK on and MEP recurring reads no longer stored in ET16")
        blg_lp_format2: int = bit(1, 1, doc="1 = concentrator handles all billing and LP formats")
        unused: int = bit(2, 14, doc="unused")

    interface_compat: InterfaceCompat = f.bits(
        InterfaceCompat, vci="H", root="ET54.INTERFACE_COMPAT", doc="interface compatibility setting"
    )

    class C1219Compliance(Bits, size=2):
        """Unused bits."""

        unused: int = bit(0, 16, doc="unused")

    c1219_compliance: C1219Compliance = f.bits(
        C1219Compliance, vci="H", root="ET04.C1219_COMPLIANCE", doc="unused bits"
    )
    bidn: int = f.u16(doc="billing interface definition number, recorded in BT26 and ET31 entries")

    class BillingFlags(Bits, size=1):
        """Billing interface flags."""

        demand_reset_ctr: int = bit(0, 1, root="BT21.FLAGS0.DEMAND_RESET_CTR", doc="demand reset count included")
        cum_demand: int = bit(1, 1, root="BT21.FLAGS0.CUM_DEMAND", doc="cumulative demand configured")
        cont_cum_demand: int = bit(
            2, 1, root="BT21.FLAGS0.CONT_CUM_DEMAND", doc="continuous cumulative demand configured"
        )
        demand_configured: int = bit(3, 1, doc="EP32 was executed at least once (root ET48)")
        unread_bitmap_enabled: int = bit(4, 1, doc="ET36 unread bitmap available")
        unlisted_5: int = bit(5, 3, doc="not listed")

    billing_flags: BillingFlags = f.bits(BillingFlags, doc="billing interface flags")
    nbr_self_reads: int = f.u8(root="BT21.NBR_SELF_READS", doc="self-read entries")
    nbr_summations: int = f.u8(root="BT21.NBR_SUMMATIONS", doc="accumulators in BT23")
    nbr_demands: int = f.u8(root="BT21.NBR_DEMANDS", doc="demand registers")
    nbr_coincident: int = f.u8(root="BT21.NBR_COINCIDENT", doc="coincident values")
    nbr_occur: int = f.u8(root="BT21.NBR_OCCUR", doc="maximum demands per register")
    nbr_tiers: int = f.u8(default=4, root="BT21.NBR_TIERS", doc="TOU tiers")
    nbr_present_demands: int = f.u8(root="BT21.NBR_PRESENT_DEMANDS", doc="present demands in BT28")
    nbr_present_values: int = f.u8(root="BT21.NBR_PRESENT_VALUES", doc="instantaneous values in BT28")
    demand_subinterval: int = f.u8(unit="min", doc="demand sub-interval (root BT13.4), set by EP32/EP33")
    demand_multiplier: int = f.u8(doc="demand interval multiplier (guide: in minutes; root BT13.5)")
    tier_size: int = f.u16(unit="byte", doc="bytes of one tier in BT23")
    lp_block_size: int = f.u32(unit="byte", root="ET21.SETS[0].BLOCK_SIZE", doc="data set 1 block size")
    lp_nbr_blocks: int = f.u16(root="BT61.SETS[0].NBR_BLKS", doc="data set 1 blocks")
    lp_nbr_chns: int = f.u8(root="BT61.SETS[0].NBR_CHNS", doc="data set 1 channels")
    lp_interval_duration: int = f.u8(root="BT61.SETS[0].MAX_INT_TIME", doc="data set 1 interval time")
    lp_interval_size: int = f.u8(unit="byte", root="ET21.SETS[0].INTERVAL_SIZE", doc="data set 1 interval size")
    lp_options: int = f.u8(root="ET21.SETS[0].LP_OPTIONS", doc="load profile options (bits as ET21)")
    lp_intervals_per_block: int = f.u16(root="BT61.SETS[0].NBR_BLK_INTS", doc="intervals per block")
    lp_block_start_hour: int = f.u8(root="ET21.SETS[0].BLOCK_START_HOUR", doc="block start hour")
    lp_block_start_minute: int = f.u8(root="ET21.SETS[0].BLOCK_START_MINUTE", doc="block start minute")

    class HistFlags(Bits, size=1):
        """Optional fields in the history log."""

        event_number: int = bit(0, 1, doc="event number maintained")
        date_time: int = bit(1, 1, doc="date/time maintained")
        seq_nbr: int = bit(2, 1, doc="sequence number maintained")
        inhibit_overflow: int = bit(3, 1, doc="history inhibits on overflow")
        event_log_inhibit_overflow: int = bit(4, 1, doc="event log inhibits on overflow")
        unlisted_5: int = bit(5, 3, doc="not listed")

    hist_flags: HistFlags = f.bits(HistFlags, root="BT71.FLAGS", doc="optional fields in the history log")
    hist_count: int = f.u16(root="BT71.NBR_HISTORY_ENTRIES", doc="history entries")
    hist_arg_size: int = f.u8(unit="byte", root="BT71.HIST_DATA_LENGTH", doc="history argument size")
    unlisted_fixed: bytes = f.binary(
        fixed_len - 41, doc="fixed fields added by firmware later than the guide (none if FIXED_LEN is 41)"
    )

    class LogList(Struct, floor="tables"):
        """Adjustable log dimensions; order OTR (ET31), M-Bus OTR (ET32), config ID log (ET38), demand ..."""

        log_count: int = f.u8(doc="entries configured")
        log_entry_size: int = f.u16(
            unit="byte", doc="entry size configured (doc for ET81 says maximum number of entries)"
        )

    log_list: list[LogList] = f.record(
        LogList,
        count=log_list_size,
        doc=(
            "adjustable log dimensions; order OTR (ET31), M-Bus OTR (ET32), config ID log (ET38),"
            " demand reset log (ET41), M-Bus recurring (ET45), LP change (ET75), power outage "
            "(ET81)"
        ),
    )
    demand_sources: list[int] = f.u8(count=nbr_demands, root="BT22.DEMAND_SELECT", doc="demand source IDs")
    coincident_sources: list[int] = f.u8(
        count=nbr_coincident, root="BT22.COINCIDENT_SELECT", doc="coincident source IDs, in demand order"
    )
    lp_ext_sources: list[int] = f.u16(
        count=lp_nbr_chns, doc=("extended source IDs of data set 1 channels (8-bit IDs unless mapping is enabled)")
    )
    mdt_count: int = f.u8(root="ET57.ENTRIES", doc="non-zero ET57 entries")
    mdt_entries: list[ET57.Entries] = f.record(ET57.Entries, count=mdt_count, doc="copies of ET57 entries")

    class LpBitMask(Bits, size=1):
        """Active load profile sets."""

        set2: int = bit(0, 1, doc="data set 2 active")
        set3: int = bit(1, 1, doc="data set 3 active")
        set4: int = bit(2, 1, doc="data set 4 active")
        unlisted_3: int = bit(3, 5, doc="not listed")

    lp_bit_mask: LpBitMask = f.bits(
        LpBitMask, when=at(ET54).interface_compat.multi_lp == 1, since=Since("3.50"), doc="active load profile sets"
    )

    class LpDataSets(Struct, floor="tables"):
        """Configuration of the active sets."""

        block_size: int = f.u32(unit="byte", doc="block size")
        nbr_blocks: int = f.u16(doc="blocks")
        nbr_chns: int = f.u8(doc="channels per interval")
        interval_duration: int = f.u8(doc="interval time")
        interval_size: int = f.u8(unit="byte", doc="interval size")
        options: int = f.u8(doc="load profile options (bits as ET21)")
        intervals_per_block: int = f.u16(doc="intervals per block")
        block_start_hour: int = f.u8(doc="block start hour")
        block_start_minute: int = f.u8(doc="block start minute")
        ext_sources: list[int] = f.u16(count=nbr_chns, doc="extended source IDs")

    lp_data_sets: list[LpDataSets] = f.record(
        LpDataSets,
        count=popcount(lp_bit_mask),
        when=at(ET54).interface_compat.multi_lp == 1,
        since=Since("3.50"),
        doc="configuration of the active sets",
    )
    req_section_len: int = f.u8(unit="byte", since=Since("3.60"), doc="bytes in the required section incl. this one")
    et74_count: int = f.u16(since=Since("3.60"), root="ET54.ET74_ENTRY_COUNT", doc="entries configured in ET74")
    et77_count: int = f.u8(since=Since("3.70"), root="ET54.ET77_ENTRY_COUNT", doc="entries in ET77")
    et79_count: int = f.u16(since=Since("3.70"), root="ET54.ET79_ENTRY_COUNT", doc="entries in ET79")
    energy_reg_unit: int = f.u8(
        since=Since("3.70"),
        root="ET55.ENERGY_REG_UNIT",
        values={1: "1 Wh/varh", 10: "10 Wh/varh", 100: "100 Wh/varh"},
        doc="energy register unit",
    )
    rollover_digit: int = f.u8(
        since=Since("3.70"), doc="decimal digits before energy registers roll over, 5..9 (root ET07)"
    )
