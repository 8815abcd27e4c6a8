"""ET21 Load Profile Internal Configuration (MEP guide p. 95; optical guide p. 38)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, Since, Struct, bit, env
from osgp.wire import fields as f

__all__ = ["ET21"]


class ET21(
    Table,
    number=2069,
    title="Load Profile Internal Configuration",
    role="status",
    source="MEP guide p. 95; optical guide p. 38",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK"), nvm_write=False, nvm_read=False),
    notes=(
        (
            "One record per load profile data set; a single record on devices without multiple "
            "data sets (env.LP_SETS = 1 or 4)."
        ),
        (
            "The record is 131 bytes from fw 3.50 on (optical guide: reserved ARRAY[20] at 111, "
            "split into flags and ARRAY[19] in 3.60)."
        ),
        (
            "INTERVAL_END_UTC (6 bytes at 94) ends at 99 but the next listed offset is 101; byte "
            "100 is unlisted (unverified)."
        ),
    ),
):
    """Load Profile Internal Configuration."""

    class Sets(Struct, floor="tables"):
        """Data set status."""

        cur_block_addr: int = f.u32(vci="M", doc="physical address of current block")
        cur_interval_addr: int = f.u32(vci="M", doc="physical address of current interval")
        block_size: int = f.u32(unit="byte", vci="M", doc="bytes per block")
        block_header_size: int = f.u16(unit="byte", vci="M", doc="end time + end readings + simple status")
        nbr_valid_blocks: int = f.u16(vci="M", doc="blocks with valid data")
        nbr_valid_intervals: int = f.u16(vci="M", doc="intervals of the current block stored in NVM")
        last_block_index: int = f.u16(vci="M", doc="array index of newest block with data")
        last_interval_nbr: int = f.u16(vci="M", doc="array index of newest interval in the block")
        simple_status_offset: int = f.u8(unit="byte", vci="M", doc="simple status offset from block start")
        simple_status_size: int = f.u8(unit="byte", vci="M", doc="simple status size")
        interval0_offset: int = f.u8(unit="byte", vci="M", doc="first interval offset from block start")
        interval_size: int = f.u8(unit="byte", vci="M", doc="bytes per interval")
        channel0_offset: int = f.u8(unit="byte", vci="M", doc="first channel offset from interval start")
        ext_status_common: int = f.u8(vci="M", doc="common extended status for the next interval record")
        nbr_chns: int = f.u8(vci="M", doc="channels logged")
        interval_time: int = f.u8(vci="M", doc="logging interval (same coding as BT61)")
        sources: list[int] = f.u8(count=8, vci="M", doc="source IDs of channels 0..7")
        placeholders: list[int] = f.i32(
            count=8, vci="M", since=Since("2.10"), doc="M-Bus channels: latest posted interval value"
        )
        sources_expansion: list[int] = f.u8(count=8, vci="M", since=Since("2.10"), doc="source IDs of channels 8..15")
        lp_config_id: int = f.u32(vci="M", since=Since("2.10"), doc="load profile configuration ID")
        mep_start_channel: int = f.u8(
            vci="M",
            since=Since("2.10"),
            doc=("0-based channel where MEP/M-Bus billing data starts (optical guide: to the end of the interval)"),
        )
        block_start_time: LTime = f.ltime(vci="M", since=Since("3.10"), doc="UTC start of current block")
        block_start_hour: int = f.u8(unit="h", vci="M", since=Since("3.10"), doc="UTC hour of requested block start")
        block_start_minute: int = f.u8(
            unit="min", vci="M", since=Since("3.10"), doc="UTC minute of requested block start"
        )
        interval_in_progress: int = f.u16(
            vci="M", since=Since("3.10"), doc="0 = none pending, else interval number being closed"
        )

        class LpOptions(Bits, size=1):
            """Load profile options."""

            end_readings: int = bit(0, 1, vci="H", doc="must be 0")
            scalar_divisor: int = bit(1, 1, vci="H", doc="must be 0")
            data_reference: int = bit(2, 1, vci="H", doc="must be 0")
            ansi_compliance: int = bit(
                3,
                1,
                vci="H",
                doc=("1 = minutes-only intervals, standard extended status only, resets are not power cycles"),
            )
            unlisted_4: int = bit(4, 4, doc="not listed")

        lp_options: LpOptions = f.bits(LpOptions, vci="M", since=Since("3.10"), doc="load profile options")
        interval_end_utc: LTime = f.ltime(vci="M", since=Since("3.30"), doc="end of last interval, UTC")
        unlisted_100: int = f.u8(since=Since("3.30"), doc="gap before offset 101 (unverified)", status="unverified")
        interval_end_local: LTime = f.ltime(vci="M", since=Since("3.30"), doc="end of last interval, local time")
        max_memory_len: int = f.u32(
            unit="byte", vci="M", since=Since("3.50"), doc="maximum memory available to the set"
        )

        class Flags(Bits, size=1):
            """Flags (a reserved byte on fw 3.50)."""

            nvmf_occurred: int = bit(
                0, 1, since=Since("3.60"), doc="1 = non-volatile memory failure since the set was created"
            )
            reserved_1: int = bit(1, 7, doc="reserved")

        flags: Flags = f.bits(Flags, vci="M", since=Since("3.50"), doc="flags (a reserved byte on fw 3.50)")
        reserved_112: bytes = f.binary(19, vci="M", since=Since("3.50"), doc="reserved")

    sets: list[Sets] = f.record(Sets, count=env.lp_sets, doc="data set status")
