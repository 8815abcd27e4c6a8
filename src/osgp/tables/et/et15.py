"""ET15 MEP/M-Bus On-demand Requests (MEP guide p. 89)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Case, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET15"]


class ET15(
    Table,
    number=2063,
    title="MEP/M-Bus On-demand Requests",
    role="control",
    source="MEP guide p. 89",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=(
        (
            "Read-only circular queue; entries are created by EP19/EP39. Only the oldest entry "
            "can be cleared, so a client must check the handle."
        ),
    ),
):
    """MEP/M-Bus On-demand Requests."""

    class Pointers(Bits, size=1):
        """Queue pointers."""

        write_ptr: int = bit(0, 4, doc="next entry to be posted")
        read_ptr: int = bit(4, 4, doc="next entry to be processed by the meter")

    pointers: Pointers = f.bits(Pointers, vci="M", doc="queue pointers")

    class Requests(Struct, floor="tables"):
        """Request queue with results."""

        trans_nbr: int = f.u16(vci="M", doc="transaction number")
        handle_or_group: int = f.u16(
            vci="M", doc="device handle; for type 6 group mask, 0xFFFF = all commissioned devices"
        )
        request_type: int = f.u8(
            vci="M",
            values={
                0: "no entry",
                1: "M-Bus application reset",
                2: "billing read",
                3: "status read (not MEP)",
                4: "write data",
                5: "time sync (not MEP)",
                6: "multicast (not MEP)",
                7: "MEP download start (created by EP41)",
                8: "MEP download code packet",
                9: "MEP download switchover",
            },
            doc="kind of request",
        )
        result: int = f.u8(
            vci="M", values={0: "not completed", 1: "success", 2: "no response", 3: "failed"}, doc="result"
        )

    requests: list[Requests] = f.record(
        Requests,
        count=at(ET11).ondemand_queue_size,
        stride=at(ET11).ondemand_entry_size,
        doc="request queue with results",
    )

    class WriteMessages(Struct, floor="tables"):
        """Write data per request."""

        write_len: int = f.u8(unit="byte", vci="M", doc="user data length")
        write_data: bytes = f.binary(
            at(ET11).ondemand_write_entry_size - 1, vci="M", doc="user data (SND_UD user data for M-Bus)"
        )

    write_messages: list[WriteMessages] = f.record(
        WriteMessages,
        count=at(ET11).ondemand_queue_size,
        stride=at(ET11).ondemand_write_entry_size,
        doc="write data per request",
    )
    mcast_len: int = f.u8(
        unit="byte",
        vci="M",
        doc=("multicast data length; 56 for request type 8; M-Bus counts control fields plus user data"),
    )

    class Mcast0(Struct, floor="tables"):
        """Content depends on the request it belongs to (which queue entry is unverified). (case 0)."""

        packet_nbr: int = f.u16(vci="M", doc="download code packet number")
        code_packet: bytes = f.binary(at(ET11).mbus_mcast_len - 3, vci="M", doc="download code packet")

    class Mcast1(Struct, floor="tables"):
        """Content depends on the request it belongs to (which queue entry is unverified). (case 1)."""

        mcast_data: bytes = f.binary(at(ET11).mbus_mcast_len - 1, vci="M", doc="M-Bus: C field, CI field, user data")

    mcast: Mcast0 | Mcast1 | None = f.union(
        [
            Case(requests[pointers.read_ptr].request_type == 8, Mcast0),
            Case(requests[pointers.read_ptr].request_type != 8, Mcast1),
        ],
        doc="content depends on the request it belongs to (which queue entry is unverified)",
        status="unverified",
    )
